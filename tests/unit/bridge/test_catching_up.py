"""Whom books that are behind ask, in which order, and what is left to be asked after a restart.

Cites docs/spec/interbank.md: IBK-18.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from bridge.catching_up import MARGIN_SECONDS, PAGES_MAX, fetch_once_behind
from bridge.chain import BlockData, BlockRef, ChainClient, Directory
from bridge.errors import NodeUnavailable, PeerRefused, PeerUnavailable
from bridge.institution import Institution
from bridge.interbank.fetching import Page
from support.bridge_api import CENTRAL_BANK, NOW
from support.participants import BANK_A, BANK_B, PROVIDER
from support.settlement_desk import Desk

OTHERS = {BANK_B, PROVIDER, CENTRAL_BANK}


@dataclass
class Chain:
    """A chain of which the books have block 0; the node may be away for some questions."""

    known: Directory
    height: int = 5
    away: int = 0

    def directory(self) -> Directory:
        return self.known

    def head(self) -> BlockRef:
        if self.away:
            self.away -= 1
            raise NodeUnavailable("head", "no answer")
        return _ref(self.height)

    def block(self, number: int) -> BlockData:
        return BlockData(_ref(number), (), ())


def _ref(number: int) -> BlockRef:
    return BlockRef(number, bytes(32), bytes(32), NOW + number)


class Hurried(threading.Event):
    """Does not wait; may be set instead."""

    def __init__(self, *, ends: bool = False) -> None:
        super().__init__()
        self._ends = ends

    def wait(self, timeout: float | None = None) -> bool:
        if self._ends:
            self.set()
        return super().wait(0 * (timeout or 0))


@dataclass
class Street:
    """Bank A and what others answer it; `asked` is whom it asked, from when on and beyond what."""

    institution: Institution
    chain: Chain
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    answers: dict[str, Callable[[int], Page]] = field(default_factory=dict)

    def fetch(self, _store: object, _channel: object, lei: str, since: int, after: int) -> Page:
        self.asked.append((lei, since, after))
        return self.answers.get(lei, nothing)(after)

    def starts(self) -> None:
        """A process that asks until all have answered."""
        fetch_once_behind(self.institution, Hurried(), self.fetch)

    def starts_and_ends(self) -> None:
        """A process that ends when somebody was not reached."""
        fetch_once_behind(self.institution, Hurried(ends=True), self.fetch)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    desk = Desk(BANK_A, tmp_path)
    desk.sees()
    chain = Chain(desk.institution.directory())
    return Street(replace(desk.institution, chain=cast(ChainClient, chain)), chain)


def away(_: int) -> Page:
    raise PeerUnavailable(BANK_B)


def nothing(_: int) -> Page:
    return Page(0, None)


def test_everybody_else_is_asked_once_from_an_hour_before_the_books_end(street: Street) -> None:
    street.starts()
    since = NOW - MARGIN_SECONDS
    assert sorted(street.asked) == sorted((lei, since, 0) for lei in OTHERS)


def test_books_that_are_level_ask_nobody(street: Street) -> None:
    street.chain.height = 0
    street.starts()
    assert street.asked == []


def test_pages_are_asked_for_in_turn_so_that_nobody_waits_for_one(street: Street) -> None:
    street.answers[BANK_B] = lambda after: Page(1, after + 1 if after < 3 else None)
    street.starts()
    assert {lei for lei, _, _ in street.asked[:3]} == OTHERS
    assert [after for lei, _, after in street.asked if lei == BANK_B] == [0, 1, 2, 3]


def test_who_comes_to_no_end_has_answered_at_last(street: Street) -> None:
    street.answers[BANK_B] = lambda after: Page(1, after + 1)
    street.starts()
    assert len(street.asked) == PAGES_MAX + 2


def test_who_refuses_for_good_is_asked_no_more(street: Street) -> None:
    def refuse(_: int) -> Page:
        raise PeerRefused(BANK_B, "no")

    street.answers[BANK_B] = refuse
    street.starts()
    assert len(street.asked) == 3


def test_who_is_away_is_asked_again_and_nobody_else(street: Street) -> None:
    answers = iter([away, away, nothing])

    def answer(after: int) -> Page:
        return next(answers)(after)

    street.answers[BANK_B] = answer
    street.starts()
    assert [lei for lei, _, _ in street.asked[3:]] == [BANK_B, BANK_B]


def test_who_was_away_is_asked_by_the_next_process_though_its_books_are_level(
    street: Street,
) -> None:
    street.answers[BANK_B] = away
    street.starts_and_ends()
    street.chain.height = 0
    del street.answers[BANK_B]
    street.asked.clear()
    street.starts()
    assert street.asked == [(BANK_B, NOW - MARGIN_SECONDS, 0)]
    street.asked.clear()
    street.starts()
    assert street.asked == []


def test_a_second_time_behind_forgets_nothing_of_the_first(street: Street) -> None:
    street.answers[BANK_B] = away
    street.starts_and_ends()
    with street.institution.store.unit_of_work() as work:
        for number in (1, 2, 3):
            work.chain_log.advance(
                number=number,
                block_hash=number.to_bytes(32, "big"),
                parent_hash=(number - 1).to_bytes(32, "big"),
            )
    del street.answers[BANK_B]
    street.asked.clear()
    street.starts()
    assert sorted(street.asked) == sorted((lei, NOW - MARGIN_SECONDS, 0) for lei in OTHERS)


def test_a_node_that_is_away_at_first_does_not_hide_that_the_books_were_behind(
    street: Street,
) -> None:
    street.chain.away = 2
    street.starts()
    assert len(street.asked) == 3
