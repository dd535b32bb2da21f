"""What stands in the account trie under one address, and its encoding there (Yellow Paper, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.primitives import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    Hash32,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_uint,
)


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account at a state root; an absent one reads as empty."""

    nonce: int
    balance: int
    code_hash: Hash32
    storage_root: Hash32


EMPTY_ACCOUNT: Final = AccountState(0, 0, EMPTY_CODE_HASH, EMPTY_TRIE_ROOT)
"""What an account that does not exist reads as."""


def decode_account(encoded: bytes) -> AccountState:
    """An account as its trie's leaf holds it."""
    nonce, balance, storage_root, code_hash = decode_list(decode_rlp(encoded), 4)
    return AccountState(
        decode_uint(nonce, 8),
        decode_uint(balance),
        Hash32(decode_bytes(code_hash, 32)),
        Hash32(decode_bytes(storage_root, 32)),
    )


def encode_account(account: AccountState | None) -> bytes:
    """An account's leaf; empty where there is no account."""
    if account is None:
        return b""
    return encode_rlp(
        [
            encode_uint(account.nonce),
            encode_uint(account.balance),
            account.storage_root,
            account.code_hash,
        ]
    )
