"""Signing keys and who holds them.

`Signer` is the port to whatever keeps a secp256k1 key: an encrypted file now, a remote signer or a security module
later. It signs and never gives the key away. The node itself signs nothing: keys are for its operator's tools.

A keystore is a directory with one file per key (Web3 Secret Storage, version 3, as every Ethereum tool reads it),
named by its address. Files and directory are their owner's alone: one that others may read is refused, a file is
never overwritten, and nothing here prints a key or a passphrase. A passphrase comes from a file or the environment,
never from a command line, where every user of the machine would see it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, Self

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32 as Digest

from node.errors import KeyUnusable
from node.primitives import Address

KEYSTORE_BYTES_MAX: Final = 64 * 1024
"""Bytes of a file with a key, a passphrase or another secret."""

KEYSTORE_FILES_MAX: Final = 1_000
"""Files that a keystore lists."""

PASSPHRASE_LENGTH_MIN: Final = 12
"""Characters of the passphrase of a new key."""

KEYSTORE_ITERATIONS: Final = 1_000_000
"""PBKDF2 rounds between a passphrase and the key it opens."""

SUFFIX: Final = ".json"

_OWNER_ONLY: Final = 0o600
_DIRECTORY_OWNER_ONLY: Final = 0o700


class Signer(Protocol):
    """The custody of one secp256k1 key."""

    @property
    def address(self) -> Address:
        """The address of the key."""

    def sign_transaction(self, fields: Mapping[str, Any]) -> bytes:  # as Ethereum's tools name them
        """The signed transaction with these fields, ready to be sent."""

    def sign_digest(self, digest: bytes) -> bytes:
        """The signature r || s || v over 32 bytes, low s."""


class KeystoreSigner:
    """A key from a keystore file, held in memory. Implements `Signer`."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Self:
        """The signer of a keystore file; raises `KeyUnusable`."""
        text = read_secret(path)
        try:
            key = Account.decrypt(text, passphrase)
        except (ValueError, KeyError, TypeError) as error:
            raise KeyUnusable(str(path), "it is damaged or the passphrase is wrong") from error
        return cls(Account.from_key(bytes(key)))

    @property
    def address(self) -> Address:
        """The address of the key."""
        return _address_of(self._account)

    def sign_transaction(self, fields: Mapping[str, Any]) -> bytes:  # see the port
        """The signed transaction with these fields, ready to be sent."""
        return bytes(self._account.sign_transaction(dict(fields)).raw_transaction)

    def sign_digest(self, digest: bytes) -> bytes:
        """The signature r || s || v over 32 bytes, low s."""
        return bytes(self._account.unsafe_sign_hash(Digest(digest)).signature)


def create_key(
    directory: Path, passphrase: str, iterations: int = KEYSTORE_ITERATIONS
) -> tuple[Address, Path]:
    """A new key in a new file of a keystore; raises `KeyUnusable`."""
    return _keep(directory, Account.create(), passphrase, iterations)


def import_key(
    directory: Path, key_text: str, passphrase: str, iterations: int = KEYSTORE_ITERATIONS
) -> tuple[Address, Path]:
    """A key given as 32 bytes of hex, in a new file of a keystore; raises `KeyUnusable`."""
    try:
        account = Account.from_key(bytes.fromhex(key_text.strip().removeprefix("0x")))
    except Exception as error:  # noqa: BLE001 - eth-keys raises its own, and may name the key
        raise KeyUnusable(
            "the given key", f"it is no secp256k1 key ({type(error).__name__})"
        ) from None
    return _keep(directory, account, passphrase, iterations)


def list_keys(directory: Path) -> Iterator[tuple[Address, Path]]:
    """The addresses of a keystore with their files, in order; raises `KeyUnusable`."""
    if not directory.is_dir():
        raise KeyUnusable(str(directory), "it is no directory")
    files = sorted(directory.glob(f"*{SUFFIX}"))
    if len(files) > KEYSTORE_FILES_MAX:
        raise KeyUnusable(str(directory), f"it holds more than {KEYSTORE_FILES_MAX} files")
    for path in files:
        yield read_address(path), path


def read_address(path: Path) -> Address:
    """The address that a keystore file states; the passphrase is not needed. Raises `KeyUnusable`."""
    try:
        address = bytes.fromhex(json.loads(read_secret(path))["address"].removeprefix("0x"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyUnusable(str(path), "it is no keystore file") from error
    if len(address) != 20:
        raise KeyUnusable(str(path), "its address has not 20 bytes")
    return Address(address)


def read_secret(path: Path) -> str:
    """The text of a file that nobody but its owner may read; raises `KeyUnusable`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(KEYSTORE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyUnusable(str(path), f"it cannot be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyUnusable(str(path), "others than its owner may use it; take that away (chmod 600)")
    if len(content) > KEYSTORE_BYTES_MAX:
        raise KeyUnusable(str(path), f"it has more than {KEYSTORE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise KeyUnusable(str(path), "it is no text") from error


def write_secret(path: Path, text: str) -> None:
    """Writes a file that did not exist, durably and for its owner alone; raises `KeyUnusable`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except OSError as error:
        raise KeyUnusable(str(path), f"it cannot be made: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _keep(
    directory: Path, account: LocalAccount, passphrase: str, iterations: int
) -> tuple[Address, Path]:
    if len(passphrase) < PASSPHRASE_LENGTH_MIN:
        raise KeyUnusable("the passphrase", f"it has fewer than {PASSPHRASE_LENGTH_MIN} characters")
    address = _address_of(account)
    document = Account.encrypt(account.key, passphrase, kdf="pbkdf2", iterations=iterations)
    directory.mkdir(mode=_DIRECTORY_OWNER_ONLY, parents=True, exist_ok=True)
    path = directory / f"{address.hex()}{SUFFIX}"
    write_secret(path, json.dumps(document))
    return address, path


def _address_of(account: LocalAccount) -> Address:
    return Address(bytes.fromhex(account.address.removeprefix("0x")))
