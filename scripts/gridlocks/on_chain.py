"""A case settled by the contracts, on a solo chain that is thrown away.

Its payments wait before there is any money, so that they stand in their queues in the order of the file; then each
bank is given its opening balance, and what the solver found is proposed, round by round.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bridge.config import ROUND_ITEMS_MAX
from bridge.liquidity.book import Item
from bridge.liquidity.bypass import second_pass
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import Solution
from gridlocks.cases import Case, FileRefused
from throwaway_chain import Institution, banks, opened
from throwaway_chain.rounds import (
    Payment,
    place_all,
    propose,
    resolve,
    resolve_selected,
)

CURRENCY: Final = "EUR"
"""What the amounts of a file are taken for."""

PAYMENTS_MAX: Final = 10_000
"""Payments of a case: what the contract lets one participant have open."""


def settle_on_chain(case: Case, *, bypassable: bool) -> dict[str, Any]:
    """What the contracts settled of a case, and the blocks, gas and seconds that settling took.

    Raises FileRefused for a case of which a chain cannot hold a queue.
    """
    if len(case.book.items) > PAYMENTS_MAX:
        raise FileRefused(f"case {case.case_id} has more than {PAYMENTS_MAX} payments")
    steps = _steps(case, bypassable=bypassable)
    names = [str(account) for account, _ in case.book.positions]
    holders = dict(zip(names, banks(names), strict=True))
    payments = [_payment(item, holders) for item in case.book.items]
    with (
        tempfile.TemporaryDirectory(prefix="corridor-gridlock-") as folder,
        opened(Path(folder), tuple(holders.values())) as chain,
    ):
        waiting = place_all(chain, payments, bypassable=bypassable)
        opening = zip(holders.values(), case.book.available, strict=True)
        chain.fund(CURRENCY, list(opening))
        chain.mark()
        started = time.perf_counter()
        for step in steps:
            chosen = {str(name) for name in step.settled}
            settle = resolve if step.advances else resolve_selected
            settle(chain, propose(waiting, chosen))
            waiting = [each for each in waiting if each.payment.name not in chosen]
        seconds = time.perf_counter() - started
        placed = {payment.name: payment for payment in payments}
        left = {each.payment.name for each in waiting}
        settled = [name for name in placed if name not in left]
        return {
            "id": case.case_id,
            "settled": settled,
            "closing_balances": {
                name: chain.balance(CURRENCY, holder) for name, holder in holders.items()
            },
            "value": sum(placed[name].amount for name in settled),
            "blocks": chain.blocks,
            "gas": chain.gas,
            "seconds": round(seconds, 3),
        }


def _steps(case: Case, *, bypassable: bool) -> Sequence[Solution]:
    if bypassable:
        return second_pass(case.book, ROUND_ITEMS_MAX)
    return solve_in_rounds(case.book, ROUND_ITEMS_MAX).rounds


def _payment(item: Item, holders: Mapping[str, Institution]) -> Payment:
    (leg,) = item.legs
    return Payment(str(item.item_id), holders[str(leg.payer)], holders[str(leg.payee)], leg.amount)
