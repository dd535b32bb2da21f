"""The chain specification: which chain this is, and which rules hold from which block on.

It is part of genesis.json (`config`) and the genesis block's `extraData` is the hash of its
RFC 8785 bytes, so two nodes with different rules cannot share a genesis. Whoever executes,
admits or proposes asks `rules_at(number)` and nothing else; a schedule that names rules this
software does not have stops the node before it executes the first block under them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeVar

import rfc8785

from node.errors import PublicChainId, RulesUnknown, SpecificationInvalid
from node.primitives import Hash32, keccak

_T = TypeVar("_T")

FORK_PRAGUE: Final = "prague"
"""Ethereum's Prague rules with zero gas price and base fee 0."""

FORKS_KNOWN: Final = frozenset({FORK_PRAGUE})

TRANSACTION_TYPES_KNOWN: Final = frozenset({0, 1, 2})
"""Legacy, access list (EIP-2930), dynamic fee (EIP-1559)."""

PRECOMPILES_KNOWN: Final = frozenset(range(0x01, 0x12))
"""Addresses of Prague's precompiled contracts."""

PRECOMPILES_REFUSED_DEFAULT: Final = tuple(range(0x07, 0x12))
"""Those that cost this engine far more time than their gas says: curve multiplication and pairing,
BLAKE2, point evaluation, BLS12-381."""

BLOCK_GAS_LIMIT_DEFAULT: Final = 30_000_000
TRANSACTION_GAS_LIMIT_DEFAULT: Final = 16_000_000
CLOCK_SKEW_MAX_SECONDS_DEFAULT: Final = 10
APPLICATION_VERSION: Final = 1

CHAIN_ID_MAX: Final = 2**53 - 1
"""What every JSON reader keeps exact."""

PUBLIC_NETWORK_BY_CHAIN_ID: Final[Mapping[int, str]] = {
    1: "Ethereum mainnet",
    5: "Goerli",
    10: "OP Mainnet",
    25: "Cronos",
    56: "BNB Smart Chain",
    61: "Ethereum Classic",
    100: "Gnosis",
    137: "Polygon",
    250: "Fantom",
    324: "ZKsync Era",
    1101: "Polygon zkEVM",
    5000: "Mantle",
    8217: "Kaia",
    8453: "Base",
    17000: "Holesky",
    42161: "Arbitrum One",
    42220: "Celo",
    43114: "Avalanche C-Chain",
    59144: "Linea",
    81457: "Blast",
    534352: "Scroll",
    560048: "Hoodi",
    11155111: "Sepolia",
}
"""Networks whose ids are refused: a signature made here could be replayed there."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds from block `from_number` on, until the next entry of the schedule."""

    from_number: int
    fork: str = FORK_PRAGUE
    block_gas_limit: int = BLOCK_GAS_LIMIT_DEFAULT
    transaction_gas_limit: int = TRANSACTION_GAS_LIMIT_DEFAULT
    transaction_types: tuple[int, ...] = (0, 1, 2)
    precompiles_refused: tuple[int, ...] = PRECOMPILES_REFUSED_DEFAULT
    """Precompiled contracts whose call halts; rising. Empty: Ethereum's own rules."""
    application_version: int = APPLICATION_VERSION
    base_fee_per_gas: int = 0


@dataclass(frozen=True, slots=True)
class Specification:
    """One chain's identity and rules; construction refuses what no node could follow."""

    chain_id: int
    schedule: tuple[Rules, ...] = (Rules(from_number=0),)
    clock_skew_max_seconds: int = CLOCK_SKEW_MAX_SECONDS_DEFAULT
    development: bool = False
    """A developer's own chain: genesis may hand out native coin."""

    def __post_init__(self) -> None:
        _check(self)

    def rules_at(self, number: int) -> Rules:
        """Return the rules of block `number`; raises RulesUnknown if we do not have them."""
        rules = self.schedule[0]
        for entry in self.schedule[1:]:
            if entry.from_number > number:
                break
            rules = entry
        if (
            rules.fork not in FORKS_KNOWN
            or not TRANSACTION_TYPES_KNOWN.issuperset(rules.transaction_types)
            or not PRECOMPILES_KNOWN.issuperset(rules.precompiles_refused)
        ):
            raise RulesUnknown(number, rules.fork)
        return rules

    def document(self) -> dict[str, Any]:  # JSON: its values are numbers, texts and lists.
        """Return the JSON object that `parse_specification` reads."""
        return {
            "chainId": self.chain_id,
            "clockSkewMaxSeconds": self.clock_skew_max_seconds,
            "development": self.development,
            "schedule": [
                {
                    "applicationVersion": rules.application_version,
                    "baseFeePerGas": rules.base_fee_per_gas,
                    "blockGasLimit": rules.block_gas_limit,
                    "fork": rules.fork,
                    "fromNumber": rules.from_number,
                    "precompilesRefused": list(rules.precompiles_refused),
                    "transactionGasLimit": rules.transaction_gas_limit,
                    "transactionTypes": list(rules.transaction_types),
                }
                for rules in self.schedule
            ],
        }

    def encode(self) -> bytes:
        """Return the canonical bytes: RFC 8785 of `document()`."""
        return rfc8785.dumps(self.document())

    def hash(self) -> Hash32:
        """Return what the genesis block commits to in `extraData`."""
        return keccak(self.encode())


def consensus_chain_id(chain_id: int, genesis_hash: Hash32) -> str:
    """What consensus calls a chain: of this EIP-155 id and this genesis, so a vote fits no other network."""
    return f"corridor-{chain_id}-{genesis_hash[:8].hex()}"


def parse_specification(document: object) -> Specification:
    """Return the specification of a JSON object; raises SpecificationInvalid, PublicChainId."""
    fields = _Fields(document, "specification")
    schedule = fields.take("schedule", list)
    specification = Specification(
        chain_id=fields.take("chainId", int),
        schedule=tuple(_parse_rules(entry) for entry in schedule),
        clock_skew_max_seconds=fields.take("clockSkewMaxSeconds", int),
        development=fields.take("development", bool),
    )
    fields.check_done()
    return specification


def _parse_rules(document: object) -> Rules:
    fields = _Fields(document, "schedule entry")
    rules = Rules(
        from_number=fields.take("fromNumber", int),
        fork=fields.take("fork", str),
        block_gas_limit=fields.take("blockGasLimit", int),
        transaction_gas_limit=fields.take("transactionGasLimit", int),
        transaction_types=fields.take_integers("transactionTypes"),
        precompiles_refused=fields.take_integers("precompilesRefused"),
        application_version=fields.take("applicationVersion", int),
        base_fee_per_gas=fields.take("baseFeePerGas", int),
    )
    fields.check_done()
    return rules


class _Fields:
    """The fields of one JSON object, each taken once and of the expected type."""

    def __init__(self, document: object, name: str) -> None:
        if not isinstance(document, dict):
            raise SpecificationInvalid(f"{name} is not an object")
        self._left = dict(document)
        self._name = name

    def take(self, key: str, kind: type[_T]) -> _T:
        value = self._left.pop(key, None)
        if type(value) is not kind:
            raise SpecificationInvalid(f"{self._name}: {key} must be {kind.__name__}")
        return value

    def take_integers(self, key: str) -> tuple[int, ...]:
        items = self.take(key, list)
        if not all(type(item) is int for item in items):
            raise SpecificationInvalid(f"{key} holds something that is no integer")
        return tuple(items)

    def check_done(self) -> None:
        if self._left:
            names = ", ".join(sorted(map(str, self._left)))
            raise SpecificationInvalid(f"{self._name}: unknown field {names}")


def _check(specification: Specification) -> None:
    chain_id, schedule = specification.chain_id, specification.schedule
    if not 0 < chain_id <= CHAIN_ID_MAX:
        raise SpecificationInvalid(f"chain id {chain_id} is out of range")
    if chain_id in PUBLIC_NETWORK_BY_CHAIN_ID:
        raise PublicChainId(chain_id, PUBLIC_NETWORK_BY_CHAIN_ID[chain_id])
    if not schedule or schedule[0].from_number != 0:
        raise SpecificationInvalid("the schedule must begin at block 0")
    numbers = [rules.from_number for rules in schedule]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise SpecificationInvalid("the schedule must rise by block number")
    if specification.clock_skew_max_seconds <= 0:
        raise SpecificationInvalid("clockSkewMaxSeconds must be positive")
    for rules in schedule:
        if not 0 < rules.transaction_gas_limit <= rules.block_gas_limit < 2**63:
            raise SpecificationInvalid("0 < transactionGasLimit <= blockGasLimit < 2^63 must hold")
        refused = (0, *rules.precompiles_refused)
        if any(later <= earlier for earlier, later in pairwise(refused)):
            raise SpecificationInvalid("precompilesRefused must rise from above 0")
        if rules.base_fee_per_gas != 0:
            raise SpecificationInvalid("baseFeePerGas must be 0")
