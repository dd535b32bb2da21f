"""Settled money goes back: the creditor bank's side of a return.

    asked for -> one database transaction: pending entries, the return as a payment, its pacs.004,
                 the effects that instruct the chain and, after the deadline, expire

A return is a payment of its own, linked to its original on the chain, which bounds all returns of it
by what came; it is accepted and settles as any payment. Its number on the chain is derived from the
bank's secret, the original and the key under which it was asked for: asked again, after a restore
too, it meets the same return. Up to a figure per currency (`return_four_eyes_above`) it is made at
once; above, and wherever no figure is set, two persons must want it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bridge.approval import Proposal
from bridge.chain import return_id
from bridge.errors import (
    CustomerAccountBlocked,
    IdempotencyKeyReused,
    InsufficientFunds,
    LiquidityShort,
    Rejected,
    RequestInvalid,
    ReturnExceeded,
    ReturnUnavailable,
)
from bridge.institution import Institution, record
from bridge.iso20022.codes import MessageName, ReturnReason
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.format import format_payment_return
from bridge.iso20022.identifiers import parse_uetr
from bridge.iso20022.messages_returns import OriginalPayment, PaymentReturn
from bridge.money import Amount
from bridge.operating import Action
from bridge.payment import (
    Charges,
    Direction,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    ReturnOf,
    Terms,
)
from bridge.settlement.booking import reservation
from bridge.settlement.description import describe
from bridge.settlement.notices import message_id_of, transfer_of
from bridge.settlement.observation import EXPIRE, EXPIRY_DELAY_SECONDS, INSTRUCT
from bridge.settlement.order import Answer, Result, refused
from bridge.settlement.supervision import keep_copy, seal_copy
from bridge.settlement.suspense import REASON_BY_CAUSE, RETURN_SUSPENSE
from bridge.store import (
    CustomerAccountStatus,
    EffectRow,
    MessageDirection,
    Remembered,
    StoredMessage,
    SuspenseState,
    UnitOfWork,
)
from bridge.worker import Abandon, Done, Outcome, Retry

RETURN_PAYMENT: Final = "return_payment"
"""Kind of the action that gives a settled payment back; its subject is the payment."""

OPERATOR_PREFIX: Final = "operator:"
"""What tells an operator who asks apart from a customer of the same name."""

RETURN_DOMAIN: Final = b"corridor-return-v1"

_NUMBER_BYTES: Final = 6

_RETRY_SECONDS: Final = 600
"""After how long a return by rule is tried again when the money for it was not there."""


@dataclass(frozen=True, slots=True)
class ReturnOrder:
    """A wish to give a payment back; without an `amount`, all that is left of it.

    `key` names the wish for ever. `client` is the customer who asks, None where the bank does.
    """

    payment_id: str
    reason: ReturnReason
    key: str
    amount: Amount | None = None
    client: str | None = None


def request_return(institution: Institution, asker: str, order: ReturnOrder) -> Answer:
    """Give a payment back, or propose it where two persons are needed; asked again, answered alike.

    `asker` is the customer's id, or `operator:` and the operator's.
    A refusal is remembered under the same key. Raises `IdempotencyKeyReused` when the key stands for
    another wish.
    """
    fingerprint = _fingerprint(order)
    try:
        with institution.store.unit_of_work() as work:
            earlier = _recall(work, asker, order.key, fingerprint)
            if earlier is not None:
                return earlier
            body = _give_back_or_propose(institution, work, asker, order)
            return _remember(work, (asker, order.key, fingerprint), Answer(Result.ACCEPTED, body))
    except IdempotencyKeyReused:
        raise
    except Rejected as refusal:
        with institution.store.unit_of_work() as work:
            return _remember(work, (asker, order.key, fingerprint), refused(refusal))


def give_back(institution: Institution, work: UnitOfWork, order: ReturnOrder, at: int) -> Payment:
    """The return, recorded with all that follows from it; the one recorded before under this key.

    Raises `ReturnUnavailable`, `ReturnExceeded`, `CustomerAccountBlocked` where a customer asks for an
    account that is not open, `InsufficientFunds` of the account, `LiquidityShort` of the bank, and
    `PeerMisconfigured` for a central bank or supervisor without a usable key, for whom a copy is sealed.
    """
    original = work.payments.get(order.payment_id)
    number = _number(institution.secret, original, order.key)
    key = return_id(institution.lei, original.uetr, number)
    known = work.payments.by_settlement_id(key, Direction.OUTGOING)
    if known is not None:
        return known
    amount = _amount(work, original, order)

    # From here it must succeed, unless the money is not there or a copy cannot be sealed.
    payment_id = PaymentId(f"pay_{at:010x}{key.hex()[:22]}")
    message = _message(institution, work, original, (payment_id, amount, order.reason), at)
    salt = institution.salt()
    payment = Payment(
        payment_id=payment_id,
        direction=Direction.OUTGOING,
        state=PaymentState.RESERVED,
        client=order.client or institution.lei,
        uetr=original.uetr,
        end_to_end_id=original.end_to_end_id,
        settlement_id=key,
        counterparty_lei=original.counterparty_lei,
        settlement_amount=amount,
        terms=_terms(institution, original, amount, at, commit(canonical_content(message), salt)),
        created_at=at,
        account_id=original.account_id,
        charges=Charges(amount, amount, Amount(amount.currency, 0), rate=None),
        salt=salt,
        return_of=ReturnOf(original.payment_id, number, order.reason.value),
    )
    document = format_payment_return(message)
    payment, copy = seal_copy(institution, payment, document)
    _reserve(work, payment, document)
    keep_copy(work, payment, copy)
    return payment


def left_of(work: UnitOfWork, original: Payment) -> Amount:
    """What may still be given back of a payment: what came less its returns, those under way too."""
    left = original.settlement_amount
    for payment in work.payments.returns_of(original.payment_id):
        if not payment.is_terminal or payment.state is PaymentState.SETTLED:
            left -= payment.settlement_amount
    return left


def return_action(institution: Institution) -> Action:
    """Give a payment back by four eyes: `reason`, and `amount` where it is a part, in the document."""

    def check(work: UnitOfWork, proposal: Proposal) -> None:
        order = _order_of(work, proposal)
        _amount(work, work.payments.get(order.payment_id), order)

    def carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
        return give_back(institution, work, _order_of(work, proposal), at).payment_id

    return Action(check, carry_out)


def return_suspense_action(institution: Institution) -> Action:
    """Give money on suspense back by four eyes."""

    def check(work: UnitOfWork, proposal: Proposal) -> None:
        work.suspense.open_item(proposal.subject)

    def carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
        return return_suspense(institution, work, proposal.subject, at).payment_id

    return Action(check, carry_out)


def return_suspense(
    institution: Institution, work: UnitOfWork, payment_id: str, at: int
) -> Payment:
    """Give money on suspense back whole; raises `SuspenseItemUnknown`, `SuspenseResolved` and as `give_back`."""
    item = work.suspense.open_item(payment_id)
    order = ReturnOrder(payment_id, REASON_BY_CAUSE[item.cause], key=f"{RETURN_SUSPENSE}:{at}")
    return give_back(institution, work, order, at)


def return_by_rule(institution: Institution, effect: EffectRow) -> Outcome:
    """Give money on suspense back once its time there is over, unless it has a home by then.

    While the money to do it with is not there, it is tried again.
    """
    payment_id = effect.payment_id or ""
    try:
        with institution.store.unit_of_work() as work:
            item = work.suspense.find(payment_id)
            if item is not None and item.state is SuspenseState.OPEN:
                return_suspense(institution, work, payment_id, institution.clock())
    except (InsufficientFunds, LiquidityShort) as error:
        return Retry(_RETRY_SECONDS, str(error))
    except Rejected as refusal:
        return Abandon(str(refusal))
    return Done()


def _give_back_or_propose(
    institution: Institution, work: UnitOfWork, asker: str, order: ReturnOrder
) -> dict[str, object]:
    at = institution.clock()
    original = work.payments.get(order.payment_id)
    amount = _amount(work, original, order)
    figure = institution.settings.return_four_eyes_above.get(amount.currency.code, "0")
    if amount.minor_units <= Amount.parse(figure, amount.currency).minor_units:
        named = replace(order, key=json.dumps([asker, order.key]))
        payment = give_back(institution, work, named, at)
        return {"payment": describe(payment), "proposal_id": None}
    digest = hashlib.sha256(json.dumps([asker, order.key]).encode()).hexdigest()
    proposal = Proposal(
        proposal_id=f"prp_{digest[:32]}",
        kind=RETURN_PAYMENT,
        subject=original.payment_id,
        document=_document_of(order),
        note="above the figure for one person",
        proposed_by=_proposer(asker, order),
        proposed_at=at,
    )
    work.approvals.add(proposal)
    return {"payment": None, "proposal_id": proposal.proposal_id}


def _proposer(asker: str, order: ReturnOrder) -> str:
    """Who cannot approve it: the operator by name, or a customer, who is no operator at all."""
    is_operator = order.client is None
    return asker.removeprefix(OPERATOR_PREFIX) if is_operator else f"customer:{asker}"


def _document_of(order: ReturnOrder) -> Mapping[str, str]:
    document = {"reason": order.reason.value}
    if order.amount is not None:
        document["amount"] = order.amount.format()
    if order.client is not None:
        document["client"] = order.client
    return document


def _order_of(work: UnitOfWork, proposal: Proposal) -> ReturnOrder:
    currency = work.payments.get(proposal.subject).settlement_amount.currency
    text = proposal.document.get("amount")
    return ReturnOrder(
        payment_id=proposal.subject,
        reason=read_reason(proposal.document.get("reason", "")),
        key=proposal.proposal_id,
        amount=None if text is None else Amount.parse(text, currency),
        client=proposal.document.get("client"),
    )


def read_reason(text: str) -> ReturnReason:
    """The return reason with this code; raises `RequestInvalid`."""
    try:
        return ReturnReason(text)
    except ValueError as error:
        raise RequestInvalid(f"{text} is no return reason").at("reason") from error


def _amount(work: UnitOfWork, original: Payment, order: ReturnOrder) -> Amount:
    """What is to be given back: the guards of a return, in their order."""
    came = original.direction is Direction.INCOMING and original.state is PaymentState.SETTLED
    is_known = work.messages.find(message_id_of(original)) is not None
    if not came or not is_known or original.return_of is not None:
        raise ReturnUnavailable(original.payment_id, original.state.value)
    if original.is_on_suspense:
        work.suspense.open_item(original.payment_id)
    left = left_of(work, original)
    amount = left if order.amount is None else order.amount
    is_part_of_suspense = original.is_on_suspense and amount != left
    is_too_much = amount.currency != left.currency or amount.minor_units > left.minor_units
    if is_too_much or is_part_of_suspense or not amount:
        raise ReturnExceeded(original.payment_id, str(amount), str(left))
    account = work.customers.account(original.account_id or "")
    is_blocked = account is not None and account.status is not CustomerAccountStatus.OPEN
    if order.client is not None and account is not None and is_blocked:
        raise CustomerAccountBlocked(account.identification, account.status.value)
    return amount


def _number(secret: bytes, original: Payment, key: str) -> int:
    """The return's number on the chain: never zero, and the same whenever the key is."""
    scope = RETURN_DOMAIN + original.settlement_id + key.encode()
    digest = hmac.new(secret, scope, hashlib.sha256).digest()
    return 1 + int.from_bytes(digest[:_NUMBER_BYTES], "big")


def _terms(
    institution: Institution, original: Payment, amount: Amount, at: int, commitment: bytes
) -> Terms:
    """One leg, from the account that received to the one that paid first."""
    settings = institution.settings
    leg = Leg(
        amount.currency.code,
        original.terms.legs[-1].to_reference,
        original.terms.legs[0].from_reference,
        amount.minor_units,
    )
    return Terms(
        legs=(leg,),
        message_commitment=commitment,
        quote_hash=bytes(32),
        accept_by=at + settings.accept_seconds,
        settle_by=at + settings.settle_seconds,
    )


def _message(
    institution: Institution,
    work: UnitOfWork,
    original: Payment,
    wanted: tuple[PaymentId, Amount, ReturnReason],
    at: int,
) -> PaymentReturn:
    payment_id, amount, reason = wanted
    transfer = transfer_of(work, original)
    reference = payment_id.removeprefix("pay_")
    return PaymentReturn(
        message_id=reference,
        created_at=datetime.fromtimestamp(at, UTC),
        return_id=reference,
        original=OriginalPayment(
            message_id=transfer.message_id,
            message_name=MessageName.CREDIT_TRANSFER,
            end_to_end_id=transfer.end_to_end_id,
            uetr=parse_uetr(original.uetr),
            instruction_id=transfer.instruction_id,
            transaction_id=transfer.transaction_id,
        ),
        original_interbank_settlement_amount=original.settlement_amount,
        original_interbank_settlement_date=transfer.interbank_settlement_date,
        returned_interbank_settlement_amount=amount,
        interbank_settlement_date=datetime.fromtimestamp(at, UTC).date(),
        instructing_agent=institution.agent,
        instructed_agent=institution.agent_of(original.counterparty_lei),
        reason=reason,
    )


def _reserve(work: UnitOfWork, payment: Payment, document: bytes) -> None:
    at, original = payment.created_at, payment.return_of
    if payment.account_id is None or payment.charges is None or original is None:
        raise ReturnUnavailable(payment.payment_id, payment.state.value)
    taken, set_aside = reservation(
        payment_id=payment.payment_id,
        account_id=payment.account_id,
        charges=payment.charges,
        booked_at=at,
    )
    work.ledger.book(taken)
    try:
        work.ledger.book(set_aside)
    except InsufficientFunds as error:
        raise LiquidityShort from error
    if payment.is_on_suspense and original.payment_id is not None:
        state = SuspenseState.RETURNING
        work.suspense.move(original.payment_id, state, payment.payment_id, at)
    work.payments.add(payment)
    work.messages.add(
        StoredMessage(
            message_id=message_id_of(payment),
            direction=MessageDirection.OUT,
            name=MessageName.PAYMENT_RETURN.value,
            document=document,
            payment_id=payment.payment_id,
            peer=payment.counterparty_lei,
            created_at=at,
            salt=payment.salt,
        )
    )
    record(work, payment, INSTRUCT, at)
    record(work, payment, EXPIRE, payment.terms.accept_by + EXPIRY_DELAY_SECONDS)


def _fingerprint(order: ReturnOrder) -> bytes:
    parts = (order.payment_id, order.reason.value, str(order.amount))
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _recall(work: UnitOfWork, asker: str, key: str, fingerprint: bytes) -> Answer | None:
    remembered = work.idempotency.find(asker, f"returns|{key}")
    if remembered is None:
        return None
    if remembered.fingerprint != fingerprint:
        raise IdempotencyKeyReused(key)
    body = json.loads(remembered.body)
    return Answer(result=Result(remembered.status), body=body, replayed=True)


def _remember(work: UnitOfWork, request: tuple[str, str, bytes], answer: Answer) -> Answer:
    asker, key, fingerprint = request
    earlier = _recall(work, asker, key, fingerprint)
    if earlier is not None:
        return earlier
    body = json.dumps(answer.body, sort_keys=True)
    remembered = Remembered(fingerprint, answer.result.value, body)
    work.idempotency.remember(asker, f"returns|{key}", remembered)
    return answer
