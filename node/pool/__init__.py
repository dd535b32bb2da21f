"""Pending transactions, in memory: who waits, in which order, and what a block may take next.

Place in the flow: after the one static check and the permission check, `Pool.add`; then the consensus engine asks
`select` for the next block, and tells `advance` and `drop` what became of it. Nothing here is consensus: two nodes may
hold different pools. The pool is pure (no clock, lock or I/O: the time is given, in UTC seconds);
`consensus/intake.py` guards it.

What it takes in, in the order in which `add` asks:

1. a transaction held already is *already known*;
2. its nonce is at least the sender's nonce in the state and below it plus `SENDER_TRANSACTIONS_MAX`, which bounds the
   number a sender may have pooled, and less than `GAP_MAX` above the first nonce that is free; all that a sender has
   pooled is at most `SENDER_BYTES_MAX`;
3. a nonce taken by an *executable* transaction (no gap between it and the state) cannot be taken again: on a chain
   without fees there is no price to outbid with, the first is on its way into the next block, and other nodes may hold
   it. To acknowledge an executable transaction is to promise its inclusion. A transaction that *waits* behind a gap may
   be replaced by its sender;
4. the pool as a whole is bounded by count and by bytes. Past the bound an executable transaction takes the place of
   those that have waited longest behind a gap of another sender; where none waits it is refused, and a transaction that
   would wait is always refused;
5. at most one in `WAITING_DIVISOR` places is for transactions that wait; past it a new one takes the place of the one
   that has waited longest.

How one leaves: in a block; or with a `PoolEvent` that says why (`DropReason`). One that has waited for
`WAITING_SECONDS_MAX` expires. An executable one never does: what was promised holds however long the chain stands
still, and what must not happen late says so itself (a payment has its deadline on chain). It is dropped only where no
block will take it any more.

How long it takes (`line`): senders take turns. With at most k other senders that have something executable, the n-th
executable transaction of a sender is in a block after at most n * (k + 1) blocks, whatever the others send.

Invariants: per sender and nonce at most one transaction; `select` keeps nonce order per sender, never exceeds the gas
and byte limits, and gives no sender more than its share of gas while another sender's transaction would fit; whatever
becomes executable, and whatever leaves without a block, has its event, once.
"""

from node.pool.entry import (
    Dropped,
    DropReason,
    Executable,
    PooledTransaction,
    PoolEvent,
    PoolPage,
    PoolStatus,
    Standing,
    Waiting,
)
from node.pool.pool import Pool

__all__ = [
    "DropReason",
    "Dropped",
    "Executable",
    "Pool",
    "PoolEvent",
    "PoolPage",
    "PoolStatus",
    "PooledTransaction",
    "Standing",
    "Waiting",
]
