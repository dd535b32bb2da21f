"""FX quotes: an fx provider offers and signs them, a bank asks for one and checks it.

A quote is firm: signed by the maker's quoting key (EIP-712), filled whole, once, by the named taker,
until `valid_until`; the settlement contract enforces all of it. The taker asks for the amount the
creditor's bank shall receive; what the taker pays for it is rounded up, in the maker's favour.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.chain import AccountKind, Directory, quote_hash, recover_signer
from bridge.config import RateSettings
from bridge.errors import EnvelopeInvalid, PairNotQuoted, QuoteInvalid, QuotesExhausted
from bridge.interbank import Interbank, Kind, Received
from bridge.keys import TransactionSigner
from bridge.money import Amount, Currency, Rate, Rounding, parse_currency
from bridge.payment import Quote, SignedQuote
from bridge.store import Store

QUOTES_PATH: Final = "/v1/interbank/quotes"

QUOTE_SECONDS_LEFT_MIN: Final = 5
"""A quote with less time left is not worth instructing on."""

OPEN_QUOTES_MAX: Final = 200
"""Most quotes that one taker is offered at a time: each may hold the maker to a price."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What an fx provider's desk needs: its prices, how long they hold, and its quoting key.

    `may_queue`: whether its own leg may wait on the chain for money, the taker's being set aside.
    """

    lei: str
    chain_id: int
    rates: tuple[RateSettings, ...]
    quote_seconds: int
    settle_seconds: int
    signer: TransactionSigner
    may_queue: bool = False


class QuoteDesk:
    """An fx provider's side: turns a request into a firm, signed and recorded quote."""

    def __init__(
        self,
        terminal: Terminal,
        store: Store,
        directory: Callable[[], Directory],
        clock: Callable[[], int],
        salt: Callable[[], bytes],
    ) -> None:
        self._terminal = terminal
        self._store = store
        self._directory = directory
        self._clock = clock
        self._salt = salt

    def offer(self, request: Received) -> dict[str, str]:
        """The body of the answer to a quote request: a signed quote for its sender alone.

        Raises `EnvelopeInvalid` for what is no quote request, `PairNotQuoted`, `QuotesExhausted`
        past `OPEN_QUOTES_MAX`, and the money errors for an amount that is none.
        """
        if request.kind is not Kind.QUOTE_REQUEST:
            raise EnvelopeInvalid(f"{request.kind.value} is not taken here")
        source = parse_currency(request.body.get("source", ""))
        target = parse_currency(request.body.get("target", ""))
        wanted = Amount.parse(request.body.get("amount", ""), target)
        rate = self._rate(source, target)
        now = self._clock()
        valid_until = now + self._terminal.quote_seconds
        account = self._directory().by_lei(self._terminal.lei).settlement_reference
        quote = Quote(
            maker=self._terminal.lei,
            taker=request.sender_lei,
            maker_from=account,
            maker_to=account,
            maker_currency=target.code,
            maker_amount=wanted.minor_units,
            taker_currency=source.code,
            taker_amount=rate.divide(wanted, source, Rounding.CEIL).minor_units,
            valid_until=valid_until,
            settle_by=valid_until + self._terminal.settle_seconds,
            may_queue=self._terminal.may_queue,
            salt=self._salt(),
        )
        digest = quote_hash(quote, self._terminal.chain_id)
        signed = SignedQuote(
            quote=quote, quote_hash=digest, signature=self._terminal.signer.sign_digest(digest)
        )
        with self._store.unit_of_work() as work:
            if work.quotes.open_count(quote.taker, now) >= OPEN_QUOTES_MAX:
                raise QuotesExhausted(quote.taker, OPEN_QUOTES_MAX)
            work.quotes.add(signed)
        return {"quote": _format_quote(signed), "rate": rate.format()}

    def _rate(self, source: Currency, target: Currency) -> Rate:
        for offered in self._terminal.rates:
            if (offered.source, offered.target) == (source.code, target.code):
                return Rate.parse(offered.rate)
        raise PairNotQuoted(source.code, target.code)


@dataclass(frozen=True, slots=True)
class PricedQuote:
    """A checked quote and the maker's rate: units of the target currency per source unit."""

    signed: SignedQuote
    rate: Rate


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What a bank wants: `amount` of one currency delivered, paid for in `source`."""

    taker: str
    maker: str
    source: Currency
    amount: Amount


def request_quote(
    interbank: Interbank,
    directory: Directory,
    wanted: QuoteRequest,
    *,
    chain_id: int,
    now: int,
) -> PricedQuote:
    """A firm quote from the maker, checked against what was asked and against its signature.

    Raises `PeerUnavailable` or `PeerRefused` as the interbank channel does, `QuoteInvalid` when the
    answer is not the quote that was asked for.
    """
    answer = interbank.ask(
        wanted.maker,
        QUOTES_PATH,
        Kind.QUOTE_REQUEST,
        {
            "source": wanted.source.code,
            "target": wanted.amount.currency.code,
            "amount": wanted.amount.format(),
        },
    )
    signed = _parse_quote(answer.body)
    _check_quote(signed, wanted, now=now)
    if quote_hash(signed.quote, chain_id) != signed.quote_hash:
        raise QuoteInvalid("its hash is not that of its content")
    signer = recover_signer(signed.quote_hash, signed.signature)
    maker = directory.by_lei(wanted.maker)
    if signer not in maker.addresses(AccountKind.QUOTING):
        raise QuoteInvalid("it is not signed by a quoting key of its maker")
    rate = Rate.parse(answer.body.get("rate", ""))
    cost = rate.divide(wanted.amount, wanted.source, Rounding.CEIL)
    if cost.minor_units != signed.quote.taker_amount:
        raise QuoteInvalid("its amounts are not those of its rate")
    return PricedQuote(signed=signed, rate=rate)


def _check_quote(signed: SignedQuote, wanted: QuoteRequest, *, now: int) -> None:
    quote = signed.quote
    if (quote.maker, quote.taker) != (wanted.maker, wanted.taker):
        raise QuoteInvalid("it names other parties")
    if (quote.maker_currency, quote.maker_amount) != (
        wanted.amount.currency.code,
        wanted.amount.minor_units,
    ):
        raise QuoteInvalid("it delivers another amount")
    if quote.taker_currency != wanted.source.code or quote.taker_amount <= 0:
        raise QuoteInvalid("it is paid for in another currency")
    if quote.valid_until < now + QUOTE_SECONDS_LEFT_MIN or quote.settle_by < quote.valid_until:
        raise QuoteInvalid("it has run out, or is about to")


_BYTES = frozenset({"maker_from", "maker_to", "salt"})
_INTEGERS = frozenset({"maker_amount", "taker_amount", "valid_until", "settle_by", "priority"})
_TEXTS = frozenset({"maker", "taker", "maker_currency", "taker_currency"})


def _format_quote(signed: SignedQuote) -> str:
    quote = signed.quote
    fields: dict[str, str | int | bool] = {
        **{name: getattr(quote, name).hex() for name in _BYTES},
        **{name: getattr(quote, name) for name in _INTEGERS | _TEXTS},
        "may_queue": quote.may_queue,
    }
    return json.dumps(
        {
            "fields": fields,
            "quote_hash": signed.quote_hash.hex(),
            "signature": signed.signature.hex(),
        },
        sort_keys=True,
    )


def _parse_quote(body: Mapping[str, str]) -> SignedQuote:
    try:
        document = json.loads(body["quote"])
        fields = document["fields"]
        octets = {name: bytes.fromhex(fields[name]) for name in _BYTES}
        numbers = {name: _integer(fields[name]) for name in _INTEGERS}
        texts = {name: str(fields[name]) for name in _TEXTS}
        quote = Quote(
            maker=texts["maker"],
            taker=texts["taker"],
            maker_from=octets["maker_from"],
            maker_to=octets["maker_to"],
            maker_currency=texts["maker_currency"],
            maker_amount=numbers["maker_amount"],
            taker_currency=texts["taker_currency"],
            taker_amount=numbers["taker_amount"],
            valid_until=numbers["valid_until"],
            settle_by=numbers["settle_by"],
            salt=octets["salt"],
            priority=numbers["priority"],
            may_queue=fields["may_queue"] is True,
        )
        return SignedQuote(
            quote=quote,
            quote_hash=bytes.fromhex(document["quote_hash"]),
            signature=bytes.fromhex(document["signature"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise QuoteInvalid("it cannot be read") from error


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("an integer is expected")
    return value
