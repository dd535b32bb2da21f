"""What an institution does besides payments, put together: issuance, RTGS, statements, reconciliation.

The composition root starts it: what `around` gives runs inside the transaction of each final block, `step`
every second or so, by the leading process.
"""

import threading
from collections.abc import Mapping
from typing import Final

from bridge.api import CentralBankDesks
from bridge.centralbank import funding, issuing, rtgs, statements
from bridge.centralbank.funding import Funding
from bridge.centralbank.issuing import Issuing
from bridge.centralbank.orders import Orders
from bridge.centralbank.reporting import BackingDesk
from bridge.centralbank.rtgs import Rtgs
from bridge.centralbank.statements import Statements
from bridge.centralbank.transferring import AccountHolder, read_transfer
from bridge.chain import BlockData, BlockHandler, FinalTransaction, Submitter
from bridge.config import Role
from bridge.errors import CalendarYearUnknown, TransferNotQueued, Unavailable
from bridge.institution import Institution
from bridge.interbank import Courses, Kind, Received, Receivers, Taking
from bridge.operating import Action
from bridge.reconciliation import (
    RESOLVE_BREAK,
    FlowRecorder,
    Reconciler,
    ResolveBreak,
    receive_break_report,
)
from bridge.settlement.observation import TokenBooks
from bridge.store import Checkpoint, UnitOfWork
from bridge.telemetry import get_logger
from bridge.worker import Handler

STEP_SECONDS: Final = 1
"""How often it is looked whether something is due."""


class BackOffice:
    """One institution's issuance or funding, its RTGS side, its statements and its reconciliation."""

    def __init__(self, institution: Institution, submitter: Submitter) -> None:
        self._institution = institution
        self._statements = Statements(institution)
        self.rtgs = Rtgs(institution, self._statements)
        self._issuing = Issuing(institution, submitter, self.rtgs)
        self._funding = Funding(institution, submitter)
        self._holder = AccountHolder(institution)
        self._flows = FlowRecorder(institution)
        self._reconciler = Reconciler(institution)
        self._compared_at: int | None = None
        self._position: Checkpoint | None = None
        self._reported_at = institution.clock()

    def desks(self) -> CentralBankDesks | None:
        """What the API needs of a central bank; None elsewhere."""
        if not self._is_central_bank:
            return None
        return CentralBankDesks(self._issuing, self._statements, BackingDesk(self._institution))

    @property
    def token_books(self) -> TokenBooks:
        """Who books tokens that enter or leave the chain."""
        return self._issuing if self._is_central_bank else self._funding

    def handlers(self) -> Mapping[str, Handler]:
        """The effects that are done here, by kind."""
        if self._is_central_bank:
            return {
                issuing.ISSUE: self._issuing.issue,
                rtgs.SETTLE_QUEUES: self.rtgs.go_on,
                statements.SEND_STATEMENT: self._statements.send,
            }
        return {
            funding.REQUEST: self._funding.request,
            funding.REDEEM: self._funding.burn,
        }

    def receivers(self) -> Receivers:
        """How messages of other institutions are taken here, by kind."""
        if not self._is_central_bank:
            return self._holder.receivers()
        return {
            Kind.INSTITUTION_TRANSFER: self._receive_transfer,
            Kind.TRANSFER_CANCELLATION: self._receive_cancellation,
            Kind.BREAK_REPORT: receive_break_report,
        }

    def courses(self) -> Courses:
        """What else matters to messages on their way out, by kind."""
        return {} if self._is_central_bank else self._holder.courses()

    def actions(self) -> Mapping[str, Action]:
        """What operators do here by four eyes."""
        resolving = {RESOLVE_BREAK: ResolveBreak(self._institution).action()}
        if not self._is_central_bank:
            return resolving
        return {**resolving, **Orders(self._institution, self.rtgs, self._issuing).actions()}

    def around(self, handler: BlockHandler) -> BlockHandler:
        """What a final block means here when `handler` applies it, in the same transaction.

        What it did to tokens is kept; at a central bank all of it is of the business day in which the
        block was made.
        """

        def on_block(work: UnitOfWork, block: BlockData, own: tuple[FinalTransaction, ...]) -> None:
            if self._is_central_bank and block.events:
                self.rtgs.open_day(work, block.ref.timestamp, block=block.ref.number)
            handler(work, block, own)
            self._flows.record(work, block)

        return on_block

    def compare_after_block(self) -> bool:
        """Compare totals, if the books have come to another block since they were compared so; whether
        they had.
        """
        with self._institution.store.reading() as work:
            position = work.chain_log.checkpoint()
        if position == self._position:
            return False
        self._reconciler.check_totals()
        self._position = position
        return True

    def run(self, stop: threading.Event) -> None:
        """Do what is due until `stop` is set, whatever node, database and calendar say meanwhile."""
        is_away = False
        while not stop.wait(STEP_SECONDS):
            try:
                self.step()
                is_away = False
            except (CalendarYearUnknown, Unavailable) as error:
                if not is_away:
                    get_logger().warning("back_office_waits", error=str(error))
                is_away = True

    def step(self) -> None:
        """Do what is due: totals after every block, and by the clock a new business day, an intraday
        report, a comparison of items.

        Raises `Unavailable` where a later step may succeed, and at a central bank, when all else is
        done, `CalendarYearUnknown` as long as nobody can tell which business day is open.
        """
        now, settings = self._institution.clock(), self._institution.settings
        if self._is_central_bank:
            self._turn(now)
        were_compared = self.compare_after_block()
        if self._compared_at is None or now >= self._compared_at + settings.reconcile_seconds:
            if not were_compared:
                self._reconciler.check_totals()
            self._reconciler.check_items()
            self._compared_at = now
        if self._is_central_bank:
            self.rtgs.check_day(now)

    @property
    def _is_central_bank(self) -> bool:
        return self._institution.settings.role is Role.CENTRAL_BANK

    def _turn(self, now: int) -> None:
        is_due = now >= self._reported_at + self._institution.settings.intraday_seconds
        with self._institution.store.reading() as work:
            is_day_due = self.rtgs.is_day_due(work, now)
        if not is_due and not is_day_due:
            return
        with self._institution.store.unit_of_work() as work:
            self.rtgs.open_day(work, now)
            if is_due:
                self._statements.report_intraday(work, now)
        if is_due:
            self._reported_at = now

    def _receive_transfer(self, received: Received) -> Taking:
        """Take a participant's pacs.009; raises what refuses it."""
        at = self._institution.clock()
        transfer = read_transfer(received, self._institution.lei, self.rtgs.days, at)

        def taking(work: UnitOfWork) -> None:
            self.rtgs.enter(work, transfer)

        return taking

    def _receive_cancellation(self, received: Received) -> Taking:
        """Take a transfer out of its queue for whoever ordered it, unless it has ended."""
        transfer_id, at = received.body.get("transfer_id", ""), self._institution.clock()

        def taking(work: UnitOfWork) -> None:
            try:
                self.rtgs.cancel(work, received.sender_lei, transfer_id, at)
            except TransferNotQueued:
                return  # its notice is on its way

        return taking
