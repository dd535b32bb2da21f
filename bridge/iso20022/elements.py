"""Checked elements to typed values: the building blocks that several messages share.

Every `read_*` takes an element whose place and count `structure` has checked, and gives its
meaning or raises a named `Rejected` that carries the element's path.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final, TypeVar

from bridge.errors import (
    InvalidAmount,
    InvalidCode,
    InvalidDate,
    InvalidText,
    Rejected,
    WrongControlSum,
    WrongInstructionCount,
    ZeroAmount,
)
from bridge.iso20022.identifiers import (
    ACCOUNT_CHARACTERS_MAX,
    ADDRESS_NUMBER_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    REMITTANCE_CHARACTERS_MAX,
    STREET_CHARACTERS_MAX,
    TOWN_CHARACTERS_MAX,
    Lei,
    parse_bic,
    parse_country,
    parse_iban,
    parse_lei,
    parse_reference,
    parse_text,
)
from bridge.iso20022.messages import (
    AccountIdentification,
    Agent,
    Charge,
    Party,
    PostalAddress,
)
from bridge.iso20022.structure import Checked
from bridge.money import Amount, Rate, parse_currency

COUNT_DIGITS_MAX: Final = 15
"""Digits of a stated number of payments (Max15NumericText)."""

SUM_DIGITS_MAX: Final = 18
"""Digits of a stated control sum at most (the schema's DecimalNumber)."""

SUM_DECIMALS_MAX: Final = 17
"""Decimals of a stated control sum at most (the schema's DecimalNumber)."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})")
_COUNT = re.compile(rf"[0-9]{{1,{COUNT_DIGITS_MAX}}}")
_SUM = re.compile(rf"([0-9]{{1,{SUM_DIGITS_MAX}}})(?:\.([0-9]{{1,{SUM_DECIMALS_MAX}}}))?")

_Value = TypeVar("_Value")
_Code = TypeVar("_Code", bound=StrEnum)


def read(node: Checked, parse: Callable[[str], _Value]) -> _Value:
    """Return the element's text through a parser, whose refusal then names the element."""
    try:
        return parse(node.text)
    except Rejected as error:
        raise error.at(node.path) from None


def read_maybe(node: Checked | None, parse: Callable[[str], _Value]) -> _Value | None:
    """Return what `read` returns, or None where the element is absent."""
    return None if node is None else read(node, parse)


def read_reference(node: Checked) -> str:
    """Return a reference of at most 35 characters."""
    return read(node, parse_reference)


def read_reference_maybe(node: Checked | None) -> str | None:
    """Return a reference, or None where the element is absent."""
    return read_maybe(node, parse_reference)


def read_text(node: Checked, characters_max: int) -> str:
    """Return free text of at most so many characters."""
    return read(node, lambda text: parse_text(text, characters_max))


def read_text_maybe(node: Checked | None, characters_max: int) -> str | None:
    """Return free text, or None where the element is absent."""
    return None if node is None else read_text(node, characters_max)


def read_code(node: Checked, codes: type[_Code]) -> _Code:
    """Return one of a closed list of codes."""
    try:
        return codes(node.text)
    except ValueError:
        raise InvalidCode(node.text, ", ".join(codes)).at(node.path) from None


def check_constant(node: Checked, expected: str) -> None:
    """Refuse an element that does not hold the one text accepted in it."""
    if node.text != expected:
        raise InvalidCode(node.text, expected).at(node.path)


def read_date(node: Checked) -> date:
    """Return a calendar date."""
    try:
        if _DATE.fullmatch(node.text):
            return date.fromisoformat(node.text)
    except ValueError:
        pass  # Refused below, together with texts of another shape.
    raise InvalidDate(node.text, "a date (YYYY-MM-DD)").at(node.path)


def read_moment(node: Checked) -> datetime:
    """Return a date and time as UTC; without its offset a time is not known and is refused."""
    day, separator, time = node.text.partition("T")
    try:
        if separator and _DATE.fullmatch(day) and _TIME.fullmatch(time):
            return datetime.fromisoformat(node.text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # Refused below, together with texts of another shape.
    wanted = "a date and time with its offset from UTC (YYYY-MM-DDThh:mm:ssZ)"
    raise InvalidDate(node.text, wanted).at(node.path)


def read_amount(node: Checked) -> Amount:
    """Return an amount, zero included, in the currency of the element's attribute."""
    try:
        return Amount.parse(node.text, parse_currency(node.currency))
    except Rejected as error:
        raise error.at(node.path) from None


def read_payable_amount(node: Checked) -> Amount:
    """Return an amount that moves something."""
    amount = read_amount(node)
    if not amount:
        raise ZeroAmount(amount.currency.code).at(node.path)
    return amount


def read_rate(node: Checked) -> Rate:
    """Return an exchange rate."""
    return read(node, Rate.parse)


def read_party(node: Checked) -> Party:
    """Return a customer or other party."""
    address = node.maybe("PstlAdr")
    return Party(
        name=read_text(node.one("Nm"), NAME_CHARACTERS_MAX),
        address=None if address is None else _read_address(address),
        lei=_read_lei_of_organisation(node),
    )


def read_account(node: Checked) -> AccountIdentification:
    """Return an account by its IBAN or by another number."""
    choice = node.one("Id")
    iban = choice.maybe("IBAN")
    if iban is not None:
        return AccountIdentification(iban=read(iban, parse_iban))
    number = choice.one("Othr", "Id")
    return AccountIdentification(
        other=read(number, lambda text: parse_reference(text, ACCOUNT_CHARACTERS_MAX))
    )


def read_agent(node: Checked) -> Agent:
    """Return a bank."""
    institution = node.one("FinInstnId")
    return Agent(
        bic=read(institution.one("BICFI"), parse_bic),
        lei=read_maybe(institution.maybe("LEI"), parse_lei),
    )


def read_agent_maybe(node: Checked | None) -> Agent | None:
    """Return a bank, or None where the element is absent."""
    return None if node is None else read_agent(node)


def read_charge(node: Checked) -> Charge:
    """Return what one agent took; a charge of zero says that it took nothing."""
    return Charge(amount=read_amount(node.one("Amt")), agent=read_agent(node.one("Agt")))


def read_remittance(node: Checked) -> str | None:
    """Return the remittance information of a transfer, if it has any."""
    remittance = node.maybe("RmtInf")
    if remittance is None:
        return None
    return read_text(remittance.one("Ustrd"), REMITTANCE_CHARACTERS_MAX)


def check_count(node: Checked | None, counted: int) -> None:
    """Refuse a stated number of payments that is not the number present."""
    if node is None:
        return
    if _COUNT.fullmatch(node.text) is None:
        raise InvalidText(node.text, "a number of payments is expected").at(node.path)
    if int(node.text) != counted:
        raise WrongInstructionCount(node.text, counted).at(node.path)


def check_sum(node: Checked | None, amounts: tuple[Amount, ...]) -> None:
    """Refuse a control sum that is not the sum of the numbers, whatever their currencies."""
    if node is None:
        return
    match = _SUM.fullmatch(node.text)
    if match is None:
        raise InvalidAmount(node.text, "plain digits with at most one decimal point").at(node.path)
    stated = int(match.group(1) + (match.group(2) or "").ljust(SUM_DECIMALS_MAX, "0"))
    summed = sum(
        amount.minor_units * 10 ** (SUM_DECIMALS_MAX - amount.currency.minor_units)
        for amount in amounts
    )
    if stated != summed:
        raise WrongControlSum(node.text, control_sum(amounts)).at(node.path)


def control_sum(amounts: tuple[Amount, ...]) -> str:
    """Return the sum of the numbers as decimal text, whatever their currencies."""
    decimals = max((amount.currency.minor_units for amount in amounts), default=0)
    total = sum(
        amount.minor_units * 10 ** (decimals - amount.currency.minor_units) for amount in amounts
    )
    digits = str(total).rjust(decimals + 1, "0")
    return digits if decimals == 0 else f"{digits[:-decimals]}.{digits[-decimals:]}"


def _read_address(node: Checked) -> PostalAddress:
    return PostalAddress(
        street=read_text_maybe(node.maybe("StrtNm"), STREET_CHARACTERS_MAX),
        building_number=read_text_maybe(node.maybe("BldgNb"), ADDRESS_NUMBER_CHARACTERS_MAX),
        post_box=read_text_maybe(node.maybe("PstBx"), ADDRESS_NUMBER_CHARACTERS_MAX),
        post_code=read_text_maybe(node.maybe("PstCd"), ADDRESS_NUMBER_CHARACTERS_MAX),
        town=read_text(node.one("TwnNm"), TOWN_CHARACTERS_MAX),
        country_subdivision=read_text_maybe(node.maybe("CtrySubDvsn"), TOWN_CHARACTERS_MAX),
        country=read(node.one("Ctry"), parse_country),
    )


def _read_lei_of_organisation(node: Checked) -> Lei | None:
    identification = node.maybe("Id")
    if identification is None:
        return None
    return read(identification.one("OrgId", "LEI"), parse_lei)
