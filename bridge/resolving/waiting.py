"""Which payments wait for liquidity, kept up by the events of final blocks; pure.

Applying a block twice changes nothing, so a block whose database transaction failed may come again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.chain import terms_of_arguments
from bridge.payment import Terms
from bridge.store import EventRow

BilateralKey = tuple[bytes, str, str]
"""A payer's account address, a currency and the LEI of the participant that is paid."""

ENDS: Final = frozenset({"PaymentSettled", "PaymentRejected", "PaymentCancelled", "PaymentExpired"})
"""Events after which a payment waits no longer."""

EVENTS: Final = ENDS | {"Instructed", "PaymentQueued", "BilateralLimitSet"}
"""Events that say something of what waits."""


@dataclass(slots=True)
class Waiting:
    """Terms of every payment that has not ended, which of them wait, and who has bilateral limits."""

    terms: dict[bytes, Terms] = field(default_factory=dict)
    queued: set[bytes] = field(default_factory=set)
    bilateral: set[BilateralKey] = field(default_factory=set)

    def observe(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Apply one event of the settlement contract; others are left alone."""
        match name:
            case "Instructed":
                self.terms[arguments["paymentId"]] = terms_of_arguments(arguments)
            case "PaymentQueued":
                self.queued.add(arguments["paymentId"])
            case "BilateralLimitSet":
                currency, lei = arguments["currency"], arguments["counterparty"]
                self.bilateral.add((arguments["account"], currency.decode(), lei.decode()))
            case _:
                if name in ENDS:
                    self.queued.discard(arguments["paymentId"])
                    self.terms.pop(arguments["paymentId"], None)

    def restore(self, rows: Iterable[EventRow]) -> None:
        """Apply the events that a store has kept, in the order of the chain."""
        for row in rows:
            if row.name in EVENTS:
                self.observe(row.name, _octets_of(json.loads(row.document)))


def _octets_of(value: Any) -> Any:  # JSON in; bytes where it has hex
    match value:
        case str() if value.startswith("0x"):
            return bytes.fromhex(value[2:])
        case list():
            return tuple(_octets_of(part) for part in value)
        case dict():
            return {name: _octets_of(part) for name, part in value.items()}
        case _:
            return value
