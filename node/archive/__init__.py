"""A chain outside its running node: taken to a file and back, held to its rules, relieved of old states.

Everything here works on a data directory that no core is running on, except `export_blocks`, which only
reads. What a chain file or a store says of a block is never believed: the block is executed again by the
code of `node.chain`, permissions included, and what comes out is compared (`replay`).
"""

from node.archive.chain_file import BlockRecord, ChainFileHeader, ChainFileReader, ChainFileWriter
from node.archive.pruning import prune_states
from node.archive.transfer import export_blocks, import_blocks
from node.archive.verification import Verification

__all__ = [
    "BlockRecord",
    "ChainFileHeader",
    "ChainFileReader",
    "ChainFileWriter",
    "Verification",
    "export_blocks",
    "import_blocks",
    "prune_states",
]
