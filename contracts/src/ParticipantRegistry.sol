// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ParticipantRecords} from "./ParticipantRecords.sol";

/// @title Who is admitted to the network, with which accounts, keys and roles.
/// @notice Read by every node before every block and by the other contracts before every movement. Changes are
/// restricted to the authority, but for what an officer does alone. Participants, accounts and references are never
/// removed, so a name keeps its meaning. What is scheduled is in effect by the block's time, without anybody's act.
contract ParticipantRegistry is
    ParticipantRecords,
    Initializable,
    AccessManagedUpgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.ParticipantRegistry")
{
    uint40 private constant PROVISIONAL_MAX = 7 days;
    uint40 private constant PROVISIONAL_PAUSE = 7 days;
    uint40 private constant PROVISIONAL_AHEAD_MAX = 30 days;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets the authority and admits the first participants.
    /// @param transactionsOpen Whether any sender may transact: development networks only.
    function initialize(address authority_, bool transactionsOpen, ParticipantInput[] calldata participants)
        external
        initializer
    {
        __AccessManaged_init(authority_);
        _transactionsOpen = transactionsOpen;
        for (uint256 i = 0; i < participants.length; ++i) {
            _admit(participants[i], _now());
        }
    }

    /// @inheritdoc IParticipantRegistry
    function admit(ParticipantInput calldata input, uint40 effectiveAt) external restricted {
        _admit(input, _notBeforeNow(effectiveAt));
    }

    /// @inheritdoc IParticipantRegistry
    function suspend(bytes20 lei, uint40 effectiveAt) external restricted {
        Standing storage standing = _lastingParticipant(lei).standing;
        uint40 from = _notBeforeNow(effectiveAt);
        if (standing.suspendedUntil > _now()) {
            uint40 standsFrom = standing.suspendedAt;
            uint40 standsUntil = standing.suspendedUntil;
            if (standsUntil == NEVER && standsFrom <= from) revert RegistryUnexpectedStatus(lei, _status(standing));
            if (standsUntil < from) revert RegistrySuspensionApart(lei, standsFrom, standsUntil);
            if (standsFrom < from) from = standsFrom;
        }
        _setSuspension(lei, from, NEVER, false);
        emit ParticipantSuspended(lei, from, NEVER);
    }

    /// @inheritdoc IParticipantRegistry
    function reinstate(bytes20 lei, uint40 effectiveAt) external restricted {
        Standing storage standing = _lastingParticipant(lei).standing;
        uint40 end = _notBeforeNow(effectiveAt);
        if (standing.suspendedUntil <= end) revert RegistryUnexpectedStatus(lei, _status(standing));

        standing.isProvisional = false;
        if (end <= standing.suspendedAt) {
            standing.suspendedAt = _now();
            standing.suspendedUntil = _now();
        } else {
            standing.suspendedUntil = end;
        }
        emit ParticipantReinstated(lei, end);
    }

    /// @inheritdoc IParticipantRegistry
    function exit(bytes20 lei, uint40 effectiveAt) external restricted {
        Standing storage standing = _lastingParticipant(lei).standing;
        if (standing.exitedAt != 0) revert RegistryUnexpectedStatus(lei, _status(standing));
        standing.exitedAt = _notBeforeNow(effectiveAt);
        emit ParticipantExited(lei, standing.exitedAt);
    }

    /// @inheritdoc IParticipantRegistry
    function setRoles(bytes20 lei, uint32 roles, bytes20 centralBank, uint40 effectiveAt) external restricted {
        ParticipantRecord storage record = _lastingParticipant(lei);
        _checkCentralBank(lei, centralBank);
        uint40 since = _notBeforeNow(effectiveAt);
        record.charter = _charter(record);
        record.nextCharter = Charter({roles: roles, centralBank: centralBank, since: since});
        _listCouncilMember(lei, record, roles);
        emit RolesChanged(lei, roles, centralBank, since);
    }

    /// @inheritdoc IParticipantRegistry
    function addAccount(bytes20 lei, AccountInput calldata input, uint40 effectiveAt) external restricted {
        _addAccount(lei, _lastingParticipant(lei), input, _notBeforeNow(effectiveAt));
    }

    /// @inheritdoc IParticipantRegistry
    function closeAccount(address account, uint40 effectiveAt) external restricted {
        AccountRecord storage record = _accounts[account];
        AccountKind kind = record.kind;
        if (kind == AccountKind.None || record.closedAt != 0) revert RegistryAccountUnknown(account);
        if (kind == AccountKind.Settlement) revert RegistryInvalidAccount(record.accountReference, account, kind);
        record.closedAt = _notBeforeNow(effectiveAt);
        emit AccountClosed(record.lei, account, record.closedAt);
    }

    /// @inheritdoc IParticipantRegistry
    function rotateKeys(bytes20 lei, bytes32 sealingKey, bytes32 signingKey, uint40 effectiveAt)
        external
        restricted
    {
        _rotateKeys(lei, _lastingParticipant(lei), sealingKey, signingKey, _notBeforeNow(effectiveAt));
    }

    /// @inheritdoc IParticipantRegistry
    function setEndpoint(bytes20 lei, string calldata endpoint, uint40 effectiveAt) external restricted {
        _setEndpoint(lei, endpoint, effectiveAt);
    }

    /// @inheritdoc IParticipantRegistry
    function setHonoursEarlierEntries(bool isHonoured) external restricted {
        _honoursEarlierEntries = isHonoured;
        emit EarlierEntriesHonoured(isHonoured);
    }

    /// @inheritdoc IParticipantRegistry
    function rotateOwnKeys(bytes32 sealingKey, bytes32 signingKey, uint40 effectiveAt) external {
        bytes20 lei = _callingOfficer();
        _rotateKeys(lei, _participants[lei], sealingKey, signingKey, _notBeforeNow(effectiveAt));
    }

    /// @inheritdoc IParticipantRegistry
    function setOwnEndpoint(string calldata endpoint, uint40 effectiveAt) external {
        _setEndpoint(_callingOfficer(), endpoint, effectiveAt);
    }

    /// @inheritdoc IParticipantRegistry
    function anchorAuditLog(uint64 sequence, bytes32 recordHash) external {
        (bytes20 lei, AccountKind kind) = _openAccount(msg.sender);
        if (kind != AccountKind.Operating || _status(_participants[lei].standing) != Status.Admitted) {
            revert RegistryCallerNotOperating(msg.sender);
        }
        AuditAnchor storage anchor = _auditAnchors[lei];
        uint64 anchored = anchor.sequence;
        if (sequence <= anchored) revert RegistryAuditSequenceNotNewer(lei, sequence, anchored);
        anchor.sequence = sequence;
        anchor.anchoredAt = _now();
        anchor.recordHash = recordHash;
        emit AuditLogAnchored(lei, sequence, recordHash);
    }

    /// @inheritdoc IParticipantRegistry
    function auditAnchorOf(bytes20 lei) external view returns (AuditAnchor memory) {
        return _auditAnchors[lei];
    }

    /// @inheritdoc IParticipantRegistry
    function suspendProvisionally(bytes20 lei, uint40 effectiveAt, uint40 lapsesAt) external {
        bytes20 caller = _callingOfficer();
        ParticipantRecord storage record = _lastingParticipant(lei);
        if (!_isCentralBankOf(caller, record)) revert RegistryCallerNotCentralBank(msg.sender, lei);
        uint40 from = _notBeforeNow(effectiveAt);
        if (from > _now() + PROVISIONAL_AHEAD_MAX) revert RegistryInvalidTime(effectiveAt);
        if (lapsesAt <= from || lapsesAt > from + PROVISIONAL_MAX) revert RegistryInvalidTime(lapsesAt);
        Standing storage standing = record.standing;
        if (from < standing.provisionalAgainAt) revert RegistrySuspensionTooSoon(lei, standing.provisionalAgainAt);
        uint40 until = lapsesAt;
        bool isJoined = standing.suspendedUntil > _now();
        if (isJoined) {
            until = standing.suspendedUntil;
            if (from >= standing.suspendedAt || lapsesAt < standing.suspendedAt) {
                revert RegistrySuspensionStands(lei, standing.suspendedAt, until);
            }
        }

        _setSuspension(lei, from, until, !isJoined);
        standing.provisionalAgainAt = lapsesAt + PROVISIONAL_PAUSE;
        record.suspender = msg.sender;
        emit ParticipantSuspendedProvisionally(lei, msg.sender, from, until);
    }

    /// @inheritdoc IParticipantRegistry
    function confirmSuspension(bytes20 lei) external {
        bytes20 caller = _callingOfficer();
        ParticipantRecord storage record = _lastingParticipant(lei);
        if (!_isCentralBankOf(caller, record) && !_hasRole(caller, ROLE_COUNCIL)) {
            revert RegistryCallerNotCentralBank(msg.sender, lei);
        }
        Standing storage standing = record.standing;
        if (!standing.isProvisional || standing.suspendedUntil <= _now()) revert RegistryNotProvisional(lei);
        if (msg.sender == record.suspender) revert RegistrySamePerson(msg.sender);

        standing.isProvisional = false;
        standing.suspendedUntil = NEVER;
        record.suspensionConfirmer = msg.sender;
        emit SuspensionConfirmed(lei, record.suspender, msg.sender);
    }

    /// @inheritdoc IParticipantRegistry
    function participant(bytes20 lei) external view returns (Participant memory) {
        return _participant(lei);
    }

    /// @inheritdoc IParticipantRegistry
    function statusOf(bytes20 lei) external view returns (Status) {
        return _status(_participants[lei].standing);
    }

    /// @inheritdoc IParticipantRegistry
    function suspensionOf(bytes20 lei) external view returns (Suspension memory) {
        ParticipantRecord storage record = _participants[lei];
        Standing storage standing = record.standing;
        return Suspension({
            effectiveAt: standing.suspendedAt,
            until: standing.suspendedUntil,
            isProvisional: standing.isProvisional,
            officer: record.suspender,
            confirmer: record.suspensionConfirmer
        });
    }

    /// @inheritdoc IParticipantRegistry
    function participantCount() external view returns (uint256) {
        return _leis.length;
    }

    /// @inheritdoc IParticipantRegistry
    function participantAt(uint256 index) external view returns (Participant memory) {
        return _participant(_leis[index]);
    }

    /// @inheritdoc IParticipantRegistry
    function participantOfBic(bytes11 bic) external view returns (bytes20 lei) {
        return _leiByBic[bic];
    }

    /// @inheritdoc IParticipantRegistry
    function participantOf(address account) external view returns (bytes20 lei) {
        (lei,) = _openAccount(account);
    }

    /// @inheritdoc IParticipantRegistry
    function kindOf(address account) external view returns (AccountKind kind) {
        (, kind) = _openAccount(account);
    }

    /// @inheritdoc IParticipantRegistry
    function accountOf(bytes32 accountReference) external view returns (Account memory found) {
        address account = _addressByReference[accountReference];
        (bytes20 lei, AccountKind kind) = _openAccount(account);
        if (kind != AccountKind.None) found = Account({lei: lei, account: account, kind: kind});
    }

    /// @inheritdoc IParticipantRegistry
    function partyOf(bytes32 accountReference) external view returns (Party memory party) {
        address account = _addressByReference[accountReference];
        (bytes20 lei, AccountKind kind) = _openAccount(account);
        if (kind == AccountKind.None) return party;
        Standing storage standing = _participants[lei].standing;
        Status status = _status(standing);
        return Party({
            lei: lei,
            account: account,
            kind: kind,
            isActive: status == Status.Admitted,
            suspendedSince: status == Status.Suspended ? standing.suspendedAt : 0
        });
    }

    /// @inheritdoc IParticipantRegistry
    function accountReferenceOf(address account) external view returns (bytes32) {
        return _accounts[account].accountReference;
    }

    /// @inheritdoc IParticipantRegistry
    function accountReferencesOf(bytes20 lei) external view returns (bytes32[] memory) {
        return _participants[lei].accountReferences;
    }

    /// @inheritdoc IParticipantRegistry
    function hasRole(bytes20 lei, uint32 role) external view returns (bool) {
        return _hasRole(lei, role);
    }

    /// @inheritdoc IParticipantRegistry
    function isAdmitted(address account) external view returns (bool) {
        (bytes20 lei,) = _openAccount(account);
        return _status(_participants[lei].standing) == Status.Admitted;
    }

    /// @inheritdoc IParticipantRegistry
    function maySettle(address account) external view returns (bool) {
        (bytes20 lei,) = _openAccount(account);
        Status status = _status(_participants[lei].standing);
        return status == Status.Admitted || (status == Status.Suspended && _honoursEarlierEntries);
    }

    /// @inheritdoc IParticipantRegistry
    function honoursEarlierEntries() external view returns (bool) {
        return _honoursEarlierEntries;
    }

    /// @inheritdoc IParticipantRegistry
    function officerOf(address account) external view returns (bytes20 lei) {
        return _officerOf(account);
    }

    /// @inheritdoc IParticipantRegistry
    function councilMembers() external view returns (bytes20[] memory members) {
        uint256 count = 0;
        members = new bytes20[](_councilLeis.length);
        for (uint256 i = 0; i < members.length; ++i) {
            bytes20 lei = _councilLeis[i];
            Status status = _status(_participants[lei].standing);
            bool isMember = status == Status.Admitted || status == Status.Suspended;
            if (isMember && _hasRole(lei, ROLE_COUNCIL)) members[count++] = lei;
        }
        bytes20[] memory found = new bytes20[](count);
        for (uint256 i = 0; i < count; ++i) {
            found[i] = members[i];
        }
        return found;
    }

    /// @inheritdoc IParticipantRegistry
    function isCouncilListed(bytes20 lei) external view returns (bool) {
        return _participants[lei].isInCouncilList;
    }

    /// @inheritdoc IParticipantRegistry
    function keysAt(bytes20 lei, uint256 version)
        external
        view
        returns (bytes32 sealingKey, bytes32 signingKey, uint40 since)
    {
        KeyRecord storage record = _knownParticipant(lei).keys[version];
        return (record.sealingKey, record.signingKey, record.since);
    }

    /// @inheritdoc IParticipantRegistry
    function keyVersionCount(bytes20 lei) external view returns (uint256) {
        return _participants[lei].keys.length;
    }

    /// @inheritdoc IParticipantRegistry
    function transactionAllowedUntil(address sender, address target)
        external
        view
        returns (bool allowed, uint64 validUntil)
    {
        if (_transactionsOpen) return (true, NOTHING_SCHEDULED);
        uint64 next = _nextChange(_accounts[sender]);
        return (_transactionAllowed(sender, target), next == NOTHING_SCHEDULED ? next : next - 1);
    }

    /// @inheritdoc IParticipantRegistry
    function transactionAllowed(address sender, address target, uint256, uint256, uint256, bytes calldata)
        external
        view
        returns (bool)
    {
        return _transactionsOpen || _transactionAllowed(sender, target);
    }

    function _authorizeUpgrade(address) internal override restricted {}
}
