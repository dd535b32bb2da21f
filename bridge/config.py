"""Settings of one bridge: read once from its JSON file, checked, then frozen.

The same code runs as a bank, as an fx provider and as a central bank; `role` decides. Paths in the
file are relative to the file. Secrets stand in files of their own, never in the settings.
"""

import json
from datetime import date, time
from enum import Enum, unique
from pathlib import Path
from typing import Annotated, Final, Literal, NewType, Self, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bridge.business_days import (
    ALWAYS_OPEN,
    NO_HOLIDAYS,
    Calendar,
    packaged_holidays,
    with_dates,
)
from bridge.errors import SettingsInvalid

ACCEPT_SECONDS_MAX: Final = 86_400
"""Longest time a creditor agent may be given to answer."""

AUDIT_ANCHOR_SECONDS_MAX: Final = 86_400
"""Longest time between two anchors of the audit log: a day."""

RETENTION_DAYS_MAX: Final = 36_525
"""Longest time, in days, for which messages may have to be kept."""

DELIVERY_DAYS_MAX: Final = 90
"""Longest time, in days, for which a message to another institution may be tried."""

CATCH_UP_DAYS_MAX: Final = 31
"""Most days after which a standing order's payment may still be made up for."""

DAYS_OF_A_WEEK: Final = 7

MARGIN_BASIS_POINTS_MAX: Final = 1_000
"""Largest FX margin a bank may take over its provider's quote."""


ROLE_NAMES: Final = (
    "bank",
    "issuer",
    "fx_provider",
    "liquidity",
    "supervisor",
    "operator",
    "validator",
    "council",
)
"""Roles of participants by bit, from the lowest."""

ROUND_ITEMS_MAX: Final = 128
"""Most payments that the settlement contract takes in one round."""


@unique
class Role(Enum):
    """What the institution that runs this bridge is."""

    BANK = "bank"
    FX_PROVIDER = "fx_provider"
    CENTRAL_BANK = "central_bank"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Loaded = TypeVar("_Loaded", bound=_Section)

PostgresUrl = NewType("PostgresUrl", str)
"""`postgresql://USER@HOST:PORT/DATABASE?NAME=VALUE`, with libpq's parameters and no password."""

DatabasePlace: TypeAlias = Path | PostgresUrl
"""Where a database is: the path of a SQLite file, or a PostgreSQL server."""


def _parse_database_place(value: object) -> object:
    """A path unless it is a PostgreSQL URL; a password is refused, for it has a file of its own."""
    if not isinstance(value, str) or "://" not in value:
        return Path(value) if isinstance(value, str) else value
    parts = urlsplit(value)
    if parts.scheme != "postgresql" or not parts.path.strip("/"):
        raise ValueError("a path, or postgresql://USER@HOST:PORT/DATABASE")
    if parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True):
        raise ValueError("the password stands in a file that PGPASSFILE or passfile= names")
    return PostgresUrl(value)


Database = Annotated[DatabasePlace, BeforeValidator(_parse_database_place)]
Text = Annotated[str, Field(min_length=1, max_length=140)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
DecimalText = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,10})?$")]
ClockText = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Annotated[int, Field(ge=0, le=6)]


class AddressSettings(_Section):
    """A structured postal address; town and country at least."""

    town: Text
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    street: Text | None = None
    building_number: Text | None = None
    post_code: Text | None = None


class CustomerAccountSettings(_Section):
    """An account a customer holds from the start. `scheme` is `iban` or `other`."""

    scheme: Annotated[str, Field(pattern=r"^(iban|other)$")]
    identification: Text
    currency: CurrencyCode


class CustomerSettings(_Section):
    """A customer known from the start. `token_sha256` is the hex digest of its bearer token."""

    customer_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    name: Text
    address: AddressSettings
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    accounts: tuple[CustomerAccountSettings, ...]


class OpeningSettings(_Section):
    """One opening journal entry, booked once; `opening_id` names it for ever.

    It may be left out or others put beside it later; changed it is refused.
    """

    opening_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    debit: Text
    credit: Text
    amount: DecimalText
    currency: CurrencyCode


class OperatorSettings(_Section):
    """A person who runs the bridge. `token_sha256` is the hex digest of their bearer token."""

    operator_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AlertSettings(_Section):
    """After how many seconds what has not ended by itself is an alert."""

    payment_seconds: Annotated[int, Field(gt=0)] = 30
    effect_seconds: Annotated[int, Field(gt=0)] = 300
    transaction_seconds: Annotated[int, Field(gt=0)] = 60
    message_seconds: Annotated[int, Field(gt=0)] = 300
    suspense_seconds: Annotated[int, Field(gt=0)] = 86_400


class RateSettings(_Section):
    """A price of an fx provider: one unit of `source` buys `rate` units of `target`."""

    source: CurrencyCode
    target: CurrencyCode
    rate: DecimalText


class InterbankTlsSettings(_Section):
    """TLS between bridges. The files are PEM; both certificates name `lei:` and the own LEI.

    `port` is that of the listener for other institutions, to which the registry's endpoint leads.
    """

    port: Annotated[int, Field(ge=0, le=65_535)]
    certificate: Path
    private_key: Path
    client_certificate: Path
    client_private_key: Path
    trust_anchors: Path


class CalendarSettings(_Section):
    """When a currency is settled, in the local time of `zone` (an IANA time zone).

    `holidays` names a set that comes with the bridge (`target`, `singapore-example`); `dates` are
    further closed days. `weekend` counts Monday as 0. Without `cut_off` a day ends at midnight.
    """

    zone: Text
    weekend: tuple[Weekday, ...] = (5, 6)
    holidays: Text | None = None
    dates: tuple[date, ...] = ()
    opens: ClockText = "00:00"
    cut_off: ClockText | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"'{self.zone}' is not a time zone known here") from error
        if self.holidays is not None and self.holidays not in packaged_holidays():
            raise ValueError(f"there are no holidays named '{self.holidays}'")
        if len(set(self.weekend)) == DAYS_OF_A_WEEK:
            raise ValueError("a week without a business day")
        if self.cut_off is not None and self.cut_off <= self.opens:
            raise ValueError("cut_off is not after opens")
        return self

    def read(self) -> Calendar:
        """The calendar that these settings describe."""
        named = NO_HOLIDAYS if self.holidays is None else packaged_holidays()[self.holidays]
        return Calendar(
            zone=ZoneInfo(self.zone),
            weekend=frozenset(self.weekend),
            holidays=with_dates(named, self.dates),
            opens=time.fromisoformat(self.opens),
            cut_off=None if self.cut_off is None else time.fromisoformat(self.cut_off),
        )


class TierSettings(_Section):
    """The limits of one tier of wallets, in the scheme's currency; without one there is none.

    `balance_max` counts what is on devices; `offline_max` is what devices may carry. `identification`
    names what the bank must have seen of the holder.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    holder: Annotated[str, Field(pattern=r"^(individual|merchant)$")]
    balance_max: DecimalText | None = None
    payment_max: DecimalText | None = None
    daily_max: DecimalText | None = None
    annual_max: DecimalText | None = None
    offline_max: DecimalText = "0"
    identification: tuple[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")], ...] = ()


class SchemeSettings(_Section):
    """The tiers of one published scheme, and who published them."""

    currency: CurrencyCode
    source: Annotated[str, Field(min_length=1, max_length=400)]
    tiers: tuple[TierSettings, ...]


class RetailSettings(_Section):
    """A bank that keeps retail CBDC in custody: in which currency, under which tiers.

    `scheme` names tiers that come with the bridge, `tiers` gives others. `wait_seconds` is how long a
    payment waits for retail CBDC that the bank must first get; `offline_seconds` how long what a
    device carries can be spent. Above `vault_max` the bank redeems what it holds for itself.
    """

    currency: CurrencyCode
    scheme: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = None
    tiers: tuple[TierSettings, ...] = ()
    wait_seconds: Annotated[int, Field(gt=0, le=86_400)] = 300
    offline_seconds: Annotated[int, Field(gt=0, le=365 * 86_400)] = 7 * 86_400
    vault_max: DecimalText | None = None

    @model_validator(mode="after")
    def _tiers_are_given_once(self) -> Self:
        if (self.scheme is None) == (not self.tiers):
            raise ValueError("either scheme or tiers is expected")
        names = [tier.name for tier in self.tiers]
        if len(set(names)) != len(names):
            raise ValueError("tiers: each has a name of its own")
        return self


class Settings(_Section):
    """Everything one bridge is told at its start."""

    role: Role
    lei: Annotated[str, Field(pattern=r"^[A-Z0-9]{18}[0-9]{2}$")]
    bic: Annotated[str, Field(pattern=r"^[A-Z0-9]{8}([A-Z0-9]{3})?$")]
    name: Text
    database: Database
    migrates_at_start: bool = False
    port: Annotated[int, Field(ge=0, le=65_535)]
    node_url: Text
    chain_id: Annotated[int, Field(gt=0)]
    genesis_hash: Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
    currencies: tuple[CurrencyCode, ...]
    operating_keystore: Path
    quoting_keystore: Path | None = None
    attesting_keystore: Path | None = None
    attesting_database: Database | None = None
    passphrase_file: Path
    message_keys: Path
    secret_file: Path
    monitor_token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    operators: Annotated[tuple[OperatorSettings, ...], Field(min_length=1)]
    fx_provider_lei: str | None = None
    fee: dict[CurrencyCode, DecimalText] = {}
    published_charges: dict[CurrencyCode, DecimalText] = {}
    margin_basis_points: Annotated[int, Field(ge=0, le=MARGIN_BASIS_POINTS_MAX)] = 0
    quotation_seconds: Annotated[int, Field(gt=0, le=3_600)] = 60
    calendars: dict[CurrencyCode, CalendarSettings] = {}
    after_cut_off: Literal["next_day", "refuse"] = "next_day"
    standing_order_retry_seconds: Annotated[int, Field(gt=0, le=ACCEPT_SECONDS_MAX)] = 3_600
    standing_order_catch_up_days: Annotated[int, Field(ge=0, le=CATCH_UP_DAYS_MAX)] = 5
    rates: tuple[RateSettings, ...] = ()
    quote_seconds: Annotated[int, Field(gt=0, le=3_600)] = 60
    accept_seconds: Annotated[int, Field(gt=0, le=ACCEPT_SECONDS_MAX)] = 60
    settle_seconds: Annotated[int, Field(gt=0, le=ACCEPT_SECONDS_MAX)] = 120
    queues_beyond_tokens: bool = False
    quotes_may_queue: bool = False
    interbank_tls: InterbankTlsSettings | None = None
    requires_supervisor_copy: bool = False
    master_key_file: Path | None = None
    retention_days: Annotated[int, Field(ge=0, le=RETENTION_DAYS_MAX)] = 1_826
    delivery_days: Annotated[int, Field(ge=1, le=DELIVERY_DAYS_MAX)] = 7
    return_four_eyes_above: dict[CurrencyCode, DecimalText] = {}
    alerts: AlertSettings = AlertSettings()
    recall_days: Annotated[int, Field(gt=0, le=400)] = 10
    recall_answer_seconds: Annotated[int, Field(gt=0)] = 10 * ACCEPT_SECONDS_MAX
    enquiry_seconds: Annotated[int, Field(gt=0, le=ACCEPT_SECONDS_MAX)] = 20
    suspense_return_seconds: Annotated[int, Field(gt=0)] | None = None
    attestation_seconds: Annotated[int, Field(gt=0, le=ACCEPT_SECONDS_MAX)] = 3_600
    audit_anchor_seconds: Annotated[int, Field(gt=0, le=AUDIT_ANCHOR_SECONDS_MAX)] = 86_400
    issuance_threshold: dict[CurrencyCode, DecimalText] = {}
    reconcile_seconds: Annotated[int, Field(gt=0, le=3_600)] = 10
    reconcile_grace_seconds: Annotated[int, Field(ge=0, le=ACCEPT_SECONDS_MAX)] = 60
    intraday_seconds: Annotated[int, Field(gt=0, le=ACCEPT_SECONDS_MAX)] = 300
    customers: tuple[CustomerSettings, ...] = ()
    openings: tuple[OpeningSettings, ...] = ()
    retail: RetailSettings | None = None

    def calendar_of(self, code: str) -> Calendar:
        """The calendar of a currency; one for which none is set is always open."""
        return self.calendars[code].read() if code in self.calendars else ALWAYS_OPEN

    @model_validator(mode="after")
    def _roles_have_what_they_need(self) -> Self:
        if self.settle_seconds < self.accept_seconds:
            raise ValueError("settle_seconds is shorter than accept_seconds")
        if self.role is Role.FX_PROVIDER and self.quoting_keystore is None:
            raise ValueError("an fx provider needs quoting_keystore")
        if self.role is Role.CENTRAL_BANK and len(self.currencies) != 1:
            raise ValueError("a central bank issues exactly one currency")
        if self.retail is not None and self.role is not Role.BANK:
            raise ValueError("retail: only a bank keeps wallets")
        if self.retail is not None and self.retail.currency not in self.currencies:
            raise ValueError("retail: its currency is not one of the currencies")
        return self

    @model_validator(mode="after")
    def _operators_are_different_persons(self) -> Self:
        for name, values in (
            ("operator_id", {each.operator_id for each in self.operators}),
            ("token", {each.token_sha256 for each in self.operators}),
        ):
            if len(values) != len(self.operators):
                raise ValueError(f"operators: each has a {name} of their own")
        return self

    @model_validator(mode="after")
    def _books_fit_together(self) -> Self:
        for customer in self.customers:
            for account in customer.accounts:
                if account.currency not in self.currencies:
                    raise ValueError(
                        f"customers.{customer.customer_id}: an account in {account.currency}, "
                        "which is not one of the currencies"
                    )
        names = [opening.opening_id for opening in self.openings]
        if len(set(names)) != len(names):
            raise ValueError("openings: each has an opening_id of its own")
        return self


class LiquiditySettings(_Section):
    """What a liquidity service is told at its start: a chain, a key, and a database of its own."""

    lei: Annotated[str, Field(pattern=r"^[A-Z0-9]{18}[0-9]{2}$")]
    database: Database
    node_url: Text
    chain_id: Annotated[int, Field(gt=0)]
    genesis_hash: Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
    operating_keystore: Path
    passphrase_file: Path
    second_pass: bool = True
    round_items_max: Annotated[int, Field(ge=1, le=ROUND_ITEMS_MAX)] = ROUND_ITEMS_MAX


def load_settings(path: Path) -> Settings:
    """The settings in the JSON file at `path`, with its paths made absolute.

    Raises `SettingsInvalid` naming the field and the rule it breaks.
    """
    return _load(path, Settings)


def load_liquidity_settings(path: Path) -> LiquiditySettings:
    """The settings of a liquidity service, read and refused as `load_settings` does."""
    return _load(path, LiquiditySettings)


def _load(path: Path, kind: type[_Loaded]) -> _Loaded:
    try:
        document = json.loads(path.read_text("utf-8"))
        settings = kind.model_validate(document)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SettingsInvalid(file=str(path), rule=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsInvalid(file=str(path), rule=f"{place}: {first['msg']}") from error
    return _located(settings, path.resolve().parent)


def _located(section: _Loaded, folder: Path) -> _Loaded:
    """The section with its paths, and those in its sections, made absolute."""
    located: dict[str, Path | _Section] = {}
    for name, value in dict(section).items():
        if isinstance(value, Path):
            located[name] = folder / value
        elif isinstance(value, _Section):
            located[name] = _located(value, folder)
    return section.model_copy(update=located)
