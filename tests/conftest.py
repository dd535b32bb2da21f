"""What every test run shares: Hypothesis profiles and the markers that follow from a test's folder.

The default profile is *repeatable*: the same examples on every machine and in every run, no deadline
(a shared machine makes timing a matter of luck). ``HYPOTHESIS_PROFILE=searching`` draws new examples
and prints the blob that replays a failure.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from local_network.postgres import PostgresServer
from support.databases import Databases, running_server

TESTS = Path(__file__).parent
MARKER_BY_FOLDER = {"integration": "integration", "end_to_end": "end_to_end"}

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("searching", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the folder it stands in, so that nobody has to remember to."""
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in MARKER_BY_FOLDER:
            item.add_marker(MARKER_BY_FOLDER[folder])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run's own."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Databases of one kind; a test that asks for them runs once on each."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgresql")
    with contextlib.ExitStack() as opened:
        yield Databases(tmp_path, server, opened)
