"""docs/reference/contracts.md: what the contracts answer to, from their NatSpec."""

from typing import Any

import contracts

OPENING = """# Contracts

<!-- Written by scripts/docs from the contracts' own words (NatSpec); do not edit. -->

Functions, events and errors of the contracts that are ours, as `contracts/artefacts` has them. The rules behind them,
their order and their encodings are in [docs/spec/settlement.md](../spec/settlement.md), storage and topics of events in
[docs/spec/storage.md](../spec/storage.md). Amounts are integers in the currency's minor unit, times UTC seconds. A call
that is not allowed reverts with one of the errors; nothing of it remains.
"""

ADDRESS_BY_CONTRACT = {
    "ParticipantRegistry": f"0x{contracts.REGISTRY_ADDRESS.hex()}",
    "CurrencyToken": "0x...c100 + the currency's ISO 4217 number, one for each currency",
    "PaymentSettlement": f"0x{contracts.SETTLEMENT_ADDRESS.hex()}",
    "Council": f"0x{contracts.COUNCIL_ADDRESS.hex()}",
    "NodeRegistry": f"0x{contracts.NODE_REGISTRY_ADDRESS.hex()}",
    "CertificateVerifier": "none: whoever wants it deploys it",
}

Entry = dict[str, Any]  # JSON of an ABI


def page() -> str:
    """The page's text."""
    return "\n".join([OPENING, *map(_contract, ADDRESS_BY_CONTRACT)])


def _contract(name: str) -> str:
    artefact = contracts.load(name)
    said = artefact.documentation
    lines = [f"## {name}", "", f"Address: {ADDRESS_BY_CONTRACT[name]}.", ""]
    lines += [f"{part.strip()}\n" for part in (said["title"], said["notice"]) if part]
    for kind, heading in (("function", "Functions"), ("event", "Events"), ("error", "Errors")):
        entries = sorted(
            (entry for entry in artefact.abi if entry["type"] == kind),
            key=lambda entry: (entry.get("stateMutability") in {"view", "pure"}, entry["name"]),
        )
        lines += [f"### {heading} of {name}", ""]
        for entry in entries:
            lines += _entry(entry, said.get(f"{_KINDS[kind]}", {}))
        lines.append("")
    return "\n".join(lines)


_KINDS = {"function": "methods", "event": "events", "error": "errors"}


def _entry(entry: Entry, said: dict[str, Entry]) -> list[str]:
    signature = f"{entry['name']}({','.join(_type(each) for each in entry['inputs'])})"
    words = said.get(signature, {})
    reads = " (reads)" if entry.get("stateMutability") in {"view", "pure"} else ""
    text = " ".join(words.get("notice", "").split())
    lines = [f"- `{_shown(entry)}`{reads}{': ' + text if text else ''}"]
    lines += [
        f"    - `{parameter}`: {' '.join(meaning.split())}"
        for parameter, meaning in words.get("params", {}).items()
    ]
    lines += [
        f"    - returns{'' if name.startswith('_') else f' `{name}`'}: {' '.join(meaning.split())}"
        for name, meaning in words.get("returns", {}).items()
    ]
    return lines


def _shown(entry: Entry) -> str:
    inputs = ", ".join(_parameter(each) for each in entry["inputs"])
    outputs = ", ".join(_parameter(each) for each in entry.get("outputs", []))
    return f"{entry['name']}({inputs}){f' -> ({outputs})' if outputs else ''}"


def _parameter(parameter: Entry) -> str:
    kind = str(parameter.get("internalType", parameter["type"])).split(" ")[-1].split(".")[-1]
    return f"{kind} {parameter['name']}".strip()


def _type(parameter: Entry) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(_type(each) for each in parameter["components"])
    return f"({members}){kind.removeprefix('tuple')}"
