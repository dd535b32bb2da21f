"""A customer's instruction becomes a reserved payment, at the debtor bank.

    guards -> execution date -> price -> one database transaction:
        idempotency row, pending journal entry, payment, its pacs.008, the effect that instructs the chain

What has to be asked of others, a quote or a charge, is asked before that transaction, since nothing
on the network happens inside one. A payment to a customer of this same bank is settled in that
transaction and never reaches the chain; one that is due later becomes a scheduled payment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeAlias

from bridge.chain import settlement_id
from bridge.errors import (
    IdempotencyKeyReused,
    InsufficientFunds,
    LiquidityShort,
    PaymentDuplicate,
    PaymentIncomplete,
    QuotationExpired,
    QuotationUsed,
    Rejected,
)
from bridge.institution import Institution, record
from bridge.iso20022.codes import ChargeBearer, MessageName
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.format import format_credit_transfer
from bridge.iso20022.identifiers import Uetr
from bridge.iso20022.messages import Charge, CreditTransfer
from bridge.payment import (
    Direction,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    SettlementId,
    Terms,
)
from bridge.quotation import Price
from bridge.settlement import on_us
from bridge.settlement.admission import Route, find_route, plan_execution
from bridge.settlement.booking import reservation
from bridge.settlement.description import describe
from bridge.settlement.observation import EXPIRE, EXPIRY_DELAY_SECONDS, INSTRUCT
from bridge.settlement.order import (
    Answer,
    Order,
    Result,
    derive_uetr,
    recall,
    remember,
    remember_refusal,
    sortable,
)
from bridge.settlement.pricing import Inquiry, price_of_order
from bridge.settlement.scheduling import schedule_once
from bridge.settlement.supervision import keep_copy, seal_copy
from bridge.store import MessageDirection, StoredMessage, UnitOfWork

Claim: TypeAlias = Callable[[UnitOfWork, Payment], None]
"""What else must hold in the transaction that reserves a payment; raises where it does not."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything about a payment that was decided before its transaction.

    `document` is its pacs.008, `copy` what of that is sealed for supervisors; one inside the bank has none.
    """

    payment: Payment
    document: bytes
    copy: bytes
    may_wait: bool
    on_us: on_us.OnUs | None


def initiate(institution: Institution, order: Order) -> Answer:
    """Take a customer's instruction: a payment on its way, settled or scheduled, or a named refusal.

    Answers a repeated order with the first answer. Raises `IdempotencyKeyReused` when the key was
    used for another instruction, and an `Unavailable` when the chain, the fx provider or the creditor
    agent cannot be asked now (nothing is remembered: the same order may be sent again).
    """
    with institution.store.reading() as work:
        earlier = recall(work, order)
    if earlier is not None:
        return earlier
    try:
        return _take(institution, order)
    except IdempotencyKeyReused:
        raise
    except Rejected as refusal:
        return remember_refusal(institution, order, refusal)


def _take(institution: Institution, order: Order) -> Answer:
    route = find_route(institution, order.client, order.instruction)
    now = institution.clock()
    execution = plan_execution(institution.settings, route, order.instruction, now=now)
    if execution.opens_at <= now:
        return execute(institution, order, route, execution.value_date, _nothing_more)
    if order.quotation_id is not None:
        raise QuotationExpired(order.quotation_id, execution.opens_at)
    return schedule_once(institution, order, execution)


def execute(
    institution: Institution, order: Order, route: Route, value_date: date, claim: Claim
) -> Answer:
    """Reserve the payment of an order now, by its route, whatever day it was requested for.

    `claim` runs in the transaction and may refuse. Nothing of a refusal is kept: it is raised.
    """
    prepared = _prepare(institution, order, route, value_date)
    with institution.store.unit_of_work() as work:
        earlier = recall(work, order)
        if earlier is not None:
            return earlier
        claim(work, prepared.payment)
        return _reserve(work, order, prepared)


def _nothing_more(_: UnitOfWork, __: Payment) -> None:
    """The claim of an order that stands by itself."""


def _prepare(institution: Institution, order: Order, route: Route, value_date: date) -> Prepared:
    now = institution.clock()
    price = price_of_order(institution, order, Inquiry(route, order.instruction, now))
    uetr = order.instruction.uetr or derive_uetr(institution.secret, order)
    payment_id = PaymentId(f"pay_{sortable(now, institution.salt())}")
    transfer = _transfer(institution, order, (payment_id, uetr), (price, value_date), now)
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
        settlement_amount=price.settlement_amount,
        terms=terms,
        created_at=now,
        account_id=route.account.account_id,
        charges=price.charges,
        salt=salt,
        signed_quote=price.signed_quote,
        creditor_charge=price.prepaid or None,
    )
    document = format_credit_transfer(transfer)
    inside, copy = None, b""
    if route.creditor_account is not None:
        inside = on_us.prepare(
            institution, payment, transfer, document=document, creditor=route.creditor_account
        )
    else:
        payment, copy = seal_copy(institution, payment, document)
    return Prepared(payment, document, copy, _may_wait(institution, payment), inside)


def _terms(
    institution: Institution, route: Route, price: Price, now: int, *, commitment: bytes
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
    institution: Institution,
    order: Order,
    ids: tuple[str, Uetr],
    agreed: tuple[Price, date],
    now: int,
) -> CreditTransfer:
    instruction = order.instruction
    payment_id, uetr = ids
    price, value_date = agreed
    return CreditTransfer(
        message_id=payment_id.removeprefix("pay_"),
        created_at=datetime.fromtimestamp(now, UTC),
        instruction_id=instruction.instruction_id,
        end_to_end_id=instruction.end_to_end_id,
        transaction_id=payment_id.removeprefix("pay_"),
        uetr=uetr,
        interbank_settlement_amount=price.settlement_amount,
        interbank_settlement_date=value_date,
        instructed_amount=instruction.instructed_amount,
        exchange_rate=None,
        charge_bearer=instruction.charge_bearer,
        charges=_told_charges(institution, order, price),
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


def _told_charges(institution: Institution, order: Order, price: Price) -> tuple[Charge, ...]:
    """What stands between instructed and settled amount, by the agent that takes it (ChrgsInf)."""
    match order.instruction.charge_bearer:
        case ChargeBearer.DEBT:
            return (Charge(price.prepaid, order.instruction.creditor_agent),)
        case ChargeBearer.CRED:
            return (Charge(price.deducted, institution.agent),)
        case _:
            return ()


def _may_wait(institution: Institution, payment: Payment) -> bool:
    """Whether a payment may be instructed beyond the bank's tokens, to wait on the chain for money
    that comes in. One on a quote may not: the chain sets the taker's money aside or ends it.
    """
    return institution.settings.queues_beyond_tokens and payment.signed_quote is None


def _reserve(work: UnitOfWork, order: Order, prepared: Prepared) -> Answer:
    payment = prepared.payment
    if work.payments.by_uetr(payment.uetr, Direction.OUTGOING) is not None:
        raise PaymentDuplicate(payment.uetr)
    if order.quotation_id is not None and not work.quotations.use(
        order.quotation_id, payment.payment_id
    ):
        raise QuotationUsed(order.quotation_id)
    if prepared.on_us is not None:
        payment = on_us.settle(work, prepared.on_us)
        return remember(work, order, Answer(Result.ACCEPTED, describe(payment)))
    _set_aside(work, payment, may_wait=prepared.may_wait)
    work.payments.add(payment)
    work.messages.add(
        StoredMessage(
            message_id=f"{payment.payment_id}:pacs.008",
            direction=MessageDirection.OUT,
            name=MessageName.CREDIT_TRANSFER.value,
            document=prepared.document,
            payment_id=payment.payment_id,
            peer=payment.counterparty_lei,
            created_at=payment.created_at,
            salt=payment.salt,
        )
    )
    keep_copy(work, payment, prepared.copy)
    record(work, payment, INSTRUCT, payment.created_at)
    record(work, payment, EXPIRE, payment.terms.accept_by + EXPIRY_DELAY_SECONDS)
    return remember(work, order, Answer(Result.ACCEPTED, describe(payment)))


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
