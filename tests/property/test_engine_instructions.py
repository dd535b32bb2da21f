"""An instruction that is done directly does what py-evm's own does: the same stack, memory, gas and end.

Programs run twice: by the engine's computation, and by py-evm's with py-evm's loop and table.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from node.engine.computation import NOTED_CODES_MAX, DirectComputation, notes_of
from node.engine.corrections import OPCODES
from node.engine.instructions import DIRECT, plain_instructions
from node.engine.state_buffer import StateBuffer
from node.engine.trie_node import NodeMemory
from node.engine.world_state import WorldState, open_state
from node.primitives import EMPTY_TRIE_ROOT, Address
from node.store import MemoryState
from support.transactions import ALICE, block_env

HERE: Final = Address(b"\x0c" * 20)
CALLDATA: Final = bytes(range(1, 70))

WORDS: Final = (0, 1, 2, 4, 31, 32, 33, 64, 255, 256, 2**32, 2**255, 2**256 - 1)


class PlainComputation(PragueComputation):
    """py-evm's own, with the corrections."""

    opcodes = OPCODES


def pushed(value: int) -> bytes:
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes([0x5F + size]) + value.to_bytes(size, "big")


direct = st.sampled_from(sorted(DIRECT)).map(lambda opcode: bytes([opcode]))
# CALLER, ADDRESS, CALLDATASIZE, GAS, PC, MSIZE, SLOAD, SSTORE, BYTE, SAR, SIGNEXTEND, MCOPY, MSTORE8, TLOAD, LOG1.
others = st.sampled_from([0x33, 0x30, 0x36, 0x5A, 0x58, 0x59, 0x54, 0x55, 0x1A, 0x1D, 0x0B]).map(
    lambda opcode: bytes([opcode])
) | st.sampled_from([0x5E, 0x53, 0x5C, 0xA1]).map(lambda opcode: bytes([opcode]))
words = st.sampled_from(WORDS) | st.integers(0, 2**256 - 1)
pieces = st.one_of(
    words.map(pushed),
    words.map(pushed),
    st.tuples(words, words, direct).map(lambda t: pushed(t[0]) + pushed(t[1]) + t[2]),
    st.tuples(st.integers(0, 96), direct).map(lambda t: pushed(t[0]) + t[1]),
    st.tuples(st.integers(0, 60), st.sampled_from([b"\x56", b"\x57"])).map(
        lambda t: pushed(t[0] % 2) + pushed(t[0]) + t[1]
    ),
    st.just(b"\x5b"),
    direct,
    others,
    st.binary(min_size=1, max_size=2),
)
programs = st.lists(pieces, max_size=30).map(b"".join)


def as_word(value: int | bytes) -> int:
    return value if isinstance(value, int) else int.from_bytes(value, "big")


def end_of(kind: type[PragueComputation], code: bytes, gas: int) -> tuple[object, ...]:
    """All that a run leaves."""
    buffer = StateBuffer(MemoryState(), NodeMemory())
    state = open_state(WorldState, buffer, EMPTY_TRIE_ROOT, block_env())
    message = Message(gas=gas, to=HERE, sender=ALICE.address, value=0, data=CALLDATA, code=code)
    context = state.transaction_context_class(gas_price=0, origin=ALICE.address)
    state.mark_address_warm(HERE)
    computation: Any = kind.apply_computation(state, message, context)
    error = computation._error
    return (
        type(error),
        [as_word(value) for value in computation._stack.values],
        bytes(computation._memory._bytes),
        computation.get_gas_remaining(),
        computation._gas_meter.gas_refunded,
        computation.output,
        computation.get_raw_log_entries(),
        state.get_storage(HERE, 0),
        state.get_storage(HERE, 1),
    )


@settings(max_examples=1_000)
@given(code=programs, gas=st.just(30_000) | st.just(30_000) | st.integers(0, 400))
def test_a_program_ends_as_on_py_evm(code: bytes, gas: int) -> None:
    expected = end_of(PlainComputation, code, gas)
    assert end_of(DirectComputation, code, gas) == expected
    # And once more, with what the first run noted about the code.
    assert end_of(DirectComputation, code, gas) == expected


@pytest.mark.parametrize("opcode", sorted(DIRECT.keys() - range(0x60, 0xA0)), ids=hex)
def test_an_instruction_makes_of_every_pair_of_words_what_py_evms_makes(opcode: int) -> None:
    # 96 bytes of memory, then two words; CALLER is a word that py-evm holds as bytes.
    memory = pushed(7) + pushed(64) + b"\x52"
    operands = [*map(pushed, WORDS), b"\x33"]
    for lower in operands:
        for upper in operands:
            code = memory + lower + upper + bytes([opcode])
            expected = end_of(PlainComputation, code, 1_000)
            assert end_of(DirectComputation, code, 1_000) == expected
            assert end_of(DirectComputation, code, 1_000) == expected


@pytest.mark.parametrize("opcode", sorted(DIRECT), ids=hex)
@pytest.mark.parametrize("depth", [0, 1, 2, 1023, 1024])
def test_an_instruction_fails_at_the_ends_of_the_stack_as_on_py_evm(
    opcode: int, depth: int
) -> None:
    code = b"\x60\x00" * depth + bytes([opcode])
    for gas in (3 * depth, 3 * depth + 1, 3 * depth + 2, 3 * depth + 5, 3 * depth + 100):
        assert end_of(DirectComputation, code, gas) == end_of(PlainComputation, code, gas)


def test_a_jump_into_pushed_bytes_is_refused_however_often_the_code_has_run() -> None:
    # JUMP to 6, where a JUMPDEST stands as the argument of a PUSH; JUMP to 5 would be one.
    code = b"\x60\x06\x56\x00\x5b\x60\x5b\x00"
    first = end_of(DirectComputation, code, 1_000)
    assert first == end_of(PlainComputation, code, 1_000)
    assert end_of(DirectComputation, code, 1_000) == first
    assert notes_of(code).destinations == set()


def test_notes_are_kept_of_a_bounded_number_of_codes() -> None:
    for number in range(2 * NOTED_CODES_MAX):
        end_of(DirectComputation, pushed(number), 100)
    assert notes_of.cache_info().currsize == NOTED_CODES_MAX


def test_a_recorder_is_given_py_evms_own_instructions() -> None:
    table = plain_instructions({**OPCODES, **DIRECT})
    assert all(table[opcode] is OPCODES[opcode] for opcode in OPCODES)
