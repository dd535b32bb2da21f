"""Every message that is read and written, by its name: one layout each."""

from typing import Any, Final

from lxml import etree

from bridge.errors import UnknownMessage
from bridge.iso20022.codes import MessageName
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
from bridge.iso20022.layouts_statements import ACCOUNT_NOTIFICATION, INTRADAY_REPORT, STATEMENT
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

Message = (
    CustomerCreditTransferInitiation
    | CustomerStatusReport
    | CreditTransfer
    | FinancialInstitutionTransfer
    | StatusReport
    | PaymentReturn
    | StatusRequest
    | CancellationRequest
    | InvestigationResolution
    | IntradayReport
    | Statement
    | AccountNotification
)
"""Any message."""

# Any: a layout of each of those.
_LAYOUTS: Final[tuple[Layout[Any], ...]] = (
    INITIATION,
    CUSTOMER_STATUS_REPORT,
    CREDIT_TRANSFER,
    INSTITUTION_TRANSFER,
    STATUS_REPORT,
    PAYMENT_RETURN,
    STATUS_REQUEST,
    CANCELLATION_REQUEST,
    INVESTIGATION_RESOLUTION,
    INTRADAY_REPORT,
    STATEMENT,
    ACCOUNT_NOTIFICATION,
)

LAYOUT_BY_NAME: Final = {layout.name: layout for layout in _LAYOUTS}
"""The layout of each message."""

STRUCTURES: Final = {layout.name: layout.structure for layout in _LAYOUTS}
"""The accepted subset of each message."""

_NAME_BY_TAG: Final = {f"{{{name.namespace}}}Document": name for name in MessageName}

_NAME_BY_CLASS: Final = {layout.built: layout.name for layout in _LAYOUTS}


def name_of(message: Message) -> MessageName:
    """Return the name and version of a message."""
    return _NAME_BY_CLASS[type(message)]


def message_name_of(root: etree._Element) -> MessageName:
    """Return the name of the message that a document says it is; raises `UnknownMessage`."""
    name = _NAME_BY_TAG.get(str(root.tag))
    if name is None:
        raise UnknownMessage(str(root.tag), ", ".join(sorted(MessageName)))
    return name


def read_message(root: etree._Element) -> Message:
    """Return the message in a `Document`, whichever of ours it is."""
    message: Message = LAYOUT_BY_NAME[message_name_of(root)].parse(root)
    return message
