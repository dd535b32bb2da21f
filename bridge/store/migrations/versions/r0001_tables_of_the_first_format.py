"""Tables of the first format."""

import sqlalchemy as sa
from alembic import op

from bridge.store.tables.foundation import WHOLE

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account_type", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("may_overdraw", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id"),
    )
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.create_index("accounts_by_owner", ["owner"], unique=False)

    op.create_table(
        "chain_events",
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("log_index", WHOLE, nullable=False),
        sa.Column("block_number", WHOLE, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("block_hash", "log_index"),
    )
    with op.batch_alter_table("chain_events", schema=None) as batch_op:
        batch_op.create_index("chain_events_by_block", ["block_number", "log_index"], unique=False)

    op.create_table(
        "checkpoint",
        sa.Column("one", WHOLE, autoincrement=False, nullable=False),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("one = 1"),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "customers",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "effects",
        sa.Column("effect_id", WHOLE, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", WHOLE, nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state in ('waiting', 'claimed', 'done', 'dead')"),
        sa.PrimaryKeyConstraint("effect_id"),
        sa.UniqueConstraint("key"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("effects", schema=None) as batch_op:
        batch_op.create_index("effects_by_due", ["state", "due_at", "effect_id"], unique=False)

    op.create_table(
        "entries",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("booked_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("entry_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", WHOLE, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("client", "key"),
    )
    op.create_table(
        "inbox",
        sa.Column("settlement_id", sa.LargeBinary(), nullable=False),
        sa.Column("sender_lei", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.Column("is_taken", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("settlement_id"),
    )
    op.create_table(
        "issuances",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("participant_lei", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("account_reference", sa.LargeBinary(), nullable=False),
        sa.Column("account_address", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("reference"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "messages",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("peer", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("message_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index("messages_by_payment", ["payment_id"], unique=False)

    op.create_table(
        "payments",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_terminal", sa.Boolean(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("uetr", sa.Text(), nullable=False),
        sa.Column("counterparty_lei", sa.Text(), nullable=False),
        sa.Column("settlement_id", sa.LargeBinary(), nullable=False),
        sa.Column("lapses_after", WHOLE, nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("direction", "settlement_id"),
        sa.UniqueConstraint("payment_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("payments", schema=None) as batch_op:
        batch_op.create_index("payments_by_client", ["client", "sequence"], unique=False)
        batch_op.create_index("payments_by_uetr", ["uetr"], unique=False)
        batch_op.create_index(
            "payments_incoming_uetr",
            ["uetr", "counterparty_lei"],
            unique=True,
            sqlite_where=sa.text("direction = 'incoming'"),
            postgresql_where=sa.text("direction = 'incoming'"),
        )
        batch_op.create_index("payments_lapsing", ["lapses_after"], unique=False)
        batch_op.create_index("payments_open", ["is_terminal"], unique=False)
        batch_op.create_index(
            "payments_outgoing_uetr",
            ["uetr"],
            unique=True,
            sqlite_where=sa.text("direction = 'outgoing'"),
            postgresql_where=sa.text("direction = 'outgoing'"),
        )

    op.create_table(
        "quotes",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("quote_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("settlement_id", sa.LargeBinary(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("quote_hash"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("quotes", schema=None) as batch_op:
        batch_op.create_index("quotes_by_settlement", ["settlement_id"], unique=False)
        batch_op.create_index("quotes_by_state", ["state"], unique=False)

    op.create_table(
        "store_format",
        sa.Column("one", WHOLE, autoincrement=False, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.CheckConstraint("one = 1"),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "transactions",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", WHOLE, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("block_number", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("hash"),
        sa.UniqueConstraint("purpose"),
        sa.UniqueConstraint("sender", "nonce"),
    )
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.create_index("transactions_by_state", ["state", "nonce"], unique=False)

    op.create_table(
        "balances",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("pending_debits", WHOLE, nullable=False),
        sa.Column("pending_credits", WHOLE, nullable=False),
        sa.Column("posted_debits", WHOLE, nullable=False),
        sa.Column("posted_credits", WHOLE, nullable=False),
        sa.CheckConstraint("pending_credits >= 0"),
        sa.CheckConstraint("pending_debits >= 0"),
        sa.CheckConstraint("posted_credits >= 0"),
        sa.CheckConstraint("posted_debits >= 0"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.account_id"],
        ),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "customer_accounts",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("identification", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.account_id"],
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.customer_id"],
        ),
        sa.PrimaryKeyConstraint("account_id"),
        sa.UniqueConstraint("identification"),
    )
    with op.batch_alter_table("customer_accounts", schema=None) as batch_op:
        batch_op.create_index("customer_accounts_by_customer", ["customer_id"], unique=False)

    op.create_table(
        "entry_resolutions",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("resolved_at", WHOLE, nullable=False),
        sa.CheckConstraint("resolution in ('posted', 'voided')"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entries.entry_id"],
        ),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    op.create_table(
        "postings",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.CheckConstraint("side in ('debit', 'credit')"),
        sa.CheckConstraint("amount > 0"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.account_id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entries.entry_id"],
        ),
        sa.PrimaryKeyConstraint("entry_id", "position"),
    )
    with op.batch_alter_table("postings", schema=None) as batch_op:
        batch_op.create_index("postings_by_account", ["account_id"], unique=False)
