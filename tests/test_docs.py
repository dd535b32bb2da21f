"""The documents check themselves: links resolve, commands exist, decisions are numbered, sums add up."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.money import Amount, Rate, Rounding, parse_currency
from reference_pages import PAGES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
DECISIONS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def by_name(path: Path) -> str:
    """How a document is named in a report."""
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """The fragments a document's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    broken = []
    for target in LINK.findall(text):
        if re.match(r"(https?|mailto):", target):
            continue
        place, _, fragment = target.partition("#")
        linked = (document.parent / place).resolve() if place else document
        if not linked.exists() or (fragment and fragment not in anchors(linked)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_every_command_shown_exists_and_can_be_started(document: Path) -> None:
    missing = [
        command
        for language, block in CODE_BLOCK.findall(document.read_text(encoding="utf-8"))
        if language in {"sh", "bash"}
        for command in re.findall(r"^((?:scripts|\.ci)/[\w-]+)", block, re.MULTILINE)
        if not os.access(ROOT / command, os.X_OK)
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_every_path_written_as_code_exists(document: Path) -> None:
    text = CODE_BLOCK.sub("", document.read_text(encoding="utf-8"))
    named = re.findall(r"`((?:scripts|docs|tests|contracts|node|bridge|examples)/[\w./-]*)`", text)
    tops = ("", ".py")
    missing = [
        name
        for name in named
        if not any((ROOT / (name.rstrip("/") + end)).exists() for end in tops)
    ]
    assert not missing


@pytest.mark.parametrize("place", sorted(PAGES))
def test_a_reference_page_says_what_the_code_says(place: str) -> None:
    """`scripts/docs` writes it anew."""
    assert (ROOT / place).read_text(encoding="utf-8") == PAGES[place]()


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]


@pytest.mark.parametrize("decision", DECISIONS, ids=by_name)
def test_a_decision_has_its_number_date_status_and_parts(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")
    title = re.match(r"# (\d{4})\. (.+)\n\nDate: \d{4}-\d\d-\d\d\nStatus: (\w+)", text)
    assert title, "a decision opens with its title, date and status"
    assert title[1] == decision.name[:4]
    assert title[3] in {"proposed", "accepted", "superseded"}
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_index_of_decisions_lists_each_of_them() -> None:
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d{4}-[^)]+)\)", index) == [path.name for path in DECISIONS]


def tables(text: str, columns: str) -> list[list[list[str]]]:
    """The rows of every markdown table that has exactly these columns."""
    found: list[list[list[str]]] = []
    rows: list[list[str]] | None = None
    for line in text.splitlines():
        if line == columns:
            rows = []
            found.append(rows)
        elif not line.startswith("|"):
            rows = None
        elif rows is not None and not line.startswith("|---"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_every_worked_journal_entry_balances() -> None:
    text = (ROOT / "docs/concepts/double-entry.md").read_text(encoding="utf-8")
    entries = tables(text, "| account | type | debit | credit |")
    assert len(entries) >= 7
    for rows in entries:
        debits, credits_ = (
            sum(Decimal(row[column].replace(",", "") or "0") for row in rows) for column in (2, 3)
        )
        assert debits == credits_ > 0, rows


def test_the_readme_keeps_a_place_for_the_demo_output() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(
        r"<!-- demo output: begin .*?-->\n```text\n.+?```\n<!-- demo output: end -->",
        text,
        re.DOTALL,
    )


def test_the_changelog_opens_with_the_version_of_the_distribution() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.search(
        r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert version
    assert newest
    assert version[1] == newest[1]


def test_the_glossary_defines_each_word_once_per_area() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for area in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        words = re.findall(r"^\| ([^|]+) \|", area, re.MULTILINE)
        assert len(words) == len(set(words)), area.splitlines()[0]


def test_the_worked_prices_are_what_the_bridge_reckons() -> None:
    text = (ROOT / "docs/concepts/pvp.md").read_text(encoding="utf-8")
    eur, sgd = parse_currency("EUR"), parse_currency("SGD")
    target = Amount.parse("1000.00", sgd)
    provider_rate = Rate.parse("1.4520")
    customer_rate = provider_rate.with_margin(25, Rounding.FLOOR)
    cost = provider_rate.divide(target, eur, Rounding.CEIL)
    principal = customer_rate.divide(target, eur, Rounding.CEIL)

    assert f"| {customer_rate.format()} |" in text
    assert f"rounded up to the cent | {cost.format()} EUR |" in text
    assert f"rounded up to the cent | {principal.format()} EUR |" in text
    assert f"| {(principal - cost).format()} EUR |" in text
