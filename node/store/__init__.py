"""What is kept on disk: two LMDB environments, written at commit and never before, and a disposable third.

*state* holds the tries and the code, keyed by hash (py-evm's own layout):

    nodes     keccak(32)                         -> trie node or contract code
    meta      "format"                           -> STATE_FORMAT

*chain* holds what was decided. Numbers are 8 bytes, positions 4 bytes, both big-endian:

    headers       number                         -> block hash(32) || header RLP
    numbers       block hash                     -> number
    heights       number                         -> height of consensus that made the block
    bodies        number                         -> RLP list of the raw transactions
    transactions  transaction hash               -> number || position
    receipts      number || position             -> RLP of what the receipt holds beyond its logs
    logs          number || log index            -> position || RLP log
    by_address    address || number || log index -> ""
    by_topic      topic position(1) || topic(32) || number || log index -> ""
    signed_headers     number                    -> header of consensus that certifies the block, with its precommits
    validator_changes  height                    -> the same, of each header that names another set as the next
    misbehaviours      height || position        -> RLP of evidence against a validator
    meta          "format", "genesis", "head" (number), "height" (consensus), "app_hash",
                  "first" (number; absent where the chain is kept from block 0 on),
                  "first_state" (number, once states were pruned: the oldest block whose state is kept)

A block is committed in two steps: first the state (by the engine, through `StateStore.write`),
then one transaction of the chain environment. The first step writes values under their own hash,
so doing it twice, or dying after it, changes nothing; the second is the moment a block is final
on this disk. Both are synced, and each is there whole or not at all: one that fails (a full disk)
stops the node with `StoreUnwritable`. Any number of processes may read at the same time; each reads a
snapshot and must keep it short, since an open one stops the reuse of freed pages.

A store may begin at a block that came with a snapshot (`begin_at`): "first" and "first_state" name it, it is whole,
and of those before it there are headers as far as the next block sees.

States can be pruned while no node runs (`node.archive.pruning`): those to keep are copied into
`state-pruned`, beside *state*, whose file then takes the place of the old one in one rename. What is
left of a copy whose process was killed is removed by the next one.

Every process opens with the same large map size: a reader with a smaller one would fail as soon
as the file grows past it. The file itself only takes what is written.

*pool* holds what was acknowledged and is in no block yet; see `store.pool`.
"""

from node.store.chain import NO_ANNEX, Annex, ChainReader, ChainStore, Checkpoint, PostingList
from node.store.entries import (
    BLOCK_TABLES,
    Entry,
    Misbehaviour,
    StoredLog,
    StoredReceipt,
    block_entries,
    encode_log_key,
    encode_number,
    number_of,
)
from node.store.environment import sync_directory
from node.store.pool import KeptTransaction, PoolStore
from node.store.state import LayeredState, MemoryState, StateStore, StateValues
from node.store.trie import StateCopy, StateWalk

__all__ = [
    "BLOCK_TABLES",
    "NO_ANNEX",
    "Annex",
    "ChainReader",
    "ChainStore",
    "Checkpoint",
    "Entry",
    "KeptTransaction",
    "LayeredState",
    "MemoryState",
    "Misbehaviour",
    "PoolStore",
    "PostingList",
    "StateCopy",
    "StateStore",
    "StateValues",
    "StateWalk",
    "StoredLog",
    "StoredReceipt",
    "block_entries",
    "encode_log_key",
    "encode_number",
    "number_of",
    "sync_directory",
]
