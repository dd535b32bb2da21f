"""The ledger as it was and as it became: balances at a moment, statements, and whether the books are right.

An operator sees every account, a customer their own. A moment is a UTC second: a statement is of the
movements from the second `from` on and before the second `to`.
"""

from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import CustomerNeeded, OperatorNeeded
from bridge.api.ledger_schemas import (
    BalanceView,
    MomentQuery,
    StatementQuery,
    StatementView,
    VerificationView,
)
from bridge.api.services import ServicesNeeded
from bridge.errors import AccountUnknown, RequestInvalid, ResourceUnknown
from bridge.ledger import Balance
from bridge.settlement.description import describe_amount
from bridge.store import Customer, StatementItem, UnitOfWork
from bridge.verification import verify_books

operating = APIRouter(prefix="/v1/ledger", tags=["operations"], dependencies=[OperatorNeeded])
"""Routes for operators of every institution."""

owning = APIRouter(prefix="/v1/accounts", tags=["accounts"])
"""Routes for the customers of a bank."""


@operating.get("/verification", response_model=VerificationView)
def verify(services: ServicesNeeded) -> dict[str, object]:
    """Whether the books are what their postings alone add up to; reads every posting there is."""
    findings = verify_books(services.institution.store)
    return {
        "verified": not findings,
        "findings": [{"place": each.place, "fault": each.fault} for each in findings],
    }


@operating.get("/accounts/{account_id:path}/balance", response_model=BalanceView)
def get_balance(
    account_id: str, moment: Annotated[MomentQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """An account's balance now, or at the end of a UTC second."""
    with services.institution.store.reading() as work:
        return _balance(work, account_id, moment)


@operating.get("/accounts/{account_id:path}/statement", response_model=StatementView)
def get_statement(
    account_id: str, period: Annotated[StatementQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """A page of an account's statement: the oldest movement first."""
    with services.institution.store.reading() as work:
        return _statement(work, account_id, period)


@owning.get("/{account_id:path}/balance", response_model=BalanceView)
def get_own_balance(
    customer: CustomerNeeded,
    account_id: str,
    moment: Annotated[MomentQuery, Query()],
    services: ServicesNeeded,
) -> dict[str, object]:
    """The balance of an account of one's own now, or at the end of a UTC second."""
    with services.institution.store.reading() as work:
        _check_owner(work, customer, account_id)
        return _balance(work, account_id, moment)


@owning.get("/{account_id:path}/statement", response_model=StatementView)
def get_own_statement(
    customer: CustomerNeeded,
    account_id: str,
    period: Annotated[StatementQuery, Query()],
    services: ServicesNeeded,
) -> dict[str, object]:
    """A page of the statement of an account of one's own: the oldest movement first."""
    with services.institution.store.reading() as work:
        _check_owner(work, customer, account_id)
        return _statement(work, account_id, period)


def _check_owner(work: UnitOfWork, customer: Customer, account_id: str) -> None:
    """Somebody else's account is as unknown as one that does not exist."""
    account = work.customers.account(account_id)
    if account is None or account.customer_id != customer.customer_id:
        raise ResourceUnknown("account", account_id)


def _balance(work: UnitOfWork, account_id: str, moment: MomentQuery) -> dict[str, object]:
    try:
        balance = work.ledger.balance(account_id)
    except AccountUnknown as error:
        raise ResourceUnknown("account", account_id) from error
    if moment.at is not None:
        balance = work.statements.balance_at(account_id, moment.at)
    return _describe_balance(balance)


def _statement(work: UnitOfWork, account_id: str, period: StatementQuery) -> dict[str, object]:
    if period.start is not None and period.end is not None and period.end < period.start:
        raise RequestInvalid("it ends before it begins").at("to")
    after, through = 0, None
    if period.start is not None:
        after = work.statements.version_at(account_id, period.start - 1)
    if period.end is not None:
        through = work.statements.version_at(account_id, period.end - 1)
    try:
        found = work.statements.statement(
            account_id, after=after, through=through, limit=period.limit, cursor=period.cursor
        )
    except AccountUnknown as error:
        raise ResourceUnknown("account", account_id) from error
    return {
        "account": account_id,
        "opening": _describe_balance(found.opening),
        "items": [_describe_item(item) for item in found.items],
        "closing": _describe_balance(found.closing),
        "next": found.next_cursor,
    }


def _describe_balance(balance: Balance) -> dict[str, object]:
    return {
        "account": balance.account.account_id,
        "ledger": describe_amount(balance.ledger),
        "available": describe_amount(balance.available),
        "version": balance.version,
    }


def _describe_item(item: StatementItem) -> dict[str, object]:
    return {
        "version": item.version,
        "at": item.at,
        "entry": item.entry_id,
        "kind": item.kind,
        "description": item.description,
        "payment_id": item.payment_id,
        "side": item.side.value,
        "amount": describe_amount(item.amount),
        "balance": describe_amount(item.balance),
    }
