"""One institution's settlement with hands on its store and on the blocks it sees.

A real store and real keys; the chain is a directory that stands still and events made by hand.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx

from bridge.auditing import Auditor
from bridge.centralbank.funding import Funding
from bridge.chain import (
    BlockData,
    BlockRef,
    ChainClient,
    ChainEvent,
    Directory,
    FinalTransaction,
    PaymentOutcome,
    Submitter,
    settlement_id,
)
from bridge.chain.encoding import SETTLEMENT
from bridge.chain.follower import event_row
from bridge.config import Settings
from bridge.institution import Institution
from bridge.interbank import Interbank, Kind, Received, take
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.format import format_credit_transfer
from bridge.iso20022.messages import CreditTransfer
from bridge.money import parse_currency
from bridge.opening import open_books
from bridge.payment import Direction, Leg, Payment, SettlementId
from bridge.settlement.acceptance import consider, receivers
from bridge.settlement.observation import CONSIDER, Observer
from bridge.store import MasterKey, Store
from support.bridge_api import (
    GENESIS_HASH,
    NOW,
    StandingChain,
    bank_document,
    heading_of,
    make_network,
    settings_document,
)
from support.messages import credit_transfer
from support.participants import BANK_A, BANK_B, PROVIDER

SGD = parse_currency("SGD")
SALT = b"\x09" * 32
BOB = "0720123456"
NETWORK = make_network()
DIRECTORY = Directory(keys.participant for keys in NETWORK.values())
KEY = SettlementId(settlement_id(BANK_A, credit_transfer().uetr))


class Desk:
    """One institution with hands on its store and on the blocks it sees."""

    def __init__(self, lei: str, folder: Path, **settings_changes: object) -> None:
        chain = cast(ChainClient, StandingChain(DIRECTORY))
        self.store = Store.open(folder / f"{lei}.sqlite", master=MasterKey.derive(b"\x07" * 32))
        settings = _settings(lei).model_copy(update=settings_changes)
        open_books(self.store, settings, NOW)
        self.institution = Institution(
            settings=settings,
            store=self.store,
            chain=chain,
            interbank=Interbank(
                lei, NETWORK[lei].keys, chain.directory, httpx.Client(), GENESIS_HASH
            ),
            clock=lambda: NOW,
            salt=lambda: b"\x03" * 32,
            secret=b"\x07" * 32,
        )
        submitter = Submitter(self.store, chain, NETWORK[lei].quoting, lambda: NOW)
        self.auditor = Auditor(self.store, chain, submitter, lei, 86_400, lambda: NOW)
        funding = Funding(self.institution, submitter)
        self._observer = Observer(self.institution, funding, self.auditor)
        self._number = 0

    def sees(
        self,
        *events: tuple[str, Mapping[str, Any]],
        at: int = NOW,
        own: tuple[FinalTransaction, ...] = (),
    ) -> None:
        """One block with these events, made at `at`."""
        number, self._number = self._number, self._number + 1
        ref = BlockRef(number, _hash(number), _hash(number - 1), at)
        logs = tuple(
            ChainEvent(
                contract=SETTLEMENT,
                name=name,
                address=b"\xc0" * 20,
                block_number=number,
                block_hash=ref.hash,
                log_index=index,
                transaction_hash=b"\x77" * 32,
                arguments=arguments,
            )
            for index, (name, arguments) in enumerate(events)
        )
        with self.store.unit_of_work() as work:
            work.chain_log.advance(number=number, block_hash=ref.hash, parent_hash=ref.parent_hash)
            work.chain_log.record(event_row(log) for log in logs)
            self._observer.observe(work, BlockData(ref, (), logs), own)

    def receives(
        self, transfer: CreditTransfer, *, salt: bytes = SALT, sender: str = BANK_A
    ) -> None:
        """A pacs.008 from another bank, already unsealed."""
        body = {
            "settlement_id": KEY.hex(),
            "salt": salt.hex(),
            "document": format_credit_transfer(transfer).decode(),
        }
        self.takes(Received(sender, Kind.CREDIT_TRANSFER, body))

    def takes(self, received: Received) -> None:
        """A message from another institution, already unsealed."""
        body = {**received.body, "kind": received.kind.value, "sender": received.sender_lei}
        headed = replace(
            received,
            heading=heading_of(body),
            content_digest=hashlib.sha256(repr(sorted(body.items())).encode()).digest(),
        )
        take(self.store, receivers(self.institution), headed, at=NOW)

    def considers(self) -> Payment:
        """Carry out every decision that is due; the payment after them."""
        with self.store.unit_of_work() as work:
            due = work.effects.claim(now=NOW, owner="test", limit=10, lease_seconds=60)
        for effect in due:
            if effect.kind == CONSIDER:
                assert effect.payment_id is not None
                consider(self.institution, effect.payment_id)
        return self.payment()

    def payment(self, direction: Direction = Direction.INCOMING) -> Payment:
        with self.store.reading() as work:
            found = work.payments.by_settlement_id(KEY, direction)
        assert found is not None
        return found

    def effects(self) -> set[str]:
        """Kinds of what a worker is still to do."""
        with self.store.unit_of_work() as work:
            due = work.effects.claim(now=NOW + 999, owner="test", limit=99, lease_seconds=0)
        return {effect.kind for effect in due}

    def deliveries(self) -> list[str]:
        """Kinds of the messages to other institutions, newest first."""
        with self.store.reading() as work:
            return [each.kind for each in work.deliveries.page(limit=99, cursor=None).items]

    def balance(self, account_id: str) -> int:
        with self.store.reading() as work:
            return work.ledger.balance(account_id).ledger.minor_units


def _settings(lei: str) -> Settings:
    if lei == BANK_A:
        return Settings.model_validate(bank_document())
    if lei == BANK_B:
        document = {**settings_document(BANK_B, "bank", ["SGD"]), "bic": "STHBSGS0XXX"}
        document["customers"] = [
            {
                "customer_id": "bob",
                "name": "Bob Tan Wei Ming",
                "address": {"town": "Singapore", "country": "SG"},
                "token_sha256": "ab" * 32,
                "accounts": [{"scheme": "other", "identification": BOB, "currency": "SGD"}],
            }
        ]
        return Settings.model_validate(document)
    document = {**settings_document(PROVIDER, "fx_provider", ["EUR", "SGD"]), "bic": "ARDELUL0XXX"}
    document["openings"] = [
        {
            "opening_id": "tokens",
            "debit": "tokens:SGD",
            "credit": "equity:SGD",
            "amount": "5000.00",
            "currency": "SGD",
        }
    ]
    return Settings.model_validate(document)


def _hash(number: int) -> bytes:
    return number.to_bytes(32, "big", signed=True) if number >= 0 else bytes(32)


def committed(
    transfer: CreditTransfer, *, amount: int = 100_000, quote_hash: bytes = bytes(32)
) -> tuple[str, dict[str, Any]]:
    """The `Instructed` event of a payment whose message is `transfer`."""
    payer = NETWORK[BANK_A].participant.settlement_reference
    payee = NETWORK[BANK_B].participant.settlement_reference
    leg = Leg("SGD", payer, payee, amount)
    commitment = commit(canonical_content(transfer), SALT)
    terms = (
        1,
        ((leg.currency.encode(), leg.from_reference, leg.to_reference, leg.amount),),
        commitment,
        bytes(32),
        quote_hash,
        NOW + 60,
        NOW + 120,
        0,
        0,
        0,
    )
    return "Instructed", {"paymentId": KEY, "participant": BANK_A.encode(), "terms": terms}


OUTCOME_BY_EVENT = {
    "PaymentCancelled": PaymentOutcome.NO_LIQUIDITY,
    "PaymentExpired": PaymentOutcome.EXPIRED_UNACCEPTED,
}


def fact(
    name: str, key: bytes = KEY, outcome: PaymentOutcome | None = None
) -> tuple[str, dict[str, Any]]:
    """An event of a payment; an end has its usual outcome unless another is given."""
    arguments: dict[str, Any] = {"paymentId": key, "participant": BANK_B.encode()}
    if (usual := outcome or OUTCOME_BY_EVENT.get(name)) is not None:
        arguments["outcome"] = usual.value
    return name, arguments
