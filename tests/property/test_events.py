"""Pages of events: however they are cut, they are one list; and a cursor is its place and nothing else.

Cites docs/spec/node.md: N-80, N-81, N-82.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from node.block import Log
from node.events import EventSelection, decode_cursor, encode_cursor
from node.history import History, LogPlace
from node.primitives import Address, Hash32
from support.log_chain import LogChain

ADDRESSES = [Address(bytes([number]) * 20) for number in (1, 2)]
TOPICS = [Hash32(bytes([number]) * 32) for number in (1, 2)]

logs = st.builds(
    Log,
    st.sampled_from(ADDRESSES),
    st.lists(st.sampled_from(TOPICS), max_size=2).map(tuple),
    st.just(b""),
)
blocks = st.lists(st.lists(st.lists(logs, max_size=3), min_size=1, max_size=3), max_size=5)
selections = st.builds(
    EventSelection,
    addresses=st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True).map(tuple),
    topics=st.lists(
        st.lists(st.sampled_from(TOPICS), max_size=2, unique=True).map(tuple), max_size=2
    ).map(tuple),
)
places = st.builds(LogPlace, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))


@given(place=places, genesis=st.binary(min_size=32, max_size=32))
def test_a_cursor_gives_its_place_back(place: LogPlace, genesis: bytes) -> None:
    assert decode_cursor(encode_cursor(Hash32(genesis), place), Hash32(genesis)) == place


@given(first=places, second=places, genesis=st.binary(min_size=32, max_size=32))
def test_cursors_of_a_chain_sort_as_their_places(
    first: LogPlace, second: LogPlace, genesis: bytes
) -> None:
    cursors = [encode_cursor(Hash32(genesis), each) for each in (first, second)]
    assert (cursors[0] < cursors[1]) == (first < second)


@settings(max_examples=60, deadline=None)
@given(
    content=blocks,
    selection=selections,
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    examined_max=st.integers(1, 12),
)
def test_any_split_into_pages_gives_the_same_list(
    content: list[list[list[Log]]],
    selection: EventSelection,
    limits: list[int],
    examined_max: int,
) -> None:
    expected = [
        (number, index)
        for number, block in enumerate(content, start=1)
        for index, log in enumerate([log for part in block for log in part])
        if is_selected(selection, log)
    ]
    with TemporaryDirectory() as directory:
        chain = LogChain(Path(directory, "chain"))
        for block in content:
            chain.add_block(block)
        history = History(chain.store, page_examined_max=examined_max)
        found: list[tuple[int, int]] = []
        after, end = LogPlace.end_of(0), LogPlace.end_of(len(content))
        rounds = 0
        while after < end:
            page = history.log_page(selection.query(after, limits[rounds % len(limits)]))
            assert after < page.examined_to <= end
            found += [(each.number, each.log_index) for each in page.records]
            after = page.examined_to
            rounds += 1
        chain.store.close()
    assert found == expected


def is_selected(selection: EventSelection, log: Log) -> bool:
    """What the filter means, without an index."""
    return (
        (not selection.addresses or log.address in selection.addresses)
        and len(log.topics) >= len(selection.topics)
        and all(
            not wanted or topic in wanted
            for wanted, topic in zip(selection.topics, log.topics, strict=False)
        )
    )
