"""The kinds of element that messages share: leaves, and the values that stand in many messages.

Which characters a text may hold depends on its class: references take the FIN-X set, names,
addresses and free text the extended one (`identifiers`). Nothing is transliterated.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final

from bridge.iso20022.elements import (
    format_sum,
    read,
    read_amount,
    read_code,
    read_count,
    read_date,
    read_flag,
    read_moment,
    read_payable_amount,
    read_sum,
)
from bridge.iso20022.identifiers import (
    ACCOUNT_CHARACTERS_MAX,
    ADDRESS_NUMBER_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    REMITTANCE_CHARACTERS_MAX,
    STREET_CHARACTERS_MAX,
    TOWN_CHARACTERS_MAX,
    parse_bic,
    parse_country,
    parse_iban,
    parse_lei,
    parse_number,
    parse_reference,
    parse_text,
    parse_uetr,
)
from bridge.iso20022.layout import Kind, Part, derived, many, needed, optional, record, within
from bridge.iso20022.messages import AccountIdentification, Agent, Charge, Party, PostalAddress
from bridge.iso20022.writing import Node
from bridge.money import Amount, Currency, Rate, parse_currency

ADDRESS_LINES_MAX: Final = 2
"""Unstructured lines of an address at most: structured parts should say the rest."""

CHARGES_MAX: Final = 8
"""Charges one payment may list."""


def leaf(parse: Callable[[str], object], form: Callable[[Any], str] = str) -> Kind:
    """Return the kind of a leaf with a parser, and its text (Any: what the parser returns)."""
    return Kind(lambda node: read(node, parse), lambda name, value: Node(name, text=form(value)))


def text(characters_max: int) -> Kind:
    """Return the kind of free text of at most so many characters."""
    return leaf(lambda given: parse_text(given, characters_max))


def number(digits_max: int, *, lowest: int = 0) -> Kind:
    """Return the kind of a whole number of at most so many digits."""
    return leaf(lambda given: parse_number(given, digits_max, lowest))


def code(codes: type[StrEnum]) -> Kind:
    """Return the kind of a code of a closed list."""
    return Kind(lambda node: read_code(node, codes), lambda name, value: Node(name, text=value))


def _write_day(name: str, value: date) -> Node:
    return Node(name, text=value.isoformat())


def _write_moment(name: str, value: datetime) -> Node:
    return Node(name, text=value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z")


def _write_amount(name: str, value: Amount) -> Node:
    return Node(name, text=value.format(), currency=value.currency.code)


REFERENCE: Final = leaf(parse_reference)
UETR: Final = leaf(parse_uetr)
RATE: Final = leaf(Rate.parse, Rate.format)
CURRENCY: Final = leaf(parse_currency, Currency.__str__)
DAY: Final = Kind(read_date, _write_day)
MOMENT: Final = Kind(read_moment, _write_moment)
FLAG: Final = Kind(read_flag, lambda name, value: Node(name, text=str(value).lower()))
COUNT: Final = Kind(read_count, lambda name, value: Node(name, text=str(value)))
SUM: Final = Kind(read_sum, lambda name, value: Node(name, text=format_sum(value)))
AMOUNT: Final = Kind(read_amount, _write_amount, amount=True)
"""An amount, zero included."""
PAYABLE: Final = Kind(read_payable_amount, _write_amount, amount=True)
"""An amount that moves something."""

_TEXT: Final = Kind(lambda node: node.text, lambda name, value: Node(name, text=value))


def constant(name: str, content: str) -> Part:
    """Return an element in which one text alone is accepted."""
    return derived(name, _TEXT, lambda _: content)


ADDRESS: Final = record(
    PostalAddress,
    optional("StrtNm", "street", text(STREET_CHARACTERS_MAX)),
    optional("BldgNb", "building_number", text(ADDRESS_NUMBER_CHARACTERS_MAX)),
    optional("PstBx", "post_box", text(ADDRESS_NUMBER_CHARACTERS_MAX)),
    optional("PstCd", "post_code", text(ADDRESS_NUMBER_CHARACTERS_MAX)),
    needed("TwnNm", "town", text(TOWN_CHARACTERS_MAX)),
    optional("CtrySubDvsn", "country_subdivision", text(TOWN_CHARACTERS_MAX)),
    needed("Ctry", "country", leaf(parse_country)),
    many("AdrLine", "lines", text(STREET_CHARACTERS_MAX), ADDRESS_LINES_MAX),
)

_NAME: Final = needed("Nm", "name", text(NAME_CHARACTERS_MAX))
_LEI: Final = within("Id", within("OrgId", needed("LEI", "lei", leaf(parse_lei))), minimum=0)

CUSTOMER: Final = record(Party, _NAME, needed("PstlAdr", "address", ADDRESS), _LEI)
"""A debtor or creditor: name and address always."""

PARTY: Final = record(Party, _NAME, optional("PstlAdr", "address", ADDRESS), _LEI)
"""Another party: the address may be missing."""

ACCOUNT: Final = record(
    AccountIdentification,
    within(
        "Id",
        optional("IBAN", "iban", leaf(parse_iban)),
        within(
            "Othr",
            needed(
                "Id", "other", leaf(lambda given: parse_reference(given, ACCOUNT_CHARACTERS_MAX))
            ),
            minimum=0,
        ),
        choice=True,
    ),
)

AGENT: Final = record(
    Agent,
    within(
        "FinInstnId",
        needed("BICFI", "bic", leaf(parse_bic)),
        optional("LEI", "lei", leaf(parse_lei)),
    ),
)

CHARGE: Final = record(Charge, needed("Amt", "amount", AMOUNT), needed("Agt", "agent", AGENT))
"""What one agent took; a charge of zero says that it took nothing."""

MESSAGE_ID: Final = needed("MsgId", "message_id", REFERENCE)
CREATED_AT: Final = needed("CreDtTm", "created_at", MOMENT)
REMITTANCE: Final = within(
    "RmtInf",
    needed("Ustrd", "remittance_information", text(REMITTANCE_CHARACTERS_MAX)),
    minimum=0,
)
CHARGES: Final = many("ChrgsInf", "charges", CHARGE, CHARGES_MAX)
