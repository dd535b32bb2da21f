"""Who may transact: answered by ParticipantRegistry's own code, run in the EVM.

The verdict on (sender, target) is taken on the **parent** block's state at the next block's time, so
every node reaches the same one, and proposal, validation and execution ask the same question. The
registry answers `transactionAllowedUntil(sender, target) -> (allowed, valid_until)`; a verdict is
remembered under (registry storage root, implementation code hash, sender, target) for the times from
when it was asked to `valid_until`, so it stays warm over ordinary blocks, which leave the registry
alone, and dies with any change of the registry's storage or code. At an earlier time it is asked
anew: a node that was asked about a later time before must not answer otherwise than one that was
not. The answer may depend on nothing but the registry's storage and time (IParticipantRegistry).

Only the creation of contracts depends on the target (the zero address): an admitted sender may call
any contract, so every other target shares one verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Final

import contracts
from node.engine import BlockEnv, Call, CallStatus, Engine
from node.errors import SenderNotPermitted
from node.primitives import ZERO_ADDRESS, Address, Hash32, keccak
from node.transaction import CheckedTransaction

VERDICTS_MAX: Final = 16_384
"""Verdicts remembered; past it the oldest is forgotten."""

IMPLEMENTATION_SLOT: Final = int.from_bytes(keccak(b"eip1967.proxy.implementation"), "big") - 1
"""Where an ERC-1967 proxy keeps its implementation's address."""

_REGISTRY: Final = Address(contracts.REGISTRY_ADDRESS)
_ANY_TARGET: Final = _REGISTRY
_SELECTOR: Final = keccak(b"transactionAllowedUntil(address,address)")[:4]


RegistryKey = tuple[Hash32, Hash32]
"""Storage root and implementation code hash: what a verdict depends on besides the question."""


@dataclass(frozen=True, slots=True)
class ParentState:
    """The state that verdicts are taken on, and the block they are taken for.

    `env` is that of the next block; `root` its parent's state root.
    """

    env: BlockEnv
    root: Hash32


@dataclass(frozen=True, slots=True)
class _Verdict:
    is_allowed: bool
    asked_at: int
    valid_until: int

    def holds_at(self, timestamp: int) -> bool:
        return self.asked_at <= timestamp <= self.valid_until


class Permissions:
    """Verdicts on senders, remembered while the registry stays as it is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._verdicts: dict[tuple[Hash32, Hash32, Address, Address], _Verdict] = {}
        self._lock = Lock()
        self._registry: tuple[Hash32, RegistryKey] | None = None

    def check(self, transaction: CheckedTransaction, parent: ParentState) -> None:
        """Raises `SenderNotPermitted` where the registry does not admit the sender for the target."""
        target = transaction.transaction.to
        if not self.is_allowed(transaction.sender, target, parent):
            raise SenderNotPermitted(transaction.sender, target or ZERO_ADDRESS)

    def is_allowed(self, sender: Address, target: Address | None, parent: ParentState) -> bool:
        """Whether `sender` may transact with `target` (None: create a contract)."""
        question = ZERO_ADDRESS if target is None else _ANY_TARGET
        key = (*self._registry_at(parent.root), sender, question)
        verdict = self._verdicts.get(key)
        if verdict is None or not verdict.holds_at(parent.env.timestamp):
            verdict = self._ask(sender, question, parent)
            with self._lock:
                if len(self._verdicts) >= VERDICTS_MAX:
                    del self._verdicts[next(iter(self._verdicts))]
                self._verdicts[key] = verdict
        return verdict.is_allowed

    def _registry_at(self, root: Hash32) -> RegistryKey:
        """The registry's storage root and implementation code hash, remembered for one state."""
        remembered = self._registry
        if remembered is not None and remembered[0] == root:
            return remembered[1]
        storage_root = self._engine.account(root, _REGISTRY).storage_root
        slot = self._engine.storage(root, _REGISTRY, IMPLEMENTATION_SLOT)
        implementation = Address(slot.to_bytes(32, "big")[12:])
        key = (storage_root, self._engine.account(root, implementation).code_hash)
        self._registry = (root, key)
        return key

    def _ask(self, sender: Address, target: Address, parent: ParentState) -> _Verdict:
        question = _SELECTOR + sender.rjust(32, b"\0") + target.rjust(32, b"\0")
        call = Call(sender=ZERO_ADDRESS, to=_REGISTRY, data=question)
        outcome = self._engine.call(parent.env, parent.root, call)
        now = parent.env.timestamp
        if outcome.status is not CallStatus.SUCCEEDED or len(outcome.data) != 64:
            return _Verdict(is_allowed=False, asked_at=now, valid_until=now)
        return _Verdict(
            is_allowed=int.from_bytes(outcome.data[:32], "big") == 1,
            asked_at=now,
            valid_until=int.from_bytes(outcome.data[32:], "big"),
        )
