"""The guards before a customer's instruction: whose it is, where it goes, and on which day.

Each fault has its name; the first in the documented order is the answer. Nothing is written here.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bridge.business_days import Calendars, Execution
from bridge.chain import Participant
from bridge.config import Settings
from bridge.errors import (
    AgentUnknown,
    ChargeBearerUnsupported,
    CreditorAccountBlocked,
    CreditorAccountUnknown,
    CreditorIsDebtor,
    CurrencyUnsupported,
    CustomerAccountBlocked,
    CustomerAccountUnknown,
    CutOffPassed,
    DebtorMismatch,
    ExecutionDateUnsupported,
    OnUsExchangeUnsupported,
    WrongAgent,
)
from bridge.institution import Institution, is_same_bic
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.messages import Party, PaymentInstruction
from bridge.store import Customer, CustomerAccount, CustomerAccountStatus

EXECUTION_DAYS_MAX: Final = 366
"""How far ahead a payment may be instructed."""

BOOKED_BEARERS: Final = frozenset({ChargeBearer.SHAR, ChargeBearer.DEBT, ChargeBearer.CRED})
"""Charge bearers whose charges this bank can book; SLEV would need a service level."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where an instruction goes: from which account to which bank.

    `creditor_account` is the account credited when that bank is this one.
    """

    account: CustomerAccount
    creditor_bank: Participant
    creditor_account: CustomerAccount | None = None


def find_route(
    institution: Institution, client: Customer, instruction: PaymentInstruction
) -> Route:
    """The route, once every guard has let the instruction pass.

    They stand in their order of precedence: agents, account, debtor, charge bearer, currency, and
    for a creditor at this same bank their account.
    """
    if not is_same_bic(instruction.debtor_agent.bic, institution.settings.bic):
        raise WrongAgent(instruction.debtor_agent.bic)
    creditor_bank = _find_creditor_bank(institution, instruction)
    with institution.store.reading() as work:
        account = work.customers.by_identification(instruction.debtor_account.text)
        creditor = work.customers.by_identification(instruction.creditor_account.text)
    if account is None or account.customer_id != client.customer_id:
        raise CustomerAccountUnknown(instruction.debtor_account.text)
    if instruction.debtor != debtor_of(client):
        raise DebtorMismatch
    if account.status is not CustomerAccountStatus.OPEN:
        raise CustomerAccountBlocked(account.identification, account.status.value)
    if instruction.charge_bearer not in BOOKED_BEARERS:
        raise ChargeBearerUnsupported(instruction.charge_bearer.value)
    if instruction.instructed_amount.currency.code not in institution.chain.currencies():
        raise CurrencyUnsupported(instruction.instructed_amount.currency.code)
    if creditor_bank.lei != institution.lei:
        return Route(account=account, creditor_bank=creditor_bank)
    return Route(account, creditor_bank, _check_on_us(instruction, account, creditor))


def debtor_of(client: Customer) -> Party:
    """The customer as the bank vouches for them in messages."""
    return Party(name=client.name, address=client.address)


def calendars_of(settings: Settings, *codes: str) -> Calendars:
    """The calendars of some currencies, each once."""
    return Calendars(tuple(settings.calendar_of(code) for code in dict.fromkeys(codes)))


def plan_execution(
    settings: Settings, route: Route, instruction: PaymentInstruction, *, now: int
) -> Execution:
    """When an instruction taken at the UTC second `now` is executed.

    Raises `ExecutionDateUnsupported` for a day that is past or too far ahead, `CutOffPassed` where
    the settings refuse what would move to a later business day than requested, and
    `CalendarYearUnknown`.
    """
    calendars = calendars_of(
        settings, route.account.currency, instruction.instructed_amount.currency.code
    )
    requested, today = instruction.requested_execution_date, calendars.today(now)
    if requested < today:
        raise ExecutionDateUnsupported(requested.isoformat(), "it is past")
    if requested > today + timedelta(days=EXECUTION_DAYS_MAX):
        rule = f"at most {EXECUTION_DAYS_MAX} days ahead"
        raise ExecutionDateUnsupported(requested.isoformat(), rule)
    execution = calendars.execution(now, requested)
    if settings.after_cut_off == "refuse" and execution.value_date != requested:
        raise CutOffPassed(requested.isoformat(), execution.value_date.isoformat())
    return execution


def _find_creditor_bank(institution: Institution, instruction: PaymentInstruction) -> Participant:
    directory = institution.directory()
    if is_same_bic(instruction.creditor_agent.bic, institution.settings.bic):
        return directory.by_lei(institution.lei)
    creditor_bank = directory.find_bank(instruction.creditor_agent.bic)
    if creditor_bank is None:
        raise AgentUnknown(instruction.creditor_agent.bic)
    return creditor_bank


def _check_on_us(
    instruction: PaymentInstruction, account: CustomerAccount, creditor: CustomerAccount | None
) -> CustomerAccount:
    currency = instruction.instructed_amount.currency.code
    if creditor is None:
        raise CreditorAccountUnknown(instruction.creditor_account.text)
    if creditor.status is not CustomerAccountStatus.OPEN:
        raise CreditorAccountBlocked(creditor.identification, creditor.status.value)
    if not account.currency == creditor.currency == currency:
        raise OnUsExchangeUnsupported(account.currency, creditor.currency)
    if creditor.account_id == account.account_id:
        raise CreditorIsDebtor(account.identification)
    return creditor
