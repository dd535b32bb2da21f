"""Subscriptions, where there is no connection to send them on: `rpc.websocket` answers these calls itself."""

from __future__ import annotations

from node.errors import NotificationsUnsupported
from node.rpc.json_value import Json
from node.rpc.methods.view import View


def subscribe(_view: View, _kind: Json, _wanted: Json = None) -> str:
    """By WebSocket only: begins a subscription; its id."""
    raise NotificationsUnsupported


def unsubscribe(_view: View, _subscription: Json) -> bool:
    """By WebSocket only: ends a subscription."""
    raise NotificationsUnsupported
