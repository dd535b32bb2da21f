"""Copies for central banks and supervisors: who can open them, and what is held against the chain.

Cites docs/spec/interbank.md: IBK-40, 41, 42, 43, 44; docs/spec/visibility.md.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.chain import ChainEvent, Directory, return_id
from bridge.chain.encoding import SETTLEMENT, terms_of_event
from bridge.errors import CopyMismatch, CopyNotAnnounced, CopyUnreadable
from bridge.interbank import Kind, Received
from bridge.interbank.copies import CopyContent, Copyist, copy_hash, recipients_of
from bridge.iso20022.codes import StatusReason
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.format import (
    format_credit_transfer,
    format_payment_return,
    format_status_report,
)
from bridge.iso20022.parse import parse_credit_transfer
from bridge.payment import Event, Fact, PaymentState
from bridge.settlement.observation import follow
from bridge.settlement.supervision import copy_id, expect_copy, receivers
from support.bridge_api import (
    ALICE,
    CENTRAL_BANK,
    GENESIS_HASH,
    NOW,
    OPERATOR,
    Bridge,
    bank,
    central_bank,
    instruct,
)
from support.later_messages import payment_return
from support.messages import credit_transfer, status_report
from support.participants import BANK_A, BANK_B, PROVIDER
from support.settlement_desk import KEY, NETWORK, SALT, Desk, committed

DIRECTORY = Directory(keys.participant for keys in NETWORK.values())
TRANSFER = credit_transfer()
CONTENT = CopyContent(KEY, format_credit_transfer(TRANSFER), SALT)


def copyist(lei: str) -> Copyist:
    return Copyist(lei, NETWORK[lei].keys, GENESIS_HASH.hex())


def copy_for(*leis: str, sender: str = BANK_A, content: CopyContent = CONTENT) -> bytes:
    return copyist(sender).seal(content, [DIRECTORY.by_lei(lei) for lei in leis])


COPY = copy_for(CENTRAL_BANK)


@pytest.mark.parametrize("lei", [CENTRAL_BANK, PROVIDER])
def test_ibk_40_each_recipient_opens_a_copy(lei: str) -> None:
    opened = copyist(lei).open(copy_for(CENTRAL_BANK, PROVIDER), DIRECTORY)
    assert (opened.sender_lei, opened.content) == (BANK_A, CONTENT)


@pytest.mark.parametrize("lei", [BANK_A, BANK_B, PROVIDER])
def test_ibk_40_nobody_else_opens_it(lei: str) -> None:
    with pytest.raises(CopyUnreadable):
        copyist(lei).open(COPY, DIRECTORY)


def test_ibk_40_a_stranger_who_claims_to_be_a_recipient_opens_nothing() -> None:
    document = json.loads(COPY)
    document["recipients"][0]["header"]["kid"] = PROVIDER
    with pytest.raises(CopyUnreadable):
        copyist(PROVIDER).open(json.dumps(document).encode(), DIRECTORY)


def test_ibk_40_a_copy_shows_its_recipients_and_nothing_of_its_content() -> None:
    assert recipients_of(copy_for(CENTRAL_BANK, PROVIDER)) == {CENTRAL_BANK, PROVIDER}
    for secret in (TRANSFER.debtor.name, TRANSFER.uetr, BANK_A):
        assert secret.encode() not in COPY


@pytest.mark.parametrize(
    "junk",
    [b"", b"[]", b"{}", b"7", b'{"recipients": [7]}', b'{"recipients": {"a": {}}}', b"[" * 9_000],
)
def test_what_is_no_copy_is_refused_by_name(junk: bytes) -> None:
    for read in (recipients_of, lambda copy: copyist(CENTRAL_BANK).open(copy, DIRECTORY)):
        with pytest.raises(CopyUnreadable):
            read(junk)


def test_a_copy_of_another_network_is_refused() -> None:
    other = Copyist(BANK_A, NETWORK[BANK_A].keys, "22" * 32)
    copy = other.seal(CONTENT, [DIRECTORY.by_lei(CENTRAL_BANK)])
    with pytest.raises(CopyUnreadable):
        copyist(CENTRAL_BANK).open(copy, DIRECTORY)


def announced(copy: bytes | None) -> tuple[str, dict[str, Any]]:
    """The `Instructed` event of a payment that names a copy."""
    name, arguments = committed(TRANSFER)
    terms = list(arguments["terms"])
    terms[3] = bytes(32) if copy is None else copy_hash(copy)
    return name, {**arguments, "terms": tuple(terms)}


class TestTheDebtorBank:
    def test_ibk_40_puts_the_hash_of_a_copy_for_the_issuers_into_the_terms(
        self, tmp_path: Path
    ) -> None:
        bridge = bank(tmp_path)
        payment_id = instruct(bridge)
        with bridge.store.reading() as work:
            payment = work.payments.get(payment_id)
            copy = work.messages.get(copy_id(payment)).document
            sent = work.messages.get(f"{payment_id}:pacs.008").document
        assert payment.terms.supervisor_copy_hash == copy_hash(copy)
        assert recipients_of(copy) == {CENTRAL_BANK}
        keys = bridge.network[CENTRAL_BANK].keys
        opened = Copyist(CENTRAL_BANK, keys, GENESIS_HASH.hex()).open(copy, bridge.chain.known)
        assert opened.content == CopyContent(payment.settlement_id, sent, payment.salt or b"")

    def test_ibk_40_seals_for_registered_supervisors_too(self, tmp_path: Path) -> None:
        bridge = bank(tmp_path)
        bridge.chain.known = Directory(
            replace(each, roles=each.roles | {"supervisor"}) if each.lei == PROVIDER else each
            for each in bridge.chain.known.participants
        )
        payment_id = instruct(bridge)
        with bridge.store.reading() as work:
            copy = work.messages.get(copy_id(work.payments.get(payment_id))).document
        assert recipients_of(copy) == {CENTRAL_BANK, PROVIDER}

    def test_ibk_41_shows_it_to_no_customer(self, tmp_path: Path) -> None:
        bridge = bank(tmp_path)
        path = f"/v1/payments/{(payment_id := instruct(bridge))}/messages"
        items = bridge.request("GET", path, token=ALICE).json()["items"]
        assert [item["name"] for item in items] == ["pacs.008.001.08"]
        hidden = bridge.request("GET", f"{path}/{payment_id}:supervisor-copy", token=ALICE)
        assert hidden.status_code == 404


class TestTheCreditorBank:
    @pytest.mark.parametrize(
        ("make", "is_accepted"),
        [
            (lambda: (COPY, COPY), True),
            (lambda: (COPY, None), False),
            (lambda: (COPY, copy_for(CENTRAL_BANK)), False),
            (lambda: (junk := b"junk", junk), False),
            (lambda: (copy := copy_for(CENTRAL_BANK, BANK_A), copy), False),
            (lambda: (copy := copy_for(PROVIDER), copy), False),
            (lambda: (None, None), True),
        ],
        ids=["right", "not shown", "another", "junk", "open to a bank", "without issuer", "none"],
    )
    def test_ibk_42_accepts_only_what_is_copied_as_the_terms_say(
        self,
        tmp_path: Path,
        make: Callable[[], tuple[bytes | None, bytes | None]],
        is_accepted: bool,
    ) -> None:
        named, shown = make()
        desk = Desk(BANK_B, tmp_path)
        desk.sees(announced(named))
        desk.takes(transfer_with(shown))
        payment = desk.considers()
        if is_accepted:
            assert payment.state is PaymentState.ACCEPTED
        else:
            assert (payment.state, payment.reason) == (PaymentState.REFUSED, StatusReason.FF01)

    def test_ibk_42_may_refuse_what_names_no_copy(self, tmp_path: Path) -> None:
        desk = Desk(BANK_B, tmp_path, requires_supervisor_copy=True)
        desk.sees(announced(None))
        desk.takes(transfer_with(None))
        assert desk.considers().reason == StatusReason.FF01


def transfer_with(copy: bytes | None) -> Received:
    body = {
        "settlement_id": KEY.hex(),
        "salt": SALT.hex(),
        "document": CONTENT.document.decode(),
    }
    shown = {} if copy is None else {"copy": copy.decode()}
    return Received(BANK_A, Kind.CREDIT_TRANSFER, {**body, **shown})


class TestTheCentralBank:
    @pytest.fixture
    def bridge(self, tmp_path: Path) -> Bridge:
        return central_bank(tmp_path)

    def sees(
        self,
        bridge: Bridge,
        copy: bytes | None,
        currency: str = "EUR",
        commitment: bytes | None = None,
        key: bytes = KEY,
    ) -> None:
        _, arguments = announced(copy)
        terms = list(arguments["terms"])
        terms[2] = commitment or terms[2]
        _, payer, payee, amount = terms[1][0]
        terms[1] = ((currency.encode(), payer, payee, amount),)
        event = ChainEvent(
            SETTLEMENT,
            "Instructed",
            b"",
            1,
            b"",
            0,
            b"",
            {**arguments, "paymentId": key, "terms": tuple(terms)},
        )
        institution = bridge.api.state.services.institution
        with bridge.store.unit_of_work() as work:
            expect_copy(institution, work, event, terms_of_event(event), NOW)

    def takes(self, bridge: Bridge, copy: bytes, sender: str = BANK_A, key: bytes = KEY) -> None:
        body = {"settlement_id": key.hex(), "copy": copy.decode()}
        institution = bridge.api.state.services.institution
        bridge.chain.known = DIRECTORY
        institution.interbank._keys = NETWORK[CENTRAL_BANK].keys
        received = Received(sender, Kind.SUPERVISOR_COPY, body)
        taking = receivers(institution)[Kind.SUPERVISOR_COPY](received)
        with bridge.store.unit_of_work() as work:
            taking(work)

    def shown(self, bridge: Bridge) -> list[tuple[str, str | None]]:
        answer = bridge.request("GET", "/v1/supervision/copies", token=OPERATOR)
        return [(item["state"], item["finding"]) for item in answer.json()["items"]]

    def test_ibk_44_sees_which_payments_have_no_copy_and_which_copies_are_missing(
        self, bridge: Bridge
    ) -> None:
        self.sees(bridge, None)
        assert self.shown(bridge) == [("none", None)]

    def test_ibk_44_sees_only_payments_in_its_currency(self, bridge: Bridge) -> None:
        self.sees(bridge, COPY, currency="SGD")
        assert self.shown(bridge) == []

    def test_ibk_43_takes_and_reads_the_copy_that_the_chain_names(self, bridge: Bridge) -> None:
        self.sees(bridge, COPY)
        assert self.shown(bridge) == [("awaited", None)]
        self.takes(bridge, COPY)
        assert self.shown(bridge) == [("received", None)]
        path = f"/v1/supervision/copies/0x{KEY.hex()}"
        answer = bridge.request("GET", f"{path}/document", token=OPERATOR)
        assert answer.headers["content-type"] == "application/xml"
        assert parse_credit_transfer(answer.content) == TRANSFER
        assert bridge.request("GET", path, token=OPERATOR).json()["state"] == "received"
        assert bridge.request("GET", f"{path}/document").status_code == 401

    def test_ibk_43_waits_for_the_chain(self, bridge: Bridge) -> None:
        with pytest.raises(CopyNotAnnounced):
            self.takes(bridge, COPY)

    def test_ibk_43_takes_no_other_copy_and_from_nobody_else(self, bridge: Bridge) -> None:
        self.sees(bridge, COPY)
        for copy, sender in ((copy_for(CENTRAL_BANK), BANK_A), (COPY, BANK_B)):
            with pytest.raises(CopyMismatch):
                self.takes(bridge, copy, sender)
        assert self.shown(bridge) == [("awaited", None)]

    @pytest.mark.parametrize(
        ("copy", "finding"),
        [
            (copy_for(PROVIDER), "not sealed for this institution"),
            (copy_for(CENTRAL_BANK, sender=BANK_B), "signed by another"),
            (copy_for(CENTRAL_BANK, content=replace(CONTENT, salt=bytes(32))), "commits to"),
            (copy_for(CENTRAL_BANK, content=replace(CONTENT, document=b"<x/>")), "refused"),
            (
                copy_for(
                    CENTRAL_BANK,
                    content=replace(
                        CONTENT,
                        document=format_credit_transfer(
                            replace(TRANSFER, uetr="11111111-1111-4111-8111-111111111111")  # type: ignore[arg-type]
                        ),
                    ),
                ),
                "another payment",
            ),
        ],
        ids=["unreadable", "forged", "another salt", "no message", "another payment"],
    )
    def test_ibk_43_keeps_what_does_not_fit_with_its_finding(
        self, bridge: Bridge, copy: bytes, finding: str
    ) -> None:
        self.sees(bridge, copy)
        self.takes(bridge, copy)
        ((state, found),) = self.shown(bridge)
        assert state == "received"
        assert found is not None
        assert finding in found

    @pytest.mark.parametrize(
        ("number", "finding"), [(7, None), (8, "another payment"), (None, "another payment")]
    )
    def test_ibk_43_holds_the_copy_of_a_return_against_the_chain(
        self, bridge: Bridge, number: int | None, finding: str | None
    ) -> None:
        message = payment_return()
        key = return_id(BANK_A, message.original.uetr, 7)
        content = CopyContent(key, format_payment_return(message), SALT, number)
        copy = copy_for(CENTRAL_BANK, content=content)
        self.sees(bridge, copy, commitment=commit(canonical_content(message), SALT), key=key)
        self.takes(bridge, copy, key=key)
        ((state, found),) = self.shown(bridge)
        assert (state, found) == ("received", None if finding is None else f"it is of {finding}")

    @pytest.mark.parametrize(
        ("document", "finding"),
        [
            (format_payment_return(payment_return()), "another payment"),
            (format_status_report(status_report()), "no payment"),
        ],
    )
    def test_ibk_43_what_is_no_such_payment_is_a_finding(
        self, bridge: Bridge, document: bytes, finding: str
    ) -> None:
        """A return's message says nothing of a payment, whatever the payment commits to."""
        copy = copy_for(CENTRAL_BANK, content=replace(CONTENT, document=document))
        self.sees(bridge, copy)
        self.takes(bridge, copy)
        ((state, found),) = self.shown(bridge)
        assert (state, finding in (found or "")) == ("received", True)

    @pytest.mark.parametrize("path", ["zz", "00" * 32, f"{KEY.hex()}/document"])
    def test_ibk_44_what_is_not_here_is_unknown(self, bridge: Bridge, path: str) -> None:
        self.sees(bridge, COPY)
        answer = bridge.request("GET", f"/v1/supervision/copies/{path}", token=OPERATOR)
        assert answer.status_code == 404


def test_ibk_41_a_payment_on_the_chain_is_delivered_with_its_copies(tmp_path: Path) -> None:
    """The debtor bank hears of its own instruction and records what goes to whom."""
    bridge = bank(tmp_path)
    payment_id = instruct(bridge)
    institution = bridge.api.state.services.institution
    with bridge.store.reading() as work:
        payment = work.payments.get(payment_id)
    with bridge.store.unit_of_work() as work:
        follow(institution, work, payment, Event(Fact.INSTRUCTED), at=NOW)
        page = work.deliveries.page(limit=9, cursor=None).items
        bodies = {each.peer_lei: work.deliveries.body(each) for each in page}
    assert {(each.peer_lei, each.kind) for each in page} == {
        (payment.counterparty_lei, "pacs.008"),
        (CENTRAL_BANK, "supervisor-copy"),
    }
    assert bodies[CENTRAL_BANK]["copy"] == bodies[payment.counterparty_lei]["copy"]
