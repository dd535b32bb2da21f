"""Where py-evm departs from Ethereum's rules, put right. Ethereum's published state tests found them.

- Modular exponentiation of an empty base: py-evm gives 0, but 0 to the power of 0 is 1 (EIP-198).
- Creation over leftover storage: py-evm looks at code and nonce; storage counts too (EIP-7610).
- SELFDESTRUCT: py-evm warns of it, and an interpreter told to take warnings for errors would stop
  there, on that machine alone.
"""

from collections.abc import Callable
from typing import Final

from eth.abc import ComputationAPI, OpcodeAPI
from eth.vm.forks.prague.computation import PRAGUE_PRECOMPILES
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.prague.state import PragueState

from node.primitives import EMPTY_TRIE_ROOT, Address

_SELFDESTRUCT: Final = 0xFF

OPCODES: Final[dict[int, OpcodeAPI]] = {
    **PRAGUE_OPCODES,
    _SELFDESTRUCT: PRAGUE_OPCODES[_SELFDESTRUCT].__wrapped__,  # type: ignore[attr-defined]  # what the warning is wrapped around
}
"""Prague's instructions, without warnings."""

MODEXP_ADDRESS: Final = Address(b"\x05".rjust(20, b"\0"))

_MODEXP: Final[Callable[[ComputationAPI], ComputationAPI]] = PRAGUE_PRECOMPILES[MODEXP_ADDRESS]
_LENGTHS_END: Final = 96


def modexp(computation: ComputationAPI) -> ComputationAPI:
    """Run the precompiled contract 0x05."""
    computed = _MODEXP(computation)
    data = computation.msg.data_as_bytes
    base_size, exponent_size, modulus_size = (
        int.from_bytes(data[start : start + 32].ljust(32, b"\0"), "big") for start in (0, 32, 64)
    )
    exponent_end = _LENGTHS_END + exponent_size
    if base_size == 0 and modulus_size > 0 and not any(data[_LENGTHS_END:exponent_end]):
        modulus = data[exponent_end : exponent_end + modulus_size].ljust(modulus_size, b"\0")
        power = 1 if int.from_bytes(modulus, "big") > 1 else 0
        computed.output = power.to_bytes(modulus_size, "big")
    return computed


class CorrectedState(PragueState):
    """Prague's state, in which storage alone makes a creation collide."""

    def has_code_or_nonce(self, address: Address) -> bool:
        """Whether no contract can be created there."""
        if super().has_code_or_nonce(address):
            return True
        root = self._account_db.get_storage_root(address)  # type: ignore[attr-defined]  # our own, see `accounts`
        return bool(root != EMPTY_TRIE_ROOT)
