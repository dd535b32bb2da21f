"""Identifiers and texts: each kind of fault is refused by its own name.

Cites docs/spec/messages.md: MSG-9, 10, 11.
"""

import pytest

from bridge.errors import (
    InvalidBic,
    InvalidCountry,
    InvalidIban,
    InvalidLei,
    InvalidText,
    InvalidUetr,
)
from bridge.iso20022.identifiers import (
    parse_bic,
    parse_country,
    parse_iban,
    parse_lei,
    parse_reference,
    parse_text,
    parse_uetr,
    shape_uetr,
)


@pytest.mark.parametrize(
    "text",
    [
        "DE72500999990123456789",
        "GB82WEST12345698765432",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ],
)
def test_an_iban_with_right_check_digits_is_accepted(text: str) -> None:
    assert parse_iban(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "DE73500999990123456789",  # check digits
        "DE72500999990123456798",  # two digits swapped
        "DE7250099999012345678",  # too short for Germany
        "DE725009999901234567890",  # too long for Germany
        "DE72 5009 9999 0123 4567 89",  # paper form
        "de72500999990123456789",  # lower case
        "SG72500999990123456789",  # a country without IBANs
        "XX72500999990123456789",
        "GB82WES112345698765432",  # structure
        "0720123456",
        "DE",
        "",
    ],
)
def test_a_wrong_iban_is_refused(text: str) -> None:
    with pytest.raises(InvalidIban) as caught:
        parse_iban(text)
    assert caught.value.reason == "AC01"


@pytest.mark.parametrize("text", ["AURODEF0XXX", "AURODEF0", "STHBSGS0XXX", "1234XKAB"])
def test_a_bic_of_eight_or_eleven_characters_is_accepted(text: str) -> None:
    assert parse_bic(text) == text


@pytest.mark.parametrize(
    "text", ["AURODEF", "AURODEF0XX", "AUROZZF0XXX", "aurodef0", "AURODEF0XXXX", "AURO DEF0", ""]
)
def test_a_wrong_bic_is_refused(text: str) -> None:
    with pytest.raises(InvalidBic):
        parse_bic(text)


@pytest.mark.parametrize("text", ["DEVN00AURORABANK0015", "DEVN00STRAITSHARB026"])
def test_an_lei_with_right_check_digits_is_accepted(text: str) -> None:
    assert parse_lei(text) == text


@pytest.mark.parametrize(
    "text",
    ["DEVN00AURORABANK0016", "DEVN00AURORABANK00", "DEVN00AURORABANK001X", "devn00aurorabank0015"],
)
def test_a_wrong_lei_is_refused(text: str) -> None:
    with pytest.raises(InvalidLei):
        parse_lei(text)


@pytest.mark.parametrize(
    "text",
    [
        "6c1d9f04-5b0e-1f6a-9b1c-2f7a3c58d9e1",  # version 1
        "6c1d9f04-5b0e-4f6a-cb1c-2f7a3c58d9e1",  # variant
        "6C1D9F04-5B0E-4F6A-9B1C-2F7A3C58D9E1",  # upper case
        "6c1d9f045b0e4f6a9b1c2f7a3c58d9e1",
        "",
    ],
)
def test_what_is_no_version_4_uuid_in_lower_case_is_refused(text: str) -> None:
    with pytest.raises(InvalidUetr):
        parse_uetr(text)


def test_sixteen_bytes_are_shaped_into_a_uetr() -> None:
    for octets in (bytes(16), b"\xff" * 16, bytes(range(16))):
        assert parse_uetr(shape_uetr(octets)) == shape_uetr(octets)


@pytest.mark.parametrize("text", ["ZZ", "de", "DEU", ""])
def test_what_is_no_country_is_refused(text: str) -> None:
    with pytest.raises(InvalidCountry):
        parse_country(text)


@pytest.mark.parametrize("text", ["A", "NOTPROVIDED", "a/b", "Z" * 35, "(x) y+z?"])
def test_a_reference_of_set_x_is_accepted(text: str) -> None:
    assert parse_reference(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", " a", "a ", "/a", "a/", "a//b", "é", "a_b", "a\nb", "a;b", "Z" * 36]
)
def test_a_wrong_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidText):
        parse_reference(text)


@pytest.mark.parametrize("text", ["Lodz", "Soehne & Toechter", "<b>", "1 $", "a~" * 70])
def test_msg_10_free_text_may_hold_the_printable_characters_of_ascii(text: str) -> None:
    assert parse_text(text, 140) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 141,
        " a",
        "a\tb",
        "a\nb",
        "\x00",
        "a\u202eb",  # right-to-left override
        "a\u200bb",  # zero-width space
        "Москва",
        "Łódź",
        "Jörg",
        "1 €",
        "e\u0301",  # not composed
        "\u00a0a",
    ],
)
def test_msg_10_other_free_text_is_refused_and_never_transliterated(text: str) -> None:
    with pytest.raises(InvalidText):
        parse_text(text, 140)
