"""The reference page of the messages shows exactly the elements that are read and written."""

from pathlib import Path

import pytest

from bridge.iso20022.catalogue import STRUCTURES
from bridge.iso20022.codes import MessageName, ReturnReason, StatusReason, TransactionStatus
from reference_pages.messages import outline

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "messages.md"


@pytest.mark.parametrize("name", MessageName)
def test_the_page_shows_the_accepted_subset_of_each_message(name: MessageName) -> None:
    shown = "\n".join(outline(STRUCTURES[name]))
    assert f"```text\n{shown}\n```" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("code", [*MessageName, *TransactionStatus, *StatusReason, *ReturnReason])
def test_the_page_names_every_message_status_and_reason(code: str) -> None:
    assert f"`{code}`" in PAGE.read_text("utf-8")
