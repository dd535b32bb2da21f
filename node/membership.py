"""Who belongs to the network between nodes: answered by NodeRegistry's own code, run in the EVM.

Pure reads of one state, for who drives an engine of consensus: which keys validate, how that differs between two
states, and whether a node may connect. The contract applies at most one change a block (N-136), so the difference of
two successive states is empty or one key.

The registry's code may be upgraded, and what leaves here can stop the consensus of every node. So answers are held to
what the engine of consensus can bear: a key that is malformed, off the curve or there twice is left out; an answer that
cannot be read, or that names no validator at all, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError

import contracts
from node.engine import BlockEnv, Call, CallStatus, Engine, Handle, PyEvmEngine
from node.genesis import Genesis
from node.primitives import (
    ZERO_ADDRESS,
    Address,
    Hash32,
    address_of_public_key,
    decompress_public_key,
    keccak,
)
from node.signed_header import Validator, ValidatorSet
from node.store import MemoryState

VALIDATOR_POWER: Final = 10
"""Voting power of every validator."""

NODE_ID_BYTES: Final = 20

_NODE_REGISTRY: Final = Address(contracts.NODE_REGISTRY_ADDRESS)
_VALIDATORS: Final = keccak(b"validators()")[:4]
_VALIDATORS_TYPE: Final = "(address,bytes20,bytes)[]"
_CONNECTION_ALLOWED: Final = keccak(b"connectionAllowed(bytes20)")[:4]


@dataclass(frozen=True, slots=True)
class ValidatorKey:
    """A key that validates."""

    public_key: bytes
    """Compressed secp256k1, 33 bytes."""
    address: Address


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """A key whose power changes: `VALIDATOR_POWER` where it joins, 0 where it leaves."""

    public_key: bytes
    power: int


class Membership:
    """NodeRegistry's answers on given states. `env` is that of the block the state is asked in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def validators(self, env: BlockEnv, root: Hash32) -> tuple[ValidatorKey, ...]:
        """The validators in the order of their addition; empty where the registry has none or none is there."""
        return self._validators(env, root) or ()

    def validator_updates(
        self, env: BlockEnv, *, parent_root: Hash32, root: Hash32, handle: Handle | None = None
    ) -> tuple[ValidatorUpdate, ...]:
        """What turns the validators of `parent_root` into those of `root`: first who leaves, then who joins.

        `handle` is that of the second state where it is not committed yet.
        """
        upon = self if handle is None else Membership(self._engine.upon(handle))
        if self._version(parent_root) == upon._version(root):  # noqa: SLF001 - of its own kind
            return ()
        before, after = self._validators(env, parent_root), upon._validators(env, root)  # noqa: SLF001 - the same
        if before is None or not after:
            return ()
        keys_before = [each.public_key for each in before]
        keys_after = [each.public_key for each in after]
        left = [ValidatorUpdate(key, 0) for key in keys_before if key not in keys_after]
        joined = [
            ValidatorUpdate(key, VALIDATOR_POWER) for key in keys_after if key not in keys_before
        ]
        return (*left, *joined)

    def may_connect(self, node_id: bytes, env: BlockEnv, root: Hash32) -> bool:
        """Whether the registry lets the node with this id connect; false without a registry."""
        if len(node_id) != NODE_ID_BYTES:
            return False
        answer = self._ask(env, root, _CONNECTION_ALLOWED + node_id.ljust(32, b"\0"))
        return answer is not None and len(answer) == 32 and int.from_bytes(answer, "big") == 1

    def _version(self, root: Hash32) -> int:
        return self._engine.storage(root, _NODE_REGISTRY, contracts.NODE_REGISTRY_VERSION_SLOT)

    def _validators(self, env: BlockEnv, root: Hash32) -> tuple[ValidatorKey, ...] | None:
        """The usable keys; None where the answer cannot be read."""
        answer = self._ask(env, root, _VALIDATORS)
        if answer is None:
            return None
        try:
            ((*entries,),) = decode_abi([_VALIDATORS_TYPE], answer)
        except (DecodingError, OverflowError):
            return None
        keys = dict.fromkeys(public_key for _, _, public_key in entries)
        found = (_key_of(public_key) for public_key in keys)
        return tuple(key for key in found if key is not None)

    def _ask(self, env: BlockEnv, root: Hash32, question: bytes) -> bytes | None:
        call = Call(sender=ZERO_ADDRESS, to=_NODE_REGISTRY, data=question)
        outcome = self._engine.call(env, root, call)
        return outcome.data if outcome.status is CallStatus.SUCCEEDED else None


def validator_set(public_keys: Iterable[bytes]) -> ValidatorSet:
    """The set of these keys as consensus has it, all of one power."""
    return ValidatorSet.of(Validator(key, VALIDATOR_POWER) for key in public_keys)


def first_validators(made: Genesis) -> tuple[ValidatorKey, ...]:
    """The validators that a chain begins with, from its genesis file alone: no store is needed."""
    places = (contracts.NODE_REGISTRY_ADDRESS, contracts.NODE_REGISTRY_IMPLEMENTATION_ADDRESS)
    registry = {Address(each): made.alloc[Address(each)] for each in places if each in made.alloc}
    engine = PyEvmEngine(MemoryState())
    loaded = engine.load_genesis(registry)
    engine.commit(loaded.handle)
    specification = made.specification
    env = BlockEnv(
        chain_id=specification.chain_id,
        number=1,
        timestamp=made.header.timestamp,
        rules=specification.rules_at(1),
        ancestor_hashes=(made.header.hash,),
    )
    return Membership(engine).validators(env, loaded.state_root)


def _key_of(public_key: bytes) -> ValidatorKey | None:
    try:
        point = decompress_public_key(public_key)
    except ValueError:
        return None
    return ValidatorKey(public_key, address_of_public_key(point))
