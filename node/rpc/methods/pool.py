"""The pool, as the core tells of it."""

from __future__ import annotations

from node.rpc.codec.format import format_quantity
from node.rpc.json_value import JsonObject
from node.rpc.methods.view import View


def txpool_status(view: View) -> JsonObject:
    """How many pooled transactions are executable (pending) and waiting (queued)."""
    status = view.core.pool_status()
    return {
        "pending": format_quantity(status.executable),
        "queued": format_quantity(status.waiting),
    }
