"""The bank's end of custody: orders carried out at the central bank, credits taken from it.

Nothing is posted before the central bank has answered, and only a refusal that proves that nothing
moved frees the money; silence, or any other refusal, is asked again. Credits of other banks come in
the order in which the central bank moved them, each once.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge import chart
from bridge.errors import (
    CurrencyUnsupported,
    EnvelopeInvalid,
    HoldingLimitExceeded,
    InsufficientFunds,
    ParticipantUnknown,
    PeerRefused,
    PeerUnavailable,
    Rejected,
    RetailCreditAhead,
    RetailCreditConflict,
    RetailReceiverUnknown,
    WalletUnknown,
)
from bridge.interbank import Kind, Received
from bridge.iso20022.codes import StatusReason
from bridge.ledger import Posting, credit, debit
from bridge.money import Amount
from bridge.retail import booking
from bridge.retail.intermediary import Intermediary
from bridge.retail.ordering import order_return, redeem_overflow
from bridge.retail.paying import RESUME
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.store.retail_register import (
    CustodyCredit,
    CustodyDirection,
    CustodyOrder,
    CustodyOrderState,
)
from bridge.telemetry import get_logger
from bridge.wallet import RetailPayment, RetailState, Wallet, excess_over_limit, step
from bridge.worker import Done, Outcome, Retry

RETAIL_PATH: Final = "/v1/interbank/retail"
"""Where institutions ask each other about retail CBDC."""

COLLECT: Final = "collect_retail_return"
"""Kind of the effect that credits a returned payment as soon as its payer has room."""

CATCH_UP: Final = "catch_up_retail_credits"
"""Kind of the effect that asks the central bank for credits this database does not know."""

CATCH_UP_MAX: Final = 20
"""Most credits fetched in one go: a worker's lease must outlast them."""

COLLECT_SECONDS: Final = 60
"""How often a payer is looked at for room."""

_REASON_BY_PROBLEM: Final = {
    InsufficientFunds.code: StatusReason.AM04.value,
    CurrencyUnsupported.code: StatusReason.AM03.value,
    RetailReceiverUnknown.code: StatusReason.RC01.value,
}
"""The refusals after which nothing can have moved: a known reference is answered before them."""


class Custody:
    """What a bank's bridge does about the central bank's register."""

    def __init__(self, intermediary: Intermediary) -> None:
        self._intermediary = intermediary
        self._institution = intermediary.institution

    def request(self, effect: EffectRow) -> Outcome:
        """Ask the central bank to carry an order out, and book what it answers.

        Raises `PeerUnavailable` after an answer that proves nothing.
        """
        reference = bytes.fromhex(str(effect.payload["reference"]))
        with self._institution.store.reading() as work:
            order = work.custody_orders.get(reference)
        if order.state is not CustodyOrderState.ORDERED:
            return Done()
        try:
            order = self._sealed(order)
        except ParticipantUnknown:
            self._refuse(order, StatusReason.RC01.value)  # it was never sent
            return Done()
        issuer = self._intermediary.issuer
        try:
            self._institution.interbank.ask(
                issuer, RETAIL_PATH, Kind.RETAIL_ORDER, _order_body(order)
            )
        except Rejected as refusal:
            reason = None
            if isinstance(refusal, PeerRefused):
                reason = _REASON_BY_PROBLEM.get(refusal.problem)
            if reason is None:
                get_logger().warning(
                    "retail_order_unanswered", reference=order.reference, error=str(refusal)
                )
                raise PeerUnavailable(issuer) from refusal
            self._refuse(order, reason)
            return Done()
        self._post(order)
        return Done()

    def _sealed(self, order: CustodyOrder) -> CustodyOrder:
        """The order with what only the receiving bank reads, kept before it is first sent."""
        if order.details is None or order.receiver_lei is None or order.sealed is not None:
            return order
        sealed = self._institution.interbank.seal(
            order.receiver_lei, Kind.RETAIL_TRANSFER, order.details
        )
        with self._institution.store.unit_of_work() as work:
            return work.custody_orders.seal(order, sealed.decode())

    def _post(self, order: CustodyOrder) -> None:
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            current = work.custody_orders.get(order.reference)
            if current.state is not CustodyOrderState.ORDERED:
                return
            work.custody_orders.end(current, CustodyOrderState.TAKEN)
            work.ledger.post(current.entry_id, now)
            if current.payment_id is None:
                return
            payment = work.retail_payments.get(current.payment_id)
            if current.direction is CustodyDirection.TRANSFER:
                work.retail_payments.save(step(payment, RetailState.SETTLED))
                return
            work.effects.add(
                NewEffect(
                    kind=RESUME,
                    key=f"{RESUME}:{current.reference.hex()}",
                    payload={"payment_id": payment.payment_id},
                    payment_id=None,
                    due_at=now,
                )
            )

    def _refuse(self, order: CustodyOrder, reason: str) -> None:
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            current = work.custody_orders.get(order.reference)
            if current.state is not CustodyOrderState.ORDERED:
                return
            work.custody_orders.end(current, CustodyOrderState.REFUSED)
            work.ledger.void(current.entry_id, now)
            if current.payment_id is None:
                return
            payment = work.retail_payments.get(current.payment_id)
            if payment.state is RetailState.WAITING and payment.entry_id is not None:
                work.ledger.void(payment.entry_id, now)
                reason = StatusReason.ED05.value  # the bank's trouble, not the customer's
            if payment.state in {RetailState.WAITING, RetailState.RESERVED}:
                refused = step(payment, RetailState.REFUSED)
                work.retail_payments.save(replace(refused, reason=reason))

    def take(self, received: Received) -> dict[str, str]:
        """Take custody that came from another bank; the same again: the same answer.

        Raises `EnvelopeInvalid` for anybody but the central bank, `CurrencyUnsupported`,
        `RetailCreditAhead` before its turn and `RetailCreditConflict` for a known position with
        other content.
        """
        given = self._read(received)
        details = self._open(received.body.get("sealed", ""), given)
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            expected = work.custody_credits.expected(self._intermediary.currency.code)
            if given.position > expected:
                raise RetailCreditAhead(given.position, expected)
            same_reference = work.custody_credits.by_reference(given.reference)
            if same_reference is not None and same_reference.position != given.position:
                raise RetailCreditConflict(given.position)
            if given.position < expected:
                known = work.custody_credits.at(given.amount.currency.code, given.position)
                same = replace(given, wallet_id=known.wallet_id if known else None)
                if known is None or replace(known, taken_at=given.taken_at) != same:
                    raise RetailCreditConflict(given.position)
            else:
                self._credit(work, given, details, now)
        return {"reference": given.reference.hex()}

    def catch_up(self, _: EffectRow) -> Outcome:
        """Fetch the credits that came before this database was restored, or while it was away.

        The central bank tells a credit again only when asked: it was answered once.
        """
        issuer = self._intermediary.issuer
        code = self._intermediary.currency.code
        for _number in range(CATCH_UP_MAX):
            with self._institution.store.reading() as work:
                wanted = work.custody_credits.expected(code)
            try:
                answer = self._institution.interbank.ask(
                    issuer, RETAIL_PATH, Kind.RETAIL_MISSING, {"position": str(wanted)}
                )
            except Rejected as refusal:
                raise PeerUnavailable(issuer) from refusal
            if not answer.body:
                return Done()
            self.take(answer)
        return Retry(1, "there are more")

    def _read(self, received: Received) -> CustodyCredit:
        body = received.body
        if received.sender_lei != self._intermediary.issuer:
            raise EnvelopeInvalid("it is not from the central bank")
        if body.get("currency") != self._intermediary.currency.code:
            raise CurrencyUnsupported(body.get("currency", ""))
        try:
            credit_given = CustodyCredit(
                position=int(body["position"]),
                reference=bytes.fromhex(body["reference"]),
                sender_lei=body["sender"],
                amount=Amount.parse(body["amount"], self._intermediary.currency),
                wallet_id=None,
                taken_at=self._institution.clock(),
            )
        except (KeyError, ValueError) as error:
            raise EnvelopeInvalid("it is no credit") from error
        if len(credit_given.reference) != 32 or not credit_given.amount:
            raise EnvelopeInvalid("it is no credit")
        return credit_given

    def _open(self, sealed: str, given: CustodyCredit) -> Mapping[str, str]:
        """What the sending bank says of its transfer; nothing when it cannot be read or trusted."""
        try:
            opened = self._institution.interbank.open(sealed.encode())
        except Rejected as error:
            get_logger().warning("retail_details_unread", error=str(error))
            return {}
        is_its_own = opened.sender_lei == given.sender_lei and (
            opened.body.get("reference") == given.reference.hex()
        )
        return opened.body if is_its_own and opened.kind is Kind.RETAIL_TRANSFER else {}

    def _credit(
        self, work: UnitOfWork, given: CustodyCredit, details: Mapping[str, str], at: int
    ) -> None:
        """Book what came: to the payee, to the payer of a payment that came back, or to suspense."""
        returned = self._returned(work, given, details)
        wallet, postings = self._destination(work, given, details, returned)
        into = debit(chart.custody(given.amount.currency), given.amount)
        entry_id = f"retail-credit:{given.reference.hex()}"
        work.ledger.book(booking.entry(entry_id, booking.CREDIT, (into, *postings), at))
        wallet_id = None if wallet is None else wallet.wallet_id
        work.custody_credits.add(replace(given, wallet_id=wallet_id, taken_at=at))
        if returned is not None:
            ended = replace(step(returned, RetailState.RETURNED), reason=details.get("reason"))
            work.retail_payments.save(ended)
        if wallet is not None:
            self._settle_claim(work, given, wallet)
            redeem_overflow(self._intermediary, work, entry_id)
        elif returned is not None:
            self._collect_later(work, returned, at)
        elif "returns" not in details:
            order_return(self._intermediary, work, given.reference, given.amount, given.sender_lei)

    def _destination(
        self,
        work: UnitOfWork,
        given: CustodyCredit,
        details: Mapping[str, str],
        returned: RetailPayment | None,
    ) -> tuple[Wallet | None, tuple[Posting, ...]]:
        wallet_id = details.get("wallet", "") if returned is None else returned.wallet_id
        try:
            wallet = self._intermediary.wallet(work, wallet_id)
            return wallet, self._received(work, wallet, given.amount)
        except (WalletUnknown, HoldingLimitExceeded):
            suspense = chart.retail_suspense(given.amount.currency)
            return None, (credit(suspense, given.amount),)

    def _received(self, work: UnitOfWork, wallet: Wallet, amount: Amount) -> tuple[Posting, ...]:
        holding = self._intermediary.holding(work, wallet)
        tier = self._intermediary.tier_of(wallet)
        return booking.paid_in(wallet, amount, excess_over_limit(wallet, tier, holding, amount))

    def _returned(
        self, work: UnitOfWork, given: CustodyCredit, details: Mapping[str, str]
    ) -> RetailPayment | None:
        """The payment that came back, if it is one of ours, to that bank, of that amount."""
        try:
            payment = work.retail_payments.by_reference(bytes.fromhex(details["returns"]))
        except (KeyError, ValueError):
            return None
        is_it = (
            payment is not None
            and payment.state is RetailState.SETTLED
            and (payment.payee_lei, payment.amount) == (given.sender_lei, given.amount)
        )
        return payment if is_it else None

    def _settle_claim(self, work: UnitOfWork, given: CustodyCredit, wallet: Wallet) -> None:
        claimed = work.retail_payments.by_reference(given.reference)
        if claimed is None or claimed.state is not RetailState.CLAIMED:
            return
        if claimed.payee_wallet == wallet.wallet_id:
            work.retail_payments.save(step(claimed, RetailState.SETTLED))

    def _collect_later(self, work: UnitOfWork, returned: RetailPayment, at: int) -> None:
        work.effects.add(
            NewEffect(
                kind=COLLECT,
                key=f"{COLLECT}:{returned.payment_id}",
                payload={"payment_id": returned.payment_id},
                payment_id=None,
                due_at=at,
            )
        )

    def collect(self, effect: EffectRow) -> Outcome:
        """Credit a payment that came back to its payer, once the wallet has room for it."""
        now = self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            payment = work.retail_payments.get(str(effect.payload["payment_id"]))
            entry_id = f"{payment.payment_id}:collected"
            if work.ledger.find_entry(entry_id) is not None:
                return Done()
            wallet = self._intermediary.wallet(work, payment.wallet_id)
            try:
                postings = self._received(work, wallet, payment.amount)
            except HoldingLimitExceeded as error:
                return Retry(COLLECT_SECONDS, str(error))
            given_up = debit(chart.retail_suspense(payment.currency), payment.amount)
            entry = booking.entry(entry_id, booking.RETURN, (given_up, *postings), now)
            work.ledger.book(entry)
        return Done()


def _order_body(order: CustodyOrder) -> dict[str, str]:
    body = {
        "direction": order.direction.value,
        "reference": order.reference.hex(),
        "amount": order.amount.format(),
        "currency": order.amount.currency.code,
    }
    if order.receiver_lei is not None and order.sealed is not None:
        body |= {"receiver": order.receiver_lei, "sealed": order.sealed}
    return body
