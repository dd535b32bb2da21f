// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ParticipantNames} from "./ParticipantNames.sol";

/// @title What ParticipantRegistry keeps, how a change is written, and what follows from it now.
/// @notice Every answer is computed from the records and the block's time; nothing else.
abstract contract ParticipantRecords is IParticipantRegistry {
    /// @dev Stands in an array: it never grows.
    struct KeyRecord {
        bytes32 sealingKey;
        bytes32 signingKey;
        uint40 since;
    }

    /// @dev All that the status follows from, in one slot; stands in another struct: it never grows. Zero times are none.
    struct Standing {
        bool isKnown;
        bool isProvisional;
        uint40 admittedAt;
        uint40 exitedAt;
        uint40 suspendedAt;
        uint40 suspendedUntil;
        uint40 provisionalAgainAt;
    }

    /// @dev Stands in another struct: it never grows.
    struct Charter {
        uint32 roles;
        bytes20 centralBank;
        uint40 since;
    }

    /// @dev Stands in another struct: it never grows.
    struct EndpointRecord {
        string endpoint;
        uint40 since;
    }

    /// @dev Append only. The next charter and endpoint are in effect once their time has come.
    struct ParticipantRecord {
        Standing standing;
        Charter charter;
        Charter nextCharter;
        bytes11 bic;
        bytes2 country;
        bool isInCouncilList;
        address suspender;
        address suspensionConfirmer;
        EndpointRecord endpoint;
        EndpointRecord nextEndpoint;
        KeyRecord[] keys;
        bytes32[] accountReferences;
    }

    /// @dev Append only. Closed at zero: never.
    struct AccountRecord {
        bytes20 lei;
        AccountKind kind;
        uint40 openedAt;
        uint40 closedAt;
        bytes32 accountReference;
    }

    uint32 internal constant ROLE_ISSUER = 2;
    uint32 internal constant ROLE_OPERATOR = 32;
    uint32 internal constant ROLE_COUNCIL = 128;
    uint40 internal constant NEVER = type(uint40).max;
    uint64 internal constant NOTHING_SCHEDULED = type(uint64).max;
    uint256 internal constant COUNCIL_MAX = 64;

    bool internal _transactionsOpen;
    bool internal _honoursEarlierEntries;
    bytes20[] internal _leis;
    mapping(bytes20 lei => ParticipantRecord) internal _participants;
    mapping(bytes11 bic => bytes20 lei) internal _leiByBic;
    mapping(address account => AccountRecord) internal _accounts;
    mapping(bytes32 accountReference => address account) internal _addressByReference;
    /// @dev Who ever had the council's role, at most COUNCIL_MAX.
    bytes20[] internal _councilLeis;
    mapping(bytes20 lei => AuditAnchor) internal _auditAnchors;

    function _admit(ParticipantInput calldata input, uint40 effectiveAt) internal {
        bytes20 lei = input.lei;
        if (!ParticipantNames.isLei(lei)) revert RegistryInvalidLei(lei);
        if (!ParticipantNames.isBic(input.bic)) revert RegistryInvalidBic(input.bic);
        ParticipantRecord storage record = _participants[lei];
        if (record.standing.isKnown) revert RegistryParticipantExists(lei);
        if (_leiByBic[input.bic] != 0) revert RegistryBicTaken(input.bic);
        _checkCentralBank(lei, input.centralBank);

        record.standing.isKnown = true;
        record.standing.admittedAt = effectiveAt;
        record.charter = Charter({roles: input.roles, centralBank: input.centralBank, since: effectiveAt});
        record.bic = input.bic;
        record.country = input.country;
        record.endpoint = EndpointRecord({endpoint: input.endpoint, since: effectiveAt});
        _leis.push(lei);
        _leiByBic[input.bic] = lei;
        _listCouncilMember(lei, record, input.roles);
        emit ParticipantAdmitted(lei, input.bic, input.roles, effectiveAt);
        emit EndpointChanged(lei, input.endpoint, effectiveAt);

        _rotateKeys(lei, record, input.sealingKey, input.signingKey, effectiveAt);
        for (uint256 i = 0; i < input.accounts.length; ++i) {
            _addAccount(lei, record, input.accounts[i], effectiveAt);
        }
    }

    function _addAccount(
        bytes20 lei,
        ParticipantRecord storage record,
        AccountInput calldata input,
        uint40 effectiveAt
    ) internal {
        bytes32 accountReference = input.accountReference;
        address account = input.account;
        if (accountReference == 0 || account == address(0) || input.kind == AccountKind.None) {
            revert RegistryInvalidAccount(accountReference, account, input.kind);
        }
        if (_addressByReference[accountReference] != address(0)) {
            revert RegistryAccountReferenceTaken(accountReference);
        }
        if (_accounts[account].kind != AccountKind.None) revert RegistryAccountTaken(account);

        _addressByReference[accountReference] = account;
        _accounts[account] = AccountRecord({
            lei: lei,
            kind: input.kind,
            openedAt: effectiveAt,
            closedAt: 0,
            accountReference: accountReference
        });
        record.accountReferences.push(accountReference);
        emit AccountAdded(lei, accountReference, account, input.kind, effectiveAt);
    }

    function _rotateKeys(
        bytes20 lei,
        ParticipantRecord storage record,
        bytes32 sealingKey,
        bytes32 signingKey,
        uint40 effectiveAt
    ) internal {
        KeyRecord[] storage keys = record.keys;
        if (keys.length > 1 && keys[keys.length - 1].since > _now()) keys.pop();
        uint256 version = keys.length;
        keys.push(KeyRecord({sealingKey: sealingKey, signingKey: signingKey, since: effectiveAt}));
        emit KeysRotated(lei, version, sealingKey, signingKey, effectiveAt);
    }

    function _setEndpoint(bytes20 lei, string calldata endpoint, uint40 effectiveAt) internal {
        ParticipantRecord storage record = _lastingParticipant(lei);
        uint40 since = _notBeforeNow(effectiveAt);
        if (_isInEffect(record.nextEndpoint.since)) record.endpoint = record.nextEndpoint;
        record.nextEndpoint = EndpointRecord({endpoint: endpoint, since: since});
        emit EndpointChanged(lei, endpoint, since);
    }

    function _setSuspension(bytes20 lei, uint40 from, uint40 until, bool isProvisional) internal {
        ParticipantRecord storage record = _participants[lei];
        Standing storage standing = record.standing;
        standing.suspendedAt = from;
        standing.suspendedUntil = until;
        standing.isProvisional = isProvisional;
        record.suspender = address(0);
        record.suspensionConfirmer = address(0);
    }

    function _listCouncilMember(bytes20 lei, ParticipantRecord storage record, uint32 roles) internal {
        if (roles & ROLE_COUNCIL == 0 || record.isInCouncilList) return;
        if (_councilLeis.length == COUNCIL_MAX) revert RegistryTooManyCouncilMembers(COUNCIL_MAX);
        record.isInCouncilList = true;
        _councilLeis.push(lei);
    }

    function _knownParticipant(bytes20 lei) internal view returns (ParticipantRecord storage record) {
        record = _participants[lei];
        if (!record.standing.isKnown) revert RegistryParticipantUnknown(lei);
    }

    /// @dev A participant that may still be changed: one that has not exited.
    function _lastingParticipant(bytes20 lei) internal view returns (ParticipantRecord storage record) {
        record = _knownParticipant(lei);
        if (_isInEffect(record.standing.exitedAt)) revert RegistryUnexpectedStatus(lei, Status.Exited);
    }

    function _participant(bytes20 lei) internal view returns (Participant memory) {
        ParticipantRecord storage record = _knownParticipant(lei);
        KeyRecord[] storage history = record.keys;
        uint256 last = history.length - 1;
        KeyRecord storage keys = history[last > 0 && history[last].since > _now() ? last - 1 : last];
        Charter memory charter = _charter(record);
        return Participant({
            lei: lei,
            bic: record.bic,
            country: record.country,
            status: _status(record.standing),
            roles: charter.roles,
            sealingKey: keys.sealingKey,
            signingKey: keys.signingKey,
            endpoint: _isInEffect(record.nextEndpoint.since) ? record.nextEndpoint.endpoint : record.endpoint.endpoint,
            centralBank: charter.centralBank
        });
    }

    function _callingOfficer() internal view returns (bytes20 lei) {
        lei = _officerOf(msg.sender);
        if (lei == 0) revert RegistryCallerNotOfficer(msg.sender);
    }

    function _officerOf(address account) internal view returns (bytes20) {
        (bytes20 lei, AccountKind kind) = _openAccount(account);
        bool isOfficer = kind == AccountKind.Officer && _status(_participants[lei].standing) == Status.Admitted;
        return isOfficer ? lei : bytes20(0);
    }

    function _isCentralBankOf(bytes20 caller, ParticipantRecord storage record) internal view returns (bool) {
        return _charter(record).centralBank == caller && _hasRole(caller, ROLE_ISSUER);
    }

    /// @dev All zero where unknown, not open yet or closed.
    function _openAccount(address account) internal view returns (bytes20 lei, AccountKind kind) {
        AccountRecord storage record = _accounts[account];
        if (record.openedAt > _now() || _isInEffect(record.closedAt)) return (0, AccountKind.None);
        return (record.lei, record.kind);
    }

    function _charter(ParticipantRecord storage record) internal view returns (Charter memory) {
        return _isInEffect(record.nextCharter.since) ? record.nextCharter : record.charter;
    }

    function _hasRole(bytes20 lei, uint32 role) internal view returns (bool) {
        return role != 0 && _charter(_participants[lei]).roles & role == role;
    }

    function _status(Standing storage standing) internal view returns (Status) {
        if (!standing.isKnown) return Status.None;
        if (_isInEffect(standing.exitedAt)) return Status.Exited;
        if (standing.admittedAt > _now()) return Status.Proposed;
        bool isSuspended = standing.suspendedAt <= _now() && _now() < standing.suspendedUntil;
        return isSuspended ? Status.Suspended : Status.Admitted;
    }

    /// @dev Settlement accounts hold money and never send: what moves them is a rule, not a key.
    function _transactionAllowed(address sender, address target) internal view returns (bool) {
        (bytes20 lei, AccountKind kind) = _openAccount(sender);
        if (kind == AccountKind.None || kind == AccountKind.Settlement) return false;
        if (_status(_participants[lei].standing) != Status.Admitted) return false;
        return target != address(0) || _hasRole(lei, ROLE_OPERATOR);
    }

    /// @dev The first second after now at which a schedule may change what an account's owner may do.
    function _nextChange(AccountRecord storage account) internal view returns (uint64 next) {
        ParticipantRecord storage record = _participants[account.lei];
        Standing storage standing = record.standing;
        next = _earlier(NOTHING_SCHEDULED, account.openedAt);
        next = _earlier(next, account.closedAt);
        next = _earlier(next, standing.admittedAt);
        next = _earlier(next, standing.exitedAt);
        next = _earlier(next, standing.suspendedAt);
        next = _earlier(next, standing.suspendedUntil);
        next = _earlier(next, record.nextCharter.since);
    }

    /// @dev `time` if it is after now and before `next`.
    function _earlier(uint64 next, uint40 time) internal view returns (uint64) {
        return time > _now() && time < next && time != NEVER ? time : next;
    }

    function _isInEffect(uint40 time) internal view returns (bool) {
        return time != 0 && time <= _now();
    }

    function _notBeforeNow(uint40 time) internal view returns (uint40) {
        return time > _now() ? time : _now();
    }

    function _now() internal view returns (uint40) {
        return uint40(block.timestamp);
    }

    /// @dev Whether the central bank is admitted and an issuer is asked when it acts.
    function _checkCentralBank(bytes20 lei, bytes20 centralBank) internal pure {
        bool isValid = centralBank == 0 || (centralBank != lei && ParticipantNames.isLei(centralBank));
        if (!isValid) revert RegistryInvalidCentralBank(lei, centralBank);
    }
}
