"""ParticipantRegistry as docs/spec/settlement.md requires it (REG)."""

from typing import Any

import pytest

from node.primitives import keccak
from support.chain_harness import key_of, open_chain, refused
from support.settlement_network import (
    ALPHA,
    BETA,
    EUROSYSTEM,
    GENESIS_TIME,
    INSTITUTIONS,
    MAKER,
    OPERATOR,
    Institution,
    Street,
    lei_of,
    network_file,
)
from support.transactions import Key

STRANGER = key_of("stranger")
NEWCOMER = Institution("gamma", "GAMMFRPP", "FR", ("bank",), ("settlement", "operating"))
NONE, SETTLEMENT, OPERATING, QUOTING, ATTESTING = range(5)
OFFICER = 5
PROPOSED, ADMITTED, SUSPENDED, EXITED = 1, 2, 3, 4
NO_ACCOUNT = "0x" + bytes(20).hex()
UNTIL_THE_END_OF_TIME = 2**64 - 1


def padded(bic: str) -> bytes:
    return bic.encode().ljust(11, b"\0")


def admission(
    institution: Institution = NEWCOMER,
    *,
    lei: bytes | None = None,
    bic: bytes | None = None,
    accounts: list[tuple[bytes, bytes, int]] | None = None,
    central_bank: bytes = EUROSYSTEM.lei,
) -> tuple[Any, ...]:
    own = [(institution.reference(), institution.settlement.address, SETTLEMENT)]
    return (
        institution.lei if lei is None else lei,
        padded(institution.bic) if bic is None else bic,
        institution.country.encode(),
        1,
        keccak(b"sealing"),
        keccak(b"signing"),
        "http://gamma.example",
        own if accounts is None else accounts,
        central_bank,
    )


def test_genesis_admits_the_participants_of_the_network_file(street: Street) -> None:
    registry = street.registry
    assert registry.read("participantCount") == len(INSTITUTIONS)
    for index, institution in enumerate(INSTITUTIONS):
        entry = registry.read("participantAt", index)
        assert entry == registry.read("participant", institution.lei)
        assert entry[:4] == (
            institution.lei,
            padded(institution.bic),
            institution.country.encode(),
            ADMITTED,
        )
        assert registry.read("participantOfBic", padded(institution.bic)) == institution.lei
        references = [institution.reference(kind) for kind in institution.kinds]
        assert list(registry.read("accountReferencesOf", institution.lei)) == references


def test_a_reference_and_its_account_name_each_other(street: Street) -> None:
    address = "0x" + ALPHA.settlement.address.hex()
    registry = street.registry
    assert registry.read("accountOf", ALPHA.reference()) == (ALPHA.lei, address, SETTLEMENT)
    assert registry.read("accountReferenceOf", address) == ALPHA.reference()
    assert registry.read("participantOf", address) == ALPHA.lei
    assert registry.read("kindOf", address) == SETTLEMENT
    assert registry.read("isAdmitted", address)


def test_what_the_registry_does_not_know_answers_as_nothing(street: Street) -> None:
    registry = street.registry
    assert registry.read("kindOf", STRANGER.address) == NONE
    assert registry.read("participantOf", STRANGER.address) == bytes(20)
    assert not registry.read("isAdmitted", STRANGER.address)
    assert registry.read("accountOf", keccak(b"nobody"))[2] == NONE
    assert registry.read("participantOfBic", padded("NOBODEFF")) == bytes(20)
    with refused("RegistryParticipantUnknown", NEWCOMER.lei):
        registry.read("participant", NEWCOMER.lei)
    assert registry.read("statusOf", NEWCOMER.lei) == NONE
    assert registry.read("partyOf", keccak(b"nobody")) == (bytes(20), NO_ACCOUNT, NONE, False, 0)
    assert registry.read("officerOf", STRANGER.address) == bytes(20)


@pytest.mark.parametrize(
    "lei",
    [
        pytest.param(bytes(20), id="nothing"),
        pytest.param(NEWCOMER.lei[:19] + b"\0", id="short"),
        pytest.param(lei_of("GAMMA0000000000000").lower(), id="small letters"),
        pytest.param(b"GAMMA0000000000000XX", id="letters for check digits"),
        pytest.param(
            NEWCOMER.lei[:18] + f"{(int(NEWCOMER.lei[18:]) + 1) % 97:02d}".encode(), id="check"
        ),
    ],
)
def test_reg_1_a_lei_with_wrong_shape_or_check_digits_is_refused(
    street: Street, lei: bytes
) -> None:
    with refused("RegistryInvalidLei", lei):
        street.registry.transact(OPERATOR.operating, "admit", admission(lei=lei))


@pytest.mark.parametrize(
    "bic",
    ["", "GAMMFRP", "GAMMFRPPX", "gammfrpp", "GAMMF1PP", "GAMM-RPP", "GAMMFRPPXX"],
)
def test_reg_2_a_bic_of_another_shape_is_refused(street: Street, bic: str) -> None:
    with refused("RegistryInvalidBic", padded(bic)):
        street.registry.transact(OPERATOR.operating, "admit", admission(bic=padded(bic)))


def test_reg_2_a_bic_names_one_participant(street: Street) -> None:
    with refused("RegistryBicTaken", padded(ALPHA.bic)):
        street.registry.transact(OPERATOR.operating, "admit", admission(bic=padded(ALPHA.bic)))


def test_reg_3_a_lei_is_admitted_once(street: Street) -> None:
    with refused("RegistryParticipantExists", ALPHA.lei):
        street.registry.transact(OPERATOR.operating, "admit", admission(lei=ALPHA.lei))


def test_an_admission_is_recorded_with_its_keys_and_accounts(street: Street) -> None:
    receipt = street.registry.transact(OPERATOR.operating, "admit", admission())
    assert receipt.names == [
        "ParticipantAdmitted",
        "EndpointChanged",
        "KeysRotated",
        "AccountAdded",
    ]
    assert street.registry.read("participantCount") == len(INSTITUTIONS) + 1
    assert street.registry.read("isAdmitted", NEWCOMER.settlement.address)


FRESH = NEWCOMER.settlement.address


@pytest.mark.parametrize(
    ("account", "error"),
    [
        ((bytes(32), FRESH, SETTLEMENT), "RegistryInvalidAccount"),
        ((keccak(b"fresh"), bytes(20), SETTLEMENT), "RegistryInvalidAccount"),
        ((keccak(b"fresh"), FRESH, NONE), "RegistryInvalidAccount"),
        ((ALPHA.reference(), FRESH, SETTLEMENT), "RegistryAccountReferenceTaken"),
        ((keccak(b"fresh"), ALPHA.settlement.address, OPERATING), "RegistryAccountTaken"),
        ((keccak(b"fresh"), BETA.settlement.address, SETTLEMENT), "RegistryAccountTaken"),
    ],
)
def test_reg_4_references_and_addresses_are_used_once(
    street: Street, account: tuple[bytes, bytes, int], error: str
) -> None:
    with refused(error):
        street.registry.transact(OPERATOR.operating, "addAccount", ALPHA.lei, account)
    with refused(error):
        street.registry.transact(OPERATOR.operating, "admit", admission(accounts=[account]))


def test_reg_4_a_participant_may_have_many_accounts_of_a_kind(street: Street) -> None:
    second = (keccak(b"second"), key_of("second").address, SETTLEMENT)
    receipt = street.registry.transact(OPERATOR.operating, "addAccount", ALPHA.lei, second)
    assert receipt.names == ["AccountAdded"]
    assert street.registry.read("kindOf", key_of("second").address) == SETTLEMENT
    with refused("RegistryParticipantUnknown", NEWCOMER.lei):
        street.registry.transact(OPERATOR.operating, "addAccount", NEWCOMER.lei, second)


def test_reg_5_a_suspension_holds_until_reinstatement(street: Street) -> None:
    registry = street.registry
    with refused("RegistryUnexpectedStatus", ALPHA.lei, ADMITTED):
        registry.transact(OPERATOR.operating, "reinstate", ALPHA.lei)
    assert registry.transact(OPERATOR.operating, "suspend", ALPHA.lei).names == [
        "ParticipantSuspended"
    ]
    assert registry.read("participant", ALPHA.lei)[3] == SUSPENDED
    assert not registry.read("isAdmitted", ALPHA.settlement.address)
    with refused("RegistryUnexpectedStatus", ALPHA.lei, SUSPENDED):
        registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    street.pass_time(1)
    assert registry.transact(OPERATOR.operating, "reinstate", ALPHA.lei).names == [
        "ParticipantReinstated"
    ]
    assert registry.read("isAdmitted", ALPHA.settlement.address)
    with refused("RegistryParticipantUnknown", NEWCOMER.lei):
        registry.transact(OPERATOR.operating, "suspend", NEWCOMER.lei)


def test_reg_6_keys_rotate_with_history(street: Street) -> None:
    first = street.registry.read("keysAt", ALPHA.lei, 0)
    street.pass_time(60)
    street.registry.transact(
        OPERATOR.operating, "rotateKeys", ALPHA.lei, keccak(b"new 1"), keccak(b"new 2")
    )
    assert street.registry.read("keyVersionCount", ALPHA.lei) == 2
    assert street.registry.read("keysAt", ALPHA.lei, 0) == first
    assert first[2] == GENESIS_TIME
    newest = (keccak(b"new 1"), keccak(b"new 2"), GENESIS_TIME + 60)
    assert street.registry.read("keysAt", ALPHA.lei, 1) == newest
    assert street.registry.read("participant", ALPHA.lei)[5:7] == newest[:2]


def test_an_endpoint_changes_with_an_event(street: Street) -> None:
    receipt = street.registry.transact(
        OPERATOR.operating, "setEndpoint", ALPHA.lei, "http://127.0.0.1:1"
    )
    assert receipt.event("EndpointChanged").arguments["endpoint"] == "http://127.0.0.1:1"
    assert street.registry.read("participant", ALPHA.lei)[7] == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("exit", (BETA.lei,)),
        ("setRoles", (BETA.lei, 1, bytes(20))),
        ("closeAccount", (BETA.operating.address,)),
        ("setHonoursEarlierEntries", (True,)),
        ("admit", (admission(),)),
        ("suspend", (BETA.lei,)),
        ("reinstate", (BETA.lei,)),
        ("addAccount", (ALPHA.lei, (keccak(b"x"), FRESH, SETTLEMENT))),
        ("rotateKeys", (ALPHA.lei, keccak(b"1"), keccak(b"2"))),
        ("setEndpoint", (ALPHA.lei, "")),
        ("upgradeToAndCall", (FRESH, b"")),
    ],
)
def test_reg_7_only_the_authority_changes_the_registry(
    street: Street, function: str, arguments: tuple[Any, ...]
) -> None:
    for sender in (ALPHA.operating, EUROSYSTEM.account("officer"), STRANGER):
        with refused("AccessManagedUnauthorized", "0x" + sender.address.hex()):
            street.registry.transact(sender, function, *arguments)


def allowed(street: Street, sender: Key, target: bytes) -> bool:
    verdict, until = street.registry.read("transactionAllowedUntil", sender.address, target)
    assert until == UNTIL_THE_END_OF_TIME
    eea = street.registry.read("transactionAllowed", sender.address, target, 1, 2, 3, b"payload")
    assert eea == verdict
    return bool(verdict)


@pytest.mark.parametrize(
    ("sender", "may_call", "may_create"),
    [
        pytest.param(ALPHA.operating, True, False, id="operating"),
        pytest.param(MAKER.account("quoting"), True, False, id="quoting"),
        pytest.param(EUROSYSTEM.account("attesting"), True, False, id="attesting"),
        pytest.param(EUROSYSTEM.account("officer"), True, False, id="officer"),
        pytest.param(ALPHA.settlement, False, False, id="settlement"),
        pytest.param(OPERATOR.operating, True, True, id="operator"),
        pytest.param(STRANGER, False, False, id="stranger"),
    ],
)
def test_reg_8_who_may_send_a_transaction(
    street: Street, sender: Key, may_call: bool, may_create: bool
) -> None:
    assert allowed(street, sender, street.settlement.address) == may_call
    assert allowed(street, sender, STRANGER.address) == may_call
    assert allowed(street, sender, bytes(20)) == may_create


def test_reg_8_a_suspended_participant_sends_nothing(street: Street) -> None:
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    assert not allowed(street, ALPHA.operating, street.settlement.address)
    assert allowed(street, BETA.operating, street.settlement.address)
    street.registry.transact(OPERATOR.operating, "reinstate", ALPHA.lei)
    assert allowed(street, ALPHA.operating, street.settlement.address)


def test_reg_8_an_open_network_lets_anybody_send() -> None:
    street = Street(open_chain(network_file() | {"transactions_open": True}))
    assert allowed(street, STRANGER, STRANGER.address)
    assert allowed(street, STRANGER, bytes(20))


def test_roles_are_answered_whole(street: Street) -> None:
    registry = street.registry
    assert registry.read("hasRole", MAKER.lei, 4)
    assert not registry.read("hasRole", MAKER.lei, 5)
    assert not registry.read("hasRole", MAKER.lei, 0)
    assert not registry.read("hasRole", NEWCOMER.lei, 1)
