"""A node under measurement: its processes, what they used, and a client that keeps its connection."""

import http.client
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from local_network.ports import free_ports

READY_SECONDS_MAX: Final = 120
STOP_SECONDS_MAX: Final = 30
REQUEST_SECONDS_MAX: Final = 60
IDLE_SECONDS_MAX: Final = 30
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Refused(Exception):
    """A JSON-RPC error answer."""


class Client:
    """JSON-RPC over one connection."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            place.hostname or "", place.port, timeout=REQUEST_SECONDS_MAX
        )
        self._used_at = time.monotonic()

    def call(self, method: str, *params: Any) -> Any:  # any JSON value
        """The result of one call; raises `Refused`."""
        return _result(self.post(_call(0, method, params)))

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of several calls in one request; raises `Refused` for the first that failed."""
        body = [_call(number, method, params) for number, (method, params) in enumerate(calls)]
        answers = sorted(self.post(body), key=lambda answer: int(answer["id"]))
        return [_result(answer) for answer in answers]

    def post(self, body: Any) -> Any:  # any JSON value
        """The answer to one body."""
        return json.loads(self.post_bytes(json.dumps(body).encode()))

    def post_bytes(self, body: bytes) -> bytes:
        """The answer to one encoded body."""
        if time.monotonic() - self._used_at > IDLE_SECONDS_MAX:
            self._connection.close()  # A node closes what is idle; a new connection is made by itself.
        self._used_at = time.monotonic()
        self._connection.request("POST", "/", body, {"content-type": "application/json"})
        return self._connection.getresponse().read()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def encode_submissions(raws: Sequence[bytes]) -> bytes:
    """The body that submits transactions: one call, or a batch."""
    calls = [
        _call(number, "eth_sendRawTransaction", [f"0x{raw.hex()}"])
        for number, raw in enumerate(raws)
    ]
    return json.dumps(calls[0] if len(calls) == 1 else calls).encode()


def _call(number: int, method: str, params: Sequence[Any]) -> dict[str, Any]:  # a JSON object
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _result(answer: dict[str, Any]) -> Any:  # any JSON value
    if "error" in answer:
        raise Refused(str(answer["error"]))
    return answer["result"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process has used so far."""

    cpu_seconds: float
    resident_bytes: int
    """Physical memory, pages of the store's files included: the system takes those back when it needs them."""
    anonymous_bytes: int
    """Of it, memory of the process's own: what a leak would fill."""


@dataclass(slots=True)
class RunningNode:
    """A node that serves."""

    process: subprocess.Popen[str]
    url: str
    pid_by_name: dict[str, int] = field(default_factory=dict)

    def usage(self) -> dict[str, Usage]:
        """What its processes have used, by name."""
        return {name: process_usage(pid) for name, pid in self.pid_by_name.items()}


@contextmanager
def running_node(genesis_file: Path, data: Path, log: Path) -> Iterator[RunningNode]:
    """A node on a data directory, for as long as the context lasts."""
    place = ["--genesis", str(genesis_file), "--data", str(data)]
    port = free_ports(1)[0]
    node = start_node(place, port, log)
    try:
        yield node
    finally:
        stop_node(node)


def start_node(place: Sequence[str], port: int, log: Path) -> RunningNode:
    """A node that serves, by the flags that say where its files are."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "node", "run", "--log-level", "warning"),
                *("--port", str(port), *place),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        return _await_ready(process, log)
    except BaseException:
        process.kill()
        process.wait()
        raise


def stop_node(node: RunningNode) -> None:
    """Ends a node in order."""
    node.process.terminate()
    node.process.wait(STOP_SECONDS_MAX)
    if node.process.stdout is not None:
        node.process.stdout.close()


def _await_ready(process: subprocess.Popen[str], log: Path) -> RunningNode:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        readable, _, _ = select.select([process.stdout], [], [], 1)
        line = process.stdout.readline() if readable else ""
        if line.startswith("ready "):
            # The kernel lists children by the thread that started them.
            tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
            children = [int(pid) for task in tasks for pid in task.read_text().split()]
            names = {pid: _name_of_child(pid) for pid in children}
            pids = {"core": process.pid, **{name: pid for pid, name in names.items()}}
            return RunningNode(process, line.removeprefix("ready ").strip(), pids)
        if readable and not line:
            break
    raise RuntimeError(f"the node did not start: {log.read_text()[-2000:]}")


def _name_of_child(pid: int) -> str:
    """What a core's child is: its engine of consensus, or else an RPC process."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    return "engine" if command.endswith(b"corridor-engine") else "rpc"


def process_usage(pid: int) -> Usage:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    anonymous = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return Usage(
        ticks / TICKS_PER_SECOND, int(fields[21]) * PAGE_BYTES, int(anonymous.split()[1]) * 1024
    )


def cpu_between(before: dict[str, Usage], after: dict[str, Usage]) -> dict[str, float]:
    """CPU seconds that each process used between two looks."""
    return {name: after[name].cpu_seconds - before[name].cpu_seconds for name in before}
