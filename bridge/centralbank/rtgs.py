"""RTGS accounts as the central bank keeps them: transfers, the queue, the business day, credit.

    transfer   Dr the debtor's RTGS account / Cr the creditor's      at once, or as money arrives
    credit     Dr lending / Cr the RTGS account                      by four eyes
    repayment  Dr the RTGS account / Cr lending                      by four eyes
    night      what still stands below zero at the end of a business day becomes credit

Whatever brings money into an account (a transfer, redeemed tokens, credit) lets its queue move in the
same database transaction. Settlement goes on round the clock; only the business day moves for which it
counts. A day is closed, as of its end, by the first thing that happens in the next one: what waits then
expires, and no account goes below zero into the night. Where the calendar does not know whether a day
is over it stays open until it does: what has happened is booked all the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property
from typing import Final

from bridge import chart
from bridge.business_days import BusinessDays
from bridge.centralbank.statements import Statements
from bridge.errors import (
    CalendarYearUnknown,
    CurrencyUnsupported,
    RtgsQueueFull,
    TransferConflict,
    TransferNotQueued,
    TransferUnknown,
)
from bridge.institution import Institution
from bridge.interbank import Kind, Outgoing, deliver
from bridge.iso20022.codes import StatusReason
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, Currency, parse_currency
from bridge.rtgs import (
    QUEUE_MAX,
    QueueAccess,
    RtgsAccount,
    RtgsTerms,
    Transfer,
    TransferNotice,
    TransferState,
    cascade,
    check_limits,
)
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.worker import Done, Outcome

SETTLE_QUEUES: Final = "settle_queues"
"""Kind of the effect that goes on where one step settled as much as it may."""

TRANSFER_ENTRY: Final = "rtgs-transfer"
CREDIT_ENTRY: Final = "central-bank-credit"
REPAYMENT_ENTRY: Final = "credit-repayment"
NIGHT_ENTRY: Final = "overnight-credit"
"""Kinds of the journal entries."""

DAYS_MAX: Final = 10
"""Most business days that are closed in one step."""

_ONE_DAY: Final = timedelta(days=1)

REASON_BY_STATE: Final[Mapping[TransferState, StatusReason]] = {
    TransferState.CANCELLED: StatusReason.CUST,
    TransferState.EXPIRED: StatusReason.TM01,
}
"""Why a transfer ended without money."""


class Rtgs:
    """The RTGS accounts of one central bank; every step runs in its caller's transaction."""

    def __init__(self, institution: Institution, statements: Statements) -> None:
        self._institution = institution
        self._statements = statements

    @property
    def currency(self) -> Currency:
        """The currency of the accounts."""
        return parse_currency(self._institution.settings.currencies[0])

    @cached_property
    def days(self) -> BusinessDays:
        """The business days of the currency."""
        return self._institution.business_days(self.currency.code)

    def open_account(self, work: UnitOfWork, lei: str, terms: RtgsTerms | None = None) -> bool:
        """Open a participant's account, if it has none; whether it was opened now."""
        work.ledger.open_account(chart.rtgs_account(lei, self.currency))
        return work.rtgs.open_account(RtgsAccount(lei, self.currency, terms or RtgsTerms()))

    def enter(self, work: UnitOfWork, transfer: Transfer) -> Transfer:
        """Take a transfer: it settles now or waits; ordered again it is the same one, as it stands.

        Raises `TransferConflict` for a known id with another content, `RtgsAccountUnknown`,
        `CurrencyUnsupported`, `TransferLimitExceeded` and `RtgsQueueFull`.
        """
        self.open_day(work, transfer.entered_at)
        known = work.rtgs.find(transfer.ordered_by, transfer.transfer_id)
        if known is not None:
            if known.order != transfer.order:
                raise TransferConflict(transfer.transfer_id)
            return known
        if transfer.amount.currency != self.currency:
            raise CurrencyUnsupported(transfer.amount.currency.code)
        transfer = self._in_open_day(work, transfer)
        terms = work.rtgs.account(transfer.debtor_lei).terms
        work.rtgs.account(transfer.creditor_lei)
        used = work.rtgs.used(transfer.debtor_lei, transfer.business_day)
        check_limits(terms, transfer.amount, used)
        if work.rtgs.queue_of(transfer.debtor_lei)[0] >= QUEUE_MAX:
            raise RtgsQueueFull(transfer.debtor_lei, QUEUE_MAX)
        # From here it must succeed.
        work.rtgs.add(transfer)
        self.settle_queues(work, (transfer.debtor_lei,), transfer.entered_at)
        return work.rtgs.get(transfer.ordered_by, transfer.transfer_id)

    def _in_open_day(self, work: UnitOfWork, transfer: Transfer) -> Transfer:
        """The transfer as of the day that is open: its own may have been closed while it waited for its turn."""
        opened = work.rtgs.open_day(self.currency)
        if opened is None or transfer.business_day >= opened:
            return transfer
        return replace(
            transfer,
            entered_at=self.days.end_of(transfer.business_day) + 1,
            business_day=self.days.day_from(opened),
        )

    def cancel(self, work: UnitOfWork, ordered_by: str, transfer_id: str, at: int) -> Transfer:
        """Take a transfer out of its queue for whoever ordered it; cancelled again it is the same.

        Raises `TransferUnknown`, and `TransferNotQueued` once it has settled or expired.
        """
        self.open_day(work, at)
        transfer = work.rtgs.find(ordered_by, transfer_id)
        if transfer is None:
            raise TransferUnknown(transfer_id)
        if transfer.state is TransferState.CANCELLED:
            return transfer
        if transfer.state is not TransferState.QUEUED:
            raise TransferNotQueued(transfer_id, transfer.state.value)
        cancelled = self._end(work, transfer, TransferState.CANCELLED, at)
        self.settle_queues(work, (transfer.debtor_lei,), at)
        return cancelled

    def credited(self, work: UnitOfWork, lei: str, at: int) -> None:
        """Let the queue of an account move after money came into it from elsewhere."""
        self.settle_queues(work, (lei,), at)

    def settle_queues(self, work: UnitOfWork, leis: tuple[str, ...], at: int) -> None:
        """Settle what the queues of these accounts, and of those they pay, have money for."""
        queues = QueueAccess(
            head=work.rtgs.head,
            liquidity=lambda lei: self._liquidity(work, lei),
            settle=lambda transfer: self._settle(work, transfer, at),
        )
        rest = cascade(queues, leis)
        if rest:
            work.effects.add(
                NewEffect(
                    kind=SETTLE_QUEUES,
                    key=f"{SETTLE_QUEUES}:{work.rtgs.ended_count()}",
                    payload={"leis": " ".join(rest)},
                    due_at=at,
                )
            )

    def go_on(self, effect: EffectRow) -> Outcome:
        """Go on settling where a step ended because it had settled as much as it may."""
        leis = tuple(str(effect.payload["leis"]).split())
        with self._institution.store.unit_of_work() as work:
            at = self._institution.clock()
            self.open_day(work, at)
            self.settle_queues(work, leis, at)
        return Done()

    def lend(self, work: UnitOfWork, lei: str, amount: Amount, order: tuple[str, int]) -> None:
        """Grant central-bank credit, under the id of its order at a UTC second; the queue moves.

        Raises `RtgsAccountUnknown`.
        """
        order_id, at = order
        self.open_day(work, at)
        work.rtgs.account(lei)
        self._lend(work, self._granted(order_id, lei, amount), CREDIT_ENTRY, at)
        self.credited(work, lei, at)

    def take_back(self, work: UnitOfWork, lei: str, amount: Amount, order: tuple[str, int]) -> None:
        """Have credit repaid out of an account; raises `InsufficientFunds`, `RtgsAccountUnknown`."""
        order_id, at = order
        self.open_day(work, at)
        work.rtgs.account(lei)
        granted = self._granted(order_id, lei, amount)
        repaid = replace(granted, debtor_lei=lei, creditor_lei=granted.debtor_lei)
        accounts = (chart.rtgs(lei), chart.lending(self.currency))
        self._book(work, (REPAYMENT_ENTRY, repaid), accounts, at)
        self._tell(work, repaid, lei, at)

    def _granted(self, order_id: str, lei: str, amount: Amount) -> TransferNotice:
        """Credit of the central bank itself, as it is told to the owner of the account."""
        return TransferNotice(
            transfer_id=order_id,
            ordered_by=self._institution.lei,
            debtor_lei=self._institution.lei,
            creditor_lei=lei,
            amount=amount,
            end_to_end_id="NOTPROVIDED",
            state=TransferState.SETTLED,
        )

    def _lend(self, work: UnitOfWork, granted: TransferNotice, kind: str, at: int) -> None:
        accounts = (chart.lending(self.currency), chart.rtgs(granted.creditor_lei))
        self._book(work, (kind, granted), accounts, at)
        self._tell(work, granted, granted.creditor_lei, at)

    def is_day_due(self, work: UnitOfWork, at: int) -> bool:
        """Whether `open_day` has anything to do at a UTC second."""
        current = work.rtgs.open_day(self.currency)
        return current is None or current < self.days.date_of(at)

    def open_day(self, work: UnitOfWork, at: int, *, block: int | None = None) -> None:
        """Have the business day of a UTC second open; the earlier ones are closed first.

        `block` is the one whose events are being booked, which are of the day that opens: statements of
        the days before reach as far as the block before it.

        What is kept is a date: open is the first business day from it on. Facts open days too, so
        nothing is refused here: a day of a year that the calendar does not know stays open.
        """
        today = self.days.date_of(at)
        current = work.rtgs.open_day(self.currency)
        if current is not None and today <= current:
            return
        reached = today
        if current is not None:
            reached = self._close_before(work, (current, today), block)
        if reached != current:
            work.rtgs.set_day(self.currency, reached)

    def _close_before(self, work: UnitOfWork, dates: tuple[date, date], block: int | None) -> date:
        """Close business days that are over, from the first date on and before the second, also those in
        which nothing happened; after a long time away at most `DAYS_MAX`, and the rest at the next step.

        Answers with the date from which on a business day is open.
        """
        current, today = dates
        try:
            for _ in range(DAYS_MAX):
                day = self.days.day_from(current)
                if day >= today:
                    return today
                self._close(work, day, block)
                current = day + _ONE_DAY
        except CalendarYearUnknown:
            pass
        return current

    def check_day(self, at: int) -> None:
        """Refuse a UTC second at which nobody can tell which business day is open.

        Raises `CalendarYearUnknown`.
        """
        with self._institution.store.reading() as work:
            current = work.rtgs.open_day(self.currency)
        self.days.day_from(self.days.date_of(at) if current is None else current)

    def _close(self, work: UnitOfWork, day: date, block: int | None) -> None:
        at = self.days.end_of(day)
        for transfer in work.rtgs.queued():
            self._end(work, transfer, TransferState.EXPIRED, at)
        for account in work.rtgs.accounts():
            balance = work.ledger.balance(chart.rtgs(account.lei)).ledger
            if balance.minor_units < 0:
                order_id = f"overnight:{account.lei}:{day.isoformat()}"
                granted = self._granted(order_id, account.lei, -balance)
                self._lend(work, granted, NIGHT_ENTRY, at)
        self._statements.close_day(work, at, block=block)

    def _liquidity(self, work: UnitOfWork, lei: str) -> int:
        line = work.rtgs.account(lei).terms.credit_line
        return work.ledger.balance(chart.rtgs(lei)).available.minor_units + line

    def _settle(self, work: UnitOfWork, transfer: Transfer, at: int) -> None:
        accounts = (chart.rtgs(transfer.debtor_lei), chart.rtgs(transfer.creditor_lei))
        self._book(work, (TRANSFER_ENTRY, transfer.notice), accounts, at, is_within_line=True)
        self._end(work, transfer, TransferState.SETTLED, at)

    def _end(self, work: UnitOfWork, transfer: Transfer, state: TransferState, at: int) -> Transfer:
        reason = REASON_BY_STATE.get(state)
        ended = replace(
            transfer, state=state, ended_at=at, reason=None if reason is None else reason.value
        )
        work.rtgs.end(ended)
        self._tell(work, ended.notice, ended.debtor_lei, at)
        if state is TransferState.SETTLED:
            self._tell(work, ended.notice, ended.creditor_lei, at)
        return ended

    def _tell(self, work: UnitOfWork, ended: TransferNotice, lei: str, at: int) -> None:
        """Have a party told how a transfer ended."""
        deliver(
            work,
            Outgoing(
                key=f"transfer-notice:{ended.key}:{lei}",
                to_lei=lei,
                kind=Kind.TRANSFER_NOTICE,
                body=notice_body(ended),
            ),
            at=at,
        )

    def _book(
        self,
        work: UnitOfWork,
        what: tuple[str, TransferNotice],
        accounts: tuple[str, str],
        at: int,
        *,
        is_within_line: bool = False,
    ) -> None:
        """Book one movement; within a credit line that was looked at, below zero as well."""
        (kind, moved), (debited, credited) = what, accounts
        work.ledger.book(
            JournalEntry(
                entry_id=f"{kind}:{moved.reference}",
                kind=kind,
                description=kind.replace("-", " "),
                postings=(debit(debited, moved.amount), credit(credited, moved.amount)),
                booked_at=at,
            ),
            is_fact=is_within_line,
        )


def notice_body(notice: TransferNotice) -> dict[str, str]:
    """What the parties of a transfer are told of it, as a message says it."""
    return {
        "transfer_id": notice.transfer_id,
        "ordered_by": notice.ordered_by,
        "debtor": notice.debtor_lei,
        "creditor": notice.creditor_lei,
        "amount": notice.amount.format(),
        "currency": notice.amount.currency.code,
        "end_to_end_id": notice.end_to_end_id,
        "state": notice.state.value,
        "reason": notice.reason or "",
    }
