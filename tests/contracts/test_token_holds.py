"""Holds, and the reserves and movements of the settlement contract (TOK-8, TOK-16)."""

from typing import Any

import pytest

from node.primitives import keccak
from support.chain_harness import Contract, Receipt, key_of, refused
from support.settlement_network import ALPHA, BETA, EUR, HOUR, MAKER, OPERATOR, Street
from support.token_desk import (
    CLEARING,
    DAY,
    FIRST,
    WHOLE,
    freeze,
    fund_desk,
    open_desk,
    ordered,
    text,
)
from support.transactions import Key
from support.waiting import pay, terms_of

PAYER, PAYEE = ALPHA.settlement.address, BETA.settlement.address
OWNER, NOTARY = ALPHA.operating, MAKER.operating
STRANGER = key_of("stranger")
REFERENCE = keccak(b"hold")
PAYMENT = keccak(b"payment")
HOLD_ID = keccak(ALPHA.lei.ljust(32, b"\0") + REFERENCE)
YEAR = 366 * DAY


@pytest.fixture
def euro(street: Street) -> Contract:
    """Alpha holds 1,000 cents."""
    street.fund(EUR, {ALPHA: 1_000, BETA: 50})
    return street.tokens[EUR]


@pytest.fixture
def desk(street: Street) -> Contract:
    """A token whose settlement contract is a key; Alpha holds 1,000, Beta 50."""
    token = open_desk(street)
    fund_desk(token, {ALPHA: 1_000, BETA: 50})
    return token


def hold(token: Contract, amount: int = 400, *, by: Key = OWNER, **changed: Any) -> Receipt:
    """Make a hold of Alpha for Beta, with Maker as notary, but for what is changed."""
    terms = {
        "reference": REFERENCE,
        "payer": PAYER,
        "payee": PAYEE,
        "notary": NOTARY.address,
        "amount": amount,
        "expires_at": token.chain.now + DAY,
    } | changed
    return token.transact(by, "createHold", *terms.values())


def money(token: Contract) -> tuple[int, int, int]:
    """Return the payer's balance, what of it is held and what is available."""
    names = ("balanceOf", "heldOf", "availableOf")
    balance, held, available = (token.read(name, PAYER) for name in names)
    return balance, held, available


# Holds (TOK-16).


def test_tok_16_a_hold_sets_money_aside(euro: Contract) -> None:
    receipt = hold(euro)
    assert receipt.event("HoldCreated").arguments == {
        "holdId": HOLD_ID,
        "payer": text(PAYER),
        "payee": text(PAYEE),
        "notary": text(NOTARY.address),
        "amount": 400,
        "expiresAt": euro.chain.now + DAY,
        "holdReference": REFERENCE,
    }
    assert money(euro) == (1_000, 400, 600)
    terms = (text(PAYER), text(PAYEE), text(NOTARY.address), euro.chain.now + DAY, 400)
    assert euro.read("hold", HOLD_ID) == terms
    with refused("ERC7943InsufficientUnfrozenBalance", text(PAYER), 601, 600):
        euro.transact(OWNER, "redeem", REFERENCE, PAYER, 601)


def test_tok_16_the_notary_executes_in_parts(euro: Contract) -> None:
    hold(euro)
    receipt = euro.transact(NOTARY, "executeHold", HOLD_ID, 150)
    assert receipt.names == ["HoldExecuted", "Transfer"]
    assert receipt.event("HoldExecuted").arguments == {
        "holdId": HOLD_ID,
        "amount": 150,
        "remaining": 250,
    }
    assert money(euro) == (850, 250, 600)
    assert euro.read("balanceOf", PAYEE) == 200
    euro.transact(NOTARY, "executeHold", HOLD_ID, 250)
    assert money(euro) == (600, 0, 600)
    with refused("TokenHoldUnknown", HOLD_ID):
        euro.transact(NOTARY, "executeHold", HOLD_ID, 1)


@pytest.mark.parametrize("sender", [OWNER, BETA.operating, STRANGER, FIRST])
def test_tok_16_nobody_but_the_notary_executes(euro: Contract, sender: Key) -> None:
    hold(euro)
    with refused("TokenCallerNotNotary", text(sender.address)):
        euro.transact(sender, "executeHold", HOLD_ID, 1)


@pytest.mark.parametrize("sender", [NOTARY, BETA.operating, BETA.settlement])
def test_tok_16_notary_and_payee_release(euro: Contract, sender: Key) -> None:
    hold(euro)
    receipt = euro.transact(sender, "releaseHold", HOLD_ID)
    assert receipt.event("HoldReleased").arguments == {
        "holdId": HOLD_ID,
        "caller": text(sender.address),
        "amount": 400,
    }
    assert money(euro) == (1_000, 0, 1_000)


@pytest.mark.parametrize("sender", [OWNER, ALPHA.settlement, STRANGER, FIRST])
def test_tok_16_the_payer_releases_nothing_alone(euro: Contract, sender: Key) -> None:
    hold(euro)
    with refused("TokenCallerNotNotary", text(sender.address)):
        euro.transact(sender, "releaseHold", HOLD_ID)


def test_tok_16_a_payer_that_pays_itself_releases_nothing_either(
    street: Street, euro: Contract
) -> None:
    second = key_of("alpha/second")
    entry = (keccak(b"second"), second.address, 1)
    street.registry.transact(OPERATOR.operating, "addAccount", ALPHA.lei, entry)
    hold(euro, payee=second.address)
    for sender in (OWNER, second):
        with refused("TokenCallerNotNotary"):
            euro.transact(sender, "releaseHold", HOLD_ID)


def test_tok_16_after_the_expiry_anyone_ends_it_and_nobody_executes(euro: Contract) -> None:
    hold(euro)
    expires_at = euro.chain.now + DAY
    euro.chain.now = expires_at
    with refused("TokenHoldNotExpired", HOLD_ID, expires_at):
        euro.transact(STRANGER, "expireHold", HOLD_ID)
    euro.transact(NOTARY, "executeHold", HOLD_ID, 1)
    euro.chain.now += 1
    with refused("TokenHoldExpired", HOLD_ID, expires_at):
        euro.transact(NOTARY, "executeHold", HOLD_ID, 1)
    receipt = euro.transact(STRANGER, "expireHold", HOLD_ID)
    assert receipt.event("HoldExpired").arguments["amount"] == 399
    assert money(euro) == (999, 0, 999)
    for function in ("expireHold", "releaseHold"):
        with refused("TokenHoldUnknown", HOLD_ID):
            euro.transact(NOTARY, function, HOLD_ID)


def test_tok_16_a_later_freeze_does_not_stop_a_hold(euro: Contract) -> None:
    hold(euro)
    freeze(euro, PAYER, WHOLE)
    euro.transact(NOTARY, "executeHold", HOLD_ID, 100)
    euro.transact(NOTARY, "releaseHold", HOLD_ID)
    assert money(euro) == (900, 0, 0)


def test_tok_16_an_order_that_names_a_hold_ends_it(euro: Contract) -> None:
    hold(euro)
    freeze(euro, PAYER, WHOLE)
    order_id, receipt = ordered(euro, "cancelHold", HOLD_ID)
    assert receipt.event("HoldCancelled").arguments == {
        "holdId": HOLD_ID,
        "orderId": order_id,
        "amount": 400,
    }
    assert money(euro) == (1_000, 0, 0)
    with refused("TokenHoldUnknown"):
        euro.transact(NOTARY, "executeHold", HOLD_ID, 1)


def test_tok_16_no_hold_pays_a_frozen_or_suspended_party(street: Street, euro: Contract) -> None:
    hold(euro)
    frozen, suspended = street.fork(), street.fork()
    freeze(frozen.tokens[EUR], PAYEE, WHOLE)
    with refused("ERC7943CannotReceive", text(PAYEE)):
        frozen.tokens[EUR].transact(NOTARY, "executeHold", HOLD_ID, 1)
    for institution, account in ((ALPHA, PAYER), (BETA, PAYEE), (MAKER, NOTARY.address)):
        other = suspended.fork()
        other.registry.transact(OPERATOR.operating, "suspend", institution.lei)
        with refused("TokenAccountNotAdmitted", text(account)):
            other.tokens[EUR].transact(NOTARY, "executeHold", HOLD_ID, 1)


def test_tok_16_a_hold_takes_only_what_waiting_payments_leave(
    street: Street, euro: Contract
) -> None:
    pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, 1_200))
    with refused("TokenMoneyAwaited", text(PAYER), 1, 0):
        hold(euro, 1)
    with refused("TokenMoneyAwaited", text(PAYER), 1, 0):
        euro.transact(OWNER, "redeem", REFERENCE, PAYER, 1)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"by": BETA.operating, "amount": 0}, "TokenCallerNotOwner"),
        ({"by": ALPHA.account("quoting")}, "TokenCallerNotOwner"),
        ({"by": STRANGER, "payer": STRANGER.address}, "TokenCallerNotOwner"),
        ({"amount": 0, "expires_at": 0}, "TokenInvalidAmount"),
        ({"expires_at": 0, "reference": bytes(32)}, "TokenInvalidTime"),
        ({"expires_at": 2**40 - 1}, "TokenInvalidTime"),
        ({"reference": bytes(32), "notary": OWNER.address}, "TokenReferenceUsed"),
        ({"notary": OWNER.address, "payee": PAYER}, "TokenInvalidAccount"),
        ({"notary": STRANGER.address}, "TokenInvalidAccount"),
        ({"notary": BETA.account("quoting").address}, "TokenInvalidAccount"),
        ({"payee": PAYER}, "TokenInvalidAccount"),
        ({"payee": BETA.operating.address}, "TokenInvalidAccount"),
        ({"payee": STRANGER.address}, "TokenInvalidAccount"),
        ({"amount": 1_001}, "ERC20InsufficientBalance"),
        ({"amount": 2**256 - 1}, "ERC20InsufficientBalance"),
    ],
)
def test_tok_16_each_guard_of_a_hold_in_order(
    euro: Contract, changed: dict[str, Any], error: str
) -> None:
    with refused(error):
        hold(euro, **changed)


def test_tok_16_a_reference_makes_one_hold_of_a_participant(euro: Contract) -> None:
    hold(euro, 1)
    euro.transact(NOTARY, "releaseHold", HOLD_ID)
    with refused("TokenReferenceUsed", REFERENCE):
        hold(euro, 1)
    hold(euro, 1, by=BETA.operating, payer=PAYEE, payee=PAYER)


def test_tok_16_an_execution_takes_no_more_than_is_held(euro: Contract) -> None:
    hold(euro)
    for amount in (0, 401, 2**256 - 1):
        with refused("TokenInvalidAmount", amount):
            euro.transact(NOTARY, "executeHold", HOLD_ID, amount)


def test_tok_16_retail_accounts_hold_within_the_limits_of_the_payee(euro: Contract) -> None:
    euro.transact(ALPHA.settlement, "transfer", OWNER.address, 300)
    hold(euro, 300, payer=OWNER.address, payee=BETA.operating.address)
    euro.transact(FIRST, "setLimits", (200, WHOLE, WHOLE))
    with refused("TokenHoldingLimit", text(BETA.operating.address), 0, 200):
        euro.transact(NOTARY, "executeHold", HOLD_ID, 201)
    euro.transact(NOTARY, "executeHold", HOLD_ID, 200)
    with refused("ERC7943InsufficientUnfrozenBalance", text(OWNER.address), 1, 0):
        euro.transact(OWNER, "transfer", BETA.operating.address, 1)


# The settlement contract's calls (TOK-8).


def calls(amount: int) -> dict[str, tuple[Any, ...]]:
    return {
        "settle": (PAYMENT, PAYER, PAYEE, amount, b""),
        "collect": (PAYER, amount, b""),
        "distribute": (PAYEE, amount, b""),
        "reserve": (PAYMENT, PAYER, amount, b""),
    }


MOVES = ("settle", "collect")


def test_tok_8_only_the_settlement_contract_moves_and_reserves(euro: Contract) -> None:
    for sender in (OWNER, FIRST, OPERATOR.operating, ALPHA.settlement):
        for function, arguments in (*calls(1).items(), ("release", (PAYMENT, PAYER))):
            with refused("TokenCallerNotSettlement", text(sender.address)):
                euro.transact(sender, function, *arguments)


def test_tok_8_a_round_moves_through_the_clearing_account(desk: Contract) -> None:
    desk.transact(CLEARING, "collect", PAYER, 400, b"")
    assert desk.read("balanceOf", CLEARING.address) == 400
    desk.transact(CLEARING, "distribute", PAYEE, 400, b"")
    balances = [desk.read("balanceOf", each) for each in (PAYER, PAYEE, CLEARING.address)]
    assert balances == [600, 450, 0]
    with refused("ERC20InsufficientBalance", text(CLEARING.address), 0, 1):
        desk.transact(CLEARING, "distribute", PAYEE, 1, b"")


def test_tok_8_only_settlement_accounts_take_part(desk: Contract) -> None:
    other = BETA.operating.address
    for function, arguments in (
        ("settle", (PAYMENT, other, PAYEE, 1, b"")),
        ("settle", (PAYMENT, PAYER, other, 1, b"")),
        ("collect", (other, 1, b"")),
        ("distribute", (other, 1, b"")),
        ("reserve", (PAYMENT, other, 1, b"")),
    ):
        with refused("TokenNotSettlementAccount", text(other)):
            desk.transact(CLEARING, function, *arguments)
    with refused("TokenNotSettlementAccount", text(CLEARING.address)):
        desk.transact(CLEARING, "settle", PAYMENT, PAYER, CLEARING.address, 1, b"")


def test_tok_8_nothing_moves_while_paused_or_closed(desk: Contract) -> None:
    ordered(desk, "setOpeningHours", (0, 0, 1, 0))
    weekday = (desk.chain.now // DAY + 3) % 7
    assert weekday != 0
    for function in (*MOVES, "distribute"):
        with refused("TokenClosed"):
            desk.transact(CLEARING, function, *calls(1)[function])
    desk.transact(FIRST, "pause", 3)
    for function in (*MOVES, "distribute"):
        with refused("TokenFunctionPaused", 3):
            desk.transact(CLEARING, function, *calls(1)[function])


def test_tok_8_a_payment_above_its_limit_does_not_settle(desk: Contract) -> None:
    desk.transact(FIRST, "setLimits", (0, 0, 10))
    with refused("TokenPaymentLimit", 11, 10):
        desk.transact(CLEARING, "settle", *calls(11)["settle"])
    desk.transact(CLEARING, "settle", *calls(10)["settle"])
    desk.transact(CLEARING, "collect", PAYER, 11, b"")


@pytest.mark.parametrize("function", MOVES)
def test_tok_8_a_move_takes_what_is_available_and_no_more(desk: Contract, function: str) -> None:
    freeze(desk, PAYER, 300)
    desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 500, b"")
    with refused("ERC7943InsufficientUnfrozenBalance", text(PAYER), 201, 200):
        desk.transact(CLEARING, function, *calls(201)[function])
    with refused("ERC20InsufficientBalance", text(PAYER), 1_000, 1_001):
        desk.transact(CLEARING, function, *calls(1_001)[function])
    desk.transact(CLEARING, function, *calls(200)[function])


def test_tok_8_frozen_and_suspended_parties_take_no_part(street: Street, desk: Contract) -> None:
    for account, error in ((PAYER, "ERC7943CannotSend"), (PAYEE, "ERC7943CannotReceive")):
        frozen = desk.on(street.chain.fork())
        freeze(frozen, account, WHOLE)
        with refused(error, text(account)):
            frozen.transact(CLEARING, "settle", *calls(1)["settle"])
    for institution, account in ((ALPHA, PAYER), (BETA, PAYEE)):
        other = street.fork()
        other.registry.transact(OPERATOR.operating, "suspend", institution.lei)
        with refused("TokenAccountNotAdmitted", text(account)):
            desk.on(other.chain).transact(CLEARING, "settle", *calls(1)["settle"])


def test_tok_8_money_of_a_suspended_party_settles_where_the_rulebook_honours_entries(
    street: Street, desk: Contract
) -> None:
    street.registry.transact(OPERATOR.operating, "setHonoursEarlierEntries", True)
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    desk.transact(CLEARING, "settle", *calls(1)["settle"])
    desk.transact(CLEARING, "collect", PAYER, 1, b"")
    with refused("TokenAccountNotAdmitted", text(PAYER)):
        desk.transact(ALPHA.settlement, "transfer", OWNER.address, 1)


def test_tok_8_a_reserve_is_held_until_it_is_released(desk: Contract) -> None:
    receipt = desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 400, b"")
    assert receipt.event("MoneyReserved").arguments == {
        "paymentId": PAYMENT,
        "account": text(PAYER),
        "amount": 400,
    }
    assert money(desk) == (1_000, 400, 600)
    assert desk.read("reservedFor", PAYMENT, PAYER) == 400
    with refused("TokenReserveExists", PAYMENT, text(PAYER)):
        desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 1, b"")
    receipt = desk.transact(CLEARING, "release", PAYMENT, PAYER)
    assert receipt.event("ReserveReleased").arguments["amount"] == 400
    assert money(desk) == (1_000, 0, 1_000)
    assert desk.transact(CLEARING, "release", PAYMENT, PAYER).names == []


def test_tok_8_a_reserve_takes_what_is_available(desk: Contract) -> None:
    freeze(desk, PAYER, 300)
    with refused("TokenInvalidAmount", 0):
        desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 0, b"")
    with refused("ERC7943InsufficientUnfrozenBalance", text(PAYER), 701, 700):
        desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 701, b"")
    desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 700, b"")


def test_tok_8_a_release_never_reverts(street: Street, desk: Contract) -> None:
    desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 400, b"")
    freeze(desk, PAYER, WHOLE)
    for token_function in range(5):
        desk.transact(FIRST, "pause", token_function)
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    desk.transact(CLEARING, "release", PAYMENT, PAYER)
    desk.transact(CLEARING, "release", PAYMENT, STRANGER.address)
    assert money(desk) == (1_000, 0, 0)


def test_tok_8_a_reserve_of_before_is_not_spent_by_later_transactions(desk: Contract) -> None:
    desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 600, b"")
    freeze(desk, PAYER, 900)
    desk.transact(CLEARING, "release", PAYMENT, PAYER)
    with refused("ERC7943InsufficientUnfrozenBalance", text(PAYER), 600, 100):
        desk.transact(CLEARING, "collect", PAYER, 600, b"")


def test_tok_8_the_standing_of_a_leg(desk: Contract) -> None:
    day = desk.chain.now // DAY
    standing = desk.read("standingOf", PAYER, PAYEE, b"")
    assert standing == (True, False, day, WHOLE, 1_000)
    desk.transact(FIRST, "setLimits", (0, 0, 77))
    desk.transact(CLEARING, "reserve", PAYMENT, PAYER, 400, b"")
    freeze(desk, PAYER, 100)
    desk.transact(FIRST, "pause", 3)
    assert desk.read("standingOf", PAYER, PAYEE, b"") == (False, False, day, 77, 500)
    assert desk.read("standingOf", PAYEE, PAYER, b"") == (False, False, day, 77, 50)
    freeze(desk, PAYER, WHOLE, reference="whole")
    for parties in ((PAYER, PAYEE), (PAYEE, PAYER)):
        assert desk.read("standingOf", *parties, b"")[1] is True
    assert desk.read("standingOf", PAYER, PAYER, b"")[4] == -(2**255 - 1)
    assert desk.read("standingOf", bytes(20), b"\xff" * 20, b"\1")[4] == 0


def test_tok_8_time_passes_the_business_day(desk: Contract) -> None:
    day = desk.read("standingOf", PAYER, PAYEE, b"")[2]
    desk.chain.now += 24 * HOUR
    assert desk.read("standingOf", PAYER, PAYEE, b"")[2] == day + 1
