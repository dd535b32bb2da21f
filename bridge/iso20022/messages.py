"""The messages of the bridge as frozen values, named in its own words.

Only what the bridge acts upon or must pass on stands here; the XML names are in
`docs/reference/messages.md`. Times are aware and in UTC. Texts have been checked by
`identifiers` when they come from `parse`; whoever builds a message from elsewhere checks them
there first, since `format` treats a message that our own parser would refuse as our own fault.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from bridge.errors import AccountAmbiguous
from bridge.iso20022.codes import (
    ChargeBearer,
    CreditDebit,
    GroupStatus,
    MessageName,
    StatusReason,
    TransactionStatus,
    TransferPurpose,
)
from bridge.iso20022.identifiers import Bic, Country, Iban, Lei, Uetr
from bridge.money import Amount, Currency, Rate


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """An address, structured or with up to two lines; town and country are always known."""

    town: str
    country: Country
    street: str | None = None
    building_number: str | None = None
    post_box: str | None = None
    post_code: str | None = None
    country_subdivision: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """A customer, or whoever sent a message; an organisation may have an LEI."""

    name: str
    address: PostalAddress | None = None
    lei: Lei | None = None


@dataclass(frozen=True, slots=True)
class AccountIdentification:
    """A customer's account: an IBAN, or an account number of another scheme; exactly one."""

    iban: Iban | None = None
    other: str | None = None

    def __post_init__(self) -> None:
        """Keep the choice exclusive."""
        if (self.iban is None) == (self.other is None):
            raise AccountAmbiguous

    @property
    def text(self) -> str:
        """Return the number, whichever scheme it is of."""
        return self.iban or self.other or ""


@dataclass(frozen=True, slots=True)
class Agent:
    """A bank, by its BIC and, where known, its LEI."""

    bic: Bic
    lei: Lei | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What one agent took for its service."""

    amount: Amount
    agent: Agent


@dataclass(frozen=True, slots=True)
class CurrencyExchange:
    """An exchange: one unit of `source` bought `rate` units of `target`."""

    source: Currency
    target: Currency
    rate: Rate


@dataclass(frozen=True, slots=True)
class PaymentInstruction:
    """One payment that a customer asks for: one transfer of a pain.001, with its group's data."""

    message_id: str
    created_at: datetime
    payment_information_id: str
    instruction_id: str | None
    end_to_end_id: str
    uetr: Uetr | None
    requested_execution_date: date
    debtor: Party
    debtor_account: AccountIdentification
    debtor_agent: Agent
    creditor: Party
    creditor_account: AccountIdentification
    creditor_agent: Agent
    instructed_amount: Amount
    charge_bearer: ChargeBearer
    remittance_information: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerCreditTransferInitiation:
    """A pain.001: the payments one customer asks for in one message."""

    message_id: str
    created_at: datetime
    initiating_party: Party
    instructions: tuple[PaymentInstruction, ...]


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """A pacs.008 with its one payment, from the debtor agent towards the creditor agent.

    `exchange_rate` stands exactly where the instructed amount is in another currency than the
    interbank settlement amount: units of the settlement currency per instructed unit.
    """

    message_id: str
    created_at: datetime
    instruction_id: str | None
    end_to_end_id: str
    transaction_id: str
    uetr: Uetr
    interbank_settlement_amount: Amount
    interbank_settlement_date: date
    instructed_amount: Amount | None
    exchange_rate: Rate | None
    charge_bearer: ChargeBearer
    charges: tuple[Charge, ...]
    instructing_agent: Agent
    instructed_agent: Agent
    debtor: Party
    debtor_account: AccountIdentification
    debtor_agent: Agent
    creditor: Party
    creditor_account: AccountIdentification
    creditor_agent: Agent
    remittance_information: str | None = None


@dataclass(frozen=True, slots=True)
class FinancialInstitutionTransfer:
    """A pacs.009: money that one institution owes another on its own behalf, as in funding.

    Debtor and creditor are institutions; the agents are who keeps their accounts.
    """

    message_id: str
    created_at: datetime
    end_to_end_id: str
    transaction_id: str
    uetr: Uetr
    interbank_settlement_amount: Amount
    interbank_settlement_date: date
    instructing_agent: Agent
    instructed_agent: Agent
    debtor: Agent
    creditor: Agent
    instruction_id: str | None = None
    debtor_account: AccountIdentification | None = None
    debtor_agent: Agent | None = None
    creditor_agent: Agent | None = None
    creditor_account: AccountIdentification | None = None
    purpose: TransferPurpose | None = None
    remittance_information: str | None = None


@dataclass(frozen=True, slots=True)
class InstructedPaymentStatus:
    """Where one payment of a customer's message stands; a refusal always has its reason."""

    end_to_end_id: str
    status: TransactionStatus
    reason: StatusReason | None = None
    reason_text: str | None = None
    status_id: str | None = None
    instruction_id: str | None = None
    uetr: Uetr | None = None
    account_servicer_reference: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentGroupStatus:
    """The payments of one group (PmtInf) of a customer's message."""

    payment_information_id: str
    payments: tuple[InstructedPaymentStatus, ...]


@dataclass(frozen=True, slots=True)
class CustomerStatusReport:
    """A pain.002: what became of each payment of one pain.001."""

    message_id: str
    created_at: datetime
    original_message_id: str
    original_message_name: MessageName
    groups: tuple[PaymentGroupStatus, ...]
    status: GroupStatus | None = None
    debtor_agent: Agent | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A pacs.002 on one payment; a rejection or cancellation always has its reason."""

    message_id: str
    created_at: datetime
    original_message_id: str
    original_message_name: MessageName
    original_end_to_end_id: str
    uetr: Uetr
    status: TransactionStatus
    reason: StatusReason | None = None
    reason_text: str | None = None
    original_instruction_id: str | None = None
    original_transaction_id: str | None = None
    effective_settlement_date: date | None = None
    instructing_agent: Agent | None = None
    instructed_agent: Agent | None = None


@dataclass(frozen=True, slots=True)
class AccountNotification:
    """A camt.054 on one booked entry of a customer's account.

    `amount` is what the balance changed by, charges included; `instructed_amount` and `exchange`
    tell how it came about when the customer instructed another currency.
    """

    message_id: str
    created_at: datetime
    notification_id: str
    account: AccountIdentification
    owner: Party
    servicer: Agent
    direction: CreditDebit
    amount: Amount
    booking_date: date
    value_date: date
    account_servicer_reference: str
    end_to_end_id: str
    uetr: Uetr
    debtor: Party
    debtor_account: AccountIdentification
    debtor_agent: Agent
    creditor: Party
    creditor_account: AccountIdentification
    creditor_agent: Agent
    instruction_id: str | None = None
    transaction_id: str | None = None
    payment_information_id: str | None = None
    instructed_amount: Amount | None = None
    exchange: CurrencyExchange | None = None
    charges: tuple[Charge, ...] = ()
    remittance_information: str | None = None


@dataclass(frozen=True, slots=True)
class InstructionStamp:
    """Fresh references for one payment of a message that is sent anew."""

    end_to_end_id: str
    uetr: Uetr


def restamp(
    initiation: CustomerCreditTransferInitiation,
    *,
    message_id: str,
    created_at: datetime,
    requested_execution_date: date,
    stamps: tuple[InstructionStamp, ...],
) -> CustomerCreditTransferInitiation:
    """Return the same payments as a new message: fresh references, time and execution date.

    `stamps` holds one stamp per instruction, in order.
    """
    instructions = tuple(
        replace(
            instruction,
            message_id=message_id,
            created_at=created_at,
            requested_execution_date=requested_execution_date,
            end_to_end_id=stamp.end_to_end_id,
            uetr=stamp.uetr,
        )
        for instruction, stamp in zip(initiation.instructions, stamps, strict=True)
    )
    return replace(
        initiation, message_id=message_id, created_at=created_at, instructions=instructions
    )
