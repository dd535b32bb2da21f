"""A customer's wallets of retail CBDC: look, load, unload, pay, hold under a condition."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from bridge.api.authentication import CustomerNeeded, CustomersJsonNeeded, IdempotencyKey
from bridge.api.payments import REPLAYED_HEADER
from bridge.api.problems import RepeatableResponse, answer_refusal
from bridge.api.retail_schemas import (
    RetailAmount,
    RetailPaymentOrder,
    RetailPaymentPage,
    RetailPaymentView,
    WalletList,
    WalletView,
)
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.errors import ResourceUnknown
from bridge.retail.answering import Answer
from bridge.retail.business import RetailBusiness
from bridge.retail.description import describe_retail, describe_wallet
from bridge.retail.paying import Condition, RetailOrder
from bridge.wallet import RetailKind

router = APIRouter(prefix="/v1/retail", tags=["retail"])


async def find_business(services: ServicesNeeded) -> RetailBusiness:
    """The bank's retail business; raises `ResourceUnknown` at a bank without one."""
    if services.retail is None:
        raise ResourceUnknown("business", "retail")
    return services.retail


BusinessNeeded = Annotated[RetailBusiness, Depends(find_business)]


@router.get("/wallets", response_model=WalletList)
def list_wallets(customer: CustomerNeeded, business: BusinessNeeded) -> dict[str, object]:
    """The customer's wallets with their limits."""
    intermediary = business.intermediary
    with intermediary.institution.store.reading() as work:
        held = work.wallets.of_customer(customer.customer_id, intermediary.currency.code)
        items = [] if held is None else [describe_wallet(intermediary, work, held)]
    return {"items": items}


@router.get("/wallets/{wallet_id}", response_model=WalletView)
def get_wallet(
    customer: CustomerNeeded, wallet_id: str, business: BusinessNeeded
) -> dict[str, object]:
    """One wallet of the customer."""
    intermediary = business.intermediary
    with intermediary.institution.store.reading() as work:
        held = work.wallets.find(wallet_id)
        if held is None or held.customer_id != customer.customer_id:
            raise ResourceUnknown("wallet", wallet_id)
        return describe_wallet(intermediary, work, held)


@router.post(
    "/wallets/{wallet_id}/loads",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=RetailPaymentView,
)
def load_wallet(
    customer: CustomerNeeded,
    wallet_id: str,
    key: IdempotencyKey,
    order: RetailAmount,
    business: BusinessNeeded,
) -> Response:
    """Exchange a deposit for retail CBDC, up to the wallet's limit."""
    own = _own(business, RetailKind.LOAD, wallet_id, order)
    return respond(business.cashier.take(customer.customer_id, own, key))


@router.post(
    "/wallets/{wallet_id}/unloads",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=RetailPaymentView,
)
def unload_wallet(
    customer: CustomerNeeded,
    wallet_id: str,
    key: IdempotencyKey,
    order: RetailAmount,
    business: BusinessNeeded,
) -> Response:
    """Exchange retail CBDC for a deposit."""
    own = _own(business, RetailKind.UNLOAD, wallet_id, order)
    return respond(business.cashier.take(customer.customer_id, own, key))


@router.post(
    "/payments",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=RetailPaymentView,
)
def create_retail_payment(
    customer: CustomerNeeded,
    key: IdempotencyKey,
    order: RetailPaymentOrder,
    business: BusinessNeeded,
) -> Response:
    """Pay another wallet, here or at another bank; under a condition it is only held."""
    condition = None
    if order.condition is not None:
        condition = Condition(order.condition.releaser, order.condition.expires_at)
    asked = RetailOrder(
        kind=RetailKind.PAYMENT,
        wallet_id=order.wallet,
        amount=order.amount.read(),
        payee_lei=order.payee.agent or business.intermediary.institution.lei,
        payee_wallet=order.payee.wallet,
        condition=condition,
    )
    return respond(business.cashier.take(customer.customer_id, asked, key))


@router.get("/payments", response_model=RetailPaymentPage)
def list_retail_payments(
    customer: CustomerNeeded, page: Annotated[PageQuery, Query()], business: BusinessNeeded
) -> dict[str, object]:
    """What this customer asked for, newest first."""
    with business.intermediary.institution.store.reading() as work:
        found = work.retail_payments.page(
            customer.customer_id, limit=page.limit, cursor=page.cursor
        )
    items = [describe_retail(payment) for payment in found.items]
    return {"items": items, "next": found.next_cursor}


@router.get("/payments/{payment_id}", response_model=RetailPaymentView)
def get_retail_payment(
    customer: CustomerNeeded, payment_id: str, business: BusinessNeeded
) -> dict[str, object]:
    """One retail payment, to whoever asked for it and to its releaser."""
    with business.intermediary.institution.store.reading() as work:
        payment = work.retail_payments.find(payment_id)
    if payment is None or customer.customer_id not in {payment.client, payment.releaser}:
        raise ResourceUnknown("retail payment", payment_id)
    return describe_retail(payment)


@router.post("/payments/{payment_id}/release", response_model=RetailPaymentView)
def release_retail_payment(
    customer: CustomerNeeded, payment_id: str, business: BusinessNeeded
) -> dict[str, object]:
    """Carry a held payment out; only its releaser, before it lapses."""
    return describe_retail(business.cashier.release(customer.customer_id, payment_id))


@router.post("/payments/{payment_id}/voidance", response_model=RetailPaymentView)
def void_retail_payment(
    customer: CustomerNeeded, payment_id: str, business: BusinessNeeded
) -> dict[str, object]:
    """Give a held payment back to its payer; only its releaser."""
    return describe_retail(business.cashier.give_up(customer.customer_id, payment_id))


def _own(
    business: RetailBusiness, kind: RetailKind, wallet_id: str, order: RetailAmount
) -> RetailOrder:
    lei = business.intermediary.institution.lei
    return RetailOrder(kind, wallet_id, order.amount.read(), lei, wallet_id)


def respond(answer: Answer) -> Response:
    """The response for an answer, the first time and each time after."""
    if answer.is_refusal:
        response: Response = answer_refusal(answer.body)
    else:
        response = RepeatableResponse(dict(answer.body), status_code=HTTPStatus.ACCEPTED)
    if answer.is_replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return response
