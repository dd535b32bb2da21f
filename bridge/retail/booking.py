"""The entries of retail CBDC; pure.

A payment is one entry over both units, so that no wallet is above its limit or below zero even for
a moment, and all of it happens or nothing.
"""

from typing import Final

from bridge import chart
from bridge.errors import LinkedAccountMissing
from bridge.ledger import JournalEntry, Posting, credit, debit
from bridge.money import Amount
from bridge.wallet import RetailKind, RetailPayment, Wallet

PAYMENT: Final = "retail-payment"
HOLD: Final = "retail-hold"
LOAD: Final = "retail-load"
UNLOAD: Final = "retail-unload"
ORDER: Final = "retail-order"
CREDIT: Final = "retail-credit"
RETURN: Final = "retail-return"
OFFLINE: Final = "retail-offline"
VOUCHER: Final = "retail-voucher"
"""Kinds of journal entries."""

SPENDING_KINDS: Final = frozenset({PAYMENT, HOLD})
"""Kinds whose debits to a wallet count as spent."""


def entry(
    entry_id: str, kind: str, postings: tuple[Posting, ...], at: int, *, pending: bool = False
) -> JournalEntry:
    """A journal entry of the retail business."""
    return JournalEntry(
        entry_id=entry_id,
        kind=kind,
        description=kind.replace("-", " "),
        postings=postings,
        booked_at=at,
        pending=pending,
    )


def paid_out(wallet: Wallet, amount: Amount, drawn: Amount) -> tuple[Posting, ...]:
    """What leaves the payer: `drawn` of it comes from the linked deposit, through the wallet.

    The bank sells what it holds in its vault for the deposit it owed.
    """
    postings: tuple[Posting, ...] = ()
    if amount > drawn:
        postings += (debit(chart.wallet(wallet.wallet_id), amount - drawn),)
    if not drawn:
        return postings
    passage = chart.passage(wallet.wallet_id)
    return (
        *postings,
        debit(passage, drawn),
        credit(passage, drawn),
        debit(chart.vault(wallet.currency), drawn),
        debit(_linked(wallet), drawn),
        credit(chart.retail_cash(wallet.currency), drawn),
    )


def paid_in(wallet: Wallet, amount: Amount, excess: Amount) -> tuple[Posting, ...]:
    """What reaches the payee: `excess` of it goes on into the linked deposit.

    The bank takes it into its vault and owes a deposit for it.
    """
    postings: tuple[Posting, ...] = ()
    if amount > excess:
        postings += (credit(chart.wallet(wallet.wallet_id), amount - excess),)
    if not excess:
        return postings
    return (
        *postings,
        credit(chart.vault(wallet.currency), excess),
        debit(chart.retail_cash(wallet.currency), excess),
        credit(_linked(wallet), excess),
    )


def loaded(wallet: Wallet, amount: Amount) -> tuple[Posting, ...]:
    """A deposit exchanged for retail CBDC."""
    return (
        debit(chart.vault(wallet.currency), amount),
        credit(chart.wallet(wallet.wallet_id), amount),
        debit(_linked(wallet), amount),
        credit(chart.retail_cash(wallet.currency), amount),
    )


def unloaded(wallet: Wallet, amount: Amount) -> tuple[Posting, ...]:
    """Retail CBDC exchanged for a deposit."""
    return (
        debit(chart.wallet(wallet.wallet_id), amount),
        credit(chart.vault(wallet.currency), amount),
        debit(chart.retail_cash(wallet.currency), amount),
        credit(_linked(wallet), amount),
    )


def set_aside(wallet: Wallet, payment: RetailPayment, drawn: Amount) -> tuple[Posting, ...]:
    """What a waiting or conditional payment keeps from being spent twice, never to be posted."""
    currency = wallet.currency
    postings: tuple[Posting, ...] = ()
    rest = payment.amount - drawn
    if rest:
        postings += (
            debit(chart.wallet(wallet.wallet_id), rest),
            credit(chart.retail_transit(currency), rest),
        )
    if not drawn:
        return postings
    postings += (debit(_linked(wallet), drawn), credit(chart.in_transit(currency), drawn))
    if payment.kind is RetailKind.LOAD:
        return postings
    passage = chart.passage(wallet.wallet_id)
    return (*postings, debit(passage, drawn), credit(passage, drawn))


def issued(amount: Amount) -> tuple[Posting, ...]:
    """Reserves exchanged for retail CBDC in the bank's vault."""
    currency = amount.currency
    return (
        debit(chart.retail_cash(currency), amount),
        credit(chart.reserves(currency), amount),
        debit(chart.custody(currency), amount),
        credit(chart.vault(currency), amount),
    )


def redeemed(amount: Amount) -> tuple[Posting, ...]:
    """Retail CBDC of the bank's vault exchanged for reserves."""
    currency = amount.currency
    return (
        debit(chart.reserves(currency), amount),
        credit(chart.retail_cash(currency), amount),
        debit(chart.vault(currency), amount),
        credit(chart.custody(currency), amount),
    )


def _linked(wallet: Wallet) -> str:
    if wallet.linked_account is None:
        raise LinkedAccountMissing(wallet.wallet_id)
    return wallet.linked_account
