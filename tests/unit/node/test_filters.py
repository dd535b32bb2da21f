"""Filters: the core's table, the questions over the link, and what a poll gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

import contracts
from node.errors import FilterOutrun, FilterTableFull, FilterUnknown, ParameterInvalid
from node.filters import (
    IDLE_SECONDS_MAX,
    PENDING_PAGE_MAX,
    FilterId,
    FilterTable,
    PendingPage,
    StoredFilter,
)
from node.link import Client, FilterKeeper, Server, random_id, socket_path
from node.link.filters import CRITERIA_BYTES_MAX, Filters
from node.primitives import Hash32, keccak
from node.rpc.faults import WireError
from support.core import Core, open_core
from support.settlement_network import ALPHA, BETA, OPERATOR
from support.transactions import Draft

ONE, TWO = FilterId(b"one"), FilterId(b"two")
STORED = StoredFilter(b"criteria", 7)


def hashes(count: int) -> list[Hash32]:
    return [keccak(number.to_bytes(4, "big")) for number in range(count)]


def test_a_filter_moves_on_only_from_where_it_was_seen() -> None:
    """N-86."""
    table = FilterTable()
    table.install(ONE, STORED, now=0)
    assert table.look_up(ONE, now=0) == STORED
    assert table.advance(ONE, seen=7, position=9, now=0)
    assert not table.advance(ONE, seen=7, position=11, now=0)
    assert table.look_up(ONE, now=0).position == 9
    assert table.remove(ONE, now=0)
    assert not table.remove(ONE, now=0)
    with pytest.raises(FilterUnknown, match="filter not found"):
        table.look_up(ONE, now=0)


def test_a_filter_that_nobody_asks_for_is_gone_and_one_that_is_polled_stays() -> None:
    """N-86."""
    table = FilterTable()
    table.install(ONE, STORED, now=0)
    table.install(TWO, STORED, now=0)
    table.look_up(ONE, now=IDLE_SECONDS_MAX - 1)
    with pytest.raises(FilterUnknown):
        table.look_up(TWO, now=IDLE_SECONDS_MAX)
    assert table.look_up(ONE, now=IDLE_SECONDS_MAX) == STORED
    with pytest.raises(FilterUnknown):
        table.advance(ONE, seen=7, position=8, now=2 * IDLE_SECONDS_MAX)


def test_past_the_limit_a_new_filter_is_refused_until_one_goes() -> None:
    """N-86."""
    table = FilterTable(filters_max=1)
    table.install(ONE, STORED, now=0)
    with pytest.raises(FilterTableFull):
        table.install(TWO, STORED, now=1)
    table.install(TWO, STORED, now=IDLE_SECONDS_MAX)
    assert table.look_up(TWO, now=IDLE_SECONDS_MAX) == STORED


def test_pending_hashes_are_kept_in_order_and_what_was_outrun_is_said() -> None:
    """N-87."""
    table = FilterTable(pending_kept_max=4)
    start = table.pending_end()
    table.record_pending(hashes(3))
    assert table.pending_since(start) == PendingPage(tuple(hashes(3)), 3)
    assert table.pending_since(2) == PendingPage((hashes(3)[2],), 3)
    assert table.pending_since(3) == PendingPage((), 3)
    table.record_pending(hashes(2))
    assert table.pending_since(1).hashes == (*hashes(3)[1:], *hashes(2))
    with pytest.raises(FilterOutrun):
        table.pending_since(start)


def test_a_page_of_pending_hashes_is_bounded_and_the_next_goes_on() -> None:
    """N-87."""
    table = FilterTable()
    table.record_pending(hashes(PENDING_PAGE_MAX + 5))
    first = table.pending_since(0)
    assert len(first.hashes) == PENDING_PAGE_MAX
    second = table.pending_since(first.position)
    assert (*first.hashes, *second.hashes) == tuple(hashes(PENDING_PAGE_MAX + 5))


class NoIntake:
    """A core that is asked about filters alone."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    opened = Server(socket_path(tmp_path), NoIntake(), lambda _: None)
    opened.start()
    yield opened
    opened.close()


@pytest.fixture(params=["in the core", "over the link"])
def filters(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Iterator[Filters]:
    if request.param == "in the core":
        yield server.filters
        return
    client = Client(socket_path(tmp_path))
    yield client.filters
    client.close()


def test_the_core_and_an_rpc_process_see_the_same_filters(filters: Filters, server: Server) -> None:
    """N-86."""
    filter_id = filters.install(STORED)
    assert server.filters.look_up(filter_id) == filters.look_up(filter_id) == STORED
    assert filters.install(STORED) != filter_id
    assert len(filter_id) == 16
    assert filters.advance(filter_id, seen=7, position=8)
    assert not filters.advance(filter_id, seen=7, position=8)
    assert server.filters.look_up(filter_id).position == 8
    assert filters.remove(filter_id)
    assert not filters.remove(filter_id)
    with pytest.raises(FilterUnknown):
        filters.look_up(filter_id)
    with pytest.raises(ParameterInvalid):
        filters.install(StoredFilter(bytes(CRITERIA_BYTES_MAX + 1), 0))


def test_a_whole_page_of_pending_hashes_crosses_the_link(filters: Filters, server: Server) -> None:
    """N-87."""
    assert filters.pending_end() == 0
    server.filters.record_pending(hashes(PENDING_PAGE_MAX + 1))
    page = filters.pending_since(0)
    assert page == PendingPage(tuple(hashes(PENDING_PAGE_MAX)), PENDING_PAGE_MAX)
    assert filters.pending_end() == PENDING_PAGE_MAX + 1


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


def suspend(core: Core, nonce: int, lei: bytes) -> None:
    """One block with one log of the registry."""
    data = keccak(b"suspend(bytes20,uint40)")[:4] + encode(["bytes20", "uint40"], [lei, 0])
    draft = Draft(nonce=nonce, to=contracts.REGISTRY_ADDRESS, data=data, gas_limit=300_000)
    core.send(draft.signed_by(OPERATOR.operating))


def test_a_log_filter_gives_what_is_new_once_and_all_when_asked_for_its_logs(core: Core) -> None:
    """N-86."""
    suspend(core, 0, ALPHA.lei)
    filter_id = core.ask(
        "eth_newFilter",
        {"fromBlock": "earliest", "address": "0x" + contracts.REGISTRY_ADDRESS.hex()},
    )
    other = core.ask("eth_newFilter", {"address": "0x" + "77" * 20})
    assert core.ask("eth_getFilterChanges", filter_id) == []
    suspend(core, 1, BETA.lei)
    everything = core.ask("eth_getLogs", {"fromBlock": "0x0"})
    assert core.ask("eth_getFilterChanges", filter_id) == everything[1:]
    assert core.ask("eth_getFilterChanges", filter_id) == []
    assert core.ask("eth_getFilterChanges", other) == []
    assert core.ask("eth_getFilterLogs", filter_id) == everything
    assert core.ask("eth_uninstallFilter", filter_id) is True
    assert core.ask("eth_uninstallFilter", filter_id) is False


def test_a_log_filter_keeps_to_its_range(core: Core) -> None:
    """N-86."""
    late = core.ask("eth_newFilter", {"fromBlock": "0x2", "toBlock": "0x2"})
    for nonce, institution in enumerate((ALPHA, BETA)):
        suspend(core, nonce, institution.lei)
        changes = core.ask("eth_getFilterChanges", late)
        assert [each["blockNumber"] for each in changes] == (["0x2"] if nonce else [])
    assert core.ask("eth_getFilterChanges", late) == []


def test_a_block_filter_gives_the_hashes_of_new_blocks_in_order(core: Core) -> None:
    """N-86."""
    filter_id = core.ask("eth_newBlockFilter")
    assert core.ask("eth_getFilterChanges", filter_id) == []
    expected = []
    for nonce in range(3):
        core.send(Draft(nonce=nonce).signed_by(ALPHA.operating))
        expected.append(core.ask("eth_getBlockByNumber", "latest")["hash"])
    assert core.ask("eth_getFilterChanges", filter_id) == expected
    assert core.ask("eth_getFilterChanges", filter_id) == []
    assert core.ask("eth_getFilterLogs", filter_id).message == "filter not found"


def test_a_filter_for_pending_transactions_gives_hashes_or_whole_ones(core: Core) -> None:
    """N-87."""
    brief = core.ask("eth_newPendingTransactionFilter")
    full = core.ask("eth_newPendingTransactionFilter", True)
    pooled = core.submit(Draft().signed_by(ALPHA.operating))
    core.filters.record_pending([pooled, keccak(b"gone")])
    assert core.ask("eth_getFilterChanges", brief) == [
        "0x" + pooled.hex(),
        "0x" + keccak(b"gone").hex(),
    ]
    (transaction,) = core.ask("eth_getFilterChanges", full)
    assert (transaction["hash"], transaction["blockHash"]) == ("0x" + pooled.hex(), None)
    assert core.ask("eth_getFilterChanges", full) == []
    late = core.ask("eth_newPendingTransactionFilter", True)
    core.make_block()
    core.filters.record_pending([pooled])
    assert core.ask("eth_getFilterChanges", late) == [transaction]


def test_a_filter_that_was_outrun_says_so_once_and_is_gone(core: Core) -> None:
    """N-87."""
    core.filters = FilterKeeper(FilterTable(pending_kept_max=2))
    filter_id = core.ask("eth_newPendingTransactionFilter")
    core.filters.record_pending(hashes(3))
    outrun = core.ask("eth_getFilterChanges", filter_id)
    assert (outrun.code, "more than 2 pending" in outrun.message) == (-32005, True)
    assert core.ask("eth_getFilterChanges", filter_id).message == "filter not found"


class Rival(FilterKeeper):
    """Another poll of the same filter is quicker, each time but the last."""

    def __init__(self, races: int) -> None:
        super().__init__()
        self.races = races

    def look_up(self, filter_id: FilterId) -> StoredFilter:
        stored = super().look_up(filter_id)
        if self.races:
            self.races -= 1
            self.advance(filter_id, seen=stored.position, position=stored.position + 1)
        return stored


@pytest.mark.parametrize(("races", "expected"), [(0, [1, 2]), (1, [2]), (2, [])])
def test_of_two_polls_at_a_time_each_change_is_given_by_one(
    core: Core, races: int, expected: list[int]
) -> None:
    """N-86."""
    core.filters = Rival(races=0)
    filter_id = core.ask("eth_newBlockFilter")
    for nonce in range(2):
        core.send(Draft(nonce=nonce).signed_by(ALPHA.operating))
    hashes_by_number = [core.ask("eth_getBlockByNumber", hex(n))["hash"] for n in range(3)]
    core.filters.races = races
    changes = core.ask("eth_getFilterChanges", filter_id)
    assert changes == [hashes_by_number[number] for number in expected]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_getFilterChanges", ["0x" + "11" * 16], -32000),
        ("eth_getFilterChanges", ["0xno"], -32000),
        ("eth_getFilterChanges", [1], -32602),
        ("eth_getFilterLogs", ["0x"], -32000),
        ("eth_newFilter", [{"blockHash": "0x" + "00" * 32}], -32602),
        ("eth_newFilter", [{"fromBlock": "0x2", "toBlock": "0x1"}], -32602),
        ("eth_newFilter", ["logs"], -32602),
        ("eth_newPendingTransactionFilter", [1], -32602),
    ],
)
def test_a_wrong_question_about_filters_is_refused(
    core: Core, method: str, params: list[Any], code: int
) -> None:
    refused = core.ask(method, *params)
    assert isinstance(refused, WireError)
    assert refused.code == code


def test_an_id_is_long_and_begins_with_no_zero() -> None:
    """As a quantity it would be another id without its leading zeros."""
    ids = {random_id().hex() for _ in range(2_000)}
    assert len(ids) == 2_000
    assert {len(each) for each in ids} == {32}
    assert {each[0] for each in ids} == set("123456789abcdef")
