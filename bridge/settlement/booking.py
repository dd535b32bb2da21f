"""The journal entries of a payment: who books what, at each side, in one place.

debtor bank      pending  Dr deposit (principal + fee)   Cr in transit (cost), fee income, fx-margin income
                 settled  Dr in transit                  Cr tokens
creditor bank    settled  Dr tokens                      Cr deposit
fx provider      settled  Dr tokens (taker's currency)   Cr fx position
                          Dr fx position                 Cr tokens (maker's currency)

Every entry sums to zero per currency. A bank never holds the second currency of an exchange.
"""

from bridge import chart
from bridge.ledger import JournalEntry, Posting, Side
from bridge.money import Amount, parse_currency
from bridge.payment import Charges, Payment, PaymentId, Quote


def reservation(
    *, payment_id: PaymentId, account_id: str, charges: Charges, booked_at: int
) -> JournalEntry:
    """The pending entry that takes an outgoing payment from its debtor."""
    currency = charges.cost.currency
    takings = [
        _credit(chart.in_transit(currency), charges.cost),
        _credit(chart.fee_income(currency), charges.fee),
        _credit(chart.margin_income(currency), charges.margin),
    ]
    return JournalEntry(
        entry_id=f"{payment_id}:reservation",
        kind="payment",
        description="outgoing payment",
        postings=(
            _debit(account_id, charges.debit),
            *(posting for posting in takings if posting.amount),
        ),
        pending=True,
        payment_id=payment_id,
        booked_at=booked_at,
    )


def discharge(payment: Payment, charges: Charges, booked_at: int) -> JournalEntry:
    """The entry by which the debtor bank's tokens leave it, once settled."""
    currency = charges.cost.currency
    return JournalEntry(
        entry_id=f"{payment.payment_id}:discharge",
        kind="settlement",
        description="settled on the chain",
        postings=(
            _debit(chart.in_transit(currency), charges.cost),
            _credit(chart.tokens(currency), charges.cost),
        ),
        pending=False,
        payment_id=payment.payment_id,
        booked_at=booked_at,
    )


def credit(payment: Payment, account_id: str, booked_at: int) -> JournalEntry:
    """The entry that credits the creditor, once settled."""
    amount = payment.settlement_amount
    return JournalEntry(
        entry_id=f"{payment.payment_id}:credit",
        kind="payment",
        description="incoming payment",
        postings=(
            _debit(chart.tokens(amount.currency), amount),
            _credit(account_id, amount),
        ),
        pending=False,
        payment_id=payment.payment_id,
        booked_at=booked_at,
    )


def exchange(quote: Quote, quote_hash: bytes, booked_at: int) -> JournalEntry:
    """The linked entry of an fx provider whose quote was filled and settled: both legs in one."""
    bought = Amount(parse_currency(quote.taker_currency), quote.taker_amount)
    sold = Amount(parse_currency(quote.maker_currency), quote.maker_amount)
    return JournalEntry(
        entry_id=f"fx:{quote_hash.hex()}",
        kind="exchange",
        description="quote filled and settled",
        postings=(
            _debit(chart.tokens(bought.currency), bought),
            _credit(chart.fx_position(bought.currency), bought),
            _debit(chart.fx_position(sold.currency), sold),
            _credit(chart.tokens(sold.currency), sold),
        ),
        pending=False,
        payment_id=None,
        booked_at=booked_at,
    )


def _debit(account_id: str, amount: Amount) -> Posting:
    return Posting(account_id=account_id, side=Side.DEBIT, amount=amount)


def _credit(account_id: str, amount: Amount) -> Posting:
    return Posting(account_id=account_id, side=Side.CREDIT, amount=amount)
