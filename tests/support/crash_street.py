"""The real network with processes that die where a case says, and the model its books are held against.

A case is one round of business while processes die: Alice pays Bob in another currency, his bank gives a
part of an earlier payment back, her bank has tokens issued and others redeemed. Every client asks again
until it is answered, and once more after that. Whoever dies is started again without a failpoint.
Afterwards every account of every ledger must be where the model says, and each payment must have happened
once on the chain.
"""

import contextlib
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import httpx

from bridge.audit import verify
from bridge.auditing import export_log
from bridge.failpoint import ALLOWED_VARIABLE, FAILPOINT_VARIABLE, Failpoint
from bridge.iso20022.parse import parse_initiation
from bridge.money import Amount, parse_currency
from bridge.store import Store
from bridge.verification import verify_books
from local_network.books import Books, BooksUnreadable
from local_network.cast import BANK_A_LEI, INSTITUTIONS
from local_network.layout import Layout
from support.local_devnet import ATTESTER, Devnet, instruction, running_devnet
from support.street_gate import StreetGate, Traffic, street_gate

SECONDS_MAX = 120
"""How long a round may take, with every death in it."""
POLL_SECONDS = 0.3
RETRY_SECONDS = 0.2
REAL_PORT_AWAY = 8
"""How far from the port where others reach an institution it listens when a gate stands there."""
GATED = ("bank-a", "bank-b", "central-bank-eur")
MORTAL = (*(member.key for member in INSTITUTIONS), f"{ATTESTER}central-bank-eur")
"""Every process that can be told to die."""
EVENTS_OF_A_PAYMENT = {"Instructed": 1, "Accepted": 1, "PaymentSettled": 1}
EVENTS_OF_A_RETURN = {"ReturnInstructed": 1, **EVENTS_OF_A_PAYMENT}
ISSUED, REDEEMED, RETURNED = "7.00", "2.00", "1.00"
CHANGES: Mapping[str, dict[str, object]] = {"bank-b": {"return_four_eyes_above": {"SGD": RETURNED}}}
"""One person may give back as much as a round does."""

MOVES_OF_A_PAYMENT = {
    ("bank-a", "deposit:DE72500999990123456789"): "-695.44",
    ("bank-a", "fee-income:EUR"): "5.00",
    ("bank-a", "fx-margin-income:EUR"): "1.73",
    ("bank-a", "tokens:EUR"): "-688.71",
    ("fx-provider", "fx-position:EUR"): "-688.71",
    ("fx-provider", "tokens:EUR"): "688.71",
    ("fx-provider", "fx-position:SGD"): "1000.00",
    ("fx-provider", "tokens:SGD"): "-1000.00",
    ("bank-b", "tokens:SGD"): "1000.00",
    ("bank-b", "deposit:0720123456"): "1000.00",
}
"""What 1000.00 SGD for Bob change, by institution and account: the provider's 1.4520 less 25 basis points."""

MOVES_OF_THE_ORDERS = {
    ("bank-a", "tokens:EUR"): "5.00",
    ("bank-a", "reserves:EUR"): "-5.00",
    ("central-bank-eur", "tokens-outstanding:EUR"): "5.00",
    ("central-bank-eur", f"rtgs:{BANK_A_LEI}"): "-5.00",
}
"""What 7.00 issued and 2.00 redeemed change."""

MOVES_OF_A_RETURN = {
    ("bank-b", "tokens:SGD"): "-1.00",
    ("bank-b", "deposit:0720123456"): "-1.00",
    ("bank-a", "tokens:SGD"): "1.00",
    ("bank-a", "suspense:SGD"): "1.00",
}
"""What 1.00 SGD that Bob's bank gives back changes: Alice's account is in euros, so a person has to credit it."""


@dataclass(frozen=True, slots=True)
class Case:
    """Who dies at which visit of which failpoint, and what becomes of messages meanwhile.

    `dies_again` leaves the failpoint armed for the process that was started anew.
    """

    deaths: Mapping[str, tuple[Failpoint, int]]
    traffic: Traffic = Traffic.PLAIN
    dies_again: bool = False

    def __str__(self) -> str:
        deaths = (f"{key}@{point}:{count}" for key, (point, count) in self.deaths.items())
        return f"{' '.join(deaths)} {self.traffic.value}{' again' if self.dies_again else ''}"


@dataclass
class CrashStreet:
    """A network whose processes die as cases say."""

    network: Devnet
    gates: Mapping[str, StreetGate]
    folder: Path
    start: Books = field(init=False)
    earlier: str = field(init=False)
    """Bank B's id of the payment that is given back, a part in each round."""
    payments: int = 0
    rounds: int = 0
    died: Counter[Failpoint] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        sent = self.network.send(instruction()).json()["payments"][0]
        key = self.network.await_state(sent["id"], "settled")["settlement_id"]
        self.start = self.network.settled_books()
        came = [
            each["id"]
            for each in payments_of(self.network, "bank-b")
            if each["settlement_id"] == key
        ]
        (self.earlier,) = came

    def run(self, case: Case) -> frozenset[str]:
        """One round of business; who died in it. Asserts everything the model says."""
        first_block = self.network.chain.head().number + 1
        self.rounds += 1
        documents = [instruction() for _ in range(2 if case.traffic is Traffic.REORDERED else 1)]
        clients = [Client(self.network, document) for document in documents]
        orders = [Orderer(self.network, "issuances", ISSUED)]
        orders.append(Orderer(self.network, "redemptions", REDEEMED))
        for gate in self.gates.values():
            gate.set(case.traffic)
        for key, (point, count) in case.deaths.items():
            self._tell(key, f"{point}:{count}")
        giver = Giver(self.network, self.earlier)
        everybody: list[Repeating] = [*clients, *orders, giver]
        self.payments += len(clients)
        for each in everybody:
            each.thread.start()
        dead = self._until_over(case, everybody)
        for gate in self.gates.values():
            gate.set(Traffic.PLAIN)
        self._check(case, clients, giver, first_block)
        return dead

    def _until_over(self, case: Case, everybody: list["Repeating"]) -> frozenset[str]:
        """Raise the dead until all is done and every book agrees."""
        dead: Counter[str] = Counter()
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            for key, (point, _) in case.deaths.items():
                if self.network.children[key].process.poll() is not None:
                    self._raise(key, point, stays_armed=case.dies_again and not dead[key])
                    dead[key] += 1
            over = all(not each.thread.is_alive() and each.is_done() for each in everybody)
            if over and self._is_as_modelled():
                break
            assert time.monotonic() < deadline, f"{case}: {[each.answer for each in everybody]}"
            time.sleep(POLL_SECONDS)
        for key in case.deaths:
            self._tell(key, None)
        return frozenset(dead)

    def _raise(self, key: str, point: Failpoint, *, stays_armed: bool) -> None:
        code = self.network.bury(key)
        assert code == -signal.SIGKILL, f"{key} ended with code {code}"
        self.died[point] += 1
        if not stays_armed:
            self._tell(key, None)
        self.network.begin(key)

    def _tell(self, key: str, text: str | None) -> None:
        order = order_file(self.folder, key)
        if text is None:
            order.unlink(missing_ok=True)
            return
        draft = order.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(order)

    def _is_as_modelled(self) -> bool:
        try:
            books = self.network.books()
        except (httpx.HTTPError, BooksUnreadable):
            return False
        return books.is_reconciled and _moved(self.start, books) == self._expected()

    def _expected(self) -> dict[tuple[str, str], int]:
        expected: Counter[tuple[str, str]] = Counter()
        for moves, times in (
            (MOVES_OF_A_PAYMENT, self.payments),
            (MOVES_OF_THE_ORDERS, self.rounds),
            (MOVES_OF_A_RETURN, self.rounds),
        ):
            for place, value in moves.items():
                code = "SGD" if place[1].endswith(("SGD", "0720123456")) else "EUR"
                amount = Amount.parse(value, parse_currency(code), signed=True)
                expected[place] += amount.minor_units * times
        return {place: moved for place, moved in expected.items() if moved}

    def _check(self, case: Case, clients: list["Client"], giver: "Giver", first_block: int) -> None:
        """What the balances alone do not say."""
        told = str(case)
        for client in clients:
            client.check(told)
        wanted = {client.settlement_id: EVENTS_OF_A_PAYMENT for client in clients}
        wanted[giver.settlement_id] = EVENTS_OF_A_RETURN
        assert self._events_of(set(wanted), first_block) == wanted, told
        for key in (member.key for member in INSTITUTIONS):
            self._check_alerts(key, told)
            self._check_store(key, told)
        paid = [client.settlement_id for client in clients]
        for key, direction, settlement_ids in (
            ("bank-a", "outgoing", paid),
            ("bank-b", "incoming", paid),
            ("bank-b", "outgoing", [giver.settlement_id]),
            ("bank-a", "incoming", [giver.settlement_id]),
        ):
            counted = Counter(
                item["settlement_id"]
                for item in payments_of(self.network, key)
                if item["direction"] == direction
            )
            assert [counted[each] for each in settlement_ids] == [1] * len(settlement_ids), told

    def _events_of(self, wanted: set[str], first_block: int) -> dict[str, dict[str, int]]:
        found: dict[str, Counter[str]] = {}
        number = first_block
        while (block := self.network.chain.block(number)) is not None:
            for event in block.events:
                payment = event.arguments.get("paymentId")
                if isinstance(payment, bytes) and f"0x{payment.hex()}" in wanted:
                    found.setdefault(f"0x{payment.hex()}", Counter())[event.name] += 1
            number += 1
        return {payment: dict(events) for payment, events in found.items()}

    def _check_alerts(self, key: str, told: str) -> None:
        """Nothing waits for an operator: no break, nothing given up, nothing open."""
        look = self.network.caller.get(key, "/v1/operations/overview", token=key).json()
        given_up = (look["open_payments"], look["abandoned_effects"], look["dead_deliveries"])
        assert given_up == (0, [], 0), (told, key)
        compared = self.network.caller.get(key, "/v1/reconciliation", token=key).json()
        assert compared["reconciled"], (told, key)
        assert compared["open_breaks"] == 0, (told, key)

    def _check_store(self, key: str, told: str) -> None:
        """The books are what their postings make them, nothing is pending, the log holds together."""
        place = self.network.layout.settings(key).with_name("bridge.db")
        with contextlib.closing(Store.open_read_only(place)) as store:
            assert verify_books(store) == (), told
            with store.reading() as work:
                for account in work.ledger.accounts():
                    balance = work.ledger.balance(account.account_id)
                    pending = (balance.pending_debits, balance.pending_credits)
                    assert pending == (0, 0), (told, key, account.account_id)
                assert verify(export_log(work)).lost == (), told


class Repeating:
    """A client that asks until it is answered, and then once more."""

    def __init__(self, network: Devnet) -> None:
        self.network = network
        self.answer: httpx.Response | None = None
        self.again: httpx.Response | None = None
        self.thread = threading.Thread(target=self._ask_twice, daemon=True)

    def _ask_twice(self) -> None:
        self.answer = self._ask_patiently()
        self.again = self._ask_patiently()

    def _ask_patiently(self) -> httpx.Response | None:
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                answer = self.ask()
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in {409, 502, 503}:
                return answer
            time.sleep(RETRY_SECONDS)
        return None

    def ask(self) -> httpx.Response:
        raise NotImplementedError

    def is_done(self) -> bool:
        """Whether what was asked for has happened."""
        raise NotImplementedError


class Client(Repeating):
    """Alice with one pain.001."""

    def __init__(self, network: Devnet, document: bytes) -> None:
        super().__init__(network)
        self._document = document
        (order,) = parse_initiation(document).instructions
        self._end_to_end_id = order.end_to_end_id

    def ask(self) -> httpx.Response:
        return self.network.send(self._document)

    @property
    def settlement_id(self) -> str:
        """The payment's, as it was answered."""
        assert self.answer is not None
        return str(self.answer.json()["payments"][0]["settlement_id"])

    def is_done(self) -> bool:
        return self._payment().get("status") == "settled"

    def _payment(self) -> Mapping[str, str]:
        assert self.answer is not None
        assert self.answer.status_code == 202, self.answer.text
        try:
            return self.network.payment(self.answer.json()["payments"][0]["id"])
        except (httpx.HTTPError, BooksUnreadable):
            return {}

    def check(self, told: str) -> None:
        """Both answers are one, and the payment is one."""
        assert self.answer is not None, told
        assert self.again is not None, told
        assert self.again.json() == self.answer.json(), told
        assert self.again.headers["idempotency-replayed"] == "true", told
        path = "/v1/payments?limit=20"
        items = self.network.caller.get("bank-a", path, token="alice").json()["items"]
        mine = [item for item in items if item["end_to_end_id"] == self._end_to_end_id]
        assert [item["status"] for item in mine] == ["settled"], told


class Operator(Repeating):
    """An operator with one wish, of which the institution is told by a POST under a key."""

    def __init__(self, network: Devnet, institution: str, path: str, body: object) -> None:
        super().__init__(network)
        self._institution = institution
        self._path = path
        self._body = body
        self._key = token_hex(8)

    def ask(self) -> httpx.Response:
        return httpx.post(
            f"{self.network.layout.url(self._institution)}/v1/{self._path}",
            json=self._body,
            headers={
                "authorization": f"Bearer {self.network.layout.token(self._institution)}",
                "idempotency-key": self._key,
            },
            timeout=SECONDS_MAX,
        )


class Orderer(Operator):
    """Bank A's operator, who wants tokens issued or redeemed."""

    def __init__(self, network: Devnet, kind: str, value: str) -> None:
        super().__init__(network, "bank-a", kind, {"amount": {"value": value, "currency": "EUR"}})

    def is_done(self) -> bool:
        assert self.answer is not None
        assert self.again is not None
        assert self.answer.status_code == 202, self.answer.text
        assert self.again.json()["reference"] == self.answer.json()["reference"]
        path = f"/v1/issuances/{self.answer.json()['reference']}"
        try:
            found = self.network.caller.get("bank-a", path, token="bank-a").json()
        except (httpx.HTTPError, BooksUnreadable):
            return False
        return found["status"] in {"issued", "redeemed"}


class Giver(Operator):
    """Bank B's operator, who gives a part of a settled payment back."""

    def __init__(self, network: Devnet, payment_id: str) -> None:
        path = f"operations/payments/{payment_id}/returns"
        body = {"reason": "CUST", "amount": {"value": RETURNED, "currency": "SGD"}}
        super().__init__(network, "bank-b", path, body)

    @property
    def settlement_id(self) -> str:
        """The return's, as it was answered."""
        return str(self._given()["settlement_id"])

    def is_done(self) -> bool:
        given = self._given()
        assert self.again is not None
        assert self.again.json()["payment"]["id"] == given["id"]
        try:
            listed = payments_of(self.network, "bank-b")
        except (httpx.HTTPError, BooksUnreadable):
            return False
        return ("settled", given["id"]) in {(each["status"], each["id"]) for each in listed}

    def _given(self) -> Mapping[str, str]:
        assert self.answer is not None
        assert self.answer.status_code == 202, self.answer.text
        given: Mapping[str, str] = self.answer.json()["payment"]
        return given


def payments_of(network: Devnet, key: str) -> list[dict[str, str]]:
    """An institution's newest payments, as its operators see them."""
    path = "/v1/operations/payments?limit=20"
    return list(network.caller.get(key, path, token=key).json()["items"])


def _moved(before: Books, after: Books) -> dict[tuple[str, str], int]:
    """By how many minor units each account changed, where it did."""
    moved = {
        place: after.balances[place].minor_units
        - (before.balances[place].minor_units if place in before.balances else 0)
        for place in after.balances
    }
    return {place: units for place, units in moved.items() if units}


def order_file(folder: Path, key: str) -> Path:
    """The file that tells one process where to die."""
    return folder / f"die-{key}"


@contextlib.contextmanager
def crash_street(folder: Path) -> Iterator[CrashStreet]:
    """A funded network, everything of it in `folder`, with gates before those that are sent to."""
    environments = {
        key: {FAILPOINT_VARIABLE: f"@{order_file(folder, key)}", ALLOWED_VARIABLE: "yes"}
        for key in MORTAL
    }
    gates: dict[str, StreetGate] = {}
    with contextlib.ExitStack() as opened:

        def stand_between(layout: Layout) -> None:
            for key in GATED:
                port, path = layout.port(key) + REAL_PORT_AWAY, layout.settings(key)
                path.write_text(json.dumps({**json.loads(path.read_text()), "port": port}))
                gate = street_gate(layout.port(key), f"http://127.0.0.1:{port}")
                gates[key] = opened.enter_context(gate)

        network = opened.enter_context(
            running_devnet(
                folder / "network", CHANGES, before=stand_between, environments=environments
            )
        )
        yield CrashStreet(network, gates, folder)
