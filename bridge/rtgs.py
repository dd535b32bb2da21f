"""RTGS: accounts at the central bank and the transfers between them, one by one, in full; pure.

    entered --> QUEUED --enough money--> SETTLED
                  |----cancelled by whoever ordered it--> CANCELLED
                  '----the business day ends------------> EXPIRED

A transfer waits in the queue of the account it takes money from. Urgent ones stand before normal ones,
otherwise whoever came first goes first; only the head of a queue settles, so a small transfer never
passes a large one of its own priority. What settles may let the creditor's queue move, and so on.

Invariants: nothing settles beyond the balance and the credit line; the order of a queue is kept; every
transfer ends, at the latest with its business day; each reference settles once. Which seconds are a
business day is said by `bridge.business_days`.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum, unique
from typing import Final

from bridge.errors import TransferLimitExceeded
from bridge.money import Amount, Currency

QUEUE_MAX: Final = 1_000
"""Most transfers that wait in one account's queue."""

CASCADE_MAX: Final = 500
"""Most transfers that settle in one step; what could follow is left to the next."""

REFERENCE_DIGITS: Final = 32


@unique
class Priority(StrEnum):
    """Which transfers stand before which in a queue."""

    URGENT = "urgent"
    NORMAL = "normal"


@unique
class TransferState(StrEnum):
    """Where a transfer stands; see the module docstring."""

    QUEUED = "queued"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RtgsTerms:
    """What the central bank lets one account do, in minor units of its currency.

    `credit_line` is how far below zero transfers may take it within the day; `reserve_requirement` what
    it should hold at the end of one. `transfer_max` bounds one transfer, `day_max` what leaves by
    transfers in one business day; None where nothing does.
    """

    credit_line: int = 0
    reserve_requirement: int = 0
    transfer_max: int | None = None
    day_max: int | None = None


@dataclass(frozen=True, slots=True)
class RtgsAccount:
    """A participant's account at the central bank."""

    lei: str
    currency: Currency
    terms: RtgsTerms = RtgsTerms()


@dataclass(frozen=True, slots=True)
class TransferNotice:
    """What the parties are told of money that moved between accounts, or did not.

    `transfer_id` names it for ever, together with who ordered it: `ordered_by` is the LEI of the
    participant, or of the central bank itself. `reason` is an ISO 20022 code.
    """

    transfer_id: str
    ordered_by: str
    debtor_lei: str
    creditor_lei: str
    amount: Amount
    end_to_end_id: str
    state: TransferState
    reason: str | None = None

    @property
    def key(self) -> str:
        """Its name among those of everybody who orders transfers."""
        return f"{self.ordered_by}:{self.transfer_id}"

    @property
    def reference(self) -> str:
        """The same as 32 hexadecimal digits: it names the entries and the lines of its statement."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:REFERENCE_DIGITS]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that goes from one RTGS account to another, named as its notice is.

    Times are UTC seconds. It counts for `business_day`, whenever it settles.
    """

    transfer_id: str
    ordered_by: str
    debtor_lei: str
    creditor_lei: str
    amount: Amount
    priority: Priority
    end_to_end_id: str
    entered_at: int
    business_day: date
    state: TransferState = TransferState.QUEUED
    ended_at: int | None = None
    reason: str | None = None

    @property
    def order(self) -> tuple[object, ...]:
        """What may not change when it is ordered again."""
        return (
            self.debtor_lei,
            self.creditor_lei,
            self.amount,
            self.priority,
            self.end_to_end_id,
        )

    @property
    def notice(self) -> TransferNotice:
        """What its parties are told of it as it stands."""
        return TransferNotice(
            transfer_id=self.transfer_id,
            ordered_by=self.ordered_by,
            debtor_lei=self.debtor_lei,
            creditor_lei=self.creditor_lei,
            amount=self.amount,
            end_to_end_id=self.end_to_end_id,
            state=self.state,
            reason=self.reason,
        )

    @property
    def key(self) -> str:
        """Its name among those of everybody who orders transfers."""
        return self.notice.key

    @property
    def reference(self) -> str:
        """What names its entries and the lines of its statement."""
        return self.notice.reference


def check_limits(terms: RtgsTerms, amount: Amount, used_today: int) -> None:
    """Refuse a transfer beyond its account's limits; `used_today` is what left or waits to leave.

    Raises `TransferLimitExceeded`.
    """
    if terms.transfer_max is not None and amount.minor_units > terms.transfer_max:
        raise TransferLimitExceeded(str(amount), "one transfer", terms.transfer_max)
    if terms.day_max is not None and used_today + amount.minor_units > terms.day_max:
        raise TransferLimitExceeded(str(amount), "one business day", terms.day_max)


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """The queues as something keeps them: what `cascade` asks and what it does.

    `head` is the first of an account's queue, `liquidity` what transfers may take of the account now,
    `settle` moves the money and takes the transfer out of its queue.
    """

    head: Callable[[str], Transfer | None]
    liquidity: Callable[[str], int]
    settle: Callable[[Transfer], None]


def cascade(queues: QueueAccess, leis: Iterable[str], most: int = CASCADE_MAX) -> tuple[str, ...]:
    """Settle what can be settled, beginning with the queues of `leis`.

    Answers with the accounts whose queues were not looked at to the end because `most` was reached.
    """
    waiting = deque(dict.fromkeys(leis))
    settled = 0
    while waiting and settled < most:
        lei = waiting.popleft()
        transfer = queues.head(lei)
        if transfer is None or transfer.amount.minor_units > queues.liquidity(lei):
            continue
        queues.settle(transfer)
        settled += 1
        waiting.appendleft(lei)
        if transfer.creditor_lei not in waiting:
            waiting.append(transfer.creditor_lei)
    return tuple(waiting)
