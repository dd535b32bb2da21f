// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ICouncil, IPausable} from "./interfaces/ICouncil.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";

/// @title The council: how the network is governed.
/// @notice Acts that concern the council itself (its members' roles, standing, accounts and keys) are never ordinary: two
/// members can neither fill the council with others nor empty it.
contract Council is
    ICouncil,
    Initializable,
    AccessManagedUpgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.Council")
{
    /// @dev Append only.
    struct ProposalRecord {
        ProposalState state;
        bool isConstitutional;
        address target;
        uint40 proposedAt;
        address proposer;
        uint40 earliestAt;
        uint40 expiresAt;
        address closer;
        uint40 enoughAt;
        uint40 closedAt;
        bytes32 dataHash;
        bytes32 descriptionHash;
        bytes20 member;
        Approval[] approvals;
    }

    uint64 private constant ROLE_ADMINISTRATOR = 0;
    uint32 private constant ROLE_COUNCIL = 128;
    uint256 private constant ORDINARY_THRESHOLD = 2;
    uint40 private constant PROPOSAL_AGE_MAX = 90 days;
    uint40 private constant LIFT_AGE_MAX = 7 days;
    uint32 private constant TIME_LOCK_MAX = 30 days;
    uint40 private constant NEVER = type(uint40).max;

    IParticipantRegistry private _participants;
    uint32 private _timeLock;
    uint256 private _proposalCount;
    mapping(uint256 proposalId => ProposalRecord) private _proposals;
    mapping(address target => mapping(bytes4 selector => bool)) private _ordinary;
    Rulebook[] private _rulebooks;

    modifier onlyByProposal() {
        if (msg.sender != address(this)) revert CouncilCallerNotCouncil(msg.sender);
        _;
    }

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets the authority, of which the Council must be an administrator, and the acts that are ordinary.
    /// @param administrator Made another administrator, for networks of developers; zero: nobody besides the Council.
    function initialize(
        address authority_,
        IParticipantRegistry participants,
        INodeRegistry nodes,
        address administrator,
        uint32 timeLockSeconds
    ) external initializer {
        __AccessManaged_init(authority_);
        _participants = participants;
        _setTimeLock(timeLockSeconds);
        address registry = address(participants);
        _setOrdinary(registry, IParticipantRegistry.admit.selector, true);
        _setOrdinary(registry, IParticipantRegistry.suspend.selector, true);
        _setOrdinary(registry, IParticipantRegistry.reinstate.selector, true);
        _setOrdinary(registry, IParticipantRegistry.exit.selector, true);
        _setOrdinary(registry, IParticipantRegistry.setRoles.selector, true);
        _setOrdinary(registry, IParticipantRegistry.addAccount.selector, true);
        _setOrdinary(registry, IParticipantRegistry.closeAccount.selector, true);
        _setOrdinary(registry, IParticipantRegistry.rotateKeys.selector, true);
        _setOrdinary(registry, IParticipantRegistry.setEndpoint.selector, true);
        _setOrdinary(address(nodes), INodeRegistry.admitNode.selector, true);
        _setOrdinary(address(nodes), INodeRegistry.revokeNode.selector, true);
        if (administrator != address(0)) {
            IAccessManager(authority_).grantRole(ROLE_ADMINISTRATOR, administrator, 0);
        }
    }

    /// @inheritdoc ICouncil
    function propose(
        address target,
        bytes calldata data,
        bytes32 descriptionHash,
        uint40 earliestAt,
        uint40 expiresAt
    ) external returns (uint256 proposalId) {
        return _propose(target, data, descriptionHash, earliestAt, expiresAt);
    }

    /// @inheritdoc ICouncil
    function approve(uint256 proposalId) external {
        _approve(proposalId, _callingMember());
    }

    /// @inheritdoc ICouncil
    function revokeApproval(uint256 proposalId) external {
        bytes20 member = _callingMember();
        ProposalRecord storage record = _openProposal(proposalId);
        Approval[] storage approvals = record.approvals;
        uint256 count = approvals.length;
        for (uint256 i = 0; i < count; ++i) {
            if (approvals[i].member != member) continue;
            emit ApprovalRevoked(proposalId, member, msg.sender);
            approvals[i] = approvals[count - 1];
            approvals.pop();
            if (!_isEnough(record)) record.enoughAt = 0;
            return;
        }
        revert CouncilNotApprover(proposalId, member);
    }

    /// @inheritdoc ICouncil
    function cancel(uint256 proposalId) external {
        bytes20 member = _callingMember();
        ProposalRecord storage record = _openProposal(proposalId);
        if (record.member != member) revert CouncilNotProposer(proposalId, member);
        _close(record, ProposalState.Cancelled);
        emit ProposalCancelled(proposalId, msg.sender);
    }

    /// @inheritdoc ICouncil
    function execute(uint256 proposalId, bytes calldata data) external {
        _execute(proposalId, data);
    }

    /// @inheritdoc ICouncil
    function emergencyPause(address target) external {
        bytes20 member = _callingMember();
        emit EmergencyPaused(target, member, msg.sender);
        _call(target, abi.encodeCall(IPausable.pause, ()));
    }

    /// @inheritdoc ICouncil
    function proposeLift(address target) external returns (uint256 proposalId) {
        return _propose(target, abi.encodeCall(IPausable.unpause, ()), 0, 0, _now() + LIFT_AGE_MAX);
    }

    /// @inheritdoc ICouncil
    function confirmLift(uint256 proposalId) external {
        bytes memory data = abi.encodeCall(IPausable.unpause, ());
        _approve(proposalId, _callingMember());
        if (_proposals[proposalId].dataHash != keccak256(data)) revert CouncilNotLift(proposalId);
        _execute(proposalId, data);
    }

    /// @inheritdoc ICouncil
    function adoptRulebook(bytes32 rulebookHash, uint40 effectiveAt) external onlyByProposal {
        uint40 since = effectiveAt > _now() ? effectiveAt : _now();
        uint256 count = _rulebooks.length;
        if (count != 0 && since < _rulebooks[count - 1].effectiveAt) revert CouncilInvalidTime(effectiveAt);
        _rulebooks.push(Rulebook({rulebookHash: rulebookHash, adoptedAt: _now(), effectiveAt: since}));
        emit RulebookAdopted(count + 1, rulebookHash, since);
    }

    /// @inheritdoc ICouncil
    function setOrdinary(address target, bytes4 selector, bool isOrdinary_) external onlyByProposal {
        _setOrdinary(target, selector, isOrdinary_);
    }

    /// @inheritdoc ICouncil
    function setTimeLock(uint32 timeLockSeconds) external onlyByProposal {
        _setTimeLock(timeLockSeconds);
    }

    /// @inheritdoc ICouncil
    function proposal(uint256 proposalId) external view returns (Proposal memory) {
        ProposalRecord storage record = _proposals[proposalId];
        return Proposal({
            state: _state(record),
            isConstitutional: record.isConstitutional,
            target: record.target,
            dataHash: record.dataHash,
            descriptionHash: record.descriptionHash,
            proposer: record.proposer,
            closer: record.closer,
            proposedAt: record.proposedAt,
            earliestAt: record.earliestAt,
            expiresAt: record.expiresAt,
            enoughAt: record.enoughAt,
            closedAt: record.closedAt,
            approvals: record.approvals
        });
    }

    /// @inheritdoc ICouncil
    function proposalCount() external view returns (uint256) {
        return _proposalCount;
    }

    /// @inheritdoc ICouncil
    function approvalsOf(uint256 proposalId) external view returns (uint256 approvals, uint256 threshold) {
        ProposalRecord storage record = _proposals[proposalId];
        return (_countApprovals(record), _threshold(record));
    }

    /// @inheritdoc ICouncil
    function executableAt(uint256 proposalId) external view returns (uint40) {
        return _executableAt(_proposals[proposalId]);
    }

    /// @inheritdoc ICouncil
    function isOrdinary(address target, bytes calldata data) external view returns (bool) {
        return _isOrdinary(target, data);
    }

    /// @inheritdoc ICouncil
    function timeLock() external view returns (uint32) {
        return _timeLock;
    }

    /// @inheritdoc ICouncil
    function rulebook() external view returns (uint256 version, Rulebook memory found) {
        for (version = _rulebooks.length; version > 0; --version) {
            found = _rulebooks[version - 1];
            if (found.effectiveAt <= _now()) return (version, found);
        }
        delete found;
    }

    /// @inheritdoc ICouncil
    function rulebookCount() external view returns (uint256) {
        return _rulebooks.length;
    }

    /// @inheritdoc ICouncil
    function rulebookAt(uint256 version) external view returns (Rulebook memory found) {
        if (version != 0 && version <= _rulebooks.length) found = _rulebooks[version - 1];
    }

    /// @inheritdoc ICouncil
    function participantRegistry() external view returns (IParticipantRegistry) {
        return _participants;
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _propose(
        address target,
        bytes memory data,
        bytes32 descriptionHash,
        uint40 earliestAt,
        uint40 expiresAt
    ) private returns (uint256 proposalId) {
        bytes20 member = _callingMember();
        if (target.code.length == 0) revert CouncilInvalidTarget(target);
        bool isTimely = expiresAt > _now() && expiresAt <= _now() + PROPOSAL_AGE_MAX && expiresAt >= earliestAt;
        if (!isTimely) revert CouncilInvalidTime(expiresAt);

        proposalId = ++_proposalCount;
        ProposalRecord storage record = _proposals[proposalId];
        record.state = ProposalState.Open;
        record.isConstitutional = !_isOrdinary(target, data);
        record.target = target;
        record.proposedAt = _now();
        record.proposer = msg.sender;
        record.member = member;
        record.earliestAt = earliestAt;
        record.expiresAt = expiresAt;
        record.dataHash = keccak256(data);
        record.descriptionHash = descriptionHash;
        emit ProposalMade(
            proposalId,
            target,
            member,
            msg.sender,
            record.isConstitutional,
            data,
            descriptionHash,
            earliestAt,
            expiresAt
        );
        _approve(proposalId, member);
    }

    /// @dev An approval whose officer lost the power to give it makes room for another one's of the same member.
    function _approve(uint256 proposalId, bytes20 member) private {
        ProposalRecord storage record = _openProposal(proposalId);
        Approval[] storage approvals = record.approvals;
        uint256 place = 0;
        while (place < approvals.length && approvals[place].member != member) {
            ++place;
        }
        if (place == approvals.length) {
            approvals.push();
        } else if (_counts(approvals[place])) {
            revert CouncilSameMember(proposalId, member);
        }
        approvals[place] = Approval({officer: msg.sender, member: member, approvedAt: _now()});
        if (record.enoughAt == 0 && _isEnough(record)) record.enoughAt = _now();
        emit ProposalApproved(proposalId, member, msg.sender);
    }

    function _execute(uint256 proposalId, bytes memory data) private {
        ProposalRecord storage record = _openProposal(proposalId);
        if (keccak256(data) != record.dataHash) revert CouncilDataMismatch(proposalId, keccak256(data));
        address target = record.target;
        if (!record.isConstitutional && !_isOrdinary(target, data)) revert CouncilNowConstitutional(proposalId);
        if (record.enoughAt == 0 || !_isEnough(record)) {
            revert CouncilNotApproved(proposalId, _countApprovals(record), _threshold(record));
        }
        if (_now() < _executableAt(record)) revert CouncilTooEarly(proposalId, _executableAt(record));

        _close(record, ProposalState.Executed);
        emit ProposalExecuted(proposalId, msg.sender);
        _call(target, data);
    }

    function _close(ProposalRecord storage record, ProposalState state) private {
        record.state = state;
        record.closer = msg.sender;
        record.closedAt = _now();
    }

    /// @dev The Council is its own authority; for all others the AccessManager is.
    function _call(address target, bytes memory data) private {
        if (target == address(this)) {
            Address.functionCall(target, data);
        } else {
            IAccessManager(authority()).execute(target, data);
        }
    }

    function _setOrdinary(address target, bytes4 selector, bool isOrdinary_) private {
        _ordinary[target][selector] = isOrdinary_;
        emit OrdinaryActSet(target, selector, isOrdinary_);
    }

    function _setTimeLock(uint32 timeLockSeconds) private {
        if (timeLockSeconds > TIME_LOCK_MAX) revert CouncilInvalidTimeLock(timeLockSeconds);
        _timeLock = timeLockSeconds;
        emit TimeLockSet(timeLockSeconds);
    }

    function _callingMember() private view returns (bytes20 member) {
        member = _participants.officerOf(msg.sender);
        if (!_participants.hasRole(member, ROLE_COUNCIL)) revert CouncilCallerNotMember(msg.sender);
    }

    function _openProposal(uint256 proposalId) private view returns (ProposalRecord storage record) {
        record = _proposals[proposalId];
        ProposalState state = _state(record);
        if (state != ProposalState.Open) revert CouncilUnexpectedState(proposalId, state);
    }

    function _state(ProposalRecord storage record) private view returns (ProposalState) {
        bool isExpired = record.state == ProposalState.Open && _now() > record.expiresAt;
        return isExpired ? ProposalState.Expired : record.state;
    }

    function _executableAt(ProposalRecord storage record) private view returns (uint40) {
        if (record.enoughAt == 0) return NEVER;
        uint40 unlockedAt = record.isConstitutional ? record.enoughAt + _timeLock : record.enoughAt;
        return record.earliestAt > unlockedAt ? record.earliestAt : unlockedAt;
    }

    function _isEnough(ProposalRecord storage record) private view returns (bool) {
        return _countApprovals(record) >= _threshold(record);
    }

    function _countApprovals(ProposalRecord storage record) private view returns (uint256 count) {
        for (uint256 i = 0; i < record.approvals.length; ++i) {
            if (_counts(record.approvals[i])) ++count;
        }
    }

    function _counts(Approval storage approval) private view returns (bool) {
        bytes20 member = approval.member;
        return _participants.officerOf(approval.officer) == member && _participants.hasRole(member, ROLE_COUNCIL);
    }

    function _threshold(ProposalRecord storage record) private view returns (uint256) {
        if (!record.isConstitutional) return ORDINARY_THRESHOLD;
        uint256 majority = _participants.councilMembers().length / 2 + 1;
        return majority > ORDINARY_THRESHOLD ? majority : ORDINARY_THRESHOLD;
    }

    function _isOrdinary(address target, bytes memory data) private view returns (bool) {
        bytes4 selector = bytes4(data);
        if (selector == IPausable.unpause.selector) return true;
        return _ordinary[target][selector] && !_concernsCouncil(target, selector, data);
    }

    function _concernsCouncil(address target, bytes4 selector, bytes memory data) private view returns (bool) {
        if (target != address(_participants)) return false;
        bytes memory arguments = new bytes(data.length - 4);
        for (uint256 i = 0; i < arguments.length; ++i) {
            arguments[i] = data[i + 4];
        }
        if (selector == IParticipantRegistry.admit.selector) {
            (IParticipantRegistry.ParticipantInput memory input,) =
                abi.decode(arguments, (IParticipantRegistry.ParticipantInput, uint40));
            return input.roles & ROLE_COUNCIL != 0;
        }
        if (selector == IParticipantRegistry.closeAccount.selector) {
            (address account,) = abi.decode(arguments, (address, uint40));
            bytes20 owner = _participants.participantOf(account);
            return owner == 0 || _participants.isCouncilListed(owner);
        }
        if (selector == IParticipantRegistry.setRoles.selector) {
            (, uint32 roles,,) = abi.decode(arguments, (bytes20, uint32, bytes20, uint40));
            if (roles & ROLE_COUNCIL != 0) return true;
        }
        return _participants.isCouncilListed(abi.decode(arguments, (bytes20)));
    }

    function _now() private view returns (uint40) {
        return uint40(block.timestamp);
    }
}
