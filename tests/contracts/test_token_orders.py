"""What two persons order: proposals, freezes that lapse, seizures, counter-orders (TOK-13 to TOK-15)."""

import pytest

from node.primitives import keccak
from support.chain_harness import Contract, refused
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    Street,
)
from support.token_desk import DAY, FIRST, SECOND, WHOLE, freeze, ordered, propose, text
from support.transactions import Key

OWNER, PAYEE = ALPHA.operating, MAKER.operating
HOLDER = ALPHA.settlement.address
LAPSE = 72 * HOUR
PROPOSED, CONFIRMED, EXECUTED, WITHDRAWN = 1, 2, 3, 4
OUTSIDERS = [
    EUROSYSTEM.operating,
    AUTHORITY.account("officer"),
    OPERATOR.account("officer"),
    ALPHA.operating,
]


@pytest.fixture
def euro(street: Street) -> Contract:
    """Alpha holds 1,000 cents."""
    street.fund(EUR, {ALPHA: 1_000})
    return street.tokens[EUR]


def frozen(token: Contract, account: bytes = HOLDER) -> int:
    amount: int = token.read("getFrozenTokens", account)
    return amount


def state_of(token: Contract, order_id: bytes) -> int:
    state: int = token.read("order", order_id)[0]
    return state


# Orders (TOK-13).


def test_tok_13_an_order_is_proposed_confirmed_and_executed_once(euro: Contract) -> None:
    order_id = propose(euro, "setFrozenTokens", HOLDER, 5, reference="court 1")
    call_hash = keccak(euro.encode("setFrozenTokens", HOLDER, 5))
    reference = keccak(b"court 1")
    assert order_id == keccak(call_hash + bytes(32) + reference)
    assert state_of(euro, order_id) == PROPOSED
    receipt = euro.transact(SECOND, "confirm", order_id)
    assert receipt.event("OrderConfirmed").arguments["officer"] == text(SECOND.address)
    assert state_of(euro, order_id) == CONFIRMED
    receipt = euro.transact(SECOND, "setFrozenTokens", HOLDER, 5)
    assert receipt.event("OrderExecuted").arguments == {
        "orderId": order_id,
        "orderReference": reference,
        "officer": text(SECOND.address),
    }
    assert euro.read("order", order_id) == (
        EXECUTED,
        text(FIRST.address),
        text(SECOND.address),
        euro.chain.now + HOUR,
        call_hash,
        reference,
        0,
    )
    with refused("TokenOrderMissing", call_hash):
        euro.transact(FIRST, "setFrozenTokens", HOLDER, 5)


def test_tok_13_the_owner_finds_its_orders_in_the_events(euro: Contract) -> None:
    order_id, receipt = ordered(euro, "setFrozenTokens", HOLDER, 5)
    assert receipt.event("FreezeOrdered").arguments == {
        "orderId": order_id,
        "account": text(HOLDER),
        "amountBefore": 0,
        "amount": 5,
    }
    order_id, receipt = ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 7)
    assert receipt.event("TransferOrdered").arguments == {
        "orderId": order_id,
        "from": text(HOLDER),
        "to": text(PAYEE.address),
        "amount": 7,
        "thawed": 0,
    }


def test_tok_13_nobody_orders_alone(euro: Contract) -> None:
    order_id = propose(euro, "setFrozenTokens", HOLDER, 5)
    with refused("TokenOrderSamePerson", order_id, text(FIRST.address)):
        euro.transact(FIRST, "confirm", order_id)
    for officer in (FIRST, SECOND):
        with refused("TokenOrderMissing"):
            euro.transact(officer, "setFrozenTokens", HOLDER, 5)


@pytest.mark.parametrize("sender", OUTSIDERS)
def test_tok_13_only_officers_of_the_issuer_order(euro: Contract, sender: Key) -> None:
    call = euro.encode("setFrozenTokens", HOLDER, 5)
    order_id = propose(euro, "setFrozenTokens", HOLDER, 5)
    for function, arguments in (
        ("propose", (call, 0, keccak(b"x"), euro.chain.now)),
        ("confirm", (order_id,)),
        ("withdrawOrder", (order_id,)),
        ("freeze", (HOLDER, 0, 1, keccak(b"x"))),
        ("confirmFreeze", (HOLDER, keccak(b"x"))),
        ("pause", (0,)),
        ("setLimits", ((1, 1, 1),)),
        ("resume", (0,)),
        ("setOpeningHours", ((0, 0, 1, 0),)),
        ("reverseFreeze", (order_id,)),
        ("reverseTransfer", (order_id, 1)),
        ("cancelHold", (order_id,)),
    ):
        with refused("TokenCallerNotOfficer", text(sender.address)):
            euro.transact(sender, function, *arguments)


def test_tok_13_a_suspended_issuer_orders_nothing(street: Street, euro: Contract) -> None:
    street.registry.transact(OPERATOR.operating, "suspend", EUROSYSTEM.lei)
    with refused("TokenCallerNotOfficer"):
        propose(euro, "setFrozenTokens", HOLDER, 5)


def test_tok_13_guards_of_a_proposal(euro: Contract) -> None:
    call, now = euro.encode("setFrozenTokens", HOLDER, 5), euro.chain.now
    with refused("TokenReferenceUsed", bytes(32)):
        euro.transact(FIRST, "propose", call, 0, bytes(32), now)
    for valid_for in (-1, 30 * DAY + 1):
        with refused("TokenInvalidTime", now + valid_for):
            propose(euro, "setFrozenTokens", HOLDER, 5, valid_for=valid_for)
    order_id = propose(euro, "setFrozenTokens", HOLDER, 5, valid_for=30 * DAY)
    with refused("TokenOrderExists", order_id):
        propose(euro, "setFrozenTokens", HOLDER, 5)


def test_tok_13_an_order_ends_with_its_time(euro: Contract) -> None:
    order_id = propose(euro, "setFrozenTokens", HOLDER, 5)
    until = euro.chain.now + HOUR
    euro.chain.now = until + 1
    with refused("TokenOrderExpired", order_id, until):
        euro.transact(SECOND, "confirm", order_id)
    second = propose(euro, "setFrozenTokens", HOLDER, 5, reference="again")
    euro.transact(SECOND, "confirm", second)
    euro.chain.now += HOUR + 1
    with refused("TokenOrderExpired", second, euro.chain.now - 1):
        euro.transact(FIRST, "setFrozenTokens", HOLDER, 5)
    ordered(euro, "setFrozenTokens", HOLDER, 5, reference="third")
    assert frozen(euro) == 5


def test_tok_13_one_confirmed_order_of_a_call_at_a_time(euro: Contract) -> None:
    first = propose(euro, "setFrozenTokens", HOLDER, 5)
    second = propose(euro, "setFrozenTokens", HOLDER, 5, reference="another")
    euro.transact(SECOND, "confirm", first)
    with refused("TokenOrderExists", first):
        euro.transact(SECOND, "confirm", second)
    euro.transact(SECOND, "withdrawOrder", first)
    euro.transact(SECOND, "confirm", second)
    assert [state_of(euro, each) for each in (first, second)] == [WITHDRAWN, CONFIRMED]


def test_tok_13_what_is_withdrawn_is_never_executed(euro: Contract) -> None:
    order_id = propose(euro, "setFrozenTokens", HOLDER, 5)
    euro.transact(SECOND, "confirm", order_id)
    euro.transact(FIRST, "withdrawOrder", order_id)
    with refused("TokenOrderMissing"):
        euro.transact(FIRST, "setFrozenTokens", HOLDER, 5)
    for function in ("confirm", "withdrawOrder"):
        with refused("TokenOrderUnexpectedState", order_id, WITHDRAWN):
            euro.transact(SECOND, function, order_id)
    with refused("TokenOrderUnexpectedState", keccak(b"unknown"), 0):
        euro.transact(SECOND, "confirm", keccak(b"unknown"))


def test_tok_13_an_order_stands_for_exactly_its_call(euro: Contract) -> None:
    order_id = propose(euro, "forcedTransfer", HOLDER, PAYEE.address, 5)
    euro.transact(SECOND, "confirm", order_id)
    for arguments in ((HOLDER, PAYEE.address, 6), (HOLDER, BETA.operating.address, 5)):
        with refused("TokenOrderMissing"):
            euro.transact(FIRST, "forcedTransfer", *arguments)
    data = euro.encode("forcedTransfer", HOLDER, PAYEE.address, 5) + b"\0"
    with refused("TokenOrderMissing"):
        euro.chain.send(FIRST, euro.address, data, gas_limit=1_000_000)


def test_tok_13_an_order_that_fails_is_not_used_up(euro: Contract) -> None:
    order_id = propose(euro, "forcedTransfer", HOLDER, PAYEE.address, 1_001)
    euro.transact(SECOND, "confirm", order_id)
    with refused("ERC20InsufficientBalance"):
        euro.transact(FIRST, "forcedTransfer", HOLDER, PAYEE.address, 1_001)
    assert state_of(euro, order_id) == CONFIRMED


# Freezes (TOK-14).


def test_tok_14_one_officer_freezes_at_once(euro: Contract) -> None:
    receipt = freeze(euro, HOLDER, 300)
    assert receipt.names == ["FreezeMade", "Frozen"]
    lapses_at = euro.chain.now + LAPSE
    assert receipt.event("FreezeMade").arguments == {
        "account": text(HOLDER),
        "orderReference": keccak(b"freeze"),
        "officer": text(FIRST.address),
        "amount": 300,
        "lapsesAt": lapses_at,
    }
    assert frozen(euro) == 300
    assert euro.read("availableOf", HOLDER) == 700
    open_freeze = (300, lapses_at, text(FIRST.address), keccak(b"freeze"))
    assert euro.read("openFreezeOf", HOLDER) == open_freeze


def test_tok_14_a_freeze_of_one_officer_lapses_by_the_clock_alone(euro: Contract) -> None:
    freeze(euro, HOLDER, WHOLE)
    euro.chain.now += LAPSE - 1
    assert (frozen(euro), euro.read("canSend", HOLDER)) == (WHOLE, False)
    euro.chain.now += 1
    assert (frozen(euro), euro.read("canSend", HOLDER)) == (0, True)
    assert euro.read("openFreezeOf", HOLDER)[0] == 0
    with refused("TokenFreezeNotOpen", text(HOLDER), keccak(b"freeze")):
        euro.transact(SECOND, "confirmFreeze", HOLDER, keccak(b"freeze"))


def test_tok_14_a_second_officer_makes_it_last(euro: Contract) -> None:
    freeze(euro, HOLDER, 300)
    with refused("TokenFreezeSamePerson", text(HOLDER), text(FIRST.address)):
        euro.transact(FIRST, "confirmFreeze", HOLDER, keccak(b"freeze"))
    with refused("TokenFreezeNotOpen", text(HOLDER), keccak(b"other")):
        euro.transact(SECOND, "confirmFreeze", HOLDER, keccak(b"other"))
    receipt = euro.transact(SECOND, "confirmFreeze", HOLDER, keccak(b"freeze"))
    assert receipt.event("FreezeConfirmed").arguments["amount"] == 300
    euro.chain.now += 10 * LAPSE
    assert frozen(euro) == 300


def test_tok_14_a_lapse_goes_back_to_what_two_froze(euro: Contract) -> None:
    ordered(euro, "setFrozenTokens", HOLDER, 100)
    freeze(euro, HOLDER, 900)
    euro.chain.now += LAPSE
    assert frozen(euro) == 100


def test_tok_14_a_further_freeze_does_not_prolong_the_first(euro: Contract) -> None:
    freeze(euro, HOLDER, 300)
    euro.chain.now += LAPSE - 1
    freeze(euro, HOLDER, 400, reference="further")
    euro.chain.now += 1
    assert frozen(euro) == 0


def test_tok_14_nobody_keeps_an_account_frozen_alone(euro: Contract) -> None:
    freeze(euro, HOLDER, 300)
    euro.chain.now += LAPSE
    with refused("TokenFreezeSamePerson", text(HOLDER), text(FIRST.address)):
        freeze(euro, HOLDER, 300, reference="renewed")
    with refused("TokenReferenceUsed", keccak(b"freeze")):
        freeze(euro, HOLDER, 300, by=SECOND)
    freeze(euro, HOLDER, 300, by=SECOND, reference="renewed")
    assert frozen(euro) == 300


def test_tok_14_each_guard_of_a_freeze_in_order(euro: Contract) -> None:
    stranger, reference = b"\x99" * 20, keccak(b"freeze")
    freeze(euro, HOLDER, 300)
    with refused("TokenInvalidAccount", text(stranger)):
        euro.transact(FIRST, "freeze", stranger, 0, 1, bytes(32))
    for used in (bytes(32), reference):
        with refused("TokenReferenceUsed", used):
            euro.transact(FIRST, "freeze", HOLDER, 0, 0, used)
    with refused("TokenFrozenChanged", text(HOLDER), 299, 300):
        euro.transact(FIRST, "freeze", HOLDER, 299, 299, keccak(b"new"))
    for amount in (0, 300):
        with refused("TokenInvalidAmount", amount):
            euro.transact(FIRST, "freeze", HOLDER, 300, amount, keccak(b"new"))


def test_tok_14_an_order_compares_before_it_sets(euro: Contract) -> None:
    freeze(euro, HOLDER, 300)
    order_id = propose(euro, "setFrozenTokens", HOLDER, 100, expected=300)
    euro.transact(SECOND, "confirm", order_id)
    freeze(euro, HOLDER, 500, by=SECOND, reference="meanwhile")
    with refused("TokenFrozenChanged", text(HOLDER), 300, 500):
        euro.transact(FIRST, "setFrozenTokens", HOLDER, 100)
    assert frozen(euro) == 500


def test_tok_14_an_order_takes_the_place_of_an_open_freeze(euro: Contract) -> None:
    freeze(euro, HOLDER, 300)
    ordered(euro, "setFrozenTokens", HOLDER, 250, expected=300)
    euro.chain.now += LAPSE
    assert frozen(euro) == 250


def test_tok_14_a_counter_order_restores_a_freeze_once(euro: Contract) -> None:
    ordered(euro, "setFrozenTokens", HOLDER, 300, reference="freeze")
    unfrozen, _ = ordered(euro, "setFrozenTokens", HOLDER, 0, reference="unfreeze", expected=300)
    counter, receipt = ordered(euro, "reverseFreeze", unfrozen, reference="counter")
    assert receipt.event("OrderReversed").arguments == {
        "orderId": unfrozen,
        "counterOrderId": counter,
        "amount": 300,
    }
    assert receipt.event("Frozen").arguments["amount"] == frozen(euro) == 300
    again = propose(euro, "reverseFreeze", unfrozen, reference="again")
    euro.transact(SECOND, "confirm", again)
    with refused("TokenOrderNotReversible", unfrozen):
        euro.transact(FIRST, "reverseFreeze", unfrozen)


def test_tok_14_a_counter_order_changes_nothing_that_changed_since(euro: Contract) -> None:
    first, _ = ordered(euro, "setFrozenTokens", HOLDER, 300, reference="freeze")
    freeze(euro, HOLDER, 400, reference="since")
    counter = propose(euro, "reverseFreeze", first, reference="counter")
    euro.transact(SECOND, "confirm", counter)
    with refused("TokenFrozenChanged", text(HOLDER), 300, 400):
        euro.transact(FIRST, "reverseFreeze", first)
    unknown = keccak(b"unknown")
    counter = propose(euro, "reverseFreeze", unknown, reference="unknown")
    euro.transact(SECOND, "confirm", counter)
    with refused("TokenOrderNotReversible", unknown):
        euro.transact(FIRST, "reverseFreeze", unknown)


# Seizures (TOK-15).


def test_tok_15_a_seizure_leaves_a_whole_freeze_whole(euro: Contract) -> None:
    freeze(euro, HOLDER, WHOLE)
    euro.transact(SECOND, "confirmFreeze", HOLDER, keccak(b"freeze"))
    _, receipt = ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 600)
    assert receipt.event("Frozen").arguments["amount"] == WHOLE - 600
    assert euro.read("canSend", HOLDER) is False
    assert euro.read("balanceOf", HOLDER) == 400


def test_tok_15_a_seizure_under_an_open_freeze_lowers_it_and_it_still_lapses(
    euro: Contract,
) -> None:
    ordered(euro, "setFrozenTokens", HOLDER, 500)
    freeze(euro, HOLDER, 1_000)
    ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 700, reference="seizure")
    assert frozen(euro) == 300
    euro.chain.now += LAPSE
    assert frozen(euro) == 300


def test_tok_15_a_seizure_takes_no_money_that_is_held(euro: Contract) -> None:
    terms = (keccak(b"hold"), HOLDER, BETA.settlement.address, MAKER.operating.address)
    euro.transact(OWNER, "createHold", *terms, 400, euro.chain.now + DAY)
    order_id = propose(euro, "forcedTransfer", HOLDER, PAYEE.address, 601)
    euro.transact(SECOND, "confirm", order_id)
    with refused("TokenMoneyHeld", text(HOLDER), 601, 600):
        euro.transact(FIRST, "forcedTransfer", HOLDER, PAYEE.address, 601)
    ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 600, reference="unheld")
    assert euro.read("balanceOf", HOLDER) == euro.read("heldOf", HOLDER) == 400


@pytest.mark.parametrize(
    ("payer", "payee", "amount", "error"),
    [
        (HOLDER, PAYEE.address, 0, "TokenInvalidAmount"),
        (b"\x99" * 20, PAYEE.address, 1, "ERC20InsufficientBalance"),
        (HOLDER, b"\x99" * 20, 1, "ERC7943CannotReceive"),
        (HOLDER, HOLDER, 1, "ERC7943CannotTransfer"),
        (HOLDER, PAYEE.address, 1_001, "ERC20InsufficientBalance"),
        (HOLDER, PAYEE.address, 2**256 - 1, "ERC20InsufficientBalance"),
    ],
)
def test_tok_15_each_guard_of_a_seizure(
    euro: Contract, payer: bytes, payee: bytes, amount: int, error: str
) -> None:
    order_id = propose(euro, "forcedTransfer", payer, payee, amount)
    euro.transact(SECOND, "confirm", order_id)
    with refused(error):
        euro.transact(FIRST, "forcedTransfer", payer, payee, amount)


def test_tok_15_a_pause_or_a_suspension_of_the_owner_stops_no_seizure(
    street: Street, euro: Contract
) -> None:
    for tokens_function in range(5):
        euro.transact(FIRST, "pause", tokens_function)
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 1_000)
    assert euro.read("balanceOf", PAYEE.address) == 1_000


def test_tok_15_a_counter_order_gives_back_and_freezes_again(euro: Contract) -> None:
    ordered(euro, "setFrozenTokens", HOLDER, 900)
    seizure, _ = ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 600, reference="seizure")
    assert frozen(euro) == 400
    counter, receipt = ordered(euro, "reverseTransfer", seizure, 300, reference="counter")
    assert receipt.names == [
        "OrderExecuted",
        "Frozen",
        "OrderReversed",
        "TransferOrdered",
        "Transfer",
        "ForcedTransfer",
    ]
    assert receipt.event("OrderReversed").arguments == {
        "orderId": seizure,
        "counterOrderId": counter,
        "amount": 300,
    }
    assert (euro.read("balanceOf", HOLDER), frozen(euro)) == (700, 700)
    again = propose(euro, "reverseTransfer", seizure, 300, reference="again")
    euro.transact(SECOND, "confirm", again)
    with refused("TokenOrderNotReversible", seizure):
        euro.transact(FIRST, "reverseTransfer", seizure, 300)


@pytest.mark.parametrize("amount", [0, 601, 2**256 - 1])
def test_tok_15_a_counter_order_is_bounded_by_its_order(euro: Contract, amount: int) -> None:
    seizure, _ = ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 600)
    order_id = propose(euro, "reverseTransfer", seizure, amount, reference="counter")
    euro.transact(SECOND, "confirm", order_id)
    with refused("TokenInvalidAmount", amount):
        euro.transact(FIRST, "reverseTransfer", seizure, amount)


def test_tok_15_money_given_back_falls_under_a_whole_freeze(euro: Contract) -> None:
    seizure, _ = ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 600)
    freeze(euro, HOLDER, WHOLE)
    ordered(euro, "reverseTransfer", seizure, 600, reference="counter")
    assert (euro.read("balanceOf", HOLDER), euro.read("availableOf", HOLDER)) == (1_000, 0)


def test_tok_15_nothing_is_given_back_to_a_suspended_owner(street: Street, euro: Contract) -> None:
    seizure, _ = ordered(euro, "forcedTransfer", HOLDER, PAYEE.address, 600)
    order_id = propose(euro, "reverseTransfer", seizure, 600, reference="counter")
    euro.transact(SECOND, "confirm", order_id)
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    with refused("TokenAccountNotAdmitted", text(HOLDER)):
        euro.transact(FIRST, "reverseTransfer", seizure, 600)


def test_tok_15_a_counter_order_to_nothing_is_refused(euro: Contract) -> None:
    unknown = keccak(b"unknown")
    order_id = propose(euro, "reverseTransfer", unknown, 1)
    euro.transact(SECOND, "confirm", order_id)
    with refused("TokenOrderNotReversible", unknown):
        euro.transact(FIRST, "reverseTransfer", unknown, 1)
