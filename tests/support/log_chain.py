"""A chain store with made-up blocks that hold given logs; no EVM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from node.block import EMPTY_BLOOM, Block, Header, Log, Receipt
from node.primitives import EMPTY_TRIE_ROOT, ZERO_HASH, Hash32, keccak
from node.store import ChainStore, Checkpoint
from support.transactions import ALICE, Draft

Logs = Sequence[Log]

GENESIS_SECONDS: Final = 1_800_000_000


def header(number: int, parent_hash: Hash32 = ZERO_HASH, *, extra_data: bytes = b"") -> Header:
    """A header that a store takes; nothing but its number and parent means anything."""
    return Header(
        parent_hash=parent_hash,
        state_root=EMPTY_TRIE_ROOT,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=EMPTY_BLOOM,
        number=number,
        gas_limit=30_000_000,
        gas_used=0,
        timestamp=GENESIS_SECONDS + number,
        extra_data=extra_data,
    )


def receipt(logs: Logs) -> Receipt:
    """A receipt with these logs."""
    return Receipt(2, True, 21_000, tuple(logs), 21_000, ALICE.address)


class LogChain:
    """A chain store that a test fills."""

    def __init__(self, path: Path, *, extra_data: bytes = b"") -> None:
        self.store = ChainStore(path)
        self.head = header(0, extra_data=extra_data)
        self.genesis_hash = self.head.hash
        self.store.initialise(self.head)

    def add_block(self, logs_by_transaction: Sequence[Logs]) -> Header:
        """Commits a block with one transaction for each list of logs."""
        self.head = header(self.head.number + 1, self.head.hash)
        number = self.head.number
        raws = tuple(
            Draft(nonce=1_000 * number + position).signed_by(ALICE)
            for position in range(len(logs_by_transaction))
        )
        self.store.commit(
            Checkpoint(number, self.head.hash),
            Block(self.head, raws),
            [receipt(logs) for logs in logs_by_transaction],
            [keccak(raw) for raw in raws],
        )
        return self.head

    def forget_before(self, number: int) -> None:
        """Marks blocks as left out, as a node does that began with a snapshot."""
        environment, table = self.store._environment, self.store._tables["meta"]
        with environment.begin(write=True) as transaction:
            transaction.put(b"first", number.to_bytes(8, "big"), db=table)
