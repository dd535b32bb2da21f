// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SlotDerivation} from "@openzeppelin/contracts/utils/SlotDerivation.sol";
import {TransientSlot} from "@openzeppelin/contracts/utils/TransientSlot.sol";
import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {IERC7943Fungible} from "../interfaces/IERC7943Fungible.sol";
import {HOLD_VALIDITY_MAX, TokenBook} from "./TokenBook.sol";
import {TokenRules} from "./TokenRules.sol";

/// @title Money set aside: holds that a notary decides, and reserves of payments that wait.
library TokenHolds {
    using TokenRules for TokenBook;
    using SlotDerivation for bytes32;
    using TransientSlot for bytes32;
    using TransientSlot for TransientSlot.Uint256Slot;

    /// @dev What `release` gave back in this transaction, by account: a freeze that came after the reserve does not take
    /// it away from the payment it was kept for.
    bytes32 private constant RELEASED_SLOT = keccak256("corridor.token.released");

    function create(TokenBook storage book, bytes32 holdReference, ICurrencyToken.Hold memory terms, uint256 balance)
        external
        returns (bytes32 holdId)
    {
        bytes20 lei = book.registry.participantOf(terms.payer);
        _checkOwner(book, terms.payer, lei);
        book.checkRunning(ICurrencyToken.TokenFunction.Hold);
        if (terms.amount == 0) revert ICurrencyToken.TokenInvalidAmount(terms.amount);
        if (terms.expiresAt < block.timestamp || terms.expiresAt > block.timestamp + HOLD_VALIDITY_MAX) {
            revert ICurrencyToken.TokenInvalidTime(terms.expiresAt);
        }
        holdId = keccak256(abi.encode(lei, holdReference));
        if (holdReference == 0 || book.holdUsed[holdId]) revert ICurrencyToken.TokenReferenceUsed(holdReference);
        if (!book.isOperating(terms.notary) || book.registry.participantOf(terms.notary) == lei) {
            revert ICurrencyToken.TokenInvalidAccount(terms.notary);
        }
        if (terms.payer == terms.payee || book.isSettlement(terms.payer) != book.isSettlement(terms.payee)) {
            revert ICurrencyToken.TokenInvalidAccount(terms.payee);
        }
        book.checkAdmitted(terms.payer, terms.payee);
        book.checkNotFrozen(terms.payer, terms.payee);
        uint256 free = book.available(terms.payer, balance);
        TokenRules.checkCovered(terms.payer, terms.amount, balance, free);
        book.checkUnclaimed(terms.payer, terms.amount, free);

        // From here it must succeed.
        book.holdUsed[holdId] = true;
        book.holds[holdId] = terms;
        book.held[terms.payer] += terms.amount;
        emit ICurrencyToken.HoldCreated(
            holdId, terms.payer, terms.payee, terms.notary, terms.amount, terms.expiresAt, holdReference
        );
    }

    /// @dev Takes an amount out of a hold; the token moves it after.
    function execute(TokenBook storage book, bytes32 holdId, uint256 amount)
        external
        returns (address payer, address payee)
    {
        ICurrencyToken.Hold storage record = _known(book, holdId);
        if (msg.sender != record.notary) revert ICurrencyToken.TokenCallerNotNotary(msg.sender);
        book.checkRunning(ICurrencyToken.TokenFunction.Hold);
        if (block.timestamp > record.expiresAt) {
            revert ICurrencyToken.TokenHoldExpired(holdId, record.expiresAt);
        }
        if (amount == 0 || amount > record.amount) revert ICurrencyToken.TokenInvalidAmount(amount);
        (payer, payee) = (record.payer, record.payee);
        if (!book.registry.isAdmitted(msg.sender)) revert ICurrencyToken.TokenAccountNotAdmitted(msg.sender);
        book.checkAdmitted(payer, payee);
        if (!book.canMove(payee)) revert IERC7943Fungible.ERC7943CannotReceive(payee);

        // From here it must succeed, unless a limit of the payee stands against it.
        uint256 remaining = record.amount - amount;
        emit ICurrencyToken.HoldExecuted(holdId, amount, remaining);
        book.held[payer] -= amount;
        if (remaining == 0) {
            delete book.holds[holdId];
        } else {
            record.amount = remaining;
        }
    }

    function release(TokenBook storage book, bytes32 holdId) external {
        ICurrencyToken.Hold storage record = _known(book, holdId);
        bool mayRelease = msg.sender == record.notary || msg.sender == record.payee
            || (book.isOperating(msg.sender)
                && book.registry.participantOf(msg.sender) == book.registry.participantOf(record.payee));
        bool isPayer = msg.sender != record.notary
            && book.registry.participantOf(msg.sender) == book.registry.participantOf(record.payer);
        if (!mayRelease || isPayer) revert ICurrencyToken.TokenCallerNotNotary(msg.sender);

        // From here it must succeed.
        emit ICurrencyToken.HoldReleased(holdId, msg.sender, _end(book, holdId));
    }

    function expire(TokenBook storage book, bytes32 holdId) external {
        ICurrencyToken.Hold storage record = _known(book, holdId);
        if (block.timestamp <= record.expiresAt) {
            revert ICurrencyToken.TokenHoldNotExpired(holdId, record.expiresAt);
        }

        // From here it must succeed.
        emit ICurrencyToken.HoldExpired(holdId, _end(book, holdId));
    }

    function cancel(TokenBook storage book, bytes32 holdId, bytes32 orderId) external {
        _known(book, holdId);

        // From here it must succeed.
        emit ICurrencyToken.HoldCancelled(holdId, orderId, _end(book, holdId));
    }

    /// @dev For the settlement contract: sets money aside for a payment that waits.
    function reserve(TokenBook storage book, bytes32 paymentId, address account, uint256 amount, uint256 balance)
        external
    {
        if (amount == 0) revert ICurrencyToken.TokenInvalidAmount(amount);
        if (book.reserves[paymentId][account] != 0) {
            revert ICurrencyToken.TokenReserveExists(paymentId, account);
        }
        uint256 free = book.available(account, balance);
        TokenRules.checkCovered(account, amount, balance, free);

        // From here it must succeed.
        book.reserves[paymentId][account] = amount;
        book.held[account] += amount;
        emit ICurrencyToken.MoneyReserved(paymentId, account, amount);
    }

    /// @dev For the settlement contract: gives it back, whatever the state of the account.
    function giveBack(TokenBook storage book, bytes32 paymentId, address account) external returns (uint256 amount) {
        amount = book.reserves[paymentId][account];
        if (amount == 0) return 0;
        delete book.reserves[paymentId][account];
        book.held[account] -= amount;
        TransientSlot.Uint256Slot slot = RELEASED_SLOT.deriveMapping(account).asUint256();
        slot.tstore(slot.tload() + amount);
        emit ICurrencyToken.ReserveReleased(paymentId, account, amount);
    }

    /// @dev For the settlement contract: refuses what the payer cannot spend. What was reserved for a payment that
    /// settles in this transaction can be spent although a later freeze covers it.
    function spend(TokenBook storage book, address account, uint256 amount, uint256 balance) internal {
        uint256 free = book.available(account, balance);
        if (amount <= free) return;
        TransientSlot.Uint256Slot slot = RELEASED_SLOT.deriveMapping(account).asUint256();
        uint256 released = slot.tload();
        uint256 unheld = balance - book.held[account];
        if (amount - free > released || amount > unheld) TokenRules.checkCovered(account, amount, balance, free);
        slot.tstore(released - (amount - free));
    }

    function _end(TokenBook storage book, bytes32 holdId) private returns (uint256 amount) {
        ICurrencyToken.Hold storage record = book.holds[holdId];
        amount = record.amount;
        book.held[record.payer] -= amount;
        delete book.holds[holdId];
    }

    function _known(TokenBook storage book, bytes32 holdId)
        private
        view
        returns (ICurrencyToken.Hold storage record)
    {
        record = book.holds[holdId];
        if (record.amount == 0) revert ICurrencyToken.TokenHoldUnknown(holdId);
    }

    function _checkOwner(TokenBook storage book, address account, bytes20 lei) private view {
        bool isOwner = msg.sender == account
            || (book.isOperating(msg.sender) && book.registry.participantOf(msg.sender) == lei);
        if (lei == 0 || !isOwner) revert ICurrencyToken.TokenCallerNotOwner(msg.sender, account);
    }
}
