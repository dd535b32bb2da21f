"""Journal entries, postings and balances: the rules of docs/spec/ledger.md as tables."""

from dataclasses import replace

import pytest

from bridge.errors import (
    AmountOutOfRange,
    EntryInvalid,
    EntryNotPending,
    EntryResolved,
    InsufficientFunds,
)
from bridge.ledger import (
    POSTINGS_MAX,
    TURNOVER_MAX,
    Account,
    AccountType,
    Balance,
    JournalEntry,
    Posting,
    Resolution,
    Side,
    apply,
    credit,
    debit,
    post,
    void,
)
from bridge.money import Amount
from support.bridge_records import (
    ACCOUNTS,
    CASH,
    CUSTODY,
    DEPOSIT,
    DOLLARS,
    FEES,
    POSITION,
    SGD,
    entry_of,
    euros,
    transfer,
)

EMPTY = {account.account_id: Balance(account) for account in ACCOUNTS}


def funded(cents: int) -> dict[str, Balance]:
    """Balances after a deposit of cash."""
    return EMPTY | apply(EMPTY, transfer("opening", CASH, DEPOSIT, cents))


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
    after = funded(5_000)
    assert (ledger(after, CASH), available(after, CASH)) == (5_000, 5_000)
    assert (ledger(after, DEPOSIT), available(after, DEPOSIT)) == (5_000, 5_000)


def test_a_pending_entry_takes_from_the_available_balance_and_leaves_the_ledger_balance() -> None:
    """LED-7: money that is only expected does not count."""
    before = funded(5_000)
    after = before | apply(before, transfer("fee", DEPOSIT, FEES, 300, pending=True))
    assert (ledger(after, DEPOSIT), available(after, DEPOSIT)) == (5_000, 4_700)
    assert (ledger(after, FEES), available(after, FEES)) == (0, 0)


def test_posting_a_pending_entry_moves_the_ledger_balance() -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300, pending=True)
    reserved = funded(5_000)
    reserved |= apply(reserved, entry)
    after = reserved | post(reserved, entry, None)
    assert (ledger(after, DEPOSIT), available(after, DEPOSIT)) == (4_700, 4_700)
    assert (ledger(after, FEES), available(after, FEES)) == (300, 300)


def test_voiding_a_pending_entry_leaves_everything_as_it_was() -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300, pending=True)
    before = funded(5_000)
    reserved = before | apply(before, entry)
    assert reserved | void(reserved, entry, None) == before


@pytest.mark.parametrize("resolution", list(Resolution))
def test_a_pending_entry_is_resolved_once(resolution: Resolution) -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300, pending=True)
    reserved = funded(5_000)
    reserved |= apply(reserved, entry)
    for step in (post, void):
        with pytest.raises(EntryResolved):
            step(reserved, entry, resolution)


def test_a_posted_entry_is_never_resolved() -> None:
    """LED-8."""
    entry = transfer("fee", DEPOSIT, FEES, 300)
    for step in (post, void):
        with pytest.raises(EntryNotPending):
            step(funded(5_000), entry, None)


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
    after = balances | apply(balances, exchange)
    assert ledger(after, CASH) == 4_900
    assert ledger(after, dollars) == -150


@pytest.mark.parametrize(("cents", "fits"), [(4_999, True), (5_000, True), (5_001, False)])
@pytest.mark.parametrize("pending", [True, False])
def test_an_entry_takes_at_most_what_is_available(cents: int, fits: bool, pending: bool) -> None:
    """LED-5."""
    entry = transfer("payment", DEPOSIT, CASH, cents, pending=pending)
    if fits:
        after = funded(5_000)
        after |= apply(after, entry)
        assert available(after, DEPOSIT) == 5_000 - cents
        return
    with pytest.raises(InsufficientFunds) as refused:
        apply(funded(5_000), entry)
    assert refused.value.reason == "AM04"
    assert refused.value.account_id in {DEPOSIT.account_id, CASH.account_id}


def test_a_second_reservation_counts_the_first() -> None:
    """LED-5: two payments cannot reserve the same money."""
    balances = funded(5_000)
    balances |= apply(balances, transfer("first", DEPOSIT, FEES, 3_000, pending=True))
    with pytest.raises(InsufficientFunds):
        apply(balances, transfer("second", DEPOSIT, FEES, 3_000, pending=True))


def test_a_flagged_account_may_go_below_zero() -> None:
    """LED-5."""
    after = funded(5_000)
    after |= apply(after, transfer("short", DEPOSIT, POSITION, 700))
    assert ledger(after, POSITION) == -700


def test_an_account_already_below_zero_may_still_receive() -> None:
    """LED-5 refuses what makes it worse, not what makes it better."""
    overdrawn = funded(5_000)
    overdrawn[FEES.account_id] = replace(overdrawn[FEES.account_id], posted_debits=500)
    after = overdrawn | apply(overdrawn, transfer("fee", DEPOSIT, FEES, 100))
    assert ledger(after, FEES) == -400


def test_turnover_that_no_database_integer_holds_is_refused() -> None:
    """LED-9."""
    balances = dict(EMPTY)
    balances[CASH.account_id] = replace(EMPTY[CASH.account_id], posted_debits=TURNOVER_MAX)
    with pytest.raises(AmountOutOfRange):
        apply(balances, transfer("one more", CASH, DEPOSIT, 1))


def test_applying_an_entry_leaves_the_balances_it_was_given_alone() -> None:
    before = funded(5_000)
    copy = dict(before)
    entry: JournalEntry = transfer("fee", DEPOSIT, FEES, 300)
    changed = apply(before, entry)
    assert before == copy
    assert changed.keys() == {DEPOSIT.account_id, FEES.account_id}
