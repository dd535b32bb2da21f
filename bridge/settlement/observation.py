"""What the chain says, block by block, becomes bookings and further effects.

Called by the follower inside the one database transaction that also moves the checkpoint: an event
has its effects exactly once, whatever dies, whenever.
"""

from collections.abc import Mapping
from typing import Final, Protocol, assert_never

from bridge import chart
from bridge.chain import BlockData, ChainEvent, FinalTransaction, terms_of_event
from bridge.errors import PaymentIncomplete
from bridge.institution import Institution, record
from bridge.iso20022.codes import StatusReason
from bridge.ledger import JournalEntry
from bridge.money import AMOUNT_MAX, Amount, parse_currency
from bridge.payment import (
    Charges,
    Direction,
    Effect,
    Event,
    Fact,
    Payment,
    PaymentId,
    PaymentState,
    SettlementId,
    Terms,
    transition,
)
from bridge.settlement import booking, notices
from bridge.store import NewEffect, QuoteState, UnitOfWork

INSTRUCT: Final = "submit_instruct"
"""Kind of the effect that carries a reserved payment to the chain."""

CONSIDER: Final = "consider"
"""Kind of the effect that decides on an announced payment."""

REJECT_DELAY_SECONDS: Final = 1
"""How long a refusal waits for its chain transaction: the sealed reason should arrive first."""

EXPIRY_DELAY_SECONDS: Final = 2
"""How long after its deadline a payment is expired: the chain wants a later second."""


class TokenBooks(Protocol):
    """Who books tokens that enter or leave the chain: a bank's funding, or a central bank's issuing."""

    def observe(self, work: UnitOfWork, event: ChainEvent) -> None:
        """Apply a final `Issued` or `Redeemed`."""

    def reverted(self, work: UnitOfWork, transaction: FinalTransaction) -> None:
        """Apply the reverting of an own transaction; one of another purpose is left alone."""


class Observer:
    """Applies final blocks to one institution's books."""

    def __init__(
        self,
        institution: Institution,
        token_books: TokenBooks,
    ) -> None:
        self._institution = institution
        self._token_books = token_books

    def observe(
        self, work: UnitOfWork, block: BlockData, own: tuple[FinalTransaction, ...]
    ) -> None:
        """Apply every event of one block, in log order, then the reverted transactions of our own."""
        for event in block.events:
            self._apply(work, event)
        for transaction in own:
            if not transaction.succeeded:
                self._token_books.reverted(work, transaction)
                self._reverted(work, transaction)

    def _apply(self, work: UnitOfWork, event: ChainEvent) -> None:
        facts: Mapping[str, Fact] = {
            "Accepted": Fact.ACCEPTED,
            "PaymentSettled": Fact.SETTLED,
            "PaymentRejected": Fact.REJECTED,
            "PaymentCancelled": Fact.CANCELLED,
            "PaymentExpired": Fact.EXPIRED,
        }
        match event.name:
            case "Instructed":
                self._instructed(work, event)
            case "Issued" | "Redeemed":
                self._token_books.observe(work, event)
            case name if name in facts:
                self._progressed(work, event, facts[name])
            case _:
                return

    def _instructed(self, work: UnitOfWork, event: ChainEvent) -> None:
        terms = terms_of_event(event)
        key = SettlementId(event.arguments["paymentId"])
        outgoing = work.payments.by_settlement_id(key, Direction.OUTGOING)
        if outgoing is not None:
            self._follow(work, outgoing, event, Fact.INSTRUCTED)
        if work.quotes.get(terms.quote_hash) is not None:
            work.quotes.consume(terms.quote_hash, key)
        directory = self._institution.directory()
        payee = directory.owner_of(terms.legs[-1].to_reference)
        instructing = directory.by_lei(event.arguments["participant"].decode())
        if payee is not None and payee.lei == self._institution.lei != instructing.lei:
            self._announce(work, key, terms, instructing.lei)

    def _announce(self, work: UnitOfWork, key: SettlementId, terms: Terms, sender_lei: str) -> None:
        """Keep a payment that somebody instructed to this bank.

        Anybody admitted can instruct any amount; one that no ledger can hold is left to expire.
        """
        if terms.legs[-1].amount > AMOUNT_MAX:
            return
        payment = self._announced(key, terms, sender_lei)
        work.payments.add(payment)
        announce(work, payment, self._institution.clock())

    def _announced(self, key: SettlementId, terms: Terms, sender_lei: str) -> Payment:
        leg = terms.legs[-1]
        return Payment(
            payment_id=PaymentId(f"pay_in_{key.hex()[:32]}"),
            direction=Direction.INCOMING,
            state=PaymentState.ANNOUNCED,
            client=sender_lei,
            uetr=f"unknown:{key.hex()}",
            end_to_end_id="",
            settlement_id=key,
            counterparty_lei=sender_lei,
            settlement_amount=Amount(parse_currency(leg.currency), leg.amount),
            terms=terms,
            created_at=self._institution.clock(),
        )

    def _progressed(self, work: UnitOfWork, event: ChainEvent, fact: Fact) -> None:
        key = SettlementId(event.arguments["paymentId"])
        for direction in Direction:
            payment = work.payments.by_settlement_id(key, direction)
            if payment is not None:
                self._follow(work, payment, event, fact)
        self._quote_progressed(work, key, fact)

    def _quote_progressed(self, work: UnitOfWork, key: SettlementId, fact: Fact) -> None:
        offered = work.quotes.by_settlement_id(key)
        if offered is None:
            return
        match fact:
            case Fact.SETTLED:
                entry = booking.exchange(
                    offered.quote, offered.quote_hash, self._institution.clock()
                )
                work.ledger.book(entry)
                work.quotes.mark(offered.quote_hash, QuoteState.FILLED)
            case Fact.REJECTED | Fact.CANCELLED | Fact.EXPIRED:
                work.quotes.mark(offered.quote_hash, QuoteState.RELEASED)
            case _:
                return

    def _follow(
        self, work: UnitOfWork, payment: Payment, chain_event: ChainEvent, fact: Fact
    ) -> None:
        event = Event(
            fact,
            reason=_coarse_reason(payment, fact),
            transaction_hash=chain_event.transaction_hash,
            block_number=chain_event.block_number,
        )
        follow(self._institution, work, payment, event)

    def _reverted(self, work: UnitOfWork, transaction: FinalTransaction) -> None:
        if transaction.payment_id is None or not transaction.purpose.endswith(INSTRUCT):
            return
        payment = work.payments.get(transaction.payment_id)
        event = Event(
            Fact.REVERTED,
            reason=StatusReason.ED05.value,
            transaction_hash=transaction.transaction_hash,
            block_number=transaction.block_number,
        )
        follow(self._institution, work, payment, event)


def announce(work: UnitOfWork, payment: Payment, now: int) -> None:
    """Record that a payment may now be decidable; deciding twice is harmless."""
    key = f"{payment.payment_id}:{CONSIDER}"
    if work.inbox.get(payment.settlement_id) is None or work.effects.has(key):
        return
    work.effects.add(
        NewEffect(kind=CONSIDER, key=key, payload={}, payment_id=payment.payment_id, due_at=now)
    )


def follow(institution: Institution, work: UnitOfWork, payment: Payment, event: Event) -> Payment:
    """Take one step: the payment's transition, saved with everything that follows from it."""
    changed, effects = transition(payment, event)
    work.payments.save(changed)
    for effect in effects:
        _carry_out(institution, work, changed, effect)
    return changed


def _carry_out(
    institution: Institution, work: UnitOfWork, payment: Payment, effect: Effect
) -> None:
    now = institution.clock()
    match effect:
        case Effect.POST_RESERVATION:
            work.ledger.post(_entry_of(payment), now)
            work.ledger.book(booking.discharge(payment, _charges_of(payment), now))
        case Effect.VOID_RESERVATION:
            work.ledger.void(_entry_of(payment), now)
        case Effect.CREDIT_CUSTOMER:
            work.ledger.book(_credit(payment, now))
        case Effect.NOTIFY_CUSTOMER:
            notices.notify(institution, work, payment)
        case Effect.SCHEDULE_EXPIRY:
            record(work, payment, effect, payment.terms.accept_by + EXPIRY_DELAY_SECONDS)
        case Effect.SUBMIT_REJECT:
            record(work, payment, effect, now + REJECT_DELAY_SECONDS)
        case (
            Effect.DELIVER_MESSAGE
            | Effect.DELIVER_STATUS
            | Effect.SUBMIT_ACCEPT
            | Effect.SUBMIT_WITHDRAW
        ):
            record(work, payment, effect, now)
        case _:
            assert_never(effect)


def _credit(payment: Payment, now: int) -> JournalEntry:
    account = payment.account_id or chart.suspense(payment.settlement_amount.currency)
    return booking.credit(payment, account, now)


def _coarse_reason(payment: Payment, fact: Fact) -> str | None:
    """The ISO reason where only the coarse outcome is known and no sealed reason has come."""
    if payment.reason is not None:
        return None
    reasons = {
        Fact.REJECTED: StatusReason.MS03,
        Fact.CANCELLED: StatusReason.ED05,
        Fact.EXPIRED: StatusReason.AB05,
    }
    reason = reasons.get(fact)
    return None if reason is None else reason.value


def _entry_of(payment: Payment) -> str:
    if payment.entry_id is None:
        raise PaymentIncomplete(payment.payment_id, "journal entry")
    return payment.entry_id


def _charges_of(payment: Payment) -> Charges:
    if payment.charges is None:
        raise PaymentIncomplete(payment.payment_id, "charges")
    return payment.charges
