"""The central bank's side of issuance: reserves set aside, released, minted; and redemption.

    request   Dr the participant's RTGS account / Cr tokens outstanding   (posted before the mint)
              above the threshold of the settings it is pending until two operators release it
    issue     once the attester's statement on the chain covers it: mint, by reference, once for ever
    redeemed  final burn: Dr tokens outstanding / Cr the RTGS account of whoever owned the tokens

A settlement between banks books nothing here: it only changes who holds the tokens. Whether two
operators are needed is asked again before the mint, of the approval itself and not of a mark that says
there was one. While a break of this central bank's books is open nothing is issued.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge import chart
from bridge.centralbank.rtgs import Rtgs
from bridge.chain import Call, ChainEvent, FinalTransaction, Submitter, token_call
from bridge.errors import (
    CurrencyUnsupported,
    EnvelopeInvalid,
    InsufficientFunds,
    IssuanceConflict,
    IssuanceDeclined,
    IssuanceIncomplete,
    IssuanceNotWaiting,
    IssuanceStopped,
    IssuanceUnreleased,
)
from bridge.failpoint import Failpoint, visit
from bridge.institution import Institution
from bridge.interbank import Kind, Received
from bridge.iso20022.codes import StatusReason
from bridge.issuance import Issuance, IssuanceState, advance
from bridge.ledger import JournalEntry, Posting, Resolution, Side
from bridge.money import Amount, Currency
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.telemetry import get_logger
from bridge.worker import Done, Outcome, Retry

ISSUE: Final = "submit_issue"
"""Kind of the effect that mints."""

RELEASE: Final = "issue_tokens"
"""Kind of the proposal by which two operators release an issuance; its subject is the reference."""

ISSUE_GAS_LIMIT: Final = 300_000

ATTESTATION_RETRY_SECONDS: Final = 1
"""How long to wait for the attester before looking again."""

ATTESTATION_SECONDS_LEFT_MIN: Final = 10
"""A statement with less time left is not minted upon: the block may come after its end."""

UNRELEASED_RETRY_SECONDS: Final = 10
"""How long a mint waits before it looks again whether it was released, or the break was closed."""


class Issuing:
    """What a central bank's bridge does about its currency."""

    def __init__(self, institution: Institution, submitter: Submitter, rtgs: Rtgs) -> None:
        self._institution = institution
        self._submitter = submitter
        self._rtgs = rtgs

    @property
    def currency(self) -> Currency:
        """The currency this central bank issues."""
        return self._rtgs.currency

    def receive(self, request: Received) -> dict[str, str]:
        """Debit the sender's RTGS account and order the mint; the same request again: same answer.

        Raises `EnvelopeInvalid`, `CurrencyUnsupported`, `InsufficientFunds`, `IssuanceConflict` for a
        known reference with other content, `IssuanceStopped`, `IssuanceDeclined`, and
        `IssuanceUnreleased` while the reserves are reserved and two operators have yet to decide.
        """
        if request.kind is not Kind.ISSUANCE_REQUEST:
            raise EnvelopeInvalid(f"{request.kind.value} is not taken here")
        issuance = self._read(request)
        visit(Failpoint.TAKING)
        with self._institution.store.unit_of_work() as work:
            known = work.issuances.find(issuance.reference)
            if known is None:
                known = self._take(work, issuance)
            elif (known.participant_lei, known.amount) != (request.sender_lei, issuance.amount):
                raise IssuanceConflict(issuance.reference.hex())
        if known.state is IssuanceState.REFUSED:
            raise IssuanceDeclined(issuance.reference.hex())
        if known.state is IssuanceState.REQUESTED:
            raise IssuanceUnreleased(issuance.reference.hex())
        return {"reference": issuance.reference.hex()}

    def _read(self, request: Received) -> Issuance:
        currency = self.currency
        if request.body.get("currency") != currency.code:
            raise CurrencyUnsupported(request.body.get("currency", ""))
        amount = Amount.parse(request.body.get("amount", ""), currency)
        try:
            reference = bytes.fromhex(request.body["reference"])
        except (KeyError, ValueError) as error:
            raise EnvelopeInvalid("its reference is not hexadecimal") from error
        if len(reference) != 32 or not amount:
            raise EnvelopeInvalid("its reference has not 32 bytes, or its amount is zero")
        holder = self._institution.directory().by_lei(request.sender_lei)
        return Issuance(
            reference=reference,
            participant_lei=request.sender_lei,
            amount=amount,
            account_reference=holder.settlement_reference,
            account_address=holder.settlement_address,
            state=IssuanceState.REQUESTED,
            created_at=self._institution.clock(),
            entry_id=f"issuance:{reference.hex()}",
        )

    def _take(self, work: UnitOfWork, issuance: Issuance) -> Issuance:
        """Set reserves aside for a new request, and order the mint where nobody else need decide."""
        self._check_not_stopped(work)
        now = self._institution.clock()
        self._rtgs.open_day(work, now)
        self._rtgs.open_account(work, issuance.participant_lei)
        needs_release = self._needs_release(issuance)
        work.ledger.book(self._set_aside(issuance, now, pending=needs_release))
        if needs_release:
            work.issuances.add(issuance)
            return issuance
        funded = advance(issuance, IssuanceState.FUNDED)
        work.issuances.add(funded)
        self._order_mint(work, issuance, now)
        return funded

    def _set_aside(self, issuance: Issuance, now: int, *, pending: bool) -> JournalEntry:
        return JournalEntry(
            entry_id=_entry_id(issuance),
            kind="issuance",
            description="reserves set aside for tokens",
            postings=(
                Posting(chart.rtgs(issuance.participant_lei), Side.DEBIT, issuance.amount),
                Posting(chart.tokens_outstanding(self.currency), Side.CREDIT, issuance.amount),
            ),
            pending=pending,
            booked_at=now,
        )

    def _order_mint(self, work: UnitOfWork, issuance: Issuance, at: int) -> None:
        work.effects.add(
            NewEffect(
                kind=ISSUE,
                key=f"{ISSUE}:{issuance.reference.hex()}",
                payload={"reference": issuance.reference.hex()},
                payment_id=None,
                due_at=at,
            )
        )

    def waiting(self, work: UnitOfWork, reference: str, document: Mapping[str, str]) -> Issuance:
        """The issuance that a proposal names, if it waits for a decision and is what the proposal says.

        Raises `IssuanceNotWaiting`: two persons decide on a participant and an amount they saw.
        """
        issuance = None
        with contextlib.suppress(ValueError):
            issuance = work.issuances.find(bytes.fromhex(reference))
        if issuance is None:
            raise IssuanceNotWaiting(reference, "it is unknown")
        if document != release_document(issuance):
            raise IssuanceNotWaiting(reference, "participant and amount are others")
        if issuance.state is IssuanceState.FUNDED and self._needs_release(issuance):
            return issuance
        if issuance.state is not IssuanceState.REQUESTED:
            raise IssuanceNotWaiting(reference, f"it is {issuance.state.value}")
        return issuance

    def release(self, work: UnitOfWork, issuance: Issuance, at: int) -> None:
        """Post the reserves of an issuance that two operators approved, and order its mint.

        Raises `IssuanceStopped`, and `InsufficientFunds` where the account has fallen below it since.
        """
        self._check_not_stopped(work)
        self._rtgs.open_day(work, at)
        if issuance.state is IssuanceState.FUNDED:
            return
        balance = work.ledger.balance(chart.rtgs(issuance.participant_lei))
        if balance.ledger < issuance.amount:
            raise InsufficientFunds(
                chart.rtgs(issuance.participant_lei),
                available=str(balance.ledger),
                needed=str(issuance.amount),
            )
        work.ledger.post(_entry_id(issuance), at)
        work.issuances.save(advance(issuance, IssuanceState.FUNDED))
        self._order_mint(work, issuance, at)

    def decline(self, work: UnitOfWork, issuance: Issuance, at: int) -> None:
        """Give the reserves of an issuance that waits for its release free again.

        Raises `IssuanceNotWaiting` for one that is funded: its mint may be on its way.
        """
        if issuance.state is not IssuanceState.REQUESTED:
            raise IssuanceNotWaiting(issuance.reference.hex(), "it is funded")
        self._rtgs.open_day(work, at)
        work.ledger.void(_entry_id(issuance), at)
        refused = advance(issuance, IssuanceState.REFUSED)
        work.issuances.save(replace(refused, reason=StatusReason.MS03.value))
        self._rtgs.credited(work, issuance.participant_lei, at)

    def _needs_release(self, issuance: Issuance) -> bool:
        text = self._institution.settings.issuance_threshold.get(self.currency.code, "0")
        return issuance.amount > Amount.parse(text, self.currency)

    def _is_released(self, work: UnitOfWork, issuance: Issuance) -> bool:
        """Whether nobody need approve it, or two different operators did, of just this."""
        if not self._needs_release(issuance):
            return True
        return any(
            approval.document == release_document(issuance)
            and approval.decided_by not in {None, approval.proposed_by}
            for approval in work.approvals.approved(RELEASE, issuance.reference.hex())
        )

    def _check_not_stopped(self, work: UnitOfWork) -> None:
        found = work.breaks.first_open(self.currency)
        if found is not None:
            raise IssuanceStopped(self.currency.code, found.break_id)

    def issue(self, effect: EffectRow) -> Outcome:
        """Mint once the reserves are attested; a mint that reverted is made again."""
        reference = bytes.fromhex(str(effect.payload["reference"]))
        with self._institution.store.reading() as work:
            issuance = work.issuances.get(reference)
            is_released = self._is_released(work, issuance)
            is_set_aside = self._is_set_aside(work, issuance)
            stopping = work.breaks.first_open(self.currency)
        chain = self._institution.chain
        is_minted = chain.is_issue_reference_used(self.currency.numeric, reference)
        if issuance.state is not IssuanceState.FUNDED or is_minted:
            return Done()
        if not (is_released and is_set_aside):
            return Retry(UNRELEASED_RETRY_SECONDS, "waiting for two operators")
        if stopping is not None:
            return Retry(UNRELEASED_RETRY_SECONDS, f"stopped by break {stopping.break_id}")
        if not self._is_attested(issuance.amount):
            return Retry(ATTESTATION_RETRY_SECONDS, "waiting for attested reserves")
        call = token_call(
            self.currency.numeric,
            "issue",
            (reference, issuance.account_address, issuance.amount.minor_units),
        )
        self._submitter.submit(
            Call(
                purpose=effect.key,
                to=call.to,
                data=call.data,
                gas_limit=ISSUE_GAS_LIMIT,
                payment_id=None,
            )
        )
        return Done()

    def _is_set_aside(self, work: UnitOfWork, issuance: Issuance) -> bool:
        """Whether the reserves behind it were posted, by the very entry that a request makes."""
        booked = work.ledger.find_entry(_entry_id(issuance))
        if booked is None or (booked.entry.pending and booked.resolution is not Resolution.POSTED):
            return False
        expected = self._set_aside(issuance, booked.entry.booked_at, pending=booked.entry.pending)
        return booked.entry == expected

    def _is_attested(self, amount: Amount) -> bool:
        chain = self._institution.chain
        attested = chain.latest_attestation(self.currency.numeric)
        supply = chain.total_supply(self.currency.numeric)
        lasts = attested.valid_until >= self._institution.clock() + ATTESTATION_SECONDS_LEFT_MIN
        return lasts and supply + amount.minor_units <= attested.amount

    def observe(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        """Complete an issuance on its final mint; release reserves on a final burn.

        A mint that nobody ordered is a break: logged, and left to people.
        """
        if event.address != self._institution.chain.token_address(self.currency.numeric):
            return
        if event.name == "Redeemed":
            self._release(work, event, at)
            return
        issuance = work.issuances.find(event.arguments["issueReference"])
        if issuance is None or not _is_order_of(issuance, event):
            get_logger().error(
                "token_break",
                event_name=event.name,
                reference=event.arguments["issueReference"],
                amount=event.arguments["amount"],
                transaction_hash=event.transaction_hash,
            )
            return
        issued = advance(issuance, IssuanceState.ISSUED)
        work.issuances.save(replace(issued, transaction_hash=event.transaction_hash))

    def reverted(self, work: UnitOfWork, transaction: FinalTransaction, at: int) -> None:
        """Order a mint that reverted once more: its reference is unused, the reserves stand aside."""
        kind, _, rest = transaction.purpose.partition(":")
        if kind != ISSUE:
            return
        reference, _, attempt = rest.partition(":")
        work.effects.add(
            NewEffect(
                kind=ISSUE,
                key=f"{ISSUE}:{reference}:{int(attempt or 0) + 1}",
                payload={"reference": reference},
                payment_id=None,
                due_at=at + ATTESTATION_RETRY_SECONDS,
            )
        )

    def _release(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        owner = self._institution.directory().owner_of_address(event.arguments["from"])
        amount = Amount(self.currency, event.arguments["amount"])
        self._rtgs.open_account(work, owner.lei)
        work.ledger.book(
            JournalEntry(
                entry_id=f"redemption:{owner.lei}:{event.arguments['redeemReference'].hex()}",
                kind="redemption",
                description="reserves released for burnt tokens",
                postings=(
                    Posting(chart.tokens_outstanding(self.currency), Side.DEBIT, amount),
                    Posting(chart.rtgs(owner.lei), Side.CREDIT, amount),
                ),
                booked_at=at,
            ),
            is_fact=True,
        )
        self._rtgs.credited(work, owner.lei, at)


def release_document(issuance: Issuance) -> dict[str, str]:
    """What a proposal about an issuance must say, so that both persons have seen it."""
    return {"participant": issuance.participant_lei, "amount": issuance.amount.format()}


def _entry_id(issuance: Issuance) -> str:
    if issuance.entry_id is None:
        raise IssuanceIncomplete(issuance.reference.hex())
    return issuance.entry_id


def _is_order_of(issuance: Issuance, event: ChainEvent) -> bool:
    """Whether a mint is the one that was ordered, and the first."""
    return (
        issuance.state is IssuanceState.FUNDED
        and event.arguments["to"] == issuance.account_address
        and event.arguments["amount"] == issuance.amount.minor_units
    )
