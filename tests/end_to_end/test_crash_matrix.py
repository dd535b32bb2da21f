"""Processes of the real network die at every failpoint, and nothing is lost and nothing happens twice.

Promises P1, P4, P5 and P6 of the bridge, on one network that lives through all of it. The ordinary run kills at
every failpoint once or more; the full one at each of them under every kind of traffic, and at every visit of
every failpoint of every process that a round of business brings there.
"""

from collections.abc import Iterator
from itertools import count

import pytest

from bridge.failpoint import Failpoint
from support.crash_street import MORTAL, Case, CrashStreet, crash_street
from support.full_run import IS_FULL
from support.street_gate import Traffic

VISITS_MAX = 60
"""More than a round brings to any failpoint; heartbeats go on for ever."""

ATTESTER = "attester-central-bank-eur"
EUROSYSTEM = "central-bank-eur"

ROTATION = (
    Case(
        {
            "bank-a": (Failpoint.SENT, 1),
            "bank-b": (Failpoint.TAKING, 1),
            "fx-provider": (Failpoint.OBSERVING, 2),
            EUROSYSTEM: (Failpoint.ANSWERING, 1),
        },
        Traffic.TWICE,
    ),
    Case(
        {
            "bank-a": (Failpoint.DELIVERED, 1),
            "bank-b": (Failpoint.SENDING, 1),
            EUROSYSTEM: (Failpoint.TAKING, 1),
            ATTESTER: (Failpoint.COMMITTED, 1),
        },
        Traffic.REORDERED,
    ),
    Case(
        {"bank-a": (Failpoint.ASKED, 2), "bank-b": (Failpoint.COMMITTING, 4)},
        Traffic.UNANSWERED,
    ),
    Case(
        {
            "bank-a": (Failpoint.DELIVERING, 2),
            "bank-b": (Failpoint.COMMITTED, 3),
            "fx-provider": (Failpoint.ANSWERING, 1),
        },
        Traffic.LATE,
        dies_again=True,
    ),
    Case({"bank-a": (Failpoint.ASKING, 1), EUROSYSTEM: (Failpoint.SENDING, 1)}),
)
"""Every failpoint is in it, and each kind of traffic."""

REACHED = {point: (key, visit) for case in ROTATION for key, (point, visit) in case.deaths.items()}
"""A process that comes to a failpoint in every round, and at which visit."""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashStreet]:
    with crash_street(tmp_path_factory.mktemp("street")) as running:
        yield running


def test_without_a_death_the_street_is_as_the_model_says(street: CrashStreet) -> None:
    assert street.run(Case({})) == frozenset()


def test_whoever_dies_at_a_failpoint_loses_nothing_and_does_nothing_twice(
    street: CrashStreet,
) -> None:
    for case in ROTATION:
        assert street.run(case) == case.deaths.keys(), case
    assert street.died.keys() == set(Failpoint)


@pytest.mark.skipif(not IS_FULL, reason="takes half an hour: CORRIDOR_FULL_TESTS=yes")
@pytest.mark.parametrize("traffic", Traffic)
@pytest.mark.parametrize("point", Failpoint)
def test_every_failpoint_kills_under_every_kind_of_traffic(
    street: CrashStreet, point: Failpoint, traffic: Traffic
) -> None:
    """Killed there, started again and killed there once more, while messages go astray."""
    key, visit = REACHED[point]
    assert street.run(Case({key: (point, visit)}, traffic, dies_again=True)) == {key}


@pytest.mark.skipif(not IS_FULL, reason="takes hours: CORRIDOR_FULL_TESTS=yes")
@pytest.mark.parametrize("point", Failpoint)
@pytest.mark.parametrize("key", MORTAL)
def test_every_visit_of_every_failpoint_may_be_the_last(
    street: CrashStreet, key: str, point: Failpoint
) -> None:
    """Visits are tried one after the other until a round does not reach the next one."""
    traffics = list(Traffic)
    for visit in count(1):
        case = Case({key: (point, visit)}, traffics[visit % len(traffics)], visit % 4 == 3)
        if street.run(case) != {key} or visit == VISITS_MAX:
            break
