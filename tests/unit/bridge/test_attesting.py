"""The attester: when it states the reserves, and what it lives through."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from bridge import chart
from bridge.centralbank.attesting import Attester
from bridge.chain import Attestation, ChainClient, Submitter, attestation_hash
from bridge.chain.client import BlockData, BlockRef
from bridge.chain.submission import Call
from bridge.errors import NodeUnavailable, NonceTaken, TransactionRefused
from bridge.store import Store
from support.bridge_api import CHAIN_ID, NOW
from support.participants import BANK_A
from support.token_books import EUR, NETWORK, OPENING, central_bank_books

HOUR = 3_600


@dataclass(slots=True)
class AttestedChain:
    """The newest statement, and the one that stood at the block the books have followed to."""

    newest: Attestation
    followed: Attestation
    chain_id: int = CHAIN_ID
    block_time: int | None = NOW - 2

    def latest_attestation(self, _: int, *, block_number: int | None = None) -> Attestation:
        return self.newest if block_number is None else self.followed

    def block(self, number: int) -> BlockData | None:
        if self.block_time is None:
            return None
        return BlockData(BlockRef(number, b"\x01" * 32, bytes(32), self.block_time), (), ())


@dataclass(slots=True)
class Wire:
    """A submitter that fails as it is told, one failure for each call, then stops the attester."""

    stop: threading.Event
    failures: Iterator[Exception] = field(default_factory=lambda: iter(()))
    calls: list[Call] = field(default_factory=list)

    def settle_outstanding(self) -> bool:
        return False

    def submit(self, call: Call) -> None:
        self.calls.append(call)
        failure = next(self.failures, None)
        if failure is not None:
            raise failure
        self.stop.set()


def attester_of(folder: Path, chain: AttestedChain, wire: Wire) -> Attester:
    """The attester of a central bank whose books have seen one block."""
    store: Store = central_bank_books(folder).institution.store
    with store.unit_of_work() as work:
        work.chain_log.advance(number=0, block_hash=b"\x01" * 32, parent_hash=bytes(32))
        assert work.ledger.balance(chart.tokens_outstanding(EUR)).ledger.minor_units == OPENING
    return Attester(
        currency=EUR,
        validity_seconds=HOUR,
        chain=cast(ChainClient, chain),
        rtgs=store,
        submitter=cast(Submitter, wire),
        signer=NETWORK[BANK_A].quoting,
        clock=lambda: NOW,
    )


STANDING = Attestation(3, NOW, NOW + HOUR, OPENING, bytes(32))


@pytest.mark.parametrize(
    ("newest", "is_due"),
    [
        (STANDING, False),
        (replace(STANDING, amount=OPENING + 1), True),
        (replace(STANDING, valid_until=NOW + HOUR // 2 - 1), True),
        (replace(STANDING, sequence=0, amount=0, valid_until=0), True),
    ],
    ids=["as it stands", "another amount", "half over", "none yet"],
)
def test_a_statement_is_made_when_it_differs_or_ages(
    tmp_path: Path, newest: Attestation, is_due: bool
) -> None:
    wire = Wire(threading.Event())
    attester = attester_of(tmp_path, AttestedChain(newest, newest), wire)
    assert attester.step() is is_due
    assert len(wire.calls) == is_due


def test_books_that_have_not_seen_a_burn_are_not_stated(tmp_path: Path) -> None:
    wire = Wire(threading.Event())
    burnt = replace(STANDING, amount=OPENING - 500)
    assert attester_of(tmp_path, AttestedChain(burnt, STANDING), wire).step() is False
    assert not wire.calls


@pytest.mark.parametrize(
    ("block_time", "as_of"), [(NOW - 2, NOW - 2), (NOW - 9 * HOUR, NOW - HOUR)], ids=["", "idle"]
)
def test_a_statement_is_as_of_the_block_its_books_have_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_time: int, as_of: int
) -> None:
    signed: list[Attestation] = []

    def watched(attestation: Attestation, numeric: int, chain_id: int) -> bytes:
        signed.append(attestation)
        return attestation_hash(attestation, numeric, chain_id)

    monkeypatch.setattr("bridge.centralbank.attesting.attestation_hash", watched)
    stale = replace(STANDING, amount=0)
    chain = AttestedChain(stale, stale, block_time=block_time)
    assert attester_of(tmp_path, chain, Wire(threading.Event())).step() is True
    assert [(each.as_of, each.valid_until) for each in signed] == [(as_of, NOW + HOUR)]


def test_nothing_is_stated_of_a_block_that_the_node_does_not_know(tmp_path: Path) -> None:
    stale = replace(STANDING, amount=0)
    wire = Wire(threading.Event())
    chain = AttestedChain(stale, stale, block_time=None)
    assert attester_of(tmp_path, chain, wire).step() is False
    assert not wire.calls


def test_it_outlives_a_refused_transaction_and_a_silent_node(tmp_path: Path) -> None:
    failures = [
        TransactionRefused("0x01", "the sender is not admitted"),
        NodeUnavailable("eth_sendRawTransaction", "silent"),
    ]
    wire = Wire(threading.Event(), iter(failures))
    stale = replace(STANDING, amount=0)
    attester_of(tmp_path, AttestedChain(stale, stale), wire).run(wire.stop)
    assert len(wire.calls) == 3


def test_it_stops_at_a_fault_of_its_own(tmp_path: Path) -> None:
    wire = Wire(threading.Event(), iter([NonceTaken("0x01", 1, "0x02")]))
    stale = replace(STANDING, amount=0)
    with pytest.raises(NonceTaken):
        attester_of(tmp_path, AttestedChain(stale, stale), wire).run(wire.stop)
