"""What customers do with retail CBDC: pay, load, unload, hold under a condition.

A payment is carried out in the unit of work that took it: limits, waterfalls and both wallets in one
entry. To another bank it is set aside, and its order to the central bank recorded. What waits for
the bank's own retail CBDC is set aside too, and tried again when that came; it is over at its
deadline, as a condition is.
"""

from dataclasses import dataclass, replace
from typing import Final

from bridge import chart
from bridge.errors import (
    InsufficientFunds,
    LinkedAccountMissing,
    Rejected,
    ResourceUnknown,
    RetailPaymentNotOpen,
    WalletPaysItself,
)
from bridge.iso20022.codes import StatusReason
from bridge.ledger import Posting
from bridge.money import Amount
from bridge.retail import booking
from bridge.retail.answering import Answer, Question, answer_once
from bridge.retail.description import describe_retail
from bridge.retail.intermediary import Intermediary
from bridge.retail.ordering import order_transfer, order_vault, redeem_overflow
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.store.retail_register import CustodyDirection, CustodyOrder, CustodyOrderState
from bridge.wallet import (
    RetailKind,
    RetailPayment,
    RetailState,
    Wallet,
    check_spending,
    drawn_from_deposit,
    excess_over_limit,
    step,
)
from bridge.worker import Done, Outcome

RESUME: Final = "resume_retail_payment"
"""Kind of the effect that tries a waiting payment again."""

LAPSE: Final = "lapse_retail_payment"
"""Kind of the effect that ends what waits or is held after its deadline."""

HOLD_SECONDS_MAX: Final = 365 * 86_400
"""Longest time money may be held under a condition."""

PAYMENT_HEX_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Condition:
    """Money is held until the named customer releases it, or until it lapses."""

    releaser: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class RetailOrder:
    """What a customer asks for. `payee_lei` is the bank that keeps the payee's wallet."""

    kind: RetailKind
    wallet_id: str
    amount: Amount
    payee_lei: str
    payee_wallet: str
    condition: Condition | None = None


class Cashier:
    """A bank's customers' retail payments."""

    def __init__(self, intermediary: Intermediary) -> None:
        self._intermediary = intermediary
        self._institution = intermediary.institution

    def take(self, client: str, order: RetailOrder, key: str) -> Answer:
        """A customer's order carried out, on its way, waiting or held, or a named refusal.

        Answers a repeated order with the first answer. Raises `IdempotencyKeyReused`, and
        `CustodyShort` when the bank cannot get retail CBDC now (nothing is remembered).
        """
        question = Question(client, f"retail|{key}", repr(order))

        def act(work: UnitOfWork) -> dict[str, object]:
            return describe_retail(self._begin(work, client, order, key))

        return answer_once(self._institution.store, question, act)

    def release(self, client: str, payment_id: str) -> RetailPayment:
        """A held payment carried out, by its releaser; again: as it stands.

        Raises `ResourceUnknown` to anybody else, `RetailPaymentNotOpen` when it is over, and what a
        payment is refused for: then it stays held.
        """
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            payment = self._held(work, client, payment_id)
            if payment.state in _RELEASED:
                return payment
            if payment.state is not RetailState.HELD or _is_over(payment, now):
                raise RetailPaymentNotOpen(payment_id, payment.state.value)
            self._void(work, payment, now)
            released = self._carry_out(work, replace(payment, deadline=None), now)
            work.retail_payments.save(released)
        return released

    def give_up(self, client: str, payment_id: str) -> RetailPayment:
        """A held payment given back to its payer, by its releaser; again: as it stands.

        Raises `ResourceUnknown` and `RetailPaymentNotOpen`.
        """
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            payment = self._held(work, client, payment_id)
            if payment.state is RetailState.VOIDED:
                return payment
            if payment.state is not RetailState.HELD:
                raise RetailPaymentNotOpen(payment_id, payment.state.value)
            self._void(work, payment, now)
            voided = step(payment, RetailState.VOIDED)
            work.retail_payments.save(voided)
        return voided

    def resume(self, effect: EffectRow) -> Outcome:
        """Try a waiting payment again, now that the bank got what it lacked."""
        payment_id = str(effect.payload["payment_id"])
        now = self._institution.clock()
        try:
            with self._institution.store.unit_of_work() as work:
                payment = work.retail_payments.get(payment_id)
                if payment.state is not RetailState.WAITING or _is_over(payment, now):
                    return Done()
                self._void(work, payment, now)
                work.retail_payments.save(self._carry_out(work, payment, now))
        except Rejected as refusal:
            self.refuse(payment_id, refusal.reason or StatusReason.NARR.value)
        return Done()

    def lapse(self, effect: EffectRow) -> Outcome:
        """End what still waits or is held after its deadline; its money is free again."""
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            payment = work.retail_payments.get(str(effect.payload["payment_id"]))
            if payment.state in _LAPSING and _is_over(payment, now):
                self._void(work, payment, now)
                expired = step(payment, RetailState.EXPIRED)
                work.retail_payments.save(replace(expired, reason=StatusReason.AB03.value))
        return Done()

    def refuse(self, payment_id: str, reason: str) -> None:
        """End a waiting payment that cannot be; its money is free again."""
        with self._institution.store.unit_of_work() as work:
            payment = work.retail_payments.get(payment_id)
            if payment.state is RetailState.WAITING:
                self._void(work, payment, self._institution.clock())
                refused = step(payment, RetailState.REFUSED)
                work.retail_payments.save(replace(refused, reason=reason))

    def _begin(self, work: UnitOfWork, client: str, order: RetailOrder, key: str) -> RetailPayment:
        now = self._institution.clock()
        self._intermediary.check_currency(order.amount)
        wallet = work.wallets.find(order.wallet_id)
        if wallet is None or wallet.customer_id != client:
            raise ResourceUnknown("wallet", order.wallet_id)
        name = self._intermediary.reference(f"payment|{client}|{key}").hex()
        payment = RetailPayment(
            payment_id=f"ret_{name[:PAYMENT_HEX_DIGITS]}",
            kind=order.kind,
            state=RetailState.WAITING,
            client=client,
            wallet_id=wallet.wallet_id,
            amount=order.amount,
            payee_lei=order.payee_lei,
            payee_wallet=order.payee_wallet,
            created_at=now,
        )
        if order.condition is None:
            begun = self._carry_out(work, payment, now)
        else:
            begun = self._hold(work, payment, order.condition, now)
        work.retail_payments.add(begun)
        return begun

    def _carry_out(self, work: UnitOfWork, payment: RetailPayment, at: int) -> RetailPayment:
        """The payment settled, on its way to another bank, or waiting for the bank's own means."""
        intermediary = self._intermediary
        wallet = intermediary.wallet(work, payment.wallet_id)
        if payment.kind is RetailKind.UNLOAD:
            return self._unload(work, wallet, payment, at)
        drawn, excess, postings = self._plan(work, wallet, payment, at)
        lacking = drawn - excess - intermediary.available(work, chart.vault(wallet.currency))
        if lacking.minor_units > 0:
            return self._wait(work, wallet, payment, (drawn, lacking), at)
        # From here it must succeed.
        if payment.payee_lei != self._institution.lei:
            return self._send(work, payment, postings, at)
        kind = booking.LOAD if payment.kind is RetailKind.LOAD else booking.PAYMENT
        entry_id = _entry_id(payment, "settled")
        work.ledger.book(booking.entry(entry_id, kind, postings, at))
        redeem_overflow(intermediary, work, entry_id)
        return replace(step(payment, RetailState.SETTLED), entry_id=entry_id)

    def _plan(
        self, work: UnitOfWork, wallet: Wallet, payment: RetailPayment, at: int
    ) -> tuple[Amount, Amount, tuple[Posting, ...]]:
        """What is drawn from the payer's deposit, what goes on into the payee's, and the postings.

        Raises what a payment is refused for.
        """
        intermediary, amount = self._intermediary, payment.amount
        none = Amount.zero(amount.currency)
        tier = intermediary.tier_of(wallet)
        if payment.kind is RetailKind.LOAD:
            if wallet.linked_account is None:
                raise LinkedAccountMissing(wallet.wallet_id)
            # What would only flow back is refused as it is for a wallet without an account.
            unlinked = replace(wallet, linked_account=None)
            excess_over_limit(unlinked, tier, intermediary.holding(work, wallet), amount)
            self._check_deposit(work, wallet, amount)
            return amount, none, booking.loaded(wallet, amount)
        check_spending(tier, amount, intermediary.spending(work, wallet, at))
        available = intermediary.available(work, chart.wallet(wallet.wallet_id))
        drawn = drawn_from_deposit(wallet, amount, available)
        self._check_deposit(work, wallet, drawn)
        postings = booking.paid_out(wallet, amount, drawn)
        if payment.payee_lei != self._institution.lei:
            return drawn, none, postings
        if payment.payee_wallet == wallet.wallet_id:
            raise WalletPaysItself(wallet.wallet_id)
        payee = intermediary.wallet(work, payment.payee_wallet)
        holding = intermediary.holding(work, payee)
        excess = excess_over_limit(payee, intermediary.tier_of(payee), holding, amount)
        return drawn, excess, (*postings, *booking.paid_in(payee, amount, excess))

    def _check_deposit(self, work: UnitOfWork, wallet: Wallet, drawn: Amount) -> None:
        if not drawn or wallet.linked_account is None:
            return
        available = self._intermediary.available(work, wallet.linked_account)
        if available < drawn:
            raise InsufficientFunds(
                account_id=wallet.linked_account, available=str(available), needed=str(drawn)
            )

    def _unload(
        self, work: UnitOfWork, wallet: Wallet, payment: RetailPayment, at: int
    ) -> RetailPayment:
        if wallet.linked_account is None:
            raise LinkedAccountMissing(wallet.wallet_id)
        entry_id = _entry_id(payment, "settled")
        postings = booking.unloaded(wallet, payment.amount)
        work.ledger.book(booking.entry(entry_id, booking.UNLOAD, postings, at))
        redeem_overflow(self._intermediary, work, entry_id)
        return replace(step(payment, RetailState.SETTLED), entry_id=entry_id)

    def _send(
        self, work: UnitOfWork, payment: RetailPayment, postings: tuple[Posting, ...], at: int
    ) -> RetailPayment:
        """Set the payment aside and order its custody to be moved to the payee's bank."""
        reference = self._intermediary.reference(f"transfer|{payment.payment_id}")
        order = CustodyOrder(
            reference=reference,
            direction=CustodyDirection.TRANSFER,
            state=CustodyOrderState.ORDERED,
            amount=payment.amount,
            entry_id=_entry_id(payment, "sent"),
            created_at=at,
            receiver_lei=payment.payee_lei,
            details={"reference": reference.hex(), "wallet": payment.payee_wallet},
            payment_id=payment.payment_id,
        )
        order_transfer(work, order, postings)
        sent = step(payment, RetailState.RESERVED)
        return replace(sent, entry_id=order.entry_id, reference=reference)

    def _wait(
        self,
        work: UnitOfWork,
        wallet: Wallet,
        payment: RetailPayment,
        means: tuple[Amount, Amount],
        at: int,
    ) -> RetailPayment:
        """Set aside what the customer gives, and order what the bank lacks."""
        drawn, lacking = means
        waiting = step(payment, RetailState.WAITING)
        waiting = replace(waiting, tries=payment.tries + 1)
        waiting = self._set_aside(work, wallet, waiting, drawn, at)
        order_vault(
            self._intermediary,
            work,
            lacking,
            f"{payment.payment_id}|{waiting.tries}",
            direction=CustodyDirection.ISSUE,
            payment_id=payment.payment_id,
        )
        if payment.deadline is not None:
            return waiting
        deadline = at + self._intermediary.terms.wait_seconds
        return _lapsing(work, replace(waiting, deadline=deadline))

    def _hold(
        self, work: UnitOfWork, payment: RetailPayment, condition: Condition, at: int
    ) -> RetailPayment:
        """Set the money aside until its releaser speaks; only what is in the wallet can be held."""
        if not at < condition.expires_at <= at + HOLD_SECONDS_MAX:
            raise RetailPaymentNotOpen(payment.payment_id, RetailState.EXPIRED.value)
        if work.customers.get(condition.releaser) is None:
            raise ResourceUnknown("customer", condition.releaser)
        wallet = self._intermediary.wallet(work, payment.wallet_id)
        unlinked = replace(wallet, linked_account=None)
        self._plan(work, unlinked, payment, at)
        held = replace(
            payment,
            state=RetailState.HELD,
            releaser=condition.releaser,
            deadline=condition.expires_at,
            tries=payment.tries + 1,
        )
        none = Amount.zero(payment.currency)
        return _lapsing(work, self._set_aside(work, wallet, held, none, at))

    def _set_aside(
        self,
        work: UnitOfWork,
        wallet: Wallet,
        payment: RetailPayment,
        drawn: Amount,
        at: int,
    ) -> RetailPayment:
        entry_id = _entry_id(payment, "aside")
        kind = booking.LOAD if payment.kind is RetailKind.LOAD else booking.HOLD
        postings = booking.set_aside(wallet, payment, drawn)
        work.ledger.book(booking.entry(entry_id, kind, postings, at, pending=True))
        return replace(payment, entry_id=entry_id)

    def _void(self, work: UnitOfWork, payment: RetailPayment, at: int) -> None:
        if payment.entry_id is not None:
            work.ledger.void(payment.entry_id, at)

    def _held(self, work: UnitOfWork, client: str, payment_id: str) -> RetailPayment:
        payment = work.retail_payments.find(payment_id)
        if payment is None or payment.releaser != client:
            raise ResourceUnknown("retail payment", payment_id)
        return payment


_RELEASED: Final = frozenset({RetailState.SETTLED, RetailState.RESERVED, RetailState.WAITING})
_LAPSING: Final = frozenset({RetailState.WAITING, RetailState.HELD})


def _is_over(payment: RetailPayment, now: int) -> bool:
    return payment.deadline is not None and now >= payment.deadline


def _lapsing(work: UnitOfWork, payment: RetailPayment) -> RetailPayment:
    """The payment, with the effect recorded that ends it at its deadline."""
    if payment.deadline is not None:
        work.effects.add(
            NewEffect(
                kind=LAPSE,
                key=f"{LAPSE}:{payment.payment_id}:{payment.tries}",
                payload={"payment_id": payment.payment_id},
                payment_id=None,
                due_at=payment.deadline,
            )
        )
    return payment


def _entry_id(payment: RetailPayment, name: str) -> str:
    return f"{payment.payment_id}:{name}:{payment.tries}"
