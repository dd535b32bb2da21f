// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {
    Book,
    MARK_NO_WAITING,
    PRIORITY_CLASSES,
    PaymentRecord,
    QuoteRecord,
    ResolvedLeg
} from "./SettlementBook.sol";

/// @title Firm FX quotes: checked against the legs they make, and held by the payments instructed on them.
/// @notice Part of PaymentSettlement under an address of its own.
library PaymentQuotes {
    bytes32 private constant QUOTE_TYPEHASH = keccak256(
        "Quote(bytes20 maker,bytes20 taker,bytes32 makerFrom,bytes32 makerTo,bytes3 makerCurrency,uint256 makerAmount,"
        "bytes3 takerCurrency,uint256 takerAmount,uint256 smallestFill,uint40 validUntil,uint40 settleBy,"
        "uint8 priority,bool mayQueue,bytes32 salt)"
    );

    // Positions in `Quote`, reported by SettlementQuoteMismatch.
    uint8 private constant FIELD_MAKER = 0;
    uint8 private constant FIELD_TAKER = 1;
    uint8 private constant FIELD_MAKER_FROM = 2;
    uint8 private constant FIELD_MAKER_TO = 3;
    uint8 private constant FIELD_MAKER_CURRENCY = 4;
    uint8 private constant FIELD_MAKER_AMOUNT = 5;
    uint8 private constant FIELD_TAKER_CURRENCY = 6;
    uint8 private constant FIELD_TAKER_AMOUNT = 7;
    uint8 private constant FIELD_SMALLEST_FILL = 8;
    uint8 private constant FIELD_SETTLE_BY = 10;
    uint8 private constant FIELD_PRIORITY = 11;

    // Position in `Terms`, reported by SettlementInvalidTerms.
    uint8 private constant TERMS_FIELD_QUOTE_HASH = 4;

    /// @dev Checks the quotes of a payment, leg by leg, against this chain's domain; changes nothing.
    /// @return hashes One for each quote.
    function check(
        Book storage book,
        bytes32 domainSeparator,
        bytes20 taker,
        IPaymentSettlement.Terms calldata terms,
        IPaymentSettlement.SignedQuote[] calldata quotes,
        ResolvedLeg[] memory legs
    ) external view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](quotes.length);
        for (uint256 i = 0; i < quotes.length; ++i) {
            hashes[i] = _hashOf(domainSeparator, quotes[i].quote);
        }
        if (terms.quoteHash != hashOfAll(hashes)) {
            revert IPaymentSettlement.SettlementInvalidTerms(TERMS_FIELD_QUOTE_HASH);
        }
        for (uint256 i = 0; i < quotes.length; ++i) {
            IPaymentSettlement.Quote calldata quote = quotes[i].quote;
            if (quote.taker != taker) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_TAKER);
            if (quote.maker == taker) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_MAKER);
            _checkOnce(hashes, i);
            _checkLegs(quote, terms.legs[i], terms.legs[i + 1], legs[i], legs[i + 1]);
            if (terms.legs[i].currency == terms.legs[i + 1].currency) {
                revert IPaymentSettlement.SettlementInvalidLeg(i + 1);
            }
            _checkAmounts(book.quotes[hashes[i]], hashes[i], quote, terms.legs[i].amount, terms.legs[i + 1].amount);
            if (quote.priority >= PRIORITY_CLASSES) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_PRIORITY);
            if (terms.settleBy > quote.settleBy) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_SETTLE_BY);
            if (block.timestamp > quote.validUntil) {
                revert IPaymentSettlement.SettlementQuoteExpired(hashes[i], quote.validUntil);
            }
            _checkSigner(book, hashes[i], quotes[i]);
        }
    }

    /// @dev Holds what a payment takes of its quotes, and records the makers' priorities.
    /// @return positions Those that the quotes speak of: a maker that receives the last leg has not consented to that.
    function hold(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        IPaymentSettlement.SignedQuote[] calldata quotes,
        bytes32[] memory hashes
    ) external returns (uint16 positions) {
        PaymentRecord storage record = book.payments[paymentId];
        uint16 priorities = record.priorities;
        for (uint256 i = 0; i < quotes.length; ++i) {
            IPaymentSettlement.Quote calldata quote = quotes[i].quote;
            book.quotes[hashes[i]].used += uint128(terms.legs[i + 1].amount);
            // Payee of leg i, payer of leg i + 1.
            positions |= uint16(6 << (2 * i));
            priorities |= uint16(uint256(quote.priority) << (2 * (i + 1)));
            if (!quote.mayQueue) record.marks |= MARK_NO_WAITING;
        }
        record.priorities = priorities;
        if (quotes.length > 1) book.quotesOf[paymentId] = hashes;
    }

    /// @dev Ends a quote for payments to come.
    function cancel(Book storage book, bytes32 domainSeparator, IPaymentSettlement.Quote calldata quote) external {
        bool isMaker = book.registry.participantOf(msg.sender) == quote.maker && book.registry.isAdmitted(msg.sender);
        IParticipantRegistry.AccountKind kind = book.registry.kindOf(msg.sender);
        bool mayCancel = kind == IParticipantRegistry.AccountKind.Operating
            || kind == IParticipantRegistry.AccountKind.Quoting;
        if (!isMaker || !mayCancel) revert IPaymentSettlement.SettlementQuoteSignerUnknown(msg.sender);
        bytes32 quoteHash = _hashOf(domainSeparator, quote);
        book.quotes[quoteHash].isCancelled = true;
        emit IPaymentSettlement.QuoteCancelled(quoteHash, quote.maker);
    }

    /// @dev The EIP-712 digest of a quote.
    function hashOf(bytes32 domainSeparator, IPaymentSettlement.Quote calldata quote) external pure returns (bytes32) {
        return _hashOf(domainSeparator, quote);
    }

    /// @dev What names the quotes of a payment in its terms: the hash of the one, or the hash of all.
    function hashOfAll(bytes32[] memory hashes) internal pure returns (bytes32) {
        return hashes.length == 1 ? hashes[0] : keccak256(abi.encodePacked(hashes));
    }

    function _hashOf(bytes32 domainSeparator, IPaymentSettlement.Quote calldata quote) private pure returns (bytes32) {
        bytes32 content = keccak256(abi.encode(QUOTE_TYPEHASH, quote));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, content));
    }

    function _checkOnce(bytes32[] memory hashes, uint256 i) private pure {
        for (uint256 j = 0; j < i; ++j) {
            if (hashes[j] == hashes[i]) revert IPaymentSettlement.SettlementQuoteUsed(hashes[i], 0);
        }
    }

    function _checkLegs(
        IPaymentSettlement.Quote calldata quote,
        IPaymentSettlement.Leg calldata taking,
        IPaymentSettlement.Leg calldata making,
        ResolvedLeg memory takingParties,
        ResolvedLeg memory makingParties
    ) private pure {
        if (takingParties.payee != quote.maker || makingParties.payer != quote.maker) {
            revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_MAKER);
        }
        if (making.from != quote.makerFrom) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_MAKER_FROM);
        if (taking.to != quote.makerTo) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_MAKER_TO);
        if (making.currency != quote.makerCurrency) {
            revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_MAKER_CURRENCY);
        }
        if (taking.currency != quote.takerCurrency) {
            revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_TAKER_CURRENCY);
        }
    }

    /// @dev A part takes its share of the taker's amount, rounded up: in the maker's favour.
    function _checkAmounts(
        QuoteRecord storage record,
        bytes32 quoteHash,
        IPaymentSettlement.Quote calldata quote,
        uint256 taken,
        uint256 made
    ) private view {
        if (quote.makerAmount == 0 || quote.makerAmount > type(uint128).max || made > quote.makerAmount) {
            revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_MAKER_AMOUNT);
        }
        if (quote.takerAmount > type(uint128).max) {
            revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_TAKER_AMOUNT);
        }
        if (record.isCancelled) revert IPaymentSettlement.SettlementQuoteIsCancelled(quoteHash);
        uint256 left = quote.makerAmount - record.used;
        if (made > left) revert IPaymentSettlement.SettlementQuoteUsed(quoteHash, left);
        if (made < quote.smallestFill && made != left) {
            revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_SMALLEST_FILL);
        }
        uint256 share = (made * quote.takerAmount + quote.makerAmount - 1) / quote.makerAmount;
        if (taken != share) revert IPaymentSettlement.SettlementQuoteMismatch(FIELD_TAKER_AMOUNT);
    }

    /// @dev The quote's hash is the digest that was signed, so it names this chain and this contract.
    function _checkSigner(Book storage book, bytes32 quoteHash, IPaymentSettlement.SignedQuote calldata signed)
        private
        view
    {
        address signer = signed.signer;
        bool isKnown = book.registry.kindOf(signer) == IParticipantRegistry.AccountKind.Quoting
            && book.registry.participantOf(signer) == signed.quote.maker && book.registry.isAdmitted(signer)
            && SignatureChecker.isValidSignatureNowCalldata(signer, quoteHash, signed.signature);
        if (!isKnown) revert IPaymentSettlement.SettlementQuoteSignerUnknown(signer);
    }
}
