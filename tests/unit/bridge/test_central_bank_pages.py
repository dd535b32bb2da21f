"""What a central bank and its participants show: backing, reports, transfers, statements, breaks.

Cites docs/spec/central-bank.md: RPT-1, 2; docs/spec/reconciliation.md: REC-8.
"""

from pathlib import Path
from typing import Any

import pytest

from bridge.breaks import Break, BreakType
from bridge.chain import Attestation
from bridge.money import Amount, parse_currency
from bridge.store import BreakReport, NewFlow, StatedAccount, StatementKind, StoredStatement
from support.bridge_api import (
    CENTRAL_BANK,
    NOW,
    OPERATOR,
    SECOND_OPERATOR,
    Bridge,
    bank,
    central_bank,
)
from support.participants import BANK_A, BANK_B

EUR = parse_currency("EUR")


def euros(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


@pytest.fixture
def issuer(tmp_path: Path) -> Bridge:
    """The central bank; bank A has 1,000.00 of reserves there and holds 400.00 of tokens."""
    made = central_bank(tmp_path)
    made.advance()
    made.chain.supplies[978] = 40_000
    made.chain.attested = Attestation(3, NOW - 5, NOW + 60, 50_000, bytes(32))
    with made.store.unit_of_work() as work:
        for number, (kind, amount) in enumerate((("issue", 45_000), ("redeem", -5_000))):
            flow = NewFlow(BANK_A, "EUR", kind, "k", amount, 0, number, bytes(32), NOW + number)
            work.token_flows.add(flow)
        work.breaks.report(
            BreakReport(BANK_A, "brk_1", "duplicate", "tokens", Amount(EUR, 1), NOW, "open")
        )
    return made


def get(bridge: Bridge, path: str, token: str | None = OPERATOR) -> Any:
    return bridge.request("GET", path, token=token)


def post(bridge: Bridge, path: str, body: object, token: str = OPERATOR, key: str = "k") -> Any:
    return bridge.request("POST", path, token=token, headers={"Idempotency-Key": key}, json=body)


def test_rpt_1_anybody_reads_what_backs_the_tokens(issuer: Bridge) -> None:
    answer = get(issuer, "/v1/backing", token=None)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "currency": "EUR",
            "block": 0,
            "supply": euros("400.00"),
            "reserves": euros("0.00"),
            "attested": euros("500.00"),
            "attested_at": NOW - 5,
            "attested_until": NOW + 60,
            "ratio": "1.2500",
        },
    )
    issuer.chain.supplies[978] = 1
    assert get(issuer, "/v1/backing", token=None).json() == answer.json()


def test_rpt_1_without_tokens_there_is_no_ratio_and_elsewhere_no_page(
    issuer: Bridge, tmp_path: Path
) -> None:
    issuer.chain.supplies[978] = 0
    assert get(issuer, "/v1/backing", token=None).json()["ratio"] is None
    assert get(bank(tmp_path / "bank"), "/v1/backing").status_code == 404


def test_rpt_2_operators_see_each_participant(issuer: Bridge) -> None:
    wish = {
        "kind": "set_rtgs_terms",
        "subject": BANK_A,
        "document": {"credit_line": "10.00", "reserve_requirement": "2000.00"},
        "note": "agreed",
    }
    made = post(issuer, "/v1/operations/proposals", wish).json()
    post(issuer, f"/v1/operations/proposals/{made['id']}/approval", {}, SECOND_OPERATOR)
    (item,) = get(issuer, "/v1/reports/participants").json()["items"]
    assert item == {
        "participant": BANK_A,
        "rtgs_balance": euros("1000.00"),
        "credit_line": euros("10.00"),
        "reserve_requirement": euros("2000.00"),
        "meets_requirement": False,
        "tokens_held": euros("400.00"),
        "issued": euros("450.00"),
        "redeemed": euros("50.00"),
        "queue": {"count": 0, "amount": euros("0.00")},
        "breaks": [
            {
                "id": "brk_1",
                "type": "duplicate",
                "scope": "tokens",
                "amount": euros("0.01"),
                "opened_at": NOW,
            }
        ],
    }
    later = get(issuer, f"/v1/reports/participants?since={NOW + 1}").json()["items"][0]
    assert (later["issued"], later["redeemed"]) == (euros("0.00"), euros("50.00"))
    assert get(issuer, "/v1/reports/participants", token=None).status_code == 401


def test_a_bank_orders_transfers_and_sees_them(tmp_path: Path) -> None:
    made = bank(tmp_path)
    body = {"creditor": BANK_B, "amount": euros("100.00"), "end_to_end_id": "RENT"}
    answer = post(made, "/v1/transfers", body)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    rows = made.rows()
    assert post(made, "/v1/transfers", body).json() == answer.json()
    assert made.rows() == rows
    transfer_id = answer.json()["id"]
    assert get(made, f"/v1/transfers/{transfer_id}").json() == answer.json()
    assert get(made, "/v1/transfers").json()["items"] == [answer.json()]
    assert get(made, "/v1/transfers/none").json()["code"] == "transfer_unknown"
    cancelled = made.request("POST", f"/v1/transfers/{transfer_id}/cancellation", token=OPERATOR)
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "queued")
    too_much = post(made, "/v1/transfers", {**body, "amount": euros("99999.00")}, key="other")
    assert too_much.json()["code"] == "insufficient_funds"


def found(break_id: str, opened_at: int = NOW - 30) -> Break:
    return Break(
        break_id=break_id,
        break_type=BreakType.AMOUNT_DIFFERS,
        scope="tokens",
        subject=break_id,
        amount=Amount(EUR, -5),
        issuer=CENTRAL_BANK,
        opened_at=opened_at,
        block=7,
        note="ledger 1, chain 2",
    )


def test_rec_8_operators_see_breaks_and_look_after_them(tmp_path: Path) -> None:
    made = bank(tmp_path)
    with made.store.unit_of_work() as work:
        work.breaks.add(found("brk_a"))
        work.breaks.add(found("brk_b"))
    listed = get(made, "/v1/breaks?state=open").json()["items"]
    assert [item["id"] for item in listed] == ["brk_b", "brk_a"]
    assert (listed[1]["age_seconds"], listed[1]["amount"], listed[1]["owner"]) == (
        30,
        euros("-0.05"),
        None,
    )
    owned = made.request("POST", "/v1/breaks/brk_a/owner", token=SECOND_OPERATOR)
    assert owned.json()["owner"] == "otto"
    assert get(made, "/v1/breaks/brk_a").json() == owned.json()
    assert get(made, "/v1/breaks/none").status_code == 404
    wish = {"kind": "resolve_break", "subject": "brk_a", "note": "n"}
    document = {"explanation": "a slip"}
    proposal = post(made, "/v1/operations/proposals", {**wish, "document": document}).json()
    done = post(made, f"/v1/operations/proposals/{proposal['id']}/approval", {}, SECOND_OPERATOR)
    assert done.json()["outcome"] == "resolved"
    assert get(made, "/v1/breaks/brk_a").json()["state"] == "resolved"
    refused = made.request("POST", "/v1/breaks/brk_a/owner", token=OPERATOR)
    assert refused.json()["code"] == "break_ended"
    stopped = post(made, "/v1/issuances", {"amount": euros("1.00")})
    assert (stopped.status_code, stopped.json()["code"]) == (503, "orders_stopped")
    assert stopped.json()["retryable"] is True


def test_operators_see_statements_and_send_them_again(issuer: Bridge) -> None:
    account = StatedAccount("reserves", BANK_A, "EUR")
    statement = StoredStatement(
        "DR-1", StatementKind.STATEMENT, account, 1, 1, 0, 0, 0, NOW, NOW, 0
    )
    with issuer.store.unit_of_work() as work:
        work.account_statements.add(statement)
    (item,) = get(issuer, "/v1/statements").json()["items"]
    assert (item["id"], item["participant"], item["closing"]) == ("DR-1", BANK_A, euros("0.00"))
    before = issuer.rows()["effects"]
    sent = issuer.request("POST", "/v1/statements/DR-1/resending", token=OPERATOR)
    assert (sent.status_code, issuer.rows()["effects"]) == (202, before + 1)
    missing = issuer.request("POST", "/v1/statements/none/resending", token=OPERATOR)
    assert (missing.status_code, missing.json()["code"]) == (404, "statement_unknown")
