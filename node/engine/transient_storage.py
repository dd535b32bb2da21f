"""Storage that lives as long as a transaction (EIP-1153).

It takes its checkpoints from the accounts, as py-evm hands them over, and knows no others: what a run does must not
depend on what else has run in this process.
"""

from __future__ import annotations

from eth.abc import TransientStorageAPI
from eth.typing import JournalDBCheckpoint
from eth_typing import Address

_EMPTY = b""


class TransientStorage(TransientStorageAPI):
    """Slots by account, with one undo list."""

    def __init__(self) -> None:
        self._values: dict[tuple[Address, int], bytes] = {}
        self._undo: list[tuple[tuple[Address, int], bytes]] = []
        self._undo_length_by_checkpoint: dict[JournalDBCheckpoint, int] = {}

    def get_transient_storage(self, address: Address, slot: int) -> bytes:
        """A slot; empty is zero."""
        return self._values.get((address, slot), _EMPTY)

    def set_transient_storage(self, address: Address, slot: int, value: bytes) -> None:
        """Writes a slot."""
        key = (address, slot)
        self._undo.append((key, self._values.get(key, _EMPTY)))
        self._values[key] = value

    def record(self, checkpoint: JournalDBCheckpoint) -> None:
        """Notes a place to come back to."""
        self._undo_length_by_checkpoint[checkpoint] = len(self._undo)

    def commit(self, checkpoint: JournalDBCheckpoint) -> None:
        """Forgets a checkpoint, not the changes since."""
        del self._undo_length_by_checkpoint[checkpoint]

    def discard(self, checkpoint: JournalDBCheckpoint) -> None:
        """Takes back all changes since a checkpoint."""
        length = self._undo_length_by_checkpoint.pop(checkpoint)
        while len(self._undo) > length:
            key, before = self._undo.pop()
            self._values[key] = before

    def clear(self) -> None:
        """Forgets everything: the transaction is over."""
        self._values.clear()
        self._undo.clear()
        self._undo_length_by_checkpoint.clear()
