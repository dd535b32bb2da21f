"""The artefacts are what genesis, node and bridge rely on: whole, within limits, append-only."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import contracts
from node.primitives import keccak
from support.chain_harness import signature_of
from support.storage_page import (
    BEGIN,
    END,
    OUR_CONTRACTS,
    PAGE,
    ROOT,
    enum_rows,
    event_rows,
    namespace_slot,
    render,
    struct_rows,
    variable_rows,
)

RUNTIME_BYTES_MAX = 24_576
ARTEFACTS = ROOT / "contracts" / "artefacts"
VERSION_1 = ROOT / "tests" / "contracts" / "storage_version_1.txt"
SPECIFICATION = ROOT / "docs" / "spec" / "settlement.md"
ANALYSIS = ROOT / "docs" / "spec" / "static-analysis.md"
ANSWER = re.compile(r"^\| `[a-z-]+` \| ([^|]+) \|", re.MULTILINE)
VISIBILITY = ROOT / "docs" / "spec" / "visibility.md"
MACHINE_PATH = re.compile(r"(/home/|/root/|/tmp/|[A-Z]:\\\\|node_modules)")


def current_rows() -> list[str]:
    return [
        f"{name} {row}"
        for name in OUR_CONTRACTS
        for row in (*variable_rows(name), *struct_rows(name), *event_rows(name))
    ] + enum_rows()


def test_every_artefact_loads_and_no_other_is_there() -> None:
    assert {path.stem for path in ARTEFACTS.glob("*")} == set(contracts.ARTEFACT_NAMES)
    for name in contracts.ARTEFACT_NAMES:
        artefact = contracts.load(name)
        assert artefact.name == name
        assert artefact.abi
        assert len(artefact.bytecode) > len(artefact.runtime) > 0
    with pytest.raises(contracts.UnknownArtefact, match="Treasury"):
        contracts.load("Treasury")


@pytest.mark.parametrize("name", contracts.ARTEFACT_NAMES)
def test_all_3_runtime_code_fits_the_limit(name: str) -> None:
    assert len(contracts.load(name).runtime) <= RUNTIME_BYTES_MAX


@pytest.mark.parametrize("name", contracts.ARTEFACT_NAMES)
def test_an_artefact_is_the_same_text_on_every_machine(name: str) -> None:
    text = (ARTEFACTS / f"{name}.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"
    assert MACHINE_PATH.search(text) is None


def test_the_fixed_addresses_are_distinct_and_as_published() -> None:
    addresses = [
        contracts.REGISTRY_ADDRESS,
        contracts.SETTLEMENT_ADDRESS,
        contracts.ACCESS_MANAGER_ADDRESS,
        contracts.NODE_REGISTRY_ADDRESS,
        contracts.COUNCIL_ADDRESS,
        contracts.COUNCIL_IMPLEMENTATION_ADDRESS,
        contracts.REGISTRY_IMPLEMENTATION_ADDRESS,
        contracts.NODE_REGISTRY_IMPLEMENTATION_ADDRESS,
        contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS,
        contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS,
        contracts.currency_token_address(978),
        contracts.currency_token_address(702),
        contracts.currency_token_address(1),
        contracts.currency_token_address(999),
    ]
    assert len(set(addresses)) == len(addresses)
    assert {len(address) for address in addresses} == {20}
    assert contracts.REGISTRY_ADDRESS.hex().endswith("c001")
    assert contracts.NODE_REGISTRY_ADDRESS.hex().endswith("c004")
    assert contracts.currency_token_address(978) == (0xC100 + 978).to_bytes(20, "big")
    for numeric in (0, -1, 1_000):
        with pytest.raises(ValueError, match="out of range"):
            contracts.currency_token_address(numeric)


def test_no_two_errors_or_events_share_a_selector_by_accident() -> None:
    entries = [entry for name in contracts.ARTEFACT_NAMES for entry in contracts.load(name).abi]
    for kind, length in (("error", 4), ("event", 32)):
        signatures = {signature_of(entry) for entry in entries if entry["type"] == kind}
        assert len({keccak(text.encode())[:length] for text in signatures}) == len(signatures)


@pytest.mark.parametrize("name", OUR_CONTRACTS)
def test_variables_stand_in_the_contracts_own_namespace(name: str) -> None:
    layout = contracts.load(name).storage_layout
    base = namespace_slot(f"corridor.storage.{name}")
    slots = [int(entry["slot"]) - base for entry in layout["storage"]]
    assert slots[0] == 0
    assert slots == sorted(slots)
    assert slots[-1] < 256


def test_the_storage_page_holds_the_tables_of_the_artefacts() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tables = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert tables == render(), "run: PYTHONPATH=tests:. python -m support.storage_page"


def test_sto_1_every_row_of_version_1_is_still_there() -> None:
    current = current_rows()
    for row in VERSION_1.read_text(encoding="utf-8").splitlines():
        if row in current:
            continue
        # An enumeration may have grown at its end; anything else has been changed, not appended.
        grown = row.removesuffix(" |") + ", "
        assert any(other.startswith(grown) for other in current), f"changed or gone: {row}"


def test_sto_2_a_struct_in_an_array_or_variable_never_grows() -> None:
    fixed = {
        "ParticipantRecords.KeyRecord",
        "ParticipantRecords.Standing",
        "ParticipantRecords.Charter",
        "ParticipantRecords.EndpointRecord",
        "ICouncil.Approval",
        "ICouncil.Rulebook",
        "ICurrencyToken.Attestation",
        "ICurrencyToken.OpeningHours",
        "ICurrencyToken.TokenLimits",
        "Burnt",
        "Lane",
        "NodeRegistry.ValidatorRecord",
    }
    known = VERSION_1.read_text(encoding="utf-8").splitlines()
    for name in OUR_CONTRACTS:
        for row in struct_rows(name):
            if row.split("`")[1] in fixed:
                assert f"{name} {row}" in known


def test_every_requirement_of_the_settlement_page_is_cited_by_a_test() -> None:
    text = SPECIFICATION.read_text(encoding="utf-8")
    requirements = re.findall(r"^- \*\*([A-Z]+-\d+)\*\*", text, re.MULTILINE)
    assert len(requirements) == len(set(requirements)) > 0
    folders = ("contracts", "unit", "property", "conformance")
    tests = "".join(
        path.read_text(encoding="utf-8")
        for folder in folders
        for path in sorted((Path(__file__).parents[1] / folder).rglob("test_*.py"))
    )
    cited = {name.upper() for name in re.findall(r"\b[A-Z]{3}-\d+\b", tests)}
    cited |= {
        f"{part}-{number}".upper()
        for part, number in re.findall(r"def test_([a-z]{3})_(\d+)_", tests)
    }
    missing = [name for name in requirements if name not in cited]
    assert not missing


def field_names(entries: list[dict[str, Any]]) -> set[str]:
    """Return the names of ABI parameters and of the members of the structs among them."""
    nested = [field_names(entry.get("components", [])) for entry in entries]
    return {entry["name"] for entry in entries if entry["name"]}.union(*nested)


def test_vis_1_every_field_of_an_event_or_struct_has_its_grade() -> None:
    graded = set(re.findall(r"`(\w+)`", VISIBILITY.read_text(encoding="utf-8")))
    for name in OUR_CONTRACTS:
        abi = contracts.load(name).abi
        events = [each["inputs"] for each in abi if each["type"] == "event"]
        structs = [
            parameter["components"]
            for each in abi
            for parameter in (*each.get("inputs", []), *each.get("outputs", []))
            if "components" in parameter
        ]
        ours = set().union(*(field_names(entries) for entries in events + structs))
        assert ours <= graded


def test_every_place_that_static_analysis_is_answered_for_is_in_the_sources() -> None:
    rows = ANSWER.findall(ANALYSIS.read_text(encoding="utf-8"))
    places = {place for row in rows for place in re.findall(r"`([^`]+)`", row)}
    assert len(places) > 20
    source_by_name = {
        path.stem: path.read_text(encoding="utf-8")
        for path in (ROOT / "contracts" / "src").rglob("*.sol")
    }
    for place in places:
        contract, _, function = place.partition(".")
        assert f"function {function}(" in source_by_name[contract], place
