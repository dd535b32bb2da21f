"""The shapes of requests and answers. Requests refuse unknown fields; texts have bounded lengths.

Amounts are decimal text with their currency; minor units and integers stay inside. Shapes are
checked here, identifiers and texts by the same parsers that check them in ISO 20022 messages, so
that the two ways to instruct a payment accept the same.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from bridge.api.shapes import AnswerShape, RequestShape
from bridge.errors import Rejected, RequestInvalid, ZeroAmount
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.identifiers import (
    ACCOUNT_CHARACTERS_MAX,
    ADDRESS_NUMBER_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    REFERENCE_CHARACTERS_MAX,
    REMITTANCE_CHARACTERS_MAX,
    STREET_CHARACTERS_MAX,
    TOWN_CHARACTERS_MAX,
    parse_bic,
    parse_country,
    parse_iban,
    parse_reference,
    parse_text,
    parse_uetr,
)
from bridge.iso20022.messages import (
    AccountIdentification,
    Agent,
    Party,
    PaymentInstruction,
    PostalAddress,
)
from bridge.money import Amount, parse_currency
from bridge.store import Customer

_Value = TypeVar("_Value")


def _at(path: str, parse: Callable[[str], _Value], text: str) -> _Value:
    """What the parser makes of a text; its refusal then names the field."""
    try:
        return parse(text)
    except Rejected as error:
        raise error.at(path) from error


def _text_at(path: str, text: str | None, characters_max: int) -> str | None:
    if text is None:
        return None
    return _at(path, lambda given: parse_text(given, characters_max), text)


class AmountBody(RequestShape):
    """An amount of money: decimal text and its ISO 4217 currency."""

    value: Annotated[str, Field(max_length=20, examples=["1000.00"])]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["SGD"])]

    def read(self, path: str = "amount") -> Amount:
        """The amount, above zero; raises the money errors, naming the field."""
        currency = _at(f"{path}.currency", parse_currency, self.currency)
        amount = _at(f"{path}.value", lambda text: Amount.parse(text, currency), self.value)
        if not amount:
            raise ZeroAmount(currency.code).at(f"{path}.value")
        return amount


class AccountBody(RequestShape):
    """An account: an IBAN, or an account number of another scheme; exactly one."""

    iban: Annotated[str, Field(max_length=34)] | None = None
    other: Annotated[str, Field(max_length=ACCOUNT_CHARACTERS_MAX)] | None = None

    def read(self, path: str) -> AccountIdentification:
        """The account; raises `InvalidIban`, `InvalidText`, `RequestInvalid`."""
        if (self.iban is None) == (self.other is None):
            raise RequestInvalid("either iban or other is expected").at(path)
        if self.iban is not None:
            return AccountIdentification(iban=_at(f"{path}.iban", parse_iban, self.iban))
        other = _text_at(f"{path}.other", self.other, ACCOUNT_CHARACTERS_MAX)
        return AccountIdentification(other=other)


class AddressBody(RequestShape):
    """A structured postal address; town and country at least."""

    town: Annotated[str, Field(max_length=TOWN_CHARACTERS_MAX)]
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    street: Annotated[str, Field(max_length=STREET_CHARACTERS_MAX)] | None = None
    building_number: Annotated[str, Field(max_length=ADDRESS_NUMBER_CHARACTERS_MAX)] | None = None
    post_code: Annotated[str, Field(max_length=ADDRESS_NUMBER_CHARACTERS_MAX)] | None = None

    def read(self, path: str) -> PostalAddress:
        """The address; raises `InvalidText`, `InvalidCountry`."""
        number = ADDRESS_NUMBER_CHARACTERS_MAX
        return PostalAddress(
            town=_at(f"{path}.town", lambda text: parse_text(text, TOWN_CHARACTERS_MAX), self.town),
            country=_at(f"{path}.country", parse_country, self.country),
            street=_text_at(f"{path}.street", self.street, STREET_CHARACTERS_MAX),
            building_number=_text_at(f"{path}.building_number", self.building_number, number),
            post_code=_text_at(f"{path}.post_code", self.post_code, number),
        )


class PartyBody(RequestShape):
    """A customer of another bank."""

    name: Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)]
    address: AddressBody

    def read(self, path: str) -> Party:
        """The party; raises `InvalidText`, `InvalidCountry`."""
        name = _at(f"{path}.name", lambda text: parse_text(text, NAME_CHARACTERS_MAX), self.name)
        return Party(name=name, address=self.address.read(f"{path}.address"))


class AgentBody(RequestShape):
    """A bank, by its BIC."""

    bic: Annotated[str, Field(max_length=11)]


class TransferBody(RequestShape):
    """What every payment says, whenever it is to be made. `amount` is what is instructed; what the
    creditor's bank receives differs from it by the charge bearer (DEBT more, CRED less).
    """

    end_to_end_id: Annotated[str, Field(max_length=REFERENCE_CHARACTERS_MAX)]
    debtor_account: AccountBody
    creditor: PartyBody
    creditor_account: AccountBody
    creditor_agent: AgentBody
    amount: AmountBody
    charge_bearer: ChargeBearer = ChargeBearer.SHAR
    remittance_information: Annotated[str, Field(max_length=REMITTANCE_CHARACTERS_MAX)] | None = (
        None
    )

    def read(
        self, customer: Customer, debtor_agent: Agent, *, key: str, now: int, day: date
    ) -> PaymentInstruction:
        """The instruction that a pain.001 would hold, for a day; raises the parsers' errors."""
        reference = hashlib.sha256(key.encode()).hexdigest()[:REFERENCE_CHARACTERS_MAX]
        bic = _at("creditor_agent.bic", parse_bic, self.creditor_agent.bic)
        return PaymentInstruction(
            message_id=reference,
            created_at=datetime.fromtimestamp(now, UTC),
            payment_information_id=reference,
            instruction_id=None,
            end_to_end_id=_at("end_to_end_id", parse_reference, self.end_to_end_id),
            uetr=None,
            requested_execution_date=day,
            debtor=Party(name=customer.name, address=customer.address),
            debtor_account=self.debtor_account.read("debtor_account"),
            debtor_agent=debtor_agent,
            creditor=self.creditor.read("creditor"),
            creditor_account=self.creditor_account.read("creditor_account"),
            creditor_agent=Agent(bic=bic),
            instructed_amount=self.amount.read(),
            charge_bearer=self.charge_bearer,
            remittance_information=_text_at(
                "remittance_information", self.remittance_information, REMITTANCE_CHARACTERS_MAX
            ),
        )


class QuotationOrder(TransferBody):
    """A payment whose price a customer asks for."""

    requested_execution_date: date
    uetr: Annotated[str, Field(max_length=36)] | None = None

    def instruction(
        self, customer: Customer, debtor_agent: Agent, *, key: str, now: int
    ) -> PaymentInstruction:
        """The order as the instruction that a pain.001 would hold; raises the parsers' errors."""
        uetr = None if self.uetr is None else _at("uetr", parse_uetr, self.uetr)
        day = self.requested_execution_date
        return replace(self.read(customer, debtor_agent, key=key, now=now, day=day), uetr=uetr)


class PaymentOrder(QuotationOrder):
    """A payment that a customer asks for, at the price of a quotation where one is named."""

    quotation_id: Annotated[str, Field(pattern=r"^quo_[0-9a-f]{32}$")] | None = None


class IssuanceOrder(RequestShape):
    """An order to turn reserves into tokens, or tokens into reserves."""

    amount: AmountBody


class AmountView(AnswerShape):
    """An amount of money."""

    value: str
    currency: str


class PaymentView(AnswerShape):
    """A payment as its customer sees it; what it cost is known to the debtor's bank only."""

    id: str
    direction: Literal["outgoing", "incoming"]
    status: str
    iso_status: str
    reason: str | None
    uetr: str
    end_to_end_id: str
    amount: AmountView
    debit: AmountView | None
    principal: AmountView | None
    fee: AmountView | None
    creditor_charge: AmountView | None
    rate: str | None
    settlement_id: str
    transaction_hash: str | None
    block: int | None
    accept_by: int
    settle_by: int
    created_at: int
    return_of: str | None
    return_reason: str | None


class ScheduledPaymentView(AnswerShape):
    """A payment taken for a later day: its id is that of a standing order that falls due once, its
    UETR the one that it will have.
    """

    id: str
    status: Literal["scheduled"]
    iso_status: str
    uetr: str
    end_to_end_id: str
    amount: AmountView
    execution_date: date
    created_at: int


class PaymentPage(AnswerShape):
    """Payments, newest first; `next` is the cursor of the page that follows."""

    items: tuple[PaymentView, ...]
    next: str | None


class InstructionResult(BaseModel):
    """What became of one instruction of a message: a payment, or the refusal's code and reason."""

    model_config = ConfigDict(extra="allow")

    end_to_end_id: str
    result: Literal["accepted", "refused"]


class InitiationView(AnswerShape):
    """What became of a message with instructions."""

    message_id: str
    payments: tuple[InstructionResult, ...]


class MessageView(AnswerShape):
    """An ISO 20022 message of a payment; its XML is behind its id."""

    id: str
    name: str
    direction: Literal["in", "out"]
    created_at: int


class MessageList(AnswerShape):
    """The messages of a payment, in the order they were kept."""

    items: tuple[MessageView, ...]


class AccountView(AnswerShape):
    """A customer's account with its balances."""

    id: str
    scheme: Literal["iban", "other"]
    identification: str
    currency: str
    status: Literal["open", "closed", "frozen"]
    ledger: AmountView
    available: AmountView


class AccountList(AnswerShape):
    """A customer's accounts, by identification."""

    items: tuple[AccountView, ...]


class LedgerAccountView(AnswerShape):
    """One account of the institution's ledger with its balances."""

    id: str
    type: Literal["asset", "liability", "equity", "income", "expense"]
    owner: str | None
    ledger: AmountView
    available: AmountView


class LedgerAccountList(AnswerShape):
    """Every account of the ledger, by id."""

    items: tuple[LedgerAccountView, ...]


class IssuanceView(AnswerShape):
    """An issuance or redemption as it stands."""

    reference: str
    participant: str
    amount: AmountView
    status: str
    reason: str | None
    transaction_hash: str | None
    created_at: int


class ProblemView(AnswerShape):
    """An error (RFC 9457), with this API's own members. A remembered refusal has no trace id."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    retryable: bool
    reason: str | None
    path: str | None
    trace_id: str | None = None
    payments: tuple[InstructionResult, ...] | None = None
