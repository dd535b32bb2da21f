"""The socket between the core and the RPC processes: messages, server, client.

The core listens on a unix socket; each RPC process keeps one connection. What crosses: a raw transaction to submit, the
three questions only the pool can answer, filters, which the core holds (`node.filters`), and, unasked, the newest head.
Everything else an RPC process reads for itself from the store.

A frame is a four-byte big-endian length and the RLP list `[kind, number, field...]`. `number` pairs a reply with its
request (0 for the notice of a new head); replies come in the order of the requests of one connection. A refusal
carries the name of the error and its attributes (bytes, integers, text), so the far side raises the very same one. A
fault of the core itself is told to the core: a broken invariant, which must end the process, is handed to `on_fault`;
anything else unexpected is logged and answered as `CoreFailed`.

Limits: `FRAME_BYTES_MAX`, `CONNECTIONS_MAX`, and `REPLY_SECONDS_MAX` after which a silent core is unavailable. A frame
that breaks the format ends its connection. When the core goes away every waiting request is told so, and the client's
`closed` event is set: an RPC process ends with its core.
"""

from node.link.client import Client
from node.link.filters import FilterKeeper, Filters
from node.link.frames import Frame, Head, Kind
from node.link.server import Intake, Server
from node.link.socket_path import socket_path

__all__ = [
    "Client",
    "FilterKeeper",
    "Filters",
    "Frame",
    "Head",
    "Intake",
    "Kind",
    "Server",
    "socket_path",
]
