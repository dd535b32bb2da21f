// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Whether the validators of a Corridor network committed to an Ethereum block, checked on any EVM chain.
/// @notice Stateless, so whoever calls brings the trust anchor: the chain id of consensus and the hash of a set of
/// validators that it trusts already, at first that of genesis. The answer names the set that signs the next height;
/// a caller that stores it when it changes follows a network through its changes of validators. With the hash of the
/// Ethereum header that the answer holds, any receipt of that block can be proven by its trie.
interface ICertificateVerifier {
    /// @param x Abscissa of the validator's secp256k1 key.
    /// @param y Its ordinate: the point is checked to be on the curve.
    /// @param power Voting power.
    struct Validator {
        uint256 x;
        uint256 y;
        uint64 power;
    }

    /// @param validator Position in the set of validators.
    /// @param timeSeconds The validator's own time of signing, since 1970.
    /// @param timeNanos The rest of that time, in nanoseconds.
    /// @param v 0 or 1, as consensus has it.
    /// @param s In the lower half of the curve's order.
    struct Signature {
        uint16 validator;
        uint64 timeSeconds;
        uint32 timeNanos;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @param round Round of consensus in which the block was decided.
    /// @param partsTotal Parts in which the block was passed on, and
    /// @param partsHash their Merkle root: both are in what validators sign.
    /// @param signatures Precommits, in the order of the validators.
    struct Commit {
        uint64 height;
        uint32 round;
        uint32 partsTotal;
        bytes32 partsHash;
        Signature[] signatures;
    }

    error CertificateHeaderMalformed(uint256 leaf);
    error CertificateOtherChain();
    error CertificateOtherHeight(uint64 height);
    error CertificateValidatorsUntrusted(bytes32 validatorsHash);
    error CertificateValidatorsMismatch(bytes32 validatorsHash);
    error CertificateKeyInvalid(uint256 validator);
    error CertificateSignatureOrder(uint256 signature);
    error CertificateSignatureInvalid(uint256 signature);
    error CertificatePowerInsufficient(uint256 signed, uint256 total);

    /// @notice Checks that more than two thirds of the power of a trusted set signed a header of consensus; reverts
    /// otherwise.
    /// @param chainId Chain id of consensus: part of the trust anchor.
    /// @param trustedValidatorsHash Hash of the set that is trusted at that height: part of the trust anchor.
    /// @param validators The whole set, in the order of consensus.
    /// @param headerLeaves The header's 14 fields as they are hashed.
    /// @return appHash Hash of the newest Ethereum header at that height.
    /// @return nextValidatorsHash Hash of the set that signs the next height.
    function verifyCommit(
        string calldata chainId,
        bytes32 trustedValidatorsHash,
        Validator[] calldata validators,
        bytes[] calldata headerLeaves,
        Commit calldata commit
    ) external pure returns (bytes32 appHash, bytes32 nextValidatorsHash);
}
