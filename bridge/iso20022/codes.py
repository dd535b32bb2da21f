"""The ISO 20022 code lists that the bridge uses, and the names of its messages.

Codes come from the external code sets of ISO 20022; only those with a use in the bridge stand
here, and a message with another one is refused. Source of every list but the message names and
the two that ISO 20022 keeps inside its schemas (charge bearer, credit or debit): the ISO 20022
External Code Sets; the explanations are ours.
"""

from enum import StrEnum


class MessageName(StrEnum):
    """A message definition with its version."""

    CUSTOMER_CREDIT_TRANSFER_INITIATION = "pain.001.001.09"
    CUSTOMER_STATUS_REPORT = "pain.002.001.10"
    CREDIT_TRANSFER = "pacs.008.001.08"
    INSTITUTION_TRANSFER = "pacs.009.001.08"
    STATUS_REPORT = "pacs.002.001.10"
    PAYMENT_RETURN = "pacs.004.001.09"
    STATUS_REQUEST = "pacs.028.001.03"
    CANCELLATION_REQUEST = "camt.056.001.08"
    INVESTIGATION_RESOLUTION = "camt.029.001.09"
    INTRADAY_REPORT = "camt.052.001.08"
    STATEMENT = "camt.053.001.08"
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
    """A credit: the balance rises."""
    DBIT = "DBIT"
    """A debit: the balance falls."""


class GroupStatus(StrEnum):
    """Where all payments of a customer's message stand together, as reported in pain.002."""

    RCVD = "RCVD"
    """Received."""
    ACTC = "ACTC"
    """Accepted after technical validation."""
    PDNG = "PDNG"
    """At least one is under way."""
    PART = "PART"
    """Some accepted, some rejected."""
    ACSC = "ACSC"
    """Every one settled."""
    RJCT = "RJCT"
    """Every one rejected."""


class ReturnReason(StrEnum):
    """Why settled money comes back (pacs.004)."""

    AC01 = "AC01"
    """Account number incorrect or unknown."""
    AC03 = "AC03"
    """Creditor's account number invalid."""
    AC04 = "AC04"
    """Account closed."""
    AC06 = "AC06"
    """Account blocked."""
    AG01 = "AG01"
    """This kind of transfer is not allowed on this account."""
    AM05 = "AM05"
    """Duplicate."""
    AM09 = "AM09"
    """Amount not as agreed."""
    BE01 = "BE01"
    """Name and account number do not belong together."""
    BE04 = "BE04"
    """Creditor's address missing or incorrect."""
    CURR = "CURR"
    """Currency incorrect."""
    CUST = "CUST"
    """On the customer's request."""
    FOCR = "FOCR"
    """Following a cancellation request."""
    FR01 = "FR01"
    """Fraud."""
    MS02 = "MS02"
    """The customer gave no reason."""
    MS03 = "MS03"
    """The agent gave no reason."""
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
    UPAY = "UPAY"
    """The payment is not justified."""


class CancellationReason(StrEnum):
    """Why a payment is asked back (camt.056)."""

    AGNT = "AGNT"
    """An agent in the chain is wrong."""
    AM09 = "AM09"
    """Amount not as agreed."""
    CURR = "CURR"
    """Currency incorrect."""
    CUST = "CUST"
    """On the customer's request."""
    CUTA = "CUTA"
    """Nobody knows how to apply it."""
    DUPL = "DUPL"
    """Duplicate."""
    FRAD = "FRAD"
    """Fraud."""
    NARR = "NARR"
    """Reason stated in words."""
    TECH = "TECH"
    """A technical fault."""
    UPAY = "UPAY"
    """The payment is not justified."""


class InvestigationStatus(StrEnum):
    """What came of a request to cancel (camt.029)."""

    CNCL = "CNCL"
    """Cancelled as requested."""
    PDCR = "PDCR"
    """Not decided yet."""
    RJCR = "RJCR"
    """Rejected."""


class CancellationRejection(StrEnum):
    """Why a payment does not come back, or not yet (camt.029)."""

    AC04 = "AC04"
    """Account closed."""
    AGNT = "AGNT"
    """The agent decides so."""
    AM04 = "AM04"
    """Insufficient funds on the account."""
    ARDT = "ARDT"
    """Already returned."""
    CUST = "CUST"
    """The creditor decides so."""
    INDM = "INDM"
    """An indemnity is asked for first."""
    LEGL = "LEGL"
    """Legal reasons."""
    NARR = "NARR"
    """Reason stated in words."""
    NOAS = "NOAS"
    """The creditor does not answer."""
    NOOR = "NOOR"
    """No such payment was received."""
    PTNA = "PTNA"
    """Passed on to the next agent."""
    RQDA = "RQDA"
    """The creditor's authority to debit is asked for."""


class TransferPurpose(StrEnum):
    """What a transfer between institutions is for (pacs.009)."""

    CASH = "CASH"
    """Cash management: money moved between accounts, as in funding."""
    CORT = "CORT"
    """Settlement of a trade."""
    FREX = "FREX"
    """Foreign exchange."""
    INTC = "INTC"
    """Within one company."""
    TREA = "TREA"
    """Treasury."""


class BalanceType(StrEnum):
    """Which balance of an account is stated."""

    OPBD = "OPBD"
    """Booked, at the opening."""
    CLBD = "CLBD"
    """Booked, at the closing."""
    CLAV = "CLAV"
    """Available, at the closing."""
    ITBD = "ITBD"
    """Booked, in the course of the day."""
    ITAV = "ITAV"
    """Available, in the course of the day."""
    PRCD = "PRCD"
    """Booked, at the closing before."""


class BalanceSubType(StrEnum):
    """What a stated balance is besides its type."""

    INTM = "INTM"
    """Between two pages of one statement."""


class EntryStatus(StrEnum):
    """Whether an entry has been booked."""

    BOOK = "BOOK"
    """Booked."""
    PDNG = "PDNG"
    """Pending."""


class ChargeType(StrEnum):
    """What a charge on an account is for."""

    BRKF = "BRKF"
    """Brokerage."""
    COMM = "COMM"
    """Commission."""


class TransactionDomain(StrEnum):
    """The first part of a bank transaction code: the area of business."""

    PMNT = "PMNT"
    """Payments."""
    ACMT = "ACMT"
    """Account management."""
    FORX = "FORX"
    """Foreign exchange."""


class TransactionFamily(StrEnum):
    """The second part of a bank transaction code."""

    RCDT = "RCDT"
    """Credit transfers received."""
    ICDT = "ICDT"
    """Credit transfers issued."""
    MCOP = "MCOP"
    """Other credits."""
    MDOP = "MDOP"
    """Other debits."""
    SPOT = "SPOT"
    """Spot exchange."""


class TransactionSubFamily(StrEnum):
    """The third part of a bank transaction code."""

    XBCT = "XBCT"
    """Cross-border credit transfer."""
    DMCT = "DMCT"
    """Domestic credit transfer."""
    FICT = "FICT"
    """Credit transfer of a financial institution."""
    BOOK = "BOOK"
    """Transfer within one bank."""
    RRTN = "RRTN"
    """Reversal by a payment return."""
    CHRG = "CHRG"
    """Charges."""
    INTR = "INTR"
    """Interest."""
    ADJT = "ADJT"
    """Adjustment."""
    OTHR = "OTHR"
    """Another one."""


class CopyDuplicate(StrEnum):
    """What a business message is besides the original (head.001)."""

    CODU = "CODU"
    """A copy of a duplicate."""
    COPY = "COPY"
    """A copy for somebody else, such as a supervisor."""
    DUPL = "DUPL"
    """A duplicate for the same receiver."""
