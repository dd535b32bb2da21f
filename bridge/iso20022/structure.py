"""The accepted subset of each message: declared once, enforced here.

A declaration is a tree of `Element`s in the order of the schema. `check_structure` walks an XML
tree beside it and refuses everything that is not declared: another namespace, an unknown element
or attribute, a wrong order, too few or too many, text where none may stand, empty leaves. What
remains is a tree of `Checked` nodes that know their path; what their texts mean is the work of
`elements` and `kinds`.

Declarations come from the layouts and are a subset of the ISO schemas, so a message that passes is
valid there too, as far as its structure goes.
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
)
from bridge.iso20022.codes import MessageName

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


def check_document(root: etree._Element, name: MessageName, body: Element) -> Checked:
    """Return the message inside a document that is of this name, as its declaration has it."""
    return check_element(root, Element("Document", (body,)), name.namespace).one(body.name)


def check_element(
    root: etree._Element, declaration: Element, namespace: str, parent: str = ""
) -> Checked:
    """Return an element that fits its declaration; `parent` is the path of what it stands in."""
    return _check_element(root, declaration, f"{parent}/{declaration.name}", namespace)


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
