"""Reads the chain block by block and has each block's effects recorded with the checkpoint.

The checkpoint moves, the events are kept, own transactions become final and the handler books what
follows in one database transaction, all of it or nothing. So a block has its effects exactly once,
whatever dies, and two stores that follow one chain from its genesis hold the same. Far behind, several
blocks share a transaction: bringing a commit to disk costs more than a block.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.chain.client import BlockData, ChainClient
from bridge.chain.encoding import REGISTRY, ChainEvent, plain_arguments
from bridge.errors import ChainAnswerInvalid, Unavailable
from bridge.failpoint import Failpoint, visit
from bridge.store import EventRow, OutgoingTransaction, Store, UnitOfWork
from bridge.telemetry import get_logger

FOLLOW_SECONDS: Final = 0.1
"""How often the node is asked for a new block."""

AHEAD_MAX: Final = 32
"""Most blocks that are read from the node before the first of them is processed."""

TOGETHER_EVENTS_MAX: Final = 32
"""With how many events blocks no longer share their transaction with another: who else writes has to wait for it."""

RESEND_SECONDS: Final = 2
"""Age from which a transaction that is not final is sent again."""

DIRECTORY_SECONDS_MAX: Final = 60
"""How old the directory may be when a block comes: changes of participants have an effective time, and no event tells
that it has come."""


@dataclass(frozen=True, slots=True)
class FinalTransaction:
    """A transaction of ours that is final; one that reverted, or whose nonce another used, did not succeed."""

    transaction_hash: bytes
    purpose: str
    payment_id: str | None
    succeeded: bool
    block_number: int


BlockHandler: TypeAlias = Callable[[UnitOfWork, BlockData, tuple[FinalTransaction, ...]], None]


class _Coming:
    """Blocks that are being read from the node."""

    def __init__(self, client: ChainClient, first: int, count: int) -> None:
        self.first = first
        self.count = count
        self._client = client
        self._reader: threading.Thread | None = None
        self._found: tuple[BlockData, ...] = ()
        self._fault: BaseException | None = None

    def read(self) -> None:
        """Read them now."""
        try:
            self._found = self._client.blocks(self.first, self.count)
        except Exception as error:  # noqa: BLE001 - raised by whoever takes the blocks
            self._fault = error

    def read_meanwhile(self) -> None:
        """Read them in a thread that nobody has to wait for."""
        self._reader = threading.Thread(target=self.read, name="reading-ahead", daemon=True)
        self._reader.start()

    def take(self) -> tuple[BlockData, ...]:
        """The blocks, as soon as they are read; raises what reading them raised."""
        if self._reader is not None:
            self._reader.join()
        if self._fault is not None:
            raise self._fault
        return self._found


class Follower:
    """Follows one chain into one store; used by one thread.

    `on_block` is called inside the block's database transaction and must not leave the process.
    """

    def __init__(
        self,
        store: Store,
        client: ChainClient,
        on_block: BlockHandler,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._store = store
        self._client = client
        self._on_block = on_block
        self._directory_read_at = seconds()
        self._ahead: deque[BlockData] = deque()
        self._coming: _Coming | None = None
        self._at_once = 1

    def run(
        self, resend: Callable[[int], object], level: threading.Event, over: threading.Event
    ) -> None:
        """Follow until `over` is set; `level` is set as soon as there is no next block.

        `resend` is called every `RESEND_SECONDS`, with them: what is older than that is sent again. A
        node or a database that does not answer is asked again.
        """
        resent_at = self._seconds()
        is_away = False
        while not over.is_set():
            try:
                while not over.is_set() and self.step():
                    pass
                level.set()
                if self._seconds() >= resent_at + RESEND_SECONDS:
                    resent_at = self._seconds()
                    resend(RESEND_SECONDS)
                is_away = False
            except Unavailable as error:
                if not is_away:
                    get_logger().warning("chain_not_followed", error=str(error))
                is_away = True
            over.wait(FOLLOW_SECONDS)

    def catch_up(self) -> int:
        """Process every block there is; how many there were."""
        count = 0
        while processed := self.step():
            count += processed
        return count

    def step(self) -> int:
        """Process the next block, or far behind the next few; how many there were, 0 when there is none yet.

        Raises `ChainDiscontinuous` for a block that is not the child of the one before, and whatever
        the handler raises; nothing of that block is kept then.
        """
        with self._store.reading() as work:
            checkpoint = work.chain_log.checkpoint()
        blocks = self._next_blocks(0 if checkpoint is None else checkpoint.number + 1)
        if not blocks:
            return 0
        is_old = self._seconds() > self._directory_read_at + DIRECTORY_SECONDS_MAX
        if is_old or any(_changes_participants(event) for each in blocks for event in each.events):
            self._client.refresh()
            self._directory_read_at = self._seconds()
        finals = self._final_transactions(blocks)
        visit(Failpoint.OBSERVING)
        try:
            self._apply(blocks, finals)
        except Unavailable:
            raise
        except Exception as error:
            if len(blocks) == 1:
                raise
            get_logger().warning(
                "blocks_taken_apart",
                first=blocks[0].ref.number,
                count=len(blocks),
                exc_info=error,
            )
            for block, final in zip(blocks, finals, strict=True):  # up to the one that is wrong
                self._apply((block,), (final,))
        return len(blocks)

    def _apply(
        self, blocks: Sequence[BlockData], finals: Sequence[tuple[FinalTransaction, ...]]
    ) -> None:
        with self._store.unit_of_work() as work:
            for block, final in zip(blocks, finals, strict=True):
                work.chain_log.advance(
                    number=block.ref.number,
                    block_hash=block.ref.hash,
                    parent_hash=block.ref.parent_hash,
                )
                work.chain_log.record(event_row(event) for event in block.events)
                displaced = [
                    _displaced(other, transaction.block_number)
                    for transaction in final
                    for other in work.transactions.finalise(
                        transaction.transaction_hash,
                        block_number=transaction.block_number,
                        succeeded=transaction.succeeded,
                    )
                ]
                self._on_block(work, block, (*final, *displaced))

    def _next_blocks(self, number: int) -> tuple[BlockData, ...]:
        """The blocks from this number on that are processed together; none when there is none yet."""
        self._read_on(number)
        together: list[BlockData] = []
        while self._ahead and sum(len(each.events) for each in together) < TOGETHER_EVENTS_MAX:
            together.append(self._ahead.popleft())
        return tuple(together)

    def _read_on(self, number: int) -> None:
        """Have the block with this number ahead, if there is one. Far behind, many are asked for at once,
        and the next ones while these are processed: blocks are final, so one that was read ahead is as
        good as one read now.
        """
        while self._ahead and self._ahead[0].ref.number != number:
            self._ahead.popleft()
        if not self._ahead:
            coming, self._coming = self._coming, None
            if coming is None or coming.first != number or not coming.take():
                # what was not there when it was read ahead may have come since
                coming = _Coming(self._client, number, self._at_once)
                coming.read()
            found = coming.take()
            is_behind = len(found) == coming.count
            self._at_once = min(2 * coming.count, AHEAD_MAX) if is_behind else 1
            self._ahead.extend(found)
            if is_behind and coming.count > 1:
                self._coming = _Coming(self._client, number + len(found), self._at_once)
                self._coming.read_meanwhile()

    def _final_transactions(
        self, blocks: Sequence[BlockData]
    ) -> tuple[tuple[FinalTransaction, ...], ...]:
        """Our own transactions in each block, in its order. They were kept before they were sent, so
        none can be in a block that the store does not know of.
        """
        if not any(block.transaction_hashes for block in blocks):
            return ((),) * len(blocks)
        with self._store.reading() as work:
            outstanding = {each.hash: each for each in work.transactions.outstanding()}
        return tuple(
            tuple(
                self._final(outstanding[each], block)
                for each in block.transaction_hashes
                if each in outstanding
            )
            for block in blocks
        )

    def _final(self, transaction: OutgoingTransaction, block: BlockData) -> FinalTransaction:
        receipt = self._client.receipt(transaction.hash)
        if receipt is None or receipt.block_hash != block.ref.hash:
            raise ChainAnswerInvalid("eth_getTransactionReceipt", "it is not of its block")
        return FinalTransaction(
            transaction_hash=transaction.hash,
            purpose=transaction.purpose,
            payment_id=transaction.payment_id,
            succeeded=receipt.succeeded,
            block_number=receipt.block_number,
        )


def _displaced(transaction: OutgoingTransaction, block_number: int) -> FinalTransaction:
    """What is told of a transaction that can never be included any more."""
    return FinalTransaction(
        transaction_hash=transaction.hash,
        purpose=transaction.purpose,
        payment_id=transaction.payment_id,
        succeeded=False,
        block_number=block_number,
    )


def _changes_participants(event: ChainEvent) -> bool:
    is_registry = event.contract == REGISTRY and event.name != "AuditLogAnchored"
    return is_registry or event.name == "CurrencyAdded"


def event_row(event: ChainEvent) -> EventRow:
    """An event as the store keeps it."""
    return EventRow(
        block_number=event.block_number,
        block_hash=event.block_hash,
        log_index=event.log_index,
        transaction_hash=event.transaction_hash,
        address=event.address,
        name=event.name,
        document=json.dumps(plain_arguments(event.arguments), sort_keys=True),
    )
