// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "../interfaces/ISettlementAsset.sol";
import {ISettlementQueues} from "../interfaces/ISettlementQueues.sol";
import {PaymentEntry} from "./PaymentEntry.sol";
import {
    AMOUNT_MAX,
    BilateralRecord,
    Book,
    LimitRecord,
    MARK_SET_ASIDE,
    PRIORITY_CLASSES,
    PaymentRecord,
    Queue
} from "./SettlementBook.sol";

/// @title What PaymentSettlement answers from its storage.
abstract contract SettlementViews is IPaymentSettlement {
    Book internal _book;

    /// @inheritdoc IPaymentSettlement
    function payment(bytes32 paymentId) external view returns (Payment memory) {
        PaymentRecord storage record = _book.payments[paymentId];
        return Payment({
            termsHash: record.termsHash,
            state: record.state,
            outcome: record.outcome,
            accepted: record.accepted,
            acceptBy: record.acceptBy,
            settleBy: record.settleBy,
            notBefore: record.notBefore,
            enteredAt: record.enteredAt,
            priorities: record.priorities,
            bypassable: record.bypassable,
            withdrawals: record.withdrawals,
            isSetAside: record.marks & MARK_SET_ASIDE != 0
        });
    }

    /// @inheritdoc IPaymentSettlement
    function quoteUse(bytes32 quoteHash) external view returns (uint256 used, bool isCancelled) {
        return (_book.quotes[quoteHash].used, _book.quotes[quoteHash].isCancelled);
    }

    /// @inheritdoc IPaymentSettlement
    function returnedOf(bytes32 originalId, bytes20 participant, bytes3 currency) external view returns (uint256) {
        return _book.returned[originalId][participant][currency];
    }

    /// @inheritdoc IPaymentSettlement
    function queueOf(address account, bytes3 currency, bytes32 afterPayment, uint256 limit)
        external
        view
        returns (bytes32[] memory)
    {
        return PaymentEntry.list(_book, account, currency, afterPayment, limit);
    }

    /// @inheritdoc ISettlementQueues
    function waitingOf(address account, bytes3 currency) external view returns (uint256 count, uint256 amount) {
        Queue storage queue = _book.queues[account][currency];
        for (uint256 class = 0; class < PRIORITY_CLASSES; ++class) {
            count += queue.lanes[class].counted;
        }
        return (count, queue.amount);
    }

    /// @inheritdoc IPaymentSettlement
    function limitsOf(address account, bytes3 currency) external view returns (Limits memory) {
        LimitRecord storage record = _book.limits[account][currency];
        bool isToday = record.day == _businessDay(account, currency);
        return Limits({
            netMax: record.isSet ? record.netMax : uint128(AMOUNT_MAX),
            grossMax: record.isSet ? record.grossMax : uint128(AMOUNT_MAX),
            netUsed: isToday ? record.netUsed : int256(0),
            grossUsed: isToday ? record.grossUsed : 0
        });
    }

    /// @inheritdoc IPaymentSettlement
    function bilateralLimitOf(address account, bytes3 currency, bytes20 counterparty)
        external
        view
        returns (uint128 netMax, int256 netUsed)
    {
        BilateralRecord storage record = _book.bilateral[account][currency][counterparty];
        if (!record.isSet) return (uint128(AMOUNT_MAX), 0);
        return (record.netMax, record.day == _businessDay(account, currency) ? record.netUsed : int256(0));
    }

    /// @inheritdoc IPaymentSettlement
    function openPaymentsOf(bytes20 participant) external view returns (uint256) {
        return _book.openPayments[participant];
    }

    /// @inheritdoc IPaymentSettlement
    function assetOf(bytes3 currency) external view returns (address) {
        return address(_book.assets[currency]);
    }

    /// @inheritdoc IPaymentSettlement
    function isPaused() external view returns (bool) {
        return _book.isPaused;
    }

    function _businessDay(address account, bytes3 currency) private view returns (uint40) {
        ISettlementAsset asset = _book.assets[currency];
        return address(asset) == address(0) ? 0 : asset.standingOf(account, account, "").businessDay;
    }
}
