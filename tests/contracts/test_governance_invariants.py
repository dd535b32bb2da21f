"""Any sequence of acts of governance, compared with models of what the specification says.

The registry's model counts in half days: the ones at which a participant is suspended are a set.
After every step the contract's status is the model's at the block's time and at later ones, though
nothing is sent in between; and its word on who may transact is the same at every time it says
(REG-8). The Council's model keeps who approved: nothing is executed with too few members, too
early, too late or twice (COU-5 to COU-8).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.primitives import keccak
from support.chain_harness import Chain, Reverted, open_chain
from support.council_network import DAY, MEMBERS, TIME_LOCK, Assembly, officer_of
from support.full_run import IS_FULL
from support.settlement_network import ALPHA, BETA, EUROSYSTEM, OPERATOR, Institution
from support.transactions import Key
from support.validator_network import WATCHDOG, validator_network_file

PROPOSED, ADMITTED, SUSPENDED, EXITED = 1, 2, 3, 4
HALF_DAY: Final = DAY // 2
LAST: Final = 600
"""The model's last half day; nothing is scheduled for one after it."""
SEVEN_DAYS, THIRTY_DAYS = 14, 60
OPERATOR_KEY: Final = OPERATOR.operating
SECOND_OFFICER: Final = EUROSYSTEM.account("officer-2")
NEWCOMER: Final = Institution("gamma", "GAMMFRPP", "FR", ("bank",), ("operating",))
BANKS: Final = (ALPHA, BETA, NEWCOMER)
FIGURES: Final = settings(max_examples=200 if IS_FULL else 15, stateful_step_count=30)

banks = st.sampled_from(BANKS)
ahead = st.integers(-2, 20)
officers = st.sampled_from([officer_of(EUROSYSTEM), SECOND_OFFICER, officer_of(WATCHDOG)])


@dataclass(slots=True)
class Life:
    """What the model knows of one participant, in half days."""

    admitted: int | None = None
    exited: int = LAST + 1
    suspended: set[int] = field(default_factory=set)
    provisional_by: Key | None = None
    again: int = 0

    def status(self, time: int) -> int:
        """Its status at a time."""
        if self.admitted is None:
            return 0
        if time >= self.exited:
            return EXITED
        if time < self.admitted:
            return PROPOSED
        return SUSPENDED if time in self.suspended else ADMITTED


@cache
def _genesis() -> Chain:
    return open_chain(validator_network_file())


class AnyGovernance(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.assembly = Assembly(_genesis().fork())
        self.start = self.assembly.now
        self.time = 0
        self.lives = {bank: Life(admitted=0) for bank in (ALPHA, BETA)} | {NEWCOMER: Life()}
        for bank in (ALPHA, BETA):
            self.order("setRoles", bank.lei, 1, EUROSYSTEM.lei)

    def order(self, function: str, *arguments: Any, by: Key = OPERATOR_KEY) -> str | None:
        """Do an act; return the error's name if it was refused."""
        try:
            self.assembly.registry.transact(by, function, *arguments)
        except Reverted as fault:
            return fault.name
        return None

    def second(self, half_day: int) -> int:
        return self.start + half_day * HALF_DAY

    def future(self, life: Life) -> set[int]:
        return {each for each in life.suspended if each >= self.time}

    @rule(half_days=st.integers(1, 9))
    def pass_time(self, half_days: int) -> None:
        self.time += half_days
        self.assembly.chain.now = self.second(self.time)

    @rule(after=ahead)
    def admit(self, after: int) -> None:
        entry = (NEWCOMER.reference("operating"), NEWCOMER.operating.address, 2)
        bic = NEWCOMER.bic.encode().ljust(11, b"\0")
        given = (NEWCOMER.lei, bic, b"FR", 1, bytes(32), bytes(32), "", [entry], EUROSYSTEM.lei)
        life = self.lives[NEWCOMER]
        refusal = self.order("admit", given, self.second(self.time + after))
        assert refusal == (None if life.admitted is None else "RegistryParticipantExists")
        if refusal is None:
            life.admitted = max(self.time, self.time + after)

    def unchangeable(self, life: Life) -> str | None:
        if life.admitted is None:
            return "RegistryParticipantUnknown"
        return "RegistryUnexpectedStatus" if self.time >= life.exited else None

    @rule(bank=banks, after=ahead)
    def suspend(self, bank: Institution, after: int) -> None:
        life, begin = self.lives[bank], max(self.time, self.time + after)
        ordered, standing = set(range(begin, LAST + 1)), self.future(life)
        expected = self.unchangeable(life)
        if expected is None and standing and begin > max(standing) + 1:
            expected = "RegistrySuspensionApart"
        if expected is None and ordered <= standing:
            expected = "RegistryUnexpectedStatus"
        assert self.order("suspend", bank.lei, self.second(self.time + after)) == expected
        if expected is None:
            life.suspended |= ordered
            life.provisional_by = None

    @rule(bank=banks, after=ahead)
    def reinstate(self, bank: Institution, after: int) -> None:
        life, end = self.lives[bank], max(self.time, self.time + after)
        expected = self.unchangeable(life)
        if expected is None and not any(each >= end for each in life.suspended):
            expected = "RegistryUnexpectedStatus"
        assert self.order("reinstate", bank.lei, self.second(self.time + after)) == expected
        if expected is None:
            life.suspended -= set(range(end, LAST + 1))
            life.provisional_by = None

    @rule(bank=banks, by=officers, after=ahead, length=st.integers(0, 16))
    def suspend_alone(self, bank: Institution, by: Key, after: int, length: int) -> None:
        life, begin = self.lives[bank], max(self.time, self.time + after)
        lapse, standing = begin + length, self.future(life)
        expected = self.unchangeable(life)
        if expected is None:
            expected = next(
                (
                    name
                    for is_so, name in (
                        (by == officer_of(WATCHDOG), "RegistryCallerNotCentralBank"),
                        (begin > self.time + THIRTY_DAYS, "RegistryInvalidTime"),
                        (not 0 < length <= SEVEN_DAYS, "RegistryInvalidTime"),
                        (begin < life.again, "RegistrySuspensionTooSoon"),
                        (
                            bool(standing) and not begin < min(standing) <= lapse,
                            "RegistrySuspensionStands",
                        ),
                    )
                    if is_so
                ),
                None,
            )
        given = (bank.lei, self.second(self.time + after), self.second(lapse))
        assert self.order("suspendProvisionally", *given, by=by) == expected
        if expected is None:
            end = max(standing) + 1 if standing else lapse
            life.suspended |= set(range(begin, end))
            life.provisional_by = None if standing else by
            life.again = lapse + SEVEN_DAYS

    @rule(bank=banks, by=officers)
    def confirm(self, bank: Institution, by: Key) -> None:
        life = self.lives[bank]
        expected = self.unchangeable(life)
        if expected is None and (life.provisional_by is None or not self.future(life)):
            expected = "RegistryNotProvisional"
        if expected is None and by == life.provisional_by:
            expected = "RegistrySamePerson"
        assert self.order("confirmSuspension", bank.lei, by=by) == expected
        if expected is None:
            life.suspended |= set(range(min(self.future(life)), LAST + 1))
            life.provisional_by = None

    @rule(bank=banks, after=st.integers(5, 40))
    def leave(self, bank: Institution, after: int) -> None:
        life = self.lives[bank]
        expected = self.unchangeable(life)
        if expected is None and life.exited <= LAST:
            expected = "RegistryUnexpectedStatus"
        assert self.order("exit", bank.lei, self.second(self.time + after)) == expected
        if expected is None:
            life.exited = self.time + after

    @invariant()
    def the_status_is_the_models_now_and_later(self) -> None:
        for after in (0, 7, 41) if IS_FULL else (0, 9):
            time = self.time + after
            later = self.assembly.at(self.second(time))
            for bank, life in self.lives.items():
                assert later.registry.read("statusOf", bank.lei) == life.status(time)
                is_allowed, until = later.allowed(bank.operating)
                assert is_allowed == (life.status(time) == ADMITTED)
                last = min((until - self.start) // HALF_DAY, LAST)
                is_same = {life.status(each) == ADMITTED for each in range(time, last + 1)}
                assert is_same == {is_allowed}
                if until < self.second(LAST):
                    assert (until + 1 - self.start) % HALF_DAY == 0


AnyGovernance.TestCase.settings = FIGURES
TestAnyGovernance = AnyGovernance.TestCase


@dataclass(slots=True)
class Motion:
    """What the model knows of one proposal."""

    data: bytes
    is_constitutional: bool
    by: Institution
    earliest: int
    expires: int
    approved: set[Institution]
    enough: int | None = None
    is_open: bool = True


class AnyCouncil(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.assembly = Assembly(_genesis().fork())
        self.motions: list[Motion] = []
        self.suspended: set[Institution] = set()
        self.executed = 0

    def voices(self, motion: Motion) -> int:
        return len(motion.approved - self.suspended)

    def threshold(self, motion: Motion) -> int:
        return len(MEMBERS) // 2 + 1 if motion.is_constitutional else 2

    def note_enough(self, motion: Motion) -> None:
        if motion.enough is None and self.voices(motion) >= self.threshold(motion):
            motion.enough = self.assembly.now

    def attempt(self, act: Callable[[], Any]) -> str | None:
        try:
            act()
        except Reverted as fault:
            return fault.name
        return None

    @rule(seconds=st.sampled_from([1, DAY, TIME_LOCK, 5 * DAY]))
    def pass_time(self, seconds: int) -> None:
        self.assembly.pass_time(seconds)

    @rule(
        member=st.sampled_from(MEMBERS),
        is_constitutional=st.booleans(),
        earliest_in=st.sampled_from([0, 3 * DAY]),
        expires_in=st.sampled_from([3 * DAY, 9 * DAY]),
    )
    def propose(
        self, member: Institution, is_constitutional: bool, earliest_in: int, expires_in: int
    ) -> None:
        assembly, label = self.assembly, f"{len(self.motions)}"
        target = assembly.council if is_constitutional else assembly.registry
        data = (
            target.encode("adoptRulebook", keccak(label.encode()), 0)
            if is_constitutional
            else target.encode("setEndpoint", ALPHA.lei, label, 0)
        )
        times = {"earliest_in": earliest_in, "expires_in": expires_in}
        refusal = self.attempt(lambda: assembly.propose(target, data, by=member, **times))
        assert refusal == ("CouncilCallerNotMember" if member in self.suspended else None)
        if refusal is None:
            now = assembly.now
            self.motions.append(
                Motion(
                    data, is_constitutional, member, now + earliest_in, now + expires_in, {member}
                )
            )

    def refusal_of(self, motion: Motion, member: Institution) -> str | None:
        if member in self.suspended:
            return "CouncilCallerNotMember"
        is_over = not motion.is_open or self.assembly.now > motion.expires
        return "CouncilUnexpectedState" if is_over else None

    @rule(
        member=st.sampled_from(MEMBERS),
        act=st.sampled_from(["approve"] * 6 + ["revokeApproval"] * 3 + ["cancel"]),
        place=st.integers(0, 1),
    )
    def speak(self, member: Institution, act: str, place: int) -> None:
        if not self.motions:
            return
        place %= len(self.motions)
        motion = self.motions[-1 - place]
        proposal_id = len(self.motions) - place
        expected = self.refusal_of(motion, member)
        if expected is None and act == "approve" and member in motion.approved:
            expected = "CouncilSameMember"
        if expected is None and act == "revokeApproval" and member not in motion.approved:
            expected = "CouncilNotApprover"
        if expected is None and act == "cancel" and member != motion.by:
            expected = "CouncilNotProposer"
        send = self.assembly.council.transact
        assert self.attempt(lambda: send(officer_of(member), act, proposal_id)) == expected
        if expected is not None:
            return
        if act == "approve":
            motion.approved.add(member)
            self.note_enough(motion)
        elif act == "revokeApproval":
            motion.approved.remove(member)
            if self.voices(motion) < self.threshold(motion):
                motion.enough = None
        else:
            motion.is_open = False

    @rule(place=st.integers(0, 1))
    def execute(self, place: int) -> None:
        if not self.motions:
            return
        place %= len(self.motions)
        motion, now = self.motions[-1 - place], self.assembly.now
        unlocked = (motion.enough or 0) + (TIME_LOCK if motion.is_constitutional else 0)
        is_enough = motion.enough is not None and self.voices(motion) >= self.threshold(motion)
        expected = next(
            (
                name
                for is_so, name in (
                    (not motion.is_open or now > motion.expires, "CouncilUnexpectedState"),
                    (not is_enough, "CouncilNotApproved"),
                    (now < max(unlocked, motion.earliest), "CouncilTooEarly"),
                )
                if is_so
            ),
            None,
        )
        proposal_id = len(self.motions) - place
        assert self.attempt(lambda: self.assembly.execute(proposal_id, motion.data)) == expected
        if expected is None:
            motion.is_open = False
            self.executed += 1

    @rule(member=st.sampled_from(MEMBERS))
    def suspend_or_reinstate(self, member: Institution) -> None:
        function = "reinstate" if member in self.suspended else "suspend"
        self.assembly.registry.transact(OPERATOR_KEY, function, member.lei)
        self.suspended ^= {member}

    @invariant()
    def the_council_counts_like_the_model(self) -> None:
        for place, motion in enumerate(self.motions[-3:]):
            proposal_id = len(self.motions) - len(self.motions[-3:]) + place + 1
            counted = self.assembly.council.read("approvalsOf", proposal_id)
            assert counted == (self.voices(motion), self.threshold(motion))
            assert self.assembly.council.read("proposal", proposal_id)[10] == (motion.enough or 0)
        states = [self.assembly.state_of(number + 1) for number in range(len(self.motions))]
        assert states.count(2) == self.executed


AnyCouncil.TestCase.settings = FIGURES
TestAnyCouncil = AnyCouncil.TestCase
