"""Whether the ledger and the chain agree, per currency, at one block.

The ledger's tokens are compared with the chain's balance of the institution's settlement account
(for a central bank: the reserves set aside with the token supply), at the block that the ledger
has followed the chain to, so that the two are of one moment.
"""

from dataclasses import dataclass

from bridge import chart
from bridge.chain import ChainClient
from bridge.money import Amount, Currency
from bridge.store import Store


@dataclass(frozen=True, slots=True)
class Comparison:
    """One currency's two figures at one block; `difference` is zero when they agree."""

    currency: Currency
    block_number: int
    ledger: Amount
    chain: Amount

    @property
    def difference(self) -> Amount:
        """What the ledger has more than the chain."""
        return self.ledger - self.chain


def compare_holdings(store: Store, chain: ChainClient, currency: Currency, lei: str) -> Comparison:
    """A bank's or an fx provider's tokens: its asset account against the chain's balance.

    Tokens on their way in or out (pending entries) stand on neither side until they are final.
    """
    address = chain.directory().by_lei(lei).settlement_address
    with store.reading() as work:
        ledger = work.ledger.balance(chart.tokens(currency)).ledger
        number = work.chain_log.position().number
    balance = chain.balance_of(currency.numeric, address, block_number=number)
    return Comparison(currency, number, ledger, Amount(currency, balance))


def compare_supply(store: Store, chain: ChainClient, currency: Currency) -> Comparison:
    """A central bank's reserves set aside against the token supply.

    Reserves are set aside before the mint, so while an issuance is on its way the ledger is ahead.
    """
    with store.reading() as work:
        ledger = work.ledger.balance(chart.tokens_outstanding(currency)).ledger
        number = work.chain_log.position().number
    supply = chain.total_supply(currency.numeric, block_number=number)
    return Comparison(currency, number, ledger, Amount(currency, supply))
