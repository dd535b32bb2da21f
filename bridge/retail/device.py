"""A reference device for offline retail CBDC: what an honest wallet on a card or telephone does; pure.

A purse is a value; each step gives the next one. The device knows the public keys of banks, from the
participant registry, and asks nobody while it is offline. Nothing here is trusted by a bank.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.errors import VoucherExpired, VoucherInvalid, VoucherUncovered
from bridge.interbank import read_statement
from bridge.voucher import Endorsement, Presentation, Voucher, check_voucher, device_of


@dataclass(frozen=True, slots=True)
class Handover:
    """What one device gives another: a voucher, its bank's word for the device, an endorsement."""

    voucher: Voucher
    certificate: str
    endorsement: Endorsement | None = None


@dataclass(frozen=True, slots=True)
class Purse:
    """A device and what it holds; amounts in minor units. `received` are others' vouchers to it."""

    key: Ed25519PrivateKey
    bank_lei: str
    currency: str
    certificate: str = ""
    loaded: int = 0
    spent: int = 0
    counter: int = 0
    expires_at: int = 0
    received: tuple[Handover, ...] = field(default=())

    @property
    def device(self) -> str:
        """The device's name: its public key as hex."""
        return device_of(self.key)


def load(purse: Purse, certificate: str, bank_key: bytes) -> Purse:
    """The purse with what its bank says it was loaded with; raises `VoucherInvalid`."""
    statement = _statement(certificate, bank_key, device=purse.device, bank_lei=purse.bank_lei)
    return replace(
        purse,
        certificate=certificate,
        loaded=int(statement["loaded"]),
        expires_at=int(statement["expires_at"]),
    )


def spend(
    purse: Purse, amount: int, payee: str, *, serial: bytes, now: int
) -> tuple[Purse, Handover]:
    """A voucher to another device, and the purse without it.

    Raises `VoucherUncovered` and `VoucherExpired`.
    """
    left = purse.loaded - purse.spent
    if not 0 < amount <= left:
        raise VoucherUncovered(str(amount), str(left))
    if now >= purse.expires_at:
        raise VoucherExpired(purse.expires_at)
    voucher = Voucher.sign(
        purse.key,
        {
            "bank_lei": purse.bank_lei,
            "currency": purse.currency,
            "amount": amount,
            "payee": payee,
            "counter": purse.counter + 1,
            "serial": serial.hex(),
            "expires_at": purse.expires_at,
        },
    )
    after = replace(purse, spent=purse.spent + amount, counter=purse.counter + 1)
    return after, Handover(voucher, purse.certificate)


def accept(purse: Purse, handover: Handover, bank_key: bytes, *, now: int) -> Purse:
    """The purse with another device's voucher, believed offline; `bank_key` is that device's bank's.

    Raises `VoucherInvalid` and `VoucherExpired`.
    """
    voucher, endorsement = handover.voucher, handover.endorsement
    check_voucher(voucher)
    _statement(handover.certificate, bank_key, device=voucher.device, bank_lei=voucher.bank_lei)
    holder = voucher.payee if endorsement is None else endorsement.to
    if holder != purse.device:
        raise VoucherInvalid("it is for another device")
    if now >= voucher.expires_at:
        raise VoucherExpired(voucher.expires_at)
    held = {(one.voucher.device, one.voucher.counter) for one in purse.received}
    if (voucher.device, voucher.counter) in held:
        raise VoucherInvalid("its counter is held already")
    return replace(purse, received=(*purse.received, handover))


def endorse(purse: Purse, handover: Handover, to: str) -> tuple[Purse, Handover]:
    """A received voucher handed on, once; the purse no longer holds it. Raises `VoucherInvalid`."""
    if handover.endorsement is not None or handover not in purse.received:
        raise VoucherInvalid("it cannot be handed on")
    kept = tuple(one for one in purse.received if one != handover)
    endorsement = Endorsement.sign(purse.key, handover.voucher, to)
    return replace(purse, received=kept), replace(handover, endorsement=endorsement)


def present(purse: Purse, handover: Handover, wallet_id: str) -> Presentation:
    """A received voucher as it is deposited into a wallet at the device's own bank."""
    return Presentation.sign(
        purse.key,
        handover.voucher,
        handover.endorsement,
        wallet_id=wallet_id,
        bank_lei=purse.bank_lei,
    )


def _statement(
    certificate: str, bank_key: bytes, *, device: str, bank_lei: str
) -> Mapping[str, str]:
    statement = read_statement(certificate, bank_key)
    if (statement.get("device"), statement.get("bank")) != (device, bank_lei):
        raise VoucherInvalid("its certificate is another device's")
    return statement
