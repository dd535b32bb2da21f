"""The tables of docs/spec/storage.md, made from the artefacts and the interfaces.

    PYTHONPATH=tests:. python -m support.storage_page

prints them; the page holds them between its two markers, word for word.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import contracts
from node.primitives import keccak
from support.chain_harness import signature_of

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "spec" / "storage.md"
BEGIN: Final = "<!-- tables: begin -->\n"
END: Final = "<!-- tables: end -->\n"

OUR_CONTRACTS: Final = (
    "ParticipantRegistry",
    "CurrencyToken",
    "PaymentSettlement",
    "NodeRegistry",
    "Council",
)
LIBRARY_NAMESPACES: Final = (
    "openzeppelin.storage.Initializable",
    "openzeppelin.storage.AccessManaged",
    "openzeppelin.storage.EIP712",
    "openzeppelin.storage.ERC20",
    "openzeppelin.storage.ERC3009",
    "openzeppelin.storage.Nonces",
)


def namespace_slot(namespace: str) -> int:
    """Return the base slot of a namespace (ERC-7201)."""
    inner = int.from_bytes(keccak(namespace.encode()), "big") - 1
    return int.from_bytes(keccak(inner.to_bytes(32, "big")), "big") & ~0xFF


def variable_rows(name: str) -> list[str]:
    """Return one row per state variable of a contract, in the order of their slots."""
    layout = contracts.load(name).storage_layout
    base = namespace_slot(f"corridor.storage.{name}")
    return [
        f"| base + {int(entry['slot']) - base} | {entry['offset']} "
        f"| `{entry['label']}` | `{layout['types'][entry['type']]['label']}` |"
        for entry in layout["storage"]
    ]


def struct_rows(name: str) -> list[str]:
    """Return one row per member of each struct a contract stores."""
    types = contracts.load(name).storage_layout["types"]
    return [
        f"| `{types[key]['label'].removeprefix('struct ')}` | {member['slot']} "
        f"| {member['offset']} | `{member['label']}` | `{types[member['type']]['label']}` |"
        for key in sorted(types)
        for member in types[key].get("members", [])
    ]


def event_rows(name: str) -> list[str]:
    """Return one row per event a contract can emit, `indexed` marked, with its first topic."""
    entries = [entry for entry in contracts.load(name).abi if entry["type"] == "event"]
    return [
        f"| `{signature_of(entry)}` | {_indexed(entry)} "
        f"| `0x{keccak(signature_of(entry).encode()).hex()}` |"
        for entry in sorted(entries, key=signature_of)
    ]


def enum_rows() -> list[str]:
    """Return one row per enumeration of the interfaces, its members in order from 0."""
    return [
        f"| `{interface}.{name}` | {', '.join(f'{n} {member}' for n, member in members)} |"
        for interface, name, members in sorted(_enums())
    ]


def render() -> str:
    """Return every table, in the order of the page."""
    parts = [
        "## Namespaces",
        _table("namespace | base slot", [_namespace_row(n) for n in _namespaces()]),
    ]
    for name in OUR_CONTRACTS:
        parts += [
            f"## {name}",
            f"Base: namespace `corridor.storage.{name}`.",
            _table("slot | byte | variable | type", variable_rows(name)),
            _table("struct | slot | byte | member | type", struct_rows(name)),
            _table("event | indexed | topic 0", event_rows(name)),
        ]
    parts += ["## Enumerations", _table("enumeration | members", enum_rows())]
    return "\n\n".join(parts) + "\n"


def _table(header: str, rows: list[str]) -> str:
    return "\n".join([f"| {header} |", "|" + "---|" * (header.count("|") + 1), *rows])


def _namespaces() -> Iterator[str]:
    yield from (f"corridor.storage.{name}" for name in OUR_CONTRACTS)
    yield from LIBRARY_NAMESPACES


def _namespace_row(name: str) -> str:
    return f"| `{name}` | `0x{namespace_slot(name):064x}` |"


def _indexed(entry: dict[str, Any]) -> str:
    return ", ".join(each["name"] for each in entry["inputs"] if each["indexed"]) or "none"


def _enums() -> Iterator[tuple[str, str, list[tuple[int, str]]]]:
    for path in (ROOT / "contracts" / "src" / "interfaces").glob("*.sol"):
        for name, body in re.findall(r"enum (\w+) \{([^}]*)\}", path.read_text(encoding="utf-8")):
            members = [member.strip() for member in body.split(",")]
            yield path.stem, name, list(enumerate(members))


if __name__ == "__main__":
    sys.stdout.write(render())
