"""A price shown to a customer before consent, and held until it runs out.

Everything that the payment will cost is decided here and kept: the charges of both banks, and a firm
quote of the fx provider that no other payment can use. A payment that names the quotation is booked
with exactly these amounts, or refused.
"""

from dataclasses import replace
from typing import Final

from bridge.charges import ROUNDING_RULE
from bridge.errors import ExecutionDateUnsupported, QuotationsExhausted
from bridge.institution import Institution, is_same_bic
from bridge.iso20022.messages import PaymentInstruction
from bridge.quotation import Quotation
from bridge.settlement.admission import find_route, plan_execution
from bridge.settlement.description import describe_amount
from bridge.settlement.order import instruction_fingerprint, sortable
from bridge.settlement.pricing import Inquiry, find_creditor_charge, find_price
from bridge.store import Customer, UnitOfWork

QUOTATIONS_OPEN_MAX: Final = 5
"""Most quotations of one customer that may be open at a time: each may hold a provider to a price."""

KEPT_SECONDS: Final = 86_400
"""How long a quotation that ran out is still known by name."""


def quote(institution: Institution, client: Customer, instruction: PaymentInstruction) -> Quotation:
    """What a payment made now would cost, kept and held until `price.valid_until`.

    Raises as `initiate` refuses, `QuotationsExhausted`, and an `Unavailable` when the fx provider or
    the creditor agent does not answer.
    """
    now = institution.clock()
    with institution.store.reading() as work:
        _check_open(work, client, now)
    route = find_route(institution, client, instruction)
    execution = plan_execution(institution.settings, route, instruction, now=now)
    if execution.opens_at > now:
        rule = f"it would be executed on {execution.value_date}, and prices hold for less"
        raise ExecutionDateUnsupported(instruction.requested_execution_date.isoformat(), rule)
    inquiry = Inquiry(route, instruction, now)
    creditors = find_creditor_charge(institution, inquiry)
    price = find_price(institution, inquiry, creditors)
    quotation = Quotation(
        quotation_id=f"quo_{sortable(now, institution.salt())}",
        client=client.customer_id,
        fingerprint=instruction_fingerprint(instruction),
        price=replace(price, valid_until=min(price.valid_until, execution.closes_at - 1)),
        creditor_charge=creditors.amount,
        value_date=execution.value_date,
        created_at=now,
    )
    with institution.store.unit_of_work() as work:
        _check_open(work, client, now)
        work.quotations.forget(client.customer_id, before=now - KEPT_SECONDS)
        work.quotations.add(quotation)
    return quotation


def describe_quotation(
    institution: Institution, quotation: Quotation, instruction: PaymentInstruction
) -> dict[str, object]:
    """A quotation as the API shows it.

    `expected_by` is the last second to settle; inside this bank that is at once.
    """
    price = quotation.price
    is_on_us = is_same_bic(instruction.creditor_agent.bic, institution.settings.bic)
    seconds = 0 if is_on_us else institution.settings.settle_seconds
    charges = price.charges
    return {
        "id": quotation.quotation_id,
        "valid_until": price.valid_until,
        "execution_date": quotation.value_date.isoformat(),
        "expected_by": quotation.created_at + seconds,
        "charge_bearer": instruction.charge_bearer.value,
        "amount": describe_amount(instruction.instructed_amount),
        "settlement_amount": describe_amount(price.settlement_amount),
        "debit": describe_amount(charges.debit),
        "principal": describe_amount(charges.principal),
        "fee": describe_amount(charges.fee),
        "margin": describe_amount(charges.margin),
        "rate": charges.rate,
        "prepaid_charge": describe_amount(price.prepaid),
        "deducted_charge": describe_amount(price.deducted),
        "creditor_charge": describe_amount(quotation.creditor_charge),
        "creditor_receives": describe_amount(quotation.creditor_receives),
        "rounding": ROUNDING_RULE,
        "created_at": quotation.created_at,
    }


def _check_open(work: UnitOfWork, client: Customer, now: int) -> None:
    if work.quotations.open_count(client.customer_id, now) >= QUOTATIONS_OPEN_MAX:
        raise QuotationsExhausted(QUOTATIONS_OPEN_MAX)
