"""A bank's side of issuance: reserves at the central bank become tokens, and tokens reserves.

    fund    pending Dr tokens / Cr reserves -> request to the central bank -> final Issued: posted
                                                    '-- refused: voided
    redeem  pending Dr reserves / Cr tokens -> burn on the chain -> final Redeemed: posted

The reference of an order is derived from the institution's secret and the operator's key, so an
order given twice is one order, here, at the central bank and on the chain, and nobody can name it
before it is made. An event moves money in the books only when token, account, direction and amount
are those of the order; any other mint to or burn from our account is a break, logged and left to
people.
"""

import hashlib
import hmac
from dataclasses import replace
from typing import Final

from bridge import chart
from bridge.chain import (
    AccountKind,
    Call,
    ChainEvent,
    FinalTransaction,
    Submitter,
    token_call,
)
from bridge.errors import (
    CurrencyUnsupported,
    IdempotencyKeyReused,
    InsufficientFunds,
    IssuanceDeclined,
    IssuanceIncomplete,
    OrdersStopped,
    PeerRefused,
    PeerUnavailable,
    Rejected,
)
from bridge.institution import Institution
from bridge.interbank import Kind
from bridge.iso20022.codes import StatusReason
from bridge.issuance import Issuance, IssuanceState, advance
from bridge.ledger import JournalEntry, Posting, Resolution, Side
from bridge.money import Amount
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.telemetry import get_logger
from bridge.worker import Done, Outcome

REQUEST: Final = "request_issuance"
"""Kind of the effect that asks the central bank to issue."""

REDEEM: Final = "submit_redeem"
"""Kind of the effect that burns tokens on the chain."""

REDEEM_GAS_LIMIT: Final = 300_000

ISSUANCES_PATH: Final = "/v1/interbank/issuances"

ISSUE_ENTRY: Final = "issuance"
REDEEM_ENTRY: Final = "redemption"
"""Kinds of the journal entries: an order's direction, whatever became of the order."""

_REASON_BY_PROBLEM: Final = {
    InsufficientFunds.code: StatusReason.AM04,
    CurrencyUnsupported.code: StatusReason.AM03,
    IssuanceDeclined.code: StatusReason.MS03,
}
"""The refusals after which nothing can have been booked at the central bank."""


def order_reference(secret: bytes, lei: str, key: str) -> bytes:
    """The 32-byte reference of an institution's order, by the key under which it was given.

    Whoever knows it before the mint can ask for another order under it, so it takes the secret.
    """
    content = f"corridor-issuance-v1|{lei}|{key}".encode()
    return hmac.new(secret, content, hashlib.sha256).digest()


def fund(institution: Institution, amount: Amount, key: str) -> Issuance:
    """Order tokens against the institution's own reserves; again with the same key: the same order.

    Raises `InsufficientFunds` when the reserves do not suffice, `IdempotencyKeyReused` when the key
    stands for another order, and `OrdersStopped` while a break of the books in that currency is open.
    """
    return _order(institution, amount, key, IssuanceState.REQUESTED)


def redeem(institution: Institution, amount: Amount, key: str) -> Issuance:
    """Order tokens to be burnt for reserves; errors as in `fund`."""
    return _order(institution, amount, key, IssuanceState.REDEEMING)


def _order(institution: Institution, amount: Amount, key: str, state: IssuanceState) -> Issuance:
    if amount.currency.code not in institution.chain.currencies():
        raise CurrencyUnsupported(amount.currency.code)
    reference = order_reference(institution.secret, institution.lei, key)
    own = institution.directory().by_lei(institution.lei)
    now = institution.clock()
    issuance = Issuance(
        reference=reference,
        participant_lei=institution.lei,
        amount=amount,
        account_reference=own.settlement_reference,
        account_address=own.settlement_address,
        state=state,
        created_at=now,
        entry_id=f"issuance:{reference.hex()}",
    )
    with institution.store.unit_of_work() as work:
        known = work.issuances.find(reference)
        if known is not None:
            if known.amount != amount:
                raise IdempotencyKeyReused(key)
            return known
        _check_not_stopped(work, amount)
        work.ledger.book(_entry(issuance))
        work.issuances.add(issuance)
        kind = REQUEST if state is IssuanceState.REQUESTED else REDEEM
        work.effects.add(
            NewEffect(
                kind=kind,
                key=f"{kind}:{reference.hex()}",
                payload={"reference": reference.hex()},
                payment_id=None,
                due_at=now,
            )
        )
    return issuance


def _check_not_stopped(work: UnitOfWork, amount: Amount) -> None:
    found = work.breaks.first_open(amount.currency)
    if found is not None:
        raise OrdersStopped(amount.currency.code, found.break_id)


def _entry(issuance: Issuance) -> JournalEntry:
    currency = issuance.currency
    gained, given = chart.tokens(currency), chart.reserves(currency)
    is_redemption = issuance.state is IssuanceState.REDEEMING
    if is_redemption:
        gained, given = given, gained
    return JournalEntry(
        entry_id=_entry_id(issuance),
        kind=REDEEM_ENTRY if is_redemption else ISSUE_ENTRY,
        description="reserves and tokens exchanged",
        postings=(
            Posting(gained, Side.DEBIT, issuance.amount),
            Posting(given, Side.CREDIT, issuance.amount),
        ),
        pending=True,
        booked_at=issuance.created_at,
    )


class Funding:
    """The effects of a bank's orders, and what their final events do to its books."""

    def __init__(self, institution: Institution, submitter: Submitter) -> None:
        self._institution = institution
        self._submitter = submitter

    def request(self, effect: EffectRow) -> Outcome:
        """Ask the central bank; a refusal that proves that nothing was booked frees the reserves.

        Raises `PeerUnavailable` after any other, or an answer that is none: the tokens may yet come.
        """
        issuance = self._issuance(effect)
        if issuance.state is not IssuanceState.REQUESTED:
            return Done()
        currency = issuance.currency.code
        body = {
            "reference": issuance.reference.hex(),
            "amount": issuance.amount.format(),
            "currency": currency,
        }
        issuer = self._institution.chain.issuer_of(currency)
        try:
            self._institution.interbank.ask(issuer, ISSUANCES_PATH, Kind.ISSUANCE_REQUEST, body)
        except Rejected as refusal:
            reason = None
            if isinstance(refusal, PeerRefused):
                reason = _REASON_BY_PROBLEM.get(refusal.problem)
            if reason is None:
                get_logger().warning(
                    "issuance_unanswered", reference=issuance.reference, error=str(refusal)
                )
                raise PeerUnavailable(issuer) from refusal
            self._refuse(issuance, reason)
            return Done()
        with self._institution.store.unit_of_work() as work:
            current = work.issuances.get(issuance.reference)
            if current.state is IssuanceState.REQUESTED:
                work.issuances.save(advance(current, IssuanceState.FUNDED))
        return Done()

    def burn(self, effect: EffectRow) -> Outcome:
        """Burn on the chain what is being redeemed."""
        issuance = self._issuance(effect)
        if issuance.state is not IssuanceState.REDEEMING:
            return Done()
        call = token_call(
            issuance.currency.numeric,
            "redeem",
            (issuance.reference, issuance.account_address, issuance.amount.minor_units),
        )
        self._submitter.submit(
            Call(
                purpose=effect.key,
                to=call.to,
                data=call.data,
                gas_limit=REDEEM_GAS_LIMIT,
                payment_id=None,
            )
        )
        return Done()

    def observe(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        """Post an own order once its token event is final; anything else about us is a break."""
        is_issue = event.name == "Issued"
        reference = event.arguments["issueReference" if is_issue else "redeemReference"]
        account = event.arguments["to" if is_issue else "from"]
        issuance = work.issuances.find(reference)
        if issuance is not None and self._is_order_of(work, issuance, event, account):
            self._settle(work, issuance, event, at)
            return
        own = self._institution.directory().by_lei(self._institution.lei)
        if account in own.addresses(AccountKind.SETTLEMENT):
            get_logger().error(
                "token_break",
                event_name=event.name,
                token=event.address,
                reference=reference,
                amount=event.arguments["amount"],
                transaction_hash=event.transaction_hash,
            )

    def _is_order_of(
        self, work: UnitOfWork, issuance: Issuance, event: ChainEvent, account: bytes
    ) -> bool:
        """Whether an event is what was ordered, and was not yet booked."""
        entry = work.ledger.entry(_entry_id(issuance)).entry
        return (
            event.address == self._institution.chain.token_address(issuance.currency.numeric)
            and entry.kind == (ISSUE_ENTRY if event.name == "Issued" else REDEEM_ENTRY)
            and account == issuance.account_address
            and event.arguments["amount"] == issuance.amount.minor_units
            and issuance.state not in {IssuanceState.ISSUED, IssuanceState.REDEEMED}
        )

    def _settle(self, work: UnitOfWork, issuance: Issuance, event: ChainEvent, at: int) -> None:
        entry_id = _entry_id(issuance)
        booked = work.ledger.entry(entry_id)
        if booked.resolution is Resolution.VOIDED:
            late = replace(booked.entry, entry_id=f"{entry_id}:late", pending=False, booked_at=at)
            work.ledger.book(late, is_fact=True)
        else:
            work.ledger.post(entry_id, at)
        if issuance.state is IssuanceState.REQUESTED:
            issuance = advance(issuance, IssuanceState.FUNDED)
        ended = IssuanceState.ISSUED if event.name == "Issued" else IssuanceState.REDEEMED
        settled = replace(advance(issuance, ended), transaction_hash=event.transaction_hash)
        work.issuances.save(replace(settled, reason=None))

    def reverted(self, work: UnitOfWork, transaction: FinalTransaction, at: int) -> None:
        """Void a redemption whose burn reverted."""
        kind, _, reference = transaction.purpose.partition(":")
        if kind != REDEEM:
            return
        issuance = work.issuances.get(bytes.fromhex(reference))
        if issuance.state is not IssuanceState.REDEEMING:
            return
        work.ledger.void(_entry_id(issuance), at)
        refused = advance(issuance, IssuanceState.REFUSED)
        work.issuances.save(replace(refused, reason=StatusReason.ED05.value))

    def _refuse(self, issuance: Issuance, reason: StatusReason) -> None:
        with self._institution.store.unit_of_work() as work:
            current = work.issuances.get(issuance.reference)
            if current.state is not IssuanceState.REQUESTED:
                return
            work.ledger.void(_entry_id(current), self._institution.clock())
            refused = advance(current, IssuanceState.REFUSED)
            work.issuances.save(replace(refused, reason=reason.value))

    def _issuance(self, effect: EffectRow) -> Issuance:
        with self._institution.store.reading() as work:
            return work.issuances.get(bytes.fromhex(str(effect.payload["reference"])))


def _entry_id(issuance: Issuance) -> str:
    if issuance.entry_id is None:
        raise IssuanceIncomplete(issuance.reference.hex())
    return issuance.entry_id
