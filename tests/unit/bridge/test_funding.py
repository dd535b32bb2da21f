"""A bank's orders of tokens: what the chain and the central bank can, and cannot, do to its books."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge import chart
from bridge.centralbank.funding import Funding, fund, order_reference, redeem
from bridge.chain import FinalTransaction
from bridge.errors import CurrencyUnsupported, EnvelopeInvalid, PeerRefused, PeerUnavailable
from bridge.issuance import Issuance, IssuanceState
from bridge.money import Amount, parse_currency
from bridge.worker import Done
from support.bridge_api import CENTRAL_BANK, NOW, SECRET
from support.participants import BANK_A, BANK_B
from support.token_books import (
    A_ADDRESS,
    B_ADDRESS,
    EUR,
    OPENING,
    Books,
    bank_books,
    token_event,
)

LATER = NOW + 7
TOKENS, RESERVES = chart.tokens(EUR), chart.reserves(EUR)


class Bank:
    """Bank A with one order."""

    def __init__(self, folder: Path) -> None:
        self.books: Books = bank_books(folder)
        self.funding = Funding(self.books.institution, self.books.submitter)

    def orders(self, cents: int) -> Issuance:
        return fund(self.books.institution, Amount(EUR, cents), "issue|key")

    def redeems(self, cents: int) -> Issuance:
        return redeem(self.books.institution, Amount(EUR, cents), "redeem|key")

    def asks(self) -> object:
        """Carry out the one effect that is due."""
        (effect,) = self.books.due()
        return self.funding.request(effect)

    def sees(self, name: str, reference: bytes, amount: int, **change: bytes) -> None:
        event = token_event(name, reference, amount)
        account = change.get("account")
        if account is not None:
            event = token_event(name, reference, amount, account=account)
        event = replace(event, address=change.get("token", event.address))
        with self.books.institution.store.unit_of_work() as work:
            self.funding.observe(work, event, LATER)

    def order(self, reference: bytes) -> Issuance:
        with self.books.institution.store.reading() as work:
            return work.issuances.get(reference)

    def moved(self) -> tuple[int, int]:
        """What came to tokens and to reserves."""
        return self.books.ledger(TOKENS), self.books.ledger(RESERVES)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path)


def test_a_reference_takes_the_institutions_secret() -> None:
    assert order_reference(SECRET, BANK_A, "k") == order_reference(SECRET, BANK_A, "k")
    others = [(b"\x08" * 32, BANK_A, "k"), (SECRET, BANK_B, "k"), (SECRET, BANK_A, "l")]
    assert order_reference(SECRET, BANK_A, "k") not in {order_reference(*each) for each in others}


def test_a_final_mint_posts_the_order_at_the_time_of_its_block(bank: Bank) -> None:
    ordered = bank.orders(500)
    bank.sees("Issued", ordered.reference, 500)
    assert bank.moved() == (500, -500)
    assert bank.order(ordered.reference).state is IssuanceState.ISSUED
    with bank.books.institution.store.reading() as work:
        assert work.ledger.entry(f"issuance:{ordered.reference.hex()}").resolved_at == LATER


def test_a_final_burn_posts_the_redemption(bank: Bank) -> None:
    ordered = bank.redeems(500)
    bank.sees("Redeemed", ordered.reference, 500)
    assert bank.moved() == (-500, 500)
    assert bank.order(ordered.reference).state is IssuanceState.REDEEMED


@pytest.mark.parametrize(
    ("name", "amount", "change"),
    [
        ("Redeemed", 500, {"account": B_ADDRESS}),
        ("Redeemed", 1, {"account": B_ADDRESS}),
        ("Redeemed", 1, {}),
        ("Redeemed", 500, {"token": b"\xdd" * 20}),
        ("Issued", 500, {}),
    ],
)
def test_a_redemption_is_not_posted_by_another_event_under_its_reference(
    bank: Bank, name: str, amount: int, change: dict[str, bytes]
) -> None:
    ordered = bank.redeems(500)
    bank.sees(name, ordered.reference, amount, **change)
    assert bank.moved() == (0, 0)
    assert bank.order(ordered.reference) == ordered


@pytest.mark.parametrize(
    ("name", "amount", "change"),
    [
        ("Redeemed", 500, {"account": B_ADDRESS}),
        ("Redeemed", 500, {}),
        ("Issued", 499, {}),
        ("Issued", 500, {"account": B_ADDRESS}),
        ("Issued", 500, {"token": b"\xdd" * 20}),
    ],
)
def test_an_issuance_is_not_posted_by_another_event_under_its_reference(
    bank: Bank, name: str, amount: int, change: dict[str, bytes]
) -> None:
    ordered = bank.orders(500)
    bank.sees(name, ordered.reference, amount, **change)
    assert bank.moved() == (0, 0)
    assert bank.order(ordered.reference) == ordered


def test_an_event_is_booked_once(bank: Bank) -> None:
    ordered = bank.orders(500)
    bank.sees("Issued", ordered.reference, 500)
    bank.sees("Issued", ordered.reference, 500)
    assert bank.moved() == (500, -500)


@pytest.mark.parametrize(
    ("account", "breaks"), [(A_ADDRESS, 1), (B_ADDRESS, 0)], ids=["ours", "another's"]
)
def test_a_mint_that_nobody_here_ordered_is_a_break_only_when_it_is_to_us(
    bank: Bank, capsys: pytest.CaptureFixture[str], account: bytes, breaks: int
) -> None:
    bank.sees("Issued", b"\x05" * 32, 500, account=account)
    assert bank.moved() == (0, 0)
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("token_break") == breaks


@pytest.mark.parametrize(
    ("problem", "reason"), [("insufficient_funds", "AM04"), ("currency_unsupported", "AM03")]
)
def test_a_refusal_that_booked_nothing_frees_the_reserves(
    bank: Bank, problem: str, reason: str
) -> None:
    ordered = bank.orders(500)
    bank.books.peer.refusal = PeerRefused(CENTRAL_BANK, problem)
    assert bank.asks() == Done()
    refused = bank.order(ordered.reference)
    assert (refused.state, refused.reason) == (IssuanceState.REFUSED, reason)
    assert bank.books.available(RESERVES) == OPENING


@pytest.mark.parametrize(
    "problem",
    ["envelope_invalid", "participant_unknown", "issuance_conflict", "http_404", "internal_error"],
)
def test_any_other_refusal_is_tried_again_and_keeps_the_reserves_aside(
    bank: Bank, problem: str
) -> None:
    ordered = bank.orders(500)
    bank.books.peer.refusal = PeerRefused(CENTRAL_BANK, problem)
    with pytest.raises(PeerUnavailable):
        bank.asks()
    assert bank.order(ordered.reference) == ordered
    assert bank.books.available(RESERVES) == OPENING - 500
    bank.sees("Issued", ordered.reference, 500)
    assert bank.moved() == (500, -500)


def test_an_answer_that_cannot_be_read_is_asked_for_again(bank: Bank) -> None:
    ordered = bank.orders(500)
    bank.books.peer.refusal = EnvelopeInvalid("it cannot be unsealed")
    with pytest.raises(PeerUnavailable):
        bank.asks()
    assert bank.order(ordered.reference) == ordered


def test_tokens_that_come_after_a_refusal_are_booked_even_without_reserves(bank: Bank) -> None:
    ordered = bank.orders(OPENING)
    bank.books.peer.refusal = PeerRefused(CENTRAL_BANK, "insufficient_funds")
    bank.asks()
    fund(bank.books.institution, Amount(EUR, OPENING), "issue|another")
    bank.sees("Issued", ordered.reference, OPENING)
    assert bank.moved() == (OPENING, -OPENING)
    settled = bank.order(ordered.reference)
    assert (settled.state, settled.reason) == (IssuanceState.ISSUED, None)
    bank.sees("Issued", ordered.reference, OPENING)
    assert bank.moved() == (OPENING, -OPENING)


def test_a_burn_that_reverted_frees_the_tokens(bank: Bank) -> None:
    ordered = bank.redeems(500)
    (effect,) = bank.books.due()
    assert bank.funding.burn(effect) == Done()
    (call,) = bank.books.sent.calls
    final = FinalTransaction(b"\x77" * 32, call.purpose, None, succeeded=False, block_number=1)
    with bank.books.institution.store.unit_of_work() as work:
        bank.funding.reverted(work, final, LATER)
    assert bank.order(ordered.reference).state is IssuanceState.REFUSED
    assert bank.books.available(TOKENS) == OPENING


def test_no_order_is_taken_in_a_currency_that_is_not_on_the_chain(bank: Bank) -> None:
    with pytest.raises(CurrencyUnsupported):
        fund(bank.books.institution, Amount(parse_currency("JPY"), 1), "yen")
