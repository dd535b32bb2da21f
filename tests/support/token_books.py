"""A bank and a central bank with real books, and token events made by hand: for tests of issuance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from bridge import chart
from bridge.chain import Attestation, ChainClient, ChainEvent, Directory, Submitter
from bridge.chain.encoding import TOKEN
from bridge.chain.submission import Call
from bridge.config import DatabasePlace, Settings
from bridge.errors import BridgeError
from bridge.institution import Institution
from bridge.interbank import Interbank, Kind
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.opening import open_books
from bridge.rtgs import RtgsAccount
from bridge.store import EffectRow, Store
from support.bridge_api import CENTRAL_BANK, NOW, SECRET, make_network, settings_document
from support.participants import BANK_A, BANK_B

EUR: Final = parse_currency("EUR")
TOKEN_ADDRESS: Final = b"\xee" * 20
NETWORK: Final = make_network()
DIRECTORY: Final = Directory(keys.participant for keys in NETWORK.values())
A_ADDRESS: Final = NETWORK[BANK_A].participant.settlement_address
B_ADDRESS: Final = NETWORK[BANK_B].participant.settlement_address
OPENING: Final = 100_000
"""Cents of reserves, and as many of tokens, that everybody starts with."""


@dataclass(slots=True)
class TokenChain:
    """What issuance asks of the node, answered from here."""

    minted: set[bytes] = field(default_factory=set)
    supply: int = 0
    balances: dict[bytes, int] = field(default_factory=dict)
    attested: Attestation = field(default_factory=lambda: Attestation(0, 0, 0, 0, bytes(32)))

    def directory(self) -> Directory:
        return DIRECTORY

    def currencies(self) -> frozenset[str]:
        return frozenset({"EUR", "SGD"})

    def token_address(self, numeric: int) -> bytes:
        assert numeric == EUR.numeric
        return TOKEN_ADDRESS

    def issuer_of(self, code: str) -> str:
        assert code == EUR.code
        return CENTRAL_BANK

    def is_issue_reference_used(self, _: int, reference: bytes) -> bool:
        return reference in self.minted

    def total_supply(self, _: int, *, block_number: int | None = None) -> int:
        assert block_number is None or block_number >= 0
        return self.supply

    def balance_of(self, _: int, address: bytes, *, block_number: int | None = None) -> int:
        assert block_number is None or block_number >= 0
        return self.balances.get(address, 0)

    def latest_attestation(self, _: int, *, block_number: int | None = None) -> Attestation:
        assert block_number is None or block_number >= 0
        return self.attested


@dataclass(slots=True)
class Peer:
    """The central bank as the bank meets it: it answers, or refuses with `refusal`."""

    refusal: BridgeError | None = None
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def ask(self, to_lei: str, _path: str, kind: Kind, body: Mapping[str, str]) -> None:
        assert (to_lei, kind) == (CENTRAL_BANK, Kind.ISSUANCE_REQUEST)
        self.asked.append(body)
        if self.refusal is not None:
            raise self.refusal


@dataclass(slots=True)
class Sent:
    """A submitter that only keeps what it is given."""

    calls: list[Call] = field(default_factory=list)

    def submit(self, call: Call) -> None:
        self.calls.append(call)


@dataclass(slots=True)
class Books:
    """One institution with hands on what is around it."""

    institution: Institution
    chain: TokenChain
    peer: Peer
    sent: Sent

    @property
    def submitter(self) -> Submitter:
        return cast(Submitter, self.sent)

    def due(self) -> list[EffectRow]:
        """The effects that a worker would do now."""
        with self.institution.store.unit_of_work() as work:
            return list(work.effects.claim(now=NOW + 99, owner="test", limit=9, lease_seconds=999))

    def ledger(self, account_id: str) -> int:
        """What has moved on an account since the opening, in cents."""
        with self.institution.store.reading() as work:
            return work.ledger.balance(account_id).ledger.minor_units - OPENING

    def available(self, account_id: str) -> int:
        """What can be used of an account, in cents."""
        with self.institution.store.reading() as work:
            return work.ledger.balance(account_id).available.minor_units


def bank_books(folder: Path) -> Books:
    """Bank A with reserves and tokens."""
    books = fresh_books(folder, BANK_A, "bank")
    open_with(books, chart.reserves(EUR), chart.equity(EUR))
    open_with(books, chart.tokens(EUR), chart.equity(EUR))
    return books


def central_bank_books(folder: Path) -> Books:
    """The central bank, at which both banks have reserves, and tokens outstanding."""
    books = fresh_books(folder, CENTRAL_BANK, "central_bank")
    with books.institution.store.unit_of_work() as work:
        for lei in (BANK_A, BANK_B):
            work.ledger.open_account(chart.rtgs_account(lei, EUR))
            work.rtgs.open_account(RtgsAccount(lei, EUR))
    for account_id in (chart.rtgs(BANK_A), chart.rtgs(BANK_B), chart.tokens_outstanding(EUR)):
        open_with(books, chart.lending(EUR), account_id)
    return books


def token_event(
    name: str,
    reference: bytes,
    amount: int,
    *,
    account: bytes = A_ADDRESS,
    token: bytes = TOKEN_ADDRESS,
    block_number: int = 1,
) -> ChainEvent:
    """A final `Issued` or `Redeemed`."""
    names = {"Issued": ("issueReference", "to"), "Redeemed": ("redeemReference", "from")}
    reference_name, account_name = names[name]
    return ChainEvent(
        contract=TOKEN,
        name=name,
        address=token,
        block_number=block_number,
        block_hash=b"\x01" * 32,
        log_index=0,
        transaction_hash=b"\x77" * 32,
        arguments={reference_name: reference, account_name: account, "amount": amount},
    )


def fresh_books(place: DatabasePlace, lei: str, role: str, **settings: object) -> Books:
    """An institution whose books are open and empty, in a folder or on a server."""
    document = {**settings_document(lei, role, [EUR.code]), **settings}
    made = Settings.model_validate(document)
    is_folder = isinstance(place, Path) and not place.suffix
    store = Store.open(Path(str(place), "books.sqlite") if is_folder else place)
    open_books(store, made, NOW)
    chain, peer = TokenChain(), Peer()
    institution = Institution(
        settings=made,
        store=store,
        chain=cast(ChainClient, chain),
        interbank=cast(Interbank, peer),
        clock=lambda: NOW,
        salt=lambda: b"\x03" * 32,
        secret=SECRET,
    )
    return Books(institution, chain, peer, Sent())


def open_with(books: Books, debited: str, credited: str) -> None:
    """Book an opening entry."""
    amount = Amount(EUR, OPENING)
    entry = JournalEntry(
        entry_id=f"opening:{debited}:{credited}",
        kind="opening",
        description="as it begins",
        postings=(debit(debited, amount), credit(credited, amount)),
        booked_at=NOW,
    )
    with books.institution.store.unit_of_work() as work:
        work.ledger.book(entry)
