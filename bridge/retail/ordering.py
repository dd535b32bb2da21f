"""Orders to the central bank's register, recorded with the money they set aside; no network here."""

from typing import Final

from bridge import chart
from bridge.errors import CustodyShort, IdempotencyKeyReused, InsufficientFunds
from bridge.ledger import Posting, credit, debit
from bridge.money import Amount
from bridge.retail import booking
from bridge.retail.intermediary import Intermediary
from bridge.store import NewEffect, UnitOfWork
from bridge.store.retail_register import CustodyDirection, CustodyOrder, CustodyOrderState

ORDER: Final = "request_retail_order"
"""Kind of the effect that asks the central bank."""


def order_vault(
    intermediary: Intermediary,
    work: UnitOfWork,
    amount: Amount,
    purpose: str,
    *,
    direction: CustodyDirection,
    payment_id: str | None = None,
) -> CustodyOrder:
    """Order retail CBDC for the bank's vault, or give some of it back; once per purpose.

    Raises `CustodyShort` when reserves or vault do not suffice, `IdempotencyKeyReused` when the
    purpose stands for another order.
    """
    intermediary.check_currency(amount)
    reference = intermediary.reference(f"{direction.value}|{purpose}")
    known = work.custody_orders.find(reference)
    if known is not None:
        if known.amount != amount:
            raise IdempotencyKeyReused(purpose)
        return known
    is_issue = direction is CustodyDirection.ISSUE
    order = CustodyOrder(
        reference=reference,
        direction=direction,
        state=CustodyOrderState.ORDERED,
        amount=amount,
        entry_id=f"retail-order:{reference.hex()}",
        created_at=intermediary.institution.clock(),
        payment_id=payment_id,
    )
    postings = booking.issued(amount) if is_issue else booking.redeemed(amount)
    try:
        _record(work, order, postings, booking.ORDER)
    except InsufficientFunds as error:
        raise CustodyShort(lacking=str(amount)) from error
    return order


def order_transfer(work: UnitOfWork, order: CustodyOrder, postings: tuple[Posting, ...]) -> None:
    """Order custody to be moved to another bank; `postings` say from where.

    Raises `InsufficientFunds`.
    """
    postings = (*postings, credit(chart.custody(order.amount.currency), order.amount))
    is_return = order.payment_id is None
    _record(work, order, postings, booking.RETURN if is_return else booking.PAYMENT)


def order_return(
    intermediary: Intermediary, work: UnitOfWork, received: bytes, amount: Amount, sender_lei: str
) -> None:
    """Give a transfer that no wallet can take back to the bank it came from."""
    reference = intermediary.reference(f"return|{received.hex()}")
    order = CustodyOrder(
        reference=reference,
        direction=CustodyDirection.TRANSFER,
        state=CustodyOrderState.ORDERED,
        amount=amount,
        entry_id=f"retail-return:{reference.hex()}",
        created_at=intermediary.institution.clock(),
        receiver_lei=sender_lei,
        details={"reference": reference.hex(), "returns": received.hex()},
    )
    order_transfer(work, order, (debit(chart.retail_suspense(amount.currency), amount),))


def redeem_overflow(intermediary: Intermediary, work: UnitOfWork, cause: str) -> None:
    """Have what the vault holds above its limit redeemed; one such order at a time."""
    limit = intermediary.terms.vault_max
    if limit is None or work.custody_orders.open_redemptions():
        return
    currency = intermediary.currency
    over = intermediary.available(work, chart.vault(currency)) - Amount.parse(limit, currency)
    if over.minor_units > 0:
        purpose = f"overflow|{cause}"
        order_vault(intermediary, work, over, purpose, direction=CustodyDirection.REDEEM)


def _record(
    work: UnitOfWork, order: CustodyOrder, postings: tuple[Posting, ...], kind: str
) -> None:
    work.ledger.book(booking.entry(order.entry_id, kind, postings, order.created_at, pending=True))
    work.custody_orders.add(order)
    work.effects.add(
        NewEffect(
            kind=ORDER,
            key=f"{ORDER}:{order.reference.hex()}",
            payload={"reference": order.reference.hex()},
            payment_id=None,
            due_at=order.created_at,
        )
    )
