"""What the solo engine signs of each block, in the form in which several validators certify theirs.

Each block is made at an odd height; the even one after it holds nothing but the block's hash as its `app_hash`, as the
proof height of several validators does, and is signed by the node's validator key, the one member of the set. These
headers stand alone: they name no header before them, for there is nobody to agree with.
"""

from __future__ import annotations

from typing import Final

import coincurve

from node.block import Header
from node.membership import validator_set
from node.signed_header import (
    NO_BLOCK,
    ConsensusHeader,
    SignedHeader,
    Timestamp,
    sign_header,
)

BLOCK_VERSION: Final = 11
"""CometBFT's version of blocks, which the form of the header is that of."""


class Witness:
    """The key of a solo node, at work for one chain."""

    def __init__(self, key: coincurve.PrivateKey, chain_id: str) -> None:
        self._key = key
        self._chain_id = chain_id
        self._validators = validator_set([key.public_key.format()])
        self._set_hash = self._validators.hash

    def sign(self, block: Header, *, height: int, application_version: int) -> SignedHeader:
        """The signed header that certifies a block which was made at a height."""
        time = Timestamp(block.timestamp, 0)
        header = ConsensusHeader(
            version_block=BLOCK_VERSION,
            version_app=application_version,
            chain_id=self._chain_id,
            height=height + 1,
            time=time,
            last_block_id=NO_BLOCK,
            last_commit_hash=b"",
            data_hash=b"",
            validators_hash=self._set_hash,
            next_validators_hash=self._set_hash,
            consensus_hash=b"",
            app_hash=block.hash,
            last_results_hash=b"",
            evidence_hash=b"",
            proposer_address=self._validators.members[0].address,
        )
        return sign_header(header, self._validators, self._key, time)
