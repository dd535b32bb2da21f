"""What operators proposed, and how another decided."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column

proposals = Table(
    "proposals",
    METADATA,
    key_column(),
    Column("proposal_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", WHOLE, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", WHOLE),
    Column("outcome", Text),
    CheckConstraint(
        is_one_of("state", "open", "approved", "rejected", "withdrawn"), "proposals_state"
    ),
    CheckConstraint("(state = 'open') = (decided_by is null)", "proposals_decided"),
    CheckConstraint(
        f"{is_one_of('state', 'open', 'withdrawn')} or decided_by <> proposed_by",
        "proposals_four_eyes",
    ),
    Index("proposals_by_state", "state", "sequence"),
    Index("proposals_by_subject", "kind", "subject"),
    sqlite_autoincrement=True,
)
