// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "../interfaces/ISettlementAsset.sol";
import {AMOUNT_MAX, Book, MARK_RESERVED, PaymentRecord, ResolvedLeg} from "./SettlementBook.sol";

/// @title Who pays whom in the legs of a payment.
library PaymentLegs {
    /// @dev Every leg moves a positive amount of a known currency between settlement accounts of two participants.
    /// @param enteredAt When the payment was fully accepted: a suspension that came later may not hold it up.
    function resolve(Book storage book, IPaymentSettlement.Leg[] calldata legs, uint40 enteredAt)
        internal
        view
        returns (ResolvedLeg[] memory resolved)
    {
        resolved = new ResolvedLeg[](legs.length);
        for (uint256 i = 0; i < legs.length; ++i) {
            IPaymentSettlement.Leg calldata leg = legs[i];
            ISettlementAsset asset = book.assets[leg.currency];
            if (address(asset) == address(0)) revert IPaymentSettlement.SettlementCurrencyUnknown(leg.currency);
            IParticipantRegistry.Party memory from = book.registry.partyOf(leg.from);
            IParticipantRegistry.Party memory to = book.registry.partyOf(leg.to);
            bool isValid = leg.amount > 0 && leg.amount <= AMOUNT_MAX
                && from.kind == IParticipantRegistry.AccountKind.Settlement
                && to.kind == IParticipantRegistry.AccountKind.Settlement && from.lei != to.lei;
            if (!isValid) revert IPaymentSettlement.SettlementInvalidLeg(i);
            resolved[i] = ResolvedLeg({
                asset: asset,
                from: from.account,
                to: to.account,
                payer: from.lei,
                payee: to.lei,
                isActive: isActive(book, from.isActive, from.suspendedSince, enteredAt)
                    && isActive(book, to.isActive, to.suspendedSince, enteredAt)
            });
        }
    }

    /// @dev Whether a participant's state lets a payment settle that was fully accepted at `enteredAt` (0: is not yet).
    function isActive(Book storage book, bool isAdmitted, uint40 suspendedSince, uint40 enteredAt)
        internal
        view
        returns (bool)
    {
        if (isAdmitted) return true;
        return enteredAt != 0 && enteredAt < suspendedSince && book.registry.honoursEarlierEntries();
    }

    /// @dev Bit 2i is the payer of leg i, bit 2i + 1 its payee.
    function positionsOf(bytes20 participant, ResolvedLeg[] memory legs) internal pure returns (uint16 positions) {
        for (uint256 i = 0; i < legs.length; ++i) {
            if (legs[i].payer == participant) positions |= uint16(1 << (2 * i));
            if (legs[i].payee == participant) positions |= uint16(2 << (2 * i));
        }
    }

    /// @dev One bit for each leg that a participant pays.
    function paidBy(bytes20 participant, ResolvedLeg[] memory legs) internal pure returns (uint8 paying) {
        for (uint256 i = 0; i < legs.length; ++i) {
            if (legs[i].payer == participant) paying |= uint8(1 << i);
        }
    }

    /// @dev Whether leg `i` is the first that stands in its queue for this payment, and what all of them ask of it.
    /// Leg 0 stands in none while its money is set aside.
    function queued(
        PaymentRecord storage record,
        IPaymentSettlement.Leg[] calldata terms,
        ResolvedLeg[] memory legs,
        uint256 i
    ) internal view returns (bool isFirst, uint256 amount) {
        uint256 start = record.marks & MARK_RESERVED == 0 ? 0 : 1;
        if (i < start) return (false, 0);
        for (uint256 j = start; j < legs.length; ++j) {
            if (legs[j].from != legs[i].from || terms[j].currency != terms[i].currency) continue;
            if (j < i) return (false, 0);
            amount += terms[j].amount;
        }
        return (true, amount);
    }

    /// @dev Priority class of a leg.
    function priorityOf(PaymentRecord storage record, uint256 leg) internal view returns (uint8) {
        return uint8((record.priorities >> (2 * leg)) & 3);
    }
}
