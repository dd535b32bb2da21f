"""Recorded effects become chain transactions, run by the worker; messages take their course.

Each handler may run any number of times: a chain call is signed once per purpose and only sent
again. Only expiry is called anew
after its transaction reverted, which it does when it was a second too early.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bridge.chain import Call, Submitter, settlement_call, uetr_hash
from bridge.errors import PaymentIncomplete
from bridge.institution import Institution
from bridge.interbank import Course, Kind
from bridge.iso20022.codes import StatusReason
from bridge.iso20022.commitment import commit_reason
from bridge.payment import Effect, Event, Fact, Payment, PaymentState, ReturnOf
from bridge.settlement.acceptance import consider
from bridge.settlement.dispatch import reason_salt
from bridge.settlement.enquiry import enquire
from bridge.settlement.observation import (
    CONSIDER,
    ENQUIRE,
    EXPIRE,
    EXPIRY_DELAY_SECONDS,
    INSTRUCT,
    follow,
)
from bridge.settlement.returning import return_by_rule
from bridge.settlement.suspense import RETURN_SUSPENSE
from bridge.store import Delivery, EffectRow, UnitOfWork
from bridge.worker import Done, Outcome, Retry

EXPIRY_RETRY_SECONDS: Final = 3
"""How long to wait before asking the chain again to expire a payment."""

WITHDRAWAL_RETRY_SECONDS: Final = 1
"""How long a withdrawal waits for its payment to come to the chain."""

NO_PRIORITY: Final = 0
NO_FLAGS: Final = 0

GAS_LIMIT: Final[Mapping[str, int]] = {
    "instruct": 600_000,
    "instructWithQuotes": 800_000,
    "instructReturn": 600_000,
    "accept": 800_000,
    "reject": 300_000,
    "withdraw": 300_000,
    "expire": 300_000,
}
"""Gas limit per function of PaymentSettlement; the contract tests hold the functions to them."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The handlers of every effect a payment can have."""

    institution: Institution
    submitter: Submitter

    def handlers(self) -> Mapping[str, Callable[[EffectRow], Outcome]]:
        """Handler by kind of effect."""
        return {
            INSTRUCT: self.instruct,
            CONSIDER: self.consider,
            Effect.SUBMIT_ACCEPT.value: self.accept,
            Effect.SUBMIT_REJECT.value: self.reject,
            Effect.SUBMIT_WITHDRAW.value: self.withdraw,
            EXPIRE: self.expire,
            RETURN_SUSPENSE: partial(return_by_rule, self.institution),
            ENQUIRE: partial(enquire, self.institution),
        }

    def instruct(self, effect: EffectRow) -> Outcome:
        """Carry a reserved payment to the chain."""
        payment = self._payment(effect)
        if payment.state is not PaymentState.RESERVED:
            return Done()
        if payment.return_of is not None:
            return self._instruct_return(effect, payment, payment.return_of)
        if payment.signed_quote is None:
            return self._submit(
                effect, payment, "instruct", (uetr_hash(payment.uetr), payment.terms)
            )
        arguments = (uetr_hash(payment.uetr), payment.terms, [payment.signed_quote])
        return self._submit(effect, payment, "instructWithQuotes", arguments)

    def _instruct_return(self, effect: EffectRow, payment: Payment, return_of: ReturnOf) -> Outcome:
        with self.institution.store.reading() as work:
            original = work.payments.get(return_of.payment_id or "")
        arguments = (uetr_hash(payment.uetr), return_of.number, original.terms, payment.terms)
        return self._submit(effect, payment, "instructReturn", arguments)

    def accept(self, effect: EffectRow) -> Outcome:
        """Give the creditor bank's consent on the chain; it pays no leg, so it ranks none."""
        payment = self._payment(effect)
        arguments = (payment.settlement_id, payment.terms, NO_PRIORITY, NO_FLAGS)
        return self._submit(effect, payment, "accept", arguments)

    def reject(self, effect: EffectRow) -> Outcome:
        """Refuse on the chain; the reason goes there as a commitment only."""
        payment = self._payment(effect)
        arguments = (payment.settlement_id, payment.terms, self._reason_commitment(payment))
        return self._submit(effect, payment, "reject", arguments)

    def withdraw(self, effect: EffectRow) -> Outcome:
        """Take a payment back: its message was refused, or its debtor asked for it in time."""
        payment = self._payment(effect)
        if payment.is_terminal:
            return Done()
        if payment.state is PaymentState.RESERVED:
            return Retry(WITHDRAWAL_RETRY_SECONDS, "waiting for the payment to come to the chain")
        arguments = (payment.settlement_id, payment.terms, self._reason_commitment(payment))
        return self._submit(effect, payment, "withdraw", arguments)

    def expire(self, effect: EffectRow) -> Outcome:
        """Ask the chain to end a payment whose deadline has passed, until it has ended.

        It also makes the block that proves, on an idle chain, that a payment never came there. One
        that waits for liquidity has another deadline, its last second to settle.
        """
        payment = self._payment(effect)
        if payment.is_terminal:
            return Done()
        if payment.state is PaymentState.QUEUED:
            due_in = payment.terms.settle_by + EXPIRY_DELAY_SECONDS - self.institution.clock()
            if due_in > 0:
                return Retry(due_in, "waiting for liquidity until its last second to settle")
        attempt = replace(effect, key=self._attempt(effect.key))
        self._submit(attempt, payment, "expire", (payment.settlement_id, payment.terms))
        return Retry(EXPIRY_RETRY_SECONDS, "waiting for the payment to end on the chain")

    def consider(self, effect: EffectRow) -> Outcome:
        """Decide on an announced payment."""
        consider(self.institution, _payment_id(effect))
        return Done()

    def _attempt(self, key: str) -> str:
        """The purpose of the newest attempt; a new one only once the last has reverted."""
        with self.institution.store.reading() as work:
            number = 0
            while (sent := work.transactions.by_purpose(f"{key}:{number}")) is not None:
                if not sent.state.has_failed:
                    break
                number += 1
        return f"{key}:{number}"

    def _submit(
        self,
        effect: EffectRow,
        payment: Payment,
        function: str,
        arguments: tuple[object, ...],
    ) -> Outcome:
        target = settlement_call(function, arguments)
        call = Call(
            purpose=effect.key,
            to=target.to,
            data=target.data,
            gas_limit=GAS_LIMIT[function],
            payment_id=payment.payment_id,
        )
        self.submitter.submit(call)
        return Done()

    def _payment(self, effect: EffectRow) -> Payment:
        with self.institution.store.reading() as work:
            return work.payments.get(_payment_id(effect))

    def _reason_commitment(self, payment: Payment) -> bytes:
        reason = StatusReason(payment.reason or StatusReason.MS03.value)
        return commit_reason(reason, None, reason_salt(self.institution, payment))


def courses(institution: Institution) -> Mapping[Kind, Course]:
    """What becomes of a payment's messages on their way.

    A pacs.008 or pacs.004 is not sent once its payment has ended without money; one that settled may
    have to be sent to books that were restored. A refusal withdraws the payment. Nobody asks where a
    payment stands that has ended.
    """

    def is_open(work: UnitOfWork, delivery: Delivery) -> bool:
        payment = work.payments.find(delivery.payment_id or "")
        return payment is None or not payment.is_terminal

    def is_wanted(work: UnitOfWork, delivery: Delivery) -> bool:
        payment = work.payments.find(delivery.payment_id or "")
        is_settled = payment is not None and payment.state is PaymentState.SETTLED
        return is_settled or is_open(work, delivery)

    def refused(work: UnitOfWork, delivery: Delivery, _problem: str) -> None:
        payment = work.payments.find(delivery.payment_id or "")
        if payment is not None and payment.state is PaymentState.INSTRUCTED:
            event = Event(Fact.MESSAGE_REFUSED, reason=StatusReason.FF01.value)
            follow(institution, work, payment, event, at=institution.clock())

    own = Course(is_wanted=is_wanted, refused=refused)
    return {
        Kind.CREDIT_TRANSFER: own,
        Kind.RETURN: own,
        Kind.STATUS_REQUEST: Course(is_wanted=is_open),
    }


def _payment_id(effect: EffectRow) -> str:
    if effect.payment_id is None:
        raise PaymentIncomplete(effect.key, "payment")
    return effect.payment_id
