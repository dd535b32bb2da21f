"""A consumer of events as a process: what it got and how far it came are one transaction of its books.

Started as `python -m support.event_consumer URL DATABASE`; goes on where the database stands, by subscription and by
call in turn, and connects again whenever it is cut off.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.exceptions import WebSocketException

from support.socket_client import open_socket

PAUSE_SECONDS: Final = 0.05
PAGES_PER_TURN: Final = 20
TURN_SECONDS_MAX: Final = 1.0
"""How long one subscription is followed."""

Entry = tuple[int, str, str, int, str]
"""Block number and hash, transaction hash, log index, topic."""


def open_books(file: Path) -> sqlite3.Connection:
    """The books; empty at first."""
    books = sqlite3.connect(file, isolation_level=None, timeout=10)
    books.execute(
        "CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, number INTEGER,"
        " block_hash TEXT, transaction_hash TEXT, log_index INTEGER, topic TEXT)"
    )
    books.execute("CREATE TABLE IF NOT EXISTS place (only INTEGER PRIMARY KEY, cursor TEXT)")
    return books


def entry_of(log: dict[str, Any]) -> Entry:
    """What is written down of a log."""
    return (
        int(log["blockNumber"], 16),
        log["blockHash"],
        log["transactionHash"],
        int(log["logIndex"], 16),
        log["topics"][0],
    )


def entries(file: Path) -> list[Entry]:
    """What the books hold, in the order in which it came."""
    with closing(open_books(file)) as books:
        return books.execute(
            "SELECT number, block_hash, transaction_hash, log_index, topic FROM events"
            " ORDER BY position"
        ).fetchall()


def book(books: sqlite3.Connection, events: Iterable[dict[str, Any]], cursor: str) -> None:
    """Writes events and the cursor after them down, together or not at all."""
    books.execute("BEGIN IMMEDIATE")
    books.executemany(
        "INSERT INTO events (number, block_hash, transaction_hash, log_index, topic)"
        " VALUES (?, ?, ?, ?, ?)",
        [entry_of(each["log"]) for each in events],
    )
    books.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (cursor,))
    books.execute("COMMIT")


def cursor_of(books: sqlite3.Connection) -> str | None:
    """How far the books have come."""
    found = books.execute("SELECT cursor FROM place").fetchone()
    return None if found is None else str(found[0])


def follow_by_subscription(url: str, books: sqlite3.Connection) -> None:
    """Books what a subscription gives, for a while."""
    until = time.monotonic() + TURN_SECONDS_MAX
    with open_socket(url) as socket:
        socket.ask("corridor_subscribe", "events", {"cursor": cursor_of(books)})
        while time.monotonic() < until:
            try:
                message = json.loads(socket.connection.recv(PAUSE_SECONDS))
            except TimeoutError:
                continue
            event = message["params"]["result"]
            book(books, [event], event["cursor"])


def follow_by_call(url: str, books: sqlite3.Connection) -> None:
    """Books a few pages."""
    with httpx.Client(timeout=10) as client:
        for number in range(PAGES_PER_TURN):
            params = [cursor_of(books), 1 + number]
            request = {"jsonrpc": "2.0", "id": 1, "method": "corridor_getEvents", "params": params}
            result = client.post(url, json=request).json()["result"]
            book(books, result["events"], result["next"])


def run(url: str, file: Path) -> None:
    """Follows until the process is killed."""
    books = open_books(file)
    while True:
        for follow in (follow_by_subscription, follow_by_call):
            try:
                follow(url, books)
            except (OSError, TimeoutError, WebSocketException, httpx.HTTPError):
                time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
