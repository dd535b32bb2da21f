"""What a customer was shown is what both customers' books say, across real banks and a real chain.

Cites docs/spec/payment.md: CHG-1 to CHG-6, QUO-1, QUO-3, STO-3.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from support.local_devnet import Devnet, eventually, running_devnet

CHANGES: dict[str, dict[str, object]] = {
    "bank-a": {"fee": {"EUR": "5.00", "SGD": "6.00"}},
    "bank-b": {"published_charges": {"SGD": "7.50"}},
}
ALICE = "deposit:DE72500999990123456789"
BOB = "deposit:0720123456"
BOOKED = (("bank-a", ALICE), ("bank-b", BOB), ("bank-b", "fee-income:SGD"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    with running_devnet(tmp_path_factory.mktemp("network"), CHANGES) as devnet:
        yield devnet


def order(bearer: str) -> dict[str, Any]:
    """Alice's payment of 1000.00 SGD to Bob, today."""
    return {
        "end_to_end_id": f"RENT-{bearer}",
        "debtor_account": {"iban": "DE72500999990123456789"},
        "creditor": {
            "name": "Bob Tan Wei Ming",
            "address": {"town": "Singapore", "country": "SG"},
        },
        "creditor_account": {"other": "0720123456"},
        "creditor_agent": {"bic": "STHBSGS0XXX"},
        "amount": {"value": "1000.00", "currency": "SGD"},
        "charge_bearer": bearer,
    }


def post(network: Devnet, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    answer = network.caller.post_json("bank-a", path, token="alice", idempotency_key=key, body=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def balances(network: Devnet) -> list[Decimal]:
    return [Decimal(network.balance(*account)) for account in BOOKED]


def moved(network: Devnet, before: list[Decimal]) -> list[Decimal]:
    return [after - start for after, start in zip(balances(network), before, strict=True)]


@pytest.mark.parametrize("bearer", ["SHAR", "DEBT", "CRED"])
def test_a_quoted_payment_moves_what_was_shown_to_the_cent(network: Devnet, bearer: str) -> None:
    before = balances(network)
    body = {**order(bearer), "requested_execution_date": today()}
    quoted = post(network, "/v1/payment-quotations", body, f"ask-{bearer}")
    paid = post(network, "/v1/payments", {**body, "quotation_id": quoted["id"]}, f"pay-{bearer}")
    assert network.await_state(paid["id"], "settled", "rejected", "expired")["reason"] is None
    expected = [
        -Decimal(quoted["debit"]["value"]),
        Decimal(quoted["creditor_receives"]["value"]),
        Decimal("7.50"),
    ]
    assert eventually(lambda: moved(network, before), lambda found: found == expected) == expected
    assert network.settled_books().is_reconciled


def test_a_standing_order_is_paid_once_by_a_bank_that_is_killed_over_it(network: Devnet) -> None:
    before = balances(network)
    body = {**order("SHAR"), "schedule": {"frequency": "weekly", "first_date": today()}}
    ordered = post(network, "/v1/standing-orders", body, "standing")
    network.kill("bank-a")
    network.start("bank-a")
    path = f"/v1/standing-orders/{ordered['id']}"
    shown = eventually(
        lambda: network.caller.get("bank-a", path, token="alice").json(),
        lambda found: found["occurrences"][-1]["status"] != "due",
    )
    first = shown["occurrences"][-1]
    assert first["status"] == "executed", first
    network.await_state(first["payment_id"], "settled", "rejected", "expired")
    expected = [Decimal("-695.44"), Decimal("992.50"), Decimal("7.50")]
    assert eventually(lambda: moved(network, before), lambda found: found == expected) == expected
    assert network.settled_books().is_reconciled
