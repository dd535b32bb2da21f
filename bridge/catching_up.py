"""Books that are older than the chain have missed messages too: the others are asked for them.

So it is after a restore from a back-up, and after a time without the process. Asking again does no
harm, whoever was asked sends once more what was meant for this institution, marked as such.
"""

import threading
from functools import partial
from typing import Final

from bridge.errors import Unavailable
from bridge.institution import Institution
from bridge.interbank.fetching import Wanted, fetch_missed
from bridge.telemetry import get_logger

MARGIN_SECONDS: Final = 3_600
"""How much older than the books' newest block the messages may be that are asked for."""

PAUSE_SECONDS: Final = 5
"""How long an institution that did not answer is left alone."""


def fetch_once_behind(institution: Institution, over: threading.Event) -> None:
    """Ask for what was missed if the books are behind the chain now, until all have answered."""
    ask = partial(_fetch, institution)
    wanted: Wanted | None = None
    is_asked = False
    while not over.is_set() and not is_asked:
        try:
            wanted = wanted or _missed(institution)
            is_asked = wanted is None or not ask(wanted)
        except Unavailable as error:
            get_logger().warning("fetch_waits", error=str(error))
        if not is_asked:
            over.wait(PAUSE_SECONDS)


def _missed(institution: Institution) -> Wanted | None:
    """What books that are behind have missed; None for books that are level, or that are new."""
    with institution.store.reading() as work:
        checkpoint = work.chain_log.checkpoint()
    if checkpoint is None or institution.chain.head().number <= checkpoint.number:
        return None
    block = institution.chain.block(checkpoint.number)
    if block is None:
        return None
    return Wanted(since=max(0, block.ref.timestamp - MARGIN_SECONDS))


def _fetch(institution: Institution, wanted: Wanted) -> tuple[str, ...]:
    return fetch_missed(institution.interbank, institution.directory, wanted)
