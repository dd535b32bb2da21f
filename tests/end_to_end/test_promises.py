"""What the bridge promises of money, on the real network, in order: one effect of many requests, books that
follow from their postings alone, tables that follow from the chain alone, no money above reserves.

Promises P3, P5, P6 and P7; docs/spec/central-bank.md CB-1 to CB-5.
"""

import contextlib
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import rlp

from bridge.chain import Attestation, Call, ContractCall, Submitter, attestation_hash, token_call
from bridge.keys import KeystoreSigner
from bridge.money import Amount, parse_currency
from bridge.store import Store
from bridge.store.backup import back_up
from local_network.cast import BANK_A_LEI, CHAIN_ID, INSTITUTIONS
from support.local_devnet import ATTESTER, WAIT_SECONDS, Devnet, eventually, instruction
from support.promised_street import ALICE, BOB, CAROL, bank_of, order, promised_street
from support.replaying import Replay, replayed

EUROSYSTEM = "central-bank-eur"
EUR = parse_currency("EUR")
FIFTY = 50
GAS = 500_000


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    with promised_street(tmp_path_factory.mktemp("network")) as running:
        yield running


def post(
    network: Devnet, who: str, path: str, body: Mapping[str, object], key: str
) -> httpx.Response:
    """An order to the bank of a customer, or to an institution as its operator."""
    bank = bank_of(who) if who in {"alice", "bob", "carol"} else who
    return httpx.post(
        network.layout.url(bank) + path,
        json=body,
        headers={
            "authorization": f"Bearer {network.layout.token(who)}",
            "idempotency-key": key,
        },
        timeout=WAIT_SECONDS,
    )


# One effect


def test_fifty_identical_messages_at_one_time_are_one_payment_and_fifty_equal_answers(
    network: Devnet,
) -> None:
    """P6."""
    alice, bob = Decimal(network.balance("bank-a", ALICE)), Decimal(network.balance("bank-b", BOB))
    document = instruction()
    with ThreadPoolExecutor(FIFTY) as pool:
        answers = list(pool.map(lambda _: network.send(document), range(FIFTY)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    network.await_state(answers[0].json()["payments"][0]["id"], "settled", "expired", "failed")
    assert network.settled_books().is_reconciled
    assert alice - Decimal(network.balance("bank-a", ALICE)) == Decimal("695.44")
    assert Decimal(network.balance("bank-b", BOB)) - bob == Decimal("992.50")


def test_fifty_identical_orders_on_us_move_money_once(network: Devnet) -> None:
    body = order("alice", "carol", "400.00", "EUR")
    with ThreadPoolExecutor(FIFTY) as pool:
        answers = list(
            pool.map(lambda _: post(network, "alice", "/v1/payments", body, "on-us"), range(FIFTY))
        )
    assert {answer.status_code for answer in answers} == {202}, answers[0].text
    assert len({answer.content for answer in answers}) == 1
    assert Decimal(network.balance("bank-a", CAROL)) == Decimal("398.75")


def test_fifty_identical_orders_of_tokens_are_issued_once(network: Devnet) -> None:
    supply = network.chain.total_supply(EUR.numeric)
    body = {"amount": {"value": "12.00", "currency": "EUR"}}
    with ThreadPoolExecutor(FIFTY) as pool:
        answers = list(
            pool.map(
                lambda _: post(network, "bank-a", "/v1/issuances", body, "fifty"), range(FIFTY)
            )
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["reference"] for answer in answers}) == 1
    issued(network, answers[0].json()["reference"])
    assert network.chain.total_supply(EUR.numeric) - supply == 1_200


def issued(network: Devnet, reference: str) -> None:
    """Wait until an order of bank A's is issued and every book agrees."""
    path = f"/v1/issuances/{reference}"
    found = eventually(
        lambda: network.caller.get("bank-a", path, token="bank-a").json()["status"],
        lambda status: status in {"issued", "refused"},
    )
    assert found == "issued"
    assert network.settled_books().is_reconciled


def test_a_key_that_was_refused_never_succeeds(network: Devnet) -> None:
    """P7: the money comes, the answer stays."""
    body = order("carol", "alice", "500.00", "EUR")
    refused = post(network, "carol", "/v1/payments", body, "too-much")
    assert (refused.status_code, refused.json()["code"]) == (422, "insufficient_funds")
    gift = post(network, "alice", "/v1/payments", order("alice", "carol", "200.00", "EUR"), "gift")
    assert gift.status_code == 202
    again = post(network, "carol", "/v1/payments", body, "too-much")
    assert (again.status_code, again.content) == (422, refused.content)
    assert Decimal(network.balance("bank-a", CAROL)) == Decimal("597.50")


# Books that were restored


def test_what_a_bank_received_after_its_back_up_is_credited_again_by_itself(
    network: Devnet,
) -> None:
    """P16, and PAY-24 of docs/spec/payment.md: its senders give it their messages once more."""
    database = network.layout.settings("bank-b").with_name("bridge.db")
    kept = database.with_name("back-up.db")
    back_up(database, kept)
    pay(network, "alice", order("alice", "bob", "30.00", "SGD"), quoted=True)
    pay(network, "alice", order("alice", "bob", "20.00", "SGD"), quoted=True)
    books = network.settled_books()
    assert books.is_reconciled
    bob = network.balance("bank-b", BOB)
    told = notices(network)
    network.kill("bank-b")
    for leftover in database.parent.glob(f"{database.name}-*"):
        leftover.unlink()
    kept.replace(database)
    network.start("bank-b")
    eventually(lambda: network.balance("bank-b", BOB), lambda balance: balance == bob)
    assert network.settled_books().balances == books.balances
    assert notices(network) == told


def notices(network: Devnet) -> set[str]:
    """What bank B keeps of its newest payments' messages; its answer was given, once and for all."""
    place = network.layout.settings("bank-b").with_name("bridge.db")
    with contextlib.closing(Store.open_read_only(place)) as store, store.reading() as work:
        payments = work.payments.page(limit=2).items
        return {
            heading.message_id
            for payment in payments
            for heading in work.messages.headings(payment.payment_id)
            if not heading.message_id.endswith(":answer")
        }


# Books from postings alone


def pay(network: Devnet, who: str, body: Mapping[str, object], *, quoted: bool) -> dict[str, Any]:
    """A payment at its end."""
    key = secrets.token_hex(8)
    if quoted:
        answer = post(network, who, "/v1/payment-quotations", body, f"ask-{key}")
        assert answer.is_success, answer.text
        body = {**body, "quotation_id": answer.json()["id"]}
    answer = post(network, who, "/v1/payments", body, key)
    assert answer.status_code == 202, answer.text
    path = f"/v1/payments/{answer.json()['id']}"
    ended: dict[str, Any] = eventually(
        lambda: network.caller.get(bank_of(who), path, token=who).json(),
        lambda payment: payment["status"] in {"settled", "rejected", "expired", "failed"},
    )
    return ended


def test_after_a_mixed_day_balances_and_statements_are_what_postings_alone_add_up_to(
    network: Devnet,
) -> None:
    for bearer in ("SHAR", "DEBT", "CRED"):
        body = order("alice", "bob", "250.00", "SGD", bearer)
        assert pay(network, "alice", body, quoted=True)["status"] == "settled"
        body = order("bob", "alice", "60.00", "EUR", bearer)
        assert pay(network, "bob", body, quoted=True)["status"] == "settled"
    body = order("carol", "alice", "33.33", "EUR")
    assert pay(network, "carol", body, quoted=False)["status"] == "settled"
    nobody = {**order("alice", "bob", "80.00", "SGD"), "creditor_account": {"other": "0720999999"}}
    assert pay(network, "alice", nobody, quoted=False)["status"] == "rejected"
    assert network.settled_books().is_reconciled
    for who, account in (("alice", ALICE), ("carol", CAROL), ("bob", BOB)):
        told = settled_account(network, who)
        recomputed = from_postings(network, bank_of(who), account)
        assert recomputed.movements > 1, who
        assert minor(told["ledger"]) == minor(told["available"]) == recomputed.posted, who
        assert recomputed.pending == 0, who
        items, closing = statement(network, who, account)
        assert minor(closing["ledger"]) == recomputed.posted, who
        signed = [(1 if each["side"] == "credit" else -1) * minor(each["amount"]) for each in items]
        assert sum(signed) == recomputed.posted, who
        assert minor(items[-1]["balance"]) == recomputed.posted, who


@dataclass(frozen=True)
class Recomputed:
    """What the postings of one account add up to, in minor units it is owed."""

    posted: int
    pending: int
    movements: int


def from_postings(network: Devnet, key: str, account: str) -> Recomputed:
    """An account of deposits added up here, from side, amount and change of each posting and nothing else."""
    place = network.layout.settings(key).with_name("bridge.db")
    with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "select side, amount, change from postings where account_id = ?", (account,)
        ).fetchall()
        unbalanced = database.execute(
            "select entry_id from postings join accounts using (account_id) group by entry_id, step,"
            " currency having sum(case side when 'debit' then amount else -amount end) <> 0"
        ).fetchall()
    assert unbalanced == [], key
    posted = pending = 0
    for side, amount, change in rows:
        signed = amount if side == "credit" else -amount
        posted += signed if change in {"posted", "completed"} else 0
        pending += {"reserved": signed, "posted": 0}.get(change, -signed)
    return Recomputed(posted, pending, len(rows))


def minor(money: Mapping[str, str]) -> int:
    """An amount as the API writes it, in minor units."""
    return Amount.parse(money["value"], parse_currency(money["currency"]), signed=True).minor_units


def shown(network: Devnet, who: str) -> dict[str, Any]:
    """A customer's one account as they see it."""
    (found,) = network.caller.get(bank_of(who), "/v1/accounts", token=who).json()["items"]
    return dict(found)


def settled_account(network: Devnet, who: str) -> dict[str, Any]:
    """The same once nothing of it is reserved."""
    return eventually(
        lambda: shown(network, who), lambda found: found["ledger"] == found["available"]
    )


def statement(network: Devnet, who: str, account: str) -> tuple[list[Any], dict[str, Any]]:
    """All movements of a customer's statement, read in small pages, and its closing balance."""
    items: list[Any] = []
    path = f"/v1/accounts/{account}/statement?limit=3"
    page = network.caller.get(bank_of(who), path, token=who).json()
    opening = page["opening"]["ledger"]
    assert minor(opening) == 0
    while True:
        items += page["items"]
        if page["next"] is None:
            return items, page["closing"]
        page = network.caller.get(bank_of(who), f"{path}&cursor={page['next']}", token=who).json()


# Tables from the chain alone


@pytest.mark.parametrize("key", [member.key for member in INSTITUTIONS])
def test_a_fresh_database_that_follows_the_chain_is_the_same_every_time(
    network: Devnet, tmp_path: Path, key: str
) -> None:
    """P5: and what the chain says is what the living bridge has kept of it."""
    network.settled_books()
    first = replayed(network, key, tmp_path / "first.db")
    second = replayed(network, key, tmp_path / "second.db")
    assert first.rows == second.rows
    assert first.digest == second.digest
    assert first.blocks == network.chain.head().number + 1
    live = Replay.of(network.layout.settings(key).with_name("bridge.db"))
    assert live.rows["chain_events"] == first.rows["chain_events"]
    assert live.rows["checkpoint"] == first.rows["checkpoint"]
    if key == "fx-provider":
        assert live.rows["quotes"] == first.rows["quotes"]
        for code in ("EUR", "SGD"):
            assert live.balance(f"fx-position:{code}") == first.balance(f"fx-position:{code}") != 0


# No money above reserves


@dataclass
class Thief:
    """Whoever has taken the issuing process's key, and signs what they like."""

    network: Devnet
    submitter: Submitter
    signer: KeystoreSigner

    def send(self, call: ContractCall) -> bool:
        """Whether a transaction with this call succeeded."""
        sent = self.submitter.submit(
            Call(secrets.token_hex(8), call.to, call.data, GAS, payment_id=None)
        )
        receipt = eventually(
            lambda: self.network.chain.receipt(sent.hash), lambda found: found is not None
        )
        assert receipt is not None
        self.submitter.settle_outstanding()
        return receipt.succeeded


@pytest.fixture
def thief(network: Devnet, tmp_path: Path) -> Iterator[Thief]:
    folder = network.layout.settings(EUROSYSTEM).parent
    passphrase = (folder / "passphrase").read_text().strip()
    signer = KeystoreSigner.load(folder / "operating.keystore.json", passphrase)
    with contextlib.closing(Store.open(tmp_path / "thief.db")) as store:
        yield Thief(
            network, Submitter(store, network.chain, signer, lambda: int(time.time())), signer
        )


def own_address(network: Devnet) -> bytes:
    return network.chain.directory().by_lei(BANK_A_LEI).settlement_address


def issue_call(network: Devnet, reference: bytes, amount: int) -> ContractCall:
    return token_call(EUR.numeric, "issue", (reference, own_address(network), amount))


def raw_transactions(network: Devnet, database: str, like: str) -> list[bytes]:
    """What an institution's process has signed, oldest first."""
    place = network.layout.settings(EUROSYSTEM).with_name(database)
    with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as opened:
        rows = opened.execute(
            "select raw from transactions where purpose like ? order by nonce", (like,)
        )
        return [bytes(row[0]) for row in rows]


def call_in(raw: bytes) -> ContractCall:
    """What a signed transaction of type 2 calls."""
    fields = rlp.decode(raw[1:])
    return ContractCall(fields[5], fields[7])


def test_the_issuers_key_alone_mints_nothing_above_what_is_attested(
    network: Devnet, thief: Thief
) -> None:
    supply = network.settled_books().by_currency["EUR"].token_supply
    attested = network.chain.latest_attestation(EUR.numeric)
    assert attested.amount == supply.minor_units
    assert not thief.send(issue_call(network, secrets.token_bytes(32), 1))
    old = raw_transactions(network, "bridge.db", "submit_issue:%")[0]
    network.chain.send_raw(old, sender=thief.signer.address, nonce=0)
    assert not thief.send(call_in(old)), "a reference is used once"
    assert network.chain.total_supply(EUR.numeric) == supply.minor_units
    assert network.settled_books().is_reconciled


def test_nobody_attests_but_the_attester_and_no_statement_counts_twice(
    network: Devnet, thief: Thief
) -> None:
    attested = network.chain.latest_attestation(EUR.numeric)
    now = int(time.time())
    forged = Attestation(attested.sequence + 1, now, now + 3_600, 10**12, bytes(32))
    signature = thief.signer.sign_digest(attestation_hash(forged, EUR.numeric, CHAIN_ID))
    assert not thief.send(token_call(EUR.numeric, "attest", (forged, signature)))
    statements = raw_transactions(network, "attester.db", "attest:%")
    for stale in (statements[0], statements[-1]):
        assert not thief.send(call_in(stale))
    assert network.chain.latest_attestation(EUR.numeric) == attested
    assert not thief.send(issue_call(network, secrets.token_bytes(32), 1))


def propose(network: Devnet, who: str, reference: str, amount: str) -> httpx.Response:
    document = {"participant": BANK_A_LEI, "amount": amount}
    body = {"kind": "issue_tokens", "subject": reference, "document": document, "note": "please"}
    return _operate(network, who, "/v1/operations/proposals", body)


def _operate(
    network: Devnet, who: str, path: str, body: Mapping[str, object] | None = None
) -> httpx.Response:
    return httpx.post(
        network.layout.url(EUROSYSTEM) + path,
        json=body,
        headers={
            "authorization": f"Bearer {network.layout.token(who)}",
            "idempotency-key": secrets.token_hex(8),
        },
        timeout=WAIT_SECONDS,
    )


def test_one_person_releases_nothing_and_two_release_only_what_the_reserves_pay_for(
    network: Devnet,
) -> None:
    body = {"amount": {"value": "6000000.00", "currency": "EUR"}}
    ordered = post(network, "bank-a", "/v1/issuances", body, "large")
    assert ordered.status_code == 202
    reference = ordered.json()["reference"].removeprefix("0x")
    supply = network.chain.total_supply(EUR.numeric)
    proposed = eventually(
        lambda: propose(network, EUROSYSTEM, reference, "6000000.00"),
        lambda answer: answer.status_code == 201,
    )
    approval = f"/v1/operations/proposals/{proposed.json()['id']}/approval"
    own = _operate(network, EUROSYSTEM, approval)
    assert (own.is_success, own.json()["code"]) == (False, "own_proposal")
    other = propose(network, EUROSYSTEM, reference, "9000000.00")
    assert (other.is_success, other.json()["code"]) == (False, "issuance_not_waiting")
    assert network.chain.total_supply(EUR.numeric) == supply
    assert _operate(network, f"{EUROSYSTEM}-second", approval).is_success
    issued(network, ordered.json()["reference"])
    assert network.chain.total_supply(EUR.numeric) - supply == 600_000_000
    beyond = post(network, "bank-a", "/v1/issuances", body, "beyond")
    assert (beyond.is_success, beyond.json()["code"]) == (False, "insufficient_funds")
    unknown = propose(network, EUROSYSTEM, secrets.token_hex(32), "6000000.00")
    assert (unknown.is_success, unknown.json()["code"]) == (False, "issuance_not_waiting")


def test_without_the_attester_not_even_a_rightful_order_is_minted(
    network: Devnet, thief: Thief
) -> None:
    """The reserves stand aside and the issuing key is there; only the attester's word is missing."""
    supply = network.settled_books().by_currency["EUR"].token_supply.minor_units
    network.kill(f"{ATTESTER}{EUROSYSTEM}")
    body = {"amount": {"value": "10.00", "currency": "EUR"}}
    ordered = post(network, "bank-a", "/v1/issuances", body, "unattested").json()
    reference = bytes.fromhex(ordered["reference"].removeprefix("0x"))
    path = f"/v1/issuances/{ordered['reference']}"
    eventually(
        lambda: network.caller.get("bank-a", path, token="bank-a").json(),
        lambda found: found["status"] == "funded",
    )
    assert not thief.send(issue_call(network, reference, 1_000))
    assert network.chain.total_supply(EUR.numeric) == supply
    network.start(f"{ATTESTER}{EUROSYSTEM}")
    issued(network, ordered["reference"])
    assert network.chain.total_supply(EUR.numeric) == supply + 1_000
    assert not thief.send(issue_call(network, reference, 1_000))
    assert network.settled_books().is_reconciled
