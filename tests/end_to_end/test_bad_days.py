"""What goes wrong between banks, on the real network: nobody loses a cent, and every answer is clear.

One network serves all tests in order; deadlines are short so that silence ends soon.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.format import format_initiation
from bridge.iso20022.identifiers import parse_bic
from bridge.iso20022.messages import AccountIdentification, Agent, PaymentInstruction
from bridge.iso20022.parse import parse_initiation
from bridge.money import Amount, parse_currency
from local_network.layout import Layout
from support.gate import Gate, Hold, gate_to
from support.local_devnet import Devnet, eventually, instruction, running_devnet

ACCEPT_SECONDS = 45
"""Long enough to start a killed bridge again on a busy machine, short enough to wait for."""
SHORT = {"accept_seconds": ACCEPT_SECONDS, "settle_seconds": ACCEPT_SECONDS}
ALICE = "deposit:DE72500999990123456789"
BOB = "deposit:0720123456"


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """What stands between bank A and the node."""
    with gate_to("") as between:
        yield between


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Devnet]:
    changes = {"bank-a": {**SHORT, "node_url": gate.url}}
    with running_devnet(
        tmp_path_factory.mktemp("network"), changes, before=lambda layout: aim(gate, layout)
    ) as devnet:
        yield devnet


def aim(gate: Gate, layout: Layout) -> None:
    """Let the gate lead to the network's node."""
    gate.node_url = layout.node_url


def accepted(answer: httpx.Response) -> dict[str, str]:
    """The one payment of a pain.001 that was taken."""
    assert answer.status_code == 202, answer.text
    payment: dict[str, str] = answer.json()["payments"][0]
    return payment


def test_a_payment_settles_and_the_same_instruction_again_is_the_same_payment(
    network: Devnet,
) -> None:
    before = network.balance("bank-b", BOB)
    document = instruction()
    first = network.send(document)
    payment = network.await_state(accepted(first)["id"], "settled")
    assert payment["iso_status"] == "ACSC"
    again = network.send(document)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert network.settled_books().is_reconciled
    assert float(network.balance("bank-b", BOB)) - float(before) == 1000


def test_the_same_references_with_another_amount_are_refused(network: Devnet) -> None:
    document = instruction()
    network.await_state(accepted(network.send(document))["id"], "settled")
    original = parse_initiation(document)
    (asked,) = original.instructions
    more = replace(asked, instructed_amount=sgd("1000.01"))
    changed = network.send(format_initiation(replace(original, instructions=(more,))))
    assert changed.status_code == 422
    assert changed.json()["code"] == "idempotency_key_reused"


def sgd(value: str) -> Amount:
    return Amount.parse(value, parse_currency("SGD"))


def to_account(text: str) -> AccountIdentification:
    return AccountIdentification(other=text)


UNKNOWN_BANK = Agent(bic=parse_bic("NOBKSGS0XXX"))

REFUSALS = [
    # what, change, code, ISO reason
    (
        "funds",
        lambda i: replace(i, instructed_amount=sgd("9000000.00")),
        "insufficient_funds",
        "AM04",
    ),
    ("bank", lambda i: replace(i, creditor_agent=UNKNOWN_BANK), "agent_unknown", "RC01"),
    ("our bank", lambda i: replace(i, debtor_agent=UNKNOWN_BANK), "wrong_agent", "RC01"),
    (
        "account",
        lambda i: replace(i, debtor_account=to_account("0720123456")),
        "customer_account_unknown",
        "AC01",
    ),
    (
        "charges",
        lambda i: replace(i, charge_bearer=ChargeBearer.SLEV),
        "charge_bearer_unsupported",
        "FF01",
    ),
    (
        "date",
        lambda i: replace(
            i, requested_execution_date=i.requested_execution_date - timedelta(days=1)
        ),
        "execution_date_unsupported",
        "DT01",
    ),
    (
        "currency",
        lambda i: replace(i, instructed_amount=Amount.parse("10", parse_currency("JPY"))),
        "currency_unsupported",
        "AM03",
    ),
]


@pytest.mark.parametrize(
    ("change", "code", "reason"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_what_cannot_be_paid_is_refused_before_any_effect_and_stays_refused(
    network: Devnet, change: object, code: str, reason: str
) -> None:
    assert callable(change)
    head, alice = network.chain.head(), network.balance("bank-a", ALICE)

    def changed(original: PaymentInstruction) -> PaymentInstruction:
        result = change(original)
        assert isinstance(result, PaymentInstruction)
        return result

    document = instruction(changed)
    answer = network.send(document)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["reason"]) == (code, reason)
    again = network.send(document)
    assert (again.status_code, again.json()["code"]) == (422, code)
    assert network.balance("bank-a", ALICE) == alice
    assert network.chain.head() == head


def test_an_unknown_creditor_account_is_rejected_and_the_debtor_made_whole(
    network: Devnet,
) -> None:
    alice = network.balance("bank-a", ALICE)
    document = instruction(lambda i: replace(i, creditor_account=to_account("0720999999")))
    payment = network.await_state(accepted(network.send(document))["id"], "rejected")
    assert (payment["iso_status"], payment["reason"]) == ("RJCT", "AC01")
    assert network.balance("bank-a", ALICE) == alice
    assert network.settled_books().is_reconciled


def test_a_silent_creditor_bank_lets_the_payment_expire_and_the_debtor_is_made_whole(
    network: Devnet,
) -> None:
    alice = network.balance("bank-a", ALICE)
    network.pause("bank-b")
    try:
        payment = accepted(network.send(instruction()))
        ended = network.await_state(payment["id"], "expired", "settled")
    finally:
        network.resume("bank-b")
    assert (ended["status"], ended["iso_status"], ended["reason"]) == ("expired", "RJCT", "AB05")
    assert network.balance("bank-a", ALICE) == alice
    assert network.settled_books().is_reconciled


def test_a_bridge_killed_before_it_could_sign_settles_the_payment_exactly_once(
    network: Devnet,
) -> None:
    """The node stands still, so the nonce of what was committed cannot be asked for."""
    bob = float(network.balance("bank-b", BOB))
    network.pause("node")
    try:
        payment = accepted(network.send(instruction()))
        network.kill("bank-a")
    finally:
        network.resume("node")
    network.start("bank-a")
    settles_once(network, payment["id"], bob)


@pytest.mark.parametrize("hold", [Hold.REQUEST, Hold.ANSWER])
def test_a_bridge_killed_between_signing_and_the_nodes_answer_settles_the_payment_exactly_once(
    network: Devnet, gate: Gate, hold: Hold
) -> None:
    """Killed with the signed bytes kept: before the node heard of them, or before it could answer."""
    bob = float(network.balance("bank-b", BOB))
    gate.close(hold)
    try:
        payment = accepted(network.send(instruction()))
        assert gate.held.wait(ACCEPT_SECONDS)
        network.kill("bank-a")
    finally:
        gate.open()
    network.start("bank-a")
    settles_once(network, payment["id"], bob)


def settles_once(network: Devnet, payment_id: str, bob: float) -> None:
    """The payment settles, Bob has it once, and every book agrees."""
    payment = network.await_state(payment_id, "settled", "expired", "failed")
    assert payment["status"] == "settled"
    assert network.settled_books().is_reconciled
    credited = eventually(
        lambda: float(network.balance("bank-b", BOB)), lambda balance: balance > bob
    )
    assert credited - bob == 1000


def test_a_quote_that_ran_out_before_it_reached_the_chain_leaves_the_debtor_whole(
    network: Devnet,
) -> None:
    alice = network.balance("bank-a", ALICE)
    network.pause("node")
    try:
        payment = accepted(network.send(instruction()))
        past_deadlines(payment)
    finally:
        network.resume("node")
    ended = network.await_state(payment["id"], "failed", "expired", "settled")
    assert ended["status"] in {"failed", "expired"}
    assert ended["iso_status"] == "RJCT"
    assert network.balance("bank-a", ALICE) == alice
    assert network.settled_books().is_reconciled


def past_deadlines(payment: dict[str, str]) -> None:
    """Wait until a payment's time to be accepted has passed."""
    while time.time() <= int(payment["accept_by"]) + 1:
        time.sleep(0.2)


def test_after_all_of_it_a_payment_still_settles(network: Devnet) -> None:
    payment = network.await_state(accepted(network.send(instruction()))["id"], "settled")
    assert payment["iso_status"] == "ACSC"
    assert network.settled_books().is_reconciled
