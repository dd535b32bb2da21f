"""Documents at rest: encrypted with a key per payment that can be destroyed.

Whatever is kept of a message (document, salt, sealed copy, what is on its way to another institution)
is AES-256-GCM under its payment's data key, bound to the record it stands in; data keys are kept wrapped
by the institution's master key, which stands in a file and never in the database. Once a data key is
destroyed nobody reads those documents again, the institution included, while hashes, commitments and
journal entries, which hold nothing of them, stay as they are.

A store that was opened without a master key keeps documents in clear, and so are those of before
there were keys; in a scope with a key nothing in clear is believed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, bindparam, insert, select, update

from bridge.errors import MessageShredded, MessageUnreadable
from bridge.store import tables
from bridge.store.prepared import Prepared, PreparedInsert

KEY_BYTES: Final = 32
"""Bytes of a master key and of a data key."""

_CLEAR: Final = b"\x00"
_SEALED: Final = b"\x01"
_NONCE_BYTES: Final = 12
_DERIVATION: Final = b"corridor-master-key-v1"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """What wraps an institution's data keys; `entropy` gives fresh random bytes."""

    key: bytes = field(repr=False)
    entropy: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> "MasterKey":
        """The master key of an institution that has only its secret: HKDF of it (RFC 5869)."""
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=_DERIVATION).derive(secret)
        return cls(derived)

    def new_data_key(self) -> bytes:
        """A fresh data key."""
        return self.entropy(KEY_BYTES)

    def seal(self, key: bytes, plain: bytes, place: str) -> bytes:
        """Plain bytes under a key, for one place alone."""
        nonce = self.entropy(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plain, place.encode())


def message_scope(payment_id: str | None, message_id: str) -> str:
    """Whose key a message is kept under: its payment's, or its own."""
    return payment_id or f"message:{message_id}"


class Vault:
    """Documents by the scope of their key (a payment's id, mostly) and the place they stand in."""

    def __init__(self, connection: Connection, master: MasterKey | None) -> None:
        self._connection = connection
        self._master = master
        self._keys: dict[str, bytes] = {}

    def seal(self, scope: str, place: str, plain: bytes) -> bytes:
        """Bytes to keep; the first of a scope makes its key.

        Raises `MessageShredded` when the scope's key was destroyed.
        """
        if self._master is None:
            return _CLEAR + plain
        key = self._find_key(scope)
        if key is None:
            key = self._master.new_data_key()
            wrapped = self._master.seal(self._master.key, key, scope)
            row = {"scope": scope, "wrapped": wrapped, "destroyed_at": None}
            _ADD_KEY.add(self._connection, (row,))
            self._keys[scope] = key
        return _SEALED + self._master.seal(key, plain, f"{scope}|{place}")

    def open(self, scope: str, place: str, kept: bytes) -> bytes:
        """The bytes that were kept there.

        Raises `MessageShredded` when their key was destroyed, and `MessageUnreadable` when they were
        changed, moved, or kept under another master key.
        """
        key = self._find_key(scope)
        if key is None and kept.startswith(_CLEAR):
            return kept.removeprefix(_CLEAR)
        if key is None or not kept.startswith(_SEALED):
            raise MessageUnreadable(scope)
        return _open(key, kept.removeprefix(_SEALED), f"{scope}|{place}", scope)

    def destroy(self, scope: str, at: int) -> bool:
        """Destroy the key of a scope at a UTC second, for ever; False when it was before.

        A scope without a key gets a destroyed one: nothing can be kept in it any more.
        """
        self._keys.pop(scope, None)
        kept = tables.message_keys.c
        query = select(kept.destroyed_at).where(kept.scope == scope)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            self._connection.execute(
                insert(tables.message_keys).values(scope=scope, destroyed_at=at)
            )
            return True
        change = update(tables.message_keys).where(kept.scope == scope, kept.destroyed_at.is_(None))
        return self._connection.execute(change.values(wrapped=None, destroyed_at=at)).rowcount == 1

    def _find_key(self, scope: str) -> bytes | None:
        known = self._keys.get(scope)
        if known is not None:
            return known
        rows = _FIND_KEY.rows(self._connection, {"scope": scope})
        if not rows:
            return None
        wrapped, destroyed_at = rows[0]
        if destroyed_at is not None:
            raise MessageShredded(scope)
        if self._master is None:
            raise MessageUnreadable(scope)
        key = self._keys[scope] = _open(self._master.key, wrapped, scope, scope)
        return key


_ADD_KEY = PreparedInsert(tables.message_keys)

_FIND_KEY = Prepared(
    select(tables.message_keys.c.wrapped, tables.message_keys.c.destroyed_at).where(
        tables.message_keys.c.scope == bindparam("scope")
    )
)


def _open(key: bytes, sealed: bytes, place: str, scope: str) -> bytes:
    nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, encrypted, place.encode())
    except (InvalidTag, ValueError) as error:
        raise MessageUnreadable(scope) from error
