"""Key files: made once, read only by their owner, and unusable unless everything is right."""

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from bridge.chain import recover_signer
from bridge.errors import KeyUnusable
from bridge.keys import KeystoreSigner, MessageKeys, generate_keystore

ROUNDS = 2


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_keystore_opens_with_its_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "operating.json"
    address = generate_keystore(path, "secret", ROUNDS)
    assert KeystoreSigner.load(path, "secret").address == address
    assert len(address) == 20
    assert mode_of(path) == 0o600


def test_a_keystore_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "operating.json"
    address = generate_keystore(path, "secret", ROUNDS)
    with pytest.raises(KeyUnusable):
        generate_keystore(path, "secret", ROUNDS)
    assert KeystoreSigner.load(path, "secret").address == address


def test_a_keystore_stays_shut_to_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "operating.json"
    generate_keystore(path, "secret", ROUNDS)
    with pytest.raises(KeyUnusable, match="passphrase"):
        KeystoreSigner.load(path, "Secret")
    with pytest.raises(KeyUnusable, match="read"):
        KeystoreSigner.load(tmp_path / "missing.json", "secret")
    path.write_text("{}")
    with pytest.raises(KeyUnusable, match="damaged"):
        KeystoreSigner.load(path, "secret")


def test_an_error_about_a_key_shows_neither_passphrase_nor_folder(tmp_path: Path) -> None:
    path = tmp_path / "operating.json"
    path.write_text("{}")
    with pytest.raises(KeyUnusable) as refused:
        KeystoreSigner.load(path, "secret")
    assert "secret" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_digest_is_signed_so_that_the_contracts_recover_the_address(tmp_path: Path) -> None:
    path = tmp_path / "quoting.json"
    generate_keystore(path, "secret", ROUNDS)
    signer = KeystoreSigner.load(path, "secret")
    digest = keccak(b"a quote")
    signature = signer.sign_digest(digest)
    assert (len(signature), signature[64] in {27, 28}) == (65, True)
    assert recover_signer(digest, signature) == signer.address
    assert recover_signer(keccak(b"another"), signature) != signer.address


def test_what_the_contracts_refuse_as_a_signature_has_no_signer(tmp_path: Path) -> None:
    """CHN-7."""
    path = tmp_path / "quoting.json"
    generate_keystore(path, "secret", ROUNDS)
    digest = keccak(b"a quote")
    signature = KeystoreSigner.load(path, "secret").sign_digest(digest)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high_s = (order - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    flipped = bytes([55 - signature[64]])
    for malleable in (
        b"",
        signature[:64],
        signature + b"\x00",
        signature[:64] + b"\x00",
        signature[:32] + high_s + flipped,
        bytes(64) + b"\x1b",
        b"\xff" * 64 + b"\x1b",
    ):
        assert recover_signer(digest, malleable) is None


def test_a_transaction_is_signed_by_the_address_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "operating.json"
    address = generate_keystore(path, "secret", ROUNDS)
    fields = {
        "type": 2,
        "chainId": 2_002_200,
        "nonce": 0,
        "to": "0x" + "11" * 20,
        "value": 0,
        "data": "0x",
        "gas": 21_000,
        "maxFeePerGas": 0,
        "maxPriorityFeePerGas": 0,
    }
    signer = KeystoreSigner.load(path, "secret")
    raw = signer.sign_transaction(fields)
    assert signer.sign_transaction(fields) == raw
    assert Account.recover_transaction(raw).lower() == "0x" + address.hex()


def test_message_keys_come_back_as_they_were_made(tmp_path: Path) -> None:
    path = tmp_path / "message-keys.json"
    made = MessageKeys.generate(path)
    loaded = MessageKeys.load(path)
    assert loaded.signing_public == made.signing_public
    assert loaded.sealing_public == made.sealing_public
    assert len(loaded.signing_public) == len(loaded.sealing_public) == 32
    assert mode_of(path) == 0o600
    with pytest.raises(KeyUnusable):
        MessageKeys.generate(path)


@pytest.mark.parametrize("damage", ["empty", "one key", "public keys", "no file"])
def test_message_keys_must_be_both_there_and_private(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "message-keys.json"
    MessageKeys.generate(path)
    keys = json.loads(path.read_text())["keys"]
    match damage:
        case "empty":
            path.write_text("")
        case "one key":
            path.write_text(json.dumps({"keys": keys[:1]}))
        case "public keys":
            for key in keys:
                del key["d"]
            path.write_text(json.dumps({"keys": keys}))
        case _:
            path.unlink()
    with pytest.raises(KeyUnusable):
        MessageKeys.load(path)
