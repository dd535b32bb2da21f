"""The layout of a message: declared once, and from it its structure, its reading and its writing.

A `Part` says which element holds which field of a frozen value. A part with a `Kind` is an element
of its own meaning: a leaf such as a date, or a `record` that builds another value from its parts.
A part without one is a mere group, whose parts belong to the value around it. A derived part holds
what follows from the rest, such as a number of payments: it is written from the value, and refused
where a sender states something else.

    declare     parts to the `Element`s that `structure` enforces
    Kind.read   checked elements to a value
    Kind.write  a value to nodes

Because the three come from one declaration, what is written can be read, and nothing is read that
is not declared.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lxml import etree

from bridge.errors import InvalidCode, Rejected
from bridge.iso20022.codes import MessageName
from bridge.iso20022.structure import Checked, Element, check_document
from bridge.iso20022.writing import Node

_Message = TypeVar("_Message")

Check = Callable[[Checked, Any], None]
"""A rule on a whole value: raises a `Rejected`, which then names the element, or passes.

Any: fields hold values of many types, and a declaration binds them by name.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of element becomes a value and back.

    Any: the type of the value is that of the field it is bound to.
    """

    read: Callable[[Checked], Any]
    write: Callable[[str, Any], Node]
    children: tuple[Element, ...] = ()
    amount: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One element of a layout and the field of the surrounding value that it holds."""

    name: str
    kind: Kind | None = None
    field: str = ""
    parts: tuple["Part", ...] = ()
    minimum: int = 1
    maximum: int = 1
    choice: bool = False
    many: bool = False
    absent: object = None
    derive: Callable[[Any], Any] | None = None
    fault: Callable[[Any, Any], Rejected] = lambda stated, due: InvalidCode(str(stated), str(due))

    @property
    def is_embedded(self) -> bool:
        """Return whether the value stands in the surrounding element, without one of its own."""
        return self.name == ""


@dataclass(frozen=True, slots=True)
class Layout(Generic[_Message]):
    """One message: its name, the class of its value and the element inside `Document`."""

    name: MessageName
    built: type[_Message]
    body: str
    kind: Kind
    structure: Element = field(init=False, repr=False)
    """The accepted subset of the message."""
    document: Element = field(init=False, repr=False)
    """The same, with the `Document` around it."""

    def __post_init__(self) -> None:
        """Declare the structure once, for every message that is read."""
        structure = Element(self.body, self.kind.children)
        object.__setattr__(self, "structure", structure)
        object.__setattr__(self, "document", Element("Document", (structure,)))

    def parse(self, root: etree._Element) -> _Message:
        """Return the message in a `Document` that is of this name."""
        message: _Message = self.kind.read(check_document(root, self.name, self.document))
        return message


def needed(name: str, field: str, kind: Kind) -> Part:
    """Return an element that must stand."""
    return Part(name, kind, field)


def optional(name: str, field: str, kind: Kind, *, absent: object = None) -> Part:
    """Return an element that may be missing; the field then holds `absent`."""
    return Part(name, kind, field, minimum=0, absent=absent)


def many(name: str, field: str, kind: Kind, maximum: int, *, minimum: int = 0) -> Part:
    """Return an element that may be repeated; the field holds a tuple."""
    return Part(name, kind, field, minimum=minimum, maximum=maximum, many=True, absent=())


def within(name: str, *parts: Part, minimum: int = 1, choice: bool = False) -> Part:
    """Return a group whose parts belong to the value around it; a choice has exactly one."""
    return Part(name, parts=parts, minimum=minimum, choice=choice)


def embedded(field: str, kind: Kind) -> Part:
    """Return a value of its own whose parts stand in the surrounding element, without one."""
    return Part("", kind, field)


def derived(
    name: str,
    kind: Kind,
    derive: Callable[[Any], Any],
    fault: Callable[[Any, Any], Rejected] | None = None,
    *,
    minimum: int = 1,
) -> Part:
    """Return an element that holds what follows from the value; another content is refused."""
    part = Part(name, kind, minimum=minimum, derive=derive)
    return part if fault is None else Part(name, kind, minimum=minimum, derive=derive, fault=fault)


def record(built: Callable[..., Any], *parts: Part, checks: tuple[Check, ...] = ()) -> Kind:
    """Return the kind of an element that is a value of its own, built from its parts."""
    derived_parts = tuple(part for part in parts if _derives(part))

    def read(node: Checked) -> Any:
        fields: dict[str, object] = {}
        _read(node, parts, fields)
        value = built(**fields)
        for check in checks:
            try:
                check(node, value)
            except Rejected as error:
                raise error.at(node.path) from None
        if derived_parts:
            _check_derived(node, derived_parts, value)
        return value

    def write(name: str, value: Any) -> Node:
        return Node(name, tuple(_write(parts, value)))

    return Kind(read, write, tuple(child for part in parts for child in _declare(part)))


def converted(kind: Kind, read: Callable[[Any], Any], write: Callable[[Any], Any]) -> Kind:
    """Return a kind whose values are turned into others after reading and before writing."""
    return Kind(
        lambda node: read(kind.read(node)),
        lambda name, value: kind.write(name, write(value)),
        kind.children,
        kind.amount,
    )


def _declare(part: Part) -> Iterator[Element]:
    kind = part.kind
    if kind is None:
        children = tuple(child for each in part.parts for child in _declare(each))
        yield Element(part.name, children, part.minimum, part.maximum, part.choice)
    elif part.is_embedded:
        yield from kind.children
    else:
        counts = (part.minimum, part.maximum)
        yield Element(part.name, kind.children, *counts, amount=kind.amount)


def _read(node: Checked | None, parts: tuple[Part, ...], fields: dict[str, object]) -> None:
    """Fill in each field that the parts of an element hold; without the element they are absent."""
    for part in parts:
        if part.derive is not None:
            continue
        kind, children = part.kind, _elements_of(node, part)
        if kind is None:
            _read(children[0] if children else None, part.parts, fields)
        elif part.many:
            fields[part.field] = tuple(map(kind.read, children))
        else:
            fields[part.field] = kind.read(children[0]) if children else part.absent


def _elements_of(node: Checked | None, part: Part) -> Sequence[Checked]:
    if node is None:
        return ()
    return (node,) if part.is_embedded else node.all(part.name)


def _derives(part: Part) -> bool:
    """Whether this, or something in it, follows from the value around it."""
    return part.derive is not None or any(map(_derives, part.parts))


def _check_derived(node: Checked, parts: tuple[Part, ...], value: object) -> None:
    for part in parts:
        for child in node.all(part.name):
            if part.kind is None:
                _check_derived(child, part.parts, value)
            elif part.derive is not None:
                stated, due = part.kind.read(child), part.derive(value)
                if stated != due:
                    raise part.fault(stated, due).at(child.path)


def _write(parts: tuple[Part, ...], value: object) -> list[Node]:
    """The elements of a value that have content: absent values leave none behind."""
    nodes: list[Node] = []
    for part in parts:
        if part.kind is None:
            nodes.append(Node(part.name, tuple(_write(part.parts, value))))
        elif part.derive is not None:
            nodes.append(part.kind.write(part.name, part.derive(value)))
        else:
            nodes += _write_field(part, part.kind, getattr(value, part.field))
    return [node for node in nodes if node.is_present]


def _write_field(part: Part, kind: Kind, held: Any) -> Sequence[Node]:
    """The elements of one field (Any: a tuple where the part is repeated)."""
    if part.many:
        return [kind.write(part.name, each) for each in held]
    if part.is_embedded:
        return kind.write(part.name, held).children
    return () if held == part.absent else (kind.write(part.name, held),)
