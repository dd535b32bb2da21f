// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlementQueues} from "./ISettlementQueues.sol";

/// @title Payments between participants: instructed, accepted, then settled, all legs or none.
/// @notice What cannot settle at acceptance waits in the queues of its payers; anyone may settle together what the
/// money there is covers (`resolve`), and the contract checks that order is kept and that it is covered.
interface IPaymentSettlement is ISettlementQueues {
    enum State {
        None,
        Instructed,
        Queued,
        Settled,
        Rejected,
        Cancelled,
        Expired
    }

    /// @notice Coarse outcome of a payment; the ISO reason travels sealed. `ExpiredUnaccepted`: nobody accepted in time.
    /// `ExpiredUnsettled`: it was accepted, and money did not come in time.
    enum Outcome {
        None,
        Settled,
        Rejected,
        Withdrawn,
        NoLiquidity,
        ExpiredUnaccepted,
        ExpiredUnsettled
    }

    /// @notice Why a payment waits. `NotEligible` stands for every reason other than money, order and limits, so that
    /// an event tells nobody which.
    enum WaitReason {
        None,
        Money,
        Order,
        Limit,
        NotEligible
    }

    /// @param currency ISO 4217 letters.
    /// @param from Registry reference of the paying settlement account.
    /// @param to Registry reference of the receiving settlement account.
    /// @param amount Minor units, at most 2^127 - 1.
    struct Leg {
        bytes3 currency;
        bytes32 from;
        bytes32 to;
        uint256 amount;
    }

    /// @param version 1.
    /// @param legs One to eight.
    /// @param messageCommitment SHA-256 commitment to the payment message, salted.
    /// @param supervisorCopyHash Hash of the copy sealed for the supervisor; zero where none.
    /// @param quoteHash EIP-712 hash of the FX quote; of several, Keccak-256 of their hashes in order; zero where none.
    /// @param acceptBy Last UTC second (block time) to accept.
    /// @param settleBy Last UTC second to settle; at least `acceptBy`.
    /// @param notBefore First UTC second to settle; at most `settleBy`.
    /// @param priority 0 normal, 1 high, 2 urgent: of the legs that the instructing participant pays.
    /// @param flags 1: those legs are bypassable (see `resolveSelected`). Other bits zero.
    struct Terms {
        uint8 version;
        Leg[] legs;
        bytes32 messageCommitment;
        bytes32 supervisorCopyHash;
        bytes32 quoteHash;
        uint40 acceptBy;
        uint40 settleBy;
        uint40 notBefore;
        uint8 priority;
        uint16 flags;
    }

    /// @notice A firm FX quote, signed by a quoting account of the maker (EIP-712, domain name
    /// "Corridor PaymentSettlement", version "1", chain id, this contract). The taker pays `takerAmount` to `makerTo`;
    /// the maker pays `makerAmount` from `makerFrom` to whom the taker names.
    /// @param smallestFill Least part of `makerAmount` that one payment may take; the rest may always be taken whole.
    /// @param validUntil Last UTC second (block time) to instruct on it.
    /// @param settleBy Maker is bound until then.
    /// @param priority Of the maker's leg, where it waits.
    /// @param mayQueue Whether the maker's leg may wait for money.
    struct Quote {
        bytes20 maker;
        bytes20 taker;
        bytes32 makerFrom;
        bytes32 makerTo;
        bytes3 makerCurrency;
        uint256 makerAmount;
        bytes3 takerCurrency;
        uint256 takerAmount;
        uint256 smallestFill;
        uint40 validUntil;
        uint40 settleBy;
        uint8 priority;
        bool mayQueue;
        bytes32 salt;
    }

    /// @param signer A quoting account of the maker: a key, or a contract that answers ERC-1271.
    struct SignedQuote {
        Quote quote;
        address signer;
        bytes signature;
    }

    /// @notice A queued payment in a proposal.
    /// @param accounts For leg i the indexes into the proposal's `walks` of its payer (2i) and its payee (2i + 1).
    struct Item {
        bytes32 paymentId;
        Terms terms;
        uint16[] accounts;
    }

    /// @notice One account in a proposal, and which of its queue.
    /// @param account Registry reference.
    /// @param items Indexes into the proposal's `items`: what stands in the queue from its head on, nothing left out.
    /// Empty for an account that only receives.
    struct Walk {
        bytes32 account;
        bytes3 currency;
        uint16[] items;
    }

    /// @notice What may settle together. `walks` are in strictly rising order of (currency, account).
    struct Proposal {
        Item[] items;
        Walk[] walks;
    }

    /// @notice What storage keeps of a payment.
    /// @param accepted Bit 2i: payer of leg i has consented; bit 2i + 1: its payee.
    /// @param enteredAt UTC second at which the last party accepted; zero before.
    /// @param priorities Two bits for each leg, leg 0 lowest.
    /// @param bypassable One bit for each leg.
    /// @param withdrawals One bit for each leg: its payer agrees to withdraw.
    /// @param isSetAside Whether it is passed over as not eligible and does not count as waiting.
    struct Payment {
        bytes32 termsHash;
        State state;
        Outcome outcome;
        uint16 accepted;
        uint40 acceptBy;
        uint40 settleBy;
        uint40 notBefore;
        uint40 enteredAt;
        uint16 priorities;
        uint8 bypassable;
        uint8 withdrawals;
        bool isSetAside;
    }

    /// @notice Limits of one account in one currency. They count over the issuer's business day.
    /// @param netMax Most that may go out less what came in; 2^127 - 1 where there is no limit.
    /// @param grossMax Most that may go out.
    /// @param netUsed Outflow less inflow of the day so far.
    /// @param grossUsed Outflow of the day so far.
    struct Limits {
        uint128 netMax;
        uint128 grossMax;
        int256 netUsed;
        uint256 grossUsed;
    }

    event Instructed(bytes32 indexed paymentId, bytes20 indexed participant, bytes32 uetrHash, Terms terms);
    event ReturnInstructed(bytes32 indexed paymentId, bytes32 indexed originalId);
    event Accepted(bytes32 indexed paymentId, bytes20 indexed participant, uint16 accepted);
    event PaymentQueued(bytes32 indexed paymentId, WaitReason reason);
    event PaymentPrioritised(bytes32 indexed paymentId, bytes20 indexed participant, uint8 priority);
    event PaymentSetAside(bytes32 indexed paymentId, bool isSetAside);
    event WithdrawalAgreed(bytes32 indexed paymentId, bytes20 indexed participant);
    event PaymentSettled(bytes32 indexed paymentId, bytes32 termsHash);
    event PaymentRejected(bytes32 indexed paymentId, bytes20 indexed participant, bytes32 reasonCommitment);
    event PaymentCancelled(bytes32 indexed paymentId, Outcome outcome, bytes32 reasonCommitment);
    event PaymentExpired(bytes32 indexed paymentId, Outcome outcome);
    event RoundSettled(uint256 proposed, uint256 settled);
    event QuoteCancelled(bytes32 indexed quoteHash, bytes20 indexed maker);
    event LimitsSet(address indexed account, bytes3 indexed currency, uint128 netMax, uint128 grossMax);
    event BilateralLimitSet(
        address indexed account, bytes3 indexed currency, bytes20 indexed counterparty, uint128 netMax
    );
    event CurrencyAdded(bytes3 indexed currency, address indexed asset);
    event SettlementPaused();
    event SettlementUnpaused();

    error SettlementPaymentExists(bytes32 paymentId);
    error SettlementUnexpectedState(bytes32 paymentId, State state);
    error SettlementTermsMismatch(bytes32 paymentId, bytes32 termsHash);
    error SettlementCallerNotOperating(address caller);
    error SettlementCallerNotParty(bytes32 paymentId, bytes20 participant);
    error SettlementCallerNotLiquidity(bytes20 participant);
    error SettlementTooEarly(bytes32 paymentId, uint40 notBefore);
    error SettlementTooLate(bytes32 paymentId, uint40 deadline);
    error SettlementNotExpired(bytes32 paymentId, uint40 deadline);
    error SettlementInvalidTerms(uint8 field);
    error SettlementInvalidLeg(uint256 index);
    error SettlementInvalidPriority(uint8 priority);
    error SettlementInvalidFlags(uint16 flags);
    error SettlementInvalidLimit(bytes32 account, bytes3 currency);
    error SettlementTooManyOpen(bytes20 participant, uint256 limit);
    error SettlementCurrencyUnknown(bytes3 currency);
    error SettlementCurrencyExists(bytes3 currency);
    error SettlementQuoteMismatch(uint8 field);
    error SettlementQuoteExpired(bytes32 quoteHash, uint40 validUntil);
    error SettlementQuoteUsed(bytes32 quoteHash, uint256 left);
    error SettlementQuoteIsCancelled(bytes32 quoteHash);
    error SettlementQuoteSignerUnknown(address signer);
    error SettlementReturnExceeded(bytes32 originalId, bytes3 currency, uint256 left);
    error SettlementInvalidReturn(uint8 field);
    error SettlementIsPaused();
    error SettlementNotPaused();
    error SettlementRoundTooLarge(uint256 items, uint256 limit);
    error SettlementInvalidWalk(uint256 walk);
    error SettlementInvalidItem(uint256 item);
    error SettlementOrderBroken(uint256 walk, uint256 place);
    error SettlementNothingToSettle();

    /// @notice Instructs a payment of one to eight legs; the caller's participant pays leg 0. Every other party that
    /// pays or receives accepts.
    /// @param uetrHash Keccak-256 of the UETR.
    /// @return paymentId Key of the payment, used once, for ever.
    function instruct(bytes32 uetrHash, Terms calldata terms) external returns (bytes32 paymentId);

    /// @notice Instructs an FX payment through one maker, or through several in a row (payment against payment against
    /// payment): leg 0 pays the first maker, leg i is what maker i pays, to the next maker or at last to the
    /// beneficiary's bank. Makers have consented by their quotes to what those say: leg i - 1 and leg i.
    /// @param quotes One for each leg but the first, in the order of the legs.
    function instructWithQuotes(bytes32 uetrHash, Terms calldata terms, SignedQuote[] calldata quotes)
        external
        returns (bytes32 paymentId);

    /// @notice Instructs a return of what the caller's participant received in a settled payment, in one leg to one who
    /// paid in it. The returns of a payment never exceed what it received, in any currency.
    /// @param uetrHash Of the original payment.
    /// @param n Number of this return, from 1, for its key.
    /// @param original Terms of the original payment.
    function instructReturn(bytes32 uetrHash, uint256 n, Terms calldata original, Terms calldata terms)
        external
        returns (bytes32 paymentId);

    /// @notice The caller's participant consents in every position it holds. When all positions have, the payment
    /// settles in this call, or waits, or (on quotes that may not wait) ends as Cancelled (NoLiquidity). Never reverts
    /// for money, limits, freezes, pauses or hours.
    /// @param priority Of the legs that the caller's participant pays, where they wait.
    /// @param flags Of those legs, as in `Terms`.
    function accept(bytes32 paymentId, Terms calldata terms, uint8 priority, uint16 flags) external;

    /// @notice A party whose consent is missing refuses.
    /// @param reasonCommitment Commitment to the sealed reason.
    function reject(bytes32 paymentId, Terms calldata terms, bytes32 reasonCommitment) external;

    /// @notice The instructing agent takes its payment back before acceptance is complete. While it waits every payer
    /// must ask for it; the last one's call ends it.
    function withdraw(bytes32 paymentId, Terms calldata terms, bytes32 reasonCommitment) external;

    /// @notice Anyone ends a payment whose deadline has passed.
    function expire(bytes32 paymentId, Terms calldata terms) external;

    /// @notice Moves a waiting payment to the end of another priority class in the queues of the caller's participant.
    function prioritise(bytes32 paymentId, Terms calldata terms, uint8 priority) external;

    /// @notice Anyone has a waiting payment looked at again: set aside if it is not eligible now, so that it holds up
    /// nobody who comes after it; counted again if it is. It keeps its place. Nothing changes while none of its currencies
    /// is open.
    function reassess(bytes32 paymentId, Terms calldata terms) external;

    /// @notice Anyone settles together, in the order of the queues, as much of a proposal as the money there is covers.
    /// Items that are not eligible are passed over; tails that are not covered are left; nothing at all reverts.
    /// @return settled How many payments settled.
    function resolve(Proposal calldata proposal) external returns (uint256 settled);

    /// @notice The liquidity role also settles payments past bypassable ones: first as `resolve` (which may settle
    /// nothing), then a second proposal in which the items marked `skipped` are left where they are.
    /// @param skipped For each item of `second`; every payer in whose queue it is skipped marked it bypassable.
    function resolveSelected(Proposal calldata first, Proposal calldata second, bool[] calldata skipped)
        external
        returns (uint256 settled);

    /// @notice Ends a quote for payments to come; those instructed on it stand. Caller: an operating or quoting account
    /// of the maker.
    function cancelQuote(Quote calldata quote) external;

    /// @notice Sets the limits of one of the caller's settlement accounts. 2^127 - 1 is no limit.
    function setLimits(bytes32 account, bytes3 currency, uint128 netMax, uint128 grossMax) external;

    /// @notice Sets how much may go out to one counterparty less what came in from it. 2^127 - 1 is no limit.
    function setBilateralLimit(bytes32 account, bytes3 currency, bytes20 counterparty, uint128 netMax) external;

    /// @notice Stops all settlement and all new instructions. Restricted to the authority.
    function pause() external;

    /// @notice Ends that. Restricted to the authority.
    function unpause() external;

    /// @notice Names the asset that a currency settles in, once. Restricted to the authority.
    function addCurrency(bytes3 currency, address asset) external;

    /// @notice A payment as storage has it; all zero where it was never instructed.
    function payment(bytes32 paymentId) external view returns (Payment memory);

    /// @notice keccak256(abi.encode(uint8 kind, bytes20 participant, bytes32 uetrHash, uint256 n)).
    /// @param kind 0 payment (n = 0), 1 return (n = 1, 2, ...).
    function paymentIdOf(uint8 kind, bytes20 participant, bytes32 uetrHash, uint256 n) external view returns (bytes32);

    /// @notice The EIP-712 digest of a quote: what its maker signs.
    function quoteHashOf(Quote calldata quote) external view returns (bytes32);

    /// @notice How much of a quote's `makerAmount` payments hold or have settled, and whether it was cancelled.
    function quoteUse(bytes32 quoteHash) external view returns (uint256 used, bool isCancelled);

    /// @notice What a participant returned of a payment, or is returning, in one currency.
    function returnedOf(bytes32 originalId, bytes20 participant, bytes3 currency) external view returns (uint256);

    /// @notice Payments that wait in a queue, in its order, those set aside too.
    /// @param afterPayment Where to go on; zero for the head.
    /// @param limit How many at most.
    function queueOf(address account, bytes3 currency, bytes32 afterPayment, uint256 limit)
        external
        view
        returns (bytes32[] memory);

    /// @notice Limits of an account in a currency and what was used of them today.
    function limitsOf(address account, bytes3 currency) external view returns (Limits memory);

    /// @notice The same towards one counterparty.
    function bilateralLimitOf(address account, bytes3 currency, bytes20 counterparty)
        external
        view
        returns (uint128 netMax, int256 netUsed);

    /// @notice Payments of a participant that are not at an end.
    function openPaymentsOf(bytes20 participant) external view returns (uint256);

    /// @notice The asset a currency settles in; zero where unknown.
    function assetOf(bytes3 currency) external view returns (address);

    /// @notice Whether settlement is stopped.
    function isPaused() external view returns (bool);
}
