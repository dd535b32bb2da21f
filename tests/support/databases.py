"""Databases for tests: SQLite files, and a PostgreSQL server of the test run's own.

Each test gets a database of its own, on the server copied from a template with the tables. Where there can be
no server those tests are skipped and say how to get one.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from sqlalchemy import select

from bridge.config import DatabasePlace
from bridge.store import Store
from bridge.store.engines import open_readers
from bridge.store.tables import METADATA
from local_network import postgres
from local_network.postgres import PostgresServer

TEMPLATE: Final = "street"
MEMORY_BYTES: Final = 2 * 1024**3


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server for this test run, with a template of a bridge's tables; skips where there can be none."""
    with contextlib.ExitStack() as opened:
        try:
            server = opened.enter_context(postgres.running_server(_quick_folder()))
        except postgres.NoPostgres as missing:
            pytest.skip(str(missing))
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        Store.open(server.url(TEMPLATE)).close()
        yield server


def _quick_folder() -> Path:
    """Memory that looks like a disk, where there is enough: making databases waits for nothing there."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_BYTES
    return memory if has_room and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


@dataclass(slots=True)
class Databases:
    """Databases of one kind for one test; the same name is the same database."""

    folder: Path
    server: PostgresServer | None
    opened: contextlib.ExitStack
    places: dict[str, DatabasePlace] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return "sqlite" if self.server is None else "postgresql"

    def place(self, name: str = "bridge") -> DatabasePlace:
        """Where a database of the test's own is; with the tables, but nothing in them."""
        if name not in self.places:
            self.places[name] = (
                self.folder / f"{name}.sqlite"
                if self.server is None
                else self.opened.enter_context(self.server.database(TEMPLATE))
            )
        return self.places[name]

    def empty_place(self, name: str = "empty") -> DatabasePlace:
        """Where a database is that holds nothing at all."""
        if self.server is None:
            return self.folder / f"{name}.sqlite"
        return self.opened.enter_context(self.server.database("template0"))

    def anew(self) -> "Databases":
        """Databases of the same kind that have nothing in common with these; to be closed."""
        opened = contextlib.ExitStack()
        folder = opened.enter_context(tempfile.TemporaryDirectory(dir=self.folder))
        return Databases(Path(folder), self.server, opened)

    def close(self) -> None:
        """Take the databases away."""
        self.opened.close()

    def execute(self, statement: str) -> None:
        """Run a statement as somebody with a shell on the machine would."""
        place = self.place()
        if isinstance(place, Path):
            with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as file:
                file.execute(statement)
        else:
            with psycopg.connect(place, autocommit=True) as server:
                server.execute(statement.encode())

    def lose_connections(self) -> None:
        """Have PostgreSQL end every session of the database, as an administrator would."""
        self.execute(
            """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )

    def dump(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        engine = open_readers(self.place())
        with engine.begin() as connection:
            found = {
                name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for name, table in METADATA.tables.items()
            }
        engine.dispose()
        return found
