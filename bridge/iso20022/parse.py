"""Bytes to messages: strict, and every refusal named with its place and its ISO reason.

Three steps: `document` reads the XML safely, `structure` checks its shape, and here the elements
become typed values and are checked against one another (counts, control sums, currencies). What
is returned can be acted upon without another look at its form.
"""

from collections.abc import Hashable, Iterable
from typing import Final, TypeAlias

from lxml import etree

from bridge.errors import (
    ConflictingElements,
    MissingElement,
    RepeatedReference,
    TooManyElements,
    UnknownMessage,
)
from bridge.iso20022.codes import ChargeBearer, MessageName, StatusReason, TransactionStatus
from bridge.iso20022.document import read_document
from bridge.iso20022.elements import (
    check_constant,
    check_count,
    check_sum,
    read,
    read_account,
    read_agent,
    read_agent_maybe,
    read_amount,
    read_charge,
    read_code,
    read_date,
    read_maybe,
    read_moment,
    read_party,
    read_payable_amount,
    read_rate,
    read_reference,
    read_reference_maybe,
    read_remittance,
    read_text_maybe,
)
from bridge.iso20022.identifiers import REASON_CHARACTERS_MAX, parse_uetr
from bridge.iso20022.messages import (
    CreditTransfer,
    CustomerCreditTransferInitiation,
    PaymentInstruction,
    StatusReport,
)
from bridge.iso20022.structure import (
    INSTRUCTIONS_MAX,
    STRUCTURES,
    Checked,
    check_structure,
    message_name_of,
)

PAYMENT_METHOD: Final = "TRF"
"""The only payment method of a pain.001 here: a credit transfer."""

SETTLEMENT_METHOD: Final = "CLRG"
"""Settlement through a clearing system."""

CLEARING_SYSTEM: Final = "CORRIDOR"
"""The proprietary name of that clearing system."""

Message: TypeAlias = CustomerCreditTransferInitiation | CreditTransfer | StatusReport


def parse_message(data: bytes) -> Message:
    """Return whichever of the messages that are read here the bytes hold."""
    root = read_document(data)
    match message_name_of(root):
        case MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION:
            return _initiation(root)
        case MessageName.CREDIT_TRANSFER:
            return _credit_transfer(root)
        case MessageName.STATUS_REPORT:
            return _status_report(root)
        case _:
            raise UnknownMessage(str(root.tag), ", ".join(sorted(STRUCTURES)))


def parse_initiation(data: bytes) -> CustomerCreditTransferInitiation:
    """Return the payments that a customer asks for in a pain.001."""
    return _initiation(read_document(data))


def parse_credit_transfer(data: bytes) -> CreditTransfer:
    """Return the payment of a pacs.008."""
    return _credit_transfer(read_document(data))


def parse_status_report(data: bytes) -> StatusReport:
    """Return the report of a pacs.002."""
    return _status_report(read_document(data))


def _initiation(root: etree._Element) -> CustomerCreditTransferInitiation:
    accepted = frozenset({MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION})
    body = check_structure(root, accepted)
    header = body.one("GrpHdr")
    groups = body.all("PmtInf")
    instructions = tuple(
        instruction for group in groups for instruction in _instructions(header, group)
    )
    if len(instructions) > INSTRUCTIONS_MAX:
        raise TooManyElements("CdtTrfTxInf", INSTRUCTIONS_MAX).at(body.path)
    check_count(header.maybe("NbOfTxs"), len(instructions))
    check_sum(header.maybe("CtrlSum"), tuple(each.instructed_amount for each in instructions))
    identifiers = [group.one("PmtInfId") for group in groups]
    _check_unique("PmtInfId", ((node.text, node) for node in identifiers))
    return CustomerCreditTransferInitiation(
        message_id=read_reference(header.one("MsgId")),
        created_at=read_moment(header.one("CreDtTm")),
        initiating_party=read_party(header.one("InitgPty")),
        instructions=instructions,
    )


def _instructions(header: Checked, group: Checked) -> tuple[PaymentInstruction, ...]:
    check_constant(group.one("PmtMtd"), PAYMENT_METHOD)
    transfers = group.all("CdtTrfTxInf")
    instructions = tuple(_instruction(header, group, transfer) for transfer in transfers)
    check_count(group.maybe("NbOfTxs"), len(instructions))
    check_sum(group.maybe("CtrlSum"), tuple(each.instructed_amount for each in instructions))
    ends = [transfer.one("PmtId", "EndToEndId") for transfer in transfers]
    _check_unique("EndToEndId", ((node.text, node) for node in ends))
    return instructions


def _instruction(header: Checked, group: Checked, transfer: Checked) -> PaymentInstruction:
    identification = transfer.one("PmtId")
    return PaymentInstruction(
        message_id=read_reference(header.one("MsgId")),
        created_at=read_moment(header.one("CreDtTm")),
        payment_information_id=read_reference(group.one("PmtInfId")),
        instruction_id=read_reference_maybe(identification.maybe("InstrId")),
        end_to_end_id=read_reference(identification.one("EndToEndId")),
        uetr=read_maybe(identification.maybe("UETR"), parse_uetr),
        requested_execution_date=read_date(group.one("ReqdExctnDt", "Dt")),
        debtor=read_party(group.one("Dbtr")),
        debtor_account=read_account(group.one("DbtrAcct")),
        debtor_agent=read_agent(group.one("DbtrAgt")),
        creditor=read_party(transfer.one("Cdtr")),
        creditor_account=read_account(transfer.one("CdtrAcct")),
        creditor_agent=read_agent(transfer.one("CdtrAgt")),
        instructed_amount=read_payable_amount(transfer.one("Amt", "InstdAmt")),
        charge_bearer=_charge_bearer(group, transfer),
        remittance_information=read_remittance(transfer),
    )


def _charge_bearer(group: Checked, transfer: Checked) -> ChargeBearer:
    """Return the charge bearer, stated once: for the group or for the transfer."""
    of_group, of_transfer = group.maybe("ChrgBr"), transfer.maybe("ChrgBr")
    if of_group is not None and of_transfer is not None:
        raise ConflictingElements("ChrgBr stands in the group already").at(of_transfer.path)
    stated = of_group or of_transfer
    if stated is None:
        raise MissingElement("ChrgBr").at(transfer.path)
    return read_code(stated, ChargeBearer)


def _check_unique(name: str, held: Iterable[tuple[Hashable, Checked]]) -> None:
    seen: set[Hashable] = set()
    for value, node in held:
        if value in seen:
            raise RepeatedReference(name, node.text).at(node.path)
        seen.add(value)


def _credit_transfer(root: etree._Element) -> CreditTransfer:
    body = check_structure(root, frozenset({MessageName.CREDIT_TRANSFER}))
    header, transfer = body.one("GrpHdr"), body.one("CdtTrfTxInf")
    check_count(header.one("NbOfTxs"), 1)
    check_constant(header.one("SttlmInf", "SttlmMtd"), SETTLEMENT_METHOD)
    check_constant(header.one("SttlmInf", "ClrSys", "Prtry"), CLEARING_SYSTEM)
    _check_exchange(transfer)
    identification = transfer.one("PmtId")
    instructed = transfer.maybe("InstdAmt")
    rate = transfer.maybe("XchgRate")
    return CreditTransfer(
        message_id=read_reference(header.one("MsgId")),
        created_at=read_moment(header.one("CreDtTm")),
        instruction_id=read_reference_maybe(identification.maybe("InstrId")),
        end_to_end_id=read_reference(identification.one("EndToEndId")),
        transaction_id=read_reference(identification.one("TxId")),
        uetr=read(identification.one("UETR"), parse_uetr),
        interbank_settlement_amount=read_payable_amount(transfer.one("IntrBkSttlmAmt")),
        interbank_settlement_date=read_date(transfer.one("IntrBkSttlmDt")),
        instructed_amount=None if instructed is None else read_payable_amount(instructed),
        exchange_rate=None if rate is None else read_rate(rate),
        charge_bearer=read_code(transfer.one("ChrgBr"), ChargeBearer),
        charges=tuple(read_charge(charge) for charge in transfer.all("ChrgsInf")),
        instructing_agent=read_agent(transfer.one("InstgAgt")),
        instructed_agent=read_agent(transfer.one("InstdAgt")),
        debtor=read_party(transfer.one("Dbtr")),
        debtor_account=read_account(transfer.one("DbtrAcct")),
        debtor_agent=read_agent(transfer.one("DbtrAgt")),
        creditor=read_party(transfer.one("Cdtr")),
        creditor_account=read_account(transfer.one("CdtrAcct")),
        creditor_agent=read_agent(transfer.one("CdtrAgt")),
        remittance_information=read_remittance(transfer),
    )


def _check_exchange(transfer: Checked) -> None:
    """Refuse a rate without two currencies, and two currencies without a rate."""
    settled = read_amount(transfer.one("IntrBkSttlmAmt")).currency
    instructed, rate = transfer.maybe("InstdAmt"), transfer.maybe("XchgRate")
    differ = instructed is not None and read_amount(instructed).currency != settled
    if differ and rate is None:
        raise MissingElement("XchgRate").at(transfer.path)
    if rate is not None and not differ:
        rule = "XchgRate stands only where InstdAmt is in another currency than IntrBkSttlmAmt"
        raise ConflictingElements(rule).at(rate.path)


def _status_report(root: etree._Element) -> StatusReport:
    body = check_structure(root, frozenset({MessageName.STATUS_REPORT}))
    header, report = body.one("GrpHdr"), body.one("TxInfAndSts")
    original = report.one("OrgnlGrpInf")
    status = read_code(report.one("TxSts"), TransactionStatus)
    reason = report.maybe("StsRsnInf")
    if reason is None and status in {TransactionStatus.RJCT, TransactionStatus.CANC}:
        raise MissingElement("StsRsnInf").at(report.path)
    effective = report.maybe("FctvIntrBkSttlmDt")
    return StatusReport(
        message_id=read_reference(header.one("MsgId")),
        created_at=read_moment(header.one("CreDtTm")),
        original_message_id=read_reference(original.one("OrgnlMsgId")),
        original_message_name=read_code(original.one("OrgnlMsgNmId"), MessageName),
        original_end_to_end_id=read_reference(report.one("OrgnlEndToEndId")),
        uetr=read(report.one("OrgnlUETR"), parse_uetr),
        status=status,
        reason=None if reason is None else read_code(reason.one("Rsn", "Cd"), StatusReason),
        reason_text=None
        if reason is None
        else read_text_maybe(reason.maybe("AddtlInf"), REASON_CHARACTERS_MAX),
        original_instruction_id=read_reference_maybe(report.maybe("OrgnlInstrId")),
        original_transaction_id=read_reference_maybe(report.maybe("OrgnlTxId")),
        effective_settlement_date=None if effective is None else read_date(effective.one("Dt")),
        instructing_agent=read_agent_maybe(header.maybe("InstgAgt")),
        instructed_agent=read_agent_maybe(header.maybe("InstdAgt")),
    )
