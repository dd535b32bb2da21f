"""The operator's view of what is on its way to other institutions, and its replay.

Cites docs/spec/interbank.md: IBK-17, 18; docs/spec/api.md: API-2.
"""

from pathlib import Path

import pytest

from bridge.interbank import Kind, Outgoing, deliver
from bridge.interbank.channel import CONTENT_TYPE
from bridge.interbank.fetching import PATH as FETCHES
from bridge.store import DeliveryState
from support.bridge_api import ALICE, NOW, OPERATOR, Bridge, bank
from support.participants import BANK_A, BANK_B

DELIVERIES = "/v1/operations/deliveries"


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return bank(tmp_path)


def dead(bridge: Bridge, text: str = "secret") -> str:
    """A message that was given up."""
    with bridge.store.unit_of_work() as work:
        message = Outgoing(text, BANK_B, Kind.STATUS_REPORT, {"text": text}, f"pay_{text}")
        message_id = deliver(work, message, at=NOW)
        claimed = work.deliveries.claim(now=NOW, owner="test", lease_seconds=60)
        assert claimed is not None
        work.deliveries.finish(claimed, DeliveryState.DEAD, "no answer")
    return message_id


def test_ibk_17_the_operator_sees_how_far_each_message_came_and_not_what_it_says(
    bridge: Bridge,
) -> None:
    message_id = dead(bridge)
    answer = bridge.request("GET", DELIVERIES, token=OPERATOR)
    (item,) = answer.json()["items"]
    assert item == {
        "id": message_id,
        "peer": BANK_B,
        "kind": "pacs.002",
        "payment_id": "pay_secret",
        "position": 1,
        "state": "dead",
        "created_at": NOW,
        "due_at": NOW + 60,
        "persists_until": NOW + 7 * 86_400,
        "attempts": 1,
        "error": "no answer",
    }


def test_ibk_17_one_state_is_shown_where_it_is_asked_for(bridge: Bridge) -> None:
    message_id = dead(bridge)
    shown = {
        state.value: bridge.request("GET", f"{DELIVERIES}?state={state.value}", token=OPERATOR)
        for state in DeliveryState
    }
    ids = {state: [item["id"] for item in shown[state].json()["items"]] for state in shown}
    assert ids == {state: [message_id] if state == "dead" else [] for state in shown}
    assert bridge.request("GET", f"{DELIVERIES}?state=lost", token=OPERATOR).status_code == 422


def test_ibk_15_dead_messages_are_counted_for_the_operator(bridge: Bridge) -> None:
    dead(bridge)
    overview = bridge.request("GET", "/v1/operations/overview", token=OPERATOR).json()
    assert overview["dead_deliveries"] == 1


def test_ibk_17_a_dead_message_is_replayed(bridge: Bridge) -> None:
    message_id = dead(bridge)
    answer = bridge.request("POST", f"{DELIVERIES}/{message_id}/replay", token=OPERATOR)
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting")
    with bridge.store.unit_of_work() as work:
        claimed = work.deliveries.claim(now=NOW, owner="test", lease_seconds=60)
    assert claimed is not None
    assert (claimed.message_id, claimed.attempts) == (message_id, 2)


def test_ibk_17_an_unknown_message_is_not_replayed(bridge: Bridge) -> None:
    answer = bridge.request("POST", f"{DELIVERIES}/nothing/replay", token=OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (404, "resource_unknown")


@pytest.mark.parametrize("token", [None, ALICE])
def test_api_2_deliveries_are_the_operators_alone(bridge: Bridge, token: str | None) -> None:
    message_id = dead(bridge)
    for method, path in (("GET", DELIVERIES), ("POST", f"{DELIVERIES}/{message_id}/replay")):
        assert bridge.request(method, path, token=token).status_code == 401


def test_ibk_18_an_institution_has_what_it_missed_sent_again(bridge: Bridge) -> None:
    message_id = dead(bridge)

    def ask(question: dict[str, str]) -> dict[str, str]:
        sealed = bridge.channel(BANK_B).seal(BANK_A, Kind.FETCH, question)
        answer = bridge.request(
            "POST", FETCHES, headers={"content-type": CONTENT_TYPE}, content=sealed
        )
        assert answer.status_code == 200
        return dict(bridge.channel(BANK_B).open(answer.content).body)

    assert ask({"since": str(NOW), "after": "0"}) == {"messages": message_id, "next": ""}
    assert ask({"messages": message_id}) == {"count": "1"}
    with bridge.store.reading() as work:
        assert work.deliveries.count(DeliveryState.WAITING) == 1
