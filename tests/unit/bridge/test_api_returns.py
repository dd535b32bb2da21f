"""Returns, suspense and alerts through the API.

Cites docs/spec/api.md: API-80 to API-83.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.alert import AlertKind, Finding
from bridge.iso20022.format import format_credit_transfer
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.payment import Direction, Payment, PaymentId, PaymentState
from bridge.store import MessageDirection, StoredMessage, SuspenseCause, SuspenseItem
from support import bridge_records
from support.bridge_api import (
    ALICE,
    ALICE_IBAN,
    CAROL,
    NOW,
    OPERATOR,
    SECOND_OPERATOR,
    Bridge,
    bank,
)
from support.messages import credit_transfer
from support.participants import BANK_B

EUR = parse_currency("EUR")
CAME = Amount(EUR, 10_000)


def came(bridge: Bridge, account_id: str = chart.deposit(ALICE_IBAN)) -> Payment:
    """A settled payment from bank B of 100.00 EUR, as its books have it."""
    transfer = replace(
        credit_transfer(),
        interbank_settlement_amount=CAME,
        instructed_amount=CAME,
        exchange_rate=None,
    )
    payment = replace(
        bridge_records.payment(7, Direction.INCOMING),
        state=PaymentState.SETTLED,
        client=BANK_B,
        counterparty_lei=BANK_B,
        uetr=transfer.uetr,
        account_id=account_id,
    )
    with bridge.store.unit_of_work() as work:
        work.payments.add(payment)
        work.messages.add(
            StoredMessage(
                message_id=f"{payment.payment_id}:pacs.008",
                direction=MessageDirection.IN,
                name="pacs.008.001.08",
                document=format_credit_transfer(transfer),
                created_at=NOW,
                payment_id=payment.payment_id,
            )
        )
        work.ledger.book(
            JournalEntry(
                entry_id=f"{payment.payment_id}:credit",
                kind="payment",
                description="incoming payment",
                postings=(debit(chart.tokens(EUR), CAME), credit(account_id, CAME)),
                booked_at=NOW,
            )
        )
    return payment


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return bank(tmp_path)


def give_back(bridge: Bridge, path: str, token: str, key: str = "k", **body: object) -> Any:
    headers = {"Idempotency-Key": key}
    json = {"reason": "CUST", **body}
    return bridge.request("POST", f"/v1/{path}", token=token, headers=headers, json=json)


def test_api_80_a_customers_return_takes_an_operator_where_no_figure_is_set(
    bridge: Bridge,
) -> None:
    payment = came(bridge)
    path = f"payments/{payment.payment_id}/returns"
    asked = give_back(bridge, path, ALICE, amount={"value": "25.00", "currency": "EUR"})
    assert asked.status_code == 202, asked.json()
    assert asked.json()["payment"] is None
    again = give_back(bridge, path, ALICE, amount={"value": "25.00", "currency": "EUR"})
    assert again.content == asked.content
    assert again.headers["Idempotency-Replayed"] == "true"
    proposal = f"/v1/operations/proposals/{asked.json()['proposal_id']}/approval"
    approved = bridge.request("POST", proposal, token=OPERATOR)
    assert approved.status_code == 200, approved.json()
    given = bridge.request("GET", f"/v1/payments/{approved.json()['outcome']}", token=ALICE).json()
    assert (given["status"], given["amount"]["value"]) == ("reserved", "25.00")
    assert (given["return_of"], given["return_reason"]) == (payment.payment_id, "CUST")


def test_api_80_an_operator_cannot_approve_the_return_they_asked_for(bridge: Bridge) -> None:
    payment = came(bridge)
    path = f"operations/payments/{payment.payment_id}/returns"
    proposal_id = give_back(bridge, path, OPERATOR).json()["proposal_id"]
    approval = f"/v1/operations/proposals/{proposal_id}/approval"
    own = bridge.request("POST", approval, token=OPERATOR)
    assert own.json()["code"] == "own_proposal"
    assert bridge.request("POST", approval, token=SECOND_OPERATOR).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": "XXXX"}, "request_invalid"),
        ({"reason": "CUST", "amount": {"value": "100.01", "currency": "EUR"}}, "return_exceeded"),
        ({"reason": "CUST", "amount": {"value": "1.00", "currency": "SGD"}}, "return_exceeded"),
        ({"reason": "CUST", "amount": {"value": "0.00", "currency": "EUR"}}, "zero_amount"),
    ],
)
def test_api_80_what_cannot_go_back_is_refused(
    bridge: Bridge, body: dict[str, Any], code: str
) -> None:
    payment = came(bridge)
    refused = give_back(bridge, f"payments/{payment.payment_id}/returns", ALICE, **body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_api_80_a_payment_to_somebody_else_is_not_theirs_to_give_back(bridge: Bridge) -> None:
    payment = came(bridge)
    path = f"payments/{payment.payment_id}/returns"
    assert give_back(bridge, path, CAROL).status_code == 404
    assert bridge.request("POST", f"/v1/{path}", token=ALICE, json={"reason": "CUST"}).json()[
        "code"
    ] == ("idempotency_key_missing")


def test_api_81_a_payment_shows_what_was_given_back_of_it(bridge: Bridge) -> None:
    payment = came(bridge)
    before = bridge.request("GET", f"/v1/payments/{payment.payment_id}", token=ALICE).json()
    assert (before["returns"], before["return_of"]) == ([], None)
    path = f"operations/payments/{payment.payment_id}/returns"
    proposal_id = give_back(bridge, path, OPERATOR).json()["proposal_id"]
    approval = f"/v1/operations/proposals/{proposal_id}/approval"
    outcome = bridge.request("POST", approval, token=SECOND_OPERATOR).json()["outcome"]
    after = bridge.request("GET", f"/v1/payments/{payment.payment_id}", token=ALICE).json()
    assert after["returns"] == [
        {
            "id": outcome,
            "amount": {"value": "100.00", "currency": "EUR"},
            "status": "reserved",
            "reason": "CUST",
        }
    ]


def test_api_82_suspense_and_alerts_are_listed_for_operators_alone(bridge: Bridge) -> None:
    payment = came(bridge, chart.suspense(EUR))
    item = SuspenseItem(
        payment_id=payment.payment_id,
        account_id=chart.suspense(EUR),
        intended_account_id=None,
        amount=CAME,
        cause=SuspenseCause.ACCOUNT_UNKNOWN,
        opened_at=NOW,
    )
    finding = Finding(AlertKind.SUSPENSE_OPEN, payment.payment_id, NOW, payment.payment_id)
    with bridge.store.unit_of_work() as work:
        work.suspense.add(item)
        work.alerts.see([finding], NOW)
    listed = bridge.request("GET", "/v1/operations/suspense?state=open", token=OPERATOR).json()
    assert [each["cause"] for each in listed["items"]] == ["account_unknown"]
    alerts = bridge.request("GET", "/v1/operations/alerts?state=raised", token=OPERATOR).json()
    assert alerts["raised"]["suspense_open"] == 1
    assert alerts["raised"]["payment_overdue"] == 0
    assert alerts["items"][0]["actions"] == ["release_suspense", "return_suspense"]
    for path in ("suspense", "alerts"):
        assert bridge.request("GET", f"/v1/operations/{path}", token=ALICE).status_code == 401


def test_api_83_a_customer_asks_their_payment_back_and_sees_it_asked(bridge: Bridge) -> None:
    transfer = credit_transfer()
    sent = replace(
        bridge_records.payment(8),
        payment_id=PaymentId("pay_8a"),
        state=PaymentState.SETTLED,
        counterparty_lei=BANK_B,
        uetr=transfer.uetr,
    )
    with bridge.store.unit_of_work() as work:
        work.payments.add(sent)
        work.messages.add(
            StoredMessage(
                message_id=f"{sent.payment_id}:pacs.008",
                direction=MessageDirection.OUT,
                name="pacs.008.001.08",
                document=format_credit_transfer(transfer),
                created_at=NOW,
                payment_id=sent.payment_id,
            )
        )
    path = f"/v1/payments/{sent.payment_id}"
    body = {"reason": "DUPL"}
    for _ in range(2):
        asked = bridge.request("POST", f"{path}/recall", token=ALICE, json=body)
        assert (asked.status_code, asked.json()["recall"]["state"]) == (202, "asked")
    assert bridge.request("POST", f"{path}/recall", token=CAROL, json=body).status_code == 404
    shown = bridge.request("GET", path, token=ALICE).json()
    assert shown["recall"] == asked.json()["recall"]
    listed = bridge.request("GET", "/v1/operations/recalls?direction=outgoing", token=OPERATOR)
    assert listed.json()["items"] == [shown["recall"]]
    operators = f"/v1/operations/payments/{sent.payment_id}/recall"
    assert bridge.request("POST", operators, token=OPERATOR, json=body).json() == asked.json()


def test_api_83_the_credited_customer_answers_a_recall(bridge: Bridge) -> None:
    payment = came(bridge)
    path = f"/v1/payments/{payment.payment_id}/recall-answer"
    unasked = bridge.request("POST", path, token=ALICE, json={"is_granted": False})
    assert (unasked.status_code, unasked.json()["code"]) == (422, "recall_unknown")
    assert bridge.request("POST", path, token=CAROL, json={"is_granted": True}).status_code == 404
