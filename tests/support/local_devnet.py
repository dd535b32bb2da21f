"""The whole network as real processes, for tests that need all of it, with hands on each process."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any, TypeVar

import httpx

from bridge.chain import ChainClient
from bridge.iso20022.format import format_initiation
from bridge.iso20022.identifiers import parse_uetr, shape_uetr
from bridge.iso20022.messages import (
    CustomerCreditTransferInitiation,
    InstructionStamp,
    PaymentInstruction,
    restamp,
)
from bridge.iso20022.parse import parse_initiation
from local_network.books import Books, Caller, read_books
from local_network.cast import CHAIN_ID, INSTITUTIONS, LIQUIDITY
from local_network.console import Console
from local_network.demo import Demo
from local_network.layout import PORTS_NEEDED, Layout, open_layout
from local_network.ports import free_ports
from local_network.processes import Child, Processes

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "examples" / "pain.001.xml"

T = TypeVar("T")

WAIT_SECONDS = 60
POLL_SECONDS = 0.05
ATTESTER = "attester-"
"""What the name of a central bank's attesting process begins with."""


@dataclass(slots=True)
class Devnet:
    """A running network; `environments` is what each process is given of its own, by name."""

    layout: Layout
    processes: Processes
    children: dict[str, Child]
    chain: ChainClient
    caller: Caller
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def books(self) -> Books:
        """Every ledger now."""
        return read_books(self.caller, self.chain)

    def settled_books(self) -> Books:
        """The books once they agree, or as they are when they never do."""
        return eventually(self.books, lambda books: books.is_reconciled)

    def pause(self, key: str) -> None:
        """Stop a process (and its own children) in its tracks: SIGSTOP."""
        os.killpg(self.children[key].process.pid, signal.SIGSTOP)

    def resume(self, key: str) -> None:
        """Let a stopped process go on: SIGCONT."""
        os.killpg(self.children[key].process.pid, signal.SIGCONT)

    def kill(self, key: str) -> None:
        """End a process without a word: SIGKILL."""
        os.killpg(self.children[key].process.pid, signal.SIGKILL)
        self.bury(key)

    def bury(self, key: str) -> int:
        """The exit code of a process that ends or has ended, which is watched no more."""
        child = self.children[key]
        code = child.process.wait()
        self.processes.forget(child)
        return code

    def start(self, key: str) -> None:
        """Start a process of an institution, or the liquidity service, and wait until it serves."""
        self.processes.await_ready(self.begin(key), _command(key)[1])

    def begin(self, key: str) -> Child:
        """Start a process as `start` does, without waiting for it."""
        settings = self.layout.settings(key.removeprefix(ATTESTER))
        arguments = ["bridge", _command(key)[0], "--settings", str(settings)]
        child = self.processes.start(key, arguments, self.environments.get(key))
        self.children[key] = child
        return child

    def send(self, document: bytes, *, customer: str = "alice") -> httpx.Response:
        """A pain.001 to bank A, whatever the answer."""
        return httpx.post(
            self.layout.url("bank-a") + "/v1/messages",
            content=document,
            headers={
                "authorization": f"Bearer {self.layout.token(customer)}",
                "content-type": "application/xml",
            },
            timeout=WAIT_SECONDS,
        )

    def payment(self, payment_id: str) -> dict[str, Any]:
        """A payment as Alice sees it."""
        path = f"/v1/payments/{payment_id}"
        answer: dict[str, Any] = self.caller.get("bank-a", path, token="alice").json()
        return answer

    def await_state(self, payment_id: str, *states: str) -> dict[str, Any]:
        """The payment once it is in one of these states."""
        return eventually(
            lambda: self.payment(payment_id), lambda payment: payment["status"] in states
        )

    def balance(self, key: str, account: str) -> str:
        """A ledger balance as its operator sees it."""
        answer = self.caller.get(key, "/v1/ledger/accounts", token=key).json()
        found = {item["id"]: item["ledger"]["value"] for item in answer["items"]}
        return str(found[account])


def _command(key: str) -> tuple[str, str]:
    """What runs a process, and what it says when it serves."""
    if key == LIQUIDITY.key:
        return "liquidity", "resolving"
    return ("attest", "attesting") if key.startswith(ATTESTER) else ("run", "ready")


@contextmanager
def running_devnet(
    folder: Path,
    changes: Mapping[str, Mapping[str, object]],
    before: Callable[[Layout], None] = lambda _: None,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Devnet]:
    """A funded network in `folder`; `changes` alters settings by institution before the start.

    `before` is called with the layout before anything is started; `environments` is as in `Devnet`.
    """
    given = environments or {}
    layout = open_layout(folder, port_base=free_ports(PORTS_NEEDED)[0], default_port_base=0)
    before(layout)
    for key, changed in changes.items():
        path = layout.settings(key)
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with Processes(folder / "logs") as processes:
        commands = layout.node_commands()
        children = {name: processes.start(name, run) for name, run in commands.items()}
        for name in commands:
            processes.await_ready(children[name], "ready")
        for member in INSTITUTIONS:
            settings = ["--settings", str(layout.settings(member.key))]
            name, command = member.key, ["bridge", "run", *settings]
            children[name] = processes.start(name, command, given.get(name))
            if member.role == "central_bank":
                name, command = f"{ATTESTER}{member.key}", ["bridge", "attest", *settings]
                children[name] = processes.start(name, command, given.get(name))
        for member in INSTITUTIONS:
            processes.await_ready(children[member.key], "ready")
        chain = ChainClient(layout.node_url, CHAIN_ID)
        with Caller(layout) as caller:
            Demo(layout, Console(), chain, caller).fund()
            yield Devnet(layout, processes, children, chain, caller, given)


def instruction(change: Callable[[PaymentInstruction], PaymentInstruction] | None = None) -> bytes:
    """A fresh pain.001 of one payment, like the example but for `change`."""
    example = parse_initiation(EXAMPLE.read_bytes())
    now = datetime.now(UTC).replace(microsecond=0)
    run = token_hex(6)
    fresh = restamp(
        example,
        message_id=f"TEST-{run}",
        created_at=now,
        requested_execution_date=now.date(),
        stamps=(InstructionStamp(f"E2E-{run}", parse_uetr(shape_uetr(token_bytes(16)))),),
    )
    if change is not None:
        fresh = _changed(fresh, change)
    return format_initiation(fresh)


def _changed(
    initiation: CustomerCreditTransferInitiation,
    change: Callable[[PaymentInstruction], PaymentInstruction],
) -> CustomerCreditTransferInitiation:
    changed = tuple(change(instruction) for instruction in initiation.instructions)
    return replace(initiation, instructions=changed)


def eventually(read: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """What `read` gives once it holds, or its last answer when it never does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        value = read()
        if holds(value) or time.monotonic() >= deadline:
            return value
        time.sleep(POLL_SECONDS)
