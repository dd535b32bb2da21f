"""An institution's books made anew, in a fresh database that follows the chain from its genesis."""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bridge.chain import ChainClient, Follower, Submitter
from bridge.composition import compose
from bridge.config import Settings, load_settings
from bridge.institution import Institution
from bridge.interbank import Interbank
from bridge.keys import KeystoreSigner, MessageKeys
from bridge.opening import open_books
from bridge.store import Store
from bridge.store.payment_record import decode_signed_quote
from support.local_devnet import Devnet

OPENED_AT = 1_700_000_000
"""When every replay opens its books, as a UTC second: before the chain began."""


@dataclass(frozen=True)
class Replay:
    """All rows of a database by table, as it was read; `blocks` is how many a replay followed."""

    rows: Mapping[str, list[tuple[Any, ...]]] = field(repr=False)
    blocks: int = 0

    @classmethod
    def of(cls, place: Path, blocks: int = 0) -> "Replay":
        """What stands in a SQLite database now."""
        with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as database:
            database.execute("begin")
            names = database.execute("select name from sqlite_master where type = 'table'")
            rows = {
                name: database.execute(f"select * from {name} order by rowid").fetchall()  # noqa: S608 - a name of ours
                for (name,) in names.fetchall()
            }
        return cls(rows, blocks)

    @property
    def digest(self) -> str:
        """The SHA-256 of every row of every table."""
        plain = {
            name: [[repr(value) for value in row] for row in self.rows[name]] for name in self.rows
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def balance(self, account_id: str) -> int:
        """Posted debits less posted credits of an account, from its newest posting."""
        newest: tuple[Any, ...] | None = None
        for row in self.rows["postings"]:
            newest = row if row[4] == account_id else newest
        return 0 if newest is None else int(newest[-2]) - int(newest[-1])


def replayed(network: Devnet, key: str, place: Path) -> Replay:
    """Follow the chain to its head into a fresh database at `place`, as one institution would.

    The quotes it has signed are put there first, as offered: they were agreed on beside the chain.
    """
    settings = load_settings(network.layout.settings(key))
    live = Replay.of(network.layout.settings(key).with_name("bridge.db"))
    with contextlib.closing(Store.open(place)) as store, httpx.Client(trust_env=False) as http:
        institution = _institution(settings, store, http)
        open_books(store, settings, OPENED_AT)
        with store.unit_of_work() as work:
            for row in live.rows["quotes"]:
                work.quotes.add(decode_signed_quote(row[-1]))
        passphrase = settings.passphrase_file.read_text("utf-8").strip()
        signer = KeystoreSigner.load(settings.operating_keystore, passphrase)
        submitter = Submitter(store, institution.chain, signer, institution.clock)
        observe = compose(institution, submitter).on_block
        blocks = Follower(store, institution.chain, observe).catch_up()
    return Replay.of(place, blocks)


def _institution(settings: Settings, store: Store, http: httpx.Client) -> Institution:
    chain = ChainClient(settings.node_url, settings.chain_id)
    keys = MessageKeys.load(settings.message_keys)
    genesis = bytes.fromhex(settings.genesis_hash.removeprefix("0x"))
    return Institution(
        settings=settings,
        store=store,
        chain=chain,
        interbank=Interbank(settings.lei, keys, chain.directory, http, genesis),
        clock=lambda: OPENED_AT,
        salt=lambda: os.urandom(32),
        secret=bytes.fromhex(settings.secret_file.read_text("utf-8").strip()),
    )
