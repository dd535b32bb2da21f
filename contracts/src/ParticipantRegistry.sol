// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";

/// @title Who is admitted to the network, with which accounts, keys and roles.
/// @notice Read by every node before every block and by the other contracts before every movement. Changes are
/// restricted to the authority. Participants, accounts and references are never removed, so a name keeps its meaning.
contract ParticipantRegistry is
    IParticipantRegistry,
    Initializable,
    AccessManagedUpgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.ParticipantRegistry")
{
    /// @dev Append only.
    struct KeyRecord {
        bytes32 sealingKey;
        bytes32 signingKey;
        uint40 since;
    }

    /// @dev Append only.
    struct ParticipantRecord {
        bytes11 bic;
        bytes2 country;
        Status status;
        uint32 roles;
        string endpoint;
        KeyRecord[] keys;
        bytes32[] accountReferences;
    }

    /// @dev Append only.
    struct AccountRecord {
        bytes20 lei;
        AccountKind kind;
        bytes32 accountReference;
    }

    uint32 private constant ROLE_OPERATOR = 32;
    uint64 private constant NOTHING_SCHEDULED = type(uint64).max;
    uint256 private constant BIC_LENGTH_SHORT = 8;
    uint256 private constant LEI_LENGTH = 20;
    uint256 private constant LEI_MODULUS = 97;

    bool private _transactionsOpen;
    bytes20[] private _leis;
    mapping(bytes20 lei => ParticipantRecord) private _participants;
    mapping(bytes11 bic => bytes20 lei) private _leiByBic;
    mapping(address account => AccountRecord) private _accounts;
    mapping(bytes32 accountReference => address account) private _addressByReference;

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
            _admit(participants[i]);
        }
    }

    /// @inheritdoc IParticipantRegistry
    function admit(ParticipantInput calldata input) external restricted {
        _admit(input);
    }

    /// @inheritdoc IParticipantRegistry
    function suspend(bytes20 lei) external restricted {
        _moveStatus({lei: lei, from: Status.Admitted, to: Status.Suspended});
        emit ParticipantSuspended(lei);
    }

    /// @inheritdoc IParticipantRegistry
    function reinstate(bytes20 lei) external restricted {
        _moveStatus({lei: lei, from: Status.Suspended, to: Status.Admitted});
        emit ParticipantReinstated(lei);
    }

    /// @inheritdoc IParticipantRegistry
    function addAccount(bytes20 lei, AccountInput calldata input) external restricted {
        _addAccount(lei, _knownParticipant(lei), input);
    }

    /// @inheritdoc IParticipantRegistry
    function rotateKeys(bytes20 lei, bytes32 sealingKey, bytes32 signingKey) external restricted {
        _pushKeys(lei, _knownParticipant(lei), sealingKey, signingKey);
    }

    /// @inheritdoc IParticipantRegistry
    function setEndpoint(bytes20 lei, string calldata endpoint) external restricted {
        _knownParticipant(lei).endpoint = endpoint;
        emit EndpointChanged(lei, endpoint);
    }

    /// @inheritdoc IParticipantRegistry
    function participant(bytes20 lei) external view returns (Participant memory) {
        return _participant(lei);
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
        return _accounts[account].lei;
    }

    /// @inheritdoc IParticipantRegistry
    function kindOf(address account) external view returns (AccountKind) {
        return _accounts[account].kind;
    }

    /// @inheritdoc IParticipantRegistry
    function accountOf(bytes32 accountReference) external view returns (Account memory) {
        address account = _addressByReference[accountReference];
        AccountRecord storage record = _accounts[account];
        return Account({lei: record.lei, account: account, kind: record.kind});
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
        return _isAdmitted(account);
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
        return (_transactionAllowed(sender, target), NOTHING_SCHEDULED);
    }

    /// @inheritdoc IParticipantRegistry
    function transactionAllowed(address sender, address target, uint256, uint256, uint256, bytes calldata)
        external
        view
        returns (bool)
    {
        return _transactionAllowed(sender, target);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _admit(ParticipantInput calldata input) private {
        if (!_isLei(input.lei)) revert RegistryInvalidLei(input.lei);
        if (!_isBic(input.bic)) revert RegistryInvalidBic(input.bic);
        ParticipantRecord storage record = _participants[input.lei];
        if (record.status != Status.None) revert RegistryParticipantExists(input.lei);
        if (_leiByBic[input.bic] != 0) revert RegistryBicTaken(input.bic);

        record.bic = input.bic;
        record.country = input.country;
        record.status = Status.Admitted;
        record.roles = input.roles;
        record.endpoint = input.endpoint;
        _leis.push(input.lei);
        _leiByBic[input.bic] = input.lei;
        emit ParticipantAdmitted(input.lei, input.bic, input.roles);
        emit EndpointChanged(input.lei, input.endpoint);

        _pushKeys(input.lei, record, input.sealingKey, input.signingKey);
        for (uint256 i = 0; i < input.accounts.length; ++i) {
            _addAccount(input.lei, record, input.accounts[i]);
        }
    }

    function _addAccount(bytes20 lei, ParticipantRecord storage record, AccountInput calldata input) private {
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
        _accounts[account] = AccountRecord({lei: lei, kind: input.kind, accountReference: accountReference});
        record.accountReferences.push(accountReference);
        emit AccountAdded(lei, accountReference, account, input.kind);
    }

    function _pushKeys(bytes20 lei, ParticipantRecord storage record, bytes32 sealingKey, bytes32 signingKey)
        private
    {
        uint256 version = record.keys.length;
        record.keys.push(
            KeyRecord({sealingKey: sealingKey, signingKey: signingKey, since: uint40(block.timestamp)})
        );
        emit KeysRotated(lei, version, sealingKey, signingKey);
    }

    function _moveStatus(bytes20 lei, Status from, Status to) private {
        ParticipantRecord storage record = _knownParticipant(lei);
        if (record.status != from) revert RegistryUnexpectedStatus(lei, record.status);
        record.status = to;
    }

    function _knownParticipant(bytes20 lei) private view returns (ParticipantRecord storage record) {
        record = _participants[lei];
        if (record.status == Status.None) revert RegistryParticipantUnknown(lei);
    }

    function _participant(bytes20 lei) private view returns (Participant memory) {
        ParticipantRecord storage record = _knownParticipant(lei);
        KeyRecord storage keys = record.keys[record.keys.length - 1];
        return Participant({
            lei: lei,
            bic: record.bic,
            country: record.country,
            status: record.status,
            roles: record.roles,
            sealingKey: keys.sealingKey,
            signingKey: keys.signingKey,
            endpoint: record.endpoint
        });
    }

    function _hasRole(bytes20 lei, uint32 role) private view returns (bool) {
        return role != 0 && _participants[lei].roles & role == role;
    }

    function _isAdmitted(address account) private view returns (bool) {
        return _participants[_accounts[account].lei].status == Status.Admitted;
    }

    /// @dev Settlement accounts hold money and never send: what moves them is a rule, not a key.
    function _transactionAllowed(address sender, address target) private view returns (bool) {
        if (_transactionsOpen) return true;
        AccountRecord storage record = _accounts[sender];
        if (record.kind == AccountKind.None || record.kind == AccountKind.Settlement) return false;
        if (!_isAdmitted(sender)) return false;
        return target != address(0) || _hasRole(record.lei, ROLE_OPERATOR);
    }

    /// @dev ISO 17442: 18 capital letters or digits and two check digits by ISO 7064 mod 97-10.
    function _isLei(bytes20 lei) private pure returns (bool) {
        uint256 remainder = 0;
        for (uint256 i = 0; i < LEI_LENGTH; ++i) {
            bytes1 character = lei[i];
            if (_isDigit(character)) {
                remainder = (remainder * 10 + uint8(character) - uint8(bytes1("0"))) % LEI_MODULUS;
            } else if (_isCapital(character) && i < LEI_LENGTH - 2) {
                remainder = (remainder * 100 + uint8(character) - uint8(bytes1("A")) + 10) % LEI_MODULUS;
            } else {
                return false;
            }
        }
        return remainder == 1;
    }

    /// @dev ISO 9362: 8 or 11 capital letters or digits, positions 5 and 6 letters; the short form ends in zero bytes.
    function _isBic(bytes11 bic) private pure returns (bool) {
        for (uint256 i = 0; i < bic.length; ++i) {
            bytes1 character = bic[i];
            if (i == BIC_LENGTH_SHORT && uint88(bic << (BIC_LENGTH_SHORT * 8)) == 0) return true;
            bool isCountry = i == 4 || i == 5;
            if (!_isCapital(character) && (isCountry || !_isDigit(character))) return false;
        }
        return true;
    }

    function _isDigit(bytes1 character) private pure returns (bool) {
        return character >= "0" && character <= "9";
    }

    function _isCapital(bytes1 character) private pure returns (bool) {
        return character >= "A" && character <= "Z";
    }
}
