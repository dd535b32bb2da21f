"""The ledger: accounts with their credit lines, entries, postings and resolutions; nothing ever changes.

A posting is a row for each time it takes effect: reserved, posted, completed or released. It carries
its account's version and the balances after it, so the balance of an account *is* its newest posting
and there is no other figure that could differ from it.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.store.tables.foundation import (
    METADATA,
    WHOLE,
    guard_inserts,
    is_one_of,
    key_column,
    make_immutable,
)

accounts = Table(
    "accounts",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("account_type", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("decimals", WHOLE, nullable=False),
    Column("is_money", Boolean, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("is_off_balance", Boolean, nullable=False),
    Column("exchanges", Boolean, nullable=False),
    Column("may_overdraw", Boolean, nullable=False),
    Column("owner", Text),
    CheckConstraint(is_one_of("account_type", "asset", "liability", "equity", "income", "expense")),
    Index("accounts_by_owner", "owner"),
)

credit_lines = Table(
    "credit_lines",
    METADATA,
    Column("account_id", ForeignKey("accounts.account_id"), primary_key=True),
    Column("version", WHOLE, primary_key=True),
    Column("credit_limit", WHOLE, CheckConstraint("credit_limit >= 0"), nullable=False),
    Column("set_at", WHOLE, nullable=False),
)

entries = Table(
    "entries",
    METADATA,
    key_column(),
    Column("entry_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("payment_id", Text),
    Column("booked_at", WHOLE, nullable=False),
    Column("expires_at", WHOLE),
    Column("link_id", Text),
    Column("link_position", WHOLE),
    CheckConstraint("expires_at is null or pending"),
    CheckConstraint("(link_id is null) = (link_position is null)"),
    sqlite_autoincrement=True,
)
Index(
    "entries_by_expiry",
    entries.c.expires_at,
    sqlite_where=entries.c.expires_at.is_not(None),
    postgresql_where=entries.c.expires_at.is_not(None),
)
Index(
    "entries_by_link",
    entries.c.link_id,
    entries.c.link_position,
    unique=True,
    sqlite_where=entries.c.link_id.is_not(None),
    postgresql_where=entries.c.link_id.is_not(None),
)

postings = Table(
    "postings",
    METADATA,
    key_column(),
    Column("entry_id", ForeignKey("entries.entry_id"), nullable=False),
    Column("step", WHOLE, CheckConstraint("step >= 0"), nullable=False),
    Column("position", WHOLE, nullable=False),
    Column("account_id", ForeignKey("accounts.account_id"), nullable=False),
    Column("side", Text, CheckConstraint(is_one_of("side", "debit", "credit")), nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("change", Text, nullable=False),
    Column("at", WHOLE, nullable=False),
    Column("version", WHOLE, CheckConstraint("version > 0"), nullable=False),
    Column("pending_debits", WHOLE, CheckConstraint("pending_debits >= 0"), nullable=False),
    Column("pending_credits", WHOLE, CheckConstraint("pending_credits >= 0"), nullable=False),
    Column("posted_debits", WHOLE, CheckConstraint("posted_debits >= 0"), nullable=False),
    Column("posted_credits", WHOLE, CheckConstraint("posted_credits >= 0"), nullable=False),
    CheckConstraint(is_one_of("change", "reserved", "posted", "completed", "released")),
    CheckConstraint(f"(step = 0) = ({is_one_of('change', 'reserved', 'posted')})"),
    UniqueConstraint("entry_id", "step", "position"),
    UniqueConstraint("account_id", "version", name="postings_version"),
    sqlite_autoincrement=True,
)

entry_resolutions = Table(
    "entry_resolutions",
    METADATA,
    Column("entry_id", ForeignKey("entries.entry_id"), primary_key=True),
    Column("step", WHOLE, CheckConstraint("step > 0"), primary_key=True),
    Column("resolution", Text, nullable=False),
    Column("is_final", Boolean, nullable=False),
    Column("resolved_at", WHOLE, nullable=False),
    CheckConstraint(is_one_of("resolution", "posted", "voided", "expired")),
    CheckConstraint("is_final or resolution = 'posted'"),
)

_RESERVES: Final = (
    "CASE NEW.change WHEN 'reserved' THEN NEW.amount WHEN 'posted' THEN 0 ELSE -NEW.amount END"
)
_POSTS: Final = (
    f"CASE WHEN {is_one_of('NEW.change', 'posted', 'completed')} THEN NEW.amount ELSE 0 END"
)


def _adds_up(before: str) -> str:
    """In SQL, that the balances after a posting are those before it and its amount, and its time is no
    earlier; `before` names each of them, and the time.
    """
    sums = [
        f"NEW.{half}_{side}s - {before.format(f'{half}_{side}s')}"
        f" = CASE WHEN NEW.side = '{side}' THEN {added} ELSE 0 END"
        for half, added in (("pending", _RESERVES), ("posted", _POSTS))
        for side in ("debit", "credit")
    ]
    return " AND ".join([f"{before.format('at')} <= NEW.at", *sums])


_FOLLOWS: Final = f"""NEW.version = 1 AND {_adds_up("0")} OR EXISTS (
    SELECT 1 FROM postings AS earlier
    WHERE earlier.account_id = NEW.account_id AND earlier.version = NEW.version - 1
    AND {_adds_up("earlier.{}")})"""  # noqa: S608
"""A posting follows from the one before it of its account. As versions are unique and nothing goes, they
have no gaps: whoever finds the version before its own is the newest.
"""

_FOLLOWS_LINE: Final = """NEW.version = 1 OR EXISTS (SELECT 1 FROM credit_lines
    WHERE account_id = NEW.account_id AND version = NEW.version - 1)"""
"""Nor have the credit lines of an account gaps."""

_IS_OPEN: Final = """NOT EXISTS (SELECT 1 FROM entry_resolutions
    WHERE entry_id = NEW.entry_id AND (step >= NEW.step OR is_final))"""
"""An entry that has ended is not resolved again."""

make_immutable(accounts, "account_id = NEW.account_id")
make_immutable(credit_lines, "account_id = NEW.account_id AND version = NEW.version")
make_immutable(entries, "sequence = NEW.sequence OR entry_id = NEW.entry_id")
make_immutable(
    postings,
    "sequence = NEW.sequence OR (entry_id = NEW.entry_id AND step = NEW.step AND position = NEW.position)"
    " OR (account_id = NEW.account_id AND version = NEW.version)",
)
make_immutable(entry_resolutions, "entry_id = NEW.entry_id AND step = NEW.step")
guard_inserts(credit_lines, _FOLLOWS_LINE, "credit_lines follow from those before")
guard_inserts(postings, _FOLLOWS, "postings follow from those before")
guard_inserts(entry_resolutions, _IS_OPEN, "entry_resolutions follow from those before")
