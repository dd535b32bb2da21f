"""Metrics in Prometheus's terms: what is counted, where, and how several processes make one page.

Each process counts for itself. A process's samples cross the link as bytes (`encode`), and whoever is asked for the
page puts the samples of all together (`format_samples`): every family once, each sample with the label `process`.
Label values are bounded: methods are those of the node's own table, every other is `other`.

What makes blocks tells its observer how long it took and goes on: nothing here is waited for, read back or decided
on.
"""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

SAMPLES_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of one process's samples, unpacked."""

COMMIT: Final = "commit"
"""The stage in which both stores are written."""

OTHER: Final = "other"
"""The label of a method that is none of the node's."""

PROCESS: Final = "process"

CREATED_SUFFIX: Final = "_created"
"""Of samples that tell when a counter began: the process's own start says it for all."""

NANOSECONDS: Final = 1_000_000_000

STAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CALL_BUCKETS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
)


@unique
class Kind(Enum):
    """What a family holds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its labels."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    is_of_core: bool = False
    """Else of each RPC process."""


HEAD = Family("corridor_head_number", Kind.GAUGE, "Number of the newest block.", is_of_core=True)
STAGE_SECONDS = Family(
    "corridor_block_stage_seconds",
    Kind.HISTOGRAM,
    "Time of each stage of making a block: propose, verify, execute, state_commit, chain_commit.",
    ("stage",),
    is_of_core=True,
)
TRANSACTIONS = Family(
    "corridor_transactions_total",
    Kind.COUNTER,
    "Decided transactions: included, or left out of their block for a reason.",
    ("result",),
    is_of_core=True,
)
GAS = Family("corridor_gas_used_total", Kind.COUNTER, "Gas used by blocks.", is_of_core=True)
POOL = Family(
    "corridor_pool_transactions",
    Kind.GAUGE,
    "Pooled transactions: executable, or waiting behind a gap.",
    ("state",),
    is_of_core=True,
)
POOL_BYTES = Family(
    "corridor_pool_bytes", Kind.GAUGE, "Raw bytes that the pool holds.", is_of_core=True
)
STORE_BYTES = Family(
    "corridor_store_bytes", Kind.GAUGE, "Bytes of a store on the disk.", ("store",), is_of_core=True
)
CLOCK_LAG = Family(
    "corridor_clock_lag_seconds",
    Kind.GAUGE,
    "How far this machine's clock is behind the newest block's time.",
    is_of_core=True,
)
MISBEHAVIOUR = Family(
    "corridor_validator_misbehaviour_total",
    Kind.COUNTER,
    "Evidence against validators in decided blocks, by kind.",
    ("kind",),
    is_of_core=True,
)
ENGINE_HEIGHT = Family(
    "corridor_engine_height",
    Kind.GAUGE,
    "Newest height that the consensus engine has; with several validators only.",
    is_of_core=True,
)
ENGINE_PEERS = Family(
    "corridor_engine_peers", Kind.GAUGE, "Nodes that the engine is connected to.", is_of_core=True
)
ENGINE_CATCHING_UP = Family(
    "corridor_engine_catching_up",
    Kind.GAUGE,
    "1 while the engine fetches what others decided, else 0.",
    is_of_core=True,
)
ENGINE_ANSWERS = Family(
    "corridor_engine_answers",
    Kind.GAUGE,
    "1 while the engine answers, 0 while it does not.",
    is_of_core=True,
)
CALLS = Family(
    "corridor_rpc_calls_total",
    Kind.COUNTER,
    "Calls by what became of them: answered, refused, unknown, forbidden, limited, unavailable, failed.",
    ("method", "outcome"),
)
CALL_SECONDS = Family(
    "corridor_rpc_call_seconds",
    Kind.HISTOGRAM,
    "Time from a call's beginning to its answer.",
    ("method",),
)
REQUESTS = Family(
    "corridor_rpc_requests_in_flight", Kind.GAUGE, "Requests taken in and not yet answered."
)
REFUSED = Family(
    "corridor_rpc_refused_requests_total",
    Kind.COUNTER,
    "Requests refused by HTTP status before any of their calls was looked at.",
    ("status",),
)
RECEIVED = Family("corridor_rpc_received_bytes_total", Kind.COUNTER, "Bytes of request bodies.")
SENT = Family("corridor_rpc_sent_bytes_total", Kind.COUNTER, "Bytes of answers.")
CONNECTIONS = Family(
    "corridor_rpc_websocket_connections", Kind.GAUGE, "WebSocket connections that are open."
)

FAMILIES: Final = (
    *(
        HEAD,
        STAGE_SECONDS,
        TRANSACTIONS,
        GAS,
        POOL,
        POOL_BYTES,
        STORE_BYTES,
        CLOCK_LAG,
        MISBEHAVIOUR,
        ENGINE_ANSWERS,
        ENGINE_HEIGHT,
        ENGINE_PEERS,
        ENGINE_CATCHING_UP,
    ),
    *(CALLS, CALL_SECONDS, REQUESTS, REFUSED, RECEIVED, SENT, CONNECTIONS),
)
"""Every family, those of the operating system's view of a process (`process_*`) left out."""


@dataclass(frozen=True, slots=True)
class EngineReading:
    """Where the consensus engine stands."""

    height: int
    is_catching_up: bool
    peers: int


@dataclass(frozen=True, slots=True)
class CoreReading:
    """What the core reads when it is asked for its samples."""

    executable: int
    waiting: int
    pool_bytes: int
    clock_lag_seconds: int
    bytes_by_store: Mapping[str, int]
    engine: EngineReading | None = None
    """None where it does not answer, or is the solo one."""


class CoreMetrics:
    """What the core counts. Implements `consensus.observer.BlockObserver`."""

    def __init__(self) -> None:
        self._registry = _new_registry()
        self._head = _gauge(HEAD, self._registry)
        self._stages = _histogram(STAGE_SECONDS, self._registry, STAGE_BUCKETS)
        self._transactions = _counter(TRANSACTIONS, self._registry)
        self._gas = _counter(GAS, self._registry)
        self._pool = _gauge(POOL, self._registry)
        self._pool_bytes = _gauge(POOL_BYTES, self._registry)
        self._store_bytes = _gauge(STORE_BYTES, self._registry)
        self._clock_lag = _gauge(CLOCK_LAG, self._registry)
        self._misbehaviour = _counter(MISBEHAVIOUR, self._registry)
        self._engine_answers = _gauge(ENGINE_ANSWERS, self._registry)
        self._engine_height = _gauge(ENGINE_HEIGHT, self._registry)
        self._engine_peers = _gauge(ENGINE_PEERS, self._registry)
        self._engine_catching_up = _gauge(ENGINE_CATCHING_UP, self._registry)
        self._state_seconds = 0.0

    @contextlib.contextmanager
    def time_stage(self, stage: str) -> Iterator[None]:
        """Times a stage of one block; `commit` is told in its two parts, the writes of state and of chain."""
        if stage == COMMIT:
            self._state_seconds = 0.0
        began_at = time.monotonic_ns()
        yield
        seconds = (time.monotonic_ns() - began_at) / NANOSECONDS
        if stage == COMMIT:
            self._stages.labels("state_commit").observe(self._state_seconds)
            self._stages.labels("chain_commit").observe(max(0.0, seconds - self._state_seconds))
        else:
            self._stages.labels(stage).observe(seconds)

    @contextlib.contextmanager
    def time_state_write(self) -> Iterator[None]:
        """Times a write of the state, within a commit or outside any."""
        began_at = time.monotonic_ns()
        yield
        self._state_seconds += (time.monotonic_ns() - began_at) / NANOSECONDS

    def count_results(self, count_by_result: Mapping[str, int]) -> None:
        """Counts what became of decided transactions."""
        for result, count in count_by_result.items():
            self._transactions.labels(result).inc(count)

    def count_misbehaviour(self, kind: str) -> None:
        """Counts evidence against a validator."""
        self._misbehaviour.labels(kind).inc()

    def block_committed(self, *, number: int, gas_used: int) -> None:
        """A block is durable."""
        self._head.set(number)
        self._gas.inc(gas_used)

    def set_head(self, number: int) -> None:
        """Where the core stands at its start."""
        self._head.set(number)

    def encode(self, reading: CoreReading) -> bytes:
        """The core's samples, for the link."""
        self._pool.labels("executable").set(reading.executable)
        self._pool.labels("waiting").set(reading.waiting)
        self._pool_bytes.set(reading.pool_bytes)
        self._clock_lag.set(reading.clock_lag_seconds)
        self._engine_answers.set(reading.engine is not None)
        if reading.engine is not None:
            self._engine_height.set(reading.engine.height)
            self._engine_peers.set(reading.engine.peers)
            self._engine_catching_up.set(reading.engine.is_catching_up)
        for store, size in reading.bytes_by_store.items():
            self._store_bytes.labels(store).set(size)
        return _encode(self._registry)


@dataclass(frozen=True, slots=True)
class _CallSeries:
    """What one kind of call is counted and timed in."""

    count: Counter
    seconds: Histogram


class RpcMetrics:
    """What an RPC process counts. Implements `rpc.server.ServerObserver`; safe between threads."""

    def __init__(self, methods: Iterable[str]) -> None:
        """`methods` are the values that the label `method` may have."""
        self._registry = _new_registry()
        self._methods = frozenset(methods)
        self._calls = _counter(CALLS, self._registry)
        self._call_seconds = _histogram(CALL_SECONDS, self._registry, CALL_BUCKETS)
        self._requests = _gauge(REQUESTS, self._registry)
        self._refused = _counter(REFUSED, self._registry)
        self._received = _counter(RECEIVED, self._registry)
        self._sent = _counter(SENT, self._registry)
        self._connections = _gauge(CONNECTIONS, self._registry)
        self._series: dict[tuple[str, str], _CallSeries] = {}

    def call_ended(self, method: str, outcome: str, seconds: float) -> None:
        """One call has its answer."""
        # Looked up once: this stands in the way of every call.
        series = self._series.get((method, outcome)) or self._series_of(method, outcome)
        series.count.inc()
        series.seconds.observe(seconds)

    def request_began(self) -> None:
        """A request was taken in."""
        self._requests.inc()

    def request_refused(self, status: int) -> None:
        """A request was refused with an HTTP status before any of its calls was looked at."""
        self._refused.labels(str(int(status))).inc()

    def request_ended(self, *, bytes_in: int, bytes_out: int) -> None:
        """Its answer is on its way, or nobody waits for it any more."""
        self._requests.dec()
        self._received.inc(bytes_in)
        self._sent.inc(bytes_out)

    def connection_opened(self) -> None:
        """A WebSocket connection stands."""
        self._connections.inc()

    def connection_closed(self) -> None:
        """It has ended."""
        self._connections.dec()

    def encode(self) -> bytes:
        """The samples of this process, for the link."""
        return _encode(self._registry)

    def _series_of(self, method: str, outcome: str) -> _CallSeries:
        is_known = method in self._methods
        label = method if is_known else OTHER
        series = _CallSeries(self._calls.labels(label, outcome), self._call_seconds.labels(label))
        if is_known:
            self._series[method, outcome] = series
        return series


def format_samples(samples_by_process: Mapping[str, bytes]) -> bytes:
    """One page of the samples of several processes, in Prometheus's text format."""
    families: dict[str, Metric] = {}
    for process, samples in sorted(samples_by_process.items()):
        for name, meaning, kind, rows in _decode(samples):
            family = families.setdefault(name, Metric(name, meaning, kind))
            for sample_name, labels, value in rows:
                family.add_sample(sample_name, {**labels, PROCESS: process}, value)
    registry = CollectorRegistry()
    registry.register(_Collected(tuple(families[name] for name in sorted(families))))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Collected(Collector):
    """Families that are there already, as a collector."""

    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self.families


_Row = tuple[str, dict[str, str], float]


def _encode(registry: CollectorRegistry) -> bytes:
    families = [
        (
            family.name,
            family.documentation,
            family.type,
            [
                (sample.name, sample.labels, sample.value)
                for sample in family.samples
                if not sample.name.endswith(CREATED_SUFFIX)
            ],
        )
        for family in registry.collect()
    ]
    return zlib.compress(json.dumps(families, separators=(",", ":")).encode())


def _decode(samples: bytes) -> list[tuple[str, str, str, list[_Row]]]:
    text = zlib.decompressobj().decompress(samples, SAMPLES_BYTES_MAX)
    families: list[tuple[str, str, str, list[_Row]]] = json.loads(text)
    return families


def _new_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def _counter(family: Family, registry: CollectorRegistry) -> Counter:
    return Counter(family.name, family.meaning, family.labels, registry=registry)


def _gauge(family: Family, registry: CollectorRegistry) -> Gauge:
    return Gauge(family.name, family.meaning, family.labels, registry=registry)


def _histogram(
    family: Family, registry: CollectorRegistry, buckets: tuple[float, ...]
) -> Histogram:
    return Histogram(family.name, family.meaning, family.labels, registry=registry, buckets=buckets)
