"""What goes to PostgreSQL together, on a real server: values, failures, lost sessions, much at once."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from bridge.store.pipeline import Answer, Pipeline, StatementFailed, command
from local_network.postgres import PostgresServer

pytestmark = pytest.mark.integration

ADD = "INSERT INTO kept (name, number, octets, flag) VALUES (%s, %s, %s, %s)"
READ = "SELECT name, number, octets, flag FROM kept ORDER BY id"
LARGE = 3_000_000


@pytest.fixture
def session(postgresql: PostgresServer) -> Iterator[psycopg.Connection]:
    with (
        postgresql.database("template0") as url,
        psycopg.connect(url, autocommit=True) as opened,
    ):
        opened.execute(
            "CREATE TABLE kept (id BIGSERIAL, name TEXT UNIQUE, number BIGINT, octets BYTEA, flag BOOLEAN)"
        )
        yield opened


@pytest.fixture
def pipeline(session: psycopg.Connection) -> Pipeline:
    return Pipeline(session)


def run(pipeline: Pipeline, *statements: tuple[str, Sequence[Any]]) -> list[Answer]:
    return pipeline.run([command(text, values) for text, values in statements])


def read(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return run(pipeline, (READ, ()))[0].fetchall()


def names(pipeline: Pipeline) -> list[str]:
    return [row[0] for row in read(pipeline)]


ROWS: list[tuple[Any, ...]] = [
    ("plain", 1, b"octets", True),
    ("", -(2**63), b"", False),
    ("100 % ä 中 '\"\\ $1 %s", 2**63 - 1, bytes(range(256)), True),
    ("nothing", None, None, None),
]


def test_values_come_back_as_they_went(pipeline: Pipeline) -> None:
    answers = run(pipeline, *((ADD, row) for row in ROWS))
    assert [answer.rowcount for answer in answers] == [1, 1, 1, 1]
    assert read(pipeline) == ROWS
    assert read(pipeline) == ROWS  # as a prepared statement


def test_a_statement_may_have_many_values_and_a_percent_sign(pipeline: Pipeline) -> None:
    text = f"SELECT 7 %% 4, 'awesome' LIKE '%%some', {', '.join(['%s::BIGINT'] * 12)}"
    (answer,) = run(pipeline, (text, range(12)))
    assert answer.fetchall() == [(3, True, *range(12))]


class Hex(bytes):
    """Octets as Ethereum's libraries give them."""


def test_octets_are_octets_whatever_they_call_themselves(pipeline: Pipeline) -> None:
    run(pipeline, (ADD, ("hex", 1, Hex(b"a\0b\\x41\\"), True)))
    assert read(pipeline) == [("hex", 1, b"a\0b\\x41\\", True)]


@pytest.mark.parametrize(
    "value", ["a\0b", 1.5, object(), ["list"]], ids=["nul", "float", "object", "list"]
)
def test_a_value_that_cannot_be_sent_is_refused_before_anything_is(
    pipeline: Pipeline, value: object
) -> None:
    with pytest.raises(psycopg.DataError):
        run(pipeline, (ADD, ROWS[0]), (ADD, (value, 1, b"", True)))
    assert read(pipeline) == []


def test_a_failure_names_its_statement_and_stops_those_behind_it(pipeline: Pipeline) -> None:
    begun = [pipeline.is_in_transaction]
    run(pipeline, ("BEGIN", ()))
    with pytest.raises(StatementFailed) as caught:
        run(
            pipeline,
            (ADD, ROWS[0]),
            ("SAVEPOINT one", ()),
            (ADD, ROWS[0]),
            ("SELECT 'never before'", ()),
        )
    assert caught.value.position == 2
    assert isinstance(caught.value.error, psycopg.errors.UniqueViolation)
    begun.append(pipeline.is_in_transaction)
    run(pipeline, ("ROLLBACK TO SAVEPOINT one", ()), ("SELECT 'never before'", ()), ("COMMIT", ()))
    begun.append(pipeline.is_in_transaction)
    assert begun == [False, True, False]
    assert names(pipeline) == ["plain"]


def test_a_statement_that_is_none_is_named_too(pipeline: Pipeline) -> None:
    for _ in range(2):
        with pytest.raises(StatementFailed) as caught:
            run(pipeline, ("BEGIN", ()), ("NO STATEMENT", ()), (ADD, ROWS[0]))
        assert caught.value.position == 1
        assert isinstance(caught.value.error, psycopg.errors.SyntaxError)
        run(pipeline, ("ROLLBACK", ()))
    assert read(pipeline) == []


def test_what_the_server_forgot_is_prepared_again(
    pipeline: Pipeline, session: psycopg.Connection
) -> None:
    run(pipeline, (ADD, ROWS[0]))
    session.execute("DEALLOCATE ALL")
    with pytest.raises(StatementFailed) as caught:
        run(pipeline, (ADD, ROWS[1]))
    assert caught.value.error.sqlstate == "26000"
    run(pipeline, (ADD, ROWS[1]))
    assert names(pipeline) == ["plain", ""]


def test_much_goes_both_ways_at_once(pipeline: Pipeline) -> None:
    """Neither side waits for the other for ever, with more under way than the buffers between them hold."""
    text = "SELECT %s::TEXT || 'x'"
    large = "y" * LARGE
    answers = run(pipeline, *((text, (large,)) for _ in range(8)))
    assert [len(answer.fetchall()[0][0]) for answer in answers] == [LARGE + 1] * 8


def test_a_session_that_ended_is_closed(
    pipeline: Pipeline, session: psycopg.Connection, postgresql: PostgresServer
) -> None:
    run(pipeline, ("BEGIN", ()), (ADD, ROWS[0]))
    postgresql.execute(f"SELECT pg_terminate_backend({session.info.backend_pid})")
    with pytest.raises((psycopg.Error, StatementFailed)):
        run(pipeline, (ADD, ROWS[1]))
    with pytest.raises(psycopg.OperationalError):
        run(pipeline, (ADD, ROWS[2]))
    assert session.closed
    assert not pipeline.is_in_transaction


def test_psycopg_uses_the_same_session_in_between(
    pipeline: Pipeline, session: psycopg.Connection
) -> None:
    for number in range(12):
        run(pipeline, (ADD, (f"ours-{number}", number, b"", True)))
        session.execute(ADD, (f"theirs-{number}", number, b"", True))
    count = session.execute("SELECT count(*) FROM kept").fetchone()
    assert count == (24,)
    assert len(names(pipeline)) == 24
