"""A development chain on which a contract records two logs for every call."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from node.app.dev import CHAIN_ID_DEFAULT, DevelopmentSettings, development_accounts
from node.app.dev import load_or_make_genesis as make
from node.primitives import Address, created_address
from support.transactions import Draft, Key

RUNTIME: Final = bytes.fromhex("60003560006000a160003560206000a100")
"""LOG1 without data, then LOG1 with 32 bytes of zeros; the topic of both is the call's first word."""

INIT_CODE: Final = bytes.fromhex("60118060095f395ff3") + RUNTIME

LOGS_PER_CALL: Final = 2

SENDER: Final = Key(development_accounts(1)[0].key)
EMITTER: Final = created_address(SENDER.address, 0)
"""Where the first transaction of the sender puts the contract."""


def make_development_genesis(directory: Path) -> Path:
    """The genesis file of a development chain."""
    file = directory / "genesis.json"
    make(file, DevelopmentSettings(directory))
    return file


def deployment() -> bytes:
    """The sender's first transaction: it makes the contract."""
    draft = Draft(chain_id=CHAIN_ID_DEFAULT, to=None, data=INIT_CODE, gas_limit=200_000)
    return draft.signed_by(SENDER)


def emission(nonce: int, to: Address = EMITTER) -> bytes:
    """A transaction that leaves two logs whose topic is its nonce."""
    data = nonce.to_bytes(32, "big")
    draft = Draft(chain_id=CHAIN_ID_DEFAULT, nonce=nonce, to=to, data=data, gas_limit=100_000)
    return draft.signed_by(SENDER)
