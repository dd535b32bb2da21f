"""Money that came and cannot be credited: on suspense at once, then credited or given back.

    settled, account not open     ->  suspense item, and a proposal by rule to give it back
    settled, message missing      ->  suspense item; the customer's account once the message came again
    credited by two operators     ->  the customer's account, at a stated amount where the currencies differ
    given back by two operators, or by the rule after `suspense_return_seconds`  ->  a return (pacs.004)

A payment that settled is never undone here; where it cannot go to its account it goes to the suspense
account of its currency, in the same transaction. What is frozen never goes back by rule alone: an order
may stand behind the freeze.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Final

from bridge import chart
from bridge.approval import Proposal
from bridge.errors import CurrencyUnsupported, CustomerAccountBlocked, CustomerAccountUnknown
from bridge.institution import Institution
from bridge.iso20022.codes import ReturnReason
from bridge.money import Amount, Currency, parse_currency
from bridge.operating import Action
from bridge.payment import Payment
from bridge.settlement import booking, notices
from bridge.store import (
    CustomerAccount,
    CustomerAccountStatus,
    NewEffect,
    SuspenseCause,
    SuspenseItem,
    SuspenseState,
    UnitOfWork,
)

RELEASE_SUSPENSE: Final = "release_suspense"
"""Kind of the action that credits money on suspense to a customer's account; its subject is the payment."""

RETURN_SUSPENSE: Final = "return_suspense"
"""Kind of the action, and of the effect, that gives money on suspense back; its subject is the payment."""

RULE: Final = "rule:suspense"
"""Who proposes to give money back that came onto suspense: no operator's name has a colon."""

REASON_BY_CAUSE: Final = {
    SuspenseCause.ACCOUNT_UNKNOWN: ReturnReason.AC01,
    SuspenseCause.ACCOUNT_CLOSED: ReturnReason.AC04,
    SuspenseCause.ACCOUNT_FROZEN: ReturnReason.AC06,
    SuspenseCause.OTHER_CURRENCY: ReturnReason.CURR,
}
"""The return reason of money that goes back from suspense."""


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a payment's money goes: the customer's account, or suspense because of a cause."""

    account_id: str
    cause: SuspenseCause | None


def credit(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> Payment:
    """The settled payment with the account that was credited for it, the customer's or suspense."""
    home = _home_of(work, payment)
    open_accounts(work, payment.settlement_amount.currency)
    credited = replace(payment, account_id=home.account_id)
    if home.cause is not None:
        credited = replace(credited, creditor_charge=None)  # a charge is for a credit
    work.payments.save(credited)
    work.ledger.book(booking.credit(credited, home.account_id, at), is_fact=True)
    if home.cause is not None:
        _open_item(institution, work, payment, home, at)
    return credited


def find_home(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> None:
    """Credit a payment that is on suspense only because its message was missing when it settled.

    `payment` says what the message told. If its account cannot be credited, or the money has left
    suspense meanwhile, it stays where it is, and may go back as any other.
    """
    item = work.suspense.find(payment.payment_id)
    was = work.payments.get(payment.payment_id)
    as_it_stands = replace(payment, account_id=was.account_id, creditor_charge=was.creditor_charge)
    if item is None or item.state is not SuspenseState.OPEN:
        work.payments.save(as_it_stands)
        return
    home = _home_of(work, payment)
    if home.cause is not None:
        work.payments.save(as_it_stands)
        work.suspense.learn(payment.payment_id, payment.account_id, home.cause)
        _plan_return(institution, work, payment, home.cause, at)
        return
    held, credited = (item.account_id, item.amount), (home.account_id, payment.credited)
    entry = booking.release(payment.payment_id, held, credited, at)
    work.ledger.book(entry)
    work.suspense.move(payment.payment_id, SuspenseState.CREDITED, entry.entry_id, at)
    work.payments.save(payment)
    notices.notify(institution, work, payment, at)


def open_accounts(work: UnitOfWork, currency: Currency) -> None:
    """Open the institution's accounts of a currency it may not keep otherwise: a return may bring it."""
    for account in chart.institution_accounts(currency):
        if work.ledger.find_account(account.account_id) is None:
            work.ledger.open_account(account)


def release_action(institution: Institution) -> Action:
    """Credit money on suspense to an open account.

    The proposal's document names it (`account`, its identification) and, where it is in another
    currency, the `amount` to be credited, which two persons then agree on.
    """

    def check(work: UnitOfWork, proposal: Proposal) -> None:
        _destination(institution, work, proposal)

    def carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
        item, account, amount = _destination(institution, work, proposal)
        held, credited = (item.account_id, item.amount), (account, amount)
        is_exchanged = amount.currency != item.amount.currency
        if is_exchanged:
            open_accounts(work, amount.currency)
        book = booking.release_exchanged if is_exchanged else booking.release
        entry = book(item.payment_id, held, credited, at)
        work.ledger.book(entry)
        work.suspense.move(item.payment_id, SuspenseState.CREDITED, entry.entry_id, at)
        payment = replace(work.payments.get(item.payment_id), account_id=account)
        work.payments.save(payment)
        if not is_exchanged:
            notices.notify_release(institution, work, payment, at)
        return f"credited {amount}"

    return Action(check, carry_out)


def _destination(
    institution: Institution, work: UnitOfWork, proposal: Proposal
) -> tuple[SuspenseItem, str, Amount]:
    """What is to be credited where: the guards of a release, in their order."""
    item = work.suspense.open_item(proposal.subject)
    identification = proposal.document.get("account", "")
    account = work.customers.by_identification(identification)
    if account is None:
        raise CustomerAccountUnknown(identification)
    _check_open(account)
    currency = parse_currency(account.currency)
    if currency == item.amount.currency:
        return item, account.account_id, item.amount
    if currency.code not in institution.settings.currencies:
        raise CurrencyUnsupported(currency.code)
    amount = Amount.parse(proposal.document.get("amount", ""), currency)
    return item, account.account_id, amount


def _check_open(account: CustomerAccount) -> None:
    if account.status is not CustomerAccountStatus.OPEN:
        raise CustomerAccountBlocked(account.identification, account.status.value)


def _home_of(work: UnitOfWork, payment: Payment) -> _Home:
    """The account a settled payment was accepted onto if it can be credited, else suspense."""
    currency = payment.settlement_amount.currency
    on_suspense = chart.suspense(currency)
    account = None if payment.account_id is None else work.customers.account(payment.account_id)
    if account is None or payment.account_id is None:
        return _Home(on_suspense, SuspenseCause.ACCOUNT_UNKNOWN)
    if account.status is CustomerAccountStatus.CLOSED:
        return _Home(on_suspense, SuspenseCause.ACCOUNT_CLOSED)
    if account.status is CustomerAccountStatus.FROZEN:
        return _Home(on_suspense, SuspenseCause.ACCOUNT_FROZEN)
    if account.currency != currency.code:
        return _Home(on_suspense, SuspenseCause.OTHER_CURRENCY)
    return _Home(payment.account_id, None)


def _open_item(
    institution: Institution, work: UnitOfWork, payment: Payment, home: _Home, at: int
) -> None:
    """Keep the item; what is not itself a return, and whose message is known, may go back."""
    cause = home.cause or SuspenseCause.ACCOUNT_UNKNOWN
    work.suspense.add(
        SuspenseItem(
            payment_id=payment.payment_id,
            account_id=home.account_id,
            intended_account_id=payment.account_id,
            amount=payment.settlement_amount,
            cause=cause,
            opened_at=at,
        )
    )
    _plan_return(institution, work, payment, cause, at)


def _plan_return(
    institution: Institution, work: UnitOfWork, payment: Payment, cause: SuspenseCause, at: int
) -> None:
    """Propose to give a payment on suspense back, and let the rule do so later, if it can go back."""
    is_known = work.messages.find(notices.message_id_of(payment)) is not None
    if payment.return_of is not None or not is_known:
        return
    work.approvals.add(_proposal(payment, cause, at))
    seconds = institution.settings.suspense_return_seconds
    if seconds is not None and cause is not SuspenseCause.ACCOUNT_FROZEN:
        work.effects.add(
            NewEffect(
                kind=RETURN_SUSPENSE,
                key=f"{payment.payment_id}:{RETURN_SUSPENSE}",
                payload={},
                payment_id=payment.payment_id,
                due_at=at + seconds,
            )
        )


def _proposal(payment: Payment, cause: SuspenseCause, at: int) -> Proposal:
    digest = hashlib.sha256(json.dumps([RULE, payment.payment_id]).encode()).hexdigest()
    return Proposal(
        proposal_id=f"prp_{digest[:32]}",
        kind=RETURN_SUSPENSE,
        subject=payment.payment_id,
        document={"reason": REASON_BY_CAUSE[cause].value},
        note=f"on suspense: {cause.value}",
        proposed_by=RULE,
        proposed_at=at,
    )
