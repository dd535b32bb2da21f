"""Issuance by two persons, against a careless or a hostile operator.

Cites docs/spec/central-bank.md: CB-1 to CB-6.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge import chart
from bridge.approval import Proposal
from bridge.chain import Attestation
from bridge.errors import (
    InsufficientFunds,
    IssuanceConflict,
    IssuanceDeclined,
    IssuanceNotWaiting,
    IssuanceStopped,
    IssuanceUnreleased,
    OwnProposal,
)
from bridge.interbank import Kind, Received
from bridge.issuance import IssuanceState
from bridge.operating import Wish
from bridge.store import NewEffect
from support.bridge_api import NOW
from support.offices import OLGA, OTTO, Office, book_by_hand, central_bank_office
from support.participants import BANK_A, BANK_B
from support.token_books import EUR

REFERENCE = b"\x21" * 32
OTHER = b"\x22" * 32
DOCUMENT = {"participant": BANK_A, "amount": "500.00"}
RTGS_A, OUTSTANDING = chart.rtgs(BANK_A), chart.tokens_outstanding(EUR)


@pytest.fixture
def bank(tmp_path: Path) -> Office:
    """A central bank as production has it: no threshold, so every issuance takes two."""
    made = central_bank_office(tmp_path, issuance_threshold={})
    made.books.chain.attested = Attestation(1, NOW, NOW + 10_000, 10**9, bytes(32))
    return made


def ask(bank: Office, amount: str = "500.00", reference: bytes = REFERENCE) -> dict[str, str]:
    body = {"reference": reference.hex(), "amount": amount, "currency": "EUR"}
    desks = bank.office.desks()
    assert desks is not None
    return desks.issuing.receive(Received(BANK_A, Kind.ISSUANCE_REQUEST, body))


def asked(bank: Office, amount: str = "500.00", reference: bytes = REFERENCE) -> None:
    """A request that now waits for two operators."""
    with pytest.raises(IssuanceUnreleased):
        ask(bank, amount, reference)


def release(bank: Office, document: dict[str, str] = DOCUMENT) -> Proposal:
    return bank.done("issue_tokens", REFERENCE.hex(), document)


def state(bank: Office) -> IssuanceState:
    with bank.store.reading() as work:
        return work.issuances.get(REFERENCE).state


def mints(bank: Office) -> int:
    """How many mints were sent, after all that a worker could do."""
    handlers = bank.office.handlers()
    with bank.store.unit_of_work() as work:
        claimed = work.effects.claim(now=bank.now + 99, owner="w", limit=9, lease_seconds=0)
    for effect in claimed:
        handlers[effect.kind](effect)
    return len(bank.books.sent.calls)


def test_cb_1_without_a_threshold_every_issuance_takes_two_persons(bank: Office) -> None:
    asked(bank)
    asked(bank)
    assert (state(bank), mints(bank)) == (IssuanceState.REQUESTED, 0)
    with bank.store.reading() as work:
        assert work.ledger.balance(RTGS_A).available.minor_units == 50_000
        assert work.ledger.balance(OUTSTANDING).ledger.minor_units == 0
    assert release(bank).outcome == "released"
    assert ask(bank) == {"reference": REFERENCE.hex()}
    assert (state(bank), bank.ledger(OUTSTANDING)) == (IssuanceState.FUNDED, 50_000)
    assert mints(bank) == 1


def test_cb_1_up_to_the_threshold_nobody_is_asked(tmp_path: Path) -> None:
    bank = central_bank_office(tmp_path, issuance_threshold={"EUR": "300.00"})
    bank.books.chain.attested = Attestation(1, NOW, NOW + 10_000, 10**9, bytes(32))
    assert ask(bank, "300.00") == {"reference": REFERENCE.hex()}
    assert mints(bank) == 1
    bank.books.chain.minted.add(REFERENCE)
    asked(bank, "300.01", OTHER)
    assert mints(bank) == 1


def test_cb_2_nobody_releases_what_they_proposed(bank: Office) -> None:
    asked(bank)
    wish = Wish("issue_tokens", REFERENCE.hex(), DOCUMENT, "in haste")
    proposal = bank.four_eyes.propose(OLGA, wish, "k")
    with pytest.raises(OwnProposal):
        bank.four_eyes.approve(OLGA, proposal.proposal_id)
    assert (state(bank), mints(bank)) == (IssuanceState.REQUESTED, 0)


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "amount": "500.01"},
        {**DOCUMENT, "participant": BANK_B},
        {"amount": "500.00"},
        {**DOCUMENT, "extra": "1"},
    ],
)
def test_cb_2_two_persons_decide_on_what_they_saw(bank: Office, document: dict[str, str]) -> None:
    asked(bank)
    with pytest.raises(IssuanceNotWaiting):
        release(bank, document)
    assert (state(bank), mints(bank)) == (IssuanceState.REQUESTED, 0)


def test_cb_2_another_reference_is_not_released_with_it(bank: Office) -> None:
    asked(bank)
    asked(bank, "500.00", OTHER)
    release(bank)
    assert mints(bank) == 1
    with bank.store.reading() as work:
        assert work.issuances.get(OTHER).state is IssuanceState.REQUESTED
    for text in ("zz", "00" * 32):
        with pytest.raises(IssuanceNotWaiting):
            bank.done("issue_tokens", text, DOCUMENT)


def test_cb_2_a_request_is_released_once(bank: Office) -> None:
    asked(bank)
    release(bank)
    mints(bank)
    bank.books.chain.minted.add(REFERENCE)
    assert ask(bank) == {"reference": REFERENCE.hex()}
    with pytest.raises(IssuanceConflict):
        ask(bank, "600.00")
    assert (mints(bank), bank.ledger(OUTSTANDING)) == (1, 50_000)


def test_cb_3_a_forged_mark_or_effect_mints_nothing(bank: Office) -> None:
    asked(bank)
    with closing(sqlite3.connect(bank.path)) as raw:
        raw.execute("UPDATE issuances SET state = 'funded'")
        raw.commit()
    with bank.store.unit_of_work() as work:
        work.effects.add(
            NewEffect(
                kind="submit_issue",
                key="submit_issue:forged",
                payload={"reference": REFERENCE.hex()},
                due_at=NOW,
            )
        )
    assert mints(bank) == 0


def test_cb_3_a_forged_approval_of_one_person_is_no_approval(bank: Office) -> None:
    asked(bank)
    wish = Wish("issue_tokens", REFERENCE.hex(), DOCUMENT, "in haste")
    bank.four_eyes.propose(OLGA, wish, "k")
    with closing(sqlite3.connect(bank.path)) as raw, pytest.raises(sqlite3.IntegrityError):
        raw.execute("UPDATE proposals SET state = 'approved', decided_by = 'olga', decided_at = 1")


def test_cb_3_without_the_reserves_an_approval_mints_nothing(bank: Office) -> None:
    """Both operators are hostile and write what they like: the reserves are still not set aside."""
    asked(bank)
    with closing(sqlite3.connect(bank.path)) as raw:
        raw.execute(
            "INSERT INTO proposals (proposal_id, kind, subject, document, note, proposed_by, "
            "proposed_at, state, decided_by, decided_at) VALUES ('p', 'issue_tokens', ?, ?, 'n', "
            "'olga', 1, 'approved', 'otto', 2)",
            (REFERENCE.hex(), f'{{"participant": "{BANK_A}", "amount": "500.00"}}'),
        )
        raw.execute("UPDATE issuances SET state = 'funded'")
        raw.commit()
    with bank.store.unit_of_work() as work:
        work.effects.add(
            NewEffect(
                kind="submit_issue",
                key="submit_issue:forged",
                payload={"reference": REFERENCE.hex()},
                due_at=NOW,
            )
        )
    assert mints(bank) == 0


def test_cb_3_a_release_after_the_reserves_fell_is_refused(bank: Office) -> None:
    asked(bank)
    book_by_hand(bank, RTGS_A, chart.lending(EUR), 60_000, "seized")
    with pytest.raises(InsufficientFunds):
        release(bank)
    assert (state(bank), mints(bank)) == (IssuanceState.REQUESTED, 0)


def test_cb_4_what_is_declined_is_free_again_and_never_issued(bank: Office) -> None:
    asked(bank)
    assert bank.done("decline_issuance", REFERENCE.hex(), DOCUMENT).outcome == "declined"
    with bank.store.reading() as work:
        assert work.ledger.balance(RTGS_A).available.minor_units == 100_000
    with pytest.raises(IssuanceDeclined):
        ask(bank)
    with pytest.raises(IssuanceNotWaiting):
        release(bank)
    assert mints(bank) == 0


def test_cb_4_what_is_funded_is_not_declined(bank: Office) -> None:
    asked(bank)
    wish = Wish("decline_issuance", REFERENCE.hex(), DOCUMENT, "no")
    proposal = bank.four_eyes.propose(OLGA, wish, "k")
    release(bank)
    with pytest.raises(IssuanceNotWaiting):
        bank.four_eyes.approve(OTTO, proposal.proposal_id)


@pytest.mark.parametrize(
    "attested",
    [
        Attestation(1, NOW, NOW + 10_000, 49_999, bytes(32)),
        Attestation(1, NOW, NOW + 9, 10**9, bytes(32)),
        Attestation(0, 0, 0, 0, bytes(32)),
    ],
    ids=["too little", "about to end", "none"],
)
def test_cb_5_released_reserves_are_not_minted_before_they_are_attested(
    bank: Office, attested: Attestation
) -> None:
    asked(bank)
    release(bank)
    bank.books.chain.attested = attested
    assert mints(bank) == 0


def test_cb_6_an_open_break_stops_issuance_by_name_and_nothing_else(bank: Office) -> None:
    asked(bank)
    bank.books.chain.supply = 1
    bank.sees()
    with pytest.raises(IssuanceStopped):
        ask(bank, "1.00", OTHER)
    with pytest.raises(IssuanceStopped):
        release(bank)
    assert bank.done("grant_credit", BANK_A, {"amount": "1.00"}).outcome == "granted"
    bank.books.chain.supply = 0
    bank.sees()
    assert release(bank).outcome == "released"


def test_cb_6_a_break_that_opens_after_the_release_stops_the_mint(bank: Office) -> None:
    asked(bank)
    release(bank)
    bank.books.chain.supply = 1
    bank.sees()
    assert mints(bank) == 0
    bank.books.chain.supply = 0
    bank.sees()
    assert mints(bank) == 1
