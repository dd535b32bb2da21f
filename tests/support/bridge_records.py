"""Records of a bridge that are right, so that a test changes the one thing it is about."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bridge.config import DatabasePlace
from bridge.ledger import CENTRAL_BANK, Account, AccountType, JournalEntry, Posting, credit, debit
from bridge.money import Amount, parse_currency
from bridge.payment import (
    Direction,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    Quote,
    SettlementId,
    SignedQuote,
    Terms,
)
from bridge.store import NewEffect, OutgoingTransaction, Store

NOW: Final = 1_800_000_000
EUR: Final = parse_currency("EUR")
SGD: Final = parse_currency("SGD")
ALPHA_LEI: Final = "ALPHA000000000000094"
BETA_LEI: Final = "BETA0000000000000055"

CASH: Final = Account("cash:EUR", "Cash", AccountType.ASSET, EUR)
DEPOSIT: Final = Account("deposit:alice", "Alice", AccountType.LIABILITY, EUR, owner="alice")
FEES: Final = Account("fee-income:EUR", "Fees", AccountType.INCOME, EUR)
POSITION: Final = Account("fx-position:EUR", "Position", AccountType.ASSET, EUR, may_overdraw=True)
DOLLARS: Final = Account("cash:SGD", "Dollars", AccountType.ASSET, SGD)
CUSTODY: Final = Account(
    "custody:EUR", "Custody", AccountType.ASSET, EUR, issuer=CENTRAL_BANK, is_off_balance=True
)
ACCOUNTS: Final = (CASH, DEPOSIT, FEES, POSITION, DOLLARS, CUSTODY)


def euros(minor_units: int) -> Amount:
    """An amount in euro cents."""
    return Amount(EUR, minor_units)


def entry_of(entry_id: str, postings: Iterable[Posting], *, pending: bool = False) -> JournalEntry:
    """A journal entry with these postings."""
    return JournalEntry(
        entry_id=entry_id,
        kind="test",
        description="a movement",
        postings=tuple(postings),
        booked_at=NOW,
        pending=pending,
    )


def transfer(
    entry_id: str, debited: Account, credited: Account, cents: int, *, pending: bool = False
) -> JournalEntry:
    """A journal entry of two postings in euro."""
    postings = (
        debit(debited.account_id, euros(cents)),
        credit(credited.account_id, euros(cents)),
    )
    return entry_of(entry_id, postings, pending=pending)


def open_store(directory: Path, name: str = "bridge.sqlite") -> Store:
    """A store with the accounts above, in a file."""
    return open_store_at(directory / name)


def open_store_at(place: DatabasePlace) -> Store:
    """A store with the accounts above."""
    store = Store.open(place)
    with store.unit_of_work() as work:
        for account in ACCOUNTS:
            work.ledger.open_account(account)
    return store


def terms() -> Terms:
    """Terms of a payment of one leg."""
    return Terms(
        legs=(Leg("EUR", b"\x01" * 32, b"\x02" * 32, 10_000),),
        message_commitment=b"\x03" * 32,
        quote_hash=bytes(32),
        accept_by=NOW + 60,
        settle_by=NOW + 120,
    )


def quote(salt: bytes = b"\x05" * 32) -> Quote:
    """A firm quote: Singapore dollars for euro."""
    return Quote(
        maker=BETA_LEI,
        taker=ALPHA_LEI,
        maker_from=b"\x06" * 32,
        maker_to=b"\x07" * 32,
        maker_currency="SGD",
        maker_amount=15_000,
        taker_currency="EUR",
        taker_amount=10_000,
        valid_until=NOW + 60,
        settle_by=NOW + 180,
        salt=salt,
    )


def signed_quote(number: int = 1) -> SignedQuote:
    """A quote with bytes where the hash and the signature stand."""
    name = bytes([number]) * 32
    return SignedQuote(quote=quote(salt=name), quote_hash=name, signature=name * 2 + b"\x1b")


def payment(number: int = 1, direction: Direction = Direction.OUTGOING) -> Payment:
    """A payment that has just begun."""
    begun = {
        Direction.OUTGOING: PaymentState.RESERVED,
        Direction.INCOMING: PaymentState.ANNOUNCED,
    }
    return Payment(
        payment_id=PaymentId(f"pay_{direction.value}_{number}"),
        direction=direction,
        state=begun[direction],
        client="alice",
        uetr=f"00000000-0000-4000-8000-{number:012d}",
        end_to_end_id=f"E2E-{number}",
        settlement_id=SettlementId(number.to_bytes(32, "big")),
        counterparty_lei=BETA_LEI,
        settlement_amount=euros(10_000),
        terms=terms(),
        created_at=NOW,
    )


def effect(key: str, *, due_at: int = NOW, kind: str = "send") -> NewEffect:
    """An effect to be recorded."""
    return NewEffect(kind=kind, key=key, payload={"key": key}, due_at=due_at, payment_id="pay_1")


def outgoing(nonce: int, *, sender: bytes = b"\x11" * 20) -> OutgoingTransaction:
    """A transaction of ours that is not final."""
    return OutgoingTransaction(
        hash=nonce.to_bytes(32, "big"),
        sender=sender,
        nonce=nonce,
        raw=b"raw" + bytes([nonce]),
        purpose=f"purpose:{nonce}",
        payment_id=None,
        created_at=NOW,
    )
