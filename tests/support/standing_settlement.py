"""A token whose settlement contract does what a test says: the rest of the chain is the network's.

The stand-in is a few bytes of EVM code. From `CLEARING` it takes 20 bytes of target and a call to make, or two words to
remember; everybody else, the token among them, is answered with those two words, which is the shape of `waitingOf`.
"""

from typing import Any, Final

from eth_abi.abi import encode

from support.chain_harness import Receipt, key_of
from support.settlement_network import Street
from support.token_desk import CLEARING, deploy_token

_BEFORE_KEY: Final = bytes.fromhex("3373")
_AFTER_KEY: Final = bytes.fromhex(
    "14602857"  # CLEARING goes to 0x28
    "5f545f5260015460205260405ff3"  # return the two words
    "5b36604014605357"  # 0x28: two words go to 0x53
    "601436038060145f375f5f825f5f5f3560601c5af1"  # call the target with the rest
    "3d5f5f3e604f573d5ffd5b3d5ff3"  # pass on what it answers; 0x4f if it succeeded
    "5b5f355f5560203560015500"  # 0x53: remember
)


class StandingSettlement:
    """The stand-in and its token."""

    def __init__(self, street: Street) -> None:
        self.chain = street.chain
        runtime = _BEFORE_KEY + CLEARING.address + _AFTER_KEY
        creation = b"\x60" + bytes([len(runtime)]) + bytes.fromhex("8060095f395ff3") + runtime
        self.address = self.chain.deploy(key_of("deployer"), creation)
        self.token = deploy_token(self.chain, self.address)

    def transact(self, function: str, *arguments: Any) -> Receipt:
        """Call the token as the settlement contract; raises Reverted."""
        data = self.token.address + self.token.encode(function, *arguments)
        return self.chain.send(CLEARING, self.address, data, gas_limit=1_000_000)

    def let_wait(self, count: int, amount: int) -> None:
        """Answer every `waitingOf` so from now on."""
        data = encode(["uint256", "uint256"], [count, amount])
        self.chain.send(CLEARING, self.address, data, gas_limit=1_000_000)
