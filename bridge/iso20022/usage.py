"""The usage rules of the messages that go beyond their schemas; `docs/spec/messages.md` lists them.

Each rule takes the checked element and the value read from it, and raises a `Rejected` or passes.
They follow the CBPR+ usage guidelines where these add to ISO 20022, and say so in the list where
the bridge is narrower.
"""

from collections.abc import Hashable, Iterable
from typing import Final

from bridge.errors import (
    ConflictingElements,
    InvalidCode,
    MissingElement,
    RepeatedReference,
    TooManyElements,
    WrongBalance,
)
from bridge.iso20022.codes import (
    BalanceType,
    CancellationReason,
    ChargeBearer,
    EntryStatus,
    InvestigationStatus,
    MessageName,
    TransactionStatus,
)
from bridge.iso20022.messages import (
    CreditTransfer,
    InstructedPaymentStatus,
    StatusReport,
)
from bridge.iso20022.messages_returns import (
    CancellationRequest,
    InvestigationResolution,
    PaymentReturn,
)
from bridge.iso20022.messages_statements import IntradayReport, Statement
from bridge.iso20022.structure import Checked

BEARERS_BETWEEN_BANKS: Final = (ChargeBearer.DEBT, ChargeBearer.CRED, ChargeBearer.SHAR)
"""Who may bear the charges of an interbank payment; service levels are for one's own customers."""

TRANSFERS: Final = frozenset({MessageName.CREDIT_TRANSFER, MessageName.INSTITUTION_TRANSFER})
"""Messages that move money and may therefore be returned or asked back."""

_UNHAPPY: Final = frozenset({TransactionStatus.RJCT, TransactionStatus.CANC})


def check_exchange(node: Checked, transfer: CreditTransfer) -> None:
    """Refuse a rate without two currencies, and two currencies without a rate."""
    path = f"{node.path}/CdtTrfTxInf"
    instructed = transfer.instructed_amount
    settled = transfer.interbank_settlement_amount.currency
    differ = instructed is not None and instructed.currency != settled
    if differ and transfer.exchange_rate is None:
        raise MissingElement("XchgRate").at(path)
    if transfer.exchange_rate is not None and not differ:
        rule = "XchgRate stands only where InstdAmt is in another currency than IntrBkSttlmAmt"
        raise ConflictingElements(rule).at(f"{path}/XchgRate")


def check_charges(node: Checked, transfer: CreditTransfer) -> None:
    """Refuse charges that do not fit who bears them."""
    path = f"{node.path}/CdtTrfTxInf"
    currency = transfer.interbank_settlement_amount.currency
    bearer, charges = transfer.charge_bearer, transfer.charges
    _check_bearer(bearer, path)
    if bearer is ChargeBearer.SHAR:
        return
    if not charges:
        raise MissingElement("ChrgsInf").at(path)
    if any(charge.amount.currency != currency for charge in charges):
        rule = "charges are in the currency of IntrBkSttlmAmt"
        raise ConflictingElements(rule).at(f"{path}/ChrgsInf")
    if bearer is ChargeBearer.DEBT and len(charges) > 1:
        raise TooManyElements("ChrgsInf", 1).at(path)
    if bearer is ChargeBearer.CRED:
        _check_deduction(transfer, path)


def _check_deduction(transfer: CreditTransfer, path: str) -> None:
    """Refuse charges that the creditor bears and that do not explain what is missing."""
    instructed, settled = transfer.instructed_amount, transfer.interbank_settlement_amount
    if instructed is None:
        raise MissingElement("InstdAmt").at(path)
    taken = sum(charge.amount.minor_units for charge in transfer.charges)
    is_explained = instructed.minor_units - taken == settled.minor_units
    if instructed.currency == settled.currency and not is_explained:
        rule = "with CRED, IntrBkSttlmAmt is InstdAmt less ChrgsInf"
        raise ConflictingElements(rule).at(f"{path}/IntrBkSttlmAmt")


def _check_bearer(bearer: ChargeBearer, path: str) -> None:
    if bearer not in BEARERS_BETWEEN_BANKS:
        raise InvalidCode(bearer, ", ".join(BEARERS_BETWEEN_BANKS)).at(f"{path}/ChrgBr")


def check_status_reason(_: Checked, status: StatusReport | InstructedPaymentStatus) -> None:
    """Refuse a rejection or cancellation that does not say why."""
    if status.reason is None and status.status in _UNHAPPY:
        raise MissingElement("StsRsnInf")


def check_return(node: Checked, given: PaymentReturn) -> None:
    """Refuse a return of more, or of other money, than came less its charges; a part may go back."""
    path = f"{node.path}/TxInf"
    came = given.original_interbank_settlement_amount
    back = given.returned_interbank_settlement_amount
    if given.charge_bearer is not None:
        _check_bearer(given.charge_bearer, path)
    if given.interbank_settlement_date < given.original_interbank_settlement_date:
        rule = "a return settles on the day of the original or later"
        raise ConflictingElements(rule).at(f"{path}/IntrBkSttlmDt")
    if back.currency != came.currency:
        rule = "RtrdIntrBkSttlmAmt is in the currency of OrgnlIntrBkSttlmAmt"
        raise ConflictingElements(rule).at(f"{path}/RtrdIntrBkSttlmAmt")
    if back > came:
        rule = "RtrdIntrBkSttlmAmt is at most OrgnlIntrBkSttlmAmt"
        raise ConflictingElements(rule).at(f"{path}/RtrdIntrBkSttlmAmt")
    taken = [charge.amount for charge in given.charges]
    if any(amount.currency != came.currency for amount in taken):
        rule = "charges are in the currency of RtrdIntrBkSttlmAmt"
        raise ConflictingElements(rule).at(f"{path}/ChrgsInf")
    if sum(amount.minor_units for amount in taken) > (came - back).minor_units:
        rule = "RtrdIntrBkSttlmAmt is at most OrgnlIntrBkSttlmAmt less ChrgsInf"
        raise ConflictingElements(rule).at(f"{path}/RtrdIntrBkSttlmAmt")


def check_original_transfer(
    _: Checked, given: PaymentReturn | CancellationRequest | InvestigationResolution
) -> None:
    """Refuse to return, or to ask back, what is not a transfer of money."""
    name = given.original.message_name
    if name not in TRANSFERS:
        raise InvalidCode(name, ", ".join(sorted(TRANSFERS)))


def check_narrative(
    _: Checked, given: PaymentReturn | CancellationRequest | InvestigationResolution
) -> None:
    """Refuse a reason that promises words without any."""
    reason = given.reason
    if reason is not None and reason == CancellationReason.NARR and given.reason_text is None:
        raise MissingElement("AddtlInf")


def check_resolution(_: Checked, given: InvestigationResolution) -> None:
    """Refuse a rejection or delay without a reason, and a cancellation with one."""
    cancelled = given.status is InvestigationStatus.CNCL
    if cancelled and (given.reason is not None or given.reason_text is not None):
        raise ConflictingElements("CNCL needs no CxlStsRsnInf")
    if not cancelled and given.reason is None:
        raise MissingElement("CxlStsRsnInf")


def check_page_currency(node: Checked, page: Statement | IntradayReport) -> None:
    """Refuse a balance or entry in another currency than the account's."""
    amounts = [balance.amount for balance in page.balances]
    amounts += [entry.amount for entry in page.entries]
    if any(amount.currency != page.currency for amount in amounts):
        raise ConflictingElements(f"balances and entries are in {page.currency}").at(node.path)


def check_page_period(_: Checked, page: Statement | IntradayReport) -> None:
    """Refuse a period that ends before it starts."""
    if page.period_end < page.period_start:
        raise ConflictingElements("FrToDt ends before it starts")


def check_page_references(_: Checked, page: Statement | IntradayReport) -> None:
    """Refuse two entries with one reference of the account servicer."""
    check_unique("AcctSvcrRef", (entry.account_servicer_reference for entry in page.entries))


def check_statement(_: Checked, page: Statement) -> None:
    """Refuse a page whose balances are not the two it lies between, or do not follow from it."""
    if any(entry.status is not EntryStatus.BOOK for entry in page.entries):
        raise InvalidCode(EntryStatus.PDNG, EntryStatus.BOOK)
    if page.balances[0].balance_type is not BalanceType.OPBD:
        raise ConflictingElements("the first balance is OPBD")
    if page.balances[-1].balance_type is not BalanceType.CLBD:
        raise ConflictingElements("the last balance is CLBD")
    if any(
        each.balance_type in {BalanceType.OPBD, BalanceType.CLBD} for each in page.balances[1:-1]
    ):
        raise ConflictingElements("OPBD and CLBD stand once each")
    opening, closing = page.balances[0], page.balances[-1]
    if opening.is_interim != (page.page.number > 1) or closing.is_interim == page.page.is_last:
        raise ConflictingElements("a balance between two pages, and no other, is INTM")
    total = opening.signed.minor_units + sum(each.signed.minor_units for each in page.entries)
    if total != closing.signed.minor_units:
        raise WrongBalance(closing.signed.minor_units, total, page.currency.code)


def check_unique(name: str, references: Iterable[Hashable]) -> None:
    """Refuse a reference that stands twice."""
    seen: set[Hashable] = set()
    for reference in references:
        if reference in seen:
            raise RepeatedReference(name, str(reference))
        seen.add(reference)
