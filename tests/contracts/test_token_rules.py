"""Pauses, limits and opening hours of a currency, and how payments meet them (TOK-17 to TOK-19)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.primitives import keccak
from support.chain_harness import Contract, Receipt, refused
from support.settlement_network import ALPHA, BETA, EUR, HOUR, MAKER, SGD, Street
from support.token_desk import DAY, FIRST, SECOND, WHOLE, freeze, ordered, propose, text
from support.waiting import pay, resolve, terms_of, waiting

OWNER, PAYEE = ALPHA.operating, BETA.operating
HOLDER = ALPHA.settlement.address
REFERENCE = keccak(b"reference")
ISSUE, REDEEM, TRANSFER, SETTLE, HOLD = range(5)
MONDAY_TO_FRIDAY = 0b0011111
MONDAY = 1_800_000_000 // DAY * DAY + 3 * DAY  # 2027-01-18, 00:00 UTC.


@pytest.fixture
def euro(street: Street) -> Contract:
    """Alpha holds 1,000 cents in its settlement and 500 in its operating account; 9,000 are attested."""
    street.fund(EUR, {ALPHA: 1_500, BETA: 50})
    street.attest(EUR, street.attestation(EUR, 9_000))
    token = street.tokens[EUR]
    token.transact(ALPHA.settlement, "transfer", OWNER.address, 500)
    return token


def standing(token: Contract) -> tuple[bool, int]:
    """Return whether payments settle now, and the business day."""
    found = token.read("standingOf", HOLDER, BETA.settlement.address, b"")
    return found[0], found[2]


# Pauses (TOK-17).


@pytest.mark.usefixtures("euro")
def test_tok_17_each_function_is_paused_by_itself(street: Street) -> None:
    hold = (REFERENCE, HOLDER, BETA.settlement.address, MAKER.operating.address, 1)
    acts: dict[int, Callable[[Street], Receipt]] = {
        ISSUE: lambda s: s.issue(EUR, ALPHA, 1, "while paused"),
        REDEEM: lambda s: s.tokens[EUR].transact(OWNER, "redeem", REFERENCE, HOLDER, 1),
        TRANSFER: lambda s: s.tokens[EUR].transact(OWNER, "transfer", PAYEE.address, 1),
        HOLD: lambda s: s.tokens[EUR].transact(OWNER, "createHold", *hold, s.now),
    }
    for paused in range(5):
        stopped = street.fork()
        receipt = stopped.tokens[EUR].transact(FIRST, "pause", paused)
        assert receipt.event("FunctionPaused").arguments["officer"] == text(FIRST.address)
        assert [stopped.tokens[EUR].read("isPaused", each) for each in range(5)] == [
            each == paused for each in range(5)
        ]
        assert standing(stopped.tokens[EUR])[0] is (paused != SETTLE)
        for function, act in acts.items():
            if function == paused:
                with refused("TokenFunctionPaused", paused):
                    act(stopped)
            else:
                act(stopped.fork())


def test_tok_17_a_hold_is_not_executed_while_paused_but_given_back(euro: Contract) -> None:
    terms = (keccak(b"h"), HOLDER, BETA.settlement.address, MAKER.operating.address, 10)
    receipt = euro.transact(OWNER, "createHold", *terms, euro.chain.now)
    hold_id = receipt.event("HoldCreated").arguments["holdId"]
    euro.transact(FIRST, "pause", HOLD)
    with refused("TokenFunctionPaused", HOLD):
        euro.transact(MAKER.operating, "executeHold", hold_id, 1)
    euro.transact(MAKER.operating, "releaseHold", hold_id)
    assert euro.read("heldOf", HOLDER) == 0


def test_tok_17_one_pauses_and_two_resume(euro: Contract) -> None:
    euro.transact(SECOND, "pause", ISSUE)
    with refused("TokenFunctionPaused", ISSUE):
        euro.transact(FIRST, "pause", ISSUE)
    with refused("TokenOrderMissing"):
        euro.transact(FIRST, "resume", ISSUE)
    order_id, receipt = ordered(euro, "resume", ISSUE)
    assert receipt.event("FunctionResumed").arguments["orderId"] == order_id
    assert euro.read("isPaused", ISSUE) is False
    again = propose(euro, "resume", ISSUE, reference="again")
    euro.transact(SECOND, "confirm", again)
    with refused("TokenFunctionNotPaused", ISSUE):
        euro.transact(FIRST, "resume", ISSUE)


def test_tok_17_a_paused_currency_queues_payments_and_settles_them_after(
    street: Street, euro: Contract
) -> None:
    euro.transact(FIRST, "pause", SETTLE)
    terms = terms_of(street, ALPHA, BETA, 100)
    payment_id = pay(street, ALPHA, BETA, terms)
    with refused("SettlementNothingToSettle"):
        resolve(street, {payment_id: terms})
    ordered(euro, "resume", SETTLE)
    assert "PaymentSettled" in resolve(street, {payment_id: terms})


# Limits (TOK-18).


def test_tok_18_there_is_no_limit_at_first(euro: Contract) -> None:
    assert euro.read("tokenLimits") == (WHOLE, WHOLE, WHOLE)
    receipt = euro.transact(SECOND, "setLimits", (1, 2, 3))
    assert receipt.event("TokenLimitsSet").arguments == {
        "holdingMax": 1,
        "receiptMax": 2,
        "paymentMax": 3,
    }
    assert euro.read("tokenLimits") == (1, 2, 3)


def test_tok_18_a_holding_stays_below_its_limit(euro: Contract) -> None:
    euro.transact(FIRST, "setLimits", (100, WHOLE, WHOLE))
    euro.transact(OWNER, "transfer", PAYEE.address, 60)
    with refused("TokenHoldingLimit", text(PAYEE.address), 60, 100):
        euro.transact(OWNER, "transfer", PAYEE.address, 41)
    with refused("TokenHoldingLimit", text(PAYEE.address), 60, 100):
        euro.transact(OWNER, "transfer", PAYEE.address, WHOLE)
    euro.transact(OWNER, "transfer", PAYEE.address, 40)
    euro.transact(OWNER, "transfer", OWNER.address, 400)
    euro.transact(OWNER, "transfer", HOLDER, 100)


def test_tok_18_receipts_of_a_business_day_stay_below_their_limit(euro: Contract) -> None:
    euro.transact(FIRST, "setLimits", (WHOLE, 100, WHOLE))
    euro.transact(OWNER, "transfer", PAYEE.address, 60)
    euro.transact(PAYEE, "transfer", OWNER.address, 60)
    with refused("TokenReceiptLimit", text(PAYEE.address), 60, 100):
        euro.transact(OWNER, "transfer", PAYEE.address, 41)
    euro.transact(OWNER, "transfer", PAYEE.address, 40)
    euro.chain.now += DAY
    euro.transact(OWNER, "transfer", PAYEE.address, 100)
    assert euro.read("canTransfer", OWNER.address, PAYEE.address, 1) is False


def test_tok_18_limits_of_holdings_are_not_for_settlement_accounts(
    street: Street, euro: Contract
) -> None:
    euro.transact(FIRST, "setLimits", (0, 0, WHOLE))
    euro.transact(OWNER, "transfer", HOLDER, 500)
    street.issue(EUR, BETA, 1, "within limits")
    pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, 100))
    assert street.balance(BETA, EUR) == 151


def test_tok_18_a_payment_above_its_limit_waits(street: Street, euro: Contract) -> None:
    euro.transact(FIRST, "setLimits", (WHOLE, WHOLE, 99))
    terms = terms_of(street, ALPHA, BETA, 100)
    payment_id = pay(street, ALPHA, BETA, terms)
    with refused("SettlementNothingToSettle"):
        resolve(street, {payment_id: terms})
    euro.transact(FIRST, "setLimits", (WHOLE, WHOLE, 100))
    assert "PaymentSettled" in resolve(street, {payment_id: terms})


# Opening hours (TOK-19).


HOURS = [
    # Open 07:00 to 18:00 local time, UTC+1, Monday to Friday.
    ("06:00 UTC Monday", (7, 18, 1), 6 * HOUR, True, 0),
    ("a second before", (7, 18, 1), 6 * HOUR - 1, False, 0),
    ("last second", (7, 18, 1), 17 * HOUR - 1, True, 0),
    ("close", (7, 18, 1), 17 * HOUR, False, 0),
    ("23:00 UTC is Tuesday", (7, 18, 1), 23 * HOUR, False, 1),
    ("Saturday", (7, 18, 1), 5 * DAY + 9 * HOUR, False, 5),
    ("Sunday 23:00 UTC is Monday", (7, 18, 1), -1 * HOUR, False, 0),
    # All day, UTC-5.
    ("all day", (0, 0, -5), 12 * HOUR, True, 0),
    ("Sunday still", (0, 0, -5), 5 * HOUR - 1, False, -1),
    # Overnight, 19:00 to 18:00 local time of the next day, UTC.
    ("Sunday evening is Monday's", (19, 18, 0), -5 * HOUR, True, 0),
    ("before the opening", (19, 18, 0), -5 * HOUR - 1, False, -1),
    ("Monday noon", (19, 18, 0), 12 * HOUR, True, 0),
    ("between", (19, 18, 0), 18 * HOUR, False, 0),
    ("Friday evening is Saturday's", (19, 18, 0), 4 * DAY + 20 * HOUR, False, 5),
]


@pytest.mark.parametrize(
    ("hours", "after", "is_open", "day"), [row[1:] for row in HOURS], ids=[row[0] for row in HOURS]
)
def test_tok_19_hours_and_business_days(
    euro: Contract, hours: tuple[int, int, int], after: int, is_open: bool, day: int
) -> None:
    opens, closes, offset = hours
    window = (opens * HOUR, closes * HOUR, MONDAY_TO_FRIDAY, offset * HOUR)
    _, receipt = ordered(euro, "setOpeningHours", window)
    assert tuple(receipt.event("OpeningHoursSet").arguments.values()) == window
    assert euro.read("openingHours") == window
    euro.chain.now = MONDAY + after
    assert standing(euro) == (is_open, MONDAY // DAY + day)


def test_tok_19_a_currency_is_open_all_week_at_first(euro: Contract) -> None:
    assert euro.read("openingHours") == (0, 0, 0, 0)
    for day in range(7):
        euro.chain.now = MONDAY + day * DAY + 12_345
        assert standing(euro) == (True, MONDAY // DAY + day)


@pytest.mark.parametrize(
    "window",
    [
        (DAY, 0, 1, 0),
        (0, DAY, 1, 0),
        (0, 0, 128, 0),
        (0, 0, 1, 14 * HOUR + 1),
        (0, 0, 1, -14 * HOUR - 1),
    ],
)
def test_tok_19_hours_that_no_day_has_are_refused(
    euro: Contract, window: tuple[int, int, int, int]
) -> None:
    order_id = propose(euro, "setOpeningHours", window)
    euro.transact(SECOND, "confirm", order_id)
    with refused("TokenInvalidHours"):
        euro.transact(FIRST, "setOpeningHours", window)


def test_tok_19_a_payment_waits_for_the_opening(street: Street, euro: Contract) -> None:
    street.chain.now = MONDAY - HOUR
    ordered(euro, "setOpeningHours", (0, 0, MONDAY_TO_FRIDAY, 0))
    terms = replace(terms_of(street, ALPHA, BETA, 100), settle_by=MONDAY + HOUR)
    payment_id = pay(street, ALPHA, BETA, terms)
    assert waiting(street, ALPHA) == (1, 100)
    street.chain.now = MONDAY
    assert "PaymentSettled" in resolve(street, {payment_id: terms})


# Freezes as the settlement contract meets them (TOK-8, TOK-14).


def test_tok_8_money_set_aside_settles_although_a_later_freeze_covers_it(
    street: Street, euro: Contract
) -> None:
    quote = replace(street.quote(maker_amount=150), may_queue=True)
    terms = street.quoted_terms(quote)
    payment_id = street.instruct_with_quote(terms, quote)
    street.accept(payment_id, terms)
    assert euro.read("reservedFor", payment_id, HOLDER) == 100
    freeze(euro, HOLDER, 5_000)
    assert euro.read("availableOf", HOLDER) == 0
    street.fund(SGD, {MAKER: 150})
    assert "PaymentSettled" in resolve(street, {payment_id: terms})
    assert (street.balance(ALPHA, EUR), street.balance(BETA, SGD)) == (900, 150)
    assert euro.read("heldOf", HOLDER) == 0


def test_tok_14_a_whole_freeze_keeps_a_payment_waiting_and_its_money_set_aside(
    street: Street, euro: Contract
) -> None:
    quote = replace(street.quote(maker_amount=150), may_queue=True)
    terms = street.quoted_terms(quote)
    payment_id = street.instruct_with_quote(terms, quote)
    street.accept(payment_id, terms)
    freeze(euro, HOLDER, WHOLE)
    street.fund(SGD, {MAKER: 150})
    with refused("SettlementNothingToSettle"):
        resolve(street, {payment_id: terms})
    assert euro.read("reservedFor", payment_id, HOLDER) == 100
