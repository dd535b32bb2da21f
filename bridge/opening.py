"""The books of an institution as they begin: its accounts, its customers, its opening entries.

All of it follows from the settings, is done once and is left alone when it is there already, so
that a bridge may be started any number of times, and with customers or opening entries added to its
settings. What was booked is never booked again, whatever place it has in the settings by now.
"""

import contextlib
from collections.abc import Iterator

from bridge import chart
from bridge.config import AddressSettings, CustomerSettings, OpeningSettings, Role, Settings
from bridge.errors import IdempotencyKeyReused, Rejected, SettingsInvalid
from bridge.iso20022.identifiers import (
    ADDRESS_NUMBER_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    STREET_CHARACTERS_MAX,
    TOWN_CHARACTERS_MAX,
    parse_country,
    parse_iban,
    parse_text,
)
from bridge.iso20022.messages import PostalAddress
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.rtgs import RtgsAccount
from bridge.store import AccountScheme, Customer, CustomerAccount, Store, UnitOfWork


def open_books(store: Store, settings: Settings, now: int) -> None:
    """Open the institution's accounts, its customers' accounts, and book its opening entries.

    Everything here is done once and is left alone when it is there already. Raises
    `SettingsInvalid` for a customer or an opening entry that cannot be.
    """
    with store.unit_of_work() as work:
        for code in settings.currencies:
            currency = parse_currency(code)
            accounts = chart.institution_accounts(currency)
            if settings.role is Role.CENTRAL_BANK:
                accounts = chart.central_bank_accounts(currency)
            for account in accounts:
                work.ledger.open_account(account)
        for customer in settings.customers:
            with _naming(f"customers.{customer.customer_id}"):
                _keep_customer(work, customer)
        for opening in settings.openings:
            with _naming(f"openings.{opening.opening_id}"):
                _book_opening(work, opening, now)


@contextlib.contextmanager
def _naming(place: str) -> Iterator[None]:
    """A refusal of what the settings ask for is a fault of the settings, at this place."""
    try:
        yield
    except Rejected as error:
        raise SettingsInvalid("settings", f"{place}: {error}") from error


def _address(given: AddressSettings) -> PostalAddress:
    """Return an address that every message of the customer can bear."""
    return PostalAddress(
        town=parse_text(given.town, TOWN_CHARACTERS_MAX),
        country=parse_country(given.country),
        street=_text_maybe(given.street, STREET_CHARACTERS_MAX),
        building_number=_text_maybe(given.building_number, ADDRESS_NUMBER_CHARACTERS_MAX),
        post_code=_text_maybe(given.post_code, ADDRESS_NUMBER_CHARACTERS_MAX),
    )


def _text_maybe(text: str | None, characters_max: int) -> str | None:
    return None if text is None else parse_text(text, characters_max)


def _keep_customer(work: UnitOfWork, customer: CustomerSettings) -> None:
    work.customers.upsert(
        Customer(
            customer_id=customer.customer_id,
            name=parse_text(customer.name, NAME_CHARACTERS_MAX),
            address=_address(customer.address),
            token_hash=bytes.fromhex(customer.token_sha256),
        )
    )
    for account in customer.accounts:
        scheme = AccountScheme(account.scheme)
        identification = account.identification
        if scheme is AccountScheme.IBAN:
            identification = parse_iban(account.identification)
        currency = parse_currency(account.currency)
        opened = chart.deposit_account(identification, currency, customer.customer_id)
        work.ledger.open_account(opened)
        work.customers.add_account(
            CustomerAccount(
                account_id=opened.account_id,
                customer_id=customer.customer_id,
                scheme=scheme,
                identification=identification,
                currency=currency.code,
            )
        )


def _book_opening(work: UnitOfWork, opening: OpeningSettings, now: int) -> None:
    entry_id = f"opening:{opening.opening_id}"
    currency = parse_currency(opening.currency)
    for account_id in (opening.debit, opening.credit):
        kind, _, lei = account_id.partition(":")
        if kind == "rtgs":
            work.ledger.open_account(chart.rtgs_account(lei, currency))
            work.rtgs.open_account(RtgsAccount(lei, currency))
    amount = Amount.parse(opening.amount, currency)
    postings = (debit(opening.debit, amount), credit(opening.credit, amount))
    booked = work.ledger.find_entry(entry_id)
    if booked is not None:
        if frozenset(booked.entry.postings) != frozenset(postings):
            raise IdempotencyKeyReused(opening.opening_id)
        return
    work.ledger.book(
        JournalEntry(
            entry_id=entry_id,
            kind="opening",
            description="opening balance",
            postings=postings,
            booked_at=now,
        )
    )
