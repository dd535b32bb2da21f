"""Identifiers and text of messages: read strictly, in their electronic form.

Each `parse_*` returns the text as its own type or raises a named `Rejected`. Nothing is repaired:
no spaces are dropped, no case is changed, so that what is stored is what was sent.

Sources: ISO 13616 (IBAN), ISO 9362 (BIC), ISO 17442 and ISO 7064 MOD 97-10 (LEI), ISO 3166, RFC
9562 version 4 (UETR), the SWIFT character set X (FIN-X) for references, and for other text the
extension that CBPR+ makes of it.
"""

import re
from functools import lru_cache
from typing import Final, NewType
from uuid import UUID

import schwifty
from schwifty.exceptions import SchwiftyException

from bridge.errors import (
    InvalidBic,
    InvalidCountry,
    InvalidIban,
    InvalidLei,
    InvalidText,
    InvalidUetr,
)

Iban = NewType("Iban", str)
Bic = NewType("Bic", str)
Lei = NewType("Lei", str)
Uetr = NewType("Uetr", str)
Country = NewType("Country", str)

REFERENCE_CHARACTERS_MAX: Final = 35
"""Length of message, instruction, end-to-end and transaction references (Max35Text)."""

ACCOUNT_CHARACTERS_MAX: Final = 34
"""Length of an account number that is not an IBAN (Max34Text)."""

NAME_CHARACTERS_MAX: Final = 140
"""Length of a party's name (Max140Text)."""

REMITTANCE_CHARACTERS_MAX: Final = 140
"""Length of remittance information (Max140Text)."""

STREET_CHARACTERS_MAX: Final = 70
"""Length of a street name (Max70Text)."""

TOWN_CHARACTERS_MAX: Final = 35
"""Length of the name of a town or a part of a country (Max35Text)."""

ADDRESS_NUMBER_CHARACTERS_MAX: Final = 16
"""Length of a building number, post box or post code (Max16Text)."""

REASON_CHARACTERS_MAX: Final = 105
"""Length of the words that accompany a status reason (Max105Text)."""

ADDITIONAL_CHARACTERS_MAX: Final = 500
"""Length of what an account servicer adds to an entry (Max500Text)."""

PAGE_DIGITS_MAX: Final = 5
"""Digits of a page number (Max5NumericText)."""

SEQUENCE_DIGITS_MAX: Final = 18
"""Digits of a sequence number (the schema's Number)."""

UETR_BYTES: Final = 16
"""Bytes from which `shape_uetr` makes a UETR."""

_REMEMBERED: Final = 4_096
"""How many right ones of a kind are remembered: a payment's messages name the same ones many times."""

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}")
_BIC = re.compile(r"[A-Z0-9]{4}([A-Z]{2})[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
_UETR = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_REFERENCE = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]+")
_EXTENDED = re.compile(r"[ -~]+")
_NUMBER = re.compile(r"[0-9]+")


@lru_cache(maxsize=_REMEMBERED)
def parse_iban(text: str) -> Iban:
    """Return an IBAN whose country, length, structure and check digits are right."""
    if _IBAN.fullmatch(text) is None:
        raise InvalidIban(text, "capital letters and digits without spaces are expected")
    try:
        schwifty.IBAN(text)
    except SchwiftyException as error:
        raise InvalidIban(text, str(error)) from error
    return Iban(text)


@lru_cache(maxsize=_REMEMBERED)
def parse_bic(text: str) -> Bic:
    """Return a BIC of 8 or 11 characters with a real country; whether it exists is not asked."""
    match = _BIC.fullmatch(text)
    if match is None or match.group(1) not in COUNTRIES:
        raise InvalidBic(text)
    return Bic(text)


@lru_cache(maxsize=_REMEMBERED)
def parse_lei(text: str) -> Lei:
    """Return an LEI with right check digits."""
    if _LEI.fullmatch(text) is None:
        raise InvalidLei(text, "18 capital letters or digits and 2 digits are expected")
    if int("".join(str(int(character, 36)) for character in text)) % 97 != 1:
        raise InvalidLei(text, "the check digits are wrong")
    return Lei(text)


def parse_uetr(text: str) -> Uetr:
    """Return a UETR: a version 4 UUID in lower case."""
    if _UETR.fullmatch(text) is None:
        raise InvalidUetr(text)
    return Uetr(text)


def shape_uetr(octets: bytes) -> Uetr:
    """Return sixteen random or derived bytes in the shape of a UETR."""
    return Uetr(str(UUID(bytes=octets[:UETR_BYTES], version=4)))


def parse_country(text: str) -> Country:
    """Return an ISO 3166 two-letter country code."""
    if text not in COUNTRIES:
        raise InvalidCountry(text)
    return Country(text)


def parse_reference(text: str, characters_max: int = REFERENCE_CHARACTERS_MAX) -> str:
    """Return a reference: characters of set X, no slash at either end and no two in a row."""
    _check_length(text, characters_max)
    if _REFERENCE.fullmatch(text) is None:
        raise InvalidText(text, "letters, digits, spaces and / - ? : ( ) . , ' + are allowed")
    if text.startswith("/") or text.endswith("/") or "//" in text:
        raise InvalidText(text, "no slash at either end and no two in a row are allowed")
    return text


def parse_text(text: str, characters_max: int) -> str:
    """Return free text in the FIN-X set as CBPR+ extends it: the printable characters of ASCII.

    Letters with accents are refused, not rewritten: whoever holds the name decides how it is
    written in this set.
    """
    _check_length(text, characters_max)
    if _EXTENDED.fullmatch(text) is None:
        raise InvalidText(text, "unaccented letters, digits and punctuation (ASCII) are allowed")
    return text


def parse_number(text: str, digits_max: int, lowest: int = 0) -> int:
    """Return a whole number of at most so many digits."""
    if _NUMBER.fullmatch(text) is None or len(text) > digits_max or int(text) < lowest:
        rule = f"a number from {lowest}, of at most {digits_max} digits, is expected"
        raise InvalidText(text, rule)
    return int(text)


def _check_length(text: str, characters_max: int) -> None:
    if not text:
        raise InvalidText(text, "it is empty")
    if len(text) > characters_max:
        raise InvalidText(text, f"at most {characters_max} characters are allowed")
    if text != text.strip(" "):
        raise InvalidText(text, "no space may stand at either end")


# ISO 3166-1, and XK, which ISO 9362 and ISO 13616 use for Kosovo.
_COUNTRY_CODES: Final = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA
ZM ZW
"""

COUNTRIES: Final = frozenset(_COUNTRY_CODES.split())
"""Every two-letter country code that may stand in an address or a BIC."""
