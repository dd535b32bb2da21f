"""Metrics of one bridge in Prometheus's terms: requests as they are answered, the books when asked.

Label values are bounded: routes by their template, effects by kind, payments by state. No customer,
account or counterparty is ever one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.approval import ProposalState
from bridge.audit import ANCHORED
from bridge.store import Store

OTHER: Final = "other"
"""The route of a request that met none."""

REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Request:
    """An answered request: the template of its route, and what it took."""

    route: str
    method: str
    status: int
    seconds: float


class BridgeMetrics:
    """What one process of a bridge counts, and the page it answers with.

    `is_ready` says whether it can serve, `clock` gives UTC seconds.
    """

    def __init__(
        self, store: Store, is_ready: Callable[[], bool], clock: Callable[[], int]
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "corridor_bridge_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "corridor_bridge_request_seconds",
            "From a request to its answer.",
            ("route",),
            buckets=REQUEST_BUCKETS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Books(store, is_ready, clock))

    def answered(self, request: Request) -> None:
        """Count a request."""
        self._requests.labels(request.route, request.method, str(request.status)).inc()
        self._seconds.labels(request.route).observe(request.seconds)

    def page(self) -> bytes:
        """All samples as text; raises `StoreBusy` when the books cannot be read now."""
        return generate_latest(self._registry)


class _Books(Collector):
    """What the books say of open business, read at one moment."""

    def __init__(
        self, store: Store, is_ready: Callable[[], bool], clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._is_ready = is_ready
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would read the books to know the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every gauge with its samples."""
        yield _gauge("ready", "Whether requests can be served: 1 or 0.", int(self._is_ready()))
        now = self._clock()
        with self._store.reading() as work:
            yield _gauges("open_payments", "Not terminal.", "state", work.payments.open_by_state())
            yield _gauges(
                "unfinished_effects", "Still to be done.", "kind", work.effects.unfinished_by_kind()
            )
            yield _gauges("abandoned_effects", "Given up.", "kind", work.effects.dead_by_kind())
            due = work.effects.next_due()
            yield _gauge(
                "effects_late_seconds",
                "How long the first due effect has waited.",
                0 if due is None else max(0, now - due),
            )
            outstanding = work.transactions.outstanding_since()
            yield _gauge(
                "outstanding_transactions",
                "Signed and not final.",
                outstanding.count,
            )
            yield _gauge(
                "outstanding_transaction_seconds",
                "Age of the oldest that is not final.",
                0 if outstanding.oldest is None else max(0, now - outstanding.oldest),
            )
            position = work.chain_log.checkpoint()
            yield _gauge(
                "block_number",
                "Newest block in the books; -1 before the first.",
                -1 if position is None else position.number,
            )
            yield _gauge(
                "open_proposals",
                "Waiting for a second operator.",
                work.approvals.count(ProposalState.OPEN),
            )
            head, anchored = work.audit.head(), work.audit.newest_of(ANCHORED)
            yield _gauge(
                "audit_records", "Newest record's number.", 0 if head is None else head.sequence
            )
            yield _gauge(
                "audit_anchor_seconds",
                "Age of the newest anchor on the chain; -1 before the first.",
                -1 if anchored is None else max(0, now - anchored.at),
            )


def _gauge(name: str, help_text: str, value: int) -> Metric:
    return GaugeMetricFamily(f"corridor_bridge_{name}", help_text, value=value)


def _gauges(name: str, help_text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"corridor_bridge_{name}", help_text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
