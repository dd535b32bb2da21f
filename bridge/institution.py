"""What every step of a payment needs, held together: the institution as it runs here."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.business_days import BusinessDays
from bridge.chain import ChainClient, Directory
from bridge.config import Settings
from bridge.interbank import Interbank
from bridge.iso20022.identifiers import parse_bic, parse_lei
from bridge.iso20022.messages import Agent
from bridge.payment import Payment
from bridge.store import NewEffect, Store, UnitOfWork


@dataclass(frozen=True, slots=True)
class Institution:
    """One institution's running bridge.

    `clock` gives UTC seconds, `salt` 32 fresh random bytes, `secret` is the institution's own key
    for deriving references that must come out the same after a restore.
    """

    settings: Settings
    store: Store
    chain: ChainClient
    interbank: Interbank
    clock: Callable[[], int]
    salt: Callable[[], bytes]
    secret: bytes

    @property
    def lei(self) -> str:
        """The institution's own LEI."""
        return self.settings.lei

    @property
    def agent(self) -> Agent:
        """The institution as an agent in messages."""
        return Agent(bic=parse_bic(self.settings.bic), lei=parse_lei(self.settings.lei))

    def business_days(self, code: str) -> BusinessDays:
        """The business days of a currency, as this institution counts them."""
        return BusinessDays(self.settings.calendar_of(code))

    def directory(self) -> Directory:
        """The participants as the chain's registry has them."""
        return self.chain.directory()

    def agent_of(self, lei: str) -> Agent:
        """Another participant as an agent in messages."""
        participant = self.directory().by_lei(lei)
        return Agent(bic=parse_bic(participant.bic), lei=parse_lei(participant.lei))


def record(work: UnitOfWork, payment: Payment, kind: str, due_at: int) -> None:
    """Record an effect that a worker carries out; once per payment and kind, for ever."""
    work.effects.add(
        NewEffect(
            kind=kind,
            key=f"{payment.payment_id}:{kind}",
            payload={},
            payment_id=payment.payment_id,
            due_at=due_at,
        )
    )


def is_same_bic(left: str, right: str) -> bool:
    """Whether two BICs name one institution: `AAAABBCC` and `AAAABBCCXXX` do (ISO 9362)."""
    return left.ljust(11, "X") == right.ljust(11, "X")
