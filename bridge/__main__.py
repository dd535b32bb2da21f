"""The bridge's command line.

    python -m bridge run --settings FILE      API, worker and follower, until SIGTERM or SIGINT
    python -m bridge attest --settings FILE   a central bank's attesting process
    python -m bridge liquidity --settings FILE   a liquidity service: settles what waits on the chain
    python -m bridge export-audit-log --settings FILE --to FILE   the audit log with the rows it seals
    python -m bridge verify-audit-log FILE   whether an exported log holds together, offline; with --node
                                             also against the institution's anchor on the chain
    python -m bridge verify-books --settings FILE   whether the books are what their postings add up to
    python -m bridge migrate --settings FILE  bring the databases of the settings to this version's tables
    python -m bridge participant --output DIR --lei LEI --bic BIC ...   new keys of an institution
    python -m bridge message check FILE   whether a file is an ISO 20022 message that is taken

Exit codes: 0 ended in order, 1 failed while running or a message that is refused, 2 settings or
arguments that cannot be used.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from bridge import failpoint
from bridge.config import ROLE_NAMES, load_liquidity_settings, load_settings
from bridge.errors import (
    AuditLogInvalid,
    BridgeError,
    ChainWrong,
    DatabaseUnsafe,
    KeyUnusable,
    Rejected,
    StoreFormatUnknown,
)
from bridge.telemetry import LEVELS, configure_logs

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_UNUSABLE: Final = 2

LIGHT_KEY_ITERATIONS: Final = 1_000
"""Rounds that protect a devnet's keystore: it opens in milliseconds and withstands nobody."""

PORT_MAX: Final = 65_535

ACCOUNT_KINDS: Final = ("settlement", "operating", "quoting", "attesting")
OFFICERS_MAX: Final = 9
"""Persons of one institution who are given keys at once."""


TOKENS: Final = ("operator-token", "second-operator-token", "monitor-token")
"""Files with bearer tokens: of two operators, for what takes four eyes, and of what reads metrics."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        failpoint.arm(os.environ)
    except Rejected as error:
        print(f"bridge: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    os.umask(0o077)  # keys, tokens and databases are for their owner alone
    stop = _stop_at_signals()
    try:
        match given.command:
            case "run":
                return _run(given, stop)
            case "attest":
                return _attest(given, stop)
            case "liquidity":
                return _liquidity(given, stop)
            case "export-audit-log":
                return _export_audit_log(given)
            case "verify-audit-log":
                return _verify_audit_log(given)
            case "verify-books":
                return _verify_books(given)
            case "message":
                return _check_message(given)
            case "migrate":
                return _migrate(given)
            case _:
                return _participant(given)
    except (Rejected, KeyUnusable, ChainWrong, DatabaseUnsafe, StoreFormatUnknown) as error:
        print(f"bridge: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    except BridgeError as error:
        print(f"bridge: {error}", file=sys.stderr)
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bridge", description="The bank-side service of Corridor."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("run", "run an institution's bridge"),
        ("attest", "attest reserves"),
        ("liquidity", "settle what waits for liquidity"),
        ("verify-books", "compute the books anew from their postings"),
        ("migrate", "bring the database to this version's tables"),
    ):
        running = commands.add_parser(name, help=purpose)
        running.add_argument("--settings", type=Path, required=True)
        running.add_argument("--log-level", choices=LEVELS, default="info")
    exporting = commands.add_parser("export-audit-log", help="write the audit log to a file")
    exporting.add_argument("--settings", type=Path, required=True)
    exporting.add_argument("--to", type=Path, required=True, help="a file that is not there yet")
    verifying = commands.add_parser("verify-audit-log", help="check an exported audit log")
    verifying.add_argument("file", type=Path)
    verifying.add_argument("--node", help="URL of a node: also check the anchor on its chain")
    verifying.add_argument("--chain-id", type=int, help="id of the chain that the node serves")
    verifying.add_argument("--lei", help="the institution whose log it is")
    participant = commands.add_parser("participant", help="make an institution's keys")
    participant.add_argument("--output", type=Path, required=True)
    participant.add_argument("--lei", required=True)
    participant.add_argument("--bic", required=True)
    participant.add_argument("--country", required=True)
    participant.add_argument("--role", choices=ROLE_NAMES, action="append", required=True)
    participant.add_argument("--endpoint", required=True)
    participant.add_argument(
        "--kinds", default="operating,settlement", help=f"of {','.join(ACCOUNT_KINDS)}"
    )
    participant.add_argument(
        "--officers", type=int, default=0, help="persons who act in governance, each with a key"
    )
    participant.add_argument("--central-bank", help="LEI of who may suspend it in an emergency")
    participant.add_argument(
        "--light-keys", action="store_true", help="weakly protected keystores, for a devnet only"
    )
    message = commands.add_parser("message", help="look at an ISO 20022 message")
    check = message.add_subparsers(dest="act", required=True).add_parser(
        "check", help="say whether it is taken, which it is and what a commitment binds of it"
    )
    check.add_argument("file", type=Path)
    return parser


def _stop_at_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, whichever thread the system gives them to.

    A handler runs only when the main thread wakes, and may interrupt it while it holds the event's own lock: the number
    is written to a socket by the thread that has it, before any Python runs, and read by a thread of its own.
    """
    stop = threading.Event()
    noted, noting = socket.socketpair()
    noting.settimeout(0)
    signal.set_wakeup_fd(noting.detach(), warn_on_full_buffer=False)

    def obey() -> None:
        noted.recv(1)
        stop.set()

    threading.Thread(target=obey, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # only a signal with a handler is written
    return stop


def _run(given: argparse.Namespace, stop: threading.Event) -> int:
    from bridge.app import serve

    settings = load_settings(given.settings)
    configure_logs(process=f"bridge-{settings.bic}", level=given.log_level)
    ended_in_order = serve(settings, stop, lambda url: print(f"ready {url}", flush=True))
    return EXIT_OK if ended_in_order else EXIT_FAILED


def _attest(given: argparse.Namespace, stop: threading.Event) -> int:
    from bridge.app import attest

    settings = load_settings(given.settings)
    configure_logs(process=f"attester-{settings.bic}", level=given.log_level)
    attest(settings, stop, lambda: print("attesting", flush=True))
    return EXIT_OK


def _liquidity(given: argparse.Namespace, stop: threading.Event) -> int:
    from bridge.app import resolve

    settings = load_liquidity_settings(given.settings)
    configure_logs(process=f"liquidity-{settings.lei}", level=given.log_level)
    resolve(settings, stop, lambda: print("resolving", flush=True))
    return EXIT_OK


def _export_audit_log(given: argparse.Namespace) -> int:
    from bridge.auditing import export_log
    from bridge.store import Store

    settings = load_settings(given.settings)
    with _refusing_to_overwrite(given.to):
        handle = os.open(given.to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(handle, "w", encoding="utf-8") as file,
        contextlib.closing(Store.open_read_only(settings.database)) as store,
        store.reading() as work,
    ):
        for line in export_log(work):
            file.write(f"{line}\n")
    return EXIT_OK


def _verify_audit_log(given: argparse.Namespace) -> int:
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


def _verify_books(given: argparse.Namespace) -> int:
    from bridge.store import Store
    from bridge.verification import verify_books

    settings = load_settings(given.settings)
    with contextlib.closing(Store.open_read_only(settings.database)) as store:
        findings = verify_books(store)
    for finding in findings:
        print(f"{finding.place}: {finding.fault}")
    print("the books are wrong" if findings else "the books are right")
    return EXIT_FAILED if findings else EXIT_OK


def _check_message(given: argparse.Namespace) -> int:
    from bridge.iso20022.checking import describe_message
    from bridge.iso20022.document import MESSAGE_BYTES_MAX

    path: Path = given.file
    try:
        with path.open("rb") as file:
            data = file.read(MESSAGE_BYTES_MAX + 1)
    except OSError as error:
        print(f"bridge: {path}: {error.strerror}", file=sys.stderr)
        return EXIT_UNUSABLE
    try:
        described = describe_message(data)
    except Rejected as error:
        print(f"bridge: refused, {error.code} ({error.reason or 'FF01'}): {error}", file=sys.stderr)
        return EXIT_FAILED
    for line in described:
        print(line)
    return EXIT_OK


def _migrate(given: argparse.Namespace) -> int:
    from bridge.store.engines import shown
    from bridge.store.migration import migrate

    settings = load_settings(given.settings)
    configure_logs(process=f"migration-{settings.bic}", level=given.log_level)
    for place in (settings.database, settings.attesting_database):
        if place is not None:
            before, after = migrate(place)
            print(f"{shown(place)}: from {before} to {after}", flush=True)
    return EXIT_OK


def _participant(given: argparse.Namespace) -> int:
    from bridge.iso20022.identifiers import parse_bic, parse_country, parse_lei
    from bridge.keys import KEYSTORE_ITERATIONS_DEFAULT, MessageKeys, generate_keystore

    identity = {
        "lei": parse_lei(given.lei),
        "bic": parse_bic(given.bic),
        "country": parse_country(given.country),
    }
    kinds = given.kinds.split(",")
    unknown = [kind for kind in kinds if kind not in ACCOUNT_KINDS]
    if unknown or len(set(kinds)) != len(kinds):
        print(f"bridge: --kinds names each of {','.join(ACCOUNT_KINDS)} once", file=sys.stderr)
        return EXIT_UNUSABLE
    if not 0 <= given.officers <= OFFICERS_MAX:
        print(f"bridge: --officers is 0 to {OFFICERS_MAX}", file=sys.stderr)
        return EXIT_UNUSABLE
    if given.central_bank is not None:
        identity["central_bank"] = parse_lei(given.central_bank)
    if not _is_endpoint(given.endpoint):
        print(
            "bridge: --endpoint is no http or https URL to which paths are added", file=sys.stderr
        )
        return EXIT_UNUSABLE
    folder: Path = given.output
    iterations = LIGHT_KEY_ITERATIONS if given.light_keys else KEYSTORE_ITERATIONS_DEFAULT
    passphrase = secrets.token_urlsafe(32)
    with _refusing_to_overwrite(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / "passphrase", passphrase)
        _write(folder / "secret", secrets.token_hex(32))
        for name in TOKENS:
            _write(folder / name, secrets.token_urlsafe(32))
        keys = MessageKeys.generate(folder / "message-keys.json")
        names = [(kind, kind) for kind in kinds]
        names += [(f"officer-{number + 1}", "officer") for number in range(given.officers)]
        accounts = [
            {
                "reference": f"0x{secrets.token_hex(32)}",
                "address": "0x"
                + generate_keystore(folder / f"{name}.keystore.json", passphrase, iterations).hex(),
                "kind": kind,
            }
            for name, kind in names
        ]
        entry: dict[str, Any] = {  # JSON
            **identity,
            "roles": given.role,
            "sealing_key": f"0x{keys.sealing_public.hex()}",
            "signing_key": f"0x{keys.signing_public.hex()}",
            "endpoint": given.endpoint,
            "accounts": accounts,
        }
        _write(folder / "participant.json", json.dumps(entry, indent=2) + "\n")
    return EXIT_OK


def _is_endpoint(text: str) -> bool:
    """Whether other bridges can send to this URL."""
    try:
        url = httpx.URL(text)
        url.raw_host.decode("ascii").encode("idna")
    except (httpx.InvalidURL, ValueError):
        return False
    is_plain = not (url.query or url.fragment or url.userinfo)
    port_fits = url.port is None or 0 < url.port <= PORT_MAX
    return url.scheme in {"http", "https"} and url.host != "" and is_plain and port_fits


@contextlib.contextmanager
def _refusing_to_overwrite(folder: Path) -> Iterator[None]:
    """A file that exists already, or cannot be written, is a fault of the arguments."""
    try:
        yield
    except OSError as error:
        raise KeyUnusable(str(folder), error.strerror or "it cannot be written") from error


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and that was not there before."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
