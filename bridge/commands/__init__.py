"""The commands of the bridge, by what they are for.

running        run, serve-api, work, attest, liquidity: processes that work until they are stopped
books          migrate, backup, verify-books: the database as a whole
audit_log      export-audit-log, verify-audit-log
participants   participant: the keys of an institution
messages       message check: one ISO 20022 file

Each module adds its commands to the parser and says which function carries one out; what a command
needs is imported when it runs, so that the others start fast.
"""

from typing import Final

from bridge.commands import audit_log, books, messages, participants, running

MODULES: Final = (running, books, audit_log, participants, messages)

__all__ = ["MODULES"]
