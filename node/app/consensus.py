"""The engine of consensus that the settings name, at work over the application."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from node import link
from node.app.shutdown import EXIT_BROKEN, EXIT_FAILED, Shutdown, guard
from node.app.snapshots import SNAPSHOTS_DIRECTORY, SnapshotMaker, SnapshotSource
from node.block import Header
from node.chain import Tip
from node.config import Settings
from node.consensus.application import Application
from node.consensus.cometbft.archivist import Archivist
from node.consensus.cometbft.face import Face, Held
from node.consensus.cometbft.home import (
    Places,
    consensus_genesis,
    make_keys,
    read_keys,
    read_validator_key,
    write_configuration,
    write_genesis,
)
from node.consensus.cometbft.relay import Relay
from node.consensus.cometbft.retention import Retention
from node.consensus.cometbft.server import Server
from node.consensus.cometbft.snapshots import SnapshotFace
from node.consensus.cometbft.status import EngineClient
from node.consensus.cometbft.supervisor import Supervisor, check_version, find_engine
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.consensus.witness import Witness
from node.errors import InvariantBroken, Rejected, SettingsInvalid, Unavailable
from node.genesis import Genesis
from node.membership import ValidatorKey, first_validators
from node.snapshot import Shelf
from node.store import ChainStore, Misbehaviour, StateValues
from node.telemetry import CoreMetrics, EngineReading, get_logger

ENGINE_DIRECTORY: Final = "engine"
"""The engine's home, in the data directory."""

WATCH_SECONDS_MAX: Final = 1
"""How long metrics wait for the engine to say where it stands."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What an engine of its own is told of genesis, without the accounts, of which there may be many."""

    header: Header
    validators: tuple[ValidatorKey, ...]

    @classmethod
    def of(cls, made: Genesis) -> Self:
        """The beginning of a chain."""
        return cls(made.header, first_validators(made))


@dataclass(slots=True)
class Consensus:
    """What every engine of consensus works with."""

    application: Application
    intake: Intake
    metrics: CoreMetrics
    state: StateValues
    store: ChainStore
    beginning: Beginning
    on_block: list[Callable[[Tip], None]] = field(default_factory=list)
    """Called with the new tip after each durable block; none of them waits."""
    watched: EngineClient | None = None
    """Asked for where the engine stands; None with the solo one."""
    on_durable: list[Callable[[], None]] = field(default_factory=list)
    """Called after each durable height; none of them waits."""
    retention: Retention | None = None
    """What the engine is to keep of its history; None with the solo one."""

    def engine_reading(self) -> EngineReading | None:
        """Where the engine stands; None where it does not answer, or is the solo one."""
        if self.watched is not None:
            with contextlib.suppress(Rejected, Unavailable):
                return self.watched.reading()
        return None

    def announce(self, tip: Tip) -> None:
        """A block is durable."""
        for tell in self.on_block:
            tell(tip)

    def on_height(self, tip: Tip, *, is_block: bool) -> None:
        """A height is durable."""
        if is_block:
            self.announce(tip)
        for notice in self.on_durable:
            notice()

    def first_kept(self, height: int) -> int:
        """From which height on the engine keeps its history once this one is durable; 0: all of it."""
        return 0 if self.retention is None else self.retention.first_kept(height)

    def on_misbehaviour(self, misbehaviour: Misbehaviour) -> None:
        """A block holds evidence against a validator."""
        get_logger().error(
            "validator_misbehaved",
            kind=misbehaviour.kind,
            validator=misbehaviour.validator,
            height=misbehaviour.height,
            reported_height=misbehaviour.reported_height,
        )
        self.metrics.count_misbehaviour(misbehaviour.kind)


@contextlib.contextmanager
def running_consensus(
    settings: Settings, consensus: Consensus, shutdown: Shutdown
) -> Iterator[None]:
    """Blocks are made for as long as the context lasts."""
    if settings.consensus.engine == "solo":
        with _running_solo(settings, consensus, shutdown):
            yield
    else:
        with _running_cometbft(settings, consensus, shutdown):
            yield


@contextlib.contextmanager
def _running_solo(settings: Settings, consensus: Consensus, shutdown: Shutdown) -> Iterator[None]:
    home = settings.data_directory.resolve() / ENGINE_DIRECTORY
    make_keys(home)
    application = consensus.application
    key = read_validator_key(home)
    others = {each.public_key for each in consensus.beginning.validators} - {
        key.public_key.format()
    }
    if others:
        raise SettingsInvalid(
            f"consensus.engine: solo, on a chain with {len(others)} validators besides this node: "
            "alone it would make another chain and sign against them"
        )
    solo = SoloEngine(
        application,
        consensus.intake,
        consensus.announce,
        consensus.metrics,
        Witness(key, application.consensus_chain_id()),
    )
    worker = threading.Thread(target=guard, args=(solo.run, shutdown), name="consensus")
    worker.start()
    try:
        yield
    finally:
        solo.stop()
        worker.join()


@contextlib.contextmanager
def _running_cometbft(
    settings: Settings, consensus: Consensus, shutdown: Shutdown
) -> Iterator[None]:
    """The application listens first; the engine ends before it."""
    binary = find_engine(settings.consensus.binary)
    check_version(binary)
    home = settings.data_directory.resolve() / ENGINE_DIRECTORY
    places = Places(
        application=link.socket_path(settings.data_directory, "abci"),
        rpc=link.socket_path(settings.data_directory, "engine"),
    )
    _prepare_home(settings, consensus, home, places)
    held = Held()
    application, state, store = consensus.application, consensus.state, consensus.store
    shelf = Shelf(settings.data_directory / SNAPSHOTS_DIRECTORY)
    validators = consensus.beginning.validators
    snapshots = SnapshotFace(application, shelf, state, store, consensus.announce, validators)
    face = Face(application, consensus.intake, held, consensus, consensus.metrics, snapshots)
    with contextlib.ExitStack() as stack:
        server = Server(places.application, face, lambda fault: _end(shutdown, fault))
        stack.callback(server.close)
        server.start()
        client = stack.enter_context(EngineClient(f"unix://{places.rpc}"))
        supervisor = Supervisor(
            binary, home, lambda reason: shutdown.request(exit_code=EXIT_FAILED, reason=reason)
        )
        watch = EngineClient(f"unix://{places.rpc}", WATCH_SECONDS_MAX)
        consensus.watched = stack.enter_context(watch)
        relay = Relay(consensus.intake, held, client)
        archivist = Archivist(consensus.application, consensus.store, client)
        maker = SnapshotMaker(
            SnapshotSource(store, state, client), shelf, settings.consensus.snapshot_blocks
        )
        consensus.on_durable.extend((archivist.notice, maker.notice))
        consensus.retention = Retention(settings.consensus.history_heights, archivist, shelf)
        parts = (
            (supervisor.keep, "engine"),
            (relay.run, "relay"),
            (archivist.run, "archivist"),
            (maker.run, "snapshots"),
        )
        threads = [
            threading.Thread(target=guard, args=(run, shutdown), name=name) for run, name in parts
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            relay.stop()
            archivist.stop()
            maker.stop()
            consensus.intake.close()
            supervisor.stop()
            for thread in threads:
                thread.join()


def _prepare_home(settings: Settings, consensus: Consensus, home: Path, places: Places) -> None:
    """Writes what the engine reads; raises `KeyUnusable` where its keys are not there."""
    keys = read_keys(home)
    beginning = consensus.beginning
    text = consensus_genesis(
        chain_id=consensus.application.consensus_chain_id(),
        genesis_time=beginning.header.timestamp,
        genesis_hash=beginning.header.hash,
        validators=beginning.validators,
    )
    write_genesis(home, text)
    write_configuration(home, settings.consensus, places, keys.node_id.hex()[:12])


def _end(shutdown: Shutdown, fault: BaseException) -> None:
    """Asks for the end of a node that could not answer its engine."""
    is_broken = isinstance(fault, InvariantBroken)
    shutdown.request(exit_code=EXIT_BROKEN if is_broken else EXIT_FAILED, reason=str(fault))
