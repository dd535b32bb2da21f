"""The central bank's side: RTGS accounts, reserves set aside, issuance, redemption.

    request   Dr the participant's RTGS account / Cr tokens outstanding   (posted before the mint)
    issue     once the attester's statement on the chain covers it: mint, by reference, once for ever
    redeemed  final burn: Dr tokens outstanding / Cr the RTGS account of whoever owned the tokens

A settlement between banks books nothing here: it only changes who holds the tokens.
"""

from dataclasses import replace
from typing import Final

from bridge import chart
from bridge.chain import Call, ChainEvent, FinalTransaction, Submitter, token_call
from bridge.errors import CurrencyUnsupported, EnvelopeInvalid, IssuanceConflict
from bridge.institution import Institution
from bridge.interbank import Kind, Received
from bridge.issuance import Issuance, IssuanceState, advance
from bridge.ledger import JournalEntry, Posting, Side
from bridge.money import Amount, Currency, parse_currency
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.telemetry import get_logger
from bridge.worker import Done, Outcome, Retry

ISSUE: Final = "submit_issue"
"""Kind of the effect that mints."""

ISSUE_GAS_LIMIT: Final = 300_000

ATTESTATION_RETRY_SECONDS: Final = 1
"""How long to wait for the attester before looking again."""

ATTESTATION_SECONDS_LEFT_MIN: Final = 10
"""A statement with less time left is not minted upon: the block may come after its end."""


class Issuing:
    """What a central bank's bridge does about its currency."""

    def __init__(self, institution: Institution, submitter: Submitter) -> None:
        self._institution = institution
        self._submitter = submitter

    @property
    def currency(self) -> Currency:
        """The currency this central bank issues."""
        return parse_currency(self._institution.settings.currencies[0])

    def receive(self, request: Received) -> dict[str, str]:
        """Debit the sender's RTGS account and order the mint; the same request again: same answer.

        Raises `EnvelopeInvalid`, `CurrencyUnsupported`, `InsufficientFunds`, and `IssuanceConflict`
        for a known reference with other content.
        """
        if request.kind is not Kind.ISSUANCE_REQUEST:
            raise EnvelopeInvalid(f"{request.kind.value} is not taken here")
        issuance = self._read(request)
        with self._institution.store.unit_of_work() as work:
            known = work.issuances.find(issuance.reference)
            if known is None:
                self._fund(work, issuance)
            elif (known.participant_lei, known.amount) != (request.sender_lei, issuance.amount):
                raise IssuanceConflict(issuance.reference.hex())
        return {"reference": issuance.reference.hex()}

    def _read(self, request: Received) -> Issuance:
        currency = self.currency
        if request.body.get("currency") != currency.code:
            raise CurrencyUnsupported(request.body.get("currency", ""))
        amount = Amount.parse(request.body.get("amount", ""), currency)
        try:
            reference = bytes.fromhex(request.body["reference"])
        except (KeyError, ValueError) as error:
            raise EnvelopeInvalid("its reference is not hexadecimal") from error
        if len(reference) != 32 or not amount:
            raise EnvelopeInvalid("its reference has not 32 bytes, or its amount is zero")
        holder = self._institution.directory().by_lei(request.sender_lei)
        return Issuance(
            reference=reference,
            participant_lei=request.sender_lei,
            amount=amount,
            account_reference=holder.settlement_reference,
            account_address=holder.settlement_address,
            state=IssuanceState.REQUESTED,
            created_at=self._institution.clock(),
            entry_id=f"issuance:{reference.hex()}",
        )

    def _fund(self, work: UnitOfWork, issuance: Issuance) -> None:
        now = self._institution.clock()
        work.ledger.open_account(chart.rtgs_account(issuance.participant_lei, self.currency))
        work.ledger.book(
            JournalEntry(
                entry_id=f"issuance:{issuance.reference.hex()}",
                kind="issuance",
                description="reserves set aside for tokens",
                postings=(
                    Posting(chart.rtgs(issuance.participant_lei), Side.DEBIT, issuance.amount),
                    Posting(chart.tokens_outstanding(self.currency), Side.CREDIT, issuance.amount),
                ),
                booked_at=now,
            )
        )
        work.issuances.add(advance(issuance, IssuanceState.FUNDED))
        work.effects.add(
            NewEffect(
                kind=ISSUE,
                key=f"{ISSUE}:{issuance.reference.hex()}",
                payload={"reference": issuance.reference.hex()},
                payment_id=None,
                due_at=now,
            )
        )

    def issue(self, effect: EffectRow) -> Outcome:
        """Mint once the reserves are attested; a mint that reverted is made again."""
        reference = bytes.fromhex(str(effect.payload["reference"]))
        with self._institution.store.reading() as work:
            issuance = work.issuances.get(reference)
        chain = self._institution.chain
        is_minted = chain.is_issue_reference_used(self.currency.numeric, reference)
        if issuance.state is not IssuanceState.FUNDED or is_minted:
            return Done()
        if not self._is_attested(issuance.amount):
            return Retry(ATTESTATION_RETRY_SECONDS, "waiting for attested reserves")
        call = token_call(
            self.currency.numeric,
            "issue",
            (reference, issuance.account_address, issuance.amount.minor_units),
        )
        self._submitter.submit(
            Call(
                purpose=effect.key,
                to=call.to,
                data=call.data,
                gas_limit=ISSUE_GAS_LIMIT,
                payment_id=None,
            )
        )
        return Done()

    def _is_attested(self, amount: Amount) -> bool:
        chain = self._institution.chain
        attested = chain.latest_attestation(self.currency.numeric)
        supply = chain.total_supply(self.currency.numeric)
        lasts = attested.valid_until >= self._institution.clock() + ATTESTATION_SECONDS_LEFT_MIN
        return lasts and supply + amount.minor_units <= attested.amount

    def observe(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        """Complete an issuance on its final mint; release reserves on a final burn.

        A mint that nobody ordered is a break: logged, and left to people.
        """
        if event.address != self._institution.chain.token_address(self.currency.numeric):
            return
        if event.name == "Redeemed":
            self._release(work, event, at)
            return
        issuance = work.issuances.find(event.arguments["issueReference"])
        if issuance is None or not _is_order_of(issuance, event):
            get_logger().error(
                "token_break",
                event_name=event.name,
                reference=event.arguments["issueReference"],
                amount=event.arguments["amount"],
                transaction_hash=event.transaction_hash,
            )
            return
        issued = advance(issuance, IssuanceState.ISSUED)
        work.issuances.save(replace(issued, transaction_hash=event.transaction_hash))

    def reverted(self, work: UnitOfWork, transaction: FinalTransaction, at: int) -> None:
        """Order a mint that reverted once more: its reference is unused, the reserves stand aside."""
        kind, _, rest = transaction.purpose.partition(":")
        if kind != ISSUE:
            return
        reference, _, attempt = rest.partition(":")
        work.effects.add(
            NewEffect(
                kind=ISSUE,
                key=f"{ISSUE}:{reference}:{int(attempt or 0) + 1}",
                payload={"reference": reference},
                payment_id=None,
                due_at=at + ATTESTATION_RETRY_SECONDS,
            )
        )

    def _release(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        owner = self._institution.directory().owner_of_address(event.arguments["from"])
        amount = Amount(self.currency, event.arguments["amount"])
        work.ledger.open_account(chart.rtgs_account(owner.lei, self.currency))
        work.ledger.book(
            JournalEntry(
                entry_id=f"redemption:{owner.lei}:{event.arguments['redeemReference'].hex()}",
                kind="redemption",
                description="reserves released for burnt tokens",
                postings=(
                    Posting(chart.tokens_outstanding(self.currency), Side.DEBIT, amount),
                    Posting(chart.rtgs(owner.lei), Side.CREDIT, amount),
                ),
                booked_at=at,
            ),
            is_fact=True,
        )


def _is_order_of(issuance: Issuance, event: ChainEvent) -> bool:
    """Whether a mint is the one that was ordered, and the first."""
    return (
        issuance.state is IssuanceState.FUNDED
        and event.arguments["to"] == issuance.account_address
        and event.arguments["amount"] == issuance.amount.minor_units
    )
