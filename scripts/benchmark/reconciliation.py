"""What comparing a bank's books with its central bank's statement takes, item by item."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from bridge import chart
from bridge.chain import ChainClient
from bridge.config import Settings
from bridge.institution import Institution
from bridge.interbank import Interbank
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.opening import open_books
from bridge.reconciliation import Reconciler
from bridge.store import StatedAccount, StatementLine, Store

EUR: Final = parse_currency("EUR")
START: Final = 1_800_000_000
LEI: Final = "DEVN00AURORABANK0015"
CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True)
class _Issuer:
    """The one thing that comparing items asks of a chain: who issues the currency."""

    lei: str

    def issuer_of(self, _: str) -> str:
        """The issuer's LEI."""
        return self.lei


def measure_reconciliation(items: int, folder: Path) -> dict[str, Any]:  # a JSON object
    """Seconds to read, match and keep that many items of two sides, and to find nothing new after."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store.open(folder / "bridge.sqlite")
    institution = _institution(store, folder)
    open_books(store, institution.settings, START)
    for first in range(0, items // 2, CHUNK):
        _fill(store, range(first, min(first + CHUNK, items // 2)))
    reconciler = Reconciler(institution)
    seconds = _seconds(reconciler)
    again = _seconds(reconciler)
    with store.reading() as work:
        breaks = work.breaks.open_count()
    store.close()
    return {
        "items": items // 2 * 2,
        "seconds": round(seconds, 3),
        "items_per_second": round(items / seconds),
        "seconds_when_nothing_is_new": round(again, 3),
        "breaks": breaks,
    }


def _seconds(reconciler: Reconciler) -> float:
    started = time.perf_counter()
    reconciler.check_items()
    return time.perf_counter() - started


def _fill(store: Store, numbers: range) -> None:
    """Transfers into the account, each in the ledger and on the statement."""
    account = StatedAccount("reserves", LEI, EUR.code)
    with store.unit_of_work() as work:
        if numbers.start == 0:
            work.chain_log.advance(number=0, block_hash=bytes(32), parent_hash=bytes(32))
        work.ledger.book_many([_entry(number) for number in numbers])
        work.account_statements.add_lines(
            account,
            (
                StatementLine(number + 1, "rtgs-transfer", _key(number), 1, number + 1, START)
                for number in numbers
            ),
        )


def _key(number: int) -> str:
    return f"{number:032x}"


def _entry(number: int) -> JournalEntry:
    amount = Amount(EUR, 1)
    return JournalEntry(
        entry_id=f"rtgs-in:{_key(number)}",
        kind="rtgs-in",
        description="transfer into the RTGS account",
        postings=(
            debit(chart.reserves(EUR), amount),
            credit(chart.interbank(EUR), amount),
        ),
        booked_at=START,
    )


def _institution(store: Store, folder: Path) -> Institution:
    settings = Settings.model_validate(
        {
            "role": "bank",
            "lei": LEI,
            "bic": "AURODEF0XXX",
            "name": "Aurora Bank AG",
            "database": str(folder / "bridge.sqlite"),
            "port": 0,
            "node_url": "http://127.0.0.1:1",
            "chain_id": 1,
            "genesis_hash": f"0x{'00' * 32}",
            "currencies": [EUR.code],
            "operating_keystore": "none",
            "passphrase_file": "none",
            "message_keys": "none",
            "secret_file": "none",
            "operators": [{"operator_id": "olga", "token_sha256": "00" * 32}],
        }
    )
    return Institution(
        settings=settings,
        store=store,
        chain=cast(ChainClient, _Issuer("DEVN00EUROSYSTEM0007")),
        interbank=cast(Interbank, None),
        clock=lambda: START + 3_600,
        salt=lambda: bytes(32),
        secret=bytes(32),
    )
