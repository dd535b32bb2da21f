"""What is asked for every payment or block is found by an index, however much is kept."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from bridge.payment import Direction
from bridge.store.ledger_rows import asked_of
from bridge.store.messages import Inbox
from bridge.store.payments import Payments
from bridge.store.retail_register import CustodyOrders
from bridge.store.tables import METADATA
from bridge.store.transactions import Transactions
from bridge.store.vault import Vault
from support.bridge_records import CASH, DEPOSIT, open_store_at, outgoing, payment, transfer
from support.databases import Databases

ASKED: dict[str, Callable[[Connection], object]] = {
    "the next nonce": lambda kept: Transactions(kept).next_nonce(b"sender", 7),
    "a transaction that is final": lambda kept: _finalise(Transactions(kept)),
    "a payment by its id": lambda kept: Payments(kept).find("pay_1"),
    "a payment by its settlement": lambda kept: Payments(kept).by_settlement_id(bytes(32)),
    "an outgoing payment by its UETR": lambda kept: Payments(kept).by_uetr("", Direction.OUTGOING),
    "payments that lapsed": lambda kept: Payments(kept).lapsed(7),
    "payments that are overdue": lambda kept: Payments(kept).overdue(7, 10),
    "an outgoing payment": lambda kept: Payments(kept).add(payment(1)),
    "messages that wait for a sender": lambda kept: Inbox(kept, Vault(kept, None)).waiting_count(
        "lei"
    ),
    "messages that wait for long": lambda kept: Inbox(kept, Vault(kept, None)).waiting_since(7, 10),
    "redemptions without an answer": lambda kept: CustodyOrders(kept).open_redemptions(),
    "an incoming payment": lambda kept: Payments(kept).add(payment(2, Direction.INCOMING)),
}


def _finalise(transactions: Transactions) -> None:
    transactions.add(outgoing(1))
    transactions.finalise(outgoing(1).hash, block_number=1, succeeded=True)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'plans.sqlite'}")
    METADATA.create_all(engine)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_nothing_that_is_asked_again_and_again_reads_a_whole_table(
    connection: Connection, asked: Callable[[Connection], object]
) -> None:
    driver: Any = connection.connection.dbapi_connection
    run: list[str] = []  # statements with their parameters in them
    driver.set_trace_callback(run.append)
    asked(connection)
    driver.set_trace_callback(None)
    assert run
    for statement in run:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}".replace("%", "%%"))
        steps = [row.detail for row in plan]
        searches = [step for step in steps if step.startswith(("SCAN ", "SEARCH "))]
        assert all(" USING " in step and "SCAN" not in step for step in searches), (
            statement,
            steps,
        )
        assert all("(direction=?)" not in step for step in steps), (statement, steps)


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("count", [2, 20, 200])
def test_balances_are_looked_up_one_by_one_however_few_postings_there_were(
    databases: Databases, count: int
) -> None:
    """Without statistics PostgreSQL would hash or sort every posting to find the newest of some accounts."""
    with closing(open_store_at(databases.place())) as store:
        with store.unit_of_work() as work:
            entries = [transfer(f"entry-{at}", CASH, DEPOSIT, 1) for at in range(500)]
            work.ledger.book_many(entries)
        asked = {f"account-{at}" for at in range(count)}
        ((statement, given),) = asked_of(asked)
        with store.unit_of_work() as work:
            text = statement._text(work.connection.dialect)
            parameters = text.parameters(given)
            plan = work.connection.exec_driver_sql(f"EXPLAIN {text.text}", parameters).scalars()
            steps = "\n".join(plan)
    for step in ("Hash", "Merge", "Material", "Seq Scan on postings"):
        assert step not in steps, steps
