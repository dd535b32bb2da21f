"""What is kept on disk: two LMDB environments, written at commit and never before.

*state* holds the tries and the code, keyed by hash (py-evm's own layout):

    nodes     keccak(32)                         -> trie node or contract code
    meta      "format"                           -> STATE_FORMAT

*chain* holds what was decided. Numbers are 8 bytes, positions 4 bytes, both big-endian:

    headers       number                         -> block hash(32) || header RLP
    numbers       block hash                     -> number
    bodies        number                         -> RLP list of the raw transactions
    transactions  transaction hash               -> number || position
    receipts      number || position             -> RLP of what the receipt holds beyond its logs
    logs          number || log index            -> position || RLP log
    by_address    address || number || log index -> ""
    by_topic      topic position(1) || topic(32) || number || log index -> ""
    meta          "format", "genesis", "head" (number), "height" (consensus), "app_hash",
                  "first" (number; absent where the chain is kept from block 0 on)

A block is committed in two steps: first the state (by the engine, through `StateStore.write`),
then one transaction of the chain environment. The first step writes values under their own hash,
so doing it twice, or dying after it, changes nothing; the second is the moment a block is final
on this disk. Both are synced, and each is there whole or not at all: one that fails (a full disk)
stops the node with `StoreUnwritable`. Any number of processes may read at the same time; each reads a
snapshot and must keep it short, since an open one stops the reuse of freed pages.

Every process opens with the same large map size: a reader with a smaller one would fail as soon
as the file grows past it. The file itself only takes what is written.
"""

from node.store.chain import (
    ChainReader,
    ChainStore,
    Checkpoint,
    PostingList,
    StoredLog,
    StoredReceipt,
    encode_log_key,
    encode_number,
)
from node.store.state import MemoryState, StateStore, StateValues

__all__ = [
    "ChainReader",
    "ChainStore",
    "Checkpoint",
    "MemoryState",
    "PostingList",
    "StateStore",
    "StateValues",
    "StoredLog",
    "StoredReceipt",
    "encode_log_key",
    "encode_number",
]
