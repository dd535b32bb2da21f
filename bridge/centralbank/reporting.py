"""What a central bank reports: the backing of its tokens to the public, its participants to itself."""

from dataclasses import dataclass
from typing import Final

from bridge import chart
from bridge.institution import Institution
from bridge.money import Amount, parse_currency
from bridge.store import BreakReport

RATIO_DECIMALS: Final = 4
"""Decimals of the backing ratio; it is rounded down."""


@dataclass(frozen=True, slots=True)
class Backing:
    """What backs a currency's tokens, at one block: `reserves` is the ledger's figure, `attested` what
    the attesting process stated on the chain, less what was burnt since. Times are UTC seconds.
    """

    block: int
    supply: Amount
    reserves: Amount
    attested: Amount
    attested_at: int
    attested_until: int

    @property
    def ratio(self) -> str | None:
        """Attested reserves for each token, as decimal text; None where there are no tokens."""
        supply = self.supply.minor_units
        if supply == 0:
            return None
        whole, rest = divmod(
            self.attested.minor_units * 10**RATIO_DECIMALS // supply, 10**RATIO_DECIMALS
        )
        return f"{whole}.{str(rest).rjust(RATIO_DECIMALS, '0')}"


@dataclass(frozen=True, slots=True)
class ParticipantFigures:
    """One participant as its central bank sees it; turnover is of the period that was asked for."""

    lei: str
    rtgs_balance: Amount
    credit_line: Amount
    reserve_requirement: Amount
    tokens_held: Amount
    issued: Amount
    redeemed: Amount
    queue_count: int
    queue_amount: Amount
    breaks: tuple[BreakReport, ...]


class BackingDesk:
    """Tells the backing of a central bank's own currency; the node is asked once per block."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution
        self._newest: Backing | None = None

    def read(self) -> Backing:
        """The backing at the block that the books have followed to.

        Raises `ChainNotFollowed` and `NodeUnavailable`.
        """
        institution = self._institution
        currency = parse_currency(institution.settings.currencies[0])
        with institution.store.reading() as work:
            number = work.chain_log.position().number
            reserves = work.ledger.balance(chart.tokens_outstanding(currency)).ledger
        newest = self._newest
        if newest is not None and (newest.block, newest.reserves) == (number, reserves):
            return newest
        chain = institution.chain
        attested = chain.latest_attestation(currency.numeric, block_number=number)
        self._newest = Backing(
            block=number,
            supply=Amount(currency, chain.total_supply(currency.numeric, block_number=number)),
            reserves=reserves,
            attested=Amount(currency, attested.amount),
            attested_at=attested.as_of,
            attested_until=attested.valid_until,
        )
        return self._newest


def read_participants(
    institution: Institution, since: int, until: int
) -> tuple[ParticipantFigures, ...]:
    """Every participant with an RTGS account, by LEI; turnover from one UTC second to another."""
    currency = parse_currency(institution.settings.currencies[0])
    found = []
    with institution.store.reading() as work:
        for account in work.rtgs.accounts():
            issued, redeemed = work.token_flows.turnover(account.lei, currency, since, until)
            count, amount = work.rtgs.queue_of(account.lei)
            held = work.token_flows.position(account.lei, currency.code)
            found.append(
                ParticipantFigures(
                    lei=account.lei,
                    rtgs_balance=work.ledger.balance(chart.rtgs(account.lei)).ledger,
                    credit_line=Amount(currency, account.terms.credit_line),
                    reserve_requirement=Amount(currency, account.terms.reserve_requirement),
                    tokens_held=Amount(currency, held),
                    issued=Amount(currency, issued),
                    redeemed=Amount(currency, redeemed),
                    queue_count=count,
                    queue_amount=Amount(currency, amount),
                    breaks=work.breaks.reported(account.lei),
                )
            )
    return tuple(found)
