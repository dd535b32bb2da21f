"""Tokens in and out of accounts, taken out of each final block in the transaction that records it.

The chain's own `Transfer` events say how much each account won or lost in a transaction; the events of
issuance, redemption and settlement say why. What they do not explain is a flow of its own (`other`):
tokens that moved behind everybody's back show as such. In a round money moves net; the payments in it
still explain it, since they add up to the same.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from bridge.chain import AccountKind, BlockData, ChainEvent, terms_of_event
from bridge.chain.encoding import TOKEN
from bridge.config import Role
from bridge.errors import ParticipantUnknown
from bridge.institution import Institution
from bridge.money import AMOUNT_MAX, Currency, parse_currency
from bridge.store import NewFlow, UnitOfWork
from bridge.store.movements import KEY_DIGITS

_REFERENCE_AND_ACCOUNT: Final = {
    "Issued": ("issueReference", "to", "issue", 1),
    "Redeemed": ("redeemReference", "from", "redeem", -1),
}


class FlowRecorder:
    """Keeps the flows of one institution, or at a central bank those of everybody, in its currencies."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution

    def record(self, work: UnitOfWork, block: BlockData) -> None:
        """Keep what one block did to the accounts that are followed here."""
        for event in block.events:
            if event.name == "Instructed":
                self._keep_legs(work, event)
        for events in _by_transaction(block.events):
            for code in self._institution.settings.currencies:
                self._record(work, parse_currency(code), events, block.ref.timestamp)

    def _keep_legs(self, work: UnitOfWork, event: ChainEvent) -> None:
        """Keep the legs that could ever settle: nobody holds more than a ledger can."""
        legs = terms_of_event(event).legs
        known = set(self._institution.settings.currencies)
        if any(leg.currency in known and leg.amount <= AMOUNT_MAX for leg in legs):
            kept = [leg for leg in legs if leg.amount <= AMOUNT_MAX]
            work.token_flows.keep_legs(event.arguments["paymentId"], kept)

    def _record(
        self, work: UnitOfWork, currency: Currency, events: Sequence[ChainEvent], at: int
    ) -> None:
        token = self._institution.chain.token_address(currency.numeric)
        unexplained = self._deltas(token, events)
        for event in events:
            for lei, kind, key, amount in self._explained(work, currency, token, event):
                unexplained[lei] -= amount
                if amount:
                    flow = self._flow(event, lei, currency, (kind, key, amount), at)
                    work.token_flows.add(flow)
        for lei, amount in sorted(unexplained.items()):
            if amount:
                key = events[0].transaction_hash.hex()[:KEY_DIGITS]
                flow = self._flow(events[0], lei, currency, ("other", key, amount), at)
                work.token_flows.add(flow)

    def _deltas(self, token: bytes, events: Sequence[ChainEvent]) -> defaultdict[str, int]:
        """What each followed account won or lost in a transaction."""
        deltas: defaultdict[str, int] = defaultdict(int)
        for event in events:
            if event.contract == TOKEN and event.name == "Transfer" and event.address == token:
                for side, sign in (("from", -1), ("to", 1)):
                    lei = self._holder(event.arguments[side])
                    if lei is not None:
                        deltas[lei] += sign * event.arguments["value"]
        return deltas

    def _explained(
        self, work: UnitOfWork, currency: Currency, token: bytes, event: ChainEvent
    ) -> Iterator[tuple[str, str, str, int]]:
        """Holder, kind, key and amount of what one event explains."""
        if event.name in _REFERENCE_AND_ACCOUNT and event.address == token:
            reference, account, kind, sign = _REFERENCE_AND_ACCOUNT[event.name]
            lei = self._holder(event.arguments[account])
            if lei is not None:
                key = event.arguments[reference].hex()[:KEY_DIGITS]
                yield lei, kind, key, sign * event.arguments["amount"]
        elif event.name == "PaymentSettled":
            payment_id = event.arguments["paymentId"]
            sums: defaultdict[str, int] = defaultdict(int)
            for leg in work.token_flows.legs(payment_id):
                if leg.currency == currency.code:
                    for side, direction in ((leg.from_reference, -1), (leg.to_reference, 1)):
                        holder = self._holder_of(side)
                        if holder is not None:
                            sums[holder] += direction * leg.amount
            for lei, amount in sorted(sums.items()):
                yield lei, "payment", payment_id.hex()[:KEY_DIGITS], amount

    def _holder(self, address: bytes) -> str | None:
        """Whose settlement account is at an address, if it is followed here."""
        try:
            owner = self._institution.directory().owner_of_address(address)
        except ParticipantUnknown:
            return None
        is_settling = address in owner.addresses(AccountKind.SETTLEMENT)
        return owner.lei if is_settling and self._is_followed(owner.lei) else None

    def _holder_of(self, reference: bytes) -> str | None:
        owner = self._institution.directory().owner_of(reference)
        return owner.lei if owner is not None and self._is_followed(owner.lei) else None

    def _is_followed(self, lei: str) -> bool:
        is_central_bank = self._institution.settings.role is Role.CENTRAL_BANK
        return is_central_bank or lei == self._institution.lei

    def _flow(
        self, event: ChainEvent, lei: str, currency: Currency, what: tuple[str, str, int], at: int
    ) -> NewFlow:
        kind, key, amount = what
        return NewFlow(
            lei=lei,
            currency=currency.code,
            kind=kind,
            key=key,
            amount=amount,
            block_number=event.block_number,
            log_index=event.log_index,
            transaction_hash=event.transaction_hash,
            at=at,
        )


def _by_transaction(events: Sequence[ChainEvent]) -> Iterator[tuple[ChainEvent, ...]]:
    """The events of each transaction, in the order of the block."""
    for _, members in groupby(events, key=lambda event: event.transaction_hash):
        yield tuple(members)
