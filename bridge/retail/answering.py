"""One answer for each key of a client: the effect happens once, a refusal stays a refusal.

Answer and effect are written in one unit of work. A refusal undoes its own unit of work and is
remembered in another; what is unavailable is not remembered and may be tried again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.errors import IdempotencyKeyReused, Rejected
from bridge.store import Remembered, Store, UnitOfWork

ACCEPTED: Final = 202
REFUSED: Final = 422
"""How an answer is remembered."""

Act: TypeAlias = Callable[[UnitOfWork], Mapping[str, object]]
"""What is asked for: it happens in this unit of work and says how it is described."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told, the first time and each time it asks again."""

    body: Mapping[str, object]
    is_refusal: bool = False
    is_replayed: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks what, under which key. `content` is all that makes it another question."""

    client: str
    key: str
    content: str

    @property
    def fingerprint(self) -> bytes:
        """Digest of what is asked."""
        return hashlib.sha256(self.content.encode()).digest()


def answer_once(store: Store, question: Question, act: Act) -> Answer:
    """What `act` answers, or what was answered before under this key.

    Raises `IdempotencyKeyReused` when the key stands for another question, and an `Unavailable` of
    `act`, after which nothing is remembered.
    """
    try:
        with store.unit_of_work() as work:
            earlier = _recall(work, question)
            if earlier is not None:
                return earlier
            return _remember(work, question, Answer(act(work)))
    except IdempotencyKeyReused:
        raise
    except Rejected as refusal:
        body = {"code": refusal.code, "reason": refusal.reason, "detail": str(refusal)}
        with store.unit_of_work() as work:
            earlier = _recall(work, question)
            return earlier or _remember(work, question, Answer(body, is_refusal=True))


def _recall(work: UnitOfWork, question: Question) -> Answer | None:
    found = work.idempotency.find(question.client, question.key)
    if found is None:
        return None
    if found.fingerprint != question.fingerprint:
        raise IdempotencyKeyReused(question.key)
    is_refusal = found.status == REFUSED
    return Answer(json.loads(found.body), is_refusal=is_refusal, is_replayed=True)


def _remember(work: UnitOfWork, question: Question, answer: Answer) -> Answer:
    work.idempotency.remember(
        question.client,
        question.key,
        Remembered(
            fingerprint=question.fingerprint,
            status=REFUSED if answer.is_refusal else ACCEPTED,
            body=json.dumps(dict(answer.body), sort_keys=True),
        ),
    )
    return answer
