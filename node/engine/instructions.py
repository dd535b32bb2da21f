"""The instructions that contracts spend their time on, done in one step each.

Every instruction of py-evm passes through five to ten functions. Those here do the ordinary case of the commonest
directly on the stack and the gas that is left; wherever a case is not ordinary (too little gas, too few or too many
values on the stack, a destination that has not been jumped to before, memory that must grow) they have changed
nothing yet and hand it to py-evm's own. So what an instruction means, and how it fails, is py-evm's in every case.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from eth.constants import GAS_SHA3WORD

from node.engine.corrections import OPCODES
from node.primitives import keccak

Instruction = Callable[[Any], object]
"""Acts on a computation of py-evm's."""

JUMPDEST: Final = 0x5B

_WORD_MAX: Final = (1 << 256) - 1
_WORD_BYTES: Final = 32
_STACK_MAX: Final = 1024
_JUMPDEST_GAS: Final = 1


def _plain(opcode: int) -> tuple[Instruction, int]:
    """py-evm's own instruction, and the gas that it always charges."""
    act: Any = OPCODES[opcode]
    return act, act.gas_cost


def _word(value: int | bytes) -> int:
    """py-evm's stack holds either form."""
    return value if value.__class__ is int else int.from_bytes(value, "big")  # type: ignore[arg-type]


def _binary(act: Callable[[int, int], int]) -> Callable[[int], Instruction]:
    """An instruction on two words, the upper one first."""

    def made(opcode: int) -> Instruction:
        plain, gas = _plain(opcode)

        def run(computation: Any) -> object:
            meter, values = computation.gas_meter, computation.stack_values
            if meter.gas_remaining < gas or len(values) < 2:
                return plain(computation)
            meter.gas_remaining -= gas
            upper, lower = values.pop(), values[-1]
            if upper.__class__ is not int:
                upper = int.from_bytes(upper, "big")
            if lower.__class__ is not int:
                lower = int.from_bytes(lower, "big")
            values[-1] = act(upper, lower)
            return None

        return run

    return made


def _unary(act: Callable[[int], int]) -> Callable[[int], Instruction]:
    """An instruction on one word."""

    def made(opcode: int) -> Instruction:
        plain, gas = _plain(opcode)

        def run(computation: Any) -> object:
            meter, values = computation.gas_meter, computation.stack_values
            if meter.gas_remaining < gas or not values:
                return plain(computation)
            meter.gas_remaining -= gas
            values[-1] = act(_word(values[-1]))
            return None

        return run

    return made


def _push(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)
    size = opcode - 0x5F

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        if meter.gas_remaining < gas or len(values) >= _STACK_MAX:
            return plain(computation)
        meter.gas_remaining -= gas
        code = computation.code
        start = code.program_counter
        code.program_counter = start + size
        word = code.notes.words.get(start)
        if word is None:
            pushed = code.bytes[start : start + size].ljust(size, b"\0")
            word = code.notes.words[start] = int.from_bytes(pushed, "big")
        values.append(word)
        return None

    return run


def _dup(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)
    depth = opcode - 0x7F

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        if meter.gas_remaining < gas or not depth <= len(values) < _STACK_MAX:
            return plain(computation)
        meter.gas_remaining -= gas
        values.append(values[-depth])
        return None

    return run


def _swap(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)
    depth = opcode - 0x8E

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        if meter.gas_remaining < gas or len(values) < depth:
            return plain(computation)
        meter.gas_remaining -= gas
        values[-1], values[-depth] = values[-depth], values[-1]
        return None

    return run


def _pop(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        if meter.gas_remaining < gas or not values:
            return plain(computation)
        meter.gas_remaining -= gas
        del values[-1]
        return None

    return run


def _jumpdest(opcode: int) -> Instruction:
    plain, _ = _plain(opcode)

    def run(computation: Any) -> object:
        meter = computation.gas_meter
        if meter.gas_remaining < _JUMPDEST_GAS:
            return plain(computation)
        meter.gas_remaining -= _JUMPDEST_GAS
        return None

    return run


def _jump(opcode: int) -> Instruction:
    """With the JUMPDEST that it comes to."""
    plain, gas = _plain(opcode)
    gas += _JUMPDEST_GAS

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        code = computation.code
        if meter.gas_remaining < gas or not values:
            return plain(computation)
        destination = _word(values[-1])
        if destination not in code.notes.destinations:
            plain(computation)  # Raises where none may jump to it.
            code.notes.destinations.add(destination)
            return None
        meter.gas_remaining -= gas
        del values[-1]
        code.program_counter = destination + 1
        return None

    return run


def _jumpi(opcode: int) -> Instruction:
    """With the JUMPDEST that it comes to, where it jumps."""
    plain, gas = _plain(opcode)

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        code = computation.code
        if meter.gas_remaining < gas + _JUMPDEST_GAS or len(values) < 2:
            return plain(computation)
        if _word(values[-2]):
            destination = _word(values[-1])
            if destination not in code.notes.destinations:
                plain(computation)  # Raises where none may jump to it.
                code.notes.destinations.add(destination)
                return None
            meter.gas_remaining -= gas + _JUMPDEST_GAS
            code.program_counter = destination + 1
        else:
            meter.gas_remaining -= gas
        del values[-2:]
        return None

    return run


def _mload(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        memory = computation.memory._bytes  # noqa: SLF001 - a word is read in place
        if meter.gas_remaining < gas or not values:
            return plain(computation)
        start = _word(values[-1])
        if start + _WORD_BYTES > len(memory):
            return plain(computation)
        meter.gas_remaining -= gas
        values[-1] = int.from_bytes(memory[start : start + _WORD_BYTES], "big")
        return None

    return run


def _mstore(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        memory = computation.memory._bytes  # noqa: SLF001 - a word is read in place
        if meter.gas_remaining < gas or len(values) < 2:
            return plain(computation)
        start = _word(values[-1])
        if start + _WORD_BYTES > len(memory):
            return plain(computation)
        meter.gas_remaining -= gas
        memory[start : start + _WORD_BYTES] = _word(values[-2]).to_bytes(_WORD_BYTES, "big")
        del values[-2:]
        return None

    return run


def _calldataload(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        if meter.gas_remaining < gas or not values:
            return plain(computation)
        meter.gas_remaining -= gas
        start = _word(values[-1])
        found = bytes(computation.msg.data[start : start + _WORD_BYTES])
        values[-1] = int.from_bytes(found.ljust(_WORD_BYTES, b"\0"), "big")
        return None

    return run


_ARITHMETIC: Final[Mapping[int, Callable[[int, int], int]]] = {
    0x01: lambda upper, lower: (upper + lower) & _WORD_MAX,
    0x02: lambda upper, lower: (upper * lower) & _WORD_MAX,
    0x03: lambda upper, lower: (upper - lower) & _WORD_MAX,
    0x04: lambda upper, lower: upper // lower if lower else 0,
    0x06: lambda upper, lower: upper % lower if lower else 0,
    0x10: lambda upper, lower: int(upper < lower),
    0x11: lambda upper, lower: int(upper > lower),
    0x14: lambda upper, lower: int(upper == lower),
    0x16: operator.and_,
    0x17: operator.or_,
    0x18: operator.xor,
    0x1B: lambda shift, value: (value << shift) & _WORD_MAX if shift < 256 else 0,
    0x1C: lambda shift, value: value >> shift if shift < 256 else 0,
}


def _keccak256(opcode: int) -> Instruction:
    plain, gas = _plain(opcode)

    def run(computation: Any) -> object:
        meter, values = computation.gas_meter, computation.stack_values
        memory = computation.memory._bytes  # noqa: SLF001 - a word is read in place
        if len(values) < 2:
            return plain(computation)
        start, size = _word(values[-1]), _word(values[-2])
        if start + size > len(memory):
            return plain(computation)
        total = gas + GAS_SHA3WORD * ((size + _WORD_BYTES - 1) // _WORD_BYTES)
        if meter.gas_remaining < total:
            return plain(computation)
        meter.gas_remaining -= total
        del values[-1]
        values[-1] = int.from_bytes(keccak(bytes(memory[start : start + size])), "big")
        return None

    return run


def _made() -> dict[int, Instruction]:
    makers: dict[int, Callable[[int], Instruction]] = {
        **{opcode: _binary(act) for opcode, act in _ARITHMETIC.items()},
        0x15: _unary(lambda value: int(value == 0)),
        0x19: _unary(lambda value: _WORD_MAX - value),
        0x20: _keccak256,
        0x35: _calldataload,
        0x50: _pop,
        0x51: _mload,
        0x52: _mstore,
        0x56: _jump,
        0x57: _jumpi,
        JUMPDEST: _jumpdest,
        **dict.fromkeys(range(0x5F, 0x80), _push),
        **dict.fromkeys(range(0x80, 0x90), _dup),
        **dict.fromkeys(range(0x90, 0xA0), _swap),
    }
    return {opcode: make(opcode) for opcode, make in makers.items()}


DIRECT: Final[Mapping[int, Instruction]] = _made()
"""The instructions that are done directly; they need what `computation.DirectComputation` has."""

INSTRUCTIONS: Final[dict[int, Any]] = {**OPCODES, **DIRECT}
"""All instructions."""


def plain_instructions(table: Mapping[int, Any]) -> dict[int, Any]:
    """A table with py-evm's own in place of ours: they charge gas through the meter, which others may watch."""
    return {
        opcode: OPCODES[opcode] if act is DIRECT.get(opcode) else act
        for opcode, act in table.items()
    }
