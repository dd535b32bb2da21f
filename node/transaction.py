"""Transactions: decode, hash, sender, and the one static check everybody applies.

Types 0 (legacy, with EIP-155), 1 (EIP-2930) and 2 (EIP-1559). `check_transaction` is what the RPC
process, the pool, check_tx, process_proposal and the engine all call on raw bytes; it depends on
nothing but the bytes, the chain id and the rules in force. Its refusals, in this order:

    TransactionTooLarge, MalformedTransaction, TransactionTypeUnsupported, NotReplayProtected,
    WrongChainId, SignatureInvalid (range), HighS, NonceTooHigh, FeeCapBelowPriorityFee,
    GasLimitTooHigh, InitCodeTooLarge, GasBelowIntrinsic, SignatureInvalid (no such key)

Recovering a sender costs more than everything else here, so senders are remembered by
transaction hash; the hash covers the signature, so the memory cannot answer wrongly. So is the
whole check of short transactions, by their bytes, for the same rules and chain id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

from node.errors import (
    FeeCapBelowPriorityFee,
    GasBelowIntrinsic,
    GasLimitTooHigh,
    HighS,
    InitCodeTooLarge,
    MalformedRlp,
    MalformedTransaction,
    NonceTooHigh,
    NotReplayProtected,
    SignatureInvalid,
    TransactionTooLarge,
    TransactionTypeUnsupported,
    WrongChainId,
)
from node.primitives import (
    SECP256K1_ORDER,
    Address,
    Hash32,
    RlpItem,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_rlp_list,
    encode_uint,
    keccak,
    recover_address,
)
from node.specification import Rules

TYPE_LEGACY: Final = 0
TYPE_ACCESS_LIST: Final = 1
TYPE_DYNAMIC_FEE: Final = 2

TRANSACTION_BYTES_MAX: Final = 128 * 1024
INIT_CODE_BYTES_MAX: Final = 49_152
"""EIP-3860."""
NONCE_MAX: Final = 2**64 - 2
"""EIP-2681."""
SENDERS_REMEMBERED_MAX: Final = 16_384
CHECKED_REMEMBERED_MAX: Final = 8_192
CHECKED_BYTES_MAX: Final = 1_024
"""Longer transactions are checked each time: they are few, and memory is bounded by this."""

_LIST_MARKER: Final = 0xC0
_SHORT_LIST_MARKER_MAX: Final = 0xF7
_TYPE_BYTE_MAX: Final = 0x7F
_UNPROTECTED_V: Final = (27, 28)
_PROTECTED_V_BASE: Final = 35

# Gas schedule: Yellow Paper appendix G as changed by EIP-2028, 2930, 3860 and 7623.
_GAS_TRANSACTION: Final = 21_000
_GAS_CREATION: Final = 32_000
_GAS_INIT_CODE_WORD: Final = 2
_GAS_TOKEN: Final = 4
_GAS_TOKEN_FLOOR: Final = 10
_TOKENS_PER_NONZERO_BYTE: Final = 4
_GAS_ACCESS_ADDRESS: Final = 2_400
_GAS_ACCESS_STORAGE_KEY: Final = 1_900


@dataclass(frozen=True, slots=True)
class AccessListEntry:
    """One address and storage keys (32 bytes each) a transaction declares to touch."""

    address: Address
    storage_keys: tuple[Hash32, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """A decoded transaction. For types 0 and 1 both fee fields hold the gas price."""

    transaction_type: int
    chain_id: int | None
    """None: a legacy transaction without EIP-155."""
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas_limit: int
    to: Address | None
    """None: the transaction creates a contract."""
    value: int
    data: bytes
    access_list: tuple[AccessListEntry, ...]
    y_parity: int
    r: int
    s: int
    raw: bytes
    """The canonical encoding, as signed and sent."""
    hash: Hash32

    @property
    def v(self) -> int:
        """The signature's v as JSON-RPC shows it: of EIP-155 for legacy, else the parity."""
        if self.transaction_type != TYPE_LEGACY:
            return self.y_parity
        if self.chain_id is None:
            return _UNPROTECTED_V[0] + self.y_parity
        return self.chain_id * 2 + _PROTECTED_V_BASE + self.y_parity

    @property
    def cost_max(self) -> int:
        """The most the sender may have to pay, in wei."""
        return self.gas_limit * self.max_fee_per_gas + self.value

    def tip_above(self, base_fee: int) -> int:
        """Return what a unit of gas earns the block's maker (EIP-1559)."""
        return min(self.max_priority_fee_per_gas, self.max_fee_per_gas - base_fee)


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A transaction of type 2 that nobody has signed: what a dry run shows, or a wallet is to sign."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas_limit: int
    to: Address | None
    """None: the transaction creates a contract."""
    value: int
    data: bytes
    access_list: tuple[AccessListEntry, ...] = ()

    def encode(self) -> bytes:
        """Return the encoding with a signature of zeros (EIP-1559)."""
        fields = (
            self.chain_id,
            self.nonce,
            self.max_priority_fee_per_gas,
            self.max_fee_per_gas,
            self.gas_limit,
        )
        entries: list[RlpItem] = [
            [entry.address, list(entry.storage_keys)] for entry in self.access_list
        ]
        items: list[RlpItem] = [
            *map(encode_uint, fields),
            b"" if self.to is None else self.to,
            encode_uint(self.value),
            self.data,
            entries,
            *[b""] * 3,
        ]
        return bytes([TYPE_DYNAMIC_FEE]) + encode_rlp(items)


@dataclass(frozen=True, slots=True)
class CheckedTransaction:
    """A transaction that passed the static check, with its sender."""

    transaction: Transaction
    sender: Address

    @property
    def hash(self) -> Hash32:
        """The transaction's hash."""
        return self.transaction.hash

    @property
    def nonce(self) -> int:
        """The transaction's nonce."""
        return self.transaction.nonce


def check_transaction(raw: bytes, *, chain_id: int, rules: Rules) -> CheckedTransaction:
    """Return the transaction and its sender, or raise the first refusal of the module's list.

    What passed is remembered by its bytes: pool, proposal, validation and execution ask about the same ones.
    """
    known = _checked.get(raw)
    if known is not None and known[0] is rules and known[1] == chain_id:
        return known[2]
    checked = _check(raw, chain_id=chain_id, rules=rules)
    if len(raw) <= CHECKED_BYTES_MAX:
        _checked.put(raw, (rules, chain_id, checked))
    return checked


def _check(raw: bytes, *, chain_id: int, rules: Rules) -> CheckedTransaction:
    transaction = decode_transaction(raw)
    if transaction.transaction_type not in rules.transaction_types:
        raise TransactionTypeUnsupported(transaction.transaction_type)
    if transaction.chain_id is None:
        raise NotReplayProtected
    if transaction.chain_id != chain_id:
        raise WrongChainId(expected=chain_id, given=transaction.chain_id)
    if not (0 < transaction.r < SECP256K1_ORDER and 0 < transaction.s < SECP256K1_ORDER):
        raise SignatureInvalid("r or s out of range")
    if transaction.s > SECP256K1_ORDER // 2:
        raise HighS(transaction.s)
    if transaction.nonce > NONCE_MAX:
        raise NonceTooHigh(transaction.nonce)
    if transaction.max_fee_per_gas < transaction.max_priority_fee_per_gas:
        raise FeeCapBelowPriorityFee(
            transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas
        )
    _check_gas(transaction, rules)
    return CheckedTransaction(transaction, recover_sender(transaction))


def decode_transaction(raw: bytes) -> Transaction:
    """Return the transaction `raw` encodes canonically; says nothing about its validity."""
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise TransactionTooLarge(len(raw), TRANSACTION_BYTES_MAX)
    if not raw:
        raise MalformedTransaction("no bytes")
    try:
        if raw[0] >= _LIST_MARKER:
            return _decode_legacy(raw)
        if raw[0] == TYPE_ACCESS_LIST:
            return _decode_access_list_type(raw)
        if raw[0] == TYPE_DYNAMIC_FEE:
            return _decode_dynamic_fee_type(raw)
    except MalformedRlp as error:
        raise MalformedTransaction(error.reason) from error
    if raw[0] > _TYPE_BYTE_MAX:
        raise MalformedTransaction("neither a list nor a type")
    raise TransactionTypeUnsupported(raw[0])


def recover_sender(transaction: Transaction) -> Address:
    """Return who signed it; raises SignatureInvalid if no key answers to the signature."""
    known = _senders.get(transaction.hash)
    if known is None:
        known = recover_address(
            signing_hash(transaction),
            r=transaction.r,
            s=transaction.s,
            y_parity=transaction.y_parity,
        )
        _senders.put(transaction.hash, known)
    return known


def remember_sender(transaction_hash: Hash32, sender: Address) -> None:
    """Spares `recover_sender` its work; only for a sender that this very code recovered, in a process we trust."""
    _senders.put(transaction_hash, sender)


def signing_hash(transaction: Transaction) -> Hash32:
    """Return what the sender signed (EIP-155, EIP-2930, EIP-1559).

    The encoding is canonical, so what was signed stands in it word for word, without the three items of the signature
    at its end: nothing is decoded again.
    """
    encoded = _payload(transaction)
    signature = (transaction.v, transaction.r, transaction.s)
    signature_size = sum(len(encode_rlp(encode_uint(each))) for each in signature)
    signed = encoded[_list_header_size(encoded) : -signature_size]
    if transaction.transaction_type != TYPE_LEGACY:
        return keccak(bytes([transaction.transaction_type]) + encode_rlp_list([signed]))
    if transaction.chain_id is None:
        return keccak(encode_rlp_list([signed]))
    chain = [encode_rlp(each) for each in (encode_uint(transaction.chain_id), b"", b"")]
    return keccak(encode_rlp_list([signed, *chain]))


def intrinsic_gas(
    data: bytes, *, creates: bool, access_list: Sequence[AccessListEntry] = ()
) -> int:
    """Return the gas a transaction costs before its first instruction."""
    gas = _GAS_TRANSACTION + _GAS_TOKEN * _calldata_tokens(data)
    if creates:
        gas += _GAS_CREATION + _GAS_INIT_CODE_WORD * ((len(data) + 31) // 32)
    gas += _GAS_ACCESS_ADDRESS * len(access_list)
    return gas + _GAS_ACCESS_STORAGE_KEY * sum(len(entry.storage_keys) for entry in access_list)


def gas_limit_min(
    data: bytes, *, creates: bool, access_list: Sequence[AccessListEntry] = ()
) -> int:
    """Return the smallest gas limit allowed: intrinsic gas or the calldata floor (EIP-7623)."""
    floor = _GAS_TRANSACTION + _GAS_TOKEN_FLOOR * _calldata_tokens(data)
    return max(floor, intrinsic_gas(data, creates=creates, access_list=access_list))


def _check_gas(transaction: Transaction, rules: Rules) -> None:
    creates = transaction.to is None
    if transaction.gas_limit > rules.transaction_gas_limit:
        raise GasLimitTooHigh(transaction.gas_limit, rules.transaction_gas_limit)
    if creates and len(transaction.data) > INIT_CODE_BYTES_MAX:
        raise InitCodeTooLarge(len(transaction.data), INIT_CODE_BYTES_MAX)
    gas_needed = gas_limit_min(
        transaction.data, creates=creates, access_list=transaction.access_list
    )
    if transaction.gas_limit < gas_needed:
        raise GasBelowIntrinsic(transaction.gas_limit, gas_needed)


def _calldata_tokens(data: bytes) -> int:
    zeros = data.count(0)
    return zeros + _TOKENS_PER_NONZERO_BYTE * (len(data) - zeros)


def _payload(transaction: Transaction) -> bytes:
    return transaction.raw[0 if transaction.transaction_type == TYPE_LEGACY else 1 :]


def _list_header_size(encoded: bytes) -> int:
    """Bytes before the first item of a list's encoding."""
    return 1 if encoded[0] <= _SHORT_LIST_MARKER_MAX else 1 + encoded[0] - _SHORT_LIST_MARKER_MAX


def _decode_legacy(raw: bytes) -> Transaction:
    nonce, gas_price, gas_limit, to, value, data, v, r, s = decode_list(decode_rlp(raw), 9)
    chain_id, y_parity = _split_v(decode_uint(v))
    price = decode_uint(gas_price)
    return Transaction(
        transaction_type=TYPE_LEGACY,
        chain_id=chain_id,
        nonce=decode_uint(nonce, 8),
        max_priority_fee_per_gas=price,
        max_fee_per_gas=price,
        gas_limit=decode_uint(gas_limit, 8),
        to=_decode_to(to),
        value=decode_uint(value),
        data=decode_bytes(data),
        access_list=(),
        y_parity=y_parity,
        r=decode_uint(r),
        s=decode_uint(s),
        raw=raw,
        hash=keccak(raw),
    )


def _decode_access_list_type(raw: bytes) -> Transaction:
    items = decode_list(decode_rlp(raw[1:]), 11)
    price = items[2]
    return _decode_typed(raw, [*items[:2], price, *items[2:]])


def _decode_dynamic_fee_type(raw: bytes) -> Transaction:
    return _decode_typed(raw, decode_list(decode_rlp(raw[1:]), 12))


def _decode_typed(raw: bytes, items: Sequence[RlpItem]) -> Transaction:
    chain_id, nonce, priority_fee, max_fee, gas_limit, to, value, data = items[:8]
    access_list, y_parity, r, s = items[8:]
    parity = decode_uint(y_parity)
    if parity > 1:
        raise MalformedRlp("y_parity is neither 0 nor 1")
    return Transaction(
        transaction_type=raw[0],
        chain_id=decode_uint(chain_id),
        nonce=decode_uint(nonce, 8),
        max_priority_fee_per_gas=decode_uint(priority_fee),
        max_fee_per_gas=decode_uint(max_fee),
        gas_limit=decode_uint(gas_limit, 8),
        to=_decode_to(to),
        value=decode_uint(value),
        data=decode_bytes(data),
        access_list=_decode_access_list(access_list),
        y_parity=parity,
        r=decode_uint(r),
        s=decode_uint(s),
        raw=raw,
        hash=keccak(raw),
    )


def _split_v(v: int) -> tuple[int | None, int]:
    """Return the chain id (None: unprotected) and parity of a legacy signature's v."""
    if v in _UNPROTECTED_V:
        return None, v - _UNPROTECTED_V[0]
    if v < _PROTECTED_V_BASE:
        raise MalformedRlp(f"v is {v}")
    chain_id, y_parity = divmod(v - _PROTECTED_V_BASE, 2)
    return chain_id, y_parity


def _decode_to(item: RlpItem) -> Address | None:
    return None if item == b"" else Address(decode_bytes(item, 20))


def _decode_access_list(item: RlpItem) -> tuple[AccessListEntry, ...]:
    entries = []
    for entry in decode_list(item):
        address, storage_keys = decode_list(entry, 2)
        entries.append(
            AccessListEntry(
                Address(decode_bytes(address, 20)),
                tuple(Hash32(decode_bytes(key, 32)) for key in decode_list(storage_keys)),
            )
        )
    return tuple(entries)


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Memory(Generic[_Key, _Value]):
    """Values by key; the oldest is forgotten first. Safe between threads."""

    def __init__(self, remembered_max: int) -> None:
        self._remembered_max = remembered_max
        self._value_by_key: dict[_Key, _Value] = {}
        self._lock = Lock()

    def get(self, key: _Key) -> _Value | None:
        """A remembered value."""
        return self._value_by_key.get(key)

    def put(self, key: _Key, value: _Value) -> None:
        """Remembers a value."""
        with self._lock:
            if len(self._value_by_key) >= self._remembered_max:
                del self._value_by_key[next(iter(self._value_by_key))]
            self._value_by_key[key] = value


_senders: Final = Memory[Hash32, Address](SENDERS_REMEMBERED_MAX)
_checked: Final = Memory[bytes, tuple[Rules, int, CheckedTransaction]](CHECKED_REMEMBERED_MAX)
"""With the rules and the chain id that it was checked by."""
