"""The calls of one client: counted by what became of them, and told to the log without what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from node.config import ClientSettings
from node.errors import RateExceeded
from node.rpc.access import build_access
from node.rpc.budget import Budget
from node.rpc.calls import Calls, Outcome
from node.rpc.faults import WireError
from support.rpc_face import Unobserved, face_settings

SECRET_PARAMETER = "0x5ec12e7"


class Answering:
    """Answers with what it was given to answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def dispatch(self, _method: str, _params: list[Any], _budget: Budget) -> Any:
        return self.answer

    def dispatch_many(self, _method: str, calls: Sequence[list[Any]], _budget: Budget) -> list[Any]:
        return [self.answer] * len(calls)

    async def dispatch_promptly(self, _method: str, _params: list[Any]) -> Any:
        return self.answer

    def is_prompt(self, method: str, _params: list[Any]) -> bool:
        return method == "eth_sendRawTransaction"

    def is_grouped(self, method: str) -> bool:
        return method == "eth_sendRawTransaction"

    def is_heavy(self, method: str) -> bool:
        return method == "eth_call"


class Counting(Unobserved):
    """Remembers what it was told of calls."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def call_ended(self, method: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.told.append((method, outcome))


def calls_of(answer: Any, observer: Counting, *, slow_seconds: float = 60, **client: Any) -> Calls:
    clients = {"anonymous": ClientSettings(**client)}
    access = build_access(face_settings(clients=clients))
    return Calls(Answering(answer), access.authenticate([]), observer, slow_seconds)


def call(calls: Calls, method: str = "eth_call") -> Any:
    return calls.dispatch(method, [SECRET_PARAMETER], Budget.of_seconds(60))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("0x1", Outcome.ANSWERED),
        (None, Outcome.ANSWERED),
        (WireError(-32000, "nonce too low"), Outcome.REFUSED),
        (WireError(3, "execution reverted"), Outcome.REFUSED),
        (WireError(-32601, "unknown"), Outcome.UNKNOWN),
        (WireError(-32002, "the core does not answer"), Outcome.UNAVAILABLE),
        (WireError(-32603, "internal error"), Outcome.FAILED),
    ],
)
def test_a_call_is_counted_by_what_became_of_it(answer: Any, outcome: Outcome) -> None:
    """N-97."""
    observer = Counting()
    calls = calls_of(answer, observer)
    assert call(calls) == answer
    assert observer.told == [("eth_call", outcome.value)]
    assert calls.only_refusal is None
    assert calls.is_heavy("eth_call")


def test_a_refusal_of_access_control_is_counted_and_reaches_no_method() -> None:
    """N-95, N-97."""
    observer = Counting()
    calls = calls_of("0x1", observer, allow=("eth_*",), calls_per_second=1)
    assert call(calls, "debug_x").code == -32012
    assert call(calls) == "0x1"
    assert call(calls).code == -32005
    assert [outcome for _, outcome in observer.told] == ["forbidden", "answered", "limited"]
    assert calls.only_refusal is None
    later = Calls(calls.dispatcher, calls.client, observer, slow_seconds=60)
    call(later)
    assert isinstance(later.only_refusal, RateExceeded)


def test_a_forbidden_call_costs_nothing_of_the_rate() -> None:
    """N-95."""
    calls = calls_of("0x1", Counting(), allow=("eth_*",), calls_per_second=1)
    call(calls, "debug_x")
    assert call(calls) == "0x1"


def test_calls_that_are_answered_together_are_each_asked_of_access_control() -> None:
    """N-95, N-97."""
    observer = Counting()
    calls = calls_of("0x1", observer, calls_per_second=2)
    answers = calls.dispatch_many("eth_sendRawTransaction", [["0x"]] * 4, Budget.of_seconds(60))
    assert answers[:2] == ["0x1", "0x1"]
    assert [answer.code for answer in answers[2:]] == [-32005, -32005]
    assert [outcome for _, outcome in observer.told] == ["answered"] * 2 + ["limited"] * 2
    assert calls.is_grouped("eth_sendRawTransaction")
    assert (calls.admitted, calls.only_refusal) == (2, None)


def test_the_log_names_method_client_and_seconds_and_nothing_that_was_asked() -> None:
    """N-98."""
    with capture_logs() as lines:
        call(calls_of("0x1", Counting()))
        call(calls_of("0x1", Counting(), slow_seconds=0))
        call(calls_of(WireError(-32601, "unknown"), Counting()), "made\nup")
    usual, slow, unknown = lines
    assert (usual["log_level"], usual["event"]) == ("debug", "rpc_call")
    assert (slow["log_level"], slow["event"]) == ("warning", "rpc_call_slow")
    assert (slow["method"], slow["client"], slow["outcome"]) == (
        "eth_call",
        "anonymous",
        "answered",
    )
    assert slow["seconds"] >= 0
    assert unknown["method"] == ""
    assert SECRET_PARAMETER not in str(lines)
