"""A network with a council and validators, for suites about NodeRegistry.

Three participants besides the central banks sit in the council (`COUNCIL`), six may have validators (`HOUSES`, some of
the council's among them), one of the council may not (`WATCHDOG`). All have an officer. Each house has one key that
validates from genesis on, as far as `count` goes.
"""

from functools import cache
from typing import Any, Final

from coincurve import PrivateKey

import contracts
from node.primitives import address_of_public_key, decompress_public_key, keccak
from support.chain_harness import Chain, Contract, Receipt, key_of, open_chain
from support.settlement_network import OPERATOR, Institution, network_file
from support.transactions import Key

_ROLES: Final = ("bank", "validator")
HOUSES: Final = (
    Institution("first", "FIRSDEFF", "DE", (*_ROLES, "council"), ("operating", "officer")),
    Institution("second", "SECODEFF", "DE", (*_ROLES, "council"), ("operating", "officer")),
    *(
        Institution(name, f"{name[:4].upper()}DEFF", "DE", _ROLES, ("operating", "officer"))
        for name in ("third", "fourth", "fifth", "sixth")
    ),
)
WATCHDOG: Final = Institution("watchdog", "WATCDEFF", "DE", ("council",), ("operating", "officer"))
FIRST, SECOND, THIRD = HOUSES[:3]
COUNCIL: Final = (FIRST, SECOND, WATCHDOG)
ADDITION, REMOVAL = 1, 2
PROPOSED, SCHEDULED, APPLIED, WITHDRAWN, DROPPED = 1, 2, 3, 4, 5
NOTHING_SCHEDULED: Final = 2**64 - 1


def point_of(key: Key) -> tuple[bytes, bytes]:
    """Return the coordinates of its public key."""
    public = PrivateKey(key.secret).public_key.format(compressed=False)[1:]
    return public[:32], public[32:]


def compressed(key: Key) -> bytes:
    """Return its public key in 33 bytes."""
    return PrivateKey(key.secret).public_key.format()


@cache
def validator_key(label: str) -> Key:
    """Return the validator key that a label always gives."""
    return key_of(f"validator/{label}")


def node_id_of(label: str) -> bytes:
    """Return the node id that a label always gives."""
    return keccak(f"node/{label}".encode())[:20]


def validator_network_file(count: int = 5, *, development: bool = False) -> dict[str, Any]:
    """Return a network file in which the first `count` houses have a validator and every house a node."""
    network = network_file() | {"development": development}
    entries = [
        house.entry()
        | {"nodes": ["0x" + node_id_of(house.name).hex()]}
        | ({"validators": ["0x" + compressed(validator_key(house.name)).hex()]} if used else {})
        for house, used in zip(HOUSES, [True] * count + [False] * len(HOUSES), strict=False)
    ]
    return network | {"participants": [*network["participants"], *entries, WATCHDOG.entry()]}


class Registry:
    """NodeRegistry on one chain, and the acts that suites repeat."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.contract = Contract(chain, contracts.NODE_REGISTRY_ADDRESS, "NodeRegistry")
        self.participants = Contract(chain, contracts.REGISTRY_ADDRESS, "ParticipantRegistry")

    def fork(self) -> "Registry":
        """Return another registry that goes on from here."""
        return Registry(self.chain.fork())

    def pass_block(self, seconds: int = 0) -> Receipt:
        """Make a block, later by some seconds, in which nothing is asked of the registry."""
        self.chain.now += seconds
        return self.participants.transact(
            OPERATOR.operating, "setEndpoint", OPERATOR.lei, f"http://{self.chain.number}.example"
        )

    def propose_addition(
        self, label: str, *, house: Institution = FIRST, by: Institution = FIRST, after: int = 0
    ) -> int:
        """Propose a house's key, in effect some seconds from now; return the change's id."""
        x, y = point_of(validator_key(label))
        receipt = self.contract.transact(
            by.account("officer"), "proposeAddition", house.lei, x, y, self.chain.now + after
        )
        return int(receipt.event("ChangeProposed").arguments["changeId"])

    def propose_removal(self, label: str, *, by: Institution = FIRST, after: int = 0) -> int:
        """Propose that a key be a validator no more; return the change's id."""
        receipt = self.contract.transact(
            by.account("officer"),
            "proposeRemoval",
            validator_key(label).address,
            self.chain.now + after,
        )
        return int(receipt.event("ChangeProposed").arguments["changeId"])

    def confirm(self, change_id: int, *, by: Institution = SECOND) -> Receipt:
        """Confirm a change."""
        return self.contract.transact(by.account("officer"), "confirmChange", change_id)

    def withdraw(self, change_id: int, *, by: Institution = FIRST) -> Receipt:
        """Withdraw a change."""
        return self.contract.transact(by.account("officer"), "withdrawChange", change_id)

    def state_of(self, change_id: int) -> int:
        """Return what became of a change."""
        return int(self.contract.read("change", change_id)[1])

    def validators(self) -> list[bytes]:
        """Return the compressed keys of the validators, having checked their addresses."""
        found = self.contract.read("validators")
        assert len(found) == self.contract.read("validatorCount")
        for address, _, public_key in found:
            assert self.contract.read("isValidator", address)
            assert bytes.fromhex(address[2:]) == address_of_public_key(
                decompress_public_key(public_key)
            )
        return [public_key for _, _, public_key in found]


@cache
def _genesis(count: int, *, development: bool) -> Chain:
    return open_chain(validator_network_file(count, development=development))


def open_registry(count: int = 5, *, development: bool = False) -> Registry:
    """Return the registry of a network at genesis."""
    return Registry(_genesis(count, development=development).fork())
