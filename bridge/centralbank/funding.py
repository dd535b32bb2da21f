"""A bank's side of issuance: reserves at the central bank become tokens, and tokens reserves.

    fund    pending Dr tokens / Cr reserves -> request to the central bank -> final Issued: posted
                                                    '-- refused: voided
    redeem  pending Dr reserves / Cr tokens -> burn on the chain -> final Redeemed: posted

The reference of an order is derived from the institution and the operator's key, so an order given
twice is one order, here, at the central bank and on the chain.
"""

import hashlib
from dataclasses import replace
from typing import Final

from bridge import chart
from bridge.chain import Call, ChainEvent, FinalTransaction, Submitter, token_call
from bridge.errors import IdempotencyKeyReused, IssuanceIncomplete, PeerRefused
from bridge.institution import Institution
from bridge.interbank import Kind
from bridge.iso20022.codes import StatusReason
from bridge.issuance import Issuance, IssuanceState, advance
from bridge.ledger import JournalEntry, Posting, Side
from bridge.money import Amount
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.worker import Done, Outcome

REQUEST: Final = "request_issuance"
"""Kind of the effect that asks the central bank to issue."""

REDEEM: Final = "submit_redeem"
"""Kind of the effect that burns tokens on the chain."""

REDEEM_GAS_LIMIT: Final = 300_000

ISSUANCES_PATH: Final = "/v1/interbank/issuances"


def order_reference(lei: str, key: str) -> bytes:
    """The 32-byte reference of an institution's order, by the key under which it was given."""
    return hashlib.sha256(f"corridor-issuance-v1|{lei}|{key}".encode()).digest()


def fund(institution: Institution, amount: Amount, key: str) -> Issuance:
    """Order tokens against the institution's own reserves; again with the same key: the same order.

    Raises `InsufficientFunds` when the reserves do not suffice and `IdempotencyKeyReused` when the
    key stands for another order.
    """
    return _order(institution, amount, key, IssuanceState.REQUESTED)


def redeem(institution: Institution, amount: Amount, key: str) -> Issuance:
    """Order tokens to be burnt for reserves; errors as in `fund`."""
    return _order(institution, amount, key, IssuanceState.REDEEMING)


def _order(institution: Institution, amount: Amount, key: str, state: IssuanceState) -> Issuance:
    reference = order_reference(institution.lei, key)
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
        work.ledger.book(_entry(issuance, now))
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


def _entry(issuance: Issuance, now: int) -> JournalEntry:
    currency = issuance.currency
    gained, given = chart.tokens(currency), chart.reserves(currency)
    if issuance.state is IssuanceState.REDEEMING:
        gained, given = given, gained
    return JournalEntry(
        entry_id=_entry_id(issuance),
        kind="issuance",
        description="reserves and tokens exchanged",
        postings=(
            Posting(gained, Side.DEBIT, issuance.amount),
            Posting(given, Side.CREDIT, issuance.amount),
        ),
        pending=True,
        booked_at=now,
    )


class Funding:
    """The effects of a bank's orders, and what their final events do to its books."""

    def __init__(self, institution: Institution, submitter: Submitter) -> None:
        self._institution = institution
        self._submitter = submitter

    def request(self, effect: EffectRow) -> Outcome:
        """Ask the central bank; its refusal ends the order and frees the reserves."""
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
        except PeerRefused as refusal:
            self._refuse(issuance, refusal.problem)
            return Done()
        with self._institution.store.unit_of_work() as work:
            current = work.issuances.get(issuance.reference)
            if current.state is IssuanceState.REQUESTED:
                work.issuances.save(advance(current, IssuanceState.FUNDED))
        return Done()

    def burn(self, effect: EffectRow) -> Outcome:
        """Burn on the chain what is being redeemed."""
        issuance = self._issuance(effect)
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

    def observe(self, work: UnitOfWork, event: ChainEvent) -> None:
        """Post an own order once its token event is final."""
        reference = event.arguments.get("issueReference") or event.arguments["redeemReference"]
        issuance = work.issuances.find(reference)
        if issuance is None or issuance.participant_lei != self._institution.lei:
            return
        if issuance.state is IssuanceState.REQUESTED:
            issuance = advance(issuance, IssuanceState.FUNDED)
        ended = IssuanceState.ISSUED if event.name == "Issued" else IssuanceState.REDEEMED
        work.ledger.post(_entry_id(issuance), self._institution.clock())
        settled = replace(advance(issuance, ended), transaction_hash=event.transaction_hash)
        work.issuances.save(settled)

    def reverted(self, work: UnitOfWork, transaction: FinalTransaction) -> None:
        """Void a redemption whose burn reverted."""
        kind, _, reference = transaction.purpose.partition(":")
        if kind != REDEEM:
            return
        issuance = work.issuances.get(bytes.fromhex(reference))
        work.ledger.void(_entry_id(issuance), self._institution.clock())
        refused = advance(issuance, IssuanceState.REFUSED)
        work.issuances.save(replace(refused, reason=StatusReason.ED05.value))

    def _refuse(self, issuance: Issuance, problem: str) -> None:
        reason = StatusReason.AM04 if problem == "insufficient_funds" else StatusReason.NARR
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
