"""Messages to bytes: UTF-8 XML in the order of the schema.

Each message that is also read here is read back before it leaves: what our own parser would
refuse, or would read as something else, never goes out (`UnsendableMessage`). Attributes and
namespaces are written by the XML library, so no text of a customer can become markup.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from typing import TypeVar

from lxml import etree

from bridge.errors import Rejected, UnsendableMessage
from bridge.iso20022.codes import CreditDebit, MessageName
from bridge.iso20022.elements import SUM_DIGITS_MAX, control_sum
from bridge.iso20022.messages import (
    AccountIdentification,
    AccountNotification,
    Agent,
    Charge,
    CreditTransfer,
    CurrencyExchange,
    CustomerCreditTransferInitiation,
    Party,
    PaymentInstruction,
    PostalAddress,
    StatusReport,
)
from bridge.iso20022.parse import (
    CLEARING_SYSTEM,
    PAYMENT_METHOD,
    SETTLEMENT_METHOD,
    parse_credit_transfer,
    parse_initiation,
    parse_status_report,
)
from bridge.money import Amount

_Message = TypeVar("_Message")


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    children: tuple["_Node", ...] = ()
    text: str | None = None
    currency: str | None = None


def format_initiation(initiation: CustomerCreditTransferInitiation) -> bytes:
    """Return the pain.001 of a customer's payments; its groups are runs of one group's data."""
    amounts = tuple(each.instructed_amount for each in initiation.instructions)
    header = _group(
        "GrpHdr",
        _leaf("MsgId", initiation.message_id),
        _leaf("CreDtTm", _moment(initiation.created_at)),
        _leaf("NbOfTxs", str(len(amounts))),
        _control_sum(amounts),
        _party("InitgPty", initiation.initiating_party),
    )
    groups = [
        _payment_information(tuple(run))
        for _, run in groupby(initiation.instructions, lambda each: each.payment_information_id)
    ]
    body = _group("CstmrCdtTrfInitn", header, *groups)
    name = MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION
    return _read_back(_document(name, body), name, initiation, parse_initiation)


def format_credit_transfer(transfer: CreditTransfer) -> bytes:
    """Return the pacs.008 of one payment."""
    header = _group(
        "GrpHdr",
        _leaf("MsgId", transfer.message_id),
        _leaf("CreDtTm", _moment(transfer.created_at)),
        _leaf("NbOfTxs", "1"),
        _group(
            "SttlmInf",
            _leaf("SttlmMtd", SETTLEMENT_METHOD),
            _group("ClrSys", _leaf("Prtry", CLEARING_SYSTEM)),
        ),
    )
    rate = transfer.exchange_rate
    payment = _group(
        "CdtTrfTxInf",
        _group(
            "PmtId",
            _leaf("InstrId", transfer.instruction_id),
            _leaf("EndToEndId", transfer.end_to_end_id),
            _leaf("TxId", transfer.transaction_id),
            _leaf("UETR", transfer.uetr),
        ),
        _amount("IntrBkSttlmAmt", transfer.interbank_settlement_amount),
        _leaf("IntrBkSttlmDt", _day(transfer.interbank_settlement_date)),
        _amount("InstdAmt", transfer.instructed_amount),
        _leaf("XchgRate", None if rate is None else rate.format()),
        _leaf("ChrgBr", transfer.charge_bearer),
        *(_charge(charge) for charge in transfer.charges),
        _agent("InstgAgt", transfer.instructing_agent),
        _agent("InstdAgt", transfer.instructed_agent),
        _party("Dbtr", transfer.debtor),
        _account("DbtrAcct", transfer.debtor_account),
        _agent("DbtrAgt", transfer.debtor_agent),
        _agent("CdtrAgt", transfer.creditor_agent),
        _party("Cdtr", transfer.creditor),
        _account("CdtrAcct", transfer.creditor_account),
        _remittance(transfer.remittance_information),
    )
    name = MessageName.CREDIT_TRANSFER
    data = _document(name, _group("FIToFICstmrCdtTrf", header, payment))
    return _read_back(data, name, transfer, parse_credit_transfer)


def format_status_report(report: StatusReport) -> bytes:
    """Return the pacs.002 on one payment."""
    header = _group(
        "GrpHdr",
        _leaf("MsgId", report.message_id),
        _leaf("CreDtTm", _moment(report.created_at)),
        _agent("InstgAgt", report.instructing_agent),
        _agent("InstdAgt", report.instructed_agent),
    )
    reason = _group(
        "StsRsnInf",
        _group("Rsn", _leaf("Cd", report.reason)),
        _leaf("AddtlInf", report.reason_text),
    )
    status = _group(
        "TxInfAndSts",
        _group(
            "OrgnlGrpInf",
            _leaf("OrgnlMsgId", report.original_message_id),
            _leaf("OrgnlMsgNmId", report.original_message_name),
        ),
        _leaf("OrgnlInstrId", report.original_instruction_id),
        _leaf("OrgnlEndToEndId", report.original_end_to_end_id),
        _leaf("OrgnlTxId", report.original_transaction_id),
        _leaf("OrgnlUETR", report.uetr),
        _leaf("TxSts", report.status),
        reason,
        _group("FctvIntrBkSttlmDt", _leaf("Dt", _day(report.effective_settlement_date))),
    )
    name = MessageName.STATUS_REPORT
    data = _document(name, _group("FIToFIPmtStsRpt", header, status))
    return _read_back(data, name, report, parse_status_report)


def format_account_notification(notification: AccountNotification) -> bytes:
    """Return the camt.054 on one booked entry, which holds one payment."""
    created_at = _leaf("CreDtTm", _moment(notification.created_at))
    account = _group(
        "Acct",
        *_account("Acct", notification.account).children,
        _leaf("Ccy", notification.amount.currency.code),
        _party("Ownr", notification.owner),
        _agent("Svcr", notification.servicer),
    )
    entry = _group(
        "Ntry",
        _amount("Amt", notification.amount),
        _leaf("CdtDbtInd", notification.direction),
        _group("Sts", _leaf("Cd", "BOOK")),
        _group("BookgDt", _leaf("Dt", _day(notification.booking_date))),
        _group("ValDt", _leaf("Dt", _day(notification.value_date))),
        _leaf("AcctSvcrRef", notification.account_servicer_reference),
        _bank_transaction_code(notification.direction),
        _group("NtryDtls", _notified_payment(notification)),
    )
    body = _group(
        "BkToCstmrDbtCdtNtfctn",
        _group("GrpHdr", _leaf("MsgId", notification.message_id), created_at),
        _group("Ntfctn", _leaf("Id", notification.notification_id), created_at, account, entry),
    )
    return _document(MessageName.ACCOUNT_NOTIFICATION, body)


def _notified_payment(notification: AccountNotification) -> _Node:
    return _group(
        "TxDtls",
        _group(
            "Refs",
            _leaf("AcctSvcrRef", notification.account_servicer_reference),
            _leaf("PmtInfId", notification.payment_information_id),
            _leaf("InstrId", notification.instruction_id),
            _leaf("EndToEndId", notification.end_to_end_id),
            _leaf("UETR", notification.uetr),
            _leaf("TxId", notification.transaction_id),
        ),
        _amount("Amt", notification.amount),
        _leaf("CdtDbtInd", notification.direction),
        _amount_details(notification.instructed_amount, notification.exchange),
        _notified_charges(notification.charges),
        _group(
            "RltdPties",
            _group("Dbtr", _party("Pty", notification.debtor)),
            _account("DbtrAcct", notification.debtor_account),
            _group("Cdtr", _party("Pty", notification.creditor)),
            _account("CdtrAcct", notification.creditor_account),
        ),
        _group(
            "RltdAgts",
            _agent("DbtrAgt", notification.debtor_agent),
            _agent("CdtrAgt", notification.creditor_agent),
        ),
        _remittance(notification.remittance_information),
    )


def _amount_details(instructed: Amount | None, exchange: CurrencyExchange | None) -> _Node:
    """Return what was instructed and at which rate; the rate is per one unit of the source."""
    if instructed is None:
        return _group("AmtDtls")
    conversion = _group("CcyXchg")
    if exchange is not None:
        conversion = _group(
            "CcyXchg",
            _leaf("SrcCcy", exchange.source.code),
            _leaf("TrgtCcy", exchange.target.code),
            _leaf("UnitCcy", exchange.source.code),
            _leaf("XchgRate", exchange.rate.format()),
        )
    return _group("AmtDtls", _group("InstdAmt", _amount("Amt", instructed), conversion))


def _notified_charges(charges: tuple[Charge, ...]) -> _Node:
    records = [
        _group(
            "Rcrd",
            _amount("Amt", charge.amount),
            _leaf("CdtDbtInd", CreditDebit.DBIT),
            _leaf("ChrgInclInd", "true"),
            _agent("Agt", charge.agent),
        )
        for charge in charges
    ]
    return _group("Chrgs", *records)


def _bank_transaction_code(direction: CreditDebit) -> _Node:
    """Return the ISO code of a cross-border credit transfer, issued or received."""
    family = "ICDT" if direction is CreditDebit.DBIT else "RCDT"
    return _group(
        "BkTxCd",
        _group(
            "Domn",
            _leaf("Cd", "PMNT"),
            _group("Fmly", _leaf("Cd", family), _leaf("SubFmlyCd", "XBCT")),
        ),
    )


def _payment_information(run: tuple[PaymentInstruction, ...]) -> _Node:
    first = run[0]
    amounts = tuple(each.instructed_amount for each in run)
    return _group(
        "PmtInf",
        _leaf("PmtInfId", first.payment_information_id),
        _leaf("PmtMtd", PAYMENT_METHOD),
        _leaf("NbOfTxs", str(len(run))),
        _control_sum(amounts),
        _group("ReqdExctnDt", _leaf("Dt", _day(first.requested_execution_date))),
        _party("Dbtr", first.debtor),
        _account("DbtrAcct", first.debtor_account),
        _agent("DbtrAgt", first.debtor_agent),
        *(_instructed_transfer(each) for each in run),
    )


def _instructed_transfer(instruction: PaymentInstruction) -> _Node:
    return _group(
        "CdtTrfTxInf",
        _group(
            "PmtId",
            _leaf("InstrId", instruction.instruction_id),
            _leaf("EndToEndId", instruction.end_to_end_id),
            _leaf("UETR", instruction.uetr),
        ),
        _group("Amt", _amount("InstdAmt", instruction.instructed_amount)),
        _leaf("ChrgBr", instruction.charge_bearer),
        _agent("CdtrAgt", instruction.creditor_agent),
        _party("Cdtr", instruction.creditor),
        _account("CdtrAcct", instruction.creditor_account),
        _remittance(instruction.remittance_information),
    )


def _party(name: str, party: Party) -> _Node:
    return _group(
        name,
        _leaf("Nm", party.name),
        _address(party.address),
        _group("Id", _group("OrgId", _leaf("LEI", party.lei))),
    )


def _address(address: PostalAddress | None) -> _Node:
    if address is None:
        return _group("PstlAdr")
    return _group(
        "PstlAdr",
        _leaf("StrtNm", address.street),
        _leaf("BldgNb", address.building_number),
        _leaf("PstBx", address.post_box),
        _leaf("PstCd", address.post_code),
        _leaf("TwnNm", address.town),
        _leaf("CtrySubDvsn", address.country_subdivision),
        _leaf("Ctry", address.country),
    )


def _account(name: str, account: AccountIdentification) -> _Node:
    return _group(
        name,
        _group("Id", _leaf("IBAN", account.iban), _group("Othr", _leaf("Id", account.other))),
    )


def _agent(name: str, agent: Agent | None) -> _Node:
    if agent is None:
        return _group(name)
    return _group(name, _group("FinInstnId", _leaf("BICFI", agent.bic), _leaf("LEI", agent.lei)))


def _charge(charge: Charge) -> _Node:
    return _group("ChrgsInf", _amount("Amt", charge.amount), _agent("Agt", charge.agent))


def _remittance(text: str | None) -> _Node:
    return _group("RmtInf", _leaf("Ustrd", text))


def _amount(name: str, amount: Amount | None) -> _Node:
    if amount is None:
        return _Node(name)
    return _Node(name, text=amount.format(), currency=amount.currency.code)


def _control_sum(amounts: tuple[Amount, ...]) -> _Node:
    """Return the control sum, or nothing where it has more digits than one may have."""
    text = control_sum(amounts)
    fits = len(text.replace(".", "")) <= SUM_DIGITS_MAX
    return _leaf("CtrlSum", text if fits else None)


def _leaf(name: str, text: str | None) -> _Node:
    return _Node(name, text=text)


def _group(name: str, *children: _Node) -> _Node:
    return _Node(name, tuple(child for child in children if _is_present(child)))


def _is_present(node: _Node) -> bool:
    """Return whether a node has content: absent values leave no element behind."""
    return bool(node.children) or node.text is not None


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _document(name: MessageName, body: _Node) -> bytes:
    root = etree.Element(f"{{{name.namespace}}}Document", nsmap={None: name.namespace})
    try:
        _append(root, (body,), name.namespace)
    except ValueError as error:
        raise UnsendableMessage(name, str(error)) from error
    data: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return data


def _append(parent: etree._Element, nodes: Iterable[_Node], namespace: str) -> None:
    for node in nodes:
        element = etree.SubElement(parent, f"{{{namespace}}}{node.name}")
        if node.currency is not None:
            element.set("Ccy", node.currency)
        element.text = node.text
        _append(element, node.children, namespace)


def _read_back(
    data: bytes, name: MessageName, message: _Message, parse: Callable[[bytes], _Message]
) -> bytes:
    try:
        understood = parse(data)
    except Rejected as error:
        raise UnsendableMessage(name, str(error)) from error
    if understood != message:
        raise UnsendableMessage(name, "it would be read as something else")
    return data
