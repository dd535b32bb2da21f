"""The accounts of one state while blocks run on it: read from the tries, changed in memory, written once at the end.

py-evm asks for its accounts through the interface `AccountDatabaseAPI`; this is what the chain gives it. Every change
adds to one undo list what stood there before, so that a call that fails is taken back by going through that list
backwards, down to its checkpoint. Nothing here is encoded or hashed until `persist`, which changes each trie once
for all transactions of a block.

    current      an account or slot as the running call sees it; None is an account that does not exist
    original     a slot at the beginning of the running transaction (EIP-2200 charges by it)
    stored       an account or slot as the tries have it: what is equal to it in the end is not written
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast

from eth.abc import AccountDatabaseAPI, AtomicDatabaseAPI, MetaWitnessAPI
from eth.db.witness import MetaWitness
from eth.typing import JournalDBCheckpoint
from eth_utils.exceptions import ValidationError

from node.engine.account_state import (
    EMPTY_ACCOUNT,
    AccountState,
    decode_account,
    encode_account,
)
from node.engine.state_buffer import StateBuffer
from node.engine.state_trie import StateTrie
from node.errors import StateMissing
from node.primitives import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    Address,
    Hash32,
    decode_bytes,
    decode_rlp,
    encode_rlp,
    encode_uint,
    keccak,
)

_ABSENT: Final = object()

_WORD_END: Final = 1 << 256
_NONCE_END: Final = 1 << 64

_Key: TypeAlias = Address | Hash32 | int | tuple[Address, int]
_Undo: TypeAlias = tuple[dict[Any, Any], _Key, object]
"""A table, a key, and what stood there: `_ABSENT` if nothing."""


class _Storage:
    """One account's slots, since its storage was last emptied."""

    __slots__ = ("current", "original", "stored", "trie")

    def __init__(self, trie: StateTrie) -> None:
        self.trie = trie
        self.stored: dict[int, int] = {}
        self.current: dict[int, int] = {}
        self.original: dict[int, int] = {}
        """Of the slots that the running transaction has written."""

    def get(self, slot: int) -> int:
        value = self.current.get(slot)
        if value is None:
            _check_word(slot)
            encoded = self.trie.get(keccak(slot.to_bytes(32, "big")))
            value = int.from_bytes(decode_bytes(decode_rlp(encoded)), "big") if encoded else 0
            self.stored[slot] = self.current[slot] = value
        return value

    def persist(self) -> Hash32 | None:
        """Writes what has changed and gives the new root; None where nothing has."""
        stored = self.stored
        changed = {slot: value for slot, value in self.current.items() if stored[slot] != value}
        if not changed:
            return None
        self.stored.update(changed)
        return self.trie.persist(
            {
                keccak(slot.to_bytes(32, "big")): encode_rlp(encode_uint(value)) if value else b""
                for slot, value in changed.items()
            }
        )


class Accounts(AccountDatabaseAPI):
    """The accounts of one state."""

    def __init__(self, db: AtomicDatabaseAPI, state_root: Hash32 = EMPTY_TRIE_ROOT) -> None:
        # py-evm only hands the database on from `open_state` to here.
        self._buffer = cast(StateBuffer, db)
        self._trie = StateTrie(self._buffer, state_root)
        self._stored: dict[Address, AccountState | None] = {}
        self._current: dict[Address, AccountState | None] = {}
        self._storages: dict[Address, _Storage] = {}
        self._codes: dict[bytes, bytes] = {}
        """Code that was set and is not written yet."""
        self._written: list[_Storage] = []
        """Storages with an `original`."""
        self._warm: dict[Address | tuple[Address, int], None] = {}
        self._undo: list[_Undo] = []
        self._undo_length_by_checkpoint: dict[JournalDBCheckpoint, int] = {}
        self._checkpoints = 0
        """Recorded so far: a checkpoint's number, which no other state and nothing before has a part in."""

    @property
    def state_root(self) -> Hash32:
        """The root when this was last written, or opened."""
        return self._trie.root

    @state_root.setter
    def state_root(self, value: Hash32) -> None:
        # Within a block the root does not move, so a revert only ever sets what is there.
        if value != self._trie.root:
            raise ValidationError("a state is not moved to another root")

    def has_root(self, state_root: bytes) -> bool:
        """Whether a state of that root is there."""
        return state_root in self._buffer

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:  # noqa: FBT001, FBT002 - py-evm's interface
        """A slot now, or at the beginning of the transaction."""
        storage = self._storages.get(address)
        if storage is None:
            storage = self._open_storage(address)
        if not from_journal and slot in storage.original:
            return storage.original[slot]
        return storage.get(slot)

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Writes a slot."""
        _check_word(value)
        storage = self._storages.get(address)
        if storage is None:
            storage = self._open_storage(address)
        before = storage.get(slot)
        if not storage.original:
            self._written.append(storage)
        storage.original.setdefault(slot, before)
        self._undo.append((storage.current, slot, before))
        storage.current[slot] = value

    def delete_storage(self, address: Address) -> None:
        """Empties an account's storage."""
        account = self._get(address)
        self._set(
            address,
            AccountState(account.nonce, account.balance, account.code_hash, EMPTY_TRIE_ROOT),
        )
        self._empty_storage(address)

    def is_storage_warm(self, address: Address, slot: int) -> bool:
        """Whether the transaction has touched a slot."""
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """Notes that the transaction has touched a slot."""
        self._mark_warm((address, slot))

    def get_balance(self, address: Address) -> int:
        """An account's balance."""
        return self._get(address).balance

    def set_balance(self, address: Address, balance: int) -> None:
        """Writes a balance."""
        _check_word(balance)
        account = self._get(address)
        self._set(
            address, AccountState(account.nonce, balance, account.code_hash, account.storage_root)
        )

    def get_nonce(self, address: Address) -> int:
        """An account's nonce."""
        return self._get(address).nonce

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Writes a nonce."""
        if not 0 <= nonce < _NONCE_END:
            raise ValidationError("a nonce out of range")
        account = self._get(address)
        self._set(
            address, AccountState(nonce, account.balance, account.code_hash, account.storage_root)
        )

    def increment_nonce(self, address: Address) -> None:
        """Raises a nonce by one."""
        self.set_nonce(address, self._get(address).nonce + 1)

    def set_code(self, address: Address, code: bytes) -> None:
        """Writes an account's code."""
        code_hash = keccak(code)
        if code_hash not in self._codes:
            self._undo.append((self._codes, code_hash, _ABSENT))
            self._codes[code_hash] = code
        self._set_code_hash(address, code_hash)

    def get_code(self, address: Address) -> bytes:
        """An account's code."""
        code_hash = self._get(address).code_hash
        if code_hash == EMPTY_CODE_HASH:
            return b""
        code = self._codes.get(code_hash)
        if code is not None:
            return code
        code = self._buffer.get(code_hash)
        if code is None:
            raise StateMissing(code_hash)
        return code

    def get_code_hash(self, address: Address) -> Hash32:
        """The hash of an account's code."""
        return self._get(address).code_hash

    def delete_code(self, address: Address) -> None:
        """Takes an account's code away."""
        self._set_code_hash(address, EMPTY_CODE_HASH)

    def get_storage_root(self, address: Address) -> Hash32:
        """The root of an account's storage at the beginning of the block."""
        return self._get(address).storage_root

    def account_has_code_or_nonce(self, address: Address) -> bool:
        """Whether an account has code or a nonce above 0."""
        account = self._get(address)
        return account.nonce != 0 or account.code_hash != EMPTY_CODE_HASH

    def delete_account(self, address: Address) -> None:
        """Takes an account away, with its storage."""
        self._empty_storage(address)
        self._set(address, None)

    def account_exists(self, address: Address) -> bool:
        """Whether an account exists; it may be empty."""
        self._get(address)
        return self._current[address] is not None

    def touch_account(self, address: Address) -> None:
        """Makes an account exist."""
        self._set(address, self._get(address))

    def account_is_empty(self, address: Address) -> bool:
        """Whether an account has neither nonce nor code nor balance (EIP-161)."""
        account = self._get(address)
        return not (account.nonce or account.balance or account.code_hash != EMPTY_CODE_HASH)

    def is_address_warm(self, address: Address) -> bool:
        """Whether the transaction has touched an account."""
        return address in self._warm

    def mark_address_warm(self, address: Address) -> None:
        """Notes that the transaction has touched an account."""
        self._mark_warm(address)

    def record(self) -> JournalDBCheckpoint:
        """A place to come back to."""
        self._checkpoints += 1
        checkpoint = JournalDBCheckpoint(self._checkpoints)
        self._undo_length_by_checkpoint[checkpoint] = len(self._undo)
        return checkpoint

    def discard(self, checkpoint: JournalDBCheckpoint) -> None:
        """Takes back all changes since a checkpoint."""
        undo, length = self._undo, self._undo_length_by_checkpoint.pop(checkpoint)
        while len(undo) > length:
            table, key, before = undo.pop()
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before

    def commit(self, checkpoint: JournalDBCheckpoint) -> None:
        """Forgets a checkpoint, not the changes since."""
        del self._undo_length_by_checkpoint[checkpoint]

    def lock_changes(self) -> None:
        """Ends a transaction: nothing before can be taken back any more."""
        self._undo.clear()
        self._undo_length_by_checkpoint.clear()
        self._warm.clear()
        for storage in self._written:
            storage.original.clear()
        self._written.clear()

    def make_state_root(self) -> Hash32:
        """Writes everything into the tries and gives the new root."""
        self.lock_changes()
        for address, storage in self._storages.items():
            root = storage.persist()
            if root is not None and (root != EMPTY_TRIE_ROOT or self.account_exists(address)):
                account = self._get(address)
                self._current[address] = AccountState(
                    account.nonce, account.balance, account.code_hash, root
                )
        stored = self._stored
        changed = {
            address: account
            for address, account in self._current.items()
            if stored[address] != account
        }
        stored.update(changed)
        self._buffer.written.update(self._codes)
        self._codes.clear()
        return self._trie.persist(
            {keccak(address): encode_account(account) for address, account in changed.items()}
        )

    def persist(self) -> MetaWitnessAPI:
        """Writes everything; what was read on the way is not kept."""
        self.make_state_root()
        return MetaWitness(set(), {})

    def _get(self, address: Address) -> AccountState:
        try:
            return self._current[address] or EMPTY_ACCOUNT
        except KeyError:
            if len(address) != 20:
                raise ValidationError("not an address") from None
        encoded = self._trie.get(keccak(address))
        account = decode_account(encoded) if encoded else None
        self._stored[address] = self._current[address] = account
        return account or EMPTY_ACCOUNT

    def _set(self, address: Address, account: AccountState | None) -> None:
        """Writes an account that was read before."""
        self._undo.append((self._current, address, self._current[address]))
        self._current[address] = account

    def _set_code_hash(self, address: Address, code_hash: Hash32) -> None:
        account = self._get(address)
        self._set(
            address, AccountState(account.nonce, account.balance, code_hash, account.storage_root)
        )

    def _open_storage(self, address: Address) -> _Storage:
        storage = _Storage(StateTrie(self._buffer, self._get(address).storage_root))
        self._storages[address] = storage
        return storage

    def _empty_storage(self, address: Address) -> None:
        before = self._storages.get(address) or self._open_storage(address)
        self._undo.append((self._storages, address, before))
        self._storages[address] = _Storage(StateTrie(self._buffer, EMPTY_TRIE_ROOT))

    def _mark_warm(self, key: Address | tuple[Address, int]) -> None:
        if key not in self._warm:
            self._undo.append((self._warm, key, _ABSENT))
            self._warm[key] = None


def _check_word(value: int) -> None:
    if not 0 <= value < _WORD_END:
        raise ValidationError("a word out of range")
