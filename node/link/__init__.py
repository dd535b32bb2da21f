"""The socket between the core and the RPC processes: messages, server, client.

The core listens on a unix socket; each RPC process keeps two connections: the `Client` of its threads, and the
`Submitter` of its event loop, which wants no notices (`QUIET`). What crosses: raw transactions to submit,
many in one frame, the questions only the pool can answer, filters, which the core holds (`node.filters`), the metrics
of each process, and, unasked, the newest head and what happened to the pool. Everything else an RPC process reads for
itself from the store.

A submission carries the sender that the RPC process recovered from the signature, and the core does not recover it
again. The socket is open to this user alone: whoever could lie there could write to the stores as well.

A frame is a four-byte big-endian length and the RLP list `[kind, number, field...]`. `number` pairs a reply with its
request (0 for a notice); replies come in the order of the requests of one connection. A refusal
carries the name of the error and its attributes (bytes, integers, text), so the far side raises the very same one. A
fault of the core itself is told to the core: a broken invariant, which must end the process, is handed to `on_fault`;
anything else unexpected is logged and answered as `CoreFailed`.

Limits: `FRAME_BYTES_MAX`, `CONNECTIONS_MAX`, and `REPLY_SECONDS_MAX` after which a silent core is unavailable. Notices
wait for each client in an `outbox` of its own; one that reads too slowly is cut off past `NOTICES_MAX`. A frame that
breaks the format ends its connection. When the core goes away every waiting request is told so, and the client's
`closed` event is set: an RPC process ends with its core.
"""

from node.link.board import Board
from node.link.client import Client
from node.link.filters import FilterKeeper, Filters, random_id
from node.link.frames import Frame, Head, Kind
from node.link.pool_codec import Submission
from node.link.server import Intake, Server
from node.link.socket_path import listen_privately, socket_path
from node.link.submitter import Submitter

__all__ = [
    "Board",
    "Client",
    "FilterKeeper",
    "Filters",
    "Frame",
    "Head",
    "Intake",
    "Kind",
    "Server",
    "Submission",
    "Submitter",
    "listen_privately",
    "random_id",
    "socket_path",
]
