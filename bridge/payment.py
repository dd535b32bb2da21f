"""A payment's life at one bank: pure values and one transition function.

A payment has two sides, each kept by its own bank: *outgoing* at the debtor agent, *incoming* at the
creditor agent. Both follow the same chain facts. `transition(payment, event)` answers with the next
payment and the effects that must be recorded with it in the same database transaction; nothing here
reads a clock, a database or a socket.

    outgoing  RESERVED --instructed--> INSTRUCTED --accepted--> ACCEPTED --settled--> SETTLED
                 |                         '------ rejected / cancelled / expired ---> REJECTED CANCELLED EXPIRED
                 '--reverted, or not instructed by its deadline--> FAILED
    incoming  ANNOUNCED --accept decided--> ACCEPTED --settled--> SETTLED
                 '--refuse decided--> REFUSED --rejected--> REJECTED      (expired, cancelled likewise)
    both      ACCEPTED --queued--> QUEUED --settled--> SETTLED
                                     '--cancelled--> WITHDRAWN, --expired--> EXPIRED

QUEUED is a payment that both banks have accepted and that waits on the chain for liquidity. A return
is a payment of its own, from the bank that received to the one that sent; `return_of` names what it
gives back, and the table above is its life too.

Invariants: money moves only on facts read in a final block; a terminal state never changes; every
state that is not terminal has a deadline (`terms.accept_by`, and `terms.settle_by` while queued)
after which the chain itself ends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import NewType, TypeAlias

from bridge import chart
from bridge.errors import UnexpectedTransition
from bridge.money import Amount

PaymentId = NewType("PaymentId", str)
SettlementId = NewType("SettlementId", bytes)
"""The 32-byte key of a payment on the chain; derived there from participant and UETR."""


@unique
class Direction(Enum):
    """Which side of the payment this bank keeps."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


@unique
class PaymentState(Enum):
    """Where a payment stands; see the module docstring."""

    RESERVED = "reserved"
    ANNOUNCED = "announced"
    INSTRUCTED = "instructed"
    ACCEPTED = "accepted"
    QUEUED = "queued"
    REFUSED = "refused"
    SETTLED = "settled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"


TERMINAL = frozenset(
    {
        PaymentState.SETTLED,
        PaymentState.REJECTED,
        PaymentState.CANCELLED,
        PaymentState.WITHDRAWN,
        PaymentState.EXPIRED,
        PaymentState.FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of one currency between two settlement accounts, named by registry reference."""

    currency: str
    from_reference: bytes
    to_reference: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the parties consent to; field for field the contract's `Terms`. Times are UTC seconds."""

    legs: tuple[Leg, ...]
    message_commitment: bytes
    quote_hash: bytes
    accept_by: int
    settle_by: int
    not_before: int = 0
    supervisor_copy_hash: bytes = bytes(32)
    priority: int = 0
    flags: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class Quote:
    """A firm FX quote; field for field the contract's EIP-712 `Quote`. Amounts in minor units."""

    maker: str
    taker: str
    maker_from: bytes
    maker_to: bytes
    maker_currency: str
    maker_amount: int
    taker_currency: str
    taker_amount: int
    valid_until: int
    settle_by: int
    salt: bytes
    priority: int = 0
    may_queue: bool = False

    @property
    def smallest_fill(self) -> int:
        """Least amount a fill may take: this version fills whole quotes only."""
        return self.maker_amount


@dataclass(frozen=True, slots=True)
class SignedQuote:
    """A quote with the maker's EIP-712 signature (65 bytes) and the hash it signs."""

    quote: Quote
    quote_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Charges:
    """What an outgoing payment costs the debtor, all in the currency of the debited account.

    `principal` is the settlement amount at the customer's rate, rounded up; `cost` is what leaves
    the bank in tokens; their difference is FX-margin income. `debit` is principal plus fee.
    """

    principal: Amount
    cost: Amount
    fee: Amount
    rate: str | None

    @property
    def margin(self) -> Amount:
        """FX-margin income of the debtor agent."""
        return self.principal - self.cost

    @property
    def debit(self) -> Amount:
        """Everything the debtor's account is debited with."""
        return self.principal + self.fee


@dataclass(frozen=True, slots=True)
class ReturnOf:
    """What a payment gives back: a settled payment of this bank's, or part of it.

    `payment_id` names the original here; it is None where restored books do not know it. `number`
    is the return's own number on the chain, `reason` its ISO 20022 return reason, unknown at the
    bank that gets the money back until the pacs.004 is here.
    """

    payment_id: PaymentId | None
    number: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment as one bank keeps it.

    `client` is the customer who instructed (outgoing) or the sending participant's LEI (incoming).
    `account_id` is the own customer's ledger account, or the suspense account that was credited
    instead; unknown on the incoming side until the message is matched. `settlement_amount` is what the
    creditor agent receives. `salt` opens the message commitment. `reason` is an ISO 20022 status
    reason code. `transaction_hash` and `block_number` name the chain transaction of the latest final
    fact. `creditor_charge` is what the creditor agent takes of the settlement amount, where it is known.
    """

    payment_id: PaymentId
    direction: Direction
    state: PaymentState
    client: str
    uetr: str
    end_to_end_id: str
    settlement_id: SettlementId
    counterparty_lei: str
    settlement_amount: Amount
    terms: Terms
    created_at: int
    account_id: str | None = None
    charges: Charges | None = None
    salt: bytes | None = None
    signed_quote: SignedQuote | None = None
    reason: str | None = None
    transaction_hash: bytes | None = None
    block_number: int | None = None
    creditor_charge: Amount | None = None
    return_of: ReturnOf | None = None

    @property
    def credited(self) -> Amount:
        """What the creditor agent credits: the settlement amount less its charge."""
        if self.creditor_charge is None:
            return self.settlement_amount
        return self.settlement_amount - self.creditor_charge

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can change this payment any more."""
        return self.state in TERMINAL

    @property
    def is_on_suspense(self) -> bool:
        """Whether its money comes from or went to a suspense account rather than a customer's."""
        return self.account_id is not None and chart.is_suspense(self.account_id)

    @property
    def ends_by(self) -> int | None:
        """The last UTC second before the chain itself can end it; None once it has ended."""
        if self.is_terminal:
            return None
        is_queued = self.state is PaymentState.QUEUED
        return self.terms.settle_by if is_queued else self.terms.accept_by


def incoming_payment_id(settlement_id: bytes) -> PaymentId:
    """The id of a payment that another bank instructed: the same whenever it is met."""
    return PaymentId(f"pay_in_{settlement_id.hex()[:32]}")


def without_salt(payment: Payment) -> Payment:
    """The payment without what opens its commitment."""
    return replace(payment, salt=None)


@unique
class Fact(Enum):
    """What happened: read in a final block, or decided by this bank."""

    INSTRUCTED = "instructed"
    ACCEPTED = "accepted"
    QUEUED = "queued"
    SETTLED = "settled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REVERTED = "reverted"
    LAPSED = "lapsed"
    ACCEPT_DECIDED = "accept_decided"
    REFUSE_DECIDED = "refuse_decided"
    MESSAGE_REFUSED = "message_refused"
    WITHDRAWAL_ASKED = "withdrawal_asked"


@dataclass(frozen=True, slots=True)
class Event:
    """A fact with what it carries: the reason of a refusal, the transaction of a chain fact."""

    fact: Fact
    reason: str | None = None
    transaction_hash: bytes | None = None
    block_number: int | None = None


@unique
class Effect(Enum):
    """What must follow from a transition, recorded with it in one database transaction."""

    DELIVER_MESSAGE = "deliver_message"
    DELIVER_STATUS = "deliver_status"
    SUBMIT_ACCEPT = "submit_accept"
    SUBMIT_REJECT = "submit_reject"
    SUBMIT_WITHDRAW = "submit_withdraw"
    POST_RESERVATION = "post_reservation"
    VOID_RESERVATION = "void_reservation"
    CREDIT_CUSTOMER = "credit_customer"
    NOTIFY_CUSTOMER = "notify_customer"


_Row: TypeAlias = tuple[PaymentState, tuple[Effect, ...]]

_DEBTOR_MADE_WHOLE = (Effect.VOID_RESERVATION, Effect.NOTIFY_CUSTOMER)

_LIVE_ON_CHAIN: Mapping[Fact, _Row] = {
    Fact.SETTLED: (PaymentState.SETTLED, (Effect.POST_RESERVATION, Effect.NOTIFY_CUSTOMER)),
    Fact.REJECTED: (PaymentState.REJECTED, _DEBTOR_MADE_WHOLE),
    Fact.CANCELLED: (PaymentState.CANCELLED, _DEBTOR_MADE_WHOLE),
    Fact.EXPIRED: (PaymentState.EXPIRED, _DEBTOR_MADE_WHOLE),
}

_WITHDRAW = (Effect.SUBMIT_WITHDRAW,)

_TAKEN_BACK: _Row = (PaymentState.WITHDRAWN, _DEBTOR_MADE_WHOLE)

_ENDED_UNSETTLED: Mapping[Fact, _Row] = {
    Fact.REJECTED: (PaymentState.REJECTED, ()),
    Fact.CANCELLED: (PaymentState.CANCELLED, ()),
    Fact.EXPIRED: (PaymentState.EXPIRED, ()),
}

_CREDITED: _Row = (PaymentState.SETTLED, (Effect.CREDIT_CUSTOMER, Effect.NOTIFY_CUSTOMER))

_ACCEPTED_BEFORE_RESTORE: Mapping[Fact, _Row] = {
    Fact.ACCEPTED: (PaymentState.ACCEPTED, ()),
    Fact.SETTLED: _CREDITED,
}
"""Books restored from a backup hear from the chain of an acceptance that they do not remember."""

_OUTGOING: Mapping[PaymentState, Mapping[Fact, _Row]] = {
    PaymentState.RESERVED: {
        Fact.INSTRUCTED: (PaymentState.INSTRUCTED, (Effect.DELIVER_MESSAGE,)),
        Fact.REVERTED: (PaymentState.FAILED, _DEBTOR_MADE_WHOLE),
        Fact.LAPSED: (PaymentState.FAILED, _DEBTOR_MADE_WHOLE),
        Fact.WITHDRAWAL_ASKED: (PaymentState.RESERVED, _WITHDRAW),
    },
    PaymentState.INSTRUCTED: {
        **_LIVE_ON_CHAIN,
        Fact.ACCEPTED: (PaymentState.ACCEPTED, ()),
        Fact.MESSAGE_REFUSED: (PaymentState.INSTRUCTED, _WITHDRAW),
        Fact.WITHDRAWAL_ASKED: (PaymentState.INSTRUCTED, _WITHDRAW),
    },
    PaymentState.ACCEPTED: {
        **_LIVE_ON_CHAIN,
        Fact.QUEUED: (PaymentState.QUEUED, (Effect.NOTIFY_CUSTOMER,)),
    },
    PaymentState.QUEUED: {
        Fact.SETTLED: _LIVE_ON_CHAIN[Fact.SETTLED],
        Fact.CANCELLED: _TAKEN_BACK,
        Fact.EXPIRED: _LIVE_ON_CHAIN[Fact.EXPIRED],
        Fact.WITHDRAWAL_ASKED: (PaymentState.QUEUED, _WITHDRAW),
    },
}

_INCOMING: Mapping[PaymentState, Mapping[Fact, _Row]] = {
    PaymentState.ANNOUNCED: {
        **_ENDED_UNSETTLED,
        **_ACCEPTED_BEFORE_RESTORE,
        Fact.ACCEPT_DECIDED: (
            PaymentState.ACCEPTED,
            (Effect.SUBMIT_ACCEPT, Effect.DELIVER_STATUS),
        ),
        Fact.REFUSE_DECIDED: (
            PaymentState.REFUSED,
            (Effect.DELIVER_STATUS, Effect.SUBMIT_REJECT),
        ),
    },
    PaymentState.ACCEPTED: {
        **_ENDED_UNSETTLED,
        Fact.ACCEPTED: (PaymentState.ACCEPTED, ()),
        Fact.QUEUED: (PaymentState.QUEUED, ()),
        Fact.SETTLED: _CREDITED,
    },
    PaymentState.QUEUED: {
        Fact.SETTLED: _CREDITED,
        Fact.CANCELLED: (PaymentState.WITHDRAWN, ()),
        Fact.EXPIRED: (PaymentState.EXPIRED, ()),
    },
    PaymentState.REFUSED: {**_ENDED_UNSETTLED, **_ACCEPTED_BEFORE_RESTORE},
}

_TABLES = {Direction.OUTGOING: _OUTGOING, Direction.INCOMING: _INCOMING}


def transition(payment: Payment, event: Event) -> tuple[Payment, tuple[Effect, ...]]:
    """The payment after `event`, and the effects to record with it.

    Raises `UnexpectedTransition` (an invariant is broken) for a fact that cannot follow from the
    payment's state: chain facts reach a bank exactly once and in order, so such a fact means that
    somebody's books are wrong.
    """
    row = _TABLES[payment.direction].get(payment.state, {}).get(event.fact)
    if row is None:
        raise UnexpectedTransition(
            payment_id=payment.payment_id, state=payment.state.value, fact=event.fact.value
        )
    state, effects = row
    changed = replace(
        payment,
        state=state,
        reason=None if state is PaymentState.SETTLED else event.reason or payment.reason,
        transaction_hash=event.transaction_hash or payment.transaction_hash,
        block_number=payment.block_number if event.block_number is None else event.block_number,
    )
    return changed, effects
