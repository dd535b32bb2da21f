"""The pool environment: what was acknowledged and is not yet in a block, so that a killed process forgets nothing.

Its place: `consensus/intake.py` writes every transaction it takes in before it is acknowledged, strikes out what has
left the pool, and at the next start sends all that is left through the same admission as a new one. No block depends on
it.

It is *disposable*. Writes are committed to the operating system and never synced: they outlive the death of this
process at any instant, not a loss of power. So an environment is thrown away, with a line in the log, where it is
damaged or of an unknown format, or where the machine has started anew since it was open and it was not closed in order.
A write that fails ends the keeping, with a line in the log, and never the node.

Writes are grouped: `put` and `strike` only note what is to be written, `flush` writes all that was noted by anybody, in
one transaction. Keys are numbers in the order of arrival, so order survives:

    transactions  arrival(8)                     -> arrived at, UTC seconds(8) || raw transaction
    meta          "format"                       -> POOL_FORMAT
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lmdb

from node import failpoint
from node.failpoint import Failpoint
from node.primitives import Hash32, keccak
from node.telemetry import get_logger

POOL_FORMAT: Final = b"corridor-pool-1"

MAP_BYTES: Final = 1 << 30
"""1 GiB of address space: the pool's limit of bytes many times over."""

_TABLES_MAX: Final = 2
_FORMAT: Final = b"format"
_NUMBER_BYTES: Final = 8
_CLOSED: Final = "closed"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class KeptTransaction:
    """One transaction as it was taken in."""

    transaction_hash: Hash32
    arrived_at: int
    """UTC seconds."""
    raw: bytes


class _Unsound(Exception):
    """An environment that cannot be read, or not be trusted."""


class PoolStore:
    """The pool environment of one core; safe between threads."""

    def __init__(self, path: Path, *, map_bytes: int = MAP_BYTES) -> None:
        """Opens what is there, or begins anew where it is missing or unsound."""
        self._path = path
        self._map_bytes = map_bytes
        try:
            self._open()
        except (_Unsound, lmdb.Error) as error:
            get_logger().warning("pool_store_discarded", path=str(path), reason=str(error))
            shutil.rmtree(path, ignore_errors=True)
            self._open()
        self._boot_file.write_text(_boot_id())
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._is_failed = False
        self._noted: dict[int, bytes | None] = {}
        self._numbers: dict[Hash32, int] = {}
        self._next_number = 0

    def load(self) -> list[KeptTransaction]:
        """All that is kept, in order of arrival; called once, before anything is put."""
        kept = []
        with self._environment.begin(self._transactions) as reader:
            for key, value in reader.cursor():
                raw = bytes(value[_NUMBER_BYTES:])
                arrived_at = int.from_bytes(value[:_NUMBER_BYTES], "big")
                kept.append(KeptTransaction(keccak(raw), arrived_at, raw))
                number = int.from_bytes(key, "big")
                self._numbers[kept[-1].transaction_hash] = number
                self._next_number = number + 1
        return kept

    def put(self, transaction_hash: Hash32, arrived_at: int, raw: bytes) -> None:
        """Notes a transaction that was taken in."""
        with self._lock:
            self._numbers[transaction_hash] = self._next_number
            self._noted[self._next_number] = arrived_at.to_bytes(_NUMBER_BYTES, "big") + raw
            self._next_number += 1

    def strike(self, transaction_hash: Hash32) -> None:
        """Notes that a transaction has left; nothing happens where it is not kept."""
        with self._lock:
            number = self._numbers.pop(transaction_hash, None)
            if number is not None and self._noted.pop(number, None) is None:
                self._noted[number] = None

    def flush(self) -> None:
        """Commits what was noted before, by any thread, without a sync."""
        with self._writing:
            with self._lock:
                noted, self._noted = self._noted, {}
            if not noted or self._is_failed:
                return
            try:
                with self._environment.begin(self._transactions, write=True) as writer:
                    for number, value in noted.items():
                        key = number.to_bytes(_NUMBER_BYTES, "big")
                        if value is None:
                            writer.delete(key)
                        else:
                            writer.put(key, value)
                    failpoint.visit(Failpoint.POOL_INSIDE)
            except lmdb.Error as error:
                self._is_failed = True
                get_logger().error("pool_store_failed", path=str(self._path), fault=str(error))
                return
        failpoint.visit(Failpoint.POOL_WRITTEN)

    def close(self) -> None:
        """Releases the environment in order, so that it outlives the machine as well."""
        self.flush()
        self._environment.sync(True)  # noqa: FBT003 - the library's own parameter: force
        self._environment.close()
        self._boot_file.write_text(_CLOSED)

    @property
    def _boot_file(self) -> Path:
        return self._path / "boot"

    def _open(self) -> None:
        """Raises `_Unsound` or `lmdb.Error` where the environment must not be used."""
        if self._path.exists() and self._boot_file.exists():
            last_opened = self._boot_file.read_text()
            if last_opened not in (_CLOSED, _boot_id()):
                raise _Unsound("the machine was started again while it was open")
        self._environment = lmdb.open(
            str(self._path),
            map_size=self._map_bytes,
            max_dbs=_TABLES_MAX,
            sync=False,
            metasync=False,
            lock=False,
            meminit=False,
        )
        try:
            self._check()
        except (_Unsound, lmdb.Error):
            self._environment.close()
            raise

    def _check(self) -> None:
        environment = self._environment
        page_bytes = environment.stat()["psize"]
        needed = (environment.info()["last_pgno"] + 1) * page_bytes
        size = (self._path / "data.mdb").stat().st_size
        if size < needed and environment.info()["last_txnid"]:
            raise _Unsound(f"{size} bytes of {needed} are there")
        meta = environment.open_db(b"meta")
        self._transactions = environment.open_db(b"transactions")
        with environment.begin(meta, write=True) as writer:
            found = writer.get(_FORMAT)
            if found is None and writer.stat(self._transactions)["entries"] == 0:
                writer.put(_FORMAT, POOL_FORMAT)
            elif found != POOL_FORMAT:
                raise _Unsound(f"its format is {found!r}, this software keeps {POOL_FORMAT!r}")


def _boot_id() -> str:
    """What names this run of the machine; one word for all where the system does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"
