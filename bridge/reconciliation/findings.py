"""What a comparison found, turned into breaks: opened once, closed when the figures agree again.

At every institution but a central bank, whoever issues the currency is told of both.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.breaks import Break, BreakState, BreakType, agree
from bridge.config import Role
from bridge.institution import Institution
from bridge.interbank import Kind, Outgoing, deliver
from bridge.money import Amount, Currency
from bridge.store import UnitOfWork
from bridge.telemetry import get_logger

_ID_DIGITS: Final = 24


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not agree: what it is about, its type, the difference, and why it is one."""

    subject: str
    break_type: BreakType
    amount: Amount
    note: str


@dataclass(frozen=True, slots=True)
class Place:
    """What was compared, and when: a UTC second and a block. `issuer` is the currency's central bank."""

    scope: str
    currency: Currency
    issuer: str
    at: int
    block: int


class Findings:
    """Keeps one institution's breaks in step with what its comparisons find."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution

    def keep(
        self, place: Place, findings: Collection[Finding], looked_at: Collection[str] | None = None
    ) -> None:
        """`apply` in a transaction of its own; in none where nothing was found and nothing is open."""
        store = self._institution.store
        with store.reading() as work:
            is_quiet = not findings and not work.breaks.open(place.scope, place.currency)
        if is_quiet:
            return
        with store.unit_of_work() as work:
            self.apply(work, place, findings, looked_at)

    def apply(
        self,
        work: UnitOfWork,
        place: Place,
        findings: Iterable[Finding],
        looked_at: Collection[str] | None = None,
    ) -> None:
        """Open a break for each new finding; close those whose subject agrees again.

        `looked_at` are the subjects of totals that were compared; None stands for all items.
        """
        found = {finding.subject: finding for finding in findings}
        standing = work.breaks.open(place.scope, place.currency)
        for subject, finding in found.items():
            if subject not in standing and not _is_explained(work, place, finding):
                self._open(work, place, finding)
        for subject, known in standing.items():
            is_total = known.break_type is BreakType.TOTAL_DIFFERS
            was_compared = subject in looked_at if looked_at is not None else not is_total
            if was_compared and subject not in found:
                self.close(work, agree(known, place.at))

    def close(self, work: UnitOfWork, ended: Break) -> None:
        """Keep how a break ended, and tell the central bank."""
        work.breaks.save(ended)
        self._report(work, ended, ended.closed_at or 0)
        get_logger().info("break_closed", break_id=ended.break_id, state=ended.state.value)

    def _open(self, work: UnitOfWork, place: Place, finding: Finding) -> None:
        count = work.breaks.count_of(place.scope, place.currency, finding.subject)
        text = f"{place.scope}|{place.currency}|{finding.subject}|{count}"
        opened = Break(
            break_id=f"brk_{hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]}",
            break_type=finding.break_type,
            scope=place.scope,
            subject=finding.subject,
            amount=finding.amount,
            issuer=place.issuer,
            opened_at=place.at,
            block=place.block,
            note=finding.note,
        )
        work.breaks.add(opened)
        self._report(work, opened, place.at)
        get_logger().error(
            "break_opened",
            break_id=opened.break_id,
            type=opened.break_type.value,
            scope=opened.scope,
            subject=opened.subject,
            currency=opened.currency.code,
            amount=opened.amount.format(),
        )

    def _report(self, work: UnitOfWork, known: Break, at: int) -> None:
        if self._institution.settings.role is Role.CENTRAL_BANK:
            return
        deliver(
            work,
            Outgoing(
                key=f"break-report:{known.break_id}:{known.state.value}",
                to_lei=known.issuer,
                kind=Kind.BREAK_REPORT,
                body=break_report_body(known),
            ),
            at=at,
        )


def break_report_body(known: Break) -> Mapping[str, str]:
    """What a central bank is told of a break at another institution: figures, and nobody's data."""
    return {
        "break_id": known.break_id,
        "type": known.break_type.value,
        "scope": known.scope,
        "currency": known.currency.code,
        "amount": known.amount.format(),
        "opened_at": str(known.opened_at),
        "state": known.state.value,
    }


def _is_explained(work: UnitOfWork, place: Place, finding: Finding) -> bool:
    """Whether two operators have explained just this difference, and it is no other since."""
    newest = work.breaks.newest_of(place.scope, place.currency, finding.subject)
    return (
        newest is not None
        and newest.state is BreakState.RESOLVED
        and newest.amount == finding.amount
    )
