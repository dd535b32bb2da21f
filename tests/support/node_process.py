"""A node as an operator runs it: two real processes on a free port, and a bare JSON-RPC client."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from local_network.ports import free_ports

READY_SECONDS_MAX: Final = 30
RECEIPT_SECONDS_MAX: Final = 60
ENDING_SECONDS_MAX: Final = 5
POLL_SECONDS: Final = 0.1
ROOT: Final = Path(__file__).parents[2]


class RpcRefused(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, code: int, message: str, data: str | None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.data = data


class NotStarted(AssertionError):
    """A node that did not serve; `exit_code` is None where it had to be killed."""

    def __init__(self, exit_code: int | None, log: str) -> None:
        super().__init__(f"the node did not start: {exit_code} {log}")
        self.exit_code = exit_code


def free_port() -> int:
    """A port that nobody listens on and nobody else is given."""
    return free_ports(1)[0]


def run_command(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command of the node's command line, to its end; `environment` is added to ours."""
    return subprocess.run(
        [sys.executable, "-m", "node", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def make_genesis(directory: Path, network: dict[str, Any]) -> Path:
    """genesis.json for a network, made by the command line."""
    network_file, genesis_file = directory / "network.json", directory / "genesis.json"
    network_file.write_text(json.dumps(network))
    made = run_command(
        "network", "generate", "--network", str(network_file), "--out", str(genesis_file)
    )
    assert made.returncode == 0, made.stderr
    return genesis_file


@dataclass(slots=True)
class NodeProcess:
    """A running node."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    answer_seconds_max: float = 30

    def rpc(self, method: str, *params: Any) -> Any:
        """The result of one call; raises `RpcRefused`."""
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        if "error" in answer:
            error = answer["error"]
            raise RpcRefused(error["code"], error["message"], error.get("data"))
        return answer["result"]

    def post(self, body: Any) -> Any:
        """The answer to one JSON body."""
        return httpx.post(self.url, json=body, timeout=self.answer_seconds_max).json()

    def receipt(self, transaction_hash: str) -> dict[str, Any]:
        """The receipt of a transaction, once it is committed."""
        deadline = time.monotonic() + RECEIPT_SECONDS_MAX
        while time.monotonic() < deadline:
            receipt = self.rpc("eth_getTransactionReceipt", transaction_hash)
            if receipt is not None:
                found: dict[str, Any] = receipt
                return found
            time.sleep(0.01)
        raise AssertionError(f"no receipt for {transaction_hash}: {self.log.read_text()}")

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest block."""
        block = self.rpc("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), block["hash"]

    def kill(self) -> None:
        """Ends the core with SIGKILL; the RPC process follows by itself."""
        self.process.kill()
        self.process.wait(READY_SECONDS_MAX)

    def stop(self) -> int:
        """Ends the node in order; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(READY_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()  # a test that fails leaves nothing behind for another to meet
            raise


def start_development_node(log: Path, *arguments: str, **environment: str) -> NodeProcess:
    """A development chain that serves, and what it printed before."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "node", "dev", "--port", str(free_port()), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
        )
    assert process.stdout is not None
    deadline, lines = time.monotonic() + READY_SECONDS_MAX, [""]
    while not lines[-1].startswith("ready "):
        readable, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
        line = process.stdout.readline() if readable else ""
        if not line:
            process.kill()
            process.wait()
            raise AssertionError(f"the node did not start: {lines} {log.read_text()}")
        lines.append(line)
    process.stdout.close()
    assert any("(0) 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266" in line for line in lines)
    return NodeProcess(process, lines[-1].removeprefix("ready ").strip(), log)


def start_node(
    genesis: Path,
    data: Path,
    port: int,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> NodeProcess:
    """A node that serves; `environment` is added to ours, `options` are more of its flags."""
    place = ("--genesis", str(genesis), "--data", str(data), "--port", str(port))
    log = log or data.with_suffix(".log")
    return await_ready(spawn_node((*place, *options), log, environment), log)


def spawn_node(
    arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A `node run` that has just begun; its log goes on in `log`."""
    with log.open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "node", "run", *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def await_ready(
    process: subprocess.Popen[str], log: Path, seconds: float = READY_SECONDS_MAX
) -> NodeProcess:
    """The node, once it serves; raises `NotStarted`."""
    assert process.stdout is not None
    # A core that died leaves its RPC process behind for a while, with the same output open.
    deadline, readable = time.monotonic() + seconds, False
    while not readable and process.poll() is None and time.monotonic() < deadline:
        readable = bool(select.select([process.stdout], [], [], POLL_SECONDS)[0])
    line = process.stdout.readline() if readable else ""
    process.stdout.close()
    if not line.startswith("ready "):
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may be ending by itself
            process.wait(ENDING_SECONDS_MAX)
        exit_code = process.poll()
        process.kill()
        process.wait()
        raise NotStarted(exit_code, log.read_text())
    return NodeProcess(process, line.removeprefix("ready ").strip(), log)


@contextmanager
def running_node(
    genesis: Path,
    data: Path,
    port: int | None = None,
    log: Path | None = None,
    options: Sequence[str] = (),
) -> Iterator[NodeProcess]:
    """A node for as long as the context lasts."""
    node = start_node(genesis, data, port or free_port(), log, options=options)
    try:
        yield node
    finally:
        node.stop()


def children_of(pid: int) -> list[int]:
    """The children of a process, from the kernel."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():
        pytest.skip("needs /proc to find a node's child process")
    found = [path.read_text() for path in tasks.glob("*/children")]
    return [int(number) for text in found for number in text.split()]


def is_alive(pid: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
