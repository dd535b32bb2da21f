"""Statements as ISO 20022 pages (camt.053, camt.052): written by the central bank, read by the owner.

The account is named `rtgs:LEI` or `tokens:LEI`. Of each entry AcctSvcrRef is the line's number, NtryRef
the key by which it is compared, AddtlNtryInf what it is; a transfer has its end-to-end reference and
UETR. All balances are booked ones; amounts are seen from the owner of the account. Dates are business
days of the central bank, whose calendar the owner does not know: it keeps a line as of the end of the
page that stated it first, and compares nothing by date.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from bridge.business_days import BusinessDays
from bridge.chain import Participant
from bridge.errors import EnvelopeInvalid, InvalidUetr
from bridge.iso20022.codes import (
    BalanceType,
    CreditDebit,
    EntryStatus,
    TransactionDomain,
    TransactionFamily,
    TransactionSubFamily,
)
from bridge.iso20022.format import format_intraday_report, format_statement
from bridge.iso20022.identifiers import Uetr, parse_lei, parse_uetr
from bridge.iso20022.messages import AccountIdentification, Agent, Party
from bridge.iso20022.messages_statements import (
    BankTransactionCode,
    IntradayReport,
    Statement,
    StatementBalance,
    StatementEntry,
    paginate,
)
from bridge.iso20022.parse import parse_intraday_report, parse_statement
from bridge.money import Amount, Currency, parse_currency
from bridge.rtgs import Transfer
from bridge.store import StatedAccount, StatementKind, StatementLine, StoredStatement

ACCOUNT_BY_SCOPE: Final = {"reserves": "rtgs", "tokens": "tokens"}
"""How an account is named on its statement."""

_SCOPE_BY_ACCOUNT: Final = {name: scope for scope, name in ACCOUNT_BY_SCOPE.items()}


@dataclass(frozen=True, slots=True)
class StatementPage:
    """One page as its owner reads it."""

    statement: StoredStatement
    lines: tuple[StatementLine, ...]


def write_pages(
    stored: StoredStatement,
    lines: Sequence[StatementLine],
    transfers: Mapping[str, Transfer],
    *,
    days: BusinessDays,
    servicer: Agent,
    owner: Participant,
) -> list[bytes]:
    """The pages of a statement; `transfers` are those behind its lines, by their reference.

    Raises `CalendarYearUnknown`.
    """
    currency = parse_currency(stored.account.currency)
    statement = Statement(
        message_id=stored.statement_id,
        created_at=_moment(stored.period_end),
        statement_id=stored.statement_id,
        sequence_number=stored.number,
        period_start=_moment(stored.period_start),
        period_end=_moment(stored.period_end),
        account=AccountIdentification(
            other=f"{ACCOUNT_BY_SCOPE[stored.account.scope]}:{stored.account.lei}"
        ),
        currency=currency,
        owner=Party(name=owner.bic, lei=parse_lei(owner.lei)),
        servicer=servicer,
        balances=(
            StatementBalance.of(
                BalanceType.OPBD,
                Amount(currency, stored.opening),
                days.day_of(stored.period_start),
            ),
            StatementBalance.of(
                BalanceType.CLBD, Amount(currency, stored.closing), days.day_of(stored.period_end)
            ),
        ),
        entries=tuple(
            _entry(line, days.day_of(line.at), currency, transfers.get(line.key)) for line in lines
        ),
    )
    pages = paginate(statement)
    if stored.kind is StatementKind.STATEMENT:
        return [format_statement(page) for page in pages]
    return [format_intraday_report(_intraday(page)) for page in pages]


def read_page(document: bytes, kind: StatementKind, block: int) -> StatementPage:
    """A page of a statement; raises the parse errors, and `EnvelopeInvalid` for one not of ours."""
    page: Statement | IntradayReport
    if kind is StatementKind.STATEMENT:
        page = parse_statement(document)
        statement_id = page.statement_id
    else:
        page = parse_intraday_report(document)
        statement_id = page.report_id
    name, _, lei = (page.account.other or "").partition(":")
    scope = _SCOPE_BY_ACCOUNT.get(name)
    if scope is None or len(page.balances) < 2:
        raise EnvelopeInvalid("it states no account at a central bank")
    opening, closing = page.balances[0].signed, page.balances[-1].signed
    period_end = int(page.period_end.timestamp())
    lines = tuple(_lines(page, opening.minor_units, period_end))
    first = lines[0].number if lines else 0
    stored = StoredStatement(
        statement_id=f"{statement_id}-{page.page.number}",
        kind=kind,
        account=StatedAccount(scope, lei, page.currency.code),
        number=page.sequence_number,
        first_line=first,
        last_line=lines[-1].number if lines else first - 1,
        opening=opening.minor_units,
        closing=closing.minor_units,
        period_start=int(page.period_start.timestamp()),
        period_end=period_end,
        block=block if page.page.is_last else -1,
    )
    return StatementPage(stored, lines)


def _lines(page: Statement | IntradayReport, opening: int, period_end: int) -> list[StatementLine]:
    balance = opening
    lines: list[StatementLine] = []
    for entry in page.entries:
        balance += entry.signed.minor_units
        number = entry.account_servicer_reference
        if not (number.isascii() and number.isdigit()):
            raise EnvelopeInvalid("AcctSvcrRef is not the number of a line")
        if lines and int(number) != lines[-1].number + 1:
            raise EnvelopeInvalid("its lines are not numbered one after the other")
        lines.append(
            StatementLine(
                number=int(number),
                kind=entry.additional_information or "",
                key=entry.entry_reference or "",
                amount=entry.signed.minor_units,
                balance=balance,
                at=period_end,
            )
        )
    return lines


def _entry(
    line: StatementLine, day: date, currency: Currency, transfer: Transfer | None
) -> StatementEntry:
    direction = CreditDebit.CRDT if line.amount > 0 else CreditDebit.DBIT
    is_credit = direction is CreditDebit.CRDT
    return StatementEntry(
        amount=Amount(currency, abs(line.amount)),
        direction=direction,
        status=EntryStatus.BOOK,
        booking_date=day,
        value_date=day,
        account_servicer_reference=str(line.number),
        entry_reference=line.key or None,
        bank_transaction_code=BankTransactionCode(
            TransactionDomain.PMNT,
            TransactionFamily.RCDT if is_credit else TransactionFamily.ICDT,
            TransactionSubFamily.FICT,
        ),
        end_to_end_id=None if transfer is None else transfer.end_to_end_id,
        uetr=None if transfer is None else _uetr(transfer.transfer_id),
        additional_information=line.kind or None,
    )


def _uetr(text: str) -> Uetr | None:
    try:
        return parse_uetr(text)
    except InvalidUetr:
        return None


def _intraday(page: Statement) -> IntradayReport:
    return IntradayReport(
        message_id=page.message_id,
        created_at=page.created_at,
        report_id=page.statement_id,
        sequence_number=page.sequence_number,
        period_start=page.period_start,
        period_end=page.period_end,
        account=page.account,
        currency=page.currency,
        owner=page.owner,
        servicer=page.servicer,
        balances=page.balances,
        entries=page.entries,
        page=page.page,
    )


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
