"""The creditor bank's answer: accept before settle.

A payment reaches the creditor bank twice: as a final `Instructed` event on the chain and as a
sealed pacs.008 from the debtor bank, in either order. Once both are here the message is held
against its commitment and the terms, the account is found, and the bank accepts or refuses on the
chain. Nothing is irrevocable before that answer, so a payment that settled has a home.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from bridge.chain import settlement_id
from bridge.charges import creditor_charge, is_summed_up
from bridge.errors import (
    CommitmentMismatch,
    EnvelopeInvalid,
    EnvelopeMisdirected,
    InboxFull,
    SubjectUnknown,
)
from bridge.institution import Institution, is_same_bic
from bridge.interbank import Kind, Received, Receivers, Taking
from bridge.iso20022.codes import MessageName, StatusReason
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.messages import CreditTransfer
from bridge.iso20022.parse import parse_credit_transfer, parse_status_report
from bridge.money import Amount
from bridge.payment import Direction, Event, Fact, Payment, PaymentState, SettlementId, Terms
from bridge.settlement import notices, suspense
from bridge.settlement.enquiry import FROM_AGENT, take_enquiry
from bridge.settlement.observation import announce, follow
from bridge.settlement.recall import take_request, take_resolution
from bridge.settlement.restitution import (
    ReturnKey,
    is_committed_return,
    judge_return,
    read_return,
)
from bridge.settlement.supervision import is_rightly_copied, issuers_of
from bridge.store import (
    CustomerAccount,
    CustomerAccountStatus,
    InboxMessage,
    MessageDirection,
    StoredMessage,
    UnitOfWork,
)
from bridge.tariff import published_charge


def receivers(institution: Institution) -> Receivers:
    """How this bank takes the messages of other banks about payments between them."""
    return {
        Kind.CREDIT_TRANSFER: partial(_receive_transfer, institution),
        Kind.STATUS_REPORT: partial(_receive_status, institution),
        Kind.RETURN: partial(_receive_return, institution),
        Kind.STATUS_REQUEST: partial(
            _receive_letter, institution, take_enquiry, Direction.INCOMING
        ),
        Kind.CANCELLATION_REQUEST: partial(
            _receive_letter, institution, take_request, Direction.INCOMING
        ),
        Kind.INVESTIGATION_RESOLUTION: partial(
            _receive_letter, institution, take_resolution, Direction.OUTGOING
        ),
    }


def _receive_transfer(institution: Institution, received: Received) -> Taking:
    """Keep a pacs.008 until it can be decided on.

    Raises the parse errors, `EnvelopeInvalid`, `EnvelopeMisdirected` (a payment for another bank), and
    in its taking `CommitmentMismatch` when the chain already says what it should have been.
    """
    key = SettlementId(_octets(received.body, "settlement_id"))
    salt = _octets(received.body, "salt")
    document = received.body.get("document", "").encode()
    transfer = parse_credit_transfer(document)
    if transfer.creditor_agent.lei not in {None, institution.lei}:
        raise EnvelopeMisdirected(transfer.creditor_agent.bic)
    if settlement_id(received.sender_lei, transfer.uetr) != key:
        raise EnvelopeInvalid("its settlement id is not that of its sender and UETR")
    message = _enveloped(institution, received, salt)

    def taking(work: UnitOfWork) -> None:
        payment = work.payments.by_settlement_id(key, Direction.INCOMING)
        if payment is not None and not _is_committed(payment.terms, transfer, salt):
            raise CommitmentMismatch(key.hex())
        _keep(work, payment, message)

    return taking


def _receive_return(institution: Institution, received: Received) -> Taking:
    """Keep a pacs.004 until it can be decided on; raises as `_receive_transfer` does."""
    key = SettlementId(_octets(received.body, "settlement_id"))
    salt = _octets(received.body, "salt")
    document = received.body.get("document", "").encode()
    number = received.body.get("number", "")
    returned = read_return(ReturnKey(received.sender_lei, key, number), document)
    message = _enveloped(institution, received, salt)

    def taking(work: UnitOfWork) -> None:
        payment = work.payments.by_settlement_id(key, Direction.INCOMING)
        if payment is not None and not is_committed_return(payment, returned, salt):
            raise CommitmentMismatch(key.hex())
        _keep(work, payment, message)

    return taking


def _enveloped(institution: Institution, received: Received, salt: bytes) -> InboxMessage:
    return InboxMessage(
        settlement_id=_octets(received.body, "settlement_id"),
        sender_lei=received.sender_lei,
        document=received.body.get("document", "").encode(),
        salt=salt,
        received_at=institution.clock(),
        copy=received.body["copy"].encode() if "copy" in received.body else None,
    )


def _keep(work: UnitOfWork, payment: Payment | None, message: InboxMessage) -> None:
    """Keep a message until it is decided on; raises `InboxFull`, `InboxConflict`."""
    is_early = payment is None and not work.inbox.has(message.settlement_id)
    if is_early and work.inbox.waiting_count(message.sender_lei) >= INBOX_WAITING_MAX:
        raise InboxFull(message.sender_lei)
    work.inbox.put(message)
    if payment is not None:
        announce(work, payment, message.received_at)


LetterTaker: TypeAlias = Callable[[Institution, UnitOfWork, Payment, bytes], None]
"""Takes a message on a known payment, in the transaction that keeps it."""


def _receive_letter(
    institution: Institution, taker: LetterTaker, direction: Direction, received: Received
) -> Taking:
    """Take a message on a payment between its sender and this bank."""
    key = _octets(received.body, "settlement_id")
    document = received.body.get("document", "").encode()

    def taking(work: UnitOfWork) -> None:
        payment = work.payments.by_settlement_id(key, direction)
        if payment is None:
            raise SubjectUnknown("the payment")
        if payment.counterparty_lei != received.sender_lei:
            raise EnvelopeInvalid("it is on no payment between its sender and this bank")
        taker(institution, work, payment, document)

    return taking


def _receive_status(institution: Institution, received: Received) -> Taking:
    """Keep a pacs.002 on a payment that was sent to its sender, with the reason it gives."""
    document = received.body.get("document", "").encode()
    report = parse_status_report(document)
    key = _octets(received.body, "settlement_id")

    def taking(work: UnitOfWork) -> None:
        payment = work.payments.by_settlement_id(key, Direction.OUTGOING)
        if payment is None:
            raise SubjectUnknown("the payment")
        if payment.counterparty_lei != received.sender_lei or payment.uetr != report.uetr:
            raise EnvelopeInvalid("it reports on no payment sent to its sender")
        message_id = f"{payment.payment_id}:{FROM_AGENT}:{report.message_id}"
        known = work.messages.find(message_id)
        if known is not None and known.document != document:
            raise EnvelopeInvalid("its message id was used for another report")
        work.messages.add(
            StoredMessage(
                message_id=message_id,
                direction=MessageDirection.IN,
                name=MessageName.STATUS_REPORT.value,
                document=document,
                payment_id=payment.payment_id,
                peer=received.sender_lei,
                created_at=institution.clock(),
                salt=None,
            )
        )
        if report.reason is not None and payment.reason is None and not payment.is_terminal:
            work.payments.save(replace(payment, reason=report.reason.value))

    return taking


INBOX_WAITING_MAX: Final = 1_000
"""Most messages of one sender that wait here for their chain event."""


_ACCEPTED: Final = (PaymentState.ACCEPTED, PaymentState.QUEUED, PaymentState.SETTLED)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision on an announced payment: accepted onto an account, or refused with a reason."""

    account: CustomerAccount | None
    reason: StatusReason | None


def consider(institution: Institution, payment_id: str) -> None:
    """Decide on an announced payment and record the decision with its effects, in one transaction.

    Of a payment that books lost by a restore had accepted, only what the message tells is made up for.
    """
    now = institution.clock()
    with institution.store.reading() as work:
        terms = work.payments.get(payment_id).terms
    issuers = issuers_of(institution, terms)
    with institution.store.unit_of_work() as work:
        payment = work.payments.get(payment_id)
        message = work.inbox.take(payment.settlement_id)
        if message is None:
            return
        if payment.state is not PaymentState.ANNOUNCED:
            _make_up_for(institution, work, (payment, message), now)
            return
        is_copied = is_rightly_copied(institution, terms, message.copy, issuers)
        if payment.return_of is not None:
            known, reason = judge_return(work, payment, message)
            reason = reason if is_copied else StatusReason.FF01
            work.payments.save(known)
            _answer(institution, work, known, reason, now)
            return
        transfer = parse_credit_transfer(message.document)
        judgement = _judge(institution, work, payment, (message, transfer))
        if not is_copied:
            judgement = Judgement(None, StatusReason.FF01)
        known = replace(payment, end_to_end_id=transfer.end_to_end_id, salt=message.salt)
        if judgement.account is not None:
            known = _accepted(institution, known, transfer, judgement.account)
        work.payments.save(known)
        _keep_transfer(work, known, message, now)
        _answer(institution, work, known, judgement.reason, now)


def _make_up_for(
    institution: Institution,
    work: UnitOfWork,
    what: tuple[Payment, InboxMessage],
    at: int,
) -> None:
    """Learn from a message that came again what books lost by a restore knew when they accepted it.

    The chain has the commitment that was accepted, so the message that opens it is the one.
    """
    payment, message = what
    is_known = work.messages.find(notices.message_id_of(payment)) is not None
    if payment.return_of is not None or payment.state not in _ACCEPTED or is_known:
        return
    transfer = parse_credit_transfer(message.document)
    is_theirs = message.sender_lei == payment.counterparty_lei
    if not is_theirs or not _is_committed(payment.terms, transfer, message.salt):
        return
    account = work.customers.by_identification(transfer.creditor_account.text)
    known = replace(payment, end_to_end_id=transfer.end_to_end_id, salt=message.salt)
    known = _accepted(institution, known, transfer, account)
    _keep_transfer(work, known, message, at)
    if payment.state is PaymentState.SETTLED:
        suspense.find_home(institution, work, known, at)
    else:
        work.payments.save(known)


def _accepted(
    institution: Institution,
    payment: Payment,
    transfer: CreditTransfer,
    account: CustomerAccount | None,
) -> Payment:
    """A payment with what the bank that accepts it learns from its message; None: the account is gone."""
    return replace(
        payment,
        uetr=transfer.uetr,
        account_id=None if account is None else account.account_id,
        creditor_charge=_charge(institution, transfer),
    )


def _keep_transfer(work: UnitOfWork, payment: Payment, message: InboxMessage, at: int) -> None:
    work.messages.add(
        StoredMessage(
            message_id=notices.message_id_of(payment),
            direction=MessageDirection.IN,
            name=MessageName.CREDIT_TRANSFER.value,
            document=message.document,
            payment_id=payment.payment_id,
            peer=message.sender_lei,
            created_at=at,
            salt=message.salt,
        )
    )


def _answer(
    institution: Institution,
    work: UnitOfWork,
    payment: Payment,
    reason: StatusReason | None,
    at: int,
) -> None:
    """Follow the decision: consent, or refusal for a reason."""
    event = Event(Fact.ACCEPT_DECIDED)
    if reason is not None:
        event = Event(Fact.REFUSE_DECIDED, reason=reason.value)
    follow(institution, work, payment, event, at=at)


def _judge(
    institution: Institution,
    work: UnitOfWork,
    payment: Payment,
    message: tuple[InboxMessage, CreditTransfer],
) -> Judgement:
    """The guards in their order: message, parties, duplicate, account, currency."""
    envelope, transfer = message
    sender = institution.directory().by_lei(payment.counterparty_lei)
    if envelope.sender_lei != sender.lei or not is_same_bic(transfer.debtor_agent.bic, sender.bic):
        return Judgement(None, StatusReason.FF01)
    if not is_same_bic(transfer.creditor_agent.bic, institution.settings.bic):
        return Judgement(None, StatusReason.RC01)
    if not _is_committed(payment.terms, transfer, envelope.salt):
        return Judgement(None, StatusReason.FF01)
    if transfer.interbank_settlement_amount != payment.settlement_amount:
        return Judgement(None, StatusReason.AM09)
    published = published_charge(institution.settings, payment.settlement_amount.currency)
    if not is_summed_up(transfer, published):
        return Judgement(None, StatusReason.AM09)
    twin = work.payments.by_uetr(transfer.uetr, Direction.INCOMING)
    if twin is not None and twin.payment_id != payment.payment_id:
        return Judgement(None, StatusReason.AM05)
    account = work.customers.by_identification(transfer.creditor_account.text)
    if account is None:
        return Judgement(None, StatusReason.AC01)
    if account.status is not CustomerAccountStatus.OPEN:
        return Judgement(None, StatusReason.AC04)
    currency = payment.settlement_amount.currency.code
    if account.currency != currency or currency not in institution.settings.currencies:
        return Judgement(None, StatusReason.AM03)
    return Judgement(account, None)


def _charge(institution: Institution, transfer: CreditTransfer) -> Amount | None:
    """What this bank takes of the settlement amount; None for nothing."""
    currency = transfer.interbank_settlement_amount.currency
    return creditor_charge(transfer, published_charge(institution.settings, currency)) or None


def _is_committed(terms: Terms, transfer: CreditTransfer, salt: bytes) -> bool:
    return commit(canonical_content(transfer), salt) == terms.message_commitment


def _octets(body: Mapping[str, str], name: str) -> bytes:
    try:
        octets = bytes.fromhex(body[name])
    except (KeyError, ValueError) as error:
        raise EnvelopeInvalid(f"its {name} is not hexadecimal") from error
    if len(octets) != 32:
        raise EnvelopeInvalid(f"its {name} has not 32 bytes")
    return octets
