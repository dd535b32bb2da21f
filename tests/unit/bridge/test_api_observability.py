"""What a bridge tells of itself: the audit log, metrics, log lines; and that none names a person.

Cites docs/spec/audit.md: AUD-1, AUD-8, AUD-9.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bridge.store import NewEffect
from bridge.telemetry import configure_logs
from support.bridge_api import (
    ALICE,
    ALICE_IBAN,
    MONITOR,
    NOW,
    OPERATOR,
    ORDER,
    SECOND_OPERATOR,
    Bridge,
    bank,
)

RENT = {**ORDER, "remittance_information": "Rent for December"}

ROOT = Path(__file__).resolve().parents[3]
FAMILY = re.compile(r"^# TYPE (corridor_\w+) ", re.MULTILINE)
DOCUMENTED = re.compile(r"^\| `(corridor_\w+)` \|", re.MULTILINE)


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return bank(tmp_path)


@pytest.fixture
def unset_logs() -> Iterator[None]:
    """Log lines of the tests that follow go where they went before."""
    yield
    structlog.reset_defaults()


def metrics(bridge: Bridge) -> str:
    answer = bridge.request("GET", "/metrics", token=MONITOR)
    assert answer.status_code == 200
    return answer.text


def test_aud_1_a_decision_is_recorded_with_who_made_it(bridge: Bridge) -> None:
    with bridge.store.unit_of_work() as work:
        work.effects.add(NewEffect(kind="deliver", key="pay_1:x", payload={}, due_at=NOW))
        (effect,) = work.effects.claim(now=NOW, owner="w", limit=1, lease_seconds=60)
        work.effects.abandon(effect, "refused")
    wish = {"kind": "revive_effect", "subject": "pay_1:x", "note": "Alice asked for it"}
    path, key = "/v1/operations/proposals", {"Idempotency-Key": "k"}
    made = bridge.request("POST", path, token=OPERATOR, headers=key, json=wish).json()
    bridge.request("POST", f"{path}/{made['id']}/approval", token=SECOND_OPERATOR)
    listed = bridge.request("GET", "/v1/audit/records", token=OPERATOR).json()["items"]
    assert [(each["actor"], each["action"], each["subject"]) for each in listed] == [
        ("operator:otto", "proposal_approved", made["id"]),
        ("operator:olga", "proposal_proposed", made["id"]),
    ]
    assert listed[0]["details"]["content"] == listed[1]["details"]["content"]
    assert listed[0]["details"]["outcome"] == "due again"
    assert "Alice" not in json.dumps(listed)


def test_aud_1_what_was_refused_is_not_recorded(bridge: Bridge) -> None:
    wish = {"kind": "revive_effect", "subject": "pay_1:x", "note": "Alice asked for it"}
    refused = bridge.request(
        "POST",
        "/v1/operations/proposals",
        token=OPERATOR,
        headers={"Idempotency-Key": "k"},
        json=wish,
    )
    assert refused.status_code == 422
    listed = bridge.request("GET", "/v1/audit/records", token=OPERATOR).json()
    assert listed == {"items": [], "next": None}
    assert bridge.request("GET", "/v1/audit/records", token=ALICE).status_code == 401


def test_aud_9_metrics_are_for_the_monitor_alone(bridge: Bridge) -> None:
    for token in (ALICE, OPERATOR, SECOND_OPERATOR, None):
        assert bridge.request("GET", "/metrics", token=token).status_code == 401
    assert "corridor_bridge_ready 1.0" in metrics(bridge)


def test_aud_9_every_metric_is_documented(bridge: Bridge) -> None:
    metrics(bridge)
    found = {name for name in FAMILY.findall(metrics(bridge)) if not name.endswith("_created")}
    page = (ROOT / "docs" / "spec" / "audit.md").read_text(encoding="utf-8")
    assert found == set(DOCUMENTED.findall(page))


def test_aud_9_metrics_follow_the_books(bridge: Bridge) -> None:
    assert 'corridor_bridge_open_payments{state="reserved"}' not in metrics(bridge)
    answer = bridge.request(
        "POST",
        "/v1/payments",
        token=ALICE,
        headers={"Idempotency-Key": "k"},
        json=RENT,
    )
    assert answer.status_code == 202, answer.text
    page = metrics(bridge)
    assert 'corridor_bridge_open_payments{state="reserved"} 1.0' in page
    assert 'corridor_bridge_unfinished_effects{kind="submit_instruct"} 1.0' in page
    assert (
        'corridor_bridge_requests_total{method="POST",route="/v1/payments",status="202"} 1.0'
        in page
    )


@pytest.mark.usefixtures("unset_logs")
def test_aud_8_neither_log_lines_nor_metrics_name_a_person(
    bridge: Bridge, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(process="test", level="debug")
    for path in (f"/v1/accounts/{ALICE_IBAN}", f"/{ALICE_IBAN}/anything", "/v1/payments"):
        bridge.request("GET", path, token=ALICE)
    bridge.request("POST", "/v1/payments", token=ALICE, headers={"Idempotency-Key": "k"}, json=RENT)
    told = capsys.readouterr().err + metrics(bridge)
    assert json.loads(told.splitlines()[0])["event"] == "request"
    assert "/v1/payments" in told
    for secret in (*personal(RENT), ALICE_IBAN, ALICE):
        assert secret not in told


def personal(body: object) -> list[str]:
    """Every text of an instruction that could name somebody: long enough not to be a code."""
    match body:
        case dict():
            return [text for value in body.values() for text in personal(value)]
        case list():
            return [text for value in body for text in personal(value)]
        case str() if len(body) > 4:
            return [body]
        case _:
            return []
