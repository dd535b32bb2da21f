// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "../interfaces/ISettlementAsset.sol";
import {PaymentLegs} from "./PaymentLegs.sol";
import {PaymentLimits} from "./PaymentLimits.sol";
import {PaymentQueues} from "./PaymentQueues.sol";
import {
    Book,
    FLAG_BYPASSABLE,
    LEGS_MAX,
    MARK_NO_WAITING,
    MARK_RESERVED,
    MARK_SET_ASIDE,
    PRIORITY_CLASSES,
    PaymentRecord,
    Queue,
    ResolvedLeg
} from "./SettlementBook.sol";

/// @title From the last consent to settlement, to a queue or to an end, and out of the queue again.
/// @notice Part of PaymentSettlement under an address of its own.
library PaymentEntry {
    using PaymentLegs for PaymentRecord;
    using PaymentQueues for Queue;

    /// @dev Adds consent of a payment's parties. With the last one it settles whole, waits or ends.
    function consent(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs,
        uint16 positions
    ) external {
        PaymentRecord storage record = book.payments[paymentId];
        uint16 accepted = record.accepted | positions;
        record.accepted = accepted;
        if (accepted != uint16((uint256(1) << (2 * legs.length)) - 1)) return;

        record.enteredAt = uint40(block.timestamp);
        ISettlementAsset.Standing[] memory standings = _standingsOf(legs);
        IPaymentSettlement.WaitReason reason = _reasonToWait(book, record, terms, legs, standings);
        if (reason == IPaymentSettlement.WaitReason.None) {
            _settle(book, paymentId, terms, legs, standings);
            return;
        }
        bool isQuoted = terms.quoteHash != 0;
        bool mayWait = record.marks & MARK_NO_WAITING == 0;
        if (!mayWait && block.timestamp < record.notBefore) {
            revert IPaymentSettlement.SettlementTooEarly(paymentId, record.notBefore);
        }
        if (!mayWait || (isQuoted && !_reserve(book, paymentId, terms, legs, standings[0]))) {
            _close(book, paymentId, terms, legs, IPaymentSettlement.State.Cancelled, IPaymentSettlement.Outcome.NoLiquidity);
            emit IPaymentSettlement.PaymentCancelled(paymentId, IPaymentSettlement.Outcome.NoLiquidity, 0);
            return;
        }
        _queue(book, paymentId, terms, legs);
        emit IPaymentSettlement.PaymentQueued(paymentId, reason);
    }

    /// @dev Ends a payment that does not settle, and gives back all that was kept for it.
    function close(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs,
        IPaymentSettlement.State state,
        IPaymentSettlement.Outcome outcome
    ) external {
        _close(book, paymentId, terms, legs, state, outcome);
    }

    /// @dev Sets priority and flags of the legs that a bit set names.
    function prefer(PaymentRecord storage record, uint8 paying, uint8 priority, uint16 flags) external {
        record.priorities = _withPriority(record.priorities, paying, priority);
        bool isBypassable = flags & FLAG_BYPASSABLE != 0;
        record.bypassable = isBypassable ? record.bypassable | paying : record.bypassable & ~paying;
    }

    /// @dev Moves a waiting payment to the end of another class, in the queues of the legs that a bit set names.
    function prioritise(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Leg[] calldata terms,
        ResolvedLeg[] memory legs,
        uint8 paying,
        uint8 priority
    ) external {
        PaymentRecord storage record = book.payments[paymentId];
        bool isCounted = record.marks & MARK_SET_ASIDE == 0;
        for (uint256 i = 0; i < legs.length; ++i) {
            if (paying & (1 << i) == 0) continue;
            (bool isFirst, uint256 amount) = record.queued(terms, legs, i);
            if (!isFirst) continue;
            Queue storage queue = book.queues[legs[i].from][terms[i].currency];
            queue.depart(record.ticket, record.priorityOf(i), amount, isCounted);
            queue.join(record.ticket, priority, amount);
            if (!isCounted) queue.count(priority, amount, false);
        }
        record.priorities = _withPriority(record.priorities, paying, priority);
    }

    /// @dev Sets a waiting payment aside or counts it again, as its eligibility is now; returns whether that changed.
    /// While none of its currencies is open it changes nothing: it holds up nobody, and if it counted no more its payers
    /// could take their money out of its way until they open.
    function reassess(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Leg[] calldata terms,
        ResolvedLeg[] memory legs
    ) external returns (bool isChanged, bool isSetAside) {
        PaymentRecord storage record = book.payments[paymentId];
        ISettlementAsset.Standing[] memory standings = _standingsOf(legs);
        isSetAside = !_isEligible(record, terms, legs, standings);
        isChanged = isSetAside != (record.marks & MARK_SET_ASIDE != 0) && _isAnyOpen(standings);
        if (!isChanged) return (isChanged, isSetAside);
        record.marks ^= MARK_SET_ASIDE;
        for (uint256 i = 0; i < legs.length; ++i) {
            (bool isFirst, uint256 amount) = record.queued(terms, legs, i);
            if (!isFirst) continue;
            book.queues[legs[i].from][terms[i].currency].count(record.priorityOf(i), amount, !isSetAside);
        }
    }

    /// @dev Payments that wait in a queue, in its order.
    function list(Book storage book, address account, bytes3 currency, bytes32 afterPayment, uint256 limit)
        external
        view
        returns (bytes32[] memory payments)
    {
        Queue storage queue = book.queues[account][currency];
        (uint64 ticket, uint256 class) = queue.headFrom(PRIORITY_CLASSES - 1);
        bool isReached = afterPayment == 0;
        bytes32[] memory found = new bytes32[](limit);
        uint256 length = 0;
        while (ticket != 0 && length < limit) {
            bytes32 paymentId = book.paymentByTicket[ticket];
            if (isReached) found[length++] = paymentId;
            if (paymentId == afterPayment) isReached = true;
            (ticket, class) = queue.behind(ticket, class);
        }
        payments = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            payments[i] = found[i];
        }
    }

    function _settle(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs,
        ISettlementAsset.Standing[] memory standings
    ) private {
        PaymentRecord storage record = book.payments[paymentId];
        (record.state, record.outcome) = (IPaymentSettlement.State.Settled, IPaymentSettlement.Outcome.Settled);
        book.openPayments[legs[0].payer] -= 1;
        emit IPaymentSettlement.PaymentSettled(paymentId, record.termsHash);
        for (uint256 i = 0; i < legs.length; ++i) {
            IPaymentSettlement.Leg calldata leg = terms.legs[i];
            PaymentLimits.countOutflow(book, legs[i], leg.currency, leg.amount, standings[i].businessDay);
            PaymentLimits.countInflow(book, legs[i], leg.currency, leg.amount, standings[i].businessDay);
            legs[i].asset.settle(paymentId, legs[i].from, legs[i].to, leg.amount, "");
        }
    }

    function _queue(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs
    ) private {
        PaymentRecord storage record = book.payments[paymentId];
        uint64 ticket = book.lastTicket + 1;
        book.lastTicket = ticket;
        book.paymentByTicket[ticket] = paymentId;
        (record.state, record.ticket) = (IPaymentSettlement.State.Queued, ticket);
        for (uint256 i = 0; i < legs.length; ++i) {
            (bool isFirst, uint256 amount) = record.queued(terms.legs, legs, i);
            if (!isFirst) continue;
            book.queues[legs[i].from][terms.legs[i].currency].join(ticket, record.priorityOf(i), amount);
        }
    }

    /// @dev Sets the taker's money aside, so that a maker's queue never waits for a taker. Answers whether it could.
    function _reserve(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs,
        ISettlementAsset.Standing memory standing
    ) private returns (bool) {
        PaymentRecord storage record = book.payments[paymentId];
        IPaymentSettlement.Leg calldata leg = terms.legs[0];
        bool isCovered = legs[0].isActive && !standing.isFrozen && int256(leg.amount) <= standing.available
            && !book.queues[legs[0].from][leg.currency].isWaiting(record.priorityOf(0))
            && _isWithinLimits(book, terms.legs, legs, 0, standing.businessDay);
        if (!isCovered) return false;
        record.marks |= MARK_RESERVED;
        PaymentLimits.countOutflow(book, legs[0], leg.currency, leg.amount, standing.businessDay);
        legs[0].asset.reserve(paymentId, legs[0].from, leg.amount, "");
        return true;
    }

    function _close(
        Book storage book,
        bytes32 paymentId,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs,
        IPaymentSettlement.State state,
        IPaymentSettlement.Outcome outcome
    ) private {
        PaymentRecord storage record = book.payments[paymentId];
        if (record.state == IPaymentSettlement.State.Queued) PaymentQueues.departAll(book, record, terms.legs, legs);
        (record.state, record.outcome) = (state, outcome);
        book.openPayments[legs[0].payer] -= 1;
        bytes32 originalId = book.originalOf[paymentId];
        if (originalId != 0) {
            book.returned[originalId][legs[0].payer][terms.legs[0].currency] -= terms.legs[0].amount;
        }
        if (terms.quoteHash != 0) _freeQuotes(book, paymentId, terms);
        if (record.marks & MARK_RESERVED != 0) legs[0].asset.release(paymentId, legs[0].from);
    }

    function _freeQuotes(Book storage book, bytes32 paymentId, IPaymentSettlement.Terms calldata terms) private {
        bytes32[] storage chain = book.quotesOf[paymentId];
        if (chain.length == 0) {
            book.quotes[terms.quoteHash].used -= uint128(terms.legs[1].amount);
            return;
        }
        for (uint256 i = 0; i < chain.length; ++i) {
            book.quotes[chain[i]].used -= uint128(terms.legs[i + 1].amount);
        }
    }

    function _reasonToWait(
        Book storage book,
        PaymentRecord storage record,
        IPaymentSettlement.Terms calldata terms,
        ResolvedLeg[] memory legs,
        ISettlementAsset.Standing[] memory standings
    ) private view returns (IPaymentSettlement.WaitReason reason) {
        if (book.isPaused || !_isEligible(record, terms.legs, legs, standings)) {
            return IPaymentSettlement.WaitReason.NotEligible;
        }
        bool isCovered = true;
        for (uint256 i = 0; i < legs.length; ++i) {
            (bool isFirst, uint256 amount) = record.queued(terms.legs, legs, i);
            if (!isFirst) continue;
            if (book.queues[legs[i].from][terms.legs[i].currency].isWaiting(record.priorityOf(i))) {
                return IPaymentSettlement.WaitReason.Order;
            }
            if (int256(amount) > standings[i].available) isCovered = false;
        }
        if (!isCovered) return IPaymentSettlement.WaitReason.Money;
        for (uint256 i = 0; i < legs.length; ++i) {
            if (!_isWithinLimits(book, terms.legs, legs, i, standings[i].businessDay)) {
                return IPaymentSettlement.WaitReason.Limit;
            }
        }
        return IPaymentSettlement.WaitReason.None;
    }

    function _standingsOf(ResolvedLeg[] memory legs)
        private
        view
        returns (ISettlementAsset.Standing[] memory standings)
    {
        standings = new ISettlementAsset.Standing[](legs.length);
        for (uint256 i = 0; i < legs.length; ++i) {
            standings[i] = legs[i].asset.standingOf(legs[i].from, legs[i].to, "");
        }
    }

    function _isAnyOpen(ISettlementAsset.Standing[] memory standings) private pure returns (bool) {
        for (uint256 i = 0; i < standings.length; ++i) {
            if (standings[i].isOpen) return true;
        }
        return false;
    }

    /// @dev Whether nothing but money, order and limits keeps a payment from settling.
    function _isEligible(
        PaymentRecord storage record,
        IPaymentSettlement.Leg[] calldata terms,
        ResolvedLeg[] memory legs,
        ISettlementAsset.Standing[] memory standings
    ) private view returns (bool) {
        if (block.timestamp < record.notBefore || block.timestamp > record.settleBy) return false;
        for (uint256 i = 0; i < legs.length; ++i) {
            if (!legs[i].isActive) return false;
            ISettlementAsset.Standing memory standing = standings[i];
            if (!standing.isOpen || standing.isFrozen || terms[i].amount > standing.paymentMax) return false;
        }
        return true;
    }

    /// @dev Whether the payment's legs out of the account of leg `i` fit its limits. What comes in with the same payment
    /// is not counted for it here: a round does.
    function _isWithinLimits(
        Book storage book,
        IPaymentSettlement.Leg[] calldata terms,
        ResolvedLeg[] memory legs,
        uint256 i,
        uint40 day
    ) private view returns (bool) {
        PaymentLimits.Room memory room = PaymentLimits.roomOf(book, legs[i].from, terms[i].currency, day);
        if (room.net == type(int256).max && room.gross == type(int256).max && !room.hasBilateral) return true;
        int256 outflow = 0;
        int256 towards = 0;
        for (uint256 j = 0; j < legs.length; ++j) {
            if (legs[j].from != legs[i].from || terms[j].currency != terms[i].currency) continue;
            outflow += int256(terms[j].amount);
            if (legs[j].payee == legs[i].payee) towards += int256(terms[j].amount);
        }
        if (outflow > room.net || outflow > room.gross) return false;
        return !room.hasBilateral
            || towards <= PaymentLimits.bilateralRoomOf(book, legs[i].from, terms[i].currency, legs[i].payee, day);
    }

    function _withPriority(uint16 priorities, uint8 paying, uint8 priority) private pure returns (uint16) {
        for (uint256 i = 0; i < LEGS_MAX; ++i) {
            if (paying & (1 << i) == 0) continue;
            priorities = uint16((priorities & ~(3 << (2 * i))) | (uint256(priority) << (2 * i)));
        }
        return priorities;
    }
}
