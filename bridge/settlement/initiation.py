"""A customer's instruction becomes a reserved payment, at the debtor bank.

    check -> quote (when currencies differ) -> one database transaction:
        idempotency row, pending journal entry, payment, its pacs.008, the effect that instructs the chain

The quote is asked for before that transaction, since nothing on the network happens inside one; a
quote left unused runs out by itself. A refusal is remembered under the same key as a success would
be: a key that was once refused never succeeds later, and the same key with another instruction is
itself refused.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, unique
from typing import Final

from bridge import fx
from bridge.chain import Participant, settlement_id
from bridge.errors import (
    AgentUnknown,
    ChargeBearerUnsupported,
    CurrencyUnsupported,
    CustomerAccountBlocked,
    CustomerAccountUnknown,
    DebtorMismatch,
    ExecutionDateUnsupported,
    IdempotencyKeyReused,
    InsufficientFunds,
    LiquidityShort,
    PaymentDuplicate,
    PaymentIncomplete,
    Rejected,
    WrongAgent,
)
from bridge.institution import Institution, is_same_bic, record
from bridge.iso20022.codes import ChargeBearer, MessageName
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.format import format_credit_transfer
from bridge.iso20022.identifiers import Uetr, shape_uetr
from bridge.iso20022.messages import CreditTransfer, Party, PaymentInstruction
from bridge.money import Amount, Rate, Rounding, parse_currency
from bridge.payment import (
    Charges,
    Direction,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    SettlementId,
    SignedQuote,
    Terms,
)
from bridge.settlement.booking import reservation
from bridge.settlement.description import describe
from bridge.settlement.observation import EXPIRE, EXPIRY_DELAY_SECONDS, INSTRUCT
from bridge.store import (
    Customer,
    CustomerAccount,
    CustomerAccountStatus,
    MessageDirection,
    Remembered,
    StoredMessage,
    UnitOfWork,
)

UETR_DOMAIN: Final = b"corridor-uetr-v1"


@unique
class Result(Enum):
    """Whether an answer is a payment or a refusal."""

    ACCEPTED = 202
    REFUSED = 422


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told, the first time and every time it asks again with the same key."""

    result: Result
    body: Mapping[str, object]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An instruction with the client it comes from and the key under which it may be repeated."""

    client: Customer
    key: str
    instruction: PaymentInstruction

    @property
    def fingerprint(self) -> bytes:
        """Digest of what is instructed; the message id and time of one sending do not count."""
        instruction = self.instruction
        parts = (
            instruction.end_to_end_id,
            str(instruction.uetr),
            instruction.requested_execution_date.isoformat(),
            repr(instruction.debtor),
            repr(instruction.debtor_account),
            repr(instruction.debtor_agent),
            repr(instruction.creditor),
            repr(instruction.creditor_account),
            repr(instruction.creditor_agent),
            str(instruction.instructed_amount),
            instruction.charge_bearer.value,
            repr(instruction.remittance_information),
        )
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class _Route:
    """Where an instruction goes: from which account to which bank."""

    account: CustomerAccount
    creditor_bank: Participant


@dataclass(frozen=True, slots=True)
class _Price:
    """What it costs, and the quote that fixes it."""

    charges: Charges
    rate: Rate | None
    signed_quote: SignedQuote | None


def initiate(institution: Institution, order: Order) -> Answer:
    """Take a customer's instruction: a payment reserved and on its way, or a named refusal.

    Answers a repeated order with the first answer. Raises `IdempotencyKeyReused` when the key was
    used for another instruction, and an `Unavailable` when the chain or the fx provider cannot be
    asked now (nothing is remembered: the same order may be sent again).
    """
    with institution.store.reading() as work:
        earlier = _recall(work, order)
    if earlier is not None:
        return earlier
    try:
        payment, transfer = _prepare(institution, order)
        with institution.store.unit_of_work() as work:
            return _recall(work, order) or _reserve(
                work, order, (payment, transfer), may_wait=_may_wait(institution, payment)
            )
    except Rejected as refusal:
        return _remember_refusal(institution, order, refusal)


def _recall(work: UnitOfWork, order: Order) -> Answer | None:
    remembered = work.idempotency.find(order.client.customer_id, order.key)
    if remembered is None:
        return None
    if remembered.fingerprint != order.fingerprint:
        raise IdempotencyKeyReused(order.key)
    body = json.loads(remembered.body)
    return Answer(result=Result(remembered.status), body=body, replayed=True)


def _remember(work: UnitOfWork, order: Order, answer: Answer) -> Answer:
    work.idempotency.remember(
        order.client.customer_id,
        order.key,
        Remembered(
            fingerprint=order.fingerprint,
            status=answer.result.value,
            body=json.dumps(answer.body, sort_keys=True),
        ),
    )
    return answer


def _remember_refusal(institution: Institution, order: Order, refusal: Rejected) -> Answer:
    if isinstance(refusal, IdempotencyKeyReused):
        raise refusal
    body = {"code": refusal.code, "reason": refusal.reason, "detail": str(refusal)}
    with institution.store.unit_of_work() as work:
        return _recall(work, order) or _remember(work, order, Answer(Result.REFUSED, body))


def _prepare(institution: Institution, order: Order) -> tuple[Payment, CreditTransfer]:
    route = _check(institution, order)
    now = institution.clock()
    uetr = order.instruction.uetr or _derive_uetr(institution.secret, order)
    price = _price(institution, route, order.instruction.instructed_amount, now)
    payment_id = PaymentId(f"pay_{_sortable(now, institution.salt())}")
    transfer = _transfer(institution, order, (payment_id, uetr), now)
    salt = institution.salt()
    terms = _terms(
        institution, route, price, now, commitment=commit(canonical_content(transfer), salt)
    )
    payment = Payment(
        payment_id=payment_id,
        direction=Direction.OUTGOING,
        state=PaymentState.RESERVED,
        client=order.client.customer_id,
        uetr=uetr,
        end_to_end_id=order.instruction.end_to_end_id,
        settlement_id=SettlementId(settlement_id(institution.lei, uetr)),
        counterparty_lei=route.creditor_bank.lei,
        settlement_amount=order.instruction.instructed_amount,
        terms=terms,
        created_at=now,
        account_id=route.account.account_id,
        charges=price.charges,
        salt=salt,
        signed_quote=price.signed_quote,
    )
    return payment, transfer


def _check(institution: Institution, order: Order) -> _Route:
    """The guards, in their order of precedence: agents, account, terms of service, currency."""
    instruction = order.instruction
    if not is_same_bic(instruction.debtor_agent.bic, institution.settings.bic):
        raise WrongAgent(instruction.debtor_agent.bic)
    creditor_bank = institution.directory().find_bank(instruction.creditor_agent.bic)
    if creditor_bank is None or creditor_bank.lei == institution.lei:
        raise AgentUnknown(instruction.creditor_agent.bic)
    with institution.store.reading() as work:
        account = work.customers.by_identification(instruction.debtor_account.text)
    if account is None or account.customer_id != order.client.customer_id:
        raise CustomerAccountUnknown(instruction.debtor_account.text)
    if instruction.debtor != _debtor(order.client):
        raise DebtorMismatch
    if account.status is not CustomerAccountStatus.OPEN:
        raise CustomerAccountBlocked(account.identification, account.status.value)
    if instruction.charge_bearer is not ChargeBearer.SHAR:
        raise ChargeBearerUnsupported(instruction.charge_bearer.value)
    today = datetime.fromtimestamp(institution.clock(), UTC).date()
    if instruction.requested_execution_date != today:
        raise ExecutionDateUnsupported(instruction.requested_execution_date.isoformat())
    if instruction.instructed_amount.currency.code not in institution.chain.currencies():
        raise CurrencyUnsupported(instruction.instructed_amount.currency.code)
    return _Route(account=account, creditor_bank=creditor_bank)


def _price(institution: Institution, route: _Route, amount: Amount, now: int) -> _Price:
    settings = institution.settings
    source = parse_currency(route.account.currency)
    fee = Amount.parse(settings.fee.get(source.code, "0"), source)
    if source == amount.currency:
        charges = Charges(principal=amount, cost=amount, fee=fee, rate=None)
        return _Price(charges=charges, rate=None, signed_quote=None)
    if settings.fx_provider_lei is None or source.code not in settings.currencies:
        raise CurrencyUnsupported(amount.currency.code)
    priced = fx.request_quote(
        institution.interbank,
        institution.directory(),
        fx.QuoteRequest(
            taker=institution.lei, maker=settings.fx_provider_lei, source=source, amount=amount
        ),
        chain_id=settings.chain_id,
        now=now,
    )
    rate = priced.rate.with_margin(settings.margin_basis_points, Rounding.FLOOR)
    charges = Charges(
        principal=rate.divide(amount, source, Rounding.CEIL),
        cost=Amount(source, priced.signed.quote.taker_amount),
        fee=fee,
        rate=rate.format(),
    )
    return _Price(charges=charges, rate=rate, signed_quote=priced.signed)


def _terms(
    institution: Institution, route: _Route, price: _Price, now: int, *, commitment: bytes
) -> Terms:
    own = institution.directory().by_lei(institution.lei).settlement_reference
    theirs = route.creditor_bank.settlement_reference
    accept_by = now + institution.settings.accept_seconds
    settle_by = now + institution.settings.settle_seconds
    cost = price.charges.cost
    if price.signed_quote is None:
        legs: tuple[Leg, ...] = (Leg(cost.currency.code, own, theirs, cost.minor_units),)
        quote_hash = bytes(32)
    else:
        quote = price.signed_quote.quote
        legs = (
            Leg(quote.taker_currency, own, quote.maker_to, quote.taker_amount),
            Leg(quote.maker_currency, quote.maker_from, theirs, quote.maker_amount),
        )
        quote_hash = price.signed_quote.quote_hash
        settle_by = min(settle_by, quote.settle_by)
    return Terms(
        legs=legs,
        message_commitment=commitment,
        quote_hash=quote_hash,
        accept_by=min(accept_by, settle_by),
        settle_by=settle_by,
    )


def _transfer(
    institution: Institution, order: Order, ids: tuple[str, Uetr], now: int
) -> CreditTransfer:
    instruction = order.instruction
    payment_id, uetr = ids
    return CreditTransfer(
        message_id=payment_id.removeprefix("pay_"),
        created_at=datetime.fromtimestamp(now, UTC),
        instruction_id=instruction.instruction_id,
        end_to_end_id=instruction.end_to_end_id,
        transaction_id=payment_id.removeprefix("pay_"),
        uetr=uetr,
        interbank_settlement_amount=instruction.instructed_amount,
        interbank_settlement_date=datetime.fromtimestamp(now, UTC).date(),
        instructed_amount=instruction.instructed_amount,
        exchange_rate=None,
        charge_bearer=instruction.charge_bearer,
        charges=(),
        instructing_agent=institution.agent,
        instructed_agent=instruction.creditor_agent,
        debtor=instruction.debtor,
        debtor_account=instruction.debtor_account,
        debtor_agent=institution.agent,
        creditor=instruction.creditor,
        creditor_account=instruction.creditor_account,
        creditor_agent=instruction.creditor_agent,
        remittance_information=instruction.remittance_information,
    )


def _may_wait(institution: Institution, payment: Payment) -> bool:
    """Whether a payment may be instructed beyond the bank's tokens, to wait on the chain for money
    that comes in. One on a quote may not: the chain sets the taker's money aside or ends it.
    """
    return institution.settings.queues_beyond_tokens and payment.signed_quote is None


def _reserve(
    work: UnitOfWork, order: Order, prepared: tuple[Payment, CreditTransfer], *, may_wait: bool
) -> Answer:
    payment, transfer = prepared
    if work.payments.by_uetr(payment.uetr, Direction.OUTGOING) is not None:
        raise PaymentDuplicate(payment.uetr)
    _set_aside(work, payment, may_wait=may_wait)
    work.payments.add(payment)
    work.messages.add(
        StoredMessage(
            message_id=f"{payment.payment_id}:pacs.008",
            direction=MessageDirection.OUT,
            name=MessageName.CREDIT_TRANSFER.value,
            document=format_credit_transfer(transfer),
            payment_id=payment.payment_id,
            peer=payment.counterparty_lei,
            created_at=payment.created_at,
            salt=payment.salt,
        )
    )
    record(work, payment, INSTRUCT, payment.created_at)
    record(work, payment, EXPIRE, payment.terms.accept_by + EXPIRY_DELAY_SECONDS)
    return _remember(work, order, Answer(Result.ACCEPTED, describe(payment)))


def _set_aside(work: UnitOfWork, payment: Payment, *, may_wait: bool) -> None:
    """Book the pending entries: the debtor's money, and the bank's own tokens to settle with.

    For a payment that may wait the tokens need not be there yet: whether they come in time is then
    the chain's to say, so the entry is booked as a fact, and what is available goes below zero.
    """
    if payment.account_id is None or payment.charges is None:
        raise PaymentIncomplete(payment.payment_id, "account or charges")
    taken, set_aside = reservation(
        payment_id=payment.payment_id,
        account_id=payment.account_id,
        charges=payment.charges,
        booked_at=payment.created_at,
    )
    work.ledger.book(taken)
    try:
        work.ledger.book(set_aside, is_fact=may_wait)
    except InsufficientFunds as error:
        raise LiquidityShort from error


def _debtor(client: Customer) -> Party:
    """The customer as the bank vouches for them in messages."""
    return Party(name=client.name, address=client.address)


def _derive_uetr(secret: bytes, order: Order) -> Uetr:
    """A UETR that a retry after a restore meets again: an HMAC of client and key."""
    scope = json.dumps([order.client.customer_id, order.key]).encode()
    return shape_uetr(hmac.new(secret, UETR_DOMAIN + scope, hashlib.sha256).digest())


def _sortable(now: int, salt: bytes) -> str:
    """32 hex digits that sort by time: seconds first, then randomness."""
    return f"{now:010x}{salt.hex()[:22]}"
