"""What the chain's contracts are: compiled artefacts and fixed addresses, data only.

The Solidity sources live in `contracts/src`; `scripts/build-contracts` compiles them into
`contracts/artefacts/<name>.json`, which is committed and travels in the wheel, so that nobody
needs a compiler to run a node or a bridge. This package is the only reader of those files. It
imports neither `node` nor `bridge`.

The fixed addresses are where genesis puts the contracts. Proxies (ERC-1967) answer at the
addresses everybody calls; the implementations behind them sit at addresses of their own.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, cast

ARTEFACT_NAMES: Final = (
    "AccessManager",
    "CertificateVerifier",
    "Council",
    "CurrencyToken",
    "DevelopmentToken",
    "ERC1967Proxy",
    "LiquidityRounds",
    "NodeRegistry",
    "ParticipantRegistry",
    "PaymentEntry",
    "PaymentQuotes",
    "PaymentSettlement",
    "TokenFreezes",
    "TokenHolds",
    "TokenOrders",
    "TokenReserves",
    "TokenTransfers",
)
"""Every contract `load` knows."""

_CURRENCY_TOKEN_BASE: Final = 0xC100
_ISO_NUMERIC_MAX: Final = 999

REGISTRY_ADDRESS: Final = (0xC001).to_bytes(20, "big")
"""Proxy of ParticipantRegistry."""

SETTLEMENT_ADDRESS: Final = (0xC002).to_bytes(20, "big")
"""Proxy of PaymentSettlement."""

ACCESS_MANAGER_ADDRESS: Final = (0xC003).to_bytes(20, "big")
"""AccessManager, the one authority of all; it has no proxy."""

NODE_REGISTRY_ADDRESS: Final = (0xC004).to_bytes(20, "big")
"""Proxy of NodeRegistry."""

COUNCIL_ADDRESS: Final = (0xC005).to_bytes(20, "big")
"""Proxy of Council."""

NODE_REGISTRY_SCHEDULE_SLOT: Final = int(
    "99a3415a31c43d6e61647ab154a8a8b1be990e1ef326b69ff985fe136bebc300", 16
)
"""Where NodeRegistry keeps when its next change is due, UTC seconds: the whole slot."""

NODE_REGISTRY_VERSION_SLOT: Final = NODE_REGISTRY_SCHEDULE_SLOT + 1
"""Where it counts the changes of validators that were applied: the whole slot."""

REGISTRY_IMPLEMENTATION_ADDRESS: Final = (0xD001).to_bytes(20, "big")
"""ParticipantRegistry behind its proxy."""

SETTLEMENT_IMPLEMENTATION_ADDRESS: Final = (0xD002).to_bytes(20, "big")
"""PaymentSettlement behind its proxy."""

NODE_REGISTRY_IMPLEMENTATION_ADDRESS: Final = (0xD004).to_bytes(20, "big")
"""NodeRegistry behind its proxy."""

COUNCIL_IMPLEMENTATION_ADDRESS: Final = (0xD005).to_bytes(20, "big")
"""Council behind its proxy."""

CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS: Final = (0xD100).to_bytes(20, "big")
"""CurrencyToken behind every currency's proxy."""

LIBRARY_ADDRESS_BY_NAME: Final[dict[str, bytes]] = {
    "LiquidityRounds": (0xD120).to_bytes(20, "big"),
    "PaymentEntry": (0xD121).to_bytes(20, "big"),
    "PaymentQuotes": (0xD122).to_bytes(20, "big"),
    "TokenFreezes": (0xD140).to_bytes(20, "big"),
    "TokenHolds": (0xD141).to_bytes(20, "big"),
    "TokenOrders": (0xD142).to_bytes(20, "big"),
    "TokenReserves": (0xD143).to_bytes(20, "big"),
    "TokenTransfers": (0xD144).to_bytes(20, "big"),
}
"""Libraries that implementations call by delegation: code of who links them, at an address of its own."""


class UnknownArtefact(LookupError):
    """No contract of that name is part of this distribution."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no contract artefact named {name!r}; known: {', '.join(ARTEFACT_NAMES)}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Artefact:
    """One compiled contract."""

    name: str
    abi: list[dict[str, Any]]  # JSON as web3 and eth-abi take it; its shape is theirs.
    bytecode: bytes
    """Creation code, without constructor arguments."""
    runtime: bytes
    """Deployed code; immutable values are zero until a constructor has run."""
    storage_layout: dict[str, Any]  # JSON as the compiler gives it.
    """The compiler's `storageLayout`; empty `storage` for contracts that are not ours."""
    documentation: dict[str, Any]  # JSON: `methods`, `events` and `errors` by signature.
    """The contract's NatSpec: `title`, `notice` and what is said of each function, event and error."""


@lru_cache(maxsize=len(ARTEFACT_NAMES))
def load(name: str) -> Artefact:
    """Return the artefact of one contract; raises UnknownArtefact for any other name."""
    if name not in ARTEFACT_NAMES:
        raise UnknownArtefact(name)
    text = files(__name__).joinpath("artefacts", f"{name}.json").read_text(encoding="utf-8")
    document = cast(dict[str, Any], json.loads(text))
    return Artefact(
        name=document["contractName"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
        storage_layout=document["storageLayout"],
        documentation=document["documentation"],
    )


def currency_token_address(numeric: int) -> bytes:
    """Return where genesis puts the token proxy of the currency with this ISO 4217 number."""
    if not 0 < numeric <= _ISO_NUMERIC_MAX:
        raise ValueError(f"ISO 4217 numeric code out of range: {numeric}")
    return (_CURRENCY_TOKEN_BASE + numeric).to_bytes(20, "big")
