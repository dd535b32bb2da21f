"""Write `bridge/store/migrations/versions/rNNNN_NAME.py`: what the tables have and the migrations do not.

    python -m next_migration NAME

A throwaway SQLite database goes through every migration there is and is compared with the declared
tables. What is written is a draft to be read: a changed CHECK or condition of an index is not seen (the tests
of migrations see it), and a rename looks like one column gone and another come.
"""

import re
import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import CheckConstraint

from bridge.store.engines import BUSY_SECONDS_MAX, open_writer
from bridge.store.migration import MIGRATIONS, alembic_settings, newest_revision, upgrade
from bridge.store.tables import METADATA


def main(arguments: list[str]) -> int:
    """Write the next migration; exit code 2 for a name that is none."""
    if len(arguments) != 1 or re.fullmatch(r"[a-z]+(_[a-z]+)*", arguments[0]) is None:
        print("usage: scripts/make-migration NAME, lower-case words joined by _", file=sys.stderr)
        return 2
    name = arguments[0]
    revision = f"{int(newest_revision()) + 1:04}"
    _show_whole()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "throwaway.sqlite")
        engine = open_writer(place, busy_seconds=BUSY_SECONDS_MAX, migrates=True)
        with engine.begin() as connection:
            upgrade(connection)
            command.revision(
                alembic_settings(connection),
                message=name.replace("_", " ").title(),
                rev_id=revision,
                autogenerate=True,
            )
        engine.dispose()
    (made,) = (MIGRATIONS / "versions").glob(f"{revision}_*.py")
    path = made.rename(made.with_name(f"r{revision}_{name}.py"))
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "### " not in line), "utf-8")
    print(f"written: {path.relative_to(MIGRATIONS.parents[2])}")
    return 0


def _show_whole() -> None:
    """Have Alembic write the checks of columns too, and nothing of what only concerns triggers."""
    for table in METADATA.tables.values():
        table.info.clear()
        checks = [each for column in table.columns for each in column.constraints]
        for check in checks:
            if isinstance(check, CheckConstraint):
                table.append_constraint(CheckConstraint(check.sqltext))


sys.exit(main(sys.argv[1:]))
