// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Which nodes may connect, and which keys validate.
/// @notice A node is named by its 20-byte id on the network between nodes, a validator by the Ethereum address of its
/// secp256k1 key. All validators have the same power. A change of validators is proposed by one council participant,
/// confirmed by another, and applied by the first act of a block at or after its effective time: at most one a block.
interface INodeRegistry {
    /// @notice What a change does.
    enum ChangeKind {
        None,
        Addition,
        Removal
    }

    /// @notice Life of a change. `Dropped`: it was due, and would have left too few validators.
    enum ChangeState {
        None,
        Proposed,
        Scheduled,
        Applied,
        Withdrawn,
        Dropped
    }

    struct NodeInput {
        bytes20 lei;
        bytes20 nodeId;
    }

    /// @param x First coordinate of the public key, a point of secp256k1.
    /// @param y Second coordinate.
    struct ValidatorInput {
        bytes20 lei;
        bytes32 x;
        bytes32 y;
    }

    struct Node {
        bytes20 nodeId;
        bytes20 lei;
        bool isAdmitted;
    }

    /// @param publicKey Compressed: 0x02 or 0x03 for an even or odd y, then x.
    struct Validator {
        address validator;
        bytes20 lei;
        bytes publicKey;
    }

    /// @param proposer Participant that proposed.
    /// @param confirmer Participant that confirmed; zero before.
    struct Change {
        ChangeKind kind;
        ChangeState state;
        uint40 effectiveAt;
        bytes20 proposer;
        bytes20 confirmer;
        Validator subject;
    }

    event NodeAdmitted(bytes20 indexed nodeId, bytes20 indexed lei);
    event NodeRevoked(bytes20 indexed nodeId, bytes20 indexed lei);
    event ChangeProposed(
        uint256 indexed changeId, address indexed validator, bytes20 indexed proposer, ChangeKind kind, uint40 effectiveAt
    );
    event ChangeConfirmed(uint256 indexed changeId, address indexed validator, bytes20 indexed confirmer);
    event ChangeWithdrawn(uint256 indexed changeId, address indexed validator, bytes20 indexed participant);
    event ChangeDropped(uint256 indexed changeId, address indexed validator);
    event ValidatorAdded(address indexed validator, bytes20 indexed lei, bytes publicKey);
    event ValidatorRemoved(address indexed validator, bytes20 indexed lei);

    error NodeRegistryParticipantNotAdmitted(bytes20 lei);
    error NodeRegistryInvalidNode(bytes20 nodeId);
    error NodeRegistryNodeExists(bytes20 nodeId);
    error NodeRegistryNodeTaken(bytes20 nodeId, bytes20 lei);
    error NodeRegistryNodeUnknown(bytes20 nodeId);
    error NodeRegistryInvalidKey(bytes32 x, bytes32 y);
    error NodeRegistryNotValidatorRole(bytes20 lei);
    error NodeRegistryValidatorExists(address validator);
    error NodeRegistryValidatorUnknown(address validator);
    error NodeRegistryChangeScheduled(address validator, uint256 changeId);
    error NodeRegistryTooManyValidators(uint256 limit);
    error NodeRegistryTooFewValidators(uint256 limit);
    error NodeRegistryTooManyChanges(uint256 limit);
    error NodeRegistryUnexpectedState(uint256 changeId, ChangeState state);
    error NodeRegistryCallerNotCouncil(address caller);
    error NodeRegistryProposerNotCouncil(bytes20 lei);
    error NodeRegistrySameParticipant(bytes20 lei);
    error NodeRegistryNotParty(uint256 changeId, bytes20 lei);
    error NodeRegistryCallerNotSystem(address caller);

    /// @notice Lets a node of an admitted participant connect. Restricted to the authority. A node id belongs to one
    /// participant for ever; a revoked one may be admitted again for the same.
    function admitNode(bytes20 lei, bytes20 nodeId) external;

    /// @notice Ends that. Restricted to the authority.
    function revokeNode(bytes20 nodeId) external;

    /// @notice Proposes a key of a participant with the validator role. Officers of council participants only.
    /// @param effectiveAt UTC second before which it does not take effect.
    function proposeAddition(bytes20 lei, bytes32 x, bytes32 y, uint40 effectiveAt) external returns (uint256 changeId);

    /// @notice Proposes that a validator be one no more; callers as for an addition.
    function proposeRemoval(address validator, uint40 effectiveAt) external returns (uint256 changeId);

    /// @notice Schedules a proposed change; the caller is of another council participant than the proposer.
    function confirmChange(uint256 changeId) external;

    /// @notice Ends a change that is not applied; the caller's participant proposed or confirmed it.
    function withdrawChange(uint256 changeId) external;

    /// @notice Applies the scheduled change that is due first, if one is; called by the system address as the first act
    /// of a block. Never reverts for it. Its events stand in no receipt: `change` tells what became of one.
    function applyDueChange() external;

    /// @notice Whether a node is admitted and its participant is too.
    function connectionAllowed(bytes20 nodeId) external view returns (bool);

    /// @notice How many nodes were ever admitted.
    function nodeCount() external view returns (uint256);

    /// @notice Nodes in the order of their first admission, from 0, revoked ones included.
    function nodeAt(uint256 index) external view returns (Node memory);

    /// @notice The validators in the order of their addition.
    function validators() external view returns (Validator[] memory);

    /// @notice How many there are.
    function validatorCount() external view returns (uint256);

    /// @notice Whether `validator` is one.
    function isValidator(address validator) external view returns (bool);

    /// @notice How many changes were applied so far: the set is the same where this is.
    function version() external view returns (uint256);

    /// @notice When the next scheduled change is due; the largest uint64 where none is.
    function nextEffectiveAt() external view returns (uint64);

    /// @notice How many changes were ever proposed; ids count from 1.
    function changeCount() external view returns (uint256);

    /// @notice A change; kind and state are `None` for an id that was never given.
    function change(uint256 changeId) external view returns (Change memory);

    /// @notice Ids of the changes that are confirmed and not applied, in no particular order.
    function scheduledChanges() external view returns (uint256[] memory);

    /// @notice Whether the network may go down to one validator: development networks only.
    function isDevelopment() external view returns (bool);
}
