"""A node under its operator's hands: settings, access control, several RPC processes, metrics, an orderly end."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.node_process import (
    READY_SECONDS_MAX,
    ROOT,
    NodeProcess,
    children_of,
    free_port,
    is_alive,
    make_genesis,
    run_command,
    running_node,
)
from support.settlement_network import ALPHA, network_file
from support.transactions import SLOW_LOOP, Draft

SENDER = ALPHA.operating
TOKEN = "a-token-of-a-bank"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}


@pytest.fixture(scope="module")
def genesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = {**network_file(), "genesis_time": 1_700_000_000}
    return make_genesis(tmp_path_factory.mktemp("genesis"), network)


def samples_of(page: str) -> dict[tuple[str, str], float]:
    """The values of a page of metrics, summed over all labels but the process."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = sample.name, sample.labels["process"]
            found[key] = found.get(key, 0) + sample.value
    return found


def send(node: NodeProcess, nonce: int) -> None:
    raw = Draft(nonce=nonce).signed_by(SENDER)
    node.receipt(node.rpc("eth_sendRawTransaction", "0x" + raw.hex()))


def test_when_one_of_several_rpc_processes_is_killed_the_others_serve(
    genesis: Path, tmp_path: Path
) -> None:
    """N-92."""
    with running_node(genesis, tmp_path / "data", options=["--rpc-processes", "3"]) as node:
        until(lambda: len(children_of(node.process.pid)) == 3, node)
        send(node, 0)
        stopping = threading.Event()
        answers: list[int] = []
        broken: list[str] = []

        def ask() -> None:
            while not stopping.is_set():
                try:
                    answers.append(httpx.post(node.url, json=CALL, timeout=20).status_code)
                except httpx.TransportError as error:
                    broken.append(repr(error))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) > 50, node)
        killed = children_of(node.process.pid)[0]
        os.kill(killed, signal.SIGKILL)
        before = len(answers)
        until(lambda: len(answers) > before + 50, node)
        until(lambda: len(children_of(node.process.pid)) == 3, node)
        stopping.set()
        for thread in threads:
            thread.join()
        assert set(answers) == {200}
        # What the killed process had at hand is lost, one request for each who asked; nothing after.
        assert len(broken) <= len(threads)
        send(node, 1)
    assert node.process.returncode == 0


def until(is_so: Any, node: NodeProcess) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(node.log.read_text())
        time.sleep(0.02)


def test_one_page_shows_the_metrics_of_all_processes(genesis: Path, tmp_path: Path) -> None:
    """N-97."""
    with running_node(genesis, tmp_path / "data", options=["--rpc-processes", "2"]) as node:
        send(node, 0)
        node.post({**CALL, "method": "made_up"})
        pages: list[str] = []

        def has_all() -> bool:
            """What another process counted comes with its next report."""
            pages.append(httpx.get(node.url + "/metrics").text)
            wanted = ('process="rpc-1"', 'process="rpc-2"', 'method="other",outcome="unknown"')
            return all(each in pages[-1] for each in wanted)

        until(has_all, node)
        page = pages[-1]
    values = samples_of(page)
    assert values["corridor_head_number", "core"] == 1
    assert values["corridor_transactions_total", "core"] == 1
    assert values["corridor_gas_used_total", "core"] > 0
    assert values["corridor_store_bytes", "core"] > 0
    assert 'corridor_transactions_total{process="core",result="included"} 1.0' in page
    for stage in ("propose", "verify", "execute", "state_commit", "chain_commit"):
        assert f'stage_seconds_count{{process="core",stage="{stage}"}} 1.0' in page
    assert values["process_resident_memory_bytes", "core"] > 0
    assert "made_up" not in page
    lines = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(set(lines)) == len(lines)
    assert page.count("# TYPE corridor_rpc_calls_total ") == 1


def test_only_whom_the_settings_name_is_served(genesis: Path, tmp_path: Path) -> None:
    """N-93, N-94, N-95."""
    config = tmp_path / "node.toml"
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    config.write_text(f'[clients.bank]\ntoken_sha256 = "{digest}"\nallow = ["eth_*"]\n')
    with running_node(genesis, tmp_path / "data", options=["--config", str(config)]) as node:
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert httpx.post(node.url, json=CALL).status_code == 401
        answered = httpx.post(node.url, json=CALL, headers=headers)
        assert answered.json()["result"] == "0x0"
        version = {**CALL, "method": "web3_clientVersion"}
        assert httpx.post(node.url, json=version, headers=headers).status_code == 403
        assert httpx.get(node.url + "/readyz").json()["status"] == "ready"
        command_lines = [
            Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children_of(node.process.pid)
        ]
    assert not any(digest.encode() in line for line in command_lines)
    assert TOKEN not in node.log.read_text()
    assert digest not in node.log.read_text()


def test_an_rpc_process_may_be_started_by_hand_on_a_port_of_its_own(
    genesis: Path, tmp_path: Path
) -> None:
    """N-92."""
    with running_node(genesis, tmp_path / "data") as node:
        send(node, 0)
        with rpc_by_hand(genesis, tmp_path / "data") as (process, url):
            assert httpx.post(url, json=CALL).json()["result"] == "0x1"
            until(lambda: f'process="rpc-{process.pid}"' in metrics_of(node.url), node)
            node.kill()
            assert process.wait(READY_SECONDS_MAX) == 5


def metrics_of(url: str) -> str:
    return httpx.get(url + "/metrics").text


@contextmanager
def rpc_by_hand(genesis: Path, data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [
        *(sys.executable, "-m", "node", "rpc", "--genesis", str(genesis)),
        *("--data", str(data), "--port", str(free_port())),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        readable, _, _ = select.select([process.stdout], [], [], READY_SECONDS_MAX)
        assert readable
        yield process, process.stdout.readline().removeprefix("ready ").strip()
    finally:
        process.stdout.close()
        if process.poll() is None:
            process.terminate()
            process.wait(READY_SECONDS_MAX)


def test_a_request_at_hand_is_answered_when_the_node_is_asked_to_end(
    genesis: Path, tmp_path: Path
) -> None:
    """N-96."""
    options = ["--limits-call-seconds-max", "2", "--log-level", "debug"]
    with running_node(genesis, tmp_path / "data", options=options) as node:
        loop = {"data": SLOW_LOOP, "gas": hex(16_000_000)}
        body = {**CALL, "method": "eth_call", "params": [loop]}
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(node.post(body)))
        asking.start()
        until(lambda: "corridor_rpc_requests_in_flight{" in in_flight(node), node)
        node.process.send_signal(signal.SIGTERM)
        asking.join()
        assert answers[0]["error"]["code"] == -32005
        children = children_of(node.process.pid)
        assert node.process.wait(READY_SECONDS_MAX) == 0
        assert not any(map(is_alive, children))
    log = node.log.read_text()
    slow = [json.loads(line) for line in log.splitlines() if '"rpc_call_slow"' in line]
    assert [(each["method"], each["client"]) for each in slow] == [("eth_call", "anonymous")]
    assert SLOW_LOOP not in log


def in_flight(node: NodeProcess) -> str:
    """The line of the requests in flight, once there is one."""
    lines = metrics_of(node.url).splitlines()
    return next(
        (line for line in lines if line.startswith("corridor_rpc_requests") and "1.0" in line), ""
    )


def test_a_port_in_use_is_refused_before_anything_serves(genesis: Path, tmp_path: Path) -> None:
    """N-92."""
    with running_node(genesis, tmp_path / "data") as node:
        port = node.url.rpartition(":")[2]
        second = run_command(
            "run", "--genesis", str(genesis), "--data", str(tmp_path / "other"), "--port", port
        )
    assert second.returncode == 3
    assert "another process listens on" in second.stderr


def test_what_would_hold_is_printed_and_checked_without_starting(
    genesis: Path, tmp_path: Path
) -> None:
    """N-91."""
    config = tmp_path / "node.toml"
    config.write_text(
        f'genesis_file = "{genesis}"\ndata_directory = "store"\nport = 8545\n[limits]\nthreads = 3\n'
    )
    checked = run_command("run", "--config", str(config), "--check-config", "--rpc-processes", "2")
    assert checked.returncode == 0, checked.stderr
    assert f"limits.threads = 3  # file {config}" in checked.stdout
    assert "rpc_processes = 2  # flag --rpc-processes" in checked.stdout
    assert not (tmp_path / "store").exists()
    secret = tmp_path / "secret"
    secret.write_text("00" * 32)
    secret.chmod(0o644)
    config.write_text(
        'genesis_file = "nowhere.json"\ndata_directory = "node.toml"\nport = 8545\n'
        '[clients.bank]\njwt_secret_file = "secret"\n'
    )
    checked = run_command("run", "--config", str(config), "--check-config")
    assert checked.returncode == 2
    for words in ("genesis_file: ", "data_directory: ", "others than its owner may use it"):
        assert words in checked.stderr
    refused = run_command("run", "--config", str(config), "--port", "many")
    assert refused.returncode == 2
    assert "port (flag --port): expected a whole number" in refused.stderr
