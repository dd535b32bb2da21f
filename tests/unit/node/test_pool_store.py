"""The pool environment: what it keeps, what it strikes out, and when it begins anew.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from structlog.testing import capture_logs

from node.primitives import keccak
from node.store import KeptTransaction, PoolStore
from node.store import pool as pool_module

RAWS = [bytes([number]) * (number + 1) for number in range(5)]
KEPT = [KeptTransaction(keccak(raw), 1_800_000_000 + len(raw), raw) for raw in RAWS]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pool"


def keep(store: PoolStore, *kept: KeptTransaction) -> None:
    for each in kept:
        store.put(each.transaction_hash, each.arrived_at, each.raw)
    store.flush()


@pytest.fixture
def filled(path: Path) -> Path:
    store = PoolStore(path)
    keep(store, *KEPT)
    store.close()
    return path


def reopened(path: Path) -> tuple[list[KeptTransaction], list[str]]:
    """What a new store finds there, and the words it logged."""
    with capture_logs() as logs:
        store = PoolStore(path)
        found = store.load()
        store.close()
    return found, [entry["event"] for entry in logs]


def test_what_was_kept_comes_back_in_order_of_arrival(path: Path) -> None:
    """N-72."""
    store = PoolStore(path)
    keep(store, *KEPT[:3])
    store.strike(KEPT[1].transaction_hash)
    store.strike(keccak(b"never kept"))
    keep(store, KEPT[3])
    store.close()
    again = PoolStore(path)
    assert again.load() == [KEPT[0], KEPT[2], KEPT[3]]
    keep(again, KEPT[1])
    again.strike(KEPT[0].transaction_hash)
    again.close()
    assert reopened(path) == ([KEPT[2], KEPT[3], KEPT[1]], [])


def test_what_leaves_before_it_is_written_is_never_written(path: Path) -> None:
    store = PoolStore(path)
    store.put(KEPT[0].transaction_hash, 1, KEPT[0].raw)
    store.strike(KEPT[0].transaction_hash)
    store.close()
    assert reopened(path) == ([], [])


def test_what_was_flushed_is_there_though_nobody_closed(path: Path) -> None:
    """N-72. The directory of a killed process is what it was at that instant."""
    store = PoolStore(path)
    keep(store, *KEPT)
    copy = path.with_name("copy")
    copy.mkdir()
    for file in path.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    store.close()
    assert reopened(copy) == (KEPT, [])


def write_garbage(path: Path) -> None:
    (path / "data.mdb").write_bytes(b"garbage" * 10_000)


def cut_off(path: Path) -> None:
    with (path / "data.mdb").open("r+b") as file:
        file.truncate(2 * 4_096)


def write_format(path: Path) -> None:
    with lmdb.open(str(path), max_dbs=2, lock=False) as environment:
        meta = environment.open_db(b"meta")
        with environment.begin(meta, write=True) as writer:
            writer.put(b"format", b"corridor-pool-0")


def remove_format(path: Path) -> None:
    with lmdb.open(str(path), max_dbs=2, lock=False) as environment:
        meta = environment.open_db(b"meta")
        with environment.begin(meta, write=True) as writer:
            writer.delete(b"format")


def restart_the_machine(path: Path) -> None:
    (path / "boot").write_text("another run of the machine")


@pytest.mark.parametrize(
    "damage", [write_garbage, cut_off, write_format, remove_format, restart_the_machine]
)
def test_an_environment_that_cannot_be_trusted_is_begun_anew_and_said_so(
    filled: Path, damage: Callable[[Path], None]
) -> None:
    """N-72."""
    damage(filled)
    assert reopened(filled) == ([], ["pool_store_discarded"])
    assert reopened(filled) == ([], [])


def test_an_environment_closed_in_order_outlives_the_machine(
    filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """N-72."""
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another run of the machine\n")
    monkeypatch.setattr(pool_module, "_BOOT_ID", boot_id)
    assert reopened(filled) == (KEPT, [])
    monkeypatch.setattr(pool_module, "_BOOT_ID", tmp_path / "no such file")
    assert reopened(filled) == (KEPT, [])


def test_a_write_that_fails_ends_the_keeping_and_not_the_node(path: Path) -> None:
    """N-72."""
    store = PoolStore(path, map_bytes=2**16)
    with capture_logs() as logs:
        for number in range(3):
            keep(store, KeptTransaction(keccak(bytes([number])), 1, bytes(2**17)))
    assert [entry["event"] for entry in logs] == ["pool_store_failed"]
    store.close()
    assert reopened(path) == ([], [])


def test_many_threads_may_put_and_each_finds_its_own_kept_after_its_flush(path: Path) -> None:
    """N-72."""
    store = PoolStore(path)

    def submit(seed: int) -> None:
        for number in range(50):
            raw = bytes([seed, number])
            keep(store, KeptTransaction(keccak(raw), seed, raw))

    threads = [threading.Thread(target=submit, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    found, _ = reopened(path)
    for seed in range(4):
        own = [each.raw[1] for each in found if each.arrived_at == seed]
        assert own == list(range(50))
