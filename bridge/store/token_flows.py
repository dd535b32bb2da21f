"""Tokens in and out of participants' accounts, as final events say, and what they add up to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.money import Currency
from bridge.payment import Leg
from bridge.store import tables
from bridge.store.page import PAGE_MAX


@dataclass(frozen=True, slots=True)
class NewFlow:
    """Tokens that came to a participant (above zero) or left it, in minor units.

    `kind` is `issue`, `redeem`, `payment`, or `other` for what no order of those explains; `key` names
    the order. Block, log and transaction are where the chain says so.
    """

    lei: str
    currency: str
    kind: str
    key: str
    amount: int
    block_number: int
    log_index: int
    transaction_hash: bytes
    at: int


@dataclass(frozen=True, slots=True)
class TokenFlow:
    """A flow that is kept: `balance` is what the participant held after it."""

    sequence: int
    lei: str
    kind: str
    key: str
    amount: int
    balance: int
    block_number: int
    at: int


class TokenFlows:
    """Flows in the order of the chain, positions by participant and currency."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep_legs(self, payment_id: bytes, legs: Iterable[Leg]) -> None:
        """Keep who pays whom in a payment, for when it settles; kept again nothing changes."""
        kept = tables.payment_legs.c
        query = select(kept.position).where(kept.payment_id == payment_id)
        known = set(self._connection.execute(query).scalars())
        for position, leg in enumerate(legs):
            if position not in known:
                self._connection.execute(
                    insert(tables.payment_legs).values(
                        payment_id=payment_id,
                        position=position,
                        currency=leg.currency,
                        from_reference=leg.from_reference,
                        to_reference=leg.to_reference,
                        amount=leg.amount,
                    )
                )

    def legs(self, payment_id: bytes) -> tuple[Leg, ...]:
        """Who pays whom in a payment, as far as it was kept."""
        kept = tables.payment_legs.c
        query = (
            select(tables.payment_legs).where(kept.payment_id == payment_id).order_by(kept.position)
        )
        return tuple(
            Leg(row.currency, row.from_reference, row.to_reference, row.amount)
            for row in self._connection.execute(query)
        )

    def add(self, flow: NewFlow) -> None:
        """Keep a flow and move the position of its participant."""
        balance = self.position(flow.lei, flow.currency) + flow.amount
        self._connection.execute(
            insert(tables.token_flows).values(
                currency=flow.currency,
                lei=flow.lei,
                kind=flow.kind,
                key=flow.key,
                amount=flow.amount,
                balance=balance,
                block_number=flow.block_number,
                log_index=flow.log_index,
                transaction_hash=flow.transaction_hash,
                at=flow.at,
            )
        )
        kept = tables.token_positions.c
        change = (
            update(tables.token_positions)
            .where(kept.lei == flow.lei, kept.currency == flow.currency)
            .values(amount=balance)
        )
        if self._connection.execute(change).rowcount == 0:
            self._connection.execute(
                insert(tables.token_positions).values(
                    lei=flow.lei, currency=flow.currency, amount=balance
                )
            )

    def position(self, lei: str, currency: str) -> int:
        """What a participant's flows add up to."""
        kept = tables.token_positions.c
        query = select(kept.amount).where(kept.lei == lei, kept.currency == currency)
        return int(self._connection.execute(query).scalar_one_or_none() or 0)

    def positions(self, currency: Currency) -> dict[str, int]:
        """What everybody's flows add up to, by participant."""
        kept = tables.token_positions.c
        query = select(kept.lei, kept.amount).where(kept.currency == currency.code)
        return {row.lei: int(row.amount) for row in self._connection.execute(query)}

    def after(
        self, sequence: int, currency: Currency, limit: int = PAGE_MAX
    ) -> tuple[TokenFlow, ...]:
        """The next flows of a currency, in the order of the chain."""
        kept = tables.token_flows.c
        query = (
            select(tables.token_flows)
            .where(kept.sequence > sequence, kept.currency == currency.code)
            .order_by(kept.sequence)
            .limit(limit)
        )
        return tuple(_flow(row) for row in self._connection.execute(query))

    def turnover(self, lei: str, currency: Currency, since: int, until: int) -> tuple[int, int]:
        """What was issued to and redeemed by a participant from one UTC second to another."""
        kept = tables.token_flows.c
        query = (
            select(kept.kind, func.sum(kept.amount).label("amount"))
            .where(
                kept.lei == lei,
                kept.currency == currency.code,
                kept.at.between(since, until),
                kept.kind.in_(["issue", "redeem"]),
            )
            .group_by(kept.kind)
        )
        sums = {row.kind: int(row.amount) for row in self._connection.execute(query)}
        return sums.get("issue", 0), -sums.get("redeem", 0)


def _flow(row: Row[Any]) -> TokenFlow:  # a row of the whole table
    return TokenFlow(
        sequence=row.sequence,
        lei=row.lei,
        kind=row.kind,
        key=row.key,
        amount=row.amount,
        balance=row.balance,
        block_number=row.block_number,
        at=row.at,
    )
