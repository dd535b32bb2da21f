"""The journal entries of a payment: who books what, at each side, in one place.

debtor bank      pending  Dr deposit (principal + fee)   Cr in transit (cost), fee income, fx-margin income
                 pending  Dr in transit                  Cr tokens
                 settled  both posted; otherwise both voided
creditor bank    settled  Dr tokens                      Cr deposit (less its charge), fee income
one bank as both settled  Dr deposit (principal + fee)   Cr deposit (less its charge), fee income
fx provider      settled  Dr tokens (taker's currency)   Cr fx position
                 linked   Dr fx position                 Cr tokens (maker's currency)

suspense         released Dr suspense                     Cr deposit (with the fx position between two currencies)

A return is booked as an outgoing payment, from its customer's deposit or from suspense, and as an
incoming one. Every entry sums to zero per currency; claims on the bank and on the central bank meet at its tokens,
with which it discharges them. A bank never holds the second currency of an exchange.
"""

from bridge import chart
from bridge.ledger import JournalEntry, Posting
from bridge.ledger import credit as credit_posting
from bridge.ledger import debit as debit_posting
from bridge.money import Amount, parse_currency
from bridge.payment import Charges, Payment, PaymentId, Quote


def reservation(
    *, payment_id: PaymentId, account_id: str, charges: Charges, booked_at: int
) -> tuple[JournalEntry, JournalEntry]:
    """The pending entries of an outgoing payment: one takes it from its debtor, the other sets the
    bank's own tokens aside for it. They are posted together when it settles, else both voided.
    """
    currency = charges.cost.currency
    takings = [
        credit_posting(chart.in_transit(currency), charges.cost),
        credit_posting(chart.fee_income(currency), charges.fee),
        credit_posting(chart.margin_income(currency), charges.margin),
    ]
    taken = JournalEntry(
        entry_id=f"{payment_id}:reservation",
        kind="payment",
        description="outgoing payment",
        postings=(
            debit_posting(account_id, charges.debit),
            *(posting for posting in takings if posting.amount),
        ),
        pending=True,
        payment_id=payment_id,
        booked_at=booked_at,
    )
    set_aside = JournalEntry(
        entry_id=f"{payment_id}:discharge",
        kind="settlement",
        description="tokens for an outgoing payment",
        postings=(
            debit_posting(chart.in_transit(currency), charges.cost),
            credit_posting(chart.tokens(currency), charges.cost),
        ),
        pending=True,
        payment_id=payment_id,
        booked_at=booked_at,
    )
    return taken, set_aside


def credit(payment: Payment, account_id: str, booked_at: int) -> JournalEntry:
    """The entry that credits the creditor, once settled, less this bank's charge."""
    amount = payment.settlement_amount
    return JournalEntry(
        entry_id=f"{payment.payment_id}:credit",
        kind="payment",
        description="incoming payment",
        postings=(
            debit_posting(chart.tokens(amount.currency), amount),
            credit_posting(account_id, payment.credited),
            *_income(amount - payment.credited),
        ),
        pending=False,
        payment_id=payment.payment_id,
        booked_at=booked_at,
    )


def release(
    payment_id: str, held: tuple[str, Amount], credited: tuple[str, Amount], booked_at: int
) -> JournalEntry:
    """The entry that credits money on suspense to a customer's account, less this bank's charge.

    `held` is where it is and how much, `credited` where it goes and how much of it.
    """
    (suspense_id, amount), (account_id, due) = held, credited
    postings = (
        debit_posting(suspense_id, amount),
        credit_posting(account_id, due),
        *_income(amount - due),
    )
    return _release(payment_id, postings, booked_at)


def release_exchanged(
    payment_id: str,
    held: tuple[str, Amount],
    credited: tuple[str, Amount],
    booked_at: int,
) -> JournalEntry:
    """The same into an account in another currency: the bank takes the first for its own position."""
    (suspense_id, amount), (account_id, other) = held, credited
    postings = (
        debit_posting(suspense_id, amount),
        credit_posting(chart.fx_position(amount.currency), amount),
        debit_posting(chart.fx_position(other.currency), other),
        credit_posting(account_id, other),
    )
    return _release(payment_id, postings, booked_at)


def on_us(payment: Payment, debtor_id: str, creditor_id: str) -> JournalEntry:
    """The one entry of a settled payment between two customers of this bank."""
    debit = payment.settlement_amount if payment.charges is None else payment.charges.debit
    return JournalEntry(
        entry_id=f"{payment.payment_id}:transfer",
        kind="payment",
        description="payment inside this bank",
        postings=(
            debit_posting(debtor_id, debit),
            credit_posting(creditor_id, payment.credited),
            *_income(debit - payment.credited),
        ),
        pending=False,
        payment_id=payment.payment_id,
        booked_at=payment.created_at,
    )


def _income(charge: Amount) -> tuple[Posting, ...]:
    return (credit_posting(chart.fee_income(charge.currency), charge),) if charge else ()


def exchange(quote: Quote, quote_hash: bytes, booked_at: int) -> tuple[JournalEntry, JournalEntry]:
    """The entries of an fx provider whose quote was filled and settled, one per leg; to be linked."""
    bought = Amount(parse_currency(quote.taker_currency), quote.taker_amount)
    sold = Amount(parse_currency(quote.maker_currency), quote.maker_amount)
    legs = (
        ("bought", chart.tokens(bought.currency), chart.fx_position(bought.currency), bought),
        ("sold", chart.fx_position(sold.currency), chart.tokens(sold.currency), sold),
    )
    bought_leg, sold_leg = (
        JournalEntry(
            entry_id=f"{exchange_link(quote_hash)}:{name}",
            kind="exchange",
            description=f"quote filled and settled: {name}",
            postings=(debit_posting(debited, amount), credit_posting(credited, amount)),
            booked_at=booked_at,
        )
        for name, debited, credited, amount in legs
    )
    return bought_leg, sold_leg


def exchange_link(quote_hash: bytes) -> str:
    """The id under which the two legs of an exchange are linked."""
    return f"fx:{quote_hash.hex()}"


def _release(payment_id: str, postings: tuple[Posting, ...], booked_at: int) -> JournalEntry:
    return JournalEntry(
        entry_id=f"{payment_id}:release",
        kind="release",
        description="money on suspense credited",
        postings=postings,
        pending=False,
        payment_id=payment_id,
        booked_at=booked_at,
    )
