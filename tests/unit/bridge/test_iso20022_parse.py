"""Strict intake: a table of faults, each refused by name, place and ISO reason.

Every fault is made by one replacement in a message that is accepted as it stands.

Cites docs/spec/messages.md: MSG-1, 4, 5, 8.
"""

from dataclasses import replace

import pytest

from bridge.errors import Rejected, UnknownMessage
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.document import MESSAGE_BYTES_MAX
from bridge.iso20022.format import (
    format_credit_transfer,
    format_initiation,
    format_status_report,
)
from bridge.iso20022.layouts_payments import INSTRUCTIONS_MAX
from bridge.iso20022.messages import CustomerCreditTransferInitiation
from bridge.iso20022.parse import (
    parse_credit_transfer,
    parse_initiation,
    parse_message,
    parse_status_report,
)
from bridge.money import Amount, Rate
from support.messages import (
    ALICE,
    ALICE_ACCOUNT,
    BANK_A,
    BANK_B,
    BOB_ACCOUNT,
    EUR,
    EXAMPLE_PATH,
    MOMENT,
    SGD,
    credit_transfer,
    status_report,
)

EXAMPLE = EXAMPLE_PATH.read_text("utf-8")
CREDIT_TRANSFER = format_credit_transfer(credit_transfer()).decode()
STATUS_REPORT = format_status_report(status_report()).decode()

GROUP = "/Document/CstmrCdtTrfInitn/PmtInf[1]"
TRANSFER = f"{GROUP}/CdtTrfTxInf[1]"
PACS = "/Document/FIToFICstmrCdtTrf"


def refused(text: str, old: str, new: str) -> Rejected:
    """Return the refusal of a message after one replacement."""
    assert old in text
    with pytest.raises(Rejected) as caught:
        parse_message(text.replace(old, new, 1).encode())
    return caught.value


def without(text: str, name: str) -> str:
    """Return the first element of a name, with its content."""
    start = text.index(f"<{name}>")
    return text[start : text.index(f"</{name}>") + len(f"</{name}>")]


def test_the_example_instruction_is_understood() -> None:
    initiation = parse_initiation(EXAMPLE.encode())
    [instruction] = initiation.instructions
    assert initiation.created_at == MOMENT
    assert instruction.debtor == ALICE
    assert instruction.debtor_account == ALICE_ACCOUNT
    assert instruction.debtor_agent == BANK_A
    assert instruction.creditor_account == BOB_ACCOUNT
    assert instruction.creditor_agent == BANK_B
    assert instruction.instructed_amount == Amount(SGD, 100_000)
    assert instruction.charge_bearer is ChargeBearer.SHAR


def test_layout_prefixes_and_a_byte_order_mark_do_not_matter() -> None:
    understood = parse_message(EXAMPLE.encode())
    dense = "".join(line.strip() for line in EXAMPLE.splitlines())
    prefixed = EXAMPLE.replace("<", "<p:").replace("<p:/", "</p:").replace("<p:?", "<?")
    prefixed = prefixed.replace("xmlns=", "xmlns:p=")
    for text in (dense, prefixed, "\ufeff" + EXAMPLE, EXAMPLE.partition("?>")[2].lstrip()):
        assert parse_message(text.encode()) == understood


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("</Document>", "", "malformed_message"),
        ("<MsgId>", "<MsgId", "malformed_message"),
        ("</MsgId>", "</MsgID>", "malformed_message"),
        ("Alice", "&alice;", "malformed_message"),
        ("Alice", "A&B", "malformed_message"),
        ("Alice", "\x01", "malformed_message"),
        ('encoding="UTF-8"', 'encoding="UTF-16"', "malformed_message"),
        ('encoding="UTF-8"', 'encoding="ISO-8859-1"', "malformed_message"),
        ("<Document", "<!DOCTYPE Document><Document", "forbidden_markup"),
        (
            "<Document",
            '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><Document',
            "forbidden_markup",
        ),
        (
            "<Document",
            '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Document',
            "forbidden_markup",
        ),
        ("<Document", '<!DOCTYPE d SYSTEM "http://localhost/d.dtd"><Document', "forbidden_markup"),
        ("Alice", "Al<!-- a comment -->ice", "forbidden_markup"),
        ("Alice", "Al<?php x?>ice", "forbidden_markup"),
        ("<Nm>", "<Nm>" + "<a>" * 40 + "</a>" * 40, "message_too_deep"),
        ("<Nm>", "<Nm>" + "<a>" * 5000 + "</a>" * 5000, "malformed_message"),
        ("pain.001.001.09", "pain.001.001.03", "unknown_message"),
        ("pain.001.001.09", "pain.001.001.11", "unknown_message"),
        (' xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"', "", "unknown_message"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_read_is_refused_as_a_whole(old: str, new: str, code: str) -> None:
    error = refused(EXAMPLE, old, new)
    assert error.code == code
    assert error.reason == "FF01"


@pytest.mark.parametrize("data", [b"", b"   ", b"\xff\xfe<\x00a\x00", b"{}", b"<a/>", b"\x00" * 64])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        parse_message(data)


def test_a_message_in_another_encoding_is_refused() -> None:
    for encoding in ("utf-16", "utf-32", "latin-1"):
        with pytest.raises(Rejected):
            parse_message(EXAMPLE.replace("Alice", "Älice").encode(encoding))


def test_a_message_beyond_the_size_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Rejected) as caught:
        parse_message(b"<" * (MESSAGE_BYTES_MAX + 1))
    assert caught.value.code == "message_too_large"


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("<PmtMtd>TRF</PmtMtd>", "", "missing_element", GROUP),
        ("<PmtMtd>TRF</PmtMtd>", "<PmtMtd/>", "invalid_text", f"{GROUP}/PmtMtd"),
        ("<PmtMtd>TRF</PmtMtd>", "<PmtMtd>CHK</PmtMtd>", "invalid_code", f"{GROUP}/PmtMtd"),
        ("<PmtMtd>TRF</PmtMtd>", "<PmtMtd a='1'>TRF</PmtMtd>", "unknown_element", f"{GROUP}/PmtMtd"),
        (
            "<PmtMtd>TRF</PmtMtd>",
            "<PmtMtd>TRF</PmtMtd><PmtMtd>TRF</PmtMtd>",
            "too_many_elements",
            GROUP,
        ),
        ("<PmtMtd>TRF</PmtMtd>", "<PmtMtd>TRF</PmtMtd>text", "invalid_text", GROUP),
        (
            "<PmtMtd>TRF</PmtMtd>",
            "<PmtMtd>TRF</PmtMtd><BtchBookg>true</BtchBookg>",
            "unknown_element",
            GROUP,
        ),
        ("<RmtInf>", "<Purp><Cd>RENT</Cd></Purp><RmtInf>", "unknown_element", TRANSFER),
        (
            "<PmtMtd>TRF</PmtMtd>",
            "<PmtMtd xmlns='urn:other'>TRF</PmtMtd>",
            "unknown_element",
            GROUP,
        ),
        (
            "<PmtInfId>ALICE-GROUP-1</PmtInfId>\n      <PmtMtd>TRF</PmtMtd>",
            "<PmtMtd>TRF</PmtMtd><PmtInfId>ALICE-GROUP-1</PmtInfId>",
            "misplaced_element",
            GROUP,
        ),
        ("<Othr>", "<IBAN>DE72500999990123456789</IBAN><Othr>", "conflicting_elements",
         f"{TRANSFER}/CdtrAcct/Id"),
        ("<ChrgBr>SHAR</ChrgBr>", "", "missing_element", TRANSFER),
        ("<ChrgBr>SHAR</ChrgBr>", "<ChrgBr>OURS</ChrgBr>", "invalid_code", f"{GROUP}/ChrgBr"),
        ("</Amt>", "</Amt><ChrgBr>SHAR</ChrgBr>", "conflicting_elements", f"{TRANSFER}/ChrgBr"),
        ("<TwnNm>Singapore</TwnNm>", "", "missing_element", f"{TRANSFER}/Cdtr/PstlAdr"),
        ("<Ctry>SG</Ctry>", "<Ctry>ZZ</Ctry>", "invalid_country",
         f"{TRANSFER}/Cdtr/PstlAdr/Ctry"),
        ("<Nm>Bob Tan Wei Ming</Nm>", f"<Nm>{'B' * 141}</Nm>", "invalid_text",
         f"{TRANSFER}/Cdtr/Nm"),
        ("RENT-2026-12", "RENT_2026", "invalid_text", f"{TRANSFER}/PmtId/EndToEndId"),
        ("RENT-2026-12", "R" * 36, "invalid_text", f"{TRANSFER}/PmtId/EndToEndId"),
        ("Rent for December", "R" * 141, "invalid_text", f"{TRANSFER}/RmtInf/Ustrd"),
        ("0720123456", "1" * 35, "invalid_text", f"{TRANSFER}/CdtrAcct/Id/Othr/Id"),
        ("6c1d9f04-5b0e-4f6a", "6c1d9f04-5b0e-1f6a", "invalid_uetr", f"{TRANSFER}/PmtId/UETR"),
        ("DE72500999990123456789", "DE73500999990123456789", "invalid_iban",
         f"{GROUP}/DbtrAcct/Id/IBAN"),
        ("STHBSGS0XXX", "STHBZZS0XXX", "invalid_bic", f"{TRANSFER}/CdtrAgt/FinInstnId/BICFI"),
        ("DEVN00STRAITSHARB026", "DEVN00STRAITSHARB027", "invalid_lei",
         f"{TRANSFER}/CdtrAgt/FinInstnId/LEI"),
        ("<Dt>2026-11-23</Dt>", "<Dt>2026-02-30</Dt>", "invalid_date", f"{GROUP}/ReqdExctnDt/Dt"),
        ("<Dt>2026-11-23</Dt>", "<Dt>20261123</Dt>", "invalid_date", f"{GROUP}/ReqdExctnDt/Dt"),
        ("<Dt>2026-11-23</Dt>", "<Dt>2026-W47-1</Dt>", "invalid_date", f"{GROUP}/ReqdExctnDt/Dt"),
        ("09:30:00Z", "09:30:00", "invalid_date", "/Document/CstmrCdtTrfInitn/GrpHdr/CreDtTm"),
        ("09:30:00Z", "25:30:00Z", "invalid_date", "/Document/CstmrCdtTrfInitn/GrpHdr/CreDtTm"),
        ("2026-11-23T09:30:00Z", "0001-01-01T00:00:00+14:00", "invalid_date",
         "/Document/CstmrCdtTrfInitn/GrpHdr/CreDtTm"),
        ('Ccy="SGD"', "", "missing_element", f"{TRANSFER}/Amt/InstdAmt"),
        ('Ccy="SGD"', 'Ccy="DEM"', "unknown_currency", f"{TRANSFER}/Amt/InstdAmt"),
        (">1000.00</InstdAmt", ">1000.000</InstdAmt", "too_many_decimals",
         f"{TRANSFER}/Amt/InstdAmt"),
        (">1000.00</InstdAmt", ">-1000.00</InstdAmt", "invalid_amount",
         f"{TRANSFER}/Amt/InstdAmt"),
        (">1000.00</InstdAmt", ">1e3</InstdAmt", "invalid_amount", f"{TRANSFER}/Amt/InstdAmt"),
        (">1000.00</InstdAmt", ">0.00</InstdAmt", "zero_amount", f"{TRANSFER}/Amt/InstdAmt"),
        (">1000.00</InstdAmt", f">{'9' * 17}.00</InstdAmt", "amount_out_of_range",
         f"{TRANSFER}/Amt/InstdAmt"),
        ("<NbOfTxs>1<", "<NbOfTxs>2<", "wrong_instruction_count",
         "/Document/CstmrCdtTrfInitn/GrpHdr/NbOfTxs"),
        ("<NbOfTxs>1<", "<NbOfTxs>one<", "invalid_text",
         "/Document/CstmrCdtTrfInitn/GrpHdr/NbOfTxs"),
        ("<CtrlSum>1000.00<", "<CtrlSum>1000.01<", "wrong_control_sum",
         "/Document/CstmrCdtTrfInitn/GrpHdr/CtrlSum"),
        ("<CtrlSum>1000.00<", "<CtrlSum>1000.000000001<", "wrong_control_sum",
         "/Document/CstmrCdtTrfInitn/GrpHdr/CtrlSum"),
        ("<CtrlSum>1000.00<", "<CtrlSum>1,000<", "invalid_amount",
         "/Document/CstmrCdtTrfInitn/GrpHdr/CtrlSum"),
    ],
)  # fmt: skip
def test_a_fault_in_an_instruction_is_refused_with_its_place(
    old: str, new: str, code: str, path: str
) -> None:
    error = refused(EXAMPLE, old, new)
    assert (error.code, error.path) == (code, path)
    assert error.reason is not None
    assert path in str(error)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("DE72500999990123456789", "DE73500999990123456789", "AC01"),
        ("STHBSGS0XXX", "STHB", "RC01"),
        ("<Dt>2026-11-23</Dt>", "<Dt>yesterday</Dt>", "DT01"),
        (">1000.00</InstdAmt", ">0</InstdAmt", "AM01"),
        ('Ccy="SGD"', 'Ccy="XXX"', "AM11"),
        (">1000.00</InstdAmt", ">1.234</InstdAmt", "AM12"),
        ("<CtrlSum>1000.00<", "<CtrlSum>1<", "AM10"),
        ("<NbOfTxs>1<", "<NbOfTxs>0<", "AM18"),
        ("<PmtMtd>TRF</PmtMtd>", "", "FF01"),
    ],
)
def test_a_refusal_carries_the_iso_reason_code(old: str, new: str, reason: str) -> None:
    assert refused(EXAMPLE, old, new).reason == reason


def test_a_control_sum_and_counts_may_be_left_out_of_a_group() -> None:
    text = EXAMPLE.replace("<CtrlSum>1000.00</CtrlSum>", "")
    head, _, tail = text.partition("<PmtInf>")
    text = head + "<PmtInf>" + tail.replace("<NbOfTxs>1</NbOfTxs>", "")
    assert parse_message(text.encode()) == parse_message(EXAMPLE.encode())


def test_a_reference_may_not_stand_twice_in_one_message() -> None:
    transfer, group = without(EXAMPLE, "CdtTrfTxInf"), without(EXAMPLE, "PmtInf")
    bare = EXAMPLE.replace("<NbOfTxs>1<", "<NbOfTxs>2<", 1).replace(
        "<CtrlSum>1000.00</CtrlSum>", ""
    )
    twice_in_group = bare.replace("<NbOfTxs>1</NbOfTxs>", "").replace(transfer, transfer * 2)
    error = refused(twice_in_group, "", "")
    assert (error.code, error.reason) == ("repeated_reference", "AM05")
    group = without(bare, "PmtInf")
    error = refused(bare.replace(group, group * 2), "", "")
    assert (error.code, error.reason) == ("repeated_reference", "AM05")


def _of_many(count: int) -> CustomerCreditTransferInitiation:
    initiation = parse_initiation(EXAMPLE.encode())
    [instruction] = initiation.instructions
    many = tuple(
        replace(instruction, end_to_end_id=f"E{number}", uetr=None) for number in range(count)
    )
    return replace(initiation, instructions=many)


def test_as_many_payments_as_the_limit_are_read_and_one_more_is_refused() -> None:
    data = format_initiation(_of_many(INSTRUCTIONS_MAX))
    assert len(parse_initiation(data).instructions) == INSTRUCTIONS_MAX
    text = data.decode()
    transfer = without(text, "CdtTrfTxInf")
    error = refused(text, transfer, transfer + transfer.replace(">E0<", ">X<"))
    assert error.code == "too_many_elements"


def test_the_limit_holds_over_all_groups_together() -> None:
    text = format_initiation(_of_many(INSTRUCTIONS_MAX)).decode()
    group = without(EXAMPLE, "PmtInf")
    error = refused(text, "</CstmrCdtTrfInitn>", f"{group}</CstmrCdtTrfInitn>")
    assert error.code == "too_many_elements"


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        (without(CREDIT_TRANSFER, "UETR"), "", "missing_element", f"{PACS}/CdtTrfTxInf/PmtId"),
        (without(CREDIT_TRANSFER, "TxId"), "", "missing_element", f"{PACS}/CdtTrfTxInf/PmtId"),
        ("<SttlmMtd>CLRG<", "<SttlmMtd>INDA<", "invalid_code",
         f"{PACS}/GrpHdr/SttlmInf/SttlmMtd"),
        (">CORRIDOR<", ">CHAPS<", "invalid_code", f"{PACS}/GrpHdr/SttlmInf/ClrSys/Prtry"),
        ("<NbOfTxs>1<", "<NbOfTxs>2<", "wrong_instruction_count", f"{PACS}/GrpHdr/NbOfTxs"),
        ("<ChrgBr>", "<XchgRate>1.45</XchgRate><ChrgBr>", "conflicting_elements",
         f"{PACS}/CdtTrfTxInf/XchgRate"),
        ('<InstdAmt Ccy="SGD">', '<InstdAmt Ccy="EUR">', "missing_element", f"{PACS}/CdtTrfTxInf"),
        ('<IntrBkSttlmAmt Ccy="SGD">1000.00<', '<IntrBkSttlmAmt Ccy="SGD">0<', "zero_amount",
         f"{PACS}/CdtTrfTxInf/IntrBkSttlmAmt"),
    ],
)  # fmt: skip
def test_a_fault_in_a_credit_transfer_is_refused_with_its_place(
    old: str, new: str, code: str, path: str
) -> None:
    error = refused(CREDIT_TRANSFER, old, new)
    assert (error.code, error.path) == (code, path)


def test_a_second_payment_in_a_credit_transfer_is_refused() -> None:
    payment = without(CREDIT_TRANSFER, "CdtTrfTxInf")
    assert refused(CREDIT_TRANSFER, payment, payment * 2).code == "too_many_elements"


def test_an_exchange_rate_stands_where_two_currencies_do() -> None:
    exchanged = replace(
        credit_transfer(), instructed_amount=Amount(EUR, 69_009), exchange_rate=Rate.parse("1.4491")
    )
    data = format_credit_transfer(exchanged)
    assert b"<XchgRate>1.44910</XchgRate>" in data
    assert parse_credit_transfer(data) == exchanged
    error = refused(data.decode(), ">1.44910<", ">1.4491000000001<")
    assert (error.code, error.path) == ("invalid_rate", f"{PACS}/CdtTrfTxInf/XchgRate")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (without(STATUS_REPORT, "StsRsnInf"), "", "missing_element"),
        ("<TxSts>RJCT<", "<TxSts>NONE<", "invalid_code"),
        (">AC04<", ">ZZ99<", "invalid_code"),
        (">pacs.008.001.08</OrgnlMsgNmId", ">MT103</OrgnlMsgNmId", "invalid_code"),
        (without(STATUS_REPORT, "OrgnlUETR"), "", "missing_element"),
    ],
)
def test_a_fault_in_a_status_report_is_refused(old: str, new: str, code: str) -> None:
    assert refused(STATUS_REPORT, old, new).code == code


def test_a_message_of_another_kind_than_expected_is_refused() -> None:
    for parse, text in (
        (parse_initiation, CREDIT_TRANSFER),
        (parse_credit_transfer, STATUS_REPORT),
        (parse_status_report, EXAMPLE),
    ):
        with pytest.raises(UnknownMessage):
            parse(text.encode())
