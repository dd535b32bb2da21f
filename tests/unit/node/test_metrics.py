"""Metrics: what is counted in each process, and one page of them all."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from node.consensus.observer import name_of_result
from node.consensus.solo import SoloEngine
from node.engine import SkipReason
from node.telemetry import FAMILIES, CoreMetrics, CoreReading, RpcMetrics, format_samples
from support.core import open_core
from support.settlement_network import ALPHA
from support.transactions import Draft

READING = CoreReading(
    executable=3, waiting=2, pool_bytes=700, clock_lag_seconds=1, bytes_by_store={"chain": 4096}
)


def page_of(core: CoreMetrics, **processes: RpcMetrics) -> str:
    samples = {"core": core.encode(READING)}
    return format_samples(
        {**samples, **{name: each.encode() for name, each in processes.items()}}
    ).decode()


def test_the_samples_of_all_processes_are_one_page_without_duplicates() -> None:
    """N-97."""
    first, second = RpcMetrics(["eth_call"]), RpcMetrics(["eth_call"])
    first.call_ended("eth_call", "answered", 0.004)
    second.call_ended("eth_call", "answered", 0.004)
    second.call_ended("eth_call", "refused", 0.004)
    page = page_of(CoreMetrics(), alpha=first, beta=second)
    families = [family.name for family in text_string_to_metric_families(page)]
    assert len(set(families)) == len(families)
    series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series)
    assert (
        'corridor_rpc_calls_total{method="eth_call",outcome="answered",process="alpha"} 1.0' in page
    )
    assert 'corridor_rpc_call_seconds_count{method="eth_call",process="beta"} 2.0' in page
    assert 'corridor_pool_transactions{process="core",state="waiting"} 2.0' in page
    assert 'corridor_store_bytes{process="core",store="chain"} 4096.0' in page
    assert "_created" not in page


def test_a_method_that_is_none_of_the_nodes_makes_no_series_of_its_own() -> None:
    """N-97."""
    metrics = RpcMetrics(["eth_call"])
    for number in range(100):
        metrics.call_ended(f"made_up_{number}", "unknown", 0.1)
    page = page_of(CoreMetrics(), rpc=metrics)
    assert "made_up" not in page
    assert 'corridor_rpc_calls_total{method="other",outcome="unknown",process="rpc"} 100.0' in page


def test_requests_and_connections_are_counted_while_they_last() -> None:
    """N-97."""
    metrics = RpcMetrics([])
    for _ in range(2):
        metrics.request_began()
        metrics.connection_opened()
    metrics.request_ended(bytes_in=10, bytes_out=20)
    metrics.connection_closed()
    metrics.request_refused(401)
    page = page_of(CoreMetrics(), rpc=metrics)
    assert 'corridor_rpc_requests_in_flight{process="rpc"} 1.0' in page
    assert 'corridor_rpc_websocket_connections{process="rpc"} 1.0' in page
    assert 'corridor_rpc_refused_requests_total{process="rpc",status="401"} 1.0' in page
    assert 'corridor_rpc_received_bytes_total{process="rpc"} 10.0' in page
    assert 'corridor_rpc_sent_bytes_total{process="rpc"} 20.0' in page


def test_every_stage_of_a_block_and_every_result_is_told(tmp_path: Path) -> None:
    """N-97."""
    core = open_core(tmp_path / "chain")
    metrics = CoreMetrics()
    solo = SoloEngine(core.application, core.intake, core.tips.append, metrics)
    for nonce in range(2):
        core.submit(Draft(nonce=nonce).signed_by(ALPHA.operating))
    solo.make_block(core.intake.await_selection())
    core.store.close()
    page = page_of(metrics)
    assert 'corridor_transactions_total{process="core",result="included"} 2.0' in page
    stages = re.findall(r'stage_seconds_count\{process="core",stage="(\w+)"\} 1.0', page)
    assert sorted(stages) == ["chain_commit", "execute", "propose", "state_commit", "verify"]


def test_what_was_left_out_is_counted_by_its_reason() -> None:
    assert name_of_result(0) == "included"
    assert name_of_result(SkipReason.MALFORMED) == "malformed"
    assert all(name_of_result(reason).isidentifier() for reason in SkipReason)


def test_every_family_is_on_the_page_under_its_name() -> None:
    """The reference is written from the same list."""
    page = page_of(CoreMetrics(), rpc=RpcMetrics([]))
    shown = set(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE))
    assert {(family.name, family.kind.value) for family in FAMILIES} <= shown
    assert {name for name, _ in shown if name.startswith("corridor_")} == {
        family.name for family in FAMILIES
    }
