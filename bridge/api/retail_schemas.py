"""The shapes of requests and answers about retail CBDC. Requests refuse unknown fields."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.api.schemas import AmountBody
from bridge.api.shapes import AnswerShape, RequestShape

WalletId = Annotated[str, Field(pattern=r"^wal_[0-9a-f]{24}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
Lei = Annotated[str, Field(pattern=r"^[A-Z0-9]{18}[0-9]{2}$")]


class WalletOpening(RequestShape):
    """A wallet for a customer. `identification` is what the bank has seen of the holder."""

    customer_id: Name
    tier: Name
    identification: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]], Field(max_length=16)
    ]
    linked_account: Annotated[str, Field(max_length=34)] | None = None


class PayeeBody(RequestShape):
    """Who is paid: a wallet, and the LEI of the bank that keeps it unless it is this one."""

    wallet: WalletId
    agent: Lei | None = None


class ConditionBody(RequestShape):
    """Who may release the payment, until when (UTC second)."""

    releaser: Name
    expires_at: Annotated[int, Field(gt=0, lt=2**53)]


class RetailPaymentOrder(RequestShape):
    """A payment of retail CBDC, at once or held under a condition."""

    wallet: WalletId
    payee: PayeeBody
    amount: AmountBody
    condition: ConditionBody | None = None


class RetailAmount(RequestShape):
    """How much."""

    amount: AmountBody


class VaultOrder(RequestShape):
    """Retail CBDC for the bank's own vault out of its reserves, or back into them."""

    direction: Literal["issue", "redeem"]
    amount: AmountBody


class MoneyView(AnswerShape):
    """An amount."""

    value: str
    currency: str


class LimitsView(AnswerShape):
    """The limits of a tier; null where there is none."""

    balance_max: MoneyView | None
    payment_max: MoneyView | None
    daily_max: MoneyView | None
    annual_max: MoneyView | None
    offline_max: MoneyView


class WalletView(AnswerShape):
    """A wallet. `holding` counts against the balance limit, `available` can be paid out."""

    id: str
    customer_id: str
    tier: str
    identification: list[str]
    linked_account: str | None
    holding: MoneyView
    available: MoneyView
    spent_today: MoneyView
    limits: LimitsView


class WalletList(AnswerShape):
    """A customer's wallets."""

    items: list[WalletView]


class PayeeView(AnswerShape):
    """Who is paid."""

    agent: str
    wallet: str


class RetailPaymentView(AnswerShape):
    """A retail payment as it stands."""

    id: str
    kind: str
    status: str
    wallet: str
    amount: MoneyView
    payee: PayeeView
    created_at: int
    deadline: int | None
    releaser: str | None
    reference: str | None
    reason: str | None


class RetailPaymentPage(AnswerShape):
    """Some of a customer's retail payments, newest first."""

    items: list[RetailPaymentView]
    next: str | None


class CustodyOrderView(AnswerShape):
    """An order at the central bank."""

    reference: str
    direction: str
    status: str
    amount: MoneyView


class CustodyView(AnswerShape):
    """What a bank keeps. `own` is on its balance sheet, the rest is its customers'."""

    in_custody: MoneyView
    own: MoneyView
    suspense: MoneyView
    tiers: dict[str, int]


class ReportView(AnswerShape):
    """What a bank reported of a day (days since 1970-01-01)."""

    day: int
    in_custody: MoneyView
    tiers: dict[str, int]


class KeepingView(AnswerShape):
    """What one bank keeps, by the register and by its own report."""

    lei: str
    in_custody: MoneyView
    report: ReportView | None


class RegisterView(AnswerShape):
    """Retail CBDC in issue, and whether its accounts and its orders say the same."""

    in_issue: MoneyView
    by_orders: MoneyView
    is_whole: bool
    intermediaries: list[KeepingView]


DeviceKeyText = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SignatureText = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class DeviceBody(RequestShape):
    """A device of a wallet, by its Ed25519 public key."""

    wallet: WalletId
    device: DeviceKeyText


class DeviceView(AnswerShape):
    """A device as it stands; `loaded` in minor units, ever."""

    device: str
    wallet: str
    status: str
    loaded: int
    expires_at: int


class DeviceLoadView(AnswerShape):
    """What a device was loaded with in all, in minor units, and until when it can be spent."""

    device: str
    loaded: int
    expires_at: int


class CertificateView(AnswerShape):
    """A bank's signed statement about a device."""

    certificate: str


class VoucherBody(RequestShape):
    """A voucher as its device signed it; amount in minor units."""

    device: DeviceKeyText
    bank_lei: Lei
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    amount: Annotated[int, Field(gt=0, le=10**12)]
    payee: DeviceKeyText
    counter: Annotated[int, Field(gt=0, le=2**53)]
    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    expires_at: Annotated[int, Field(gt=0, le=2**53)]
    signature: SignatureText


class EndorsementBody(RequestShape):
    """The payee hands the voucher on."""

    to: DeviceKeyText
    signature: SignatureText


class PresentationBody(RequestShape):
    """A voucher with its holder's order where to pay."""

    voucher: VoucherBody
    endorsement: EndorsementBody | None = None
    wallet_id: WalletId
    bank_lei: Lei
    signature: SignatureText


class EvidenceView(AnswerShape):
    """Two presentations that cannot both be true, as JSON text."""

    culprit: str
    first: str
    second: str
    found_at: int


class EvidenceList(AnswerShape):
    """The newest evidence."""

    items: list[EvidenceView]
