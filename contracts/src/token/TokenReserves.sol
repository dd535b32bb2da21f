// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {IERC7943Fungible} from "../interfaces/IERC7943Fungible.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {Burnt, TokenBook} from "./TokenBook.sol";
import {TokenRules} from "./TokenRules.sol";

/// @title What backs the token: statements of reserves, issues against them, redemptions.
library TokenReserves {
    using TokenRules for TokenBook;

    bytes32 private constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(uint64 sequence,uint40 asOf,uint40 validUntil,uint256 amount,bytes32 statementHash)"
    );

    /// @dev Longest time a statement may back issuance: a lost attesting key must not do so for ever.
    uint40 private constant ATTESTATION_VALIDITY_MAX = 7 days;

    /// @dev Checks an issue and uses its reference up; the token mints after.
    function issue(TokenBook storage book, bytes32 issueReference, address to, uint256 amount, uint256 supply)
        external
    {
        if (!book.isOperating(msg.sender) || book.registry.participantOf(msg.sender) != book.issuer) {
            revert ICurrencyToken.TokenCallerNotIssuer(msg.sender);
        }
        book.checkRunning(ICurrencyToken.TokenFunction.Issue);
        _checkReference(book, issueReference, book.issueReferenceUsed[issueReference], to, amount);
        _checkReserves(book, amount, supply);
        if (!book.registry.isAdmitted(to)) revert ICurrencyToken.TokenAccountNotAdmitted(to);
        if (!book.canMove(to)) revert IERC7943Fungible.ERC7943CannotReceive(to);

        // From here it must succeed.
        book.issueReferenceUsed[issueReference] = true;
    }

    /// @dev Checks a redemption, uses its reference up and lowers the reserves; the token burns after.
    function redeem(TokenBook storage book, bytes32 redeemReference, address from, uint256 amount, uint256 balance)
        external
    {
        bytes20 lei = book.registry.participantOf(msg.sender);
        if (!book.isOperating(msg.sender) || lei != book.registry.participantOf(from)) {
            revert ICurrencyToken.TokenCallerNotOwner(msg.sender, from);
        }
        book.checkRunning(ICurrencyToken.TokenFunction.Redeem);
        _checkReference(book, redeemReference, book.redeemReferenceUsed[lei][redeemReference], from, amount);
        if (!book.canMove(from)) revert IERC7943Fungible.ERC7943CannotSend(from);
        uint256 free = book.available(from, balance);
        TokenRules.checkCovered(from, amount, balance, free);
        book.checkUnclaimed(from, amount, free);

        // From here it must succeed.
        book.redeemReferenceUsed[lei][redeemReference] = true;
        // The reserves behind what is burnt are released: they back no issuance until attested again.
        book.latest.amount = TokenRules.less(book.latest.amount, amount);
        _countBurnt(book.burnt, amount);
    }

    /// @dev Records a statement of reserves.
    function attest(
        TokenBook storage book,
        bytes32 domainSeparator,
        ICurrencyToken.Attestation calldata attestation,
        bytes calldata signature,
        uint256 supply
    ) external {
        if (!book.registry.isAdmitted(msg.sender)) revert ICurrencyToken.TokenAccountNotAdmitted(msg.sender);
        address attester = _attesterOf(book, domainSeparator, attestation, signature);
        if (attestation.sequence <= book.latest.sequence) {
            revert ICurrencyToken.TokenAttestationSequence(attestation.sequence, book.latest.sequence);
        }
        _checkTimes(book, attestation.asOf, attestation.validUntil);

        // From here it must succeed.
        book.latest = attestation;
        uint256 amount = TokenRules.less(attestation.amount, _burntAfter(book.burnt, attestation.asOf));
        book.latest.amount = amount;
        emit ICurrencyToken.ReservesAttested(
            attestation.sequence, attester, attestation.amount, attestation.validUntil, attestation.statementHash
        );
        if (amount < supply) emit ICurrencyToken.ReservesBelowSupply(attestation.sequence, amount, supply);
    }

    /// @dev Guards that `issue` and `redeem` share.
    function _checkReference(
        TokenBook storage book,
        bytes32 orderReference,
        bool isUsed,
        address account,
        uint256 amount
    ) private view {
        if (amount == 0) revert ICurrencyToken.TokenInvalidAmount(amount);
        if (orderReference == 0 || isUsed) revert ICurrencyToken.TokenReferenceUsed(orderReference);
        if (!book.isSettlement(account)) revert ICurrencyToken.TokenNotSettlementAccount(account);
    }

    function _countBurnt(Burnt[] storage burnt, uint256 amount) private {
        uint256 length = burnt.length;
        // Only differences are asked for: they stay right if the sum ever wraps around.
        unchecked {
            uint256 total = amount + (length == 0 ? 0 : burnt[length - 1].total);
            if (length > 0 && burnt[length - 1].second == block.timestamp) {
                burnt[length - 1].total = total;
            } else {
                burnt.push(Burnt({second: uint40(block.timestamp), total: total}));
            }
        }
    }

    /// @dev What was burnt after a statement was read: it still counts the reserves that this released.
    function _burntAfter(Burnt[] storage burnt, uint40 asOf) private view returns (uint256) {
        uint256 length = burnt.length;
        uint256 low = 0;
        uint256 high = length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (burnt[middle].second <= asOf) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low == length) return 0;
        unchecked {
            return burnt[length - 1].total - (low == 0 ? 0 : burnt[low - 1].total);
        }
    }

    function _checkReserves(TokenBook storage book, uint256 amount, uint256 supply) private view {
        ICurrencyToken.Attestation storage latest = book.latest;
        if (latest.sequence == 0) revert ICurrencyToken.TokenAttestationMissing();
        if (latest.validUntil < block.timestamp) {
            revert ICurrencyToken.TokenAttestationExpired(latest.sequence, latest.validUntil);
        }
        if (amount > TokenRules.less(latest.amount, supply)) {
            revert ICurrencyToken.TokenReservesExceeded(supply, amount, latest.amount);
        }
    }

    /// @dev Reserves are never attested backwards in time, nor for longer than a statement may last.
    function _checkTimes(TokenBook storage book, uint40 asOf, uint40 validUntil) private view {
        bool isTimely = book.latest.asOf <= asOf && asOf <= block.timestamp && block.timestamp < validUntil;
        if (!isTimely || validUntil - asOf > ATTESTATION_VALIDITY_MAX) {
            revert ICurrencyToken.TokenAttestationTime(asOf, validUntil);
        }
    }

    function _attesterOf(
        TokenBook storage book,
        bytes32 domainSeparator,
        ICurrencyToken.Attestation calldata attestation,
        bytes calldata signature
    ) private view returns (address) {
        // The members stand in the struct in the order of the type, each in a word of its own.
        bytes32 structHash = keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation));
        bytes32 digest = MessageHashUtils.toTypedDataHash(domainSeparator, structHash);
        (address attester, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        bool isKnown = fault == ECDSA.RecoverError.NoError
            && book.registry.kindOf(attester) == IParticipantRegistry.AccountKind.Attesting
            && book.registry.participantOf(attester) == book.issuer && book.registry.isAdmitted(attester);
        if (!isKnown) revert ICurrencyToken.TokenAttesterUnknown(attester);
        return attester;
    }
}
