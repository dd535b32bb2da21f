// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "../interfaces/ISettlementAsset.sol";

/// @dev Legs of one payment.
uint256 constant LEGS_MAX = 8;

/// @dev Payments of one participant that are not at an end: its book stays one that others can hold.
uint256 constant OPEN_PAYMENTS_MAX = 10_000;

/// @dev Items of one proposal: what fits a transaction of 128 KiB and 16 M gas, with room.
uint256 constant ROUND_ITEMS_MAX = 128;

/// @dev Greatest amount of a leg, so that sums of legs never overflow; as a limit it stands for no limit.
uint256 constant AMOUNT_MAX = uint256(type(uint128).max >> 1);

/// @dev Priority classes: 0 normal, 1 high, 2 urgent.
uint8 constant PRIORITY_CLASSES = 3;

/// @dev In `Terms.flags` and at `accept`: the payer's legs may be skipped by the second pass.
uint16 constant FLAG_BYPASSABLE = 1;

/// @dev In `PaymentRecord.marks`: passed over as not eligible, and not counted as waiting.
uint8 constant MARK_SET_ASIDE = 1;

/// @dev In `PaymentRecord.marks`: the money of leg 0 is set aside; that leg stands in no queue.
uint8 constant MARK_RESERVED = 2;

/// @dev In `PaymentRecord.marks`: it was instructed on quotes, and one of them may not wait.
uint8 constant MARK_NO_WAITING = 4;

/// @dev Append only.
struct PaymentRecord {
    bytes32 termsHash;
    IPaymentSettlement.State state;
    IPaymentSettlement.Outcome outcome;
    uint16 accepted;
    uint40 acceptBy;
    uint40 settleBy;
    uint40 notBefore;
    uint40 enteredAt;
    uint16 priorities;
    uint8 bypassable;
    uint8 withdrawals;
    uint8 marks;
    uint64 ticket;
}

/// @dev Append only. `used` is in the maker's currency: of payments that are not at an end, and settled.
struct QuoteRecord {
    uint128 used;
    bool isCancelled;
}

/// @dev One priority class of a queue: a list by tickets, 0 for none. `counted` is its length without what is set aside.
struct Lane {
    uint64 head;
    uint64 tail;
    uint32 counted;
}

/// @dev A place in a list.
struct Link {
    uint64 previous;
    uint64 next;
}

/// @dev What waits for the money of one account in one currency. `amount` is what the counted items ask of it.
struct Queue {
    Lane[3] lanes;
    uint256 amount;
    mapping(uint64 ticket => Link) links;
}

/// @dev Append only. Uses are those of business day `day`.
struct LimitRecord {
    uint128 netMax;
    uint128 grossMax;
    int256 netUsed;
    uint256 grossUsed;
    uint40 day;
    bool isSet;
    uint32 bilateralCount;
}

/// @dev Append only. Towards one counterparty.
struct BilateralRecord {
    int256 netUsed;
    uint128 netMax;
    uint40 day;
    bool isSet;
}

/// @dev All that the settlement contract stores. Append only.
struct Book {
    IParticipantRegistry registry;
    bool isPaused;
    uint64 lastTicket;
    mapping(bytes3 currency => ISettlementAsset) assets;
    mapping(bytes32 paymentId => PaymentRecord) payments;
    mapping(bytes20 participant => uint256) openPayments;
    mapping(bytes32 quoteHash => QuoteRecord) quotes;
    mapping(bytes32 paymentId => bytes32[] quoteHashes) quotesOf;
    mapping(bytes32 paymentId => bytes32 originalId) originalOf;
    mapping(bytes32 originalId => mapping(bytes20 participant => mapping(bytes3 currency => uint256))) returned;
    mapping(uint64 ticket => bytes32 paymentId) paymentByTicket;
    mapping(address account => mapping(bytes3 currency => Queue)) queues;
    mapping(address account => mapping(bytes3 currency => LimitRecord)) limits;
    mapping(address account => mapping(bytes3 currency => mapping(bytes20 counterparty => BilateralRecord))) bilateral;
}

/// @dev The participants and accounts behind one leg. `isActive`: neither party is kept from settling it.
struct ResolvedLeg {
    ISettlementAsset asset;
    address from;
    address to;
    bytes20 payer;
    bytes20 payee;
    bool isActive;
}
