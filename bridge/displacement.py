"""A nonce whose transaction cannot be included is used up, once two operators want it.

The one permitted second signature: a no-op of the sender to itself at that nonce, signed once and kept
before it is sent. Either is in the chain for ever, never both. Which one, and so whether what the first
was to do has happened, is read from a final block.
"""

from typing import Final

from bridge.approval import Proposal
from bridge.chain import Submitter
from bridge.errors import TransactionNotOutstanding
from bridge.operating import Action
from bridge.store import EffectRow, NewEffect, OutgoingTransaction, TransactionState, UnitOfWork
from bridge.worker import Done, Outcome

CONSUME_NONCE: Final = "consume_nonce"
"""Kind of the action and of its effect; the subject is the hash of the transaction, 0x and hex."""


def _check(work: UnitOfWork, proposal: Proposal) -> None:
    _outstanding(work, proposal.subject)


def _carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
    transaction = _outstanding(work, proposal.subject)
    work.effects.add(
        NewEffect(
            kind=CONSUME_NONCE,
            key=f"{CONSUME_NONCE}:{proposal.subject}",
            payload={"hash": transaction.hash.hex()},
            payment_id=transaction.payment_id,
            due_at=at,
        )
    )
    return f"nonce {transaction.nonce} is to be used up"


def _outstanding(work: UnitOfWork, subject: str) -> OutgoingTransaction:
    try:
        found = work.transactions.get(bytes.fromhex(subject.removeprefix("0x")))
    except ValueError as error:
        raise TransactionNotOutstanding(subject) from error
    is_outstanding = found is not None and found.state is TransactionState.PREPARED
    if found is None or not is_outstanding or found.replaces is not None:
        raise TransactionNotOutstanding(subject)
    return found


consume_nonce: Final = Action(_check, _carry_out)
"""The action itself."""


def consume(submitter: Submitter, effect: EffectRow) -> Outcome:
    """Sign and send the no-op; nothing where the transaction has become final meanwhile."""
    submitter.consume(bytes.fromhex(str(effect.payload["hash"])))
    return Done()
