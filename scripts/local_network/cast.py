"""The institutions and customers of the demo. All are fictitious; no identifier is anybody's."""

from dataclasses import dataclass
from typing import Final

CHAIN_ID: Final = 2_002_200
"""The devnet's EIP-155 id; no public network uses it."""

CUSTOMER_FEE: Final = "5.00"
MARGIN_BASIS_POINTS: Final = 25
ISSUANCE_THRESHOLD: Final = "5000000.00"
"""What a central bank of the devnet issues without asking two operators; anywhere else they are asked."""
INTRADAY_SECONDS: Final = 2
"""How often the devnet's central banks report intraday, so that the statement is there to be compared."""
PROVIDER_RATE: Final = "1.4520"
"""What the provider asks: SGD for one EUR."""


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening journal entry of one ledger."""

    opening_id: str
    debit: str
    credit: str
    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class CustomerCast:
    """A customer with one account."""

    customer_id: str
    name: str
    scheme: str
    account: str
    currency: str
    address: dict[str, str]


@dataclass(frozen=True, slots=True)
class InstitutionCast:
    """One institution: what the registry says of it and what its bridge is told.

    `funding` is what it turns from reserves into tokens, by currency, before the first payment.
    """

    key: str
    title: str
    role: str
    registry_role: str
    lei: str
    bic: str
    country: str
    currencies: tuple[str, ...]
    openings: tuple[Opening, ...]
    funding: tuple[tuple[str, str], ...] = ()
    customers: tuple[CustomerCast, ...] = ()


@dataclass(frozen=True, slots=True)
class LiquidityCast:
    """Who runs the liquidity service: a participant with a key, and neither money nor books."""

    key: str
    title: str
    lei: str
    bic: str
    country: str


@dataclass(frozen=True, slots=True)
class CurrencyCast:
    """A currency of the network and the central bank that issues it."""

    code: str
    numeric: int
    exponent: int
    name: str
    issuer: str


ALICE: Final = CustomerCast(
    customer_id="alice",
    name="Alice Lindner",
    scheme="iban",
    account="DE72500999990123456789",
    currency="EUR",
    address={
        "street": "Kastanienallee",
        "building_number": "12",
        "post_code": "60311",
        "town": "Frankfurt am Main",
        "country": "DE",
    },
)

BOB: Final = CustomerCast(
    customer_id="bob",
    name="Bob Tan Wei Ming",
    scheme="other",
    account="0720123456",
    currency="SGD",
    address={
        "street": "Marina Boulevard",
        "building_number": "8",
        "post_code": "018981",
        "town": "Singapore",
        "country": "SG",
    },
)

BANK_A_LEI: Final = "DEVN00AURORABANK0015"
BANK_B_LEI: Final = "DEVN00STRAITSHARB026"
FX_PROVIDER_LEI: Final = "DEVN00ARDENNEEXCH002"

INSTITUTIONS: Final = (
    InstitutionCast(
        key="central-bank-eur",
        title="Devnet Eurosystem",
        role="central_bank",
        registry_role="issuer",
        lei="DEVN00EUROSYSTEM0007",
        bic="DVEUDEF0XXX",
        country="DE",
        currencies=("EUR",),
        openings=(
            Opening("lent-to-bank-a", "lending:EUR", f"rtgs:{BANK_A_LEI}", "10000000.00", "EUR"),
            Opening(
                "lent-to-fx-provider",
                "lending:EUR",
                f"rtgs:{FX_PROVIDER_LEI}",
                "10000000.00",
                "EUR",
            ),
        ),
    ),
    InstitutionCast(
        key="central-bank-sgd",
        title="Devnet Monetary Authority",
        role="central_bank",
        registry_role="issuer",
        lei="DEVN00MONETARYAU0011",
        bic="DVSGSGS0XXX",
        country="SG",
        currencies=("SGD",),
        openings=(
            Opening("lent-to-bank-b", "lending:SGD", f"rtgs:{BANK_B_LEI}", "10000000.00", "SGD"),
            Opening(
                "lent-to-fx-provider",
                "lending:SGD",
                f"rtgs:{FX_PROVIDER_LEI}",
                "10000000.00",
                "SGD",
            ),
        ),
    ),
    InstitutionCast(
        key="bank-a",
        title="Aurora Bank AG",
        role="bank",
        registry_role="bank",
        lei=BANK_A_LEI,
        bic="AURODEF0XXX",
        country="DE",
        currencies=("EUR",),
        openings=(
            Opening("equity", "reserves:EUR", "equity:EUR", "9900000.00", "EUR"),
            Opening("alice", "reserves:EUR", f"deposit:{ALICE.account}", "100000.00", "EUR"),
        ),
        funding=(("EUR", "500000.00"),),
        customers=(ALICE,),
    ),
    InstitutionCast(
        key="bank-b",
        title="Straits Harbour Bank Ltd",
        role="bank",
        registry_role="bank",
        lei=BANK_B_LEI,
        bic="STHBSGS0XXX",
        country="SG",
        currencies=("SGD",),
        openings=(
            Opening("equity", "reserves:SGD", "equity:SGD", "9999500.00", "SGD"),
            Opening("bob", "reserves:SGD", f"deposit:{BOB.account}", "500.00", "SGD"),
        ),
        funding=(("SGD", "100000.00"),),
        customers=(BOB,),
    ),
    InstitutionCast(
        key="fx-provider",
        title="Ardenne Exchange S.A.",
        role="fx_provider",
        registry_role="fx_provider",
        lei=FX_PROVIDER_LEI,
        bic="ARDELUL0XXX",
        country="LU",
        currencies=("EUR", "SGD"),
        openings=(
            Opening("equity-eur", "reserves:EUR", "equity:EUR", "10000000.00", "EUR"),
            Opening("equity-sgd", "reserves:SGD", "equity:SGD", "10000000.00", "SGD"),
        ),
        funding=(("EUR", "100000.00"), ("SGD", "2000000.00")),
    ),
)

LIQUIDITY: Final = LiquidityCast(
    key="liquidity",
    title="Devnet Liquidity Service",
    lei="DEVN00LIQUIDITYSVC51",
    bic="DVLQLULLXXX",
    country="LU",
)

CURRENCIES: Final = (
    CurrencyCast("EUR", 978, 2, "Euro", "DEVN00EUROSYSTEM0007"),
    CurrencyCast("SGD", 702, 2, "Singapore Dollar", "DEVN00MONETARYAU0011"),
)


def institution(key: str) -> InstitutionCast:
    """The institution called `key`."""
    return next(member for member in INSTITUTIONS if member.key == key)
