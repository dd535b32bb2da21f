"""Acts of three institutions on real contracts, each drawn at random and checked against the model as it is made.

Every method takes a source of randomness, does one thing that somebody might do, allowed or not, and asserts that the
contracts took or refused it as the model says. `WEIGHT_BY_ACT` says how often each is to be done.
"""

from dataclasses import astuple, replace
from random import Random
from typing import Any, Final

from node.primitives import keccak
from support.chain_harness import Receipt, Reverted
from support.rounds import NOTHING, Proposal, as_argument, bend, propose
from support.settlement_circumstances import HOLDERS, POSITIONS, Circumstances
from support.settlement_model import (
    CANCELLED,
    DAY,
    EXPIRED,
    INSTRUCTED,
    QUEUED,
    REJECTED,
    SETTLED,
    Model,
    Movement,
    Payment,
)
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    OPERATOR,
    SGD,
    ZERO_HASH,
    Institution,
    Leg,
    Quote,
    Street,
    quote_hash_of,
    signed,
)

BYPASSABLE: Final = 1
CLASSES: Final = (0, 0, 1, 2)
WEIGHT_BY_ACT: Final = {
    "change_something_around": 16,
    "pay": 12,
    "pay_on_quotes": 9,
    "cancel_a_quote": 1,
    "give_back": 3,
    "instruct_again": 1,
    "accept_anything": 2,
    "reject": 2,
    "withdraw": 4,
    "expire": 3,
    "prioritise": 3,
    "reassess": 3,
    "resolve": 6,
    "resolve_something_else": 4,
    "resolve_selected": 4,
}


class Players:
    """Whoever acts, with the street they act on and the model of it."""

    def __init__(self, street: Street, start_balance: int) -> None:
        self.street = street
        self.model = Model(dict.fromkeys(POSITIONS, start_balance))
        self.quotes: list[Quote] = []
        self.cancelled: set[bytes] = set()
        self.stale: list[Proposal] = []
        self.settled_events: set[bytes] = set()
        self.steps = 0
        self.model.now = street.now
        self.circumstances = Circumstances(street, self.model, self.attempt)

    def act(self, seed: int) -> None:
        """Have somebody do something; what, and with what, is drawn from the seed."""
        source = Random(f"{seed}/{self.steps}")
        self.steps += 1
        (name,) = source.choices(list(WEIGHT_BY_ACT), list(WEIGHT_BY_ACT.values()))
        getattr(self, name)(source)

    def change_something_around(self, source: Random) -> None:
        """Limits, issues, redemptions, what stands in the way of payments, and time."""
        self.circumstances.change(source)

    def fresh(self, label: str) -> bytes:
        """Return a word that was not used before."""
        self.steps += 1
        return keccak(f"{label}/{self.steps}".encode())

    def attempt(self, sender: Institution, function: str, *arguments: Any) -> Receipt | None:
        """Have the settlement contract do something; none where it refused, by a fault of its own."""
        try:
            receipt = self.street.settlement.transact(sender.operating, function, *arguments)
        except Reverted as fault:
            if not fault.name.startswith("Settlement"):
                raise
            return None
        for event in receipt.events:
            if event.name == "PaymentSettled":
                assert event.arguments["paymentId"] not in self.settled_events
                self.settled_events.add(event.arguments["paymentId"])
        return receipt

    def pick(self, source: Random, *states: int) -> Payment | None:
        """One of the payments in some states, or, at times, of all."""
        found = [each for each in self.model.payments if each.state in states]
        if not found or source.random() < 0.1:
            found = self.model.payments
        return source.choice(found) if found else None

    # Instructing and consenting.

    def expect(self, payment: Payment) -> None:
        self.model.payments.append(payment)
        self.consent(payment, payment.instructing)

    def consent(self, payment: Payment, party: Institution) -> None:
        payment.consented.add(party)
        if payment.consented >= payment.parties:
            self.model.enter(payment)

    def is_too_early(self, payment: Payment, *parties: Institution) -> bool:
        is_last = payment.consented | {*parties} >= payment.parties
        return is_last and not payment.may_wait and self.model.now < payment.terms.not_before

    def pay(self, source: Random) -> None:
        """Instruct payments of one to three legs; most often all parties accept."""
        self.circumstances.calm_at_times(source)
        for _ in range(source.randint(1, 4)):
            self.instruct(source)

    def instruct(self, source: Random) -> None:
        movements = tuple(_draw_movement(source) for _ in range(source.choice((1, 1, 1, 2, 3))))
        is_bypassable = source.random() < 0.5
        terms = replace(
            self.street.plain_terms(),
            legs=tuple(
                Leg(leg.currency, leg.payer.reference(), leg.payee.reference(), leg.amount)
                for leg in movements
            ),
            not_before=self.street.now + 600 if source.random() < 0.15 else 0,
            priority=source.choice(CLASSES),
            flags=BYPASSABLE if is_bypassable else 0,
        )
        payer, uetr_hash = movements[0].payer, self.fresh("uetr")
        receipt = self.attempt(payer, "instruct", uetr_hash, astuple(terms))
        assert (receipt is not None) == (self.model.may_act(payer) and not self.model.is_paused)
        if receipt is not None:
            payment_id = receipt.event("Instructed").arguments["paymentId"]
            payment = Payment(payment_id, uetr_hash, terms, movements, set())
            self.prefer(payment, payer, terms.priority, is_bypassable=is_bypassable)
            self.expect(payment)
            self.accept_for_all(payment, source)

    def accept_for_all(self, payment: Payment, source: Random) -> None:
        """Have everybody else accept, unless one of ten leaves it at that."""
        for party in sorted(payment.parties - payment.consented, key=lambda each: each.name):
            if source.random() < 0.9:
                self.accept(
                    payment, party, source.choice((0, 0, 1, 2)), is_bypassable=source.random() < 0.5
                )

    def prefer(
        self, payment: Payment, party: Institution, priority: int, *, is_bypassable: bool
    ) -> None:
        payment.priorities[party] = priority
        if is_bypassable:
            payment.bypassing.add(party)

    def accept(
        self, payment: Payment, party: Institution, priority: int, *, is_bypassable: bool
    ) -> None:
        flags = BYPASSABLE if is_bypassable else 0
        receipt = self.attempt(
            party, "accept", payment.payment_id, astuple(payment.terms), priority, flags
        )
        is_allowed = (
            self.model.may_act(party)
            and payment.state == INSTRUCTED
            and party in payment.parties - payment.consented
            and self.model.now <= payment.terms.accept_by
            and not self.is_too_early(payment, party)
        )
        assert (receipt is not None) == is_allowed
        if receipt is None:
            return
        self.prefer(payment, party, priority, is_bypassable=is_bypassable)
        if payment.consented | {party} >= payment.parties:
            payment.consented.add(party)
            reason = self.model.enter(payment)
            if payment.state == QUEUED:
                assert receipt.event("PaymentQueued").arguments["reason"] == reason
        else:
            self.consent(payment, party)

    def pay_on_quotes(self, source: Random) -> None:
        """Take parts of quotes by Maker, new ones or earlier ones, for oneself or for Beta."""
        self.circumstances.calm_at_times(source)
        for _ in range(source.randint(1, 2)):
            self.instruct_on_a_quote(source)

    def draw_quote(self, source: Random) -> Quote:
        if self.quotes and source.random() < 0.5:
            return source.choice(self.quotes[:3])
        quote = replace(
            self.street.quote(source.randint(2, 12), source.randint(1, 8)),
            smallest_fill=1,
            may_queue=source.random() < 0.7,
            priority=source.choice(CLASSES),
            salt=self.fresh("salt"),
        )
        self.quotes.insert(0, quote)
        return quote

    def instruct_on_a_quote(self, source: Random) -> None:
        quote = self.draw_quote(source)
        part = source.randint(1, 4)
        taken = -(-part * quote.taker_amount // quote.maker_amount)
        beneficiary = source.choice((ALPHA, BETA, BETA, BETA))
        whole = self.street.quoted_terms(quote, beneficiary)
        terms = replace(
            whole,
            legs=(replace(whole.legs[0], amount=taken), replace(whole.legs[1], amount=part)),
            not_before=self.street.now + 300 if source.random() < 0.2 else 0,
            priority=source.choice(CLASSES),
        )
        movements = (Movement(EUR, ALPHA, MAKER, taken), Movement(SGD, MAKER, beneficiary, part))
        uetr_hash = self.fresh("uetr")
        payment = Payment(b"", uetr_hash, terms, movements, {MAKER}, part, quote.may_queue)
        left = quote.maker_amount - self.model.used_of(terms.quote_hash)
        is_allowed = (
            part <= left
            and terms.quote_hash not in self.cancelled
            and self.model.may_act(ALPHA)
            and self.model.may_act(MAKER)
            and not self.model.is_paused
            and self.street.now <= quote.valid_until
            and terms.settle_by <= quote.settle_by
            and not self.is_too_early(payment, ALPHA)
        )
        given = signed(quote, signer=MAKER.account("quoting").address)
        receipt = self.attempt(ALPHA, "instructWithQuotes", uetr_hash, astuple(terms), [given])
        assert (receipt is not None) == is_allowed
        if receipt is not None:
            payment.payment_id = receipt.event("Instructed").arguments["paymentId"]
            payment.priorities = {ALPHA: terms.priority, MAKER: quote.priority}
            self.expect(payment)
            self.accept_for_all(payment, source)

    def cancel_a_quote(self, source: Random) -> None:
        if not self.quotes:
            return
        quote, sender = source.choice(self.quotes), source.choice(HOLDERS)
        receipt = self.attempt(sender, "cancelQuote", astuple(quote))
        assert (receipt is not None) == (sender == MAKER and self.model.may_act(MAKER))
        if receipt is not None:
            self.cancelled.add(quote_hash_of(quote))

    def give_back(self, source: Random) -> None:
        """Return some of what a settled payment brought, or more."""
        original, amount = self.pick(source, SETTLED), source.randint(1, 4)
        if original is None or original.state != SETTLED or original.original is not None:
            return
        received = source.choice(original.legs)
        party, payee = received.payee, received.payer
        terms = replace(
            self.street.plain_terms(),
            legs=(Leg(received.currency, party.reference(), payee.reference(), amount),),
        )
        number = self.steps = self.steps + 1
        given = (original.uetr_hash, number, astuple(original.terms), astuple(terms))
        receipt = self.attempt(party, "instructReturn", *given)
        returned = self.model.returned_of(original, party, received.currency)
        is_covered = returned + amount <= original.received_by(party, received.currency)
        is_allowed = is_covered and self.model.may_act(party) and not self.model.is_paused
        assert (receipt is not None) == is_allowed
        if receipt is not None:
            payment_id = receipt.event("Instructed").arguments["paymentId"]
            movement = Movement(received.currency, party, payee, amount)
            payment = Payment(
                payment_id, original.uetr_hash, terms, (movement,), set(), original=original
            )
            self.expect(payment)
            self.accept_for_all(payment, source)

    def instruct_again(self, source: Random) -> None:
        """Nobody uses a UETR twice, nor the id of another's payment."""
        payment, sender = self.pick(source), source.choice(HOLDERS)
        if payment is None or payment.original is not None or payment.fill:
            return
        renewed = replace(payment.terms, accept_by=self.street.now, settle_by=self.street.now + DAY)
        receipt = self.attempt(sender, "instruct", payment.uetr_hash, astuple(renewed))
        assert receipt is None

    # Answers and the ends of payments.

    def accept_anything(self, source: Random) -> None:
        payment = self.pick(source)
        if payment is not None:
            self.accept(
                payment, source.choice(HOLDERS), source.choice(CLASSES), is_bypassable=False
            )

    def reject(self, source: Random) -> None:
        payment, sender = self.pick(source, INSTRUCTED), source.choice(HOLDERS)
        if payment is None:
            return
        receipt = self.attempt(
            sender, "reject", payment.payment_id, astuple(payment.terms), ZERO_HASH
        )
        is_asked = payment.state == INSTRUCTED and sender in payment.parties - payment.consented
        assert (receipt is not None) == (is_asked and self.model.may_act(sender))
        if receipt is not None:
            self.model.close(payment, REJECTED)

    def withdraw(self, source: Random) -> None:
        payment, sender = self.pick(source, INSTRUCTED, QUEUED), source.choice(HOLDERS)
        if payment is None:
            return
        receipt = self.attempt(
            sender, "withdraw", payment.payment_id, astuple(payment.terms), ZERO_HASH
        )
        is_own = payment.instructing == sender and payment.state == INSTRUCTED
        is_payer = sender in payment.payers and payment.state == QUEUED
        assert (receipt is not None) == (self.model.may_act(sender) and (is_own or is_payer))
        if receipt is None:
            return
        payment.withdrawing.add(sender)
        if is_own or payment.withdrawing >= payment.payers:
            self.model.close(payment, CANCELLED)

    def expire(self, source: Random) -> None:
        payment = self.pick(source, INSTRUCTED, QUEUED)
        if payment is not None:
            self.expire_now(payment)

    def expire_now(self, payment: Payment) -> None:
        receipt = self.attempt(OPERATOR, "expire", payment.payment_id, astuple(payment.terms))
        deadline = (
            payment.terms.accept_by if payment.state == INSTRUCTED else payment.terms.settle_by
        )
        assert (receipt is not None) == (payment.is_open and self.model.now > deadline)
        if receipt is not None:
            self.model.close(payment, EXPIRED)

    # Queues and rounds.

    def prioritise(self, source: Random) -> None:
        payment, sender = self.pick(source, QUEUED), source.choice(HOLDERS)
        priority = source.choice(CLASSES)
        if payment is None:
            return
        given = (payment.payment_id, astuple(payment.terms), priority)
        receipt = self.attempt(sender, "prioritise", *given)
        is_payer = payment.state == QUEUED and sender in payment.payers
        assert (receipt is not None) == (is_payer and self.model.may_act(sender))
        if receipt is not None:
            self.model.prioritise(payment, sender, priority)

    def reassess(self, source: Random) -> None:
        payment = self.pick(source, QUEUED)
        if payment is None or payment.state != QUEUED:
            return
        receipt = self.attempt(OPERATOR, "reassess", payment.payment_id, astuple(payment.terms))
        assert receipt is not None
        is_set_aside = not self.model.is_eligible(payment)
        assert receipt.names == ["PaymentSetAside"] * (is_set_aside != payment.is_set_aside)
        payment.is_set_aside = is_set_aside

    def proposal(self) -> Proposal:
        waiting = {
            each.payment_id: each.terms for each in self.model.payments if each.state == QUEUED
        }
        return propose(self.street, waiting)

    def resolve(self, source: Random) -> None:
        """What settles of all that waits is what the solver says."""
        sender = source.choice((BETA, OPERATOR))
        self.circumstances.calm_at_times(source)
        expected = set() if self.model.is_paused else self.model.solution()
        proposal = self.proposal()
        self.stale.append(proposal)
        receipt = self.attempt(sender, "resolve", as_argument(proposal))
        assert (receipt is not None) == bool(expected)
        if receipt is not None:
            settled = [
                event.arguments["paymentId"]
                for event in receipt.events
                if event.name == "PaymentSettled"
            ]
            assert set(settled) == expected
            self.apply_rounds(receipt, ())

    def resolve_something_else(self, source: Random) -> None:
        """A proposal that is cut, shuffled, stale or a lie settles only what may settle."""
        self.circumstances.calm_at_times(source)
        proposal = bend(source, self.proposal(), self.stale)
        receipt = self.attempt(MAKER, "resolve", as_argument(proposal))
        if receipt is not None:
            self.apply_rounds(receipt, ())

    def resolve_selected(self, source: Random) -> None:
        """What the liquidity role skips is what its payers let be skipped."""
        self.circumstances.calm_at_times(source)
        proposal = self.proposal()
        may_skip = {
            each.payment_id for each in self.model.payments if each.bypassing >= each.payers
        }
        skipped = [
            source.random() < (0.7 if item.payment_id in may_skip else 0.05)
            for item in proposal.items
        ]
        passed_over = {
            item.payment_id
            for item, is_skipped in zip(proposal.items, skipped, strict=True)
            if is_skipped
        }
        first = as_argument(proposal) if source.random() < 0.2 else NOTHING
        given = (first, as_argument(proposal), skipped)
        receipt = self.attempt(OPERATOR, "resolveSelected", *given)
        if receipt is not None:
            self.apply_rounds(
                receipt, [each for each in self.model.payments if each.payment_id in passed_over]
            )

    def apply_rounds(self, receipt: Receipt, passed_over: Any) -> None:
        """Check each round that a transaction made, and let the model settle it."""
        by_id = {each.payment_id: each for each in self.model.payments}
        settled: list[Payment] = []
        for event in receipt.events:
            if event.name == "PaymentSettled":
                settled.append(by_id[event.arguments["paymentId"]])
            elif event.name == "RoundSettled":
                assert event.arguments["settled"] == len(settled) > 0
                self.model.check_round(settled, passed_over)
                self.model.settle(settled)
                settled = []
        assert not settled


def _draw_movement(source: Random) -> Movement:
    payer, payee = source.sample(HOLDERS, 2)
    return Movement(source.choice((EUR, EUR, SGD)), payer, payee, source.randint(1, 6))
