"""Books that are older than the chain have missed messages too: the others are asked for them.

So it is after a restore from a back-up, and after a time without the process. Asking does no harm: whoever
is asked sends once more only what these books do not have.
"""

import threading
from typing import Final

from bridge.errors import Unavailable
from bridge.institution import Institution
from bridge.interbank.fetching import fetch_missed
from bridge.telemetry import get_logger

MARGIN_SECONDS: Final = 3_600
"""How much older than the books' newest block the messages may be that are asked for."""

PAUSE_SECONDS: Final = 5
"""How long an institution that did not answer is left alone."""


def fetch_once_behind(institution: Institution, over: threading.Event) -> None:
    """Ask for what was missed if the books are behind the chain now, until all have answered."""
    since: int | None = None
    is_asked = False
    while not over.is_set() and not is_asked:
        try:
            since = _missing_since(institution) if since is None else since
            is_asked = since is None or not fetch_missed(
                institution.store, institution.interbank, institution.directory, since
            )
        except Unavailable as error:
            get_logger().warning("fetch_waits", error=str(error))
        if not is_asked:
            over.wait(PAUSE_SECONDS)


def _missing_since(institution: Institution) -> int | None:
    """From when on messages may be missing; None for books that are level, or that are new."""
    with institution.store.reading() as work:
        checkpoint = work.chain_log.checkpoint()
    if checkpoint is None or institution.chain.head().number <= checkpoint.number:
        return None
    block = institution.chain.block(checkpoint.number)
    if block is None:
        return None
    return max(0, block.ref.timestamp - MARGIN_SECONDS)
