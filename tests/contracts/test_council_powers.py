"""What the Council does at once, what only it may do, and who administers (COU of docs/spec/settlement.md)."""

from typing import Any

import pytest

import contracts
from node.primitives import Address, keccak
from support.chain_harness import Contract, key_of, refused
from support.council_network import (
    DAY,
    IMPLEMENTATION_SLOT,
    MEMBERS,
    PAUSABLE,
    SECOND_OFFICER,
    TIME_LOCK,
    Assembly,
    hexed,
    officer_of,
)
from support.settlement_network import ALPHA, AUTHORITY, EUROSYSTEM, OPERATOR, Street
from support.validator_network import FIRST, WATCHDOG, node_id_of

EXECUTED, EXPIRED = 2, 4


def implementation_of(assembly: Assembly, proxy: Contract) -> int:
    chain = assembly.chain
    return chain.engine.storage(chain.root, Address(proxy.address), IMPLEMENTATION_SLOT)


# Emergencies


def test_cou_9_one_stops_and_two_members_let_go_on(assembly: Assembly) -> None:
    receipt = assembly.council.transact(officer_of(WATCHDOG), "emergencyPause", PAUSABLE)
    assert receipt.event("EmergencyPaused").arguments["member"] == WATCHDOG.lei
    assert assembly.kept_call() == (keccak(b"pause()")[:4], contracts.ACCESS_MANAGER_ADDRESS)
    receipt = assembly.council.transact(officer_of(EUROSYSTEM), "proposeLift", PAUSABLE)
    proposal_id = receipt.event("ProposalMade").arguments["proposalId"]
    with refused("CouncilSameMember", proposal_id, EUROSYSTEM.lei):
        assembly.council.transact(SECOND_OFFICER, "confirmLift", proposal_id)
    late = assembly.fork()
    late.pass_time(7 * DAY + 1)
    with refused("CouncilUnexpectedState", proposal_id, EXPIRED):
        late.council.transact(officer_of(FIRST), "confirmLift", proposal_id)
    assembly.council.transact(officer_of(FIRST), "confirmLift", proposal_id)
    assert assembly.kept_call() == (keccak(b"unpause()")[:4], contracts.ACCESS_MANAGER_ADDRESS)
    assert assembly.state_of(proposal_id) == EXECUTED


def test_cou_9_the_settlement_contract_stops_and_goes_on(assembly: Assembly) -> None:
    settlement = assembly.settlement
    for sender in (officer_of(EUROSYSTEM), OPERATOR.operating):
        for function in ("pause", "unpause"):
            with refused("AccessManagedUnauthorized", hexed(sender)):
                settlement.transact(sender, function)
    receipt = assembly.council.transact(officer_of(WATCHDOG), "emergencyPause", settlement.address)
    assert receipt.names == ["EmergencyPaused", "SettlementPaused"]
    with refused("SettlementIsPaused"):
        assembly.council.transact(officer_of(FIRST), "emergencyPause", settlement.address)
    receipt = assembly.council.transact(officer_of(WATCHDOG), "proposeLift", settlement.address)
    proposal_id = receipt.event("ProposalMade").arguments["proposalId"]
    receipt = assembly.council.transact(officer_of(FIRST), "confirmLift", proposal_id)
    assert receipt.names == ["ProposalApproved", "ProposalExecuted", "SettlementUnpaused"]


def test_cou_9_a_lift_is_nothing_else(assembly: Assembly) -> None:
    proposal_id = assembly.propose(
        assembly.registry, assembly.registry.encode("suspend", ALPHA.lei)
    )
    with refused("CouncilNotLift", proposal_id):
        assembly.council.transact(officer_of(FIRST), "confirmLift", proposal_id)


# The Council's own rules


def test_cou_10_versions_of_the_rulebook_hold_from_their_second_on(assembly: Assembly) -> None:
    council = assembly.council
    nothing = (bytes(32), 0, 0)
    assert council.read("rulebook") == (0, nothing)
    assembly.decide(council, "adoptRulebook", keccak(b"1"), 0)
    first = (keccak(b"1"), assembly.now, assembly.now)
    assert council.read("rulebook") == (1, first)
    begins = assembly.now + 5 * DAY
    receipt = assembly.decide(council, "adoptRulebook", keccak(b"2"), begins)
    assert receipt.event("RulebookAdopted").arguments == {
        "version": 2,
        "rulebookHash": keccak(b"2"),
        "effectiveAt": begins,
    }
    second = (keccak(b"2"), assembly.now, begins)
    assert (council.read("rulebookCount"), council.read("rulebook")) == (2, (1, first))
    assert [council.read("rulebookAt", version) for version in range(4)] == [
        nothing,
        first,
        second,
        nothing,
    ]
    with refused("CouncilInvalidTime", begins - 1):
        assembly.decide(council, "adoptRulebook", keccak(b"3"), begins - 1)
    assembly.chain.now = begins
    assert council.read("rulebook") == (2, second)


def test_cou_10_the_time_lock_and_ordinary_acts_are_the_councils_to_set(assembly: Assembly) -> None:
    council, target = assembly.council, assembly.settlement.address
    assert council.read("timeLock") == TIME_LOCK
    assembly.decide(council, "setTimeLock", 60)
    assert council.read("timeLock") == 60
    with refused("CouncilInvalidTimeLock", 30 * DAY + 1):
        assembly.decide(council, "setTimeLock", 30 * DAY + 1)
    selector = assembly.settlement.encode("addCurrency", b"USD", bytes(20))[:4]
    for is_ordinary in (True, False):
        assembly.decide(council, "setOrdinary", target, selector, is_ordinary)
        assert council.read("isOrdinary", target, selector) is is_ordinary


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("adoptRulebook", (keccak(b"1"), 0)),
        ("setTimeLock", (0,)),
        ("setOrdinary", (bytes(20), bytes(4), True)),
    ],
)
def test_cou_10_nobody_reaches_them_without_a_proposal(
    assembly: Assembly, street: Street, function: str, arguments: tuple[Any, ...]
) -> None:
    operated = Contract(street.chain, contracts.COUNCIL_ADDRESS, "Council")
    for council, sender in (
        (assembly.council, officer_of(EUROSYSTEM)),
        (assembly.council, OPERATOR.operating),
        (operated, OPERATOR.operating),
    ):
        with refused("CouncilCallerNotCouncil", hexed(sender)):
            council.transact(sender, function, *arguments)


@pytest.mark.parametrize("name", ["council", "registry", "nodes", "settlement"])
def test_cou_11_an_upgrade_is_a_constitutional_act(assembly: Assembly, name: str) -> None:
    proxy: Contract = getattr(assembly, name)
    slot = implementation_of(assembly, proxy)
    other = contracts.COUNCIL_IMPLEMENTATION_ADDRESS
    data = proxy.encode("upgradeToAndCall", other, b"")
    for sender in (officer_of(EUROSYSTEM), OPERATOR.operating, key_of("nobody")):
        with refused("AccessManagedUnauthorized", hexed(sender)):
            proxy.transact(sender, "upgradeToAndCall", other, b"")
        with refused("AccessManagerUnauthorizedCall"):
            assembly.manager.transact(sender, "execute", proxy.address, data)
    proposal_id = assembly.propose(proxy, data)
    assembly.approve(proposal_id, AUTHORITY, FIRST)
    with refused("CouncilTooEarly", proposal_id, assembly.now + TIME_LOCK):
        assembly.execute(proposal_id, data)
    assembly.pass_time(TIME_LOCK)
    receipt = assembly.execute(proposal_id, data)
    assert "Upgraded" in receipt.names
    found = implementation_of(assembly, proxy)
    assert found == int.from_bytes(other, "big")
    assert slot != found or name == "council"


# Administration


def is_administrator(manager: Contract, address: bytes) -> bool:
    return bool(manager.read("hasRole", 0, address)[0])


def test_the_council_alone_administers_where_the_network_file_says_so(assembly: Assembly) -> None:
    manager = assembly.manager
    assert is_administrator(manager, contracts.COUNCIL_ADDRESS)
    assert not is_administrator(manager, OPERATOR.operating.address)
    with refused("AccessManagedUnauthorized", hexed(OPERATOR.operating)):
        assembly.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    assert list(assembly.registry.read("councilMembers")) == [each.lei for each in MEMBERS]
    registry = "0x" + contracts.REGISTRY_ADDRESS.hex()
    assert assembly.council.read("participantRegistry") == registry


def test_the_operator_joins_it_in_a_network_of_developers(street: Street) -> None:
    manager = Contract(street.chain, contracts.ACCESS_MANAGER_ADDRESS, "AccessManager")
    for address in (contracts.COUNCIL_ADDRESS, OPERATOR.operating.address):
        assert is_administrator(manager, address)


def test_the_council_hands_administration_on_only_as_a_constitutional_act(
    assembly: Assembly,
) -> None:
    heir = key_of("heir").address
    receipt = assembly.decide(assembly.manager, "grantRole", 0, heir, 0)
    assert receipt.event("RoleGranted").arguments["account"] == "0x" + heir.hex()
    assert assembly.council.read("proposal", 1)[1]
    assert is_administrator(assembly.manager, heir)


def test_nobody_reinitialises_the_council(assembly: Assembly) -> None:
    arguments = (bytes(20), bytes(20), bytes(20), bytes(20), 0)
    for address in (contracts.COUNCIL_ADDRESS, contracts.COUNCIL_IMPLEMENTATION_ADDRESS):
        council = Contract(assembly.chain, address, "Council")
        with refused("InvalidInitialization"):
            council.transact(OPERATOR.operating, "initialize", *arguments)


def test_what_the_council_calls_is_told_by_the_target_too(assembly: Assembly) -> None:
    receipt = assembly.decide(assembly.nodes, "admitNode", ALPHA.lei, node_id_of("new"))
    assert receipt.names == ["ProposalExecuted", "NodeAdmitted"]
