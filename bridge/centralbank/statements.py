"""The central bank's statements of what participants have with it, made from its own books alone.

    lines      every movement of an RTGS account as its entry takes effect, every flow of tokens as its
               block becomes final: numbered per account, each with the balance after it, for ever
    intraday   what is new since the last, every so many seconds (camt.052)
    statement  a whole business day, when it is closed (camt.053), also of an account that did not move

A statement is a span of lines. It is recorded where the day is closed, and written and sent to the
account's owner, page by page, by a worker; asked for again it is the same, since lines never change. A
line is booked for the business day to which its second belongs, in whatever statement it stands.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from bridge import chart
from bridge.centralbank.statement_pages import write_pages
from bridge.errors import CalendarYearUnknown, StatementUnknown
from bridge.institution import Institution
from bridge.interbank import Kind, Outgoing, deliver
from bridge.money import Currency, parse_currency
from bridge.store import (
    EffectRow,
    NewEffect,
    StatedAccount,
    StatementKind,
    StatementLine,
    StoredStatement,
    UnitOfWork,
)
from bridge.store.movements import TAKE_MAX
from bridge.worker import Done, Outcome, Retry

SEND_STATEMENT: Final = "send_statement"
"""Kind of the effect that writes a statement and has its pages delivered."""

CALENDAR_RETRY_SECONDS: Final = 60
"""How long a statement waits for a calendar that knows the days of its lines."""

RESERVES: Final = "reserves"
TOKENS: Final = "tokens"
"""What is stated."""

DELIVERED_AS: Final = {
    StatementKind.STATEMENT: Kind.STATEMENT,
    StatementKind.INTRADAY: Kind.INTRADAY_REPORT,
}


class Statements:
    """The statements of one central bank; every step but `send` runs in its caller's transaction."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution

    @property
    def currency(self) -> Currency:
        """The currency of the accounts."""
        return parse_currency(self._institution.settings.currencies[0])

    def write_lines(self, work: UnitOfWork) -> None:
        """Have every movement up to now in a line."""
        for account in work.rtgs.accounts():
            self._write_reserves(work, account.lei)
        self._write_tokens(work)

    def close_day(self, work: UnitOfWork, at: int, *, block: int | None = None) -> None:
        """Record, for every account there is, the statement of the business day whose last second is
        `at`; `block` is the one whose events are being booked, if so, and will be in the next statement.
        """
        self.write_lines(work)
        for account in self._accounts(work):
            self._state(work, account, StatementKind.STATEMENT, at, block)

    def report_intraday(self, work: UnitOfWork, at: int) -> None:
        """Record an intraday report for every account that has moved since its last one."""
        self.write_lines(work)
        for account in self._accounts(work):
            line = work.account_statements.last_line(account)
            newest = work.account_statements.newest(account)
            if line is not None and (newest is None or newest.last_line < line.number):
                self._state(work, account, StatementKind.INTRADAY, at)

    def resend(self, work: UnitOfWork, statement_id: str, at: int) -> None:
        """Have a statement sent once more; raises `StatementUnknown`."""
        if work.account_statements.find(statement_id) is None:
            raise StatementUnknown(statement_id)
        self._order_sending(work, statement_id, at, is_again=True)

    def send(self, effect: EffectRow) -> Outcome:
        """Write the pages of a statement and record their delivery, once the calendar knows its days."""
        store, institution = self._institution.store, self._institution
        with store.reading() as work:
            statement = work.account_statements.get(str(effect.payload["statement"]))
            lines = tuple(
                work.account_statements.lines(
                    statement.account, statement.first_line, statement.last_line
                )
            )
            transfers = work.rtgs.by_reference({line.key for line in lines})
        owner = institution.directory().by_lei(statement.account.lei)
        try:
            pages = write_pages(
                statement,
                lines,
                transfers,
                days=institution.business_days(self.currency.code),
                servicer=institution.agent,
                owner=owner,
            )
        except CalendarYearUnknown as error:
            return Retry(CALENDAR_RETRY_SECONDS, str(error))
        with store.unit_of_work() as work:
            for number, document in enumerate(pages, start=1):
                deliver(
                    work,
                    Outgoing(
                        key=f"{effect.key}:{number}",
                        to_lei=statement.account.lei,
                        kind=DELIVERED_AS[statement.kind],
                        body={
                            "document": document.decode(),
                            "statement": statement.statement_id,
                            "block": str(statement.block),
                        },
                    ),
                    at=institution.clock(),
                )
        return Done()

    def _accounts(self, work: UnitOfWork) -> Iterator[StatedAccount]:
        code = self.currency.code
        for account in work.rtgs.accounts():
            yield StatedAccount(RESERVES, account.lei, code)
        for lei in sorted(work.token_flows.positions(self.currency)):
            yield self._tokens_of(lei)

    def _tokens_of(self, lei: str) -> StatedAccount:
        return StatedAccount(TOKENS, lei, self.currency.code)

    def _write_reserves(self, work: UnitOfWork, lei: str) -> None:
        account = StatedAccount(RESERVES, lei, self.currency.code)
        account_id = chart.rtgs(lei)
        while True:
            taken = work.movements.take(account_id)
            last = work.account_statements.last_line(account)
            number, balance = (0, 0) if last is None else (last.number, last.balance)
            lines = []
            for movement in taken:
                number, balance = number + 1, balance + movement.amount
                lines.append(
                    StatementLine(
                        number=number,
                        kind=movement.kind,
                        key=movement.key,
                        amount=movement.amount,
                        balance=balance,
                        at=movement.at,
                    )
                )
            work.account_statements.add_lines(account, lines)
            if work.movements.is_read(account_id):
                return

    def _write_tokens(self, work: UnitOfWork) -> None:
        feed = f"token-lines:{self.currency.code}"
        numbers: dict[str, int] = {}
        while True:
            flows = work.token_flows.after(work.movements.position(feed), self.currency, TAKE_MAX)
            lines_by_lei: defaultdict[str, list[StatementLine]] = defaultdict(list)
            for flow in flows:
                if flow.lei not in numbers:
                    last = work.account_statements.last_line(self._tokens_of(flow.lei))
                    numbers[flow.lei] = 0 if last is None else last.number
                numbers[flow.lei] += 1
                line = StatementLine(
                    number=numbers[flow.lei],
                    kind=flow.kind,
                    key=flow.key,
                    amount=flow.amount,
                    balance=flow.balance,
                    at=flow.at,
                )
                lines_by_lei[flow.lei].append(line)
            if not flows:
                return
            for lei, lines in lines_by_lei.items():
                work.account_statements.add_lines(self._tokens_of(lei), lines)
            work.movements.move(feed, flows[-1].sequence)

    def _state(
        self,
        work: UnitOfWork,
        account: StatedAccount,
        kind: StatementKind,
        at: int,
        block: int | None = None,
    ) -> None:
        """Record the statement of the lines since the last one of its kind (of any, intraday).

        Its period ends at the UTC second `at`, or as late as its last line where that moved after it:
        a day may have got its end, or an earlier one, only when it was over.
        """
        earlier = work.account_statements.newest(account, kind)
        newest = work.account_statements.newest(account) if kind is INTRADAY else earlier
        line = work.account_statements.last_line(account)
        last_line, closing = (0, 0) if line is None else (line.number, line.balance)
        number = 1 if earlier is None else earlier.number + 1
        period_start = at if newest is None else newest.period_end + 1
        checkpoint = work.chain_log.checkpoint()
        last_block = -1 if checkpoint is None else checkpoint.number
        statement = StoredStatement(
            statement_id=_statement_id(kind, account, number),
            kind=kind,
            account=account,
            number=number,
            first_line=1 if newest is None else newest.last_line + 1,
            last_line=last_line,
            opening=0 if newest is None else newest.closing,
            closing=closing,
            period_start=period_start,
            period_end=max(at, period_start, at if line is None else line.at),
            block=last_block if block is None else block - 1,
        )
        work.account_statements.add(statement)
        self._order_sending(work, statement.statement_id, at)

    def _order_sending(
        self, work: UnitOfWork, statement_id: str, at: int, *, is_again: bool = False
    ) -> None:
        key = f"{SEND_STATEMENT}:{statement_id}"
        work.effects.add(
            NewEffect(
                kind=SEND_STATEMENT,
                key=f"{key}:again:{at}" if is_again else key,
                payload={"statement": statement_id},
                due_at=at,
            )
        )


def _statement_id(kind: StatementKind, account: StatedAccount, number: int) -> str:
    """Names a statement among those of every central bank; with a page's number it is a reference."""
    letters = f"{_LETTER[kind]}{_LETTER[account.scope]}"
    return f"{letters}{account.currency}{account.lei}{number}"


INTRADAY: Final = StatementKind.INTRADAY

_LETTER: Final = {
    StatementKind.STATEMENT: "D",
    StatementKind.INTRADAY: "I",
    RESERVES: "R",
    TOKENS: "T",
}
"""The letters with which the ids of statements begin; an id fits an ISO 20022 reference."""
