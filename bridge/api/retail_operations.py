"""The operator's side of retail CBDC: wallets and vault at a bank, the register at a central bank."""

from http import HTTPStatus

from fastapi import APIRouter

from bridge import chart
from bridge.api.authentication import IdempotencyKey, JsonNeeded, OperatorNeeded
from bridge.api.retail import BusinessNeeded
from bridge.api.retail_schemas import (
    CustodyOrderView,
    CustodyView,
    RegisterView,
    VaultOrder,
    WalletOpening,
    WalletView,
)
from bridge.api.services import ServicesNeeded
from bridge.errors import ResourceUnknown
from bridge.money import Amount
from bridge.retail.description import describe_money, describe_wallet
from bridge.retail.intermediary import WalletOrder
from bridge.retail.ordering import order_vault
from bridge.retail.register import Keeping
from bridge.store.retail_register import CustodyDirection

intermediary = APIRouter(
    prefix="/v1/operations/retail", tags=["retail operations"], dependencies=[OperatorNeeded]
)
"""Routes of a bank."""

register = APIRouter(
    prefix="/v1/operations/retail", tags=["retail operations"], dependencies=[OperatorNeeded]
)
"""Routes of a central bank."""


@intermediary.post(
    "/wallets",
    status_code=HTTPStatus.CREATED,
    dependencies=[JsonNeeded],
    response_model=WalletView,
)
def open_wallet(order: WalletOpening, business: BusinessNeeded) -> dict[str, object]:
    """Open a customer's wallet; the one that is there and just so is told again."""
    keeper = business.intermediary
    opening = WalletOrder(
        customer_id=order.customer_id,
        tier=order.tier,
        identification=frozenset(order.identification),
        linked_identification=order.linked_account,
    )
    with keeper.institution.store.unit_of_work() as work:
        wallet = keeper.open_wallet(work, opening, keeper.institution.clock())
        return describe_wallet(keeper, work, wallet)


@intermediary.post(
    "/orders",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[JsonNeeded],
    response_model=CustodyOrderView,
)
def order_retail(
    key: IdempotencyKey, order: VaultOrder, business: BusinessNeeded
) -> dict[str, object]:
    """Have retail CBDC issued into the bank's vault, or redeemed out of it."""
    keeper = business.intermediary
    amount, direction = order.amount.read(), CustodyDirection(order.direction)
    with keeper.institution.store.unit_of_work() as work:
        made = order_vault(keeper, work, amount, f"order|{key}", direction=direction)
    return {
        "reference": made.reference.hex(),
        "direction": made.direction.value,
        "status": made.state.value,
        "amount": describe_money(made.amount),
    }


@intermediary.get("/custody", response_model=CustodyView)
def look_at_custody(business: BusinessNeeded) -> dict[str, object]:
    """What the bank keeps, for itself and for its customers, and wallets by tier."""
    keeper = business.intermediary
    currency = keeper.currency
    with keeper.institution.store.reading() as work:

        def ledger(account_id: str) -> dict[str, str]:
            return describe_money(work.ledger.balance(account_id).ledger)

        return {
            "in_custody": ledger(chart.custody(currency)),
            "own": ledger(chart.vault(currency)),
            "suspense": ledger(chart.retail_suspense(currency)),
            "tiers": work.wallets.count_by_tier(),
        }


@register.get("/register", response_model=RegisterView)
def look_at_register(services: ServicesNeeded) -> dict[str, object]:
    """Retail CBDC in issue and who keeps it; no person is known here."""
    if services.register is None:
        raise ResourceUnknown("desk", "register")
    issue = services.register.look_over()
    return {
        "in_issue": describe_money(issue.by_accounts),
        "by_orders": describe_money(issue.by_orders),
        "is_whole": issue.is_whole,
        "intermediaries": [_describe_keeping(keeping) for keeping in issue.keepings],
    }


def _describe_keeping(keeping: Keeping) -> dict[str, object]:
    report = keeping.report
    reported = None
    if report is not None:
        held = Amount(keeping.in_custody.currency, report.in_custody)
        reported = {
            "day": report.day,
            "in_custody": describe_money(held),
            "tiers": dict(report.tiers),
        }
    return {
        "lei": keeping.lei,
        "in_custody": describe_money(keeping.in_custody),
        "report": reported,
    }
