"""The reference page of the messages shows exactly the elements that are read and written."""

from pathlib import Path

import pytest
from lxml import etree

from bridge.iso20022.codes import CreditDebit, MessageName, StatusReason, TransactionStatus
from bridge.iso20022.format import format_account_notification
from bridge.iso20022.structure import STRUCTURES, Element
from support.messages import account_notification

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "messages.md"


def outline(element: Element, depth: int = 0) -> list[str]:
    """Return an element and what is in it as indented lines with their cardinality."""
    counts = f"{element.minimum}..{element.maximum}"
    note = " (exactly one of)" if element.choice else ""
    currency = " @Ccy" if element.amount else ""
    line = f"{'  ' * depth}{element.name}{currency} [{counts}]{note}"
    inner = [text for child in element.children for text in outline(child, depth + 1)]
    return [line, *inner]


def outline_of_xml(node: etree._Element, depth: int = 0) -> list[str]:
    """Return an XML element and what is in it as indented lines."""
    currency = " @Ccy" if node.get("Ccy") else ""
    line = f"{'  ' * depth}{etree.QName(node).localname}{currency}"
    return [line, *(text for child in node for text in outline_of_xml(child, depth + 1))]


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_page_shows_the_accepted_subset_of_each_message_read(name: MessageName) -> None:
    shown = "\n".join(outline(STRUCTURES[name]))
    assert f"```text\n{shown}\n```" in PAGE.read_text("utf-8")


def test_the_page_shows_the_notification_as_it_is_written() -> None:
    [body] = etree.fromstring(format_account_notification(account_notification(CreditDebit.DBIT)))
    shown = "\n".join(outline_of_xml(body))
    assert f"```text\n{shown}\n```" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("code", [*MessageName, *TransactionStatus, *StatusReason])
def test_the_page_names_every_message_status_and_reason(code: str) -> None:
    assert f"`{code}`" in PAGE.read_text("utf-8")
