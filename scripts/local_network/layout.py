"""Files and ports of the network: made once in the data directory, then only read.

    DIR/.corridor-devnet          the mark of a directory made here; no other is ever removed
    DIR/plan.json                 ports and format of this network
    DIR/network.json              who takes part, as the nodes' makers are told
    DIR/nodes/genesis.json        the chain's beginning
    DIR/nodes/node/               the store of the one node, or
    DIR/nodes/BIC/                settings, keys and store of each validator
    DIR/INSTITUTION/              keys, settings.json and database of one institution
    DIR/tokens.json               bearer tokens of the demo's customers and operators (mode 0600)
    DIR/logs/                     one log per process
    DIR/messages/RUN/             the ISO 20022 files of each demo payment

The mark is written first and the plan last, so a directory whose making was cut short is recognised
and made anew. Everything is for its owner alone: keys stand in it.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_network.cast import (
    CHAIN_ID,
    CURRENCIES,
    CUSTOMER_FEE,
    FX_PROVIDER_LEI,
    INSTITUTIONS,
    INTRADAY_SECONDS,
    ISSUANCE_THRESHOLD,
    LIQUIDITY,
    MARGIN_BASIS_POINTS,
    PROVIDER_RATE,
    CustomerCast,
    InstitutionCast,
)
from local_network.processes import run_all
from node.app.dev import development_accounts

PLAN_FORMAT: Final = 6
MARK: Final = ".corridor-devnet"
MARK_FIRST_LINE: Final = "data of a Corridor devnet; scripts/devnet --reset removes this directory"
OWNER_ONLY: Final = 0o700
SECOND: Final = "-second"
"""What the name of an institution's second operator ends with, in `Layout.token`."""
PORTS_NEEDED: Final = 1 + len(INSTITUTIONS)
"""Ports of a network of one node, counted from its base."""

VALIDATORS_MAX: Final = len(INSTITUTIONS)
"""Each institution runs one node at most."""

OFFICERS_OF_COUNCIL_MEMBER: Final = 2

DEVELOPMENT_ACCOUNTS: Final = 10
DEVELOPMENT_BALANCE_WEI: Final = 10_000 * 10**18
BLOCK_GAS_LIMIT: Final = 30_000_000
TRANSACTION_GAS_LIMIT: Final = 16_000_000


class LayoutRefused(Exception):
    """The data directory does not fit what was asked."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is made as."""

    validators: int = 0
    """Nodes that agree under a consensus engine of several; 0: one node by itself."""
    has_development_accounts: bool = False
    """Whether anybody may transact, and the well-known development accounts hold native coin."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one network is."""

    directory: Path
    port_base: int
    shape: Shape = Shape()

    @property
    def nodes(self) -> Path:
        """The directory of the nodes."""
        return self.directory / "nodes"

    @property
    def node_urls(self) -> tuple[str, ...]:
        """The JSON-RPC endpoint of each node."""
        first = self.port_base + PORTS_NEEDED
        others = range(first, first + max(0, self.shape.validators - 1))
        return tuple(f"http://127.0.0.1:{port}" for port in (self.port_base, *others))

    @property
    def node_url(self) -> str:
        """The first node's JSON-RPC endpoint."""
        return self.node_urls[0]

    def node_url_of(self, key: str) -> str:
        """The endpoint that an institution uses: its own node's, or the first where it runs none."""
        place = [member.key for member in INSTITUTIONS].index(key)
        return self.node_urls[place] if place < len(self.node_urls) else self.node_url

    def peer_address(self, place: int) -> str:
        """Where the other nodes reach the node of the institution at a place of the cast."""
        return f"127.0.0.1:{self.port_base + PORTS_NEEDED + self.shape.validators + place}"

    @property
    def genesis(self) -> Path:
        """The genesis file."""
        return self.nodes / "genesis.json"

    def node_commands(self) -> dict[str, list[str]]:
        """What runs each node, by its name."""
        if not self.shape.validators:
            place = ["--genesis", str(self.genesis), "--data", str(self.nodes / "node")]
            return {"node": ["node", "run", *place, "--port", str(self.port_base)]}
        validators = INSTITUTIONS[: self.shape.validators]
        return {
            f"node-{member.key}": [
                *("node", "run", "--config", str(self.nodes / member.bic / "node.toml")),
                *("--port", url.rpartition(":")[2]),
            ]
            for member, url in zip(validators, self.node_urls, strict=True)
        }

    def url(self, key: str) -> str:
        """An institution's bridge."""
        return f"http://127.0.0.1:{self.port(key)}"

    def port(self, key: str) -> int:
        """An institution's port, by its place in the cast."""
        keys = [member.key for member in INSTITUTIONS]
        return self.port_base + 1 + keys.index(key)

    def settings(self, key: str) -> Path:
        """An institution's settings file."""
        return self.directory / key / "settings.json"

    def token(self, name: str) -> str:
        """The bearer token of a customer or of one of an institution's two operators."""
        tokens: dict[str, str] = json.loads((self.directory / "tokens.json").read_text("utf-8"))
        return tokens[name]

    def message_folder(self, run: str) -> Path:
        """A folder for the ISO 20022 files of one demo payment."""
        folder = self.directory / "messages" / run
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def open_layout(
    directory: Path, *, port_base: int | None, default_port_base: int, shape: Shape | None = None
) -> Layout:
    """The network in `directory`, made if it is not there yet.

    Raises `LayoutRefused` for a directory of something else, and for ports or a shape other than its network's: both
    stand in the genesis block.
    """
    plan_file = directory / "plan.json"
    if plan_file.exists():
        return _known(directory, json.loads(plan_file.read_text("utf-8")), port_base, shape)
    layout = Layout(directory, port_base or default_port_base, shape or Shape())
    if _holds_something_else(directory):
        raise LayoutRefused(f"{directory} holds something else; name another directory by --data")
    remove_layout(directory)
    _make(layout)
    return layout


def remove_layout(directory: Path) -> None:
    """Throw a network's data away; refuses a directory that holds something else."""
    if _holds_something_else(directory):
        raise LayoutRefused(f"{directory} is not a devnet's data; it is left alone")
    if _is_marked(directory):
        shutil.rmtree(directory)


def _known(
    directory: Path, plan: dict[str, int], port_base: int | None, shape: Shape | None
) -> Layout:
    if plan.get("format") != PLAN_FORMAT:
        raise LayoutRefused(f"{directory} was made by another version; start anew with --reset")
    if port_base not in {None, plan["port_base"]}:
        raise LayoutRefused(
            f"{directory} was made for port base {plan['port_base']}; its participants' endpoints "
            "stand in the genesis block. Use that, another --data, or --reset."
        )
    known = Shape(plan["validators"], bool(plan["has_development_accounts"]))
    if shape not in {None, known}:
        raise LayoutRefused(
            f"{directory} was made with {known.validators} validators and "
            f"{'' if known.has_development_accounts else 'no '}development accounts; use the same, "
            "another --data, or --reset."
        )
    return Layout(directory, plan["port_base"], known)


def _holds_something_else(directory: Path) -> bool:
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        return True
    return directory.exists() and any(directory.iterdir()) and not _is_marked(directory)


def _is_marked(directory: Path) -> bool:
    """Whether a devnet made this directory: by what the mark says, not by its name alone."""
    try:
        return (directory / MARK).read_text("utf-8").splitlines()[:1] == [MARK_FIRST_LINE]
    except (OSError, UnicodeDecodeError):
        return False


def _make(layout: Layout) -> None:
    layout.directory.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    layout.directory.chmod(OWNER_ONLY)
    (layout.directory / MARK).write_text(f"{MARK_FIRST_LINE}\nformat {PLAN_FORMAT}\n", "utf-8")
    commands = [_participant_command(layout, member) for member in INSTITUTIONS]
    run_all([*commands, _liquidity_command(layout)])
    _write(layout.directory / "network.json", _network(layout))
    network_file = str(layout.directory / "network.json")
    generate = ["node", "network", "generate", "--network", network_file]
    run_all([[*generate, "--homes", str(layout.nodes)]])
    _write(layout.directory / "tokens.json", _tokens(layout), mode=0o600)
    genesis_hash = json.loads(layout.genesis.read_text("utf-8"))["hash"]
    for member in INSTITUTIONS:
        _write(layout.settings(member.key), _settings(layout, member, genesis_hash))
    _write(layout.settings(LIQUIDITY.key), _liquidity_settings(layout, genesis_hash))
    plan = {
        "format": PLAN_FORMAT,
        "port_base": layout.port_base,
        "validators": layout.shape.validators,
        "has_development_accounts": int(layout.shape.has_development_accounts),
    }
    _write(layout.directory / "plan.json", plan)


def _participant_command(layout: Layout, member: InstitutionCast) -> list[str]:
    kinds = {"central_bank": "operating,attesting", "bank": "operating,settlement"}
    return [
        "bridge",
        "participant",
        "--output",
        str(layout.directory / member.key),
        "--lei",
        member.lei,
        "--bic",
        member.bic,
        "--country",
        member.country,
        "--role",
        member.registry_role,
        "--endpoint",
        layout.url(member.key),
        "--kinds",
        kinds.get(member.role, "operating,settlement,quoting"),
        *_governance_options(member),
        "--light-keys",
    ]


def _liquidity_command(layout: Layout) -> list[str]:
    """Keys of the liquidity service. Nobody sends it messages; the registry wants an endpoint."""
    return [
        *("bridge", "participant", "--output", str(layout.directory / LIQUIDITY.key)),
        *("--lei", LIQUIDITY.lei, "--bic", LIQUIDITY.bic, "--country", LIQUIDITY.country),
        *("--role", "liquidity", "--endpoint", layout.node_url, "--kinds", "operating"),
        "--light-keys",
    ]


def _liquidity_settings(layout: Layout, genesis_hash: str) -> dict[str, object]:
    return {
        "lei": LIQUIDITY.lei,
        "database": "liquidity.db",
        "node_url": layout.node_url,
        "chain_id": CHAIN_ID,
        "genesis_hash": genesis_hash,
        "operating_keystore": "operating.keystore.json",
        "passphrase_file": "passphrase",
    }


def _governance_options(member: InstitutionCast) -> list[str]:
    """Central banks make up the council, by two officers each; each is that of who banks in its currency first."""
    if member.role == "central_bank":
        return ["--role", "council", "--officers", str(OFFICERS_OF_COUNCIL_MEMBER)]
    issuers = {currency.code: currency.issuer for currency in CURRENCIES}
    return ["--central-bank", issuers[member.currencies[0]], "--officers", "1"]


def _network(layout: Layout) -> dict[str, object]:
    participants = [
        json.loads((layout.directory / key / "participant.json").read_text("utf-8"))
        for key in (*(member.key for member in INSTITUTIONS), LIQUIDITY.key)
    ]
    is_open = layout.shape.has_development_accounts
    for place, participant in enumerate(participants[: layout.shape.validators]):
        participant["roles"].append("validator")
        participant["peer_address"] = layout.peer_address(place)
    operator = next(
        account["address"]
        for account in participants[0]["accounts"]
        if account["kind"] == "operating"
    )
    return {
        "chain_id": CHAIN_ID,
        "genesis_time": int(time.time()),
        "development": is_open,
        "transactions_open": is_open,
        "administrator": "operator",
        "operator": operator,
        "block_gas_limit": BLOCK_GAS_LIMIT,
        "transaction_gas_limit": TRANSACTION_GAS_LIMIT,
        "currencies": [
            {
                "code": currency.code,
                "numeric": currency.numeric,
                "exponent": currency.exponent,
                "name": currency.name,
                "issuer_lei": currency.issuer,
            }
            for currency in CURRENCIES
        ],
        "participants": participants,
        "funds": [
            {"address": f"0x{account.address.hex()}", "balance": DEVELOPMENT_BALANCE_WEI}
            for account in (development_accounts(DEVELOPMENT_ACCOUNTS) if is_open else ())
        ],
    }


def _tokens(layout: Layout) -> dict[str, str]:
    operators = {
        f"{member.key}{suffix}": (layout.directory / member.key / file).read_text("utf-8").strip()
        for member in INSTITUTIONS
        for suffix, file in (("", "operator-token"), (SECOND, "second-operator-token"))
    }
    customers = {
        customer.customer_id: secrets.token_urlsafe(32)
        for member in INSTITUTIONS
        for customer in member.customers
    }
    return {**operators, **customers}


def _settings(layout: Layout, member: InstitutionCast, genesis_hash: str) -> dict[str, object]:
    settings: dict[str, object] = {
        "role": member.role,
        "lei": member.lei,
        "bic": member.bic,
        "name": member.title,
        "database": "bridge.db",
        "port": layout.port(member.key),
        "node_url": layout.node_url_of(member.key),
        "chain_id": CHAIN_ID,
        "genesis_hash": genesis_hash,
        "currencies": member.currencies,
        "operating_keystore": "operating.keystore.json",
        "passphrase_file": "passphrase",
        "message_keys": "message-keys.json",
        "secret_file": "secret",
        "operators": [
            {"operator_id": "first", "token_sha256": _digest(layout.token(member.key))},
            {"operator_id": "second", "token_sha256": _digest(layout.token(member.key + SECOND))},
        ],
        "openings": [
            {
                "opening_id": opening.opening_id,
                "debit": opening.debit,
                "credit": opening.credit,
                "amount": opening.amount,
                "currency": opening.currency,
            }
            for opening in member.openings
        ],
        "customers": [_customer(layout, customer) for customer in member.customers],
    }
    match member.role:
        case "central_bank":
            settings |= {
                "attesting_keystore": "attesting.keystore.json",
                "attesting_database": "attester.db",
                "issuance_threshold": dict.fromkeys(member.currencies, ISSUANCE_THRESHOLD),
                "intraday_seconds": INTRADAY_SECONDS,
            }
        case "fx_provider":
            settings |= {
                "quoting_keystore": "quoting.keystore.json",
                "rates": [{"source": "EUR", "target": "SGD", "rate": PROVIDER_RATE}],
            }
        case _:
            settings |= {
                "fx_provider_lei": FX_PROVIDER_LEI,
                "requires_supervisor_copy": True,
                "fee": dict.fromkeys(member.currencies, CUSTOMER_FEE),
                "margin_basis_points": MARGIN_BASIS_POINTS,
            }
    return settings


def _customer(layout: Layout, customer: CustomerCast) -> dict[str, object]:
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "address": customer.address,
        "token_sha256": _digest(layout.token(customer.customer_id)),
        "accounts": [
            {
                "scheme": customer.scheme,
                "identification": customer.account,
                "currency": customer.currency,
            }
        ],
    }


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _write(path: Path, document: object, *, mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
