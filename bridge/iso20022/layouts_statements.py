"""The layouts of camt.052, camt.053 and camt.054: what an account servicer tells of an account."""

from collections.abc import Callable
from typing import Any, Final

from bridge.iso20022.codes import (
    BalanceSubType,
    BalanceType,
    ChargeType,
    CreditDebit,
    EntryStatus,
    MessageName,
    TransactionDomain,
    TransactionFamily,
    TransactionSubFamily,
)
from bridge.iso20022.elements import read_code, total_of
from bridge.iso20022.identifiers import (
    ADDITIONAL_CHARACTERS_MAX,
    PAGE_DIGITS_MAX,
    SEQUENCE_DIGITS_MAX,
)
from bridge.iso20022.kinds import (
    ACCOUNT,
    AGENT,
    AMOUNT,
    CHARGES_MAX,
    COUNT,
    CREATED_AT,
    CURRENCY,
    DAY,
    FLAG,
    MESSAGE_ID,
    MOMENT,
    PARTY,
    PAYABLE,
    RATE,
    REFERENCE,
    REMITTANCE,
    SUM,
    UETR,
    code,
    constant,
    number,
    text,
)
from bridge.iso20022.layout import (
    Kind,
    Layout,
    Part,
    derived,
    embedded,
    many,
    needed,
    optional,
    record,
    within,
)
from bridge.iso20022.layouts_payments import wrong_count, wrong_sum
from bridge.iso20022.messages import AccountNotification, Charge, CurrencyExchange
from bridge.iso20022.messages_statements import (
    ENTRIES_MAX,
    BankTransactionCode,
    IntradayReport,
    Page,
    Statement,
    StatementBalance,
    StatementCharge,
    StatementEntry,
)
from bridge.iso20022.usage import (
    check_page_currency,
    check_page_period,
    check_page_references,
    check_statement,
)
from bridge.iso20022.writing import Node

BALANCES_MAX: Final = 8
"""Balances on one page."""

_INTERIM: Final = Kind(
    lambda node: read_code(node, BalanceSubType) is BalanceSubType.INTM,
    lambda name, _: Node(name, text=BalanceSubType.INTM),
)
_DIRECTION: Final = needed("CdtDbtInd", "direction", code(CreditDebit))


def _dated(name: str, field: str) -> Part:
    return within(name, needed("Dt", field, DAY))


_BALANCE: Final = record(
    StatementBalance,
    within(
        "Tp",
        within("CdOrPrtry", needed("Cd", "balance_type", code(BalanceType))),
        within("SubTp", optional("Cd", "is_interim", _INTERIM, absent=False), minimum=0),
    ),
    needed("Amt", "amount", AMOUNT),
    _DIRECTION,
    _dated("Dt", "balance_date"),
)

_CODE: Final = record(
    BankTransactionCode,
    within(
        "Domn",
        needed("Cd", "domain", code(TransactionDomain)),
        within(
            "Fmly",
            needed("Cd", "family", code(TransactionFamily)),
            needed("SubFmlyCd", "sub_family", code(TransactionSubFamily)),
        ),
    ),
)

_EXCHANGE: Final = record(
    CurrencyExchange,
    needed("SrcCcy", "source", CURRENCY),
    needed("TrgtCcy", "target", CURRENCY),
    derived("UnitCcy", CURRENCY, lambda held: held.source),
    needed("XchgRate", "rate", RATE),
)

_AMOUNT_DETAILS: Final = within(
    "AmtDtls",
    within(
        "InstdAmt",
        needed("Amt", "instructed_amount", PAYABLE),
        optional("CcyXchg", "exchange", _EXCHANGE),
    ),
    minimum=0,
)


def _charges(kind: Kind) -> Part:
    return within("Chrgs", many("Rcrd", "charges", kind, CHARGES_MAX, minimum=1), minimum=0)


_TAKEN: Final = (
    needed("Amt", "amount", AMOUNT),
    constant("CdtDbtInd", CreditDebit.DBIT),
    constant("ChrgInclInd", "true"),
)

_PARTIES: Final = within(
    "RltdPties",
    within("Dbtr", needed("Pty", "debtor", PARTY), minimum=0),
    optional("DbtrAcct", "debtor_account", ACCOUNT),
    within("Cdtr", needed("Pty", "creditor", PARTY), minimum=0),
    optional("CdtrAcct", "creditor_account", ACCOUNT),
    minimum=0,
)

_ENTRY: Final = record(
    StatementEntry,
    optional("NtryRef", "entry_reference", REFERENCE),
    needed("Amt", "amount", PAYABLE),
    _DIRECTION,
    optional("RvslInd", "is_reversal", FLAG, absent=False),
    within("Sts", needed("Cd", "status", code(EntryStatus))),
    _dated("BookgDt", "booking_date"),
    _dated("ValDt", "value_date"),
    needed("AcctSvcrRef", "account_servicer_reference", REFERENCE),
    needed("BkTxCd", "bank_transaction_code", _CODE),
    _charges(
        record(
            StatementCharge,
            *_TAKEN,
            within("Tp", needed("Cd", "charge_type", code(ChargeType)), minimum=0),
            optional("Agt", "agent", AGENT),
        )
    ),
    within(
        "NtryDtls",
        within(
            "TxDtls",
            within(
                "Refs",
                optional("MsgId", "original_message_id", REFERENCE),
                optional("PmtInfId", "payment_information_id", REFERENCE),
                optional("InstrId", "instruction_id", REFERENCE),
                optional("EndToEndId", "end_to_end_id", REFERENCE),
                optional("UETR", "uetr", UETR),
                optional("TxId", "transaction_id", REFERENCE),
                minimum=0,
            ),
            _AMOUNT_DETAILS,
            _PARTIES,
            within(
                "RltdAgts",
                optional("DbtrAgt", "debtor_agent", AGENT),
                optional("CdtrAgt", "creditor_agent", AGENT),
                minimum=0,
            ),
            REMITTANCE,
        ),
        minimum=0,
    ),
    optional("AddtlNtryInf", "additional_information", text(ADDITIONAL_CHARACTERS_MAX)),
)


def _entries(chosen: Callable[[StatementEntry], bool]) -> tuple[Part, Part]:
    """Return the number and the sum of some of a page's entries (Any: either kind of page)."""

    def amounts(page: Any) -> list[Any]:
        return [entry.amount for entry in page.entries if chosen(entry)]

    return (
        derived("NbOfNtries", COUNT, lambda page: len(amounts(page)), wrong_count),
        derived("Sum", SUM, lambda page: total_of(amounts(page)), wrong_sum, minimum=0),
    )


_SUMMARY: Final = within(
    "TxsSummry",
    within("TtlNtries", *_entries(lambda _: True), minimum=0),
    within("TtlCdtNtries", *_entries(lambda one: one.direction is CreditDebit.CRDT), minimum=0),
    within("TtlDbtNtries", *_entries(lambda one: one.direction is CreditDebit.DBIT), minimum=0),
    minimum=0,
)

_PAGE: Final = record(
    Page,
    needed("PgNb", "number", number(PAGE_DIGITS_MAX, lowest=1)),
    needed("LastPgInd", "is_last", FLAG),
)


def _page(name: str, identifier: str, pagination: str, balances_min: int) -> tuple[Part, ...]:
    """Return the header and the account of a page, which differ in two names alone."""
    return (
        within("GrpHdr", MESSAGE_ID, CREATED_AT),
        within(
            name,
            needed("Id", identifier, REFERENCE),
            optional(pagination, "page", _PAGE, absent=Page()),
            needed("ElctrncSeqNb", "sequence_number", number(SEQUENCE_DIGITS_MAX)),
            derived("CreDtTm", MOMENT, lambda page: page.created_at, minimum=0),
            within(
                "FrToDt",
                needed("FrDtTm", "period_start", MOMENT),
                needed("ToDtTm", "period_end", MOMENT),
            ),
            within(
                "Acct",
                embedded("account", ACCOUNT),
                needed("Ccy", "currency", CURRENCY),
                needed("Ownr", "owner", PARTY),
                needed("Svcr", "servicer", AGENT),
            ),
            many("Bal", "balances", _BALANCE, BALANCES_MAX, minimum=balances_min),
            _SUMMARY,
            many("Ntry", "entries", _ENTRY, ENTRIES_MAX),
        ),
    )


_PAGE_CHECKS: Final = (check_page_currency, check_page_period, check_page_references)

STATEMENT: Final = Layout(
    MessageName.STATEMENT,
    Statement,
    "BkToCstmrStmt",
    record(
        Statement,
        *_page("Stmt", "statement_id", "StmtPgntn", balances_min=2),
        checks=(*_PAGE_CHECKS, check_statement),
    ),
)

INTRADAY_REPORT: Final = Layout(
    MessageName.INTRADAY_REPORT,
    IntradayReport,
    "BkToCstmrAcctRpt",
    record(
        IntradayReport,
        *_page("Rpt", "report_id", "RptPgntn", balances_min=0),
        checks=_PAGE_CHECKS,
    ),
)


def _code_of(notification: AccountNotification) -> BankTransactionCode:
    """Return the code of a cross-border credit transfer, issued or received."""
    issued = notification.direction is CreditDebit.DBIT
    return BankTransactionCode(
        TransactionDomain.PMNT,
        TransactionFamily.ICDT if issued else TransactionFamily.RCDT,
        TransactionSubFamily.XBCT,
    )


_NOTIFIED_PAYMENT: Final = within(
    "TxDtls",
    within(
        "Refs",
        derived("AcctSvcrRef", REFERENCE, lambda held: held.account_servicer_reference),
        optional("PmtInfId", "payment_information_id", REFERENCE),
        optional("InstrId", "instruction_id", REFERENCE),
        needed("EndToEndId", "end_to_end_id", REFERENCE),
        needed("UETR", "uetr", UETR),
        optional("TxId", "transaction_id", REFERENCE),
    ),
    derived("Amt", AMOUNT, lambda held: held.amount),
    derived("CdtDbtInd", code(CreditDebit), lambda held: held.direction),
    _AMOUNT_DETAILS,
    _charges(record(Charge, *_TAKEN, needed("Agt", "agent", AGENT))),
    within(
        "RltdPties",
        within("Dbtr", needed("Pty", "debtor", PARTY)),
        needed("DbtrAcct", "debtor_account", ACCOUNT),
        within("Cdtr", needed("Pty", "creditor", PARTY)),
        needed("CdtrAcct", "creditor_account", ACCOUNT),
    ),
    within(
        "RltdAgts",
        needed("DbtrAgt", "debtor_agent", AGENT),
        needed("CdtrAgt", "creditor_agent", AGENT),
    ),
    REMITTANCE,
)

ACCOUNT_NOTIFICATION: Final = Layout(
    MessageName.ACCOUNT_NOTIFICATION,
    AccountNotification,
    "BkToCstmrDbtCdtNtfctn",
    record(
        AccountNotification,
        within("GrpHdr", MESSAGE_ID, CREATED_AT),
        within(
            "Ntfctn",
            needed("Id", "notification_id", REFERENCE),
            derived("CreDtTm", MOMENT, lambda held: held.created_at),
            within(
                "Acct",
                embedded("account", ACCOUNT),
                derived("Ccy", CURRENCY, lambda held: held.amount.currency),
                needed("Ownr", "owner", PARTY),
                needed("Svcr", "servicer", AGENT),
            ),
            within(
                "Ntry",
                needed("Amt", "amount", PAYABLE),
                _DIRECTION,
                within("Sts", constant("Cd", EntryStatus.BOOK)),
                _dated("BookgDt", "booking_date"),
                _dated("ValDt", "value_date"),
                needed("AcctSvcrRef", "account_servicer_reference", REFERENCE),
                derived("BkTxCd", _CODE, _code_of),
                within("NtryDtls", _NOTIFIED_PAYMENT),
            ),
        ),
    ),
)
