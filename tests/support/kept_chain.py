"""A chain on disk, made by the code that makes blocks: contracts, storage, logs, gaps in its heights.

Its clock stands beyond any machine's, so its blocks are the same bytes wherever and whenever they are made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lmdb

from node import genesis
from node.app.directory import open_chain
from node.chain import Chain
from node.config import parse_network
from node.engine import PyEvmEngine
from node.history import History
from node.store import BLOCK_TABLES, ChainStore, MemoryState, StateStore
from support.genesis_files import with_clock_skew
from support.settlement_network import ALPHA, network_file
from support.transactions import ALICE, Draft, Key

STILL_TIME: Final = 4_000_000_000
"""Genesis time; since no clock has come so far, the time of every block."""

SENDERS: Final[tuple[Key, ...]] = (ALICE, ALPHA.operating)

LOGGING_CODE: Final = bytes.fromhex("60bb60aa60206000a26001600055")
"""LOG2 of 32 bytes with the topics 0xaa and 0xbb; SSTORE(0, 1)."""


def still_genesis(network: dict[str, Any] | None = None) -> bytes:
    """The genesis file of an open development chain whose clock never moves."""
    document = network or {**network_file(), "development": True, "transactions_open": True}
    text = json.dumps({**document, "genesis_time": STILL_TIME}).encode()
    made = genesis.generate(parse_network(text), PyEvmEngine(MemoryState()))
    return genesis.format_genesis(with_clock_skew(made, 2**40))


def deployment(nonce: int, key: Key = ALICE) -> bytes:
    """A creation that logs, writes storage and leaves code of its own."""
    code = bytes([nonce + 1]) + LOGGING_CODE
    init = LOGGING_CODE + b"\x6f" + code.rjust(16, b"\x5b") + bytes.fromhex("60005260106010f3")
    return Draft(nonce=nonce, to=None, data=init, gas_limit=200_000).signed_by(key)


@dataclass(frozen=True, slots=True)
class KeptChain:
    """A data directory and its genesis file."""

    directory: Path

    @property
    def genesis_file(self) -> Path:
        """Where commands look for it by themselves."""
        return self.directory / "genesis.json"

    @contextmanager
    def opened(self) -> Iterator[tuple[Chain, History]]:
        """The chain, to write."""
        with (
            closing(StateStore(self.directory / "state")) as state,
            closing(ChainStore(self.directory / "chain")) as store,
        ):
            made = genesis.parse(self.genesis_file.read_bytes())
            yield open_chain(made, state, store), History(store)

    @contextmanager
    def reading(self) -> Iterator[ChainStore]:
        """Its chain store, to read."""
        with closing(ChainStore(self.directory / "chain", readonly=True)) as store:
            yield store

    def extend(self, count: int) -> None:
        """Adds blocks of two transactions each; every second height makes none."""
        with self.opened() as (chain, _):
            for _ in range(count):
                raws = [deployment(chain.nonce_of(key.address), key) for key in SENDERS]
                execution = chain.execute(
                    raws, height=chain.tip.height + 2, timestamp=chain.tip.header.timestamp
                )
                assert [result.code for result in execution.results] == [0, 0]
                chain.commit()

    def dump(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """Every entry of the chain store."""
        with open_raw(self.directory / "chain") as environment:
            return {table: dump_table(environment, table) for table in (*BLOCK_TABLES, "meta")}


def make_chain(directory: Path, genesis_text: bytes, blocks: int = 0) -> KeptChain:
    """A new chain in a directory of its own."""
    directory.mkdir(parents=True)
    kept = KeptChain(directory)
    kept.genesis_file.write_bytes(genesis_text)
    if blocks:
        kept.extend(blocks)
    return kept


@contextmanager
def open_raw(path: Path) -> Iterator[lmdb.Environment]:
    """An LMDB environment behind the back of its store."""
    with lmdb.open(str(path), max_dbs=16, map_size=1 << 38) as environment:
        yield environment


def dump_table(environment: lmdb.Environment, table: str) -> list[tuple[bytes, bytes]]:
    """Every entry of one table."""
    with environment.begin(environment.open_db(table.encode())) as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def put_raw(path: Path, table: str, key: bytes, value: bytes | None) -> None:
    """Writes an entry behind the back of its store; None removes it."""
    with open_raw(path) as environment:
        named = environment.open_db(table.encode())
        with environment.begin(named, write=True) as transaction:
            if value is None:
                assert transaction.delete(key)
            else:
                transaction.put(key, value)
