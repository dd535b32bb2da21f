"""One LMDB environment: opened with its tables, checked for its format, written durably or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from node.errors import StoreBusy, StoreUnwritable, StoreVersionUnknown

MAP_BYTES: Final = 1 << 38
"""256 GiB of address space, not of disk."""

READERS_MAX: Final = 1024
TABLES_MAX: Final = 16

_FORMAT: Final = b"format"


@contextmanager
def write_transaction(environment: lmdb.Environment) -> Iterator[lmdb.Transaction]:
    """Give one durable transaction, committed at the end and undone by any exception."""
    try:
        with environment.begin(write=True) as transaction:
            yield transaction
    except lmdb.Error as error:
        raise StoreUnwritable(environment.path(), str(error)) from error


def sync_directory(directory: Path) -> None:
    """Make durable which files a directory holds: a rename in it, or a new one."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_environment(
    path: Path, *, readonly: bool, map_bytes: int, is_synced: bool = True
) -> lmdb.Environment:
    """An environment, made where it is missing and may be; raises StoreBusy.

    One that is not synced is durable only after `Environment.sync`.
    """
    if readonly and not (path / "data.mdb").exists():
        raise StoreBusy(str(path), "it does not exist yet")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        environment = lmdb.open(
            str(path),
            map_size=map_bytes,
            max_readers=READERS_MAX,
            max_dbs=TABLES_MAX,
            readonly=readonly,
            create=not readonly,
            sync=is_synced,
            meminit=False,
        )
    except lmdb.Error as error:
        raise StoreBusy(str(path), str(error)) from error
    environment.reader_check()
    return environment


def open_tables(
    environment: lmdb.Environment, names: Sequence[str], *, readonly: bool
) -> list[lmdb._Database]:
    """Its named tables, in the order asked for."""
    try:
        return [environment.open_db(name.encode(), create=not readonly) for name in names]
    except lmdb.NotFoundError as error:
        raise StoreBusy(environment.path(), "it is being created") from error


def check_format(
    environment: lmdb.Environment,
    meta: lmdb._Database,
    store: str,
    expected: bytes,
    *,
    readonly: bool,
) -> None:
    """Writes the format into a new environment; raises StoreVersionUnknown where another one stands there."""
    with environment.begin(meta) as reader:
        found = reader.get(_FORMAT)
    if found is None and not readonly:
        with write_transaction(environment) as writer:
            writer.put(_FORMAT, expected, db=meta)
        return
    if found != expected:
        environment.close()
        raise StoreVersionUnknown(store, expected=expected, found=found or b"")
