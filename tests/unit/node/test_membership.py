"""What consensus is told of NodeRegistry: the keys that validate, their differences, who may connect.

Cites docs/spec/node.md: N-138, N-139.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from eth_abi.abi import encode as encode_abi

import contracts
from node.engine import GenesisAccount, PyEvmEngine
from node.membership import VALIDATOR_POWER, Membership, ValidatorKey, ValidatorUpdate
from node.primitives import Address, Hash32
from node.store import MemoryState
from support.core import open_core, suspension_of
from support.settlement_network import GENESIS_TIME, OPERATOR
from support.transactions import Key, block_env
from support.validator_network import (
    HOUSES,
    Registry,
    compressed,
    node_id_of,
    open_registry,
    validator_key,
    validator_network_file,
)

NODE_REGISTRY: Final = Address(contracts.NODE_REGISTRY_ADDRESS)
ENV: Final = block_env()
SIXTH: Final = HOUSES[5]
HOUSE_KEYS: Final = [validator_key(house.name) for house in HOUSES]


@pytest.fixture
def registry() -> Registry:
    return open_registry()


def described(key: Key) -> ValidatorKey:
    return ValidatorKey(compressed(key), key.address)


def joining(key: Key) -> ValidatorUpdate:
    return ValidatorUpdate(compressed(key), VALIDATOR_POWER)


def leaving(key: Key) -> ValidatorUpdate:
    return ValidatorUpdate(compressed(key), 0)


def updates_since(registry: Registry, parent_root: Hash32) -> tuple[ValidatorUpdate, ...]:
    membership = Membership(registry.chain.engine)
    return membership.validator_updates(ENV, parent_root=parent_root, root=registry.chain.root)


def test_the_validators_are_those_of_the_contract_in_its_order(registry: Registry) -> None:
    """N-138."""
    membership = Membership(registry.chain.engine)
    expected = tuple(described(key) for key in HOUSE_KEYS[:5])
    assert membership.validators(ENV, registry.chain.root) == expected


def test_an_update_is_what_one_block_changed(registry: Registry) -> None:
    """N-138."""
    registry.confirm(registry.propose_addition("sixth", house=SIXTH, after=10))
    registry.confirm(registry.propose_removal("first", after=10))
    registry.chain.now += 10
    found = []
    for _ in range(3):
        parent_root = registry.chain.root
        registry.pass_block()
        found.append(updates_since(registry, parent_root))
    assert found == [(joining(HOUSE_KEYS[5]),), (leaving(HOUSE_KEYS[0]),), ()]


def test_updates_over_several_blocks_come_to_the_difference(registry: Registry) -> None:
    """N-138. A key that left and came back is no update."""
    genesis_root = registry.chain.root
    registry.confirm(registry.propose_removal("second"))
    registry.pass_block()
    assert updates_since(registry, genesis_root) == (leaving(HOUSE_KEYS[1]),)
    registry.confirm(registry.propose_addition("second", house=HOUSES[1]))
    registry.pass_block()
    assert updates_since(registry, genesis_root) == ()
    registry.confirm(registry.propose_removal("third"))
    registry.confirm(registry.propose_addition("sixth", house=SIXTH))
    registry.pass_block()
    expected = (leaving(HOUSE_KEYS[2]), joining(HOUSE_KEYS[5]))
    assert updates_since(registry, genesis_root) == expected
    there_and_back = Membership(registry.chain.engine).validator_updates(
        ENV, parent_root=registry.chain.root, root=genesis_root
    )
    assert there_and_back == (leaving(HOUSE_KEYS[5]), joining(HOUSE_KEYS[2]))


def test_the_first_validator_of_a_network_without_any_joins() -> None:
    """N-138."""
    registry = open_registry(0)
    assert Membership(registry.chain.engine).validators(ENV, registry.chain.root) == ()
    genesis_root = registry.chain.root
    registry.confirm(registry.propose_addition("first"))
    registry.pass_block()
    assert updates_since(registry, genesis_root) == (joining(HOUSE_KEYS[0]),)


def test_a_node_may_connect_while_the_registry_says_so(registry: Registry) -> None:
    """N-139."""
    membership = Membership(registry.chain.engine)
    root = registry.chain.root
    assert membership.may_connect(node_id_of("second"), ENV, root)
    assert not membership.may_connect(node_id_of("stranger"), ENV, root)
    for malformed in (b"", node_id_of("second")[:19], node_id_of("second") + b"\0"):
        assert not membership.may_connect(malformed, ENV, root)
    registry.contract.transact(OPERATOR.operating, "revokeNode", node_id_of("second"))
    assert not membership.may_connect(node_id_of("second"), ENV, registry.chain.root)
    registry.participants.transact(OPERATOR.operating, "suspend", HOUSES[0].lei)
    assert not membership.may_connect(node_id_of("first"), ENV, registry.chain.root)
    assert membership.may_connect(node_id_of("third"), ENV, registry.chain.root)
    assert membership.may_connect(node_id_of("second"), ENV, root)


def test_a_scheduled_suspension_cuts_a_node_off_at_its_second_without_a_block(
    tmp_path: Path,
) -> None:
    """N-139. A chain on which nothing happens."""
    core = open_core(tmp_path / "chain", validator_network_file())
    due = GENESIS_TIME + 100
    core.send(suspension_of(HOUSES[0], effective_at=due))
    for seconds, may_connect in ((due - 1, True), (due, False)):
        core.clock.seconds = seconds
        assert core.application.may_connect(node_id_of("first")) is may_connect
    core.store.close()


def test_without_a_registry_nobody_validates_or_connects() -> None:
    """N-139."""
    chain = Answering()
    root = chain.state(None, version=0)
    assert chain.membership.validators(ENV, root) == ()
    assert not chain.membership.may_connect(node_id_of("second"), ENV, root)


# What an upgraded registry might answer


@dataclass
class Answering:
    """States whose registry answers every question with given bytes."""

    def __post_init__(self) -> None:
        self.engine = PyEvmEngine(MemoryState())
        self.membership = Membership(self.engine)

    def state(self, answer: bytes | None, *, version: int, ending: str = "f3") -> Hash32:
        # CODECOPY of what stands behind these 13 bytes, then RETURN or REVERT.
        size = len(answer or b"")
        head = bytes.fromhex(f"61{size:04x}80600d5f395f{ending}000000")
        account = GenesisAccount(
            nonce=1,
            code=b"" if answer is None else head[:13] + answer,
            storage={contracts.NODE_REGISTRY_VERSION_SLOT: version} if version else {},
        )
        loaded = self.engine.load_genesis({NODE_REGISTRY: account})
        self.engine.commit(loaded.handle)
        return loaded.state_root

    def updates(self, parent_root: Hash32, root: Hash32) -> tuple[ValidatorUpdate, ...]:
        return self.membership.validator_updates(ENV, parent_root=parent_root, root=root)


def answer_of(*public_keys: bytes) -> bytes:
    entries: list[Any] = [(bytes(20), bytes(20), public_key) for public_key in public_keys]
    return encode_abi(["(address,bytes20,bytes)[]"], [entries])


ONE, TWO, THREE = (compressed(key) for key in HOUSE_KEYS[:3])


def test_keys_that_consensus_cannot_bear_are_left_out() -> None:
    """N-138."""
    chain = Answering()
    odd = [ONE[:32], ONE + b"\0", b"\x04" + ONE[1:], b"\x02" + bytes(31) + b"\x05", b""]
    before = chain.state(answer_of(ONE, TWO), version=1)
    after = chain.state(answer_of(TWO, *odd, THREE, THREE, TWO), version=2)
    keys = [each.public_key for each in chain.membership.validators(ENV, after)]
    assert keys == [TWO, THREE]
    found = [(each.public_key, each.power) for each in chain.updates(before, after)]
    assert found == [(ONE, 0), (THREE, VALIDATOR_POWER)]


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        pytest.param(b"", "f3", id="nothing"),
        pytest.param(b"\xff" * 64, "f3", id="no list"),
        pytest.param(answer_of(ONE, TWO)[:-32], "f3", id="cut off"),
        pytest.param(answer_of(ONE, TWO), "fd", id="reverts"),
        pytest.param(answer_of(), "f3", id="none is left"),
        pytest.param(answer_of(ONE[:5]), "f3", id="none is usable"),
    ],
)
def test_an_answer_that_cannot_be_read_changes_nothing(answer: bytes, ending: str) -> None:
    """N-138."""
    chain = Answering()
    intact = chain.state(answer_of(ONE, TWO), version=1)
    spoilt = chain.state(answer, version=2, ending=ending)
    assert chain.membership.validators(ENV, spoilt) == ()
    assert chain.updates(intact, spoilt) == ()


def test_after_an_answer_that_could_not_be_read_nothing_is_guessed() -> None:
    """N-138."""
    chain = Answering()
    spoilt = chain.state(b"\xff" * 64, version=1)
    assert chain.updates(spoilt, chain.state(answer_of(ONE), version=2)) == ()


def test_equal_versions_are_not_asked_any_further() -> None:
    """N-138."""
    chain = Answering()
    before = chain.state(answer_of(ONE, TWO), version=1)
    after = chain.state(answer_of(ONE, THREE), version=1)
    assert chain.updates(before, after) == ()
