"""A message with its business application header (head.001), in one file.

The header says who sends the message to whom and whether it is a copy, such as one for a
supervisor, without anybody having to read the message. Header and message travel in the ISO 20022
business message envelope (nvlp.001.001.01), of which only `Hdr` and `Doc` are used.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Final

from lxml import etree

from bridge.errors import (
    ConflictingElements,
    InvalidText,
    MissingElement,
    Rejected,
    UnknownElement,
    UnknownMessage,
    UnsendableMessage,
)
from bridge.iso20022.catalogue import LAYOUT_BY_NAME, Message, name_of, read_message
from bridge.iso20022.codes import CopyDuplicate, MessageName
from bridge.iso20022.document import read_document
from bridge.iso20022.identifiers import Bic, Lei, parse_bic, parse_lei
from bridge.iso20022.kinds import FLAG, MOMENT, REFERENCE, code, leaf
from bridge.iso20022.layout import needed, optional, record, within
from bridge.iso20022.structure import Checked, Element, check_element
from bridge.iso20022.writing import serialise, write_document, write_element

HEADER_NAME: Final = "head.001.001.02"
"""The business application header and its version."""

HEADER_NAMESPACE: Final = f"urn:iso:std:iso:20022:tech:xsd:{HEADER_NAME}"
ENVELOPE_NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:nvlp.001.001.01"

_ENVELOPE_PATH: Final = "/BizMsgEnvlp"
_HEADER_PATH: Final = "/BizMsgEnvlp/Hdr"
_DOCUMENT_PATH: Final = "/BizMsgEnvlp/Doc"


@dataclass(frozen=True, slots=True)
class BusinessParty:
    """Who sends or receives a business message: by BIC, by LEI or by both, never by neither."""

    bic: Bic | None = None
    lei: Lei | None = None


@dataclass(frozen=True, slots=True)
class BusinessHeader:
    """A head.001: what must be known of a message before it is read.

    `copy` stands where this is not the original for its receiver; `is_possible_duplicate` where
    the sender does not know whether it arrived before.
    """

    sender: BusinessParty
    receiver: BusinessParty
    business_message_id: str
    message_name: MessageName
    created_at: datetime
    business_service: str | None = None
    copy: CopyDuplicate | None = None
    is_possible_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class BusinessMessage:
    """A message with its header."""

    header: BusinessHeader
    message: Message


def parse_business_message(data: bytes) -> BusinessMessage:
    """Return the header and the message of an envelope; they must fit each other."""
    return read_envelope(read_document(data))


def format_business_message(given: BusinessMessage) -> bytes:
    """Return an envelope of header and message, read back before it leaves."""
    layout = LAYOUT_BY_NAME[name_of(given.message)]
    header = write_element(_HEADER.write("AppHdr", given.header), HEADER_NAMESPACE, HEADER_NAME)
    document = write_document(layout.name, layout.kind.write(layout.body, given.message))
    root = etree.Element(f"{{{ENVELOPE_NAMESPACE}}}BizMsgEnvlp", nsmap={None: ENVELOPE_NAMESPACE})
    for name, content in (("Hdr", header), ("Doc", document)):
        etree.SubElement(root, f"{{{ENVELOPE_NAMESPACE}}}{name}").append(content)
    data = serialise(root)
    try:
        understood = parse_business_message(data)
    except Rejected as error:
        raise UnsendableMessage(HEADER_NAME, str(error)) from error
    if understood != given:
        raise UnsendableMessage(HEADER_NAME, "it would be read as something else")
    return data


def is_envelope(root: etree._Element) -> bool:
    """Return whether a document is an envelope rather than a message by itself."""
    return bool(root.tag == f"{{{ENVELOPE_NAMESPACE}}}BizMsgEnvlp")


def read_envelope(root: etree._Element) -> BusinessMessage:
    """Return the header and the message of an envelope that was read as XML."""
    if not is_envelope(root):
        raise UnknownMessage(str(root.tag), "BizMsgEnvlp")
    wrapped = [f"{{{ENVELOPE_NAMESPACE}}}{name}" for name in ("Hdr", "Doc")]
    header_holder, document_holder = _children(root, wrapped, _ENVELOPE_PATH)
    wrapped = [f"{{{HEADER_NAMESPACE}}}AppHdr"]
    (application_header,) = _children(header_holder, wrapped, _HEADER_PATH)
    if len(document_holder) != 1:
        raise ConflictingElements("Doc holds exactly one message").at(_DOCUMENT_PATH)
    _check_bare(document_holder, _DOCUMENT_PATH)
    checked = check_element(application_header, HEADER_STRUCTURE, HEADER_NAMESPACE, _HEADER_PATH)
    header: BusinessHeader = _HEADER.read(checked)
    message = read_message(document_holder[0])
    if header.message_name is not name_of(message):
        rule = f"the header announces another message than {name_of(message)}"
        raise ConflictingElements(rule).at(f"{_HEADER_PATH}/AppHdr/MsgDefIdr")
    return BusinessMessage(header, message)


def _children(node: etree._Element, tags: list[str], path: str) -> tuple[etree._Element, ...]:
    """Return the children of a wrapping element, which must be these and no others, in order."""
    _check_bare(node, path)
    for child, tag in zip_longest(node, tags):
        if child is None:
            raise MissingElement(etree.QName(tag).localname).at(path)
        if child.tag != tag:
            raise UnknownElement(str(child.tag)).at(path)
    return tuple(node)


def _check_bare(node: etree._Element, path: str) -> None:
    """Refuse attributes and text in an element that only wraps others."""
    for attribute in node.attrib:
        raise UnknownElement(f"attribute {attribute!s}").at(path)
    for text in (node.text, *(child.tail for child in node)):
        if text is not None and text.strip(" \t\r\n"):
            raise InvalidText(text.strip(), "only elements may stand here").at(path)


def _check_party(node: Checked, party: BusinessParty) -> None:
    if party.bic is None and party.lei is None:
        raise MissingElement("BICFI").at(f"{node.path}/FIId/FinInstnId")


_PARTY: Final = record(
    BusinessParty,
    within(
        "FIId",
        within(
            "FinInstnId",
            optional("BICFI", "bic", leaf(parse_bic)),
            optional("LEI", "lei", leaf(parse_lei)),
        ),
    ),
    checks=(_check_party,),
)

_HEADER: Final = record(
    BusinessHeader,
    needed("Fr", "sender", _PARTY),
    needed("To", "receiver", _PARTY),
    needed("BizMsgIdr", "business_message_id", REFERENCE),
    needed("MsgDefIdr", "message_name", code(MessageName)),
    optional("BizSvc", "business_service", REFERENCE),
    needed("CreDt", "created_at", MOMENT),
    optional("CpyDplct", "copy", code(CopyDuplicate)),
    optional("PssblDplct", "is_possible_duplicate", FLAG, absent=False),
)

HEADER_STRUCTURE: Final = Element("AppHdr", _HEADER.children)
"""The accepted subset of the header."""
