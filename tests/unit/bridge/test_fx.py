"""FX quotes: what a desk offers, and what a bank refuses to take for the quote it asked for."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bridge.chain import quote_hash, recover_signer
from bridge.config import RateSettings
from bridge.errors import (
    EnvelopeInvalid,
    PairNotQuoted,
    QuoteInvalid,
    QuotesExhausted,
    TooManyDecimals,
    UnknownCurrency,
)
from bridge.fx import OPEN_QUOTES_MAX, PricedQuote, QuoteDesk, QuoteRequest, Terminal, request_quote
from bridge.interbank import Interbank, Kind, Received
from bridge.money import Amount, parse_currency
from bridge.store import QuoteState, Store
from support.participants import BANK_A, BANK_B, PROVIDER, directory_of, make_institutions

CHAIN_ID = 2_002_200
NOW = 1_900_000_000
EUR, SGD = parse_currency("EUR"), parse_currency("SGD")
INSTITUTIONS = make_institutions(BANK_A, BANK_B, PROVIDER)
DIRECTORY = directory_of(INSTITUTIONS)
ASKED = {"source": "EUR", "target": "SGD", "amount": "1000.00"}
WANTED = QuoteRequest(taker=BANK_A, maker=PROVIDER, source=EUR, amount=Amount(SGD, 100_000))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "provider.db")


def desk(
    store: Store,
    rate: str = "1.4520",
    now: Callable[[], int] | None = None,
    *,
    may_queue: bool = False,
) -> QuoteDesk:
    terminal = Terminal(
        lei=PROVIDER,
        chain_id=CHAIN_ID,
        rates=(RateSettings(source="EUR", target="SGD", rate=rate),),
        quote_seconds=60,
        settle_seconds=120,
        signer=INSTITUTIONS[PROVIDER].quoting,
        may_queue=may_queue,
    )
    return QuoteDesk(
        terminal, store, lambda: DIRECTORY, now or (lambda: NOW), lambda: os.urandom(32)
    )


@pytest.mark.parametrize("may_queue", [False, True])
def test_a_quote_says_whether_its_makers_leg_may_wait(
    store: Store,
    may_queue: bool,
) -> None:
    """PAY-23."""
    offered = json.loads(desk(store, may_queue=may_queue).offer(asked())["quote"])
    assert offered["fields"]["may_queue"] is may_queue


def asked(body: dict[str, str] = ASKED) -> Received:
    return Received(sender_lei=BANK_A, kind=Kind.QUOTE_REQUEST, body=body)


def channel(lei: str, http: httpx.Client) -> Interbank:
    return Interbank(lei, INSTITUTIONS[lei].keys, lambda: DIRECTORY, http, b"\x11" * 32)


def taken(store: Store, change: Callable[[dict[str, str]], dict[str, str]] = dict) -> PricedQuote:
    """What bank A makes of the desk's answer after `change`."""

    def answer(request: httpx.Request) -> httpx.Response:
        provider = channel(PROVIDER, httpx.Client())
        question = provider.open(request.content)
        offered = change(desk(store).offer(question))
        return httpx.Response(200, content=provider.answer(question, offered))

    bank = channel(BANK_A, httpx.Client(transport=httpx.MockTransport(answer)))
    return request_quote(bank, DIRECTORY, WANTED, chain_id=CHAIN_ID, now=NOW)


def test_the_taker_pays_the_amount_at_the_rate_rounded_up(store: Store) -> None:
    quote = taken(store).signed.quote
    assert (quote.maker_amount, quote.taker_amount) == (100_000, 68_871)  # 1000 / 1.4520 = 688.7052


def test_the_quote_is_signed_by_the_quoting_key_and_kept(store: Store) -> None:
    signed = taken(store).signed
    assert quote_hash(signed.quote, CHAIN_ID) == signed.quote_hash
    assert (
        recover_signer(signed.quote_hash, signed.signature)
        == INSTITUTIONS[PROVIDER].quoting.address
    )
    with store.reading() as work:
        kept = work.quotes.get(signed.quote_hash)
    assert kept is not None
    assert (kept.signed, kept.state) == (signed, QuoteState.OFFERED)


def test_the_quote_holds_as_long_as_the_desk_says(store: Store) -> None:
    quote = taken(store).signed.quote
    assert (quote.valid_until, quote.settle_by) == (NOW + 60, NOW + 180)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"source": "SGD", "target": "EUR"}, PairNotQuoted),
        ({"source": "XXX"}, UnknownCurrency),
        ({"amount": "1000.001"}, TooManyDecimals),
    ],
)
def test_a_request_the_desk_cannot_price_is_refused_and_nothing_kept(
    store: Store, change: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        desk(store).offer(asked({**ASKED, **change}))
    with store.reading() as work:
        assert work.quotes.open_count(BANK_A, NOW) == 0


def altered(name: str, value: object) -> Callable[[dict[str, str]], dict[str, str]]:
    """The answer with one field of its quote changed; the hash and signature stay."""

    def change(answer: dict[str, str]) -> dict[str, str]:
        document = json.loads(answer["quote"])
        document["fields"][name] = value
        return {**answer, "quote": json.dumps(document)}

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maker", BANK_B),
        ("taker", BANK_B),
        ("maker_currency", "EUR"),
        ("maker_amount", 99_999),
        ("taker_currency", "SGD"),
        ("taker_amount", 0),
        ("taker_amount", 68_872),
        ("taker_amount", "68871"),
        ("taker_amount", True),
        ("valid_until", NOW + 1),
        ("settle_by", NOW + 1),
        ("salt", "00" * 32),
        ("salt", "zz"),
        ("maker_to", "00" * 32),
    ],
)
def test_a_quote_that_differs_from_what_was_asked_or_signed_is_refused(
    store: Store, name: str, value: object
) -> None:
    with pytest.raises(QuoteInvalid):
        taken(store, altered(name, value))


def test_a_quote_signed_by_a_key_that_is_not_the_makers_quoting_key_is_refused(
    store: Store,
) -> None:
    def forged(answer: dict[str, str]) -> dict[str, str]:
        document = json.loads(answer["quote"])
        digest = bytes.fromhex(document["quote_hash"])
        document["signature"] = INSTITUTIONS[BANK_B].quoting.sign_digest(digest).hex()
        return {**answer, "quote": json.dumps(document)}

    with pytest.raises(QuoteInvalid):
        taken(store, forged)


def test_a_stated_rate_that_does_not_give_the_quoted_amount_is_refused(store: Store) -> None:
    with pytest.raises(QuoteInvalid):
        taken(store, lambda answer: {**answer, "rate": "1.4500"})


@pytest.mark.parametrize("quote", ["", "{}", "[]", '{"fields": {}}', "null"])
def test_an_unreadable_answer_is_refused(store: Store, quote: str) -> None:
    with pytest.raises(QuoteInvalid):
        taken(store, lambda answer: {**answer, "quote": quote})


def test_a_worse_rate_costs_more(store: Store) -> None:
    cheap = json.loads(desk(store, "1.4520").offer(asked())["quote"])["fields"]["taker_amount"]
    dear = json.loads(desk(store, "1.4000").offer(asked({**ASKED}))["quote"])["fields"][
        "taker_amount"
    ]
    assert cheap < dear


def test_a_message_of_another_kind_is_no_quote_request(store: Store) -> None:
    with pytest.raises(EnvelopeInvalid):
        desk(store).offer(Received(BANK_A, Kind.CREDIT_TRANSFER, ASKED))


def test_a_taker_holds_so_many_quotes_and_no_more_until_they_run_out(store: Store) -> None:
    for _ in range(OPEN_QUOTES_MAX):
        desk(store).offer(asked())
    with pytest.raises(QuotesExhausted):
        desk(store).offer(asked())
    desk(store).offer(Received(BANK_B, Kind.QUOTE_REQUEST, ASKED))
    desk(store, now=lambda: NOW + 61).offer(asked())
    with store.reading() as work:
        assert work.quotes.open_count(BANK_A, NOW + 61) == 1
