"""The accepted subset of each message: declared once, enforced here.

A declaration is a tree of `Element`s in the order of the schema. `check_structure` walks an XML
tree beside it and refuses everything that is not declared: another namespace, an unknown element
or attribute, a wrong order, too few or too many, text where none may stand, empty leaves. What
remains is a tree of `Checked` nodes that know their path; what their texts mean is the work of
`elements` and `kinds`.

Declarations come from the layouts and are a subset of the ISO schemas, so a message that passes is
valid there too, as far as its structure goes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
    position_by_name: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """Where each child stands in the order of the schema."""
    minimum_by_name: Sequence[tuple[str, int]] = field(init=False, repr=False, compare=False)
    """How often each child that must stand has to."""

    def __post_init__(self) -> None:
        """Number the children once: every message that is read asks for them."""
        positions = {child.name: position for position, child in enumerate(self.children)}
        needed = tuple((child.name, child.minimum) for child in self.children if child.minimum)
        object.__setattr__(self, "position_by_name", positions)
        object.__setattr__(self, "minimum_by_name", needed)


class Checked(NamedTuple):
    """An element that fits its declaration; its children by name, each name's in their order."""

    path: str
    text: str
    currency: str
    children: Mapping[str, Sequence["Checked"]]

    def all(self, name: str) -> Sequence["Checked"]:
        """Return every child of a name, in order."""
        return self.children.get(name, ())

    def maybe(self, name: str) -> "Checked | None":
        """Return the child of a name, or None where it is absent."""
        held = self.children.get(name)
        return held[0] if held else None

    def one(self, *names: str) -> "Checked":
        """Return the descendant along the names, which the declaration makes mandatory."""
        node = self
        for name in names:
            child = node.maybe(name)
            if child is None:
                raise MissingElement(name).at(node.path)
            node = child
        return node


def check_document(root: etree._Element, name: MessageName, document: Element) -> Checked:
    """Return the message inside a document that is of this name, as its declaration has it."""
    (body,) = document.children
    return check_element(root, document, name.namespace).one(body.name)


def check_element(
    root: etree._Element, declaration: Element, namespace: str, parent: str = ""
) -> Checked:
    """Return an element that fits its declaration; `parent` is the path of what it stands in."""
    return _check_element(root, declaration, f"{parent}/{declaration.name}", f"{{{namespace}}}")


def _check_element(node: etree._Element, declaration: Element, path: str, prefix: str) -> Checked:
    attributes = node.items()
    currency = ""
    if attributes or declaration.amount:
        currency = _check_attributes(attributes, declaration, path)
    inside, text = list(node), node.text
    if not declaration.children:
        for child in inside:
            raise UnknownElement(_local_name(child, prefix)).at(path)
        if not text:
            raise InvalidText("", "it is empty").at(path)
        return Checked(path, text, currency, _NONE)
    for between in [text, *[child.tail for child in inside]]:
        if between and between.strip(" \t\r\n"):
            raise InvalidText(between.strip(), "only elements may stand here").at(path)
    children = _check_children(inside, declaration, path, prefix)
    if declaration.choice and len(inside) != 1:
        names = ", ".join(child.name for child in declaration.children)
        raise ConflictingElements(f"exactly one of {names} must stand here").at(path)
    return Checked(path, "", currency, children)


def _check_attributes(
    attributes: Iterable[tuple[str, str]], declaration: Element, path: str
) -> str:
    currency = ""
    for name, value in attributes:
        if declaration.amount and name == "Ccy":
            currency = value
        elif declaration.name != "Document" or name != SCHEMA_LOCATION:
            raise UnknownElement(f"attribute {name!s}").at(path)
    if declaration.amount and not currency:
        raise MissingElement("attribute Ccy").at(path)
    return currency


def _check_children(
    inside: Sequence[etree._Element], declaration: Element, path: str, prefix: str
) -> Mapping[str, Sequence[Checked]]:
    """Walk children and declarations side by side: order and counts on the way, gaps at the end."""
    held: dict[str, list[Checked]] = {}
    declarations, positions = declaration.children, declaration.position_by_name
    reached = 0
    for child in inside:
        name = _local_name(child, prefix)
        position = positions.get(name)
        if position is None:
            raise UnknownElement(name).at(path)
        if position < reached:
            raise MisplacedElement(name, declarations[reached].name).at(path)
        reached = position
        declared, earlier = declarations[position], held.get(name)
        if earlier is None:
            earlier = held[name] = []
        elif len(earlier) >= declared.maximum:
            raise TooManyElements(name, declared.maximum).at(path)
        index = f"[{len(earlier) + 1}]" if declared.maximum > 1 else ""
        earlier.append(_check_element(child, declared, f"{path}/{name}{index}", prefix))
    for name, least in declaration.minimum_by_name:
        if len(held.get(name, ())) < least:
            raise MissingElement(name).at(path)
    return held


_NONE: Final[Mapping[str, Sequence[Checked]]] = {}


def _local_name(node: etree._Element, prefix: str) -> str:
    """Return the element's name, with its namespace where that is not the message's."""
    return str(node.tag).removeprefix(prefix)
