"""A bridge's API over a real store, with a chain that stands still: for tests of the routes."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import httpx
from fastapi import FastAPI

from bridge.api import Readiness, Services, create_api
from bridge.back_office import BackOffice
from bridge.chain import Attestation, ChainClient, Directory, Submitter
from bridge.config import Role, Settings
from bridge.credit_lines import SET_CREDIT_LIMIT, set_credit_limit
from bridge.fx import QuoteDesk, Terminal
from bridge.holds import TAKE_FROM_HOLD, take_from_hold
from bridge.institution import Institution
from bridge.interbank import Heading, Interbank, Kind, Receivers
from bridge.interbank.kinds import DEFINITION_BY_KIND
from bridge.metrics import BridgeMetrics
from bridge.opening import open_books
from bridge.operating import Action, FourEyes
from bridge.revival import REVIVE_EFFECT, revive_effect
from bridge.settlement import acceptance, supervision
from bridge.settlement.interventions import settlement_actions
from bridge.shredding import SHRED_MESSAGES, shred_messages
from bridge.store import MasterKey, Store
from bridge.tariff import CHARGES_PATH, answer_charge
from support.participants import BANK_A, BANK_B, PROVIDER, make_institutions
from support.participants import Institution as Keys

NOW: Final = 1_795_429_800
"""2026-11-23, the day of the example instruction."""
CHAIN_ID: Final = 2_002_200
CENTRAL_BANK: Final = "DEVN00EUROSYSTEM0007"
ALICE, CAROL = "alice-token", "carol-token"
OPERATOR, SECOND_OPERATOR, MONITOR = "operator-token", "second-operator-token", "monitor-token"
ALICE_IBAN: Final = "DE72500999990123456789"
CAROL_IBAN: Final = "DE89370400440532013000"
SECRET: Final = b"\x07" * 32
GENESIS_HASH: Final = b"\x11" * 32

ORDER: Final[Mapping[str, Any]] = {
    "end_to_end_id": "RENT-2026-12",
    "requested_execution_date": "2026-11-23",
    "debtor_account": {"iban": ALICE_IBAN},
    "creditor": {
        "name": "Bob Tan Wei Ming",
        "address": {"town": "Singapore", "country": "SG", "post_code": "018981"},
    },
    "creditor_account": {"other": "0720123456"},
    "creditor_agent": {"bic": "STHBSGS0XXX"},
    "amount": {"value": "1000.00", "currency": "SGD"},
}
"""Alice's payment of Singapore dollars to Bob at bank B, as the API takes it."""
ON_US_ORDER: Final[Mapping[str, Any]] = {
    "end_to_end_id": "RENT",
    "debtor_account": {"iban": ALICE_IBAN},
    "creditor": {"name": "Carol Brandt", "address": {"town": "Frankfurt", "country": "DE"}},
    "creditor_account": {"iban": CAROL_IBAN},
    "creditor_agent": {"bic": "AURODEF0XXX"},
    "amount": {"value": "100.00", "currency": "EUR"},
}
"""Alice's payment of euros to Carol at the same bank; a test says for which day, or days."""

ACTIONS: Final = {
    REVIVE_EFFECT: revive_effect,
    SET_CREDIT_LIMIT: set_credit_limit,
    TAKE_FROM_HOLD: take_from_hold,
}


def make_network() -> dict[str, Keys]:
    """Two banks, an fx provider and a central bank, with their keys, by LEI."""
    made = make_institutions(BANK_A, BANK_B, PROVIDER)
    issuer = make_institutions(PROVIDER)[PROVIDER]
    participant = replace(
        issuer.participant,
        lei=CENTRAL_BANK,
        bic="DVEUDEF0XXX",
        country="DE",
        roles=frozenset({"issuer"}),
        accounts=(),
    )
    return {**made, CENTRAL_BANK: replace(issuer, participant=participant)}


@dataclass(slots=True)
class StandingChain:
    """What the bridge asks of its node, answered from here."""

    known: Directory
    chain_id: int = CHAIN_ID
    balances: dict[int, int] = field(default_factory=dict)
    supplies: dict[int, int] = field(default_factory=dict)
    attested: Attestation = field(default_factory=lambda: Attestation(0, 0, 0, 0, bytes(32)))

    def directory(self) -> Directory:
        return self.known

    def currencies(self) -> frozenset[str]:
        return frozenset({"EUR", "SGD"})

    def issuer_of(self, code: str) -> str:
        assert code in self.currencies()
        return CENTRAL_BANK

    def token_address(self, numeric: int) -> bytes:
        return numeric.to_bytes(20, "big")

    def balance_of(self, numeric: int, _: bytes, *, block_number: int | None = None) -> int:
        assert block_number is not None
        return self.balances.get(numeric, 0)

    def total_supply(self, numeric: int, *, block_number: int | None = None) -> int:
        assert block_number is not None
        return self.supplies.get(numeric, 0)

    def latest_attestation(self, _: int, *, block_number: int | None = None) -> Attestation:
        assert block_number is None or block_number >= 0
        return self.attested


@dataclass(slots=True)
class Bridge:
    """One institution's API with hands on what is behind it."""

    api: FastAPI
    store: Store
    chain: StandingChain
    database: Path
    network: dict[str, Keys]
    readiness: Readiness = field(default_factory=lambda: Readiness(is_ready=True))
    takes_writes: bool = True
    now: int = NOW
    charges: dict[str, str] = field(default_factory=dict)
    """What bank B takes for crediting a payment, by currency."""

    @property
    def institution(self) -> Institution:
        """The institution behind the API."""
        services: Services = self.api.state.services
        return services.institution

    def balance(self, account_id: str) -> str:
        """What is available on an account, as decimal text."""
        with self.store.reading() as work:
            return work.ledger.balance(account_id).available.format()

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> httpx.Response:
        """One request, answered; a fault of the bridge is an answer too."""
        return ask(self.api, method, path, token=token, headers=headers, **arguments)

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        connection = sqlite3.connect(self.database)
        try:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
                for (name,) in names.fetchall()
            }
        finally:
            connection.close()

    def sealed_by(self, lei: str, kind: Kind, body: dict[str, str], *, to: str) -> bytes:
        """A message as another institution would seal it."""
        heading = heading_of(body) if kind in DEFINITION_BY_KIND else None
        return self.channel(lei).seal(to, kind, body, heading)

    def channel(self, lei: str) -> Interbank:
        """Another institution's end of the sealed channel."""
        keys = self.network[lei].keys
        return Interbank(lei, keys, self.chain.directory, httpx.Client(), GENESIS_HASH)

    def advance(self) -> None:
        """Let the ledger have followed the chain to its first block."""
        with self.store.unit_of_work() as work:
            work.chain_log.advance(number=0, block_hash=bytes(32), parent_hash=bytes(32))


def ask(
    api: FastAPI,
    method: str,
    path: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    **arguments: Any,
) -> httpx.Response:
    """One request to an API in this process, answered; a fault of the bridge is an answer too."""
    bearer = {} if token is None else {"authorization": f"Bearer {token}"}

    async def answered() -> httpx.Response:
        transport = httpx.ASGITransport(api, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
            return await client.request(
                method, path, headers={**bearer, **(headers or {})}, **arguments
            )

    return asyncio.run(answered())


def heading_of(body: dict[str, str]) -> Heading:
    """The heading of a message, the same for the same body."""
    text = json.dumps(body, sort_keys=True)
    return Heading(hashlib.sha256(text.encode()).hexdigest()[:32], position=1, created_at=NOW)


def settings_document(lei: str, role: str, currencies: list[str]) -> dict[str, Any]:
    """Settings that are right, as JSON."""
    return {
        "role": role,
        "lei": lei,
        "bic": "AURODEF0XXX",
        "name": "An institution",
        "database": "bridge.sqlite",
        "port": 0,
        "node_url": "http://127.0.0.1:1",
        "chain_id": CHAIN_ID,
        "genesis_hash": f"0x{GENESIS_HASH.hex()}",
        "currencies": currencies,
        "operating_keystore": "operating.keystore.json",
        "quoting_keystore": "quoting.keystore.json" if role == "fx_provider" else None,
        "passphrase_file": "passphrase",
        "message_keys": "message-keys.json",
        "secret_file": "secret",
        "monitor_token_sha256": digest(MONITOR),
        "issuance_threshold": {"EUR": "1000000.00"},
        "operators": [
            {"operator_id": "olga", "token_sha256": digest(OPERATOR)},
            {"operator_id": "otto", "token_sha256": digest(SECOND_OPERATOR)},
        ],
    }


def bank_document() -> dict[str, Any]:
    """Settings of bank A with its customers and openings, as JSON."""
    return {
        **settings_document(BANK_A, "bank", ["EUR"]),
        "fx_provider_lei": PROVIDER,
        "fee": {"EUR": "5.00"},
        "margin_basis_points": 25,
        "customers": [
            _customer("alice", "Alice Lindner", ALICE, ALICE_IBAN),
            _customer("carol", "Carol Brandt", CAROL, CAROL_IBAN),
        ],
        "openings": [
            _opening("alice", "reserves:EUR", f"deposit:{ALICE_IBAN}", "2000.00"),
            _opening("equity", "reserves:EUR", "equity:EUR", "8000.00"),
            _opening("tokens", "tokens:EUR", "equity:EUR", "5000.00"),
        ],
    }


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def bank(folder: Path, **changes: Any) -> Bridge:
    """Bank A, whose fx provider and whose peer, bank B, answer at once."""
    document = {**bank_document(), **changes}
    return _bridge(folder, Settings.model_validate(document), answer_quotes=True)


def bank_without_provider(folder: Path) -> Bridge:
    """Bank A, whose fx provider does not answer."""
    return _bridge(folder, Settings.model_validate(bank_document()))


def fx_provider(folder: Path) -> Bridge:
    """The fx provider."""
    document = {
        **settings_document(PROVIDER, "fx_provider", ["EUR", "SGD"]),
        "bic": "ARDELUL0XXX",
        "rates": [{"source": "EUR", "target": "SGD", "rate": "1.4520"}],
        "openings": [_opening("equity", "reserves:EUR", "equity:EUR", "1000.00")],
    }
    return _bridge(folder, Settings.model_validate(document))


def central_bank(folder: Path) -> Bridge:
    """The central bank of the euro; bank A has reserves there."""
    document = {
        **settings_document(CENTRAL_BANK, "central_bank", ["EUR"]),
        "bic": "DVEUDEF0XXX",
        "openings": [_opening("lent", "lending:EUR", f"rtgs:{BANK_A}", "1000.00")],
    }
    return _bridge(folder, Settings.model_validate(document))


def _bridge(folder: Path, settings: Settings, *, answer_quotes: bool = False) -> Bridge:
    network = make_network()
    chain = StandingChain(Directory(keys.participant for keys in network.values()))
    database = folder / "bridge.sqlite"
    store = Store.open(database, master=MasterKey.derive(SECRET))
    open_books(store, settings, NOW)
    bridge = Bridge(FastAPI(), store, chain, database, network)
    peers = _peers(bridge, folder / "desk") if answer_quotes else _SILENT
    salts = iter(range(1, 1_000_000))
    institution = Institution(
        settings=settings,
        store=store,
        chain=cast(ChainClient, chain),
        interbank=Interbank(
            settings.lei,
            network[settings.lei].keys,
            chain.directory,
            httpx.Client(transport=peers),
            GENESIS_HASH,
        ),
        clock=lambda: bridge.now,
        salt=lambda: next(salts).to_bytes(32, "little"),
        secret=SECRET,
    )
    role = settings.role.value
    submitter = Submitter(store, institution.chain, network[settings.lei].quoting, lambda: NOW)
    office = BackOffice(institution, submitter)
    bridge.api = create_api(
        Services(
            institution=institution,
            readiness=lambda: bridge.readiness,
            takes_writes=lambda: bridge.takes_writes,
            metrics=BridgeMetrics(store, lambda: bridge.readiness.is_ready, lambda: NOW),
            four_eyes=FourEyes(store, {**_actions(institution), **office.actions()}, lambda: NOW),
            desk=_desk(bridge, store) if role == "fx_provider" else None,
            central_bank=office.desks(),
            receivers={**_receivers(institution), **office.receivers()},
        )
    )
    return bridge


def instruct(bridge: Bridge) -> str:
    """A payment of Alice's; its id."""
    body = {
        "end_to_end_id": "E-1",
        "requested_execution_date": "2026-11-23",
        "debtor_account": {"iban": ALICE_IBAN},
        "creditor": {"name": "Bob", "address": {"town": "Singapore", "country": "SG"}},
        "creditor_account": {"other": "0720123456"},
        "creditor_agent": {"bic": "STHBSGS0XXX"},
        "amount": {"value": "10.00", "currency": "EUR"},
    }
    answer = bridge.request(
        "POST", "/v1/payments", token=ALICE, json=body, headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 202, answer.text
    payment_id: str = answer.json()["id"]
    return payment_id


def _actions(institution: Institution) -> dict[str, Action]:
    shared = {**ACTIONS, SHRED_MESSAGES: shred_messages(institution)}
    if institution.settings.role is not Role.BANK:
        return shared
    return {**shared, **settlement_actions(institution)}


def _receivers(institution: Institution) -> Receivers:
    """What the composition root gives an institution of its role."""
    match institution.settings.role:
        case Role.BANK:
            return acceptance.receivers(institution)
        case Role.CENTRAL_BANK:
            return supervision.receivers(institution)
        case _:
            return {}


def _fail(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody answers", request=request)


_SILENT = httpx.MockTransport(_fail)


def _desk(bridge: Bridge, store: Store) -> QuoteDesk:
    document = settings_document(PROVIDER, "fx_provider", ["EUR", "SGD"])
    document["rates"] = [{"source": "EUR", "target": "SGD", "rate": "1.4520"}]
    terminal = Terminal(
        lei=PROVIDER,
        chain_id=CHAIN_ID,
        rates=Settings.model_validate(document).rates,
        quote_seconds=60,
        settle_seconds=120,
        signer=bridge.network[PROVIDER].quoting,
    )
    salts = iter(range(1, 1_000_000))
    return QuoteDesk(
        terminal,
        store,
        bridge.chain.directory,
        lambda: bridge.now,
        lambda: next(salts).to_bytes(32, "big"),
    )


def _peers(bridge: Bridge, folder: Path) -> httpx.MockTransport:
    """The fx provider and bank B behind the wire: open what they are sent, answer sealed."""
    desk = _desk(bridge, Store.open(folder / "provider.sqlite"))

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == CHARGES_PATH:
            channel = bridge.channel(BANK_B)
            asked = channel.open(request.content)
            document = settings_document(BANK_B, "bank", ["SGD"])
            settings = Settings.model_validate({**document, "published_charges": bridge.charges})
            body = answer_charge(settings, asked, now=bridge.now)
        else:
            channel = bridge.channel(PROVIDER)
            asked = channel.open(request.content)
            body = desk.offer(asked)
        return httpx.Response(200, content=channel.answer(asked, body))

    return httpx.MockTransport(answer)


def _customer(customer_id: str, name: str, token: str, iban: str) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "name": name,
        "address": {
            "street": "Kastanienallee",
            "building_number": "12",
            "post_code": "60311",
            "town": "Frankfurt am Main",
            "country": "DE",
        },
        "token_sha256": digest(token),
        "accounts": [{"scheme": "iban", "identification": iban, "currency": "EUR"}],
    }


def _opening(name: str, debit: str, credit: str, amount: str) -> dict[str, str]:
    opening = {"opening_id": name, "debit": debit, "credit": credit}
    return {**opening, "amount": amount, "currency": "EUR"}
