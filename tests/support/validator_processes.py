"""A network of validators as their operators run it: for each a core, its RPC process and its engine, all real.

`made_network` makes the files by `node network generate --homes`; a network with `links` has each connection between
two engines go through a `Link` that a test can cut. Nobody but participants may send; the houses of
`support.validator_network` run the nodes, and the council among them changes who does. Where a `spare` is
asked for, one house more has a node that may connect but does not validate, and is not started with the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import httpx

from node import genesis, link
from node.block import Block
from node.consensus.cometbft.home import PublicKeys, make_keys
from node.consensus.cometbft.status import EngineClient, EngineStatus
from node.errors import EngineUnavailable
from node.failpoint import ALLOWED_VARIABLE, FAILPOINT_VARIABLE, Failpoint
from node.history import History
from node.primitives import (
    Address,
    Hash32,
    address_of_public_key,
    decompress_public_key,
    keccak,
)
from node.signed_header import check_signed_header
from node.store import ChainStore
from support.genesis_files import with_clock_skew
from support.loopback_link import Link
from support.node_process import (
    NodeProcess,
    RpcRefused,
    await_ready,
    children_of,
    free_port,
    run_command,
    spawn_node,
)
from support.settlement_network import Institution, network_file
from support.transactions import SINK, Draft, Key
from support.validator_network import HOUSES

FINAL_SECONDS_MAX: Final = 60
"""How long anything that must come true may take on a machine with other work; a fault, not slowness, is past it."""

POLL_SECONDS: Final = 0.05
BATCH_CALLS: Final = 100
NOWHERE: Final = "127.0.0.1:9"
"""What nodes with links tell each other as their address, so that no engine goes round a link."""


def await_that(
    what: str, condition: Callable[[], bool], seconds: float = FINAL_SECONDS_MAX
) -> None:
    """Return once it holds; a node that does not answer just now is asked again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, EngineUnavailable):
            if condition():
                return
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass(slots=True)
class Validator:
    """One node of the network; it may be running or not."""

    house: Institution
    directory: Path
    keys: PublicKeys
    node: NodeProcess | None = None

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    @property
    def point(self) -> bytes:
        """Its validator key, uncompressed."""
        assert self.keys.validator is not None
        return decompress_public_key(self.keys.validator)

    @property
    def address(self) -> Address:
        """Address of its validator key."""
        return address_of_public_key(self.point)

    @property
    def log(self) -> Path:
        """What it said, of all its lives."""
        return self.directory / "node.log"

    @property
    def running(self) -> NodeProcess:
        """The node, which must have been started."""
        assert self.node is not None
        return self.node

    def spawn(self, failpoint: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A process of it that has just begun; it, or its engine, dies where a variable says."""
        dying = {**failpoint, ALLOWED_VARIABLE: "yes"} if failpoint else {}
        arguments = (
            *("--config", str(self.directory / "node.toml")),
            *("--port", str(free_port()), "--log-level", "info"),
        )
        return spawn_node(arguments, self.log, dying)

    def start(self, failpoint: Mapping[str, str] | None = None) -> None:
        """Starts it and waits until it serves."""
        self.node = await_ready(self.spawn(failpoint), self.log, FINAL_SECONDS_MAX)

    def die_at(self, failpoint: Failpoint, meanwhile: Callable[[], object]) -> int:
        """Starts it to die at a failpoint, with something done meanwhile, again and again; its exit code."""
        process = self.spawn({FAILPOINT_VARIABLE: str(failpoint)})
        assert process.stdout is not None
        process.stdout.close()
        deadline = time.monotonic() + FINAL_SECONDS_MAX
        try:
            while process.poll() is None:
                assert time.monotonic() < deadline, f"it did not come to {failpoint}"
                meanwhile()
        finally:
            process.kill()
        return process.wait()

    def stop(self) -> None:
        """Ends it in order."""
        assert self.running.stop() == 0

    def kill(self) -> None:
        """Ends core and engine with SIGKILL at the same time."""
        engine = self.engine_pid()
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine, signal.SIGKILL)
        self.running.kill()

    def kill_engine(self) -> None:
        """Ends the engine alone with SIGKILL."""
        os.kill(self.engine_pid(), signal.SIGKILL)

    def pause(self) -> None:
        """Stops core and engine where they stand."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets them go on."""
        self._signal(signal.SIGCONT)

    def engine_pid(self) -> int:
        """The process of its engine, once there is one."""
        await_that(f"{self.house.name} has an engine", lambda: self._engine_pid() is not None)
        found = self._engine_pid()
        assert found is not None
        return found

    @contextmanager
    def engine(self) -> Iterator[EngineClient]:
        """Its engine's RPC."""
        with EngineClient(f"unix://{link.socket_path(self.data, 'engine')}") as client:
            yield client

    def status(self) -> EngineStatus:
        """Where its engine stands."""
        with self.engine() as client:
            return client.status()

    def peers(self) -> set[bytes]:
        """Node ids of those its engine is connected with."""
        with self.engine() as client:
            return {peer.node_id for peer in client.net_info()}

    def block_hashes(self) -> list[str]:
        """Hashes of its blocks from genesis on."""
        head, _ = self.running.head()
        asked = [[hex(number), False] for number in range(head + 1)]
        return [block["hash"] for block in self._ask_all("eth_getBlockByNumber", asked)]

    def blocks(self) -> list[Block]:
        """Its blocks from genesis on, out of its store."""
        with closing(ChainStore(self.data / "chain", readonly=True)) as store:
            history = History(store)
            found = [history.block(number) for number in range(history.head().number + 1)]
        assert None not in found
        return [block for block in found if block is not None]

    def has_all(self, hashes: Sequence[str]) -> bool:
        """Whether these transactions are final on it."""
        receipts = self._ask_all("eth_getTransactionReceipt", [[each] for each in hashes])
        return None not in receipts

    def events(self, name: str) -> list[dict[str, Any]]:
        """The entries of its log with this event."""
        lines = self.log.read_text(errors="replace").splitlines()
        parsed = [json.loads(line) for line in lines if f'"{name}"' in line]
        return [entry for entry in parsed if entry.get("event") == name]

    def _ask_all(self, method: str, asked: Sequence[list[Any]]) -> list[Any]:
        """The results of many calls of one method, in their order."""
        calls = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, params in enumerate(asked)
        ]
        answers = [
            answer
            for first in range(0, len(calls), BATCH_CALLS)
            for answer in self.running.post(calls[first : first + BATCH_CALLS])
        ]
        return [answer["result"] for answer in sorted(answers, key=lambda one: int(one["id"]))]

    def _engine_pid(self) -> int | None:
        for child in children_of(self.running.process.pid):
            with contextlib.suppress(OSError):
                if b"corridor-engine" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        return None

    def _signal(self, number: int) -> None:
        for pid in (self.engine_pid(), self.running.process.pid):
            os.kill(pid, number)


@dataclass(slots=True)
class Sender:
    """A participant's key and the nonce of its next transaction."""

    key: Key
    nonce: int = 0

    def next_raw(self, to: bytes = SINK, data: bytes = b"", gas_limit: int = 100_000) -> bytes:
        """Its next transaction."""
        self.nonce += 1
        draft = Draft(nonce=self.nonce - 1, to=to, data=data, gas_limit=gas_limit)
        return draft.signed_by(self.key)


def hash_of(raw: bytes) -> str:
    """The hash of a transaction, as JSON-RPC has it."""
    return "0x" + keccak(raw).hex()


def send(node: NodeProcess, raw: bytes) -> str:
    """Hands a transaction to one node; its hash. That the node has it already is well."""
    try:
        node.rpc("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcRefused as refusal:
        if "already known" not in refusal.message and "nonce too low" not in refusal.message:
            raise
    return hash_of(raw)


@dataclass(slots=True)
class ValidatorNetwork:
    """All nodes of one network, and the links between them where it has some."""

    validators: tuple[Validator, ...]
    """The nodes that take part, though one that was removed may validate no more."""
    document: dict[str, Any]
    """The network file with the keys that were made."""
    spare: Validator | None = None
    """One that may join."""
    links: Mapping[frozenset[int], Sequence[Link]] = field(default_factory=dict)
    """By the places of the two nodes."""

    def start(self, chosen: Iterable[Validator] | None = None) -> None:
        """Starts several nodes at the same time: all, unless others are chosen."""
        begun = [(each, each.spawn()) for each in (self.validators if chosen is None else chosen)]
        try:
            for each, process in begun:
                each.node = await_ready(process, each.log, FINAL_SECONDS_MAX)
        except BaseException:
            for _, process in begun:
                with process:
                    process.kill()
            raise

    def join(self) -> Validator:
        """Starts the spare one, which begins at genesis, and counts it among the others."""
        assert self.spare is not None
        joined, self.spare = self.spare, None
        self.validators = (*self.validators, joined)
        joined.start()
        return joined

    def stop(self) -> None:
        """Ends all nodes that run, in order, and the links."""
        running = [each.node for each in self.validators if each.node is not None]
        for node in running:
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in running:
            try:
                node.process.wait(FINAL_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                node.kill()
        for between in self.links.values():
            for one in between:
                one.close()

    def await_receipt(
        self, transaction_hash: str, among: Iterable[Validator] | None = None
    ) -> dict[str, Any]:
        """The receipt of a transaction once it is final on all nodes, the same on each."""
        found: list[dict[str, Any]] = []
        for each in among or self.validators:
            node = each.running
            await_that(
                f"{transaction_hash} is final on {each.house.name}",
                lambda node=node: (  # type: ignore[misc]
                    node.rpc("eth_getTransactionReceipt", transaction_hash) is not None
                ),
            )
            found.append(node.rpc("eth_getTransactionReceipt", transaction_hash))
        assert all(receipt == found[0] for receipt in found)
        return found[0]

    @contextmanager
    def engines_stopped(self) -> Iterator[None]:
        """Every engine stands still, and its core does not."""
        pids = [each.engine_pid() for each in self.validators]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def check_agreement(self, among: Iterable[Validator] | None = None) -> None:
        """All nodes come to the same head, and agree in the hash of every block before it."""
        nodes = list(among or self.validators)
        await_that(
            "the same head on all nodes",
            lambda: len({each.running.head() for each in nodes}) == 1,
        )
        first, *others = [each.block_hashes() for each in nodes]
        assert all(other == first for other in others)

    def decided(self) -> dict[int, set[Hash32]]:
        """Which headers are certified to who asks the engines, by height; every certificate is checked."""
        found: dict[int, set[Hash32]] = {}
        for each in self.validators:
            with each.engine() as client:
                status = client.status()
                for height in range(1, status.height + 1):
                    signed = client.signed_header(height)
                    check_signed_header(signed, chain_id=status.chain_id)
                    found.setdefault(height, set()).add(signed.header.hash)
        return found


def make_network(
    directory: Path,
    *,
    count: int = 4,
    spare: bool = False,
    with_links: bool = False,
    clock_skew_max_seconds: int | None = None,
) -> ValidatorNetwork:
    """The files of a network of `count` validators, and one node more that may connect where `spare` is set.

    `clock_skew_max_seconds` takes the place of the default of the chain's specification.
    """
    houses = HOUSES[: count + spare]
    ports = {house.bic: free_port() for house in houses}
    made: dict[str, PublicKeys] = {}
    entries = []
    for place, house in enumerate(houses):
        keys = make_keys(directory / house.bic / "data" / "engine")
        assert keys.validator is not None
        made[house.bic] = keys
        entries.append(
            house.entry()
            | {
                "nodes": ["0x" + keys.node_id.hex()],
                "validators": ["0x" + keys.validator.hex()] if place < count else [],
                "peer_address": f"127.0.0.1:{ports[house.bic]}",
            }
        )
    base = network_file()
    document = base | {
        "participants": [*base["participants"], *entries],
        "genesis_time": int(time.time()) - 60,
    }
    file = directory / "participants.json"
    file.write_text(json.dumps(document))
    done = run_command("network", "generate", "--network", str(file), "--homes", str(directory))
    assert done.returncode == 0, done.stderr
    if clock_skew_max_seconds is not None:
        made_file = directory / "genesis.json"
        changed = with_clock_skew(genesis.parse(made_file.read_bytes()), clock_skew_max_seconds)
        made_file.write_bytes(genesis.format_genesis(changed))
    validators = tuple(Validator(house, directory / house.bic, made[house.bic]) for house in houses)
    links = _put_links_between(validators, ports) if with_links else {}
    return ValidatorNetwork(
        validators[:count],
        json.loads((directory / "network.json").read_text()),
        validators[-1] if spare else None,
        links,
    )


@contextmanager
def running_network(network: ValidatorNetwork) -> Iterator[ValidatorNetwork]:
    """A network that was made, running for as long as the context lasts."""
    try:
        network.start()
        yield network
    finally:
        network.stop()


def _put_links_between(
    validators: Sequence[Validator], ports: Mapping[str, int]
) -> dict[frozenset[int], Sequence[Link]]:
    """Has each node dial each other by a link of theirs; by both nodes' places."""
    links: dict[frozenset[int], list[Link]] = {}
    for (place, dialling), (other, dialled) in permutations(enumerate(validators), 2):
        port = ports[dialled.house.bic]
        between = Link(port)
        links.setdefault(frozenset((place, other)), []).append(between)
        settings = dialling.directory / "node.toml"
        told = f"{dialled.keys.node_id.hex()}@127.0.0.1:"
        text = settings.read_text().replace(f"{told}{port}", f"{told}{between.port}")
        own = f'external_address = "127.0.0.1:{ports[dialling.house.bic]}"'
        settings.write_text(text.replace(own, f'external_address = "{NOWHERE}"'))
    return dict(links)
