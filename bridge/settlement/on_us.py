"""A payment between two customers of this bank: settled at once, in its one database transaction.

It is kept as both sides of a payment, outgoing and incoming, in the state `settled`, so that debtor
and creditor find it where they find every other. It never reaches the chain: there is nothing that
two banks would have to discharge. Its message is kept and not sent; the notices are made from it,
before the transaction, which only writes.
"""

from dataclasses import dataclass, replace

from bridge.charges import creditor_charge
from bridge.errors import PaymentIncomplete
from bridge.institution import Institution
from bridge.iso20022.codes import ChargeBearer, MessageName
from bridge.iso20022.messages import CreditTransfer
from bridge.ledger import JournalEntry
from bridge.payment import Direction, Payment, PaymentId, PaymentState
from bridge.settlement.booking import on_us
from bridge.settlement.notices import notices_of
from bridge.store import CustomerAccount, MessageDirection, StoredMessage, UnitOfWork
from bridge.tariff import published_charge


@dataclass(frozen=True, slots=True)
class OnUs:
    """Both sides of a payment inside this bank, with all that is written of it."""

    sent: Payment
    received: Payment
    entry: JournalEntry
    messages: tuple[StoredMessage, ...]


def prepare(
    institution: Institution,
    payment: Payment,
    transfer: CreditTransfer,
    *,
    document: bytes,
    creditor: CustomerAccount,
) -> OnUs:
    """What settling a payment writes; `document` is the `transfer` as a pacs.008."""
    if payment.account_id is None:
        raise PaymentIncomplete(payment.payment_id, "account")
    charge = payment.creditor_charge
    if transfer.charge_bearer is not ChargeBearer.DEBT:
        published = published_charge(institution.settings, payment.settlement_amount.currency)
        charge = creditor_charge(transfer, published)
    sent = replace(payment, state=PaymentState.SETTLED, creditor_charge=charge or None)
    received = replace(
        sent,
        payment_id=PaymentId(f"pay_in_{payment.settlement_id.hex()[:32]}"),
        direction=Direction.INCOMING,
        client=institution.lei,
        account_id=creditor.account_id,
        charges=None,
    )
    messages = [
        message
        for side in (sent, received)
        for message in (
            _message(side, document),
            *notices_of(institution, side, transfer, payment.created_at),
        )
    ]
    entry = on_us(sent, payment.account_id, creditor.account_id)
    return OnUs(sent, received, entry, tuple(messages))


def settle(work: UnitOfWork, prepared: OnUs) -> Payment:
    """The outgoing side, settled: booked, kept with its incoming side, and both customers told.

    Raises `InsufficientFunds` and books nothing.
    """
    work.ledger.book(prepared.entry)
    for side in (prepared.sent, prepared.received):
        work.payments.add(side)
    for message in prepared.messages:
        work.messages.add(message)
    return prepared.sent


def _message(side: Payment, document: bytes) -> StoredMessage:
    is_sent = side.direction is Direction.OUTGOING
    return StoredMessage(
        message_id=f"{side.payment_id}:pacs.008",
        direction=MessageDirection.OUT if is_sent else MessageDirection.IN,
        name=MessageName.CREDIT_TRANSFER.value,
        document=document,
        payment_id=side.payment_id,
        peer=None,
        created_at=side.created_at,
        salt=side.salt,
    )
