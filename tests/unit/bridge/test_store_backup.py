"""A copy of a SQLite database in use. Cites docs/spec/ledger.md: STO-14."""

import stat
from contextlib import closing
from pathlib import Path

import pytest

from bridge.config import PostgresUrl
from bridge.errors import BackupRefused
from bridge.store import Store
from bridge.store.backup import back_up
from support.bridge_records import effect


def write(store: Store, key: str) -> None:
    with store.unit_of_work() as work:
        work.effects.add(effect(key))


def test_a_back_up_holds_what_was_committed_when_it_was_made(tmp_path: Path) -> None:
    """STO-14."""
    place, copy = tmp_path / "bridge.sqlite", tmp_path / "copy"
    with closing(Store.open(place)) as store:
        write(store, "before")
        with store.unit_of_work() as work:
            work.effects.add(effect("not yet committed"))
            back_up(place, copy)
        write(store, "after")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(Store.open(copy)) as restored, restored.reading() as work:
        found = [work.effects.has(key) for key in ("before", "not yet committed", "after")]
    assert found == [True, False, False]
    assert not (tmp_path / "copy.partial").exists()


def test_a_back_up_overwrites_nothing_and_needs_a_file(tmp_path: Path) -> None:
    """STO-14."""
    place = tmp_path / "bridge.sqlite"
    Store.open(place).close()
    there = tmp_path / "there"
    there.write_text("something")
    with pytest.raises(BackupRefused, match="exists already"):
        back_up(place, there)
    assert there.read_text() == "something"
    with pytest.raises(BackupRefused, match="no database"):
        back_up(tmp_path / "missing.sqlite", tmp_path / "copy")
    with pytest.raises(BackupRefused, match="pg_dump"):
        back_up(PostgresUrl("postgresql://corridor@db.example/bank"), tmp_path / "copy")
    with pytest.raises(BackupRefused):
        back_up(place, tmp_path / "no" / "such" / "folder")
