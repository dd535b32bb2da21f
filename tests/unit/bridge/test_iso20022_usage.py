"""The usage rules of the messages: each is kept, and each refusal says where.

Cites docs/spec/messages.md: MSG-6, 7, 10 to 21.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from bridge.errors import Rejected, UnsendableMessage
from bridge.iso20022.catalogue import Message
from bridge.iso20022.codes import (
    CancellationRejection,
    ChargeBearer,
    InvestigationStatus,
    MessageName,
    ReturnReason,
)
from bridge.iso20022.format import format_message
from bridge.iso20022.messages import Charge
from bridge.iso20022.parse import parse_message
from bridge.money import Amount, Rate
from support.every_message import BETWEEN_BANKS, EXAMPLE_BY_NAME
from support.later_messages import (
    cancellation_request,
    customer_status_report,
    institution_transfer,
    investigation_resolution,
    payment_return,
    status_request,
)
from support.messages import ALICE, BANK_A, BANK_B, EUR, SGD, credit_transfer
from support.statement_messages import entry, statement

TEXT_BY_NAME = {name: format_message(each).decode() for name, each in EXAMPLE_BY_NAME.items()}


def refused(name: MessageName, *changes: tuple[str, str]) -> Rejected:
    """Return the refusal of an example with some of its text replaced."""
    text = TEXT_BY_NAME[name]
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    with pytest.raises(Rejected) as caught:
        parse_message(text.encode())
    return caught.value


def element(name: MessageName, tag: str) -> str:
    """Return the first element of a name as it stands in an example."""
    text = TEXT_BY_NAME[name]
    start = text.index(f"<{tag}>")
    return text[start : text.index(f"</{tag}>") + len(tag) + 3]


STATEMENT = MessageName.STATEMENT
TRANSFER = MessageName.CREDIT_TRANSFER
RETURN = MessageName.PAYMENT_RETURN


@pytest.mark.parametrize(
    ("name", "old", "new", "code", "path"),
    [
        (TRANSFER, "<NbOfTxs>1<", "<NbOfTxs>2<", "wrong_instruction_count", "GrpHdr/NbOfTxs"),
        (MessageName.INSTITUTION_TRANSFER, "<NbOfTxs>1<", "<NbOfTxs>0<", "wrong_instruction_count",
         "GrpHdr/NbOfTxs"),
        (RETURN, "<NbOfTxs>1<", "<NbOfTxs>1.0<", "invalid_text", "GrpHdr/NbOfTxs"),
        (STATEMENT, "<NbOfNtries>2<", "<NbOfNtries>3<", "wrong_instruction_count",
         "Stmt/TxsSummry/TtlNtries/NbOfNtries"),
        (STATEMENT, "<Sum>507<", "<Sum>507.01<", "wrong_control_sum",
         "Stmt/TxsSummry/TtlNtries/Sum"),
    ],
)  # fmt: skip
def test_msg_6_numbers_and_sums_are_checked_where_they_stand(
    name: MessageName, old: str, new: str, code: str, path: str
) -> None:
    error = refused(name, (old, new))
    assert error.code == code
    assert str(error.path).endswith(path)


ZERO = [
    (TRANSFER, ">1000.00</IntrBkSttlmAmt>", ">0.00</IntrBkSttlmAmt>"),
    (MessageName.INSTITUTION_TRANSFER, ">50000.00<", ">0<"),
    (RETURN, ">995.00<", ">0.00<"),
    (MessageName.CANCELLATION_REQUEST, ">1000.00<", ">0.00<"),
    (STATEMENT, '<Amt Ccy="EUR">500.00<', '<Amt Ccy="EUR">0.00<'),
    (MessageName.ACCOUNT_NOTIFICATION, ">691.60<", ">0.00<"),
]


@pytest.mark.parametrize(("name", "old", "new"), ZERO)
def test_msg_7_nothing_moves_an_amount_of_zero(name: MessageName, old: str, new: str) -> None:
    assert refused(name, (old, new)).code == "zero_amount"


@pytest.mark.parametrize(("name", "old", "new"), ZERO)
def test_msg_7_an_amount_has_no_more_decimals_than_its_currency(
    name: MessageName, old: str, new: str
) -> None:
    del new
    tail = old[old.index(".") + 3 :]
    assert refused(name, (old, f"{old[: len(old) - len(tail)]}0{tail}")).code == "too_many_decimals"


@pytest.mark.parametrize("name", BETWEEN_BANKS)
def test_msg_11_the_uetr_is_mandatory_between_banks_and_has_its_shape(name: MessageName) -> None:
    tag = "OrgnlUETR" if "<OrgnlUETR>" in TEXT_BY_NAME[name] else "UETR"
    whole = element(name, tag)
    assert refused(name, (whole, "")).code == "missing_element"
    assert refused(name, (whole, whole.upper().replace(tag.upper(), tag))).code == "invalid_uetr"
    assert refused(name, (whole, whole.replace("-4", "-1"))).code == "invalid_uetr"


@pytest.mark.parametrize("name", BETWEEN_BANKS)
def test_msg_11_bic_and_lei_of_an_agent_are_checked(name: MessageName) -> None:
    assert refused(name, ("AURODEF0XXX", "AURODEF0XX")).code == "invalid_bic"
    assert refused(name, ("DEVN00AURORABANK0015", "DEVN00AURORABANK0016")).code == "invalid_lei"


@pytest.mark.parametrize("tag", ["TwnNm", "Ctry"])
def test_msg_12_an_address_has_town_and_country(tag: str) -> None:
    error = refused(TRANSFER, (element(TRANSFER, tag), ""))
    assert error.code == "missing_element"
    assert str(error.path).endswith("CdtTrfTxInf/Dbtr/PstlAdr")


def test_msg_12_two_lines_may_stand_besides_and_a_third_is_refused() -> None:
    assert ALICE.address is not None
    hybrid = replace(ALICE, address=replace(ALICE.address, lines=("Rear building", "c/o Meier")))
    data = format_message(replace(credit_transfer(), debtor=hybrid))
    understood = parse_message(data)
    assert understood == replace(credit_transfer(), debtor=hybrid)
    line = "<AdrLine>c/o Meier</AdrLine>"
    with pytest.raises(Rejected, match="AdrLine"):
        parse_message(data.decode().replace(line, line * 2).encode())


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        (TRANSFER, "CdtTrfTxInf"),
        (MessageName.INSTITUTION_TRANSFER, "CdtTrfTxInf"),
        (RETURN, "TxInf"),
        (MessageName.STATUS_REPORT, "TxInfAndSts"),
        (MessageName.STATUS_REQUEST, "TxInf"),
        (MessageName.CANCELLATION_REQUEST, "TxInf"),
        (MessageName.INVESTIGATION_RESOLUTION, "TxInfAndSts"),
    ],
)
def test_msg_13_an_interbank_message_has_one_transaction(name: MessageName, tag: str) -> None:
    whole = element(name, tag)
    assert refused(name, (whole, whole * 2)).code == "too_many_elements"


@pytest.mark.parametrize("name", [TRANSFER, RETURN, MessageName.INSTITUTION_TRANSFER])
def test_msg_14_money_settles_through_the_one_system(name: MessageName) -> None:
    for method in ("INDA", "INGA", "COVE"):
        assert refused(name, (">CLRG<", f">{method}<")).code == "invalid_code"
    assert refused(name, (">CORRIDOR<", ">CHAPS<")).code == "invalid_code"


def unsendable(message: Message, words: str) -> None:
    with pytest.raises(UnsendableMessage, match=words):
        format_message(message)


def test_msg_15_a_rate_stands_exactly_where_two_currencies_do() -> None:
    transfer = credit_transfer()
    unsendable(replace(transfer, exchange_rate=Rate.parse("1.45")), "XchgRate")
    in_euro = replace(transfer, instructed_amount=Amount(EUR, 69_000))
    unsendable(in_euro, "XchgRate")
    format_message(replace(in_euro, exchange_rate=Rate.parse("1.45")))


def charged(bearer: ChargeBearer, *charges: Amount, instructed: Amount | None = None) -> Message:
    """Return a payment of 1000.00 SGD with charges."""
    return replace(
        credit_transfer(),
        charge_bearer=bearer,
        charges=tuple(Charge(amount, BANK_A) for amount in charges),
        instructed_amount=instructed,
    )


def test_msg_16_a_service_level_says_nothing_between_banks() -> None:
    unsendable(charged(ChargeBearer.SLEV), "DEBT, CRED, SHAR")
    unsendable(replace(payment_return(), charge_bearer=ChargeBearer.SLEV), "DEBT, CRED, SHAR")


TAKEN = Amount(SGD, 500)
WHOLE = Amount(SGD, 100_500)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (charged(ChargeBearer.CRED, instructed=WHOLE), "ChrgsInf"),
        (charged(ChargeBearer.CRED, TAKEN), "InstdAmt"),
        (charged(ChargeBearer.CRED, TAKEN, instructed=Amount(SGD, 100_000)), "less ChrgsInf"),
        (charged(ChargeBearer.CRED, Amount(EUR, 500), instructed=WHOLE), "currency"),
        (charged(ChargeBearer.DEBT), "ChrgsInf"),
        (charged(ChargeBearer.DEBT, TAKEN, TAKEN), "ChrgsInf"),
        (charged(ChargeBearer.DEBT, Amount(EUR, 500)), "currency"),
    ],
)
def test_msg_17_charges_that_do_not_fit_their_bearer_are_refused(
    message: Message, words: str
) -> None:
    unsendable(message, words)


@pytest.mark.parametrize(
    "message",
    [
        charged(ChargeBearer.CRED, TAKEN, instructed=WHOLE),
        charged(ChargeBearer.DEBT, Amount(SGD, 0)),
        charged(ChargeBearer.SHAR),
        charged(ChargeBearer.SHAR, Amount(EUR, 150), TAKEN),
    ],
)
def test_msg_17_charges_that_fit_their_bearer_are_taken(message: Message) -> None:
    assert parse_message(format_message(message)) == message


def test_msg_17_what_the_creditor_bears_is_explained_on_the_way_in_too() -> None:
    text = format_message(charged(ChargeBearer.CRED, TAKEN, instructed=WHOLE)).decode()
    with pytest.raises(Rejected) as caught:
        parse_message(text.replace(">1005.00<", ">1006.00<").encode())
    assert caught.value.code == "conflicting_elements"
    assert str(caught.value.path).endswith("CdtTrfTxInf/IntrBkSttlmAmt")


def test_msg_18_a_refusal_says_why() -> None:
    for name in (MessageName.STATUS_REPORT, MessageName.CUSTOMER_STATUS_REPORT):
        error = refused(name, (element(name, "StsRsnInf"), ""))
        assert (error.code, "StsRsnInf" in str(error)) == ("missing_element", True)
    assert customer_status_report().groups[0].payments[1].reason == "AM04"


@pytest.mark.parametrize("tag", ["OrgnlMsgId", "OrgnlMsgNmId", "OrgnlEndToEndId", "OrgnlUETR"])
@pytest.mark.parametrize(
    "name",
    [
        RETURN,
        MessageName.CANCELLATION_REQUEST,
        MessageName.INVESTIGATION_RESOLUTION,
        MessageName.STATUS_REQUEST,
    ],
)
def test_msg_19_a_later_message_names_its_original(name: MessageName, tag: str) -> None:
    assert refused(name, (element(name, tag), "")).code == "missing_element"


def test_msg_19_only_a_transfer_can_be_returned_or_asked_back() -> None:
    for message in (payment_return(), cancellation_request(), investigation_resolution()):
        original = replace(message.original, message_name=MessageName.STATUS_REPORT)
        unsendable(replace(message, original=original), "pacs.008")
    asked = replace(status_request().original, message_name=RETURN)
    format_message(replace(status_request(), original=asked))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"returned_interbank_settlement_amount": Amount(SGD, 100_001)}, "at most"),
        ({"returned_interbank_settlement_amount": Amount(SGD, 99_501)}, "less ChrgsInf"),
        ({"returned_interbank_settlement_amount": Amount(EUR, 99_500)}, "currency"),
        ({"charges": (Charge(Amount(EUR, 500), BANK_B),)}, "currency"),
        ({"interbank_settlement_date": date(2026, 11, 22)}, "day of the original"),
    ],
)
def test_msg_20_a_return_is_at_most_what_came_less_its_charges(
    change: dict[str, object], words: str
) -> None:
    unsendable(replace(payment_return(), **change), words)  # type: ignore[arg-type]


def test_msg_20_a_part_goes_back_without_charges() -> None:
    part = replace(payment_return(), charges=())
    assert parse_message(format_message(part)) == part


def test_msg_20_a_whole_return_states_no_charges() -> None:
    whole = replace(
        payment_return(), charges=(), returned_interbank_settlement_amount=Amount(SGD, 100_000)
    )
    assert parse_message(format_message(whole)) == whole


def test_msg_21_a_resolution_has_a_reason_unless_it_cancels() -> None:
    resolution = investigation_resolution()
    bare = replace(resolution, reason=None, reason_text=None)
    for status in (InvestigationStatus.RJCR, InvestigationStatus.PDCR):
        unsendable(replace(bare, status=status), "CxlStsRsnInf")
    unsendable(replace(resolution, status=InvestigationStatus.CNCL), "CNCL")
    format_message(replace(bare, status=InvestigationStatus.CNCL))


def test_msg_21_a_reason_in_words_has_the_words() -> None:
    wordless: list[Message] = [
        replace(payment_return(), reason=ReturnReason.NARR, reason_text=None),
        replace(investigation_resolution(), reason=CancellationRejection.NARR, reason_text=None),
    ]
    for message in wordless:
        unsendable(message, "AddtlInf")


Builder = Callable[[], Message]


@pytest.mark.parametrize("build", [institution_transfer, lambda: statement(entry(1, 5))])
def test_msg_10_a_name_with_an_accent_is_refused_and_not_rewritten(build: Builder) -> None:
    text = format_message(build()).decode()
    marked = text.replace("AURODEF0-00000", "ÄURODEF0-00000")
    with pytest.raises(Rejected) as caught:
        parse_message(marked.encode())
    assert caught.value.code == "invalid_text"
