"""Checked leaves to typed values: dates, amounts, codes, counts and sums.

Every `read_*` takes a leaf whose place and count `structure` has checked, and gives its meaning
or raises a named `Rejected` that carries the element's path.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final, TypeVar

from bridge.errors import (
    InvalidAmount,
    InvalidCode,
    InvalidDate,
    InvalidText,
    Rejected,
    ZeroAmount,
)
from bridge.iso20022.structure import Checked
from bridge.money import Amount, parse_currency

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

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}

_Value = TypeVar("_Value")
_Code = TypeVar("_Code", bound=StrEnum)


def read(node: Checked, parse: Callable[[str], _Value]) -> _Value:
    """Return the element's text through a parser, whose refusal then names the element."""
    try:
        return parse(node.text)
    except Rejected as error:
        raise error.at(node.path) from None


def read_code(node: Checked, codes: type[_Code]) -> _Code:
    """Return one of a closed list of codes."""
    try:
        return codes(node.text)
    except ValueError:
        raise InvalidCode(node.text, ", ".join(codes)).at(node.path) from None


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


def read_count(node: Checked) -> int:
    """Return a number of payments or entries."""
    if _COUNT.fullmatch(node.text) is None:
        raise InvalidText(node.text, "a number is expected").at(node.path)
    return int(node.text)


def read_sum(node: Checked) -> int:
    """Return a control sum in units of the smallest decimal that one can have."""
    match = _SUM.fullmatch(node.text)
    if match is None:
        raise InvalidAmount(node.text, "plain digits with at most one decimal point").at(node.path)
    return int(match.group(1) + (match.group(2) or "").ljust(SUM_DECIMALS_MAX, "0"))


def format_sum(total: int) -> str | None:
    """Return a control sum as decimal text, or None where it has more digits than one may have."""
    digits = str(total).rjust(SUM_DECIMALS_MAX + 1, "0")
    whole, fraction = digits[:-SUM_DECIMALS_MAX], digits[-SUM_DECIMALS_MAX:].rstrip("0")
    text = f"{whole}.{fraction}" if fraction else whole
    return text if len(whole + fraction) <= SUM_DIGITS_MAX else None


def total_of(amounts: Iterable[Amount]) -> int:
    """Return the sum of the numbers, whatever their currencies, in the units of `read_sum`."""
    return sum(
        amount.minor_units * 10 ** (SUM_DECIMALS_MAX - amount.currency.minor_units)
        for amount in amounts
    )


def read_flag(node: Checked) -> bool:
    """Return a truth value in either of the two forms that XML Schema gives one."""
    if node.text not in _FLAGS:
        raise InvalidCode(node.text, ", ".join(_FLAGS)).at(node.path)
    return _FLAGS[node.text]
