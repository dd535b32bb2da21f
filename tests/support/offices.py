"""Back offices with a clock of their own, blocks made by hand and a post between them."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bridge import chart
from bridge.approval import Proposal
from bridge.back_office import BackOffice
from bridge.breaks import Break, BreakState, BreakType
from bridge.business_days import ALWAYS_OPEN, BusinessDays
from bridge.chain import BlockData, BlockRef, ChainEvent, FinalTransaction
from bridge.chain.encoding import TOKEN
from bridge.config import DatabasePlace
from bridge.institution import Institution
from bridge.interbank import Kind, Received, take
from bridge.interbank.kinds import Heading
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount
from bridge.operating import FourEyes, Operator, Wish
from bridge.rtgs import Priority, RtgsAccount, Transfer
from bridge.store import DeliveryState, EffectRow, Store, UnitOfWork
from support.bridge_api import CENTRAL_BANK, NOW
from support.participants import BANK_A, BANK_B
from support.token_books import (
    A_ADDRESS,
    EUR,
    TOKEN_ADDRESS,
    Books,
    fresh_books,
    open_with,
)

OLGA, OTTO = Operator("olga"), Operator("otto")
NOBODY: Final = bytes(20)


@dataclass(slots=True)
class Office:
    """One institution's back office; `now` is its clock and `block` the newest block it has seen."""

    books: Books
    lei: str
    path: Path
    now: int = NOW
    block: int = -1
    institution: Institution = field(init=False)
    office: BackOffice = field(init=False)
    four_eyes: FourEyes = field(init=False)

    def __post_init__(self) -> None:
        self.institution = replace(self.books.institution, clock=lambda: self.now)
        self.office = BackOffice(self.institution, self.books.submitter)
        self.four_eyes = FourEyes(self.store, self.office.actions(), lambda: self.now)
        self.sees()

    @property
    def store(self) -> Store:
        return self.books.institution.store

    def sees(self, *events: ChainEvent, is_lost: bool = False) -> None:
        """A final block with these events, and totals compared after it; a lost one tells nothing."""
        self.block += 1
        number = self.block
        data = BlockData(
            BlockRef(
                number,
                number.to_bytes(32, "big"),
                (number - 1).to_bytes(32, "big", signed=True),
                self.now,
            ),
            (),
            () if is_lost else tuple(replace(each, block_number=number) for each in events),
        )
        with self.store.unit_of_work() as work:
            work.chain_log.advance(
                number=number, block_hash=data.ref.hash, parent_hash=data.ref.parent_hash
            )
            self.office.around(self._observe)(work, data, ())
        self.office.compare_after_block()

    def _observe(self, work: UnitOfWork, block: BlockData, _: tuple[FinalTransaction, ...]) -> None:
        for event in block.events:
            if event.name in {"Issued", "Redeemed"}:
                self.office.token_books.observe(work, event, block.ref.timestamp)

    def later(self, seconds: int) -> None:
        """Let time pass, and what is due be done."""
        self.now += seconds
        self.office.step()

    def ledger(self, account_id: str) -> int:
        with self.store.reading() as work:
            return work.ledger.balance(account_id).ledger.minor_units

    def open_breaks(self) -> dict[str, Break]:
        """Open breaks by what was compared and their type; of totals also by their subject."""
        with self.store.reading() as work:
            page = work.breaks.page(BreakState.OPEN)
        return {_name(each): each for each in page.items}

    def done(self, kind: str, subject: str, document: dict[str, str], key: str = "k") -> Proposal:
        """An action proposed by one operator and approved by another."""
        wish = Wish(kind, subject, document, "because")
        proposal = self.four_eyes.propose(OLGA, wish, f"{kind}{subject}{key}")
        return self.four_eyes.approve(OTTO, proposal.proposal_id)

    def do_effects(self) -> list[str]:
        """Do what a worker would do now; the kinds of what was done."""
        handlers = self.office.handlers()
        done: list[str] = []
        while claimed := self._claim():
            for effect in claimed:
                handlers[effect.kind](effect)
                done.append(effect.kind)
                with self.store.unit_of_work() as work:
                    work.effects.done(effect)
        return done

    def _claim(self) -> tuple[EffectRow, ...]:
        with self.store.unit_of_work() as work:
            return tuple(work.effects.claim(now=self.now, owner="test", limit=9, lease_seconds=999))

    def posted(self) -> list[tuple[str, Kind, dict[str, str], str]]:
        """Messages to others that are due, taken off the hook: receiver, kind, body, id."""
        found: list[tuple[str, Kind, dict[str, str], str]] = []
        while True:
            with self.store.unit_of_work() as work:
                claimed = work.deliveries.claim(now=self.now, owner="test", lease_seconds=999)
                if claimed is None:
                    return found
                body = dict(work.deliveries.body(claimed))
                work.deliveries.finish(claimed, DeliveryState.TAKEN, None)
            found.append((claimed.peer_lei, Kind(claimed.kind), body, claimed.message_id))

    def takes(self, sender: str, kind: Kind, body: dict[str, str], message_id: str) -> bool:
        """Take a message of another institution; whether it was new."""
        heading = Heading(message_id, position=1, created_at=self.now)
        digest = hashlib.sha256(repr(sorted(body.items())).encode()).digest()
        received = Received(sender, kind, body, heading=heading, content_digest=digest)
        return take(self.store, self.office.receivers(), received, at=self.now)


def _file(place: DatabasePlace) -> Path:
    """The database's file, for who would write in it by hand; a server has none."""
    return place / "books.sqlite" if isinstance(place, Path) else Path()


def _name(found: Break) -> str:
    name = f"{found.scope} {found.break_type.value}"
    return f"{name} {found.subject}" if found.break_type is BreakType.TOTAL_DIFFERS else name


def central_bank_office(place: DatabasePlace, **settings: object) -> Office:
    """The central bank: both banks have 1,000.00 of reserves, and no tokens are issued."""
    books = fresh_books(place, CENTRAL_BANK, "central_bank", **settings)
    with books.institution.store.unit_of_work() as work:
        for lei in (BANK_A, BANK_B):
            work.ledger.open_account(chart.rtgs_account(lei, EUR))
            work.rtgs.open_account(RtgsAccount(lei, EUR))
    for lei in (BANK_A, BANK_B):
        open_with(books, chart.lending(EUR), chart.rtgs(lei))
    return Office(books, CENTRAL_BANK, _file(place))


def bank_office(place: DatabasePlace, **settings: object) -> Office:
    """Bank A with its 1,000.00 of reserves, and no tokens."""
    books = fresh_books(place, BANK_A, "bank", **settings)
    open_with(books, chart.reserves(EUR), chart.equity(EUR))
    return Office(books, BANK_A, _file(place))


def transfer(
    number: int,
    amount: int,
    *,
    debtor: str = BANK_A,
    creditor: str = BANK_B,
    priority: Priority = Priority.NORMAL,
    at: int = NOW,
) -> Transfer:
    """A transfer that its debtor orders, in cents, where every day is a business day."""
    return Transfer(
        transfer_id=f"{number:08d}-0000-4000-8000-000000000000",
        ordered_by=debtor,
        debtor_lei=debtor,
        creditor_lei=creditor,
        amount=Amount(EUR, amount),
        priority=priority,
        end_to_end_id=f"E2E-{number}",
        entered_at=at,
        business_day=BusinessDays(ALWAYS_OPEN).day_of(at),
    )


def moved(sender: bytes, receiver: bytes, amount: int, transaction: int = 1) -> ChainEvent:
    """A `Transfer` of tokens, in cents."""
    return ChainEvent(
        contract=TOKEN,
        name="Transfer",
        address=TOKEN_ADDRESS,
        block_number=0,
        block_hash=b"\x01" * 32,
        log_index=0,
        transaction_hash=transaction.to_bytes(32, "big"),
        arguments={"from": sender, "to": receiver, "value": amount},
    )


def minted(reference: bytes, amount: int, account: bytes = A_ADDRESS) -> tuple[ChainEvent, ...]:
    """What a mint leaves in a block."""
    transfer_event = moved(NOBODY, account, amount, int.from_bytes(reference, "big"))
    arguments = {"issueReference": reference, "to": account, "amount": amount}
    return transfer_event, replace(transfer_event, name="Issued", arguments=arguments, log_index=1)


def burnt(reference: bytes, amount: int, account: bytes = A_ADDRESS) -> tuple[ChainEvent, ...]:
    """What a burn leaves in a block."""
    transfer_event = moved(account, NOBODY, amount, int.from_bytes(reference, "big"))
    arguments = {"redeemReference": reference, "from": account, "amount": amount}
    return transfer_event, replace(
        transfer_event, name="Redeemed", arguments=arguments, log_index=1
    )


def book_by_hand(office: Office, debited: str, credited: str, amount: int, name: str) -> None:
    """An entry that somebody booked with no business behind it."""
    entry = JournalEntry(
        entry_id=name,
        kind="manual",
        description="by hand",
        postings=(
            debit(debited, Amount(EUR, amount)),
            credit(credited, Amount(EUR, amount)),
        ),
        booked_at=office.now,
    )
    with office.store.unit_of_work() as work:
        work.ledger.book(entry, is_fact=True)
