"""The queues of RTGS under any order of transfers, payments in and cancellations.

Cites docs/spec/central-bank.md: RTGS-1, 3, 4, 6.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from bridge.money import Amount, parse_currency
from bridge.rtgs import Priority, QueueAccess, Transfer, cascade

EUR = parse_currency("EUR")
LEIS = ("A", "B", "C")


class Accounts:
    """The accounts and queues of three participants, kept in memory."""

    def __init__(self, balances: dict[str, int], lines: dict[str, int]) -> None:
        self.balances = balances
        self.lines = lines
        self.queues: defaultdict[str, list[Transfer]] = defaultdict(list)
        self.settled: list[Transfer] = []

    def access(self) -> QueueAccess:
        return QueueAccess(self.head, lambda lei: self.balances[lei] + self.lines[lei], self.settle)

    def head(self, lei: str) -> Transfer | None:
        for priority in Priority:
            for transfer in self.queues[lei]:
                if transfer.priority is priority:
                    return transfer
        return None

    def settle(self, transfer: Transfer) -> None:
        assert transfer is self.head(transfer.debtor_lei)
        self.queues[transfer.debtor_lei].remove(transfer)
        self.balances[transfer.debtor_lei] -= transfer.amount.minor_units
        self.balances[transfer.creditor_lei] += transfer.amount.minor_units
        assert self.balances[transfer.debtor_lei] >= -self.lines[transfer.debtor_lei]
        self.settled.append(transfer)


def transfer(number: int, parties: tuple[str, str], amount: int, priority: Priority) -> Transfer:
    return Transfer(
        transfer_id=str(number),
        ordered_by=parties[0],
        debtor_lei=parties[0],
        creditor_lei=parties[1],
        amount=Amount(EUR, amount),
        priority=priority,
        end_to_end_id="E",
        entered_at=0,
        business_day=date(1970, 1, 1),
    )


PARTIES = st.permutations(LEIS).map(lambda each: (each[0], each[1]))
ORDERS = st.lists(st.tuples(PARTIES, st.integers(1, 200), st.sampled_from(Priority)), max_size=40)
FIGURES = st.fixed_dictionaries({lei: st.integers(0, 150) for lei in LEIS})


@given(ORDERS, FIGURES, FIGURES)
def test_nothing_settles_without_funds_order_is_kept_and_money_is_conserved(
    orders: Sequence[tuple[tuple[str, str], int, Priority]],
    balances: dict[str, int],
    lines: dict[str, int],
) -> None:
    total = sum(balances.values())
    accounts = Accounts(dict(balances), lines)
    for number, (parties, amount, priority) in enumerate(orders):
        entered = transfer(number, parties, amount, priority)
        accounts.queues[parties[0]].append(entered)
        assert cascade(accounts.access(), (parties[0],)) == ()
        assert sum(accounts.balances.values()) == total
        for lei in LEIS:
            head = accounts.head(lei)
            if head is not None:
                assert head.amount.minor_units > accounts.balances[lei] + lines[lei]
    waiting = [each for queue in accounts.queues.values() for each in queue]
    assert len(accounts.settled) + len(waiting) == len(orders)
    for lei in LEIS:
        for priority in Priority:
            numbers = [
                int(each.transfer_id)
                for each in accounts.settled
                if (each.debtor_lei, each.priority) == (lei, priority)
            ]
            assert numbers == sorted(numbers)


@given(ORDERS, FIGURES, st.integers(1, 5))
def test_a_bounded_step_goes_on_where_it_ended(
    orders: Sequence[tuple[tuple[str, str], int, Priority]], balances: dict[str, int], most: int
) -> None:
    lines = dict.fromkeys(LEIS, 0)
    at_once, in_steps = Accounts(dict(balances), lines), Accounts(dict(balances), lines)
    for number, (parties, amount, priority) in enumerate(orders):
        for accounts in (at_once, in_steps):
            accounts.queues[parties[0]].append(transfer(number, parties, amount, priority))
    cascade(at_once.access(), LEIS)
    rest: tuple[str, ...] = LEIS
    while rest:
        rest = cascade(in_steps.access(), rest, most)
    for accounts in (at_once, in_steps):
        for lei in LEIS:
            head = accounts.head(lei)
            assert head is None or head.amount.minor_units > accounts.balances[lei]
