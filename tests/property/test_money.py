"""Properties of amounts and rates."""

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.errors import AmountOutOfRange
from bridge.money import (
    AMOUNT_MAX,
    RATE_DECIMALS,
    Amount,
    Currency,
    Rate,
    Rounding,
)
from support.messages import amounts, currencies, rates

small_amounts = st.builds(Amount, currencies, st.integers(1, 10**12))


def _exact(amount: Amount) -> Fraction:
    return Fraction(amount.minor_units, 10**amount.currency.minor_units)


def _exact_rate(rate: Rate) -> Fraction:
    return Fraction(rate.scaled, 10**RATE_DECIMALS)


@given(amounts())
def test_an_amount_is_read_back_as_it_was_written(amount: Amount) -> None:
    assert Amount.parse(amount.format(), amount.currency) == amount
    assert Amount.parse((-amount).format(), amount.currency, signed=True) == -amount


@given(rates)
def test_a_rate_is_read_back_as_it_was_written(rate: Rate) -> None:
    assert Rate.parse(rate.format()) == rate


@given(small_amounts, st.integers(-(10**12), 10**12))
def test_sums_are_exact_and_undone_by_differences(amount: Amount, units: int) -> None:
    other = Amount(amount.currency, units)
    assert (amount + other) - other == amount
    assert _exact(amount + other) == _exact(amount) + _exact(other)


@given(rates, small_amounts, currencies)
def test_floor_and_ceil_enclose_the_exact_result_within_one_minor_unit(
    rate: Rate, amount: Amount, into: Currency
) -> None:
    unit = Fraction(1, 10**into.minor_units)
    for calculate, exact in (
        (rate.multiply, _exact(amount) * _exact_rate(rate)),
        (rate.divide, _exact(amount) / _exact_rate(rate)),
    ):
        assume(exact < AMOUNT_MAX * unit)
        low = _exact(calculate(amount, into, Rounding.FLOOR))
        high = _exact(calculate(amount, into, Rounding.CEIL))
        nearest = _exact(calculate(amount, into, Rounding.HALF_EVEN))
        assert low <= exact <= high
        assert high - low <= unit
        assert abs(nearest - exact) <= unit / 2


@given(rates, small_amounts, currencies)
def test_a_principal_rounded_up_always_buys_the_target_amount(
    rate: Rate, target: Amount, into: Currency
) -> None:
    try:
        principal = rate.divide(target, into, Rounding.CEIL)
    except AmountOutOfRange:
        return
    assert _exact(principal) * _exact_rate(rate) >= _exact(target)


@given(rates, st.integers(0, 9_999))
def test_a_margin_lowers_the_rate_and_is_rounded_to_six_digits(
    rate: Rate, basis_points: int
) -> None:
    exact = _exact_rate(rate) * (10_000 - basis_points) / 10_000
    assume(exact >= Fraction(1, 10**RATE_DECIMALS))
    lowered = rate.with_margin(basis_points, Rounding.FLOOR)
    assert _exact_rate(lowered) <= exact <= _exact_rate(rate)
    assert len(str(lowered.scaled).rstrip("0")) <= 6
    assert (exact - _exact_rate(lowered)) * 10**5 <= max(exact, Fraction(10**5, 10**RATE_DECIMALS))
