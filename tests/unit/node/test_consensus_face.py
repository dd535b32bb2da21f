"""The application as the engine of consensus sees it, asked as the engine asks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from node.chain import CONNECTIONS_MAX
from node.consensus.application import TIME_RECORD_PREFIX
from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.framing import (
    MESSAGE_BYTES_MAX,
    encode_length,
    read_request,
    write_response,
)
from node.consensus.observer import Unobserved
from node.engine import PyEvmEngine
from node.errors import (
    ConsensusOutOfOrder,
    EngineMessageInvalid,
    GenesisMismatch,
)
from node.primitives import Address, keccak
from node.store import Misbehaviour
from support.core import suspension_of
from support.engine_face import Engine, open_engine
from support.settlement_network import ALPHA, BETA, OPERATOR
from support.transactions import ALICE, Draft
from support.validator_network import (
    HOUSES,
    compressed,
    node_id_of,
    validator_key,
    validator_network_file,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "chain")
    yield opened
    opened.core.store.close()


def transfer(nonce: int = 0, key: Any = ALPHA.operating) -> bytes:
    return Draft(nonce=nonce).signed_by(key)


def test_a_transaction_goes_from_check_to_a_block_and_out_of_the_pool(engine: Engine) -> None:
    """N-145, N-148."""
    raw = transfer()
    assert engine.check(raw).code == 0
    assert keccak(raw) in engine.held
    entries = engine.prepare(raw)
    assert entries[1:] == [raw]
    assert entries[0].startswith(TIME_RECORD_PREFIX)
    assert engine.is_accepted(*entries)
    finalized = engine.finalize(*entries)
    assert [each.code for each in finalized.tx_results] == [0, 0]
    assert engine.core.chain.tip.header.number == 0, "nothing is durable before commit"
    engine.ask(commit=abci.Empty())
    tip = engine.core.chain.tip
    assert (tip.header.number, tip.header.hash) == (1, finalized.app_hash)
    assert keccak(raw) not in engine.held
    assert engine.core.intake.pool_status().executable == 0
    assert engine.told.heights == [(1, True)]


def test_a_height_without_transactions_makes_no_block(engine: Engine) -> None:
    """N-145."""
    engine.decide(*engine.prepare(*[]))
    assert engine.core.chain.tip.header.number == 0
    assert engine.told.heights == [(1, False)]
    assert engine.ask(info=abci.InfoRequest(abci_version="2.0.0")).last_block_height == 1


def test_the_proposal_takes_turns_and_keeps_each_senders_order(engine: Engine) -> None:
    """N-148. Gossip brings them in any order."""
    ours = [transfer(nonce) for nonce in range(3)]
    theirs = [transfer(nonce, BETA.operating) for nonce in range(2)]
    offered = [ours[2], theirs[1], ours[0], ours[1], theirs[0]]
    assert [engine.check(raw).code for raw in offered] == [0] * 5
    proposed = engine.prepare(*offered)[1:]
    assert [raw for raw in proposed if raw in ours] == ours
    assert [raw for raw in proposed if raw in theirs] == theirs
    assert engine.is_accepted(*engine.prepare(*offered))


def test_a_transaction_behind_a_small_gap_is_held_and_goes_at_the_next_recheck(
    engine: Engine,
) -> None:
    """N-147."""
    gapped = transfer(2)
    assert engine.check(gapped).code == 0
    assert engine.check(transfer(200)).code != 0
    assert engine.prepare(gapped) == []
    engine.decide()
    assert engine.check(gapped, again=True).code != 0
    assert keccak(gapped) not in engine.held
    engine.check(transfer(0))
    engine.check(transfer(1))
    wanted = engine.core.intake.await_executable(
        lambda each: each not in engine.held, count_max=10, seconds=0
    )
    assert [each.raw for each in wanted] == [gapped], "what waits no more is handed over again"


def test_what_no_block_takes_any_more_leaves_pool_and_mempool(engine: Engine) -> None:
    """N-147. One that stayed would make empty blocks without end."""
    raw = transfer(0, BETA.operating)
    assert engine.check(raw).code == 0
    suspension = suspension_of(BETA)
    assert engine.check(suspension).code == 0
    engine.decide(*engine.prepare(suspension))
    assert engine.prepare(raw) == []
    engine.decide()
    assert engine.check(raw, again=True).code != 0
    assert len(engine.held) == 0
    assert engine.core.intake.pool_status().executable == 0


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", TIME_RECORD_PREFIX + bytes(8), b"\xff" * 200_000, transfer(0, ALICE)],
    ids=["empty", "zero", "time record", "huge", "stranger"],
)
def test_what_must_not_enter_a_block_is_refused_by_code_never_by_exception(
    engine: Engine, raw: bytes
) -> None:
    """N-147."""
    assert engine.check(raw).code != 0
    assert engine.check(raw, again=True).code != 0
    assert len(engine.held) == 0


def test_a_proposal_that_must_not_be_decided_is_an_answer(engine: Engine) -> None:
    """N-145."""
    assert not engine.is_accepted(b"junk")
    assert not engine.is_accepted(transfer())
    assert engine.is_accepted()


def test_whatever_is_decided_is_executed_to_a_code_each(engine: Engine) -> None:
    """N-145."""
    entries = engine.prepare(*[])
    engine.check(transfer())
    entries = [*engine.prepare(transfer()), b"junk", transfer(7)]
    codes = [each.code for each in engine.decide(*entries).tx_results]
    assert codes[:2] == [0, 0]
    assert all(codes[2:])


def test_a_block_without_a_time_record_is_settled_like_any_other(engine: Engine) -> None:
    """N-145. More than two thirds must have gone astray; its transactions are final all the same."""
    raw = transfer()
    engine.check(raw)
    assert [each.code for each in engine.decide(raw).tx_results] == [0]
    assert engine.core.intake.pool_status().executable == 0
    assert len(engine.held) == 0
    engine.check(transfer(1))
    assert engine.prepare(transfer(1))[1:] == [transfer(1)]


def test_what_pool_and_mempool_have_dropped_is_not_held_for_ever(engine: Engine) -> None:
    """N-149. A mempool that is full drops what it asked about without a word."""
    waiting = transfer(1)
    engine.check(waiting)
    kept = transfer(0, BETA.operating)
    engine.check(kept)
    assert engine.held.all() == {keccak(waiting), keccak(kept)}
    engine.core.clock.seconds += 10**6
    engine.core.intake.await_executable(lambda _: False, count_max=1, seconds=0)
    engine.decide()
    assert engine.held.all() == {keccak(kept)}


def test_evidence_against_a_validator_is_told_once_it_is_durable(engine: Engine) -> None:
    """N-158."""
    reported = abci.Misbehavior(
        type=abci.Misbehavior.DUPLICATE_VOTE,
        validator=abci.Validator(address=b"\x11" * 20, power=10),
        height=7,
    )
    reported.time.seconds = 1_700_000_000
    engine.finalize(misbehavior=[reported])
    assert engine.told.misbehaviours == []
    engine.ask(commit=abci.Empty())
    expected = Misbehaviour("duplicate_vote", Address(b"\x11" * 20), 7, 1_700_000_000, 1)
    assert engine.told.misbehaviours == [expected]
    with engine.core.store.read() as reader:
        assert reader.misbehaviours(newest=10) == (expected,)


@pytest.mark.parametrize(
    "out_of_turn",
    [
        {"commit": abci.Empty()},
        {"finalize_block": abci.FinalizeBlockRequest(height=2)},
        {"prepare_proposal": abci.PrepareProposalRequest(height=3)},
        {"process_proposal": abci.ProcessProposalRequest(height=0)},
    ],
    ids=lambda request: next(iter(request)),
)
def test_a_question_out_of_its_turn_is_a_broken_invariant(
    engine: Engine, out_of_turn: dict[str, Any]
) -> None:
    """N-146."""
    with pytest.raises(ConsensusOutOfOrder):
        engine.ask(**out_of_turn)


def test_nothing_is_proposed_or_decided_between_finalize_and_commit(engine: Engine) -> None:
    """N-146."""
    for request in (
        {"prepare_proposal": abci.PrepareProposalRequest(height=1)},
        {"finalize_block": abci.FinalizeBlockRequest(height=1)},
    ):
        engine.conversation = engine.face.open()
        engine.finalize()
        with pytest.raises(ConsensusOutOfOrder):
            engine.ask(**request)


def test_a_request_that_is_none_of_ours_is_refused(engine: Engine) -> None:
    with pytest.raises(EngineMessageInvalid):
        engine.conversation.answer(abci.Request())


def test_a_restarted_engine_finds_where_the_node_stands_and_an_empty_mempool(
    engine: Engine,
) -> None:
    """N-149."""
    first = engine.ask(info=abci.InfoRequest(abci_version="2.0.0"))
    assert (first.last_block_height, first.last_block_app_hash) == (0, b"")
    engine.check(transfer())
    engine.decide(*engine.prepare(transfer()))
    engine.check(transfer(1))
    engine.ask(info=abci.InfoRequest(abci_version="2.0.0"))
    assert len(engine.held) == 1, "anybody may ask that by the engine's RPC"
    engine.conversation = engine.face.open()
    info = engine.ask(info=abci.InfoRequest(abci_version="2.0.0"))
    assert info.last_block_height == 1
    assert info.last_block_app_hash == engine.core.chain.tip.header.hash
    assert len(engine.held) == 0
    with pytest.raises(EngineMessageInvalid):
        engine.ask(info=abci.InfoRequest(abci_version="1.0.0"))


class SlowCommit(Unobserved):
    """A disk that takes its time."""

    def __init__(self) -> None:
        self.begun, self.may_end = Event(), Event()

    @contextmanager
    def time_stage(self, stage: str) -> Iterator[None]:
        if stage == "commit":
            self.begun.set()
            self.may_end.wait(60)
        yield


def test_an_engine_that_is_started_anew_waits_for_what_the_one_before_had_asked_for(
    tmp_path: Path,
) -> None:
    """N-146. Told of the height before, it would decide again what is durable by then."""
    slow = SlowCommit()
    engine = open_engine(tmp_path / "chain", observer=slow)
    engine.finalize()
    killed = Thread(target=engine.ask, kwargs={"commit": abci.Empty()})
    killed.start()
    assert slow.begun.wait(60)
    successor, told = engine.face.open(), []
    question = abci.Request(info=abci.InfoRequest(abci_version="2.0.0"))
    asking = Thread(target=lambda: told.append(successor.answer(question).info.last_block_height))
    asking.start()
    asking.join(0.2)
    assert told == []
    slow.may_end.set()
    killed.join(60)
    asking.join(60)
    assert told == [1]
    engine.core.store.close()


class Chain:
    """What the engine's genesis file says, as a test changes it."""

    def __init__(self, engine: Engine) -> None:
        core = engine.core
        self.chain_id = core.application.consensus_chain_id()
        self.genesis_hash = core.chain.tip.header.hash.hex()
        self.key_types = ["secp256k1eth"]
        self.powers = [10] * 4
        self.keys = [compressed(validator_key(house.name)) for house in HOUSES[:4]]

    def request(self) -> abci.InitChainRequest:
        return abci.InitChainRequest(
            chain_id=self.chain_id,
            app_state_bytes=json.dumps({"genesis_hash": self.genesis_hash}).encode(),
            consensus_params=abci.ConsensusParams(
                validator=abci.ValidatorParams(pub_key_types=self.key_types)
            ),
            validators=[
                abci.ValidatorUpdate(pub_key=abci.PublicKey(secp256k1eth=key), power=power)
                for key, power in zip(self.keys, self.powers, strict=True)
            ],
        )


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "chain", validator_network_file(4))
    yield opened
    opened.core.store.close()


def test_a_chain_begins_with_the_validators_of_the_registry(network: Engine) -> None:
    """N-150. Again is harmless: the engine asks so until a height is committed."""
    for _ in range(2):
        network.conversation = network.face.open()
        answer = network.ask(init_chain=Chain(network).request())
        assert answer.app_hash == network.core.chain.tip.header.hash
        assert not answer.validators
    network.decide()
    network.conversation = network.face.open()
    with pytest.raises(ConsensusOutOfOrder):
        network.ask(init_chain=Chain(network).request())


@pytest.mark.parametrize(
    ("changed", "value", "fault"),
    [
        ("chain_id", "corridor-1-0011223344556677", GenesisMismatch),
        ("genesis_hash", "11" * 32, GenesisMismatch),
        ("genesis_hash", "none", EngineMessageInvalid),
        ("key_types", ["ed25519"], EngineMessageInvalid),
        ("key_types", ["secp256k1eth", "ed25519"], EngineMessageInvalid),
        ("powers", [10, 10, 10, 11], GenesisMismatch),
        ("keys", [compressed(validator_key(each.name)) for each in HOUSES[1:5]], GenesisMismatch),
    ],
)
def test_a_genesis_of_another_network_is_refused(
    network: Engine, changed: str, value: object, fault: type[Exception]
) -> None:
    """N-150."""
    chain = Chain(network)
    setattr(chain, changed, value)
    with pytest.raises(fault):
        network.ask(init_chain=chain.request())


def test_a_peer_connects_if_the_registry_says_so(network: Engine) -> None:
    """N-151."""
    known, unknown = node_id_of(HOUSES[0].name).hex(), "ab" * 20
    answers = {
        path: network.ask(query=abci.QueryRequest(path=path)).code
        for path in (
            f"/p2p/filter/id/{known}",
            "/p2p/filter/addr/10.0.0.1:26656",
            f"/p2p/filter/id/{unknown}",
            "/p2p/filter/id/zz",
            "/p2p/filter/id/",
            "/store/key",
            "",
        )
    }
    assert [code == 0 for code in answers.values()] == [True, True, *[False] * 5]


class CountingEngine(PyEvmEngine):
    """Counts the calls that are executed."""

    calls = 0

    def call(self, *arguments: Any, **more: Any) -> Any:
        self.calls += 1
        return super().call(*arguments, **more)


def test_a_peer_that_insists_is_answered_by_the_evm_once_a_block_and_second(
    network: Engine,
) -> None:
    """N-151. What the registry says from the next block or second on is asked anew."""
    core = network.core
    counting = CountingEngine(core.state)
    chain = core.another_chain(counting)
    now = core.clock.now()
    member, stranger = node_id_of(HOUSES[0].name), b"\xab" * 20
    for _ in range(30):
        assert chain.may_connect(member, timestamp=now)
        assert not chain.may_connect(stranger, timestamp=now)
    assert counting.calls == 2
    assert chain.may_connect(member, timestamp=now + 1)
    assert counting.calls == 3
    for number in range(CONNECTIONS_MAX + 5):
        chain.may_connect(number.to_bytes(20, "big"), timestamp=now)
    assert len(chain._connections[1]) <= CONNECTIONS_MAX
    data = keccak(b"revokeNode(bytes20)")[:4] + member.ljust(32, b"\0")
    revoke = Draft(to=contracts.NODE_REGISTRY_ADDRESS, data=data, gas_limit=300_000)
    chain.execute([revoke.signed_by(OPERATOR.operating)], height=1, timestamp=core.clock.now())
    chain.commit()
    assert not chain.may_connect(member, timestamp=now)


@given(st.lists(st.binary(max_size=400), max_size=5))
def test_requests_come_out_of_the_stream_as_they_went_in(raws: list[bytes]) -> None:
    requests = [abci.Request(check_tx=abci.CheckTxRequest(tx=raw)) for raw in raws]
    bodies = [each.SerializeToString() for each in requests]
    stream = io.BytesIO(b"".join(encode_length(len(body)) + body for body in bodies))
    assert [read_request(stream) for _ in requests] == requests
    assert read_request(stream) is None


@pytest.mark.parametrize("cut", [b"\x05", b"\x05ab", b"\x80"])
def test_a_message_that_is_cut_off_is_the_end(cut: bytes) -> None:
    assert read_request(io.BytesIO(cut)) is None


@pytest.mark.parametrize(
    "bytes_read",
    [b"\xff" * 10, encode_length(MESSAGE_BYTES_MAX + 1), b"\x02\xff\xff"],
    ids=["length without end", "huge", "no message"],
)
def test_bytes_that_are_no_message_are_refused(bytes_read: bytes) -> None:
    with pytest.raises(EngineMessageInvalid):
        read_request(io.BytesIO(bytes_read))


def test_an_answer_is_written_behind_its_length() -> None:
    stream = io.BytesIO()
    write_response(stream, abci.Response(echo=abci.Echo(message="x" * 200)))
    body = abci.Response(echo=abci.Echo(message="x" * 200)).SerializeToString()
    assert stream.getvalue() == encode_length(len(body)) + body
    assert len(encode_length(len(body))) == 2
