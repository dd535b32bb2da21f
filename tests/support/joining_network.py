"""Four validators as their operators run them, and nodes that join: all real processes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from coincurve import PublicKey
from eth_abi.abi import encode

import contracts
from node import link
from node.consensus.cometbft.home import PublicKeys, make_keys
from node.consensus.cometbft.status import EngineClient
from node.failpoint import ALLOWED_VARIABLE, FAILPOINT_VARIABLE, Failpoint
from node.primitives import keccak
from node.signed_header import Validator
from support.node_process import NodeProcess, free_port, run_command, start_node
from support.settlement_network import network_file
from support.transactions import Draft, Key
from support.validator_network import HOUSES
from support.validator_processes import await_that

SNAPSHOT_BLOCKS: Final = 2
HISTORY_HEIGHTS: Final = 100
"""What the engine of the last validator keeps of its history."""
SENDER: Final = HOUSES[0].operating


@dataclass(slots=True)
class JoiningNetwork:
    """The running validators, and what a partner is told of them."""

    genesis: Path
    peers: tuple[str, ...]
    rpc_urls: tuple[str, ...]
    validators: list[NodeProcess]
    directories: tuple[Path, ...]
    """The validators' data directories."""
    joined: list[NodeProcess] = field(default_factory=list)

    def add_validator(self, keys: PublicKeys) -> None:
        """Has the council make a key of the last house a validator; the set changes two heights after the block."""
        assert keys.validator is not None
        point = PublicKey(keys.validator).format(compressed=False)[1:]
        given = (HOUSES[4].lei, point[:32], point[32:], int(time.time()))
        self._order(
            HOUSES[0].account("officer"), "proposeAddition(bytes20,bytes32,bytes32,uint40)", *given
        )
        self._order(HOUSES[1].account("officer"), "confirmChange(uint256)", 1)
        self.make_blocks(2)
        await_that("a fifth validator", lambda: len(self._newest_set()) == len(HOUSES[:5]))

    def make_blocks(self, count: int) -> None:
        """As many blocks, each with one transaction, final on every node."""
        for _ in range(count):
            self._send(Draft(), SENDER)
        self.await_agreement()

    def await_agreement(self) -> None:
        """Returns once all nodes have one head."""
        nodes = [*self.validators, *self.joined]
        await_that("one head", lambda: len({each.head() for each in nodes}) == 1)

    def await_idle(self) -> int:
        """The height at which the chain has become quiet."""
        with self.engine() as engine:
            height = 0
            while height != (height := engine.status().height):
                time.sleep(1)
            return height

    def header_hash(self, height: int) -> str:
        """What a partner is told to trust: the hash of a header of consensus."""
        with self.engine() as engine:
            return engine.signed_header(height).header.hash.hex()

    def _send(self, draft: Draft, key: Key) -> dict[str, Any]:
        """The receipt of a transaction with the next nonce."""
        node = self.validators[0]
        nonce = int(node.rpc("eth_getTransactionCount", "0x" + key.address.hex(), "pending"), 16)
        raw = replace(draft, nonce=nonce).signed_by(key)
        return node.receipt(node.rpc("eth_sendRawTransaction", "0x" + raw.hex()))

    def _order(self, key: Key, signature: str, *values: Any) -> None:
        """Calls NodeRegistry."""
        types = signature.partition("(")[2].removesuffix(")").split(",")
        data = keccak(signature.encode())[:4] + encode(types, values)
        to = contracts.NODE_REGISTRY_ADDRESS
        receipt = self._send(Draft(to=to, data=data, gas_limit=1_000_000), key)
        assert receipt["status"] == "0x1", signature

    def _newest_set(self) -> tuple[Validator, ...]:
        """Who validates at the newest height."""
        with self.engine() as engine:
            return engine.signed_header(engine.status().height).validators.members

    @contextlib.contextmanager
    def engine(self, place: int = 0) -> Iterator[EngineClient]:
        """The engine of one validator, else the first one's."""
        with EngineClient(
            f"unix://{link.socket_path(self.directories[place], 'engine')}"
        ) as client:
            yield client

    def prepare(self, data: Path, *more: str) -> None:
        """A new node's data directory, by the command."""
        done = run_command(
            *("join", "--genesis", str(self.genesis), "--data", str(data)),
            *("--peers", ",".join(self.peers), "--listen", f"127.0.0.1:{free_port()}"),
            *more,
        )
        assert done.returncode == 0, done.stderr

    def snapshot_options(self, trust_height: int) -> tuple[str, ...]:
        """What `node join` needs to be told to begin from a snapshot."""
        return (
            *("--from-snapshot", "--rpc", ",".join(self.rpc_urls)),
            *("--trust-height", str(trust_height)),
            *("--trust-hash", self.header_hash(trust_height)),
        )

    def join(self, data: Path, dies_at: Failpoint | None = None) -> NodeProcess:
        """Starts a node that was prepared."""
        dying = {FAILPOINT_VARIABLE: str(dies_at), ALLOWED_VARIABLE: "yes"} if dies_at else {}
        node = start(self.genesis, data / "node.toml", data, dying)
        self.joined.append(node)
        return node

    def stop(self) -> None:
        """Ends every node."""
        for node in (*self.joined, *self.validators):
            with contextlib.suppress(Exception):
                node.stop()


def start(
    genesis: Path, settings: Path, data: Path, environment: Mapping[str, str] | None = None
) -> NodeProcess:
    """A node by its settings file."""
    options = ("--config", str(settings))
    log = data.with_suffix(".log")
    return start_node(genesis, data, free_port(), log, environment, options)


@contextlib.contextmanager
def joining_network(directory: Path, newcomers: Sequence[Path]) -> Iterator[JoiningNetwork]:
    """Four validators; the nodes of some data directories, whose keys are made here, may connect."""
    houses = HOUSES[:4]
    own_ids = ["0x" + make_keys(each / "engine").node_id.hex() for each in newcomers]
    ports = [free_port() for _ in houses]
    entries: list[dict[str, Any]] = []
    peers = []
    for house, port in zip(houses, ports, strict=True):
        keys = make_keys(directory / house.bic / "data" / "engine")
        assert keys.validator is not None
        peers.append(f"{keys.node_id.hex()}@127.0.0.1:{port}")
        entries.append(
            house.entry()
            | {
                "nodes": ["0x" + keys.node_id.hex()],
                "validators": ["0x" + keys.validator.hex()],
                "peer_address": f"127.0.0.1:{port}",
            }
        )
    base = network_file()
    guests = HOUSES[4].entry() | {"nodes": own_ids}
    document = base | {
        "participants": [*base["participants"], *entries, guests],
        "genesis_time": int(time.time()) - 60,
    }
    file = directory / "participants.json"
    file.write_text(json.dumps(document))
    done = run_command("network", "generate", "--network", str(file), "--homes", str(directory))
    assert done.returncode == 0, done.stderr
    rpc_ports = [free_port() for _ in houses]
    genesis = directory / "genesis.json"
    network = JoiningNetwork(
        genesis=genesis,
        peers=tuple(peers),
        rpc_urls=tuple(f"http://127.0.0.1:{port}" for port in rpc_ports[:2]),
        validators=[],
        directories=tuple(directory / house.bic / "data" for house in houses),
    )
    try:
        for house, port in zip(houses, rpc_ports, strict=True):
            own = directory / house.bic / "node.toml"
            more = f'light_rpc_listen = "127.0.0.1:{port}"\nsnapshot_blocks = {SNAPSHOT_BLOCKS}\n'
            if house is houses[-1]:
                more += f"history_heights = {HISTORY_HEIGHTS}\n"
            own.write_text(own.read_text() + more)
            network.validators.append(start(genesis, own, directory / house.bic / "data"))
        yield network
    finally:
        network.stop()
