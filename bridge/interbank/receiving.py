"""A message of another institution is taken once, however often it comes.

Its kind's receiver reads and checks it outside any database transaction and returns what taking it
means; that happens in one transaction with the receipt. A message whose receipt is here is answered
as it was the first time, and nothing happens; the same message id with another content is refused.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from bridge.errors import EnvelopeInvalid
from bridge.failpoint import Failpoint, visit
from bridge.interbank.channel import Received
from bridge.interbank.kinds import Kind
from bridge.store import Store, UnitOfWork

Taking: TypeAlias = Callable[[UnitOfWork], None]
"""What taking a message changes; a refusal raised in it leaves nothing behind."""

Receiver: TypeAlias = Callable[[Received], Taking]
"""Reads a message and answers with its taking; raises what refuses it, or asks for patience."""

Receivers: TypeAlias = Mapping[Kind, Receiver]
"""The receiver of each kind that an institution takes."""


def take(store: Store, receivers: Receivers, received: Received, *, at: int) -> bool:
    """Take a message at the UTC second `at`; False when it was taken before.

    Raises `EnvelopeInvalid` for one without a heading or of a kind that is not taken here,
    `MessageIdReused`, and what its receiver raises.
    """
    heading = received.heading
    if heading is None:
        raise EnvelopeInvalid("it has no heading")
    receipt = (received.sender_lei, heading.message_id, received.content_digest)
    with store.reading() as work:
        if work.receipts.has(*receipt):
            return False
    receiver = receivers.get(received.kind)
    if receiver is None:
        raise EnvelopeInvalid(f"{received.kind.value} is not taken here")
    taking = receiver(received)
    visit(Failpoint.TAKING)
    with store.unit_of_work() as work:
        if not work.receipts.add(*receipt, received_at=at):
            return False
        taking(work)
    return True
