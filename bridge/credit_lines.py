"""Credit lines: how far below zero a customer's account may fall, once two operators want it.

A loan needs nothing else of the ledger: the money that is lent leaves an account that had none.
"""

from typing import Final

from bridge import chart
from bridge.approval import Proposal
from bridge.errors import ResourceUnknown
from bridge.money import Amount, parse_currency
from bridge.operating import Action
from bridge.store import UnitOfWork

SET_CREDIT_LIMIT: Final = "set_credit_limit"
"""Kind of the action; its subject is the account, its document `amount` and `currency`."""


def _check(work: UnitOfWork, proposal: Proposal) -> None:
    _limit(work, proposal)


def _carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
    limit = _limit(work, proposal)
    work.ledger.set_credit_limit(proposal.subject, limit, at)
    return f"may fall to {-limit}"


def _limit(work: UnitOfWork, proposal: Proposal) -> Amount:
    """The limit in the account's own currency; raises the money errors and `ResourceUnknown`."""
    account = work.ledger.find_account(proposal.subject)
    if account is None:
        raise ResourceUnknown("account", proposal.subject)
    currency = parse_currency(proposal.document.get("currency", ""))
    if not chart.is_customer_deposit(account) or currency != account.currency:
        raise ResourceUnknown("account", f"{proposal.subject} in {currency}")
    return Amount.parse(proposal.document.get("amount", ""), currency)


set_credit_limit: Final = Action(_check, _carry_out)
"""The action itself: what was drawn before stays drawn, only what comes is measured by the new limit."""
