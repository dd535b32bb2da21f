"""A price is shown before consent, held, and then charged exactly, once.

Cites docs/spec/payment.md: CHG-1 to CHG-4, QUO-1 to QUO-5.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridge.api.order_schemas import QuotationView
from bridge.iso20022.parse import parse_credit_transfer
from bridge.settlement.quoting import QUOTATIONS_OPEN_MAX
from support.bridge_api import ALICE, CAROL, CAROL_IBAN, NOW, ORDER, Bridge, bank


@pytest.fixture
def alices(tmp_path: Path) -> Bridge:
    bridge = bank(tmp_path, fee={"EUR": "5.00", "SGD": "6.00"})
    bridge.charges = {"SGD": "7.50"}
    return bridge


def ask(bridge: Bridge, *, token: str = ALICE, **changes: Any) -> Any:
    return bridge.request("POST", "/v1/payment-quotations", token=token, json={**ORDER, **changes})


def pay(bridge: Bridge, key: str = "key-1", *, token: str = ALICE, **changes: Any) -> Any:
    headers = {"Idempotency-Key": key}
    body = {**ORDER, **changes}
    return bridge.request("POST", "/v1/payments", token=token, headers=headers, json=body)


def values(body: dict[str, Any], *names: str) -> list[str]:
    return [f"{body[name]['value']} {body[name]['currency']}" for name in names]


AMOUNTS = ("settlement_amount", "principal", "fee", "debit", "creditor_receives")

PRICES = [
    ("SHAR", ["1000.00 SGD", "690.44 EUR", "5.00 EUR", "695.44 EUR", "992.50 SGD"]),
    ("DEBT", ["1007.50 SGD", "695.61 EUR", "5.00 EUR", "700.61 EUR", "1000.00 SGD"]),
    ("CRED", ["994.00 SGD", "686.29 EUR", "4.15 EUR", "690.44 EUR", "986.50 SGD"]),
]


@pytest.mark.parametrize(("bearer", "amounts"), PRICES)
def test_a_quotation_says_what_everybody_pays_and_receives(
    alices: Bridge, bearer: str, amounts: list[str]
) -> None:
    answer = ask(alices, charge_bearer=bearer)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    QuotationView.model_validate(body)
    assert values(body, *AMOUNTS) == amounts
    assert values(body, "creditor_charge") == ["7.50 SGD"]
    assert body["rate"] == "1.44837"
    assert body["valid_until"] == NOW + 60 - 5
    assert "rounded up" in body["rounding"]


@pytest.mark.parametrize("bearer", ["SHAR", "DEBT", "CRED"])
def test_a_payment_on_a_quotation_costs_exactly_what_it_said(alices: Bridge, bearer: str) -> None:
    quoted = ask(alices, charge_bearer=bearer).json()
    answer = pay(alices, charge_bearer=bearer, quotation_id=quoted["id"])
    assert answer.status_code == 202, answer.text
    paid = answer.json()
    assert {name: paid[name] for name in ("debit", "principal", "fee", "rate")} == {
        name: quoted[name] for name in ("debit", "principal", "fee", "rate")
    }
    assert paid["amount"] == quoted["settlement_amount"]
    with alices.store.reading() as work:
        payment = work.payments.get(paid["id"])
        transfer = parse_credit_transfer(work.messages.get(f"{paid['id']}:pacs.008").document)
    assert payment.signed_quote is not None
    assert payment.terms.legs[-1].amount == payment.settlement_amount.minor_units
    assert transfer.charge_bearer.value == bearer
    assert transfer.instructed_amount is not None
    told = [(one.amount.format(), one.agent.bic) for one in transfer.charges]
    assert (
        told
        == {
            "SHAR": [],
            "DEBT": [("7.50", "STHBSGS0XXX")],
            "CRED": [("6.00", "AURODEF0XXX")],
        }[bearer]
    )


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_quotation_is_used_once(alices: Bridge) -> None:
    quoted = ask(alices).json()["id"]
    first = pay(alices, quotation_id=quoted)
    assert refusal(pay(alices, "key-2", quotation_id=quoted)) == (422, "quotation_used")
    again = pay(alices, quotation_id=quoted)
    assert (again.status_code, again.content) == (202, first.content)


def test_of_many_payments_on_one_quotation_one_is_made(alices: Bridge) -> None:
    quoted = ask(alices).json()["id"]
    with ThreadPoolExecutor(16) as pool:
        keys = [f"key-{number}" for number in range(16)]
        answers = list(pool.map(lambda key: pay(alices, key, quotation_id=quoted), keys))
    assert sorted(answer.status_code for answer in answers) == [202] + 15 * [422]
    assert alices.rows()["payments"] == 1


def test_fifty_identical_requests_at_one_time_have_one_effect_and_fifty_equal_answers(
    alices: Bridge,
) -> None:
    quoted = ask(alices).json()["id"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: pay(alices, quotation_id=quoted), range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (202, answers[0].content)
    }
    rows = alices.rows()
    assert (rows["payments"], rows["idempotency"], rows["effects"]) == (1, 1, 2)


def test_a_quotation_that_has_run_out_is_refused_by_name_and_stays_refused(alices: Bridge) -> None:
    quoted = ask(alices).json()
    alices.now = quoted["valid_until"] + 1
    assert refusal(pay(alices, quotation_id=quoted["id"])) == (422, "quotation_expired")
    alices.now = NOW
    assert refusal(pay(alices, quotation_id=quoted["id"])) == (422, "quotation_expired")
    assert pay(alices, "key-2", quotation_id=quoted["id"]).status_code == 202


def test_a_quotation_is_for_its_instruction_and_its_customer_alone(alices: Bridge) -> None:
    quoted = ask(alices).json()["id"]
    other = {"value": "1000.01", "currency": "SGD"}
    answer = pay(alices, quotation_id=quoted, amount=other)
    assert refusal(answer) == (422, "quotation_mismatch")
    carols = {"debtor_account": {"iban": CAROL_IBAN}, "quotation_id": quoted}
    answer = pay(alices, "key-1", token=CAROL, **carols)
    assert refusal(answer) == (422, "quotation_unknown")
    unknown = pay(alices, "key-3", quotation_id="quo_" + "0" * 32)
    assert refusal(unknown) == (422, "quotation_unknown")
    assert alices.rows()["payments"] == 0


def test_a_charge_that_the_debtor_would_pay_needs_a_quotation(alices: Bridge) -> None:
    assert refusal(pay(alices, charge_bearer="DEBT")) == (422, "quotation_needed")
    alices.charges = {}
    assert pay(alices, "key-2", charge_bearer="DEBT").status_code == 202


def test_charges_that_leave_nothing_are_refused(alices: Bridge) -> None:
    small = {"value": "6.00", "currency": "SGD"}
    answer = pay(alices, charge_bearer="CRED", amount=small)
    assert refusal(answer) == (422, "charges_exceed_amount")


def test_a_charge_without_a_price_in_the_instructed_currency_is_not_deducted(
    tmp_path: Path,
) -> None:
    answer = pay(bank(tmp_path), charge_bearer="CRED")
    assert refusal(answer) == (422, "charge_bearer_unsupported")


def test_a_charge_of_zero_is_told_where_the_creditor_bears_it(tmp_path: Path) -> None:
    bridge = bank(tmp_path, fee={})
    euros = {"value": "10.00", "currency": "EUR"}
    paid = pay(bridge, charge_bearer="CRED", amount=euros).json()
    assert paid["debit"] == paid["amount"] == euros
    with bridge.store.reading() as work:
        transfer = parse_credit_transfer(work.messages.get(f"{paid['id']}:pacs.008").document)
    assert [one.amount.format() for one in transfer.charges] == ["0.00"]


def test_prices_that_ran_out_long_ago_are_forgotten_and_used_ones_are_not(alices: Bridge) -> None:
    used, unused = ask(alices).json()["id"], ask(alices).json()["id"]
    pay(alices, quotation_id=used)
    alices.now = NOW + 2 * 86_400
    ask(alices, requested_execution_date="2026-11-25")
    with alices.store.reading() as work:
        assert work.quotations.find(used) is not None
        assert work.quotations.find(unused) is None


def test_a_later_day_has_no_quotation(alices: Bridge) -> None:
    answer = ask(alices, requested_execution_date="2026-11-24")
    assert refusal(answer) == (422, "execution_date_unsupported")


def test_a_customer_holds_only_so_many_prices_at_a_time(alices: Bridge) -> None:
    euros = {"value": "1.00", "currency": "EUR"}
    answers = [ask(alices, amount=euros) for _ in range(QUOTATIONS_OPEN_MAX + 1)]
    assert [answer.status_code for answer in answers[:-1]] == QUOTATIONS_OPEN_MAX * [201]
    assert refusal(answers[-1]) == (422, "quotations_exhausted")
    alices.now = NOW + 61
    assert ask(alices, amount=euros).status_code == 201
