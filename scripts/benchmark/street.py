"""A devnet under measurement: every process of the network, a second customer at bank A, and what each process uses.

The network is the one of `scripts/devnet`, made anew in a folder; only fees are small, so that one
customer's money lasts for as many payments as are measured.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from bridge.chain import ChainClient
from local_network.books import Caller, count_breaks, read_books
from local_network.cast import CHAIN_ID, INSTITUTIONS, LIQUIDITY
from local_network.console import Console
from local_network.demo import Demo
from local_network.layout import PORTS_NEEDED, Layout, open_layout
from local_network.ports import free_ports
from local_network.processes import Child, Processes

BANK: Final = "bank-a"
CAROL: Final = "carol"
CAROL_TOKEN: Final = "carol-of-the-benchmark"  # noqa: S105 - of a network that lives for minutes
MONITOR_TOKEN: Final = "monitor-of-the-benchmark"  # noqa: S105 - see above
CAROL_IBAN: Final = "DE89370400440532013000"
FEE: Final = "0.01"
RECURRING: Final = frozenset({"anchor_audit_log"})
"""Kinds of effects of which one always waits for its day."""

REST_SECONDS_MAX: Final = 120
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Street:
    """A running network."""

    layout: Layout
    processes: Processes
    children: dict[str, Child]
    chain: ChainClient
    caller: Caller

    def order(self, creditor: str = CAROL) -> dict[str, object]:
        """Alice's order of one cent or of one Singapore dollar, without its end-to-end id."""
        today = datetime.now(UTC).date().isoformat()
        debtor = {"iban": "DE72500999990123456789"}
        ordered: dict[str, object] = {
            "requested_execution_date": today,
            "debtor_account": debtor,
        }
        if creditor == CAROL:
            return ordered | {
                "creditor": {
                    "name": "Carol Brandt",
                    "address": {"town": "Frankfurt", "country": "DE"},
                },
                "creditor_account": {"iban": CAROL_IBAN},
                "creditor_agent": {"bic": "AURODEF0XXX"},
                "amount": {"value": "0.01", "currency": "EUR"},
            }
        return ordered | {
            "creditor": {
                "name": "Bob Tan Wei Ming",
                "address": {"town": "Singapore", "country": "SG"},
            },
            "creditor_account": {"other": "0720123456"},
            "creditor_agent": {"bic": "STHBSGS0XXX"},
            "amount": {"value": "1.00", "currency": "SGD"},
        }

    def start(self, key: str) -> float:
        """Start a bridge; seconds until it serves."""
        started = time.perf_counter()
        child = self.processes.start(
            key, ["bridge", "run", "--settings", str(self.layout.settings(key))]
        )
        self.children[key] = child
        self.processes.await_ready(child, "ready")
        return time.perf_counter() - started

    def kill(self, key: str) -> None:
        """End a process without a word."""
        child = self.children[key]
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
        self.processes.forget(child)

    def gauges(self, key: str, name: str) -> dict[str, float]:
        """A metric's values at an institution, by their one label; without one, by nothing."""
        answer = httpx.get(
            self.layout.url(key) + "/metrics", headers={"authorization": f"Bearer {MONITOR_TOKEN}"}
        )
        found = {}
        for line in answer.raise_for_status().text.splitlines():
            head, _, value = line.rpartition(" ")
            if head == name or head.startswith(f"{name}{{"):
                found[head.removeprefix(name).strip("{}").partition("=")[2].strip('"')] = float(
                    value
                )
        return found

    def rest(self) -> dict[str, Any]:
        """What is still open once nothing is to be expected any more; books agree, or they do not."""
        deadline = time.monotonic() + REST_SECONDS_MAX
        while True:
            found = self._open()
            if found["reconciled"] and not any(
                value for name, value in found.items() if name.startswith("open_")
            ):
                return found
            if time.monotonic() >= deadline:
                return found
            time.sleep(1)

    def _open(self) -> dict[str, Any]:
        keys = [member.key for member in INSTITUTIONS]
        overviews = [
            self.caller.get(key, "/v1/operations/overview", token=key).json() for key in keys
        ]
        effects: dict[str, float] = {}
        for key in keys:
            for kind, count in self.gauges(key, "corridor_bridge_unfinished_effects").items():
                effects[kind] = effects.get(kind, 0) + count
        return {
            "reconciled": read_books(self.caller, self.chain).is_reconciled,
            "open_payments": sum(each["open_payments"] for each in overviews),
            "open_breaks": count_breaks(self.caller),
            "open_deliveries": sum(self._waiting_deliveries(key) for key in keys),
            "open_effects": sum(count for kind, count in effects.items() if kind not in RECURRING),
            "abandoned_effects": sum(len(each["abandoned_effects"]) for each in overviews),
            "dead_deliveries": sum(each["dead_deliveries"] for each in overviews),
            "unfinished_effects_by_kind": effects,
        }

    def _waiting_deliveries(self, key: str) -> int:
        path = "/v1/operations/deliveries?state=waiting"
        return len(self.caller.get(key, path, token=key).json()["items"])


@contextmanager
def running_street(folder: Path) -> Iterator[Street]:
    """A funded network in `folder`, for as long as the context lasts."""
    layout = open_layout(folder, port_base=free_ports(PORTS_NEEDED)[0], default_port_base=0)
    _add_carol(layout.settings(BANK))
    for member in INSTITUTIONS:
        _change(layout.settings(member.key), {"monitor_token_sha256": _digest(MONITOR_TOKEN)})
    with Processes(folder / "logs") as processes:
        children = {}
        for name, run in layout.node_commands().items():
            children[name] = processes.start(name, run)
            processes.await_ready(children[name], "ready")
        for member in INSTITUTIONS:
            settings = ["--settings", str(layout.settings(member.key))]
            children[member.key] = processes.start(member.key, ["bridge", "run", *settings])
            if member.role == "central_bank":
                name = f"attester-{member.key}"
                children[name] = processes.start(name, ["bridge", "attest", *settings])
        settings = ["--settings", str(layout.settings(LIQUIDITY.key))]
        children[LIQUIDITY.key] = processes.start(LIQUIDITY.key, ["bridge", "liquidity", *settings])
        for member in INSTITUTIONS:
            processes.await_ready(children[member.key], "ready")
        processes.await_ready(children[LIQUIDITY.key], "resolving")
        chain = ChainClient(layout.node_url, CHAIN_ID)
        with Caller(layout) as caller:
            Demo(layout, Console(), chain, caller).fund()
            yield Street(layout, processes, children, chain, caller)


def await_that(holds: Callable[[], bool], seconds: float = REST_SECONDS_MAX) -> bool:
    """Whether something came to hold in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _add_carol(path: Path) -> None:
    """Give bank A a second customer, and small fees."""
    settings = json.loads(path.read_text("utf-8"))
    (alice,) = settings["customers"]
    carol = {
        "customer_id": CAROL,
        "name": "Carol Brandt",
        "address": {"town": "Frankfurt", "country": "DE"},
        "token_sha256": _digest(CAROL_TOKEN),
        "accounts": [{"scheme": "iban", "identification": CAROL_IBAN, "currency": "EUR"}],
    }
    fees = dict.fromkeys(settings["currencies"], FEE)
    _change(path, {"customers": [alice, carol], "fee": fees})


def _change(path: Path, changes: dict[str, object]) -> None:
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, **changes}, indent=2), "utf-8")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
