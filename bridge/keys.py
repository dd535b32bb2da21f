"""Signing keys and who holds them.

`TransactionSigner` is the port to whatever keeps a secp256k1 key: a keystore file now, a remote
signer or a security module later. It signs transactions and 32-byte EIP-712 digests and never gives
the key away. `MessageKeys` are the two keys of the sealed channel between bridges: Ed25519 to sign
(RFC 8032) and X25519 to unseal (RFC 7748), kept as JSON Web Keys in a file that only its owner reads.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from bridge.errors import KeyUnusable

KEYSTORE_ITERATIONS_DEFAULT: Final = 1_000_000
"""PBKDF2 rounds that protect a keystore file; a devnet with published passphrases may use few."""

_OWNER_ONLY: Final = 0o600
_SIGNING_CURVE: Final = "Ed25519"
_SEALING_CURVE: Final = "X25519"


class TransactionSigner(Protocol):
    """The custody of one secp256k1 key."""

    @property
    def address(self) -> bytes:
        """The 20-byte address of the key."""

    def sign_transaction(
        self, fields: Mapping[str, Any]
    ) -> bytes:  # as the Ethereum tools name them
        """The signed bytes of the transaction with these fields, ready to be sent."""

    def sign_digest(self, digest: bytes) -> bytes:
        """The 65-byte signature r || s || v over a 32-byte EIP-712 digest, low s."""


class KeystoreSigner:
    """A key from an encrypted keystore file (Web3 Secret Storage, version 3), held in memory."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self._address = bytes.fromhex(account.address.removeprefix("0x"))

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Self:
        """The signer of a keystore file; raises `KeyUnusable`."""
        try:
            key = Account.decrypt(path.read_text(encoding="utf-8"), passphrase)
        except OSError as error:
            raise KeyUnusable(path.name, "it cannot be read") from error
        except (ValueError, KeyError, TypeError) as error:
            raise KeyUnusable(path.name, "it is damaged or the passphrase is wrong") from error
        return cls(Account.from_key(bytes(key)))

    @property
    def address(self) -> bytes:
        """The 20-byte address of the key."""
        return self._address

    def sign_transaction(self, fields: Mapping[str, Any]) -> bytes:  # see the port
        """The signed bytes of the transaction with these fields, ready to be sent."""
        return bytes(self._account.sign_transaction(dict(fields)).raw_transaction)

    def sign_digest(self, digest: bytes) -> bytes:
        """The 65-byte signature r || s || v over a 32-byte EIP-712 digest, low s."""
        return bytes(self._account.unsafe_sign_hash(Hash32(digest)).signature)


def generate_keystore(
    path: Path, passphrase: str, iterations: int = KEYSTORE_ITERATIONS_DEFAULT
) -> bytes:
    """Make a new key, keep it encrypted in a new file at `path`, and return its 20-byte address.

    Raises `KeyUnusable` when there is a file already: a key is never overwritten.
    """
    account = Account.create()
    document = Account.encrypt(account.key, passphrase, kdf="pbkdf2", iterations=iterations)
    _write_secret(path, json.dumps(document))
    return bytes.fromhex(account.address.removeprefix("0x"))


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """The private keys of one end of the sealed channel."""

    signing: OKPKey
    sealing: OKPKey

    @classmethod
    def generate(cls, path: Path) -> Self:
        """New keys, kept in a new file at `path`; raises `KeyUnusable` when there is one already."""
        keys = cls(
            signing=OKPKey.generate_key(_SIGNING_CURVE, auto_kid=False),
            sealing=OKPKey.generate_key(_SEALING_CURVE, auto_kid=False),
        )
        documents = [key.as_dict(private=True) for key in (keys.signing, keys.sealing)]
        _write_secret(path, json.dumps({"keys": documents}))
        return keys

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys in a file that `generate` wrote; raises `KeyUnusable`."""
        try:
            documents = json.loads(path.read_text(encoding="utf-8"))["keys"]
            found = {document["crv"]: OKPKey.import_key(document) for document in documents}
            keys = cls(signing=found[_SIGNING_CURVE], sealing=found[_SEALING_CURVE])
        except OSError as error:
            raise KeyUnusable(path.name, "it cannot be read") from error
        except (ValueError, KeyError, TypeError, JoseError) as error:
            raise KeyUnusable(path.name, "it holds no Ed25519 and X25519 key") from error
        if not (keys.signing.is_private and keys.sealing.is_private):
            raise KeyUnusable(path.name, "its keys are public ones")
        return keys

    @property
    def signing_public(self) -> bytes:
        """The 32 bytes of the Ed25519 public key, as the registry has them."""
        return self.signing.public_key.public_bytes_raw()

    @property
    def sealing_public(self) -> bytes:
        """The 32 bytes of the X25519 public key, as the registry has them."""
        return self.sealing.public_key.public_bytes_raw()


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and that was not there before."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except OSError as error:
        raise KeyUnusable(path.name, "it exists already or cannot be written") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
