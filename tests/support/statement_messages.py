"""Builders and strategies for statements and intraday reports of an account."""

from dataclasses import replace

from hypothesis import strategies as st

from bridge.iso20022.codes import (
    BalanceType,
    ChargeType,
    CreditDebit,
    EntryStatus,
    TransactionDomain,
    TransactionFamily,
    TransactionSubFamily,
)
from bridge.iso20022.messages import CurrencyExchange
from bridge.iso20022.messages_statements import (
    BankTransactionCode,
    IntradayReport,
    Page,
    Statement,
    StatementBalance,
    StatementCharge,
    StatementEntry,
)
from bridge.money import Amount, Currency
from support.later_messages import parties
from support.messages import (
    ALICE,
    ALICE_ACCOUNT,
    BANK_A,
    BANK_B,
    BOB,
    BOB_ACCOUNT,
    DAY,
    EUR,
    MOMENT,
    UETR,
    accounts,
    agents,
    amounts,
    currencies,
    days,
    moments,
    rates,
    references,
    texts,
    uetrs,
)

ISSUED = BankTransactionCode(
    TransactionDomain.PMNT, TransactionFamily.ICDT, TransactionSubFamily.XBCT
)


def entry(number: int, minor_units: int) -> StatementEntry:
    """Return a booked entry: positive amounts credit the account."""
    return StatementEntry(
        amount=Amount(EUR, abs(minor_units)),
        direction=CreditDebit.DBIT if minor_units < 0 else CreditDebit.CRDT,
        status=EntryStatus.BOOK,
        booking_date=DAY,
        value_date=DAY,
        account_servicer_reference=f"ENTRY-{number}",
        bank_transaction_code=ISSUED,
        end_to_end_id=f"E2E-{number}",
        uetr=UETR,
        charges=(StatementCharge(Amount(EUR, 150), ChargeType.COMM, BANK_A),),
        debtor=ALICE,
        debtor_account=ALICE_ACCOUNT,
        debtor_agent=BANK_A,
        creditor=BOB,
        creditor_account=BOB_ACCOUNT,
        creditor_agent=BANK_B,
        remittance_information="Rent for December",
    )


def statement(*entries: StatementEntry, opening: int = 100_000) -> Statement:
    """Return Alice's whole statement over some entries."""
    closing = opening + sum(each.signed.minor_units for each in entries)
    return Statement(
        message_id="AURODEF0-000007",
        created_at=MOMENT,
        statement_id="STATEMENT-1",
        sequence_number=12,
        period_start=MOMENT,
        period_end=MOMENT,
        account=ALICE_ACCOUNT,
        currency=EUR,
        owner=ALICE,
        servicer=BANK_A,
        balances=(
            StatementBalance.of(BalanceType.OPBD, Amount(EUR, opening), DAY),
            StatementBalance.of(BalanceType.CLBD, Amount(EUR, closing), DAY),
        ),
        entries=entries,
    )


def intraday_report(*entries: StatementEntry) -> IntradayReport:
    """Return Alice's day so far."""
    return IntradayReport(
        message_id="AURODEF0-000008",
        created_at=MOMENT,
        report_id="REPORT-1",
        sequence_number=3,
        period_start=MOMENT,
        period_end=MOMENT,
        account=ALICE_ACCOUNT,
        currency=EUR,
        owner=ALICE,
        servicer=BANK_A,
        balances=(StatementBalance.of(BalanceType.ITBD, Amount(EUR, -1), DAY),),
        entries=entries,
    )


# Strategies

AMOUNT_OF_ENTRY_MAX = 10**15

codes = st.builds(
    BankTransactionCode,
    st.sampled_from(TransactionDomain),
    st.sampled_from(TransactionFamily),
    st.sampled_from(TransactionSubFamily),
)


@st.composite
def entries_of(draw: st.DrawFn, currency: Currency, statuses: list[EntryStatus]) -> StatementEntry:
    """Return entries in one currency, from the barest to one with everything."""
    instructed = draw(st.none() | amounts())
    exchanges = st.builds(CurrencyExchange, currencies, currencies, rates)
    charges = st.builds(
        StatementCharge,
        amounts(least=0),
        st.none() | st.sampled_from(ChargeType),
        st.none() | agents,
    )
    return draw(
        st.builds(
            StatementEntry,
            amount=amounts(st.just(currency), most=AMOUNT_OF_ENTRY_MAX),
            direction=st.sampled_from(CreditDebit),
            status=st.sampled_from(statuses),
            booking_date=days,
            value_date=days,
            account_servicer_reference=references(),
            bank_transaction_code=codes,
            entry_reference=st.none() | references(),
            is_reversal=st.booleans(),
            charges=st.lists(charges, max_size=2).map(tuple),
            original_message_id=st.none() | references(),
            payment_information_id=st.none() | references(),
            instruction_id=st.none() | references(),
            end_to_end_id=st.none() | references(),
            uetr=st.none() | uetrs,
            transaction_id=st.none() | references(),
            instructed_amount=st.just(instructed),
            exchange=st.none() if instructed is None else st.none() | exchanges,
            debtor=st.none() | parties,
            debtor_account=st.none() | accounts,
            creditor=st.none() | parties,
            creditor_account=st.none() | accounts,
            debtor_agent=st.none() | agents,
            creditor_agent=st.none() | agents,
            remittance_information=st.none() | texts(140),
            additional_information=st.none() | texts(500),
        )
    )


def unique_entries(
    currency: Currency, statuses: list[EntryStatus]
) -> st.SearchStrategy[tuple[StatementEntry, ...]]:
    """Return a few entries, each with a reference of its own."""
    listed = st.lists(entries_of(currency, statuses), max_size=2)
    return listed.map(
        lambda found: tuple(
            replace(each, account_servicer_reference=f"R{number}")
            for number, each in enumerate(found)
        )
    )


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    """Return pages of statements whose balances follow from their entries."""
    currency = draw(currencies)
    entries = draw(unique_entries(currency, [EntryStatus.BOOK]))
    opening = draw(st.integers(-AMOUNT_OF_ENTRY_MAX, AMOUNT_OF_ENTRY_MAX))
    closing = opening + sum(each.signed.minor_units for each in entries)
    page = draw(st.builds(Page, st.integers(1, 99_999), st.booleans()))
    start, end = sorted(draw(st.tuples(moments, moments)))
    balances = (
        StatementBalance.of(
            BalanceType.OPBD, Amount(currency, opening), draw(days), is_interim=page.number > 1
        ),
        StatementBalance.of(
            BalanceType.CLBD, Amount(currency, closing), draw(days), is_interim=not page.is_last
        ),
    )
    return draw(
        st.builds(
            Statement,
            message_id=references(),
            created_at=moments,
            statement_id=references(),
            sequence_number=st.integers(0, 10**18 - 1),
            period_start=st.just(start),
            period_end=st.just(end),
            account=accounts,
            currency=st.just(currency),
            owner=parties,
            servicer=agents,
            balances=st.just(balances),
            entries=st.just(entries),
            page=st.just(page),
        )
    )


@st.composite
def intraday_reports(draw: st.DrawFn) -> IntradayReport:
    """Return pages of intraday reports: booked and pending entries, any balances."""
    currency = draw(currencies)
    start, end = sorted(draw(st.tuples(moments, moments)))
    balances = st.builds(
        StatementBalance,
        st.sampled_from(BalanceType),
        amounts(st.just(currency), least=0),
        st.sampled_from(CreditDebit),
        days,
        st.booleans(),
    )
    return draw(
        st.builds(
            IntradayReport,
            message_id=references(),
            created_at=moments,
            report_id=references(),
            sequence_number=st.integers(0, 10**18 - 1),
            period_start=st.just(start),
            period_end=st.just(end),
            account=accounts,
            currency=st.just(currency),
            owner=parties,
            servicer=agents,
            balances=st.lists(balances, max_size=2).map(tuple),
            entries=unique_entries(currency, list(EntryStatus)),
            page=st.builds(Page, st.integers(1, 99_999), st.booleans()),
        )
    )
