"""A bank's wallets and the movements its customers asked for."""

import json
from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.ledger import Change, Side
from bridge.money import Amount, parse_currency
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page
from bridge.wallet import RetailKind, RetailPayment, RetailState, Wallet


class Wallets:
    """Wallets by id and by holder, and what their postings say was spent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, wallet: Wallet) -> None:
        """Keep a new wallet; raises `RecordConflict` when the holder has one in this currency."""
        if self.of_customer(wallet.customer_id, wallet.currency.code) is not None:
            raise RecordConflict("wallet of customer", wallet.customer_id)
        self._connection.execute(
            insert(tables.wallets).values(
                wallet_id=wallet.wallet_id,
                customer_id=wallet.customer_id,
                currency=wallet.currency.code,
                tier=wallet.tier,
                identification=json.dumps(sorted(wallet.identification)),
                linked_account=wallet.linked_account,
                opened_at=wallet.opened_at,
            )
        )

    def find(self, wallet_id: str) -> Wallet | None:
        """The wallet with this id, if there is one."""
        query = select(tables.wallets).where(tables.wallets.c.wallet_id == wallet_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _wallet(row)

    def of_customer(self, customer_id: str, currency: str) -> Wallet | None:
        """A customer's wallet in one currency, if there is one."""
        kept = tables.wallets.c
        query = select(tables.wallets).where(
            kept.customer_id == customer_id, kept.currency == currency
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _wallet(row)

    def all(self) -> tuple[Wallet, ...]:
        """Every wallet, by id."""
        query = select(tables.wallets).order_by(tables.wallets.c.wallet_id)
        return tuple(_wallet(row) for row in self._connection.execute(query))

    def count_by_tier(self) -> dict[str, int]:
        """How many wallets each tier has; no persons."""
        tier = tables.wallets.c.tier
        query = select(tier, func.count().label("wallets")).group_by(tier).order_by(tier)
        return {row.tier: row.wallets for row in self._connection.execute(query)}

    def spent_since(self, account_ids: tuple[str, ...], kinds: frozenset[str], since: int) -> int:
        """Minor units debited to these accounts by entries of these kinds, from the postings alone.

        What is pending counts, what was released of it does not.
        """
        postings, entries = tables.postings.c, tables.entries.c
        counted = case(
            (postings.change.in_([Change.RESERVED.value, Change.POSTED.value]), postings.amount),
            (postings.change == Change.RELEASED.value, -postings.amount),
            else_=0,
        )
        query = (
            select(func.coalesce(func.sum(counted), 0))
            .join_from(tables.postings, tables.entries, postings.entry_id == entries.entry_id)
            .where(
                postings.account_id.in_(account_ids),
                postings.side == Side.DEBIT.value,
                entries.kind.in_(sorted(kinds)),
                entries.booked_at >= since,
            )
        )
        return int(self._connection.execute(query).scalar_one())


class RetailPayments:
    """Movements by id, by their reference at the central bank and by client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, payment: RetailPayment) -> None:
        """Keep a new payment; raises `RecordConflict` when its id is used."""
        if self.find(payment.payment_id) is not None:
            raise RecordConflict("retail payment", payment.payment_id)
        self._connection.execute(
            insert(tables.retail_payments).values(
                payment_id=payment.payment_id,
                kind=payment.kind.value,
                client=payment.client,
                wallet_id=payment.wallet_id,
                currency=payment.currency.code,
                amount=payment.amount.minor_units,
                payee_lei=payment.payee_lei,
                payee_wallet=payment.payee_wallet,
                created_at=payment.created_at,
                releaser=payment.releaser,
                device=payment.device,
                **_changing(payment),
            )
        )

    def save(self, payment: RetailPayment) -> None:
        """Keep a payment's new version; raises `RecordMissing` when it was never added."""
        change = (
            update(tables.retail_payments)
            .where(tables.retail_payments.c.payment_id == payment.payment_id)
            .values(**_changing(payment))
        )
        if self._connection.execute(change).rowcount != 1:
            raise RecordMissing("retail payment", payment.payment_id)

    def find(self, payment_id: str) -> RetailPayment | None:
        """The payment with this id, if there is one."""
        query = select(tables.retail_payments).where(
            tables.retail_payments.c.payment_id == payment_id
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _payment(row)

    def get(self, payment_id: str) -> RetailPayment:
        """The payment with this id; raises `RecordMissing`."""
        found = self.find(payment_id)
        if found is None:
            raise RecordMissing("retail payment", payment_id)
        return found

    def by_reference(self, reference: bytes) -> RetailPayment | None:
        """The payment that has this reference at the central bank."""
        query = select(tables.retail_payments).where(
            tables.retail_payments.c.reference == reference
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _payment(row)

    def page(
        self, client: str, *, limit: int = PAGE_DEFAULT, cursor: str | None = None
    ) -> Page[RetailPayment]:
        """What one customer asked for, newest first."""
        kept = tables.retail_payments.c
        query = select(tables.retail_payments).where(kept.client == client)
        return read_page(
            self._connection, query, kept.sequence, _payment, limit=limit, cursor=cursor
        )


def _changing(payment: RetailPayment) -> dict[str, str | bytes | int | None]:
    """The columns that a step may change."""
    return {
        "state": payment.state.value,
        "deadline": payment.deadline,
        "entry_id": payment.entry_id,
        "reference": payment.reference,
        "reason": payment.reason,
        "tries": payment.tries,
    }


def _wallet(row: Row[Any]) -> Wallet:  # a row of the whole table
    return Wallet(
        wallet_id=row.wallet_id,
        customer_id=row.customer_id,
        currency=parse_currency(row.currency),
        tier=row.tier,
        identification=frozenset(json.loads(row.identification)),
        linked_account=row.linked_account,
        opened_at=row.opened_at,
    )


def _payment(row: Row[Any]) -> RetailPayment:  # a row of the whole table
    return RetailPayment(
        payment_id=row.payment_id,
        kind=RetailKind(row.kind),
        state=RetailState(row.state),
        client=row.client,
        wallet_id=row.wallet_id,
        amount=Amount(parse_currency(row.currency), row.amount),
        payee_lei=row.payee_lei,
        payee_wallet=row.payee_wallet,
        created_at=row.created_at,
        deadline=row.deadline,
        releaser=row.releaser,
        device=row.device,
        entry_id=row.entry_id,
        reference=row.reference,
        reason=row.reason,
        tries=row.tries,
    )
