"""New nodes come to a running network, from a snapshot and from genesis; all processes are real.

Cites docs/spec/node.md: N-170, N-172, N-173, N-174, N-175.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.__main__ import EXIT_UNAVAILABLE
from node.consensus.cometbft.home import make_keys
from node.errors import EngineQuestionRefused
from node.failpoint import Failpoint
from node.snapshot import Manifest
from support.engine_binary import engine_binary
from support.joining_network import (
    HISTORY_HEIGHTS,
    SENDER,
    JoiningNetwork,
    joining_network,
    start,
)
from support.node_process import NodeProcess, NotStarted, RpcRefused, run_command
from support.validator_processes import await_that

PRUNED = 4444
NEWCOMERS = ("quick", "slow", "late", Failpoint.SNAPSHOT_STATE_WRITTEN, Failpoint.SNAPSHOT_RESTORED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("joining")


@pytest.fixture(scope="module")
def network(folder: Path) -> Iterator[JoiningNetwork]:
    """Four validators with some blocks, and a fifth that the council added and that is not there; idle since."""
    engine_binary()
    newcomers = [folder / name for name in NEWCOMERS]
    with joining_network(folder / "network", newcomers) as opened:
        opened.make_blocks(2)
        opened.add_validator(make_keys(folder / "slow" / "engine"))
        opened.make_blocks(1)
        opened.await_idle()
        yield opened


def refusal(node: NodeProcess, method: str, *params: Any) -> RpcRefused:
    with pytest.raises(RpcRefused) as refused:
        node.rpc(method, *params)
    return refused.value


def events(node: NodeProcess) -> str:
    return node.log.read_text()


def newest_snapshot(data: Path) -> Manifest | None:
    """What a node's newest snapshot is said to be."""
    found = (data / "snapshots").glob("[0-9]*/manifest")
    manifests = [Manifest.decode(path.read_bytes()) for path in found]
    return max(manifests, key=lambda each: each.height, default=None)


def test_all_validators_make_the_same_snapshots(network: JoiningNetwork) -> None:
    """N-170, N-173. The change of validators in them has the commit that all agree on."""

    def is_common() -> bool:
        made = {newest_snapshot(each) for each in network.directories}
        return {each.number if each else None for each in made} == {6} and len(made) == 1

    await_that("the same snapshot of block 6 everywhere", is_common)


def test_a_node_joins_an_idle_network_from_a_snapshot_and_goes_on(
    network: JoiningNetwork, folder: Path
) -> None:
    """N-170, N-173, N-174."""
    network.prepare(folder / "quick", *network.snapshot_options(trust_height=1))
    node = network.join(folder / "quick")
    network.await_agreement()
    assert '"snapshot_restored"' in events(node), "it did not execute the old blocks"
    old = network.validators[0]
    balance = ("eth_getBalance", "0x" + SENDER.address.hex(), "latest")
    assert node.rpc(*balance) == old.rpc(*balance)
    first = int(node.rpc("eth_capabilities")["blocks"]["oldestBlock"], 16)
    assert 1 < first <= old.head()[0]
    kept = ("eth_getBlockByNumber", hex(first), True)
    assert node.rpc(*kept) == old.rpc(*kept)
    raw = node.rpc(*kept)["transactions"][0]["hash"]
    assert node.receipt(raw) == old.receipt(raw)
    assert refusal(node, "eth_getBlockByNumber", hex(first - 1), True).code == PRUNED
    assert refusal(node, "eth_getLogs", {"fromBlock": "0x1"}).code == PRUNED
    assert "pruned" in refusal(node, "eth_getBalance", balance[1], hex(first - 1)).message
    network.make_blocks(2)
    assert node.head() == old.head()
    network.joined.remove(node)
    assert node.stop() == 0
    again = network.join(folder / "quick")
    network.make_blocks(1)
    assert again.head() == old.head()


def test_a_node_joins_from_genesis_by_executing_all_blocks(
    network: JoiningNetwork, folder: Path
) -> None:
    """N-174."""
    network.prepare(folder / "slow")
    node = network.join(folder / "slow")
    network.await_agreement()
    first = ("eth_getBlockByNumber", "0x1", True)
    assert node.rpc(*first) == network.validators[0].rpc(*first)


@pytest.mark.parametrize(
    "failpoint", [Failpoint.SNAPSHOT_STATE_WRITTEN, Failpoint.SNAPSHOT_RESTORED]
)
def test_a_node_killed_while_it_takes_in_a_snapshot_joins_at_its_next_start(
    network: JoiningNetwork, folder: Path, failpoint: Failpoint
) -> None:
    """N-172."""
    data = folder / failpoint
    network.prepare(data, *network.snapshot_options(trust_height=1))
    try:
        dying = network.join(data, dies_at=failpoint)
    except NotStarted as at_once:  # it was there before it served
        exit_code = at_once.exit_code
    else:
        network.joined.remove(dying)
        exit_code = dying.process.wait(60)
    assert exit_code == -signal.SIGKILL
    node = network.join(data)
    network.await_agreement()
    assert '"snapshot_restored"' in events(node)
    network.make_blocks(1)


def test_the_command_makes_a_snapshot_of_a_validator_that_is_stopped(
    network: JoiningNetwork,
) -> None:
    """N-174."""
    data = network.directories[-1]
    stopped = network.validators.pop()
    head_number = stopped.head()[0]
    busy = run_command("snapshot", "--data", str(data))
    assert busy.returncode == EXIT_UNAVAILABLE, "its node runs"
    assert stopped.stop() == 0
    made = run_command("snapshot", "--data", str(data))
    assert made.returncode == 0, made.stderr
    assert f"  block {head_number - 1}  0x" in made.stdout.splitlines()[0]
    assert "not offered yet" not in made.stdout
    listed = run_command("snapshot", "--data", str(data), "--list")
    assert listed.stdout == made.stdout
    network.validators.append(start(network.genesis, data.parent / "node.toml", data))
    network.make_blocks(1)


def test_an_engine_lets_go_of_its_old_history_and_the_network_goes_on(
    network: JoiningNetwork, folder: Path
) -> None:
    """N-177. Who joins from a snapshot, with one that keeps all and one that does not, misses nothing."""

    def is_pruned(place: int) -> bool:
        with network.engine(place) as engine:
            try:
                engine.signed_header(2)
            except EngineQuestionRefused as refused:
                return "lowest height" in str(refused)
            return False

    with network.engine() as engine:
        while engine.status().height <= HISTORY_HEIGHTS + 20:
            network.make_blocks(10)
    network.await_idle()
    network.make_blocks(1)
    await_that("the last one has let go of its oldest heights", lambda: is_pruned(-1))
    assert not is_pruned(0)
    network.prepare(folder / "late", *network.snapshot_options(trust_height=1))
    node = network.join(folder / "late")
    network.await_agreement()
    assert '"snapshot_restored"' in events(node)
    network.make_blocks(1)
