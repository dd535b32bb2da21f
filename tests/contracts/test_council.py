"""Council as docs/spec/settlement.md requires it (COU)."""

from typing import Any, Final

import pytest

import contracts
from node.primitives import keccak
from support.chain_harness import Contract, Reverted, key_of, refused
from support.council_network import (
    DAY,
    NEVER,
    PAUSABLE,
    SECOND_OFFICER,
    TIME_LOCK,
    Assembly,
    hexed,
    officer_of,
)
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUROSYSTEM,
    Institution,
)
from support.transactions import Key
from support.validator_network import FIRST, SECOND, THIRD, WATCHDOG, node_id_of

OPEN, EXECUTED, CANCELLED, EXPIRED = 1, 2, 3, 4


def suspension(assembly: Assembly, institution: Institution = ALPHA) -> bytes:
    return assembly.registry.encode("suspend", institution.lei, 0)


def rulebook(assembly: Assembly, text: bytes = b"rules") -> bytes:
    return assembly.council.encode("adoptRulebook", keccak(text), 0)


# Proposals


def test_cou_1_a_proposal_is_kept_with_everything_that_was_said(assembly: Assembly) -> None:
    data, start = suspension(assembly), assembly.now
    receipt = assembly.council.transact(
        officer_of(EUROSYSTEM),
        "propose",
        assembly.registry.address,
        data,
        keccak(b"why"),
        start + 5,
        start + 100,
    )
    assert receipt.names == ["ProposalMade", "ProposalApproved"]
    made = receipt.event("ProposalMade").arguments
    assert (made["proposalId"], made["data"], made["isConstitutional"]) == (1, data, False)
    assembly.pass_time(7)
    assembly.approve(1, AUTHORITY)
    assembly.execute(1, data, by=key_of("anybody"))
    nobody = "0x" + bytes(20).hex()
    assert assembly.council.read("proposal", 1) == (
        EXECUTED,
        False,
        "0x" + assembly.registry.address.hex(),
        keccak(data),
        keccak(b"why"),
        hexed(officer_of(EUROSYSTEM)),
        hexed(key_of("anybody")),
        start,
        start + 5,
        start + 100,
        start + 7,
        start + 7,
        (
            (hexed(officer_of(EUROSYSTEM)), EUROSYSTEM.lei, start),
            (hexed(officer_of(AUTHORITY)), AUTHORITY.lei, start + 7),
        ),
    )
    assert assembly.council.read("proposalCount") == 1
    assert assembly.council.read("proposal", 2)[:3] == (0, False, nobody)
    assert assembly.registry.read("statusOf", ALPHA.lei) == 3


@pytest.mark.parametrize(
    "caller",
    [
        pytest.param(key_of("nobody"), id="stranger"),
        pytest.param(EUROSYSTEM.operating, id="no person"),
        pytest.param(officer_of(THIRD), id="no member"),
        pytest.param(officer_of(WATCHDOG), id="suspended member"),
    ],
)
def test_cou_1_only_officers_of_members_speak(assembly: Assembly, caller: Key) -> None:
    assembly.decide(assembly.registry, "suspend", WATCHDOG.lei, 0)
    data = suspension(assembly)
    proposal_id = assembly.propose(assembly.registry, data)
    target = assembly.registry.address
    for function, arguments in (
        ("propose", (target, data, bytes(32), 0, assembly.now + 1)),
        ("approve", (proposal_id,)),
        ("revokeApproval", (proposal_id,)),
        ("cancel", (proposal_id,)),
        ("emergencyPause", (PAUSABLE,)),
        ("proposeLift", (PAUSABLE,)),
        ("confirmLift", (proposal_id,)),
    ):
        with refused("CouncilCallerNotMember", hexed(caller)):
            assembly.council.transact(caller, function, *arguments)


@pytest.mark.parametrize(
    ("earliest_in", "expires_in"),
    [(0, 0), (0, 90 * DAY + 1), (11, 10)],
)
def test_cou_1_times_that_make_no_sense_are_refused(
    assembly: Assembly, earliest_in: int, expires_in: int
) -> None:
    with refused("CouncilInvalidTime", assembly.now + expires_in):
        assembly.propose(
            assembly.registry,
            suspension(assembly),
            earliest_in=earliest_in,
            expires_in=expires_in,
        )


def test_cou_1_a_target_is_a_contract(assembly: Assembly) -> None:
    nowhere = Contract(assembly.chain, key_of("nowhere").address, "Council")
    with refused("CouncilInvalidTarget", hexed(key_of("nowhere"))):
        assembly.propose(nowhere, b"")


def test_cou_2_a_member_approves_once_whoever_speaks_for_it(assembly: Assembly) -> None:
    proposal_id = assembly.propose(assembly.registry, suspension(assembly))
    for officer in (officer_of(EUROSYSTEM), SECOND_OFFICER):
        with refused("CouncilSameMember", proposal_id, EUROSYSTEM.lei):
            assembly.council.transact(officer, "approve", proposal_id)
    assert assembly.council.read("approvalsOf", proposal_id) == (1, 2)
    assembly.approve(proposal_id, AUTHORITY)
    with refused("CouncilSameMember", proposal_id, AUTHORITY.lei):
        assembly.approve(proposal_id, AUTHORITY)


def test_cou_2_an_officer_who_left_has_no_voice_and_another_takes_it(assembly: Assembly) -> None:
    data = suspension(assembly)
    proposal_id = assembly.propose(assembly.registry, data)
    assembly.approve(proposal_id, AUTHORITY)
    assembly.decide(assembly.registry, "closeAccount", officer_of(EUROSYSTEM).address, 0)
    assert assembly.council.read("approvalsOf", proposal_id) == (1, 2)
    with refused("CouncilNotApproved", proposal_id, 1, 2):
        assembly.execute(proposal_id, data, by=officer_of(FIRST))
    assembly.council.transact(SECOND_OFFICER, "approve", proposal_id)
    assert len(assembly.council.read("proposal", proposal_id)[12]) == 2
    assembly.execute(proposal_id, data, by=officer_of(FIRST))


# What is ordinary

NEWCOMER: Final = Institution("gamma", "GAMMFRPP", "FR", ("bank",), ())


def admission(roles: int) -> tuple[Any, ...]:
    bic = NEWCOMER.bic.encode().ljust(11, b"\0")
    return (NEWCOMER.lei, bic, b"FR", roles, bytes(32), bytes(32), "", [], bytes(20))


ENTRY: Final = (keccak(b"x"), key_of("x").address, 5)


@pytest.mark.parametrize(
    ("function", "about_bank", "about_member"),
    [
        ("admit", (admission(1),), (admission(1 | 128),)),
        ("suspend", (ALPHA.lei,), (FIRST.lei,)),
        ("reinstate", (ALPHA.lei,), (FIRST.lei,)),
        ("exit", (ALPHA.lei,), (FIRST.lei,)),
        ("setRoles", (ALPHA.lei, 1, bytes(20)), (FIRST.lei, 1, bytes(20))),
        ("setRoles", (ALPHA.lei, 1, bytes(20)), (ALPHA.lei, 128, bytes(20))),
        ("addAccount", (ALPHA.lei, ENTRY), (FIRST.lei, ENTRY)),
        ("closeAccount", (ALPHA.operating.address,), (FIRST.operating.address,)),
        ("closeAccount", (ALPHA.operating.address,), (key_of("not yet").address,)),
        ("rotateKeys", (ALPHA.lei, bytes(32), bytes(32)), (FIRST.lei, bytes(32), bytes(32))),
        ("setEndpoint", (ALPHA.lei, ""), (FIRST.lei, "")),
    ],
)
def test_cou_4_what_concerns_the_council_is_never_ordinary(
    assembly: Assembly, function: str, about_bank: tuple[Any, ...], about_member: tuple[Any, ...]
) -> None:
    registry = assembly.registry
    for arguments, is_ordinary in ((about_bank, True), (about_member, False)):
        data = registry.encode(function, *arguments)
        assert assembly.council.read("isOrdinary", registry.address, data) is is_ordinary
        proposal_id = assembly.propose(registry, data)
        assert assembly.council.read("proposal", proposal_id)[1] is not is_ordinary
        assert assembly.council.read("approvalsOf", proposal_id) == (1, 2 if is_ordinary else 3)


def test_cou_4_neither_is_what_concerns_a_member_to_be(assembly: Assembly) -> None:
    registry = assembly.registry
    assembly.decide(registry, "setRoles", ALPHA.lei, 128, bytes(20), assembly.now + 9 * DAY)
    data = registry.encode("addAccount", ALPHA.lei, ENTRY)
    assert not assembly.council.read("isOrdinary", registry.address, data)


def test_cou_3_few_acts_are_ordinary(assembly: Assembly) -> None:
    def is_ordinary(contract: Contract, data: bytes) -> bool:
        return bool(assembly.council.read("isOrdinary", contract.address, data))

    nodes, registry, manager = assembly.nodes, assembly.registry, assembly.manager
    token = Contract(assembly.chain, contracts.currency_token_address(978), "CurrencyToken")
    address = ALPHA.operating.address
    assert is_ordinary(nodes, nodes.encode("admitNode", ALPHA.lei, node_id_of("new")))
    assert is_ordinary(nodes, nodes.encode("revokeNode", node_id_of("first")))
    assert is_ordinary(token, keccak(b"unpause()")[:4])
    for contract, data in (
        (token, token.encode("upgradeToAndCall", address, b"")),
        (nodes, registry.encode("suspend", ALPHA.lei)),
        (registry, registry.encode("setHonoursEarlierEntries", True)),
        (registry, registry.encode("upgradeToAndCall", address, b"")),
        (manager, manager.encode("grantRole", 0, address, 0)),
        (assembly.council, rulebook(assembly)),
        (registry, b""),
    ):
        assert not is_ordinary(contract, data)


# Approval and time


def test_cou_5_two_members_are_enough_for_an_ordinary_act(assembly: Assembly) -> None:
    data = suspension(assembly)
    proposal_id = assembly.propose(assembly.registry, data)
    with refused("CouncilNotApproved", proposal_id, 1, 2):
        assembly.execute(proposal_id, data)
    assembly.approve(proposal_id, WATCHDOG)
    assert assembly.execute(proposal_id, data).names == ["ProposalExecuted", "ParticipantSuspended"]


def test_cou_5_a_constitutional_act_takes_more_than_half(assembly: Assembly) -> None:
    data = rulebook(assembly)
    proposal_id = assembly.propose(assembly.council, data)
    assembly.approve(proposal_id, AUTHORITY)
    assembly.pass_time(TIME_LOCK)
    with refused("CouncilNotApproved", proposal_id, 2, 3):
        assembly.execute(proposal_id, data)
    assembly.approve(proposal_id, FIRST)
    assembly.pass_time(TIME_LOCK)
    assembly.execute(proposal_id, data)


def test_cou_5_suspended_members_count_and_have_no_voice(assembly: Assembly) -> None:
    data = rulebook(assembly)
    proposal_id = assembly.propose(assembly.council, data)
    assembly.approve(proposal_id, AUTHORITY, WATCHDOG)
    assembly.decide(assembly.registry, "suspend", WATCHDOG.lei, 0)
    assert assembly.council.read("approvalsOf", proposal_id) == (2, 3)
    assembly.pass_time(TIME_LOCK)
    with refused("CouncilNotApproved", proposal_id, 2, 3):
        assembly.execute(proposal_id, data)


def test_cou_5_a_council_that_grew_needs_more(assembly: Assembly) -> None:
    registry, data = assembly.registry, rulebook(assembly)
    proposal_id = assembly.propose(assembly.council, data)
    assembly.approve(proposal_id, AUTHORITY, FIRST)
    due = assembly.now + 10 * DAY
    for newcomer in (ALPHA, BETA):
        assembly.decide(registry, "setRoles", newcomer.lei, 1 | 128, bytes(20), due)
    assembly.chain.now = due
    with refused("CouncilNotApproved", proposal_id, 3, 4):
        assembly.execute(proposal_id, data)


def test_cou_7_a_constitutional_act_waits_from_the_last_needed_approval(assembly: Assembly) -> None:
    data = rulebook(assembly)
    proposal_id = assembly.propose(assembly.council, data)
    assert assembly.council.read("executableAt", proposal_id) == NEVER
    assembly.approve(proposal_id, AUTHORITY)
    assembly.pass_time(10 * DAY)
    assembly.approve(proposal_id, FIRST)
    unlocked = assembly.now + TIME_LOCK
    assert assembly.council.read("executableAt", proposal_id) == unlocked
    assembly.pass_time(DAY)
    assembly.approve(proposal_id, SECOND)
    assert assembly.council.read("executableAt", proposal_id) == unlocked
    assembly.chain.now = unlocked - 1
    with refused("CouncilTooEarly", proposal_id, unlocked):
        assembly.execute(proposal_id, data)
    assembly.chain.now = unlocked
    assembly.execute(proposal_id, data)


@pytest.mark.parametrize("is_constitutional", [False, True])
def test_cou_7_earliest_and_last_second(assembly: Assembly, is_constitutional: bool) -> None:
    target = assembly.council if is_constitutional else assembly.registry
    data = rulebook(assembly) if is_constitutional else suspension(assembly)
    earliest, last = assembly.now + 5 * DAY, assembly.now + 6 * DAY
    proposal_id = assembly.propose(target, data, earliest_in=5 * DAY, expires_in=6 * DAY)
    assembly.approve(proposal_id, AUTHORITY, FIRST)
    outcomes = []
    for time in (earliest - 1, earliest, last, last + 1):
        fork = assembly.fork()
        fork.chain.now = time
        outcomes.append(attempt(fork, proposal_id, data))
    assert outcomes == ["CouncilTooEarly", EXECUTED, EXECUTED, "CouncilUnexpectedState"]
    assembly.chain.now = last + 1
    assert assembly.state_of(proposal_id) == EXPIRED
    for function in ("approve", "revokeApproval", "cancel"):
        with refused("CouncilUnexpectedState", proposal_id, EXPIRED):
            assembly.council.transact(officer_of(EUROSYSTEM), function, proposal_id)


def attempt(assembly: Assembly, proposal_id: int, data: bytes) -> Any:
    try:
        assembly.execute(proposal_id, data)
    except Reverted as fault:
        return fault.name
    return assembly.state_of(proposal_id)


def test_cou_6_what_is_executed_is_what_was_proposed_and_once(assembly: Assembly) -> None:
    data = suspension(assembly)
    proposal_id = assembly.propose(assembly.registry, data)
    assembly.approve(proposal_id, AUTHORITY)
    other = suspension(assembly, BETA)
    with refused("CouncilDataMismatch", proposal_id, keccak(other)):
        assembly.execute(proposal_id, other)
    assembly.execute(proposal_id, data)
    assembly.decide(assembly.registry, "reinstate", ALPHA.lei, 0)
    with refused("CouncilUnexpectedState", proposal_id, EXECUTED):
        assembly.execute(proposal_id, data)
    with refused("CouncilUnexpectedState", 99, 0):
        assembly.execute(99, data)


def test_cou_6_a_call_that_reverts_leaves_the_proposal_open(assembly: Assembly) -> None:
    data = assembly.registry.encode("reinstate", ALPHA.lei)
    proposal_id = assembly.propose(assembly.registry, data)
    assembly.approve(proposal_id, AUTHORITY)
    with refused("RegistryUnexpectedStatus", ALPHA.lei, 2):
        assembly.execute(proposal_id, data)
    assert assembly.state_of(proposal_id) == OPEN
    assembly.decide(assembly.registry, "suspend", ALPHA.lei, 0)
    assembly.execute(proposal_id, data)
    assert assembly.state_of(proposal_id) == EXECUTED


def test_cou_6_what_became_constitutional_is_proposed_anew(assembly: Assembly) -> None:
    data = suspension(assembly)
    proposal_id = assembly.propose(assembly.registry, data)
    assembly.approve(proposal_id, AUTHORITY)
    assembly.decide(assembly.registry, "setRoles", ALPHA.lei, 1 | 128, bytes(20), 0)
    with refused("CouncilNowConstitutional", proposal_id):
        assembly.execute(proposal_id, data)


def test_cou_8_an_approval_is_taken_back_and_the_time_lock_begins_anew(assembly: Assembly) -> None:
    data = rulebook(assembly)
    proposal_id = assembly.propose(assembly.council, data)
    assembly.approve(proposal_id, AUTHORITY, FIRST)
    assembly.pass_time(TIME_LOCK)
    receipt = assembly.council.transact(officer_of(AUTHORITY), "revokeApproval", proposal_id)
    assert receipt.event("ApprovalRevoked").arguments["member"] == AUTHORITY.lei
    with refused("CouncilNotApprover", proposal_id, AUTHORITY.lei):
        assembly.council.transact(officer_of(AUTHORITY), "revokeApproval", proposal_id)
    with refused("CouncilNotApproved", proposal_id, 2, 3):
        assembly.execute(proposal_id, data)
    assembly.approve(proposal_id, AUTHORITY)
    with refused("CouncilTooEarly", proposal_id, assembly.now + TIME_LOCK):
        assembly.execute(proposal_id, data)
    assembly.approve(proposal_id, SECOND)
    assembly.council.transact(officer_of(SECOND), "revokeApproval", proposal_id)
    assembly.pass_time(TIME_LOCK)
    assembly.execute(proposal_id, data)


def test_cou_8_the_member_that_proposed_cancels(assembly: Assembly) -> None:
    data = suspension(assembly)
    proposal_id = assembly.propose(assembly.registry, data)
    assembly.approve(proposal_id, AUTHORITY)
    with refused("CouncilNotProposer", proposal_id, AUTHORITY.lei):
        assembly.council.transact(officer_of(AUTHORITY), "cancel", proposal_id)
    receipt = assembly.council.transact(SECOND_OFFICER, "cancel", proposal_id)
    assert receipt.event("ProposalCancelled").arguments["officer"] == hexed(SECOND_OFFICER)
    assert assembly.state_of(proposal_id) == CANCELLED
    with refused("CouncilUnexpectedState", proposal_id, CANCELLED):
        assembly.execute(proposal_id, data)
