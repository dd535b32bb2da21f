"""Composition roots: the only place that builds the node's concrete objects.

A running node is several processes. The *core* is the one that was started: it holds the directory's
lock, the stores' writing side, the pool and the engine of consensus, and starts the *RPC* processes as
its children, one or more. An RPC process reads the stores and asks the core over the link. It faces the
network, so its end is not the core's: it is started again, after a pause that doubles, and only when it
fails `RPC_FAILURES_MAX` times in a row does the core end. An RPC process ends when the link to the core
breaks, also by a killed core. SIGTERM and SIGINT end all in order.

Whatever ends the thread that makes blocks ends the node: a node that makes no blocks must not look
alive. So it is asked to end before anything else is tried, a log line included.
"""

from node.app.archive import export_chain, import_chain, prune_store, verify_store
from node.app.check import check_files
from node.app.core import run_core
from node.app.dev import DEVELOPMENT_ACCOUNTS_MAX, DevelopmentSettings, run_development
from node.app.files import (
    JoinRequest,
    generate_genesis,
    generate_network,
    join_network,
    make_node_keys,
    trust_anchor,
    verify_genesis,
)
from node.app.keys import PASSPHRASE_VARIABLE, address_of, keep_key, list_keys
from node.app.rpc import run_kept_rpc, run_rpc
from node.app.snapshots import keep_snapshot
from node.consensus.cometbft.home import PublicKeys

__all__ = [
    "DEVELOPMENT_ACCOUNTS_MAX",
    "PASSPHRASE_VARIABLE",
    "DevelopmentSettings",
    "JoinRequest",
    "PublicKeys",
    "address_of",
    "check_files",
    "export_chain",
    "generate_genesis",
    "generate_network",
    "import_chain",
    "join_network",
    "keep_key",
    "keep_snapshot",
    "list_keys",
    "make_node_keys",
    "prune_store",
    "run_core",
    "run_development",
    "run_kept_rpc",
    "run_rpc",
    "trust_anchor",
    "verify_genesis",
    "verify_store",
]
