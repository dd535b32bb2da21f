// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {PaymentLegs} from "./PaymentLegs.sol";
import {
    Book,
    Lane,
    Link,
    MARK_SET_ASIDE,
    PRIORITY_CLASSES,
    PaymentRecord,
    Queue,
    ResolvedLeg
} from "./SettlementBook.sol";

/// @title The queue of one account in one currency: priority class, then first in, first out.
/// @notice A linked list for each class, so that anything leaves from anywhere at once.
library PaymentQueues {
    /// @dev Puts a ticket at the end of its class, counted.
    function join(Queue storage queue, uint64 ticket, uint8 priority, uint256 amount) internal {
        Lane storage lane = queue.lanes[priority];
        uint64 tail = lane.tail;
        queue.links[ticket] = Link({previous: tail, next: 0});
        if (tail == 0) {
            lane.head = ticket;
        } else {
            queue.links[tail].next = ticket;
        }
        lane.tail = ticket;
        lane.counted += 1;
        queue.amount += amount;
    }

    /// @dev Takes a ticket out, wherever it stands.
    function depart(Queue storage queue, uint64 ticket, uint8 priority, uint256 amount, bool isCounted) internal {
        Lane storage lane = queue.lanes[priority];
        Link memory link = queue.links[ticket];
        if (link.previous == 0) {
            lane.head = link.next;
        } else {
            queue.links[link.previous].next = link.next;
        }
        if (link.next == 0) {
            lane.tail = link.previous;
        } else {
            queue.links[link.next].previous = link.previous;
        }
        delete queue.links[ticket];
        if (isCounted) {
            lane.counted -= 1;
            queue.amount -= amount;
        }
    }

    /// @dev Takes a payment out of every queue in which it stands.
    function departAll(
        Book storage book,
        PaymentRecord storage record,
        IPaymentSettlement.Leg[] calldata terms,
        ResolvedLeg[] memory legs
    ) internal {
        bool isCounted = record.marks & MARK_SET_ASIDE == 0;
        for (uint256 i = 0; i < legs.length; ++i) {
            (bool isFirst, uint256 amount) = PaymentLegs.queued(record, terms, legs, i);
            if (!isFirst) continue;
            Queue storage queue = book.queues[legs[i].from][terms[i].currency];
            depart(queue, record.ticket, PaymentLegs.priorityOf(record, i), amount, isCounted);
        }
        delete book.paymentByTicket[record.ticket];
    }

    /// @dev Counts a ticket that stands in the queue, or does so no more.
    function count(Queue storage queue, uint8 priority, uint256 amount, bool isCounted) internal {
        Lane storage lane = queue.lanes[priority];
        if (isCounted) {
            lane.counted += 1;
            queue.amount += amount;
        } else {
            lane.counted -= 1;
            queue.amount -= amount;
        }
    }

    /// @dev Whether anything that counts waits there with this priority or a higher one.
    function isWaiting(Queue storage queue, uint8 priority) internal view returns (bool) {
        for (uint8 class = priority; class < PRIORITY_CLASSES; ++class) {
            if (queue.lanes[class].counted > 0) return true;
        }
        return false;
    }

    /// @dev The first ticket of the highest class at or below `class`; 0 where nothing stands there.
    function headFrom(Queue storage queue, uint256 class) internal view returns (uint64 ticket, uint256 found) {
        for (found = class + 1; found > 0; --found) {
            ticket = queue.lanes[found - 1].head;
            if (ticket != 0) return (ticket, found - 1);
        }
        return (0, 0);
    }

    /// @dev The ticket behind another one of `class`, which may be the first of a lower class; 0 at the end.
    function behind(Queue storage queue, uint64 ticket, uint256 class)
        internal
        view
        returns (uint64 next, uint256 nextClass)
    {
        next = queue.links[ticket].next;
        if (next != 0) return (next, class);
        return class == 0 ? (uint64(0), uint256(0)) : headFrom(queue, class - 1);
    }
}
