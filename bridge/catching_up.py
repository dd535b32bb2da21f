"""Books that are older than the chain have missed messages too: the others are asked for them.

So it is after a restore from a back-up, and after a time without the process. Asking does no harm: whoever
is asked sends once more only what these books do not have. What is to be asked, and who has answered, is
kept in the books, since a process may end before everybody could be reached.
"""

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

from bridge.errors import Rejected, Unavailable
from bridge.institution import Institution
from bridge.interbank.fetching import Fetch, fetch_page
from bridge.store import UnitOfWork
from bridge.telemetry import get_logger

MARGIN_SECONDS: Final = 3_600
"""How much older than the books' newest block the messages may be that are asked for."""

PAUSE_SECONDS: Final = 5
"""How long institutions that did not answer are left alone; twice as long each time."""

PAUSE_SECONDS_MAX: Final = 300
"""Longest such pause."""

PAGES_MAX: Final = 10_000
"""Most pages of one institution that are looked at: one that always has more has answered then."""

_NUMBER: Final = "fetch-number"
_SINCE: Final = "fetch-since"


def fetch_once_behind(
    institution: Institution, over: threading.Event, fetch: Fetch = fetch_page
) -> None:
    """Ask for what was missed if the books are behind the chain now, until all have answered.

    Also whom an earlier process was still to ask.
    """
    with institution.store.reading() as work:
        checkpoint = work.chain_log.checkpoint()
    number = None if checkpoint is None else checkpoint.number
    is_noted, pause = False, PAUSE_SECONDS
    while not over.is_set():
        try:
            if not is_noted and number is not None:
                _note(institution, number)
            is_noted = True
            if not _ask_everybody(institution, over, fetch):
                return
        except Unavailable as error:
            get_logger().warning("fetch_waits", error=str(error))
        over.wait(pause)
        pause = min(2 * pause, PAUSE_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class _Open:
    """What is to be asked: a number that no earlier question has, from when on, and who is left."""

    number: int
    since: int
    leis: tuple[str, ...]


def _note(institution: Institution, number: int) -> None:
    """Keep that everybody is to be asked, if books that had come to block `number` are behind."""
    if institution.chain.head().number <= number:
        return
    block = institution.chain.block(number)
    if block is None:
        return
    since = max(0, block.ref.timestamp - MARGIN_SECONDS)
    leis = _others(institution)
    with institution.store.unit_of_work() as work:
        left = _read(work, leis)
        work.movements.move(_NUMBER, left.number + 1)
        work.movements.move(_SINCE, min(since, left.since) if left.leis else since)


def _ask_everybody(institution: Institution, over: threading.Event, fetch: Fetch) -> bool:
    """Ask who has not answered yet, each for a page in turn; whether somebody is left at the end."""
    leis = _others(institution)
    with institution.store.reading() as work:
        left = _read(work, leis)
    place = dict.fromkeys(left.leis, 0)
    count: Counter[str] = Counter()
    pages: Counter[str] = Counter()
    is_somebody_away = False
    while place and not over.is_set():
        for lei, after in tuple(place.items()):
            following = None
            try:
                page = fetch(institution.store, institution.interbank, lei, left.since, after)
            except Unavailable as error:
                get_logger().warning("fetch_not_answered", peer=lei, error=str(error))
                is_somebody_away = True
                del place[lei]
                continue
            except Rejected as error:
                get_logger().warning("fetch_refused", peer=lei, error=str(error))
            else:
                count[lei] += page.count
                pages[lei] += 1
                following = page.following if pages[lei] < PAGES_MAX else None
            if following is not None:
                place[lei] = following
                continue
            del place[lei]
            with institution.store.unit_of_work() as work:
                work.movements.move(_answered(lei), left.number)
            get_logger().info("fetch_answered", peer=lei, count=count[lei])
    return is_somebody_away


def _others(institution: Institution) -> tuple[str, ...]:
    return tuple(
        each.lei
        for each in institution.directory().participants
        if each.is_admitted and each.lei != institution.lei
    )


def _read(work: UnitOfWork, leis: tuple[str, ...]) -> _Open:
    number = work.movements.position(_NUMBER)
    left = (lei for lei in leis if work.movements.position(_answered(lei)) < number)
    return _Open(number, work.movements.position(_SINCE), tuple(left))


def _answered(lei: str) -> str:
    return f"fetch-answered:{lei}"
