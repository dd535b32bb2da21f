"""Any sequence of acts by anybody, compared with a model of what the specification says.

Checked after every step: supply is the sum of balances and never above what was attested when it
was issued (TOK-7); balances are the model's, so both legs moved or neither (PAY-13); each
payment's state is the model's, so it settles at most once; a quote has at most one settled
payment (PAY-7).
"""

from dataclasses import astuple, dataclass, field, replace
from functools import lru_cache
from itertools import product
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.primitives import keccak
from support.chain_harness import Reverted
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    HOUR,
    ISSUER_BY_CURRENCY,
    MAKER,
    OPERATOR,
    SGD,
    ZERO_HASH,
    Institution,
    Leg,
    Quote,
    Street,
    Terms,
    open_street,
    sign_quote,
)

INSTRUCTED, SETTLED, REJECTED, CANCELLED, EXPIRED = 1, 3, 4, 5, 6
HOLDERS: Final = (ALPHA, BETA, MAKER)
START_BALANCE: Final = 100

currencies = st.sampled_from([EUR, SGD])
holders = st.sampled_from(HOLDERS)
amounts = st.integers(1, 80)
picks = st.integers(0, 3)
answers = st.sampled_from(["accept", "accept", "wait", "reject", "withdraw", "expire"])
legs = st.tuples(currencies, holders, holders, amounts)


@dataclass(slots=True)
class Expected:
    """What the model knows of one payment."""

    payment_id: bytes
    uetr_hash: bytes
    terms: Terms
    instructing: Institution
    parties: frozenset[Institution]
    consented: set[Institution] = field(default_factory=set)
    state: int = INSTRUCTED


pytestmark = pytest.mark.slow


@lru_cache(maxsize=1)
def _funded_street() -> Street:
    street = open_street()
    for currency in (EUR, SGD):
        street.fund(currency, dict.fromkeys(HOLDERS, START_BALANCE))
    return street


class AnySequence(RuleBasedStateMachine):
    """Acts in any order by any participant, allowed or not."""

    def __init__(self) -> None:
        super().__init__()
        self.street = _funded_street().fork()
        self.balances = dict.fromkeys(product(HOLDERS, (EUR, SGD)), START_BALANCE)
        self.attested = dict.fromkeys((EUR, SGD), len(HOLDERS) * START_BALANCE)
        self.suspended: set[Institution] = set()
        self.payments: list[Expected] = []
        self.quotes: list[Quote] = []
        self.by_reference = {holder.reference(): holder for holder in HOLDERS}
        self.steps = 0

    def fresh(self, label: str) -> bytes:
        self.steps += 1
        return keccak(f"{label}/{self.steps}".encode())

    def supply(self, currency: bytes) -> int:
        return sum(amount for (_, held), amount in self.balances.items() if held == currency)

    def attempt(self, sender: Institution, function: str, *arguments: object) -> bool:
        """Return whether the settlement contract did what it was asked."""
        try:
            self.street.settlement.transact(sender.operating, function, *arguments)
        except Reverted:
            return False
        return True

    def holds(self, payment: Expected, leg: Leg) -> bool:
        payer, payee = self.by_reference[leg.payer], self.by_reference[leg.payee]
        is_funded = self.balances[payer, leg.currency] >= leg.amount
        return is_funded and not {payer, payee} & self.suspended and payment.state == INSTRUCTED

    def consent(self, payment: Expected, *institutions: Institution) -> None:
        payment.consented.update(institutions)
        if payment.consented < payment.parties:
            return
        if not all(self.holds(payment, leg) for leg in payment.terms.legs):
            payment.state = CANCELLED
            return
        payment.state = SETTLED
        for leg in payment.terms.legs:
            self.balances[self.by_reference[leg.payer], leg.currency] -= leg.amount
            self.balances[self.by_reference[leg.payee], leg.currency] += leg.amount

    def expect(self, uetr_hash: bytes, terms: Terms, instructing: Institution) -> Expected:
        payment_id = self.street.settlement.read("paymentIdOf", instructing.lei, uetr_hash)
        references = [name for leg in terms.legs for name in (leg.payer, leg.payee)]
        parties = frozenset(self.by_reference[name] for name in references)
        payment = Expected(payment_id, uetr_hash, terms, instructing, parties)
        self.payments.append(payment)
        return payment

    @rule(currency=currencies, holder=holders, amount=amounts)
    def issue(self, currency: bytes, holder: Institution, amount: int) -> None:
        self.attested[currency] = self.supply(currency) + amount
        self.street.attest(currency, self.street.attestation(currency, self.attested[currency]))
        try:
            self.street.tokens[currency].transact(
                ISSUER_BY_CURRENCY[currency].operating,
                "issue",
                self.fresh("issue"),
                holder.settlement.address,
                amount,
            )
        except Reverted:
            assert holder in self.suspended
        else:
            assert holder not in self.suspended
            self.balances[holder, currency] += amount

    @rule(currency=currencies, holder=holders, excess=amounts)
    def issue_beyond_reserves(self, currency: bytes, holder: Institution, excess: int) -> None:
        amount = max(0, self.attested[currency] - self.supply(currency)) + excess
        with pytest.raises(Reverted, match=r"ReservesExceeded|AttestationExpired"):
            self.street.issue(currency, holder, amount, f"beyond {self.fresh('beyond').hex()}")

    @rule(currency=currencies, holder=holders, amount=amounts)
    def redeem(self, currency: bytes, holder: Institution, amount: int) -> None:
        is_allowed = holder not in self.suspended and self.balances[holder, currency] >= amount
        try:
            self.street.tokens[currency].transact(
                holder.operating,
                "redeem",
                self.fresh("redeem"),
                holder.settlement.address,
                amount,
            )
        except Reverted:
            assert not is_allowed
        else:
            assert is_allowed
            self.balances[holder, currency] -= amount

    @rule(leg=legs, then=answers)
    def instruct(self, leg: tuple[bytes, Institution, Institution, int], then: str) -> None:
        currency, payer, payee, amount = leg
        terms = replace(
            self.street.plain_terms(),
            legs=(Leg(currency, payer.reference(), payee.reference(), amount),),
        )
        uetr_hash = self.fresh("uetr")
        done = self.attempt(payer, "instruct", uetr_hash, astuple(terms))
        assert done == (payer != payee and payer not in self.suspended)
        if done:
            payment = self.expect(uetr_hash, terms, payer)
            self.consent(payment, payer)
            self.act(payment, then, rightly=True, otherwise=payee)

    @rule(sides=st.tuples(amounts, amounts), pick=picks, own=st.booleans(), then=answers)
    def instruct_with_quote(
        self, sides: tuple[int, int], pick: int, then: str, *, own: bool
    ) -> None:
        """Fill a new quote, or, if `pick` says so, one of the latest again."""
        if pick >= len(self.quotes):
            salt = self.fresh("salt")
            self.quotes.insert(0, replace(self.street.quote(*sides), salt=salt))
            pick = 0
        quote = self.quotes[pick]
        terms = self.street.quoted_terms(quote, ALPHA if own else BETA)
        holding = [
            payment
            for payment in self.payments
            if payment.terms.quote_hash == terms.quote_hash
            and payment.state in {INSTRUCTED, SETTLED}
        ]
        is_allowed = (
            not holding
            and not {ALPHA, MAKER} & self.suspended
            and self.street.now <= quote.valid_until
            and terms.settle_by <= quote.settle_by
        )
        uetr_hash = self.fresh("uetr")
        done = self.attempt(
            ALPHA, "instructWithQuote", uetr_hash, astuple(terms), astuple(quote), sign_quote(quote)
        )
        assert done == is_allowed
        if done:
            payment = self.expect(uetr_hash, terms, ALPHA)
            self.consent(payment, ALPHA, MAKER)
            self.act(payment, then, rightly=True, otherwise=BETA)

    @precondition(lambda self: self.payments)
    @rule(pick=picks, sender=holders, rightly=st.booleans(), answer=answers)
    def answer(self, pick: int, sender: Institution, answer: str, *, rightly: bool) -> None:
        payment = self.payments[-1 - pick % len(self.payments)]
        self.act(payment, answer, rightly=rightly, otherwise=sender)

    def act(self, payment: Expected, answer: str, *, rightly: bool, otherwise: Institution) -> None:
        """Act on a payment as whoever is asked or instructed it (`rightly`), or as another."""
        asked = sorted(payment.parties - payment.consented, key=lambda party: party.name)
        party = asked[0] if asked and rightly else otherwise
        match answer:
            case "accept":
                self.accept(payment, party)
            case "reject":
                self.reject(payment, party)
            case "withdraw":
                self.withdraw(payment, payment.instructing if rightly else otherwise)
            case "expire":
                self.expire(payment, otherwise)
            case _:
                return

    def accept(self, payment: Expected, sender: Institution) -> None:
        done = self.attempt(sender, "accept", payment.payment_id, astuple(payment.terms))
        is_open = payment.state == INSTRUCTED and self.street.now <= payment.terms.accept_by
        assert done == (is_open and self.may_consent(payment, sender))
        if done:
            self.consent(payment, sender)

    def reject(self, payment: Expected, sender: Institution) -> None:
        done = self.attempt(sender, "reject", payment.payment_id, astuple(payment.terms), ZERO_HASH)
        assert done == (payment.state == INSTRUCTED and self.may_consent(payment, sender))
        if done:
            payment.state = REJECTED

    def may_consent(self, payment: Expected, sender: Institution) -> bool:
        return sender in payment.parties - payment.consented and sender not in self.suspended

    def withdraw(self, payment: Expected, sender: Institution) -> None:
        done = self.attempt(sender, "withdraw", payment.payment_id, payment.uetr_hash, ZERO_HASH)
        is_own = sender == payment.instructing and sender not in self.suspended
        assert done == (payment.state == INSTRUCTED and is_own)
        if done:
            payment.state = CANCELLED

    def expire(self, payment: Expected, sender: Institution) -> None:
        done = self.attempt(sender, "expire", payment.payment_id)
        is_late = self.street.now > payment.terms.accept_by
        assert done == (payment.state == INSTRUCTED and is_late)
        if done:
            payment.state = EXPIRED

    @rule(seconds=st.sampled_from([1, HOUR // 2, HOUR + 1]))
    def pass_time(self, seconds: int) -> None:
        self.street.pass_time(seconds)

    @rule(holder=holders)
    def suspend_or_reinstate(self, holder: Institution) -> None:
        function = "reinstate" if holder in self.suspended else "suspend"
        self.street.registry.transact(OPERATOR.operating, function, holder.lei)
        self.suspended ^= {holder}

    @invariant()
    def supply_is_the_sum_of_balances(self) -> None:
        for currency, token in self.street.tokens.items():
            held = {holder: self.street.balance(holder, currency) for holder in HOLDERS}
            assert held == {holder: self.balances[holder, currency] for holder in HOLDERS}
            assert token.read("totalSupply") == sum(held.values()) <= self.attested[currency]

    @invariant()
    def every_payment_is_where_the_model_has_it(self) -> None:
        for payment in self.payments:
            assert self.street.state(payment.payment_id)[0] == payment.state

    @invariant()
    def a_quote_has_at_most_one_settled_payment(self) -> None:
        settled = [each.terms.quote_hash for each in self.payments if each.state == SETTLED]
        quoted = [quote_hash for quote_hash in settled if quote_hash != ZERO_HASH]
        assert len(quoted) == len(set(quoted))


AnySequence.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestAnySequence = AnySequence.TestCase
