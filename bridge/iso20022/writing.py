"""A tree of nodes to UTF-8 XML.

A node without text and children leaves no element behind, so that absent values need no special
care. Attributes and namespaces are written by the XML library: no text can become markup.
"""

from typing import NamedTuple

from lxml import etree

from bridge.errors import UnsendableMessage
from bridge.iso20022.codes import MessageName


class Node(NamedTuple):
    """An element to be written: text or children, and the currency of an amount."""

    name: str
    children: tuple["Node", ...] = ()
    text: str | None = None
    currency: str | None = None

    @property
    def is_present(self) -> bool:
        """Return whether the node has content: absent values leave no element behind."""
        return bool(self.children) or self.text is not None


def write_element(root: Node, namespace: str, message: str) -> etree._Element:
    """Return a node and what is in it as XML; a text XML cannot hold is an `UnsendableMessage`."""
    element = etree.Element(f"{{{namespace}}}{root.name}", nsmap={None: namespace})
    try:
        _fill(element, root, namespace)
    except ValueError as error:
        raise UnsendableMessage(message, str(error)) from error
    return element


def write_document(name: MessageName, body: Node) -> etree._Element:
    """Return the `Document` element around a message."""
    return write_element(Node("Document", (body,)), name.namespace, name)


def serialise(root: etree._Element) -> bytes:
    """Return an element as a file of its own: UTF-8 with an XML declaration, indented."""
    data: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return data


def _fill(element: etree._Element, node: Node, namespace: str) -> None:
    if node.currency is not None:
        element.set("Ccy", node.currency)
    element.text = node.text
    for child in node.children:
        _fill(etree.SubElement(element, f"{{{namespace}}}{child.name}"), child, namespace)
