"""What each JSON-RPC call means: plain functions over the committed history, the EVM and the core.

Reads come from this process's own view of the store; only submission and the pool's questions cross the link to the
core. Committed state alone is served: `latest`, `safe` and `finalized` are one block, and `pending` is the same state
in the environment of the next block, in which estimates run too.

Each module holds the methods of one noun, `view` what they look at, `table` their names on the wire; `Methods` calls
them and turns what they raise into what the wire says.
"""

from node.rpc.methods.dispatch import Methods
from node.rpc.methods.view import View

__all__ = ["Methods", "View"]
