"""The keys and tokens of an institution, and its entry for the network file."""

import argparse
import json
import secrets
import sys
import threading
from pathlib import Path
from typing import Any, Final

import httpx

from bridge.commands.files import refusing_to_overwrite, write_private
from bridge.commands.outcome import EXIT_OK, EXIT_UNUSABLE, Commands
from bridge.config import ROLE_NAMES

LIGHT_KEY_ITERATIONS: Final = 1_000
"""Rounds that protect a devnet's keystore: it opens in milliseconds and withstands nobody."""

PORT_MAX: Final = 65_535

ACCOUNT_KINDS: Final = ("settlement", "operating", "quoting", "attesting")
OFFICERS_MAX: Final = 9
"""Persons of one institution who are given keys at once."""


TOKENS: Final = ("operator-token", "second-operator-token", "monitor-token")
"""Files with bearer tokens: of two operators, for what takes four eyes, and of what reads metrics."""


def add_to(commands: Commands) -> None:
    """Add the command of this module."""
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
    participant.set_defaults(run=_participant)


def _participant(given: argparse.Namespace, _: threading.Event) -> int:
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
    with refusing_to_overwrite(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / "passphrase", passphrase)
        write_private(folder / "secret", secrets.token_hex(32))
        for name in TOKENS:
            write_private(folder / name, secrets.token_urlsafe(32))
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
        write_private(folder / "participant.json", json.dumps(entry, indent=2) + "\n")
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
