"""A bank's devices, the vouchers it paid, and the evidence of what was spent twice."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, or_, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.store import tables

EVIDENCE_MAX: Final = 16
"""Most evidence kept against one device: whoever cheats could sign without end."""


@unique
class DeviceStatus(StrEnum):
    """A blocked device is never loaded again."""

    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Device:
    """A device by its public key. `loaded` counts the minor units it was ever loaded with.

    `expires_at` is until when its vouchers may run.
    """

    device: str
    wallet_id: str
    status: DeviceStatus
    loaded: int
    expires_at: int
    registered_at: int


@dataclass(frozen=True, slots=True)
class PaidVoucher:
    """A voucher that was presented first, as it was presented, and the payment that followed."""

    device: str
    counter: int
    serial: str
    presentation: str
    payment_id: str
    taken_at: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two presentations that cannot both be true, each signed by the culprit."""

    culprit: str
    first: str
    second: str
    found_at: int


class Devices:
    """Devices by public key and wallet, vouchers by counter, evidence."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, device: Device) -> None:
        """Keep a new device; nothing happens when it is the same wallet's already.

        Raises `RecordConflict` when it is another wallet's.
        """
        found = self.find(device.device)
        if found is not None:
            if found.wallet_id != device.wallet_id:
                raise RecordConflict("device", device.device)
            return
        self._connection.execute(
            insert(tables.devices).values(
                device=device.device,
                wallet_id=device.wallet_id,
                status=device.status.value,
                loaded=device.loaded,
                expires_at=device.expires_at,
                registered_at=device.registered_at,
            )
        )

    def find(self, device: str) -> Device | None:
        """The device with this public key, if it is kept here."""
        query = select(tables.devices).where(tables.devices.c.device == device)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _device(row)

    def of_wallet(self, wallet_id: str) -> tuple[Device, ...]:
        """The devices of a wallet, by public key."""
        kept = tables.devices.c
        query = select(tables.devices).where(kept.wallet_id == wallet_id).order_by(kept.device)
        return tuple(_device(row) for row in self._connection.execute(query))

    def load(self, device: str, *, loaded: int, expires_at: int) -> None:
        """Keep that a device was loaded; raises `RecordMissing`."""
        self._change(device, {"loaded": loaded, "expires_at": expires_at})

    def block(self, device: str) -> None:
        """Block a device for good; raises `RecordMissing`."""
        self._change(device, {"status": DeviceStatus.BLOCKED.value})

    def _change(self, device: str, values: dict[str, Any]) -> None:  # columns by name
        change = update(tables.devices).where(tables.devices.c.device == device)
        if self._connection.execute(change.values(**values)).rowcount != 1:
            raise RecordMissing("device", device)

    def paid(self, device: str, *, counter: int, serial: str) -> PaidVoucher | None:
        """The voucher of a device that was paid under this counter or this serial."""
        kept = tables.vouchers.c
        query = (
            select(tables.vouchers)
            .where(kept.device == device, or_(kept.counter == counter, kept.serial == serial))
            .order_by(kept.counter)
            .limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        return PaidVoucher(
            device=row.device,
            counter=row.counter,
            serial=row.serial,
            presentation=row.presentation,
            payment_id=row.payment_id,
            taken_at=row.taken_at,
        )

    def pay(self, voucher: PaidVoucher) -> None:
        """Keep a voucher; the database refuses a counter or a serial that is used."""
        self._connection.execute(
            insert(tables.vouchers).values(
                device=voucher.device,
                counter=voucher.counter,
                serial=voucher.serial,
                presentation=voucher.presentation,
                payment_id=voucher.payment_id,
                taken_at=voucher.taken_at,
            )
        )

    def accuse(self, evidence: Evidence) -> None:
        """Keep evidence, once for each second presentation and up to `EVIDENCE_MAX` for a culprit."""
        kept = tables.voucher_conflicts.c
        query = select(kept.second).where(kept.culprit == evidence.culprit).limit(EVIDENCE_MAX)
        known = [row.second for row in self._connection.execute(query)]
        if evidence.second in known or len(known) >= EVIDENCE_MAX:
            return
        self._connection.execute(
            insert(tables.voucher_conflicts).values(
                culprit=evidence.culprit,
                first=evidence.first,
                second=evidence.second,
                found_at=evidence.found_at,
            )
        )

    def evidence(self, limit: int) -> tuple[Evidence, ...]:
        """The newest evidence."""
        kept = tables.voucher_conflicts
        query = select(kept).order_by(kept.c.sequence.desc()).limit(limit)
        return tuple(
            Evidence(row.culprit, row.first, row.second, row.found_at)
            for row in self._connection.execute(query)
        )


def _device(row: Row[Any]) -> Device:  # a row of the whole table
    return Device(
        device=row.device,
        wallet_id=row.wallet_id,
        status=DeviceStatus(row.status),
        loaded=row.loaded,
        expires_at=row.expires_at,
        registered_at=row.registered_at,
    )
