"""Keys of an operator's tools: kept encrypted, their owner's alone, never printed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from node.errors import KeyUnusable
from node.signer import (
    KEYSTORE_BYTES_MAX,
    KeystoreSigner,
    create_key,
    import_key,
    list_keys,
    read_address,
    read_secret,
)

PASSPHRASE = "correct horse battery"
KEY = "0x" + "11" * 32
FEW_ROUNDS = 1_000


def test_a_new_key_lies_encrypted_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    """N-99."""
    address, path = create_key(tmp_path / "keys", PASSPHRASE, FEW_ROUNDS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.name == f"{address.hex()}.json"
    assert read_address(path) == address
    assert KeystoreSigner.load(path, PASSPHRASE).address == address


def test_an_imported_key_signs_as_its_owner_and_is_read_by_other_tools(tmp_path: Path) -> None:
    """N-99."""
    expected = Account.from_key(KEY)
    address, path = import_key(tmp_path, KEY, PASSPHRASE, FEW_ROUNDS)
    assert address == bytes.fromhex(expected.address[2:])
    assert Account.decrypt(path.read_text(), PASSPHRASE) == expected.key
    signer = KeystoreSigner.load(path, PASSPHRASE)
    digest = bytes(range(32))
    assert signer.sign_digest(digest) == bytes(expected.unsafe_sign_hash(digest).signature)
    fields = {
        "chainId": 7,
        "nonce": 0,
        "to": "0x" + "22" * 20,
        "value": 0,
        "gas": 21_000,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
        "type": 2,
    }
    signed = signer.sign_transaction(fields)
    assert Account.recover_transaction(signed) == expected.address
    assert Account.recover_message(
        encode_defunct(b"x"), signature=expected.sign_message(encode_defunct(b"x")).signature
    )


@pytest.mark.parametrize(
    ("key", "passphrase", "words"),
    [
        ("0x11", PASSPHRASE, "no secp256k1 key"),
        ("secret", PASSPHRASE, "no secp256k1 key"),
        ("0x" + "00" * 32, PASSPHRASE, "no secp256k1 key"),
        (KEY, "short", "fewer than 12 characters"),
    ],
)
def test_what_is_no_key_or_no_passphrase_is_refused_and_not_repeated(
    tmp_path: Path, key: str, passphrase: str, words: str
) -> None:
    """N-99."""
    with pytest.raises(KeyUnusable, match=words) as refusal:
        import_key(tmp_path / "keys", key, passphrase, FEW_ROUNDS)
    assert key not in str(refusal.value)
    assert not (tmp_path / "keys").exists()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """N-99."""
    _, path = import_key(tmp_path, KEY, PASSPHRASE, FEW_ROUNDS)
    kept = path.read_bytes()
    with pytest.raises(KeyUnusable, match="cannot be made"):
        import_key(tmp_path, KEY, "another passphrase", FEW_ROUNDS)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """N-99."""
    _, path = import_key(tmp_path, KEY, PASSPHRASE, FEW_ROUNDS)
    path.chmod(mode)
    for use in (read_address, read_secret, lambda file: KeystoreSigner.load(file, PASSPHRASE)):
        with pytest.raises(KeyUnusable, match="others than its owner"):
            use(path)


def test_a_wrong_passphrase_and_a_damaged_file_are_told_from_a_missing_one(tmp_path: Path) -> None:
    """N-99."""
    _, path = import_key(tmp_path, KEY, PASSPHRASE, FEW_ROUNDS)
    with pytest.raises(KeyUnusable, match="damaged or the passphrase is wrong"):
        KeystoreSigner.load(path, "another passphrase")
    with pytest.raises(KeyUnusable, match="cannot be read"):
        KeystoreSigner.load(tmp_path / "nowhere", PASSPHRASE)
    for content in (b"{}", b"[]", b'{"address": "0x11"}', b'{"address": 1}', b"\xff"):
        path.write_bytes(content)
        with pytest.raises(KeyUnusable):
            read_address(path)
    path.write_bytes(bytes(KEYSTORE_BYTES_MAX + 1))
    with pytest.raises(KeyUnusable, match="more than"):
        read_secret(path)


def test_a_keystore_lists_its_addresses(tmp_path: Path) -> None:
    """N-99."""
    kept = {create_key(tmp_path, PASSPHRASE, FEW_ROUNDS)[0] for _ in range(2)}
    assert {address for address, _ in list_keys(tmp_path)} == kept
    with pytest.raises(KeyUnusable, match="no directory"):
        list(list_keys(tmp_path / "nowhere"))


def keys(*arguments: str, standard_input: str = "", passphrase: str | None = None) -> str:
    """Runs `node keys`; gives all that it printed."""
    environment = {
        name: value for name, value in os.environ.items() if name != "CORRIDOR_PASSPHRASE"
    }
    if passphrase is not None:
        environment["CORRIDOR_PASSPHRASE"] = passphrase
    done = subprocess.run(
        [sys.executable, "-m", "node", "keys", *arguments],
        env=environment,
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return f"{done.returncode} {done.stdout}{done.stderr}"


@pytest.mark.integration
def test_the_command_line_keeps_keys_and_prints_no_secret(tmp_path: Path) -> None:
    """N-99."""
    keystore, file = tmp_path / "keys", tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    file.chmod(0o600)
    address = Account.from_key(KEY).address
    imported = keys(
        *("import", "--keystore", str(keystore), "--passphrase-file", str(file)),
        standard_input=KEY + "\n",
    )
    made = keys("new", "--keystore", str(keystore), passphrase=PASSPHRASE)
    listed = keys("list", "--keystore", str(keystore))
    shown = keys("address", "--file", str(keystore / f"{address[2:].lower()}.json"))
    assert imported.startswith(f"0 {address}  ")
    assert made.startswith("0 0x")
    assert len(listed.splitlines()) == 2
    assert shown == f"0 {address}\n"
    refused = keys("new", "--keystore", str(keystore))
    assert refused.startswith("2 node: the passphrase: give --passphrase-file or")
    printed = imported + made + listed + shown + refused
    assert PASSPHRASE not in printed
    assert KEY[2:] not in printed
    kept = (json.loads(path.read_text()) for path in keystore.iterdir())
    assert all(each["crypto"]["kdfparams"]["c"] >= 1_000_000 for each in kept)
