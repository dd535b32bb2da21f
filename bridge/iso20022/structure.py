"""The accepted subset of each message: declared once, enforced here.

A declaration is a tree of `Element`s in the order of the schema. `check_structure` walks an XML
tree beside it and refuses everything that is not declared: another namespace, an unknown element
or attribute, a wrong order, too few or too many, text where none may stand, empty leaves. What
remains is a tree of `Checked` nodes that know their path; what their texts mean is `parse`'s work.

Declarations are a subset of the ISO schemas, so a message that passes is valid there too, as far
as its structure goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from bridge.errors import (
    ConflictingElements,
    InvalidText,
    MisplacedElement,
    MissingElement,
    TooManyElements,
    UnknownElement,
    UnknownMessage,
)
from bridge.iso20022.codes import MessageName

INSTRUCTIONS_MAX: Final = 100
"""Payments one pain.001 may hold, and groups of payments."""

CHARGES_MAX: Final = 8
"""Charges one payment may list."""

SCHEMA_LOCATION: Final = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
"""The one attribute the root element may have; it is never followed."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a message: a leaf with text, or a group with children in order.

    A `choice` has exactly one of its children; an `amount` is a leaf with a currency attribute.
    """

    name: str
    children: tuple["Element", ...] = ()
    minimum: int = 1
    maximum: int = 1
    choice: bool = False
    amount: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """An element that fits its declaration."""

    path: str
    text: str
    currency: str
    children: tuple[tuple[str, "Checked"], ...]

    def all(self, name: str) -> tuple["Checked", ...]:
        """Return every child of a name, in order."""
        return tuple(child for held, child in self.children if held == name)

    def maybe(self, name: str) -> "Checked | None":
        """Return the child of a name, or None where it is absent."""
        return next(iter(self.all(name)), None)

    def one(self, *names: str) -> "Checked":
        """Return the descendant along the names, which the declaration makes mandatory."""
        node = self
        for name in names:
            child = node.maybe(name)
            if child is None:
                raise MissingElement(name).at(node.path)
            node = child
        return node


def check_structure(root: etree._Element, accepted: frozenset[MessageName]) -> Checked:
    """Return the message inside a document, which must be one of the accepted versions."""
    name = message_name_of(root)
    if name is None or name not in accepted:
        raise UnknownMessage(str(root.tag), ", ".join(sorted(accepted)))
    body = STRUCTURES[name]
    declaration = Element("Document", (body,))
    return _check_element(root, declaration, "/Document", name.namespace).one(body.name)


def message_name_of(root: etree._Element) -> MessageName | None:
    """Return the message and version that a document says it is, if it is one of ours."""
    return next((name for name in MessageName if root.tag == f"{{{name.namespace}}}Document"), None)


def _check_element(
    node: etree._Element, declaration: Element, path: str, namespace: str
) -> Checked:
    currency = _check_attributes(node, declaration, path)
    if not declaration.children:
        for child in node:
            raise UnknownElement(_local_name(child, namespace)).at(path)
        if not node.text:
            raise InvalidText("", "it is empty").at(path)
        return Checked(path, node.text, currency, ())
    _check_no_text(node, path)
    children = tuple(_check_children(node, declaration, path, namespace))
    if declaration.choice and len(children) != 1:
        names = ", ".join(child.name for child in declaration.children)
        raise ConflictingElements(f"exactly one of {names} must stand here").at(path)
    return Checked(path, "", currency, children)


def _check_attributes(node: etree._Element, declaration: Element, path: str) -> str:
    for name in node.attrib:
        allowed = (declaration.amount and name == "Ccy") or (
            declaration.name == "Document" and name == SCHEMA_LOCATION
        )
        if not allowed:
            raise UnknownElement(f"attribute {name!s}").at(path)
    if declaration.amount and not node.get("Ccy"):
        raise MissingElement("attribute Ccy").at(path)
    return str(node.get("Ccy") or "")


def _check_no_text(node: etree._Element, path: str) -> None:
    texts = [node.text, *(child.tail for child in node)]
    for text in texts:
        if text is not None and text.strip(" \t\r\n"):
            raise InvalidText(text.strip(), "only elements may stand here").at(path)


def _check_children(
    node: etree._Element, declaration: Element, path: str, namespace: str
) -> Iterator[tuple[str, Checked]]:
    """Walk children and declarations side by side: order and counts on the way, gaps at the end."""
    order = {child.name: position for position, child in enumerate(declaration.children)}
    counts = dict.fromkeys(order, 0)
    reached = 0
    for child in node:
        name = _local_name(child, namespace)
        if name not in order:
            raise UnknownElement(name).at(path)
        position = order[name]
        if position < reached:
            raise MisplacedElement(name, declaration.children[reached].name).at(path)
        reached = position
        counts[name] += 1
        declared = declaration.children[position]
        if counts[name] > declared.maximum:
            raise TooManyElements(name, declared.maximum).at(path)
        index = f"[{counts[name]}]" if declared.maximum > 1 else ""
        yield name, _check_element(child, declared, f"{path}/{name}{index}", namespace)
    for declared in declaration.children:
        if counts[declared.name] < declared.minimum:
            raise MissingElement(declared.name).at(path)


def _local_name(node: etree._Element, namespace: str) -> str:
    """Return the element's name, with its namespace where that is not the message's."""
    return str(node.tag).removeprefix(f"{{{namespace}}}")


def _optional(name: str, *children: Element, maximum: int = 1) -> Element:
    return Element(name, children, minimum=0, maximum=maximum)


def _required(name: str, *children: Element) -> Element:
    return Element(name, children)


def _amount(name: str, *, minimum: int = 1) -> Element:
    return Element(name, minimum=minimum, amount=True)


_LEI_OF_ORGANISATION: Final = _optional("Id", _required("OrgId", _required("LEI")))

_ADDRESS_PARTS: Final = (
    _optional("StrtNm"),
    _optional("BldgNb"),
    _optional("PstBx"),
    _optional("PstCd"),
    _required("TwnNm"),
    _optional("CtrySubDvsn"),
    _required("Ctry"),
)

_CUSTOMER: Final = (
    _required("Nm"),
    _required("PstlAdr", *_ADDRESS_PARTS),
    _LEI_OF_ORGANISATION,
)

_INITIATING_PARTY: Final = (
    _required("Nm"),
    _optional("PstlAdr", *_ADDRESS_PARTS),
    _LEI_OF_ORGANISATION,
)

_ACCOUNT_ID: Final = Element(
    "Id",
    (_optional("IBAN"), _optional("Othr", _required("Id"))),
    choice=True,
)

_AGENT: Final = (_required("FinInstnId", _required("BICFI"), _optional("LEI")),)

_REMITTANCE: Final = _optional("RmtInf", _required("Ustrd"))

_INITIATION: Final = _required(
    "CstmrCdtTrfInitn",
    _required(
        "GrpHdr",
        _required("MsgId"),
        _required("CreDtTm"),
        _required("NbOfTxs"),
        _optional("CtrlSum"),
        _required("InitgPty", *_INITIATING_PARTY),
    ),
    Element(
        "PmtInf",
        (
            _required("PmtInfId"),
            _required("PmtMtd"),
            _optional("NbOfTxs"),
            _optional("CtrlSum"),
            _required("ReqdExctnDt", _required("Dt")),
            _required("Dbtr", *_CUSTOMER),
            _required("DbtrAcct", _ACCOUNT_ID),
            _required("DbtrAgt", *_AGENT),
            _optional("ChrgBr"),
            Element(
                "CdtTrfTxInf",
                (
                    _required(
                        "PmtId",
                        _optional("InstrId"),
                        _required("EndToEndId"),
                        _optional("UETR"),
                    ),
                    _required("Amt", _amount("InstdAmt")),
                    _optional("ChrgBr"),
                    _required("CdtrAgt", *_AGENT),
                    _required("Cdtr", *_CUSTOMER),
                    _required("CdtrAcct", _ACCOUNT_ID),
                    _REMITTANCE,
                ),
                maximum=INSTRUCTIONS_MAX,
            ),
        ),
        maximum=INSTRUCTIONS_MAX,
    ),
)

_CREDIT_TRANSFER: Final = _required(
    "FIToFICstmrCdtTrf",
    _required(
        "GrpHdr",
        _required("MsgId"),
        _required("CreDtTm"),
        _required("NbOfTxs"),
        _required("SttlmInf", _required("SttlmMtd"), _required("ClrSys", _required("Prtry"))),
    ),
    _required(
        "CdtTrfTxInf",
        _required(
            "PmtId",
            _optional("InstrId"),
            _required("EndToEndId"),
            _required("TxId"),
            _required("UETR"),
        ),
        _amount("IntrBkSttlmAmt"),
        _required("IntrBkSttlmDt"),
        _amount("InstdAmt", minimum=0),
        _optional("XchgRate"),
        _required("ChrgBr"),
        _optional("ChrgsInf", _amount("Amt"), _required("Agt", *_AGENT), maximum=CHARGES_MAX),
        _required("InstgAgt", *_AGENT),
        _required("InstdAgt", *_AGENT),
        _required("Dbtr", *_CUSTOMER),
        _required("DbtrAcct", _ACCOUNT_ID),
        _required("DbtrAgt", *_AGENT),
        _required("CdtrAgt", *_AGENT),
        _required("Cdtr", *_CUSTOMER),
        _required("CdtrAcct", _ACCOUNT_ID),
        _REMITTANCE,
    ),
)

_STATUS_REPORT: Final = _required(
    "FIToFIPmtStsRpt",
    _required(
        "GrpHdr",
        _required("MsgId"),
        _required("CreDtTm"),
        _optional("InstgAgt", *_AGENT),
        _optional("InstdAgt", *_AGENT),
    ),
    _required(
        "TxInfAndSts",
        _required("OrgnlGrpInf", _required("OrgnlMsgId"), _required("OrgnlMsgNmId")),
        _optional("OrgnlInstrId"),
        _required("OrgnlEndToEndId"),
        _optional("OrgnlTxId"),
        _required("OrgnlUETR"),
        _required("TxSts"),
        _optional("StsRsnInf", _required("Rsn", _required("Cd")), _optional("AddtlInf")),
        _optional("FctvIntrBkSttlmDt", _required("Dt")),
    ),
)

STRUCTURES: Final = {
    MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION: _INITIATION,
    MessageName.CREDIT_TRANSFER: _CREDIT_TRANSFER,
    MessageName.STATUS_REPORT: _STATUS_REPORT,
}
"""The accepted subset of each message that is read."""
