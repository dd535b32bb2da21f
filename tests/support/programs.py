"""Pieces of EVM programs that suites put together at random: what calls, and what it calls."""

from typing import Final

from hypothesis import strategies as st

from node.primitives import Address
from support.transactions import ALICE

FIRST: Final = Address(b"\x0a" * 20)
SECOND: Final = Address(b"\x0b" * 20)

targets = st.sampled_from([FIRST, SECOND, ALICE.address, bytes(19) + b"\x02", bytes(19) + b"\x07"])
small = st.integers(0, 255)


def pushed(*values: int) -> bytes:
    """Return what pushes bytes, the first one deepest."""
    return b"".join(bytes([0x60, value]) for value in values)


def calls(*, answer_bytes: int) -> st.SearchStrategy[bytes]:
    """Return calls of every kind, with four bytes of memory and room for that much of the answer."""
    return st.builds(
        lambda to, opcode, value, gas: (
            pushed(answer_bytes, 0, 4, 0)
            + (pushed(value) if opcode in (0xF1, 0xF2) else b"")
            + b"\x73" + to + b"\x61" + gas.to_bytes(2, "big") + bytes([opcode])
        ),
        targets,
        st.sampled_from([0xF1, 0xF2, 0xF4, 0xFA]),
        st.sampled_from([0, 0, 1]),
        st.integers(0, 2**16 - 1),
    )  # fmt: skip
