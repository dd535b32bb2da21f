"""Outgoing messages are valid against the schemas that ISO 20022 publishes.

The schemas are looked for beside the repository and in the directory that ISO20022_SCHEMAS names;
they are not part of the repository.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from lxml import etree

from bridge.iso20022.codes import CreditDebit, MessageName
from bridge.iso20022.format import (
    format_account_notification,
    format_credit_transfer,
    format_initiation,
    format_status_report,
)
from bridge.iso20022.messages import (
    CreditTransfer,
    CustomerCreditTransferInitiation,
    StatusReport,
)
from support.messages import (
    EXAMPLE_PATH,
    account_notification,
    credit_transfer,
    credit_transfers,
    initiations,
    status_report,
    status_reports,
)

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = Path(
    os.environ.get("ISO20022_SCHEMAS", REPOSITORY.parent / "shared" / "data" / "iso20022")
)
MISSING = (
    "the ISO 20022 schemas are not here: put pain.001.001.09.xsd, pacs.008.001.08.xsd, "
    "pacs.002.001.10.xsd and camt.054.001.08.xsd of the ISO 20022 message catalogue into a "
    "directory and name it in ISO20022_SCHEMAS"
)

pytestmark = pytest.mark.skipif(
    not all((SCHEMAS / f"{name}.xsd").is_file() for name in MessageName), reason=MISSING
)

_loaded: dict[MessageName, etree.XMLSchema] = {}


def assert_valid(data: bytes, name: MessageName) -> None:
    """Fail with the validator's words unless the message is valid against its schema."""
    if name not in _loaded:
        _loaded[name] = etree.XMLSchema(etree.parse(SCHEMAS / f"{name}.xsd"))
    _loaded[name].assertValid(etree.fromstring(data))


def test_the_example_instruction_is_valid() -> None:
    assert_valid(EXAMPLE_PATH.read_bytes(), MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION)


def test_the_schema_does_refuse_a_damaged_message() -> None:
    data = EXAMPLE_PATH.read_bytes().replace(b"<PmtMtd>TRF</PmtMtd>", b"")
    with pytest.raises(etree.DocumentInvalid):
        assert_valid(data, MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION)


def test_a_credit_transfer_is_valid() -> None:
    assert_valid(format_credit_transfer(credit_transfer()), MessageName.CREDIT_TRANSFER)


def test_a_status_report_is_valid() -> None:
    assert_valid(format_status_report(status_report()), MessageName.STATUS_REPORT)


@pytest.mark.parametrize("direction", CreditDebit)
def test_an_account_notification_is_valid(direction: CreditDebit) -> None:
    data = format_account_notification(account_notification(direction))
    assert_valid(data, MessageName.ACCOUNT_NOTIFICATION)


@settings(max_examples=30)
@given(initiations())
def test_every_initiation_we_write_is_valid(
    initiation: CustomerCreditTransferInitiation,
) -> None:
    assert_valid(format_initiation(initiation), MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION)


@settings(max_examples=30)
@given(credit_transfers())
def test_every_credit_transfer_we_write_is_valid(transfer: CreditTransfer) -> None:
    assert_valid(format_credit_transfer(transfer), MessageName.CREDIT_TRANSFER)


@settings(max_examples=30)
@given(status_reports())
def test_every_status_report_we_write_is_valid(report: StatusReport) -> None:
    assert_valid(format_status_report(report), MessageName.STATUS_REPORT)
