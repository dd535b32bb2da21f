"""The bridge's end of the chain.

encoding     the contracts' encodings, ids and signed hashes; pure
directory    the participants as the registry has them
client       what the bridge asks of its node
submission   our transactions: signed once, kept, sent until final
follower     blocks into the store, one database transaction each
"""

from bridge.chain.client import BlockData, BlockRef, ChainClient, Receipt
from bridge.chain.directory import Directory, Participant, ParticipantAccount
from bridge.chain.encoding import (
    AccountKind,
    Attestation,
    AuditAnchor,
    ChainEvent,
    ContractCall,
    PaymentOutcome,
    attestation_hash,
    quote_hash,
    recover_signer,
    registry_call,
    return_id,
    settlement_call,
    settlement_id,
    terms_hash,
    terms_of_arguments,
    terms_of_event,
    token_call,
    uetr_hash,
)
from bridge.chain.follower import BlockHandler, FinalTransaction, Follower
from bridge.chain.submission import Call, Submitter

__all__ = [
    "AccountKind",
    "Attestation",
    "AuditAnchor",
    "BlockData",
    "BlockHandler",
    "BlockRef",
    "Call",
    "ChainClient",
    "ChainEvent",
    "ContractCall",
    "Directory",
    "FinalTransaction",
    "Follower",
    "Participant",
    "ParticipantAccount",
    "PaymentOutcome",
    "Receipt",
    "Submitter",
    "attestation_hash",
    "quote_hash",
    "recover_signer",
    "registry_call",
    "return_id",
    "settlement_call",
    "settlement_id",
    "terms_hash",
    "terms_of_arguments",
    "terms_of_event",
    "token_call",
    "uetr_hash",
]
