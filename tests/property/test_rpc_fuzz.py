"""Whatever is sent, the node answers: no crash, no traceback, no "internal error" for a client's fault.

Cites docs/spec/node.md: N-117.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from node.errors import LinkFrameInvalid, NodeError
from node.link.frames import Frame, Kind, decode_error, decode_frame, encode_error
from node.link.server import answer_frame
from node.primitives import encode_rlp, encode_uint
from node.rpc.budget import Budget
from node.rpc.envelope import DEPTH_MAX, answer_request, decode_request
from node.rpc.faults import INTERNAL, WireError
from node.rpc.methods.table import METHODS
from support import junk
from support.small_chain import SmallChain, open_small_chain

SECONDS = 3
NOTIFICATION = {"jsonrpc": "2.0", "method": "eth_chainId"}


@pytest.fixture(scope="module")
def chain() -> Iterator[SmallChain]:
    with TemporaryDirectory() as directory:
        opened = open_small_chain(Path(directory) / "chain")
        yield opened
        opened.core.store.close()


def answer(chain: SmallChain, body: bytes) -> Any:
    """The answer to a body, None where there is none; fails where it tells of a fault of the node."""
    with capture_logs() as logs:
        budget = Budget.of_seconds(SECONDS)
        encoded = answer_request(chain.core.methods, decode_request(body), budget)
    assert [entry for entry in logs if entry["log_level"] in {"error", "critical"}] == []
    assert b"Traceback" not in encoded
    return json.loads(encoded) if encoded else None


def check_answers(found: Any) -> None:
    """Every answer is a result or an error that blames nobody but the client."""
    for each in found if isinstance(found, list) else [found]:
        assert each["jsonrpc"] == "2.0"
        if "error" in each:
            assert isinstance(each["error"]["code"], int)
            assert each["error"]["code"] != INTERNAL
            assert each["error"]["message"]
        else:
            assert "result" in each


def call(method: Any, params: Any, identifier: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}


@settings(max_examples=400)
@given(method=st.sampled_from(sorted(METHODS)), params=st.lists(junk.values, max_size=4))
def test_any_parameters_are_answered(chain: SmallChain, method: str, params: list[Any]) -> None:
    check_answers(answer(chain, json.dumps(call(method, params)).encode()))


@settings(max_examples=600)
@given(data=st.data())
def test_sound_parameters_with_one_fault_are_answered(
    chain: SmallChain, data: st.DataObject
) -> None:
    sound = [each for each in junk.sound_params(chain) if each[0] in METHODS]
    method, params = data.draw(st.sampled_from(sound))
    check_answers(answer(chain, json.dumps(call(method, data.draw(junk.spoilt(params)))).encode()))


def test_what_junk_is_put_into_is_sound(chain: SmallChain) -> None:
    for method, params in junk.sound_params(chain):
        if method in METHODS:
            result = chain.core.ask(method, *params)
            assert not isinstance(result, WireError), (method, result)


@settings(max_examples=200)
@given(body=st.binary(max_size=200))
@example(body=b"\xff\xfe{}")
@example(body=b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}')
@example(body=b'{"jsonrpc":"2.0","id":1,"method":"\\ud800","params":["\\udfff"]}')
@example(body=b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[' + b"9" * 10_000 + b"]}")
@example(body=b'{"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":[1e999,1e-999,[1e308]]}')
@example(body=b'{"jsonrpc":"2.0","id":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}")
@example(body=b"[" * 1_000_000)
@example(body=b'{"a":' * 100_000)
@example(body=b"[" + b"1," * 99 + b"1]")
@example(body=b'"' + b"\\" * 99_999 + b'"')
def test_any_body_is_answered(chain: SmallChain, body: bytes) -> None:
    check_answers(answer(chain, body))


@settings(max_examples=200)
@given(
    batch=st.lists(
        st.one_of(
            junk.values,
            st.builds(call, st.sampled_from(sorted(METHODS)), junk.values, junk.values),
            st.builds(call, junk.texts, st.lists(junk.values, max_size=2)),
            st.just(NOTIFICATION),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_batch_is_answered(chain: SmallChain, batch: list[Any]) -> None:
    found = answer(chain, json.dumps(batch).encode())
    if found is not None:
        check_answers(found)
    expected = sum(each != NOTIFICATION for each in batch)
    assert len(found or []) == expected


fields = st.lists(st.binary(max_size=40), max_size=6).map(tuple)
attributes = st.dictionaries(
    st.sampled_from(["expected", "given", "reason", "limit", "number", "block_hash", "nonce", "x"]),
    st.one_of(
        st.binary(max_size=40),
        st.just(b"n"),
        st.binary(max_size=2_000).map(lambda number: b"i" + number),
        st.binary(max_size=20).map(lambda words: b"s" + words),
    ),
    max_size=3,
)
error_fields = st.builds(
    lambda name, found: (name, *(part for pair in found.items() for part in encoded(pair))),
    st.sampled_from(
        [b"NonceTooLow", b"BlockUnknown", b"PoolFull", b"ParameterInvalid", b"\xff", b""]
    ),
    attributes,
)


def encoded(pair: tuple[str, bytes]) -> tuple[bytes, bytes]:
    return pair[0].encode(), pair[1]


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda kind, number, found: encode_rlp(
                [encode_uint(kind), encode_uint(number), *found]
            ),
            st.integers(0, 300),
            st.integers(0, 2**70),
            fields,
        ),
    )
)
def test_any_bytes_are_a_frame_or_refused_and_any_frame_is_answered_or_refused(
    chain: SmallChain, payload: bytes
) -> None:
    try:
        frame = decode_frame(payload)
        with capture_logs() as logs:
            reply = answer_frame(chain.core.intake, chain.core.filters, frame)
    except LinkFrameInvalid:
        return
    assert logs == []
    assert reply.kind in {Kind.ANSWER, Kind.REFUSAL}
    assert reply.number == frame.number


@settings(max_examples=300)
@given(st.one_of(fields, error_fields))
def test_any_fields_are_an_error_of_ours_or_refused(found: tuple[bytes, ...]) -> None:
    try:
        error = decode_error(found)
    except LinkFrameInvalid:
        return
    assert isinstance(error, NodeError)
    assert str(error)
    encode_error(error)


def test_a_frame_of_every_kind_with_nothing_in_it_is_refused_or_answered(chain: SmallChain) -> None:
    for kind in Kind:
        try:
            reply = answer_frame(chain.core.intake, chain.core.filters, Frame(kind, 1, ()))
        except LinkFrameInvalid:
            continue
        assert reply.kind in {Kind.ANSWER, Kind.REFUSAL}
