"""The reference page of the messages shows exactly the elements that are read and written."""

import re
from pathlib import Path

import pytest

from bridge.iso20022.catalogue import STRUCTURES
from bridge.iso20022.codes import MessageName, ReturnReason, StatusReason, TransactionStatus
from reference_pages.messages import outline

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "messages.md"
RULES = ROOT / "docs" / "spec" / "messages.md"


@pytest.mark.parametrize("name", MessageName)
def test_the_page_shows_the_accepted_subset_of_each_message(name: MessageName) -> None:
    shown = "\n".join(outline(STRUCTURES[name]))
    assert f"```text\n{shown}\n```" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("code", [*MessageName, *TransactionStatus, *StatusReason, *ReturnReason])
def test_the_page_names_every_message_status_and_reason(code: str) -> None:
    assert f"`{code}`" in PAGE.read_text("utf-8")


def test_every_rule_has_its_test() -> None:
    """A rule says which tests show it; there, a test bears its number in its name or its page."""
    for rule, text in re.findall(
        r"- \*\*MSG-(\d+)\*\* (.*?)(?=\n- |\n\n|\Z)", RULES.read_text(), re.DOTALL
    ):
        cited = re.search(r"\*\((tests/.*?)\)\*", text)
        assert cited is not None, rule
        first = ROOT / cited.group(1).split(", ")[0]
        shown = re.compile(
            rf"msg_(?:\d+_)*{rule}_|Cites docs/spec/messages.md: .*\b{rule}\b|MSG-{rule}\b"
        )
        assert shown.search(first.read_text("utf-8")), f"MSG-{rule} is not cited by {first.name}"
