// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {IERC7943Fungible} from "../interfaces/IERC7943Fungible.sol";
import {FREEZE_LAPSE, FROZEN_WHOLE_MIN, FreezeChange, FreezeRecord, Seizure, TokenBook} from "./TokenBook.sol";
import {TokenRules} from "./TokenRules.sol";

/// @title Freezes, what orders take, and the counter-orders to both.
library TokenFreezes {
    using TokenRules for TokenBook;
    using TokenRules for FreezeRecord;

    function freeze(
        TokenBook storage book,
        address account,
        uint256 expected,
        uint256 amount,
        bytes32 orderReference
    ) external {
        book.checkOfficer(msg.sender);
        _checkAccount(book, account);
        if (orderReference == 0 || book.freezeReferenceUsed[account][orderReference]) {
            revert ICurrencyToken.TokenReferenceUsed(orderReference);
        }
        _checkExpected(book, account, expected);
        if (amount <= expected) revert ICurrencyToken.TokenInvalidAmount(amount);
        FreezeRecord storage record = book.freezes[account];
        bool isRenewal = record.officer == msg.sender && !record.isOpen();
        if (isRenewal) revert ICurrencyToken.TokenFreezeSamePerson(account, msg.sender);

        // From here it must succeed.
        book.freezeReferenceUsed[account][orderReference] = true;
        // Nobody prolongs a freeze alone, and nobody's freeze ends sooner because another officer's stood before it.
        if (!record.isOpen() || record.officer != msg.sender) record.lapsesAt = uint40(block.timestamp) + FREEZE_LAPSE;
        record.officer = msg.sender;
        record.orderReference = orderReference;
        record.provisional = amount;
        emit ICurrencyToken.FreezeMade(account, orderReference, msg.sender, amount, record.lapsesAt);
        emit IERC7943Fungible.Frozen(account, amount);
    }

    function confirmFreeze(TokenBook storage book, address account, bytes32 orderReference) external {
        book.checkOfficer(msg.sender);
        FreezeRecord storage record = book.freezes[account];
        if (!record.isOpen() || record.orderReference != orderReference) {
            revert ICurrencyToken.TokenFreezeNotOpen(account, orderReference);
        }
        if (record.officer == msg.sender) revert ICurrencyToken.TokenFreezeSamePerson(account, msg.sender);

        // From here it must succeed.
        uint256 amount = record.provisional;
        _set(book, account, amount);
        emit ICurrencyToken.FreezeConfirmed(account, orderReference, msg.sender, amount);
    }

    /// @dev Sets the frozen amount by order, if it is what the order expected.
    function setFrozen(TokenBook storage book, bytes32 orderId, address account, uint256 expected, uint256 amount)
        external
    {
        _checkAccount(book, account);
        _checkExpected(book, account, expected);

        // From here it must succeed.
        book.freezeChanges[orderId] =
            FreezeChange({account: account, isReversed: false, amountBefore: expected, amount: amount});
        _set(book, account, amount);
        emit ICurrencyToken.FreezeOrdered(orderId, account, expected, amount);
        emit IERC7943Fungible.Frozen(account, amount);
    }

    /// @dev Undoes one `setFrozen`, if nothing changed since.
    function reverseFreeze(TokenBook storage book, bytes32 orderId, bytes32 counterOrderId) external {
        FreezeChange storage change = book.freezeChanges[orderId];
        address account = change.account;
        if (account == address(0) || change.isReversed) revert ICurrencyToken.TokenOrderNotReversible(orderId);
        _checkExpected(book, account, change.amount);

        // From here it must succeed.
        change.isReversed = true;
        uint256 amount = change.amountBefore;
        _set(book, account, amount);
        emit ICurrencyToken.OrderReversed(orderId, counterOrderId, amount);
        emit ICurrencyToken.FreezeOrdered(counterOrderId, account, change.amount, amount);
        emit IERC7943Fungible.Frozen(account, amount);
    }

    /// @dev Checks what an order takes and lowers `frozen` where it takes of it; the token moves the money after.
    function seize(
        TokenBook storage book,
        bytes32 orderId,
        address from,
        address to,
        uint256 amount,
        uint256 balance
    ) external {
        if (amount == 0) revert ICurrencyToken.TokenInvalidAmount(amount);
        if (!book.canMove(to)) revert IERC7943Fungible.ERC7943CannotReceive(to);
        if (from == to) revert IERC7943Fungible.ERC7943CannotTransfer(from, to, amount);
        _checkUnheld(book, from, amount, balance);

        // From here it must succeed.
        uint256 thawed = _thaw(book, from, amount, balance);
        book.seizures[orderId] = Seizure({from: from, to: to, isReversed: false, amount: amount, thawed: thawed});
        emit ICurrencyToken.TransferOrdered(orderId, from, to, amount, thawed);
    }

    /// @dev Who gave to whom by an order.
    function partiesOf(TokenBook storage book, bytes32 orderId) internal view returns (address from, address to) {
        Seizure storage seizure = book.seizures[orderId];
        return (seizure.from, seizure.to);
    }

    /// @dev Checks what a counter-order gives back, and freezes again what was frozen of it; the token moves the money
    /// after. The owner may be frozen whole: what comes back falls under the freeze.
    function restore(TokenBook storage book, bytes32 orderId, bytes32 counterOrderId, uint256 amount, uint256 balance)
        external
    {
        Seizure storage seizure = book.seizures[orderId];
        if (seizure.amount == 0 || seizure.isReversed) revert ICurrencyToken.TokenOrderNotReversible(orderId);
        if (amount == 0 || amount > seizure.amount) revert ICurrencyToken.TokenInvalidAmount(amount);
        (address owner, address taker) = (seizure.from, seizure.to);
        if (!book.registry.isAdmitted(owner)) revert ICurrencyToken.TokenAccountNotAdmitted(owner);
        _checkUnheld(book, taker, amount, balance);

        // From here it must succeed.
        seizure.isReversed = true;
        uint256 thawed = _thaw(book, taker, amount, balance);
        _refreeze(book, owner, amount < seizure.thawed ? amount : seizure.thawed);
        emit ICurrencyToken.OrderReversed(orderId, counterOrderId, amount);
        emit ICurrencyToken.TransferOrdered(counterOrderId, taker, owner, amount, thawed);
    }

    /// @dev Lowers what is frozen by what an order takes beyond the free money; tells how much.
    function _thaw(TokenBook storage book, address account, uint256 amount, uint256 balance)
        private
        returns (uint256 thawed)
    {
        uint256 free = book.available(account, balance);
        if (amount <= free) return 0;
        thawed = amount - free;
        FreezeRecord storage record = book.freezes[account];
        uint256 frozenBefore = book.frozenOf(account);
        uint256 frozen = frozenBefore - thawed;
        if (TokenRules.isWhole(frozenBefore) && frozen < FROZEN_WHOLE_MIN) frozen = FROZEN_WHOLE_MIN;
        if (record.isOpen()) record.provisional = frozen;
        if (record.confirmed > frozen) record.confirmed = frozen;
        emit IERC7943Fungible.Frozen(account, frozen);
    }

    function _refreeze(TokenBook storage book, address account, uint256 amount) private {
        if (amount == 0) return;
        FreezeRecord storage record = book.freezes[account];
        record.confirmed = _sum(record.confirmed, amount);
        if (record.isOpen()) record.provisional = _sum(record.provisional, amount);
        emit IERC7943Fungible.Frozen(account, book.frozenOf(account));
    }

    function _set(TokenBook storage book, address account, uint256 amount) private {
        FreezeRecord storage record = book.freezes[account];
        (record.lapsesAt, record.officer, record.orderReference, record.provisional) = (0, address(0), 0, 0);
        record.confirmed = amount;
    }

    function _checkAccount(TokenBook storage book, address account) private view {
        if (book.registry.participantOf(account) == 0) revert ICurrencyToken.TokenInvalidAccount(account);
    }

    function _checkExpected(TokenBook storage book, address account, uint256 expected) private view {
        uint256 frozen = book.frozenOf(account);
        if (frozen != expected) revert ICurrencyToken.TokenFrozenChanged(account, expected, frozen);
    }

    function _checkUnheld(TokenBook storage book, address account, uint256 amount, uint256 balance) private view {
        if (amount > balance) revert IERC20Errors.ERC20InsufficientBalance(account, balance, amount);
        uint256 unheld = balance - book.held[account];
        if (amount > unheld) revert ICurrencyToken.TokenMoneyHeld(account, amount, unheld);
    }

    function _sum(uint256 a, uint256 b) private pure returns (uint256) {
        return a > type(uint256).max - b ? type(uint256).max : a + b;
    }
}
