"""The bank's customers and the account numbers they know, each standing for one ledger account."""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.iso20022.messages import PostalAddress
from bridge.store import tables
from bridge.store.prepared import Given, Prepared


@unique
class AccountScheme(StrEnum):
    """What kind of number identifies an account."""

    IBAN = "iban"
    OTHER = "other"


@unique
class CustomerAccountStatus(StrEnum):
    """Only an open account is debited or credited."""

    OPEN = "open"
    CLOSED = "closed"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer. `token_hash` is the SHA-256 of the bearer token; the token is not kept."""

    customer_id: str
    name: str
    address: PostalAddress
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class CustomerAccount:
    """An account as its holder knows it; `account_id` names the ledger account behind it.

    `currency` is its ISO 4217 code.
    """

    account_id: str
    customer_id: str
    scheme: AccountScheme
    identification: str
    currency: str
    status: CustomerAccountStatus = CustomerAccountStatus.OPEN


class Customers:
    """Customers by id and token; their accounts by identification."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upsert(self, customer: Customer) -> None:
        """Keep a customer, new or changed.

        Raises `RecordConflict` when the token belongs to another customer.
        """
        holder = self.by_token_hash(customer.token_hash)
        if holder is not None and holder.customer_id != customer.customer_id:
            raise RecordConflict("token of customer", holder.customer_id)
        values = {
            "name": customer.name,
            "token_hash": customer.token_hash,
            "document": json.dumps(asdict(customer.address), sort_keys=True, ensure_ascii=False),
        }
        if self.get(customer.customer_id) is None:
            self._connection.execute(
                insert(tables.customers).values(customer_id=customer.customer_id, **values)
            )
            return
        change = update(tables.customers).where(
            tables.customers.c.customer_id == customer.customer_id
        )
        self._connection.execute(change.values(**values))

    def get(self, customer_id: str) -> Customer | None:
        """The customer with this id."""
        return self._customer(_CUSTOMER, {"customer_id": customer_id})

    def by_token_hash(self, token_hash: bytes) -> Customer | None:
        """The customer who holds the token with this hash."""
        return self._customer(_HOLDER, {"token_hash": token_hash})

    def add_account(self, account: CustomerAccount) -> None:
        """Keep an account of a customer; nothing happens when the same one is kept already.

        The one that is kept keeps its status: it may have been frozen or closed since. The ledger
        account must be open. Raises `RecordConflict` when the identification or the ledger account
        stands for something else.
        """
        found = self.by_identification(account.identification) or self.account(account.account_id)
        if found is not None and replace(found, status=account.status) == account:
            return
        if found is not None:
            raise RecordConflict("customer account", account.identification)
        self._connection.execute(
            insert(tables.customer_accounts).values(
                account_id=account.account_id,
                customer_id=account.customer_id,
                scheme=account.scheme.value,
                identification=account.identification,
                currency=account.currency,
                status=account.status.value,
            )
        )

    def set_status(self, account_id: str, status: CustomerAccountStatus) -> None:
        """Open, close or freeze an account; raises `RecordMissing`."""
        change = (
            update(tables.customer_accounts)
            .where(tables.customer_accounts.c.account_id == account_id)
            .values(status=status.value)
        )
        if self._connection.execute(change).rowcount != 1:
            raise RecordMissing("customer account", account_id)

    def account(self, account_id: str) -> CustomerAccount | None:
        """The customer account behind a ledger account."""
        return self._account(_BY_ACCOUNT, {"account_id": account_id})

    def by_identification(self, identification: str) -> CustomerAccount | None:
        """The account with this IBAN or other number."""
        return self._account(_BY_IDENTIFICATION, {"identification": identification})

    def accounts_of(self, customer_id: str) -> tuple[CustomerAccount, ...]:
        """Every account of a customer, by identification."""
        rows = _ACCOUNTS_OF.rows(self._connection, {"customer_id": customer_id})
        return tuple(_account(*row) for row in rows)

    def _customer(self, query: Prepared, given: Given) -> Customer | None:
        rows = query.rows(self._connection, given)
        return _customer(*rows[0]) if rows else None

    def _account(self, query: Prepared, given: Given) -> CustomerAccount | None:
        rows = query.rows(self._connection, given)
        return _account(*rows[0]) if rows else None


def _address(document: dict[str, Any]) -> PostalAddress:  # JSON
    return PostalAddress(**{**document, "lines": tuple(document.get("lines", ()))})


def _customer(customer_id: str, name: str, token_hash: bytes, document: str) -> Customer:
    return Customer(customer_id, name, _address(json.loads(document)), bytes(token_hash))


def _account(
    account_id: str, customer_id: str, scheme: str, identification: str, currency: str, status: str
) -> CustomerAccount:
    return CustomerAccount(
        account_id,
        customer_id,
        AccountScheme(scheme),
        identification,
        currency,
        CustomerAccountStatus(status),
    )


_HELD = tables.customers.c
_CUSTOMERS = select(_HELD.customer_id, _HELD.name, _HELD.token_hash, _HELD.document)
_CUSTOMER = Prepared(_CUSTOMERS.where(_HELD.customer_id == bindparam("customer_id")))
_HOLDER = Prepared(_CUSTOMERS.where(_HELD.token_hash == bindparam("token_hash")))

_KEPT = tables.customer_accounts.c
_ACCOUNTS = select(
    _KEPT.account_id,
    _KEPT.customer_id,
    _KEPT.scheme,
    _KEPT.identification,
    _KEPT.currency,
    _KEPT.status,
)
_BY_ACCOUNT = Prepared(_ACCOUNTS.where(_KEPT.account_id == bindparam("account_id")))
_BY_IDENTIFICATION = Prepared(_ACCOUNTS.where(_KEPT.identification == bindparam("identification")))
_ACCOUNTS_OF = Prepared(
    _ACCOUNTS.where(_KEPT.customer_id == bindparam("customer_id")).order_by(_KEPT.identification)
)
