"""Every way the bridge can fail, as one tree.

    BridgeError
    |- Rejected          the caller's fault: nothing happened and a retry will not help
    |  |- RejectedMessage    an ISO 20022 message that is refused as a whole, named below
    |  `- ...                one leaf per fault
    |- Unavailable       somebody else's trouble: a retry may help
    `- InvariantBroken   our own fault: stop

A leaf names the fault, carries the offending values as attributes and one message template that
is filled from them. A `Rejected` has a stable `code` (part of the API) and, where ISO 20022 knows
the fault, a `reason` of the external status reason code set. `path` says where in a message the
fault stands, when it stands in one.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

ERROR_VALUE_CHARACTERS_MAX = 80


class BridgeError(Exception):
    """The root of the tree; never raised itself."""

    message: ClassVar[str] = "something failed"

    def __str__(self) -> str:
        """Fill the leaf's message template with its attributes, long values cut."""
        values = {name: _shown(value) for name, value in vars(self).items()}
        return self.message.format_map(values)


class Rejected(BridgeError):
    """The caller asked for something that is refused; nothing was changed."""

    code: ClassVar[str] = "rejected"
    reason: ClassVar[str | None] = None
    path: str | None = None

    def at(self, path: str) -> Self:
        """Return this error, now saying where in the message the fault stands."""
        if self.path is None:
            self.path = path
        return self

    def __str__(self) -> str:
        """Add the place in the message, when the fault stands in one."""
        text = BridgeError.__str__(self)
        return text if self.path is None else f"{text} (at {self.path})"


class Unavailable(BridgeError):
    """Another system did not answer or is not ready; the same request may succeed later."""

    code: ClassVar[str] = "unavailable"


class InvariantBroken(BridgeError):
    """The bridge found itself in a state that must not exist; it stops rather than guess."""

    code: ClassVar[str] = "invariant_broken"


def _shown(value: object) -> str:
    text = str(value)
    if len(text) <= ERROR_VALUE_CHARACTERS_MAX:
        return text
    return text[:ERROR_VALUE_CHARACTERS_MAX] + "..."


# Money


@dataclass(eq=False)
class UnknownCurrency(Rejected):
    """The code is not an active ISO 4217 currency."""

    code = "unknown_currency"
    reason = "AM11"
    message = "'{text}' is not an active ISO 4217 currency code"
    text: str


@dataclass(eq=False)
class InvalidAmount(Rejected):
    """The text is not a plain decimal number, or has a sign where none may stand."""

    code = "invalid_amount"
    reason = "AM12"
    message = "'{text}' is not an amount: {rule}"
    text: str
    rule: str


@dataclass(eq=False)
class TooManyDecimals(Rejected):
    """The amount has more decimals than its currency."""

    code = "too_many_decimals"
    reason = "AM12"
    message = "{text} {currency} has more than the {decimals} decimals of the currency"
    text: str
    currency: str
    decimals: int


@dataclass(eq=False)
class AmountOutOfRange(Rejected):
    """The amount, or the result of a calculation, is larger than an amount may be."""

    code = "amount_out_of_range"
    reason = "AM12"
    message = "{minor_units} minor units of {currency} are beyond the largest amount"
    minor_units: int
    currency: str


@dataclass(eq=False)
class ZeroAmount(Rejected):
    """An amount of zero where money must move."""

    code = "zero_amount"
    reason = "AM01"
    message = "an amount of zero {currency} moves nothing"
    currency: str


@dataclass(eq=False)
class InvalidRate(Rejected):
    """The text or number is not an exchange rate that can be stated exactly."""

    code = "invalid_rate"
    reason = "FF01"
    message = "'{text}' is not an exchange rate: {rule}"
    text: str
    rule: str


@dataclass(eq=False)
class CurrenciesMixed(InvariantBroken):
    """Two currencies met in one sum or comparison."""

    message = "amounts of {left} and {right} cannot be combined"
    left: str
    right: str


# Identifiers and text


class AccountAmbiguous(InvariantBroken):
    """An account was built with both an IBAN and another number, or with neither."""

    message = "an account has either an IBAN or another number"


@dataclass(eq=False)
class InvalidIban(Rejected):
    """The IBAN has a wrong country, length, structure or check digits."""

    code = "invalid_iban"
    reason = "AC01"
    message = "'{text}' is not an IBAN: {rule}"
    text: str
    rule: str


@dataclass(eq=False)
class InvalidBic(Rejected):
    """The text has not the shape of a BIC, or names no country."""

    code = "invalid_bic"
    reason = "RC01"
    message = "'{text}' is not a BIC"
    text: str


@dataclass(eq=False)
class InvalidLei(Rejected):
    """The text has not the shape of an LEI, or its check digits are wrong."""

    code = "invalid_lei"
    reason = "FF01"
    message = "'{text}' is not an LEI: {rule}"
    text: str
    rule: str


@dataclass(eq=False)
class InvalidUetr(Rejected):
    """The text is not a UUID of version 4 in lower case."""

    code = "invalid_uetr"
    reason = "FF01"
    message = "'{text}' is not a UETR (a version 4 UUID in lower case)"
    text: str


@dataclass(eq=False)
class InvalidCountry(Rejected):
    """The text is not an ISO 3166 country code."""

    code = "invalid_country"
    reason = "FF01"
    message = "'{text}' is not an ISO 3166 country code"
    text: str


@dataclass(eq=False)
class InvalidText(Rejected):
    """The text is empty, too long, or holds characters that may not stand there."""

    code = "invalid_text"
    reason = "FF01"
    message = "'{text}' cannot stand here: {rule}"
    text: str
    rule: str


@dataclass(eq=False)
class InvalidCode(Rejected):
    """The code is not one of those accepted here."""

    code = "invalid_code"
    reason = "FF01"
    message = "'{text}' is not one of: {accepted}"
    text: str
    accepted: str


@dataclass(eq=False)
class InvalidDate(Rejected):
    """The text is not an ISO 8601 date, or not a date and time with its offset from UTC."""

    code = "invalid_date"
    reason = "DT01"
    message = "'{text}' is not {wanted}"
    text: str
    wanted: str


# Messages


class RejectedMessage(Rejected):
    """The message as a whole cannot be read; nothing of it is acted upon."""

    code = "rejected_message"
    reason = "FF01"


@dataclass(eq=False)
class MessageTooLarge(RejectedMessage):
    """The message has more bytes than one may have."""

    code = "message_too_large"
    message = "the message has {size} bytes, at most {limit} are read"
    size: int
    limit: int


@dataclass(eq=False)
class MalformedMessage(RejectedMessage):
    """The bytes are not well-formed XML in UTF-8."""

    code = "malformed_message"
    message = "the message is not well-formed XML in UTF-8: {detail}"
    detail: str


@dataclass(eq=False)
class ForbiddenMarkup(RejectedMessage):
    """The XML holds a document type, an entity, a comment or a processing instruction."""

    code = "forbidden_markup"
    message = "the message holds {markup}, which is never read"
    markup: str


@dataclass(eq=False)
class MessageTooDeep(RejectedMessage):
    """The XML nests deeper than any message does."""

    code = "message_too_deep"
    message = "the message nests deeper than {limit} elements"
    limit: int


@dataclass(eq=False)
class UnknownMessage(RejectedMessage):
    """The root element or its namespace is not a message and version accepted here."""

    code = "unknown_message"
    message = "'{name}' is not a message accepted here: {accepted}"
    name: str
    accepted: str


@dataclass(eq=False)
class UnknownElement(RejectedMessage):
    """An element or attribute that is not part of the accepted subset stands in the message."""

    code = "unknown_element"
    message = "'{name}' is not accepted here"
    name: str


@dataclass(eq=False)
class MisplacedElement(RejectedMessage):
    """A known element stands in the wrong order."""

    code = "misplaced_element"
    message = "'{name}' stands too late, it belongs before '{before}'"
    name: str
    before: str


@dataclass(eq=False)
class MissingElement(RejectedMessage):
    """An element or attribute that must be present is absent."""

    code = "missing_element"
    message = "'{name}' is missing"
    name: str


@dataclass(eq=False)
class TooManyElements(RejectedMessage):
    """An element stands more often than it may."""

    code = "too_many_elements"
    message = "'{name}' stands more than {limit} times"
    name: str
    limit: int


@dataclass(eq=False)
class ConflictingElements(RejectedMessage):
    """Elements that are each well formed contradict one another."""

    code = "conflicting_elements"
    message = "{rule}"
    rule: str


@dataclass(eq=False)
class WrongInstructionCount(RejectedMessage):
    """The number of payments stated differs from the number present."""

    code = "wrong_instruction_count"
    reason = "AM18"
    message = "{stated} payments are stated, {counted} are present"
    stated: str
    counted: int


@dataclass(eq=False)
class WrongControlSum(RejectedMessage):
    """The control sum stated differs from the sum of the amounts."""

    code = "wrong_control_sum"
    reason = "AM10"
    message = "the control sum is stated as {stated}, the amounts add up to {summed}"
    stated: str
    summed: str


@dataclass(eq=False)
class WrongBalance(RejectedMessage):
    """The closing balance of a statement's page does not follow from its entries."""

    code = "wrong_balance"
    reason = "AM10"
    message = "the closing balance is {stated} minor units of {currency}, its entries give {due}"
    stated: int
    due: int
    currency: str


@dataclass(eq=False)
class RepeatedReference(RejectedMessage):
    """One message uses a reference twice that must be unique in it."""

    code = "repeated_reference"
    reason = "AM05"
    message = "{name} '{text}' stands twice in one message"
    name: str
    text: str


@dataclass(eq=False)
class NotCommittable(InvariantBroken):
    """A value was to be committed to that has no canonical form, or a salt of a wrong length."""

    message = "no commitment can be made with {what}"
    what: str


@dataclass(eq=False)
class UnsendableMessage(InvariantBroken):
    """A message we were about to send would be refused by our own parser."""

    message = "a {name} of ours would be refused: {detail}"
    name: str
    detail: str


# Ledger


@dataclass(eq=False)
class AccountUnknown(Rejected):
    """No ledger account has this id."""

    code = "account_unknown"
    reason = "AC01"
    message = "no ledger account '{account_id}'"
    account_id: str


@dataclass(eq=False)
class InsufficientFunds(Rejected):
    """The entry would take an account below zero."""

    code = "insufficient_funds"
    reason = "AM04"
    message = "'{account_id}' has {available} available, {needed} needed"
    account_id: str
    available: str
    needed: str


@dataclass(eq=False)
class EntryInvalid(InvariantBroken):
    """A journal entry of ours does not balance or is no entry at all."""

    message = "journal entry '{entry_id}' is refused: {rule}"
    entry_id: str
    rule: str


@dataclass(eq=False)
class EntryNotPending(InvariantBroken):
    """A posted entry was to be posted or voided."""

    message = "journal entry '{entry_id}' was never pending"
    entry_id: str


@dataclass(eq=False)
class HoldUnusable(Rejected):
    """A hold cannot be placed like this, or has ended, or holds less than is wanted of it."""

    code = "hold_unusable"
    message = "hold '{hold_id}': {rule}"
    hold_id: str
    rule: str


@dataclass(eq=False)
class EntryNotExpired(InvariantBroken):
    """A pending entry was to expire before its time, or has none: only proof may end it."""

    message = "journal entry '{entry_id}' has not expired at {at}"
    entry_id: str
    at: int


@dataclass(eq=False)
class EntryLinked(InvariantBroken):
    """An entry of a linked unit was to be resolved by itself."""

    message = "journal entry '{entry_id}' is resolved only with all that is linked as '{link_id}'"
    entry_id: str
    link_id: str


@dataclass(eq=False)
class UnitInvalid(Rejected):
    """A unit that is no money was given a currency's code, no word, or too many decimals."""

    code = "unit_invalid"
    message = "'{unit}' with {decimals} decimals is no unit of account"
    unit: str
    decimals: int


@dataclass(eq=False)
class EntryResolved(InvariantBroken):
    """A pending entry was to be resolved a second time."""

    message = "journal entry '{entry_id}' is already {resolution}"
    entry_id: str
    resolution: str


@dataclass(eq=False)
class UnexpectedIssuance(InvariantBroken):
    """An issuance was to take a step that cannot follow from its state."""

    message = "issuance {reference} is {state} and cannot become {wanted}"
    reference: str
    state: str
    wanted: str


# Store


@dataclass(eq=False)
class PaymentDuplicate(Rejected):
    """Another payment of the same direction has this UETR or settlement id."""

    code = "payment_duplicate"
    reason = "AM05"
    message = "a payment with UETR {uetr} exists already"
    uetr: str


@dataclass(eq=False)
class PaymentUnknown(Rejected):
    """No payment has this id."""

    code = "payment_unknown"
    message = "no payment '{payment_id}'"
    payment_id: str


@dataclass(eq=False)
class CursorInvalid(Rejected):
    """The cursor or the limit of a page is none that was ever given out."""

    code = "cursor_invalid"
    message = "'{text}' is not a cursor or limit of this listing"
    text: str


@dataclass(eq=False)
class InboxConflict(Rejected):
    """Another message came for the same settlement id before."""

    code = "inbox_conflict"
    reason = "AM05"
    message = "a different message for settlement {settlement_id} is here already"
    settlement_id: str


@dataclass(eq=False)
class StoreBusy(Unavailable):
    """The database stayed locked, or its disk did not answer."""

    message = "the database is busy: {detail}"
    detail: str


@dataclass(eq=False)
class BackupRefused(Rejected):
    """A back-up cannot be made of this database, or not into this file."""

    code = "backup_refused"
    message = "no back-up into {file}: {rule}"
    file: str
    rule: str


@dataclass(eq=False)
class StoreFormatUnknown(InvariantBroken):
    """The database has the tables of another version; an older one is brought here by `migrate`."""

    message = "the database has revision {found}, this version needs {known}"
    found: str
    known: str


@dataclass(eq=False)
class DatabaseUnsafe(InvariantBroken):
    """The database server is set to confirm what it could lose, or to keep other text than ours."""

    message = "the database server has {setting} = {value}"
    setting: str
    value: str


@dataclass(eq=False)
class BooksBehind(Unavailable):
    """The process has not yet seen its books level with the chain: they may be older than what the bank did."""

    code = "books_behind"
    message = "the books have not caught up with the chain since the start"


@dataclass(eq=False)
class LeaseLost(Unavailable):
    """Another process has taken over what this one did; nothing more is written under the old lease."""

    message = "the lease {name} of epoch {epoch} was taken by another process"
    name: str
    epoch: int


@dataclass(eq=False)
class RecordConflict(InvariantBroken):
    """A record exists already under this key, with other content or where none may be."""

    message = "{record} '{key}' exists already"
    record: str
    key: str


@dataclass(eq=False)
class RecordMissing(InvariantBroken):
    """A record that must exist does not."""

    message = "{record} '{key}' does not exist"
    record: str
    key: str


@dataclass(eq=False)
class StatementRefused(InvariantBroken):
    """The database refused a statement of ours: a constraint, a trigger or damage."""

    message = "the database refuses a statement: {detail}"
    detail: str


@dataclass(eq=False)
class UnitOfWorkNested(InvariantBroken):
    """A thread that is writing asked to write a second time: it would wait for itself."""

    message = "a unit of work was opened inside another"


@dataclass(eq=False)
class ChainDiscontinuous(InvariantBroken):
    """A block does not follow the newest one that was processed."""

    message = "block {number} does not follow block {previous}: {rule}"
    number: int
    previous: int
    rule: str


class ChainNotFollowed(Unavailable):
    """The chain has not been read yet: not even its first block."""

    message = "no block has been processed yet"


@dataclass(eq=False)
class HandlerMissing(InvariantBroken):
    """An effect was recorded that nobody knows how to do."""

    message = "no handler for effects of kind '{kind}'"
    kind: str


# Keys and chain


@dataclass(eq=False)
class KeyUnusable(InvariantBroken):
    """A key file is missing, damaged or opened with a wrong passphrase."""

    message = "the key file {path} cannot be used: {rule}"
    path: str
    rule: str


@dataclass(eq=False)
class ParticipantUnknown(Rejected):
    """The registry knows no such participant, or none that is admitted."""

    code = "participant_unknown"
    reason = "RC01"
    message = "no participant '{name}' is admitted"
    name: str


@dataclass(eq=False)
class ParticipantAccountMissing(Rejected):
    """The participant has no account of the kind that is needed."""

    code = "participant_account_missing"
    reason = "RC01"
    message = "participant '{lei}' has no {kind} account"
    lei: str
    kind: str


@dataclass(eq=False)
class CurrencyNotIssued(Rejected):
    """No token of this currency is on the chain."""

    code = "currency_not_issued"
    reason = "AM03"
    message = "{currency} is not issued on this chain"
    currency: str


@dataclass(eq=False)
class CallReverted(Rejected):
    """A contract refused a call."""

    code = "call_reverted"
    message = "the contract refuses: {fault} {values}"
    fault: str
    values: str


@dataclass(eq=False)
class TransactionRefused(Rejected):
    """The node will not take a transaction of ours."""

    code = "transaction_refused"
    message = "transaction {transaction_hash} is refused: {detail}"
    transaction_hash: str
    detail: str


@dataclass(eq=False)
class NodeUnavailable(Unavailable):
    """The node does not answer, or not with what was asked for."""

    message = "the node does not answer {method}: {detail}"
    method: str
    detail: str


@dataclass(eq=False)
class ChainAnswerInvalid(InvariantBroken):
    """The node answers with something that is not what was asked for."""

    message = "the answer to {question} cannot be used: {rule}"
    question: str
    rule: str


@dataclass(eq=False)
class NonceTaken(InvariantBroken):
    """The nonce of a transaction of ours was used by another: somebody else signs with our key."""

    message = "nonce {nonce} of {sender} was used by another transaction than {transaction_hash}"
    sender: str
    nonce: int
    transaction_hash: str


@dataclass(eq=False)
class ChainWrong(InvariantBroken):
    """The node serves another chain than the one in the settings."""

    message = "the node serves {found}, the settings name {expected}"
    found: str
    expected: str


# Settings


@dataclass(eq=False)
class SettingsInvalid(Rejected):
    """The settings file cannot be read, or a field of it breaks a rule."""

    code = "settings_invalid"
    message = "the settings in {file} cannot be used: {rule}"
    file: str
    rule: str


# Payments


@dataclass(eq=False)
class WrongAgent(Rejected):
    """The instruction names another bank as the debtor's."""

    code = "wrong_agent"
    reason = "RC01"
    message = "'{bic}' is not this bank"
    bic: str


@dataclass(eq=False)
class AgentUnknown(Rejected):
    """The creditor's bank is no bank of this network."""

    code = "agent_unknown"
    reason = "RC01"
    message = "'{bic}' is no bank of this network"
    bic: str


@dataclass(eq=False)
class CustomerAccountUnknown(Rejected):
    """The client has no account of that number here."""

    code = "customer_account_unknown"
    reason = "AC01"
    message = "no account '{identification}' of yours is kept here"
    identification: str


@dataclass(eq=False)
class CustomerAccountBlocked(Rejected):
    """The debtor's account is closed or frozen."""

    code = "customer_account_blocked"
    reason = "AC06"
    message = "account '{identification}' is {status}"
    identification: str
    status: str


@dataclass(eq=False)
class CreditorAccountUnknown(Rejected):
    """The creditor's account should be kept at this bank and is not."""

    code = "creditor_account_unknown"
    reason = "AC01"
    message = "no account '{identification}' is kept here to be credited"
    identification: str


@dataclass(eq=False)
class CreditorAccountBlocked(Rejected):
    """The creditor's account at this bank is closed or frozen."""

    code = "creditor_account_blocked"
    reason = "AC04"
    message = "account '{identification}' to be credited is {status}"
    identification: str
    status: str


@dataclass(eq=False)
class CreditorIsDebtor(Rejected):
    """The account to be debited is the one to be credited."""

    code = "creditor_is_debtor"
    reason = "AG01"
    message = "account '{identification}' cannot pay itself"
    identification: str


@dataclass(eq=False)
class OnUsExchangeUnsupported(Rejected):
    """A payment between two accounts of this bank would change currency."""

    code = "on_us_exchange_unsupported"
    reason = "AM03"
    message = "from {source} to {target} inside this bank is not exchanged"
    source: str
    target: str


@dataclass(eq=False)
class ChargeBearerUnsupported(Rejected):
    """The charge bearer is not booked here, or its charge has no price in this currency."""

    code = "charge_bearer_unsupported"
    reason = "FF01"
    message = "charge bearer '{text}' is not offered for this payment"
    text: str


@dataclass(eq=False)
class ExecutionDateUnsupported(Rejected):
    """The requested execution date is past, too far ahead, or not today where it has to be."""

    code = "execution_date_unsupported"
    reason = "DT01"
    message = "execution on {day} is not possible: {rule}"
    day: str
    rule: str


@dataclass(eq=False)
class CutOffPassed(Rejected):
    """The currency takes nothing more today, and this bank moves nothing to the next day."""

    code = "cut_off_passed"
    reason = "TM01"
    message = "nothing more is taken for {day}; the next business day is {next_day}"
    day: str
    next_day: str


@dataclass(eq=False)
class CalendarYearUnknown(Rejected):
    """A calendar lists no closed days for the year, so that nothing can be said of it."""

    code = "calendar_year_unknown"
    reason = "DT01"
    message = "the calendar '{name}' does not know the year {year}"
    name: str
    year: int


@dataclass(eq=False)
class ChargesExceedAmount(Rejected):
    """What the creditor bears would leave nothing of the amount."""

    code = "charges_exceed_amount"
    reason = "AM09"
    message = "nothing is left of {instructed} after charges of {charges}"
    instructed: str
    charges: str


@dataclass(eq=False)
class ChargeNotQuoted(Rejected):
    """What the creditor's bank answered is not the charge that was asked for."""

    code = "charge_not_quoted"
    reason = "AM09"
    message = "the creditor agent's charge cannot be used: {rule}"
    rule: str


@dataclass(eq=False)
class QuotationNeeded(Rejected):
    """The creditor agent's charge was not shown to the debtor, who would have to pay it."""

    code = "quotation_needed"
    reason = "AM09"
    message = "a charge of {charge} needs the debtor's consent: instruct on a quotation"
    charge: str


@dataclass(eq=False)
class QuotationUnknown(Rejected):
    """The customer has no quotation with this id."""

    code = "quotation_unknown"
    reason = "AM09"
    message = "there is no quotation '{quotation_id}'"
    quotation_id: str


@dataclass(eq=False)
class QuotationExpired(Rejected):
    """The quotation has run out."""

    code = "quotation_expired"
    reason = "AM09"
    message = "quotation '{quotation_id}' was valid until {valid_until}"
    quotation_id: str
    valid_until: int


@dataclass(eq=False)
class QuotationUsed(Rejected):
    """A payment was made on the quotation already."""

    code = "quotation_used"
    reason = "AM05"
    message = "quotation '{quotation_id}' was used before"
    quotation_id: str


@dataclass(eq=False)
class QuotationMismatch(Rejected):
    """The instruction is not the one that was quoted."""

    code = "quotation_mismatch"
    reason = "AM09"
    message = "quotation '{quotation_id}' was given for another instruction"
    quotation_id: str


@dataclass(eq=False)
class QuotationsExhausted(Rejected):
    """A customer has as many open quotations as one may have."""

    code = "quotations_exhausted"
    message = "{limit} quotations are open already; they run out by themselves"
    limit: int


@dataclass(eq=False)
class CurrencyUnsupported(Rejected):
    """The currency cannot be paid or issued here."""

    code = "currency_unsupported"
    reason = "AM03"
    message = "'{currency}' cannot be paid or issued here"
    currency: str


@dataclass(eq=False)
class IdempotencyKeyReused(Rejected):
    """The key was used before, for something else."""

    code = "idempotency_key_reused"
    reason = "AM05"
    message = "the key '{key}' was used for another request"
    key: str


@dataclass(eq=False)
class UnexpectedTransition(InvariantBroken):
    """A fact reached a payment that cannot follow from its state."""

    message = "payment {payment_id} is {state}, where {fact} cannot follow"
    payment_id: str
    state: str
    fact: str


@dataclass(eq=False)
class PaymentIncomplete(InvariantBroken):
    """A payment lacks what its state says it has."""

    message = "{payment_id} has no {what}"
    payment_id: str
    what: str


@dataclass(eq=False)
class ScheduleInvalid(Rejected):
    """The schedule of a standing order contradicts itself or never falls due."""

    code = "schedule_invalid"
    reason = "DT01"
    message = "the schedule cannot be kept: {rule}"
    rule: str


@dataclass(eq=False)
class StandingOrderEnded(Rejected):
    """The standing order is over: cancelled, or its last payment was made."""

    code = "standing_order_ended"
    reason = "CUST"
    message = "standing order '{order_id}' is {state}"
    order_id: str
    state: str


@dataclass(eq=False)
class StandingOrderOverdue(Rejected):
    """A due date passed so long ago that its payment is not made up for."""

    code = "standing_order_overdue"
    reason = "TM01"
    message = "the payment due on {due_date} is not made up for after {days} days"
    due_date: str
    days: int


@dataclass(eq=False)
class StandingOrdersExhausted(Rejected):
    """A customer has as many active standing orders as one may have."""

    code = "standing_orders_exhausted"
    message = "{limit} standing orders are active already"
    limit: int


# FX


@dataclass(eq=False)
class PairNotQuoted(Rejected):
    """The fx provider has no price for the pair."""

    code = "pair_not_quoted"
    reason = "AM03"
    message = "no price for {target} paid in {source}"
    source: str
    target: str


@dataclass(eq=False)
class QuoteInvalid(Rejected):
    """The answer of an fx provider is not the firm quote that was asked for."""

    code = "quote_invalid"
    reason = "NARR"
    message = "the quote cannot be used: {rule}"
    rule: str


# Interbank


@dataclass(eq=False)
class EnvelopeInvalid(Rejected):
    """A sealed message cannot be opened, or does not hold what it should."""

    code = "envelope_invalid"
    message = "the sealed message is refused: {rule}"
    rule: str


@dataclass(eq=False)
class EnvelopeSignatureInvalid(Rejected):
    """A sealed message is not signed by the participant it names."""

    code = "envelope_signature_invalid"
    message = "the sealed message is not signed by '{lei}'"
    lei: str


@dataclass(eq=False)
class EnvelopeMisdirected(Rejected):
    """A sealed message is meant for somebody else."""

    code = "envelope_misdirected"
    message = "the sealed message is for '{receiver}'"
    receiver: str


@dataclass(eq=False)
class MessageIdReused(Rejected):
    """Another institution sends a message under the id of another message of its own."""

    code = "message_id_reused"
    reason = "AM05"
    message = "the message id '{message_id}' of {lei} stands for another message"
    lei: str
    message_id: str


@dataclass(eq=False)
class CopyUnreadable(Rejected):
    """A copy for central banks and supervisors cannot be opened here."""

    code = "copy_unreadable"
    message = "the copy cannot be read: {rule}"
    rule: str


@dataclass(eq=False)
class CopyMismatch(Rejected):
    """A copy is not the one that the chain names for its payment."""

    code = "copy_mismatch"
    message = "the copy is not the one named in {settlement_id}"
    settlement_id: str


@dataclass(eq=False)
class CopyNotAnnounced(Unavailable):
    """A copy came before its payment was seen on the chain."""

    code = "copy_not_announced"
    message = "no payment {settlement_id} was seen on the chain yet"
    settlement_id: str


@dataclass(eq=False)
class SubjectUnknown(Unavailable):
    """A message is about something that is not here yet: it came early, or to books that were restored."""

    code = "subject_unknown"
    message = "{what} that the message is about is not known here yet"
    what: str


@dataclass(eq=False)
class MessageShredded(Rejected):
    """The key of a payment's messages was destroyed: nobody can read them any more."""

    code = "message_shredded"
    message = "the messages of {payment_id} were made unreadable for ever"
    payment_id: str


@dataclass(eq=False)
class MessageUnreadable(InvariantBroken):
    """A kept message does not open with the institution's master key, or was changed."""

    message = "a message of {payment_id} cannot be opened"
    payment_id: str


@dataclass(eq=False)
class PaymentOpen(Rejected):
    """A payment that has not ended still needs its messages."""

    code = "payment_open"
    message = "payment {payment_id} is {state}"
    payment_id: str
    state: str


@dataclass(eq=False)
class DeliveryUnfinished(Rejected):
    """Something of a payment is still on its way to another institution."""

    code = "delivery_unfinished"
    message = "messages of {payment_id} are still on their way"
    payment_id: str


@dataclass(eq=False)
class RetentionNotOver(Rejected):
    """Records have to be kept for longer; `until` is a UTC second."""

    code = "retention_not_over"
    message = "the messages of {payment_id} have to be kept until {until}"
    payment_id: str
    until: int


@dataclass(eq=False)
class CommitmentMismatch(Rejected):
    """A message is not the one whose commitment stands on the chain."""

    code = "commitment_mismatch"
    reason = "FF01"
    message = "the message is not the one committed to in {settlement_id}"
    settlement_id: str


@dataclass(eq=False)
class PeerRefused(Rejected):
    """Another institution's bridge refuses for good; `problem` is its code."""

    code = "peer_refused"
    reason = "NARR"
    message = "{lei} refuses: {problem}"
    lei: str
    problem: str


@dataclass(eq=False)
class PeerUnavailable(Unavailable):
    """Another institution's bridge does not answer, or asks for patience."""

    code = "peer_unavailable"
    message = "{lei} does not answer"
    lei: str


@dataclass(eq=False)
class PeerMisconfigured(Unavailable):
    """What the registry says of another institution's bridge cannot be used to reach it."""

    code = "peer_misconfigured"
    message = "{lei} has an unusable {part} in the registry"
    lei: str
    part: str


@dataclass(eq=False)
class PeerNotCertified(Unavailable):
    """The server at another institution's endpoint has a certificate that is not that institution's."""

    code = "peer_not_certified"
    message = "the server of {lei} is not certified as it"
    lei: str


@dataclass(eq=False)
class SenderNotCertified(Rejected):
    """A sealed message came over a connection that is not certified as its sender's."""

    code = "sender_not_certified"
    message = "the connection is not certified as that of {lei}"
    lei: str


@dataclass(eq=False)
class PeerAnswerInvalid(Unavailable):
    """Another institution's bridge answers with something that is no answer to the question."""

    code = "peer_answer_invalid"
    message = "the answer of {lei} is not taken: {rule}"
    lei: str
    rule: str


@dataclass(eq=False)
class QuotesExhausted(Unavailable):
    """A taker holds as many firm quotes as the desk gives one at a time, until some run out."""

    code = "quotes_exhausted"
    message = "{taker} holds {limit} quotes that have not run out"
    taker: str
    limit: int


# Liquidity


@dataclass(eq=False)
class QueuesInvalid(Rejected):
    """Waiting items, queues or balances that no state of the settlement contract could have."""

    code = "queues_invalid"
    message = "the waiting items are not well formed: {fault}"
    fault: str


# Central bank


@dataclass(eq=False)
class IssuanceConflict(Rejected):
    """An issuance reference is known with another content."""

    code = "issuance_conflict"
    reason = "AM05"
    message = "issuance {reference} is another order"
    reference: str


@dataclass(eq=False)
class IssuanceIncomplete(InvariantBroken):
    """An issuance lacks its journal entry."""

    message = "issuance {reference} has no journal entry"
    reference: str


@dataclass(eq=False)
class IssuanceUnreleased(Unavailable):
    """The issuance is large enough to need the approval of two operators, which it has not yet."""

    code = "issuance_unreleased"
    message = "issuance {reference} waits for two operators of the central bank"
    reference: str


@dataclass(eq=False)
class IssuanceStopped(Unavailable):
    """Nothing is issued in this currency while a break of the central bank's books is open."""

    code = "issuance_stopped"
    message = "no {currency} are issued while break {break_id} is open"
    currency: str
    break_id: str


@dataclass(eq=False)
class OrdersStopped(Unavailable):
    """No tokens are ordered or redeemed while a break of the own books is open."""

    code = "orders_stopped"
    message = "no {currency} are ordered or redeemed while break {break_id} is open"
    currency: str
    break_id: str


@dataclass(eq=False)
class IssuanceDeclined(Rejected):
    """The central bank's operators have declined the issuance; its reserves are free again."""

    code = "issuance_declined"
    reason = "MS03"
    message = "issuance {reference} was declined"
    reference: str


@dataclass(eq=False)
class IssuanceNotWaiting(Rejected):
    """The issuance does not wait for a decision, or what was proposed of it is not what it says."""

    code = "issuance_not_waiting"
    message = "issuance {reference} does not wait for a decision: {rule}"
    reference: str
    rule: str


@dataclass(eq=False)
class RtgsAccountUnknown(Rejected):
    """The participant has no RTGS account at this central bank."""

    code = "rtgs_account_unknown"
    reason = "AC01"
    message = "{lei} has no RTGS account here"
    lei: str


@dataclass(eq=False)
class TransferConflict(Rejected):
    """A transfer is known under this id with another content."""

    code = "transfer_conflict"
    reason = "AM05"
    message = "transfer {transfer_id} is known with another content"
    transfer_id: str


@dataclass(eq=False)
class TransferUnknown(Rejected):
    """No transfer was ordered under this id by whoever asks."""

    code = "transfer_unknown"
    message = "no transfer '{transfer_id}'"
    transfer_id: str


@dataclass(eq=False)
class StatementUnknown(Rejected):
    """There is no such statement."""

    code = "statement_unknown"
    message = "no statement '{statement_id}'"
    statement_id: str


@dataclass(eq=False)
class TransferNotQueued(Rejected):
    """The transfer has ended, so it cannot be cancelled."""

    code = "transfer_not_queued"
    message = "transfer {transfer_id} is {state}"
    transfer_id: str
    state: str


@dataclass(eq=False)
class TransferLimitExceeded(Rejected):
    """The transfer is beyond what its account may send at once or in one business day."""

    code = "transfer_limit_exceeded"
    reason = "AM02"
    message = "{amount} is beyond the limit of {limit} minor units for {bound}"
    amount: str
    bound: str
    limit: int


@dataclass(eq=False)
class RtgsQueueFull(Unavailable):
    """As many transfers wait in the account's queue as may."""

    code = "rtgs_queue_full"
    message = "{limit} transfers of {lei} wait already"
    lei: str
    limit: int


@dataclass(eq=False)
class DecisionInvalid(Rejected):
    """What was proposed lacks a part that its kind needs, or has one that cannot be."""

    code = "decision_invalid"
    message = "'{field}' of a {kind}: {rule}"
    kind: str
    field: str
    rule: str


# Reconciliation


@dataclass(eq=False)
class BreakUnknown(Rejected):
    """There is no such break, or it is not open any more."""

    code = "break_unknown"
    message = "no open break '{break_id}'"
    break_id: str


@dataclass(eq=False)
class BreakEnded(Rejected):
    """The break was closed before."""

    code = "break_ended"
    message = "break {break_id} is {state}"
    break_id: str
    state: str


# API


@dataclass(eq=False)
class RequestInvalid(Rejected):
    """A field of a request is missing, unknown or breaks a rule; `path` names it."""

    code = "request_invalid"
    message = "{rule}"
    rule: str


@dataclass(eq=False)
class ContentTypeUnsupported(Rejected):
    """The body of a request is not of the type that is read there."""

    code = "content_type_unsupported"
    message = "the body must be {expected}"
    expected: str


class TokenInvalid(Rejected):
    """The request has no bearer token, or one that opens nothing here."""

    code = "token_invalid"
    message = "a bearer token for this resource is needed"


class IdempotencyKeyMissing(Rejected):
    """A request that moves money came without its `Idempotency-Key`."""

    code = "idempotency_key_missing"
    message = "the header Idempotency-Key is needed, so that this request can be repeated safely"


@dataclass(eq=False)
class IdempotencyKeyInvalid(Rejected):
    """The `Idempotency-Key` is empty, too long, or has characters that may not stand in it."""

    code = "idempotency_key_invalid"
    message = "the header Idempotency-Key has 1 to {limit} visible ASCII characters"
    limit: int


@dataclass(eq=False)
class ResourceUnknown(Rejected):
    """The caller has no such resource here."""

    code = "resource_unknown"
    message = "no {noun} '{key}'"
    noun: str
    key: str


@dataclass(eq=False)
class InboxFull(Unavailable):
    """One sender's messages wait here in too great a number for their chain events."""

    code = "inbox_full"
    message = "too many messages of {lei} wait for their payments on the chain"
    lei: str


@dataclass(eq=False)
class DebtorMismatch(Rejected):
    """The instruction describes its debtor otherwise than the bank knows its customer."""

    code = "debtor_mismatch"
    reason = "BE01"
    message = "the debtor's name and address are not those this bank keeps for the account"


@dataclass(eq=False)
class PaymentNotWaiting(Rejected):
    """A payment that is at its end, or that another bank sent, cannot be withdrawn."""

    code = "payment_not_waiting"
    message = "payment {payment_id} is {state}: only an own one that is under way can be withdrawn"
    payment_id: str
    state: str


class LiquidityShort(Rejected):
    """The bank itself has not the tokens to settle the payment now."""

    code = "liquidity_short"
    reason = "ED05"
    message = "the bank cannot settle this payment now"


# What is stuck


@dataclass(eq=False)
class EffectNotStuck(Rejected):
    """The effect is done, or has not been tried in vain, so it cannot be written off."""

    code = "effect_not_stuck"
    message = "effect {key} was neither given up nor tried in vain"
    key: str


@dataclass(eq=False)
class TransactionNotOutstanding(Rejected):
    """No transaction of this institution with this hash waits for a block."""

    code = "transaction_not_outstanding"
    message = "no transaction {hash} of ours waits for a block"
    hash: str


@dataclass(eq=False)
class PaymentNotOverdue(Rejected):
    """A payment is ended only once its deadline has passed."""

    code = "payment_not_overdue"
    message = "payment {payment_id} is {state} and not past its deadline"
    payment_id: str
    state: str


@dataclass(eq=False)
class MessageNotWaiting(Rejected):
    """No message waits for this payment to come to the chain."""

    code = "message_not_waiting"
    message = "no message waits for {settlement_id}"
    settlement_id: str


# Returns and suspense


@dataclass(eq=False)
class ReturnUnavailable(Rejected):
    """Only a payment that came here and settled can be given back, and a return cannot."""

    code = "return_unavailable"
    message = "payment {payment_id} is {state}: there is nothing to give back"
    payment_id: str
    state: str


@dataclass(eq=False)
class ReturnExceeded(Rejected):
    """More is to be given back of a payment than is left of it."""

    code = "return_exceeded"
    reason = "AM09"
    message = "{amount} is more than the {left} that is left of payment {payment_id}"
    payment_id: str
    amount: str
    left: str


@dataclass(eq=False)
class RecallUnavailable(Rejected):
    """Only an own payment that settled can be asked back."""

    code = "recall_unavailable"
    message = "payment {payment_id} is {state}: it cannot be asked back"
    payment_id: str
    state: str


@dataclass(eq=False)
class RecallLate(Rejected):
    """The time in which a customer may ask a payment back is over."""

    code = "recall_late"
    message = "payment {payment_id} could be asked back for {days} days"
    payment_id: str
    days: int


@dataclass(eq=False)
class RecallUnknown(Rejected):
    """Nobody asks the payment back."""

    code = "recall_unknown"
    message = "nobody asks payment {payment_id} back"
    payment_id: str


@dataclass(eq=False)
class RecallAnswered(Rejected):
    """The recall has its answer, or was closed."""

    code = "recall_answered"
    message = "the recall of payment {payment_id} has ended"
    payment_id: str


@dataclass(eq=False)
class SuspenseItemUnknown(Rejected):
    """No money of this payment is on suspense."""

    code = "suspense_item_unknown"
    message = "no money of payment {payment_id} is on suspense"
    payment_id: str


@dataclass(eq=False)
class SuspenseResolved(Rejected):
    """The money on suspense has a home already, or is on its way there."""

    code = "suspense_resolved"
    message = "the suspense item of payment {payment_id} is {state}"
    payment_id: str
    state: str


# Four eyes


@dataclass(eq=False)
class ActionUnknown(Rejected):
    """No action of this kind is there for operators to propose."""

    code = "action_unknown"
    message = "there is no action '{kind}' to propose"
    kind: str


@dataclass(eq=False)
class ProposalUnknown(Rejected):
    """There is no such proposal."""

    code = "proposal_unknown"
    message = "there is no proposal '{proposal_id}'"
    proposal_id: str


@dataclass(eq=False)
class ProposalDecided(Rejected):
    """The proposal was decided before."""

    code = "proposal_decided"
    message = "proposal '{proposal_id}' is {state} already"
    proposal_id: str
    state: str


@dataclass(eq=False)
class ProposalLapsed(Rejected):
    """The proposal can no longer be decided on."""

    code = "proposal_lapsed"
    message = "proposal '{proposal_id}' was not decided in time; it has to be made again"
    proposal_id: str


@dataclass(eq=False)
class OwnProposal(Rejected):
    """An operator would decide on what they proposed themselves."""

    code = "own_proposal"
    message = "proposal '{proposal_id}' is decided by another operator than its proposer"
    proposal_id: str


@dataclass(eq=False)
class ProposalNotOwn(Rejected):
    """Only the proposer takes a proposal back."""

    code = "proposal_not_own"
    message = "proposal '{proposal_id}' is withdrawn by its proposer alone"
    proposal_id: str


@dataclass(eq=False)
class EffectNotDead(Rejected):
    """The effect was not given up, so it cannot be tried anew."""

    code = "effect_not_dead"
    message = "no effect '{key}' was given up"
    key: str


# Audit


@dataclass(eq=False)
class AuditLogInvalid(Rejected):
    """An exported audit log does not hold together at one of its records."""

    code = "audit_log_invalid"
    message = "record {sequence} of the audit log does not hold: {rule}"
    sequence: int
    rule: str


# Retail CBDC


@dataclass(eq=False)
class TierUnknown(Rejected):
    """No tier of wallets has this name here."""

    code = "tier_unknown"
    reason = "FF01"
    message = "there is no tier '{name}'"
    name: str


@dataclass(eq=False)
class IdentificationLacking(Rejected):
    """The tier asks for an identification of the holder that the bank does not have."""

    code = "identification_lacking"
    reason = "RR04"
    message = "tier {tier} needs {lacking}"
    tier: str
    lacking: str


@dataclass(eq=False)
class WalletHeld(Rejected):
    """The customer has a wallet already: limits are one person's, not one wallet's."""

    code = "wallet_held"
    reason = "AM05"
    message = "customer {customer_id} has a wallet in {currency} already"
    customer_id: str
    currency: str


@dataclass(eq=False)
class WalletUnknown(Rejected):
    """No wallet with this id is kept here."""

    code = "wallet_unknown"
    reason = "AC01"
    message = "there is no wallet '{wallet_id}'"
    wallet_id: str


@dataclass(eq=False)
class WalletPaysItself(Rejected):
    """Payer and payee are one wallet."""

    code = "wallet_pays_itself"
    reason = "AG01"
    message = "wallet {wallet_id} is payer and payee"
    wallet_id: str


@dataclass(eq=False)
class SpendingLimitExceeded(Rejected):
    """More than the wallet's tier lets be spent at once, in a day, in a year or taken offline."""

    code = "spending_limit_exceeded"
    reason = "AM02"
    message = "{amount} is more than what is left of the tier's {limit}: {left}"
    limit: str
    amount: str
    left: str


@dataclass(eq=False)
class HoldingLimitExceeded(Rejected):
    """The wallet would hold more than its tier allows, and has no linked account for the rest."""

    code = "holding_limit_exceeded"
    reason = "AM02"
    message = "wallet {wallet_id} may hold {excess} less than that"
    wallet_id: str
    excess: str


@dataclass(eq=False)
class LinkedAccountMissing(Rejected):
    """The wallet has no linked account to draw on or to pay into."""

    code = "linked_account_missing"
    reason = "AG01"
    message = "wallet {wallet_id} has no linked account"
    wallet_id: str


@dataclass(eq=False)
class CustodyShort(Unavailable):
    """The bank has neither retail CBDC of its own nor reserves to get it with, for now."""

    code = "custody_short"
    message = "the bank lacks {lacking} of retail CBDC"
    lacking: str


@dataclass(eq=False)
class RetailPaymentNotOpen(Rejected):
    """The payment is not held under a condition, or no longer."""

    code = "retail_payment_not_open"
    message = "payment {payment_id} is {state}"
    payment_id: str
    state: str


@dataclass(eq=False)
class RetailPaymentUnexpected(InvariantBroken):
    """A step of a retail payment cannot follow from where it stands."""

    message = "retail payment {payment_id} cannot go from {state} to {wanted}"
    payment_id: str
    state: str
    wanted: str


@dataclass(eq=False)
class DeviceUnknown(Rejected):
    """No device with this public key is kept here, or it is no public key."""

    code = "device_unknown"
    reason = "AC01"
    message = "there is no device '{device}'"
    device: str


@dataclass(eq=False)
class DeviceHeld(Rejected):
    """The device is another wallet's, or the wallet has as many as it may."""

    code = "device_held"
    reason = "AM05"
    message = "device {device} cannot be added to the wallet"
    device: str


@dataclass(eq=False)
class DeviceBlocked(Rejected):
    """The device spent twice or more than it carried; it is not loaded again."""

    code = "device_blocked"
    reason = "AC06"
    message = "device {device} is blocked"
    device: str


@dataclass(eq=False)
class VoucherInvalid(Rejected):
    """The voucher, its endorsement, its presentation or its certificate is not what it must be."""

    code = "voucher_invalid"
    reason = "FF01"
    message = "the voucher is refused: {rule}"
    rule: str


@dataclass(eq=False)
class VoucherExpired(Rejected):
    """The voucher came, or would be made, after its time."""

    code = "voucher_expired"
    reason = "AB03"
    message = "the voucher ran until {expires_at}"
    expires_at: int


@dataclass(eq=False)
class VoucherUncovered(Rejected):
    """The device signed more than it carries."""

    code = "voucher_uncovered"
    reason = "AM04"
    message = "the voucher is for {amount} where {left} are left"
    amount: str
    left: str


@dataclass(eq=False)
class VoucherSpentTwice(Rejected):
    """The device signed two vouchers under one counter or serial; the first was paid."""

    code = "voucher_spent_twice"
    reason = "AM05"
    message = "device {device} spent it twice"
    device: str


@dataclass(eq=False)
class VoucherPassedTwice(Rejected):
    """A holder gave one voucher to two; the first was paid."""

    code = "voucher_passed_twice"
    reason = "AM05"
    message = "device {device} passed it on twice"
    device: str


@dataclass(eq=False)
class RetailOrderConflict(Rejected):
    """An order's reference is known for another order."""

    code = "retail_order_conflict"
    reason = "AM05"
    message = "reference {reference} stands for another order"
    reference: str


@dataclass(eq=False)
class RetailReceiverUnknown(Rejected):
    """A transfer of custody names an institution that is no bank admitted here, or its own sender."""

    code = "retail_receiver_unknown"
    reason = "RC01"
    message = "{lei} is no intermediary that could receive"
    lei: str


@dataclass(eq=False)
class RetailCreditAhead(Unavailable):
    """A credit came before the ones it follows; it is taken after them."""

    code = "retail_credit_ahead"
    message = "credit {position} came while {expected} is expected"
    position: int
    expected: int


@dataclass(eq=False)
class RetailCreditConflict(Rejected):
    """A credit under a known position has other content."""

    code = "retail_credit_conflict"
    reason = "AM05"
    message = "credit {position} stands for another transfer"
    position: int
