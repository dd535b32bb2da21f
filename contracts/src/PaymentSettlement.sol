// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {IPaymentSettlement} from "./interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "./interfaces/ISettlementAsset.sol";
import {LiquidityRounds} from "./settlement/LiquidityRounds.sol";
import {PaymentEntry} from "./settlement/PaymentEntry.sol";
import {PaymentLegs} from "./settlement/PaymentLegs.sol";
import {PaymentQuotes} from "./settlement/PaymentQuotes.sol";
import {SettlementViews} from "./settlement/SettlementViews.sol";
import {
    AMOUNT_MAX,
    BilateralRecord,
    FLAG_BYPASSABLE,
    LEGS_MAX,
    LimitRecord,
    OPEN_PAYMENTS_MAX,
    PRIORITY_CLASSES,
    PaymentRecord,
    ResolvedLeg
} from "./settlement/SettlementBook.sol";

/// @title Payments between participants: instructed, accepted, then settled, all legs or none.
/// @notice Terms travel in calldata and events; storage keeps their hash, the state, the deadlines and who has accepted.
/// Guards are in a column in the order `docs/spec/settlement.md` gives; state changes before any call that moves money.
contract PaymentSettlement is
    SettlementViews,
    Initializable,
    AccessManagedUpgradeable,
    EIP712Upgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.PaymentSettlement")
{
    uint8 private constant TERMS_VERSION = 1;
    uint8 private constant KIND_PAYMENT = 0;
    uint8 private constant KIND_RETURN = 1;

    /// @dev The role liquidity of the registry.
    uint32 private constant ROLE_LIQUIDITY = 8;

    // Positions in `Terms`, reported by SettlementInvalidTerms.
    uint8 private constant TERMS_FIELD_VERSION = 0;
    uint8 private constant TERMS_FIELD_LEGS = 1;
    uint8 private constant TERMS_FIELD_MESSAGE_COMMITMENT = 2;
    uint8 private constant TERMS_FIELD_QUOTE_HASH = 4;
    uint8 private constant TERMS_FIELD_SETTLE_BY = 6;
    uint8 private constant TERMS_FIELD_NOT_BEFORE = 7;

    // Positions in the arguments of `instructReturn`, reported by SettlementInvalidReturn.
    uint8 private constant RETURN_FIELD_NUMBER = 1;
    uint8 private constant RETURN_FIELD_ORIGINAL = 2;
    uint8 private constant RETURN_FIELD_TERMS = 3;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets the authority, the registry and the first currencies.
    /// @param currencies ISO 4217 letters, in the order of `assets`.
    function initialize(
        address authority_,
        address registry_,
        bytes3[] calldata currencies,
        address[] calldata assets
    ) external initializer {
        __AccessManaged_init(authority_);
        __EIP712_init("Corridor PaymentSettlement", "1");
        _book.registry = IParticipantRegistry(registry_);
        if (currencies.length != assets.length) revert SettlementCurrencyUnknown(0);
        for (uint256 i = 0; i < currencies.length; ++i) {
            _addCurrency(currencies[i], assets[i]);
        }
    }

    /// @inheritdoc IPaymentSettlement
    function instruct(bytes32 uetrHash, Terms calldata terms) external returns (bytes32 paymentId) {
        bytes20 caller = _operatingParticipant();
        paymentId = _paymentIdOf(KIND_PAYMENT, caller, uetrHash, 0);
        _checkTerms(paymentId, terms, caller);
        if (terms.quoteHash != 0) revert SettlementInvalidTerms(TERMS_FIELD_QUOTE_HASH);
        ResolvedLeg[] memory legs = _ownLegs(paymentId, terms.legs, caller);

        // From here it must succeed.
        _record(paymentId, uetrHash, terms, caller, legs);
        PaymentEntry.consent(_book, paymentId, terms, legs, PaymentLegs.positionsOf(caller, legs));
    }

    /// @inheritdoc IPaymentSettlement
    function instructWithQuotes(bytes32 uetrHash, Terms calldata terms, SignedQuote[] calldata quotes)
        external
        returns (bytes32 paymentId)
    {
        bytes20 caller = _operatingParticipant();
        paymentId = _paymentIdOf(KIND_PAYMENT, caller, uetrHash, 0);
        _checkTerms(paymentId, terms, caller);
        if (quotes.length == 0 || terms.legs.length != quotes.length + 1) {
            revert SettlementInvalidTerms(TERMS_FIELD_LEGS);
        }
        ResolvedLeg[] memory legs = _ownLegs(paymentId, terms.legs, caller);
        bytes32[] memory hashes = PaymentQuotes.check(_book, _domainSeparatorV4(), caller, terms, quotes, legs);

        // From here it must succeed, unless nobody is left to accept and it is too early to settle.
        _record(paymentId, uetrHash, terms, caller, legs);
        uint16 positions = PaymentQuotes.hold(_book, paymentId, terms, quotes, hashes);
        PaymentEntry.consent(_book, paymentId, terms, legs, positions | PaymentLegs.positionsOf(caller, legs));
    }

    /// @inheritdoc IPaymentSettlement
    function instructReturn(bytes32 uetrHash, uint256 n, Terms calldata original, Terms calldata terms)
        external
        returns (bytes32 paymentId)
    {
        bytes20 caller = _operatingParticipant();
        paymentId = _paymentIdOf(KIND_RETURN, caller, uetrHash, n);
        if (n == 0) revert SettlementInvalidReturn(RETURN_FIELD_NUMBER);
        _checkTerms(paymentId, terms, caller);
        if (terms.legs.length != 1) revert SettlementInvalidTerms(TERMS_FIELD_LEGS);
        if (terms.quoteHash != 0) revert SettlementInvalidTerms(TERMS_FIELD_QUOTE_HASH);
        ResolvedLeg[] memory legs = _ownLegs(paymentId, terms.legs, caller);
        bytes32 originalId = _checkOriginal(uetrHash, original, terms.legs[0], legs[0]);

        // From here it must succeed.
        _book.originalOf[paymentId] = originalId;
        _book.returned[originalId][caller][terms.legs[0].currency] += terms.legs[0].amount;
        emit ReturnInstructed(paymentId, originalId);
        _record(paymentId, uetrHash, terms, caller, legs);
        PaymentEntry.consent(_book, paymentId, terms, legs, PaymentLegs.positionsOf(caller, legs));
    }

    /// @inheritdoc IPaymentSettlement
    function accept(bytes32 paymentId, Terms calldata terms, uint8 priority, uint16 flags) external {
        bytes20 caller = _operatingParticipant();
        PaymentRecord storage record = _recordBetween(paymentId, terms, State.Instructed, State.Instructed);
        _checkPreference(priority, flags);
        ResolvedLeg[] memory legs = PaymentLegs.resolve(_book, terms.legs, 0);
        uint16 missing = PaymentLegs.positionsOf(caller, legs) & ~record.accepted;
        if (missing == 0) revert SettlementCallerNotParty(paymentId, caller);
        if (block.timestamp > record.acceptBy) revert SettlementTooLate(paymentId, record.acceptBy);

        // From here it must succeed, unless it is too early for one that may not wait.
        PaymentEntry.prefer(record, _payersOf(missing), priority, flags);
        emit Accepted(paymentId, caller, record.accepted | missing);
        PaymentEntry.consent(_book, paymentId, terms, legs, missing);
    }

    /// @inheritdoc IPaymentSettlement
    function reject(bytes32 paymentId, Terms calldata terms, bytes32 reasonCommitment) external {
        bytes20 caller = _operatingParticipant();
        PaymentRecord storage record = _recordBetween(paymentId, terms, State.Instructed, State.Instructed);
        ResolvedLeg[] memory legs = PaymentLegs.resolve(_book, terms.legs, 0);
        if (PaymentLegs.positionsOf(caller, legs) & ~record.accepted == 0) {
            revert SettlementCallerNotParty(paymentId, caller);
        }

        // From here it must succeed.
        emit PaymentRejected(paymentId, caller, reasonCommitment);
        PaymentEntry.close(_book, paymentId, terms, legs, State.Rejected, Outcome.Rejected);
    }

    /// @inheritdoc IPaymentSettlement
    function withdraw(bytes32 paymentId, Terms calldata terms, bytes32 reasonCommitment) external {
        bytes20 caller = _operatingParticipant();
        PaymentRecord storage record = _recordBetween(paymentId, terms, State.Instructed, State.Queued);
        ResolvedLeg[] memory legs = PaymentLegs.resolve(_book, terms.legs, 0);
        uint8 paying = PaymentLegs.paidBy(caller, legs);
        bool isQueued = record.state == State.Queued;
        if (isQueued ? paying == 0 : legs[0].payer != caller) revert SettlementCallerNotParty(paymentId, caller);

        // From here it must succeed.
        uint8 withdrawals = record.withdrawals | paying;
        record.withdrawals = withdrawals;
        if (isQueued && withdrawals != uint8((uint256(1) << legs.length) - 1)) {
            emit WithdrawalAgreed(paymentId, caller);
            return;
        }
        emit PaymentCancelled(paymentId, Outcome.Withdrawn, reasonCommitment);
        PaymentEntry.close(_book, paymentId, terms, legs, State.Cancelled, Outcome.Withdrawn);
    }

    /// @inheritdoc IPaymentSettlement
    function expire(bytes32 paymentId, Terms calldata terms) external {
        PaymentRecord storage record = _recordBetween(paymentId, terms, State.Instructed, State.Queued);
        bool isQueued = record.state == State.Queued;
        uint40 deadline = isQueued ? record.settleBy : record.acceptBy;
        if (block.timestamp <= deadline) revert SettlementNotExpired(paymentId, deadline);

        // From here it must succeed.
        Outcome outcome = isQueued ? Outcome.ExpiredUnsettled : Outcome.ExpiredUnaccepted;
        emit PaymentExpired(paymentId, outcome);
        ResolvedLeg[] memory legs = PaymentLegs.resolve(_book, terms.legs, 0);
        PaymentEntry.close(_book, paymentId, terms, legs, State.Expired, outcome);
    }

    /// @inheritdoc IPaymentSettlement
    function prioritise(bytes32 paymentId, Terms calldata terms, uint8 priority) external {
        bytes20 caller = _operatingParticipant();
        _recordBetween(paymentId, terms, State.Queued, State.Queued);
        _checkPreference(priority, 0);
        ResolvedLeg[] memory legs = PaymentLegs.resolve(_book, terms.legs, 0);
        uint8 paying = PaymentLegs.paidBy(caller, legs);
        if (paying == 0) revert SettlementCallerNotParty(paymentId, caller);

        // From here it must succeed.
        PaymentEntry.prioritise(_book, paymentId, terms.legs, legs, paying, priority);
        emit PaymentPrioritised(paymentId, caller, priority);
    }

    /// @inheritdoc IPaymentSettlement
    function reassess(bytes32 paymentId, Terms calldata terms) external {
        PaymentRecord storage record = _recordBetween(paymentId, terms, State.Queued, State.Queued);
        ResolvedLeg[] memory legs = PaymentLegs.resolve(_book, terms.legs, record.enteredAt);

        // From here it must succeed.
        (bool isChanged, bool isSetAside) = PaymentEntry.reassess(_book, paymentId, terms.legs, legs);
        if (isChanged) emit PaymentSetAside(paymentId, isSetAside);
    }

    /// @inheritdoc IPaymentSettlement
    function resolve(Proposal calldata proposal) external returns (uint256 settled) {
        if (_book.isPaused) revert SettlementIsPaused();
        settled = LiquidityRounds.run(_book, proposal, new bool[](0));
        if (settled == 0) revert SettlementNothingToSettle();
    }

    /// @inheritdoc IPaymentSettlement
    function resolveSelected(Proposal calldata first, Proposal calldata second, bool[] calldata skipped)
        external
        returns (uint256 settled)
    {
        bytes20 caller = _operatingParticipant();
        if (!_book.registry.hasRole(caller, ROLE_LIQUIDITY)) revert SettlementCallerNotLiquidity(caller);
        if (_book.isPaused) revert SettlementIsPaused();
        settled = LiquidityRounds.run(_book, first, new bool[](0)) + LiquidityRounds.run(_book, second, skipped);
        if (settled == 0) revert SettlementNothingToSettle();
    }

    /// @inheritdoc IPaymentSettlement
    function cancelQuote(Quote calldata quote) external {
        PaymentQuotes.cancel(_book, _domainSeparatorV4(), quote);
    }

    /// @inheritdoc IPaymentSettlement
    function setLimits(bytes32 account, bytes3 currency, uint128 netMax, uint128 grossMax) external {
        address holder = _ownAccount(account, currency);
        if (netMax > AMOUNT_MAX || grossMax > AMOUNT_MAX) revert SettlementInvalidLimit(account, currency);

        // From here it must succeed.
        LimitRecord storage record = _book.limits[holder][currency];
        if (!record.isSet) (record.netUsed, record.grossUsed) = (0, 0);
        record.isSet = netMax < AMOUNT_MAX || grossMax < AMOUNT_MAX;
        (record.netMax, record.grossMax) = (netMax, grossMax);
        emit LimitsSet(holder, currency, netMax, grossMax);
    }

    /// @inheritdoc IPaymentSettlement
    function setBilateralLimit(bytes32 account, bytes3 currency, bytes20 counterparty, uint128 netMax) external {
        address holder = _ownAccount(account, currency);
        if (netMax > AMOUNT_MAX) revert SettlementInvalidLimit(account, currency);

        // From here it must succeed.
        BilateralRecord storage record = _book.bilateral[holder][currency][counterparty];
        bool isSet = netMax < AMOUNT_MAX;
        if (isSet && !record.isSet) {
            record.netUsed = 0;
            _book.limits[holder][currency].bilateralCount += 1;
        } else if (!isSet && record.isSet) {
            _book.limits[holder][currency].bilateralCount -= 1;
        }
        (record.isSet, record.netMax) = (isSet, netMax);
        emit BilateralLimitSet(holder, currency, counterparty, netMax);
    }

    /// @inheritdoc IPaymentSettlement
    function pause() external restricted {
        if (_book.isPaused) revert SettlementIsPaused();
        _book.isPaused = true;
        emit SettlementPaused();
    }

    /// @inheritdoc IPaymentSettlement
    function unpause() external restricted {
        if (!_book.isPaused) revert SettlementNotPaused();
        _book.isPaused = false;
        emit SettlementUnpaused();
    }

    /// @inheritdoc IPaymentSettlement
    function addCurrency(bytes3 currency, address asset) external restricted {
        _addCurrency(currency, asset);
    }

    /// @inheritdoc IPaymentSettlement
    function paymentIdOf(uint8 kind, bytes20 participant, bytes32 uetrHash, uint256 n)
        external
        pure
        returns (bytes32)
    {
        return _paymentIdOf(kind, participant, uetrHash, n);
    }

    /// @inheritdoc IPaymentSettlement
    function quoteHashOf(Quote calldata quote) external view returns (bytes32) {
        return PaymentQuotes.hashOf(_domainSeparatorV4(), quote);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _addCurrency(bytes3 currency, address asset) private {
        if (currency == 0 || asset == address(0)) revert SettlementCurrencyUnknown(currency);
        if (address(_book.assets[currency]) != address(0)) revert SettlementCurrencyExists(currency);
        _book.assets[currency] = ISettlementAsset(asset);
        emit CurrencyAdded(currency, asset);
    }

    function _record(
        bytes32 paymentId,
        bytes32 uetrHash,
        Terms calldata terms,
        bytes20 caller,
        ResolvedLeg[] memory legs
    ) private {
        PaymentRecord storage record = _book.payments[paymentId];
        record.termsHash = _termsHashOf(terms);
        record.state = State.Instructed;
        record.acceptBy = terms.acceptBy;
        record.settleBy = terms.settleBy;
        record.notBefore = terms.notBefore;
        _book.openPayments[caller] += 1;
        PaymentEntry.prefer(record, PaymentLegs.paidBy(caller, legs), terms.priority, terms.flags);
        emit Instructed(paymentId, caller, uetrHash, terms);
    }

    function _operatingParticipant() private view returns (bytes20) {
        if (
            _book.registry.kindOf(msg.sender) != IParticipantRegistry.AccountKind.Operating
                || !_book.registry.isAdmitted(msg.sender)
        ) revert SettlementCallerNotOperating(msg.sender);
        return _book.registry.participantOf(msg.sender);
    }

    /// @dev A settlement account of the caller's participant, in a known currency.
    function _ownAccount(bytes32 accountReference, bytes3 currency) private view returns (address) {
        bytes20 caller = _operatingParticipant();
        IParticipantRegistry.Account memory account = _book.registry.accountOf(accountReference);
        bool isOwn = account.lei == caller && account.kind == IParticipantRegistry.AccountKind.Settlement;
        if (!isOwn || address(_book.assets[currency]) == address(0)) {
            revert SettlementInvalidLimit(accountReference, currency);
        }
        return account.account;
    }

    /// @dev A payment between two states that was instructed with these terms.
    function _recordBetween(bytes32 paymentId, Terms calldata terms, State lowest, State highest)
        private
        view
        returns (PaymentRecord storage record)
    {
        record = _book.payments[paymentId];
        if (record.state < lowest || record.state > highest) {
            revert SettlementUnexpectedState(paymentId, record.state);
        }
        bytes32 termsHash = _termsHashOf(terms);
        if (termsHash != record.termsHash) revert SettlementTermsMismatch(paymentId, termsHash);
    }

    function _checkTerms(bytes32 paymentId, Terms calldata terms, bytes20 caller) private view {
        if (_book.isPaused) revert SettlementIsPaused();
        if (_book.payments[paymentId].state != State.None) revert SettlementPaymentExists(paymentId);
        if (terms.version != TERMS_VERSION) revert SettlementInvalidTerms(TERMS_FIELD_VERSION);
        if (terms.legs.length == 0 || terms.legs.length > LEGS_MAX) revert SettlementInvalidTerms(TERMS_FIELD_LEGS);
        if (terms.messageCommitment == 0) revert SettlementInvalidTerms(TERMS_FIELD_MESSAGE_COMMITMENT);
        if (terms.settleBy < terms.acceptBy) revert SettlementInvalidTerms(TERMS_FIELD_SETTLE_BY);
        if (terms.notBefore > terms.settleBy) revert SettlementInvalidTerms(TERMS_FIELD_NOT_BEFORE);
        _checkPreference(terms.priority, terms.flags);
        if (block.timestamp > terms.acceptBy) revert SettlementTooLate(paymentId, terms.acceptBy);
        if (_book.openPayments[caller] >= OPEN_PAYMENTS_MAX) revert SettlementTooManyOpen(caller, OPEN_PAYMENTS_MAX);
    }

    /// @dev The legs of an instruction, of which the caller's participant pays the first.
    function _ownLegs(bytes32 paymentId, Leg[] calldata terms, bytes20 caller)
        private
        view
        returns (ResolvedLeg[] memory legs)
    {
        legs = PaymentLegs.resolve(_book, terms, 0);
        if (legs[0].payer != caller) revert SettlementCallerNotParty(paymentId, caller);
    }

    /// @dev The original settled, paid the caller, and was paid by who gets it back; returns never exceed what it paid.
    function _checkOriginal(
        bytes32 uetrHash,
        Terms calldata original,
        Leg calldata leg,
        ResolvedLeg memory parties
    ) private view returns (bytes32 originalId) {
        ResolvedLeg[] memory paid = PaymentLegs.resolve(_book, original.legs, 0);
        if (paid.length == 0) revert SettlementInvalidReturn(RETURN_FIELD_ORIGINAL);
        originalId = _paymentIdOf(KIND_PAYMENT, paid[0].payer, uetrHash, 0);
        _recordBetween(originalId, original, State.Settled, State.Settled);
        uint256 received = 0;
        for (uint256 i = 0; i < paid.length; ++i) {
            if (paid[i].payee == parties.payer && original.legs[i].currency == leg.currency) {
                received += original.legs[i].amount;
            }
        }
        if (PaymentLegs.paidBy(parties.payee, paid) == 0) revert SettlementInvalidReturn(RETURN_FIELD_TERMS);
        uint256 returned = _book.returned[originalId][parties.payer][leg.currency];
        uint256 left = received > returned ? received - returned : 0;
        if (leg.amount > left) revert SettlementReturnExceeded(originalId, leg.currency, left);
    }

    function _checkPreference(uint8 priority, uint16 flags) private pure {
        if (priority >= PRIORITY_CLASSES) revert SettlementInvalidPriority(priority);
        if (flags & ~FLAG_BYPASSABLE != 0) revert SettlementInvalidFlags(flags);
    }

    /// @dev One bit for each leg whose payer is among `positions`.
    function _payersOf(uint16 positions) private pure returns (uint8 paying) {
        for (uint256 i = 0; i < LEGS_MAX; ++i) {
            if (positions & (1 << (2 * i)) != 0) paying |= uint8(1 << i);
        }
    }

    function _termsHashOf(Terms calldata terms) private pure returns (bytes32) {
        return keccak256(abi.encode(terms));
    }

    function _paymentIdOf(uint8 kind, bytes20 participant, bytes32 uetrHash, uint256 n)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(kind, participant, uetrHash, n));
    }
}
