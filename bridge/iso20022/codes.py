"""The ISO 20022 code lists that the bridge uses, and the names of its messages.

Codes come from the external code sets of ISO 20022; only those with a use in the bridge stand
here, and a message with another one is refused.
"""

from enum import StrEnum


class MessageName(StrEnum):
    """A message definition with its version."""

    CUSTOMER_CREDIT_TRANSFER_INITIATION = "pain.001.001.09"
    CREDIT_TRANSFER = "pacs.008.001.08"
    STATUS_REPORT = "pacs.002.001.10"
    ACCOUNT_NOTIFICATION = "camt.054.001.08"

    @property
    def namespace(self) -> str:
        """Return the XML namespace of the message."""
        return f"urn:iso:std:iso:20022:tech:xsd:{self.value}"


class ChargeBearer(StrEnum):
    """Who bears the charges of a payment."""

    DEBT = "DEBT"
    """The debtor bears all."""
    CRED = "CRED"
    """The creditor bears all."""
    SHAR = "SHAR"
    """Each bears those of its own bank."""
    SLEV = "SLEV"
    """As agreed in the service level."""


class TransactionStatus(StrEnum):
    """Where a payment stands, as reported in pacs.002."""

    RCVD = "RCVD"
    """Received."""
    ACTC = "ACTC"
    """Accepted after technical validation."""
    PDNG = "PDNG"
    """Under review."""
    ACCP = "ACCP"
    """Accepted by the creditor agent."""
    ACSP = "ACSP"
    """Settlement in process."""
    ACSC = "ACSC"
    """Settled, final."""
    ACCC = "ACCC"
    """Settled and credited to the creditor's account."""
    ACWP = "ACWP"
    """Settled, not yet credited."""
    BLCK = "BLCK"
    """Settled and withheld."""
    RJCT = "RJCT"
    """Rejected before settlement."""
    CANC = "CANC"
    """Cancelled before settlement."""


class StatusReason(StrEnum):
    """Why a payment was not settled or not accepted."""

    AB03 = "AB03"
    """Settlement not completed in time."""
    AB05 = "AB05"
    """The creditor agent did not answer in time."""
    AC01 = "AC01"
    """Account number incorrect or unknown."""
    AC04 = "AC04"
    """Account closed."""
    AC06 = "AC06"
    """Account blocked."""
    AG01 = "AG01"
    """This kind of transfer is not allowed on this account."""
    AM01 = "AM01"
    """Amount of zero."""
    AM02 = "AM02"
    """Amount above the allowed maximum."""
    AM03 = "AM03"
    """Currency not processed here."""
    AM04 = "AM04"
    """Insufficient funds."""
    AM05 = "AM05"
    """Duplicate."""
    AM09 = "AM09"
    """Amount not as agreed."""
    AM10 = "AM10"
    """Control sum wrong."""
    AM11 = "AM11"
    """Currency invalid."""
    AM12 = "AM12"
    """Amount invalid."""
    AM18 = "AM18"
    """Number of payments wrong."""
    BE01 = "BE01"
    """Name and account number do not belong together."""
    CUST = "CUST"
    """On the debtor's request."""
    DT01 = "DT01"
    """Date invalid."""
    ED05 = "ED05"
    """Settlement failed."""
    FF01 = "FF01"
    """Format of the message invalid."""
    MS03 = "MS03"
    """Reason not stated."""
    NARR = "NARR"
    """Reason stated in words."""
    RC01 = "RC01"
    """Bank identifier incorrect."""
    RR01 = "RR01"
    """Debtor's account or identification missing."""
    RR02 = "RR02"
    """Debtor's name or address missing."""
    RR03 = "RR03"
    """Creditor's name or address missing."""
    RR04 = "RR04"
    """Regulatory reason."""
    TM01 = "TM01"
    """Received after the cut-off time."""


class CreditDebit(StrEnum):
    """Whether an entry credits or debits the account, seen from the account."""

    CRDT = "CRDT"
    DBIT = "DBIT"
