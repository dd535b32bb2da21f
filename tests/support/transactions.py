"""Builders of signed transactions and block environments, straight from RLP and secp256k1.

Deliberately independent of `node.transaction`: what is built here is what that module must read.
"""

from dataclasses import dataclass
from typing import Final

from coincurve import PrivateKey

from node.engine import BlockEnv
from node.primitives import (
    SECP256K1_ORDER,
    Address,
    Hash32,
    RlpItem,
    address_of_public_key,
    encode_rlp,
    encode_uint,
    keccak,
)
from node.specification import Rules

CHAIN_ID: Final = 2_002_200
RULES: Final = Rules(from_number=0)
SINK: Final = Address(b"\x51" * 20)
"""An address nobody holds."""
SLOW_LOOP: Final = "0x5b" + "5a50" * 500 + "600056"
"""Init code that goes round for ever by instructions that take long for their gas."""


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key with its address."""

    secret: bytes

    @property
    def address(self) -> Address:
        """The address that signs with it."""
        public = PrivateKey(self.secret).public_key.format(compressed=False)
        return address_of_public_key(public[1:])

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        """Return y_parity, r and s."""
        signature = PrivateKey(self.secret).sign_recoverable(digest, hasher=None)
        return (
            signature[64],
            int.from_bytes(signature[:32], "big"),
            int.from_bytes(signature[32:64], "big"),
        )


ALICE: Final = Key(b"\x11" * 32)
BOB: Final = Key(b"\x22" * 32)


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction before it is signed; the defaults make a valid call that does nothing."""

    transaction_type: int = 2
    chain_id: int | None = CHAIN_ID
    """None: a legacy transaction without EIP-155."""
    nonce: int = 0
    max_priority_fee_per_gas: int = 0
    max_fee_per_gas: int = 0
    gas_limit: int = 100_000
    to: bytes | None = SINK
    value: int = 0
    data: bytes = b""
    access_list: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()

    def signed_by(self, key: Key, *, high_s: bool = False) -> bytes:
        """Return the raw transaction; with `high_s`, the malleable twin of its signature."""
        fields = self._fields()
        y_parity, r, s = key.sign(keccak(self._signing_payload(fields)))
        if high_s:
            y_parity, s = 1 - y_parity, SECP256K1_ORDER - s
        return self.with_signature(y_parity=y_parity, r=r, s=s)

    def with_signature(self, *, y_parity: int, r: int, s: int) -> bytes:
        """Return the raw transaction with whatever signature is given."""
        v = y_parity
        if self.transaction_type == 0:
            v += 27 if self.chain_id is None else 35 + 2 * self.chain_id
        signature: list[RlpItem] = [encode_uint(v), encode_uint(r), encode_uint(s)]
        return self._prefix() + encode_rlp([*self._fields(), *signature])

    def _prefix(self) -> bytes:
        return b"" if self.transaction_type == 0 else bytes([self.transaction_type])

    def _signing_payload(self, fields: list[RlpItem]) -> bytes:
        if self.transaction_type == 0 and self.chain_id is not None:
            fields = [*fields, encode_uint(self.chain_id), b"", b""]
        return self._prefix() + encode_rlp(fields)

    def _fields(self) -> list[RlpItem]:
        chain = [] if self.transaction_type == 0 else [encode_uint(self.chain_id or 0)]
        fees = [encode_uint(self.max_fee_per_gas)]
        if self.transaction_type not in (0, 1):
            fees = [encode_uint(self.max_priority_fee_per_gas), *fees]
        entries: list[RlpItem] = [[address, list(keys)] for address, keys in self.access_list]
        return [
            *chain,
            encode_uint(self.nonce),
            *fees,
            encode_uint(self.gas_limit),
            self.to or b"",
            encode_uint(self.value),
            self.data,
            *([] if self.transaction_type == 0 else [entries]),
        ]


def block_env(number: int = 1, timestamp: int = 1_800_000_000, rules: Rules = RULES) -> BlockEnv:
    """Return the environment of a block whose ancestors have made-up hashes."""
    ancestors = tuple(Hash32(keccak(encode_uint(n))) for n in range(number - 1, -1, -1))
    return BlockEnv(CHAIN_ID, number, timestamp, rules, ancestors[:256])
