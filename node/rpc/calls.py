"""The calls of one client: let through or refused, counted, timed, and told to the log where they are slow.

Both faces, HTTP and WebSocket, put `Calls` between themselves and the methods. What reaches the log is the method's
name, the client's and the seconds: never a body, a parameter or a token.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final, Protocol

from node.errors import MethodForbidden, NodeError, RateExceeded
from node.rpc.access import Client
from node.rpc.budget import Budget
from node.rpc.faults import INTERNAL, METHOD_UNKNOWN, UNAVAILABLE, WireError, describe_error
from node.rpc.json_value import Json
from node.telemetry import get_logger

NANOSECONDS: Final = 1_000_000_000


@unique
class Outcome(Enum):
    """What became of a call."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """By the method: the caller's fault."""
    UNKNOWN = "unknown"
    """No such method."""
    FORBIDDEN = "forbidden"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    """By a fault of the node."""


class Dispatcher(Protocol):
    """What a method call means. Implemented by `rpc.methods.Methods`."""

    def dispatch(self, method: str, params: list[Json], budget: Budget) -> Json | WireError:
        """The result of the call, or the error to answer with. Never raises."""

    def dispatch_many(
        self, method: str, calls: Sequence[list[Json]], budget: Budget
    ) -> list[Json | WireError]:
        """What `dispatch` would give for each of these calls, in order. Never raises."""

    async def dispatch_promptly(self, method: str, params: list[Json]) -> Json | WireError:
        """What `dispatch` would give, in the event loop, for a call that `is_prompt`. Never raises."""

    def is_prompt(self, method: str, params: list[Json]) -> bool:
        """Whether the event loop makes a call by itself, without a thread."""

    def is_grouped(self, method: str) -> bool:
        """Whether successive calls of a batch to this method go to `dispatch_many` together."""

    def is_heavy(self, method: str) -> bool:
        """Whether a call may take seconds of the machine."""


class CallObserver(Protocol):
    """Who is told of calls. Implemented by `telemetry.RpcMetrics`."""

    def call_ended(self, method: str, outcome: str, seconds: float) -> None:
        """One call has its answer."""


@dataclass(slots=True)
class Calls:
    """A `Dispatcher` for one client and one request or connection."""

    dispatcher: Dispatcher
    client: Client
    observer: CallObserver
    slow_seconds: float
    admitted: int = 0
    refusal: MethodForbidden | RateExceeded | None = None
    """Why the newest call that access control refused was refused."""

    def dispatch(self, method: str, params: list[Json], budget: Budget) -> Json | WireError:
        """The result of a call, or the error to answer with. Never raises."""
        return self._ask(method, [params], budget)[0]

    def dispatch_many(
        self, method: str, calls: Sequence[list[Json]], budget: Budget
    ) -> list[Json | WireError]:
        """The results of calls that are answered together; each is asked of access control by itself."""
        return self._ask(method, calls, budget)

    async def dispatch_promptly(self, method: str, params: list[Json]) -> Json | WireError:
        """The result of a call that the event loop makes by itself. Never raises."""
        began_at = time.monotonic_ns()
        refusal = self._refusal_of(method)
        if refusal is None:
            self.admitted += 1
            answer = await self.dispatcher.dispatch_promptly(method, params)
        else:
            answer = describe_error(refusal)
        seconds = (time.monotonic_ns() - began_at) / NANOSECONDS
        self._tell(method, [_outcome_of(answer, refusal)], seconds)
        return answer

    def is_prompt(self, method: str, params: list[Json]) -> bool:
        """Whether the event loop makes a call by itself."""
        return self.dispatcher.is_prompt(method, params)

    def is_grouped(self, method: str) -> bool:
        """Whether successive calls of it are better answered together."""
        return self.dispatcher.is_grouped(method)

    def is_heavy(self, method: str) -> bool:
        """Whether a call may take seconds of the machine."""
        return self.dispatcher.is_heavy(method)

    def _ask(
        self, method: str, calls: Sequence[list[Json]], budget: Budget
    ) -> list[Json | WireError]:
        began_at = time.monotonic_ns()
        refusals = [self._refusal_of(method) for _ in calls]
        admitted = [params for params, refusal in zip(calls, refusals, strict=True) if not refusal]
        self.admitted += len(admitted)
        results = iter(self._results(method, admitted, budget))
        answers: list[Json | WireError] = []
        outcomes: list[Outcome] = []
        for refusal in refusals:
            answers.append(next(results) if refusal is None else describe_error(refusal))
            outcomes.append(_outcome_of(answers[-1], refusal))
        self._tell(method, outcomes, (time.monotonic_ns() - began_at) / NANOSECONDS)
        return answers

    def _refusal_of(self, method: str) -> MethodForbidden | RateExceeded | None:
        try:
            self.client.check_call(method)
        except (MethodForbidden, RateExceeded) as refusal:
            self.refusal = refusal
            return refusal
        return None

    def _results(
        self, method: str, calls: Sequence[list[Json]], budget: Budget
    ) -> list[Json | WireError]:
        match calls:
            case []:
                return []
            case [params]:
                return [self.dispatcher.dispatch(method, params, budget)]
            case _:
                return self.dispatcher.dispatch_many(method, calls, budget)

    @property
    def only_refusal(self) -> NodeError | None:
        """Why access control let no call through; None where it let one through or met none."""
        return None if self.admitted else self.refusal

    def _tell(self, method: str, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Counts each call, and writes one line of all that were answered together."""
        for outcome in outcomes:
            self.observer.call_ended(method, outcome.value, seconds)
        fields = {
            # What nobody has named is not repeated: it is the caller's text, of any length.
            "method": "" if outcomes[0] in _UNNAMED else method,
            "client": self.client.name,
            "calls": len(outcomes),
            "outcome": outcomes[0].value,
            "seconds": round(seconds, 6),
        }
        if seconds >= self.slow_seconds:
            get_logger().warning("rpc_call_slow", **fields)
        else:
            get_logger().debug("rpc_call", **fields)


_UNNAMED: Final = frozenset({Outcome.UNKNOWN, Outcome.FORBIDDEN, Outcome.LIMITED})

_OUTCOME_BY_CODE: Final = {
    METHOD_UNKNOWN: Outcome.UNKNOWN,
    UNAVAILABLE: Outcome.UNAVAILABLE,
    INTERNAL: Outcome.FAILED,
}


def _outcome_of(
    answer: Json | WireError, refusal: MethodForbidden | RateExceeded | None
) -> Outcome:
    if refusal is not None:
        return Outcome.FORBIDDEN if isinstance(refusal, MethodForbidden) else Outcome.LIMITED
    if not isinstance(answer, WireError):
        return Outcome.ANSWERED
    return _OUTCOME_BY_CODE.get(answer.code, Outcome.REFUSED)
