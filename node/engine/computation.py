"""One run of code: py-evm's computation, with a loop of our own over `instructions` and with notes on the code.

The notes are what was found out about a piece of code while it ran, kept for its next runs. Nothing is looked at before
it is reached, so that long code costs no more than what runs of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from typing import Final, cast

from eth.abc import ComputationAPI, MessageAPI, StateAPI, TransactionContextAPI
from eth.exceptions import Halt
from eth.vm.code_stream import CodeStream
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.logic.invalid import InvalidOpcode
from eth.vm.stack import Stack

from node.engine.instructions import INSTRUCTIONS

NOTED_CODES_MAX: Final = 32
"""Pieces of code whose notes are kept: each may come to a few MB."""

ROUND_INSTRUCTIONS: Final = 1_024
"""Instructions between two looks at whether a dry run may go on."""

_STOP: Final = 0x00


@dataclass(frozen=True, slots=True)
class CodeNotes:
    """What was found out about a piece of code."""

    destinations: set[int] = field(default_factory=set)
    """Where a jump may go; only those that one went to."""
    words: dict[int, int] = field(default_factory=dict)
    """What a PUSH pushes, by the place after it; only of those that ran."""


@lru_cache(maxsize=NOTED_CODES_MAX)
def notes_of(code: bytes) -> CodeNotes:  # noqa: ARG001 - what the notes are kept by
    """The notes on a piece of code, empty at first."""
    return CodeNotes()


class NotedCode(CodeStream):
    """Code at a place in it, with the notes on it."""

    __slots__ = ("bytes", "notes")

    def __init__(self, code: bytes) -> None:
        super().__init__(code)
        self.bytes = code
        self.notes = notes_of(code)


class DirectComputation(PragueComputation):
    """Prague's computation, run by a loop of its own over `INSTRUCTIONS`."""

    opcodes = INSTRUCTIONS
    code: NotedCode

    def __init__(
        self, state: StateAPI, message: MessageAPI, context: TransactionContextAPI
    ) -> None:
        super().__init__(state, message, context)
        self.code = NotedCode(message.code)
        self.gas_meter = self._gas_meter
        self.memory = self._memory
        stack = cast(Stack, self._stack)
        self.stack_values = stack.values
        # py-evm would look each of these up at its first use, slowly.
        self.__dict__.update(
            stack_pop_ints=stack.pop_ints,
            stack_pop1_int=stack.pop1_int,
            stack_pop1_bytes=stack.pop1_bytes,
            stack_push_int=stack.push_int,
            stack_push_bytes=stack.push_bytes,
        )

    @classmethod
    def apply_computation(
        cls,
        state: StateAPI,
        message: MessageAPI,
        transaction_context: TransactionContextAPI,
        parent_computation: ComputationAPI | None = None,
    ) -> ComputationAPI:
        """A message's computation, finished."""
        computation = cls(state, message, transaction_context)
        with computation:
            if computation.is_origin_computation:
                computation.contracts_created = []
                if message.is_create:
                    cls.consume_initcode_gas_cost(computation)
            if parent_computation is not None:
                computation.contracts_created = parent_computation.contracts_created
            if message.is_create:
                computation.contracts_created.append(message.storage_address)
            precompile = computation.precompiles.get(message.code_address)
            if precompile is None:
                computation.run_code()
            elif not message.is_delegation:
                precompile(computation)
        return computation

    def extend_memory(self, start_position: int, size: int) -> None:
        """Charge for memory and let it grow, where it must."""
        if start_position + size > len(self.memory):
            super().extend_memory(start_position, size)

    def run_code(self) -> None:
        """Runs the code until it stops; raises what ends it otherwise."""
        try:
            while True:
                self.begin_round()
                self._run_round()
        except Halt:
            return

    def begin_round(self) -> None:
        """Told when the code begins to run, and every `ROUND_INSTRUCTIONS` while it does."""

    def _run_round(self) -> None:
        code, table = self.code, self.opcodes
        raw, length = code.bytes, len(code)
        for _ in repeat(None, ROUND_INSTRUCTIONS):
            at = code.program_counter
            opcode = _STOP
            if at < length:
                opcode = raw[at]
                code.program_counter = at + 1
            try:
                act = table[opcode]
            except KeyError:
                act = InvalidOpcode(opcode)
            act(self)
