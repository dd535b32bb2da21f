"""Documents at rest, and the destroying of their keys.

Cites docs/spec/interbank.md: IBK-50, 51, 52, 53, 54.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import MessageShredded, MessageUnreadable
from bridge.interbank import Courier, Kind, Outgoing, deliver
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.parse import parse_credit_transfer
from bridge.payment import Payment, PaymentState
from bridge.store import (
    DeliveryState,
    MasterKey,
    MessageDirection,
    Store,
    StoredMessage,
    SupervisorCopy,
)
from support.bridge_api import (
    ALICE,
    ALICE_IBAN,
    NOW,
    OPERATOR,
    SECOND_OPERATOR,
    Bridge,
    bank,
    central_bank,
    instruct,
)
from support.participants import BANK_A, BANK_B
from support.settlement_desk import KEY

MASTER = MasterKey(b"\x05" * 32)
PROPOSALS = "/v1/operations/proposals"
AFTER = NOW - 10 * 365 * 86_400
"""When a payment was made whose messages need not be kept any more."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "bridge.sqlite", master=MASTER)) as opened:
        yield opened


def message(text: str = "<a/>", *, message_id: str = "m", payment: str = "p") -> StoredMessage:
    return StoredMessage(
        message_id, MessageDirection.IN, "pacs.008", text.encode(), NOW, payment, salt=b"\x01" * 32
    )


def test_ibk_50_what_is_kept_of_a_message_cannot_be_read_in_the_database(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    payment_id = instruct(bridge)
    with bridge.store.unit_of_work() as work:
        body = {"text": "Kastanienallee"}
        deliver(work, Outgoing("k", BANK_B, Kind.STATUS_REPORT, body, payment_id), at=NOW)
        payment = work.payments.get(payment_id)
        document = work.messages.get(f"{payment_id}:pacs.008").document
    assert b"Kastanienallee" in document
    raw = sqlite3.connect(bridge.database)
    with closing(raw):
        for table, columns in (("messages", "document"), ("deliveries", "body")):
            rows = raw.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
            assert rows
            assert not [row for row in rows if b"Kastanien" in row[0] or b"Alice" in row[0]]
        salts = [row[0] for row in raw.execute("SELECT salt FROM messages") if row[0]]
    assert salts
    assert not [salt for salt in salts if payment.salt is None or payment.salt in salt]


OTHER = "(SELECT document FROM messages WHERE message_id = 'n')"
KEY_OF_OTHER = "(SELECT wrapped FROM message_keys WHERE scope = 'q')"


def test_ibk_50_a_message_reads_as_it_was_kept(store: Store) -> None:
    with store.unit_of_work() as work:
        work.messages.add(message())
        work.messages.add(message())
    with store.reading() as work:
        assert work.messages.get("m") == message()


def test_ibk_50_only_the_right_master_key_opens_anything(tmp_path: Path, store: Store) -> None:
    with store.unit_of_work() as work:
        work.messages.add(message())
    for master in (MasterKey(b"\x06" * 32), None):
        with (
            closing(Store.open(tmp_path / "bridge.sqlite", master=master)) as other,
            other.reading() as work,
            pytest.raises(MessageUnreadable),
        ):
            work.messages.get("m")


@pytest.mark.parametrize(
    "attack",
    [
        f"UPDATE messages SET document = {OTHER} WHERE message_id = 'm'",  # noqa: S608
        "UPDATE messages SET document = substr(document, 1, length(document) - 1)",
        "UPDATE messages SET document = x'01'",
        "UPDATE messages SET document = x'003c622f3e'",
        f"UPDATE message_keys SET wrapped = {KEY_OF_OTHER} WHERE scope = 'p'",  # noqa: S608
        "DELETE FROM message_keys",
    ],
)
def test_ibk_50_what_was_changed_or_moved_is_not_taken_for_the_message(
    tmp_path: Path, store: Store, attack: str
) -> None:
    with store.unit_of_work() as work:
        work.messages.add(message())
        work.messages.add(message("<b/>", message_id="n"))
        work.messages.add(message(message_id="o", payment="q"))
    with closing(sqlite3.connect(tmp_path / "bridge.sqlite", isolation_level=None)) as raw:
        raw.execute(attack)
    with store.reading() as work, pytest.raises(MessageUnreadable):
        work.messages.get("m")


def test_ibk_51_a_destroyed_key_takes_its_payment_alone(store: Store) -> None:
    with store.unit_of_work() as work:
        work.messages.add(message())
        work.messages.add(message(message_id="n", payment="q"))
        assert work.vault.destroy("p", NOW)
        assert not work.vault.destroy("p", NOW + 1)
    with store.reading() as work:
        with pytest.raises(MessageShredded):
            work.messages.get("m")
        assert [each.message_id for each in work.messages.headings("p")] == ["m"]
        assert work.messages.get("n").document == b"<a/>"


def test_ibk_51_nothing_more_is_kept_under_a_destroyed_key(store: Store) -> None:
    with store.unit_of_work() as work:
        work.vault.destroy("p", NOW)
    with pytest.raises(MessageShredded), store.unit_of_work() as work:
        work.messages.add(message())


def test_ibk_51_a_key_that_was_destroyed_leaves_nothing_to_open_with(
    tmp_path: Path, store: Store
) -> None:
    with store.unit_of_work() as work:
        work.messages.add(message())
        work.vault.destroy("p", NOW)
    with closing(sqlite3.connect(tmp_path / "bridge.sqlite", isolation_level=None)) as raw:
        rows = raw.execute("SELECT wrapped, destroyed_at FROM message_keys").fetchall()
        assert rows == [(None, NOW)]
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute("UPDATE message_keys SET destroyed_at = NULL")


def test_ibk_51_what_is_shredded_is_not_sent_again(store: Store) -> None:
    with store.unit_of_work() as work:
        message_id = deliver(
            work, Outgoing("k", BANK_B, Kind.STATUS_REPORT, {"text": "x"}, "p"), at=NOW
        )
        work.vault.destroy("p", NOW)
    courier = Courier(store, None, {}, lambda: NOW, "test")  # type: ignore[arg-type]
    assert courier.step()
    with store.reading() as work:
        found = work.deliveries.find(message_id)
    assert found is not None
    assert found.state is DeliveryState.DEAD


def settled(bridge: Bridge, **changes: Any) -> Payment:
    """A payment of Alice's that ended long ago."""
    payment_id = instruct(bridge)
    with bridge.store.unit_of_work() as work:
        payment = replace(work.payments.get(payment_id), state=PaymentState.SETTLED)
        payment = replace(payment, **{"created_at": AFTER, **changes})
        work.payments.save(payment)
    return payment


def shred(bridge: Bridge, subject: str) -> Any:
    """What becomes of it: the proposal's answer where it is refused, else the approval's."""
    wish = {"kind": "shred_messages", "subject": subject, "note": "the customer asked for it"}
    headers = {"Idempotency-Key": subject[:60]}
    made = bridge.request("POST", PROPOSALS, token=OPERATOR, headers=headers, json=wish)
    if made.status_code != 201:
        return made
    path = f"{PROPOSALS}/{made.json()['id']}/approval"
    return bridge.request("POST", path, token=SECOND_OPERATOR)


def test_ibk_52_two_operators_make_a_payments_messages_unreadable(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    payment = settled(bridge)
    path = f"/v1/payments/{payment.payment_id}/messages"
    name = f"{payment.payment_id}:pacs.008"
    document = bridge.request("GET", f"{path}/{name}", token=ALICE).content
    listed = bridge.request("GET", path, token=ALICE).json()
    done = shred(bridge, payment.payment_id)
    assert done.json()["outcome"] == "its key is destroyed"
    gone = bridge.request("GET", f"{path}/{name}", token=ALICE)
    assert (gone.status_code, gone.json()["code"]) == (410, "message_shredded")
    assert bridge.request("GET", path, token=ALICE).json() == listed
    with bridge.store.reading() as work:
        left = work.payments.get(payment.payment_id)
    assert left == replace(payment, salt=None)
    assert payment.salt is not None
    opened = commit(canonical_content(parse_credit_transfer(document)), payment.salt)
    assert opened == left.terms.message_commitment


def test_ibk_52_the_books_stay_as_they_were(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    payment = settled(bridge)
    before = bridge.request("GET", "/v1/ledger/accounts", token=OPERATOR).json()
    rows = bridge.rows()
    shred(bridge, payment.payment_id)
    assert bridge.request("GET", "/v1/ledger/accounts", token=OPERATOR).json() == before
    assert (rows.pop("proposals"), rows.pop("audit_records")) == (0, 0)
    assert {name: bridge.rows()[name] for name in rows if name != "sqlite_sequence"} == {
        name: count for name, count in rows.items() if name != "sqlite_sequence"
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": PaymentState.INSTRUCTED}, "payment_open"),
        ({"created_at": NOW - 1_826 * 86_400 + 1}, "retention_not_over"),
    ],
)
def test_ibk_53_what_is_still_needed_is_not_shredded(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    bridge = bank(tmp_path)
    payment = settled(bridge, **changes)
    assert shred(bridge, payment.payment_id).json()["code"] == code


def test_ibk_53_what_is_on_its_way_is_not_shredded(tmp_path: Path) -> None:
    bridge = bank(tmp_path)
    payment = settled(bridge)
    with bridge.store.unit_of_work() as work:
        message = Outgoing("k", BANK_B, Kind.STATUS_REPORT, {}, payment.payment_id)
        deliver(work, message, at=NOW)
    assert shred(bridge, payment.payment_id).json()["code"] == "delivery_unfinished"


@pytest.mark.parametrize("subject", ["pay_unknown", "ab" * 32])
def test_ibk_53_what_is_unknown_is_not_shredded(tmp_path: Path, subject: str) -> None:
    assert shred(bank(tmp_path), subject).json()["code"] == "resource_unknown"


def test_ibk_54_a_central_bank_shreds_a_copy(tmp_path: Path) -> None:
    bridge = central_bank(tmp_path)
    with bridge.store.unit_of_work() as work:
        work.supervisor_copies.expect(SupervisorCopy(KEY, BANK_A, bytes(32), bytes(32), AFTER))
        work.supervisor_copies.keep(KEY, b"{}", finding=None, received_at=AFTER)
    assert shred(bridge, KEY.hex()).json()["outcome"] == "its key is destroyed"
    path = f"/v1/supervision/copies/{KEY.hex()}"
    gone = bridge.request("GET", f"{path}/document", token=OPERATOR)
    assert (gone.status_code, gone.json()["code"]) == (410, "message_shredded")
    assert bridge.request("GET", path, token=OPERATOR).json()["announced_at"] == AFTER


def test_ibk_54_logs_hold_nothing_of_a_customer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bridge = bank(tmp_path)
    payment = settled(bridge)
    bridge.request("GET", f"/v1/payments/{payment.payment_id}/messages", token=ALICE)
    shred(bridge, payment.payment_id)
    written = "".join(capsys.readouterr())
    assert "{payment_id}/messages" in written
    assert not [each for each in ("Alice", "Lindner", ALICE_IBAN, "0720123456") if each in written]
