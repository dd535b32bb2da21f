"""Bytes to messages: strict, and every refusal named with its place and its ISO reason.

Three steps: `document` reads the XML safely, `structure` checks its shape, and the kinds of the
layout give the elements their meaning and check them against one another (counts, control sums,
balances, usage rules). What is returned can be acted upon without another look at its form.
"""

from typing import TypeVar

from bridge.errors import UnknownMessage
from bridge.iso20022.catalogue import Message, read_message
from bridge.iso20022.document import read_document
from bridge.iso20022.layout import Layout
from bridge.iso20022.layouts_payments import (
    CREDIT_TRANSFER,
    CUSTOMER_STATUS_REPORT,
    INITIATION,
    INSTITUTION_TRANSFER,
    STATUS_REPORT,
)
from bridge.iso20022.layouts_returns import (
    CANCELLATION_REQUEST,
    INVESTIGATION_RESOLUTION,
    PAYMENT_RETURN,
    STATUS_REQUEST,
)
from bridge.iso20022.layouts_statements import INTRADAY_REPORT, STATEMENT
from bridge.iso20022.messages import (
    CreditTransfer,
    CustomerCreditTransferInitiation,
    CustomerStatusReport,
    FinancialInstitutionTransfer,
    StatusReport,
)
from bridge.iso20022.messages_returns import (
    CancellationRequest,
    InvestigationResolution,
    PaymentReturn,
    StatusRequest,
)
from bridge.iso20022.messages_statements import IntradayReport, Statement

_Message = TypeVar("_Message")


def parse_message(data: bytes) -> Message:
    """Return whichever of the messages the bytes hold."""
    return read_message(read_document(data))


def parse_initiation(data: bytes) -> CustomerCreditTransferInitiation:
    """Return the payments that a customer asks for in a pain.001."""
    return _parse(data, INITIATION)


def parse_customer_status_report(data: bytes) -> CustomerStatusReport:
    """Return what a pain.002 says of a customer's payments."""
    return _parse(data, CUSTOMER_STATUS_REPORT)


def parse_credit_transfer(data: bytes) -> CreditTransfer:
    """Return the payment of a pacs.008."""
    return _parse(data, CREDIT_TRANSFER)


def parse_institution_transfer(data: bytes) -> FinancialInstitutionTransfer:
    """Return the transfer of a pacs.009."""
    return _parse(data, INSTITUTION_TRANSFER)


def parse_status_report(data: bytes) -> StatusReport:
    """Return the report of a pacs.002."""
    return _parse(data, STATUS_REPORT)


def parse_payment_return(data: bytes) -> PaymentReturn:
    """Return the return of a pacs.004."""
    return _parse(data, PAYMENT_RETURN)


def parse_status_request(data: bytes) -> StatusRequest:
    """Return the question of a pacs.028."""
    return _parse(data, STATUS_REQUEST)


def parse_cancellation_request(data: bytes) -> CancellationRequest:
    """Return the request of a camt.056."""
    return _parse(data, CANCELLATION_REQUEST)


def parse_investigation_resolution(data: bytes) -> InvestigationResolution:
    """Return the answer of a camt.029."""
    return _parse(data, INVESTIGATION_RESOLUTION)


def parse_intraday_report(data: bytes) -> IntradayReport:
    """Return the page of a camt.052."""
    return _parse(data, INTRADAY_REPORT)


def parse_statement(data: bytes) -> Statement:
    """Return the page of a camt.053."""
    return _parse(data, STATEMENT)


def _parse(data: bytes, layout: Layout[_Message]) -> _Message:
    root = read_document(data)
    if root.tag != f"{{{layout.name.namespace}}}Document":
        raise UnknownMessage(str(root.tag), layout.name)
    return layout.parse(root)
