// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";

/// @title Which nodes may connect, and which keys validate.
/// @notice Read by every node. At most one change is scheduled for a validator, so that one which is applied is never
/// a duplicate and never of an unknown key.
contract NodeRegistry is
    INodeRegistry,
    Initializable,
    AccessManagedUpgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.NodeRegistry")
{
    /// @dev Append only.
    struct NodeRecord {
        bytes20 lei;
        bool isAdmitted;
    }

    /// @dev Stands in another struct: it never grows.
    struct ValidatorRecord {
        bytes20 lei;
        bool isOdd;
        bytes32 x;
    }

    /// @dev Append only.
    struct ChangeRecord {
        ChangeKind kind;
        ChangeState state;
        uint40 effectiveAt;
        bytes20 proposer;
        bytes20 confirmer;
        address validator;
        ValidatorRecord key;
    }

    address private constant SYSTEM_ADDRESS = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    uint32 private constant ROLE_VALIDATOR = 64;
    uint32 private constant ROLE_COUNCIL = 128;
    uint64 private constant NOTHING_SCHEDULED = type(uint64).max;
    uint256 private constant VALIDATORS_MAX = 100;
    uint256 private constant VALIDATORS_MIN = 4;
    uint256 private constant VALIDATORS_MIN_DEVELOPMENT = 1;
    uint256 private constant SCHEDULED_MAX = 32;
    /// @dev Prime of the field of secp256k1 (SEC 2); the curve is y^2 = x^3 + 7.
    uint256 private constant FIELD_PRIME = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant CURVE_CONSTANT = 7;

    /// @dev Read by nodes without the EVM, at this place, as is the next: a whole slot each.
    uint256 private _nextEffectiveAt;
    uint256 private _version;
    IParticipantRegistry private _participants;
    bool private _development;
    bytes20[] private _nodeIds;
    mapping(bytes20 nodeId => NodeRecord) private _nodes;
    address[] private _validatorOrder;
    mapping(address validator => ValidatorRecord) private _validators;
    uint256 private _changeCount;
    mapping(uint256 changeId => ChangeRecord) private _changes;
    uint256[] private _scheduled;
    mapping(address validator => uint256 changeId) private _scheduledOf;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets the authority and the first validators and nodes.
    /// @param development Whether removals may go down to one validator.
    function initialize(
        address authority_,
        IParticipantRegistry participants,
        bool development,
        ValidatorInput[] calldata validators_,
        NodeInput[] calldata nodes
    ) external initializer {
        __AccessManaged_init(authority_);
        _participants = participants;
        _development = development;
        _nextEffectiveAt = NOTHING_SCHEDULED;
        if (validators_.length > VALIDATORS_MAX) revert NodeRegistryTooManyValidators(VALIDATORS_MAX);
        for (uint256 i = 0; i < validators_.length; ++i) {
            (address validator, ValidatorRecord memory key) =
                _readKey(validators_[i].lei, validators_[i].x, validators_[i].y);
            _checkAddition(validator, key.lei);
            _addValidator(validator, key);
        }
        for (uint256 i = 0; i < nodes.length; ++i) {
            _admitNode(nodes[i].lei, nodes[i].nodeId);
        }
    }

    /// @inheritdoc INodeRegistry
    function admitNode(bytes20 lei, bytes20 nodeId) external restricted {
        _admitNode(lei, nodeId);
    }

    /// @inheritdoc INodeRegistry
    function revokeNode(bytes20 nodeId) external restricted {
        NodeRecord storage record = _nodes[nodeId];
        if (!record.isAdmitted) revert NodeRegistryNodeUnknown(nodeId);
        record.isAdmitted = false;
        emit NodeRevoked(nodeId, record.lei);
    }

    /// @inheritdoc INodeRegistry
    function proposeAddition(bytes20 lei, bytes32 x, bytes32 y, uint40 effectiveAt)
        external
        returns (uint256 changeId)
    {
        bytes20 proposer = _councilCaller();
        (address validator, ValidatorRecord memory key) = _readKey(lei, x, y);
        _checkAddition(validator, lei);
        return _propose(ChangeKind.Addition, proposer, validator, key, effectiveAt);
    }

    /// @inheritdoc INodeRegistry
    function proposeRemoval(address validator, uint40 effectiveAt) external returns (uint256 changeId) {
        bytes20 proposer = _councilCaller();
        _checkRemoval(validator);
        return _propose(ChangeKind.Removal, proposer, validator, _validators[validator], effectiveAt);
    }

    /// @inheritdoc INodeRegistry
    function confirmChange(uint256 changeId) external {
        bytes20 confirmer = _councilCaller();
        ChangeRecord storage record = _changes[changeId];
        if (record.state != ChangeState.Proposed) revert NodeRegistryUnexpectedState(changeId, record.state);
        bytes20 proposer = record.proposer;
        if (confirmer == proposer) revert NodeRegistrySameParticipant(confirmer);
        if (!_isCouncil(proposer)) revert NodeRegistryProposerNotCouncil(proposer);
        address validator = record.validator;
        if (record.kind == ChangeKind.Addition) {
            _checkAddition(validator, record.key.lei);
        } else {
            _checkRemoval(validator);
        }
        _checkCounts(changeId, record);

        record.state = ChangeState.Scheduled;
        record.confirmer = confirmer;
        _scheduled.push(changeId);
        _scheduledOf[validator] = changeId;
        if (record.effectiveAt < _nextEffectiveAt) _nextEffectiveAt = record.effectiveAt;
        emit ChangeConfirmed(changeId, validator, confirmer);
    }

    /// @inheritdoc INodeRegistry
    function withdrawChange(uint256 changeId) external {
        bytes20 lei = _councilCaller();
        ChangeRecord storage record = _changes[changeId];
        ChangeState state = record.state;
        if (state != ChangeState.Proposed && state != ChangeState.Scheduled) {
            revert NodeRegistryUnexpectedState(changeId, state);
        }
        if (lei != record.proposer && lei != record.confirmer) revert NodeRegistryNotParty(changeId, lei);

        if (state == ChangeState.Scheduled) _unschedule(changeId);
        record.state = ChangeState.Withdrawn;
        emit ChangeWithdrawn(changeId, record.validator, lei);
    }

    /// @inheritdoc INodeRegistry
    function applyDueChange() external {
        if (msg.sender != SYSTEM_ADDRESS) revert NodeRegistryCallerNotSystem(msg.sender);
        if (_nextEffectiveAt > block.timestamp) return;

        uint256 changeId = _firstScheduled();
        _unschedule(changeId);
        ChangeRecord storage record = _changes[changeId];
        address validator = record.validator;
        if (record.kind == ChangeKind.Removal && _validatorOrder.length <= _minimum()) {
            record.state = ChangeState.Dropped;
            emit ChangeDropped(changeId, validator);
            return;
        }
        record.state = ChangeState.Applied;
        ++_version;
        if (record.kind == ChangeKind.Addition) {
            _addValidator(validator, record.key);
        } else {
            _removeValidator(validator);
        }
    }

    /// @inheritdoc INodeRegistry
    function connectionAllowed(bytes20 nodeId) external view returns (bool) {
        NodeRecord storage record = _nodes[nodeId];
        return record.isAdmitted && _isAdmitted(record.lei);
    }

    /// @inheritdoc INodeRegistry
    function nodeCount() external view returns (uint256) {
        return _nodeIds.length;
    }

    /// @inheritdoc INodeRegistry
    function nodeAt(uint256 index) external view returns (Node memory) {
        bytes20 nodeId = _nodeIds[index];
        NodeRecord storage record = _nodes[nodeId];
        return Node({nodeId: nodeId, lei: record.lei, isAdmitted: record.isAdmitted});
    }

    /// @inheritdoc INodeRegistry
    function validators() external view returns (Validator[] memory found) {
        found = new Validator[](_validatorOrder.length);
        for (uint256 i = 0; i < found.length; ++i) {
            address validator = _validatorOrder[i];
            found[i] = _describe(validator, _validators[validator]);
        }
    }

    /// @inheritdoc INodeRegistry
    function validatorCount() external view returns (uint256) {
        return _validatorOrder.length;
    }

    /// @inheritdoc INodeRegistry
    function isValidator(address validator) external view returns (bool) {
        return _isValidator(validator);
    }

    /// @inheritdoc INodeRegistry
    function version() external view returns (uint256) {
        return _version;
    }

    /// @inheritdoc INodeRegistry
    function nextEffectiveAt() external view returns (uint64) {
        return uint64(_nextEffectiveAt);
    }

    /// @inheritdoc INodeRegistry
    function changeCount() external view returns (uint256) {
        return _changeCount;
    }

    /// @inheritdoc INodeRegistry
    function change(uint256 changeId) external view returns (Change memory) {
        ChangeRecord storage record = _changes[changeId];
        return Change({
            kind: record.kind,
            state: record.state,
            effectiveAt: record.effectiveAt,
            proposer: record.proposer,
            confirmer: record.confirmer,
            subject: _describe(record.validator, record.key)
        });
    }

    /// @inheritdoc INodeRegistry
    function scheduledChanges() external view returns (uint256[] memory) {
        return _scheduled;
    }

    /// @inheritdoc INodeRegistry
    function isDevelopment() external view returns (bool) {
        return _development;
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _admitNode(bytes20 lei, bytes20 nodeId) private {
        if (nodeId == 0) revert NodeRegistryInvalidNode(nodeId);
        if (!_isAdmitted(lei)) revert NodeRegistryParticipantNotAdmitted(lei);
        NodeRecord storage record = _nodes[nodeId];
        if (record.isAdmitted) revert NodeRegistryNodeExists(nodeId);
        if (record.lei != 0 && record.lei != lei) revert NodeRegistryNodeTaken(nodeId, record.lei);

        if (record.lei == 0) {
            record.lei = lei;
            _nodeIds.push(nodeId);
        }
        record.isAdmitted = true;
        emit NodeAdmitted(nodeId, lei);
    }

    function _propose(
        ChangeKind kind,
        bytes20 proposer,
        address validator,
        ValidatorRecord memory key,
        uint40 effectiveAt
    ) private returns (uint256 changeId) {
        changeId = ++_changeCount;
        ChangeRecord storage record = _changes[changeId];
        record.kind = kind;
        record.state = ChangeState.Proposed;
        record.effectiveAt = effectiveAt;
        record.proposer = proposer;
        record.validator = validator;
        record.key = key;
        emit ChangeProposed(changeId, validator, proposer, kind, effectiveAt);
    }

    function _addValidator(address validator, ValidatorRecord memory key) private {
        _validators[validator] = key;
        _validatorOrder.push(validator);
        emit ValidatorAdded(validator, key.lei, _compress(key));
    }

    /// @dev Keeps the others in their order; their number is bounded by VALIDATORS_MAX.
    function _removeValidator(address validator) private {
        bytes20 lei = _validators[validator].lei;
        delete _validators[validator];
        uint256 last = _validatorOrder.length - 1;
        bool isPast = false;
        for (uint256 i = 0; i < last; ++i) {
            isPast = isPast || _validatorOrder[i] == validator;
            if (isPast) _validatorOrder[i] = _validatorOrder[i + 1];
        }
        _validatorOrder.pop();
        emit ValidatorRemoved(validator, lei);
    }

    function _unschedule(uint256 changeId) private {
        delete _scheduledOf[_changes[changeId].validator];
        uint256 last = _scheduled.length - 1;
        uint256 next = NOTHING_SCHEDULED;
        for (uint256 i = 0; i <= last; ++i) {
            if (_scheduled[i] == changeId) _scheduled[i] = _scheduled[last];
            uint256 effectiveAt = _changes[_scheduled[i]].effectiveAt;
            if (_scheduled[i] != changeId && effectiveAt < next) next = effectiveAt;
        }
        _scheduled.pop();
        _nextEffectiveAt = next;
    }

    /// @dev The caller's participant, if an officer of a council participant calls.
    function _councilCaller() private view returns (bytes20 lei) {
        lei = _participants.officerOf(msg.sender);
        if (!_participants.hasRole(lei, ROLE_COUNCIL)) revert NodeRegistryCallerNotCouncil(msg.sender);
    }

    function _checkAddition(address validator, bytes20 lei) private view {
        if (!_isAdmitted(lei)) revert NodeRegistryParticipantNotAdmitted(lei);
        if (!_participants.hasRole(lei, ROLE_VALIDATOR)) revert NodeRegistryNotValidatorRole(lei);
        if (_isValidator(validator)) revert NodeRegistryValidatorExists(validator);
        _checkNotScheduled(validator);
    }

    function _checkRemoval(address validator) private view {
        if (!_isValidator(validator)) revert NodeRegistryValidatorUnknown(validator);
        _checkNotScheduled(validator);
    }

    function _checkNotScheduled(address validator) private view {
        uint256 changeId = _scheduledOf[validator];
        if (changeId != 0) revert NodeRegistryChangeScheduled(validator, changeId);
    }

    /// @dev A removal may count on additions that are due before it, and on no removal being withdrawn. So what is
    /// scheduled can all be applied, whatever is scheduled later, unless an addition is withdrawn.
    function _checkCounts(uint256 changeId, ChangeRecord storage record) private view {
        if (_scheduled.length >= SCHEDULED_MAX) revert NodeRegistryTooManyChanges(SCHEDULED_MAX);
        uint256 count = _validatorOrder.length;
        uint256 additions = 0;
        uint256 additionsBefore = 0;
        uint256 removals = 0;
        for (uint256 i = 0; i < _scheduled.length; ++i) {
            if (_changes[_scheduled[i]].kind == ChangeKind.Removal) {
                ++removals;
            } else {
                ++additions;
                if (_isDueBefore(_scheduled[i], changeId)) ++additionsBefore;
            }
        }
        if (record.kind == ChangeKind.Addition) {
            if (count + additions >= VALIDATORS_MAX) revert NodeRegistryTooManyValidators(VALIDATORS_MAX);
        } else if (count + additionsBefore < removals + 1 + _minimum()) {
            revert NodeRegistryTooFewValidators(_minimum());
        }
    }

    function _firstScheduled() private view returns (uint256 first) {
        first = _scheduled[0];
        for (uint256 i = 1; i < _scheduled.length; ++i) {
            if (_isDueBefore(_scheduled[i], first)) first = _scheduled[i];
        }
    }

    function _isDueBefore(uint256 changeId, uint256 otherId) private view returns (bool) {
        uint40 effectiveAt = _changes[changeId].effectiveAt;
        uint40 otherEffectiveAt = _changes[otherId].effectiveAt;
        return effectiveAt < otherEffectiveAt || (effectiveAt == otherEffectiveAt && changeId < otherId);
    }

    function _minimum() private view returns (uint256) {
        return _development ? VALIDATORS_MIN_DEVELOPMENT : VALIDATORS_MIN;
    }

    function _isValidator(address validator) private view returns (bool) {
        return _validators[validator].lei != 0;
    }

    /// @dev Reverts for a LEI that was never admitted.
    function _isAdmitted(bytes20 lei) private view returns (bool) {
        IParticipantRegistry.Status status = _participants.statusOf(lei);
        if (status == IParticipantRegistry.Status.None) revert IParticipantRegistry.RegistryParticipantUnknown(lei);
        return status == IParticipantRegistry.Status.Admitted;
    }

    /// @dev False for a LEI that was never admitted: it has no role.
    function _isCouncil(bytes20 lei) private view returns (bool) {
        return _participants.hasRole(lei, ROLE_COUNCIL) && _isAdmitted(lei);
    }

    function _describe(address validator, ValidatorRecord memory key) private pure returns (Validator memory) {
        return Validator({validator: validator, lei: key.lei, publicKey: _compress(key)});
    }

    function _compress(ValidatorRecord memory key) private pure returns (bytes memory) {
        return abi.encodePacked(key.isOdd ? bytes1(0x03) : bytes1(0x02), key.x);
    }

    function _readKey(bytes20 lei, bytes32 x, bytes32 y)
        private
        pure
        returns (address validator, ValidatorRecord memory key)
    {
        if (!_isOnCurve(uint256(x), uint256(y))) revert NodeRegistryInvalidKey(x, y);
        validator = address(uint160(uint256(keccak256(abi.encodePacked(x, y)))));
        key = ValidatorRecord({lei: lei, isOdd: uint256(y) % 2 == 1, x: x});
    }

    function _isOnCurve(uint256 x, uint256 y) private pure returns (bool) {
        if (x >= FIELD_PRIME || y >= FIELD_PRIME) return false;
        uint256 cube = mulmod(x, mulmod(x, x, FIELD_PRIME), FIELD_PRIME);
        return mulmod(y, y, FIELD_PRIME) == addmod(cube, CURVE_CONSTANT, FIELD_PRIME);
    }
}
