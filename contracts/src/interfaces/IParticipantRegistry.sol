// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who is admitted to the network, with which accounts, keys and roles.
/// @notice A participant is one institution, named by its LEI (ISO 17442, 20 characters). Its accounts are EVM
/// addresses, each of one kind, each reachable by an opaque 32-byte reference that is used once, for ever.
interface IParticipantRegistry {
    /// @notice Life of a participant. `Proposed` and `Exited` are reserved for the governance of admission.
    enum Status {
        None,
        Proposed,
        Admitted,
        Suspended,
        Exited
    }

    /// @notice What an account is for: settlement holds tokens, operating signs for the bridge, quoting signs FX
    /// quotes, attesting signs reserve statements, an officer is a person who governs. An address has one kind, so an issuing key never attests.
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
    struct ParticipantInput {
        bytes20 lei;
        bytes11 bic;
        bytes2 country;
        uint32 roles;
        bytes32 sealingKey;
        bytes32 signingKey;
        string endpoint;
        AccountInput[] accounts;
    }

    struct Participant {
        bytes20 lei;
        bytes11 bic;
        bytes2 country;
        Status status;
        uint32 roles;
        bytes32 sealingKey;
        bytes32 signingKey;
        string endpoint;
    }

    struct Account {
        bytes20 lei;
        address account;
        AccountKind kind;
    }

    event ParticipantAdmitted(bytes20 indexed lei, bytes11 bic, uint32 roles);
    event ParticipantSuspended(bytes20 indexed lei);
    event ParticipantReinstated(bytes20 indexed lei);
    event AccountAdded(bytes20 indexed lei, bytes32 indexed accountReference, address indexed account, AccountKind kind);
    event KeysRotated(bytes20 indexed lei, uint256 version, bytes32 sealingKey, bytes32 signingKey);
    event EndpointChanged(bytes20 indexed lei, string endpoint);

    error RegistryParticipantUnknown(bytes20 lei);
    error RegistryParticipantExists(bytes20 lei);
    error RegistryBicTaken(bytes11 bic);
    error RegistryInvalidLei(bytes20 lei);
    error RegistryInvalidBic(bytes11 bic);
    error RegistryUnexpectedStatus(bytes20 lei, Status status);
    error RegistryAccountReferenceTaken(bytes32 accountReference);
    error RegistryAccountTaken(address account);
    error RegistryInvalidAccount(bytes32 accountReference, address account, AccountKind kind);

    /// @notice Admits an institution with its first keys and accounts. Restricted to the authority, as are all changes.
    function admit(ParticipantInput calldata participant) external;

    /// @notice Stops an admitted participant: it sends nothing, and nothing of it moves.
    function suspend(bytes20 lei) external;

    /// @notice Ends a suspension.
    function reinstate(bytes20 lei) external;

    /// @notice Adds an account, for ever.
    function addAccount(bytes20 lei, AccountInput calldata account) external;

    /// @notice Replaces both keys from now on; earlier pairs stay readable.
    function rotateKeys(bytes20 lei, bytes32 sealingKey, bytes32 signingKey) external;

    /// @notice Changes where its bridge takes messages.
    function setEndpoint(bytes20 lei, string calldata endpoint) external;

    /// @notice The participant with its newest keys; reverts for one that was never admitted.
    function participant(bytes20 lei) external view returns (Participant memory);

    /// @notice How many were ever admitted.
    function participantCount() external view returns (uint256);

    /// @notice Participants in the order of their admission, from 0.
    function participantAt(uint256 index) external view returns (Participant memory);

    /// @notice The participant registered with exactly this BIC; zero where none.
    function participantOfBic(bytes11 bic) external view returns (bytes20 lei);

    /// @notice The participant that `account` belongs to; zero where none.
    function participantOf(address account) external view returns (bytes20 lei);

    /// @notice Kind of `account`; `None` where unknown.
    function kindOf(address account) external view returns (AccountKind);

    /// @notice The account behind a reference; all zero where unknown.
    function accountOf(bytes32 accountReference) external view returns (Account memory);

    /// @notice The reference of `account`; zero where unknown.
    function accountReferenceOf(address account) external view returns (bytes32);

    /// @notice Every account of a participant by its reference, in the order they were added.
    function accountReferencesOf(bytes20 lei) external view returns (bytes32[] memory);

    /// @notice Whether a participant has every role of the set `role`; false for the empty set.
    function hasRole(bytes20 lei, uint32 role) external view returns (bool);

    /// @notice Whether `account` belongs to a participant that is admitted and not suspended.
    function isAdmitted(address account) external view returns (bool);

    /// @notice Keys of a participant as of rotation `version` (0 is the first).
    function keysAt(bytes20 lei, uint256 version) external view returns (bytes32 sealingKey, bytes32 signingKey, uint40 since);

    /// @notice How many pairs of keys the participant has had.
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
