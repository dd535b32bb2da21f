"""Certificates as a node gives them out: for a payment, for a transaction, and when there is none.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import rfc8785

import contracts
from node.consensus.cometbft.archivist import BATCH_BLOCKS_MAX, Archivist
from node.consensus.solo import SoloEngine
from node.consensus.witness import Witness
from node.errors import EngineUnavailable, SignedHeaderInvalid
from node.primitives import ZERO_HASH, Address, keccak
from node.rpc.faults import PRUNED, WireError
from node.signed_header import SignedHeader
from node.store import Annex, Misbehaviour
from node.verify_certificate import CertificateRefused, Verdict, verify
from support.chain_harness import Chain, Contract
from support.core import WITNESS_KEY, Core, open_core
from support.settlement_network import ALPHA, BETA, EUR, GENESIS_TIME, Leg, Terms
from support.snapshot_chain import pack, records_of, restore
from support.transactions import Draft

SETTLEMENT = Contract(cast(Chain, None), contracts.SETTLEMENT_ADDRESS, "PaymentSettlement")
TERMS = Terms(
    version=1,
    legs=(Leg(EUR, ALPHA.reference(), BETA.reference(), 100),),
    message_commitment=keccak(b"message"),
    supervisor_copy_hash=ZERO_HASH,
    quote_hash=ZERO_HASH,
    accept_by=GENESIS_TIME + 3_600,
    settle_by=GENESIS_TIME + 7_200,
    not_before=0,
)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


def act(core: Core, key: Any, nonce: int, function: str, *arguments: Any) -> bytes:
    """Sends a call of the settlement contract in a block of its own; its hash."""
    draft = Draft(
        nonce=nonce,
        to=contracts.SETTLEMENT_ADDRESS,
        data=SETTLEMENT.encode(function, *arguments),
        gas_limit=1_000_000,
    )
    return core.send(draft.signed_by(key))


def instruct(core: Core, nonce: int = 0) -> tuple[bytes, bytes]:
    """A payment's id, and the hash of the transaction that instructed it."""
    transaction_hash = act(
        core, ALPHA.operating, nonce, "instruct", keccak(b"uetr%d" % nonce), astuple(TERMS)
    )
    record = core.history.receipt(transaction_hash)
    assert record is not None
    assert record.receipt.logs
    return record.receipt.logs[0].topics[1], transaction_hash


def certificate(core: Core, asked: bytes) -> bytes:
    document = core.ask("corridor_getSettlementCertificate", "0x" + asked.hex())
    assert not isinstance(document, WireError), document
    return rfc8785.dumps(document)


def checked(core: Core, text: bytes) -> Verdict:
    """What a certificate proves to who knows the chain's id and its validator."""
    anchor = Witness(WITNESS_KEY, "")._set_hash
    chain_id = core.application.consensus_chain_id()
    return verify(text, chain_id=chain_id, genesis_validators_hash=anchor)


def test_a_payment_is_certified_by_its_id_or_by_a_transaction(core: Core) -> None:
    """N-154, N-156. The payment's newest event is what counts."""
    payment_id, instructed = instruct(core)
    first = checked(core, certificate(core, payment_id))
    assert (first.event, first.payment_id) == ("Instructed", payment_id)
    rejected = act(core, BETA.operating, 0, "reject", payment_id, astuple(TERMS), keccak(b"reason"))
    newest = checked(core, certificate(core, payment_id))
    assert (newest.event, newest.ethereum_number) == ("PaymentRejected", 2)
    assert newest.ethereum_hash == core.chain.tip.header.hash
    assert checked(core, certificate(core, rejected)) == newest
    assert checked(core, certificate(core, instructed)) == first
    assert [first.height, newest.height] == [2, 4], "a block and the height that certifies it"


def test_a_certificate_is_of_one_network_alone(core: Core) -> None:
    """N-154."""
    text = certificate(core, instruct(core)[0])
    chain_id = core.application.consensus_chain_id()
    with pytest.raises(CertificateRefused):
        verify(text, chain_id=chain_id, genesis_validators_hash=keccak(b"another"))
    with pytest.raises(CertificateRefused):
        verify(text, chain_id="corridor-1-00", genesis_validators_hash=keccak(b"another"))


def test_what_is_no_payment_has_no_certificate(core: Core) -> None:
    """N-156."""
    other = core.send(Draft(nonce=0).signed_by(ALPHA.operating))
    for asked in (b"\x07" * 32, other):
        refused = core.ask("corridor_getSettlementCertificate", "0x" + asked.hex())
        assert isinstance(refused, WireError)
        assert "to certify" in refused.message


def test_a_node_that_began_from_a_snapshot_certifies_what_it_holds(
    core: Core, tmp_path: Path
) -> None:
    """N-156, N-175."""
    old, _ = instruct(core)
    payment_id, _ = instruct(core, 1)
    newcomer = open_core(tmp_path / "newcomer")
    restore(pack(core, 2, records_of(core, 2)), newcomer)
    signed = core.history.signed_header(2)
    assert signed is not None
    newcomer.store.certify({2: signed})
    assert certificate(newcomer, payment_id) == certificate(core, payment_id)
    assert newcomer.ask("corridor_getSettlementCertificate", "0x" + old.hex()).code == PRUNED
    newcomer.store.close()


class Engine:
    """Where signed headers come from: the solo engine's own, as if several validators had signed."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.asked: list[int] = []
        self.is_reachable = True
        self.spoil: Any = lambda signed: signed
        self.witness = Witness(WITNESS_KEY, core.application.consensus_chain_id())

    def signed_header(self, height: int) -> SignedHeader:
        if not self.is_reachable:
            raise EngineUnavailable("commit", "gone")
        self.asked.append(height)
        history = self.core.history
        number = next(each for each in count(1) if history.height(each) == height - 1)
        header = history.header(number)
        assert header is not None
        signed = self.witness.sign(header, height=height - 1, application_version=1)
        return self.spoil(signed)  # type: ignore[no-any-return]


@pytest.fixture
def engine(core: Core) -> Engine:
    core.solo = SoloEngine(core.application, core.intake, core.tips.append)
    return Engine(core)


def pass_height(core: Core) -> None:
    """A height without a block, as the one is that follows each block."""
    core.application.finalize_block(core.application.info().last_height + 1, ())
    core.application.commit()


def test_headers_are_kept_once_the_next_height_is_there(core: Core, engine: Engine) -> None:
    """N-155."""
    archivist = Archivist(core.application, core.store, engine)
    payment_id, _ = instruct(core)
    assert not archivist.catch_up()
    refused = core.ask("corridor_getSettlementCertificate", "0x" + payment_id.hex())
    assert isinstance(refused, WireError)
    assert "not kept here yet" in refused.message
    pass_height(core)
    assert archivist.catch_up()
    assert archivist.catch_up()
    assert engine.asked == [2]
    assert checked(core, certificate(core, payment_id)).event == "Instructed"


def test_what_was_missed_is_made_up_for_in_order(core: Core, engine: Engine) -> None:
    """N-155."""
    archivist = Archivist(core.application, core.store, engine)
    blocks = BATCH_BLOCKS_MAX + 3
    for nonce in range(blocks):
        core.send(Draft(nonce=nonce).signed_by(ALPHA.operating))
    engine.is_reachable = False
    with pytest.raises(EngineUnavailable):
        archivist.catch_up()
    engine.is_reachable = True
    pass_height(core)
    assert archivist.catch_up()
    assert core.history.certified_number() == blocks
    assert engine.asked == [2 * number for number in range(1, blocks + 1)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda signed: replace(signed, header=replace(signed.header, app_hash=b"\x01" * 32)),
        lambda signed: replace(signed, commit=replace(signed.commit, signatures=())),
    ],
    ids=["another block", "unsigned"],
)
def test_a_header_that_does_not_certify_the_block_is_not_kept(
    core: Core, engine: Engine, spoil: Any
) -> None:
    """N-155."""
    core.send(Draft(nonce=0).signed_by(ALPHA.operating))
    pass_height(core)
    engine.spoil = spoil
    with pytest.raises(SignedHeaderInvalid):
        Archivist(core.application, core.store, engine).catch_up()
    assert core.history.signed_header(1) is None


def test_evidence_is_shown_newest_first(core: Core) -> None:
    """N-158."""
    for height in (7, 9):
        made = Misbehaviour("duplicate_vote", Address(b"\x11" * 20), height, 1_700_000_000, 0)
        core.application.finalize_block(core.application.info().last_height + 1, ())
        core.application.commit(Annex(misbehaviours=(made,)))
    shown = core.ask("corridor_getMisbehaviours")
    assert [each["height"] for each in shown] == ["0x9", "0x7"]
    assert shown[0]["validator"] == "0x" + "11" * 20
