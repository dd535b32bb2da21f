"""The central bank's side of issuance: what is minted, and what final events do to its books."""

from pathlib import Path

import pytest

from bridge import chart
from bridge.centralbank.issuing import Issuing
from bridge.centralbank.rtgs import Rtgs
from bridge.centralbank.statements import Statements
from bridge.chain import Attestation, ChainEvent
from bridge.interbank import Kind, Received
from bridge.issuance import IssuanceState
from bridge.worker import Done, Retry
from support.bridge_api import NOW
from support.participants import BANK_A, BANK_B
from support.token_books import (
    A_ADDRESS,
    B_ADDRESS,
    EUR,
    Books,
    central_bank_books,
    token_event,
)

LATER = NOW + 7
REFERENCE = b"\x21" * 32
OUTSTANDING = chart.tokens_outstanding(EUR)


class CentralBank:
    """The central bank, asked by bank A for 5 euros."""

    def __init__(self, folder: Path) -> None:
        self.books: Books = central_bank_books(folder)
        rtgs = Rtgs(self.books.institution, Statements(self.books.institution))
        self.issuing = Issuing(self.books.institution, self.books.submitter, rtgs)
        body = {"reference": REFERENCE.hex(), "amount": "5.00", "currency": "EUR"}
        self.issuing.receive(_received(body))

    def attests(self, amount: int) -> None:
        self.books.chain.attested = Attestation(1, NOW, NOW + 60, amount, bytes(32))

    def sees(self, event: ChainEvent) -> None:
        with self.books.institution.store.unit_of_work() as work:
            self.issuing.observe(work, event, LATER)

    def state(self) -> IssuanceState:
        with self.books.institution.store.reading() as work:
            return work.issuances.get(REFERENCE).state


def _received(body: dict[str, str]) -> Received:
    """A request of bank A, already unsealed."""
    return Received(BANK_A, Kind.ISSUANCE_REQUEST, body)


@pytest.fixture
def issuer(tmp_path: Path) -> CentralBank:
    return CentralBank(tmp_path)


def test_it_mints_once_the_reserves_are_attested(issuer: CentralBank) -> None:
    (effect,) = issuer.books.due()
    assert isinstance(issuer.issuing.issue(effect), Retry)
    issuer.attests(500)
    assert issuer.issuing.issue(effect) == Done()
    assert len(issuer.books.sent.calls) == 1


def test_it_does_not_mint_what_it_has_minted(issuer: CentralBank) -> None:
    (effect,) = issuer.books.due()
    issuer.attests(500)
    issuer.books.chain.minted.add(REFERENCE)
    assert issuer.issuing.issue(effect) == Done()
    assert not issuer.books.sent.calls


def test_another_banks_burn_under_a_reference_does_not_keep_it_from_minting(
    issuer: CentralBank,
) -> None:
    issuer.sees(token_event("Redeemed", REFERENCE, 1, account=B_ADDRESS))
    issuer.attests(500)
    (effect,) = issuer.books.due()
    assert issuer.issuing.issue(effect) == Done()
    assert len(issuer.books.sent.calls) == 1
    issuer.sees(token_event("Issued", REFERENCE, 500))
    assert issuer.state() is IssuanceState.ISSUED


@pytest.mark.parametrize(
    "event",
    [
        token_event("Issued", REFERENCE, 499),
        token_event("Issued", REFERENCE, 500, account=B_ADDRESS),
        token_event("Issued", b"\x22" * 32, 500),
    ],
    ids=["another amount", "another account", "another reference"],
)
def test_a_mint_that_nobody_ordered_is_a_break_and_completes_nothing(
    issuer: CentralBank, capsys: pytest.CaptureFixture[str], event: ChainEvent
) -> None:
    issuer.sees(event)
    assert issuer.state() is IssuanceState.FUNDED
    captured = capsys.readouterr()
    assert "token_break" in captured.out + captured.err


def test_an_event_of_another_token_is_none_of_its_business(issuer: CentralBank) -> None:
    for name in ("Issued", "Redeemed"):
        issuer.sees(token_event(name, REFERENCE, 500, token=b"\xdd" * 20))
    assert issuer.state() is IssuanceState.FUNDED
    assert issuer.books.ledger(OUTSTANDING) == 500


def test_two_banks_may_redeem_under_one_reference(issuer: CentralBank) -> None:
    issuer.sees(token_event("Redeemed", REFERENCE, 200, account=A_ADDRESS))
    issuer.sees(token_event("Redeemed", REFERENCE, 300, account=B_ADDRESS))
    assert issuer.books.ledger(OUTSTANDING) == 500 - 500
    assert issuer.books.ledger(chart.rtgs(BANK_A)) == 200 - 500
    assert issuer.books.ledger(chart.rtgs(BANK_B)) == 300


def test_a_release_is_booked_at_the_time_of_its_block(issuer: CentralBank) -> None:
    issuer.sees(token_event("Redeemed", REFERENCE, 200))
    with issuer.books.institution.store.reading() as work:
        booked = work.ledger.entry(f"redemption:{BANK_A}:{REFERENCE.hex()}")
    assert booked.entry.booked_at == LATER
