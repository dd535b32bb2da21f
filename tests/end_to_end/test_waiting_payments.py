"""Payments that wait for liquidity on the real network, from the customer's side to the service's.

The fx provider lets its leg wait and begins without Singapore dollars; one network serves all tests
in order. Cites docs/spec/payment.md: PAY-18 to PAY-20, PAY-23, LQS-6.
"""

from collections.abc import Iterator

import httpx
import pytest

from support.local_devnet import Devnet, eventually, instruction, running_devnet

SETTLE_SECONDS = 75
CHANGES: dict[str, dict[str, object]] = {
    "bank-a": {"accept_seconds": 30, "settle_seconds": SETTLE_SECONDS},
    "fx-provider": {"quotes_may_queue": True},
}
ALICE = "deposit:DE72500999990123456789"
BOB = "deposit:0720123456"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    with running_devnet(tmp_path_factory.mktemp("network"), CHANGES) as devnet:
        order_tokens(devnet, "redemptions", "2000000.00", "all of them")
        yield devnet


def order_tokens(network: Devnet, kind: str, value: str, key: str) -> None:
    """Have the provider's Singapore dollars burnt or issued, and wait until that is done."""
    answer = network.caller.post_json(
        "fx-provider",
        f"/v1/{kind}",
        token="fx-provider",
        idempotency_key=key.replace(" ", "-"),
        body={"amount": {"value": value, "currency": "SGD"}},
    ).json()
    path = f"/v1/issuances/{answer['reference']}"
    done = eventually(
        lambda: network.caller.get("fx-provider", path, token="fx-provider").json(),
        lambda order: order["status"] in {"issued", "redeemed", "refused"},
    )
    assert done["status"] in {"issued", "redeemed"}, done


def queued(network: Devnet) -> str:
    """A payment of 1000.00 SGD to Bob that waits; its id."""
    answer = network.send(instruction())
    assert answer.status_code == 202, answer.text
    payment_id: str = answer.json()["payments"][0]["id"]
    waiting = network.await_state(payment_id, "queued", "cancelled", "expired")
    assert (waiting["status"], waiting["iso_status"]) == ("queued", "ACSP")
    return payment_id


def statuses(network: Devnet, payment_id: str) -> list[str]:
    """What Alice was told by pacs.002, in its order."""
    path = f"/v1/payments/{payment_id}/messages"
    listed = network.caller.get("bank-a", path, token="alice").json()["items"]
    return [each["id"].rpartition(":")[2] for each in listed if each["name"].startswith("pacs.002")]


def test_a_payment_waits_and_is_settled_by_the_service_once_the_money_is_there(
    network: Devnet,
) -> None:
    network.start("liquidity")
    before = network.balance("bank-b", BOB)
    payment_id = queued(network)
    assert network.balance("bank-b", BOB) == before
    order_tokens(network, "issuances", "1000.00", "for the first")
    settled = network.await_state(payment_id, "settled", "expired")
    assert (settled["status"], settled["iso_status"]) == ("settled", "ACSC")
    assert statuses(network, payment_id)[-2:] == ["queued", "settled"]
    assert network.settled_books().is_reconciled
    after = eventually(lambda: network.balance("bank-b", BOB), lambda balance: balance != before)
    assert float(after) - float(before) == 1000


def test_what_waited_while_the_service_was_dead_settles_when_it_is_back(network: Devnet) -> None:
    network.kill("liquidity")
    payment_id = queued(network)
    order_tokens(network, "issuances", "1000.00", "for the third")
    assert network.payment(payment_id)["status"] == "queued"
    network.start("liquidity")
    assert network.await_state(payment_id, "settled", "expired")["status"] == "settled"


def test_a_payment_that_nobody_funds_expires_with_a_reason_of_its_own(network: Devnet) -> None:
    """Asked back too, but the provider pays a leg as well and does not agree."""
    before = network.balance("bank-a", ALICE)
    payment_id = queued(network)
    answer = httpx.post(
        f"{network.layout.url('bank-a')}/v1/payments/{payment_id}/withdrawal",
        headers={"authorization": f"Bearer {network.layout.token('alice')}"},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    eventually(lambda: network.payment(payment_id)["status"], lambda status: status != "queued")
    ended = network.await_state(payment_id, "expired")
    assert (ended["status"], ended["iso_status"], ended["reason"]) == ("expired", "RJCT", "AB03")
    assert statuses(network, payment_id)[-1] == "expired"
    assert network.balance("bank-a", ALICE) == before
    assert network.settled_books().is_reconciled
