"""Suspensions by one person in ParticipantRegistry, as docs/spec/settlement.md requires them (REG)."""

from typing import Any, Final

import pytest

from support.chain_harness import key_of, refused
from support.council_network import (
    DAY,
    NEVER,
    NO_ACCOUNT,
    SECOND_OFFICER,
    UNTIL_THE_END_OF_TIME,
    Assembly,
    hexed,
    officer_of,
)
from support.settlement_network import ALPHA, AUTHORITY, BETA, EUROSYSTEM, OPERATOR, Institution
from support.transactions import Key
from support.validator_network import FIRST, THIRD, WATCHDOG

NEWCOMER: Final = Institution("gamma", "GAMMFRPP", "FR", ("bank",), ("settlement", "operating"))
ADMITTED, SUSPENDED, EXITED = 2, 3, 4


def provisionally(
    assembly: Assembly,
    *,
    begins_in: int = 0,
    lapses_in: int = DAY,
    of: Institution = ALPHA,
    by: Key | None = None,
) -> Any:
    return assembly.registry.transact(
        by or officer_of(EUROSYSTEM),
        "suspendProvisionally",
        of.lei,
        assembly.now + begins_in,
        assembly.now + lapses_in,
    )


def test_reg_9_one_officer_of_the_central_bank_suspends_and_it_lapses(assembly: Assembly) -> None:
    begins, lapses = assembly.now + 10, assembly.now + DAY
    receipt = provisionally(assembly, begins_in=10)
    assert receipt.event("ParticipantSuspendedProvisionally").arguments == {
        "lei": ALPHA.lei,
        "officer": hexed(officer_of(EUROSYSTEM)),
        "effectiveAt": begins,
        "until": lapses,
    }
    seconds = (begins - 1, begins, lapses - 1, lapses)
    assert assembly.statuses(ALPHA, *seconds) == [ADMITTED, SUSPENDED, SUSPENDED, ADMITTED]
    assert [assembly.at(t).allowed(ALPHA.operating)[1] for t in seconds] == [
        begins - 1,
        lapses - 1,
        lapses - 1,
        UNTIL_THE_END_OF_TIME,
    ]
    officer = hexed(officer_of(EUROSYSTEM))
    assert assembly.suspension(ALPHA) == (begins, lapses, True, officer, NO_ACCOUNT)


@pytest.mark.parametrize(
    ("by", "of", "times", "error"),
    [
        pytest.param(key_of("nobody"), ALPHA, (0, 1), "RegistryCallerNotOfficer", id="stranger"),
        pytest.param(
            EUROSYSTEM.operating, ALPHA, (0, 1), "RegistryCallerNotOfficer", id="no person"
        ),
        pytest.param(
            officer_of(EUROSYSTEM), NEWCOMER, (0, 1), "RegistryParticipantUnknown", id="who"
        ),
        pytest.param(
            officer_of(AUTHORITY), ALPHA, (0, 1), "RegistryCallerNotCentralBank", id="another's"
        ),
        pytest.param(
            officer_of(EUROSYSTEM), BETA, (0, 1), "RegistryCallerNotCentralBank", id="nobody's"
        ),
        pytest.param(
            officer_of(EUROSYSTEM),
            ALPHA,
            (30 * DAY + 1, 30 * DAY + 2),
            "RegistryInvalidTime",
            id="too far ahead",
        ),
        pytest.param(officer_of(EUROSYSTEM), ALPHA, (5, 5), "RegistryInvalidTime", id="empty"),
        pytest.param(
            officer_of(EUROSYSTEM), ALPHA, (5, 7 * DAY + 6), "RegistryInvalidTime", id="too long"
        ),
    ],
)
def test_reg_9_who_may_not_and_how_it_may_not(
    assembly: Assembly, by: Key, of: Institution, times: tuple[int, int], error: str
) -> None:
    with refused(error):
        provisionally(assembly, by=by, of=of, begins_in=times[0], lapses_in=times[1])


def test_reg_9_a_central_bank_needs_to_be_admitted_and_an_issuer(assembly: Assembly) -> None:
    assembly.decide(assembly.registry, "setRoles", ALPHA.lei, 1, FIRST.lei, 0)
    with refused("RegistryCallerNotCentralBank", hexed(officer_of(FIRST)), ALPHA.lei):
        provisionally(assembly, by=officer_of(FIRST))
    assembly.decide(assembly.registry, "suspend", EUROSYSTEM.lei, 0)
    with refused("RegistryCallerNotOfficer", hexed(officer_of(EUROSYSTEM))):
        provisionally(assembly)


def test_reg_9_nobody_alone_keeps_a_participant_out_for_long(assembly: Assembly) -> None:
    lapses = assembly.now + 10
    provisionally(assembly, lapses_in=10)
    with refused("RegistrySuspensionTooSoon", ALPHA.lei, lapses + 7 * DAY):
        provisionally(assembly, begins_in=5, by=SECOND_OFFICER)
    assembly.chain.now = lapses + 7 * DAY - 1
    with refused("RegistrySuspensionTooSoon", ALPHA.lei, lapses + 7 * DAY):
        provisionally(assembly)
    provisionally(assembly, begins_in=1)
    assert assembly.suspension(ALPHA)[0] == lapses + 7 * DAY


def test_reg_9_a_reinstatement_is_not_undone_by_one_person(assembly: Assembly) -> None:
    provisionally(assembly)
    assembly.pass_time(10)
    assembly.decide(assembly.registry, "reinstate", ALPHA.lei, 0)
    assert assembly.statuses(ALPHA, assembly.now) == [ADMITTED]
    with refused("RegistryNotProvisional", ALPHA.lei):
        assembly.registry.transact(SECOND_OFFICER, "confirmSuspension", ALPHA.lei)
    with refused("RegistrySuspensionTooSoon"):
        provisionally(assembly)


def test_reg_9_what_two_persons_scheduled_is_brought_forward(assembly: Assembly) -> None:
    begins = assembly.now + 2 * DAY
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, begins)
    with refused("RegistrySuspensionStands", ALPHA.lei, begins, NEVER):
        provisionally(assembly, lapses_in=2 * DAY - 1)
    with refused("RegistrySuspensionStands", ALPHA.lei, begins, NEVER):
        provisionally(assembly, begins_in=2 * DAY, lapses_in=3 * DAY)
    provisionally(assembly, begins_in=1, lapses_in=2 * DAY)
    assert assembly.suspension(ALPHA)[:3] == (assembly.now + 1, NEVER, False)


@pytest.mark.parametrize("confirmer", [SECOND_OFFICER, officer_of(WATCHDOG)])
def test_reg_10_a_second_person_makes_it_last(assembly: Assembly, confirmer: Key) -> None:
    provisionally(assembly)
    lapses = assembly.now + DAY
    assembly.chain.now = lapses - 1
    receipt = assembly.registry.transact(confirmer, "confirmSuspension", ALPHA.lei)
    assert receipt.event("SuspensionConfirmed").arguments["confirmer"] == hexed(confirmer)
    assert assembly.statuses(ALPHA, lapses, lapses + 1_000 * DAY) == [SUSPENDED] * 2
    assert assembly.suspension(ALPHA)[1:] == (
        NEVER,
        False,
        hexed(officer_of(EUROSYSTEM)),
        hexed(confirmer),
    )
    with refused("RegistryNotProvisional", ALPHA.lei):
        assembly.registry.transact(confirmer, "confirmSuspension", ALPHA.lei)


def test_reg_10_not_by_the_same_person_nor_after_the_lapse(assembly: Assembly) -> None:
    registry = assembly.registry
    with refused("RegistryNotProvisional", ALPHA.lei):
        registry.transact(SECOND_OFFICER, "confirmSuspension", ALPHA.lei)
    provisionally(assembly)
    for outsider in (officer_of(THIRD), officer_of(OPERATOR)):
        with refused("RegistryCallerNotCentralBank", hexed(outsider), ALPHA.lei):
            registry.transact(outsider, "confirmSuspension", ALPHA.lei)
    with refused("RegistryCallerNotOfficer", hexed(EUROSYSTEM.operating)):
        registry.transact(EUROSYSTEM.operating, "confirmSuspension", ALPHA.lei)
    with refused("RegistrySamePerson", hexed(officer_of(EUROSYSTEM))):
        registry.transact(officer_of(EUROSYSTEM), "confirmSuspension", ALPHA.lei)
    assembly.pass_time(DAY)
    with refused("RegistryNotProvisional", ALPHA.lei):
        registry.transact(SECOND_OFFICER, "confirmSuspension", ALPHA.lei)


def test_reg_10_two_persons_at_once_make_a_provisional_one_last(assembly: Assembly) -> None:
    provisionally(assembly, begins_in=10)
    begins = assembly.now + 10
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, begins + 100)
    assert assembly.suspension(ALPHA)[:3] == (begins, NEVER, False)


def test_reg_11_not_of_one_that_has_exited(assembly: Assembly) -> None:
    assembly.decide(assembly.registry, "exit", ALPHA.lei, 0)
    with refused("RegistryUnexpectedStatus", ALPHA.lei, EXITED):
        provisionally(assembly)
