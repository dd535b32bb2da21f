"""The contracts' encodings, pure: calls, ids, hashes that are signed, events.

Everything follows the ABIs in `contracts`; terms, quotes and attestations go over as the tuples of
the Solidity structs, in their order. What the contracts derive (the payment's key, the terms' hash,
the EIP-712 digests) is derived here in the same way, so that a bridge never has to ask for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from functools import cache
from typing import Any, Final, NewType

from coincurve import PublicKey
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

import contracts
from bridge.errors import ChainAnswerInvalid
from bridge.payment import Leg, Quote, SettlementId, SignedQuote, Terms

ContractName = NewType("ContractName", str)

REGISTRY: Final = ContractName("ParticipantRegistry")
TOKEN: Final = ContractName("CurrencyToken")
SETTLEMENT: Final = ContractName("PaymentSettlement")

_FIRST_TOKEN: Final = contracts.currency_token_address(1)
_LAST_TOKEN: Final = contracts.currency_token_address(999)
_KIND_PAYMENT: Final = 0
_KIND_RETURN: Final = 1
_DOMAIN_TYPE: Final = (
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_QUOTE_TYPE: Final = (
    b"Quote(bytes20 maker,bytes20 taker,bytes32 makerFrom,bytes32 makerTo,bytes3 makerCurrency,"
    b"uint256 makerAmount,bytes3 takerCurrency,uint256 takerAmount,uint256 smallestFill,"
    b"uint40 validUntil,uint40 settleBy,uint8 priority,bool mayQueue,bytes32 salt)"
)
_ATTESTATION_TYPE: Final = (
    b"Attestation(uint64 sequence,uint40 asOf,uint40 validUntil,uint256 amount,"
    b"bytes32 statementHash)"
)
_TERMS_ABI: Final = (
    "(uint8,(bytes3,bytes32,bytes32,uint256)[],bytes32,bytes32,bytes32,uint40,uint40,uint40,"
    "uint8,uint16)"
)
_HIGHEST_LOW_S: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_SIGNATURE_BYTES: Final = 65
_V_OFFSET: Final = 27


@unique
class AccountKind(Enum):
    """What an account on the chain is for; the numbers are the registry's."""

    SETTLEMENT = 1
    OPERATING = 2
    QUOTING = 3
    ATTESTING = 4
    OFFICER = 5


@unique
class PaymentOutcome(Enum):
    """How a payment ended on the chain; the numbers are the contract's."""

    SETTLED = 1
    REJECTED = 2
    WITHDRAWN = 3
    NO_LIQUIDITY = 4
    EXPIRED_UNACCEPTED = 5
    EXPIRED_UNSETTLED = 6


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement of reserves; field for field the token's `Attestation`. Times are UTC seconds."""

    sequence: int
    as_of: int
    valid_until: int
    amount: int
    statement_hash: bytes


@dataclass(frozen=True, slots=True)
class AuditAnchor:
    """What a participant last anchored of its audit log; `anchored_at` is a UTC second."""

    sequence: int
    anchored_at: int
    record_hash: bytes


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A function call ready to be sent or asked: the contract's address and the calldata."""

    to: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """One decoded log of a contract of ours.

    `arguments` holds the event's values by their Solidity name: integers, bytes (addresses too),
    texts, and tuples for structs.
    """

    contract: ContractName
    name: str
    address: bytes
    block_number: int
    block_hash: bytes
    log_index: int
    transaction_hash: bytes
    arguments: Mapping[str, Any]  # whatever the ABI says


@dataclass(frozen=True, slots=True)
class RawLog:
    """A log as the chain has it."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    log_index: int
    transaction_hash: bytes


def settlement_call(function: str, arguments: tuple[object, ...]) -> ContractCall:
    """A call of PaymentSettlement; terms and quotes may be given as our values."""
    return contract_call(SETTLEMENT, contracts.SETTLEMENT_ADDRESS, function, arguments)


def registry_call(function: str, arguments: tuple[object, ...]) -> ContractCall:
    """A call of ParticipantRegistry."""
    return contract_call(REGISTRY, contracts.REGISTRY_ADDRESS, function, arguments)


def token_call(numeric: int, function: str, arguments: tuple[object, ...]) -> ContractCall:
    """A call of the token of the currency with this ISO 4217 number."""
    address = contracts.currency_token_address(numeric)
    return contract_call(TOKEN, address, function, arguments)


def contract_call(
    name: ContractName, address: bytes, function: str, arguments: tuple[object, ...]
) -> ContractCall:
    """The call of one function at an address, by the contract's ABI."""
    entry = _functions(name)[function]
    types = [_type_of(each) for each in entry["inputs"]]
    data = encode(types, [_abi_value(argument) for argument in arguments])
    return ContractCall(address, keccak(_signature_of(entry))[:4] + data)


def decode_answer(name: ContractName, function: str, answer: bytes) -> tuple[Any, ...]:
    """The values a function returned, structs as tuples; raises `ChainAnswerInvalid`."""
    types = [_type_of(each) for each in _functions(name)[function]["outputs"]]
    try:
        return tuple(decode(types, answer))
    except DecodingError as error:
        raise ChainAnswerInvalid(function, "not what the contract's ABI says") from error


def uetr_hash(uetr: str) -> bytes:
    """What of a UETR goes to the chain: its Keccak-256 hash."""
    return keccak(uetr.encode())


def return_id(lei: str, uetr: str, number: int) -> SettlementId:
    """The key on the chain of a return that a participant instructs of what came under a UETR."""
    return _payment_key(_KIND_RETURN, lei, uetr, number)


def settlement_id(lei: str, uetr: str) -> SettlementId:
    """The key on the chain of a payment that a participant instructs under a UETR."""
    return _payment_key(_KIND_PAYMENT, lei, uetr, 0)


def terms_hash(terms: Terms) -> bytes:
    """The hash of the terms that the contract keeps."""
    return keccak(encode([_TERMS_ABI], [_abi_value(terms)]))


def quote_hash(quote: Quote, chain_id: int) -> bytes:
    """The EIP-712 digest of a quote: what its maker signs and what names it for ever."""
    fields = ["bytes32", *(_type_of(part) for part in _quote_components())]
    struct = keccak(encode(fields, [keccak(_QUOTE_TYPE), *_abi_value(quote)]))
    separator = _domain("Corridor PaymentSettlement", chain_id, contracts.SETTLEMENT_ADDRESS)
    return keccak(b"\x19\x01" + separator + struct)


def attestation_hash(attestation: Attestation, numeric: int, chain_id: int) -> bytes:
    """The EIP-712 digest of a statement of reserves for the token of a currency."""
    fields = ["bytes32", "uint64", "uint40", "uint40", "uint256", "bytes32"]
    struct = keccak(encode(fields, [keccak(_ATTESTATION_TYPE), *_abi_value(attestation)]))
    token = contracts.currency_token_address(numeric)
    separator = _domain("Corridor CurrencyToken", chain_id, token)
    return keccak(b"\x19\x01" + separator + struct)


def recover_signer(digest: bytes, signature: bytes) -> bytes | None:
    """The address that signed a 32-byte digest; None for what the contracts refuse as a signature."""
    if len(signature) != _SIGNATURE_BYTES or signature[64] not in {_V_OFFSET, _V_OFFSET + 1}:
        return None
    if int.from_bytes(signature[32:64], "big") > _HIGHEST_LOW_S:
        return None
    try:
        recoverable = signature[:64] + bytes([signature[64] - _V_OFFSET])
        key = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception:  # noqa: BLE001 - coincurve raises plain Exception and ValueError
        return None
    return keccak(key.format(compressed=False)[1:])[12:]


def terms_of_event(event: ChainEvent) -> Terms:
    """The terms in an `Instructed` event."""
    return terms_of_arguments(event.arguments)


def terms_of_arguments(arguments: Mapping[str, Any]) -> Terms:
    """The terms among the arguments of an `Instructed` event."""
    version, legs, *rest = arguments["terms"]
    commitment, copy_hash, quote, accept_by, settle_by, not_before, priority, flags = rest
    return Terms(
        legs=tuple(
            Leg(currency=_text(currency), from_reference=payer, to_reference=payee, amount=amount)
            for currency, payer, payee, amount in legs
        ),
        message_commitment=commitment,
        quote_hash=quote,
        accept_by=accept_by,
        settle_by=settle_by,
        not_before=not_before,
        supervisor_copy_hash=copy_hash,
        priority=priority,
        flags=flags,
        version=version,
    )


def contract_at(address: bytes) -> ContractName | None:
    """Which of our contracts answers at an address."""
    if address == contracts.SETTLEMENT_ADDRESS:
        return SETTLEMENT
    if address == contracts.REGISTRY_ADDRESS:
        return REGISTRY
    is_token = _FIRST_TOKEN <= address <= _LAST_TOKEN
    return TOKEN if is_token else None


def decode_event(log: RawLog) -> ChainEvent | None:
    """A log of one of our contracts with the names its ABI gives; None for any other log."""
    contract = contract_at(log.address)
    if contract is None or not log.topics:
        return None
    entry = _events(contract).get(log.topics[0])
    if entry is None:
        return None
    shape = _shape_of(contract, log.topics[0])
    indexed = decode(shape.indexed, b"".join(log.topics[1:]))  # each is one word, none has a tail
    arguments = {
        name: _octets(value) if kind == "address" else value
        for name, kind, value in zip(
            shape.names,
            (*shape.indexed, *shape.plain),
            (*indexed, *decode(shape.plain, log.data)),
            strict=True,
        )
    }
    return ChainEvent(
        contract=contract,
        name=entry["name"],
        address=log.address,
        block_number=log.block_number,
        block_hash=log.block_hash,
        log_index=log.log_index,
        transaction_hash=log.transaction_hash,
        arguments=arguments,
    )


@dataclass(frozen=True, slots=True)
class _EventShape:
    """The arguments of an event: their names, those in topics first, and the types of both kinds."""

    names: tuple[str, ...]
    indexed: tuple[str, ...]
    plain: tuple[str, ...]


@cache
def _shape_of(contract: ContractName, topic: bytes) -> _EventShape:
    inputs = _events(contract)[topic]["inputs"]
    indexed = [each for each in inputs if each["indexed"]]
    plain = [each for each in inputs if not each["indexed"]]
    return _EventShape(
        names=tuple(each["name"] for each in (*indexed, *plain)),
        indexed=tuple(_type_of(each) for each in indexed),
        plain=tuple(_type_of(each) for each in plain),
    )


def describe_revert(data: bytes) -> tuple[str, str]:
    """The name and the values of the error in revert data; what is unknown is shown as hex."""
    entry = _errors().get(data[:4])
    if entry is None:
        return "an unknown error", f"0x{data.hex()}"
    values = decode([_type_of(each) for each in entry["inputs"]], data[4:])
    shown = (f"0x{value.hex()}" if isinstance(value, bytes) else str(value) for value in values)
    return entry["name"], f"({', '.join(shown)})"


def plain_arguments(value: object) -> object:
    """An event's arguments as JSON can hold them: bytes as hex, tuples as lists."""
    match value:
        case bytes():
            return f"0x{value.hex()}"
        case tuple() | list():
            return [plain_arguments(part) for part in value]
        case Mapping():
            return {str(name): plain_arguments(part) for name, part in value.items()}
        case _:
            return value


def _abi_value(value: object) -> Any:  # what eth-abi takes
    """Our values as the tuples of the contracts' structs; anything else as it is."""
    match value:
        case Terms():
            legs = [
                (leg.currency.encode(), leg.from_reference, leg.to_reference, leg.amount)
                for leg in value.legs
            ]
            return (
                value.version,
                legs,
                value.message_commitment,
                value.supervisor_copy_hash,
                value.quote_hash,
                value.accept_by,
                value.settle_by,
                value.not_before,
                value.priority,
                value.flags,
            )
        case Quote():
            return (
                value.maker.encode(),
                value.taker.encode(),
                value.maker_from,
                value.maker_to,
                value.maker_currency.encode(),
                value.maker_amount,
                value.taker_currency.encode(),
                value.taker_amount,
                value.smallest_fill,
                value.valid_until,
                value.settle_by,
                value.priority,
                value.may_queue,
                value.salt,
            )
        case SignedQuote():
            signer = recover_signer(value.quote_hash, value.signature)
            return (_abi_value(value.quote), signer, value.signature)
        case list() | tuple():
            return [_abi_value(part) for part in value]
        case Attestation():
            return (
                value.sequence,
                value.as_of,
                value.valid_until,
                value.amount,
                value.statement_hash,
            )
        case _:
            return value


def _payment_key(kind: int, lei: str, uetr: str, number: int) -> SettlementId:
    types = ["uint8", "bytes20", "bytes32", "uint256"]
    return SettlementId(keccak(encode(types, [kind, lei.encode(), uetr_hash(uetr), number])))


def _domain(name: str, chain_id: int, contract: bytes) -> bytes:
    """The EIP-712 domain separator of one contract on one chain."""
    fields = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    values = [keccak(_DOMAIN_TYPE), keccak(name.encode()), keccak(b"1"), chain_id, contract]
    return keccak(encode(fields, values))


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")


def _octets(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def _type_of(parameter: Mapping[str, Any]) -> str:  # an ABI entry
    """The canonical type of an ABI parameter, tuples written out."""
    text: str = parameter["type"]
    if not text.startswith("tuple"):
        return text
    members = ",".join(_type_of(member) for member in parameter["components"])
    return f"({members}){text.removeprefix('tuple')}"


def _signature_of(entry: Mapping[str, Any]) -> bytes:  # an ABI entry
    members = ",".join(_type_of(each) for each in entry["inputs"])
    return f"{entry['name']}({members})".encode()


def _entries(name: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in contracts.load(name).abi if entry["type"] == kind]


@cache
def _functions(name: ContractName) -> Mapping[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in _entries(name, "function")}


@cache
def _events(name: ContractName) -> Mapping[bytes, dict[str, Any]]:
    return {keccak(_signature_of(entry)): entry for entry in _entries(name, "event")}


@cache
def _errors() -> Mapping[bytes, dict[str, Any]]:
    return {
        keccak(_signature_of(entry))[:4]: entry
        for name in contracts.ARTEFACT_NAMES
        for entry in _entries(name, "error")
    }


@cache
def _quote_components() -> list[dict[str, Any]]:
    components: list[dict[str, Any]] = _functions(SETTLEMENT)["quoteHashOf"]["inputs"][0][
        "components"
    ]
    return components
