"""The core of a node in this process: real stores and engine, a clock that a test moves."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import encode

import contracts
from node import genesis
from node.admission import Admission
from node.chain import Chain, Tip
from node.config import parse_network
from node.consensus.application import Application
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.consensus.witness import Witness
from node.engine import Alloc, PyEvmEngine
from node.history import History
from node.link import FilterKeeper
from node.permissions import Permissions
from node.pool import Pool
from node.primitives import Hash32, keccak
from node.rpc.budget import Budget
from node.rpc.health import Health
from node.rpc.methods import Methods, View
from node.specification import Specification
from node.store import ChainStore, MemoryState, StateValues
from support.settlement_network import GENESIS_TIME, OPERATOR, Institution, network_file
from support.transactions import Draft

WITNESS_KEY = PrivateKey(keccak(b"witness"))
"""What the solo engine signs with."""


@dataclass(slots=True)
class MovableClock:
    """A clock that stands until it is moved."""

    seconds: int = GENESIS_TIME

    def now(self) -> int:
        """UTC seconds."""
        return self.seconds


@dataclass(slots=True)
class Core:
    """A node's core, put together as `node.app.core` does."""

    clock: MovableClock
    store: ChainStore
    state: StateValues
    engine: PyEvmEngine
    specification: Specification
    chain: Chain
    application: Application
    intake: Intake
    solo: SoloEngine
    tips: list[Tip] = field(default_factory=list)
    filters: FilterKeeper = field(default_factory=FilterKeeper)

    @property
    def history(self) -> History:
        """What is committed."""
        return History(self.store)

    def ask(self, method: str, *params: Any, seconds: float = 60) -> Any:
        """The result of a JSON-RPC call, or its `WireError`."""
        return self.methods.dispatch(
            method, list(params), Budget(time.monotonic_ns() + int(seconds * 1e9))
        )

    @property
    def health(self) -> Health:
        """The node's health, with the intake in place of the link to it."""
        return Health(self.specification, self.history, self.intake, self.clock)

    @property
    def methods(self) -> Methods:
        """The JSON-RPC methods, with the intake in place of the link to it."""
        return Methods(self.view)

    @property
    def view(self) -> View:
        """What the methods look at."""
        return View(
            specification=self.specification,
            history=self.history,
            engine=self.engine,
            admission=Admission(self.engine, Permissions(self.engine)),
            core=self.intake,
            filters=self.filters,
            clock=self.clock,
            client_version="corridor-node/test",
        )

    def submit(self, raw: bytes) -> Hash32:
        """Puts a transaction into the pool."""
        return self.intake.submit(raw)

    def make_block(self) -> None:
        """One height of consensus over what the pool would give; there must be something."""
        self.solo.make_block(self.intake.await_selection())

    def send(self, raw: bytes) -> Hash32:
        """Submits a transaction and makes a block."""
        transaction_hash = self.submit(raw)
        self.make_block()
        return transaction_hash

    def another_node(self, state: StateValues, clock: MovableClock | None = None) -> Application:
        """Another node where this one stands, over the same stores, that remembers nothing."""
        return Application(self.another_chain(PyEvmEngine(state)), clock or self.clock)

    def another_chain(self, engine: PyEvmEngine) -> Chain:
        """The chain where this node stands, over the same chain store and another engine."""
        return Chain(
            store=self.store,
            engine=engine,
            specification=self.specification,
            permissions=Permissions(engine),
        )

    def finalize(self, *entries: bytes) -> tuple[int, ...]:
        """Decides and commits one height over any bytes; the results' codes."""
        finalized = self.application.finalize_block(self.chain.tip.height + 1, entries)
        self.application.commit()
        return tuple(result.code for result in finalized.results)


def suspension_of(participant: Institution, nonce: int = 0, *, effective_at: int = 0) -> bytes:
    """The operator's transaction that suspends a participant, at once or from a time on."""
    given = encode(["bytes20", "uint40"], [participant.lei, effective_at])
    data = keccak(b"suspend(bytes20,uint40)")[:4] + given
    draft = Draft(nonce=nonce, to=contracts.REGISTRY_ADDRESS, data=data, gas_limit=300_000)
    return draft.signed_by(OPERATOR.operating)


def open_core(
    directory: Path,
    network: dict[str, Any] | None = None,
    state: StateValues | None = None,
    accounts: Alloc | None = None,
) -> Core:
    """A core on a directory, at genesis or where the directory stands.

    `accounts` stand in genesis besides those of the network: a chain that no command makes.
    """
    text = json.dumps(network or network_file()).encode()
    state = state or MemoryState()
    engine = PyEvmEngine(state)
    made = genesis.generate(parse_network(text), engine)
    loaded = engine.load_genesis({**made.alloc, **(accounts or {})})
    engine.commit(loaded.handle)
    store = ChainStore(directory)
    store.initialise(replace(made.header, state_root=loaded.state_root))
    clock = MovableClock()
    chain = Chain(
        store=store,
        engine=engine,
        specification=made.specification,
        permissions=Permissions(engine),
    )
    application = Application(chain, clock)
    intake = Intake(application, Pool())
    tips: list[Tip] = []
    witness = Witness(WITNESS_KEY, application.consensus_chain_id())
    solo = SoloEngine(application, intake, tips.append, witness=witness)
    return Core(
        clock=clock,
        store=store,
        state=state,
        engine=engine,
        specification=made.specification,
        chain=chain,
        application=application,
        intake=intake,
        solo=solo,
        tips=tips,
    )
