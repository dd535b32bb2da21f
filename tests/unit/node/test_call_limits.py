"""What an operator lets one call cost: blocks of a log query, seconds of a dry run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from node.config import Limits
from node.rpc.budget import Budget
from node.rpc.faults import WireError
from node.rpc.methods import Methods
from support.core import Core, open_core
from support.settlement_network import ALPHA
from support.transactions import SLOW_LOOP, Draft

LOOP = {"data": SLOW_LOOP, "gas": hex(16_000_000)}


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    opened = open_core(tmp_path_factory.mktemp("core") / "chain")
    for nonce in range(2):
        opened.send(Draft(nonce=nonce).signed_by(ALPHA.operating))
    yield opened
    opened.store.close()


def ask(core: Core, limits: Limits, method: str, *params: Any) -> Any:
    methods = Methods(replace(core.view, limits=limits))
    return methods.dispatch(method, list(params), Budget.of_seconds(600))


def test_a_log_query_over_more_blocks_than_the_setting_is_refused(core: Core) -> None:
    """N-46."""
    limits = Limits(logs_blocks_max=2)
    whole = {"fromBlock": "0x0", "toBlock": "latest"}
    refused = ask(core, limits, "eth_getLogs", whole)
    assert isinstance(refused, WireError)
    assert (refused.code, "3 blocks, at most 2" in refused.message) == (-32005, True)
    assert ask(core, limits, "eth_getLogs", {**whole, "fromBlock": "0x1"}) == []
    assert ask(core, Limits(), "eth_getLogs", whole) == []


def test_blocks_that_are_not_there_yet_count_for_nothing(core: Core) -> None:
    """N-46."""
    query = {"fromBlock": "0x1", "toBlock": "0xffffff"}
    assert ask(core, Limits(logs_blocks_max=2), "eth_getLogs", query) == []


def test_a_dry_run_ends_with_its_own_time_before_that_of_its_request(core: Core) -> None:
    """N-45."""
    refused = ask(core, Limits(call_seconds_max=1), "eth_call", LOOP)
    assert isinstance(refused, WireError)
    assert refused.code == -32005
