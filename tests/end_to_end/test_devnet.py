"""The devnet as an operator runs it: `scripts/devnet --once`, twice, on one data directory."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.store import Store
from local_network.layout import PORTS_NEEDED
from local_network.ports import free_ports
from support.engine_binary import engine_binary
from support.local_devnet import CHECKOUT

TIMEOUT_SECONDS = 240
PORTS_OF_FOUR = 14
"""Ports of a network of four validators: six, three more nodes, and each node's for its peers."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished `scripts/devnet`."""

    code: int
    output: str
    errors: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line, read as JSON."""
        answer: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return answer


def devnet(*arguments: str) -> Run:
    completed = subprocess.run(
        [str(CHECKOUT / "scripts" / "devnet"), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Run(completed.returncode, completed.stdout, completed.stderr)


@dataclass(frozen=True, slots=True)
class Twice:
    """The same network run twice."""

    data: Path
    first: Run
    genesis: str
    pids: dict[str, int]
    second: Run


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    data = tmp_path_factory.mktemp("devnet") / "data"
    first = devnet("--once", "--data", str(data), "--port-base", str(free_ports(PORTS_NEEDED)[0]))
    assert first.code == 0, first.output + first.errors
    genesis = json.loads((data / "nodes/genesis.json").read_text())["hash"]
    pids = json.loads((data / "processes.json").read_text())
    return Twice(data, first, genesis, pids, devnet("--once", "--data", str(data)))


def test_the_demo_payment_settles_and_everything_reconciles(twice: Twice) -> None:
    result = twice.first.result
    assert result["settled"] is True
    assert result["reconciled"] is True
    assert result["credit"] == {"value": "1000.00", "currency": "SGD"}
    assert result["fee"] == {"value": "5.00", "currency": "EUR"}
    assert result["block"] > 0
    assert len(bytes.fromhex(result["transaction_hash"][2:])) == 32
    assert len(bytes.fromhex(result["payment_id"][2:])) == 32


def test_a_liquidity_service_is_one_of_the_processes_and_sends_nothing_where_nothing_waits(
    twice: Twice,
) -> None:
    assert twice.pids["liquidity"] > 0
    assert (twice.data / "logs" / "liquidity.out").read_text() == "resolving\n"
    assert "round_sent" not in (twice.data / "logs" / "liquidity.log").read_text()


def test_ibk_43_both_central_banks_hold_a_copy_that_fits_what_the_chain_says(twice: Twice) -> None:
    """Of the first run's payment at least: its copies had the second run's time to arrive."""
    for key in ("central-bank-eur", "central-bank-sgd"):
        store = Store.open_read_only(twice.data / key / "bridge.db")
        with store.reading() as work:
            copies = work.supervisor_copies.page(limit=9, cursor=None).items
        store.close()
        assert len(copies) == 2
        assert copies[-1].received_at is not None
        assert copies[-1].finding is None


def test_the_debit_is_the_ceiling_of_the_amount_at_the_customers_rate_and_the_fee(
    twice: Twice,
) -> None:
    """1.4520 less 25 basis points, floored to six digits, is 1.44837; 1000 / 1.44837 = 690.4313."""
    result = twice.first.result
    assert result["rate"] == "1.44837"
    assert result["debit"] == {"value": "695.44", "currency": "EUR"}


def test_supply_reserves_and_ledgers_are_equal_per_currency(twice: Twice) -> None:
    for run in (twice.first, twice.second):
        books = run.result["books"]
        assert set(books) == {"EUR", "SGD"}
        for figures in books.values():
            assert set(figures) == {"token_supply", "rtgs_reserve", "ledger_tokens"}
            assert len(set(figures.values())) == 1


def test_a_second_run_continues_the_same_chain_with_a_payment_of_its_own(twice: Twice) -> None:
    assert twice.second.code == 0, twice.second.output + twice.second.errors
    first, second = twice.first.result, twice.second.result
    assert second["block"] > first["block"]
    assert second["uetr"] != first["uetr"]
    assert second["books"] == first["books"]
    assert json.loads((twice.data / "nodes/genesis.json").read_text())["hash"] == twice.genesis


def test_no_process_is_left_behind(twice: Twice) -> None:
    assert len(twice.pids) == 9
    for pid in twice.pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_steps_are_told_as_they_happen(twice: Twice) -> None:
    for word in ("firm quote", "reserved 695.44 EUR", "instructed", "accepted", "settled", "Bob"):
        assert word in twice.first.output


def test_the_messages_of_both_banks_are_kept(twice: Twice) -> None:
    (folder, *_) = sorted((twice.data / "messages").iterdir())
    names = {path.name.split("-", 3)[-1] for path in folder.iterdir()}
    for name in ("pacs.008.xml", "pacs.002.001.10.xml", "camt.054.001.08.xml"):
        kept = [path.name for path in folder.iterdir() if name.removesuffix(".xml") in path.name]
        assert kept, (name, names)


def test_another_port_base_than_the_networks_is_refused(twice: Twice) -> None:
    run = devnet("--once", "--data", str(twice.data), "--port-base", "1234")
    assert run.code == 1
    assert "port base" in run.errors
    assert run.result["settled"] is False


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("keep me")
    for arguments in ((), ("--reset",)):
        run = devnet("--once", "--data", str(tmp_path), *arguments)
        assert run.code == 1
        assert (tmp_path / "letters.txt").read_text() == "keep me"


@pytest.mark.slow
def test_the_demo_settles_on_four_validators(tmp_path: Path) -> None:
    engine_binary()
    ports = str(free_ports(PORTS_OF_FOUR)[0])
    run = devnet("--once", "--validators", "4", "--data", str(tmp_path / "d"), "--port-base", ports)
    assert run.code == 0, run.output + run.errors
    assert (run.result["settled"], run.result["reconciled"]) == (True, True)
    assert "4 validators" in run.output
