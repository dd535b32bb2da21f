"""A PostgreSQL server of one's own, from the binaries that the system has.

It listens on a Unix socket in a folder of its own and on no network address, with fsync on: what it confirms
is on disk, if its folder is. When it is no longer needed its files are gone.
"""

import contextlib
import getpass
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from bridge.config import PostgresUrl

USER: Final = "corridor"
SECONDS_MAX: Final = 60
SYSTEM_USERS: Final = ("postgres", "nobody")


class NoPostgres(Exception):
    """There can be no server here; the message says what is missing."""


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
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    @contextlib.contextmanager
    def database(self, template: str) -> Iterator[PostgresUrl]:
        """A database that is there until the block ends, copied from `template`."""
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
def running_server(place: Path) -> Iterator[PostgresServer]:
    """A server with its files in a folder made in `place`; raises `NoPostgres` where there can be none.

    `place` is a folder that every user may enter: where this process is root the server is somebody else.
    """
    binaries = _binaries()
    as_user = _system_user()
    with tempfile.TemporaryDirectory(prefix="pg", dir=place, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if as_user:
            shutil.chown(folder, as_user[2])
        server = PostgresServer(binaries, folder, folder / "data", as_user)
        server.run(
            "initdb", "-D", str(server.data), "-U", USER, "-E", "UTF8", "--locale=C", "-A", "trust"
        )
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _binaries() -> Path:
    """The folder of the newest PostgreSQL there is."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if not found:
        raise NoPostgres("no PostgreSQL here: install the system's package postgresql")
    return found[-1].parent


def _version(path: Path) -> int:
    number = path.parts[-3].split(".")[0]
    return int(number) if number.isdecimal() else 0


def _system_user() -> tuple[str, ...]:
    """How to run as somebody else: the server refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    runuser = shutil.which("runuser")
    users = [user for user in SYSTEM_USERS if _is_user(user)]
    if runuser is None or not users:
        raise NoPostgres(
            f"{getpass.getuser()} needs runuser and a user postgres to start PostgreSQL"
        )
    return (runuser, "-u", users[0], "--")


def _is_user(name: str) -> bool:
    return subprocess.run(["id", name], capture_output=True, check=False).returncode == 0
