"""Outgoing messages: complete, in our words where a code is ours, and never ones we would refuse."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from lxml import etree

from bridge.errors import AccountAmbiguous, UnsendableMessage
from bridge.iso20022.codes import CreditDebit, TransactionStatus
from bridge.iso20022.format import (
    format_account_notification,
    format_credit_transfer,
    format_initiation,
    format_status_report,
)
from bridge.iso20022.identifiers import Uetr, shape_uetr
from bridge.iso20022.messages import AccountIdentification, InstructionStamp, Party, restamp
from bridge.iso20022.parse import parse_initiation
from support.messages import (
    ALICE,
    ALICE_ACCOUNT,
    DAY,
    EXAMPLE_PATH,
    account_notification,
    credit_transfer,
    status_report,
)


def texts(data: bytes) -> dict[str, str]:
    """Return the text of each leaf of a message by its path of local names."""
    root = etree.fromstring(data)
    found: dict[str, str] = {}
    for node in root.iter():
        if len(node) == 0:
            names = [
                etree.QName(each).localname for each in (*reversed([*node.iterancestors()]), node)
            ]
            found["/".join(names[2:])] = node.text or ""
    return found


def test_a_credit_transfer_names_the_settlement_and_no_rate_within_one_currency() -> None:
    written = texts(format_credit_transfer(credit_transfer()))
    assert written["GrpHdr/SttlmInf/SttlmMtd"] == "CLRG"
    assert written["GrpHdr/SttlmInf/ClrSys/Prtry"] == "CORRIDOR"
    assert written["CdtTrfTxInf/IntrBkSttlmAmt"] == "1000.00"
    assert "CdtTrfTxInf/XchgRate" not in written


def test_a_debit_notification_tells_amount_rate_and_charges() -> None:
    written = texts(format_account_notification(account_notification()))
    payment = "Ntfctn/Ntry/NtryDtls/TxDtls"
    assert written["Ntfctn/Ntry/Amt"] == "691.60"
    assert written["Ntfctn/Ntry/CdtDbtInd"] == "DBIT"
    assert written["Ntfctn/Ntry/Sts/Cd"] == "BOOK"
    assert written["Ntfctn/Ntry/BkTxCd/Domn/Fmly/Cd"] == "ICDT"
    assert written["Ntfctn/Acct/Id/IBAN"] == ALICE_ACCOUNT.text
    assert written[f"{payment}/AmtDtls/InstdAmt/Amt"] == "1000.00"
    assert written[f"{payment}/AmtDtls/InstdAmt/CcyXchg/UnitCcy"] == "EUR"
    assert written[f"{payment}/AmtDtls/InstdAmt/CcyXchg/XchgRate"] == "1.44911"
    assert written[f"{payment}/Chrgs/Rcrd/Amt"] == "1.50"
    assert written[f"{payment}/Refs/EndToEndId"] == "RENT-2026-12"


def test_a_credit_notification_without_an_exchange_leaves_its_parts_out() -> None:
    plain = replace(
        account_notification(CreditDebit.CRDT), instructed_amount=None, exchange=None, charges=()
    )
    written = texts(format_account_notification(plain))
    assert written["Ntfctn/Ntry/BkTxCd/Domn/Fmly/Cd"] == "RCDT"
    assert not any("AmtDtls" in path or "Chrgs" in path for path in written)


def test_text_of_a_customer_never_becomes_markup() -> None:
    hostile = replace(credit_transfer(), remittance_information="</Ustrd><x/>&amp;]]>")
    assert texts(format_credit_transfer(hostile))["CdtTrfTxInf/RmtInf/Ustrd"] == (
        "</Ustrd><x/>&amp;]]>"
    )


def test_times_are_written_in_utc() -> None:
    written = texts(format_credit_transfer(credit_transfer()))
    assert written["GrpHdr/CreDtTm"] == "2026-11-23T09:30:00Z"


def test_what_our_own_parser_would_refuse_is_never_sent() -> None:
    naive = datetime(2026, 11, 23, 9, 30, tzinfo=UTC).replace(tzinfo=None)
    for broken in (
        replace(credit_transfer(), message_id="M" * 36),
        replace(credit_transfer(), uetr=Uetr("not-a-uetr")),
        replace(credit_transfer(), debtor=Party(name="Alice")),
        replace(credit_transfer(), debtor=replace(ALICE, name="A\x00")),
        replace(credit_transfer(), instructed_amount=None, remittance_information=""),
        replace(credit_transfer(), created_at=naive),
    ):
        with pytest.raises(UnsendableMessage):
            format_credit_transfer(broken)
    with pytest.raises(UnsendableMessage):
        format_status_report(replace(status_report(), status=TransactionStatus.RJCT, reason=None))


def test_an_account_is_an_iban_or_another_number() -> None:
    for iban, other in ((None, None), (ALICE_ACCOUNT.iban, "1")):
        with pytest.raises(AccountAmbiguous):
            AccountIdentification(iban=iban, other=other)


def test_a_restamped_instruction_differs_only_in_references_and_times() -> None:
    form = parse_initiation(EXAMPLE_PATH.read_bytes())
    stamp = InstructionStamp(end_to_end_id="RUN-2", uetr=shape_uetr(b"\x07" * 16))
    created_at = datetime(2026, 12, 1, 8, 0, 0, 123_000, tzinfo=UTC)
    fresh = restamp(
        form,
        message_id="RUN-2",
        created_at=created_at,
        requested_execution_date=DAY,
        stamps=(stamp,),
    )
    assert parse_initiation(format_initiation(fresh)) == fresh
    [old], [new] = form.instructions, fresh.instructions
    assert new == replace(
        old, message_id="RUN-2", created_at=created_at, end_to_end_id="RUN-2", uetr=stamp.uetr,
        requested_execution_date=DAY,
    )  # fmt: skip
