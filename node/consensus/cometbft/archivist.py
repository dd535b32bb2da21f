"""Keeps, for each block, the header of consensus that certifies it.

The header of height H + 1 names the block of height H as its `app_hash`, and the engine holds a commit for it as soon
as it is decided, which it is at once: a height with a new block is followed by an empty one. So after each height the
archivist asks the engine for what is missing, in the order of the blocks, checks every signature, and keeps it. What
was missed, by whatever end of the node, is asked for at its next start: the engine keeps its history as long as
`archived_height` has not passed it.

A header in which the validators change is kept with the commit that the next height holds, once it does: the one that
this node saw first may hold other votes than that of its neighbours, and snapshots are to be the same bytes everywhere.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Final, Protocol

from node.consensus.application import Application
from node.errors import EngineQuestionRefused, Rejected, SignedHeaderInvalid, Unavailable
from node.history import History
from node.signed_header import SignedHeader, check_signed_header
from node.store import ChainStore
from node.telemetry import get_logger

BATCH_BLOCKS_MAX: Final = 64
"""Blocks whose headers are kept in one transaction."""

AGAIN_SECONDS: Final = 0.5
"""After which the engine is asked again where it had no answer."""


class SignedHeaders(Protocol):
    """Where signed headers come from. Implemented by `status.EngineClient`."""

    def signed_header(self, height: int) -> SignedHeader:
        """The header of a height with a commit; raises `Unavailable`, or `Rejected` where there is none."""


class Archivist:
    """Keeps certifying headers, in a thread of its own, until it is stopped."""

    def __init__(self, application: Application, store: ChainStore, engine: SignedHeaders) -> None:
        self._application = application
        self._store = store
        self._history = History(store)
        self._engine = engine
        self._due = threading.Event()
        self._is_stopping = False
        self._agreed_height = 0
        self._archived_height = 0

    @property
    def archived_height(self) -> int:
        """Up to here nothing is needed of the engine's history any more; 0 where that is not known yet."""
        return self._archived_height

    def notice(self) -> None:
        """A height is durable; never waits."""
        self._due.set()

    def run(self) -> None:
        """Keeps what is missing, at once and after each height, until `stop`."""
        is_complete = False
        while not self._is_stopping:
            self._due.wait(None if is_complete else AGAIN_SECONDS)
            self._due.clear()
            try:
                is_complete = self.catch_up()
            except (Unavailable, Rejected) as fault:
                get_logger().debug("certificate_not_kept_yet", reason=str(fault))
                is_complete = False

    def stop(self) -> None:
        """Ends `run` soon."""
        self._is_stopping = True
        self._due.set()

    def catch_up(self) -> bool:
        """Keeps what can be had; false where there is more to come.

        Raises what the engine's refusal is, and `SignedHeaderInvalid` where it gives something else than it must.
        """
        while True:
            last_height = self._application.info().last_height
            head = self._history.head().number
            first = max(self._history.certified_number() + 1, self._history.first_number())
            numbers = range(first, min(head, first + BATCH_BLOCKS_MAX - 1) + 1)
            found: dict[int, SignedHeader] = {}
            for number in numbers:
                height = self._history.height(number)
                if height >= last_height:
                    break
                found[number] = self._certifying(number, height + 1)
            if found:
                self._store.certify(found)
            if len(found) < len(numbers):
                return False
            if not numbers or numbers[-1] == head:
                self._agree(last_height)
                return True

    def _agree(self, last_height: int) -> None:
        """Keeps each change of validators with the commit that the next height holds, where there is one."""
        for seen in self._history.validator_changes(above=self._agreed_height):
            height = seen.header.height
            if height >= last_height:
                self._archived_height = height - 1
                return
            with contextlib.suppress(EngineQuestionRefused):  # it was before what this engine has
                agreed = self._engine.signed_header(height)
                check_signed_header(agreed, chain_id=self._application.consensus_chain_id())
                if agreed.header != seen.header:
                    raise SignedHeaderInvalid(f"height {height} has two headers")
                self._store.agree(agreed)
            self._agreed_height = height
        self._archived_height = last_height - 1

    def _certifying(self, number: int, height: int) -> SignedHeader:
        signed = self._engine.signed_header(height)
        check_signed_header(signed, chain_id=self._application.consensus_chain_id())
        header = self._history.header(number)
        if header is None or signed.header.app_hash != header.hash:
            raise SignedHeaderInvalid(f"the header of height {height} names another block")
        return signed
