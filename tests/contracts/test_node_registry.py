"""NodeRegistry as docs/spec/settlement.md requires it (NOD)."""

from typing import Any, Final

import pytest

import contracts
from node.engine.execution import SYSTEM_ADDRESS
from support.chain_harness import key_of, refused
from support.settlement_network import ALPHA, OPERATOR, Institution, lei_of
from support.validator_network import (
    ADDITION,
    DROPPED,
    FIRST,
    HOUSES,
    NOTHING_SCHEDULED,
    PROPOSED,
    SCHEDULED,
    SECOND,
    THIRD,
    WATCHDOG,
    WITHDRAWN,
    Registry,
    compressed,
    node_id_of,
    open_registry,
    point_of,
    validator_key,
)

FIELD_PRIME: Final = 2**256 - 2**32 - 977
SCHEDULED_MAX: Final = 32
SIXTH: Final = HOUSES[5]
UNKNOWN: Final = lei_of("NOBODY000000000000")


@pytest.fixture
def registry() -> Registry:
    return open_registry()


def keys(*houses: Institution) -> list[bytes]:
    return [compressed(validator_key(house.name)) for house in houses]


def hexed(address: bytes) -> str:
    return "0x" + address.hex()


# Nodes


def test_nod_1_a_node_of_an_admitted_participant_may_connect(registry: Registry) -> None:
    contract = registry.contract
    assert contract.read("nodeCount") == len(HOUSES)
    assert contract.read("nodeAt", 1) == (node_id_of("second"), SECOND.lei, True)
    assert contract.read("connectionAllowed", node_id_of("second"))
    assert not contract.read("connectionAllowed", node_id_of("stranger"))
    receipt = contract.transact(OPERATOR.operating, "admitNode", ALPHA.lei, node_id_of("newcomer"))
    assert receipt.names == ["NodeAdmitted"]
    assert contract.read("connectionAllowed", node_id_of("newcomer"))
    assert contract.read("nodeAt", len(HOUSES)) == (node_id_of("newcomer"), ALPHA.lei, True)


def test_nod_1_a_revoked_node_may_not_until_it_is_admitted_again(registry: Registry) -> None:
    contract, node_id = registry.contract, node_id_of("second")
    assert contract.transact(OPERATOR.operating, "revokeNode", node_id).names == ["NodeRevoked"]
    assert not contract.read("connectionAllowed", node_id)
    with refused("NodeRegistryNodeUnknown", node_id):
        contract.transact(OPERATOR.operating, "revokeNode", node_id)
    with refused("NodeRegistryNodeTaken", node_id, SECOND.lei):
        contract.transact(OPERATOR.operating, "admitNode", ALPHA.lei, node_id)
    contract.transact(OPERATOR.operating, "admitNode", SECOND.lei, node_id)
    assert contract.read("connectionAllowed", node_id)
    assert contract.read("nodeCount") == len(HOUSES)


def test_nod_1_a_suspension_of_the_participant_stops_its_nodes(registry: Registry) -> None:
    registry.participants.transact(OPERATOR.operating, "suspend", SECOND.lei)
    assert not registry.contract.read("connectionAllowed", node_id_of("second"))
    assert registry.contract.read("connectionAllowed", node_id_of("first"))
    with refused("NodeRegistryParticipantNotAdmitted", SECOND.lei):
        registry.contract.transact(OPERATOR.operating, "admitNode", SECOND.lei, node_id_of("other"))
    registry.participants.transact(OPERATOR.operating, "reinstate", SECOND.lei)
    assert registry.contract.read("connectionAllowed", node_id_of("second"))


@pytest.mark.parametrize(
    ("lei", "node_id", "error"),
    [
        (ALPHA.lei, bytes(20), "NodeRegistryInvalidNode"),
        (UNKNOWN, node_id_of("new"), "RegistryParticipantUnknown"),
        (ALPHA.lei, node_id_of("second"), "NodeRegistryNodeExists"),
        (SECOND.lei, node_id_of("second"), "NodeRegistryNodeExists"),
    ],
)
def test_nod_1_a_node_is_admitted_once_for_one_participant(
    registry: Registry, lei: bytes, node_id: bytes, error: str
) -> None:
    with refused(error):
        registry.contract.transact(OPERATOR.operating, "admitNode", lei, node_id)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("admitNode", (ALPHA.lei, node_id_of("new"))),
        ("revokeNode", (node_id_of("second"),)),
        ("upgradeToAndCall", (ALPHA.operating.address, b"")),
    ],
)
def test_nod_1_only_the_authority_admits_and_revokes_nodes(
    registry: Registry, function: str, arguments: tuple[Any, ...]
) -> None:
    for sender in (FIRST.operating, WATCHDOG.operating, key_of("stranger")):
        with refused("AccessManagedUnauthorized", hexed(sender.address)):
            registry.contract.transact(sender, function, *arguments)


# Keys


def test_nod_2_genesis_holds_the_validators_of_the_network_file_in_order(
    registry: Registry,
) -> None:
    assert registry.validators() == keys(*HOUSES[:5])
    leis = [lei for _, lei, _ in registry.contract.read("validators")]
    assert leis == [house.lei for house in HOUSES[:5]]
    assert registry.contract.read("version") == 0
    assert not registry.contract.read("isDevelopment")
    assert open_registry(1, development=True).contract.read("isDevelopment")


def test_nod_2_even_and_odd_keys_are_compressed_as_others_do(registry: Registry) -> None:
    labels = ["sixth", *(f"key {number}" for number in range(6))]
    assert {compressed(validator_key(label))[0] for label in labels} == {2, 3}
    for label in labels:
        registry.confirm(registry.propose_addition(label, house=SIXTH))
    for _ in labels:
        registry.pass_block()
    assert registry.validators()[5:] == [compressed(validator_key(label)) for label in labels]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


X, Y = (int.from_bytes(each, "big") for each in point_of(validator_key("sixth")))
SMALL_X: Final = 1  # 1 + 7 is a square: this abscissa is a point's, and plus the prime still a word
SMALL_Y: Final = pow(8, (FIELD_PRIME + 1) // 4, FIELD_PRIME)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(X, Y ^ 1, id="beside the curve"),
        pytest.param(Y, X, id="swapped"),
        pytest.param(SMALL_X + FIELD_PRIME, SMALL_Y, id="x not reduced"),
        pytest.param(X, FIELD_PRIME, id="y not reduced"),
        pytest.param(2**256 - 1, 2**256 - 1, id="the largest words"),
    ],
)
def test_nod_2_a_key_off_the_curve_is_refused(registry: Registry, x: int, y: int) -> None:
    with refused("NodeRegistryInvalidKey", word(x), word(y)):
        registry.contract.transact(
            FIRST.account("officer"), "proposeAddition", SIXTH.lei, word(x), word(y), 0
        )


def test_nod_2_the_same_small_point_reduced_is_a_key(registry: Registry) -> None:
    receipt = registry.contract.transact(
        FIRST.account("officer"), "proposeAddition", SIXTH.lei, word(SMALL_X), word(SMALL_Y), 0
    )
    assert receipt.names == ["ChangeProposed"]


# Proposing and confirming


def test_nod_3_a_change_is_proposed_by_one_and_confirmed_by_another(registry: Registry) -> None:
    due = registry.chain.now + 60
    change_id = registry.propose_addition("sixth", house=SIXTH, after=60)
    subject = (hexed(validator_key("sixth").address), SIXTH.lei, compressed(validator_key("sixth")))
    expected = (ADDITION, PROPOSED, due, FIRST.lei, bytes(20), subject)
    assert registry.contract.read("change", change_id) == expected
    assert registry.contract.read("nextEffectiveAt") == NOTHING_SCHEDULED
    with refused("NodeRegistrySameParticipant", FIRST.lei):
        registry.confirm(change_id, by=FIRST)
    receipt = registry.confirm(change_id, by=WATCHDOG)
    assert receipt.event("ChangeConfirmed").arguments["confirmer"] == WATCHDOG.lei
    expected = (ADDITION, SCHEDULED, due, FIRST.lei, WATCHDOG.lei, subject)
    assert registry.contract.read("change", change_id) == expected
    assert registry.contract.read("nextEffectiveAt") == due
    assert list(registry.contract.read("scheduledChanges")) == [change_id]
    assert registry.contract.read("changeCount") == 1


def test_nod_3_only_officers_of_the_admitted_council_govern(registry: Registry) -> None:
    change_id = registry.propose_removal("fifth")
    acts: list[tuple[str, tuple[Any, ...]]] = [
        ("proposeAddition", (SIXTH.lei, *point_of(validator_key("sixth")), 0)),
        ("proposeRemoval", (validator_key("fourth").address, 0)),
        ("confirmChange", (change_id,)),
        ("withdrawChange", (change_id,)),
    ]
    registry.participants.transact(OPERATOR.operating, "suspend", WATCHDOG.lei)
    senders = (
        THIRD.account("officer"),
        OPERATOR.account("officer"),
        FIRST.operating,
        WATCHDOG.account("officer"),
        key_of("stranger"),
    )
    for sender in senders:
        for function, arguments in acts:
            with refused("NodeRegistryCallerNotCouncil", hexed(sender.address)):
                registry.contract.transact(sender, function, *arguments)


def test_nod_3_what_a_suspended_participant_proposed_is_not_confirmed(registry: Registry) -> None:
    change_id = registry.propose_removal("fifth")
    registry.participants.transact(OPERATOR.operating, "suspend", FIRST.lei)
    with refused("NodeRegistryProposerNotCouncil", FIRST.lei):
        registry.confirm(change_id)


def test_nod_4_a_validator_is_of_an_admitted_participant_with_the_role(registry: Registry) -> None:
    with refused("NodeRegistryNotValidatorRole", WATCHDOG.lei):
        registry.propose_addition("sixth", house=WATCHDOG)
    with refused("RegistryParticipantUnknown", UNKNOWN):
        registry.contract.transact(
            FIRST.account("officer"),
            "proposeAddition",
            UNKNOWN,
            *point_of(validator_key("sixth")),
            0,
        )
    change_id = registry.propose_addition("sixth", house=SIXTH)
    registry.participants.transact(OPERATOR.operating, "suspend", SIXTH.lei)
    with refused("NodeRegistryParticipantNotAdmitted", SIXTH.lei):
        registry.confirm(change_id)
    with refused("NodeRegistryParticipantNotAdmitted", SIXTH.lei):
        registry.propose_addition("another", house=SIXTH)


def test_nod_4_a_suspension_leaves_validators_and_what_is_scheduled_to_the_council(
    registry: Registry,
) -> None:
    for label, by in (("sixth", SECOND), ("sixth again", None)):
        change_id = registry.propose_addition(label, house=SIXTH, after=10)
        registry.confirm(change_id)
        registry.participants.transact(OPERATOR.operating, "suspend", SIXTH.lei)
        if by is not None:
            registry.withdraw(change_id, by=by)
        registry.pass_block(20)
        is_validator = compressed(validator_key(label)) in registry.validators()
        assert is_validator == (by is None)
        registry.participants.transact(OPERATOR.operating, "reinstate", SIXTH.lei)


def test_nod_4_duplicates_and_unknown_keys_are_refused(registry: Registry) -> None:
    registry.chain.now += 1
    fifth, sixth = (hexed(validator_key(label).address) for label in ("fifth", "sixth"))
    with refused("NodeRegistryValidatorExists", fifth):
        registry.propose_addition("fifth", house=SIXTH)
    with refused("NodeRegistryValidatorUnknown", sixth):
        registry.propose_removal("sixth")
    rivals = [registry.propose_addition("sixth", house=SIXTH) for _ in range(3)]
    removals = [registry.propose_removal("fifth") for _ in range(3)]
    registry.chain.now -= 1  # so that nothing is due yet
    registry.confirm(rivals[0])
    registry.confirm(removals[0])
    for change_id, address, scheduled in (
        (rivals[1], sixth, rivals[0]),
        (removals[1], fifth, removals[0]),
    ):
        with refused("NodeRegistryChangeScheduled", address, scheduled):
            registry.confirm(change_id)
    with refused("NodeRegistryChangeScheduled", sixth, rivals[0]):
        registry.propose_addition("sixth", house=SIXTH)
    with refused("NodeRegistryChangeScheduled", fifth, removals[0]):
        registry.propose_removal("fifth")
    registry.chain.now += 1
    registry.pass_block()
    registry.pass_block()
    assert registry.validators() == keys(*HOUSES[:4], SIXTH)
    with refused("NodeRegistryValidatorExists", sixth):
        registry.confirm(rivals[2])
    with refused("NodeRegistryValidatorUnknown", fifth):
        registry.confirm(removals[2])


def test_nod_4_a_validator_that_left_may_come_back(registry: Registry) -> None:
    registry.confirm(registry.propose_removal("second"))
    registry.pass_block()
    registry.confirm(registry.propose_addition("second", house=SECOND))
    registry.pass_block()
    first, second, *others = HOUSES[:5]
    assert registry.validators() == keys(first, *others, second)
    assert registry.contract.read("version") == 2


def test_nod_5_a_proposal_is_withdrawn_by_its_proposer_only(registry: Registry) -> None:
    change_id = registry.propose_removal("fifth")
    with refused("NodeRegistryNotParty", change_id, SECOND.lei):
        registry.withdraw(change_id, by=SECOND)
    assert registry.withdraw(change_id).names == ["ChangeWithdrawn"]
    assert registry.state_of(change_id) == WITHDRAWN
    for act in (registry.confirm, registry.withdraw):
        with refused("NodeRegistryUnexpectedState", change_id, WITHDRAWN):
            act(change_id)
    for act in (registry.confirm, registry.withdraw):
        with refused("NodeRegistryUnexpectedState", 99, 0):
            act(99)


@pytest.mark.parametrize("by", [FIRST, SECOND])
def test_nod_5_a_scheduled_change_is_withdrawn_by_either_party(
    registry: Registry, by: Institution
) -> None:
    late = registry.propose_addition("sixth", house=SIXTH, after=90)
    early = registry.propose_removal("fifth", after=60)
    registry.confirm(late)
    registry.confirm(early)
    with refused("NodeRegistryNotParty", early, WATCHDOG.lei):
        registry.withdraw(early, by=WATCHDOG)
    registry.withdraw(early, by=by)
    assert registry.contract.read("nextEffectiveAt") == registry.chain.now + 90
    registry.pass_block(60)
    assert registry.validators() == keys(*HOUSES[:5])
    registry.withdraw(late, by=by)
    assert registry.contract.read("nextEffectiveAt") == NOTHING_SCHEDULED
    assert list(registry.contract.read("scheduledChanges")) == []
    assert registry.propose_removal("fifth") == 3


def test_nod_6_fewer_than_four_are_refused_counting_what_is_scheduled(registry: Registry) -> None:
    registry.confirm(registry.propose_removal("fifth", after=60))
    second = registry.propose_removal("fourth", after=90)
    with refused("NodeRegistryTooFewValidators", 4):
        registry.confirm(second)
    registry.confirm(registry.propose_addition("sixth", house=SIXTH, after=91))
    with refused("NodeRegistryTooFewValidators", 4):
        registry.confirm(second)
    registry.confirm(registry.propose_addition("seventh", house=SIXTH, after=90))
    with refused("NodeRegistryTooFewValidators", 4):
        registry.confirm(second)  # due at the same time, but proposed before
    third = registry.propose_removal("third", after=90)
    registry.confirm(third)
    registry.pass_block(91)
    for _ in range(3):
        assert len(registry.validators()) >= 4
        registry.pass_block()
    assert registry.contract.read("validatorCount") == 5


def test_nod_6_a_development_network_may_go_down_to_one() -> None:
    registry = open_registry(3, development=True)
    for label in ("first", "second"):
        registry.confirm(registry.propose_removal(label))
        registry.pass_block()
    last = registry.propose_removal("third")
    with refused("NodeRegistryTooFewValidators", 1):
        registry.confirm(last)
    assert registry.validators() == keys(THIRD)


def test_nod_6_a_due_removal_that_would_leave_too_few_is_dropped() -> None:
    registry = open_registry(4)
    addition = registry.propose_addition("sixth", house=SIXTH, after=60)
    registry.confirm(addition)
    removal = registry.propose_removal("first", after=61)
    registry.confirm(removal)
    registry.withdraw(addition)
    registry.pass_block(61)
    assert registry.state_of(removal) == DROPPED
    assert registry.validators() == keys(*HOUSES[:4])
    assert registry.contract.read("version") == 0
    assert registry.contract.read("nextEffectiveAt") == NOTHING_SCHEDULED


# Applying


def test_nod_7_only_the_system_address_applies(registry: Registry) -> None:
    registry.confirm(registry.propose_removal("fifth", after=60))
    registry.chain.now += 60
    for sender in (FIRST.operating, OPERATOR.operating, key_of("stranger")):
        with refused("NodeRegistryCallerNotSystem", hexed(sender.address)):
            registry.contract.transact(sender, "applyDueChange")


def test_nod_7_one_change_a_block_in_the_order_of_time_then_proposal(registry: Registry) -> None:
    late = registry.propose_addition("late", house=SIXTH, after=61)
    same = [registry.propose_addition(f"same {n}", house=SIXTH, after=60) for n in range(2)]
    for change_id in (late, *reversed(same)):
        registry.confirm(change_id)
    registry.pass_block(59)
    assert registry.validators() == keys(*HOUSES[:5])
    assert registry.contract.read("nextEffectiveAt") == registry.chain.now + 1
    registry.chain.now += 2
    expected = keys(*HOUSES[:5])
    for number, label in enumerate(("same 0", "same 1", "late")):
        registry.pass_block()
        expected.append(compressed(validator_key(label)))
        assert registry.validators() == expected
        assert registry.contract.read("version") == number + 1
    assert registry.contract.read("nextEffectiveAt") == NOTHING_SCHEDULED
    registry.pass_block(3600)
    assert registry.validators() == expected


def test_nod_7_a_call_before_anything_is_due_does_nothing(registry: Registry) -> None:
    registry.confirm(registry.propose_removal("fifth", after=60))
    before = registry.contract.read("scheduledChanges")
    data = registry.contract.encode("applyDueChange")
    assert registry.chain.call(SYSTEM_ADDRESS, registry.contract.address, data) == b""
    assert registry.contract.read("scheduledChanges") == before


def test_nod_8_what_is_scheduled_and_how_many_validate_is_bounded(registry: Registry) -> None:
    for number in range(SCHEDULED_MAX):
        registry.confirm(registry.propose_addition(f"many {number}", house=SIXTH, after=60))
    over = registry.propose_addition("over", house=SIXTH, after=60)
    with refused("NodeRegistryTooManyChanges", SCHEDULED_MAX):
        registry.confirm(over)
    registry.pass_block(60)
    registry.confirm(over)
    for _ in range(SCHEDULED_MAX):
        registry.pass_block()
    assert registry.contract.read("validatorCount") == 5 + SCHEDULED_MAX + 1
    for number in range(100 - 5 - SCHEDULED_MAX - 1):
        registry.confirm(registry.propose_addition(f"more {number}", house=SIXTH))
    excess = registry.propose_addition("excess", house=SIXTH)
    assert registry.contract.read("validatorCount") == 100
    with refused("NodeRegistryTooManyValidators", 100):
        registry.confirm(excess)
    registry.confirm(registry.propose_removal("first"))
    registry.pass_block()
    assert registry.validators()[0] == compressed(validator_key("second"))
    assert registry.contract.read("validatorCount") == 99


def test_the_slots_that_nodes_read_are_whole_and_where_the_layout_has_them() -> None:
    layout = contracts.load("NodeRegistry").storage_layout["storage"]
    by_label = {entry["label"]: entry for entry in layout}
    slots = [int(entry["slot"]) for entry in layout]
    for label, slot in (
        ("_nextEffectiveAt", contracts.NODE_REGISTRY_SCHEDULE_SLOT),
        ("_version", contracts.NODE_REGISTRY_VERSION_SLOT),
    ):
        assert int(by_label[label]["slot"]) == slot
        assert slots.count(slot) == 1
        assert by_label[label]["type"] == "t_uint256"
