"""A network that its council governs, for suites about governance: five members, of whom three are a majority.

The members are the two central banks, `FIRST`, `SECOND` and `WATCHDOG`; each has an officer, the central banks two.
`ALPHA`'s central bank is `EUROSYSTEM`. At `PAUSABLE` stands a contract that takes any call and keeps its selector and
caller.
"""

import json
from functools import cache
from typing import Any, Final

import contracts
from node.config import parse_network
from node.engine import GenesisAccount, PyEvmEngine
from node.genesis import generate
from node.primitives import Address, keccak
from node.store import MemoryState
from support.chain_harness import Chain, Contract, Receipt
from support.settlement_network import AUTHORITY, EUROSYSTEM, Institution
from support.transactions import Key
from support.validator_network import FIRST, SECOND, WATCHDOG, validator_network_file

MEMBERS: Final = (EUROSYSTEM, AUTHORITY, FIRST, SECOND, WATCHDOG)
TIME_LOCK: Final = 172_800
DAY: Final = 86_400
PAUSABLE: Final = Address(b"\x5a" * 20)
SECOND_OFFICER: Final = EUROSYSTEM.account("officer-2")
NO_ACCOUNT: Final = "0x" + bytes(20).hex()
NEVER: Final = 2**40 - 1
UNTIL_THE_END_OF_TIME: Final = 2**64 - 1
IMPLEMENTATION_SLOT: Final = int.from_bytes(keccak(b"eip1967.proxy.implementation"), "big") - 1
# Keeps the selector in slot 0 and the caller in slot 1.
_KEEPING_CODE: Final = bytes.fromhex("5f3560e01c5f5533600155" + "00")


def officer_of(institution: Institution) -> Key:
    """Its first officer."""
    return institution.account("officer")


def hexed(key: Key) -> str:
    """An account's address as answers and errors have it."""
    return "0x" + key.address.hex()


class Assembly:
    """Council and registries on one chain, and the acts that suites repeat."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.council = Contract(chain, contracts.COUNCIL_ADDRESS, "Council")
        self.registry = Contract(chain, contracts.REGISTRY_ADDRESS, "ParticipantRegistry")
        self.nodes = Contract(chain, contracts.NODE_REGISTRY_ADDRESS, "NodeRegistry")
        self.settlement = Contract(chain, contracts.SETTLEMENT_ADDRESS, "PaymentSettlement")
        self.manager = Contract(chain, contracts.ACCESS_MANAGER_ADDRESS, "AccessManager")

    @property
    def now(self) -> int:
        """Time of the next block."""
        return self.chain.now

    def fork(self) -> "Assembly":
        """Another assembly that goes on from here."""
        return Assembly(self.chain.fork())

    def at(self, time: int) -> "Assembly":
        """The same state, asked at another time."""
        other = self.fork()
        other.chain.now = time
        return other

    def statuses(self, institution: Institution, *times: int) -> list[int]:
        """The registry's word on an institution at each of some times."""
        return [self.at(time).registry.read("statusOf", institution.lei) for time in times]

    def suspension(self, institution: Institution) -> tuple[Any, ...]:
        """Its suspension that holds, is scheduled or was the last."""
        found: tuple[Any, ...] = self.registry.read("suspensionOf", institution.lei)
        return found

    def allowed(self, sender: Key, target: bytes = b"\1" * 20) -> tuple[bool, int]:
        """Whether a sender may transact and until when that holds; EEA's question answers the same."""
        verdict, until = self.registry.read("transactionAllowedUntil", sender.address, target)
        eea = self.registry.read("transactionAllowed", sender.address, target, 0, 0, 0, b"")
        assert eea == verdict
        return bool(verdict), int(until)

    def pass_time(self, seconds: int) -> None:
        """Move the next block's time."""
        self.chain.now += seconds

    def propose(
        self,
        target: Contract,
        data: bytes,
        *,
        by: Institution = EUROSYSTEM,
        earliest_in: int = 0,
        expires_in: int = 30 * DAY,
    ) -> int:
        """Propose a call; return the proposal's id."""
        receipt = self.council.transact(
            officer_of(by),
            "propose",
            target.address,
            data,
            keccak(b"why"),
            self.now + earliest_in,
            self.now + expires_in,
        )
        return int(receipt.event("ProposalMade").arguments["proposalId"])

    def approve(self, proposal_id: int, *members: Institution) -> None:
        """Approve a proposal by the first officer of each."""
        for member in members:
            self.council.transact(officer_of(member), "approve", proposal_id)

    def execute(self, proposal_id: int, data: bytes, *, by: Key | None = None) -> Receipt:
        """Execute a proposal."""
        return self.council.transact(by or officer_of(EUROSYSTEM), "execute", proposal_id, data)

    def decide(self, target: Contract, function: str, *arguments: Any) -> Receipt:
        """Have an act proposed, approved by three members, and executed as soon as it may be."""
        data = target.encode(function, *arguments)
        proposal_id = self.propose(target, data)
        self.approve(proposal_id, AUTHORITY, FIRST)
        self.chain.now = max(self.now, self.council.read("executableAt", proposal_id))
        return self.execute(proposal_id, data)

    def state_of(self, proposal_id: int) -> int:
        """What became of a proposal."""
        return int(self.council.read("proposal", proposal_id)[0])

    def kept_call(self) -> tuple[bytes, bytes]:
        """Selector and caller of the last call of the contract at `PAUSABLE`."""
        slots = [self.chain.engine.storage(self.chain.root, PAUSABLE, slot) for slot in (0, 1)]
        return slots[0].to_bytes(4, "big"), slots[1].to_bytes(20, "big")


def governed_network_file() -> dict[str, Any]:
    """The network file."""
    network = validator_network_file() | {"administrator": "council"}
    for entry in network["participants"]:
        if entry["bic"] == "ALPHDEFF":
            entry["central_bank"] = EUROSYSTEM.lei.decode()
    return network


@cache
def _genesis() -> Chain:
    engine = PyEvmEngine(MemoryState())
    made = generate(parse_network(json.dumps(governed_network_file()).encode()), engine)
    loaded = engine.load_genesis(
        {**made.alloc, PAUSABLE: GenesisAccount(nonce=1, code=_KEEPING_CODE)}
    )
    engine.commit(loaded.handle)
    return Chain(engine, made.specification, loaded.state_root, made.header.timestamp)


def open_assembly() -> Assembly:
    """The assembly of the network at genesis."""
    return Assembly(_genesis().fork())
