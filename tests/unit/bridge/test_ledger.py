"""Journal entries, postings and balances: the rules of docs/spec/ledger.md as tables."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import (
    AmountOutOfRange,
    EntryInvalid,
    EntryNotExpired,
    EntryNotPending,
    EntryResolved,
    InsufficientFunds,
    UnitInvalid,
)
from bridge.ledger import (
    CENTRAL_BANK,
    HOLD,
    LINKED_MAX,
    POSTINGS_MAX,
    TURNOVER_MAX,
    Account,
    AccountType,
    Balance,
    BookedEntry,
    JournalEntry,
    Movement,
    Posting,
    Resolution,
    Side,
    apply,
    credit,
    debit,
    expire,
    link,
    part_of,
    points,
    post,
    take_from,
    void,
)
from bridge.money import Amount
from support.bridge_records import (
    ACCOUNTS,
    BETA_LEI,
    CASH,
    CUSTODY,
    DEPOSIT,
    DOLLARS,
    EUR,
    FEES,
    NOW,
    POSITION,
    SGD,
    entry_of,
    euros,
    transfer,
)

EMPTY = {account.account_id: Balance(account) for account in ACCOUNTS}


def booked_on(balances: dict[str, Balance], entry: JournalEntry) -> dict[str, Balance]:
    """Balances after an entry was booked."""
    return after(balances, apply(balances, entry))


def after(balances: dict[str, Balance], movements: Iterable[Movement]) -> dict[str, Balance]:
    """Balances after movements, one after the other."""
    return balances | {each.posting.account_id: each.after for each in movements}


def funded(cents: int) -> dict[str, Balance]:
    """Balances after a deposit of cash."""
    return booked_on(EMPTY, transfer("opening", CASH, DEPOSIT, cents))


def held(entry: JournalEntry, remaining: Iterable[Posting] | None = None) -> BookedEntry:
    """A pending entry as it was booked, or with less left."""
    return BookedEntry(entry, entry.postings if remaining is None else tuple(remaining))


def available(balances: dict[str, Balance], account: Account) -> int:
    return balances[account.account_id].available.minor_units


def ledger(balances: dict[str, Balance], account: Account) -> int:
    return balances[account.account_id].ledger.minor_units


@pytest.mark.parametrize(
    ("account_type", "grows_on"),
    [
        (AccountType.ASSET, Side.DEBIT),
        (AccountType.EXPENSE, Side.DEBIT),
        (AccountType.LIABILITY, Side.CREDIT),
        (AccountType.EQUITY, Side.CREDIT),
        (AccountType.INCOME, Side.CREDIT),
    ],
)
def test_an_account_grows_on_the_normal_side_of_its_type(
    account_type: AccountType, grows_on: Side
) -> None:
    assert account_type.normal_side is grows_on


def test_a_posted_entry_moves_both_balances() -> None:
    """LED-6."""
    now = funded(5_000)
    assert (ledger(now, CASH), available(now, CASH)) == (5_000, 5_000)
    assert (ledger(now, DEPOSIT), available(now, DEPOSIT)) == (5_000, 5_000)


def test_a_pending_entry_takes_from_the_available_balance_and_leaves_the_ledger_balance() -> None:
    """LED-7: money that is only expected does not count."""
    now = booked_on(funded(5_000), transfer("fee", DEPOSIT, FEES, 300, pending=True))
    assert (ledger(now, DEPOSIT), available(now, DEPOSIT)) == (5_000, 4_700)
    assert (ledger(now, FEES), available(now, FEES)) == (0, 0)


def test_posting_a_pending_entry_moves_the_ledger_balance() -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300, pending=True)
    reserved = booked_on(funded(5_000), entry)
    step = post(reserved, held(entry), NOW)
    assert (step.resolution, step.is_final) == (Resolution.POSTED, True)
    now = after(reserved, step.movements)
    assert (ledger(now, DEPOSIT), available(now, DEPOSIT)) == (4_700, 4_700)
    assert (ledger(now, FEES), available(now, FEES)) == (300, 300)


def test_voiding_a_pending_entry_leaves_everything_as_it_was() -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300, pending=True)
    before = funded(5_000)
    reserved = booked_on(before, entry)
    now = after(reserved, void(reserved, held(entry), NOW).movements)
    for account in ACCOUNTS:
        assert ledger(now, account) == ledger(before, account)
        assert available(now, account) == available(before, account)


@pytest.mark.parametrize("resolution", list(Resolution))
def test_a_pending_entry_is_resolved_once(resolution: Resolution) -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300, pending=True)
    reserved = booked_on(funded(5_000), entry)
    ended = replace(held(entry, ()), resolution=resolution)
    for step in (post, void, expire):
        with pytest.raises(EntryResolved):
            step(reserved, ended, NOW)


def test_a_posted_entry_is_never_resolved() -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300)
    for step in (post, void, expire):
        with pytest.raises(EntryNotPending):
            step(funded(5_000), held(entry, ()), NOW)


INVALID = {
    "no postings": [],
    "one posting": [debit(CASH.account_id, euros(1))],
    "too many postings": [
        debit(CASH.account_id, euros(1)),
        credit(DEPOSIT.account_id, euros(1)),
    ]
    * (POSTINGS_MAX // 2)
    + [debit(CASH.account_id, euros(1))],
    "debits above credits": [
        debit(CASH.account_id, euros(2)),
        credit(DEPOSIT.account_id, euros(1)),
    ],
    "two debits": [debit(CASH.account_id, euros(1)), debit(DEPOSIT.account_id, euros(1))],
    "an amount of zero": [
        debit(CASH.account_id, euros(0)),
        credit(DEPOSIT.account_id, euros(0)),
    ],
    "a negative amount": [
        debit(CASH.account_id, euros(-1)),
        credit(DEPOSIT.account_id, euros(-1)),
    ],
    "another currency than the account's": [
        debit(CASH.account_id, Amount(SGD, 1)),
        credit(DEPOSIT.account_id, Amount(SGD, 1)),
    ],
    "two currencies against each other": [
        debit(DOLLARS.account_id, Amount(SGD, 1)),
        credit(DEPOSIT.account_id, euros(1)),
    ],
    "two units of one currency against each other": [
        debit(CUSTODY.account_id, euros(1)),
        credit(DEPOSIT.account_id, euros(1)),
    ],
}


@pytest.mark.parametrize("postings", INVALID.values(), ids=INVALID.keys())
def test_an_entry_that_does_not_balance_is_refused(postings: list[Posting]) -> None:
    """LED-1, LED-2, LED-3, LED-4."""
    with pytest.raises(EntryInvalid):
        apply(funded(5_000), entry_of("wrong", postings))


def test_an_entry_may_balance_in_several_units_at_once() -> None:
    """LED-1: each unit sums to zero by itself."""
    dollars = Account("position:SGD", "Position", AccountType.ASSET, SGD, may_overdraw=True)
    balances = funded(5_000) | {dollars.account_id: Balance(dollars)}
    exchange = entry_of(
        "exchange",
        [
            debit(POSITION.account_id, euros(100)),
            credit(CASH.account_id, euros(100)),
            debit(DOLLARS.account_id, Amount(SGD, 150)),
            credit(dollars.account_id, Amount(SGD, 150)),
        ],
    )
    now = booked_on(balances, exchange)
    assert ledger(now, CASH) == 4_900
    assert ledger(now, dollars) == -150


@pytest.mark.parametrize(("cents", "fits"), [(4_999, True), (5_000, True), (5_001, False)])
@pytest.mark.parametrize("pending", [True, False])
def test_an_entry_takes_at_most_what_is_available(cents: int, fits: bool, pending: bool) -> None:
    """LED-5."""
    entry = transfer("payment", DEPOSIT, CASH, cents, pending=pending)
    if fits:
        assert available(booked_on(funded(5_000), entry), DEPOSIT) == 5_000 - cents
        return
    with pytest.raises(InsufficientFunds) as refused:
        apply(funded(5_000), entry)
    assert refused.value.reason == "AM04"
    assert refused.value.account_id in {DEPOSIT.account_id, CASH.account_id}


def test_a_second_reservation_counts_the_first() -> None:
    """LED-5: two payments cannot reserve the same money."""
    balances = booked_on(funded(5_000), transfer("first", DEPOSIT, FEES, 3_000, pending=True))
    with pytest.raises(InsufficientFunds):
        apply(balances, transfer("second", DEPOSIT, FEES, 3_000, pending=True))


def test_a_flagged_account_may_go_below_zero() -> None:
    """LED-5."""
    now = booked_on(funded(5_000), transfer("short", DEPOSIT, POSITION, 700))
    assert ledger(now, POSITION) == -700


def test_an_account_already_below_zero_may_still_receive() -> None:
    """LED-5 refuses what makes it worse, not what makes it better."""
    overdrawn = funded(5_000)
    overdrawn[FEES.account_id] = overdrawn[FEES.account_id]._replace(posted_debits=500)
    assert ledger(booked_on(overdrawn, transfer("fee", DEPOSIT, FEES, 100)), FEES) == -400


def test_turnover_that_no_database_integer_holds_is_refused() -> None:
    """LED-9."""
    balances = dict(EMPTY)
    balances[CASH.account_id] = EMPTY[CASH.account_id]._replace(posted_debits=TURNOVER_MAX)
    with pytest.raises(AmountOutOfRange):
        apply(balances, transfer("one more", CASH, DEPOSIT, 1))


def test_applying_an_entry_leaves_the_balances_it_was_given_alone() -> None:
    before = funded(5_000)
    copy = dict(before)
    movements = apply(before, transfer("fee", DEPOSIT, FEES, 300))
    assert before == copy
    assert [each.posting.account_id for each in movements] == [DEPOSIT.account_id, FEES.account_id]


# Parts


def test_a_part_of_a_pending_entry_is_posted_and_the_rest_stays_pending() -> None:
    """LED-12."""
    entry = transfer("hold", DEPOSIT, FEES, 300, pending=True)
    reserved = booked_on(funded(5_000), entry)
    step = post(reserved, held(entry), NOW, part_of(entry, euros(100)))
    now = after(reserved, step.movements)
    assert not step.is_final
    assert (ledger(now, DEPOSIT), available(now, DEPOSIT)) == (4_900, 4_700)
    left = take_from(entry.postings, part_of(entry, euros(100)), entry.entry_id)
    now = after(now, void(now, held(entry, left), NOW).movements)
    assert (ledger(now, DEPOSIT), available(now, DEPOSIT)) == (4_900, 4_900)


def test_the_last_part_is_final() -> None:
    """LED-12."""
    entry = transfer("hold", DEPOSIT, FEES, 300, pending=True)
    reserved = booked_on(funded(5_000), entry)
    assert post(reserved, held(entry), NOW, part_of(entry, euros(300))).is_final


WRONG_PARTS = {
    "more than is pending": (
        debit(DEPOSIT.account_id, euros(301)),
        credit(FEES.account_id, euros(301)),
    ),
    "unbalanced": (debit(DEPOSIT.account_id, euros(2)), credit(FEES.account_id, euros(1))),
    "the other way round": (debit(FEES.account_id, euros(1)), credit(DEPOSIT.account_id, euros(1))),
    "nothing": (debit(DEPOSIT.account_id, euros(0)), credit(FEES.account_id, euros(0))),
    "another account": (debit(DEPOSIT.account_id, euros(1)), credit(CASH.account_id, euros(1))),
}


@pytest.mark.parametrize("part", WRONG_PARTS.values(), ids=WRONG_PARTS.keys())
def test_a_part_that_is_none_is_refused(part: tuple[Posting, ...]) -> None:
    """LED-12."""
    entry = transfer("hold", DEPOSIT, FEES, 300, pending=True)
    reserved = booked_on(funded(5_000), entry)
    with pytest.raises(EntryInvalid):
        post(reserved, held(entry), NOW, part)


def test_a_part_by_amount_is_of_an_entry_of_one_debit_and_one_credit() -> None:
    wrong = entry_of("three", [debit(CASH.account_id, euros(1))] * 3)
    with pytest.raises(EntryInvalid):
        part_of(wrong, euros(1))


# Time


def hold_of(cents: int) -> JournalEntry:
    entry = transfer("hold", DEPOSIT, FEES, cents, pending=True)
    return replace(entry, kind=HOLD, expires_at=NOW + 60)


@pytest.mark.parametrize(("at", "is_over"), [(NOW + 59, False), (NOW + 60, True)])
def test_a_hold_expires_from_its_time_on_and_not_before(at: int, is_over: bool) -> None:
    """LED-13."""
    entry = hold_of(300)
    reserved = booked_on(funded(5_000), entry)
    if not is_over:
        with pytest.raises(EntryNotExpired):
            expire(reserved, held(entry), at)
        return
    step = expire(reserved, held(entry), at)
    assert (step.resolution, step.is_final) == (Resolution.EXPIRED, True)
    assert available(after(reserved, step.movements), DEPOSIT) == 5_000


def test_an_entry_without_a_time_never_expires() -> None:
    """LED-13: a time-out is never proof."""
    entry = transfer("payment", DEPOSIT, FEES, 300, pending=True)
    with pytest.raises(EntryNotExpired):
        expire(booked_on(funded(5_000), entry), held(entry), NOW * 2)


@pytest.mark.parametrize(
    "changes", [{"kind": "payment"}, {"pending": False}, {"expires_at": NOW}], ids=str
)
def test_only_a_pending_hold_may_have_a_time_to_expire_and_a_later_one(
    changes: dict[str, Any],
) -> None:
    """LED-13."""
    with pytest.raises(EntryInvalid):
        apply(funded(5_000), replace(hold_of(300), **changes))


def test_each_movement_gives_its_account_the_next_version_and_never_an_earlier_time() -> None:
    """LED-14, LED-15."""
    balances = funded(5_000)
    late = replace(transfer("late", DEPOSIT, FEES, 1), booked_at=NOW + 9)
    early = replace(transfer("early", DEPOSIT, FEES, 1), booked_at=NOW - 9)
    balances = booked_on(booked_on(balances, late), early)
    deposit, fees = balances[DEPOSIT.account_id], balances[FEES.account_id]
    assert (deposit.version, deposit.at) == (3, NOW + 9)
    assert (fees.version, fees.at) == (2, NOW + 9)


# Credit lines


@pytest.mark.parametrize(("cents", "fits"), [(5_200, True), (5_201, False)])
def test_a_credit_line_bounds_how_far_below_zero_an_account_falls(cents: int, fits: bool) -> None:
    """LED-5."""
    balances = funded(5_000)
    account = replace(DEPOSIT, credit_limit=200)
    balances[DEPOSIT.account_id] = balances[DEPOSIT.account_id]._replace(account=account)
    entry = transfer("payment", DEPOSIT, FEES, cents)
    if fits:
        assert ledger(booked_on(balances, entry), DEPOSIT) == -200
        return
    with pytest.raises(InsufficientFunds):
        apply(balances, entry)


# Units


NOSTRO = Account("nostro", "Nostro", AccountType.ASSET, EUR, issuer=BETA_LEI)
EXCHANGE = Account("tokens", "Tokens", AccountType.ASSET, EUR, issuer=CENTRAL_BANK, exchanges=True)
WALLET = Account(
    "wallet", "Wallet", AccountType.LIABILITY, EUR, issuer=CENTRAL_BANK, is_off_balance=True
)
MILES = points("MILES", 0)
AWARDED = Account("awarded", "Awarded", AccountType.ASSET, MILES)
EARNED = Account("earned", "Earned", AccountType.LIABILITY, MILES)
UNITS = EMPTY | {
    account.account_id: Balance(account) for account in (NOSTRO, EXCHANGE, WALLET, AWARDED, EARNED)
}

MEETINGS = [
    (NOSTRO, DEPOSIT, False, "a claim on another bank against one on ourselves"),
    (
        NOSTRO,
        EXCHANGE,
        True,
        "a claim on another bank for central-bank money, declared to exchange",
    ),
    (EXCHANGE, DEPOSIT, True, "central-bank money for a customer's deposit"),
    (WALLET, DEPOSIT, False, "retail central-bank money against a deposit"),
    (CUSTODY, EXCHANGE, False, "what is kept for others against our own, both on the central bank"),
    (CUSTODY, WALLET, True, "the wallet's money against what is kept for it"),
]


@pytest.mark.parametrize(("debited", "credited", "fits"), [each[:3] for each in MEETINGS])
def test_claims_meet_only_where_it_is_declared(
    debited: Account, credited: Account, fits: bool
) -> None:
    """LED-1."""
    entry = transfer("meeting", debited, credited, 1)
    if fits:
        assert apply(UNITS, entry, is_fact=True)
        return
    with pytest.raises(EntryInvalid):
        apply(UNITS, entry, is_fact=True)


def test_points_are_a_unit_that_is_no_money() -> None:
    """LED-1."""
    earned = [
        debit(AWARDED.account_id, Amount(MILES, 5)),
        credit(EARNED.account_id, Amount(MILES, 5)),
    ]
    assert str(booked_on(UNITS, entry_of("award", earned))[EARNED.account_id].ledger) == "5 MILES"
    mixed = [debit(AWARDED.account_id, Amount(MILES, 5)), credit(DEPOSIT.account_id, euros(5))]
    with pytest.raises(EntryInvalid):
        apply(UNITS, entry_of("mixed", mixed))
    assert str(AWARDED.unit) == "MILES of institution"


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("EUR", 2), ("", 0), ("miles", 0), ("A B", 0), ("M" * 13, 0), ("MILES", -1), ("MILES", 9)],
)
def test_a_unit_of_points_has_a_name_of_its_own(code: str, decimals: int) -> None:
    with pytest.raises(UnitInvalid):
        points(code, decimals)


@pytest.mark.parametrize("count", [1, LINKED_MAX + 1])
def test_two_to_sixteen_entries_are_linked(count: int) -> None:
    """LED-16."""
    with pytest.raises(EntryInvalid):
        link("link", [transfer(str(number), CASH, DEPOSIT, 1) for number in range(count)])


def test_linked_entries_are_all_pending_or_all_posted() -> None:
    """LED-16."""
    pair = [transfer("one", CASH, DEPOSIT, 1), transfer("two", CASH, DEPOSIT, 1, pending=True)]
    with pytest.raises(EntryInvalid):
        link("link", pair)
