"""Amounts and rates: exact, strict at the edge, rounded only as told."""

import pytest

from bridge.errors import (
    AmountOutOfRange,
    CurrenciesMixed,
    InvalidAmount,
    InvalidRate,
    Rejected,
    TooManyDecimals,
    UnknownCurrency,
)
from bridge.money import (
    AMOUNT_MAX,
    CURRENCY_BY_CODE,
    Amount,
    Currency,
    Rate,
    Rounding,
    parse_currency,
)
from support.messages import EUR, JPY, KWD, SGD


@pytest.mark.parametrize(
    ("code", "numeric", "decimals"),
    [
        ("EUR", 978, 2),
        ("SGD", 702, 2),
        ("USD", 840, 2),
        ("GBP", 826, 2),
        ("CHF", 756, 2),
        ("AUD", 36, 2),
        ("JPY", 392, 0),
        ("KRW", 410, 0),
        ("CLP", 152, 0),
        ("XOF", 952, 0),
        ("KWD", 414, 3),
        ("BHD", 48, 3),
        ("TND", 788, 3),
    ],
)
def test_a_currency_has_the_number_and_decimals_of_iso_4217(
    code: str, numeric: int, decimals: int
) -> None:
    assert parse_currency(code) == Currency(code, numeric, decimals)


def test_no_two_currencies_share_a_number() -> None:
    numbers = [currency.numeric for currency in CURRENCY_BY_CODE.values()]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("text", ["", "EURO", "eur", "DEM", "XXX", "XAU", "EU", "€", "EUR "])
def test_what_is_no_active_currency_is_refused(text: str) -> None:
    with pytest.raises(UnknownCurrency):
        parse_currency(text)


@pytest.mark.parametrize(
    ("text", "currency", "minor_units"),
    [
        ("1000.00", SGD, 100_000),
        ("1000", SGD, 100_000),
        ("0.1", EUR, 10),
        ("0.01", EUR, 1),
        ("0", EUR, 0),
        ("5", JPY, 5),
        ("1.234", KWD, 1_234),
        ("9999999999999999.99", EUR, AMOUNT_MAX),
    ],
)
def test_decimal_text_becomes_minor_units(text: str, currency: Currency, minor_units: int) -> None:
    assert Amount.parse(text, currency) == Amount(currency, minor_units)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1,00", "1.", ".5", "+1", "-1", "1e3", "1 000", "0x10", "01.00", "NaN", "Infinity",
        "1.0.0", "١", "1\n", "--1", "1_000", "9" * 40,
    ],
)  # fmt: skip
def test_what_is_no_plain_decimal_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount) as caught:
        Amount.parse(text, EUR)
    assert caught.value.code == "invalid_amount"
    assert caught.value.reason == "AM12"


@pytest.mark.parametrize(
    ("text", "currency"), [("1.001", EUR), ("1.000", EUR), ("1.0", JPY), ("1.0000", KWD)]
)
def test_more_decimals_than_the_currency_has_are_refused_not_rounded(
    text: str, currency: Currency
) -> None:
    with pytest.raises(TooManyDecimals):
        Amount.parse(text, currency)


@pytest.mark.parametrize("text", ["10000000000000000.00", "9999999999999999999"])
def test_an_amount_beyond_the_largest_is_refused(text: str) -> None:
    with pytest.raises(AmountOutOfRange):
        Amount.parse(text, EUR)


def test_a_sum_beyond_the_largest_is_refused() -> None:
    with pytest.raises(AmountOutOfRange):
        Amount(EUR, AMOUNT_MAX) + Amount(EUR, 1)


def test_a_minus_sign_is_read_only_where_it_is_told() -> None:
    assert Amount.parse("-1.50", EUR, signed=True) == Amount(EUR, -150)
    with pytest.raises(InvalidAmount):
        Amount.parse("-1.50", EUR)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(EUR, 100_000), "1000.00"),
        (Amount(EUR, 5), "0.05"),
        (Amount(EUR, -5), "-0.05"),
        (Amount(JPY, 7), "7"),
        (Amount(KWD, 7), "0.007"),
        (Amount.zero(EUR), "0.00"),
    ],
)
def test_an_amount_is_written_with_the_decimals_of_its_currency(amount: Amount, text: str) -> None:
    assert amount.format() == text


def test_amounts_of_one_currency_add_subtract_and_compare() -> None:
    one, two = Amount(EUR, 100), Amount(EUR, 200)
    assert one + one == two
    assert one - two == -one
    assert one < two
    assert one <= two
    assert one <= Amount(EUR, 100)
    assert two > one
    assert two >= one
    assert two >= Amount(EUR, 200)
    assert bool(one)
    assert not bool(one - one)
    assert str(two) == "2.00 EUR"


def test_amounts_of_two_currencies_never_meet() -> None:
    euro, dollar = Amount(EUR, 1), Amount(SGD, 1)
    assert euro != dollar
    for operation in (
        lambda: euro + dollar,
        lambda: euro - dollar,
        lambda: euro < dollar,
        lambda: euro <= dollar,
        lambda: euro > dollar,
        lambda: euro >= dollar,
    ):
        with pytest.raises(CurrenciesMixed):
            operation()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1.452", "1.45200"),
        ("1.45200", "1.45200"),
        ("0.689655", "0.689655"),
        ("161.23", "161.230"),
        ("1", "1.00000"),
        ("25000.1", "25000.1"),
        ("123456", "123456"),
        ("1234567", "1234567"),
        ("1.2345678901", "1.2345678901"),
        ("0.0000186123", "0.0000186123"),
        ("0.0000000001", "0.0000000001"),
    ],
)
def test_a_rate_is_shown_with_six_significant_digits_or_all_it_has(text: str, shown: str) -> None:
    assert Rate.parse(text).format() == shown
    assert str(Rate.parse(shown)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.0", "-1", "+1", "1.", "1e2", "1,5", "1.00000000000", "1234567890.12", "9" * 12],
)
def test_what_is_no_exact_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidRate):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("rate", "amount", "into", "rounding", "result"),
    [
        # 1000.00 SGD at 1.4491 SGD per EUR cost 690.083... EUR
        ("1.44910", Amount(SGD, 100_000), EUR, Rounding.CEIL, 69_009),
        ("1.44910", Amount(SGD, 100_000), EUR, Rounding.FLOOR, 69_008),
        ("1.44910", Amount(SGD, 100_000), EUR, Rounding.HALF_EVEN, 69_008),
        ("2", Amount(SGD, 1), EUR, Rounding.HALF_EVEN, 0),
        ("2", Amount(SGD, 3), EUR, Rounding.HALF_EVEN, 2),
        ("2", Amount(SGD, 5), EUR, Rounding.HALF_EVEN, 2),
        ("2", Amount(SGD, 100), EUR, Rounding.CEIL, 50),
        # Minor units of different size
        ("160", Amount(JPY, 1_000), EUR, Rounding.CEIL, 625),
        ("0.5", Amount(JPY, 1), KWD, Rounding.CEIL, 2_000),
        # Towards the infinities, not towards zero
        ("2", Amount(SGD, -1), EUR, Rounding.FLOOR, -1),
        ("2", Amount(SGD, -1), EUR, Rounding.CEIL, 0),
    ],
)
def test_dividing_by_a_rate_gives_what_the_target_amount_costs(
    rate: str, amount: Amount, into: Currency, rounding: Rounding, result: int
) -> None:
    assert Rate.parse(rate).divide(amount, into, rounding) == Amount(into, result)


@pytest.mark.parametrize(
    ("rate", "amount", "into", "rounding", "result"),
    [
        ("1.44910", Amount(EUR, 69_009), SGD, Rounding.FLOOR, 100_000),
        ("1.44910", Amount(EUR, 69_008), SGD, Rounding.FLOOR, 99_999),
        ("160.5", Amount(EUR, 101), JPY, Rounding.FLOOR, 162),
        ("160.5", Amount(EUR, 101), JPY, Rounding.CEIL, 163),
    ],
)
def test_multiplying_by_a_rate_gives_what_the_source_amount_buys(
    rate: str, amount: Amount, into: Currency, rounding: Rounding, result: int
) -> None:
    assert Rate.parse(rate).multiply(amount, into, rounding) == Amount(into, result)


@pytest.mark.parametrize(
    ("rate", "basis_points", "rounding", "result"),
    [
        ("1.45200", 0, Rounding.FLOOR, "1.45200"),
        ("1.45200", 20, Rounding.FLOOR, "1.44909"),
        ("1.45200", 20, Rounding.CEIL, "1.44910"),
        ("1.45200", 20, Rounding.HALF_EVEN, "1.44910"),
        ("1.2345678901", 0, Rounding.FLOOR, "1.23456"),
        ("9.99999999", 0, Rounding.CEIL, "10.0000"),
        ("161.230", 50, Rounding.FLOOR, "160.423"),
    ],
)
def test_a_margin_lowers_a_rate_and_rounds_it_once(
    rate: str, basis_points: int, rounding: Rounding, result: str
) -> None:
    assert Rate.parse(rate).with_margin(basis_points, rounding).format() == result


@pytest.mark.parametrize("basis_points", [-1, 10_000])
def test_a_margin_outside_its_range_is_refused(basis_points: int) -> None:
    with pytest.raises(InvalidRate):
        Rate.parse("1.452").with_margin(basis_points, Rounding.FLOOR)


def test_a_margin_that_leaves_no_rate_is_refused() -> None:
    with pytest.raises(InvalidRate):
        Rate.parse("0.0000000001").with_margin(9_999, Rounding.FLOOR)


def test_the_rate_between_two_amounts_is_rounded_to_six_digits() -> None:
    source, target = Amount(EUR, 68_871), Amount(SGD, 100_000)
    assert Rate.between(source=source, target=target, rounding=Rounding.FLOOR).format() == "1.45198"
    assert Rate.between(source=source, target=target, rounding=Rounding.CEIL).format() == "1.45199"
    yen = Amount(JPY, 16_123)
    assert (
        Rate.between(source=Amount(EUR, 10_000), target=yen, rounding=Rounding.FLOOR).format()
        == "161.230"
    )


def test_there_is_no_rate_between_nothing_and_something() -> None:
    with pytest.raises(InvalidRate):
        Rate.between(source=Amount.zero(EUR), target=Amount(SGD, 1), rounding=Rounding.FLOOR)


def test_a_refusal_cuts_long_values_short() -> None:
    with pytest.raises(Rejected) as caught:
        Amount.parse("9" * 100_000, EUR)
    assert len(str(caught.value)) < 300
