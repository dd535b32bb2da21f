"""Messages to bytes: UTF-8 XML in the order of the schema.

Each message is read back before it leaves: what our own parser would refuse, or would read as
something else, never goes out (`UnsendableMessage`).
"""

from bridge.errors import Rejected, UnsendableMessage
from bridge.iso20022.catalogue import LAYOUT_BY_NAME, Message, name_of
from bridge.iso20022.messages import (
    AccountNotification,
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
from bridge.iso20022.parse import parse_message
from bridge.iso20022.writing import serialise, write_document


def format_message(message: Message) -> bytes:
    """Return a message as a file of its own."""
    layout = LAYOUT_BY_NAME[name_of(message)]
    body = layout.kind.write(layout.body, message)
    data = serialise(write_document(layout.name, body))
    try:
        understood = parse_message(data)
    except Rejected as error:
        raise UnsendableMessage(layout.name, str(error)) from error
    if understood != message:
        raise UnsendableMessage(layout.name, "it would be read as something else")
    return data


def format_initiation(initiation: CustomerCreditTransferInitiation) -> bytes:
    """Return the pain.001 of a customer's payments; its groups are runs of one group's data."""
    return format_message(initiation)


def format_customer_status_report(report: CustomerStatusReport) -> bytes:
    """Return the pain.002 on the payments of a customer's message."""
    return format_message(report)


def format_credit_transfer(transfer: CreditTransfer) -> bytes:
    """Return the pacs.008 of one payment."""
    return format_message(transfer)


def format_institution_transfer(transfer: FinancialInstitutionTransfer) -> bytes:
    """Return the pacs.009 of one transfer."""
    return format_message(transfer)


def format_status_report(report: StatusReport) -> bytes:
    """Return the pacs.002 on one payment."""
    return format_message(report)


def format_payment_return(given: PaymentReturn) -> bytes:
    """Return the pacs.004 of one return."""
    return format_message(given)


def format_status_request(request: StatusRequest) -> bytes:
    """Return the pacs.028 on one payment."""
    return format_message(request)


def format_cancellation_request(request: CancellationRequest) -> bytes:
    """Return the camt.056 on one payment."""
    return format_message(request)


def format_investigation_resolution(resolution: InvestigationResolution) -> bytes:
    """Return the camt.029 that answers one cancellation request."""
    return format_message(resolution)


def format_intraday_report(report: IntradayReport) -> bytes:
    """Return one page of a camt.052."""
    return format_message(report)


def format_statement(statement: Statement) -> bytes:
    """Return one page of a camt.053; see `paginate` for a statement of any length."""
    return format_message(statement)


def format_account_notification(notification: AccountNotification) -> bytes:
    """Return the camt.054 on one booked entry, which holds one payment."""
    return format_message(notification)
