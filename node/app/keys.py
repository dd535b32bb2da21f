"""What `node keys` does: keys for an operator's tools, made, imported and listed in a keystore.

Nothing here prints a key or a passphrase.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eth_utils.address import to_checksum_address

from node import signer
from node.errors import KeyUnusable

PASSPHRASE_VARIABLE: Final = "CORRIDOR_PASSPHRASE"  # noqa: S105 - where it is, not what


def keep_key(
    keystore: Path, passphrase_file: Path | None, key_text: str | None
) -> tuple[str, Path]:
    """Keeps the given key, or a new one; gives its address and file. Raises `KeyUnusable`."""
    passphrase = _read_passphrase(passphrase_file)
    if key_text is None:
        address, path = signer.create_key(keystore, passphrase)
    else:
        address, path = signer.import_key(keystore, key_text, passphrase)
    return to_checksum_address(address), path


def list_keys(keystore: Path) -> Iterator[tuple[str, Path]]:
    """The addresses of a keystore with their files; raises `KeyUnusable`."""
    for address, path in signer.list_keys(keystore):
        yield to_checksum_address(address), path


def address_of(file: Path) -> str:
    """The address of a keystore file; raises `KeyUnusable`."""
    return to_checksum_address(signer.read_address(file))


def _read_passphrase(file: Path | None) -> str:
    if file is not None:
        return signer.read_secret(file).rstrip("\r\n")
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    if passphrase is None:
        raise KeyUnusable(
            "the passphrase", f"give --passphrase-file or the variable {PASSPHRASE_VARIABLE}"
        )
    return passphrase
