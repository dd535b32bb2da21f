"""The layouts of pain.001, pain.002, pacs.008, pacs.009 and pacs.002.

A pain.001 is read as its groups and their transfers, and then told as a list of instructions each
of which has all it needs; a pacs message has one transaction and settles through one system.
"""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Final

from bridge.errors import (
    ConflictingElements,
    MissingElement,
    TooManyElements,
    WrongControlSum,
    WrongInstructionCount,
)
from bridge.iso20022.codes import (
    ChargeBearer,
    GroupStatus,
    MessageName,
    StatusReason,
    TransactionStatus,
    TransferPurpose,
)
from bridge.iso20022.elements import format_sum, total_of
from bridge.iso20022.identifiers import REASON_CHARACTERS_MAX, Uetr
from bridge.iso20022.kinds import (
    ACCOUNT,
    AGENT,
    CHARGES,
    COUNT,
    CREATED_AT,
    CUSTOMER,
    DAY,
    MESSAGE_ID,
    PARTY,
    PAYABLE,
    RATE,
    REFERENCE,
    REMITTANCE,
    SUM,
    UETR,
    code,
    constant,
    text,
)
from bridge.iso20022.layout import (
    Layout,
    Part,
    converted,
    derived,
    many,
    needed,
    optional,
    record,
    within,
)
from bridge.iso20022.messages import (
    AccountIdentification,
    Agent,
    CreditTransfer,
    CustomerCreditTransferInitiation,
    CustomerStatusReport,
    FinancialInstitutionTransfer,
    InstructedPaymentStatus,
    Party,
    PaymentGroupStatus,
    PaymentInstruction,
    StatusReport,
)
from bridge.iso20022.structure import Checked
from bridge.iso20022.usage import (
    check_charges,
    check_exchange,
    check_status_reason,
    check_unique,
)
from bridge.money import Amount

INSTRUCTIONS_MAX: Final = 100
"""Payments one pain.001 may hold, and groups of payments."""

PAYMENT_METHOD: Final = "TRF"
"""The only payment method of a pain.001 here: a credit transfer."""

SETTLEMENT_METHOD: Final = "CLRG"
"""Settlement through a clearing system."""

CLEARING_SYSTEM: Final = "CORRIDOR"
"""The proprietary name of that clearing system."""

SETTLEMENT: Final = within(
    "SttlmInf",
    constant("SttlmMtd", SETTLEMENT_METHOD),
    within("ClrSys", constant("Prtry", CLEARING_SYSTEM)),
)
INSTRUCTING: Final = needed("InstgAgt", "instructing_agent", AGENT)
INSTRUCTED: Final = needed("InstdAgt", "instructed_agent", AGENT)


def wrong_count(stated: int, due: int) -> WrongInstructionCount:
    """Return the refusal of a stated number of payments."""
    return WrongInstructionCount(str(stated), due)


def wrong_sum(stated: int, due: int) -> WrongControlSum:
    """Return the refusal of a stated control sum."""
    return WrongControlSum(format_sum(stated) or "", format_sum(due) or "")


ONE_PAYMENT: Final = derived("NbOfTxs", COUNT, lambda _: 1, wrong_count)


# pain.001


@dataclass(frozen=True, slots=True)
class _Transfer:
    instruction_id: str | None
    end_to_end_id: str
    uetr: Uetr | None
    instructed_amount: Amount
    charge_bearer: ChargeBearer | None
    creditor_agent: Agent
    creditor: Party
    creditor_account: AccountIdentification
    remittance_information: str | None


@dataclass(frozen=True, slots=True)
class _Group:
    payment_information_id: str
    requested_execution_date: date
    debtor: Party
    debtor_account: AccountIdentification
    debtor_agent: Agent
    charge_bearer: ChargeBearer | None
    transfers: tuple[_Transfer, ...]

    @property
    def total(self) -> int:
        return total_of(each.instructed_amount for each in self.transfers)


@dataclass(frozen=True, slots=True)
class _Initiation:
    message_id: str
    created_at: datetime
    initiating_party: Party
    groups: tuple[_Group, ...]

    @property
    def transfers(self) -> tuple[_Transfer, ...]:
        return tuple(transfer for group in self.groups for transfer in group.transfers)

    @property
    def total(self) -> int:
        return sum(group.total for group in self.groups)


def _check_bearer(node: Checked, group: _Group) -> None:
    """Refuse a charge bearer that is stated twice or not at all for one transfer."""
    children = node.all("CdtTrfTxInf")
    for transfer, child in zip(group.transfers, children, strict=True):
        if group.charge_bearer is None and transfer.charge_bearer is None:
            raise MissingElement("ChrgBr").at(child.path)
        if group.charge_bearer is not None and transfer.charge_bearer is not None:
            raise ConflictingElements("ChrgBr stands in the group already").at(
                f"{child.path}/ChrgBr"
            )


def _check_ends(_: Checked, group: _Group) -> None:
    check_unique("EndToEndId", (each.end_to_end_id for each in group.transfers))


def _check_groups(_: Checked, initiation: _Initiation) -> None:
    if len(initiation.transfers) > INSTRUCTIONS_MAX:
        raise TooManyElements("CdtTrfTxInf", INSTRUCTIONS_MAX)
    check_unique("PmtInfId", (each.payment_information_id for each in initiation.groups))


_BEARER: Final = optional("ChrgBr", "charge_bearer", code(ChargeBearer))

_TRANSFER: Final = record(
    _Transfer,
    within(
        "PmtId",
        optional("InstrId", "instruction_id", REFERENCE),
        needed("EndToEndId", "end_to_end_id", REFERENCE),
        optional("UETR", "uetr", UETR),
    ),
    within("Amt", needed("InstdAmt", "instructed_amount", PAYABLE)),
    _BEARER,
    needed("CdtrAgt", "creditor_agent", AGENT),
    needed("Cdtr", "creditor", CUSTOMER),
    needed("CdtrAcct", "creditor_account", ACCOUNT),
    REMITTANCE,
)


def _totals(minimum: int) -> tuple[Part, Part]:
    return (
        derived("NbOfTxs", COUNT, lambda held: len(held.transfers), wrong_count, minimum=minimum),
        derived("CtrlSum", SUM, lambda held: held.total, wrong_sum, minimum=0),
    )


_GROUP: Final = record(
    _Group,
    needed("PmtInfId", "payment_information_id", REFERENCE),
    constant("PmtMtd", PAYMENT_METHOD),
    *_totals(minimum=0),
    within("ReqdExctnDt", needed("Dt", "requested_execution_date", DAY)),
    needed("Dbtr", "debtor", CUSTOMER),
    needed("DbtrAcct", "debtor_account", ACCOUNT),
    needed("DbtrAgt", "debtor_agent", AGENT),
    _BEARER,
    many("CdtTrfTxInf", "transfers", _TRANSFER, INSTRUCTIONS_MAX, minimum=1),
    checks=(_check_bearer, _check_ends),
)


def _instructions(told: _Initiation) -> CustomerCreditTransferInitiation:
    return CustomerCreditTransferInitiation(
        message_id=told.message_id,
        created_at=told.created_at,
        initiating_party=told.initiating_party,
        instructions=tuple(
            _instruction(told, group, transfer)
            for group in told.groups
            for transfer in group.transfers
        ),
    )


def _instruction(told: _Initiation, group: _Group, transfer: _Transfer) -> PaymentInstruction:
    bearer = group.charge_bearer or transfer.charge_bearer
    if bearer is None:
        raise MissingElement("ChrgBr")
    return PaymentInstruction(
        message_id=told.message_id,
        created_at=told.created_at,
        payment_information_id=group.payment_information_id,
        instruction_id=transfer.instruction_id,
        end_to_end_id=transfer.end_to_end_id,
        uetr=transfer.uetr,
        requested_execution_date=group.requested_execution_date,
        debtor=group.debtor,
        debtor_account=group.debtor_account,
        debtor_agent=group.debtor_agent,
        creditor=transfer.creditor,
        creditor_account=transfer.creditor_account,
        creditor_agent=transfer.creditor_agent,
        instructed_amount=transfer.instructed_amount,
        charge_bearer=bearer,
        remittance_information=transfer.remittance_information,
    )


def _groups(initiation: CustomerCreditTransferInitiation) -> _Initiation:
    """Return the message as groups: runs of instructions with one group identification."""
    runs = groupby(initiation.instructions, lambda each: each.payment_information_id)
    return _Initiation(
        message_id=initiation.message_id,
        created_at=initiation.created_at,
        initiating_party=initiation.initiating_party,
        groups=tuple(_group(tuple(run)) for _, run in runs),
    )


def _group(run: tuple[PaymentInstruction, ...]) -> _Group:
    first = run[0]
    return _Group(
        payment_information_id=first.payment_information_id,
        requested_execution_date=first.requested_execution_date,
        debtor=first.debtor,
        debtor_account=first.debtor_account,
        debtor_agent=first.debtor_agent,
        charge_bearer=None,
        transfers=tuple(
            _Transfer(
                instruction_id=each.instruction_id,
                end_to_end_id=each.end_to_end_id,
                uetr=each.uetr,
                instructed_amount=each.instructed_amount,
                charge_bearer=each.charge_bearer,
                creditor_agent=each.creditor_agent,
                creditor=each.creditor,
                creditor_account=each.creditor_account,
                remittance_information=each.remittance_information,
            )
            for each in run
        ),
    )


INITIATION: Final = Layout(
    MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION,
    CustomerCreditTransferInitiation,
    "CstmrCdtTrfInitn",
    converted(
        record(
            _Initiation,
            within(
                "GrpHdr",
                MESSAGE_ID,
                CREATED_AT,
                *_totals(minimum=1),
                needed("InitgPty", "initiating_party", PARTY),
            ),
            many("PmtInf", "groups", _GROUP, INSTRUCTIONS_MAX, minimum=1),
            checks=(_check_groups,),
        ),
        _instructions,
        _groups,
    ),
)


# pain.002 and pacs.002

REASON: Final = within(
    "StsRsnInf",
    within("Rsn", needed("Cd", "reason", code(StatusReason))),
    optional("AddtlInf", "reason_text", text(REASON_CHARACTERS_MAX)),
    minimum=0,
)

_PAYMENT_STATUS: Final = record(
    InstructedPaymentStatus,
    optional("StsId", "status_id", REFERENCE),
    optional("OrgnlInstrId", "instruction_id", REFERENCE),
    needed("OrgnlEndToEndId", "end_to_end_id", REFERENCE),
    optional("OrgnlUETR", "uetr", UETR),
    needed("TxSts", "status", code(TransactionStatus)),
    REASON,
    optional("AcctSvcrRef", "account_servicer_reference", REFERENCE),
    checks=(check_status_reason,),
)

CUSTOMER_STATUS_REPORT: Final = Layout(
    MessageName.CUSTOMER_STATUS_REPORT,
    CustomerStatusReport,
    "CstmrPmtStsRpt",
    record(
        CustomerStatusReport,
        within("GrpHdr", MESSAGE_ID, CREATED_AT, optional("DbtrAgt", "debtor_agent", AGENT)),
        within(
            "OrgnlGrpInfAndSts",
            needed("OrgnlMsgId", "original_message_id", REFERENCE),
            needed("OrgnlMsgNmId", "original_message_name", code(MessageName)),
            optional("GrpSts", "status", code(GroupStatus)),
        ),
        many(
            "OrgnlPmtInfAndSts",
            "groups",
            record(
                PaymentGroupStatus,
                needed("OrgnlPmtInfId", "payment_information_id", REFERENCE),
                many("TxInfAndSts", "payments", _PAYMENT_STATUS, INSTRUCTIONS_MAX, minimum=1),
            ),
            INSTRUCTIONS_MAX,
        ),
    ),
)

STATUS_REPORT: Final = Layout(
    MessageName.STATUS_REPORT,
    StatusReport,
    "FIToFIPmtStsRpt",
    record(
        StatusReport,
        within(
            "GrpHdr",
            MESSAGE_ID,
            CREATED_AT,
            optional("InstgAgt", "instructing_agent", AGENT),
            optional("InstdAgt", "instructed_agent", AGENT),
        ),
        within(
            "TxInfAndSts",
            within(
                "OrgnlGrpInf",
                needed("OrgnlMsgId", "original_message_id", REFERENCE),
                needed("OrgnlMsgNmId", "original_message_name", code(MessageName)),
            ),
            optional("OrgnlInstrId", "original_instruction_id", REFERENCE),
            needed("OrgnlEndToEndId", "original_end_to_end_id", REFERENCE),
            optional("OrgnlTxId", "original_transaction_id", REFERENCE),
            needed("OrgnlUETR", "uetr", UETR),
            needed("TxSts", "status", code(TransactionStatus)),
            REASON,
            within("FctvIntrBkSttlmDt", needed("Dt", "effective_settlement_date", DAY), minimum=0),
        ),
        checks=(check_status_reason,),
    ),
)


# pacs.008 and pacs.009

_PAYMENT_ID: Final = within(
    "PmtId",
    optional("InstrId", "instruction_id", REFERENCE),
    needed("EndToEndId", "end_to_end_id", REFERENCE),
    needed("TxId", "transaction_id", REFERENCE),
    needed("UETR", "uetr", UETR),
)
_SETTLED: Final = (
    needed("IntrBkSttlmAmt", "interbank_settlement_amount", PAYABLE),
    needed("IntrBkSttlmDt", "interbank_settlement_date", DAY),
)

CREDIT_TRANSFER: Final = Layout(
    MessageName.CREDIT_TRANSFER,
    CreditTransfer,
    "FIToFICstmrCdtTrf",
    record(
        CreditTransfer,
        within("GrpHdr", MESSAGE_ID, CREATED_AT, ONE_PAYMENT, SETTLEMENT),
        within(
            "CdtTrfTxInf",
            _PAYMENT_ID,
            *_SETTLED,
            optional("InstdAmt", "instructed_amount", PAYABLE),
            optional("XchgRate", "exchange_rate", RATE),
            needed("ChrgBr", "charge_bearer", code(ChargeBearer)),
            CHARGES,
            INSTRUCTING,
            INSTRUCTED,
            needed("Dbtr", "debtor", CUSTOMER),
            needed("DbtrAcct", "debtor_account", ACCOUNT),
            needed("DbtrAgt", "debtor_agent", AGENT),
            needed("CdtrAgt", "creditor_agent", AGENT),
            needed("Cdtr", "creditor", CUSTOMER),
            needed("CdtrAcct", "creditor_account", ACCOUNT),
            REMITTANCE,
        ),
        checks=(check_exchange, check_charges),
    ),
)

INSTITUTION_TRANSFER: Final = Layout(
    MessageName.INSTITUTION_TRANSFER,
    FinancialInstitutionTransfer,
    "FICdtTrf",
    record(
        FinancialInstitutionTransfer,
        within("GrpHdr", MESSAGE_ID, CREATED_AT, ONE_PAYMENT, SETTLEMENT),
        within(
            "CdtTrfTxInf",
            _PAYMENT_ID,
            *_SETTLED,
            INSTRUCTING,
            INSTRUCTED,
            needed("Dbtr", "debtor", AGENT),
            optional("DbtrAcct", "debtor_account", ACCOUNT),
            optional("DbtrAgt", "debtor_agent", AGENT),
            optional("CdtrAgt", "creditor_agent", AGENT),
            needed("Cdtr", "creditor", AGENT),
            optional("CdtrAcct", "creditor_account", ACCOUNT),
            within("Purp", needed("Cd", "purpose", code(TransferPurpose)), minimum=0),
            REMITTANCE,
        ),
    ),
)
