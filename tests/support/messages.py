"""Builders and strategies for ISO 20022 messages, shared by unit, property and schema tests."""

from datetime import UTC, date, datetime
from pathlib import Path

from hypothesis import strategies as st

from bridge.iso20022.codes import (
    ChargeBearer,
    CreditDebit,
    MessageName,
    StatusReason,
    TransactionStatus,
)
from bridge.iso20022.identifiers import COUNTRIES, Bic, Country, Iban, Lei, shape_uetr
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
from bridge.money import AMOUNT_MAX, CURRENCY_BY_CODE, Amount, Currency, Rate, parse_currency

EXAMPLE_PATH = Path(__file__).parents[2] / "examples" / "pain.001.xml"
"""The instruction that the devnet's demo starts from."""

EUR = parse_currency("EUR")
SGD = parse_currency("SGD")
JPY = parse_currency("JPY")
KWD = parse_currency("KWD")

MOMENT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DAY = date(2026, 11, 23)
UETR = shape_uetr(bytes(range(16)))

BANK_A = Agent(bic=Bic("AURODEF0XXX"), lei=Lei("DEVN00AURORABANK0015"))
BANK_B = Agent(bic=Bic("STHBSGS0XXX"), lei=Lei("DEVN00STRAITSHARB026"))

ALICE = Party(
    name="Alice Lindner",
    address=PostalAddress(
        street="Kastanienallee",
        building_number="12",
        post_code="60311",
        town="Frankfurt am Main",
        country=Country("DE"),
    ),
)
BOB = Party(
    name="Bob Tan Wei Ming",
    address=PostalAddress(town="Singapore", country=Country("SG"), post_code="018981"),
)
ALICE_ACCOUNT = AccountIdentification(iban=Iban("DE72500999990123456789"))
BOB_ACCOUNT = AccountIdentification(other="0720123456")


def credit_transfer() -> CreditTransfer:
    """Return Alice's payment to Bob as bank A tells bank B."""
    return CreditTransfer(
        message_id="AURODEF0-000001",
        created_at=MOMENT,
        instruction_id="INSTRUCTION-1",
        end_to_end_id="RENT-2026-12",
        transaction_id="TRANSACTION-1",
        uetr=UETR,
        interbank_settlement_amount=Amount(SGD, 100_000),
        interbank_settlement_date=DAY,
        instructed_amount=Amount(SGD, 100_000),
        exchange_rate=None,
        charge_bearer=ChargeBearer.SHAR,
        charges=(Charge(amount=Amount(EUR, 150), agent=BANK_A),),
        instructing_agent=BANK_A,
        instructed_agent=BANK_B,
        debtor=ALICE,
        debtor_account=ALICE_ACCOUNT,
        debtor_agent=BANK_A,
        creditor=BOB,
        creditor_account=BOB_ACCOUNT,
        creditor_agent=BANK_B,
        remittance_information="Rent for December",
    )


def status_report() -> StatusReport:
    """Return bank B's refusal of that payment."""
    return StatusReport(
        message_id="STHBSGS0-000001",
        created_at=MOMENT,
        original_message_id="AURODEF0-000001",
        original_message_name=MessageName.CREDIT_TRANSFER,
        original_end_to_end_id="RENT-2026-12",
        uetr=UETR,
        status=TransactionStatus.RJCT,
        reason=StatusReason.AC04,
        reason_text="The account was closed in 2025",
        original_instruction_id="INSTRUCTION-1",
        original_transaction_id="TRANSACTION-1",
        effective_settlement_date=DAY,
        instructing_agent=BANK_B,
        instructed_agent=BANK_A,
    )


def account_notification(direction: CreditDebit = CreditDebit.DBIT) -> AccountNotification:
    """Return what Alice's bank tells her of the debit, or with CRDT the like for a credit."""
    return AccountNotification(
        message_id="AURODEF0-000002",
        created_at=MOMENT,
        notification_id="NOTIFICATION-1",
        account=ALICE_ACCOUNT,
        owner=ALICE,
        servicer=BANK_A,
        direction=direction,
        amount=Amount(EUR, 69_160),
        booking_date=DAY,
        value_date=DAY,
        account_servicer_reference="ENTRY-1",
        end_to_end_id="RENT-2026-12",
        uetr=UETR,
        debtor=ALICE,
        debtor_account=ALICE_ACCOUNT,
        debtor_agent=BANK_A,
        creditor=BOB,
        creditor_account=BOB_ACCOUNT,
        creditor_agent=BANK_B,
        instruction_id="INSTRUCTION-1",
        transaction_id="TRANSACTION-1",
        payment_information_id="GROUP-1",
        instructed_amount=Amount(SGD, 100_000),
        exchange=CurrencyExchange(source=EUR, target=SGD, rate=Rate.parse("1.44911")),
        charges=(Charge(amount=Amount(EUR, 150), agent=BANK_A),),
        remittance_information="Rent for December",
    )


# Strategies

_REFERENCE_LETTERS = "Az09-?:().,'+"
_TEXT_LETTERS = _REFERENCE_LETTERS + '/&<>"#%;=@[]{}|~_^$*!`\\'
_REFERENCES = ["NOTPROVIDED", "a/b c", "0", "Z" * 34]
_TEXTS = ["x", "Lodz & Soehne <\"A\" ]]> 'B'>", "&amp; {{0}} %s", "&" * 200]


def references() -> st.SearchStrategy[str]:
    """Return references of set X, short enough for account numbers too."""
    return st.sampled_from(_REFERENCES) | st.text(_REFERENCE_LETTERS, min_size=1, max_size=8)


def texts(longest: int) -> st.SearchStrategy[str]:
    """Return free texts, markup characters and the longest that fits included."""
    fixed = st.sampled_from([text[:longest].strip() for text in _TEXTS])
    return fixed | st.text(_TEXT_LETTERS, min_size=1, max_size=8)


moments = st.datetimes(
    min_value=datetime(1900, 1, 2),  # noqa: DTZ001  Hypothesis wants naive bounds.
    max_value=datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
days = st.dates(min_value=date(1900, 1, 1), max_value=date(2999, 1, 1))
uetrs = st.binary(min_size=16, max_size=16).map(shape_uetr)
currencies = st.sampled_from(sorted(CURRENCY_BY_CODE.values(), key=lambda each: each.code))


def amounts(
    of: st.SearchStrategy[Currency] = currencies, *, least: int = 1, most: int = AMOUNT_MAX
) -> st.SearchStrategy[Amount]:
    """Return amounts above zero unless told otherwise."""
    return st.builds(Amount, of, st.integers(least, most))


rates = st.builds(
    lambda digits, power: Rate(digits * 10**power),
    st.integers(1, 999_999),
    st.integers(0, 14),
).filter(lambda rate: rate.scaled < 10**19)

agents = st.sampled_from([BANK_A, BANK_B, Agent(bic=Bic("AURODEF0"))])
addresses = st.sampled_from([ALICE.address, BOB.address]) | st.builds(
    PostalAddress,
    town=texts(35),
    country=st.sampled_from(sorted(COUNTRIES)).map(Country),
    street=st.none() | texts(70),
    building_number=st.none() | texts(16),
    post_box=st.none() | texts(16),
    post_code=st.none() | texts(16),
    country_subdivision=st.none() | texts(35),
    lines=st.lists(texts(70), max_size=2).map(tuple),
)
customers = st.sampled_from([ALICE, BOB]) | st.builds(
    Party, texts(140), addresses, st.sampled_from([None, BANK_B.lei])
)
accounts = st.just(ALICE_ACCOUNT) | st.builds(AccountIdentification, other=references())
charge_bearers = st.sampled_from(ChargeBearer)
interbank_bearers = st.sampled_from([ChargeBearer.DEBT, ChargeBearer.CRED, ChargeBearer.SHAR])


def charges_borne(bearer: ChargeBearer, settled: Amount) -> st.SearchStrategy[tuple[Charge, ...]]:
    """Return charges as the usage rules want them of who bears them."""
    least, most = {ChargeBearer.SHAR: (0, 2), ChargeBearer.DEBT: (1, 1)}.get(bearer, (1, 2))
    currency = currencies if bearer is ChargeBearer.SHAR else st.just(settled.currency)
    taken = amounts(currency, least=0, most=AMOUNT_MAX // 4)
    charges = st.lists(st.builds(Charge, taken, agents), min_size=least, max_size=most)
    return charges.map(tuple)


@st.composite
def initiations(draw: st.DrawFn) -> CustomerCreditTransferInitiation:
    """Return pain.001 messages of one or two groups with one or two payments each."""
    message_id, created_at = draw(references()), draw(moments)
    instructions: list[PaymentInstruction] = []
    for group_id in draw(st.lists(references(), min_size=1, max_size=2, unique=True)):
        execution_date, debtor, account, agent = draw(st.tuples(days, customers, accounts, agents))
        ends = draw(st.lists(references(), min_size=1, max_size=2, unique=True))
        instructions.extend(
            PaymentInstruction(
                message_id=message_id,
                created_at=created_at,
                payment_information_id=group_id,
                instruction_id=draw(st.none() | references()),
                end_to_end_id=end_to_end_id,
                uetr=draw(st.none() | uetrs),
                requested_execution_date=execution_date,
                debtor=debtor,
                debtor_account=account,
                debtor_agent=agent,
                creditor=draw(customers),
                creditor_account=draw(accounts),
                creditor_agent=draw(agents),
                instructed_amount=draw(amounts()),
                charge_bearer=draw(charge_bearers),
                remittance_information=draw(st.none() | texts(140)),
            )
            for end_to_end_id in ends
        )
    party = draw(st.builds(Party, texts(140), st.none() | addresses, st.just(None)))
    return CustomerCreditTransferInitiation(message_id, created_at, party, tuple(instructions))


@st.composite
def credit_transfers(draw: st.DrawFn) -> CreditTransfer:
    """Return pacs.008 messages: a rate exactly where two currencies are, charges as their bearer."""
    settled = draw(amounts(most=AMOUNT_MAX // 4))
    instructed = draw(st.none() | amounts())
    bearer = draw(interbank_bearers)
    charges = draw(charges_borne(bearer, settled))
    alike = instructed is None or instructed.currency == settled.currency
    if bearer is ChargeBearer.CRED and alike:
        taken = sum(charge.amount.minor_units for charge in charges)
        instructed = Amount(settled.currency, settled.minor_units + taken)
    exchanged = instructed is not None and instructed.currency != settled.currency
    return draw(
        st.builds(
            CreditTransfer,
            message_id=references(),
            created_at=moments,
            instruction_id=st.none() | references(),
            end_to_end_id=references(),
            transaction_id=references(),
            uetr=uetrs,
            interbank_settlement_amount=st.just(settled),
            interbank_settlement_date=days,
            instructed_amount=st.just(instructed),
            exchange_rate=rates if exchanged else st.none(),
            charge_bearer=st.just(bearer),
            charges=st.just(charges),
            instructing_agent=agents,
            instructed_agent=agents,
            debtor=customers,
            debtor_account=accounts,
            debtor_agent=agents,
            creditor=customers,
            creditor_account=accounts,
            creditor_agent=agents,
            remittance_information=st.none() | texts(140),
        )
    )


@st.composite
def status_reports(draw: st.DrawFn) -> StatusReport:
    """Return pacs.002 messages; a refusal has its reason."""
    status = draw(st.sampled_from(TransactionStatus))
    needed = status in {TransactionStatus.RJCT, TransactionStatus.CANC}
    reasons = st.sampled_from(StatusReason)
    reason = draw(reasons if needed else st.none() | reasons)
    return draw(
        st.builds(
            StatusReport,
            message_id=references(),
            created_at=moments,
            original_message_id=references(),
            original_message_name=st.sampled_from(MessageName),
            original_end_to_end_id=references(),
            uetr=uetrs,
            status=st.just(status),
            reason=st.just(reason),
            reason_text=st.none() if reason is None else st.none() | texts(105),
            original_instruction_id=st.none() | references(),
            original_transaction_id=st.none() | references(),
            effective_settlement_date=st.none() | days,
            instructing_agent=st.none() | agents,
            instructed_agent=st.none() | agents,
        )
    )


@st.composite
def account_notifications(draw: st.DrawFn) -> AccountNotification:
    """Return camt.054 messages; a rate only where the instructed amount is told."""
    instructed = draw(st.none() | amounts())
    exchanges = st.none() | st.builds(CurrencyExchange, currencies, currencies, rates)
    return draw(
        st.builds(
            AccountNotification,
            message_id=references(),
            created_at=moments,
            notification_id=references(),
            account=accounts,
            owner=customers,
            servicer=agents,
            direction=st.sampled_from(CreditDebit),
            amount=amounts(),
            booking_date=days,
            value_date=days,
            account_servicer_reference=references(),
            end_to_end_id=references(),
            uetr=uetrs,
            debtor=customers,
            debtor_account=accounts,
            debtor_agent=agents,
            creditor=customers,
            creditor_account=accounts,
            creditor_agent=agents,
            instruction_id=st.none() | references(),
            transaction_id=st.none() | references(),
            payment_information_id=st.none() | references(),
            instructed_amount=st.just(instructed),
            exchange=st.none() if instructed is None else exchanges,
            charges=st.lists(st.builds(Charge, amounts(), agents), max_size=2).map(tuple),
            remittance_information=st.none() | texts(140),
        )
    )
