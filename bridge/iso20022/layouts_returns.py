"""The layouts of pacs.004, pacs.028, camt.056 and camt.029: messages on an earlier payment."""

from typing import Final

from bridge.iso20022.codes import (
    CancellationReason,
    CancellationRejection,
    ChargeBearer,
    InvestigationStatus,
    MessageName,
    ReturnReason,
)
from bridge.iso20022.identifiers import REASON_CHARACTERS_MAX
from bridge.iso20022.kinds import (
    AGENT,
    CHARGES,
    CREATED_AT,
    DAY,
    MESSAGE_ID,
    MOMENT,
    PARTY,
    PAYABLE,
    REFERENCE,
    UETR,
    code,
    text,
)
from bridge.iso20022.layout import Kind, Layout, Part, embedded, needed, optional, record, within
from bridge.iso20022.layouts_payments import INSTRUCTED, INSTRUCTING, ONE_PAYMENT, SETTLEMENT
from bridge.iso20022.messages_returns import (
    CancellationRequest,
    InvestigationResolution,
    OriginalPayment,
    PaymentReturn,
    ReturnChain,
    StatusRequest,
)
from bridge.iso20022.usage import (
    check_narrative,
    check_original_transfer,
    check_resolution,
    check_return,
)

_ORIGINAL: Final = embedded(
    "original",
    record(
        OriginalPayment,
        within(
            "OrgnlGrpInf",
            needed("OrgnlMsgId", "message_id", REFERENCE),
            needed("OrgnlMsgNmId", "message_name", code(MessageName)),
            optional("OrgnlCreDtTm", "created_at", MOMENT),
        ),
        optional("OrgnlInstrId", "instruction_id", REFERENCE),
        needed("OrgnlEndToEndId", "end_to_end_id", REFERENCE),
        optional("OrgnlTxId", "transaction_id", REFERENCE),
        needed("OrgnlUETR", "uetr", UETR),
    ),
)

_ORIGINALLY_SETTLED: Final = (
    needed("OrgnlIntrBkSttlmAmt", "original_interbank_settlement_amount", PAYABLE),
    needed("OrgnlIntrBkSttlmDt", "original_interbank_settlement_date", DAY),
)

_ASSIGNMENT: Final = within(
    "Assgnmt",
    needed("Id", "message_id", REFERENCE),
    within("Assgnr", needed("Agt", "assigner", AGENT)),
    within("Assgne", needed("Agt", "assignee", AGENT)),
    CREATED_AT,
)


def _case(name: str) -> Part:
    return within(
        name,
        needed("Id", "case_id", REFERENCE),
        within("Cretr", needed("Agt", "case_creator", AGENT)),
    )


def _reason(name: str, reasons: Kind, *, minimum: int = 1) -> Part:
    return within(
        name,
        within("Rsn", needed("Cd", "reason", reasons)),
        optional("AddtlInf", "reason_text", text(REASON_CHARACTERS_MAX)),
        minimum=minimum,
    )


_CHAIN: Final = record(
    ReturnChain,
    within("Dbtr", needed("Pty", "debtor", PARTY)),
    optional("DbtrAgt", "debtor_agent", AGENT),
    optional("CdtrAgt", "creditor_agent", AGENT),
    within("Cdtr", needed("Pty", "creditor", PARTY)),
)

PAYMENT_RETURN: Final = Layout(
    MessageName.PAYMENT_RETURN,
    PaymentReturn,
    "PmtRtr",
    record(
        PaymentReturn,
        within("GrpHdr", MESSAGE_ID, CREATED_AT, ONE_PAYMENT, SETTLEMENT),
        within(
            "TxInf",
            needed("RtrId", "return_id", REFERENCE),
            _ORIGINAL,
            *_ORIGINALLY_SETTLED,
            needed("RtrdIntrBkSttlmAmt", "returned_interbank_settlement_amount", PAYABLE),
            needed("IntrBkSttlmDt", "interbank_settlement_date", DAY),
            optional("ChrgBr", "charge_bearer", code(ChargeBearer)),
            CHARGES,
            INSTRUCTING,
            INSTRUCTED,
            optional("RtrChain", "chain", _CHAIN),
            _reason("RtrRsnInf", code(ReturnReason)),
        ),
        checks=(check_original_transfer, check_return, check_narrative),
    ),
)

CANCELLATION_REQUEST: Final = Layout(
    MessageName.CANCELLATION_REQUEST,
    CancellationRequest,
    "FIToFIPmtCxlReq",
    record(
        CancellationRequest,
        _ASSIGNMENT,
        within(
            "Undrlyg",
            within(
                "TxInf",
                needed("CxlId", "cancellation_id", REFERENCE),
                _case("Case"),
                _ORIGINAL,
                *_ORIGINALLY_SETTLED,
                _reason("CxlRsnInf", code(CancellationReason)),
            ),
        ),
        checks=(check_original_transfer, check_narrative),
    ),
)

INVESTIGATION_RESOLUTION: Final = Layout(
    MessageName.INVESTIGATION_RESOLUTION,
    InvestigationResolution,
    "RsltnOfInvstgtn",
    record(
        InvestigationResolution,
        _ASSIGNMENT,
        within("Sts", needed("Conf", "status", code(InvestigationStatus))),
        within(
            "CxlDtls",
            within(
                "TxInfAndSts",
                needed("CxlStsId", "cancellation_status_id", REFERENCE),
                _case("RslvdCase"),
                _ORIGINAL,
                _reason("CxlStsRsnInf", code(CancellationRejection), minimum=0),
            ),
        ),
        checks=(check_original_transfer, check_resolution, check_narrative),
    ),
)

STATUS_REQUEST: Final = Layout(
    MessageName.STATUS_REQUEST,
    StatusRequest,
    "FIToFIPmtStsReq",
    record(
        StatusRequest,
        within("GrpHdr", MESSAGE_ID, CREATED_AT, INSTRUCTING, INSTRUCTED),
        within("TxInf", needed("StsReqId", "request_id", REFERENCE), _ORIGINAL),
    ),
)
