"""Sealed messages: taken from whoever the registry knows, answered sealed, refused by name.

Cites docs/spec/api.md: API-1, 3, 10, 11, 43.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.api.assembly import BODY_BYTES_MAX
from bridge.chain import settlement_id
from bridge.fx import OPEN_QUOTES_MAX
from bridge.interbank import CONTENT_TYPE, SEALED_BYTES_MAX, Heading, Kind
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.format import format_credit_transfer
from bridge.iso20022.identifiers import parse_bic, parse_lei
from bridge.iso20022.messages import AccountIdentification, Agent, CreditTransfer
from bridge.money import Amount
from bridge.payment import SignedQuote
from support.bridge_api import CENTRAL_BANK, NOW, OPERATOR, Bridge, bank, central_bank, fx_provider
from support.bridge_records import signed_quote
from support.messages import ALICE, BOB, DAY, MOMENT, SGD, UETR
from support.messages import BANK_B as BANK_B_AGENT
from support.participants import BANK_A, BANK_B, PROVIDER

MESSAGES, CHARGES, QUOTES, ISSUANCES = (
    "/v1/interbank/messages",
    "/v1/interbank/charges",
    "/v1/interbank/quotes",
    "/v1/interbank/issuances",
)
WISH = {"source": "EUR", "target": "SGD", "amount": "1000.00"}
REQUEST = {"reference": "ab" * 32, "amount": "250.00", "currency": "EUR"}


def post(bridge: Bridge, path: str, sealed: bytes, content_type: str = CONTENT_TYPE) -> Any:
    return bridge.request("POST", path, headers={"content-type": content_type}, content=sealed)


def transfer() -> dict[str, str]:
    """A sealed pacs.008 from bank B to bank A."""
    own = Agent(bic=parse_bic("AURODEF0XXX"), lei=parse_lei(BANK_A))
    document = format_credit_transfer(
        CreditTransfer(
            message_id="M-1",
            created_at=MOMENT,
            instruction_id=None,
            end_to_end_id="E-1",
            transaction_id="T-1",
            uetr=UETR,
            interbank_settlement_amount=Amount(SGD, 100),
            interbank_settlement_date=DAY,
            instructed_amount=None,
            exchange_rate=None,
            charge_bearer=ChargeBearer.SHAR,
            charges=(),
            instructing_agent=BANK_B_AGENT,
            instructed_agent=own,
            debtor=BOB,
            debtor_account=AccountIdentification(other="0720123456"),
            debtor_agent=BANK_B_AGENT,
            creditor=ALICE,
            creditor_account=AccountIdentification(other="1"),
            creditor_agent=own,
        )
    )
    key = settlement_id(BANK_B, UETR)
    return {"settlement_id": key.hex(), "salt": "02" * 32, "document": document.decode()}


def test_a_payment_message_is_taken_once_however_often_it_comes(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    sealed = bridge.sealed_by(BANK_B, Kind.CREDIT_TRANSFER, transfer(), to=BANK_A)
    first = post(bridge, MESSAGES, sealed)
    assert (first.status_code, first.json()) == (202, {})
    rows = bridge.rows()
    again = bridge.sealed_by(BANK_B, Kind.CREDIT_TRANSFER, transfer(), to=BANK_A)
    assert post(bridge, MESSAGES, again).status_code == 202
    assert bridge.rows() == rows
    assert rows["inbox"] == 1


def test_api_3_a_quote_is_sealed_to_whoever_asked(tmp_path: Path) -> None:
    bridge = fx_provider(tmp_path)
    question = bridge.sealed_by(BANK_A, Kind.QUOTE_REQUEST, WISH, to=PROVIDER)
    answer = post(bridge, QUOTES, question)
    assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    opened = bridge.channel(BANK_A).open(answer.content)
    assert (opened.sender_lei, opened.kind) == (PROVIDER, Kind.QUOTE)
    assert opened.answers == hashlib.sha256(question).digest()
    assert opened.body["rate"] == "1.45200"
    assert bridge.rows()["quotes"] == 1


@pytest.mark.parametrize(
    ("make", "path", "asked", "kind"),
    [
        (fx_provider, QUOTES, PROVIDER, Kind.ISSUANCE_REQUEST),
        (fx_provider, QUOTES, PROVIDER, Kind.QUOTE),
        (bank, CHARGES, BANK_A, Kind.QUOTE_REQUEST),
        (central_bank, ISSUANCES, CENTRAL_BANK, Kind.QUOTE_REQUEST),
    ],
)
def test_a_message_of_another_kind_is_no_question_for_this_route(
    tmp_path: Path, make: Callable[[Path], Bridge], path: str, asked: str, kind: Kind
) -> None:
    bridge = make(tmp_path)
    rows = bridge.rows()
    answer = post(bridge, path, bridge.sealed_by(BANK_B, kind, {**WISH, **REQUEST}, to=asked))
    assert (answer.status_code, answer.json()["code"]) == (400, "envelope_invalid")
    assert bridge.rows() == rows


def test_chg_2_a_bank_tells_another_what_it_takes(tmp_path: Path) -> None:
    bridge = bank(tmp_path, published_charges={"EUR": "2.00"})
    question = bridge.sealed_by(BANK_B, Kind.CHARGE_REQUEST, {"currency": "EUR"}, to=BANK_A)
    answer = post(bridge, CHARGES, question)
    assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    opened = bridge.channel(BANK_B).open(answer.content)
    assert (opened.sender_lei, opened.kind) == (BANK_A, Kind.CHARGE)
    assert opened.answers == hashlib.sha256(question).digest()
    assert opened.body["amount"] == "2.00"


def test_a_taker_that_holds_its_quotes_is_asked_for_patience(tmp_path: Path) -> None:
    bridge = fx_provider(tmp_path)
    for number in range(OPEN_QUOTES_MAX):
        with bridge.store.unit_of_work() as work:
            work.quotes.add(open_quote(number))
    answer = post(bridge, QUOTES, bridge.sealed_by(BANK_A, Kind.QUOTE_REQUEST, WISH, to=PROVIDER))
    assert (answer.status_code, answer.json()["code"]) == (503, "quotes_exhausted")
    assert bridge.rows()["quotes"] == OPEN_QUOTES_MAX


def open_quote(number: int) -> SignedQuote:
    """A quote that bank A holds and that has not run out."""
    kept = signed_quote()
    salt = number.to_bytes(32, "big")
    held = replace(kept.quote, taker=BANK_A, valid_until=NOW + 60, salt=salt)
    return replace(kept, quote=held, quote_hash=salt)


def test_a_request_for_issuance_sets_the_senders_reserves_aside_once(tmp_path: Path) -> None:
    bridge = central_bank(tmp_path)
    for _ in range(2):
        sealed = bridge.sealed_by(BANK_A, Kind.ISSUANCE_REQUEST, REQUEST, to=CENTRAL_BANK)
        answer = post(bridge, ISSUANCES, sealed)
        assert answer.status_code == 200
        opened = bridge.channel(BANK_A).open(answer.content)
        assert (opened.kind, opened.answers) == (
            Kind.ISSUANCE_TAKEN,
            hashlib.sha256(sealed).digest(),
        )
        assert opened.body == {"reference": REQUEST["reference"]}
    items = bridge.request("GET", "/v1/ledger/accounts", token=OPERATOR).json()["items"]
    held = {item["id"]: item["ledger"]["value"] for item in items}
    assert held[f"rtgs:{BANK_A}"] == "750.00"
    assert held["tokens-outstanding:EUR"] == "250.00"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**REQUEST, "amount": "1000.01"}, 422, "insufficient_funds"),
        ({**REQUEST, "currency": "SGD"}, 422, "currency_unsupported"),
        ({**REQUEST, "amount": "0"}, 400, "envelope_invalid"),
        ({**REQUEST, "amount": "1.234"}, 422, "too_many_decimals"),
        ({**REQUEST, "reference": "zz"}, 400, "envelope_invalid"),
        ({"amount": "1", "currency": "EUR"}, 400, "envelope_invalid"),
    ],
)
def test_api_43_a_request_for_issuance_that_cannot_be_leaves_nothing(
    tmp_path: Path, body: dict[str, str], status: int, code: str
) -> None:
    bridge = central_bank(tmp_path)
    rows = bridge.rows()
    sealed = bridge.sealed_by(BANK_A, Kind.ISSUANCE_REQUEST, body, to=CENTRAL_BANK)
    answer = post(bridge, ISSUANCES, sealed)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert bridge.rows() == rows


def test_a_known_reference_for_another_amount_is_refused(tmp_path: Path) -> None:
    bridge = central_bank(tmp_path)
    for amount, code in (("1.00", None), ("2.00", "issuance_conflict")):
        body = {**REQUEST, "amount": amount}
        sealed = bridge.sealed_by(BANK_A, Kind.ISSUANCE_REQUEST, body, to=CENTRAL_BANK)
        answer = post(bridge, ISSUANCES, sealed)
        assert answer.status_code == (200 if code is None else 422)
    assert answer.json()["code"] == "issuance_conflict"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**WISH, "target": "USD"}, "pair_not_quoted"),
        ({**WISH, "target": "XXX"}, "unknown_currency"),
        ({**WISH, "amount": "-1"}, "invalid_amount"),
        ({}, "unknown_currency"),
    ],
)
def test_api_43_a_request_for_a_quote_that_cannot_be_leaves_nothing(
    tmp_path: Path, body: dict[str, str], code: str
) -> None:
    bridge = fx_provider(tmp_path)
    rows = bridge.rows()
    sealed = bridge.sealed_by(BANK_A, Kind.QUOTE_REQUEST, body, to=PROVIDER)
    answer = post(bridge, QUOTES, sealed)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert bridge.rows() == rows


def forged(bridge: Bridge) -> bytes:
    """Sealed by bank B in the name of the provider."""
    known = bridge.network[PROVIDER]
    bridge.network[PROVIDER] = replace(known, keys=bridge.network[BANK_B].keys)
    sealed = bridge.sealed_by(PROVIDER, Kind.CREDIT_TRANSFER, transfer(), to=BANK_A)
    bridge.network[PROVIDER] = known
    return sealed


def for_another(bridge: Bridge) -> bytes:
    """Sealed to bank A, signed for bank B."""
    other = bridge.network[BANK_B]
    known = bridge.chain.known
    bridge.chain.known = type(known)(
        [
            replace(other.participant, sealing_key=bridge.network[BANK_A].keys.sealing_public),
            *(each for each in known.participants if each.lei != BANK_B),
        ]
    )
    sealed = bridge.sealed_by(PROVIDER, Kind.CREDIT_TRANSFER, transfer(), to=BANK_B)
    bridge.chain.known = known
    return sealed


def by_a_stranger(bridge: Bridge) -> bytes:
    sealed = bridge.sealed_by(BANK_B, Kind.CREDIT_TRANSFER, transfer(), to=BANK_A)
    known = bridge.chain.known
    bridge.chain.known = type(known)(each for each in known.participants if each.lei != BANK_B)
    return sealed


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda _: b"", 400, "envelope_invalid"),
        (lambda _: b"nonsense", 400, "envelope_invalid"),
        (lambda _: b"\xff\x00", 400, "envelope_invalid"),
        (lambda _: b"a." * 40 + b"a", 400, "envelope_invalid"),
        (lambda _: b"a" * (SEALED_BYTES_MAX + 1), 413, "message_too_large"),
        (lambda _: b"a" * (BODY_BYTES_MAX + 1), 413, "body_too_large"),
        (forged, 401, "envelope_signature_invalid"),
        (for_another, 422, "envelope_misdirected"),
        (by_a_stranger, 422, "participant_unknown"),
        (
            lambda bridge: bridge.sealed_by(BANK_B, Kind.QUOTE_REQUEST, WISH, to=BANK_A),
            400,
            "envelope_invalid",
        ),
        (
            lambda bridge: bridge.sealed_by(BANK_B, Kind.CREDIT_TRANSFER, {}, to=BANK_A),
            400,
            "envelope_invalid",
        ),
        (
            lambda bridge: bridge.sealed_by(
                BANK_B, Kind.CREDIT_TRANSFER, {**transfer(), "document": "<x/>"}, to=BANK_A
            ),
            422,
            "unknown_message",
        ),
        (
            lambda bridge: bridge.sealed_by(
                BANK_B, Kind.STATUS_REPORT, {"document": "<x/>"}, to=BANK_A
            ),
            422,
            "unknown_message",
        ),
    ],
)
def test_api_3_43_what_is_no_message_for_this_bank_is_refused_and_leaves_nothing(
    tmp_path: Path, make: Callable[[Bridge], bytes], status: int, code: str
) -> None:
    bridge = bank(tmp_path)
    rows = bridge.rows()
    answer = post(bridge, MESSAGES, make(bridge))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert bridge.rows() == rows


def test_another_message_for_the_same_payment_is_refused_and_the_first_stays(
    tmp_path: Path,
) -> None:
    bridge = bank(tmp_path)
    sealed = bridge.sealed_by(BANK_B, Kind.CREDIT_TRANSFER, transfer(), to=BANK_A)
    post(bridge, MESSAGES, sealed)
    other = {**transfer(), "salt": "03" * 32}
    answer = post(
        bridge, MESSAGES, bridge.sealed_by(BANK_B, Kind.CREDIT_TRANSFER, other, to=BANK_A)
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "inbox_conflict")
    with bridge.store.reading() as work:
        kept = work.inbox.get(settlement_id(BANK_B, UETR))
    assert kept is not None
    assert kept.salt.hex() == "02" * 32


@pytest.mark.parametrize("content_type", ["application/json", ""])
def test_api_11_a_sealed_message_has_its_content_type(tmp_path: Path, content_type: str) -> None:
    answer = post(bank(tmp_path), MESSAGES, b"", content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_unsupported")


def test_api_1_each_question_is_for_one_role(tmp_path: Path) -> None:
    allowed = {bank: MESSAGES, fx_provider: QUOTES, central_bank: ISSUANCES}
    for make, own in allowed.items():
        folder = tmp_path / make.__name__
        folder.mkdir()
        bridge = make(folder)
        statuses = {path: post(bridge, path, b"").status_code for path in allowed.values()}
        taken = {own, MESSAGES}
        assert statuses == {path: 400 if path in taken else 404 for path in allowed.values()}


def test_ibk_19_what_nobody_takes_at_an_institution_is_refused(tmp_path: Path) -> None:
    for name, make in ((PROVIDER, fx_provider), (CENTRAL_BANK, central_bank)):
        (tmp_path / name).mkdir()
        bridge = make(tmp_path / name)
        sealed = bridge.sealed_by(BANK_A, Kind.CREDIT_TRANSFER, transfer(), to=name)
        answer = post(bridge, MESSAGES, sealed)
        assert (answer.status_code, answer.json()["code"]) == (400, "envelope_invalid")
        assert bridge.rows()["receipts"] == 0


def test_ibk_16_a_message_id_is_used_once(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    headings = (Heading("M", 1, NOW), Heading("M", 2, NOW))
    answers = [
        post(
            bridge,
            MESSAGES,
            bridge.channel(BANK_B).seal(BANK_A, Kind.CREDIT_TRANSFER, transfer(), heading),
        )
        for heading in headings
    ]
    assert [answer.status_code for answer in answers] == [202, 422]
    assert answers[1].json()["code"] == "message_id_reused"


def test_ibk_3_what_is_delivered_has_a_heading(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    sealed = bridge.channel(BANK_B).seal(BANK_A, Kind.CREDIT_TRANSFER, transfer())
    answer = post(bridge, MESSAGES, sealed)
    assert (answer.status_code, answer.json()["code"]) == (400, "envelope_invalid")
