// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7943Fungible} from "./IERC7943Fungible.sol";
import {ISettlementAsset} from "./ISettlementAsset.sol";

/// @title One ISO 4217 currency as central-bank money on the chain.
/// @notice Amounts are minor units, times UTC seconds. An officer is a person: an account of kind officer of the issuer.
/// What needs two persons goes the same way in three steps: one officer proposes the exact call with an order reference
/// (`propose`), another confirms it (`confirm`), and any officer makes that very call while the order is valid. Each
/// order executes at most once.
interface ICurrencyToken is ISettlementAsset, IERC7943Fungible {
    /// @notice What can be paused by itself. Orders, and giving held money back, are never paused.
    enum TokenFunction {
        Issue,
        Redeem,
        Transfer,
        Settle,
        Hold
    }

    /// @notice Life of an order. An order past `validUntil` stays as it is and can no more go on.
    enum OrderState {
        None,
        Proposed,
        Confirmed,
        Executed,
        Withdrawn
    }

    /// @notice A statement of the reserves held in RTGS against this token, signed by the issuer's attesting key
    /// (EIP-712, domain name "Corridor CurrencyToken", version "1", chain id, this token).
    /// @param sequence Strictly rising.
    /// @param asOf UTC second at which the reserves were read.
    /// @param validUntil Last UTC second (block time) at which the statement backs an issuance.
    /// @param amount Reserves in minor units.
    /// @param statementHash SHA-256 of the RTGS statement it was read from.
    struct Attestation {
        uint64 sequence;
        uint40 asOf;
        uint40 validUntil;
        uint256 amount;
        bytes32 statementHash;
    }

    /// @param callHash Keccak-256 of the calldata it stands for.
    /// @param expected For `setFrozenTokens`: what was frozen when it was proposed; otherwise unused.
    struct Order {
        OrderState state;
        address proposer;
        address confirmer;
        uint40 validUntil;
        bytes32 callHash;
        bytes32 orderReference;
        uint256 expected;
    }

    /// @param amount What is still held.
    /// @param expiresAt Last second at which the notary can execute it.
    struct Hold {
        address payer;
        address payee;
        address notary;
        uint40 expiresAt;
        uint256 amount;
    }

    /// @notice When payments settle. All day long on every day where `weekdays` is 0, as at first.
    /// @param opensAt Local second of the day of the opening.
    /// @param closesAt Local second of the day of the close, which is closed already. The same as `opensAt`: all day.
    /// Before `opensAt`: open overnight, and what comes after the opening belongs to the next business day.
    /// @param weekdays Business days, bit 0 Monday to bit 6 Sunday.
    /// @param utcOffset Seconds by which local time is ahead of UTC, at most 14 hours either way.
    struct OpeningHours {
        uint24 opensAt;
        uint24 closesAt;
        uint8 weekdays;
        int24 utcOffset;
    }

    /// @notice Each the greatest uint256 where there is no limit.
    /// @param holdingMax Greatest balance after a receipt, of an account that is not a settlement account.
    /// @param receiptMax Greatest sum of receipts in a business day, of such an account.
    /// @param paymentMax Greatest amount of one leg of a payment.
    struct TokenLimits {
        uint256 holdingMax;
        uint256 receiptMax;
        uint256 paymentMax;
    }

    event Issued(bytes32 indexed issueReference, address indexed to, uint256 amount);
    event Redeemed(bytes32 indexed redeemReference, address indexed from, uint256 amount);
    event ReservesAttested(
        uint64 indexed sequence, address indexed attester, uint256 amount, uint40 validUntil, bytes32 statementHash
    );
    event ReservesBelowSupply(uint64 indexed sequence, uint256 amount, uint256 supply);

    event OrderProposed(
        bytes32 indexed orderId,
        bytes32 indexed orderReference,
        address indexed officer,
        bytes call,
        uint256 expected,
        uint40 validUntil
    );
    event OrderConfirmed(bytes32 indexed orderId, address indexed officer);
    event OrderWithdrawn(bytes32 indexed orderId, address indexed officer);
    event OrderExecuted(bytes32 indexed orderId, bytes32 indexed orderReference, address indexed officer);
    event OrderReversed(bytes32 indexed orderId, bytes32 indexed counterOrderId, uint256 amount);

    event FreezeMade(
        address indexed account,
        bytes32 indexed orderReference,
        address indexed officer,
        uint256 amount,
        uint40 lapsesAt
    );
    event FreezeConfirmed(
        address indexed account, bytes32 indexed orderReference, address indexed officer, uint256 amount
    );
    event FreezeOrdered(bytes32 indexed orderId, address indexed account, uint256 amountBefore, uint256 amount);
    event TransferOrdered(
        bytes32 indexed orderId, address indexed from, address indexed to, uint256 amount, uint256 thawed
    );

    event HoldCreated(
        bytes32 indexed holdId,
        address indexed payer,
        address indexed payee,
        address notary,
        uint256 amount,
        uint40 expiresAt,
        bytes32 holdReference
    );
    event HoldExecuted(bytes32 indexed holdId, uint256 amount, uint256 remaining);
    event HoldReleased(bytes32 indexed holdId, address indexed caller, uint256 amount);
    event HoldExpired(bytes32 indexed holdId, uint256 amount);
    event HoldCancelled(bytes32 indexed holdId, bytes32 indexed orderId, uint256 amount);

    event MoneyReserved(bytes32 indexed paymentId, address indexed account, uint256 amount);
    event ReserveReleased(bytes32 indexed paymentId, address indexed account, uint256 amount);

    event FunctionPaused(TokenFunction indexed tokenFunction, address indexed officer);
    event FunctionResumed(TokenFunction indexed tokenFunction, bytes32 indexed orderId);
    event TokenLimitsSet(uint256 holdingMax, uint256 receiptMax, uint256 paymentMax);
    event OpeningHoursSet(uint24 opensAt, uint24 closesAt, uint8 weekdays, int24 utcOffset);

    error TokenAccountNotAdmitted(address account);
    error TokenSettlementAccountLocked(address account);
    error TokenQueueNotEmpty(address account, uint256 count);
    error TokenMoneyAwaited(address account, uint256 amount, uint256 unclaimed);
    error TokenMoneyHeld(address account, uint256 amount, uint256 unheld);
    error TokenNotSettlementAccount(address account);
    error TokenCallerNotIssuer(address caller);
    error TokenCallerNotOfficer(address caller);
    error TokenCallerNotSettlement(address caller);
    error TokenCallerNotOwner(address caller, address account);
    error TokenCallerNotNotary(address caller);
    error TokenReferenceUsed(bytes32 orderReference);
    error TokenInvalidAmount(uint256 amount);
    error TokenAttestationMissing();
    error TokenAttestationExpired(uint64 sequence, uint40 validUntil);
    error TokenAttestationSequence(uint64 sequence, uint64 latest);
    error TokenAttestationTime(uint40 asOf, uint40 validUntil);
    error TokenAttesterUnknown(address attester);
    error TokenReservesExceeded(uint256 supply, uint256 amount, uint256 reserves);
    error TokenFunctionPaused(TokenFunction tokenFunction);
    error TokenFunctionNotPaused(TokenFunction tokenFunction);
    error TokenClosed();
    error TokenHoldingLimit(address account, uint256 balance, uint256 limit);
    error TokenReceiptLimit(address account, uint256 received, uint256 limit);
    error TokenPaymentLimit(uint256 amount, uint256 limit);
    error TokenInvalidHours();
    error TokenInvalidTime(uint40 time);
    error TokenInvalidAccount(address account);
    error TokenOrderExists(bytes32 orderId);
    error TokenOrderUnexpectedState(bytes32 orderId, OrderState state);
    error TokenOrderExpired(bytes32 orderId, uint40 validUntil);
    error TokenOrderSamePerson(bytes32 orderId, address officer);
    error TokenOrderMissing(bytes32 callHash);
    error TokenOrderNotReversible(bytes32 orderId);
    error TokenFrozenChanged(address account, uint256 expected, uint256 frozen);
    error TokenFreezeNotOpen(address account, bytes32 orderReference);
    error TokenFreezeSamePerson(address account, address officer);
    error TokenHoldUnknown(bytes32 holdId);
    error TokenHoldExpired(bytes32 holdId, uint40 expiresAt);
    error TokenHoldNotExpired(bytes32 holdId, uint40 expiresAt);
    error TokenReserveExists(bytes32 paymentId, address account);

    /// @notice Mints against attested reserves. Caller: an operating account of the issuer. `to`: a settlement account.
    /// Each reference once, for ever; redemptions have references of their own.
    function issue(bytes32 issueReference, address to, uint256 amount) external;

    /// @notice Burns from a settlement account of the caller's own participant and lowers the attested reserves by as
    /// much. Caller: an operating account. Each reference once per participant, for ever. Takes no money that is held or
    /// frozen, nor what payments that wait ask of the account.
    function redeem(bytes32 redeemReference, address from, uint256 amount) external;

    /// @notice Records an attestation, its amount less what was burnt after its `asOf`. Anyone admitted may carry it. Below
    /// supply it is recorded too and stops issuance.
    function attest(Attestation calldata attestation, bytes calldata signature) external;

    /// @notice Proposes an order: exactly this call to this token. Caller: an officer.
    /// @param call Calldata of `setFrozenTokens`, `forcedTransfer`, `reverseFreeze`, `reverseTransfer`, `cancelHold`,
    /// `resume` or `setOpeningHours`.
    /// @param expected For `setFrozenTokens`: what is frozen now. The order fails if it changes before.
    /// @param orderReference Of the court's or authority's order; not 0.
    /// @param validUntil Last second at which it can be confirmed and executed; at most 30 days ahead.
    /// @return orderId keccak256(abi.encode(keccak256(call), expected, orderReference)); used once, for ever.
    function propose(bytes calldata call, uint256 expected, bytes32 orderReference, uint40 validUntil)
        external
        returns (bytes32 orderId);

    /// @notice Confirms an order. Caller: an officer who did not propose it. One confirmed order of a call at a time.
    function confirm(bytes32 orderId) external;

    /// @notice Takes back an order that was not executed. Caller: an officer.
    function withdrawOrder(bytes32 orderId) external;

    /// @notice Freezes more than is frozen now, at once, by one officer. It lapses after 72 hours unless another officer
    /// confirms it; a further one of the same officer does not prolong it, one of another has 72 hours of its own.
    /// @param expected What is frozen now; refused if it is not.
    /// @param amount What is to be frozen; from 2^255 on the account is frozen whole.
    /// @param orderReference Used once for an account. Who let a freeze lapse does not make the next one, so that nobody
    /// keeps an account frozen alone.
    function freeze(address account, uint256 expected, uint256 amount, bytes32 orderReference) external;

    /// @notice Makes a freeze of one officer last. Caller: another officer.
    function confirmFreeze(address account, bytes32 orderReference) external;

    /// @notice Counter-order to `setFrozenTokens`: freezes what was frozen before it, if nothing changed since. Once.
    /// Two persons.
    function reverseFreeze(bytes32 orderId) external;

    /// @notice Counter-order to `forcedTransfer`: gives back at most what it took, once. What had been frozen of it is
    /// frozen again. Two persons.
    function reverseTransfer(bytes32 orderId, uint256 amount) external;

    /// @notice Ends a hold by order; what it held falls under the freezes of its payer. Two persons.
    function cancelHold(bytes32 holdId) external;

    /// @notice Sets money aside for a payee until a notary decides. Caller: the payer, or an operating account of its
    /// participant. Takes no money that is held, frozen or awaited by payments.
    /// @param holdReference Used once by a participant.
    /// @param notary An operating account of another participant than the payer's.
    /// @param expiresAt At most 366 days ahead.
    /// @return holdId keccak256(abi.encode(participant, holdReference)).
    function createHold(
        bytes32 holdReference,
        address payer,
        address payee,
        address notary,
        uint256 amount,
        uint40 expiresAt
    ) external returns (bytes32 holdId);

    /// @notice Pays the payee, all or a part; the rest stays held. Caller: the notary. A later freeze of the payer does
    /// not stop it; an order that names the hold (`cancelHold`) does.
    function executeHold(bytes32 holdId, uint256 amount) external;

    /// @notice Gives back what is held. Caller: the notary, the payee, or an operating account of the payee's participant.
    function releaseHold(bytes32 holdId) external;

    /// @notice Gives back what is held after the expiry. Anyone may call it.
    function expireHold(bytes32 holdId) external;

    /// @notice Stops one function at once. Caller: an officer.
    function pause(TokenFunction tokenFunction) external;

    /// @notice Lets a function go on. Two persons.
    function resume(TokenFunction tokenFunction) external;

    /// @notice Sets the limits. Caller: an officer.
    function setLimits(TokenLimits calldata limits) external;

    /// @notice Sets the opening hours. Two persons.
    function setOpeningHours(OpeningHours calldata hours_) external;

    /// @notice Reverts with the reason for which the rules refuse a public transfer, if they do: what `canTransfer`
    /// answers, except that it also names money that is frozen or held.
    function checkTransfer(address from, address to, uint256 amount) external view;

    /// @notice What a payer can spend: balance less held less frozen, at least 0.
    function availableOf(address account) external view returns (uint256 amount);

    /// @notice What holds and payments that wait have set aside.
    function heldOf(address account) external view returns (uint256 amount);

    /// @notice A freeze by one officer that stands unconfirmed; all zero where none does.
    function openFreezeOf(address account)
        external
        view
        returns (uint256 amount, uint40 lapsesAt, address officer, bytes32 orderReference);

    /// @notice An order; all zero where unknown.
    function order(bytes32 orderId) external view returns (Order memory);

    /// @notice A hold with what is left of it; all zero where unknown or at an end.
    function hold(bytes32 holdId) external view returns (Hold memory);

    /// @notice What `reserve` set aside of an account for a payment.
    function reservedFor(bytes32 paymentId, address account) external view returns (uint256 amount);

    /// @notice Whether a function is paused.
    function isPaused(TokenFunction tokenFunction) external view returns (bool);

    /// @notice The issuer's limits.
    function tokenLimits() external view returns (TokenLimits memory);

    /// @notice The opening hours.
    function openingHours() external view returns (OpeningHours memory);

    /// @notice The newest statement recorded, its amount less what was burnt since; all zero before the first.
    function latestAttestation() external view returns (Attestation memory);

    /// @notice Whether an issue had this reference.
    function isIssueReferenceUsed(bytes32 issueReference) external view returns (bool);

    /// @notice Whether a redemption of this participant had this reference.
    function isRedeemReferenceUsed(bytes20 lei, bytes32 redeemReference) external view returns (bool);

    /// @notice ISO 4217 letters.
    function currency() external view returns (bytes3);

    /// @notice The central bank that issues it.
    function issuer() external view returns (bytes20 lei);
}
