"""A break is closed by two operators; and a central bank hears of the breaks of others.

    resolve_break   subject: the break's id   document: explanation, and entry_id where an entry of the
                                              ledger has put it right

What was explained stays explained: the same difference opens no other break.
"""

from typing import Final

from bridge.approval import Proposal
from bridge.breaks import BreakState, BreakType, resolve
from bridge.errors import BreakUnknown, DecisionInvalid, EnvelopeInvalid, Rejected
from bridge.institution import Institution
from bridge.interbank import Received, Taking
from bridge.money import Amount, parse_currency
from bridge.operating import Action
from bridge.reconciliation.findings import Findings
from bridge.store import BreakReport, UnitOfWork
from bridge.store.reconciliation_items import Comparand

RESOLVE_BREAK: Final = "resolve_break"
"""Kind of the action."""

_FIELDS: Final = frozenset({"explanation", "entry_id"})


class ResolveBreak:
    """The action of one institution."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution
        self._findings = Findings(institution)

    def action(self) -> Action:
        """The action, for `FourEyes`."""
        return Action(self._check, self._carry_out)

    def _check(self, work: UnitOfWork, proposal: Proposal) -> None:
        known = work.breaks.find(proposal.subject)
        if known is None or known.state is not BreakState.OPEN:
            raise BreakUnknown(proposal.subject)
        for name in sorted(proposal.document.keys() - _FIELDS):
            raise DecisionInvalid(proposal.kind, name, "it is none of its fields")
        if not proposal.document.get("explanation", "").strip():
            raise DecisionInvalid(proposal.kind, "explanation", "it is missing")
        entry_id = proposal.document.get("entry_id")
        if entry_id is not None and work.ledger.find_entry(entry_id) is None:
            raise DecisionInvalid(proposal.kind, "entry_id", "the ledger has no such entry")

    def _carry_out(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        self._check(work, proposal)
        known = work.breaks.get(proposal.subject)
        document = proposal.document
        ended = resolve(known, document["explanation"], document.get("entry_id"), at)
        if known.break_type is not BreakType.TOTAL_DIFFERS:
            comparand = Comparand(known.scope, known.currency.code)
            work.reconciliation_items.explain(comparand, known.subject)
        self._findings.close(work, ended)
        return "resolved"


def receive_break_report(received: Received) -> Taking:
    """Keep what another institution says of a break of its books; raises `EnvelopeInvalid`."""
    body = received.body
    try:
        report = BreakReport(
            lei=received.sender_lei,
            break_id=body["break_id"],
            break_type=BreakType(body["type"]).value,
            scope=body["scope"],
            amount=Amount.parse(body["amount"], parse_currency(body["currency"]), signed=True),
            opened_at=int(body["opened_at"]),
            state=BreakState(body["state"]).value,
        )
    except (KeyError, ValueError, Rejected) as error:
        raise EnvelopeInvalid("it reports no break") from error

    def taking(work: UnitOfWork) -> None:
        work.breaks.report(report)

    return taking
