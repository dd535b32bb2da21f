"""Money as integers: currencies, amounts in minor units, exchange rates, explicit rounding.

Every amount inside the bridge is a whole number of the minor unit of one ISO 4217 currency. Text
such as `1000.00` exists only at the edge, in messages and the API, and is read strictly: a number
with too many decimals is refused, never rounded. A `Rate` is exact too, with the ten decimals that
ISO 20022 gives an exchange rate; whoever multiplies or divides by one says how to round.

Invariants: amounts of two currencies never meet in one sum or comparison; no amount is larger
than the eighteen digits a message can carry.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self, assert_never

from bridge.errors import (
    AmountOutOfRange,
    CurrenciesMixed,
    InvalidAmount,
    InvalidRate,
    TooManyDecimals,
    UnknownCurrency,
)

AMOUNT_MAX: Final = 10**18 - 1
"""Largest amount in minor units: the eighteen digits of an ISO 20022 amount."""

RATE_DECIMALS: Final = 10
"""Decimals of a rate, as in the ISO 20022 type BaseOneRate."""

RATE_DIGITS_MAX: Final = 11
"""Significant digits of a rate, as in the ISO 20022 type BaseOneRate."""

RATE_SIGNIFICANT_DIGITS: Final = 6
"""Significant digits to which calculated rates are rounded and all rates are shown."""

BASIS_POINTS: Final = 10_000
"""Basis points in a whole."""

_DECIMAL_TEXT = re.compile(r"(-?)(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,18}))?")


class Rounding(Enum):
    """What happens to the part of a result that is smaller than its unit."""

    FLOOR = "floor"
    CEIL = "ceil"
    HALF_EVEN = "half_even"


@dataclass(frozen=True, slots=True)
class Currency:
    """One ISO 4217 currency: its letters, its number and the decimals of its minor unit."""

    code: str
    numeric: int
    minor_units: int

    def __str__(self) -> str:
        """Return the three letters."""
        return self.code


@dataclass(frozen=True, slots=True)
class Amount:
    """A whole number of minor units of one currency; negative only as the result of a sum."""

    currency: Currency
    minor_units: int

    def __post_init__(self) -> None:
        """Refuse what no message could carry."""
        if abs(self.minor_units) > AMOUNT_MAX:
            raise AmountOutOfRange(self.minor_units, self.currency.code)

    @classmethod
    def zero(cls, currency: Currency) -> Self:
        """Return nothing of a currency."""
        return cls(currency, 0)

    @classmethod
    def parse(cls, text: str, currency: Currency, *, signed: bool = False) -> Self:
        """Read decimal text such as `1000.00`; a minus sign only where `signed`.

        Fewer decimals than the currency has are fine, more are refused even when they are zeros.
        """
        match = _DECIMAL_TEXT.fullmatch(text)
        if match is None:
            raise InvalidAmount(text, "plain digits with at most one decimal point are expected")
        sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
        if sign and not signed:
            raise InvalidAmount(text, "no sign may stand here")
        decimals = currency.minor_units
        if len(fraction) > decimals:
            raise TooManyDecimals(text, currency.code, decimals)
        magnitude = int(whole + fraction.ljust(decimals, "0"))
        return cls(currency, -magnitude if sign else magnitude)

    def format(self) -> str:
        """Return decimal text with exactly the decimals of the currency."""
        return _decimal_text(self.minor_units, self.currency.minor_units)

    def __str__(self) -> str:
        """Return the decimal text and the currency, for people."""
        return f"{self.format()} {self.currency.code}"

    def __add__(self, other: Self) -> Self:
        """Return the sum of two amounts of one currency."""
        self._check_same_currency(other)
        return type(self)(self.currency, self.minor_units + other.minor_units)

    def __sub__(self, other: Self) -> Self:
        """Return the difference of two amounts of one currency; it may be negative."""
        self._check_same_currency(other)
        return type(self)(self.currency, self.minor_units - other.minor_units)

    def __neg__(self) -> Self:
        """Return the same amount with the opposite sign."""
        return type(self)(self.currency, -self.minor_units)

    def __lt__(self, other: Self) -> bool:
        """Compare two amounts of one currency."""
        self._check_same_currency(other)
        return self.minor_units < other.minor_units

    def __le__(self, other: Self) -> bool:
        """Compare two amounts of one currency."""
        self._check_same_currency(other)
        return self.minor_units <= other.minor_units

    def __gt__(self, other: Self) -> bool:
        """Compare two amounts of one currency."""
        self._check_same_currency(other)
        return self.minor_units > other.minor_units

    def __ge__(self, other: Self) -> bool:
        """Compare two amounts of one currency."""
        self._check_same_currency(other)
        return self.minor_units >= other.minor_units

    def __bool__(self) -> bool:
        """Return whether there is anything at all."""
        return self.minor_units != 0

    def _check_same_currency(self, other: "Amount") -> None:
        if self.currency != other.currency:
            raise CurrenciesMixed(self.currency.code, other.currency.code)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many units of a target currency one unit of a source currency buys.

    `scaled` is the rate times ten to the power `RATE_DECIMALS`. The two currencies are not part
    of the value: `multiply` goes from source to target, `divide` from target to source.
    """

    scaled: int

    def __post_init__(self) -> None:
        """Refuse what the ISO 20022 rate type could not carry."""
        if self.scaled <= 0:
            raise InvalidRate(str(self.scaled), "a rate is above zero")
        if len(str(self.scaled).rstrip("0")) > RATE_DIGITS_MAX:
            raise InvalidRate(self.format(), f"more than {RATE_DIGITS_MAX} significant digits")
        if len(self.format().replace(".", "").lstrip("0")) > RATE_DIGITS_MAX:
            raise InvalidRate(self.format(), f"more than {RATE_DIGITS_MAX} digits")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read decimal text such as `1.45200`, exactly."""
        match = _DECIMAL_TEXT.fullmatch(text)
        if match is None or match.group(1):
            raise InvalidRate(text, "plain digits with at most one decimal point are expected")
        whole, fraction = match.group(2), match.group(3) or ""
        if len(fraction) > RATE_DECIMALS:
            raise InvalidRate(text, f"more than {RATE_DECIMALS} decimals")
        scaled = int(whole + fraction.ljust(RATE_DECIMALS, "0"))
        if scaled == 0:
            raise InvalidRate(text, "a rate is above zero")
        return cls(scaled)

    @classmethod
    def between(cls, *, source: Amount, target: Amount, rounding: Rounding) -> Self:
        """Return the rate at which `source` was exchanged for `target`, to six digits."""
        if source.minor_units <= 0 or target.minor_units <= 0:
            raise InvalidRate(f"{target} per {source}", "both amounts must be above zero")
        numerator = target.minor_units * 10 ** (source.currency.minor_units + RATE_DECIMALS)
        denominator = source.minor_units * 10**target.currency.minor_units
        return cls(_six_digits(numerator, denominator, rounding))

    def format(self) -> str:
        """Return decimal text of at least six significant digits, more where the rate has them.

        A rate so small that six digits need more than ten decimals is shown with ten.
        """
        text = _decimal_text(self.scaled, RATE_DECIMALS)
        digits = len(str(self.scaled))
        decimals_wanted = min(
            RATE_DECIMALS, max(0, RATE_DECIMALS + RATE_SIGNIFICANT_DIGITS - digits)
        )
        whole, fraction = text.split(".")
        shown = fraction.rstrip("0").ljust(decimals_wanted, "0")
        return f"{whole}.{shown}" if shown else whole

    def __str__(self) -> str:
        """Return the decimal text."""
        return self.format()

    def multiply(self, amount: Amount, into: Currency, rounding: Rounding) -> Amount:
        """Return what `amount` of the source currency buys of the target currency `into`."""
        numerator = amount.minor_units * self.scaled * 10**into.minor_units
        denominator = 10 ** (amount.currency.minor_units + RATE_DECIMALS)
        return Amount(into, _quotient(numerator, denominator, rounding))

    def divide(self, amount: Amount, into: Currency, rounding: Rounding) -> Amount:
        """Return what `amount` of the target currency costs in the source currency `into`."""
        numerator = amount.minor_units * 10 ** (into.minor_units + RATE_DECIMALS)
        denominator = self.scaled * 10**amount.currency.minor_units
        return Amount(into, _quotient(numerator, denominator, rounding))

    def with_margin(self, basis_points: int, rounding: Rounding) -> "Rate":
        """Return the rate lowered by a margin, to six significant digits.

        Lower means that one unit of the source currency buys less: the margin of whoever sells
        the target currency.
        """
        if not 0 <= basis_points < BASIS_POINTS:
            raise InvalidRate(str(basis_points), "a margin is between 0 and 9999 basis points")
        numerator = self.scaled * (BASIS_POINTS - basis_points)
        return Rate(_six_digits(numerator, BASIS_POINTS, rounding))


def parse_currency(text: str) -> Currency:
    """Return the active ISO 4217 currency with these three letters."""
    currency = CURRENCY_BY_CODE.get(text)
    if currency is None:
        raise UnknownCurrency(text)
    return currency


def _quotient(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Divide by a positive number, rounding as told."""
    whole, rest = divmod(numerator, denominator)
    match rounding:
        case Rounding.FLOOR:
            return whole
        case Rounding.CEIL:
            return whole + (rest > 0)
        case Rounding.HALF_EVEN:
            twice = 2 * rest
            return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))
        case _:
            assert_never(rounding)


def _six_digits(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Divide and round once, to six significant digits or to the unit if that is coarser."""
    surplus = len(str(numerator // denominator)) - RATE_SIGNIFICANT_DIGITS
    step: int = 10 ** max(0, surplus)
    return _quotient(numerator, denominator * step, rounding) * step


def _decimal_text(units: int, decimals: int) -> str:
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(decimals + 1, "0")
    if decimals == 0:
        return sign + digits
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


# The active national currencies of ISO 4217 (no funds, metals or testing codes), by decimals.
_CODES_BY_MINOR_UNITS: Final = {
    0: """
BIF:108 CLP:152 DJF:262 GNF:324 ISK:352 JPY:392 KMF:174 KRW:410 PYG:600 RWF:646 UGX:800
VND:704 VUV:548 XAF:950 XOF:952 XPF:953
""",
    2: """
AED:784 AFN:971 ALL:008 AMD:051 AOA:973 ARS:032 AUD:036 AWG:533 AZN:944 BAM:977 BBD:052
BDT:050 BMD:060 BND:096 BOB:068 BRL:986 BSD:044 BTN:064 BWP:072 BYN:933 BZD:084 CAD:124
CDF:976 CHF:756 CNY:156 COP:170 CRC:188 CUP:192 CVE:132 CZK:203 DKK:208 DOP:214 DZD:012
EGP:818 ERN:232 ETB:230 EUR:978 FJD:242 FKP:238 GBP:826 GEL:981 GHS:936 GIP:292 GMD:270
GTQ:320 GYD:328 HKD:344 HNL:340 HTG:332 HUF:348 IDR:360 ILS:376 INR:356 IRR:364 JMD:388
KES:404 KGS:417 KHR:116 KPW:408 KYD:136 KZT:398 LAK:418 LBP:422 LKR:144 LRD:430 LSL:426
MAD:504 MDL:498 MGA:969 MKD:807 MMK:104 MNT:496 MOP:446 MRU:929 MUR:480 MVR:462 MWK:454
MXN:484 MYR:458 MZN:943 NAD:516 NGN:566 NIO:558 NOK:578 NPR:524 NZD:554 PAB:590 PEN:604
PGK:598 PHP:608 PKR:586 PLN:985 QAR:634 RON:946 RSD:941 RUB:643 SAR:682 SBD:090 SCR:690
SDG:938 SEK:752 SGD:702 SHP:654 SLE:925 SOS:706 SRD:968 SSP:728 STN:930 SVC:222 SYP:760
SZL:748 THB:764 TJS:972 TMT:934 TOP:776 TRY:949 TTD:780 TWD:901 TZS:834 UAH:980 USD:840
UYU:858 UZS:860 VED:926 VES:928 WST:882 XCD:951 XCG:532 YER:886 ZAR:710 ZMW:967 ZWG:924
""",
    3: """
BHD:048 IQD:368 JOD:400 KWD:414 LYD:434 OMR:512 TND:788
""",
}

CURRENCY_BY_CODE: Final = {
    entry[:3]: Currency(code=entry[:3], numeric=int(entry[4:]), minor_units=minor_units)
    for minor_units, entries in _CODES_BY_MINOR_UNITS.items()
    for entry in entries.split()
}
"""Every currency an amount can be stated in, by its three letters."""
