// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./IParticipantRegistry.sol";

/// @notice What a contract offers that the Council can stop in an emergency; both functions restricted to the authority.
interface IPausable {
    /// @notice Stops it.
    function pause() external;

    /// @notice Lets it go on.
    function unpause() external;
}

/// @title The council: how the network is governed.
/// @notice Its members are the admitted participants with the council's role; for a member speaks any of its officers. An
/// act is a call of a contract; it is proposed by an officer of one member, approved by officers of others, and executed
/// through the AccessManager, whose administrator the Council is. **Ordinary** acts take two members. All others are
/// **constitutional**: they take more than half of the members, two at least, and wait for the time lock after that.
interface ICouncil {
    /// @notice Life of a proposal. One that is open and out of time reads as `Expired`.
    enum ProposalState {
        None,
        Open,
        Executed,
        Cancelled,
        Expired
    }

    /// @notice One member's word for a proposal.
    struct Approval {
        address officer;
        bytes20 member;
        uint40 approvedAt;
    }

    /// @param dataHash keccak256 of the call's data, which stands in the event.
    /// @param descriptionHash Hash of a text that says why; zero for none.
    /// @param proposer Officer who proposed.
    /// @param closer Who executed or cancelled; zero before.
    /// @param earliestAt UTC second before which it is not executed.
    /// @param expiresAt Last UTC second at which it is.
    /// @param enoughAt When approvals became enough; 0 before.
    /// @param approvals In the order they came; the proposer's is the first.
    struct Proposal {
        ProposalState state;
        bool isConstitutional;
        address target;
        bytes32 dataHash;
        bytes32 descriptionHash;
        address proposer;
        address closer;
        uint40 proposedAt;
        uint40 earliestAt;
        uint40 expiresAt;
        uint40 enoughAt;
        uint40 closedAt;
        Approval[] approvals;
    }

    /// @notice One version of the rulebook: the hash of its text and from when it holds.
    struct Rulebook {
        bytes32 rulebookHash;
        uint40 adoptedAt;
        uint40 effectiveAt;
    }

    event ProposalMade(
        uint256 indexed proposalId,
        address indexed target,
        bytes20 indexed member,
        address proposer,
        bool isConstitutional,
        bytes data,
        bytes32 descriptionHash,
        uint40 earliestAt,
        uint40 expiresAt
    );
    event ProposalApproved(uint256 indexed proposalId, bytes20 indexed member, address officer);
    event ApprovalRevoked(uint256 indexed proposalId, bytes20 indexed member, address officer);
    event ProposalCancelled(uint256 indexed proposalId, address officer);
    event ProposalExecuted(uint256 indexed proposalId, address executor);
    event EmergencyPaused(address indexed target, bytes20 indexed member, address officer);
    event RulebookAdopted(uint256 indexed version, bytes32 rulebookHash, uint40 effectiveAt);
    event OrdinaryActSet(address indexed target, bytes4 indexed selector, bool isOrdinary);
    event TimeLockSet(uint32 timeLockSeconds);

    error CouncilCallerNotMember(address caller);
    error CouncilCallerNotCouncil(address caller);
    error CouncilInvalidTarget(address target);
    error CouncilInvalidTime(uint40 time);
    error CouncilInvalidTimeLock(uint32 timeLockSeconds);
    error CouncilUnexpectedState(uint256 proposalId, ProposalState state);
    error CouncilSameMember(uint256 proposalId, bytes20 member);
    error CouncilNotApprover(uint256 proposalId, bytes20 member);
    error CouncilNotProposer(uint256 proposalId, bytes20 member);
    error CouncilDataMismatch(uint256 proposalId, bytes32 dataHash);
    error CouncilNowConstitutional(uint256 proposalId);
    error CouncilNotApproved(uint256 proposalId, uint256 approvals, uint256 threshold);
    error CouncilTooEarly(uint256 proposalId, uint40 executableAt);
    error CouncilNotLift(uint256 proposalId);

    /// @notice Proposes a call and approves it for the caller's member. Officers of members only, as for all but
    /// `execute`.
    /// @param data Selector and arguments, of a call to `target`; the Council itself may be the target.
    /// @param descriptionHash Hash of a text that says why.
    /// @param earliestAt UTC second before which it is not executed; 0 for at once.
    /// @param expiresAt Last UTC second at which it is, at most 90 days ahead.
    function propose(
        address target,
        bytes calldata data,
        bytes32 descriptionHash,
        uint40 earliestAt,
        uint40 expiresAt
    ) external returns (uint256 proposalId);

    /// @notice Approves an open proposal for the caller's member, once.
    function approve(uint256 proposalId) external;

    /// @notice Takes the approval of the caller's member back.
    function revokeApproval(uint256 proposalId) external;

    /// @notice Ends an open proposal; the caller's member made it.
    function cancel(uint256 proposalId) external;

    /// @notice Makes the proposed call, once, if enough members that still are members approve by officers that still are
    /// officers, and its time has come. Anybody may call; what the call answers with is not kept, its revert is passed on.
    /// @param data As proposed.
    function execute(uint256 proposalId, bytes calldata data) external;

    /// @notice Stops a contract at once: one officer of one member.
    function emergencyPause(address target) external;

    /// @notice Proposes that a stopped contract go on; it expires after 7 days.
    function proposeLift(address target) external returns (uint256 proposalId);

    /// @notice Approves that for another member and makes it so.
    function confirmLift(uint256 proposalId) external;

    /// @notice Adopts a version of the rulebook. Only by a proposal, as are all changes of the Council itself.
    /// @param effectiveAt UTC second from which it holds, not before that of the version before; one that has passed
    /// stands for the time of the block.
    function adoptRulebook(bytes32 rulebookHash, uint40 effectiveAt) external;

    /// @notice Says whether calls of one function are ordinary acts.
    function setOrdinary(address target, bytes4 selector, bool isOrdinary_) external;

    /// @notice Sets how long constitutional acts wait, at most 30 days.
    function setTimeLock(uint32 timeLockSeconds) external;

    /// @notice A proposal with its approvals; all zero for an id that was never given.
    function proposal(uint256 proposalId) external view returns (Proposal memory);

    /// @notice How many proposals there ever were; ids count from 1.
    function proposalCount() external view returns (uint256);

    /// @notice How many approvals count now, and how many a proposal needs now.
    function approvalsOf(uint256 proposalId) external view returns (uint256 approvals, uint256 threshold);

    /// @notice The first UTC second at which a proposal may be executed if enough approve; the largest uint40 while they
    /// are not enough yet.
    function executableAt(uint256 proposalId) external view returns (uint40);

    /// @notice Whether a call would be an ordinary act now.
    function isOrdinary(address target, bytes calldata data) external view returns (bool);

    /// @notice How long constitutional acts wait after enough members approved, seconds.
    function timeLock() external view returns (uint32);

    /// @notice The version of the rulebook that holds now, counted from 1; all zero before the first.
    function rulebook() external view returns (uint256 version, Rulebook memory);

    /// @notice How many versions were adopted, those that hold only later included.
    function rulebookCount() external view returns (uint256);

    /// @notice One version, counted from 1; all zero where there is none.
    function rulebookAt(uint256 version) external view returns (Rulebook memory);

    /// @notice The registry that says who is a member and who an officer.
    function participantRegistry() external view returns (IParticipantRegistry);
}
