// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPaymentSettlement} from "../interfaces/IPaymentSettlement.sol";
import {ISettlementAsset} from "../interfaces/ISettlementAsset.sol";
import {PaymentLegs} from "./PaymentLegs.sol";
import {PaymentLimits} from "./PaymentLimits.sol";
import {PaymentQueues} from "./PaymentQueues.sol";
import {
    Book,
    LEGS_MAX,
    MARK_RESERVED,
    PRIORITY_CLASSES,
    PaymentRecord,
    Queue,
    ROUND_ITEMS_MAX,
    ResolvedLeg
} from "./SettlementBook.sol";

/// @title Verified liquidity saving: settles together what a proposal names, as far as order and money allow.
/// @notice Part of PaymentSettlement under an address of its own. The proposal says what stands at the head of each
/// queue; this library checks that it does, takes every eligible item, and drops tails of queues until every account
/// and limit holds. What is left is the greatest part of the proposal that can settle.
library LiquidityRounds {
    using PaymentQueues for Queue;

    /// @dev An account in a round. `flow` is what items taken from its queue pay less what it receives; `net` is how its
    /// balance changes, what was set aside before included; `brokenTowards` is how many limits towards one participant are
    /// broken; the first `end` places of its walk are still in.
    struct Place {
        ISettlementAsset asset;
        address account;
        bytes20 lei;
        bytes3 currency;
        bool isAdmitted;
        uint40 suspendedSince;
        bool isUsable;
        uint40 day;
        uint256 paymentMax;
        int256 available;
        PaymentLimits.Room room;
        int256 flow;
        int256 gross;
        int256 net;
        uint256 brokenTowards;
        uint256 end;
        uint256 wanted;
    }

    /// @dev The state of a round. `spots` says, for item i and leg l at 8i + l, where item i stands in the walk of the
    /// leg's payer, counted from 1.
    struct Round {
        Place[] places;
        bool[] isTaken;
        uint256[] spots;
        uint256 taken;
    }

    /// @dev Transient slot that numbers the rounds of a transaction, so that each begins with empty sums.
    bytes32 private constant ROUND_NUMBER_SLOT = keccak256("corridor.transient.LiquidityRounds.number");

    /// @dev Settles what it can of a proposal; returns how many payments settled, which may be none.
    /// @param skipped Empty, or for each item whether it is left where it is.
    function run(Book storage book, IPaymentSettlement.Proposal calldata proposal, bool[] calldata skipped)
        external
        returns (uint256 settled)
    {
        if (proposal.items.length > ROUND_ITEMS_MAX) {
            revert IPaymentSettlement.SettlementRoundTooLarge(proposal.items.length, ROUND_ITEMS_MAX);
        }
        Round memory round = _open(book, proposal, skipped);
        _take(book, proposal, round, skipped);
        _trim(book, proposal, round);
        settled = round.taken;
        if (settled == 0) return 0;
        _record(book, proposal, round);
        _move(round);
        emit IPaymentSettlement.RoundSettled(proposal.items.length, settled);
    }

    function _open(Book storage book, IPaymentSettlement.Proposal calldata proposal, bool[] calldata skipped)
        private
        returns (Round memory round)
    {
        uint256 items = proposal.items.length;
        if (skipped.length != 0 && skipped.length != items) revert IPaymentSettlement.SettlementInvalidItem(items);
        bytes32 slot = ROUND_NUMBER_SLOT;
        assembly ("memory-safe") {
            tstore(slot, add(tload(slot), 1))
        }
        round.places = new Place[](proposal.walks.length);
        round.isTaken = new bool[](items);
        round.spots = new uint256[](items * LEGS_MAX);
        for (uint256 k = 0; k < proposal.walks.length; ++k) {
            _openPlace(book, proposal.walks, round.places[k], k);
        }
        for (uint256 i = 0; i < items; ++i) {
            _checkItem(book, proposal, i);
        }
        for (uint256 k = 0; k < proposal.walks.length; ++k) {
            _checkWalk(book, proposal, round, k);
        }
    }

    function _openPlace(
        Book storage book,
        IPaymentSettlement.Walk[] calldata walks,
        Place memory place,
        uint256 k
    ) private view {
        IPaymentSettlement.Walk calldata walk = walks[k];
        if (k > 0) {
            IPaymentSettlement.Walk calldata before = walks[k - 1];
            bool isRising = before.currency < walk.currency
                || (before.currency == walk.currency && before.account < walk.account);
            if (!isRising) revert IPaymentSettlement.SettlementInvalidWalk(k);
        }
        ISettlementAsset asset = book.assets[walk.currency];
        IParticipantRegistry.Party memory party = book.registry.partyOf(walk.account);
        if (address(asset) == address(0) || party.kind != IParticipantRegistry.AccountKind.Settlement) {
            revert IPaymentSettlement.SettlementInvalidWalk(k);
        }
        ISettlementAsset.Standing memory standing = asset.standingOf(party.account, party.account, "");
        place.asset = asset;
        place.account = party.account;
        place.lei = party.lei;
        place.currency = walk.currency;
        place.isAdmitted = party.isActive;
        place.suspendedSince = party.suspendedSince;
        place.isUsable = standing.isOpen && !standing.isFrozen;
        place.day = standing.businessDay;
        place.paymentMax = standing.paymentMax;
        place.available = standing.available;
        place.room = PaymentLimits.roomOf(book, party.account, walk.currency, standing.businessDay);
        place.end = walk.items.length;
        place.wanted = walk.items.length;
    }

    /// @dev An item waits, has the terms it was instructed with, and names the places of its legs.
    function _checkItem(Book storage book, IPaymentSettlement.Proposal calldata proposal, uint256 i) private view {
        IPaymentSettlement.Item calldata item = proposal.items[i];
        PaymentRecord storage record = book.payments[item.paymentId];
        if (record.state != IPaymentSettlement.State.Queued) {
            revert IPaymentSettlement.SettlementUnexpectedState(item.paymentId, record.state);
        }
        bytes32 termsHash = keccak256(abi.encode(item.terms));
        if (termsHash != record.termsHash) {
            revert IPaymentSettlement.SettlementTermsMismatch(item.paymentId, termsHash);
        }
        IPaymentSettlement.Leg[] calldata legs = item.terms.legs;
        if (item.accounts.length != 2 * legs.length) revert IPaymentSettlement.SettlementInvalidItem(i);
        for (uint256 l = 0; l < legs.length; ++l) {
            bool isNamed = _isPlace(proposal.walks, item.accounts[2 * l], legs[l].from, legs[l].currency)
                && _isPlace(proposal.walks, item.accounts[2 * l + 1], legs[l].to, legs[l].currency);
            if (!isNamed) revert IPaymentSettlement.SettlementInvalidItem(i);
        }
    }

    function _isPlace(IPaymentSettlement.Walk[] calldata walks, uint256 k, bytes32 account, bytes3 currency)
        private
        pure
        returns (bool)
    {
        return k < walks.length && walks[k].account == account && walks[k].currency == currency;
    }

    /// @dev A walk names what stands in the queue from its head on; each item learns its spot.
    function _checkWalk(
        Book storage book,
        IPaymentSettlement.Proposal calldata proposal,
        Round memory round,
        uint256 k
    ) private view {
        uint16[] calldata walk = proposal.walks[k].items;
        if (walk.length == 0) return;
        Queue storage queue = book.queues[round.places[k].account][proposal.walks[k].currency];
        (uint64 ticket, uint256 class) = queue.headFrom(PRIORITY_CLASSES - 1);
        for (uint256 p = 0; p < walk.length; ++p) {
            uint256 i = walk[p];
            if (i >= proposal.items.length) revert IPaymentSettlement.SettlementInvalidWalk(k);
            IPaymentSettlement.Item calldata item = proposal.items[i];
            PaymentRecord storage record = book.payments[item.paymentId];
            if (ticket == 0 || record.ticket != ticket) revert IPaymentSettlement.SettlementOrderBroken(k, p);
            for (uint256 l = _firstLeg(record); l < item.terms.legs.length; ++l) {
                if (item.accounts[2 * l] == k) round.spots[i * LEGS_MAX + l] = p + 1;
            }
            (ticket, class) = queue.behind(ticket, class);
        }
    }

    /// @dev Takes every eligible item that is not skipped. One that is not named in all its queues ends those walks
    /// where it stands; one that may not be skipped breaks the order.
    function _take(
        Book storage book,
        IPaymentSettlement.Proposal calldata proposal,
        Round memory round,
        bool[] calldata skipped
    ) private {
        for (uint256 i = 0; i < proposal.items.length; ++i) {
            IPaymentSettlement.Item calldata item = proposal.items[i];
            PaymentRecord storage record = book.payments[item.paymentId];
            if (!_isEligible(book, round, item, record)) continue;
            if (skipped.length != 0 && skipped[i]) {
                _checkSkip(round, item, record, i);
                continue;
            }
            bool isWhole = true;
            for (uint256 l = _firstLeg(record); l < item.terms.legs.length; ++l) {
                if (round.spots[i * LEGS_MAX + l] == 0) isWhole = false;
            }
            if (isWhole) {
                _shift(book, round, item, _firstLeg(record), 1);
                round.isTaken[i] = true;
                round.taken += 1;
            } else {
                _cut(round, item, i);
            }
        }
    }

    function _checkSkip(
        Round memory round,
        IPaymentSettlement.Item calldata item,
        PaymentRecord storage record,
        uint256 i
    ) private view {
        for (uint256 l = _firstLeg(record); l < item.terms.legs.length; ++l) {
            uint256 spot = round.spots[i * LEGS_MAX + l];
            if (spot != 0 && record.bypassable & (1 << l) == 0) {
                revert IPaymentSettlement.SettlementOrderBroken(item.accounts[2 * l], spot - 1);
            }
        }
    }

    /// @dev Nothing but money, order and limits keeps it from settling.
    function _isEligible(
        Book storage book,
        Round memory round,
        IPaymentSettlement.Item calldata item,
        PaymentRecord storage record
    ) private view returns (bool) {
        if (block.timestamp < record.notBefore || block.timestamp > record.settleBy) return false;
        uint40 enteredAt = record.enteredAt;
        IPaymentSettlement.Leg[] calldata legs = item.terms.legs;
        for (uint256 l = 0; l < legs.length; ++l) {
            Place memory payer = round.places[item.accounts[2 * l]];
            Place memory payee = round.places[item.accounts[2 * l + 1]];
            bool isEligible = payer.isUsable && payee.isUsable && legs[l].amount <= payer.paymentMax
                && PaymentLegs.isActive(book, payer.isAdmitted, payer.suspendedSince, enteredAt)
                && PaymentLegs.isActive(book, payee.isAdmitted, payee.suspendedSince, enteredAt);
            if (!isEligible) return false;
        }
        return true;
    }

    /// @dev Adds an item to the sums of a round (`sign` 1), or takes it out (-1).
    function _shift(
        Book storage book,
        Round memory round,
        IPaymentSettlement.Item calldata item,
        uint256 firstLeg,
        int256 sign
    ) private {
        IPaymentSettlement.Leg[] calldata legs = item.terms.legs;
        for (uint256 l = 0; l < legs.length; ++l) {
            int256 amount = sign * int256(legs[l].amount);
            uint256 from = item.accounts[2 * l];
            uint256 to = item.accounts[2 * l + 1];
            Place memory payer = round.places[from];
            Place memory payee = round.places[to];
            payer.net -= amount;
            payee.net += amount;
            payee.flow -= amount;
            if (payee.room.hasBilateral) _shiftTowards(book, payee, to, payer.lei, -amount, 0);
            if (l < firstLeg) continue;
            payer.flow += amount;
            payer.gross += amount;
            if (payer.room.hasBilateral) _shiftTowards(book, payer, from, payee.lei, amount, sign);
        }
    }

    /// @dev Drops tails of queues until every account and limit holds. What leaves one queue leaves all its queues with
    /// everything behind it.
    function _trim(Book storage book, IPaymentSettlement.Proposal calldata proposal, Round memory round) private {
        bool isChanged = true;
        while (isChanged) {
            isChanged = false;
            for (uint256 k = 0; k < round.places.length; ++k) {
                Place memory place = round.places[k];
                while (place.end > place.wanted || (place.end > 0 && _isBroken(place))) {
                    place.end -= 1;
                    uint256 i = proposal.walks[k].items[place.end];
                    if (!round.isTaken[i]) continue;
                    IPaymentSettlement.Item calldata item = proposal.items[i];
                    round.isTaken[i] = false;
                    round.taken -= 1;
                    _shift(book, round, item, _firstLeg(book.payments[item.paymentId]), -1);
                    _cut(round, item, i);
                    isChanged = true;
                }
            }
        }
    }

    /// @dev Ends every walk where an item stands in it.
    function _cut(Round memory round, IPaymentSettlement.Item calldata item, uint256 i) private pure {
        for (uint256 l = 0; l < item.terms.legs.length; ++l) {
            uint256 spot = round.spots[i * LEGS_MAX + l];
            if (spot == 0) continue;
            Place memory place = round.places[item.accounts[2 * l]];
            if (place.wanted >= spot) place.wanted = spot - 1;
        }
    }

    /// @dev Whether what is taken from a queue asks more than its money or its limits let out.
    function _isBroken(Place memory place) private pure returns (bool) {
        if (place.gross == 0) return false;
        if (place.flow > place.available || place.flow > place.room.net || place.gross > place.room.gross) return true;
        return place.brokenTowards > 0;
    }

    /// @dev Ends the payments that settle: state, queues, limits, what was set aside. Moves no tokens.
    function _record(Book storage book, IPaymentSettlement.Proposal calldata proposal, Round memory round) private {
        for (uint256 i = 0; i < proposal.items.length; ++i) {
            if (!round.isTaken[i]) continue;
            IPaymentSettlement.Item calldata item = proposal.items[i];
            PaymentRecord storage record = book.payments[item.paymentId];
            ResolvedLeg[] memory legs = _legsOf(round, item);
            PaymentQueues.departAll(book, record, item.terms.legs, legs);
            (record.state, record.outcome) = (IPaymentSettlement.State.Settled, IPaymentSettlement.Outcome.Settled);
            book.openPayments[legs[0].payer] -= 1;
            emit IPaymentSettlement.PaymentSettled(item.paymentId, record.termsHash);
            uint256 firstLeg = _firstLeg(record);
            for (uint256 l = 0; l < legs.length; ++l) {
                IPaymentSettlement.Leg calldata leg = item.terms.legs[l];
                uint40 day = round.places[item.accounts[2 * l]].day;
                if (l >= firstLeg) PaymentLimits.countOutflow(book, legs[l], leg.currency, leg.amount, day);
                PaymentLimits.countInflow(book, legs[l], leg.currency, leg.amount, day);
            }
            if (firstLeg == 1) legs[0].asset.release(item.paymentId, legs[0].from);
        }
    }

    /// @dev Moves the net amounts of a round through the clearing account, which is empty before and after.
    function _move(Round memory round) private {
        for (uint256 k = 0; k < round.places.length; ++k) {
            Place memory place = round.places[k];
            if (place.net < 0) place.asset.collect(place.account, uint256(-place.net), "");
        }
        for (uint256 k = 0; k < round.places.length; ++k) {
            Place memory place = round.places[k];
            if (place.net > 0) place.asset.distribute(place.account, uint256(place.net), "");
        }
    }

    function _legsOf(Round memory round, IPaymentSettlement.Item calldata item)
        private
        pure
        returns (ResolvedLeg[] memory legs)
    {
        legs = new ResolvedLeg[](item.terms.legs.length);
        for (uint256 l = 0; l < legs.length; ++l) {
            Place memory payer = round.places[item.accounts[2 * l]];
            Place memory payee = round.places[item.accounts[2 * l + 1]];
            legs[l] = ResolvedLeg({
                asset: payer.asset,
                from: payer.account,
                to: payee.account,
                payer: payer.lei,
                payee: payee.lei,
                isActive: true
            });
        }
    }

    /// @dev The first leg that stands in a queue: 1 where the money of leg 0 is set aside.
    function _firstLeg(PaymentRecord storage record) private view returns (uint256) {
        return record.marks & MARK_RESERVED == 0 ? 0 : 1;
    }

    /// @dev Adds to what a round lets out of place `k` to a participant less what comes in from it, and to how many legs
    /// go out; keeps count of the limits towards participants that are broken.
    function _shiftTowards(
        Book storage book,
        Place memory place,
        uint256 k,
        bytes20 lei,
        int256 change,
        int256 legs
    ) private {
        int256 room = PaymentLimits.bilateralRoomOf(book, place.account, place.currency, lei, place.day);
        if (room == type(int256).max) return;
        bytes32 slot = _towardsSlot(k, lei);
        int256 amount;
        int256 count;
        assembly ("memory-safe") {
            amount := tload(slot)
            count := tload(add(slot, 1))
        }
        bool wasBroken = count > 0 && amount > room;
        amount += change;
        count += legs;
        assembly ("memory-safe") {
            tstore(slot, amount)
            tstore(add(slot, 1), count)
        }
        bool isBroken = count > 0 && amount > room;
        if (isBroken && !wasBroken) place.brokenTowards += 1;
        if (wasBroken && !isBroken) place.brokenTowards -= 1;
    }

    function _towardsSlot(uint256 k, bytes20 lei) private view returns (bytes32) {
        bytes32 slot = ROUND_NUMBER_SLOT;
        uint256 round;
        assembly ("memory-safe") {
            round := tload(slot)
        }
        return keccak256(abi.encode(slot, round, k, lei));
    }
}
