"""What a bank takes for crediting an incoming payment: published per currency, asked for sealed.

A debtor agent asks the creditor agent before its customer consents. The answer is signed like every
interbank message, answers that question only, and holds until `valid_until`.
"""

from dataclasses import dataclass
from typing import Final

from bridge.config import Settings
from bridge.errors import ChargeNotQuoted, EnvelopeInvalid, Rejected
from bridge.interbank import Interbank, Kind, Received
from bridge.money import Amount, Currency, parse_currency

CHARGES_PATH: Final = "/v1/interbank/charges"

CHARGE_SECONDS: Final = 3_600
"""How long a published charge that was told to another bank holds."""


@dataclass(frozen=True, slots=True)
class PublishedCharge:
    """A bank's charge for crediting one payment; `valid_until` is a UTC second."""

    amount: Amount
    valid_until: int


def published_charge(settings: Settings, currency: Currency) -> Amount:
    """What this bank takes for crediting an incoming payment in a currency; zero where none is set."""
    return Amount.parse(settings.published_charges.get(currency.code, "0"), currency)


def answer_charge(settings: Settings, request: Received, *, now: int) -> dict[str, str]:
    """The body of the answer to a request for this bank's charge.

    Raises `EnvelopeInvalid` for what is no such request, `UnknownCurrency`.
    """
    if request.kind is not Kind.CHARGE_REQUEST:
        raise EnvelopeInvalid(f"{request.kind.value} is not taken here")
    currency = parse_currency(request.body.get("currency", ""))
    return {
        "currency": currency.code,
        "amount": published_charge(settings, currency).format(),
        "valid_until": str(now + CHARGE_SECONDS),
    }


def request_charge(
    interbank: Interbank, lei: str, currency: Currency, *, now: int
) -> PublishedCharge:
    """What the bank `lei` takes for crediting a payment in a currency.

    Raises `PeerUnavailable` or `PeerRefused` as the interbank channel does, `ChargeNotQuoted` for an
    answer that is none.
    """
    question = {"currency": currency.code}
    answer = interbank.ask(lei, CHARGES_PATH, Kind.CHARGE_REQUEST, question)
    if answer.body.get("currency") != currency.code:
        raise ChargeNotQuoted("it is in another currency")
    try:
        amount = Amount.parse(answer.body.get("amount", ""), currency)
        valid_until = int(answer.body.get("valid_until", ""))
    except (Rejected, ValueError) as error:
        raise ChargeNotQuoted("it cannot be read") from error
    if not now < valid_until <= now + 2 * CHARGE_SECONDS:
        raise ChargeNotQuoted("it has run out, or holds for longer than charges do")
    return PublishedCharge(amount, valid_until)
