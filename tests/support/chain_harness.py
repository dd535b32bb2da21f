"""A chain without consensus, for behaviour suites: one transaction, one block, on our own engine.

`open_chain(network)` makes genesis as a node does. A `Chain` is the newest state of a network;
`fork()` gives another chain from the same state in no time, since state is hash-keyed and shared.
`Contract` binds an ABI to an address: `transact` sends a signed transaction and returns its
receipt, `read` asks. A transaction that fails raises `Reverted` with the custom error's name and
values, found by calling again on the state before. Time stands still until a test moves it.
Permissioning is the consensus application's, so any key may send here.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import pytest
from eth_abi.abi import decode, encode

import contracts
from node.config import parse_network
from node.engine import BlockEnv, Call, CallStatus, Engine, PyEvmEngine
from node.genesis import generate
from node.primitives import Address, Hash32, created_address, keccak
from node.specification import Specification
from node.store import MemoryState
from support.transactions import Draft, Key

GAS_LIMIT_DEFAULT: Final = 3_000_000
_ERROR_STRING: Final = ("Error", ("string",))
_PANIC: Final = ("Panic", ("uint256",))


class Reverted(Exception):
    """A transaction or call that the contracts refused."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        super().__init__(f"{name}{arguments}")
        self.name = name
        self.arguments = arguments


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded log."""

    address: bytes
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction that succeeded left behind."""

    gas_used: int
    events: tuple[Event, ...]

    def event(self, name: str) -> Event:
        """Return the one event of that name."""
        (found,) = [event for event in self.events if event.name == name]
        return found

    @property
    def names(self) -> list[str]:
        """Names of the events in order."""
        return [event.name for event in self.events]


def type_of(parameter: dict[str, Any]) -> str:
    """Return the canonical type of an ABI parameter, tuples written out."""
    text: str = parameter["type"]
    if not text.startswith("tuple"):
        return text
    members = ",".join(type_of(member) for member in parameter["components"])
    return f"({members}){text.removeprefix('tuple')}"


def signature_of(entry: dict[str, Any]) -> str:
    """Return `name(type,...)` of a function, event or error."""
    return f"{entry['name']}({','.join(type_of(each) for each in entry['inputs'])})"


@lru_cache(maxsize=1)
def _errors_by_selector() -> dict[bytes, tuple[str, tuple[str, ...]]]:
    found: dict[bytes, tuple[str, tuple[str, ...]]] = {
        b"\x08\xc3\x79\xa0": _ERROR_STRING,
        b"\x4e\x48\x7b\x71": _PANIC,
    }
    for name in contracts.ARTEFACT_NAMES:
        for entry in contracts.load(name).abi:
            if entry["type"] == "error":
                selector = keccak(signature_of(entry).encode())[:4]
                types = tuple(type_of(each) for each in entry["inputs"])
                found[selector] = (entry["name"], types)
    return found


@lru_cache(maxsize=1)
def _events_by_topic() -> dict[bytes, dict[str, Any]]:
    return {
        keccak(signature_of(entry).encode()): entry
        for name in contracts.ARTEFACT_NAMES
        for entry in contracts.load(name).abi
        if entry["type"] == "event"
    }


def decode_error(data: bytes) -> Reverted:
    """Return the fault behind revert data; an unknown one keeps its bytes."""
    name, types = _errors_by_selector().get(data[:4], ("unknown", ()))
    if name == "unknown":
        return Reverted(name, (data,))
    return Reverted(name, tuple(decode(types, data[4:])))


def decode_event(address: bytes, topics: list[bytes], data: bytes) -> Event:
    """Return a log with the names its ABI gives; raises KeyError for an unknown event."""
    entry = _events_by_topic()[topics[0]]
    indexed = [each for each in entry["inputs"] if each["indexed"]]
    others = [each for each in entry["inputs"] if not each["indexed"]]
    values = {
        each["name"]: decode([type_of(each)], topic)[0]
        for each, topic in zip(indexed, topics[1:], strict=True)
    }
    plain = decode([type_of(each) for each in others], data)
    values |= {each["name"]: value for each, value in zip(others, plain, strict=True)}
    return Event(address, entry["name"], values)


@cache
def key_of(label: str) -> Key:
    """Return the key that a label always gives: keys of tests are published on purpose."""
    return Key(keccak(label.encode()))


class Chain:
    """The newest state of a network; moves by one block per transaction."""

    def __init__(
        self, engine: Engine, specification: Specification, root: Hash32, now: int
    ) -> None:
        self.engine = engine
        self.specification = specification
        self.root = root
        self.now = now
        self.number = 0

    def fork(self) -> "Chain":
        """Return another chain that goes on from this state."""
        return copy(self)

    def send(self, sender: Key, to: bytes | None, data: bytes, *, gas_limit: int) -> Receipt:
        """Make a block of one transaction; raises Reverted where it failed."""
        nonce = self.engine.account(self.root, sender.address).nonce
        draft = Draft(
            chain_id=self.specification.chain_id,
            nonce=nonce,
            gas_limit=gas_limit,
            to=to,
            data=data,
        )
        raw = draft.signed_by(sender)
        executed = self.engine.execute(self._next_block(), self.root, [raw])
        assert not executed.skipped, executed.skipped
        receipt = executed.included[0].receipt
        if not receipt.succeeded:
            self.engine.discard(executed.handle)
            if to is not None:
                self.call(sender.address, to, data)
            raise Reverted("OutOfGas", (gas_limit,))
        self.engine.commit(executed.handle)
        self.root = executed.state_root
        self.number += 1
        events = [decode_event(log.address, list(log.topics), log.data) for log in receipt.logs]
        return Receipt(receipt.gas_used, tuple(events))

    def deploy(self, sender: Key, creation_code: bytes) -> bytes:
        """Create a contract and return its address."""
        nonce = self.engine.account(self.root, sender.address).nonce
        self.send(sender, None, creation_code, gas_limit=GAS_LIMIT_DEFAULT)
        return created_address(sender.address, nonce)

    def call(self, sender: bytes, to: bytes, data: bytes) -> bytes:
        """Return what a contract answers in the next block's environment; raises Reverted."""
        call = Call(sender=Address(sender), to=Address(to), data=data)
        outcome = self.engine.call(self._next_block(), self.root, call)
        if outcome.status is not CallStatus.SUCCEEDED:
            raise decode_error(outcome.data)
        return outcome.data

    def _next_block(self) -> BlockEnv:
        number = self.number + 1
        return BlockEnv(
            chain_id=self.specification.chain_id,
            number=number,
            timestamp=self.now,
            rules=self.specification.rules_at(number),
            ancestor_hashes=(keccak(self.number.to_bytes(8, "big")),),
        )


class Contract:
    """One contract's ABI at an address of a chain."""

    def __init__(self, chain: Chain, address: bytes, abi_name: str) -> None:
        self.chain = chain
        self.address = address
        self._functions = {
            entry["name"]: entry
            for entry in contracts.load(abi_name).abi
            if entry["type"] == "function"
        }

    def on(self, chain: Chain) -> "Contract":
        """Return the same contract on another chain."""
        other = copy(self)
        other.chain = chain
        return other

    def transact(
        self, sender: Key, function: str, *arguments: Any, gas_limit: int = GAS_LIMIT_DEFAULT
    ) -> Receipt:
        """Send one transaction from `sender`; raises Reverted."""
        data = self.encode(function, *arguments)
        return self.chain.send(sender, self.address, data, gas_limit=gas_limit)

    def read(self, function: str, *arguments: Any, sender: bytes = bytes(20)) -> Any:
        """Return the answer of a view function: one value, or a tuple of several; raises Reverted."""
        answer = self.chain.call(sender, self.address, self.encode(function, *arguments))
        values = decode([type_of(each) for each in self._functions[function]["outputs"]], answer)
        return values[0] if len(values) == 1 else values

    def encode(self, function: str, *arguments: Any) -> bytes:
        """Return the calldata of one call; an `effectiveAt` left out at the end is 0: at once."""
        entry = self._functions[function]
        selector = keccak(signature_of(entry).encode())[:4]
        left_out = entry["inputs"][len(arguments) :]
        given = arguments + (0,) * sum(each["name"] == "effectiveAt" for each in left_out)
        return selector + encode([type_of(each) for each in entry["inputs"]], given)


@contextmanager
def refused(name: str, *arguments: Any) -> Iterator[None]:
    """Expect the contracts to refuse with this error and, where given, exactly these values."""
    with pytest.raises(Reverted) as caught:
        yield
    fault = caught.value
    assert fault.name == name, f"refused with {fault}, expected {name}"
    assert not arguments or fault.arguments == arguments, f"{fault}, expected {arguments}"


def open_chain(network: dict[str, Any]) -> Chain:
    """Return a chain at the genesis of a network file."""
    engine = PyEvmEngine(MemoryState())
    genesis = generate(parse_network(json.dumps(network).encode()), engine)
    loaded = engine.load_genesis(genesis.alloc)
    engine.commit(loaded.handle)
    header = genesis.header
    return Chain(engine, genesis.specification, header.state_root, header.timestamp)
