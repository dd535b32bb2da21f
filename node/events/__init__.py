"""Events by cursor: every log exactly once, in the one order that all nodes of a chain share.

Place in the flow: `History.log_page` finds the logs after a place; `cursor` turns a place into what a consumer keeps
and back; `decoder` reads the logs of the chain's own contracts by their committed ABIs; `selection` says which logs a
consumer wants. `rpc` serves pages of them by call (`corridor_getEvents`) and streams them (`events` subscriptions);
both walk the same pages, so backfill and live are one thing.

Invariant: what a cursor means depends on nothing but the chain. No counter of this node, of a connection or of a
process is in it, so a consumer may go on at any other node.
"""

from node.events.cursor import CURSOR_BYTES, decode_cursor, encode_cursor
from node.events.decoder import DecodedEvent, decode_event
from node.events.selection import EventSelection

__all__ = [
    "CURSOR_BYTES",
    "DecodedEvent",
    "EventSelection",
    "decode_cursor",
    "decode_event",
    "encode_cursor",
]
