"""Units, versions and balances beside every posting; steps, ends and links of entries; credit lines.

Postings get their versions by replaying what the tables of before say was booked and resolved, in the
order of their times; the balances that stood by themselves until now are what comes out.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from bridge.money import CURRENCY_BY_CODE
from bridge.store.tables.foundation import WHOLE

revision = "0004"
down_revision = "0003"

_HALVES: Final = {"reserved": (1, 0), "posted": (0, 1), "completed": (-1, 1), "released": (-1, 0)}
_RESOLVING: Final = {"posted": "completed", "voided": "released"}


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    connection = op.get_bind()
    entries = _rows(connection, "SELECT * FROM entries ORDER BY sequence")
    resolutions = _rows(connection, "SELECT * FROM entry_resolutions ORDER BY entry_id")
    postings = _rows(connection, "SELECT * FROM postings ORDER BY entry_id, position")
    for name in ("postings", "entry_resolutions", "entries", "balances"):
        op.drop_table(name)
    _give_accounts_their_units(connection)
    _create_tables()
    _create_indexes()
    for entry in entries:
        del entry["sequence"]  # numbered anew, in the same order
    _add("entries", entries)
    steps = [{**each, "step": 1, "is_final": True} for each in resolutions]
    _add("entry_resolutions", steps)
    _add("postings", list(_replay(entries, resolutions, postings)))


def _rows(connection: sa.Connection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def _add(name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        table = sa.table(name, *(sa.column(column) for column in rows[0]))
        op.get_bind().execute(sa.insert(table), rows)


def _replay(
    entries: list[dict[str, Any]],
    resolutions: list[dict[str, Any]],
    postings: list[dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The postings as they took effect, each with its account's version and balances."""
    lines = defaultdict(list)
    for posting in postings:
        lines[posting["entry_id"]].append(posting)
    booked_at = {entry["entry_id"]: entry["booked_at"] for entry in entries}
    steps = [
        (entry["booked_at"], 0, entry["entry_id"], "reserved" if entry["pending"] else "posted")
        for entry in entries
    ] + [
        (
            max(each["resolved_at"], booked_at[each["entry_id"]]),
            1,
            each["entry_id"],
            _RESOLVING[each["resolution"]],
        )
        for each in resolutions
    ]
    balances: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("at", "version", *(f"{half}_{side}" for half, side in _COLUMNS)), 0)
    )
    for at, step, entry_id, change in sorted(steps, key=lambda each: each[:2]):
        for posting in lines[entry_id]:
            after = balances[posting["account_id"]]
            for half, factor in zip(("pending", "posted"), _HALVES[change], strict=True):
                after[f"{half}_{posting['side']}s"] += factor * posting["amount"]
            after["version"] += 1
            after["at"] = max(at, after["at"])
            yield {**posting, "step": step, "change": change, **after}


_COLUMNS: Final = tuple(
    (half, side) for half in ("pending", "posted") for side in ("debits", "credits")
)


def _give_accounts_their_units(connection: sa.Connection) -> None:
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("decimals", WHOLE))
        batch.add_column(sa.Column("issuer", sa.Text()))
        for name in ("is_money", "is_off_balance", "exchanges"):
            batch.add_column(sa.Column(name, sa.Boolean()))
    for account in _rows(connection, "SELECT account_id, currency, unit FROM accounts"):
        kind = account["account_id"].partition(":")[0]
        is_central_bank_money = kind in {"tokens", "reserves"}
        connection.execute(
            sa.text(
                "UPDATE accounts SET decimals = :decimals, issuer = :issuer, is_money = :is_money, "
                "is_off_balance = :is_off_balance, exchanges = :exchanges "
                "WHERE account_id = :account_id"
            ),
            {
                "account_id": account["account_id"],
                "decimals": CURRENCY_BY_CODE[account["currency"]].minor_units,
                "issuer": "central bank" if is_central_bank_money else "institution",
                "is_money": True,
                "is_off_balance": account["unit"] is not None,
                "exchanges": is_central_bank_money or kind == "fx-position",
            },
        )
    with op.batch_alter_table("accounts") as batch:
        for name in ("decimals", "issuer", "is_money", "is_off_balance", "exchanges"):
            batch.alter_column(name, nullable=False)
        batch.drop_column("unit")
        batch.create_check_constraint(
            "accounts_account_type_check",
            "account_type in ('asset', 'liability', 'equity', 'income', 'expense')",
        )


def _create_tables() -> None:
    op.create_table(
        "credit_lines",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("credit_limit", WHOLE, nullable=False),
        sa.Column("set_at", WHOLE, nullable=False),
        sa.CheckConstraint("credit_limit >= 0"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
        sa.PrimaryKeyConstraint("account_id", "version"),
    )
    op.create_table(
        "entries",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("booked_at", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=True),
        sa.Column("link_id", sa.Text(), nullable=True),
        sa.Column("link_position", WHOLE, nullable=True),
        sa.CheckConstraint("expires_at is null or pending"),
        sa.CheckConstraint("(link_id is null) = (link_position is null)"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("entry_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "entry_resolutions",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("step", WHOLE, nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("resolved_at", WHOLE, nullable=False),
        sa.CheckConstraint("step > 0"),
        sa.CheckConstraint("resolution in ('posted', 'voided', 'expired')"),
        sa.CheckConstraint("is_final or resolution = 'posted'"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.entry_id"]),
        sa.PrimaryKeyConstraint("entry_id", "step"),
    )
    _create_postings()


def _create_postings() -> None:
    halves = [f"{half}_{side}" for half, side in _COLUMNS]
    op.create_table(
        "postings",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("step", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        *(sa.Column(name, WHOLE, nullable=False) for name in halves),
        sa.CheckConstraint("step >= 0"),
        sa.CheckConstraint("side in ('debit', 'credit')"),
        sa.CheckConstraint("amount > 0"),
        sa.CheckConstraint("version > 0"),
        *(sa.CheckConstraint(f"{name} >= 0") for name in halves),
        sa.CheckConstraint("change in ('reserved', 'posted', 'completed', 'released')"),
        sa.CheckConstraint("(step = 0) = (change in ('reserved', 'posted'))"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"]),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.entry_id"]),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("entry_id", "step", "position"),
        sa.UniqueConstraint("account_id", "version", name="postings_version"),
        sqlite_autoincrement=True,
    )


def _create_indexes() -> None:
    expiring, linked = sa.text("expires_at IS NOT NULL"), sa.text("link_id IS NOT NULL")
    op.create_index(
        "entries_by_expiry",
        "entries",
        ["expires_at"],
        sqlite_where=expiring,
        postgresql_where=expiring,
    )
    op.create_index(
        "entries_by_link",
        "entries",
        ["link_id", "link_position"],
        unique=True,
        sqlite_where=linked,
        postgresql_where=linked,
    )
