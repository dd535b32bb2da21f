"""What the routes need, held together by the composition root and found through the request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from bridge.centralbank.issuing import Issuing
from bridge.centralbank.reporting import BackingDesk
from bridge.centralbank.statements import Statements
from bridge.errors import BooksBehind
from bridge.fx import QuoteDesk
from bridge.institution import Institution
from bridge.interbank import Receivers
from bridge.metrics import BridgeMetrics
from bridge.operating import FourEyes
from bridge.retail.business import RetailBusiness
from bridge.retail.register import Register


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this bridge can serve now, and if not, what it waits for."""

    is_ready: bool
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CentralBankDesks:
    """What only a central bank has."""

    issuing: Issuing
    statements: Statements
    backing: BackingDesk


@dataclass(frozen=True, slots=True)
class Services:
    """The running bridge as the API sees it.

    `takes_writes` tells, without waiting, whether the books are known to be no older than the chain.
    `desk` is there at an fx provider, `central_bank` and `register` at a central bank, `retail` at a bank
    that keeps wallets; `receivers` take what other institutions deliver.
    """

    institution: Institution
    readiness: Callable[[], Readiness]
    four_eyes: FourEyes
    metrics: BridgeMetrics
    desk: QuoteDesk | None = None
    central_bank: CentralBankDesks | None = None
    receivers: Receivers = field(default_factory=dict)
    retail: RetailBusiness | None = None
    register: Register | None = None
    takes_writes: Callable[[], bool] = lambda: True


async def find_services(request: Request) -> Services:
    """The services of the application that serves this request."""
    services: Services = request.app.state.services
    return services


async def refuse_early_writes(request: Request) -> None:
    """Raise `BooksBehind` for whatever could change something, until the books are level with the chain.

    After a restore they are older than what the bank did: a retry must meet what the chain knows of it.
    """
    services: Services = request.app.state.services
    if request.method not in _READING and not services.takes_writes():
        raise BooksBehind


_READING = frozenset({"GET", "HEAD", "OPTIONS"})

ServicesNeeded = Annotated[Services, Depends(find_services)]
"""Parameter of a route that needs the services."""
