"""The state environment: trie nodes and code under their hash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from node import failpoint
from node.failpoint import Failpoint
from node.store.environment import (
    MAP_BYTES,
    check_format,
    open_environment,
    open_tables,
    write_transaction,
)

STATE_FORMAT: Final = b"corridor-state-1"


class StateValues(Protocol):
    """Where an engine finds trie nodes and code, and puts them."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value stored under a hash."""
        ...

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store values under their hashes, durably and all together."""
        ...


class MemoryState:
    """A state store that dies with its process: for genesis making and tests."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the value stored under a hash."""
        return self._values.get(key)

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store values under their hashes."""
        self._values.update(values)


class LayeredState:
    """A state store with another one over it, which takes what is written."""

    def __init__(self, *, over: StateValues, under: StateValues) -> None:
        self._over = over
        self._under = under

    def get(self, key: bytes) -> bytes | None:
        """Return the value stored under a hash."""
        value = self._over.get(key)
        return self._under.get(key) if value is None else value

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store values under their hashes, above."""
        self._over.write(values)


class StateStore:
    """The state environment."""

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        is_throwaway: bool = False,
        map_bytes: int = MAP_BYTES,
    ) -> None:
        """`is_throwaway`: nothing is synced until `sync`."""
        self._environment = open_environment(
            path, readonly=readonly, is_synced=not is_throwaway, map_bytes=map_bytes
        )
        self._nodes, self._meta = open_tables(
            self._environment, ("nodes", "meta"), readonly=readonly
        )
        check_format(self._environment, self._meta, "state", STATE_FORMAT, readonly=readonly)

    def get(self, key: bytes) -> bytes | None:
        """Return the value stored under a hash."""
        with self._environment.begin(self._nodes) as reader:
            return reader.get(key)

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store values under their hashes, durably and all together."""
        if not values:
            return
        failpoint.visit(Failpoint.STATE_BEFORE)
        with write_transaction(self._environment) as writer:
            writer.cursor(self._nodes).putmulti(sorted(values.items()), overwrite=True)
            failpoint.visit(Failpoint.STATE_INSIDE)
        failpoint.visit(Failpoint.STATE_WRITTEN)

    def sync(self) -> None:
        """Make durable what a throw-away store holds: it is one no more."""
        self._environment.sync(True)  # noqa: FBT003 - lmdb's own: force

    def close(self) -> None:
        """Release the environment; it cannot be used any more."""
        self._environment.close()
