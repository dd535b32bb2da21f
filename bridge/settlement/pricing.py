"""What a payment costs: charges by who bears them, and a firm quote where currencies differ.

Asks the fx provider and the creditor agent, so it runs outside every database transaction; a quote
left unused runs out by itself.
"""

from dataclasses import dataclass

from bridge import fx
from bridge.charges import Shares, divide, exchanged_charges, own_currency_charges
from bridge.errors import (
    ChargeBearerUnsupported,
    CurrencyUnsupported,
    QuotationExpired,
    QuotationMismatch,
    QuotationNeeded,
    QuotationUnknown,
    QuotationUsed,
)
from bridge.institution import Institution
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.messages import PaymentInstruction
from bridge.money import Amount, Currency, Rounding, parse_currency
from bridge.quotation import Price, Quotation
from bridge.settlement.admission import Route
from bridge.settlement.order import Order, instruction_fingerprint
from bridge.tariff import CHARGE_SECONDS, PublishedCharge, published_charge, request_charge


@dataclass(frozen=True, slots=True)
class Inquiry:
    """An instruction that passed the guards, at the UTC second it is priced."""

    route: Route
    instruction: PaymentInstruction
    now: int


def find_creditor_charge(institution: Institution, inquiry: Inquiry) -> PublishedCharge:
    """What the creditor agent takes for crediting this payment, asked from it.

    Errors as `tariff.request_charge` has them.
    """
    currency = inquiry.instruction.instructed_amount.currency
    if inquiry.route.creditor_account is not None:
        own = published_charge(institution.settings, currency)
        return PublishedCharge(own, inquiry.now + CHARGE_SECONDS)
    lei = inquiry.route.creditor_bank.lei
    return request_charge(institution.interbank, lei, currency, now=inquiry.now)


def find_price(
    institution: Institution, inquiry: Inquiry, creditors: PublishedCharge | None
) -> Price:
    """The price of a payment; `creditors` is the creditor agent's charge where it was asked.

    Raises `ChargeBearerUnsupported` where a charge has no price in the instructed currency,
    `ChargesExceedAmount`, `CurrencyUnsupported`, and the errors of `fx.request_quote`.
    """
    settings, instruction = institution.settings, inquiry.instruction
    instructed, bearer = instruction.instructed_amount, instruction.charge_bearer
    source = parse_currency(inquiry.route.account.currency)
    nothing = Amount.zero(instructed.currency)
    is_deducted = bearer is ChargeBearer.CRED
    if (
        is_deducted
        and source != instructed.currency
        and instructed.currency.code not in settings.fee
    ):
        raise ChargeBearerUnsupported(bearer.value)
    shares = divide(
        instructed,
        bearer,
        debtor_agents=_fee(institution, instructed.currency),
        creditor_agents=nothing if creditors is None else creditors.amount,
    )
    fee = Amount.zero(source) if is_deducted else _fee(institution, source)
    valid_until = inquiry.now + settings.quotation_seconds
    if creditors is not None:
        valid_until = min(valid_until, creditors.valid_until)
    if source != instructed.currency:
        return _exchanged(institution, inquiry, shares, fee, valid_until=valid_until)
    return Price(
        settlement_amount=shares.settlement,
        prepaid=shares.prepaid,
        deducted=shares.deducted,
        charges=own_currency_charges(shares, fee),
        signed_quote=None,
        valid_until=valid_until,
    )


def price_of_order(institution: Institution, order: Order, inquiry: Inquiry) -> Price:
    """The price an order is executed at: that of its quotation, or one found now.

    A charge of the creditor agent that the debtor would pay must have been shown: `QuotationNeeded`.
    Otherwise raises as `find_price` and `find_quotation` do.
    """
    if order.quotation_id is not None:
        return find_quotation(institution, order, now=inquiry.now).price
    if inquiry.instruction.charge_bearer is not ChargeBearer.DEBT:
        return find_price(institution, inquiry, None)
    creditors = find_creditor_charge(institution, inquiry)
    if creditors.amount:
        raise QuotationNeeded(str(creditors.amount))
    return find_price(institution, inquiry, creditors)


def find_quotation(institution: Institution, order: Order, *, now: int) -> Quotation:
    """The quotation an order names, if it may be executed on it at the UTC second `now`.

    Raises `QuotationUnknown` (also for another customer's), `QuotationMismatch`, `QuotationUsed` and
    `QuotationExpired`, in this order.
    """
    quotation_id = order.quotation_id or ""
    with institution.store.reading() as work:
        quotation = work.quotations.find(quotation_id)
        is_used = work.quotations.is_used(quotation_id)
    if quotation is None or quotation.client != order.client.customer_id:
        raise QuotationUnknown(quotation_id)
    if quotation.fingerprint != instruction_fingerprint(order.instruction):
        raise QuotationMismatch(quotation_id)
    if is_used:
        raise QuotationUsed(quotation_id)
    if now > quotation.price.valid_until:
        raise QuotationExpired(quotation_id, quotation.price.valid_until)
    return quotation


def _exchanged(
    institution: Institution, inquiry: Inquiry, shares: Shares, fee: Amount, *, valid_until: int
) -> Price:
    settings, source = institution.settings, fee.currency
    if settings.fx_provider_lei is None or source.code not in settings.currencies:
        raise CurrencyUnsupported(shares.settlement.currency.code)
    priced = fx.request_quote(
        institution.interbank,
        institution.directory(),
        fx.QuoteRequest(
            taker=institution.lei,
            maker=settings.fx_provider_lei,
            source=source,
            amount=shares.settlement,
        ),
        chain_id=settings.chain_id,
        now=inquiry.now,
    )
    quote = priced.signed.quote
    rate = priced.rate.with_margin(settings.margin_basis_points, Rounding.FLOOR)
    cost = Amount(source, quote.taker_amount)
    return Price(
        settlement_amount=shares.settlement,
        prepaid=shares.prepaid,
        deducted=shares.deducted,
        charges=exchanged_charges(shares, cost=cost, rate=rate, fee=fee),
        signed_quote=priced.signed,
        valid_until=min(valid_until, quote.valid_until - fx.QUOTE_SECONDS_LEFT_MIN),
    )


def _fee(institution: Institution, currency: Currency) -> Amount:
    return Amount.parse(institution.settings.fee.get(currency.code, "0"), currency)
