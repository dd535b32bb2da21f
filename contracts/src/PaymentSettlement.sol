// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {IPaymentSettlement} from "./interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "./interfaces/ISettlementAsset.sol";

/// @title Payments between participants: instructed, accepted, then settled, all legs or none.
/// @notice Terms travel in calldata and events; storage keeps their hash, the state, the deadlines and who has accepted.
/// Guards are in a column in the order `docs/spec/settlement.md` gives; state changes before any call that moves money.
contract PaymentSettlement is
    IPaymentSettlement,
    Initializable,
    AccessManagedUpgradeable,
    EIP712Upgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.PaymentSettlement")
{
    /// @dev Append only.
    struct PaymentRecord {
        bytes32 termsHash;
        State state;
        Outcome outcome;
        uint16 accepted;
        uint40 acceptBy;
        uint40 settleBy;
        uint40 notBefore;
    }

    /// @dev The participants and accounts behind one leg, as the registry has them now.
    struct ResolvedLeg {
        ISettlementAsset asset;
        address from;
        address to;
        bytes20 payer;
        bytes20 payee;
    }

    bytes32 private constant QUOTE_TYPEHASH = keccak256(
        "Quote(bytes20 maker,bytes20 taker,bytes32 makerFrom,bytes32 makerTo,bytes3 makerCurrency,uint256 makerAmount,"
        "bytes3 takerCurrency,uint256 takerAmount,uint256 smallestFill,uint40 validUntil,uint40 settleBy,"
        "uint8 priority,bool mayQueue,bytes32 salt)"
    );
    uint8 private constant TERMS_VERSION = 1;
    uint8 private constant KIND_PAYMENT = 0;
    uint16 private constant ALL_OF_ONE_LEG = 3;
    uint16 private constant ALL_OF_TWO_LEGS = 15;

    // Positions in `Terms`, reported by SettlementInvalidTerms.
    uint8 private constant TERMS_FIELD_VERSION = 0;
    uint8 private constant TERMS_FIELD_LEGS = 1;
    uint8 private constant TERMS_FIELD_MESSAGE_COMMITMENT = 2;
    uint8 private constant TERMS_FIELD_QUOTE_HASH = 4;
    uint8 private constant TERMS_FIELD_SETTLE_BY = 6;
    uint8 private constant TERMS_FIELD_NOT_BEFORE = 7;
    uint8 private constant TERMS_FIELD_FLAGS = 9;

    // Positions in `Quote`, reported by SettlementQuoteMismatch.
    uint8 private constant QUOTE_FIELD_MAKER = 0;
    uint8 private constant QUOTE_FIELD_TAKER = 1;
    uint8 private constant QUOTE_FIELD_MAKER_FROM = 2;
    uint8 private constant QUOTE_FIELD_MAKER_TO = 3;
    uint8 private constant QUOTE_FIELD_MAKER_CURRENCY = 4;
    uint8 private constant QUOTE_FIELD_MAKER_AMOUNT = 5;
    uint8 private constant QUOTE_FIELD_TAKER_CURRENCY = 6;
    uint8 private constant QUOTE_FIELD_TAKER_AMOUNT = 7;
    uint8 private constant QUOTE_FIELD_SMALLEST_FILL = 8;
    uint8 private constant QUOTE_FIELD_SETTLE_BY = 10;

    IParticipantRegistry private _registry;
    mapping(bytes3 currency => ISettlementAsset) private _assets;
    mapping(bytes32 paymentId => PaymentRecord) private _payments;
    mapping(bytes32 quoteHash => bytes32 paymentId) private _paymentByQuote;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @param currencies ISO 4217 letters, in the order of `assets`.
    function initialize(
        address authority_,
        address registry_,
        bytes3[] calldata currencies,
        address[] calldata assets
    ) external initializer {
        __AccessManaged_init(authority_);
        __EIP712_init("Corridor PaymentSettlement", "1");
        _registry = IParticipantRegistry(registry_);
        if (currencies.length != assets.length) revert SettlementCurrencyUnknown(0);
        for (uint256 i = 0; i < currencies.length; ++i) {
            _addCurrency(currencies[i], assets[i]);
        }
    }

    /// @inheritdoc IPaymentSettlement
    function addCurrency(bytes3 currency, address asset) external restricted {
        _addCurrency(currency, asset);
    }

    /// @inheritdoc IPaymentSettlement
    function instruct(bytes32 uetrHash, Terms calldata terms) external returns (bytes32 paymentId) {
        bytes20 caller = _operatingParticipant();
        paymentId = _paymentIdOf(caller, uetrHash);
        _checkTerms(paymentId, terms);
        if (terms.legs.length != 1) revert SettlementInvalidTerms(TERMS_FIELD_LEGS);
        if (terms.quoteHash != 0) revert SettlementInvalidTerms(TERMS_FIELD_QUOTE_HASH);
        ResolvedLeg[] memory legs = _resolve(terms.legs);
        if (legs[0].payer != caller) revert SettlementCallerNotParty(paymentId, caller);

        // From here it must succeed.
        _record(paymentId, uetrHash, terms, caller);
        _consent(paymentId, terms, legs, _positionsOf(caller, legs));
    }

    /// @inheritdoc IPaymentSettlement
    function instructWithQuote(
        bytes32 uetrHash,
        Terms calldata terms,
        Quote calldata quote,
        bytes calldata signature
    ) external returns (bytes32 paymentId) {
        bytes20 caller = _operatingParticipant();
        paymentId = _paymentIdOf(caller, uetrHash);
        _checkTerms(paymentId, terms);
        if (terms.legs.length != 2) revert SettlementInvalidTerms(TERMS_FIELD_LEGS);
        if (terms.quoteHash == 0 || terms.quoteHash != _quoteHashOf(quote)) {
            revert SettlementInvalidTerms(TERMS_FIELD_QUOTE_HASH);
        }
        ResolvedLeg[] memory legs = _resolve(terms.legs);
        if (legs[0].payer != caller) revert SettlementCallerNotParty(paymentId, caller);
        _checkQuote(terms, quote, caller, legs);
        _checkQuoteSigner(terms.quoteHash, quote.maker, signature);
        bytes32 holder = _quoteHolder(terms.quoteHash);
        if (holder != 0) revert SettlementQuoteUsed(terms.quoteHash, holder);

        // From here it must succeed, unless nobody is left to accept and it is too early to settle.
        _paymentByQuote[terms.quoteHash] = paymentId;
        _record(paymentId, uetrHash, terms, caller);
        _consent(paymentId, terms, legs, _positionsOf(caller, legs) | _positionsOf(quote.maker, legs));
    }

    /// @inheritdoc IPaymentSettlement
    function accept(bytes32 paymentId, Terms calldata terms) external {
        bytes20 caller = _operatingParticipant();
        PaymentRecord storage record = _liveRecord(paymentId);
        _checkTermsHash(paymentId, record, terms);
        ResolvedLeg[] memory legs = _resolve(terms.legs);
        uint16 missing = _positionsOf(caller, legs) & ~record.accepted;
        if (missing == 0) revert SettlementCallerNotParty(paymentId, caller);
        if (block.timestamp < record.notBefore) revert SettlementTooEarly(paymentId, record.notBefore);
        if (block.timestamp > record.acceptBy) revert SettlementTooLate(paymentId, record.acceptBy);

        // From here it must succeed.
        emit Accepted(paymentId, caller, record.accepted | missing);
        _consent(paymentId, terms, legs, missing);
    }

    /// @inheritdoc IPaymentSettlement
    function reject(bytes32 paymentId, Terms calldata terms, bytes32 reasonCommitment) external {
        bytes20 caller = _operatingParticipant();
        PaymentRecord storage record = _liveRecord(paymentId);
        _checkTermsHash(paymentId, record, terms);
        ResolvedLeg[] memory legs = _resolve(terms.legs);
        if (_positionsOf(caller, legs) & ~record.accepted == 0) revert SettlementCallerNotParty(paymentId, caller);

        // From here it must succeed.
        _end(record, State.Rejected, Outcome.Rejected);
        emit PaymentRejected(paymentId, caller, reasonCommitment);
    }

    /// @inheritdoc IPaymentSettlement
    function withdraw(bytes32 paymentId, bytes32 uetrHash, bytes32 reasonCommitment) external {
        bytes20 caller = _operatingParticipant();
        PaymentRecord storage record = _liveRecord(paymentId);
        if (_paymentIdOf(caller, uetrHash) != paymentId) revert SettlementCallerNotParty(paymentId, caller);

        // From here it must succeed.
        _end(record, State.Cancelled, Outcome.Withdrawn);
        emit PaymentCancelled(paymentId, Outcome.Withdrawn, reasonCommitment);
    }

    /// @inheritdoc IPaymentSettlement
    function expire(bytes32 paymentId) external {
        PaymentRecord storage record = _liveRecord(paymentId);
        if (block.timestamp <= record.acceptBy) revert SettlementNotExpired(paymentId, record.acceptBy);

        // From here it must succeed.
        _end(record, State.Expired, Outcome.Expired);
        emit PaymentExpired(paymentId);
    }

    /// @inheritdoc IPaymentSettlement
    function payment(bytes32 paymentId) external view returns (Payment memory) {
        PaymentRecord storage record = _payments[paymentId];
        return Payment({
            termsHash: record.termsHash,
            state: record.state,
            outcome: record.outcome,
            accepted: record.accepted,
            acceptBy: record.acceptBy,
            settleBy: record.settleBy,
            notBefore: record.notBefore
        });
    }

    /// @inheritdoc IPaymentSettlement
    function paymentIdOf(bytes20 participant, bytes32 uetrHash) external pure returns (bytes32) {
        return _paymentIdOf(participant, uetrHash);
    }

    /// @inheritdoc IPaymentSettlement
    function quoteHashOf(Quote calldata quote) external view returns (bytes32) {
        return _quoteHashOf(quote);
    }

    /// @inheritdoc IPaymentSettlement
    function quoteHolder(bytes32 quoteHash) external view returns (bytes32 paymentId) {
        return _quoteHolder(quoteHash);
    }

    /// @inheritdoc IPaymentSettlement
    function assetOf(bytes3 currency) external view returns (address) {
        return address(_assets[currency]);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _addCurrency(bytes3 currency, address asset) private {
        if (currency == 0 || asset == address(0)) revert SettlementCurrencyUnknown(currency);
        if (address(_assets[currency]) != address(0)) revert SettlementCurrencyExists(currency);
        _assets[currency] = ISettlementAsset(asset);
        emit CurrencyAdded(currency, asset);
    }

    function _record(bytes32 paymentId, bytes32 uetrHash, Terms calldata terms, bytes20 caller) private {
        _payments[paymentId] = PaymentRecord({
            termsHash: _termsHashOf(terms),
            state: State.Instructed,
            outcome: Outcome.None,
            accepted: 0,
            acceptBy: terms.acceptBy,
            settleBy: terms.settleBy,
            notBefore: terms.notBefore
        });
        emit Instructed(paymentId, caller, uetrHash, terms);
    }

    /// @dev Adds consent; with the last one the payment settles whole, or ends for want of money.
    function _consent(bytes32 paymentId, Terms calldata terms, ResolvedLeg[] memory legs, uint16 positions) private {
        PaymentRecord storage record = _payments[paymentId];
        uint16 accepted = record.accepted | positions;
        record.accepted = accepted;
        if (accepted != (legs.length == 1 ? ALL_OF_ONE_LEG : ALL_OF_TWO_LEGS)) return;
        // Reached before `notBefore` only by a payment that its own instruction completes.
        if (block.timestamp < record.notBefore) revert SettlementTooEarly(paymentId, record.notBefore);

        if (!_canSettle(terms.legs, legs)) {
            _end(record, State.Cancelled, Outcome.NoLiquidity);
            emit PaymentCancelled(paymentId, Outcome.NoLiquidity, 0);
            return;
        }
        _end(record, State.Settled, Outcome.Settled);
        emit PaymentSettled(paymentId, record.termsHash);
        for (uint256 i = 0; i < legs.length; ++i) {
            legs[i].asset.settle(paymentId, legs[i].from, legs[i].to, terms.legs[i].amount, "");
        }
    }

    function _end(PaymentRecord storage record, State state, Outcome outcome) private {
        record.state = state;
        record.outcome = outcome;
    }

    function _operatingParticipant() private view returns (bytes20) {
        if (
            _registry.kindOf(msg.sender) != IParticipantRegistry.AccountKind.Operating
                || !_registry.isAdmitted(msg.sender)
        ) revert SettlementCallerNotOperating(msg.sender);
        return _registry.participantOf(msg.sender);
    }

    function _liveRecord(bytes32 paymentId) private view returns (PaymentRecord storage record) {
        record = _payments[paymentId];
        if (record.state != State.Instructed) revert SettlementUnexpectedState(paymentId, record.state);
    }

    function _checkTerms(bytes32 paymentId, Terms calldata terms) private view {
        if (_payments[paymentId].state != State.None) revert SettlementPaymentExists(paymentId);
        if (terms.version != TERMS_VERSION) revert SettlementInvalidTerms(TERMS_FIELD_VERSION);
        if (terms.messageCommitment == 0) revert SettlementInvalidTerms(TERMS_FIELD_MESSAGE_COMMITMENT);
        if (terms.flags != 0) revert SettlementInvalidTerms(TERMS_FIELD_FLAGS);
        if (terms.settleBy < terms.acceptBy) revert SettlementInvalidTerms(TERMS_FIELD_SETTLE_BY);
        if (terms.notBefore > terms.acceptBy) revert SettlementInvalidTerms(TERMS_FIELD_NOT_BEFORE);
        if (block.timestamp > terms.acceptBy) revert SettlementTooLate(paymentId, terms.acceptBy);
    }

    function _checkTermsHash(bytes32 paymentId, PaymentRecord storage record, Terms calldata terms) private view {
        bytes32 termsHash = _termsHashOf(terms);
        if (termsHash != record.termsHash) revert SettlementTermsMismatch(paymentId, termsHash);
    }

    /// @dev Every leg moves a positive amount of a known currency between settlement accounts of two participants.
    function _resolve(Leg[] calldata legs) private view returns (ResolvedLeg[] memory resolved) {
        resolved = new ResolvedLeg[](legs.length);
        for (uint256 i = 0; i < legs.length; ++i) {
            Leg calldata leg = legs[i];
            ISettlementAsset asset = _assets[leg.currency];
            if (address(asset) == address(0)) revert SettlementCurrencyUnknown(leg.currency);
            IParticipantRegistry.Account memory from = _registry.accountOf(leg.from);
            IParticipantRegistry.Account memory to = _registry.accountOf(leg.to);
            bool isValid = leg.amount > 0 && from.kind == IParticipantRegistry.AccountKind.Settlement
                && to.kind == IParticipantRegistry.AccountKind.Settlement && from.lei != to.lei;
            if (!isValid) revert SettlementInvalidLeg(i);
            resolved[i] = ResolvedLeg({
                asset: asset,
                from: from.account,
                to: to.account,
                payer: from.lei,
                payee: to.lei
            });
        }
    }

    function _checkQuote(Terms calldata terms, Quote calldata quote, bytes20 caller, ResolvedLeg[] memory legs)
        private
        view
    {
        Leg calldata taking = terms.legs[0];
        Leg calldata making = terms.legs[1];
        if (quote.taker != caller) revert SettlementQuoteMismatch(QUOTE_FIELD_TAKER);
        if (legs[0].payee != quote.maker || legs[1].payer != quote.maker) {
            revert SettlementQuoteMismatch(QUOTE_FIELD_MAKER);
        }
        if (making.from != quote.makerFrom) revert SettlementQuoteMismatch(QUOTE_FIELD_MAKER_FROM);
        if (taking.to != quote.makerTo) revert SettlementQuoteMismatch(QUOTE_FIELD_MAKER_TO);
        if (making.currency != quote.makerCurrency) revert SettlementQuoteMismatch(QUOTE_FIELD_MAKER_CURRENCY);
        if (making.amount != quote.makerAmount) revert SettlementQuoteMismatch(QUOTE_FIELD_MAKER_AMOUNT);
        if (taking.currency != quote.takerCurrency) revert SettlementQuoteMismatch(QUOTE_FIELD_TAKER_CURRENCY);
        if (taking.amount != quote.takerAmount) revert SettlementQuoteMismatch(QUOTE_FIELD_TAKER_AMOUNT);
        if (making.currency == taking.currency) revert SettlementInvalidLeg(1);
        if (quote.smallestFill != quote.makerAmount) revert SettlementQuoteMismatch(QUOTE_FIELD_SMALLEST_FILL);
        if (terms.settleBy > quote.settleBy) revert SettlementQuoteMismatch(QUOTE_FIELD_SETTLE_BY);
        if (block.timestamp > quote.validUntil) revert SettlementQuoteExpired(terms.quoteHash, quote.validUntil);
    }

    /// @dev The quote's hash is the digest that was signed, so it names this chain and this contract.
    function _checkQuoteSigner(bytes32 quoteHash, bytes20 maker, bytes calldata signature) private view {
        (address signer, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(quoteHash, signature);
        bool isKnown = fault == ECDSA.RecoverError.NoError
            && _registry.kindOf(signer) == IParticipantRegistry.AccountKind.Quoting
            && _registry.participantOf(signer) == maker && _registry.isAdmitted(signer);
        if (!isKnown) revert SettlementQuoteSignerUnknown(signer);
    }

    /// @dev Exact for one or two legs, since two legs are never in one currency.
    function _canSettle(Leg[] calldata terms, ResolvedLeg[] memory legs) private view returns (bool) {
        for (uint256 i = 0; i < legs.length; ++i) {
            if (!legs[i].asset.canSettle(legs[i].from, legs[i].to, terms[i].amount, "")) return false;
        }
        return true;
    }

    /// @dev A payment that ended without settling frees its quote; nothing has to be cleared for that.
    function _quoteHolder(bytes32 quoteHash) private view returns (bytes32 paymentId) {
        paymentId = _paymentByQuote[quoteHash];
        State state = _payments[paymentId].state;
        bool isHeld = state == State.Instructed || state == State.Queued || state == State.Settled;
        return isHeld ? paymentId : bytes32(0);
    }

    function _quoteHashOf(Quote calldata quote) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(QUOTE_TYPEHASH, quote)));
    }

    /// @dev Bit 2i is the payer of leg i, bit 2i + 1 its payee.
    function _positionsOf(bytes20 participant, ResolvedLeg[] memory legs) private pure returns (uint16 positions) {
        for (uint256 i = 0; i < legs.length; ++i) {
            if (legs[i].payer == participant) positions |= uint16(1 << (2 * i));
            if (legs[i].payee == participant) positions |= uint16(2 << (2 * i));
        }
    }

    function _termsHashOf(Terms calldata terms) private pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    function _paymentIdOf(bytes20 participant, bytes32 uetrHash) private pure returns (bytes32) {
        return keccak256(abi.encode(KIND_PAYMENT, participant, uetrHash, uint256(0)));
    }
}
