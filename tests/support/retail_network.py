"""Two banks with wallets and their central bank in one process: real stores, real seals, no sockets.

Sealed messages travel through the banks' own applications. `lose` says what the network does to the
next ones: nothing, lose the question, or lose the answer of one that was taken.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import httpx
from fastapi import FastAPI

from bridge import chart
from bridge.api import Readiness, Services, create_api
from bridge.centralbank.rtgs import Rtgs
from bridge.centralbank.statements import Statements
from bridge.chain import ChainClient, Directory
from bridge.config import Settings
from bridge.institution import Institution
from bridge.interbank import Interbank
from bridge.metrics import BridgeMetrics
from bridge.money import Amount, parse_currency
from bridge.opening import open_books
from bridge.operating import FourEyes
from bridge.retail import register
from bridge.retail.business import RetailBusiness
from bridge.retail.intermediary import WalletOrder
from bridge.retail.register import Register
from bridge.store import Store
from bridge.wallet import Wallet
from bridge.worker import Worker
from support.bridge_api import (
    CENTRAL_BANK,
    GENESIS_HASH,
    NOW,
    StandingChain,
    ask,
    digest,
    make_network,
    settings_document,
)
from support.clock import Clock
from support.participants import BANK_A, BANK_B
from support.participants import Institution as Keys

EUR: Final = parse_currency("EUR")
DEPOSIT: Final = 500_000
"""Cents on each customer's deposit; as much for each stands in the bank's reserves."""
HOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    BANK_A: ("alice", "bob", "erin"),
    BANK_B: ("dave", "shop"),
}
"""Customers by bank. Erin has no linked account, the shop is a merchant."""


def account_number(customer_id: str) -> str:
    """The number of a customer's deposit account."""
    return f"DEPOSIT-{customer_id.upper()}"


def euros(cents: int) -> Amount:
    return Amount(EUR, cents)


@dataclass(slots=True)
class House:
    """One institution with everything behind it."""

    lei: str
    institution: Institution
    worker: Worker
    api: FastAPI
    retail: RetailBusiness | None = None
    register: Register | None = None

    @property
    def business(self) -> RetailBusiness:
        assert self.retail is not None
        return self.retail

    @property
    def store(self) -> Store:
        return self.institution.store

    def ledger(self, account_id: str) -> int:
        """Cents on an account, posted; nothing on one that is not open."""
        with self.store.reading() as work:
            if work.ledger.find_account(account_id) is None:
                return 0
            return work.ledger.balance(account_id).ledger.minor_units

    def say(
        self, method: str, path: str, token: str, *, key: str = "", **arguments: Any
    ) -> httpx.Response:
        """One request with a bearer token, and a key where one is given."""
        headers = {"Idempotency-Key": key} if key else {}
        return ask(self.api, method, path, token=token, headers=headers, **arguments)


@dataclass(slots=True)
class RetailNetwork:
    """Bank A, bank B and the central bank of the euro."""

    clock: Clock
    houses: dict[str, House] = field(default_factory=dict)
    lose: deque[str] = field(default_factory=deque)
    wallets: dict[str, Wallet] = field(default_factory=dict)

    @property
    def bank_a(self) -> House:
        return self.houses[BANK_A]

    @property
    def bank_b(self) -> House:
        return self.houses[BANK_B]

    @property
    def central_bank(self) -> House:
        return self.houses[CENTRAL_BANK]

    def bank_of(self, customer_id: str) -> House:
        """The bank of a customer."""
        return next(self.houses[lei] for lei, names in HOLDERS.items() if customer_id in names)

    def run(self, seconds: int = 0) -> None:
        """Let every worker do what is due, and what falls due within so many seconds."""
        for _ in range(seconds + 1):
            while any(house.worker.step() for house in self.houses.values()):
                pass
            if seconds:
                self.clock.now += 1

    def held(self, customer_id: str) -> int:
        """Cents in a customer's wallet."""
        wallet_id = self.wallets[customer_id].wallet_id
        return self.bank_of(customer_id).ledger(chart.wallet(wallet_id))

    def deposit(self, customer_id: str) -> int:
        """Cents on a customer's deposit."""
        account_id = chart.deposit(account_number(customer_id))
        return self.bank_of(customer_id).ledger(account_id)

    def in_register(self, house: House) -> int:
        """Cents that the central bank says a bank keeps."""
        return self.central_bank.ledger(chart.retail_issued(house.lei))


def make_retail_network(folder: Path, **terms: Any) -> RetailNetwork:
    """The network with a wallet for each customer, all of them empty. `terms` change the banks'."""
    network = RetailNetwork(Clock(NOW))
    keys = make_network()
    for lei, party in keys.items():
        reachable = replace(party.participant, endpoint=f"http://{lei.lower()}.test")
        keys[lei] = replace(party, participant=reachable)
    chain = StandingChain(Directory(party.participant for party in keys.values()))
    peers = httpx.Client(transport=httpx.MockTransport(lambda request: _carry(network, request)))
    for lei, document in (
        (BANK_A, _bank(BANK_A, terms)),
        (BANK_B, _bank(BANK_B, terms)),
        (CENTRAL_BANK, _central_bank()),
    ):
        network.houses[lei] = _house(
            folder / lei, Settings.model_validate(document), keys[lei], (chain, peers, network)
        )
    for names in HOLDERS.values():
        for name in names:
            network.wallets[name] = _open_wallet(network, name)
    network.run()
    return network


def _carry(network: RetailNetwork, request: httpx.Request) -> httpx.Response:
    fate = network.lose.popleft() if network.lose else ""
    if fate == "question":
        raise httpx.ConnectError("it is lost", request=request)
    (house,) = [one for one in network.houses.values() if one.lei.lower() in request.url.host]
    answer = ask(
        house.api,
        request.method,
        request.url.path,
        content=request.content,
        headers={"content-type": request.headers["content-type"]},
    )
    if fate == "answer":
        raise httpx.ReadTimeout("it is lost", request=request)
    return httpx.Response(answer.status_code, content=answer.content)


def _house(
    folder: Path,
    settings: Settings,
    keys: Keys,
    around: tuple[StandingChain, httpx.Client, RetailNetwork],
) -> House:
    chain, peers, network = around
    store = Store.open(folder / "bridge.sqlite")
    open_books(store, settings, NOW)
    salts = iter(range(1, 1_000_000))
    institution = Institution(
        settings=settings,
        store=store,
        chain=cast(ChainClient, chain),
        interbank=Interbank(settings.lei, keys.keys, chain.directory, peers, GENESIS_HASH),
        clock=network.clock,
        salt=lambda: next(salts).to_bytes(32, "little"),
        secret=settings.lei.encode().ljust(32, b"."),
    )
    retail = RetailBusiness.of(institution)
    rtgs = Rtgs(institution, Statements(institution))
    books = None if retail is not None else Register(institution, rtgs)
    if retail is not None:
        retail.open()
        handlers = retail.handlers()
    else:
        assert books is not None
        handlers = {register.DELIVER: books.deliver}
    services = Services(
        institution=institution,
        readiness=lambda: Readiness(is_ready=True),
        four_eyes=FourEyes(store, {}, network.clock),
        metrics=BridgeMetrics(store, lambda: True, network.clock),
        retail=retail,
        register=books,
    )
    worker = Worker(store, handlers, network.clock, "test")
    return House(settings.lei, institution, worker, create_api(services), retail, books)


def _bank(lei: str, terms: Mapping[str, Any]) -> dict[str, Any]:
    names = HOLDERS[lei]
    return {
        **settings_document(lei, "bank", ["EUR"]),
        "retail": {"currency": "EUR", "scheme": "digital-euro", **terms},
        "customers": [_customer(name) for name in names],
        "openings": [
            {
                "opening_id": name,
                "debit": "reserves:EUR",
                "credit": chart.deposit(account_number(name)),
                "amount": euros(DEPOSIT).format(),
                "currency": "EUR",
            }
            for name in names
        ],
    }


def _central_bank() -> dict[str, Any]:
    return {
        **settings_document(CENTRAL_BANK, "central_bank", ["EUR"]),
        "openings": [
            {
                "opening_id": f"lent-{number}",
                "debit": "lending:EUR",
                "credit": chart.rtgs(lei),
                "amount": euros(DEPOSIT * len(names)).format(),
                "currency": "EUR",
            }
            for number, (lei, names) in enumerate(HOLDERS.items())
        ],
    }


def _customer(name: str) -> dict[str, Any]:
    number = account_number(name)
    return {
        "customer_id": name,
        "name": name.title(),
        "address": {"town": "Frankfurt am Main", "country": "DE"},
        "token_sha256": digest(f"{name}-token"),
        "accounts": [{"scheme": "other", "identification": number, "currency": "EUR"}],
    }


def _open_wallet(network: RetailNetwork, name: str) -> Wallet:
    house = network.bank_of(name)
    order = WalletOrder(
        customer_id=name,
        tier="merchant" if name == "shop" else "individual",
        identification=frozenset({"identity_document", "bank_account"}),
        linked_identification=None if name == "erin" else account_number(name),
    )
    with house.store.unit_of_work() as work:
        return house.business.intermediary.open_wallet(work, order, network.clock())


def check_books(network: RetailNetwork) -> None:
    """What holds whenever nothing is on its way: custody is the register, and every sum is whole."""
    for house in (network.bank_a, network.bank_b):
        custody = house.ledger(chart.custody(EUR))
        assert custody == network.in_register(house)
        assert house.ledger(chart.vault(EUR)) == house.ledger(chart.retail_cash(EUR))
        with house.store.reading() as work:
            claims = sum(
                work.ledger.balance(account.account_id).ledger.minor_units
                for account in work.ledger.accounts()
                if account.is_off_balance and account.account_id != chart.custody(EUR)
            )
        assert claims == custody
        assert house.ledger(chart.reserves(EUR)) == network.central_bank.ledger(
            chart.rtgs(house.lei)
        )
    books = network.central_bank.register
    assert books is not None
    assert books.look_over().is_whole
