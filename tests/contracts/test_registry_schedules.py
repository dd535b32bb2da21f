"""What is scheduled in ParticipantRegistry, at its very second, as docs/spec/settlement.md requires it (REG)."""

from typing import Any, Final

import pytest

from node.primitives import keccak
from support.chain_harness import key_of, refused
from support.council_network import (
    DAY,
    NEVER,
    NO_ACCOUNT,
    UNTIL_THE_END_OF_TIME,
    Assembly,
    hexed,
    officer_of,
)
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUROSYSTEM,
    INSTITUTIONS,
    OPERATOR,
    Institution,
    Street,
)
from support.validator_network import FIRST, SECOND, THIRD, WATCHDOG

NEWCOMER: Final = Institution("gamma", "GAMMFRPP", "FR", ("bank",), ("settlement", "operating"))
UNKNOWN, PROPOSED, ADMITTED, SUSPENDED, EXITED = range(5)
NONE, SETTLEMENT, OPERATING, OFFICER = 0, 1, 2, 5
OPERATOR_KEY: Final = OPERATOR.operating


def admission(*accounts: tuple[bytes, bytes, int], roles: int = 1, **more: bytes) -> Any:
    return (
        NEWCOMER.lei,
        NEWCOMER.bic.encode().ljust(11, b"\0"),
        b"FR",
        roles,
        keccak(b"sealing"),
        keccak(b"signing"),
        "http://gamma.example",
        list(accounts),
        more.get("central_bank", bytes(20)),
    )


OPERATING_ENTRY: Final = (NEWCOMER.reference("operating"), NEWCOMER.operating.address, OPERATING)


def test_reg_3_an_admission_is_in_effect_from_its_second_on(assembly: Assembly) -> None:
    due = assembly.now + 100
    receipt = assembly.decide(assembly.registry, "admit", admission(OPERATING_ENTRY), due)
    assert receipt.event("ParticipantAdmitted").arguments["effectiveAt"] == due
    assert assembly.statuses(NEWCOMER, due - 1, due) == [PROPOSED, ADMITTED]
    before, after = assembly.at(due - 1), assembly.at(due)
    assert before.allowed(NEWCOMER.operating) == (False, due - 1)
    assert after.allowed(NEWCOMER.operating) == (True, UNTIL_THE_END_OF_TIME)
    reference = NEWCOMER.reference("operating")
    nobody = (bytes(20), NO_ACCOUNT, NONE)
    assert before.registry.read("accountOf", reference) == nobody
    assert before.registry.read("partyOf", reference) == (*nobody, False, 0)
    address = hexed(NEWCOMER.operating)
    assert after.registry.read("partyOf", reference) == (
        NEWCOMER.lei,
        address,
        OPERATING,
        True,
        0,
    )
    for function, unknown in (
        ("participantOf", bytes(20)),
        ("kindOf", NONE),
        ("isAdmitted", False),
    ):
        assert before.registry.read(function, address) == unknown
        assert after.registry.read(function, address) != unknown


def test_reg_4_an_account_opens_and_closes_at_its_second(assembly: Assembly) -> None:
    registry, key = assembly.registry, key_of("late")
    opens, closes = assembly.now + 10, assembly.now + 20
    entry = (keccak(b"late"), key.address, OPERATING)
    assembly.decide(registry, "addAccount", ALPHA.lei, entry, opens)
    assert assembly.allowed(key) == (False, opens - 1)
    assembly.chain.now = opens
    assembly.decide(registry, "closeAccount", key.address, closes)
    kinds = [
        assembly.at(t).registry.read("kindOf", key.address)
        for t in (opens - 1, opens, closes - 1, closes)
    ]
    assert kinds == [NONE, OPERATING, OPERATING, NONE]
    assert [assembly.at(t).allowed(key) for t in (opens - 1, opens, closes)] == [
        (False, opens - 1),
        (True, closes - 1),
        (False, UNTIL_THE_END_OF_TIME),
    ]
    with refused("RegistryAccountUnknown", hexed(key)):
        assembly.decide(registry, "closeAccount", key.address, 0)
    with refused("RegistryAccountUnknown", hexed(key_of("nobody"))):
        assembly.decide(registry, "closeAccount", key_of("nobody").address, 0)
    with refused("RegistryInvalidAccount", ALPHA.reference(), hexed(ALPHA.settlement), SETTLEMENT):
        assembly.decide(registry, "closeAccount", ALPHA.settlement.address, 0)
    with refused("RegistryAccountTaken", hexed(key)):
        assembly.decide(registry, "addAccount", BETA.lei, (keccak(b"x"), key.address, OPERATING), 0)


def test_reg_5_a_suspension_begins_and_ends_at_its_second(assembly: Assembly) -> None:
    begins, ends = assembly.now + 10, assembly.now + 20
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, begins)
    assert assembly.allowed(ALPHA.operating) == (True, begins - 1)
    assembly.decide(assembly.registry, "reinstate", ALPHA.lei, ends)
    seconds = (begins - 1, begins, ends - 1, ends)
    assert assembly.statuses(ALPHA, *seconds) == [ADMITTED, SUSPENDED, SUSPENDED, ADMITTED]
    assert [assembly.at(time).allowed(ALPHA.operating) for time in seconds] == [
        (True, begins - 1),
        (False, ends - 1),
        (False, ends - 1),
        (True, UNTIL_THE_END_OF_TIME),
    ]
    parties = [assembly.at(t).registry.read("partyOf", ALPHA.reference())[3:] for t in seconds]
    assert parties == [(True, 0), (False, begins), (False, begins), (True, 0)]


def test_reg_5_a_time_that_has_passed_stands_for_now(assembly: Assembly) -> None:
    assembly.pass_time(50)
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, assembly.now - 40)
    assert assembly.suspension(ALPHA)[:2] == (assembly.now, NEVER)
    assert assembly.statuses(ALPHA, assembly.now - 1, assembly.now) == [ADMITTED, SUSPENDED]


def test_reg_5_one_that_has_not_begun_is_called_off(assembly: Assembly) -> None:
    begins = assembly.now + 100
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, begins)
    assembly.decide(assembly.registry, "reinstate", ALPHA.lei, begins)
    assert assembly.statuses(ALPHA, assembly.now, begins, begins + DAY) == [ADMITTED] * 3
    with refused("RegistryUnexpectedStatus", ALPHA.lei, ADMITTED):
        assembly.decide(assembly.registry, "reinstate", ALPHA.lei, 0)


@pytest.mark.parametrize(
    ("stands", "ordered", "result"),
    [
        pytest.param((10, None), 5, (5, NEVER), id="brought forward"),
        pytest.param((10, None), 10, "RegistryUnexpectedStatus", id="nothing would change"),
        pytest.param((10, None), 11, "RegistryUnexpectedStatus", id="put off"),
        pytest.param((10, 20), 5, (5, NEVER), id="before and over it"),
        pytest.param((10, 20), 15, (10, NEVER), id="overlapping"),
        pytest.param((10, 20), 20, (10, NEVER), id="touching"),
        pytest.param((10, 20), 21, "RegistrySuspensionApart", id="with a gap"),
    ],
)
def test_reg_5_a_second_suspension_is_joined_or_refused(
    assembly: Assembly, stands: tuple[int, int | None], ordered: int, result: Any
) -> None:
    begin, end = stands
    start = assembly.now
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, start + begin)
    if end is not None:
        assembly.decide(assembly.registry, "reinstate", ALPHA.lei, start + end)
    if isinstance(result, str):
        with refused(result):
            assembly.decide(assembly.registry, "suspend", ALPHA.lei, start + ordered)
    else:
        assembly.decide(assembly.registry, "suspend", ALPHA.lei, start + ordered)
        assert assembly.suspension(ALPHA)[:2] == (start + result[0], NEVER)


def test_reg_6_keys_endpoint_and_roles_change_at_their_second(assembly: Assembly) -> None:
    registry, due = assembly.registry, assembly.now + 10
    before = registry.read("participant", ALPHA.lei)
    assembly.decide(registry, "rotateKeys", ALPHA.lei, keccak(b"1"), keccak(b"2"), due)
    assembly.decide(registry, "setEndpoint", ALPHA.lei, "http://new.example", due)
    assembly.decide(registry, "setRoles", ALPHA.lei, 1 | 32, AUTHORITY.lei, due)
    assert assembly.at(due - 1).registry.read("participant", ALPHA.lei) == before
    after = assembly.at(due).registry.read("participant", ALPHA.lei)
    assert after[4:] == (33, keccak(b"1"), keccak(b"2"), "http://new.example", AUTHORITY.lei)
    assert registry.read("keysAt", ALPHA.lei, 1)[2] == due
    assert assembly.at(due - 1).allowed(ALPHA.operating, bytes(20)) == (False, due - 1)
    assert assembly.at(due).allowed(ALPHA.operating, bytes(20))[0]


def test_reg_6_a_later_change_replaces_one_that_is_not_in_effect(assembly: Assembly) -> None:
    registry, due = assembly.registry, assembly.now + 10
    for word, time in (("first", due), ("second", due + 10)):
        assembly.decide(registry, "rotateKeys", ALPHA.lei, keccak(word.encode()), bytes(32), time)
        assembly.decide(registry, "setEndpoint", ALPHA.lei, word, time)
        assembly.decide(registry, "setRoles", ALPHA.lei, len(word), bytes(20), time)
    assert registry.read("keyVersionCount", ALPHA.lei) == 2
    before = registry.read("participant", ALPHA.lei)
    assert assembly.at(due + 9).registry.read("participant", ALPHA.lei) == before
    after = assembly.at(due + 10).registry.read("participant", ALPHA.lei)
    assert after[4:8] == (len("second"), keccak(b"second"), bytes(32), "second")
    later = assembly.at(due + 20)
    later.decide(later.registry, "rotateKeys", ALPHA.lei, keccak(b"third"), bytes(32), 0)
    later.decide(later.registry, "setEndpoint", ALPHA.lei, "third", due + 30)
    later.decide(later.registry, "setRoles", ALPHA.lei, 1, bytes(20), due + 30)
    assert later.registry.read("keyVersionCount", ALPHA.lei) == 3
    assert later.registry.read("participant", ALPHA.lei)[4:8] == (
        len("second"),
        keccak(b"third"),
        bytes(32),
        "second",
    )


def test_reg_8_the_answer_stands_open_where_genesis_opened_the_network(street: Street) -> None:
    verdict, until = street.registry.read("transactionAllowedUntil", bytes(20), bytes(20))
    assert (verdict, until) == (False, UNTIL_THE_END_OF_TIME)


def test_reg_11_an_exit_is_for_ever(assembly: Assembly) -> None:
    registry, due = assembly.registry, assembly.now + 10
    assembly.decide(registry, "exit", ALPHA.lei, due)
    with refused("RegistryUnexpectedStatus", ALPHA.lei, ADMITTED):
        assembly.decide(registry, "exit", ALPHA.lei, due - 1)
    assembly.decide(registry, "suspend", ALPHA.lei, due - 5)
    assert assembly.statuses(ALPHA, due - 6, due - 5, due, due + 1_000 * DAY) == [
        ADMITTED,
        SUSPENDED,
        EXITED,
        EXITED,
    ]
    assert assembly.allowed(ALPHA.operating) == (True, due - 6)
    assert assembly.at(due - 1).allowed(ALPHA.operating) == (False, due - 1)
    assert assembly.at(due).allowed(ALPHA.operating) == (False, UNTIL_THE_END_OF_TIME)
    assembly.chain.now = due
    entry = (keccak(b"x"), key_of("x").address, OPERATING)
    for function, arguments in (
        ("suspend", ()),
        ("reinstate", ()),
        ("exit", ()),
        ("setRoles", (1, bytes(20))),
        ("addAccount", (entry,)),
        ("rotateKeys", (bytes(32), bytes(32))),
        ("setEndpoint", ("",)),
    ):
        with refused("RegistryUnexpectedStatus", ALPHA.lei, EXITED):
            assembly.decide(registry, function, ALPHA.lei, *arguments)
        with refused("RegistryParticipantUnknown", NEWCOMER.lei):
            assembly.decide(registry, function, NEWCOMER.lei, *arguments)
    assert not registry.read("maySettle", ALPHA.settlement.address)


def test_reg_12_earlier_entries_are_honoured_where_the_rulebook_says_so(assembly: Assembly) -> None:
    registry, account = assembly.registry, ALPHA.settlement.address
    assembly.decide(registry, "suspend", ALPHA.lei, assembly.now + 10)
    assert registry.read("maySettle", account)
    assembly.pass_time(10)
    assert not registry.read("maySettle", account)
    receipt = assembly.decide(registry, "setHonoursEarlierEntries", True)
    assert receipt.event("EarlierEntriesHonoured").arguments == {"isHonoured": True}
    assert registry.read("honoursEarlierEntries")
    assert registry.read("maySettle", account)
    assert not registry.read("isAdmitted", account)
    assert not registry.read("maySettle", key_of("nobody").address)


@pytest.mark.parametrize("central_bank", [NEWCOMER.lei, b"EUROSYSTEM0000000000"])
def test_reg_13_a_central_bank_is_another_participants_lei(
    assembly: Assembly, central_bank: bytes
) -> None:
    with refused("RegistryInvalidCentralBank", NEWCOMER.lei, central_bank):
        assembly.decide(assembly.registry, "admit", admission(central_bank=central_bank))
    with refused("RegistryInvalidCentralBank", ALPHA.lei, ALPHA.lei):
        assembly.decide(assembly.registry, "setRoles", ALPHA.lei, 1, ALPHA.lei, 0)


def test_reg_14_an_officer_changes_keys_and_endpoint_of_its_own_house(assembly: Assembly) -> None:
    registry, officer, due = assembly.registry, officer_of(THIRD), assembly.now + 10
    registry.transact(officer, "rotateOwnKeys", keccak(b"1"), keccak(b"2"), 0)
    registry.transact(officer, "setOwnEndpoint", "http://new.example", due)
    found = registry.read("participant", THIRD.lei)
    assert found[5:8] == (keccak(b"1"), keccak(b"2"), "http://third.example")
    assert assembly.at(due).registry.read("participant", THIRD.lei)[7] == "http://new.example"
    assert registry.read("keysAt", THIRD.lei, 0)[0] == keccak(b"third/sealing")


def test_reg_14_nobody_else_does(assembly: Assembly) -> None:
    assembly.decide(assembly.registry, "suspend", THIRD.lei, 0)
    for sender in (THIRD.operating, officer_of(THIRD), key_of("nobody")):
        with refused("RegistryCallerNotOfficer", hexed(sender)):
            assembly.registry.transact(sender, "rotateOwnKeys", bytes(32), bytes(32), 0)
        with refused("RegistryCallerNotOfficer", hexed(sender)):
            assembly.registry.transact(sender, "setOwnEndpoint", "", 0)


def test_reg_16_a_participant_anchors_its_audit_log_further_each_time(assembly: Assembly) -> None:
    registry = assembly.registry
    assert registry.read("auditAnchorOf", THIRD.lei) == (0, 0, bytes(32))
    registry.transact(THIRD.operating, "anchorAuditLog", 7, keccak(b"7"))
    assert registry.read("auditAnchorOf", THIRD.lei) == (7, assembly.now, keccak(b"7"))
    for sequence in (0, 6, 7):
        with refused("RegistryAuditSequenceNotNewer", THIRD.lei, sequence, 7):
            registry.transact(THIRD.operating, "anchorAuditLog", sequence, keccak(b"other"))
    registry.transact(THIRD.operating, "anchorAuditLog", 2**64 - 1, keccak(b"last"))
    assert registry.read("auditAnchorOf", THIRD.lei)[::2] == (2**64 - 1, keccak(b"last"))
    assert registry.read("auditAnchorOf", ALPHA.lei) == (0, 0, bytes(32))


def test_reg_16_only_an_operating_account_of_an_admitted_participant_does(
    assembly: Assembly,
) -> None:
    assembly.decide(assembly.registry, "suspend", THIRD.lei, 0)
    for sender in (THIRD.operating, officer_of(FIRST), key_of("nobody")):
        with refused("RegistryCallerNotOperating", hexed(sender)):
            assembly.registry.transact(sender, "anchorAuditLog", 1, keccak(b"1"))


def test_reg_15_members_of_the_council_are_those_with_its_role_now(assembly: Assembly) -> None:
    registry, due = assembly.registry, assembly.now + 30 * DAY
    members = [EUROSYSTEM.lei, AUTHORITY.lei, FIRST.lei, SECOND.lei, WATCHDOG.lei]
    assert list(registry.read("councilMembers")) == members
    assembly.decide(registry, "setRoles", FIRST.lei, 1, bytes(20), due)
    assembly.decide(registry, "setRoles", BETA.lei, 1 | 128, bytes(20), due)
    assembly.decide(registry, "suspend", AUTHORITY.lei, due)
    assembly.decide(registry, "exit", SECOND.lei, due)
    later = assembly.at(due).registry
    assert list(later.read("councilMembers")) == [
        EUROSYSTEM.lei,
        AUTHORITY.lei,
        WATCHDOG.lei,
        BETA.lei,
    ]
    assert later.read("officerOf", officer_of(EUROSYSTEM).address) == EUROSYSTEM.lei
    for key in (officer_of(AUTHORITY), officer_of(SECOND), EUROSYSTEM.operating):
        assert later.read("officerOf", key.address) == bytes(20)
    for member in (EUROSYSTEM, FIRST, BETA):
        assert registry.read("isCouncilListed", member.lei)
    assert not registry.read("isCouncilListed", ALPHA.lei)


def test_reg_15_a_council_has_an_end(street: Street) -> None:
    listed = sum("council" in each.roles for each in INSTITUTIONS)
    for number in range(64 - listed):
        lei, bic = lei_and_bic(number)
        given = (lei, bic, *admission(roles=128)[2:])
        street.registry.transact(OPERATOR_KEY, "admit", given)
    with refused("RegistryTooManyCouncilMembers", 64):
        street.registry.transact(OPERATOR_KEY, "setRoles", ALPHA.lei, 128, bytes(20))
    street.registry.transact(OPERATOR_KEY, "setRoles", EUROSYSTEM.lei, 128 | 2, bytes(20))


def lei_and_bic(number: int) -> tuple[bytes, bytes]:
    prefix = f"MEMBER{number:012d}"
    digits = int("".join(str(int(character, 36)) for character in prefix + "00"))
    bic = f"MEMB{chr(65 + number // 26)}{chr(65 + number % 26)}00".encode()
    return f"{prefix}{98 - digits % 97:02d}".encode(), bic.ljust(11, b"\0")
