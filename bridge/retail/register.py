"""The central bank's register: how much retail CBDC each intermediary keeps, and no person.

    issue     Dr the bank's RTGS account / Cr its retail CBDC in issue
    redeem    Dr its retail CBDC in issue / Cr its RTGS account
    transfer  Dr the payer's bank / Cr the payee's bank, which is told, in order, until it answers

What is in issue is counted three ways: by the accounts, by the orders, by what banks report. Each order is
booked in the business day in which it is carried out.
"""

import json
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bridge import chart
from bridge.errors import (
    CurrencyUnsupported,
    EnvelopeInvalid,
    ParticipantUnknown,
    PeerUnavailable,
    Rejected,
    RetailOrderConflict,
    RetailReceiverUnknown,
)
from bridge.institution import Institution
from bridge.interbank import Kind, Received
from bridge.ledger import JournalEntry, Posting, credit, debit
from bridge.money import Amount, Currency, parse_currency
from bridge.retail.custody import RETAIL_PATH
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.store.retail_register import (
    CustodyDirection,
    CustodyReport,
    RegisterRow,
)
from bridge.telemetry import get_logger
from bridge.worker import Done, Outcome, Retry

DELIVER: Final = "deliver_retail_credit"
"""Kind of the effect that tells a bank of custody that came to it."""

WAIT_SECONDS_MAX: Final = 30
"""Longest pause of a credit that waits for those before it."""

TIERS_MAX: Final = 100
"""Most tiers that a bank's report may count."""

NAME_CHARACTERS_MAX: Final = 40
"""Longest name of a tier in a report."""

DAY_MAX: Final = 10**6
"""Latest day that may be reported, in days since 1970-01-01."""

POSITION_DIGITS_MAX: Final = 18
"""Longest number of a position that is read."""

SEALED_CHARACTERS_MAX: Final = 8_192
"""Longest text that an order may carry to another bank."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What one bank keeps: by the register, and as it last reported itself."""

    lei: str
    in_custody: Amount
    report: CustodyReport | None


@dataclass(frozen=True, slots=True)
class Issue:
    """Retail CBDC in issue: by the accounts of the banks, and by the orders that made it."""

    by_accounts: Amount
    by_orders: Amount
    keepings: tuple[Keeping, ...]

    @property
    def is_whole(self) -> bool:
        """Whether both sums are one."""
        return self.by_accounts == self.by_orders


class RtgsAccounts(Protocol):
    """The RTGS accounts that orders are booked on."""

    def open_day(self, work: UnitOfWork, at: int) -> None:
        """Have the business day of a UTC second open; before anything is booked."""

    def credited(self, work: UnitOfWork, lei: str, at: int) -> None:
        """Let the queue of an account move after money came into it."""


class Register:
    """What a central bank's bridge does about retail CBDC."""

    def __init__(self, institution: Institution, rtgs: RtgsAccounts) -> None:
        self._institution = institution
        self._rtgs = rtgs

    @property
    def currency(self) -> Currency:
        """The currency this central bank issues."""
        return parse_currency(self._institution.settings.currencies[0])

    def receive(self, request: Received) -> dict[str, str]:
        """Carry an order out, keep a report, tell a credit; the same again: the same answer.

        Raises `EnvelopeInvalid`, `CurrencyUnsupported`, `InsufficientFunds`,
        `RetailReceiverUnknown`, and `RetailOrderConflict` for a known reference with other content.
        """
        if request.kind is Kind.RETAIL_REPORT:
            return self._take_report(request)
        if request.kind is Kind.RETAIL_MISSING:
            return self._tell_missing(request)
        if request.kind is not Kind.RETAIL_ORDER:
            raise EnvelopeInvalid(f"{request.kind.value} is not taken here")
        asked = self._read(request)
        with self._institution.store.unit_of_work() as work:
            known = work.retail_register.find(asked.reference)
            if known is None:
                self._carry_out(work, asked)
            elif _content(known) != _content(asked):
                raise RetailOrderConflict(asked.reference.hex())
        return {"reference": asked.reference.hex()}

    def _read(self, request: Received) -> RegisterRow:
        body = request.body
        if body.get("currency") != self.currency.code:
            raise CurrencyUnsupported(body.get("currency", ""))
        try:
            row = RegisterRow(
                reference=bytes.fromhex(body["reference"]),
                direction=CustodyDirection(body["direction"]),
                sender_lei=request.sender_lei,
                amount=Amount.parse(body["amount"], self.currency),
                taken_at=self._institution.clock(),
                receiver_lei=body.get("receiver"),
                sealed=body.get("sealed"),
            )
        except (KeyError, ValueError) as error:
            raise EnvelopeInvalid("it is no order") from error
        is_transfer = row.direction is CustodyDirection.TRANSFER
        is_addressed = (row.receiver_lei is not None, row.sealed is not None)
        if len(row.sealed or "") > SEALED_CHARACTERS_MAX:
            raise EnvelopeInvalid("what is sealed in it is too long")
        if len(row.reference) != 32 or not row.amount or is_addressed != (is_transfer,) * 2:
            raise EnvelopeInvalid("it is no order")
        return row

    def _carry_out(self, work: UnitOfWork, asked: RegisterRow) -> None:
        self._check_bank(asked.sender_lei)
        if asked.receiver_lei is not None:
            if asked.receiver_lei == asked.sender_lei:
                raise RetailReceiverUnknown(asked.receiver_lei)
            self._check_enrolled(work, asked.receiver_lei)
        self._rtgs.open_day(work, asked.taken_at)
        work.ledger.open_account(chart.rtgs_account(asked.sender_lei, self.currency))
        for lei in filter(None, (asked.sender_lei, asked.receiver_lei)):
            work.ledger.open_account(chart.retail_issued_account(lei, self.currency))
        work.ledger.book(
            JournalEntry(
                entry_id=f"retail:{asked.reference.hex()}",
                kind=f"retail-{asked.direction.value}",
                description=f"retail {asked.direction.value}",
                postings=_postings(asked),
                booked_at=asked.taken_at,
            )
        )
        if asked.direction is CustodyDirection.REDEEM:
            self._rtgs.credited(work, asked.sender_lei, asked.taken_at)
        position = None
        if asked.receiver_lei is not None:
            position = work.retail_register.next_position(asked.receiver_lei)
        work.retail_register.add(replace(asked, position=position))
        if position is not None:
            work.effects.add(
                NewEffect(
                    kind=DELIVER,
                    key=f"{DELIVER}:{asked.reference.hex()}",
                    payload={"reference": asked.reference.hex()},
                    payment_id=None,
                    due_at=asked.taken_at,
                )
            )

    def _check_enrolled(self, work: UnitOfWork, lei: str) -> None:
        """Refuse a bank that never reported: it would not take what came."""
        self._check_bank(lei)
        if work.ledger.find_account(chart.retail_issued(lei)) is None:
            raise RetailReceiverUnknown(lei)

    def _check_bank(self, lei: str) -> None:
        try:
            found = self._institution.directory().by_lei(lei)
        except ParticipantUnknown as error:
            raise RetailReceiverUnknown(lei) from error
        if not found.is_admitted or "bank" not in found.roles:
            raise RetailReceiverUnknown(lei)

    def deliver(self, effect: EffectRow) -> Outcome:
        """Tell a bank of custody that came to it, until it has taken it.

        Raises `PeerUnavailable` whatever else it answers: the custody has moved already.
        """
        reference = bytes.fromhex(str(effect.payload["reference"]))
        with self._institution.store.reading() as work:
            moved = work.retail_register.find(reference)
            if moved is None or moved.receiver_lei is None or moved.sealed is None:
                return Done()
            before = work.retail_register.delivered(moved.receiver_lei) + 1
        position = moved.position or 0
        if position > before:  # one question to a bank at a time, in order
            return Retry(min(position - before, WAIT_SECONDS_MAX), f"after credit {before}")
        try:
            self._institution.interbank.ask(
                moved.receiver_lei, RETAIL_PATH, Kind.RETAIL_CREDIT, _credit_body(moved)
            )
        except Rejected as refusal:
            get_logger().warning("retail_credit_refused", reference=reference, error=str(refusal))
            raise PeerUnavailable(moved.receiver_lei) from refusal
        with self._institution.store.unit_of_work() as work:
            work.retail_register.deliver(moved.receiver_lei, position)
        return Done()

    def _tell_missing(self, request: Received) -> dict[str, str]:
        """A bank's credit at the position it asks for, as it was delivered; nothing past the last."""
        text = request.body.get("position", "")
        if not (text.isascii() and text.isdigit() and len(text) <= POSITION_DIGITS_MAX):
            raise EnvelopeInvalid("it names no position")
        with self._institution.store.reading() as work:
            moved = work.retail_register.credit_at(request.sender_lei, int(text))
        return {} if moved is None else _credit_body(moved)

    def _take_report(self, request: Received) -> dict[str, str]:
        body = request.body
        if body.get("currency") != self.currency.code:
            raise CurrencyUnsupported(body.get("currency", ""))
        try:
            tiers = json.loads(body["tiers"])
            day = int(body["day"])
            in_custody = Amount.parse(body["in_custody"], self.currency)
        except (KeyError, ValueError, RecursionError) as error:
            raise EnvelopeInvalid("it is no report") from error
        self._check_bank(request.sender_lei)
        if not 0 <= day <= DAY_MAX or not _is_count(tiers):
            raise EnvelopeInvalid("its day or its tiers are no counts")
        report = CustodyReport(
            lei=request.sender_lei,
            day=day,
            in_custody=in_custody.minor_units,
            tiers=tiers,
            taken_at=self._institution.clock(),
        )
        with self._institution.store.unit_of_work() as work:
            account = chart.retail_issued_account(request.sender_lei, self.currency)
            work.ledger.open_account(account)
            work.retail_register.report(report)
        return {"day": str(day)}

    def look_over(self) -> Issue:
        """What is in issue, and who keeps it, all read at one moment."""
        keepings = []
        with self._institution.store.reading() as work:
            for balance in work.ledger.balances():
                owner = balance.account.owner
                if owner is None or balance.account.account_id != chart.retail_issued(owner):
                    continue
                report = work.retail_register.last_report(owner)
                keepings.append(Keeping(owner, balance.ledger, report))
            issued = work.retail_register.total(CustodyDirection.ISSUE)
            redeemed = work.retail_register.total(CustodyDirection.REDEEM)
        total = sum((keeping.in_custody for keeping in keepings), Amount.zero(self.currency))
        return Issue(total, Amount(self.currency, issued - redeemed), tuple(keepings))


def _postings(asked: RegisterRow) -> tuple[Posting, ...]:
    held, reserves = chart.retail_issued(asked.sender_lei), chart.rtgs(asked.sender_lei)
    match asked.direction:
        case CustodyDirection.ISSUE:
            return debit(reserves, asked.amount), credit(held, asked.amount)
        case CustodyDirection.REDEEM:
            return debit(held, asked.amount), credit(reserves, asked.amount)
        case CustodyDirection.TRANSFER:
            receiver = chart.retail_issued(asked.receiver_lei or "")
            return debit(held, asked.amount), credit(receiver, asked.amount)


def _credit_body(moved: RegisterRow) -> dict[str, str]:
    """What the receiving bank is told of a transfer."""
    return {
        "reference": moved.reference.hex(),
        "position": str(moved.position),
        "sender": moved.sender_lei,
        "amount": moved.amount.format(),
        "currency": moved.amount.currency.code,
        "sealed": moved.sealed or "",
    }


def _content(row: RegisterRow) -> tuple[object, ...]:
    return row.direction, row.sender_lei, row.receiver_lei, row.amount, row.sealed


def _is_count(tiers: object) -> bool:
    return (
        isinstance(tiers, dict)
        and len(tiers) <= TIERS_MAX
        and all(type(count) is int and count >= 0 for count in tiers.values())
        and all(len(name) <= NAME_CHARACTERS_MAX for name in tiers)
    )
