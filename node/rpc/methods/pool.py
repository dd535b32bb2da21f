"""The pool, as the core tells of it: geth's txpool namespace.

A transaction that could enter the next blocks is "pending", one that waits behind a missing nonce "queued".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from eth_utils.address import to_checksum_address

from node.errors import PoolContentTooLarge
from node.pool import PooledTransaction
from node.primitives import Address
from node.rpc.codec.format import format_quantity, format_transaction
from node.rpc.codec.parse import parse_address
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View
from node.transaction import decode_transaction

CONTENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Raw bytes of the transactions in one answer; more than one sender may have pooled."""

Show = Callable[[PooledTransaction], Json]


def txpool_status(view: View) -> JsonObject:
    """How many pooled transactions are executable (pending) and waiting (queued)."""
    status = view.core.pool_status()
    return {
        "pending": format_quantity(status.executable),
        "queued": format_quantity(status.waiting),
    }


def txpool_content(view: View) -> JsonObject:
    """Every pooled transaction, by sender and nonce; refused where there are too many for one answer."""
    executable, waiting = _content(view, None)
    return {
        "pending": _by_sender(executable, _show_whole),
        "queued": _by_sender(waiting, _show_whole),
    }


def txpool_content_from(view: View, sender: Json) -> JsonObject:
    """The pooled transactions of one sender, by nonce."""
    executable, waiting = _content(view, parse_address(sender, name="address"))
    return {
        "pending": _by_nonce(executable, _show_whole),
        "queued": _by_nonce(waiting, _show_whole),
    }


def txpool_inspect(view: View) -> JsonObject:
    """Every pooled transaction as one line of text, by sender and nonce."""
    executable, waiting = _content(view, None)
    return {
        "pending": _by_sender(executable, _show_in_brief),
        "queued": _by_sender(waiting, _show_in_brief),
    }


def _content(
    view: View, sender: Address | None
) -> tuple[list[PooledTransaction], list[PooledTransaction]]:
    """The executable and the waiting ones, page by page: the pool may move on between two pages."""
    executable: list[PooledTransaction] = []
    waiting: list[PooledTransaction] = []
    size = 0
    after: tuple[Address, int] | None = None
    while True:
        page = view.core.pool_page(after, sender)
        size += sum(len(each.raw) for each in (*page.executable, *page.waiting))
        if size > CONTENT_BYTES_MAX:
            raise PoolContentTooLarge(CONTENT_BYTES_MAX)
        executable += page.executable
        waiting += page.waiting
        if page.following is None:
            return executable, waiting
        after = page.following


def _by_sender(transactions: Iterable[PooledTransaction], show: Show) -> JsonObject:
    shown: JsonObject = {}
    for each in transactions:
        shown.setdefault(to_checksum_address(each.sender), {})[str(each.nonce)] = show(each)
    return shown


def _by_nonce(transactions: Iterable[PooledTransaction], show: Show) -> JsonObject:
    return {str(each.nonce): show(each) for each in transactions}


def _show_whole(pooled: PooledTransaction) -> Json:
    return format_transaction(decode_transaction(pooled.raw), pooled.sender, None)


def _show_in_brief(pooled: PooledTransaction) -> Json:
    transaction = decode_transaction(pooled.raw)
    target = "contract creation" if transaction.to is None else to_checksum_address(transaction.to)
    price = transaction.max_fee_per_gas
    return f"{target}: {transaction.value} wei + {transaction.gas_limit} gas × {price} wei"
