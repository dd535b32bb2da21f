// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who is admitted to the network, with which accounts, keys and roles.
/// @notice A participant is one institution, named by its LEI (ISO 17442, 20 characters). Its accounts are EVM
/// addresses, each of one kind, each reachable by an opaque 32-byte reference that is used once, for ever.
interface IParticipantRegistry {
    /// @notice Life of a participant. `Proposed`: its admission is decided, and in effect later. `Exited` is final.
    enum Status {
        None,
        Proposed,
        Admitted,
        Suspended,
        Exited
    }

    /// @notice What an account is for: settlement holds tokens, operating signs for the bridge, quoting signs FX
    /// quotes, attesting signs reserve statements, an officer is a person who governs. An address has one kind, so an
    /// issuing key never attests.
    enum AccountKind {
        None,
        Settlement,
        Operating,
        Quoting,
        Attesting,
        Officer
    }

    struct AccountInput {
        bytes32 accountReference;
        address account;
        AccountKind kind;
    }

    /// @param roles Bit set: 1 bank, 2 issuer, 4 fx provider, 8 liquidity, 16 supervisor, 32 operator, 64 validator,
    /// 128 council.
    /// @param sealingKey X25519 public key that messages to the participant are sealed with (RFC 7748).
    /// @param signingKey Ed25519 public key that its messages are signed with (RFC 8032).
    /// @param endpoint URL of its bridge's message endpoint.
    /// @param centralBank LEI of the issuer whose officers may suspend it in an emergency; zero: nobody alone.
    struct ParticipantInput {
        bytes20 lei;
        bytes11 bic;
        bytes2 country;
        uint32 roles;
        bytes32 sealingKey;
        bytes32 signingKey;
        string endpoint;
        AccountInput[] accounts;
        bytes20 centralBank;
    }

    /// @notice A participant as it is now: what is scheduled does not show before its time.
    struct Participant {
        bytes20 lei;
        bytes11 bic;
        bytes2 country;
        Status status;
        uint32 roles;
        bytes32 sealingKey;
        bytes32 signingKey;
        string endpoint;
        bytes20 centralBank;
    }

    struct Account {
        bytes20 lei;
        address account;
        AccountKind kind;
    }

    /// @notice Who stands behind an account reference now.
    /// @param isActive Whether the participant is admitted: effective times, lapses and expiries counted.
    /// @param suspendedSince Effective second of the suspension that holds now; 0 if none does.
    struct Party {
        bytes20 lei;
        address account;
        AccountKind kind;
        bool isActive;
        uint40 suspendedSince;
    }

    /// @notice The suspension that holds, is scheduled or was the last; all zero where there was none.
    /// @param effectiveAt First second of it.
    /// @param until First second after it; the largest uint40 where no end is set.
    /// @param isProvisional Whether it lapses at `until` unless a second person confirms it.
    /// @param officer Who ordered it alone; zero where two persons did at once.
    /// @param confirmer Who confirmed that; zero before.
    struct Suspension {
        uint40 effectiveAt;
        uint40 until;
        bool isProvisional;
        address officer;
        address confirmer;
    }

    /// @notice What a participant last said of its own audit log: the hash of the record with this number, and when.
    struct AuditAnchor {
        uint64 sequence;
        uint40 anchoredAt;
        bytes32 recordHash;
    }

    event ParticipantAdmitted(bytes20 indexed lei, bytes11 bic, uint32 roles, uint40 effectiveAt);
    event ParticipantSuspended(bytes20 indexed lei, uint40 effectiveAt, uint40 until);
    event ParticipantSuspendedProvisionally(
        bytes20 indexed lei, address indexed officer, uint40 effectiveAt, uint40 until
    );
    event SuspensionConfirmed(bytes20 indexed lei, address indexed officer, address indexed confirmer);
    event ParticipantReinstated(bytes20 indexed lei, uint40 effectiveAt);
    event ParticipantExited(bytes20 indexed lei, uint40 effectiveAt);
    event RolesChanged(bytes20 indexed lei, uint32 roles, bytes20 centralBank, uint40 effectiveAt);
    event AccountAdded(
        bytes20 indexed lei,
        bytes32 indexed accountReference,
        address indexed account,
        AccountKind kind,
        uint40 effectiveAt
    );
    event AccountClosed(bytes20 indexed lei, address indexed account, uint40 effectiveAt);
    event KeysRotated(
        bytes20 indexed lei, uint256 version, bytes32 sealingKey, bytes32 signingKey, uint40 effectiveAt
    );
    event EndpointChanged(bytes20 indexed lei, string endpoint, uint40 effectiveAt);
    event EarlierEntriesHonoured(bool isHonoured);
    event AuditLogAnchored(bytes20 indexed lei, uint64 indexed sequence, bytes32 recordHash);

    error RegistryParticipantUnknown(bytes20 lei);
    error RegistryParticipantExists(bytes20 lei);
    error RegistryBicTaken(bytes11 bic);
    error RegistryInvalidLei(bytes20 lei);
    error RegistryInvalidBic(bytes11 bic);
    error RegistryInvalidCentralBank(bytes20 lei, bytes20 centralBank);
    error RegistryInvalidTime(uint40 time);
    error RegistryUnexpectedStatus(bytes20 lei, Status status);
    error RegistrySuspensionApart(bytes20 lei, uint40 effectiveAt, uint40 until);
    error RegistrySuspensionStands(bytes20 lei, uint40 effectiveAt, uint40 until);
    error RegistrySuspensionTooSoon(bytes20 lei, uint40 earliest);
    error RegistryNotProvisional(bytes20 lei);
    error RegistryCallerNotOfficer(address caller);
    error RegistryCallerNotCentralBank(address caller, bytes20 lei);
    error RegistryCallerNotOperating(address caller);
    error RegistryAuditSequenceNotNewer(bytes20 lei, uint64 sequence, uint64 anchored);
    error RegistrySamePerson(address caller);
    error RegistryAccountReferenceTaken(bytes32 accountReference);
    error RegistryAccountTaken(address account);
    error RegistryAccountUnknown(address account);
    error RegistryInvalidAccount(bytes32 accountReference, address account, AccountKind kind);
    error RegistryTooManyCouncilMembers(uint256 limit);

    /// @notice Admits an institution with its first keys and accounts. Restricted to the authority, which is the Council:
    /// two persons of two of its members.
    /// @param effectiveAt UTC second from which it is admitted; one that has passed stands for the time of the block.
    /// The same holds for every `effectiveAt` below.
    function admit(ParticipantInput calldata input, uint40 effectiveAt) external;

    /// @notice Stops a participant until it is reinstated: it sends nothing, and nothing of it moves. Restricted. It is
    /// joined with a suspension that stands already if they touch or overlap, and refused if they would leave a gap.
    function suspend(bytes20 lei, uint40 effectiveAt) external;

    /// @notice Ends a suspension, or calls off one that is not in effect by then. Restricted.
    function reinstate(bytes20 lei, uint40 effectiveAt) external;

    /// @notice Ends a participation for ever. Restricted.
    function exit(bytes20 lei, uint40 effectiveAt) external;

    /// @notice Sets all roles of a participant and its central bank. Restricted. It replaces what was scheduled before
    /// and is not in effect.
    function setRoles(bytes20 lei, uint32 roles, bytes20 centralBank, uint40 effectiveAt) external;

    /// @notice Adds an account, for ever. Restricted.
    function addAccount(bytes20 lei, AccountInput calldata account, uint40 effectiveAt) external;

    /// @notice Ends what an account may do; reference and address stay used. Not for settlement accounts: money stands
    /// on them. Restricted.
    function closeAccount(address account, uint40 effectiveAt) external;

    /// @notice Replaces both keys; earlier pairs stay readable. Restricted. It replaces a pair that is not in effect.
    function rotateKeys(bytes20 lei, bytes32 sealingKey, bytes32 signingKey, uint40 effectiveAt) external;

    /// @notice Changes where a participant's bridge takes messages. Restricted.
    function setEndpoint(bytes20 lei, string calldata endpoint, uint40 effectiveAt) external;

    /// @notice The rulebook's word on payments that were entered before a suspension: whether they may still settle.
    /// Restricted.
    function setHonoursEarlierEntries(bool isHonoured) external;

    /// @notice Keeps the hash of a record of the caller's own audit log, so that nothing up to it can be changed unseen.
    /// @dev For an operating account of an admitted participant; each anchor is of a later record than the one before.
    /// @param sequence Number of the record in the log, from one.
    /// @param recordHash SHA-256 that the record ends with; what it is of, only the participant knows.
    function anchorAuditLog(uint64 sequence, bytes32 recordHash) external;

    /// @notice The newest anchor of a participant's audit log; all zero before the first.
    function auditAnchorOf(bytes20 lei) external view returns (AuditAnchor memory);

    /// @notice Replaces the keys of the caller's participant; an officer of it calls, alone.
    function rotateOwnKeys(bytes32 sealingKey, bytes32 signingKey, uint40 effectiveAt) external;

    /// @notice Changes where the bridge of the caller's participant takes messages; an officer of it calls, alone.
    function setOwnEndpoint(string calldata endpoint, uint40 effectiveAt) external;

    /// @notice Stops a participant for a while; an officer of its central bank calls, alone.
    /// @param effectiveAt At most 30 days ahead.
    /// @param lapsesAt When it ends unless a second person has confirmed it: after `effectiveAt`, by at most 7 days. The
    /// next one by one person begins at least 7 days after it.
    function suspendProvisionally(bytes20 lei, uint40 effectiveAt, uint40 lapsesAt) external;

    /// @notice Makes a provisional suspension one that lasts, before it lapses; another officer of the central bank or one
    /// of a council member calls.
    function confirmSuspension(bytes20 lei) external;

    /// @notice The participant as it is now; reverts for one whose admission was never decided.
    function participant(bytes20 lei) external view returns (Participant memory);

    /// @notice Where a participant stands now; `None` where unknown.
    function statusOf(bytes20 lei) external view returns (Status);

    /// @notice The suspension of a participant that holds, is scheduled or was the last.
    function suspensionOf(bytes20 lei) external view returns (Suspension memory);

    /// @notice How many participants there ever were.
    function participantCount() external view returns (uint256);

    /// @notice Participants in the order in which their admission was decided, from 0.
    function participantAt(uint256 index) external view returns (Participant memory);

    /// @notice The participant registered with exactly this BIC; zero where none.
    function participantOfBic(bytes11 bic) external view returns (bytes20 lei);

    /// @notice The participant that `account` belongs to; zero where none, before the account opens and once it is closed.
    function participantOf(address account) external view returns (bytes20 lei);

    /// @notice Kind of `account`; `None` where unknown, not open yet or closed.
    function kindOf(address account) external view returns (AccountKind);

    /// @notice The account behind a reference; all zero where unknown, not open yet or closed.
    function accountOf(bytes32 accountReference) external view returns (Account memory);

    /// @notice Who stands behind a reference; all zero where unknown, not open yet or closed.
    function partyOf(bytes32 accountReference) external view returns (Party memory);

    /// @notice The reference of `account`; zero where unknown. It stays when the account is closed.
    function accountReferenceOf(address account) external view returns (bytes32);

    /// @notice Every account of a participant by its reference, in the order they were added, closed ones included.
    function accountReferencesOf(bytes20 lei) external view returns (bytes32[] memory);

    /// @notice Whether a participant has every role of the set `role` now; false for the empty set.
    function hasRole(bytes20 lei, uint32 role) external view returns (bool);

    /// @notice Whether `account` is open and of a participant that is admitted and not suspended.
    function isAdmitted(address account) external view returns (bool);

    /// @notice Whether money of `account` may move for payments entered earlier: it is open, and of a participant that is
    /// admitted, or suspended while earlier entries are honoured.
    function maySettle(address account) external view returns (bool);

    /// @notice Whether payments that were entered before a suspension took effect may still settle.
    function honoursEarlierEntries() external view returns (bool);

    /// @notice The admitted participant whose officer `account` is; zero for anything else.
    function officerOf(address account) external view returns (bytes20 lei);

    /// @notice Who sits in the council: participants with its role that are admitted or suspended, in the order in which
    /// they were given it first.
    function councilMembers() external view returns (bytes20[] memory);

    /// @notice Whether a participant has, had or is to have the council's role.
    function isCouncilListed(bytes20 lei) external view returns (bool);

    /// @notice Keys of a participant as of rotation `version` (0 is the first); the last pair may be in effect only later.
    function keysAt(bytes20 lei, uint256 version) external view returns (bytes32 sealingKey, bytes32 signingKey, uint40 since);

    /// @notice How many pairs of keys the participant has had, one that is scheduled included.
    function keyVersionCount(bytes20 lei) external view returns (uint256);

    /// @notice Whether `sender` may send a transaction to `target` (zero address: create a contract), and until
    /// which UTC second that answer holds if the registry's storage does not change. Nodes remember it that long, so
    /// every implementation must answer from the registry's own storage and the block's time alone (no other contract,
    /// no balance, nothing else of the block), and the same at every time from the block's until `validUntil`.
    function transactionAllowedUntil(address sender, address target) external view returns (bool allowed, uint64 validUntil);

    /// @notice The EEA permissioning question, answered by `transactionAllowedUntil`; value, gas and payload are ignored.
    function transactionAllowed(
        address sender,
        address target,
        uint256 value,
        uint256 gasPrice,
        uint256 gasLimit,
        bytes calldata payload
    ) external view returns (bool);
}
