"""The audit log as a file: written for whoever checks it, and checked."""

import argparse
import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from bridge.commands.files import refusing_to_overwrite
from bridge.commands.outcome import EXIT_OK, EXIT_UNUSABLE, Commands
from bridge.config import load_settings
from bridge.errors import AuditLogInvalid


def add_to(commands: Commands) -> None:
    """Add the commands of this module."""
    exporting = commands.add_parser("export-audit-log", help="write the audit log to a file")
    exporting.add_argument("--settings", type=Path, required=True)
    exporting.add_argument("--to", type=Path, required=True, help="a file that is not there yet")
    exporting.set_defaults(run=_export_audit_log)
    verifying = commands.add_parser("verify-audit-log", help="check an exported audit log")
    verifying.add_argument("file", type=Path)
    verifying.add_argument("--node", help="URL of a node: also check the anchor on its chain")
    verifying.add_argument("--chain-id", type=int, help="id of the chain that the node serves")
    verifying.add_argument("--lei", help="the institution whose log it is")
    verifying.set_defaults(run=_verify_audit_log)


def _export_audit_log(given: argparse.Namespace, _: threading.Event) -> int:
    from bridge.auditing import export_log
    from bridge.store import Store

    settings = load_settings(given.settings)
    with refusing_to_overwrite(given.to):
        handle = os.open(given.to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(handle, "w", encoding="utf-8") as file,
        contextlib.closing(Store.open_read_only(settings.database)) as store,
        store.reading() as work,
    ):
        for line in export_log(work):
            file.write(f"{line}\n")
    return EXIT_OK


def _verify_audit_log(given: argparse.Namespace, _: threading.Event) -> int:
    from bridge.audit import verify
    from bridge.chain import ChainClient

    if given.node is not None and (given.chain_id is None or given.lei is None):
        print("bridge: --node needs --chain-id and --lei", file=sys.stderr)
        return EXIT_UNUSABLE
    try:
        with given.file.open(encoding="utf-8") as file:
            finding = verify(file)
    except (OSError, UnicodeDecodeError) as error:
        raise AuditLogInvalid(1, str(error)) from error
    told: dict[str, Any] = {  # JSON
        "records": len(finding.hash_by_sequence),
        "head": None if finding.head is None else finding.head.hash.hex(),
        "sealed_rows": dict(finding.sealed_rows),
        "lost": [list(each) for each in finding.lost],
    }
    if given.node is not None:
        client = ChainClient(given.node, given.chain_id)
        anchor = client.audit_anchor(given.lei)
        finding.check_anchor(anchor.sequence, anchor.record_hash)
        told["anchored"] = anchor.sequence
    print(json.dumps(told, sort_keys=True))
    return EXIT_OK
