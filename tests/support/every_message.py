"""One example and one strategy of every message, by its name."""

from typing import Any

from hypothesis import strategies as st

from bridge.iso20022.catalogue import Message
from bridge.iso20022.codes import CreditDebit, MessageName
from bridge.iso20022.parse import parse_initiation
from support.later_messages import (
    cancellation_request,
    cancellation_requests,
    customer_status_report,
    customer_status_reports,
    institution_transfer,
    institution_transfers,
    investigation_resolution,
    investigation_resolutions,
    payment_return,
    payment_returns,
    status_request,
    status_requests,
)
from support.messages import (
    EXAMPLE_PATH,
    account_notification,
    account_notifications,
    credit_transfer,
    credit_transfers,
    initiations,
    status_report,
    status_reports,
)
from support.statement_messages import (
    entry,
    intraday_report,
    intraday_reports,
    statement,
    statements,
)

EXAMPLE_BY_NAME: dict[MessageName, Message] = {
    MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION: parse_initiation(EXAMPLE_PATH.read_bytes()),
    MessageName.CUSTOMER_STATUS_REPORT: customer_status_report(),
    MessageName.CREDIT_TRANSFER: credit_transfer(),
    MessageName.INSTITUTION_TRANSFER: institution_transfer(),
    MessageName.STATUS_REPORT: status_report(),
    MessageName.PAYMENT_RETURN: payment_return(),
    MessageName.STATUS_REQUEST: status_request(),
    MessageName.CANCELLATION_REQUEST: cancellation_request(),
    MessageName.INVESTIGATION_RESOLUTION: investigation_resolution(),
    MessageName.INTRADAY_REPORT: intraday_report(entry(1, -50_000)),
    MessageName.STATEMENT: statement(entry(1, -50_000), entry(2, 700)),
    MessageName.ACCOUNT_NOTIFICATION: account_notification(CreditDebit.DBIT),
}

# Any: a strategy of each kind of message.
STRATEGY_BY_NAME: dict[MessageName, st.SearchStrategy[Any]] = {
    MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION: initiations(),
    MessageName.CUSTOMER_STATUS_REPORT: customer_status_reports,
    MessageName.CREDIT_TRANSFER: credit_transfers(),
    MessageName.INSTITUTION_TRANSFER: institution_transfers,
    MessageName.STATUS_REPORT: status_reports(),
    MessageName.PAYMENT_RETURN: payment_returns(),
    MessageName.STATUS_REQUEST: status_requests,
    MessageName.CANCELLATION_REQUEST: cancellation_requests(),
    MessageName.INVESTIGATION_RESOLUTION: investigation_resolutions(),
    MessageName.INTRADAY_REPORT: intraday_reports(),
    MessageName.STATEMENT: statements(),
    MessageName.ACCOUNT_NOTIFICATION: account_notifications(),
}

BETWEEN_BANKS = (
    MessageName.CREDIT_TRANSFER,
    MessageName.INSTITUTION_TRANSFER,
    MessageName.STATUS_REPORT,
    MessageName.PAYMENT_RETURN,
    MessageName.STATUS_REQUEST,
    MessageName.CANCELLATION_REQUEST,
    MessageName.INVESTIGATION_RESOLUTION,
)
"""The messages that can be committed to."""
