"""What a file is, said in a few lines: for people who wonder whether a message would be taken."""

from collections.abc import Iterator
from typing import get_args

from bridge.iso20022.catalogue import Message, name_of, read_message
from bridge.iso20022.codes import MessageName
from bridge.iso20022.commitment import InterbankMessage, canonical_content
from bridge.iso20022.document import read_document
from bridge.iso20022.envelope import BusinessHeader, BusinessParty, is_envelope, read_envelope


def describe_message(data: bytes) -> tuple[str, ...]:
    """Return lines on the message in the bytes, by itself or in an envelope.

    The first names it, the next is the canonical content that a commitment binds, for a message
    between banks, and the last its header if it has one. Raises the `Rejected` that refuses it.
    """
    root = read_document(data)
    if not is_envelope(root):
        return tuple(_describe(read_message(root)))
    enveloped = read_envelope(root)
    return (*_describe(enveloped.message), _describe_header(enveloped.header))


def _describe(message: Message) -> Iterator[str]:
    name = name_of(message)
    yield f"message {name} {_words(name)}, id {message.message_id}"
    if isinstance(message, get_args(InterbankMessage)):
        yield f"content {canonical_content(message).decode()}"


def _words(name: MessageName) -> str:
    return name.name.lower().replace("_", " ")


def _describe_header(header: BusinessHeader) -> str:
    text = f"header from {_party(header.sender)} to {_party(header.receiver)}"
    text += f", id {header.business_message_id}"
    if header.copy is not None:
        text += f", {header.copy.value}"
    return f"{text}, possible duplicate" if header.is_possible_duplicate else text


def _party(party: BusinessParty) -> str:
    return " ".join(each for each in (party.bic, party.lei) if each is not None)
