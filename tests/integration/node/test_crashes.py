"""A node killed at every barrier between two durable writes: it comes back as if nothing had been.

Cites docs/spec/node.md: N-30, N-100 to N-104.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from node.archive import Verification, export_blocks
from node.errors import StoreBusy, StoreCorrupt, StoreVersionUnknown
from node.failpoint import ALLOWED_VARIABLE, FAILPOINT_VARIABLE, Failpoint
from node.history import History
from node.primitives import keccak
from node.store import ChainStore, StateStore
from support.kept_chain import KeptChain, deployment, make_chain, put_raw, still_genesis
from support.node_process import (
    READY_SECONDS_MAX,
    ROOT,
    NodeProcess,
    NotStarted,
    RpcRefused,
    free_port,
    make_genesis,
    run_command,
    running_node,
    start_node,
)
from support.settlement_network import network_file

KILLED: Final = -signal.SIGKILL

GENESIS_POINTS: Final = (
    Failpoint.GENESIS_STATE_WRITTEN,
    Failpoint.GENESIS_BLOCK_INSIDE,
    Failpoint.GENESIS_BLOCK_WRITTEN,
)
BLOCK_POINTS: Final = (
    Failpoint.POOL_ADDED,
    Failpoint.POOL_INSIDE,
    Failpoint.POOL_WRITTEN,
    Failpoint.STATE_BEFORE,
    Failpoint.STATE_INSIDE,
    Failpoint.STATE_WRITTEN,
    Failpoint.BLOCK_INSIDE,
    Failpoint.BLOCK_WRITTEN,
    Failpoint.POOL_SETTLED,
)
IMPORT_POINTS: Final = (Failpoint.BLOCK_IMPORTED,)
PRUNE_POINTS: Final = (
    Failpoint.PRUNE_COPIED,
    Failpoint.PRUNE_MARKED,
    Failpoint.PRUNE_SWAPPED,
)
RAWS: Final = [deployment(nonce) for nonce in range(4)]


@pytest.fixture(scope="module")
def genesis_text() -> bytes:
    return still_genesis()


def dying_at(failpoint: Failpoint, count: int = 1) -> dict[str, str]:
    return {FAILPOINT_VARIABLE: f"{failpoint}:{count}", ALLOWED_VARIABLE: "yes"}


def hash_of(raw: bytes) -> str:
    return "0x" + keccak(raw).hex()


def send_all(node: NodeProcess) -> None:
    """Brings every transaction into a block, one after the other, those that are in one left out."""
    for raw in RAWS:
        if node.rpc("eth_getTransactionReceipt", hash_of(raw)) is None:
            with contextlib.suppress(RpcRefused):  # the pool may have kept it
                node.rpc("eth_sendRawTransaction", "0x" + raw.hex())
            node.receipt(hash_of(raw))


def death_of(files: tuple[Path, Path], failpoint: Failpoint) -> int | None:
    """The exit code of a node that dies at a failpoint: while it serves, or over what its pool has kept before."""
    try:
        node = start_node(*files, free_port(), environment=dying_at(failpoint))
    except NotStarted as died:
        return died.exit_code
    with contextlib.suppress(httpx.HTTPError):
        send_all(node)
    return node.process.wait(READY_SECONDS_MAX)


def told(node: NodeProcess) -> list[Any]:
    """What a client sees of the chain: blocks, receipts and events."""
    head, _ = node.head()
    numbers = [hex(number) for number in range(head + 1)]
    return [
        [node.rpc("eth_getBlockByNumber", number, True) for number in numbers],
        [node.rpc("eth_getBlockReceipts", number) for number in numbers],
        node.rpc("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"}),
    ]


def test_every_failpoint_is_tried_here() -> None:
    """Those between node and engine are tried in test_validators.py, those of a restoration in test_joining.py."""
    tried = (*GENESIS_POINTS, *BLOCK_POINTS, *IMPORT_POINTS, *PRUNE_POINTS)
    others = {
        *(Failpoint.FINALIZED, Failpoint.COMMITTED),
        *(Failpoint.SNAPSHOT_STATE_WRITTEN, Failpoint.SNAPSHOT_RESTORED),
    }
    assert tried == tuple(each for each in Failpoint if each not in others)


def test_a_node_killed_at_every_barrier_is_the_node_that_never_was(
    genesis_text: bytes, tmp_path: Path
) -> None:
    """N-30, N-104."""
    calm = make_chain(tmp_path / "calm", genesis_text)
    with running_node(calm.genesis_file, calm.directory) as node:
        send_all(node)
        expected = told(node)
    assert len(expected[2]) == len(RAWS)

    tried = make_chain(tmp_path / "tried", genesis_text)
    files = tried.genesis_file, tried.directory
    command = "run", "--genesis", str(files[0]), "--data", str(files[1]), "--port", "1"
    for failpoint in GENESIS_POINTS:
        died = run_command(*command, environment=dying_at(failpoint))
        assert died.returncode == KILLED, (failpoint, died.stderr)
    for failpoint in BLOCK_POINTS:
        assert death_of(files, failpoint) == KILLED, failpoint
    with running_node(*files) as node:
        send_all(node)
        assert told(node) == expected
    assert tried.dump() == calm.dump()


def test_an_import_killed_between_blocks_is_taken_up(genesis_text: bytes, tmp_path: Path) -> None:
    """N-100, N-101, N-102, N-104."""
    source = make_chain(tmp_path / "source", genesis_text, 3)
    target = make_chain(tmp_path / "target", genesis_text)
    file = tmp_path / "blocks"
    exported = run_command("export", "--data", str(source.directory), "--out", str(file))
    assert exported.stdout == "exported 3 blocks, up to 3\n"
    command = "import", str(file), "--data", str(target.directory)
    died = run_command(*command, environment=dying_at(Failpoint.BLOCK_IMPORTED, 2))
    assert died.returncode == KILLED
    with target.reading() as store:
        assert History(store).head().number == 2
    done = run_command(*command)
    assert (done.returncode, done.stdout) == (0, "imported 1 blocks, up to 3\n"), done.stderr
    assert target.dump() == source.dump()
    verified = run_command("verify", "--data", str(target.directory))
    assert (verified.returncode, verified.stdout) == (0, "verified 3 blocks, up to 3\n")


def test_an_import_that_is_told_to_stop_ends_after_the_block_at_hand(
    genesis_text: bytes, tmp_path: Path
) -> None:
    """N-101."""
    source = make_chain(tmp_path / "source", genesis_text, 3)
    target = make_chain(tmp_path / "target", genesis_text)
    file = io.BytesIO()
    with source.reading() as store:
        assert list(export_blocks(store, file, last_number=None)) == [1, 2, 3]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    importing = subprocess.Popen(
        [sys.executable, "-m", "node", "import", str(pipe), "--data", str(target.directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    content = file.getvalue()
    with pipe.open("wb", buffering=0) as feed:
        feed.write(content[:-1])
        deadline = time.monotonic() + READY_SECONDS_MAX
        while head_of(target) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        importing.send_signal(signal.SIGTERM)
        time.sleep(2)
        feed.write(content[-1:])
    out, _ = importing.communicate(timeout=READY_SECONDS_MAX)
    assert (importing.returncode, out) == (1, "stopped by SIGTERM after block 3\n")
    assert head_of(target) == 3


def head_of(kept: KeptChain) -> int:
    """The number of its newest block; 0 while it has none."""
    try:
        with kept.reading() as store:
            return History(store).head().number
    except (StoreBusy, StoreCorrupt, StoreVersionUnknown):
        return 0


def is_sound(kept: KeptChain, scratch: Path) -> bool:
    with (
        closing(StateStore(kept.directory / "state", readonly=True)) as state,
        closing(ChainStore(kept.directory / "chain", readonly=True)) as chain,
    ):
        text = kept.genesis_file.read_bytes()
        run = Verification(genesis_text=text, state=state, chain=chain, scratch=scratch).run()
        return list(run) != []


def test_a_pruning_killed_anywhere_leaves_a_sound_store(
    genesis_text: bytes, tmp_path: Path
) -> None:
    """N-102, N-103, N-104."""
    kept = make_chain(tmp_path / "data", genesis_text, 4)
    command = "prune", "--data", str(kept.directory), "--keep", "2"
    for failpoint in PRUNE_POINTS:
        died = run_command(*command, environment=dying_at(failpoint))
        assert died.returncode == KILLED, (failpoint, died.stderr)
        assert is_sound(kept, tmp_path / failpoint)
    done = run_command(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("states kept from block 3 on; ")
    with running_node(kept.genesis_file, kept.directory) as node:
        account = "0x" + bytes(20).hex()
        assert node.rpc("eth_getBalance", account, "0x3") == "0x0"
        with pytest.raises(RpcRefused, match="pruned: this node keeps states from block 3 on"):
            node.rpc("eth_getBalance", account, "0x2")
        assert len(node.rpc("eth_getLogs", {"fromBlock": "earliest", "toBlock": "0x2"})) == 4
        busy = run_command(*command)
        assert busy.returncode == 3
        assert "another node runs on" in busy.stderr
    put_raw(kept.directory / "chain", "heights", b"\0" * 7 + b"\2", None)
    broken = run_command("verify", "--data", str(kept.directory))
    assert broken.returncode == 4
    assert "heights of block 2 differs at key 0x0000000000000002: it is missing" in broken.stderr


def test_a_failpoint_on_a_settlement_chain_is_refused(tmp_path: Path) -> None:
    """N-104."""
    genesis = make_genesis(tmp_path, {**network_file(), "genesis_time": 1_700_000_000})
    command = "run", "--genesis", str(genesis), "--data", str(tmp_path / "data"), "--port", "1"
    refused = run_command(*command, environment={FAILPOINT_VARIABLE: "state-before"})
    assert refused.returncode == 2
    assert "this is no development chain" in refused.stderr
