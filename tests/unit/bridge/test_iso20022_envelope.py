"""The business application header: who sends what to whom, and whether it is a copy.

Cites docs/spec/messages.md: MSG-25, 26.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bridge.errors import Rejected, UnsendableMessage
from bridge.iso20022.codes import CopyDuplicate, MessageName
from bridge.iso20022.envelope import (
    HEADER_NAME,
    HEADER_NAMESPACE,
    BusinessHeader,
    BusinessMessage,
    BusinessParty,
    format_business_message,
    parse_business_message,
)
from bridge.iso20022.identifiers import Bic
from bridge.iso20022.parse import parse_message
from support.every_message import EXAMPLE_BY_NAME, STRATEGY_BY_NAME
from support.messages import BANK_A, BANK_B, MOMENT, credit_transfer, moments, references

SCHEMA = (
    Path(
        os.environ.get(
            "ISO20022_SCHEMAS", Path(__file__).parents[4] / "shared" / "data" / "iso20022"
        )
    )
    / f"{HEADER_NAME}.xsd"
)

SENT = BusinessMessage(
    BusinessHeader(
        sender=BusinessParty(bic=BANK_A.bic),
        receiver=BusinessParty(bic=BANK_B.bic, lei=BANK_B.lei),
        business_message_id="AURODEF0-000001",
        message_name=MessageName.CREDIT_TRANSFER,
        created_at=MOMENT,
        business_service="corridor.1",
        copy=CopyDuplicate.COPY,
        is_possible_duplicate=True,
    ),
    credit_transfer(),
)
TEXT = format_business_message(SENT).decode()

business_parties = st.sampled_from(
    [
        BusinessParty(bic=BANK_A.bic),
        BusinessParty(lei=BANK_B.lei),
        BusinessParty(bic=Bic("AURODEF0"), lei=BANK_A.lei),
    ]
)


@pytest.mark.parametrize("name", MessageName)
@settings(max_examples=10)
@given(drawn=st.data())
def test_msg_25_any_message_travels_under_a_header(name: MessageName, drawn: st.DataObject) -> None:
    header = drawn.draw(
        st.builds(
            BusinessHeader,
            sender=business_parties,
            receiver=business_parties,
            business_message_id=references(),
            message_name=st.just(name),
            created_at=moments,
            business_service=st.none() | references(),
            copy=st.none() | st.sampled_from(CopyDuplicate),
            is_possible_duplicate=st.booleans(),
        )
    )
    sent = BusinessMessage(header, drawn.draw(STRATEGY_BY_NAME[name]))
    assert parse_business_message(format_business_message(sent)) == sent


@pytest.mark.skipif(
    not SCHEMA.is_file(),
    reason=f"put {HEADER_NAME}.xsd into a directory and name it in ISO20022_SCHEMAS",
)
@pytest.mark.parametrize("name", MessageName)
def test_msg_25_a_header_is_valid_against_its_schema(name: MessageName) -> None:
    header = replace(SENT.header, message_name=name)
    data = format_business_message(BusinessMessage(header, EXAMPLE_BY_NAME[name]))
    [written] = etree.fromstring(data).iter(f"{{{HEADER_NAMESPACE}}}AppHdr")
    etree.XMLSchema(etree.parse(SCHEMA)).assertValid(
        etree.fromstring(etree.tostring(written, with_tail=False))
    )


def test_msg_25_header_and_message_name_one_message() -> None:
    header = replace(SENT.header, message_name=MessageName.PAYMENT_RETURN)
    with pytest.raises(UnsendableMessage, match="announces another message"):
        format_business_message(replace(SENT, header=header))


def test_msg_25_nobody_sends_anonymously() -> None:
    header = replace(SENT.header, sender=BusinessParty())
    with pytest.raises(UnsendableMessage, match="Fr"):
        format_business_message(replace(SENT, header=header))


def test_msg_26_an_envelope_is_no_message_by_itself_and_a_message_no_envelope() -> None:
    with pytest.raises(Rejected, match="BizMsgEnvlp"):
        parse_message(TEXT.encode())
    document = TEXT[TEXT.index("<Document") : TEXT.index("</Document>") + len("</Document>")]
    with pytest.raises(Rejected, match="BizMsgEnvlp"):
        parse_business_message(document.encode())


HEADER = TEXT[TEXT.index("<AppHdr") : TEXT.index("</AppHdr>") + len("</AppHdr>")]
DOCUMENT = TEXT[TEXT.index("<Document") : TEXT.index("</Document>") + len("</Document>")]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (HEADER, "", "missing_element"),
        (HEADER, HEADER * 2, "unknown_element"),
        (HEADER, DOCUMENT, "unknown_element"),
        (HEADER, "text" + HEADER, "invalid_text"),
        (DOCUMENT, "", "conflicting_elements"),
        (DOCUMENT, DOCUMENT * 2, "conflicting_elements"),
        (DOCUMENT, HEADER, "unknown_message"),
        (DOCUMENT, "text" + DOCUMENT, "invalid_text"),
        ("<Hdr>", '<Hdr id="1">', "unknown_element"),
        ("</Doc>", "</Doc><Ref/>", "unknown_element"),
        ("head.001.001.02", "head.001.001.01", "unknown_element"),
        ("<CpyDplct>COPY<", "<CpyDplct>MORE<", "invalid_code"),
        ("<PssblDplct>true<", "<PssblDplct>yes<", "invalid_code"),
        ("</PssblDplct>", "</PssblDplct><Prty>HIGH</Prty>", "unknown_element"),
        ("<BICFI>AURODEF0XXX</BICFI>\n          </FinInstnId>", "</FinInstnId>", "missing_element"),
        ("<CreDt>2026-11-23T09:30:00Z<", "<CreDt>2026-11-23T09:30:00<", "invalid_date"),
    ],
)
def test_msg_26_an_envelope_of_another_shape_is_refused_by_name(
    old: str, new: str, code: str
) -> None:
    assert old in TEXT
    with pytest.raises(Rejected) as caught:
        parse_business_message(TEXT.replace(old, new, 1).encode())
    assert caught.value.code == code
    assert caught.value.path is None or caught.value.path.startswith("/BizMsgEnvlp")


def test_msg_26_a_flag_that_is_false_is_a_flag_that_is_missing() -> None:
    plain = replace(SENT, header=replace(SENT.header, is_possible_duplicate=False))
    text = TEXT.replace("<PssblDplct>true<", "<PssblDplct>false<")
    assert parse_business_message(text.encode()) == plain
    assert "PssblDplct" not in format_business_message(plain).decode()
