"""pain.001 in: refused whole when it cannot be read, otherwise one result per instruction.

Cites docs/spec/api.md: API-10, 11, 21, 24, 30, 31, 43.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.api.assembly import BODY_BYTES_MAX
from bridge.iso20022.format import format_initiation
from bridge.iso20022.messages import CustomerCreditTransferInitiation, PaymentInstruction
from bridge.iso20022.parse import parse_customer_status_report, parse_initiation
from bridge.money import Amount
from support.bridge_api import ALICE, CAROL, NOW, Bridge, bank, bank_without_provider
from support.messages import EXAMPLE_PATH

EXAMPLE = EXAMPLE_PATH.read_bytes()
TODAY = datetime.fromtimestamp(NOW, UTC).date()


@pytest.fixture
def alices(tmp_path: Path) -> Bridge:
    return bank(tmp_path)


def send(
    bridge: Bridge, document: bytes = EXAMPLE, *, token: str = ALICE, accept: str = "*/*"
) -> Any:
    return bridge.request(
        "POST",
        "/v1/messages",
        token=token,
        headers={"content-type": "application/xml; charset=utf-8", "accept": accept},
        content=document,
    )


def message(*instructions: PaymentInstruction) -> bytes:
    return format_initiation(
        CustomerCreditTransferInitiation(
            message_id="MSG-1",
            created_at=datetime.fromtimestamp(NOW, UTC),
            initiating_party=instructions[0].debtor,
            instructions=instructions,
        )
    )


def instruction(end_to_end_id: str, value: str) -> PaymentInstruction:
    example = parse_initiation(EXAMPLE).instructions[0]
    return replace(
        example,
        message_id="MSG-1",
        created_at=datetime.fromtimestamp(NOW, UTC),
        end_to_end_id=end_to_end_id,
        uetr=None,
        instructed_amount=Amount.parse(value, example.instructed_amount.currency),
    )


def test_the_example_instruction_is_taken(alices: Bridge) -> None:
    assert TODAY.isoformat() == "2026-11-23"
    answer = send(alices)
    body = answer.json()
    assert answer.status_code == 202
    assert body["message_id"] == "ALICE-20261123-0001"
    (result,) = body["payments"]
    assert (result["end_to_end_id"], result["result"]) == ("RENT-2026-12", "accepted")
    assert (result["status"], result["debit"]["value"]) == ("reserved", "695.44")


def test_api_24_the_same_message_again_is_the_same_payment_and_the_same_answer(
    alices: Bridge,
) -> None:
    first = send(alices)
    rows = alices.rows()
    again = send(alices)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert alices.rows() == rows


def test_api_24_the_same_references_for_another_amount_are_refused(alices: Bridge) -> None:
    send(alices)
    rows = alices.rows()
    answer = send(alices, EXAMPLE.replace(b"1000.00", b"1000.01"))
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    assert answer.json()["payments"][0]["result"] == "refused"
    assert alices.rows() == rows


def test_api_30_each_instruction_is_accepted_or_refused_by_itself(alices: Bridge) -> None:
    document = message(instruction("E-1", "100.00"), instruction("E-2", "1000000.00"))
    answer = send(alices, document)
    assert answer.status_code == 202
    results = [(each["end_to_end_id"], each["result"]) for each in answer.json()["payments"]]
    assert results == [("E-1", "accepted"), ("E-2", "refused")]
    assert answer.json()["payments"][1]["code"] == "insufficient_funds"


def test_api_30_when_all_are_refused_the_problem_names_the_first_refusal(alices: Bridge) -> None:
    first = instruction("E-1", "1000000.00")
    document = message(first, replace(first, end_to_end_id="E-2"))
    answer = send(alices, document)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["reason"]) == ("insufficient_funds", "AM04")
    assert [each["result"] for each in problem["payments"]] == ["refused", "refused"]
    again = send(alices, document)
    assert again.content == answer.content
    assert again.headers["Idempotency-Replayed"] == "true"


XML = "application/xml"


def test_api_31_whoever_accepts_xml_is_answered_with_a_pain_002(alices: Bridge) -> None:
    document = message(instruction("E-1", "100.00"), instruction("E-2", "1000000.00"))
    told = send(alices, document)
    answer = send(alices, document, accept=f"text/html, {XML};q=0.9")
    assert (answer.status_code, answer.headers["content-type"]) == (202, XML)
    assert answer.headers["Idempotency-Replayed"] == "true"
    report = parse_customer_status_report(answer.content)
    assert (report.original_message_id, report.status) == ("MSG-1", "PART")
    (group,) = report.groups
    taken, refused = group.payments
    assert (taken.end_to_end_id, taken.status, taken.reason) == ("E-1", "ACTC", None)
    assert taken.uetr == told.json()["payments"][0]["uetr"]
    assert (refused.status, refused.reason, refused.reason_text) == (
        "RJCT",
        "AM04",
        "insufficient_funds",
    )
    assert send(alices, document, accept=XML).content == answer.content


def test_api_31_the_report_on_refusals_alone_has_the_status_of_the_problem(alices: Bridge) -> None:
    document = message(instruction("E-1", "1000000.00"))
    answer = send(alices, document, accept=XML)
    assert (answer.status_code, answer.headers["content-type"]) == (422, XML)
    assert parse_customer_status_report(answer.content).status == "RJCT"


def test_api_31_json_is_preferred_where_both_are_accepted(alices: Bridge) -> None:
    answer = send(alices, accept=f"{XML}, application/json")
    assert answer.headers["content-type"] == "application/json"


def test_api_31_an_unreadable_message_is_a_problem_to_everybody(alices: Bridge) -> None:
    answer = send(alices, b"<x/>", accept=XML)
    assert answer.headers["content-type"] == "application/problem+json"


def test_api_23_a_message_met_while_the_provider_is_silent_may_be_sent_again(
    tmp_path: Path,
) -> None:
    bridge = bank_without_provider(tmp_path)
    rows = bridge.rows()
    assert send(bridge).status_code == 503
    assert bridge.rows() == rows


def test_a_message_on_somebody_elses_account_is_refused(alices: Bridge) -> None:
    answer = send(alices, token=CAROL)
    assert (answer.status_code, answer.json()["code"]) == (422, "customer_account_unknown")


DOCTYPE = b'<!DOCTYPE x [<!ENTITY e "e">]>'


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        (b"", 422, "malformed_message"),
        (b"{}", 422, "malformed_message"),
        (EXAMPLE[:-20], 422, "malformed_message"),
        (EXAMPLE.replace(b"?>", b"?>" + DOCTYPE, 1), 422, "forbidden_markup"),
        (EXAMPLE.replace(b"<CstmrCdt", b"<!-- x --><CstmrCdt", 1), 422, "forbidden_markup"),
        (EXAMPLE.replace(b"pain.001.001.09", b"pain.001.001.03"), 422, "unknown_message"),
        (EXAMPLE.replace(b"<NbOfTxs>1", b"<NbOfTxs>2", 1), 422, "wrong_instruction_count"),
        (EXAMPLE.replace(b"1000.00</InstdAmt", b"1000.001</InstdAmt"), 422, "too_many_decimals"),
        (EXAMPLE.replace(b"DE72500999990", b"DE73500999990"), 422, "invalid_iban"),
        (EXAMPLE.replace(b"STHBSGS0XXX", b"STHB"), 422, "invalid_bic"),
        (EXAMPLE.replace(b"<MsgId>", b"<Surprise/><MsgId>", 1), 422, "unknown_element"),
        (b" " * (BODY_BYTES_MAX + 1), 413, "body_too_large"),
    ],
    ids=lambda value: value[:12].decode() if isinstance(value, bytes) else str(value),
)
def test_api_10_30_43_a_message_that_cannot_be_read_is_refused_whole_and_leaves_nothing(
    alices: Bridge, document: bytes, status: int, code: str
) -> None:
    rows = alices.rows()
    answer = send(alices, document)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert alices.rows() == rows


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_api_11_another_content_type_is_refused_as_such(alices: Bridge, content_type: str) -> None:
    answer = alices.request(
        "POST",
        "/v1/messages",
        token=ALICE,
        headers={"content-type": content_type},
        content=EXAMPLE,
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_unsupported")


def test_cal_7_an_instruction_for_a_later_day_is_scheduled_with_the_uetr_it_will_have(
    alices: Bridge,
) -> None:
    later = replace(instruction("E-1", "10.00"), requested_execution_date=TODAY + timedelta(days=2))
    answer = send(alices, message(later))
    (result,) = answer.json()["payments"]
    assert (answer.status_code, result["result"], result["status"]) == (
        202,
        "accepted",
        "scheduled",
    )
    assert result["uetr"]
    rows = alices.rows()
    assert (rows["payments"], rows["standing_orders"], rows["effects"]) == (0, 1, 1)
    assert send(alices, message(later)).content == answer.content
    assert alices.rows() == rows
