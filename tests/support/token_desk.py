"""Hands on one token: what officers order, what accounts sign, and a token whose settlement is a key.

`ordered` takes an order all the way: one officer proposes, the other confirms, one of them calls. `signed_permit` and
its kin give the arguments of the signed calls. `open_desk` deploys a second euro token beside the network's, for which
a key of the test stands in the place of the settlement contract, so that its calls can be made one by one.
"""

from dataclasses import astuple, dataclass
from typing import Any, Final

from eth_abi.abi import encode

import contracts
from node.primitives import keccak
from support.chain_harness import Chain, Contract, Receipt, key_of, signature_of
from support.settlement_network import (
    EUR,
    EUROSYSTEM,
    GENESIS_TIME,
    HOUR,
    Attestation,
    Institution,
    Street,
    attestation_data,
    sign,
    typed_data,
)
from support.transactions import CHAIN_ID, Key

FIRST: Final = EUROSYSTEM.account("officer")
SECOND: Final = EUROSYSTEM.account("officer-2")
CLEARING: Final = key_of("clearing")
WHOLE: Final = 2**256 - 1
ZERO: Final = bytes(20)
DAY: Final = 24 * HOUR

_AUTHORIZATION: Final = (
    "from:address to:address value:uint256 validAfter:uint256 validBefore:uint256 nonce:bytes32"
)
MEMBERS_BY_TYPE: Final = {
    "Permit": "owner:address spender:address value:uint256 nonce:uint256 deadline:uint256",
    "TransferWithAuthorization": _AUTHORIZATION,
    "ReceiveWithAuthorization": _AUTHORIZATION,
    "CancelAuthorization": "authorizer:address nonce:bytes32",
}
DOMAIN_NAME: Final = "Corridor CurrencyToken"


def text(address: bytes) -> str:
    """Return an address as the decoder gives it."""
    return "0x" + address.hex()


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What an order is proposed with besides its call; `valid_for` in seconds from now."""

    reference: str = "order"
    expected: int = 0
    valid_for: int = HOUR


def propose(token: Contract, function: str, *arguments: Any, **terms: Any) -> bytes:
    """Propose an order by the first officer and return its id; `terms` as `OrderTerms` has them."""
    order = OrderTerms(**terms)
    receipt = token.transact(
        FIRST,
        "propose",
        token.encode(function, *arguments),
        order.expected,
        keccak(order.reference.encode()),
        token.chain.now + order.valid_for,
    )
    order_id: bytes = receipt.event("OrderProposed").arguments["orderId"]
    return order_id


def ordered(token: Contract, function: str, *arguments: Any, **terms: Any) -> tuple[bytes, Receipt]:
    """Propose, confirm and execute an order of two officers; return its id and the last receipt."""
    order_id = propose(token, function, *arguments, **terms)
    token.transact(SECOND, "confirm", order_id)
    return order_id, token.transact(FIRST, function, *arguments)


def freeze(
    token: Contract, account: bytes, amount: int, *, by: Key = FIRST, reference: str = "freeze"
) -> Receipt:
    """Freeze by one officer, from whatever is frozen now."""
    expected = token.read("getFrozenTokens", account)
    return token.transact(by, "freeze", account, expected, amount, keccak(reference.encode()))


@dataclass(frozen=True, slots=True)
class Signing:
    """How something is signed, where it is not as usual."""

    signer: Key | None = None
    chain_id: int = CHAIN_ID
    nonce: bytes = keccak(b"nonce")
    window: tuple[int, int] = (0, GENESIS_TIME * 2)
    deadline: int | None = None


USUAL: Final = Signing()


def permit(
    token: Contract, owner: Key, spender: bytes, value: int, signing: Signing = USUAL
) -> tuple[Any, ...]:
    """Return the arguments of a permit that the owner signed, good until now."""
    until = token.chain.now if signing.deadline is None else signing.deadline
    nonce = token.read("nonces", owner.address)
    values = (text(owner.address), text(spender), value, nonce, until)
    return owner.address, spender, value, until, *_vrs(token, owner, values, signing)


def authorization(
    token: Contract, kind: str, owner: Key, move: tuple[bytes, int], signing: Signing = USUAL
) -> tuple[Any, ...]:
    """Return the arguments of a transfer (or receipt, by `kind`) of payee and value that the owner signed."""
    to, value = move
    values = (text(owner.address), text(to), value, *signing.window, signing.nonce)
    signature = _vrs(token, owner, values, signing, kind)
    return owner.address, to, value, *signing.window, signing.nonce, *signature


def cancellation(token: Contract, owner: Key, nonce: bytes) -> tuple[Any, ...]:
    """Return the arguments of a signed cancellation."""
    values = (text(owner.address), nonce)
    return owner.address, nonce, *_vrs(token, owner, values, USUAL, "CancelAuthorization")


def open_desk(street: Street) -> Contract:
    """Deploy a token that takes `CLEARING` for the settlement contract, and fund nobody."""
    return deploy_token(street.chain, CLEARING.address)


def deploy_token(chain: Chain, settlement: bytes) -> Contract:
    """Deploy another euro token beside the network's."""
    arguments = (
        contracts.ACCESS_MANAGER_ADDRESS,
        "Euro",
        EUR,
        2,
        EUROSYSTEM.lei,
        contracts.REGISTRY_ADDRESS,
        settlement,
    )
    entry = next(e for e in contracts.load("CurrencyToken").abi if e.get("name") == "initialize")
    types = [each["type"] for each in entry["inputs"]]
    initialiser = keccak(signature_of(entry).encode())[:4] + encode(types, arguments)
    creation = contracts.load("ERC1967Proxy").bytecode + encode(
        ["address", "bytes"], [contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS, initialiser]
    )
    return Contract(chain, chain.deploy(key_of("deployer"), creation), "CurrencyToken")


def fund_desk(token: Contract, amounts: dict[Institution, int]) -> None:
    """Attest the reserves that back these amounts and issue them."""
    now = token.chain.now
    latest = token.read("latestAttestation")
    supply = token.read("totalSupply") + sum(amounts.values())
    attestation = Attestation(latest[0] + 1, now, now + HOUR, supply)
    signature = sign(EUROSYSTEM.account("attesting"), attestation_data(token.address, attestation))
    token.transact(EUROSYSTEM.operating, "attest", astuple(attestation), signature)
    for institution, amount in amounts.items():
        reference = keccak(f"{institution.name}/{latest[0]}".encode())
        token.transact(
            EUROSYSTEM.operating, "issue", reference, institution.settlement.address, amount
        )


def _vrs(
    token: Contract, owner: Key, values: tuple[Any, ...], signing: Signing, kind: str = "Permit"
) -> tuple[int, bytes, bytes]:
    members = MEMBERS_BY_TYPE[kind]
    data = typed_data((DOMAIN_NAME, token.address), kind, members, values)
    data["domain"]["chainId"] = signing.chain_id
    signature = sign(signing.signer or owner, data)
    return signature[64], signature[:32], signature[32:64]
