"""The application: which routes a role has, how much of a body is read, and a trace id for each
request that is echoed, logged and named in every problem.
"""

import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, Final, TypeAlias, assert_never

from fastapi import APIRouter, Depends, FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.api import (
    accounts,
    alerts,
    audit,
    breaks,
    central_bank,
    deliveries,
    holds,
    interbank,
    issuances,
    ledger,
    messages,
    operations,
    payments,
    proposals,
    quotations,
    recalls,
    retail,
    retail_offline,
    retail_operations,
    standing_orders,
    supervision,
    suspense,
    transfers,
)
from bridge.api.problems import TRACE_ID_HEADER, install_handlers
from bridge.api.schemas import ProblemView
from bridge.api.services import Services, refuse_early_writes
from bridge.config import Role
from bridge.failpoint import Failpoint, visit
from bridge.iso20022.document import MESSAGE_BYTES_MAX
from bridge.metrics import OTHER, BridgeMetrics, Request
from bridge.telemetry import get_logger

BODY_BYTES_MAX: Final = MESSAGE_BYTES_MAX
"""Most bytes of a request's body that are read, whatever its Content-Length says."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_TRACE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]
"""What runs while the application serves."""


def create_api(services: Services, lifespan: Lifespan | None = None) -> FastAPI:
    """The API of an institution: what its role has no business with does not exist there.

    With `interbank_tls` other institutions have an API of their own.
    """
    settings = services.institution.settings
    routers = _own_routers(settings.role)
    if settings.interbank_tls is None:
        routers = (*routers, *_interbank_routers(settings.role))
    return _create(services, routers, lifespan)


def create_interbank_api(services: Services) -> FastAPI:
    """The API for other institutions alone, for a listener of its own."""
    return _create(services, _interbank_routers(services.institution.settings.role), None)


def _create(services: Services, routers: Sequence[APIRouter], lifespan: Lifespan | None) -> FastAPI:
    problem: dict[int | str, dict[str, Any]] = {  # OpenAPI
        "default": {"model": ProblemView, "description": "Refused, or failed."}
    }
    api = FastAPI(
        title="Corridor bridge",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=problem,
        redirect_slashes=False,
    )
    api.state.services = services
    install_handlers(api)
    api.include_router(operations.health)
    for router in routers:
        api.include_router(router, dependencies=[Depends(refuse_early_writes)])
    api.add_middleware(BodyLimit)
    api.add_middleware(Tracing, metrics=services.metrics)
    return api


def _interbank_routers(role: Role) -> Sequence[APIRouter]:
    everywhere = (interbank.messages, interbank.fetches)
    match role:
        case Role.BANK:
            return (*everywhere, interbank.charges, interbank.retail)
        case Role.FX_PROVIDER:
            return (*everywhere, interbank.quotes)
        case Role.CENTRAL_BANK:
            return (*everywhere, interbank.issuances, interbank.retail)
        case _:
            assert_never(role)


def _own_routers(role: Role) -> Sequence[APIRouter]:
    everywhere = (
        operations.router,
        operations.monitoring,
        deliveries.router,
        ledger.operating,
        proposals.router,
        audit.router,
        issuances.reading,
        transfers.reading,
        breaks.router,
        alerts.router,
    )
    match role:
        case Role.BANK:
            customers = (
                payments.router,
                recalls.customers,
                quotations.router,
                standing_orders.router,
                messages.router,
                accounts.router,
                ledger.owning,
            )
            wallets = (
                retail.router,
                retail_offline.router,
                retail_operations.intermediary,
                retail_offline.operations,
            )
            return (
                *everywhere,
                *customers,
                *wallets,
                suspense.router,
                recalls.operators,
                holds.router,
                issuances.ordering,
                transfers.ordering,
            )
        case Role.FX_PROVIDER:
            return (*everywhere, issuances.ordering, transfers.ordering)
        case Role.CENTRAL_BANK:
            own = (supervision.router, retail_operations.register)
            return (*everywhere, *own, central_bank.public, central_bank.router)
        case _:
            assert_never(role)


class BodyLimit:
    """Refuses a body beyond `BODY_BYTES_MAX` as it is read; more is never held in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting what is read of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0

        async def receive_some() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > BODY_BYTES_MAX:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return message

        await self._app(scope, receive_some, send)


class Tracing:
    """Gives each request its trace id, the caller's own where it is usable, and logs its outcome."""

    def __init__(self, app: ASGIApp, metrics: BridgeMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, naming it; write one log line when it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(TRACE_ID_HEADER, "")
        trace_id = given if _TRACE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["trace_id"] = trace_id
        started_at = time.monotonic()

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope["method"] == "POST":
                    visit(Failpoint.ANSWERING)
                MutableHeaders(scope=message)[TRACE_ID_HEADER] = trace_id
                self._tell(scope, int(message["status"]), time.monotonic() - started_at)
            await send(message)

        await self._app(scope, receive, send_named)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """Log and count an answer. A path may hold an account number, so that of the route is told."""
        route = getattr(scope.get("route"), "path", OTHER)
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        get_logger().info(
            "request",
            trace_id=scope["state"]["trace_id"],
            method=method,
            path=route,
            status=status,
            milliseconds=int(seconds * 1_000),
        )
        self._metrics.answered(Request(route, method, status, seconds))
