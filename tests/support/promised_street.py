"""A network on which banks have more than one customer, prices go both ways and charges are taken."""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_network.layout import Layout
from support.local_devnet import Devnet, running_devnet

CAROL_ACCOUNT = "DE24500999990987654321"
CAROL = f"deposit:{CAROL_ACCOUNT}"
ALICE = "deposit:DE72500999990123456789"
BOB = "deposit:0720123456"

CHANGES: Mapping[str, Mapping[str, object]] = {
    "bank-a": {"fee": {"EUR": "5.00", "SGD": "6.00"}, "published_charges": {"EUR": "1.25"}},
    "bank-b": {"fee": {"SGD": "4.00", "EUR": "3.00"}, "published_charges": {"SGD": "7.50"}},
    "fx-provider": {
        "rates": [
            {"source": "EUR", "target": "SGD", "rate": "1.4520"},
            {"source": "SGD", "target": "EUR", "rate": "0.6810"},
        ]
    },
}

_PEOPLE: Mapping[str, tuple[str, dict[str, str], dict[str, str], str]] = {
    "alice": (
        "Alice Lindner",
        {"town": "Frankfurt am Main", "country": "DE"},
        {"iban": "DE72500999990123456789"},
        "AURODEF0XXX",
    ),
    "carol": (
        "Carol Weber",
        {"town": "Frankfurt am Main", "country": "DE"},
        {"iban": CAROL_ACCOUNT},
        "AURODEF0XXX",
    ),
    "bob": (
        "Bob Tan Wei Ming",
        {"town": "Singapore", "country": "SG"},
        {"other": "0720123456"},
        "STHBSGS0XXX",
    ),
}


def order(who: str, whom: str, value: str, currency: str, bearer: str = "SHAR") -> dict[str, Any]:
    """One customer's payment to another, as the API takes it."""
    name, address, account, bic = _PEOPLE[whom]
    return {
        "end_to_end_id": f"E2E-{secrets.token_hex(6)}",
        "debtor_account": _PEOPLE[who][2],
        "creditor": {"name": name, "address": address},
        "creditor_account": account,
        "creditor_agent": {"bic": bic},
        "amount": {"value": value, "currency": currency},
        "requested_execution_date": datetime.now(UTC).date().isoformat(),
        "charge_bearer": bearer,
    }


def bank_of(who: str) -> str:
    """The key of a customer's bank."""
    return "bank-b" if who == "bob" else "bank-a"


@contextmanager
def promised_street(folder: Path) -> Iterator[Devnet]:
    """The network, with Carol as the second customer of bank A."""
    with running_devnet(folder, CHANGES, before=_admit_carol) as network:
        yield network


def _admit_carol(layout: Layout) -> None:
    tokens_file, path = layout.directory / "tokens.json", layout.settings("bank-a")
    tokens = {**json.loads(tokens_file.read_text()), "carol": secrets.token_urlsafe(32)}
    tokens_file.write_text(json.dumps(tokens))
    settings = json.loads(path.read_text())
    carol = {
        "customer_id": "carol",
        "name": "Carol Weber",
        "address": {"town": "Frankfurt am Main", "country": "DE"},
        "token_sha256": hashlib.sha256(tokens["carol"].encode()).hexdigest(),
        "accounts": [{"scheme": "iban", "identification": CAROL_ACCOUNT, "currency": "EUR"}],
    }
    customers = [*settings["customers"], carol]
    path.write_text(json.dumps({**settings, "customers": customers}))
