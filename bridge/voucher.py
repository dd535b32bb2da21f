"""Vouchers of offline devices: what a device signs, how it is handed on once, how it is presented; pure.

    device  --voucher (counter, amount, payee device, expiry)-->  payee
    payee   --endorsement, at most once------------------------>  holder
    holder  --presentation (wallet, bank)---------------------->  the bank of the device

A device is named by its Ed25519 public key (RFC 8032). Every signature covers what stands before it
in the chain, so two presentations of one counter that differ hold two signatures of whoever spent
twice.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from bridge.errors import VoucherInvalid

VOUCHER_DOMAIN: Final = "corridor-voucher-v1"
ENDORSEMENT_DOMAIN: Final = "corridor-voucher-endorsement-v1"
PRESENTATION_DOMAIN: Final = "corridor-voucher-presentation-v1"

AMOUNT_MAX: Final = 10**12
"""Largest voucher, in minor units."""

COUNTER_MAX: Final = 2**53
"""Counters and times above it are refused: they would not survive every JSON reader."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """What a device owes to another; `amount` is in minor units, `serial` 16 bytes as hex."""

    device: str
    bank_lei: str
    currency: str
    amount: int
    payee: str
    counter: int
    serial: str
    expires_at: int
    signature: str

    @classmethod
    def sign(cls, key: Ed25519PrivateKey, content: Mapping[str, Any]) -> Self:  # the other fields
        """A voucher of the device that holds this key."""
        voucher = cls(**content, device=device_of(key), signature="")
        signed = key.sign(voucher.content)
        return cls(**content, device=voucher.device, signature=signed.hex())

    @property
    def content(self) -> bytes:
        """What the device signs."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "signature"}
        return _content(VOUCHER_DOMAIN, fields)

    @property
    def digest(self) -> str:
        """The voucher by the SHA-256 of what is signed."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The payee hands a voucher on, to another device."""

    to: str
    signature: str

    @classmethod
    def sign(cls, key: Ed25519PrivateKey, voucher: Voucher, to: str) -> Self:
        """An endorsement by the device that holds this key."""
        return cls(to, key.sign(_endorsed(voucher, to)).hex())


@dataclass(frozen=True, slots=True)
class Presentation:
    """A voucher with its holder's order where to pay: a wallet, at a bank."""

    voucher: Voucher
    endorsement: Endorsement | None
    wallet_id: str
    bank_lei: str
    signature: str

    @classmethod
    def sign(
        cls,
        key: Ed25519PrivateKey,
        voucher: Voucher,
        endorsement: Endorsement | None,
        *,
        wallet_id: str,
        bank_lei: str,
    ) -> Self:
        """A presentation by the device that holds this key."""
        unsigned = cls(voucher, endorsement, wallet_id, bank_lei, "")
        return cls(voucher, endorsement, wallet_id, bank_lei, key.sign(unsigned.content).hex())

    @property
    def holder(self) -> str:
        """The device whose money it is now."""
        return self.voucher.payee if self.endorsement is None else self.endorsement.to

    @property
    def content(self) -> bytes:
        """What the holder signs."""
        fields = {
            "voucher": self.voucher.digest,
            "endorsed": self.endorsement is not None,
            "holder": self.holder,
            "wallet": self.wallet_id,
            "bank": self.bank_lei,
        }
        return _content(PRESENTATION_DOMAIN, fields)

    @property
    def digest(self) -> str:
        """The presentation by the SHA-256 of what is signed."""
        return hashlib.sha256(self.content).hexdigest()

    def format(self) -> str:
        """The presentation as JSON text: equal presentations are equal text."""
        voucher = {name: getattr(self.voucher, name) for name in self.voucher.__slots__}
        endorsement = self.endorsement
        document = {
            "voucher": voucher,
            "endorsement": None
            if endorsement is None
            else {"to": endorsement.to, "signature": endorsement.signature},
            "wallet_id": self.wallet_id,
            "bank_lei": self.bank_lei,
            "signature": self.signature,
        }
        return json.dumps(document, sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a presentation; raises `VoucherInvalid` for anything else. Signatures are not checked."""
        try:
            document = json.loads(text)
            endorsement = document.pop("endorsement")
            presentation = cls(
                voucher=Voucher(**document.pop("voucher")),
                endorsement=None if endorsement is None else Endorsement(**endorsement),
                **document,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise VoucherInvalid("it is no presentation") from error
        _check_shape(presentation)
        return presentation


def device_of(key: Ed25519PrivateKey) -> str:
    """The name of the device that holds this key: its public key as hex."""
    return key.public_key().public_bytes_raw().hex()


def check_presentation(presentation: Presentation) -> None:
    """Refuse a presentation with a signature that is not its signer's; raises `VoucherInvalid`."""
    voucher, endorsement = presentation.voucher, presentation.endorsement
    check_voucher(voucher)
    if endorsement is not None:
        signed = _endorsed(voucher, endorsement.to)
        _check_signature(voucher.payee, endorsement.signature, signed, "endorsement")
    _check_signature(
        presentation.holder, presentation.signature, presentation.content, "presentation"
    )


def check_voucher(voucher: Voucher) -> None:
    """Refuse a voucher that its device did not sign; raises `VoucherInvalid`."""
    _check_signature(voucher.device, voucher.signature, voucher.content, "voucher")


def culprit_of(first: Presentation, second: Presentation) -> str | None:
    """The device that signed two different things about one counter; None when they are the same.

    Only what was signed is compared: how a signature is written accuses nobody.
    """
    if first.digest == second.digest:
        return None
    if first.voucher.content != second.voucher.content:
        return first.voucher.device
    endorsed = (first.endorsement is not None, second.endorsement is not None)
    if first.holder != second.holder or endorsed[0] != endorsed[1]:
        return first.voucher.payee
    return first.holder


def _check_shape(presentation: Presentation) -> None:
    voucher, endorsement = presentation.voucher, presentation.endorsement
    texts: list[object] = [getattr(voucher, name) for name in _VOUCHER_TEXTS]
    texts += [presentation.wallet_id, presentation.bank_lei, presentation.signature]
    if endorsement is not None:
        texts += [endorsement.to, endorsement.signature]
    numbers: list[object] = [voucher.amount, voucher.counter, voucher.expires_at]
    if not all(isinstance(text, str) and len(text) <= 128 and text.isascii() for text in texts):
        raise VoucherInvalid("a part of it is no text")
    if not all(type(number) is int and 0 < number <= COUNTER_MAX for number in numbers):
        raise VoucherInvalid("a part of it is no number")
    if voucher.amount > AMOUNT_MAX:
        raise VoucherInvalid("its amount is out of range")


_VOUCHER_TEXTS: Final = ("device", "bank_lei", "currency", "payee", "serial", "signature")


def _check_signature(device: str, signature: str, content: bytes, part: str) -> None:
    try:
        public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(device))
        public_key.verify(bytes.fromhex(signature), content)
    except (ValueError, InvalidSignature) as error:
        raise VoucherInvalid(f"the signature of its {part} is wrong") from error


def _endorsed(voucher: Voucher, to: str) -> bytes:
    return _content(ENDORSEMENT_DOMAIN, {"voucher": voucher.digest, "to": to})


def _content(domain: str, fields: Mapping[str, object]) -> bytes:
    return f"{domain}|{json.dumps(fields, sort_keys=True)}".encode()
