"""Ledger, chain and statement, held against each other.

    flows       tokens in and out of accounts, out of each final block, in its transaction
    totals      whether ledger and chain agree at one block, per currency
    reconciler  every side's items read, matched, judged; breaks opened and closed
    resolution  a break closed by two operators; what other institutions report of theirs

What is compared at a bank or an fx provider: its tokens (ledger, chain, statement) and its reserves
(ledger, statement). At a central bank: the supply (ledger, chain). The statement is the central bank's
own word, made from its own books; nobody's statement is made of what is compared with it.
"""

from bridge.reconciliation.flows import FlowRecorder
from bridge.reconciliation.reconciler import Reconciler
from bridge.reconciliation.resolution import (
    RESOLVE_BREAK,
    ResolveBreak,
    receive_break_report,
)
from bridge.reconciliation.totals import Comparison, compare

__all__ = [
    "RESOLVE_BREAK",
    "Comparison",
    "FlowRecorder",
    "Reconciler",
    "ResolveBreak",
    "compare",
    "receive_break_report",
]
