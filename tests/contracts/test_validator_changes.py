"""Any sequence of proposals, confirmations, withdrawals and blocks, by anybody of the council.

Checked after every step (NOD-3, NOD-4, NOD-6, NOD-7): the validators change by at most one a block, never hold a key
twice and never fall below the minimum; whatever is scheduled or applied was agreed by two participants; no key has two
scheduled changes; the slot that nodes read is the earliest effective time.
"""

from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.chain_harness import Reverted
from support.settlement_network import Institution
from support.validator_network import (
    ADDITION,
    APPLIED,
    COUNCIL,
    DROPPED,
    HOUSES,
    NOTHING_SCHEDULED,
    REMOVAL,
    SCHEDULED,
    compressed,
    open_registry,
    validator_key,
)

pytestmark = pytest.mark.slow

HOUSE_BY_LABEL: Final = {house.name: house for house in HOUSES} | {
    f"spare {number}": HOUSES[5] for number in range(3)
}
LABELS: Final = tuple(HOUSE_BY_LABEL)
kinds = st.sampled_from([ADDITION, REMOVAL])
labels = st.sampled_from(LABELS)
members = st.sampled_from(COUNCIL)
delays = st.integers(0, 20)
picks = st.integers(0, 1_000)


class AnySequence(RuleBasedStateMachine):
    """Proposals, confirmations, withdrawals and blocks in any order, by any council member."""

    minimum = 4
    count = 5
    is_development = False

    def __init__(self) -> None:
        super().__init__()
        self.registry = open_registry(self.count, development=self.is_development)
        self.proposers: dict[int, Institution] = {}
        self.subjects: dict[int, str] = {}
        self.present = list(LABELS[: self.count])
        self.version = 0
        self.block = self.registry.chain.number

    def attempt(self, act: Any, *arguments: Any, **named: Any) -> int | None:
        """Do what the contract may refuse; every attempt that succeeds is a block."""
        try:
            done = act(*arguments, **named)
        except Reverted:
            return None
        return done if isinstance(done, int) else 0

    def pick(self, number: int) -> int:
        return number % len(self.proposers) + 1 if self.proposers else 1

    def propose(self, kind: int, label: str, by: Institution, after: int) -> int | None:
        if kind == ADDITION:
            house = HOUSE_BY_LABEL[label]
            change_id = self.attempt(
                self.registry.propose_addition, label, house=house, by=by, after=after
            )
        else:
            change_id = self.attempt(self.registry.propose_removal, label, by=by, after=after)
        if change_id is not None:
            self.proposers[change_id], self.subjects[change_id] = by, label
        return change_id

    @rule(kind=kinds, label=labels, by=members, after=delays)
    def propose_whatever(self, kind: int, label: str, by: Institution, after: int) -> None:
        self.propose(kind, label, by, after)

    @rule(label=labels, by=members, after=delays, then_by=members)
    def agree(self, label: str, by: Institution, after: int, then_by: Institution) -> None:
        kind = REMOVAL if label in self.present else ADDITION
        change_id = self.propose(kind, label, by, after)
        if change_id is not None:
            done = self.attempt(self.registry.confirm, change_id, by=then_by)
            assert done is None or by != then_by

    @rule(number=picks, by=members)
    def confirm(self, number: int, by: Institution) -> None:
        change_id = self.pick(number)
        if self.attempt(self.registry.confirm, change_id, by=by) is not None:
            assert self.proposers[change_id] != by

    @rule(number=picks, by=members)
    def withdraw(self, number: int, by: Institution) -> None:
        self.attempt(self.registry.withdraw, self.pick(number), by=by)

    @rule(seconds=delays)
    def pass_block(self, seconds: int) -> None:
        self.registry.pass_block(seconds)

    @invariant()
    def the_set_changes_by_at_most_one_a_block_and_never_falls_below_the_minimum(self) -> None:
        blocks = self.registry.chain.number - self.block
        self.block = self.registry.chain.number
        version = self.registry.contract.read("version")
        assert self.version <= version <= self.version + blocks
        found = self.registry.validators()
        by_key = {compressed(validator_key(label)): label for label in LABELS}
        present = [by_key[key] for key in found]
        assert len(set(present)) == len(present) >= self.minimum
        assert len(set(present) ^ set(self.present)) == version - self.version
        self.present, self.version = present, version

    @invariant()
    def whatever_is_scheduled_or_applied_two_participants_agreed_on(self) -> None:
        due = [NOTHING_SCHEDULED]
        scheduled = []
        for change_id, proposer in self.proposers.items():
            kind, state, effective_at, proposed_by, confirmed_by, _ = self.registry.contract.read(
                "change", change_id
            )
            assert proposed_by == proposer.lei
            assert kind in (ADDITION, REMOVAL)
            if state in (SCHEDULED, APPLIED, DROPPED):
                assert confirmed_by not in (proposed_by, bytes(20))
            if state == SCHEDULED:
                due.append(effective_at)
                scheduled.append(self.subjects[change_id])
        assert len(set(scheduled)) == len(scheduled)
        assert len(self.registry.contract.read("scheduledChanges")) == len(scheduled)
        assert self.registry.contract.read("nextEffectiveAt") == min(due)


class AnySequenceInDevelopment(AnySequence):
    """The same where one validator is enough."""

    minimum = 1
    count = 2
    is_development = True


AnySequence.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
AnySequenceInDevelopment.TestCase.settings = AnySequence.TestCase.settings
TestAnySequence = AnySequence.TestCase
TestAnySequenceInDevelopment = AnySequenceInDevelopment.TestCase
