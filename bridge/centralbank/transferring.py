"""A participant's side of RTGS: transfers it orders, what it is told of its account, its statements.

    ordered    pending Dr interbank / Cr reserves -> pacs.009 to the central bank -> notice: posted or voided
    received   Dr reserves / Cr interbank                                        on the notice
    credit     Dr reserves / Cr central-bank credit, or the reverse              on the notice

Everything is booked on the central bank's notices. Statements are kept beside and only compared: the
books are never made of what they are compared with.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bridge import chart
from bridge.business_days import BusinessDays
from bridge.centralbank.statement_pages import StatementPage, read_page
from bridge.errors import (
    CurrencyUnsupported,
    EnvelopeInvalid,
    IdempotencyKeyReused,
    MessageIdReused,
    Rejected,
    SubjectUnknown,
    TransferUnknown,
)
from bridge.institution import Institution
from bridge.interbank import Course, Courses, Kind, Outgoing, Received, Receivers, Taking, deliver
from bridge.iso20022.codes import StatusReason
from bridge.iso20022.format import format_institution_transfer
from bridge.iso20022.identifiers import parse_uetr, shape_uetr
from bridge.iso20022.messages import FinancialInstitutionTransfer
from bridge.iso20022.parse import parse_institution_transfer
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.rtgs import Priority, Transfer, TransferNotice, TransferState
from bridge.store import Delivery, StatementKind, UnitOfWork
from bridge.telemetry import get_logger

OUT_ENTRY: Final = "rtgs-out"
IN_ENTRY: Final = "rtgs-in"
"""Kinds of the journal entries, and what their ids begin with."""


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """What an operator wants transferred out of the institution's own RTGS account."""

    creditor_lei: str
    amount: Amount
    priority: Priority
    end_to_end_id: str


def order_transfer(institution: Institution, order: TransferOrder, key: str) -> Transfer:
    """Reserve the money and have the central bank told; again with the same key: the same transfer.

    The central bank is told the business day by this institution's own calendar of the currency.

    Raises `CurrencyUnsupported`, `ParticipantUnknown`, `CalendarYearUnknown`, `InsufficientFunds`,
    and `IdempotencyKeyReused` when the key stands for another transfer.
    """
    code = order.amount.currency.code
    if code not in institution.settings.currencies or code not in institution.chain.currencies():
        raise CurrencyUnsupported(code)
    issuer = institution.chain.issuer_of(code)
    now = institution.clock()
    content = f"corridor-rtgs-v1|{institution.lei}|{key}".encode()
    transfer = Transfer(
        transfer_id=shape_uetr(hmac.new(institution.secret, content, hashlib.sha256).digest()),
        ordered_by=institution.lei,
        debtor_lei=institution.lei,
        creditor_lei=institution.directory().by_lei(order.creditor_lei).lei,
        amount=order.amount,
        priority=order.priority,
        end_to_end_id=order.end_to_end_id,
        entered_at=now,
        business_day=institution.business_days(code).day_of(now),
    )
    document = format_institution_transfer(_message(institution, transfer, issuer)).decode()
    with institution.store.unit_of_work() as work:
        known = work.rtgs.find(transfer.ordered_by, transfer.transfer_id)
        if known is not None:
            if known.order != transfer.order:
                raise IdempotencyKeyReused(key)
            return known
        work.ledger.book(_outgoing(transfer.notice, now, pending=True))
        work.rtgs.add(transfer)
        body = {"document": document, "priority": transfer.priority.value}
        message = Outgoing(
            f"transfer:{transfer.key}", issuer, Kind.INSTITUTION_TRANSFER, body, transfer.key
        )
        deliver(work, message, at=now)
    return transfer


def cancel_transfer(institution: Institution, transfer_id: str) -> Transfer:
    """Ask the central bank to take a transfer out of its queue; what it says ends the transfer.

    Raises `TransferUnknown`.
    """
    with institution.store.reading() as work:
        transfer = work.rtgs.find(institution.lei, transfer_id)
    if transfer is None:
        raise TransferUnknown(transfer_id)
    issuer = institution.chain.issuer_of(transfer.amount.currency.code)
    with institution.store.unit_of_work() as work:
        message = Outgoing(
            f"transfer-cancellation:{transfer.key}",
            issuer,
            Kind.TRANSFER_CANCELLATION,
            {"transfer_id": transfer_id},
            transfer.key,
        )
        deliver(work, message, at=institution.clock())
    return transfer


def read_transfer(received: Received, own_lei: str, days: BusinessDays, at: int) -> Transfer:
    """The transfer that a participant orders by a pacs.009, as the central bank takes it: for the
    business day in which it comes, whatever date it bears.

    Raises the parse errors, `EnvelopeInvalid` where it is not out of its sender's own account, and
    `CalendarYearUnknown`.
    """
    message = parse_institution_transfer(received.body.get("document", "").encode())
    priority = received.body.get("priority", Priority.NORMAL.value)
    if priority not in set(Priority):
        raise EnvelopeInvalid("its priority is neither urgent nor normal")
    if message.debtor.lei != received.sender_lei or message.creditor.lei is None:
        raise EnvelopeInvalid(
            "debtor and creditor are not named by LEI, or the debtor not its sender"
        )
    if message.creditor.lei == message.debtor.lei:
        raise EnvelopeInvalid("debtor and creditor are the same")
    if message.instructed_agent.lei not in {None, own_lei}:
        raise EnvelopeInvalid("it is for another central bank")
    return Transfer(
        transfer_id=message.uetr,
        ordered_by=received.sender_lei,
        debtor_lei=received.sender_lei,
        creditor_lei=message.creditor.lei,
        amount=message.interbank_settlement_amount,
        priority=Priority(priority),
        end_to_end_id=message.end_to_end_id,
        entered_at=at,
        business_day=days.day_of(at),
    )


class AccountHolder:
    """What a participant does with the central bank's messages."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution

    def receivers(self) -> Receivers:
        """How each kind is taken."""
        return {
            Kind.TRANSFER_NOTICE: self._receive_notice,
            Kind.STATEMENT: self._receive_statement,
            Kind.INTRADAY_REPORT: self._receive_report,
        }

    def courses(self) -> Courses:
        """What a final refusal of a transfer means: the money is free again."""
        return {Kind.INSTITUTION_TRANSFER: Course(refused=self._refused)}

    def _receive_notice(self, received: Received) -> Taking:
        """Book what the central bank says of a transfer.

        Raises `EnvelopeInvalid`, and `SubjectUnknown` of an own transfer that restored books do not have
        until it is ordered again.
        """
        told = _read_notice(received)
        self._check_issuer(received, told.amount.currency.code)
        if self._institution.lei not in {told.debtor_lei, told.creditor_lei}:
            raise EnvelopeInvalid("it is about a transfer between others")

        def taking(work: UnitOfWork) -> None:
            if told.ordered_by == self._institution.lei:
                self._end_own(work, told)
            elif told.state is TransferState.SETTLED:
                self._book_others(work, told, received.sender_lei)

        return taking

    def _end_own(self, work: UnitOfWork, told: TransferNotice) -> None:
        known = work.rtgs.find(told.ordered_by, told.transfer_id)
        if known is None:
            raise SubjectUnknown("the transfer")
        if (known.debtor_lei, known.creditor_lei, known.amount) != (
            told.debtor_lei,
            told.creditor_lei,
            told.amount,
        ):
            raise EnvelopeInvalid("it is about a transfer that was not ordered so")
        if known.state is TransferState.QUEUED:
            self._end(work, known, told)

    def _end(self, work: UnitOfWork, known: Transfer, told: TransferNotice) -> None:
        at = self._institution.clock()
        entry_id = f"{OUT_ENTRY}:{known.reference}"
        if told.state is TransferState.SETTLED:
            work.ledger.post(entry_id, at)
        else:
            work.ledger.void(entry_id, at)
        work.rtgs.end(replace(known, state=told.state, ended_at=at, reason=told.reason))

    def _book_others(self, work: UnitOfWork, told: TransferNotice, issuer: str) -> None:
        """Book a transfer that somebody else ordered; a fact, once."""
        at = self._institution.clock()
        if told.debtor_lei == self._institution.lei:
            entry = _outgoing(told, at, pending=False, issuer=issuer)
        else:
            entry = _incoming(told, at, issuer)
        if work.ledger.find_entry(entry.entry_id) is None:
            work.ledger.book(entry, is_fact=True)

    def _refused(self, work: UnitOfWork, delivery: Delivery, problem: str) -> None:
        """End a transfer that the central bank refuses for good.

        Where it took another message of that name, lost here by a restore, its notice ends the transfer.
        """
        if problem == MessageIdReused.code:
            return
        _, _, transfer_id = (delivery.payment_id or "").partition(":")
        known = work.rtgs.find(self._institution.lei, transfer_id)
        if known is not None and known.state is TransferState.QUEUED:
            get_logger().warning("transfer_refused", transfer_id=transfer_id, problem=problem)
            reason = StatusReason.NARR.value
            told = replace(known.notice, state=TransferState.CANCELLED, reason=reason)
            self._end(work, known, told)

    def _receive_statement(self, received: Received) -> Taking:
        return self._keep(received, StatementKind.STATEMENT)

    def _receive_report(self, received: Received) -> Taking:
        return self._keep(received, StatementKind.INTRADAY)

    def _keep(self, received: Received, kind: StatementKind) -> Taking:
        """Keep a page of a statement; raises the parse errors and `EnvelopeInvalid`."""
        block = received.body.get("block", "")
        if not (block.isascii() and block.removeprefix("-").isdigit()):
            raise EnvelopeInvalid("its block is no number")
        page = read_page(received.body.get("document", "").encode(), kind, int(block))
        account = page.statement.account
        self._check_issuer(received, account.currency)
        if account.lei != self._institution.lei:
            raise EnvelopeInvalid("it states another institution's account")

        def taking(work: UnitOfWork) -> None:
            keep_page(work, page)

        return taking

    def _check_issuer(self, received: Received, code: str) -> None:
        if received.sender_lei != self._institution.chain.issuer_of(code):
            raise EnvelopeInvalid(f"its sender does not issue {code}")


def keep_page(work: UnitOfWork, page: StatementPage) -> None:
    """Keep a page and those of its lines that are new.

    Raises `EnvelopeInvalid` for a line that says otherwise than the one of its number did before: the
    central bank changed what it had stated, and people must look.
    """
    account = page.statement.account
    if work.account_statements.is_stated(page.statement):
        raise EnvelopeInvalid("a statement of its number was sent under another id")
    new = []
    for line in page.lines:
        known = work.account_statements.line(account, line.number)
        if known is None:
            new.append(line)
        elif (known.amount, known.key, known.balance) != (line.amount, line.key, line.balance):
            raise EnvelopeInvalid(f"line {line.number} was stated otherwise before")
    work.account_statements.add_lines(account, new)
    if work.account_statements.find(page.statement.statement_id) is None:
        work.account_statements.add(page.statement)


def _read_notice(received: Received) -> TransferNotice:
    body = received.body
    try:
        amount = Amount.parse(body["amount"], parse_currency(body["currency"]))
        return TransferNotice(
            transfer_id=body["transfer_id"],
            ordered_by=body["ordered_by"],
            debtor_lei=body["debtor"],
            creditor_lei=body["creditor"],
            amount=amount,
            end_to_end_id=body["end_to_end_id"],
            state=TransferState(body["state"]),
            reason=body["reason"] or None,
        )
    except (KeyError, ValueError, Rejected) as error:
        raise EnvelopeInvalid("it is no notice of a transfer") from error


def _outgoing(
    told: TransferNotice, at: int, *, pending: bool, issuer: str | None = None
) -> JournalEntry:
    currency = told.amount.currency
    is_repayment = told.creditor_lei == issuer
    debited = chart.central_bank_credit(currency) if is_repayment else chart.interbank(currency)
    return JournalEntry(
        entry_id=f"{OUT_ENTRY}:{told.reference}",
        kind=OUT_ENTRY,
        description="transfer out of the RTGS account",
        postings=(
            debit(debited, told.amount),
            credit(chart.reserves(currency), told.amount),
        ),
        pending=pending,
        booked_at=at,
    )


def _incoming(told: TransferNotice, at: int, issuer: str) -> JournalEntry:
    currency = told.amount.currency
    is_credit = told.debtor_lei == issuer
    credited = chart.central_bank_credit(currency) if is_credit else chart.interbank(currency)
    return JournalEntry(
        entry_id=f"{IN_ENTRY}:{told.reference}",
        kind=IN_ENTRY,
        description="transfer into the RTGS account",
        postings=(
            debit(chart.reserves(currency), told.amount),
            credit(credited, told.amount),
        ),
        booked_at=at,
    )


def _message(
    institution: Institution, transfer: Transfer, issuer: str
) -> FinancialInstitutionTransfer:
    reference = transfer.reference
    return FinancialInstitutionTransfer(
        message_id=reference,
        created_at=datetime.fromtimestamp(transfer.entered_at, UTC),
        end_to_end_id=transfer.end_to_end_id,
        transaction_id=reference,
        uetr=parse_uetr(transfer.transfer_id),
        interbank_settlement_amount=transfer.amount,
        interbank_settlement_date=transfer.business_day,
        instructing_agent=institution.agent,
        instructed_agent=institution.agent_of(issuer),
        debtor=institution.agent,
        creditor=institution.agent_of(transfer.creditor_lei),
    )
