"""The chain that is measured: permissioned, with a token that many hold, and a history to search.

It is made once per number of accounts and kept: the genesis (the registry admits every sender, the token's balances
are written straight into its storage) and a node's data directory with `HISTORY_BLOCKS` blocks of one transfer each.
Every measurement begins from a copy.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from coincurve import PrivateKey

import contracts
from node import genesis
from node.chain import Chain
from node.config import ACCOUNTS_MAX, parse_network
from node.consensus.application import BLOCK_BYTES_MAX, Application
from node.engine import GenesisAccount, PyEvmEngine
from node.permissions import Permissions
from node.primitives import (
    SECP256K1_ORDER,
    Address,
    RlpItem,
    address_of_public_key,
    encode_rlp,
    encode_uint,
    keccak,
)
from node.store import ChainStore, MemoryState, StateStore
from node.store.chain import CHAIN_FORMAT
from throwaway_chain import lei_of

CHAIN_ID: Final = 2_002_999
GENESIS_TIME: Final = 1_700_000_000
TOKEN: Final = Address(b"\xbe" * 20)
BALANCE: Final = 10**15
SENDERS_MAX: Final = 10_000
"""Accounts that sign; more hold the token."""

TRANSFER_GAS: Final = 60_000
TRANSFER_TOPIC: Final = keccak(b"Transfer(address,address,uint256)")
_BALANCES_SLOT: Final = bytes(32)
_SUPPLY_SLOT: Final = 2


@dataclass(frozen=True)
class Sender:
    """One account of the benchmark; its key follows from its number."""

    index: int

    @cached_property
    def key(self) -> PrivateKey:
        """Its signing key."""
        digest = hashlib.sha256(f"corridor-bench/{self.index}".encode()).digest()
        number = int.from_bytes(digest, "big") % (SECP256K1_ORDER - 1) + 1
        return PrivateKey(number.to_bytes(32, "big"))

    @cached_property
    def address(self) -> Address:
        """Its address."""
        return address_of_public_key(self.key.public_key.format(compressed=False)[1:])

    def transfer(self, nonce: int, to: bytes, amount: int) -> bytes:
        """A signed transfer of the token (EIP-1559, no fees)."""
        selector = keccak(b"transfer(address,uint256)")[:4]
        data = selector + to.rjust(32, b"\0") + amount.to_bytes(32, "big")
        body: list[RlpItem] = [
            *(encode_uint(CHAIN_ID), encode_uint(nonce), b"", b""),
            *(encode_uint(TRANSFER_GAS), TOKEN, b"", data, []),
        ]
        signature = self.key.sign_recoverable(keccak(b"\x02" + encode_rlp(body)), hasher=None)
        parts = [encode_uint(int.from_bytes(signature[at : at + 32], "big")) for at in (0, 32)]
        return b"\x02" + encode_rlp([*body, encode_uint(signature[64]), *parts])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kept chain."""

    directory: Path
    holders: int
    senders: Sequence[Sender]
    history_blocks: int

    @property
    def genesis_file(self) -> Path:
        """Its genesis."""
        return self.directory / "genesis.json"

    def copy_data(self, to: Path) -> Path:
        """A data directory that stands at the end of the kept history."""
        shutil.copytree(self.directory / "data", to)
        return to


class SteppingClock:
    """A clock that moves a second at each look."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def now(self) -> int:
        """UTC seconds."""
        self._seconds += 1
        return self._seconds


def holder(index: int) -> bytes:
    """The address of a token holder: the senders first, then addresses without a key."""
    return keccak(f"corridor-bench/holder/{index}".encode())[12:]


def balance_call(address: bytes) -> dict[str, str]:
    """The call that asks the token for a balance, as `eth_call` takes it."""
    data = keccak(b"balanceOf(address)")[:4] + address.rjust(32, b"\0")
    return {"to": _hex(TOKEN), "data": _hex(data)}


def prepare(cache: Path, *, accounts: int, history_blocks: int) -> Prepared:
    """The kept chain for a number of token holders, made where it is missing."""
    senders = tuple(Sender(index) for index in range(min(accounts, SENDERS_MAX)))
    directory = cache / f"{CHAIN_FORMAT.decode()}-{accounts}-{history_blocks}"
    made = Prepared(directory, accounts, senders, history_blocks)
    if (directory / "complete").exists():
        return made
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    made.genesis_file.write_bytes(genesis.format_genesis(_make_genesis(made)))
    _make_history(made)
    (directory / "complete").touch()
    return made


def _make_genesis(prepared: Prepared) -> genesis.Genesis:
    engine = PyEvmEngine(MemoryState())
    made = genesis.generate(parse_network(json.dumps(_network(prepared)).encode()), engine)
    senders = prepared.senders
    others = [holder(index) for index in range(len(senders), prepared.holders)]
    return with_token(made, [*(sender.address for sender in senders), *others])


def with_token(made: genesis.Genesis, holders: Sequence[bytes]) -> genesis.Genesis:
    """A genesis with the token besides, of which each holder has `BALANCE`."""
    storage = {
        int.from_bytes(keccak(address.rjust(32, b"\0") + _BALANCES_SLOT), "big"): BALANCE
        for address in holders
    }
    storage[_SUPPLY_SLOT] = BALANCE * len(holders)
    code = contracts.load("DevelopmentToken").runtime
    alloc = {**made.alloc, TOKEN: GenesisAccount(nonce=1, code=code, storage=storage)}
    root = PyEvmEngine(MemoryState()).load_genesis(alloc).state_root
    header = genesis.genesis_header(made.specification, made.header.timestamp, root)
    return genesis.Genesis(made.specification, header, alloc)


def _make_history(prepared: Prepared) -> None:
    """Blocks of one transfer each by the first sender, without a node's processes."""
    state = StateStore(prepared.directory / "data/state")
    store = ChainStore(prepared.directory / "data/chain")
    engine = PyEvmEngine(state)
    loaded, handle = genesis.load(prepared.genesis_file.read_bytes(), engine)
    engine.commit(handle.handle)
    store.initialise(loaded.header)
    application = open_application(engine, store, loaded)
    first = prepared.senders[0]
    for nonce in range(prepared.history_blocks):
        to = prepared.senders[1 + nonce % (len(prepared.senders) - 1)].address
        proposal = application.prepare_proposal([first.transfer(nonce, to, 1)], BLOCK_BYTES_MAX)
        application.finalize_block(nonce + 1, proposal)
        application.commit()
    store.close()
    state.close()


def participant_entry(number: int, senders: Sequence[Sender]) -> dict[str, Any]:  # a JSON object
    """An institution of the network file, whose accounts are some senders."""
    return {
        "lei": lei_of(f"BENCH{number:013d}"),
        "bic": f"BNCHDE{number // 1000:02d}{number % 1000:03d}",
        "country": "DE",
        "roles": ["bank", "operator"] if number == 0 else ["bank"],
        "sealing_key": _hex(keccak(f"sealing/{number}".encode())),
        "signing_key": _hex(keccak(f"signing/{number}".encode())),
        "endpoint": f"https://bank-{number}.example",
        "accounts": [
            {
                "reference": _hex(keccak(sender.address)),
                "address": _hex(sender.address),
                "kind": "operating",
            }
            for sender in senders
        ],
    }


def open_application(
    engine: PyEvmEngine, store: ChainStore, loaded: genesis.Genesis
) -> Application:
    """The consensus application over open stores, as the node's core builds it."""
    chain = Chain(
        store=store,
        engine=engine,
        specification=loaded.specification,
        permissions=Permissions(engine),
    )
    return Application(chain, SteppingClock(chain.tip.header.timestamp))


def _network(prepared: Prepared) -> dict[str, Any]:  # a JSON object
    senders = prepared.senders
    return {
        "chain_id": CHAIN_ID,
        "genesis_time": GENESIS_TIME,
        "development": False,
        "transactions_open": False,
        "administrator": "operator",
        "operator": _hex(senders[0].address),
        "block_gas_limit": 30_000_000,
        "transaction_gas_limit": 16_000_000,
        "currencies": [],
        "participants": [
            participant_entry(number, senders[first : first + ACCOUNTS_MAX])
            for number, first in enumerate(range(0, len(senders), ACCOUNTS_MAX))
        ],
    }


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
