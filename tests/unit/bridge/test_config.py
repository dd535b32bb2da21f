"""Settings are read once and refused by field and rule; books follow from them once.

Cites docs/spec/api.md: API-60, 61.
"""

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.app import Runtime, attest
from bridge.config import Role, Settings, load_liquidity_settings, load_settings
from bridge.errors import KeyUnusable, SettingsInvalid
from bridge.keys import MessageKeys, generate_keystore
from bridge.money import parse_currency
from bridge.opening import open_books
from bridge.store import CustomerAccountStatus, Store
from bridge.store.effects import Lane
from support.bridge_api import ALICE_IBAN, NOW, SECRET, bank_document, settings_document
from support.participants import BANK_A, PROVIDER

EUR = parse_currency("EUR")


def written(folder: Path, document: Any) -> Path:
    path = folder / "settings.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_settings_are_read_with_paths_beside_their_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, bank_document()))
    assert settings.role is Role.BANK
    assert settings.database == tmp_path / "bridge.sqlite"
    assert settings.secret_file == tmp_path / "secret"


def test_an_absolute_path_stays_what_it_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "secret"
    document = {**bank_document(), "secret_file": str(elsewhere)}
    assert load_settings(written(tmp_path, document)).secret_file == elsewhere


LIQUIDITY = {
    "lei": BANK_A,
    "database": "liquidity.db",
    "node_url": "http://127.0.0.1:8545",
    "chain_id": 1,
    "genesis_hash": "0x" + "11" * 32,
    "operating_keystore": "operating.json",
    "passphrase_file": "passphrase",
}


def test_a_liquidity_service_has_settings_of_its_own(tmp_path: Path) -> None:
    """LQS-3."""
    settings = load_liquidity_settings(written(tmp_path, LIQUIDITY))
    assert settings.database == tmp_path / "liquidity.db"
    assert (settings.second_pass, settings.round_items_max) == (True, 128)


@pytest.mark.parametrize(
    ("change", "place"),
    [({"round_items_max": 129}, "round_items_max"), ({"role": "bank"}, "role")],
)
def test_a_liquidity_services_settings_that_break_a_rule_are_refused_by_place(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_liquidity_settings(written(tmp_path, {**LIQUIDITY, **change}))
    assert refused.value.rule.startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"surprise": 1}, "surprise"),
        ({"role": "shop"}, "role"),
        ({"lei": "short"}, "lei"),
        ({"bic": "aurodef0"}, "bic"),
        ({"port": 70_000}, "port"),
        ({"chain_id": 0}, "chain_id"),
        ({"genesis_hash": "0x00"}, "genesis_hash"),
        ({"operators": []}, "operators"),
        (
            {"operators": [{"operator_id": "olga", "token_sha256": "plain"}]},
            "operators.0.token_sha256",
        ),
        (
            {
                "operators": [
                    {"operator_id": "olga", "token_sha256": "0" * 64},
                    {"operator_id": "otto", "token_sha256": "0" * 64},
                ]
            },
            "token",
        ),
        ({"margin_basis_points": 1_001}, "margin_basis_points"),
        ({"fee": {"EUR": "five"}}, "fee"),
        ({"published_charges": {"EUR": "-1"}}, "published_charges"),
        ({"calendars": {"EUR": {"zone": "Europe/Atlantis"}}}, "calendars"),
        ({"calendars": {"EUR": {"zone": "UTC", "holidays": "lunar"}}}, "calendars"),
        ({"calendars": {"EUR": {"zone": "UTC", "weekend": [0, 1, 2, 3, 4, 5, 6]}}}, "calendars"),
        (
            {"calendars": {"EUR": {"zone": "UTC", "opens": "18:00", "cut_off": "07:00"}}},
            "calendars",
        ),
        ({"settle_seconds": 10, "accept_seconds": 20}, "settle_seconds"),
        ({"customers": [{"customer_id": "Alice"}]}, "customers.0.customer_id"),
        ({"openings": [{"debit": "a"}]}, "openings.0"),
        ({"openings": [*bank_document()["openings"], bank_document()["openings"][0]]}, "openings"),
        ({"currencies": ["SGD"]}, "customers.alice"),
    ],
)
def test_api_60_a_field_that_breaks_a_rule_is_named(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(written(tmp_path, {**bank_document(), **change}))
    assert place in refused.value.rule


@pytest.mark.parametrize(
    "document",
    [
        {**settings_document(PROVIDER, "fx_provider", ["EUR"]), "quoting_keystore": None},
        settings_document(BANK_A, "central_bank", ["EUR", "SGD"]),
        settings_document(BANK_A, "central_bank", []),
    ],
)
def test_api_60_a_role_needs_what_belongs_to_it(tmp_path: Path, document: dict[str, Any]) -> None:
    with pytest.raises(SettingsInvalid):
        load_settings(written(tmp_path, document))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"role": "bank"}'])
def test_api_60_a_file_that_holds_no_settings_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(SettingsInvalid):
        load_settings(written(tmp_path, content))


def test_api_60_a_missing_file_or_one_of_other_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid):
        load_settings(tmp_path / "nowhere.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsInvalid):
        load_settings(tmp_path / "bytes.json")


def test_api_61_books_are_opened_once(tmp_path: Path) -> None:
    settings = Settings.model_validate(bank_document())
    store = Store.open(tmp_path / "bridge.sqlite")
    for now in (NOW, NOW + 5):
        open_books(store, settings, now)
    with store.reading() as work:
        assert work.ledger.balance(chart.deposit(ALICE_IBAN)).ledger.format() == "2000.00"
        assert work.ledger.balance(chart.reserves(EUR)).ledger.format() == "10000.00"
        account = work.customers.by_identification(ALICE_IBAN)
        assert account is not None
        assert account.customer_id == "alice"
        assert work.ledger.entry("opening:alice").entry.booked_at == NOW


def test_api_61_an_opening_put_in_front_books_none_of_the_others_again(tmp_path: Path) -> None:
    document = bank_document()
    store = Store.open(tmp_path / "bridge.sqlite")
    open_books(store, Settings.model_validate(document), NOW)
    equity = document["openings"][1]
    document["openings"].insert(0, {**equity, "opening_id": "more", "amount": "7.00"})
    open_books(store, Settings.model_validate(document), NOW)
    with store.reading() as work:
        assert work.ledger.balance(chart.reserves(EUR)).ledger.format() == "10007.00"


@pytest.mark.parametrize(
    "change", [{"amount": "2000.01"}, {"credit": "equity:EUR"}, {"debit": "tokens:EUR"}]
)
def test_api_60_an_opening_that_was_booked_otherwise_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    document = bank_document()
    store = Store.open(tmp_path / "bridge.sqlite")
    open_books(store, Settings.model_validate(document), NOW)
    document["openings"][0] |= change
    with pytest.raises(SettingsInvalid) as refused:
        open_books(store, Settings.model_validate(document), NOW)
    assert refused.value.rule.startswith("openings.alice: ")


def test_api_61_an_account_that_was_frozen_stays_frozen_over_a_start(tmp_path: Path) -> None:
    settings = Settings.model_validate(bank_document())
    store = Store.open(tmp_path / "bridge.sqlite")
    open_books(store, settings, NOW)
    frozen = CustomerAccountStatus.FROZEN
    with store.unit_of_work() as work:
        work.customers.set_status(chart.deposit(ALICE_IBAN), frozen)
    open_books(store, settings, NOW)
    with store.reading() as work:
        account = work.customers.by_identification(ALICE_IBAN)
    assert account is not None
    assert account.status is frozen


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (
            {"customers": [{**bank_document()["customers"][0], "accounts": [_account]}]},
            "customers.alice",
        )
        for _account in (
            {"scheme": "iban", "identification": "DE00", "currency": "EUR"},
            {"scheme": "iban", "identification": "DE72500999990123456780", "currency": "EUR"},
        )
    ]
    + [
        ({"customers": [{**bank_document()["customers"][0], **_change}]}, "customers.alice")
        for _change in (
            {"name": "Jörg"},
            {"address": {"town": "T" * 36, "country": "DE"}},
            {"address": {"town": "Bonn", "country": "DE", "street": "Große Straße"}},
        )
    ]
    + [
        ({"openings": [{**bank_document()["openings"][0], **_change}]}, "openings.alice")
        for _change in (
            {"amount": "1.001"},
            {"currency": "XXX"},
            {"debit": "nowhere:EUR"},
            {"credit": "reserves:EUR", "debit": "equity:EUR"},
        )
    ],
)
def test_api_60_books_that_cannot_be_opened_are_a_fault_of_the_settings(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    settings = Settings.model_validate({**bank_document(), **change})
    store = Store.open(tmp_path / "bridge.sqlite")
    with pytest.raises(SettingsInvalid) as refused:
        open_books(store, settings, NOW)
    assert refused.value.rule.startswith(f"{place}: ")
    with store.reading() as work:
        assert work.ledger.accounts() == ()


def test_an_opening_of_the_central_bank_opens_the_rtgs_account(tmp_path: Path) -> None:
    opening = {
        "opening_id": "lent",
        "debit": "lending:EUR",
        "credit": f"rtgs:{BANK_A}",
        "amount": "7.00",
        "currency": "EUR",
    }
    document = {**settings_document(BANK_A, "central_bank", ["EUR"]), "openings": [opening]}
    store = Store.open(tmp_path / "bridge.sqlite")
    open_books(store, Settings.model_validate(document), NOW)
    with store.reading() as work:
        assert work.ledger.balance(chart.rtgs(BANK_A)).ledger.format() == "7.00"
        assert work.ledger.account(chart.rtgs(BANK_A)).owner == BANK_A


@pytest.fixture
def keyed(tmp_path: Path) -> Settings:
    """Settings beside keys that open."""
    generate_keystore(tmp_path / "operating.keystore.json", "pass", 1)
    MessageKeys.generate(tmp_path / "message-keys.json")
    (tmp_path / "passphrase").write_text("pass\n")
    (tmp_path / "secret").write_text(SECRET.hex() + "\n")
    return load_settings(written(tmp_path, bank_document()))


def test_a_runtime_is_built_from_its_files(keyed: Settings) -> None:
    runtime = Runtime(keyed, threading.Event())
    assert runtime.institution.secret == SECRET
    assert runtime.services.desk is None
    assert runtime.readiness().waiting_for == ("chain",)
    runtime.close()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("passphrase", None, SettingsInvalid),
        ("passphrase", "wrong", KeyUnusable),
        ("secret", None, SettingsInvalid),
        ("secret", "zz", SettingsInvalid),
        ("secret", "00" * 31, SettingsInvalid),
        ("message-keys.json", None, KeyUnusable),
        ("message-keys.json", "{}", KeyUnusable),
        ("operating.keystore.json", None, KeyUnusable),
        ("operating.keystore.json", "{}", KeyUnusable),
    ],
)
def test_api_60_keys_that_do_not_open_are_refused_by_name(
    keyed: Settings, tmp_path: Path, name: str, content: str | None, fault: type[Exception]
) -> None:
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(fault):
        Runtime(keyed, threading.Event())


def test_api_60_only_a_central_bank_attests(keyed: Settings) -> None:
    with pytest.raises(SettingsInvalid):
        attest(keyed, threading.Event(), lambda: None)


def test_two_workers_never_wait_for_another_institution(keyed: Settings) -> None:
    """OUT-7 of docs/spec/ledger.md, as the bridge is put together."""
    runtime = Runtime(keyed, threading.Event())
    by_lane = Counter(worker._lane for worker in runtime._workers.values())
    runtime.close()
    asking = frozenset({"execute_standing_order", "request_issuance"})
    assert by_lane == {Lane(leaves=asking): 2, Lane(): 2}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://corridor@db.example:5432/bank?sslmode=verify-full",
        "postgresql://corridor@/bank?host=/run/postgresql",
    ],
)
def test_a_database_may_be_on_a_server(tmp_path: Path, url: str) -> None:
    """STO-9."""
    assert load_settings(written(tmp_path, {**bank_document(), "database": url})).database == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://corridor:secret@db.example/bank",
        "postgresql://corridor@db.example/bank?password=secret",
        "postgresql://corridor@db.example",
        "mysql://corridor@db.example/bank",
    ],
)
def test_a_database_with_a_password_in_its_url_or_of_another_kind_is_refused(
    tmp_path: Path, url: str
) -> None:
    """STO-9."""
    with pytest.raises(SettingsInvalid, match="database") as refused:
        load_settings(written(tmp_path, {**bank_document(), "database": url}))
    assert "secret" not in str(refused.value)
