"""Bytes to an XML tree, safely.

Nothing a sender writes can make the reader open a file, reach the network, expand an entity or
use memory or time out of proportion: the size is bounded before anything is read, depth and number
of elements before they are looked at, the encoding is UTF-8, and a document type declaration is
refused before the XML parser sees it.
"""

import re
from typing import Final

from lxml import etree

from bridge.errors import (
    ForbiddenMarkup,
    MalformedMessage,
    MessageTooDeep,
    MessageTooLarge,
    TooManyElements,
)

MESSAGE_BYTES_MAX: Final = 512 * 1024
"""Largest message that is read."""

MESSAGE_DEPTH_MAX: Final = 32
"""Deepest nesting of elements that is read."""

MESSAGE_ELEMENTS_MAX: Final = 10_000
"""Most elements that are read: twice what the largest message of ours has."""

_ENCODING = re.compile(r"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']")


def read_document(data: bytes) -> etree._Element:
    """Return the root element of a message."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise MessageTooLarge(len(data), MESSAGE_BYTES_MAX)
    _check_markup(_decode(data))
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        remove_comments=False,
        remove_pis=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedMessage(error.msg or "it cannot be parsed") from error
    _check_shape(root)
    return root


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedMessage("the bytes are not UTF-8") from error
    declared = _ENCODING.match(text)
    if declared is not None and declared.group(1).lower() != "utf-8":
        raise MalformedMessage("another encoding than UTF-8 is declared")
    if not text.strip():
        raise MalformedMessage("it is empty")
    return text


def _check_markup(text: str) -> None:
    if "<!DOCTYPE" in text:
        raise ForbiddenMarkup("a document type declaration")
    if "<!ENTITY" in text:
        raise ForbiddenMarkup("an entity declaration")


def _check_shape(root: etree._Element) -> None:
    """Refuse what is out of proportion, and comments and processing instructions."""
    if _COUNT(root) >= MESSAGE_ELEMENTS_MAX:
        raise TooManyElements("of any name", MESSAGE_ELEMENTS_MAX)
    if _IS_TOO_DEEP(root):
        raise MessageTooDeep(MESSAGE_DEPTH_MAX)
    if next(root.iter(etree.Comment, etree.PI), None) is not None:
        raise ForbiddenMarkup("a comment or processing instruction")


_COUNT: Final = etree.XPath("count(.//*)")
"""How many elements are in another."""

_IS_TOO_DEEP: Final = etree.XPath(f"boolean({'/'.join('*' * MESSAGE_DEPTH_MAX)})")
"""Whether there is an element at one depth more than the root may have below it."""
