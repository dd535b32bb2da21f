"""A bank of several processes on one database, and that database restored: nothing lost, nothing twice.

The same on SQLite and on PostgreSQL, in order: two processes serve bank A's API and two stand by to lead;
leaders die and are stopped in their tracks; then an older back-up is restored and customers send
everything again. Cites docs/spec/ledger.md: STO-9, 12, 13, 14.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.config import DatabasePlace
from bridge.leadership import LEADING
from bridge.store import Lease, Store
from local_network.ports import free_ports
from local_network.postgres import PostgresServer
from support.local_devnet import (
    CHECKOUT,
    WAIT_SECONDS,
    Devnet,
    eventually,
    instruction,
    running_devnet,
)

ALICE = "deposit:DE72500999990123456789"
BOB = "deposit:0720123456"
THOUSAND = 100_000
"""What every payment brings Bob, in cents."""
LATEST = 2**62
"""Later than every lease."""


@dataclass
class Bank:
    """Bank A on the network, as several processes."""

    network: Devnet
    server: PostgresServer | None
    place: DatabasePlace
    second_port: int
    workers: tuple[str, ...] = ("worker-1", "worker-2")

    def start(self, name: str, command: str, word: str | None = None, **changes: object) -> None:
        """Start one more process of the bank and wait until it says `word`."""
        path = self.network.layout.settings("bank-a")
        document = {**json.loads(path.read_text()), "database": str(self.place), **changes}
        own = path.with_name(f"{name}.json")
        own.write_text(json.dumps(document))
        child = self.network.processes.start(name, ["bridge", command, "--settings", str(own)])
        self.network.children[name] = child
        if word is not None:
            self.network.processes.await_ready(child, word)

    def start_all(self) -> None:
        """Two processes that stand by to lead, two that serve: these are ready when one of those leads."""
        for name in self.workers:
            self.start(name, "work", "standing by")
        self.start("bank-a", "serve-api", "ready")
        self.start("bank-a-2", "serve-api", "ready", port=self.second_port)

    def kill_all(self) -> None:
        for name in ("bank-a", "bank-a-2", *self.workers):
            self.network.kill(name)

    def leases(self) -> Lease:
        """The newest lease."""
        with closing(Store.open_read_only(self.place)) as store, store.reading() as work:
            holder = work.leases.holder(LEADING, now=-LATEST)
        assert holder is not None
        return holder

    def leader(self) -> str:
        """Which process leads, once one of those that run does."""
        by_pid = {self.network.children[name].process.pid: name for name in self.workers}
        return by_pid[eventually(self.leading_pid, by_pid.__contains__)]

    def leading_pid(self) -> int:
        return int(self.leases().owner.split("/")[1])

    def send(self, document: bytes, *, second: bool = False) -> httpx.Response:
        """A pain.001 through one of the two processes, again while it answers that it cannot yet."""
        port = self.second_port if second else int(self.network.layout.url("bank-a").split(":")[-1])
        return eventually(
            lambda: httpx.post(
                f"http://127.0.0.1:{port}/v1/messages",
                content=document,
                headers={
                    "authorization": f"Bearer {self.network.layout.token('alice')}",
                    "content-type": "application/xml",
                },
                timeout=WAIT_SECONDS,
            ),
            lambda answer: answer.status_code != 503,
        )

    def pay(self, document: bytes, *, second: bool = False) -> str:
        """The id of the one payment of a pain.001 that was taken."""
        answer = self.send(document, second=second)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["payments"][0]["id"])

    def balances(self) -> tuple[int, int]:
        """What Alice and Bob have, in cents."""
        return (
            cents(self.network.balance("bank-a", ALICE)),
            cents(self.network.balance("bank-b", BOB)),
        )

    def settles(self, *ids: str) -> None:
        for payment_id in ids:
            ended = self.network.await_state(payment_id, "settled", "expired", "failed")
            assert ended["status"] == "settled", ended


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bank(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bank]:
    folder = tmp_path_factory.mktemp("several")
    server: PostgresServer | None = None
    with ExitStack() as opened:
        place: DatabasePlace = folder / "bank-a.sqlite"
        if request.param == "postgresql":
            server = request.getfixturevalue("postgresql")
            place = opened.enter_context(server.database("template0"))
        changes = {"bank-a": {"database": str(place)}}
        network = opened.enter_context(running_devnet(folder / "network", changes))
        made = Bank(network, server, place, free_ports(1)[0])
        network.kill("bank-a")
        made.start_all()
        yield made


def test_two_serve_and_one_of_two_works(bank: Bank) -> None:
    """STO-12."""
    _, bob = bank.balances()
    bank.settles(bank.pay(instruction()), bank.pay(instruction(), second=True))
    assert bank.network.settled_books().is_reconciled
    assert credited(bank, bob, 2 * THOUSAND)


def test_fifty_identical_requests_to_two_processes_have_one_effect_and_fifty_equal_answers(
    bank: Bank,
) -> None:
    """Promise P6 of the bridge."""
    alice, bob = bank.balances()
    document = instruction()
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda number: bank.send(document, second=number % 2 == 1), range(50))
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    payment_id = answers[0].json()["payments"][0]["id"]
    bank.settles(payment_id)
    assert bank.network.settled_books().is_reconciled
    assert credited(bank, bob, THOUSAND)
    assert alice - bank.balances()[0] == price(bank, payment_id)


def test_when_the_leader_is_killed_the_other_goes_on_and_nothing_happens_twice(bank: Bank) -> None:
    """STO-12, 13."""
    alice, bob = bank.balances()
    leader, epoch = bank.leader(), bank.leases().epoch
    documents = [instruction() for _ in range(3)]
    ids = [bank.pay(document) for document in documents]
    bank.network.kill(leader)
    ids.append(bank.pay(instruction(), second=True))
    bank.settles(*ids)
    assert bank.leader() != leader
    assert bank.leases().epoch > epoch
    assert [bank.pay(document, second=True) for document in documents] == ids[:3]
    assert bank.network.settled_books().is_reconciled
    assert credited(bank, bob, 4 * THOUSAND)
    assert alice - bank.balances()[0] == 4 * price(bank, ids[0])
    bank.start(leader, "work", "standing by")


def test_a_leader_that_stands_still_is_replaced_and_fenced_off(bank: Bank) -> None:
    """STO-12, 13."""
    if bank.server is None:
        pytest.skip("SQLite's lock stays with whoever stands still inside a transaction")
    _, bob = bank.balances()
    leader = bank.leader()
    bank.network.pause(leader)
    try:
        bank.settles(bank.pay(instruction()))
        assert bank.leader() != leader
    finally:
        bank.network.resume(leader)
    bank.settles(bank.pay(instruction()))
    assert bank.leader() != leader
    bank.network.processes.check()
    assert bank.network.settled_books().is_reconciled
    assert credited(bank, bob, 2 * THOUSAND)


def test_a_back_up_that_is_restored_loses_and_repeats_nothing_once_clients_retry(
    bank: Bank,
) -> None:
    """STO-14, and promise P16 of the bridge."""
    first = bank.balances()
    before = [instruction() for _ in range(2)]
    ids = [bank.pay(document) for document in before]
    bank.settles(*ids)
    in_flight = instruction()
    ids.append(bank.pay(in_flight))
    back_up = backed_up(bank)
    after = [instruction() for _ in range(3)]
    later = [bank.pay(document) for document in after]
    bank.settles(*ids, *later)
    assert bank.network.settled_books().is_reconciled
    spent = bank.balances()
    bank.kill_all()

    with restored(bank, back_up) as place:
        bank.place = place
        bank.start("bank-a", "serve-api")
        url = bank.network.layout.url("bank-a")
        eventually(lambda: answers(url), lambda is_there: is_there)
        early = httpx.post(f"{url}/v1/messages", content=b"<a/>")
        assert early.status_code == 503
        assert early.json()["code"] == "books_behind"
        assert early.json()["retryable"] is True
        for name in bank.workers:
            bank.start(name, "work", "standing by")
        bank.start("bank-a-2", "serve-api", "ready", port=bank.second_port)
        documents = [*before, in_flight, *after]
        again = [bank.pay(each, second=index % 2 == 0) for index, each in enumerate(documents)]
        assert again[:3] == ids
        bank.settles(*again)
        assert bank.network.settled_books().is_reconciled
        assert bank.balances() == spent
        assert first[0] - spent[0] == 6 * price(bank, again[0])
        assert spent[1] - first[1] == 6 * THOUSAND
        bank.settles(bank.pay(instruction()))
        assert bank.network.settled_books().is_reconciled
        bank.kill_all()


def answers(url: str) -> bool:
    """Whether a process answers at all."""
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def cents(value: str) -> int:
    """An amount as the API writes it, in cents."""
    return int(value.replace(".", ""))


def price(bank: Bank, payment_id: str) -> int:
    """What a payment costs Alice, in cents."""
    payment: dict[str, Any] = bank.network.payment(payment_id)
    return cents(payment["debit"]["value"])


def credited(bank: Bank, before: int, amount: int) -> bool:
    """Whether Bob gets exactly so much."""
    found = eventually(lambda: bank.balances()[1], lambda balance: balance - before >= amount)
    return found - before == amount


def backed_up(bank: Bank) -> Path:
    """A back-up made with the commands of the guide, while the bank runs."""
    to = Path(bank.network.layout.settings("bank-a")).with_name("back-up")
    if bank.server is None:
        own = bank.network.layout.settings("bank-a").with_name("bank-a.json")
        done = subprocess.run(
            [sys.executable, "-m", "bridge", "backup", "--settings", str(own), "--to", str(to)],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return to
    dump = bank.server.socket_folder / "back-up"
    bank.server.run("pg_dump", "--format=custom", f"--file={dump}", str(bank.place))
    return dump


@contextmanager
def restored(bank: Bank, back_up: Path) -> Iterator[DatabasePlace]:
    """The back-up as a database of its own."""
    if bank.server is None:
        yield back_up
        return
    with bank.server.database("template0") as place:
        bank.server.run("pg_restore", "--exit-on-error", f"--dbname={place}", str(back_up))
        yield place
