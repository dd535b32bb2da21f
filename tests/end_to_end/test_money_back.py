"""Money comes back on the real network: an FX payment is recalled, granted, returned in the currency that
arrived, held on suspense at the debtor bank and credited there by two operators; part of another is given
back by its creditor.

One network serves both tests in order. Cites docs/spec/payment.md: RTN-1, RTN-3, RTN-8, RCL-1, SUS-2.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from bridge.money import parse_currency
from local_network.cast import institution
from local_network.layout import SECOND
from support.local_devnet import Devnet, eventually, instruction, running_devnet

ALICE = "deposit:DE72500999990123456789"
BOB = "deposit:0720123456"
CHANGES: dict[str, dict[str, object]] = {"bank-b": {"return_four_eyes_above": {"SGD": "500.00"}}}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    with running_devnet(tmp_path_factory.mktemp("network"), CHANGES) as devnet:
        yield devnet


def settled(network: Devnet) -> tuple[dict[str, Any], str]:
    """1000.00 SGD from Alice to Bob, settled: as Alice sees it, and its id at bank B."""
    answer = network.send(instruction())
    assert answer.status_code == 202, answer.text
    payment_id = answer.json()["payments"][0]["id"]
    payment = network.await_state(payment_id, "settled", "expired", "failed")
    assert payment["status"] == "settled"

    def came() -> list[str]:
        listed = network.caller.get("bank-b", "/v1/operations/payments", token="bank-b").json()
        key, done = payment["settlement_id"], "settled"
        return [
            each["id"]
            for each in listed["items"]
            if each["settlement_id"] == key and each["status"] == done
        ]

    (came_id,) = eventually(came, bool)
    return payment, came_id


def post(network: Devnet, key: str, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(
        f"{network.layout.url(key)}/v1/{path}",
        headers={
            "authorization": f"Bearer {network.layout.token(token)}",
            "idempotency-key": f"{key}-{len(path)}-{body}"[:60].replace(" ", ""),
        },
        json=body,
        timeout=60,
    )
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def agree(network: Devnet, key: str, kind: str, subject: str, **document: str) -> str:
    """Two operators of one institution agree on an action; its outcome."""
    wish = {"kind": kind, "subject": subject, "document": document, "note": "agreed"}
    made = post(network, key, "operations/proposals", key, wish)
    path = f"operations/proposals/{made['id']}/approval"
    return str(post(network, key, path, key + SECOND, {})["outcome"])


def amount(network: Devnet, key: str, account: str) -> Decimal:
    return Decimal(network.balance(key, account))


def tokens_agree(network: Devnet, key: str, code: str) -> bool:
    """Whether one institution's books and the chain say the same of its tokens."""
    currency = parse_currency(code)
    address = network.chain.directory().by_lei(institution(key).lei).settlement_address
    on_chain = network.chain.balance_of(currency.numeric, address)
    return amount(network, key, f"tokens:{code}") * 100 == on_chain


def test_a_recalled_payment_comes_back_and_the_debtor_has_it_again(network: Devnet) -> None:
    payment, came_id = settled(network)
    alices, bobs = amount(network, "bank-a", ALICE), amount(network, "bank-b", BOB)
    path = f"payments/{payment['id']}/recall"
    asked = post(network, "bank-a", path, "alice", {"reason": "DUPL"})
    assert asked["recall"]["state"] == "asked"

    def recalls() -> list[dict[str, Any]]:
        listed = network.caller.get("bank-b", "/v1/operations/recalls", token="bank-b").json()
        return list(listed["items"])

    (recall,) = eventually(recalls, bool)
    assert (recall["payment_id"], recall["reason"]) == (came_id, "DUPL")
    assert agree(network, "bank-b", "answer_recall", came_id, answer="grant") == "granted"
    suspended = eventually(
        lambda: network.caller.get("bank-a", "/v1/operations/suspense", token="bank-a").json(),
        lambda listed: bool(listed["items"]),
    )
    (item,) = suspended["items"]
    assert (item["cause"], item["amount"]["value"]) == ("other_currency", "1000.00")
    assert amount(network, "bank-a", "suspense:SGD") == 1_000
    assert eventually(lambda: amount(network, "bank-b", BOB), lambda left: left < bobs) == (
        bobs - 1_000
    )
    network.await_state(payment["id"], "settled")
    seen = eventually(
        lambda: network.payment(payment["id"]), lambda each: each["recall"]["state"] != "asked"
    )
    assert seen["recall"]["state"] == "granted"
    assert [each["reason"] for each in seen["returns"]] == ["FOCR"]
    back = payment["principal"]["value"]
    outcome = agree(
        network,
        "bank-a",
        "release_suspense",
        item["payment_id"],
        account=ALICE.removeprefix("deposit:"),
        amount=back,
    )
    assert outcome == f"credited {back} EUR"
    assert amount(network, "bank-a", ALICE) == alices + Decimal(back)
    assert amount(network, "bank-a", "suspense:SGD") == 0
    assert tokens_agree(network, "bank-a", "SGD")
    assert tokens_agree(network, "bank-b", "SGD")


def test_a_creditor_gives_back_a_part_once_however_often_it_is_sent(network: Devnet) -> None:
    payment, came_id = settled(network)
    bobs = amount(network, "bank-b", BOB)
    held = amount(network, "bank-a", "suspense:SGD")
    body = {"reason": "CUST", "amount": {"value": "400.00", "currency": "SGD"}}
    path = f"operations/payments/{came_id}/returns"
    first = post(network, "bank-b", path, "bank-b", body)
    assert first["payment"]["status"] == "reserved"
    network.kill("bank-b")
    network.start("bank-b")
    assert post(network, "bank-b", path, "bank-b", body) == first
    arrived = eventually(lambda: amount(network, "bank-a", "suspense:SGD"), lambda now: now != held)
    assert arrived - held == 400
    eventually(lambda: amount(network, "bank-b", BOB), lambda left: left < bobs)
    assert amount(network, "bank-b", BOB) == bobs - 400
    assert [each["amount"]["value"] for each in network.payment(payment["id"])["returns"]] == [
        "400.00"
    ]
    for key in ("bank-a", "bank-b"):
        assert tokens_agree(network, key, "SGD")
