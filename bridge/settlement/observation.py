"""What the chain says, block by block, becomes bookings and further effects.

Called by the follower inside the one database transaction that also moves the checkpoint: an event
has its effects exactly once, whatever dies, whenever.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol, assert_never

from bridge.chain import (
    BlockData,
    ChainEvent,
    FinalTransaction,
    PaymentOutcome,
    terms_of_event,
)
from bridge.institution import Institution, record
from bridge.iso20022.codes import StatusReason
from bridge.money import AMOUNT_MAX, CURRENCY_BY_CODE, Amount
from bridge.payment import (
    Direction,
    Effect,
    Event,
    Fact,
    Payment,
    PaymentState,
    ReturnOf,
    SettlementId,
    Terms,
    incoming_payment_id,
    transition,
)
from bridge.settlement import booking, notices, suspense
from bridge.settlement.dispatch import DISPATCH_BY_EFFECT
from bridge.settlement.supervision import expect_copy
from bridge.store import EventRow, QuoteState, SuspenseState, UnitOfWork

INSTRUCT: Final = "submit_instruct"
"""Kind of the effect that carries a reserved payment to the chain."""

EXPIRE: Final = "submit_expire"
"""Kind of the effect that has the chain end a payment after its deadline."""

ENQUIRE: Final = "enquire"
"""Kind of the effect that asks the creditor bank where a payment stands, should it not say so."""

CONSIDER: Final = "consider"
"""Kind of the effect that decides on an announced payment."""

REJECT_DELAY_SECONDS: Final = 1
"""How long a refusal waits for its chain transaction: the sealed reason should arrive first."""

EXPIRY_DELAY_SECONDS: Final = 2
"""How long after its deadline a payment is expired: the chain wants a later second."""

NOT_ON_CHAIN: Final = StatusReason.ED05.value
"""Reason given for a payment that never came to the chain."""

PROGRESS: Final[Mapping[str, Fact]] = {
    "Accepted": Fact.ACCEPTED,
    "PaymentQueued": Fact.QUEUED,
    "PaymentSettled": Fact.SETTLED,
    "PaymentRejected": Fact.REJECTED,
    "PaymentCancelled": Fact.CANCELLED,
    "PaymentExpired": Fact.EXPIRED,
}
"""What an event of the settlement contract says of a payment that was instructed."""


class TokenBooks(Protocol):
    """Who books tokens that enter or leave the chain: a bank's funding, or a central bank's issuing."""

    def observe(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        """Apply a final `Issued` or `Redeemed` of a block made at the UTC second `at`."""

    def reverted(self, work: UnitOfWork, transaction: FinalTransaction, at: int) -> None:
        """Apply the reverting of an own transaction; one of another purpose is left alone."""


class AuditBooks(Protocol):
    """Who keeps the audit log."""

    def observe(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        """Record a final anchor, if it is this institution's."""


class Observer:
    """Applies final blocks to one institution's books."""

    def __init__(
        self,
        institution: Institution,
        token_books: TokenBooks,
        audit_books: AuditBooks,
    ) -> None:
        self._institution = institution
        self._token_books = token_books
        self._audit_books = audit_books

    def observe(
        self, work: UnitOfWork, block: BlockData, own: tuple[FinalTransaction, ...]
    ) -> None:
        """Apply every event of one block in log order, then the reverted transactions of our own,
        then the deadlines that its time has passed.

        Everything is booked at the block's time, so that a replay books the same.
        """
        at = block.ref.timestamp
        originals = {
            event.arguments["paymentId"]: SettlementId(event.arguments["originalId"])
            for event in block.events
            if event.name == "ReturnInstructed"
        }
        for event in block.events:
            if event.name == "Instructed":
                self._instructed(work, event, originals.get(event.arguments["paymentId"]), at)
            else:
                self._apply(work, event, at)
        for transaction in own:
            if not transaction.succeeded:
                self._token_books.reverted(work, transaction, at)
                self._reverted(work, transaction, at)
        for payment in work.payments.lapsed(at):
            self._end_unless_on_chain(work, payment, Event(Fact.LAPSED, reason=NOT_ON_CHAIN), at)

    def _apply(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        match event.name:
            case "Issued" | "Redeemed":
                self._token_books.observe(work, event, at)
            case "AuditLogAnchored":
                self._audit_books.observe(work, event, at)
            case name if name in PROGRESS:
                self._progressed(work, event, at)
            case _:
                return

    def _instructed(
        self, work: UnitOfWork, event: ChainEvent, original: SettlementId | None, at: int
    ) -> None:
        terms = terms_of_event(event)
        key = SettlementId(event.arguments["paymentId"])
        outgoing = work.payments.by_settlement_id(key, Direction.OUTGOING)
        if outgoing is not None and outgoing.state is PaymentState.RESERVED:
            self._follow(work, outgoing, (event, Fact.INSTRUCTED), at)
        if work.quotes.get(terms.quote_hash) is not None:
            work.quotes.consume(terms.quote_hash, key)
        expect_copy(self._institution, work, event, terms, at)
        directory = self._institution.directory()
        payee = directory.owner_of(terms.legs[-1].to_reference)
        instructing = directory.by_lei(event.arguments["participant"].decode())
        if payee is not None and payee.lei == self._institution.lei != instructing.lei:
            payment = self._announced(key, terms, instructing.lei, at)
            if payment is not None and original is not None:
                payment = _linked(work, payment, original)
            self._announce(work, payment, at)

    def _announce(self, work: UnitOfWork, payment: Payment | None, at: int) -> None:
        if payment is not None:
            work.payments.add(payment)
            announce(work, payment, at)

    def _announced(
        self, key: SettlementId, terms: Terms, sender_lei: str, at: int
    ) -> Payment | None:
        """A payment that somebody instructed to this bank.

        Anybody admitted can instruct any amount of any currency; what no ledger here can hold is
        none of this bank's and is left to expire.
        """
        leg = terms.legs[-1]
        currency = CURRENCY_BY_CODE.get(leg.currency)
        if currency is None or leg.amount > AMOUNT_MAX:
            return None
        return Payment(
            payment_id=incoming_payment_id(key),
            direction=Direction.INCOMING,
            state=PaymentState.ANNOUNCED,
            client=sender_lei,
            uetr=f"unknown:{key.hex()}",
            end_to_end_id="",
            settlement_id=key,
            counterparty_lei=sender_lei,
            settlement_amount=Amount(currency, leg.amount),
            terms=terms,
            created_at=at,
        )

    def _progressed(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        key, fact = SettlementId(event.arguments["paymentId"]), PROGRESS[event.name]
        for direction in Direction:
            payment = work.payments.by_settlement_id(key, direction)
            if payment is not None:
                self._follow(work, payment, (event, fact), at)
        self._quote_progressed(work, key, fact, at)

    def _quote_progressed(self, work: UnitOfWork, key: SettlementId, fact: Fact, at: int) -> None:
        offered = work.quotes.by_settlement_id(key)
        if offered is None:
            return
        match fact:
            case Fact.SETTLED:
                legs = booking.exchange(offered.quote, offered.quote_hash, at)
                link_id = booking.exchange_link(offered.quote_hash)
                work.ledger.book_linked(link_id, legs, is_fact=True)
                work.quotes.mark(offered.quote_hash, QuoteState.FILLED)
            case Fact.REJECTED | Fact.CANCELLED | Fact.EXPIRED:
                work.quotes.mark(offered.quote_hash, QuoteState.RELEASED)
            case _:
                return

    def _follow(
        self, work: UnitOfWork, payment: Payment, told: tuple[ChainEvent, Fact], at: int
    ) -> Payment:
        chain_event, fact = told
        event = Event(
            fact,
            reason=_coarse_reason(payment, chain_event.name, chain_event.arguments),
            transaction_hash=chain_event.transaction_hash,
            block_number=chain_event.block_number,
        )
        return follow(self._institution, work, payment, event, at=at)

    def _reverted(self, work: UnitOfWork, transaction: FinalTransaction, at: int) -> None:
        """End a payment whose instruction reverted, unless the chain has it all the same.

        That is so after a restore: an earlier transaction of ours, which the restored books do not
        know, has instructed it. Then what the chain said of it since is caught up with.
        """
        if transaction.payment_id is None or not transaction.purpose.endswith(INSTRUCT):
            return
        payment = work.payments.get(transaction.payment_id)
        if payment.state is not PaymentState.RESERVED:
            return
        event = Event(
            Fact.REVERTED,
            reason=NOT_ON_CHAIN,
            transaction_hash=transaction.transaction_hash,
            block_number=transaction.block_number,
        )
        self._end_unless_on_chain(work, payment, event, at)

    def _end_unless_on_chain(
        self, work: UnitOfWork, payment: Payment, event: Event, at: int
    ) -> None:
        known = work.chain_log.about(payment.settlement_id)
        if any(row.name == "Instructed" for row in known):
            self._catch_up(work, payment, known, at)
        else:
            follow(self._institution, work, payment, event, at=at)

    def _catch_up(
        self, work: UnitOfWork, payment: Payment, known: tuple[EventRow, ...], at: int
    ) -> None:
        for row in known:
            fact = Fact.INSTRUCTED if row.name == "Instructed" else PROGRESS.get(row.name)
            if fact is None:
                continue
            event = Event(
                fact,
                reason=_coarse_reason(payment, row.name, json.loads(row.document)),
                transaction_hash=row.transaction_hash,
                block_number=row.block_number,
            )
            payment = follow(self._institution, work, payment, event, at=at)


def announce(work: UnitOfWork, payment: Payment, now: int) -> None:
    """Record that a payment may now be decidable; deciding twice is harmless."""
    if work.inbox.has(payment.settlement_id):
        record(work, payment, CONSIDER, now)


def follow(
    institution: Institution, work: UnitOfWork, payment: Payment, event: Event, *, at: int
) -> Payment:
    """Take one step at the UTC second `at`: the payment's transition, saved with all that follows."""
    changed, effects = transition(payment, event)
    work.payments.save(changed)
    for effect in effects:
        changed = _carry_out(institution, work, (changed, effect), at)
    return changed


def _carry_out(
    institution: Institution, work: UnitOfWork, step: tuple[Payment, Effect], at: int
) -> Payment:
    """The payment after one effect of its step; only a credit says more of it: the account."""
    payment, effect = step
    match effect:
        case Effect.POST_RESERVATION:
            for entry_id in _entries_of(payment):
                work.ledger.post(entry_id, at)
            _leave_suspense(work, payment, SuspenseState.RETURNED, at)
        case Effect.VOID_RESERVATION:
            for entry_id in _entries_of(payment):
                work.ledger.void(entry_id, at)
            _leave_suspense(work, payment, SuspenseState.OPEN, at)
        case Effect.CREDIT_CUSTOMER:
            return suspense.credit(institution, work, payment, at)
        case Effect.NOTIFY_CUSTOMER:
            notices.notify(institution, work, payment, at)
        case Effect.DELIVER_MESSAGE | Effect.DELIVER_STATUS:
            _dispatch(institution, work, (payment, effect), at)
        case Effect.SUBMIT_REJECT:
            record(work, payment, effect.value, at + REJECT_DELAY_SECONDS)
        case Effect.SUBMIT_ACCEPT | Effect.SUBMIT_WITHDRAW:
            record(work, payment, effect.value, at)
        case _:
            assert_never(effect)
    return payment


def _dispatch(
    institution: Institution, work: UnitOfWork, step: tuple[Payment, Effect], at: int
) -> None:
    """Record a message to the other bank; after the payment's own, when to ask where it stands."""
    payment, effect = step
    DISPATCH_BY_EFFECT[effect](institution, work, payment, at)
    if effect is Effect.DELIVER_MESSAGE:
        record(work, payment, ENQUIRE, at + institution.settings.enquiry_seconds)


def _leave_suspense(work: UnitOfWork, payment: Payment, state: SuspenseState, at: int) -> None:
    """Say of the suspense item that a return was to empty what became of it."""
    original = payment.return_of
    if original is not None and original.payment_id is not None and payment.is_on_suspense:
        work.suspense.move(original.payment_id, state, payment.payment_id, at)


def _linked(work: UnitOfWork, payment: Payment, original_id: SettlementId) -> Payment:
    """An announced return with what it gives back: the account debited for it is to be credited."""
    original = work.payments.by_settlement_id(original_id, Direction.OUTGOING)
    if original is None:
        return replace(payment, return_of=ReturnOf(None))
    return replace(
        payment,
        return_of=ReturnOf(original.payment_id),
        uetr=original.uetr,
        end_to_end_id=original.end_to_end_id,
        account_id=original.account_id,
    )


def _entries_of(payment: Payment) -> tuple[str, str]:
    """The pending entries of an outgoing payment, as `booking.reservation` names them."""
    return f"{payment.payment_id}:reservation", f"{payment.payment_id}:discharge"


REASON_BY_OUTCOME: Final[Mapping[PaymentOutcome, StatusReason]] = {
    PaymentOutcome.REJECTED: StatusReason.MS03,
    PaymentOutcome.WITHDRAWN: StatusReason.CUST,
    PaymentOutcome.NO_LIQUIDITY: StatusReason.ED05,
    PaymentOutcome.EXPIRED_UNACCEPTED: StatusReason.AB05,
    PaymentOutcome.EXPIRED_UNSETTLED: StatusReason.AB03,
}
"""The ISO reason where only the coarse outcome is known."""


def _coarse_reason(payment: Payment, event: str, arguments: Mapping[str, Any]) -> str | None:
    """The ISO reason that an event gives; None where a sealed one has come, or none is due.

    What ends a payment that waits is known whole: nobody can refuse it any more.
    """
    if payment.reason is not None and payment.state is not PaymentState.QUEUED:
        return None
    match event:
        case "PaymentRejected":
            outcome = PaymentOutcome.REJECTED
        case "PaymentCancelled" | "PaymentExpired":
            outcome = PaymentOutcome(arguments["outcome"])
        case _:
            return None
    return REASON_BY_OUTCOME[outcome].value
