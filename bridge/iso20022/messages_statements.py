"""Statements and intraday reports of one account, a page per message.

Amounts are above zero and have a direction, seen from the account. A page starts with the balance
it opens with and, in a statement, ends with the one it closes with: between pages that is an
interim balance, so that every page can be checked by itself and the pages as a chain.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from bridge.iso20022.codes import (
    BalanceType,
    ChargeType,
    CreditDebit,
    EntryStatus,
    TransactionDomain,
    TransactionFamily,
    TransactionSubFamily,
)
from bridge.iso20022.identifiers import Uetr
from bridge.iso20022.messages import (
    AccountIdentification,
    Agent,
    CurrencyExchange,
    Party,
)
from bridge.money import Amount, Currency

ENTRIES_MAX: Final = 30
"""Entries on one page: whatever they say, the page is smaller than the largest message read."""


@dataclass(frozen=True, slots=True)
class Page:
    """The place of a message among the pages of its statement; the first is 1."""

    number: int = 1
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class StatementBalance:
    """One balance of an account; zero is a credit of zero."""

    balance_type: BalanceType
    amount: Amount
    direction: CreditDebit
    balance_date: date
    is_interim: bool = False

    @classmethod
    def of(
        cls,
        balance_type: BalanceType,
        signed: Amount,
        balance_date: date,
        *,
        is_interim: bool = False,
    ) -> "StatementBalance":
        """Return a balance from a signed amount: positive in the account owner's favour."""
        direction = CreditDebit.DBIT if signed.minor_units < 0 else CreditDebit.CRDT
        amount = Amount(signed.currency, abs(signed.minor_units))
        return cls(balance_type, amount, direction, balance_date, is_interim)

    @property
    def signed(self) -> Amount:
        """Return the balance as a signed amount: positive in the account owner's favour."""
        return _signed(self.amount, self.direction)


@dataclass(frozen=True, slots=True)
class BankTransactionCode:
    """What an entry is, in the three parts of the ISO bank transaction code."""

    domain: TransactionDomain
    family: TransactionFamily
    sub_family: TransactionSubFamily


@dataclass(frozen=True, slots=True)
class StatementCharge:
    """A charge that is included in the amount of an entry."""

    amount: Amount
    charge_type: ChargeType | None = None
    agent: Agent | None = None


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One entry of an account, with the references and parties of its payment where it has one."""

    amount: Amount
    direction: CreditDebit
    status: EntryStatus
    booking_date: date
    value_date: date
    account_servicer_reference: str
    bank_transaction_code: BankTransactionCode
    entry_reference: str | None = None
    is_reversal: bool = False
    charges: tuple[StatementCharge, ...] = ()
    original_message_id: str | None = None
    payment_information_id: str | None = None
    instruction_id: str | None = None
    end_to_end_id: str | None = None
    uetr: Uetr | None = None
    transaction_id: str | None = None
    instructed_amount: Amount | None = None
    exchange: CurrencyExchange | None = None
    debtor: Party | None = None
    debtor_account: AccountIdentification | None = None
    creditor: Party | None = None
    creditor_account: AccountIdentification | None = None
    debtor_agent: Agent | None = None
    creditor_agent: Agent | None = None
    remittance_information: str | None = None
    additional_information: str | None = None

    @property
    def signed(self) -> Amount:
        """Return the entry as a signed amount: positive in the account owner's favour."""
        return _signed(self.amount, self.direction)


@dataclass(frozen=True, slots=True)
class Statement:
    """A camt.053: the booked entries of a period between two balances, or one page of them.

    `sequence_number` counts the statements of the account without gaps; its pages share it.
    """

    message_id: str
    created_at: datetime
    statement_id: str
    sequence_number: int
    period_start: datetime
    period_end: datetime
    account: AccountIdentification
    currency: Currency
    owner: Party
    servicer: Agent
    balances: tuple[StatementBalance, ...]
    entries: tuple[StatementEntry, ...]
    page: Page = Page()


@dataclass(frozen=True, slots=True)
class IntradayReport:
    """A camt.052: entries of the day so far, booked and pending, with or without balances."""

    message_id: str
    created_at: datetime
    report_id: str
    sequence_number: int
    period_start: datetime
    period_end: datetime
    account: AccountIdentification
    currency: Currency
    owner: Party
    servicer: Agent
    balances: tuple[StatementBalance, ...]
    entries: tuple[StatementEntry, ...]
    page: Page = Page()


def paginate(statement: Statement) -> tuple[Statement, ...]:
    """Return the pages of a statement of any length, each with the balances it lies between.

    The first balance must be the opening one (OPBD) and the last the closing one (CLBD); what
    stands between them, such as an available balance, goes onto the last page. Message ids of
    the pages are the statement's with `-` and the page number.
    """
    opening, *others, closing = statement.balances
    starts = range(0, max(1, len(statement.entries)), ENTRIES_MAX)
    pages = []
    balance = opening.signed
    for number, start in enumerate(starts, start=1):
        entries = statement.entries[start : start + ENTRIES_MAX]
        is_last = number == len(starts)
        first = StatementBalance.of(
            BalanceType.OPBD, balance, opening.balance_date, is_interim=number > 1
        )
        for entry in entries:
            balance += entry.signed
        between = StatementBalance.of(
            BalanceType.CLBD, balance, closing.balance_date, is_interim=True
        )
        last = (*others, closing) if is_last else (between,)
        page_id = statement.message_id if len(starts) == 1 else f"{statement.message_id}-{number}"
        pages.append(
            replace(
                statement,
                message_id=page_id,
                page=Page(number, is_last),
                balances=(first, *last),
                entries=entries,
            )
        )
    return tuple(pages)


def _signed(amount: Amount, direction: CreditDebit) -> Amount:
    return amount if direction is CreditDebit.CRDT else -amount
