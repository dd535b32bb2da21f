"""Whether the ledger and the chain agree, per currency, at one block.

The ledger's tokens are compared with the chain's balance of the institution's settlement accounts
(for a central bank: the reserves set aside with the token supply), at the block that the ledger
has followed the chain to, so that the two are of one moment. What the events add up to is a third
figure: where it differs, an event was lost.
"""

from dataclasses import dataclass

from bridge import chart
from bridge.chain import AccountKind, ChainClient
from bridge.config import Role
from bridge.institution import Institution
from bridge.money import Amount, Currency
from bridge.store import Store


@dataclass(frozen=True, slots=True)
class Comparison:
    """One currency's figures at one block; `difference` is zero when ledger and chain agree.

    `events` is what the final events add up to. `on_their_way` is what the ledger of a central bank
    has set aside for tokens that are not minted yet: it is part of `ledger`.
    """

    currency: Currency
    block_number: int
    ledger: Amount
    chain: Amount
    events: Amount
    on_their_way: Amount

    @property
    def difference(self) -> Amount:
        """What the ledger has more than the chain."""
        return self.ledger - self.chain

    @property
    def unexplained(self) -> Amount:
        """What the ledger has more than the chain, and not because a mint is on its way."""
        return self.difference - self.on_their_way

    @property
    def unheard(self) -> Amount:
        """What the events add up to less than the chain has."""
        return self.chain - self.events


def compare(institution: Institution, currency: Currency) -> Comparison:
    """The totals of one currency as they stand: the supply at its central bank, elsewhere what is held."""
    store, chain = institution.store, institution.chain
    if institution.settings.role is Role.CENTRAL_BANK:
        return _compare_supply(store, chain, currency)
    return _compare_holdings(store, chain, currency, institution.lei)


def _compare_holdings(store: Store, chain: ChainClient, currency: Currency, lei: str) -> Comparison:
    """A bank's or an fx provider's tokens: its asset account against the chain's balance.

    Tokens on their way in or out (pending entries) stand on neither side until they are final.
    """
    addresses = chain.directory().by_lei(lei).addresses(AccountKind.SETTLEMENT)
    with store.reading() as work:
        ledger = work.ledger.balance(chart.tokens(currency)).ledger
        number = work.chain_log.position().number
        events = work.token_flows.position(lei, currency.code)
    balance = sum(
        chain.balance_of(currency.numeric, address, block_number=number)
        for address in sorted(addresses)
    )
    return Comparison(
        currency=currency,
        block_number=number,
        ledger=ledger,
        chain=Amount(currency, balance),
        events=Amount(currency, events),
        on_their_way=Amount.zero(currency),
    )


def _compare_supply(store: Store, chain: ChainClient, currency: Currency) -> Comparison:
    """A central bank's reserves set aside against the token supply.

    Reserves are set aside before the mint, so while an issuance is on its way the ledger is ahead.
    """
    with store.reading() as work:
        ledger = work.ledger.balance(chart.tokens_outstanding(currency)).ledger
        number = work.chain_log.position().number
        on_their_way = work.issuances.on_their_way(currency)
        events = sum(work.token_flows.positions(currency).values())
    supply = chain.total_supply(currency.numeric, block_number=number)
    return Comparison(
        currency=currency,
        block_number=number,
        ledger=ledger,
        chain=Amount(currency, supply),
        events=Amount(currency, events),
        on_their_way=Amount(currency, on_their_way),
    )
