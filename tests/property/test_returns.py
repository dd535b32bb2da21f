"""Two banks over a simulated chain pay, give back, ask back and hold on suspense, and die between any two commits.

Whatever happens in whatever order: nobody's money is made or lost, both banks' books and the chain
agree, no more goes back than came, suspense items add up, and no payment stays open past its deadline
without an alert (docs/spec/payment.md: RTN-1 to RTN-7, SUS-1 to SUS-5, RCL-1 to RCL-3, STK-2).
"""

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.alert import AlertKind
from bridge.config import AlertSettings
from bridge.errors import Rejected
from bridge.iso20022.codes import CancellationReason, ReturnReason
from bridge.money import Amount
from bridge.payment import Payment, PaymentState
from bridge.settlement.observation import EXPIRE
from bridge.settlement.recall import GRANT, RecallOrder, ask_back
from bridge.settlement.returning import ReturnOrder, request_return
from bridge.store import CustomerAccountStatus, RecallDirection, RecallState, SuspenseState
from bridge.watch import Watch
from support.bridge_api import ALICE_IBAN
from support.full_run import IS_FULL
from support.participants import BANK_A, BANK_B
from support.payment_street import (
    ALICE,
    BOB,
    BOB_ACCOUNT,
    EUR,
    SUSPENSE,
    TOKENS,
    Bank,
    Crash,
    Street,
)

BANKS = st.sampled_from([BANK_A, BANK_B])
BOUNDS = AlertSettings(payment_seconds=1)
ALL_MONEY = 200_000


class Payments(RuleBasedStateMachine):
    """The street, with its clock, its wire and its processes in the hands of chance."""

    @initialize()
    def open(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.street = Street(Path(self._folder.name))
        self.street.chain.mine(is_empty_wanted=True)
        self.keys = 0
        for cents in (3_000, 5_000):
            self.street.pays(self.key(), cents)
        self.street.settle_down()

    def key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    @rule(cents=st.integers(1, 9_000))
    def pay(self, cents: int) -> None:
        try:
            self.street.pays(self.key(), cents)
        except Crash:
            self.street.restart(BANK_A)

    @rule(which=st.integers(0, 9), cents=st.none() | st.integers(1, 5_000))
    def give_back(self, which: int, cents: int | None) -> None:
        came = [each for each in self.street.b.payments() if each.return_of is None]
        if not came:
            return
        payment = came[which % len(came)]
        order = ReturnOrder(
            payment_id=payment.payment_id,
            reason=ReturnReason.CUST,
            key=self.key(),
            amount=None if cents is None else Amount(EUR, cents),
            client="bob",
        )
        for _ in range(2):
            try:
                request_return(self.street.b.institution, "bob", order)
            except Crash:
                self.street.restart(BANK_B)

    @rule(lei=BANKS, status=st.sampled_from(CustomerAccountStatus))
    def decide_on_the_account(self, lei: str, status: CustomerAccountStatus) -> None:
        account_id = ALICE if lei == BANK_A else BOB
        with suppress(Crash), self.street.banks[lei].store.unit_of_work() as work:
            work.customers.set_status(account_id, status)
            return
        self.street.restart(lei)

    @rule(lei=BANKS, is_returned=st.booleans())
    def resolve_suspense(self, lei: str, *, is_returned: bool) -> None:
        bank = self.street.banks[lei]
        with bank.store.reading() as work:
            items = work.suspense.page(SuspenseState.OPEN).items
        for item in items:
            account = ALICE_IBAN if lei == BANK_A else BOB_ACCOUNT
            try:
                with suppress(Rejected):
                    if is_returned:
                        bank.approves("return_suspense", item.payment_id)
                    else:
                        bank.approves("release_suspense", item.payment_id, account=account)
            except Crash:
                self.street.restart(lei)
                return

    @rule(which=st.integers(0, 9))
    def ask_back(self, which: int) -> None:
        sent = [each for each in self.street.a.payments() if each.return_of is None]
        if not sent:
            return
        order = RecallOrder(sent[which % len(sent)].payment_id, CancellationReason.DUPL)
        try:
            with suppress(Rejected):
                ask_back(self.street.a.institution, order)
        except Crash:
            self.street.restart(BANK_A)

    @rule(is_granted=st.booleans())
    def answer_recalls(self, *, is_granted: bool) -> None:
        bank = self.street.b
        with bank.store.reading() as work:
            asked = [each for each in work.recalls.page().items if each.state is RecallState.ASKED]
        for recall in asked:
            answer = GRANT if is_granted else "CUST"
            try:
                with suppress(Rejected):
                    bank.approves("answer_recall", recall.payment_id, answer=answer)
            except Crash:
                self.street.restart(BANK_B)
                return

    @rule(lei=BANKS, commits=st.integers(0, 12), is_lost=st.booleans())
    def be_about_to_die(self, lei: str, commits: int, *, is_lost: bool) -> None:
        store = self.street.banks[lei].store
        store.commits_left, store.is_lost = commits, is_lost

    @rule(lei=BANKS)
    def work(self, lei: str) -> None:
        self.street.run(lei)

    @rule(rounds=st.sampled_from([2, 6, 6]))
    def let_things_happen(self, rounds: int) -> None:
        """Both banks work in turn, each dying where it must: most of what was begun ends."""
        for _ in range(rounds):
            for lei in (BANK_A, BANK_B):
                self.street.run(lei)
            self.street.chain.mine()
            self.street.chain.settle_queued()

    @rule(cents=st.integers(1, 9_000), status=st.sampled_from(CustomerAccountStatus))
    def pay_an_account_that_changes_meanwhile(
        self, cents: int, status: CustomerAccountStatus
    ) -> None:
        """It waits on the chain for tokens while its creditor's account is closed or frozen."""
        if not self.street.chain.balances.get(("away", "EUR")):
            self.move_all_tokens_away_or_back()
        self.pay(cents)
        self.let_things_happen(5)
        self.decide_on_the_account(BANK_B, status)
        self.move_all_tokens_away_or_back()
        self.let_things_happen(2)

    @rule()
    def mine(self) -> None:
        self.street.chain.mine()
        self.street.chain.settle_queued()

    @rule(seconds=st.sampled_from([1, 1, 5, 30, 61, 121]))
    def pass_time(self, seconds: int) -> None:
        self.street.chain.now += seconds

    @rule(is_cut=st.sampled_from([False, False, True]))
    def cut_the_wire(self, *, is_cut: bool) -> None:
        self.street.is_cut = is_cut

    @rule()
    def lose_what_the_node_had_not_mined(self) -> None:
        self.street.chain.forget()
        for lei in (BANK_A, BANK_B):
            self.street.banks[lei].submitter.resend_outstanding()

    def move_all_tokens_away_or_back(self) -> None:
        """What bank A cannot pay waits on the chain; bank A's books do not see it (nobody redeems)."""
        balances = self.street.chain.balances
        away = balances.pop(("away", "EUR"), 0)
        if away:
            balances[BANK_A, "EUR"] += away
        else:
            balances["away", "EUR"] = balances[BANK_A, "EUR"]
            balances[BANK_A, "EUR"] = 0

    @precondition(lambda self: hasattr(self, "street"))
    @invariant()
    def no_more_goes_back_than_came(self) -> None:
        for bank in self.street.banks.values():
            with bank.store.reading() as work:
                for payment in work.payments.page(limit=200).items:
                    returns = work.payments.returns_of(payment.payment_id)
                    settled = [each for each in returns if each.state is PaymentState.SETTLED]
                    total = sum(each.settlement_amount.minor_units for each in settled)
                    assert total <= payment.settlement_amount.minor_units

    @precondition(lambda self: hasattr(self, "street"))
    @invariant()
    def suspense_items_add_up(self) -> None:
        for bank in self.street.banks.values():
            with bank.store.reading() as work:
                assert work.suspense.total(SUSPENSE) == bank.balance(SUSPENSE)

    @precondition(lambda self: hasattr(self, "street"))
    @invariant()
    def no_payment_is_late_without_an_alert(self) -> None:
        for bank in self.street.banks.values():
            with suppress(Crash):
                watch(bank)
                late = {payment.payment_id for payment in bank.payments() if is_late(bank, payment)}
                with bank.store.reading() as work:
                    raised = work.alerts.raised()
                kind = AlertKind.PAYMENT_OVERDUE
                assert late == {
                    each.finding.subject for each in raised if each.finding.kind is kind
                }
                continue
            self.street.restart(bank.institution.lei)

    def teardown(self) -> None:
        """Let it all come to rest; then every book is right."""
        if not hasattr(self, "street"):
            return
        street = self.street
        street.is_cut = False
        for lei in (BANK_A, BANK_B):
            street.restart(lei)
        if street.chain.balances.get(("away", "EUR")):
            self.move_all_tokens_away_or_back()
        street.settle_down()
        street.chain.settle_queued()
        for seconds in (61, 70, 3, 3):
            street.chain.now += seconds
            street.settle_down()
        self.check_the_books()
        for bank in street.banks.values():
            bank.store.close()
        self._folder.cleanup()

    def check_the_books(self) -> None:
        street = self.street
        customers = street.a.balance(ALICE) + street.b.balance(BOB)
        assert customers + street.a.balance(SUSPENSE) + street.b.balance(SUSPENSE) == ALL_MONEY
        for lei, bank in street.banks.items():
            assert bank.balance(TOKENS) == street.chain.balances[lei, "EUR"]
            for account in (ALICE if lei == BANK_A else BOB, TOKENS, SUSPENSE):
                assert bank.balance(account) == bank.available(account)
            watch(bank)
            with bank.store.reading() as work:
                kinds = {each.finding.kind for each in work.alerts.raised()}
            assert AlertKind.PAYMENT_OVERDUE not in kinds
            for payment in bank.payments():
                assert payment.is_terminal, payment
        for payment in street.a.payments():
            if payment.settlement_id in street.chain.payments:
                other = street.b_side(payment)
                self.check_the_recall(payment, other)
                settled = PaymentState.SETTLED
                assert (payment.state is settled) == (other.state is settled)

    def check_the_recall(self, sent: Payment, came: Payment) -> None:
        """Both banks say the same of a recall; what bank B was never asked bank A still asks."""
        with self.street.a.store.reading() as work:
            asked = work.recalls.find(sent.payment_id, RecallDirection.OUTGOING)
        with self.street.b.store.reading() as work:
            heard = work.recalls.find(came.payment_id, RecallDirection.INCOMING)
        assert (asked is None) == (heard is None)
        if asked is not None and heard is not None:
            assert (asked.state, asked.rejection) == (heard.state, heard.rejection)


def watch(bank: Bank) -> None:
    """Look once for what is stuck."""
    clock = bank.institution.clock
    Watch(bank.store, BOUNDS, clock, patient=frozenset({EXPIRE})).step()


def is_late(bank: Bank, payment: Payment) -> bool:
    """Whether a payment is open more than a second past its deadline."""
    ends_by = payment.ends_by
    return ends_by is not None and ends_by < bank.institution.clock() - BOUNDS.payment_seconds


TestPayments = Payments.TestCase
TestPayments.settings = settings(
    max_examples=200 if IS_FULL else 8, stateful_step_count=20, deadline=None
)
