// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {ISettlementQueues} from "../interfaces/ISettlementQueues.sol";
import {Receipts, TokenBook} from "./TokenBook.sol";
import {TokenRules} from "./TokenRules.sol";

/// @title What `transfer` and its kin must keep to, and the limits of accounts that are not settlement accounts.
library TokenTransfers {
    using TokenRules for TokenBook;

    /// @dev The first fault in this order is the one reported.
    function check(
        TokenBook storage book,
        address from,
        address to,
        uint256 amount,
        uint256 balanceFrom,
        uint256 balanceTo
    ) external view {
        book.checkRunning(ICurrencyToken.TokenFunction.Transfer);
        book.checkAdmitted(from, to);
        book.checkNotFrozen(from, to);
        _checkLocks(book, from, to);
        TokenRules.checkAvailable(from, amount, balanceFrom, book.available(from, balanceFrom));
        if (from != to) _checkLimits(book, to, amount, balanceTo);
    }

    /// @dev For movements that are no transfers: the payee's limits, and what it received.
    function receiveWithinLimits(TokenBook storage book, address to, uint256 amount, uint256 balance) external {
        _checkLimits(book, to, amount, balance);
        _count(book, to, amount);
    }

    /// @dev Counts what an account received.
    function count(TokenBook storage book, address to, uint256 amount) external {
        _count(book, to, amount);
    }

    /// @dev Else anybody leaves its own queue by a plain transfer, or pays with no UETR, acceptance or sealed message.
    function _checkLocks(TokenBook storage book, address from, address to) private view {
        bool isFromSettlement = book.isSettlement(from);
        if (book.registry.participantOf(from) != book.registry.participantOf(to)) {
            if (isFromSettlement) revert ICurrencyToken.TokenSettlementAccountLocked(from);
            if (book.isSettlement(to)) revert ICurrencyToken.TokenSettlementAccountLocked(to);
        } else if (isFromSettlement) {
            (uint256 waiting,) = ISettlementQueues(book.settlement).waitingOf(from, book.currency);
            if (waiting != 0) revert ICurrencyToken.TokenQueueNotEmpty(from, waiting);
        }
    }

    function _checkLimits(TokenBook storage book, address to, uint256 amount, uint256 balance) private view {
        if (book.isSettlement(to)) return;
        uint256 holdingMax = book.limits.holdingMax;
        if (amount > TokenRules.less(holdingMax, balance)) {
            revert ICurrencyToken.TokenHoldingLimit(to, balance, holdingMax);
        }
        uint256 receiptMax = book.limits.receiptMax;
        if (receiptMax == type(uint256).max) return;
        uint256 received = _receivedToday(book, to);
        if (amount > TokenRules.less(receiptMax, received)) {
            revert ICurrencyToken.TokenReceiptLimit(to, received, receiptMax);
        }
    }

    function _count(TokenBook storage book, address to, uint256 amount) private {
        if (book.limits.receiptMax == type(uint256).max || book.isSettlement(to)) return;
        uint256 received = _receivedToday(book, to);
        (, uint40 day) = book.hoursAt();
        book.receipts[to] = Receipts({businessDay: day, amount: received + amount});
    }

    function _receivedToday(TokenBook storage book, address account) private view returns (uint256) {
        Receipts storage record = book.receipts[account];
        (, uint40 day) = book.hoursAt();
        return record.businessDay == day ? record.amount : 0;
    }
}
