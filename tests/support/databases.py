"""Databases for tests: SQLite files, and a PostgreSQL server of the test run's own.

The server is started from the binaries that the system has, on a Unix socket in a temporary folder and on no
network address, with fsync on: what it confirms is on disk. Each test gets a database of its own, copied
from a template with the tables. Where there are no binaries those tests are skipped and say how to get
them.
"""

import contextlib
import getpass
import itertools
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from sqlalchemy import select

from bridge.config import DatabasePlace, PostgresUrl
from bridge.store import Store
from bridge.store.engines import open_readers
from bridge.store.tables import METADATA

USER: Final = "corridor"
TEMPLATE: Final = "street"
SECONDS_MAX: Final = 60
MEMORY_BYTES: Final = 2 * 1024**3
SYSTEM_USERS: Final = ("postgres", "nobody")


def _binaries() -> Path | None:
    """The folder of the newest PostgreSQL there is."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    return found[-1].parent if found else None


def _version(path: Path) -> int:
    number = path.parts[-3].split(".")[0]
    return int(number) if number.isdecimal() else 0


@dataclass(slots=True)
class PostgresServer:
    """A running server; `socket_folder` is where it listens."""

    binaries: Path
    socket_folder: Path
    data: Path
    as_user: tuple[str, ...]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> PostgresUrl:
        """Where one database of this server is."""
        return PostgresUrl(f"postgresql://{USER}@/{database}?host={self.socket_folder}")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the server's system user."""
        done = subprocess.run(
            [*self.as_user, str(self.binaries / program), *arguments],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @contextlib.contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[PostgresUrl]:
        """A database that is there until the block ends."""
        name = f"bank{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-k {self.socket_folder} -c listen_addresses='' -c max_connections=200"
        log = self.data.parent / "log"
        self.run("pg_ctl", "start", "-w", "-s", "-D", str(self.data), "-l", str(log), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `immediate` is as if it had been killed."""
        self.run("pg_ctl", "stop", "-w", "-s", "-D", str(self.data), "-m", mode)


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server for this test run; skips the test where there can be none."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install the system's package postgresql")
    as_user = _system_user()
    with tempfile.TemporaryDirectory(
        prefix="pg", dir=_quick_folder(), ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, as_user[2])
        else:
            folder.chmod(0o700)
        server = PostgresServer(binaries, folder, folder / "data", as_user)
        server.run(
            "initdb", "-D", str(server.data), "-U", USER, "-E", "UTF8", "--locale=C", "-A", "trust"
        )
        server.start()
        try:
            server.execute(f"CREATE DATABASE {TEMPLATE}")
            Store.open(server.url(TEMPLATE)).close()
            yield server
        finally:
            server.stop("immediate")


def _quick_folder() -> str | None:
    """Memory that looks like a disk, where there is enough: making databases waits for nothing there."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_BYTES
    return str(memory) if has_room and os.access(memory, os.W_OK) else None


def _system_user() -> tuple[str, ...]:
    """How to run as somebody else: the server refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    runuser = shutil.which("runuser")
    users = [user for user in SYSTEM_USERS if _is_user(user)]
    if runuser is None or not users:
        pytest.skip(f"{getpass.getuser()} needs runuser and a user postgres to start PostgreSQL")
    return (runuser, "-u", users[0], "--")


def _is_user(name: str) -> bool:
    return subprocess.run(["id", name], capture_output=True, check=False).returncode == 0


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
                else self.opened.enter_context(self.server.database())
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
