"""How Alembic runs the migrations: over a transaction that `bridge.store.migration` has opened."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from bridge.store.tables import METADATA
from bridge.store.tables.foundation import WHOLE


def render_item(kind: str, item: object, drafting: AutogenContext) -> str | Literal[False]:
    """A whole number of 64 bits by its name, everything else as Alembic writes it."""
    if kind != "type" or item is not WHOLE:
        return False
    drafting.imports.add("from bridge.store.tables.foundation import WHOLE")
    return "WHOLE"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
    render_item=render_item,
)
context.run_migrations()
