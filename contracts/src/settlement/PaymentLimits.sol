// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AMOUNT_MAX, BilateralRecord, Book, LimitRecord, ResolvedLeg} from "./SettlementBook.sol";

/// @title Limits that a participant puts on its own accounts: net, gross, and net towards one counterparty.
/// @notice Each bounds what goes out of one account in one currency over the issuer's business day, gross or less what
/// came in. Only such limits keep the greatest set that can settle together unique (docs/spec/settlement.md).
library PaymentLimits {
    /// @dev What an account may still let out, less what comes in meanwhile; may be negative.
    struct Room {
        int256 net;
        int256 gross;
        bool hasBilateral;
    }

    int256 private constant UNBOUNDED = type(int256).max;

    function roomOf(Book storage book, address account, bytes3 currency, uint40 day)
        internal
        view
        returns (Room memory room)
    {
        LimitRecord storage record = book.limits[account][currency];
        room = Room({net: UNBOUNDED, gross: UNBOUNDED, hasBilateral: record.bilateralCount > 0});
        if (!record.isSet) return room;
        bool isToday = record.day == day;
        if (record.netMax < AMOUNT_MAX) {
            room.net = int256(uint256(record.netMax)) - (isToday ? record.netUsed : int256(0));
        }
        if (record.grossMax < AMOUNT_MAX) {
            room.gross = int256(uint256(record.grossMax)) - int256(isToday ? record.grossUsed : 0);
        }
    }

    function bilateralRoomOf(Book storage book, address account, bytes3 currency, bytes20 counterparty, uint40 day)
        internal
        view
        returns (int256)
    {
        BilateralRecord storage record = book.bilateral[account][currency][counterparty];
        if (!record.isSet) return UNBOUNDED;
        return int256(uint256(record.netMax)) - (record.day == day ? record.netUsed : int256(0));
    }

    /// @dev Counts a leg at its payer.
    function countOutflow(Book storage book, ResolvedLeg memory leg, bytes3 currency, uint256 amount, uint40 day)
        internal
    {
        _count(book, leg.from, currency, leg.payee, int256(amount), day);
    }

    /// @dev Counts a leg at its payee.
    function countInflow(Book storage book, ResolvedLeg memory leg, bytes3 currency, uint256 amount, uint40 day)
        internal
    {
        _count(book, leg.to, currency, leg.payer, -int256(amount), day);
    }

    function _count(
        Book storage book,
        address account,
        bytes3 currency,
        bytes20 counterparty,
        int256 outflow,
        uint40 day
    ) private {
        LimitRecord storage record = book.limits[account][currency];
        if (record.isSet) {
            if (record.day != day) (record.day, record.netUsed, record.grossUsed) = (day, 0, 0);
            record.netUsed += outflow;
            if (outflow > 0) record.grossUsed += uint256(outflow);
        }
        if (record.bilateralCount == 0) return;
        BilateralRecord storage towards = book.bilateral[account][currency][counterparty];
        if (!towards.isSet) return;
        if (towards.day != day) (towards.day, towards.netUsed) = (day, 0);
        towards.netUsed += outflow;
    }
}
