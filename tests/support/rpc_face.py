"""The HTTP face of a node in this process: access control as settings say, and nobody who looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.config import AccessSettings, ClientSettings, Limits, Settings
from node.rpc.access import build_access
from node.rpc.calls import Dispatcher
from node.rpc.server import Pages, Server


class Unobserved:
    """Nobody looks. Implements `rpc.server.ServerObserver`, `rpc.websocket.ConnectionObserver`."""

    def call_ended(self, method: str, outcome: str, seconds: float) -> None:
        """Nothing is counted."""

    def request_began(self) -> None:
        """Nothing is counted."""

    def request_refused(self, status: int) -> None:
        """Nothing is counted."""

    def request_ended(self, *, bytes_in: int, bytes_out: int) -> None:
        """Nothing is counted."""

    def connection_opened(self) -> None:
        """Nothing is counted."""

    def connection_closed(self) -> None:
        """Nothing is counted."""


def face_settings(
    *,
    host: str = "127.0.0.1",
    clients: dict[str, ClientSettings] | None = None,
    access: AccessSettings | None = None,
) -> Settings:
    """Settings of a node for its face; the rest names nothing that exists."""
    return Settings(
        genesis_file=Path("genesis.json"),
        data_directory=Path("store"),
        port=8545,
        host=host,
        clients=clients or {},
        access=access or AccessSettings(),
    )


def open_face(
    dispatcher: Dispatcher,
    report_readiness: Callable[[], dict[str, Any]],
    *,
    settings: Settings | None = None,
    limits: Limits | None = None,
) -> Server:
    """A server on the loopback for anybody, unless told otherwise."""
    return Server(
        dispatcher,
        Pages(report_readiness=report_readiness, report_metrics=lambda: b"# no metrics\n"),
        build_access(settings or face_settings()),
        Unobserved(),
        limits or Limits(),
    )
