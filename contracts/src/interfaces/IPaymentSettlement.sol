// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Payments between participants: instructed, accepted, then settled, all legs or none.
interface IPaymentSettlement {
    /// @notice `Queued` is reserved for the liquidity queue.
    enum State {
        None,
        Instructed,
        Queued,
        Settled,
        Rejected,
        Cancelled,
        Expired
    }

    /// @notice Coarse outcome of a payment; the ISO reason travels sealed.
    enum Outcome {
        None,
        Settled,
        Rejected,
        Withdrawn,
        NoLiquidity,
        Expired
    }

    /// @param currency ISO 4217 letters.
    /// @param from Registry reference of the paying settlement account.
    /// @param to Registry reference of the receiving settlement account.
    /// @param amount Minor units.
    struct Leg {
        bytes3 currency;
        bytes32 from;
        bytes32 to;
        uint256 amount;
    }

    /// @param version 1.
    /// @param messageCommitment SHA-256 commitment to the payment message, salted.
    /// @param supervisorCopyHash Hash of the copy sealed for the supervisor; zero where none.
    /// @param quoteHash EIP-712 hash of the FX quote; zero for a plain payment.
    /// @param acceptBy Last UTC second (block time) to accept.
    /// @param settleBy Last UTC second to settle; at least `acceptBy`.
    /// @param notBefore First UTC second to accept.
    /// @param priority Reserved for the queue.
    /// @param flags Reserved, zero.
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
    /// the maker pays `makerAmount` from `makerFrom`. Filled whole and once: `smallestFill` equals `makerAmount`.
    /// @param validUntil Last UTC second (block time) to instruct on it.
    /// @param settleBy Maker is bound until then.
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

    /// @notice What storage keeps of a payment.
    struct Payment {
        bytes32 termsHash;
        State state;
        Outcome outcome;
        uint16 accepted;
        uint40 acceptBy;
        uint40 settleBy;
        uint40 notBefore;
    }

    event Instructed(bytes32 indexed paymentId, bytes20 indexed participant, bytes32 uetrHash, Terms terms);
    event Accepted(bytes32 indexed paymentId, bytes20 indexed participant, uint16 accepted);
    event PaymentSettled(bytes32 indexed paymentId, bytes32 termsHash);
    event PaymentRejected(bytes32 indexed paymentId, bytes20 indexed participant, bytes32 reasonCommitment);
    event PaymentCancelled(bytes32 indexed paymentId, Outcome outcome, bytes32 reasonCommitment);
    event PaymentExpired(bytes32 indexed paymentId);
    event CurrencyAdded(bytes3 indexed currency, address indexed asset);

    error SettlementPaymentExists(bytes32 paymentId);
    error SettlementUnexpectedState(bytes32 paymentId, State state);
    error SettlementTermsMismatch(bytes32 paymentId, bytes32 termsHash);
    error SettlementCallerNotOperating(address caller);
    error SettlementCallerNotParty(bytes32 paymentId, bytes20 participant);
    error SettlementTooEarly(bytes32 paymentId, uint40 notBefore);
    error SettlementTooLate(bytes32 paymentId, uint40 deadline);
    error SettlementNotExpired(bytes32 paymentId, uint40 deadline);
    error SettlementInvalidTerms(uint8 field);
    error SettlementInvalidLeg(uint256 index);
    error SettlementCurrencyUnknown(bytes3 currency);
    error SettlementCurrencyExists(bytes3 currency);
    error SettlementQuoteMismatch(uint8 field);
    error SettlementQuoteExpired(bytes32 quoteHash, uint40 validUntil);
    error SettlementQuoteUsed(bytes32 quoteHash, bytes32 paymentId);
    error SettlementQuoteSignerUnknown(address signer);

    /// @notice One leg, payer's participant is the caller's.
    function instruct(bytes32 uetrHash, Terms calldata terms) external returns (bytes32 paymentId);

    /// @notice Two legs: taker pays the maker, the maker pays the beneficiary's bank (leg 0 and leg 1 in that order).
    function instructWithQuote(bytes32 uetrHash, Terms calldata terms, Quote calldata quote, bytes calldata signature)
        external
        returns (bytes32 paymentId);

    /// @notice The caller's participant consents in every position it holds. When all positions consent, the payment
    /// settles in this call, or ends as Cancelled (NoLiquidity). Never reverts for money.
    function accept(bytes32 paymentId, Terms calldata terms) external;

    /// @notice A party whose consent is missing refuses.
    function reject(bytes32 paymentId, Terms calldata terms, bytes32 reasonCommitment) external;

    /// @notice The instructing agent takes its payment back before acceptance is complete.
    function withdraw(bytes32 paymentId, bytes32 uetrHash, bytes32 reasonCommitment) external;

    /// @notice Anyone ends a payment whose deadline has passed.
    function expire(bytes32 paymentId) external;

    /// @notice A payment as storage has it; all zero where it was never instructed.
    function payment(bytes32 paymentId) external view returns (Payment memory);

    /// @notice keccak256(abi.encode(uint8 kind, bytes20 participant, bytes32 uetrHash, uint256 n)); kind 0 payment, 1 return.
    function paymentIdOf(bytes20 participant, bytes32 uetrHash) external view returns (bytes32);

    /// @notice The EIP-712 digest of a quote: what its maker signs.
    function quoteHashOf(Quote calldata quote) external view returns (bytes32);

    /// @notice The payment that holds a quote now; zero where it is free.
    function quoteHolder(bytes32 quoteHash) external view returns (bytes32 paymentId);

    /// @notice The asset a currency settles in; zero where unknown.
    function assetOf(bytes3 currency) external view returns (address);

    /// @notice Names the asset that a currency settles in, once. Restricted to the authority.
    function addCurrency(bytes3 currency, address asset) external;
}
