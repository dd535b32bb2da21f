// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICertificateVerifier} from "./interfaces/ICertificateVerifier.sol";

/// @title The commit's part of a settlement certificate, verified on chain.
/// @notice Headers and sets of validators are Merkle trees of RFC 6962 over fields of Protocol Buffers; a validator
/// signs the Keccak-256 hash of a vote, which is rebuilt here with that validator's own time.
contract CertificateVerifier is ICertificateVerifier {
    uint256 private constant FIELD = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    uint256 private constant HEADER_FIELDS = 14;
    uint256 private constant CHAIN_ID = 1;
    uint256 private constant HEIGHT = 2;
    uint256 private constant VALIDATORS_HASH = 7;
    uint256 private constant NEXT_VALIDATORS_HASH = 8;
    uint256 private constant APP_HASH = 10;

    /// @inheritdoc ICertificateVerifier
    function verifyCommit(
        string calldata chainId,
        bytes32 trustedValidatorsHash,
        Validator[] calldata validators,
        bytes[] calldata headerLeaves,
        Commit calldata commit
    ) external pure returns (bytes32 appHash, bytes32 nextValidatorsHash) {
        bytes32 headerHash = _checkHeader(chainId, trustedValidatorsHash, headerLeaves, commit.height);
        bytes32 validatorsHash = _validatorsHash(validators);
        if (validatorsHash != trustedValidatorsHash) revert CertificateValidatorsMismatch(validatorsHash);
        _checkSignatures(chainId, validators, headerHash, commit);
        return (_hashIn(headerLeaves, APP_HASH), _hashIn(headerLeaves, NEXT_VALIDATORS_HASH));
    }

    /// @dev The header's hash, if it is one of that chain, height and set.
    function _checkHeader(
        string calldata chainId,
        bytes32 trustedValidatorsHash,
        bytes[] calldata headerLeaves,
        uint64 height
    ) private pure returns (bytes32) {
        if (headerLeaves.length != HEADER_FIELDS) revert CertificateHeaderMalformed(headerLeaves.length);
        bytes memory chainField = abi.encodePacked(hex"0a", _varint(bytes(chainId).length), chainId);
        if (keccak256(headerLeaves[CHAIN_ID]) != keccak256(chainField)) revert CertificateOtherChain();
        bytes memory heightField = abi.encodePacked(hex"08", _varint(height));
        if (keccak256(headerLeaves[HEIGHT]) != keccak256(heightField)) revert CertificateOtherHeight(height);
        bytes32 validatorsHash = _hashIn(headerLeaves, VALIDATORS_HASH);
        if (validatorsHash != trustedValidatorsHash) revert CertificateValidatorsUntrusted(validatorsHash);
        bytes32[] memory hashes = new bytes32[](HEADER_FIELDS);
        for (uint256 i = 0; i < HEADER_FIELDS; ++i) {
            hashes[i] = sha256(abi.encodePacked(hex"00", headerLeaves[i]));
        }
        return _root(hashes, 0, HEADER_FIELDS);
    }

    /// @dev A header's field that is a hash of 32 bytes.
    function _hashIn(bytes[] calldata headerLeaves, uint256 leaf) private pure returns (bytes32) {
        bytes calldata field = headerLeaves[leaf];
        if (field.length != 34 || bytes2(field[:2]) != hex"0a20") revert CertificateHeaderMalformed(leaf);
        return bytes32(field[2:]);
    }

    /// @dev What headers name the set by; a point that is not on the curve could name another address.
    function _validatorsHash(Validator[] calldata validators) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](validators.length);
        for (uint256 i = 0; i < validators.length; ++i) {
            Validator calldata each = validators[i];
            uint256 cube = mulmod(mulmod(each.x, each.x, FIELD), each.x, FIELD);
            bool isPoint = each.x < FIELD && each.y < FIELD && mulmod(each.y, each.y, FIELD) == addmod(cube, 7, FIELD);
            if (!isPoint) revert CertificateKeyInvalid(i);
            bytes1 parity = each.y % 2 == 0 ? bytes1(0x02) : bytes1(0x03);
            bytes memory powerField =
                each.power == 0 ? bytes("") : abi.encodePacked(hex"10", _varint(each.power));
            hashes[i] = sha256(abi.encodePacked(hex"000a232a21", parity, each.x, powerField));
        }
        return hashes.length == 0 ? sha256("") : _root(hashes, 0, hashes.length);
    }

    /// @dev Root of the tree over `count` leaves' hashes, of which the left subtree is the largest full one.
    function _root(bytes32[] memory hashes, uint256 start, uint256 count) private pure returns (bytes32) {
        if (count == 1) return hashes[start];
        uint256 split = 1;
        while (split * 2 < count) split *= 2;
        bytes32 left = _root(hashes, start, split);
        bytes32 right = _root(hashes, start + split, count - split);
        return sha256(abi.encodePacked(hex"01", left, right));
    }

    /// @dev Every signature that is given must be valid, in the order of validators: none counts twice.
    function _checkSignatures(
        string calldata chainId,
        Validator[] calldata validators,
        bytes32 headerHash,
        Commit calldata commit
    ) private pure {
        (bytes memory head, bytes memory tail) = _voteAround(chainId, headerHash, commit);
        uint256 signed = 0;
        for (uint256 i = 0; i < commit.signatures.length; ++i) {
            Signature calldata each = commit.signatures[i];
            bool isInOrder = i == 0 || commit.signatures[i - 1].validator < each.validator;
            if (!isInOrder || each.validator >= validators.length) revert CertificateSignatureOrder(i);
            Validator calldata validator = validators[each.validator];
            address expected = address(uint160(uint256(keccak256(abi.encodePacked(validator.x, validator.y)))));
            if (_signer(head, tail, each) != expected) revert CertificateSignatureInvalid(i);
            signed += validator.power;
        }
        uint256 total = 0;
        for (uint256 i = 0; i < validators.length; ++i) {
            total += validators[i].power;
        }
        if (3 * signed <= 2 * total) revert CertificatePowerInsufficient(signed, total);
    }

    /// @dev Who signed a vote between `head` and `tail`; the zero address, which no key has, where nobody did.
    function _signer(bytes memory head, bytes memory tail, Signature calldata signature)
        private
        pure
        returns (address)
    {
        if (signature.v > 1 || uint256(signature.s) > HALF_ORDER) return address(0);
        bytes memory time = abi.encodePacked(
            signature.timeSeconds == 0 ? bytes("") : abi.encodePacked(hex"08", _varint(signature.timeSeconds)),
            signature.timeNanos == 0 ? bytes("") : abi.encodePacked(hex"10", _varint(signature.timeNanos))
        );
        bytes memory vote = abi.encodePacked(head, hex"2a", _varint(time.length), time, tail);
        bytes32 digest = keccak256(abi.encodePacked(_varint(vote.length), vote));
        return ecrecover(digest, signature.v + 27, signature.r, signature.s);
    }

    /// @dev A precommit's fields before and after its time.
    function _voteAround(string calldata chainId, bytes32 headerHash, Commit calldata commit)
        private
        pure
        returns (bytes memory head, bytes memory tail)
    {
        bytes memory total =
            commit.partsTotal == 0 ? bytes("") : abi.encodePacked(hex"08", _varint(commit.partsTotal));
        bytes memory parts = abi.encodePacked(total, hex"1220", commit.partsHash);
        bytes memory blockId = abi.encodePacked(hex"0a20", headerHash, hex"12", _varint(parts.length), parts);
        head = abi.encodePacked(
            hex"0802",
            commit.height == 0 ? bytes("") : abi.encodePacked(hex"11", _littleEndian(commit.height)),
            commit.round == 0 ? bytes("") : abi.encodePacked(hex"19", _littleEndian(commit.round)),
            hex"22",
            _varint(blockId.length),
            blockId
        );
        tail = abi.encodePacked(hex"32", _varint(bytes(chainId).length), chainId);
    }

    function _littleEndian(uint64 value) private pure returns (bytes8) {
        uint64 reversed = 0;
        for (uint256 i = 0; i < 8; ++i) {
            reversed = (reversed << 8) | (value & 0xFF);
            value >>= 8;
        }
        return bytes8(reversed);
    }

    function _varint(uint256 value) private pure returns (bytes memory octets) {
        while (value > 0x7F) {
            octets = abi.encodePacked(octets, bytes1(uint8(value & 0x7F) | 0x80));
            value >>= 7;
        }
        return abi.encodePacked(octets, bytes1(uint8(value)));
    }
}
