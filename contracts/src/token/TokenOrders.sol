// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {ORDER_VALIDITY_MAX, TokenBook} from "./TokenBook.sol";
import {TokenRules} from "./TokenRules.sol";

/// @title What needs two persons: one officer proposes the exact call, another confirms it, then it can be made once.
library TokenOrders {
    using TokenRules for TokenBook;

    function propose(
        TokenBook storage book,
        bytes calldata call,
        uint256 expected,
        bytes32 orderReference,
        uint40 validUntil
    ) external returns (bytes32 orderId) {
        book.checkOfficer(msg.sender);
        if (orderReference == 0) revert ICurrencyToken.TokenReferenceUsed(orderReference);
        if (validUntil < block.timestamp || validUntil > block.timestamp + ORDER_VALIDITY_MAX) {
            revert ICurrencyToken.TokenInvalidTime(validUntil);
        }
        bytes32 callHash = keccak256(call);
        orderId = keccak256(abi.encode(callHash, expected, orderReference));
        ICurrencyToken.Order storage record = book.orders[orderId];
        if (record.state != ICurrencyToken.OrderState.None) revert ICurrencyToken.TokenOrderExists(orderId);

        // From here it must succeed.
        record.state = ICurrencyToken.OrderState.Proposed;
        record.proposer = msg.sender;
        record.validUntil = validUntil;
        record.callHash = callHash;
        record.orderReference = orderReference;
        record.expected = expected;
        emit ICurrencyToken.OrderProposed(orderId, orderReference, msg.sender, call, expected, validUntil);
    }

    function confirm(TokenBook storage book, bytes32 orderId) external {
        book.checkOfficer(msg.sender);
        ICurrencyToken.Order storage record = book.orders[orderId];
        if (record.state != ICurrencyToken.OrderState.Proposed) {
            revert ICurrencyToken.TokenOrderUnexpectedState(orderId, record.state);
        }
        if (record.proposer == msg.sender) revert ICurrencyToken.TokenOrderSamePerson(orderId, msg.sender);
        book.checkOfficer(record.proposer);
        _checkValid(orderId, record);
        bytes32 standing = book.confirmedOrder[record.callHash];
        if (standing != 0 && block.timestamp <= book.orders[standing].validUntil) {
            revert ICurrencyToken.TokenOrderExists(standing);
        }

        // From here it must succeed.
        record.state = ICurrencyToken.OrderState.Confirmed;
        record.confirmer = msg.sender;
        book.confirmedOrder[record.callHash] = orderId;
        emit ICurrencyToken.OrderConfirmed(orderId, msg.sender);
    }

    function withdraw(TokenBook storage book, bytes32 orderId) external {
        book.checkOfficer(msg.sender);
        ICurrencyToken.Order storage record = book.orders[orderId];
        bool isConfirmed = record.state == ICurrencyToken.OrderState.Confirmed;
        if (!isConfirmed && record.state != ICurrencyToken.OrderState.Proposed) {
            revert ICurrencyToken.TokenOrderUnexpectedState(orderId, record.state);
        }

        // From here it must succeed.
        record.state = ICurrencyToken.OrderState.Withdrawn;
        if (isConfirmed && book.confirmedOrder[record.callHash] == orderId) {
            delete book.confirmedOrder[record.callHash];
        }
        emit ICurrencyToken.OrderWithdrawn(orderId, msg.sender);
    }

    /// @dev Uses up the confirmed order of exactly this call. What the call does must follow, or the call reverts whole.
    function execute(TokenBook storage book, bytes calldata call)
        external
        returns (bytes32 orderId, uint256 expected)
    {
        book.checkOfficer(msg.sender);
        bytes32 callHash = keccak256(call);
        orderId = book.confirmedOrder[callHash];
        if (orderId == 0) revert ICurrencyToken.TokenOrderMissing(callHash);
        ICurrencyToken.Order storage record = book.orders[orderId];
        _checkValid(orderId, record);
        // Both still speak for the issuer.
        book.checkOfficer(record.proposer);
        book.checkOfficer(record.confirmer);

        // From here it must succeed.
        record.state = ICurrencyToken.OrderState.Executed;
        delete book.confirmedOrder[callHash];
        expected = record.expected;
        emit ICurrencyToken.OrderExecuted(orderId, record.orderReference, msg.sender);
    }

    function _checkValid(bytes32 orderId, ICurrencyToken.Order storage record) private view {
        if (block.timestamp > record.validUntil) {
            revert ICurrencyToken.TokenOrderExpired(orderId, record.validUntil);
        }
    }
}
