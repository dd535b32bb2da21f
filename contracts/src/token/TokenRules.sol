// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {IERC7943Fungible} from "../interfaces/IERC7943Fungible.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {ISettlementQueues} from "../interfaces/ISettlementQueues.sol";
import {FROZEN_WHOLE_MIN, FreezeRecord, TokenBook} from "./TokenBook.sol";

/// @title Who may move what: the questions that every function of the token asks.
library TokenRules {
    /// @dev 1970-01-01 was a Thursday, three days after a Monday.
    uint40 private constant WEEKDAY_OF_DAY_0 = 3;

    function checkOfficer(TokenBook storage book, address caller) internal view {
        bool isOfficer = book.registry.kindOf(caller) == IParticipantRegistry.AccountKind.Officer
            && book.registry.participantOf(caller) == book.issuer && book.registry.isAdmitted(caller);
        if (!isOfficer) revert ICurrencyToken.TokenCallerNotOfficer(caller);
    }

    function checkRunning(TokenBook storage book, ICurrencyToken.TokenFunction tokenFunction) internal view {
        if (isPaused(book, tokenFunction)) revert ICurrencyToken.TokenFunctionPaused(tokenFunction);
    }

    function isPaused(TokenBook storage book, ICurrencyToken.TokenFunction tokenFunction)
        internal
        view
        returns (bool)
    {
        return book.paused & bitOf(tokenFunction) != 0;
    }

    function bitOf(ICurrencyToken.TokenFunction tokenFunction) internal pure returns (uint8) {
        return uint8(1 << uint8(tokenFunction));
    }

    function isOperating(TokenBook storage book, address account) internal view returns (bool) {
        return book.registry.kindOf(account) == IParticipantRegistry.AccountKind.Operating
            && book.registry.isAdmitted(account);
    }

    function isSettlement(TokenBook storage book, address account) internal view returns (bool) {
        return book.registry.kindOf(account) == IParticipantRegistry.AccountKind.Settlement;
    }

    /// @dev Both are accounts of admitted participants, the payer asked first.
    function checkAdmitted(TokenBook storage book, address from, address to) internal view {
        if (!book.registry.isAdmitted(from)) revert ICurrencyToken.TokenAccountNotAdmitted(from);
        if (!book.registry.isAdmitted(to)) revert ICurrencyToken.TokenAccountNotAdmitted(to);
    }

    function canMove(TokenBook storage book, address account) internal view returns (bool) {
        return book.registry.isAdmitted(account) && !isWhole(frozenOf(book, account));
    }

    /// @dev What is frozen now: an open freeze counts until it lapses, with no transaction of anybody.
    function frozenOf(TokenBook storage book, address account) internal view returns (uint256) {
        FreezeRecord storage record = book.freezes[account];
        return isOpen(record) ? record.provisional : record.confirmed;
    }

    /// @dev Whether a freeze by one officer stands.
    function isOpen(FreezeRecord storage record) internal view returns (bool) {
        return block.timestamp < record.lapsesAt;
    }

    function isWhole(uint256 frozen) internal pure returns (bool) {
        return frozen >= FROZEN_WHOLE_MIN;
    }

    function checkNotFrozen(TokenBook storage book, address from, address to) internal view {
        if (isWhole(frozenOf(book, from))) revert IERC7943Fungible.ERC7943CannotSend(from);
        if (isWhole(frozenOf(book, to))) revert IERC7943Fungible.ERC7943CannotReceive(to);
    }

    /// @dev `balance` less what is held less what is frozen, at least 0.
    function available(TokenBook storage book, address account, uint256 balance) internal view returns (uint256) {
        return less(less(balance, book.held[account]), frozenOf(book, account));
    }

    /// @dev The same, below 0 by what is frozen beyond the money that is there; at most the greatest int256.
    function room(TokenBook storage book, address account, uint256 balance) internal view returns (int256) {
        uint256 unheld = less(balance, book.held[account]);
        uint256 frozen = frozenOf(book, account);
        return frozen > unheld ? -_signed(frozen - unheld) : _signed(unheld - frozen);
    }

    /// @dev Refuses what is within the balance and above `free`; what is above the balance ERC-20 refuses.
    function checkAvailable(address account, uint256 amount, uint256 balance, uint256 free) internal pure {
        if (amount > free && amount <= balance) {
            revert IERC7943Fungible.ERC7943InsufficientUnfrozenBalance(account, amount, free);
        }
    }

    /// @dev Refuses what is above the balance, then what is above `free`.
    function checkCovered(address account, uint256 amount, uint256 balance, uint256 free) internal pure {
        if (amount > balance) revert IERC20Errors.ERC20InsufficientBalance(account, balance, amount);
        checkAvailable(account, amount, balance, free);
    }

    /// @dev What payments that wait ask of an account is left for them, so that nobody redeems or holds its way out of
    /// its queue.
    function checkUnclaimed(TokenBook storage book, address account, uint256 amount, uint256 free) internal view {
        (, uint256 awaited) = ISettlementQueues(book.settlement).waitingOf(account, book.currency);
        uint256 unclaimed = less(free, awaited);
        if (amount > unclaimed && amount <= free) revert ICurrencyToken.TokenMoneyAwaited(account, amount, unclaimed);
    }

    /// @dev Whether the opening hours let payments settle now, and the number of the business day, counted from
    /// 1970-01-01 in local time. With hours overnight, what comes after the opening belongs to the next day.
    function hoursAt(TokenBook storage book) internal view returns (bool isOpen_, uint40 businessDay) {
        ICurrencyToken.OpeningHours memory hours_ = book.openingHours;
        uint256 local = uint256(int256(block.timestamp) + hours_.utcOffset);
        uint256 second = local % 1 days;
        businessDay = uint40(local / 1 days);
        if (hours_.weekdays == 0) return (true, businessDay);
        if (hours_.opensAt < hours_.closesAt) {
            isOpen_ = hours_.opensAt <= second && second < hours_.closesAt;
        } else if (hours_.opensAt == hours_.closesAt) {
            isOpen_ = true;
        } else {
            isOpen_ = hours_.opensAt <= second || second < hours_.closesAt;
            if (hours_.opensAt <= second) businessDay += 1;
        }
        isOpen_ = isOpen_ && hours_.weekdays & (1 << ((businessDay + WEEKDAY_OF_DAY_0) % 7)) != 0;
    }

    function less(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a - b : 0;
    }

    function _signed(uint256 amount) private pure returns (int256) {
        return amount > uint256(type(int256).max) ? type(int256).max : int256(amount);
    }
}
