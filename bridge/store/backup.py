"""A whole copy of a SQLite database while it is in use; a PostgreSQL database has tools of its own."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bridge.config import DatabasePlace
from bridge.errors import BackupRefused
from bridge.store.engines import BUSY_SECONDS_MAX


def back_up(place: DatabasePlace, to: Path) -> None:
    """Copy the database at `place` into the new file `to`, as of one moment, synchronised to disk.

    Writers and readers go on meanwhile. The copy is made beside `to` and renamed when it is whole, for its
    owner alone. Raises `BackupRefused` for a place on a server, one without a database, or a file that is
    there already.
    """
    if not isinstance(place, Path):
        raise BackupRefused(
            str(to), "a PostgreSQL database is backed up with pg_dump or pg_basebackup"
        )
    if not place.is_file():
        raise BackupRefused(str(to), f"there is no database {place.name}")
    if to.exists():
        raise BackupRefused(str(to), "the file exists already")
    partial = to.with_name(f"{to.name}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with (
            closing(sqlite3.connect(place, timeout=BUSY_SECONDS_MAX)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        _synchronise(partial)
        partial.rename(to)
        _synchronise(to.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupRefused(str(to), str(error)) from error


def _synchronise(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
