"""One message in many serialisations has one content; damaged ones are refused by name.

Cites docs/spec/messages.md: MSG-4, 24.
"""

import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from bridge.errors import Rejected
from bridge.iso20022.codes import MessageName
from bridge.iso20022.commitment import InterbankMessage, canonical_content
from bridge.iso20022.envelope import parse_business_message
from bridge.iso20022.format import format_message
from bridge.iso20022.parse import parse_message
from support.every_message import BETWEEN_BANKS, EXAMPLE_BY_NAME, STRATEGY_BY_NAME

BYTES_BY_NAME = {name: format_message(each) for name, each in EXAMPLE_BY_NAME.items()}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
DECIMAL = re.compile(r"\d+\.\d+")
QUIET = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])


def serialise_otherwise(data: bytes, draw: Any) -> bytes:  # Hypothesis' drawing function
    """Return the same message as another sender's software might have written it."""
    root = etree.fromstring(data)
    for node in root.iter():
        if len(node):
            node.text = draw(WHITE_SPACE)
        elif node.text is not None:
            node.text = told_otherwise(node, draw)
        node.tail = draw(WHITE_SPACE)
    root.tail = None
    prefix = draw(st.sampled_from([None, "Doc", "ns0", "urn"]))
    namespace = etree.QName(root).namespace
    schemas = "http://www.w3.org/2001/XMLSchema-instance"
    anew = etree.Element(root.tag, nsmap={prefix: namespace, "xsi": schemas})
    if draw(st.booleans()):
        anew.set(f"{{{schemas}}}schemaLocation", f"{namespace} somewhere.xsd")
    anew.text = root.text
    anew.extend(list(root))
    etree.cleanup_namespaces(anew, keep_ns_prefixes=["xsi"])
    text = etree.tostring(anew, encoding="unicode")
    if draw(st.booleans()):
        text = text.replace(">0", ">&#48;").replace(">R", ">&#x52;")
    declaration = draw(st.sampled_from(DECLARATIONS))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    written: str = mark + declaration + text
    return written.encode()


WHITE_SPACE = st.sampled_from([None, "", "\n", "\r\n\t", "   "])
DECLARATIONS = ["", '<?xml version="1.0"?>', "<?xml version='1.0' encoding='utf-8'?>\n"]


def told_otherwise(node: etree._Element, draw: Any) -> str:  # Hypothesis' drawing function
    """Return the text of a leaf in another form with the same meaning."""
    text = node.text or ""
    if INSTANT.fullmatch(text):
        hours = timezone(timedelta(minutes=draw(st.sampled_from([0, 60, -330, 765]))))
        return datetime.fromisoformat(text).astimezone(hours).isoformat()
    is_number = node.get("Ccy") or etree.QName(node).localname in {"XchgRate", "CtrlSum", "Sum"}
    if is_number and DECIMAL.fullmatch(text):
        shortest = text.rstrip("0").rstrip(".")
        return str(draw(st.sampled_from([text, shortest])))
    return text


@pytest.mark.parametrize("name", MessageName)
@QUIET
@given(drawn=st.data())
def test_msg_24_another_serialisation_is_the_same_message(
    name: MessageName, drawn: st.DataObject
) -> None:
    message = drawn.draw(STRATEGY_BY_NAME[name])
    data = serialise_otherwise(format_message(message), drawn.draw)
    assert parse_message(data) == message
    if name in BETWEEN_BANKS:
        again: Any = parse_message(data)  # one of the messages between banks
        assert canonical_content(again) == canonical_content(message)


def without_sending(message: Any) -> Any:  # any message between banks
    """Return a message without what belongs to one sending."""
    return replace(message, message_id="", created_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", BETWEEN_BANKS)
@QUIET
@given(drawn=st.data())
def test_msg_24_different_messages_never_have_the_same_content(
    name: MessageName, drawn: st.DataObject
) -> None:
    left = drawn.draw(STRATEGY_BY_NAME[name])
    right = drawn.draw(STRATEGY_BY_NAME[name])
    borrowed = drawn.draw(st.sampled_from([each.name for each in fields(left)]))
    nearly = replace(left, **{borrowed: getattr(right, borrowed)})
    for other in (right, nearly):
        same = without_sending(left) == without_sending(other)
        assert (canonical_content(left) == canonical_content(other)) == same


def test_msg_24_no_two_kinds_of_message_share_a_content() -> None:
    contents = {canonical_content(between_banks(name)) for name in BETWEEN_BANKS}
    assert len(contents) == len(BETWEEN_BANKS)


def between_banks(name: MessageName) -> InterbankMessage:
    """Return the example of a message between banks."""
    message: Any = EXAMPLE_BY_NAME[name]  # one of those that can be committed to
    return message  # type: ignore[no-any-return]


def understood(data: bytes) -> bool:
    """Return whether the bytes are a message; anything but a named refusal passes through."""
    try:
        parse_message(data)
    except Rejected:
        return False
    return True


@pytest.mark.parametrize("name", MessageName)
@QUIET
@given(drawn=st.data())
def test_msg_4_a_damaged_message_gives_a_message_or_a_named_refusal(
    name: MessageName, drawn: st.DataObject
) -> None:
    whole = BYTES_BY_NAME[name]
    start = drawn.draw(st.integers(0, len(whole) - 1))
    lost = drawn.draw(st.integers(0, 40))
    patch = drawn.draw(st.binary(max_size=8))
    damaged = whole[:start] + patch + whole[start + lost :]
    assert understood(damaged) or damaged != whole


@pytest.mark.parametrize("name", MessageName)
@QUIET
@given(drawn=st.data())
def test_msg_4_a_message_with_elements_moved_about_gives_a_message_or_a_named_refusal(
    name: MessageName, drawn: st.DataObject
) -> None:
    root = etree.fromstring(BYTES_BY_NAME[name])
    nodes = [node for node in root.iter() if node is not root]
    moved = drawn.draw(st.sampled_from(nodes))
    inside = {id(node) for node in moved.iter()}
    target = drawn.draw(st.sampled_from([root, *nodes]))
    if id(target) not in inside:
        target.insert(drawn.draw(st.integers(0, 3)), moved)
    leaf = drawn.draw(st.sampled_from(nodes))
    leaf.text = drawn.draw(st.text(st.characters(codec="ascii", categories=["L", "N", "P"])))
    assert understood(etree.tostring(root)) in {True, False}


@given(st.binary(max_size=300))
def test_msg_4_arbitrary_bytes_are_no_envelope_and_refused_by_name(data: bytes) -> None:
    with pytest.raises(Rejected):
        parse_business_message(data)
