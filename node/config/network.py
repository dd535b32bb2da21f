"""The network file, the input of `node network generate`: who takes part, and which currencies the network settles.

It is JSON and read by one tool, once; every node afterwards reads `genesis.json` only. Parsing is strict: an unknown or
missing field, a malformed address or LEI, or a name used twice is refused with the place it stands at.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from node.errors import NetworkFileInvalid
from node.primitives import decompress_public_key

PARTICIPANTS_MAX = 1_000
"""Participants of one network file."""

ACCOUNTS_MAX = 64
"""Accounts of one participant in it."""

CURRENCIES_MAX = 200
"""Currencies in it."""

NODES_MAX = 64
"""Nodes of one participant in it."""

VALIDATORS_MAX = 100
"""Validators of all participants together, as NodeRegistry has it."""

TIME_LOCK_SECONDS_MIN = 86_400
"""Shortest time lock of the Council outside development networks."""

TIME_LOCK_SECONDS_MAX = 2_592_000
"""Longest, as Council has it."""

COUNCIL_MEMBERS_MAX = 64
"""Participants with the role council, as ParticipantRegistry has it."""

FUNDS_MAX = 1_000
"""Accounts that a development network may begin with native coin."""


def _hex_bytes(length: int) -> BeforeValidator:
    def parse(value: object) -> bytes:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError(f"expected 0x-prefixed hex of {length} bytes")
        try:
            parsed = bytes.fromhex(value[2:])
        except ValueError as error:
            raise ValueError(f"expected 0x-prefixed hex of {length} bytes") from error
        if len(parsed) != length:
            raise ValueError(f"expected {length} bytes, got {len(parsed)}")
        return parsed

    return BeforeValidator(parse)


AddressText = Annotated[bytes, _hex_bytes(20)]
WordText = Annotated[bytes, _hex_bytes(32)]


def _check_public_key(key: bytes) -> bytes:
    decompress_public_key(key)
    return key


NodeIdText = Annotated[bytes, _hex_bytes(20)]
PublicKeyText = Annotated[bytes, _hex_bytes(33), AfterValidator(_check_public_key)]
Lei = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{18}[0-9]{2}$")]
Bic = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{4}[A-Z]{2}[0-9A-Z]{2}([0-9A-Z]{3})?$")]
Role = Literal[
    "bank",
    "issuer",
    "fx_provider",
    "liquidity",
    "supervisor",
    "operator",
    "validator",
    "council",
]
AccountKind = Literal["settlement", "operating", "quoting", "attesting", "officer"]


Administrator = Literal["operator", "council"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NetworkAccount(_Strict):
    """One EVM account of a participant."""

    reference: WordText
    address: AddressText
    kind: AccountKind


class NetworkParticipant(_Strict):
    """One institution of the network."""

    lei: Lei
    bic: Bic
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    roles: Annotated[list[Role], Field(min_length=1)]
    sealing_key: WordText
    signing_key: WordText
    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    accounts: Annotated[list[NetworkAccount], Field(max_length=ACCOUNTS_MAX)]
    nodes: Annotated[list[NodeIdText], Field(max_length=NODES_MAX)] = []
    """Ids of the nodes that may connect."""
    validators: Annotated[list[PublicKeyText], Field(max_length=VALIDATORS_MAX)] = []
    """Compressed secp256k1 keys that validate from genesis on; only with the role validator."""
    peer_address: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")] | None
    ) = None
    """`host:port` at which other nodes reach its node; no part of genesis."""
    central_bank: Lei | None = None
    """The issuer whose officers may suspend it in an emergency; without one, nobody may alone."""


class NetworkCurrency(_Strict):
    """One ISO 4217 currency and the participant that issues it."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    numeric: Annotated[int, Field(gt=0, lt=1000)]
    exponent: Annotated[int, Field(ge=0, le=4)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    issuer_lei: Lei


class NetworkFunds(_Strict):
    """Native coin that one account of a development network begins with."""

    address: AddressText
    balance: Annotated[int, Field(gt=0, lt=1 << 128)]
    """Wei."""


class Network(_Strict):
    """The network file."""

    chain_id: Annotated[int, Field(gt=0, lt=1 << 53)]
    genesis_time: Annotated[int, Field(ge=0, lt=1 << 40)]
    development: bool
    transactions_open: bool
    operator: AddressText
    block_gas_limit: Annotated[int, Field(gt=0, lt=1 << 53)]
    transaction_gas_limit: Annotated[int, Field(gt=0, lt=1 << 53)]
    currencies: Annotated[list[NetworkCurrency], Field(max_length=CURRENCIES_MAX)]
    participants: Annotated[list[NetworkParticipant], Field(max_length=PARTICIPANTS_MAX)]
    funds: Annotated[list[NetworkFunds], Field(max_length=FUNDS_MAX)] = []
    """Only where `development` is true."""
    administrator: Administrator | None = None
    """Who changes rules and participants: the Council alone, or `operator`, that account as well. Without a word the
    operator in a development network, the Council in any other."""
    council_time_lock_seconds: Annotated[int, Field(ge=0, le=TIME_LOCK_SECONDS_MAX)] = 172_800
    """How long the Council's constitutional acts wait after enough members approved."""

    @property
    def is_governed_by_operator(self) -> bool:
        """Whether the operator's account is an administrator besides the Council."""
        return (self.administrator or ("operator" if self.development else "council")) == "operator"

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        accounts = [
            account for participant in self.participants for account in participant.accounts
        ]
        _check_distinct("lei", [participant.lei for participant in self.participants])
        _check_distinct("bic", [participant.bic for participant in self.participants])
        _check_distinct("account reference", [account.reference.hex() for account in accounts])
        _check_distinct("account address", [account.address.hex() for account in accounts])
        _check_distinct("currency code", [currency.code for currency in self.currencies])
        _check_distinct("currency numeric", [str(currency.numeric) for currency in self.currencies])
        _check_validators(self.participants)
        self._check_governance()
        issuers = {
            participant.lei for participant in self.participants if "issuer" in participant.roles
        }
        for currency in self.currencies:
            if currency.issuer_lei not in issuers:
                raise ValueError(
                    f"{currency.code}: {currency.issuer_lei} is no participant with role issuer"
                )
        _check_distinct("funded address", [funds.address.hex() for funds in self.funds])
        if self.funds and not self.development:
            raise ValueError("funds: only a development network begins with native coin")
        if self.transaction_gas_limit > self.block_gas_limit:
            raise ValueError("transaction_gas_limit is above block_gas_limit")
        return self

    def _check_governance(self) -> None:
        members = [each for each in self.participants if "council" in each.roles]
        speaking = [
            each for each in members if any(account.kind == "officer" for account in each.accounts)
        ]
        if len(members) > COUNCIL_MEMBERS_MAX:
            raise ValueError(f"participants: at most {COUNCIL_MEMBERS_MAX} have the role council")
        if not self.is_governed_by_operator:
            if len(speaking) < max(2, len(members) // 2 + 1):
                raise ValueError(
                    "administrator: the council needs two members, and more than half of them, "
                    "that have an account of kind officer"
                )
            if not self.development and self.council_time_lock_seconds < TIME_LOCK_SECONDS_MIN:
                raise ValueError(
                    f"council_time_lock_seconds: at least {TIME_LOCK_SECONDS_MIN} where the council governs"
                )
        central_banks = {each.lei for each in self.participants if "issuer" in each.roles}
        for each in self.participants:
            if each.central_bank is not None and each.central_bank not in central_banks - {
                each.lei
            }:
                raise ValueError(
                    f"{each.lei}: {each.central_bank} is no other participant with role issuer"
                )


def parse_network(text: bytes) -> Network:
    """The network file's content, or `NetworkFileInvalid` naming each fault and its place."""
    try:
        return Network.model_validate_json(text)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise NetworkFileInvalid("; ".join(faults)) from error


def _check_validators(participants: list[NetworkParticipant]) -> None:
    keys = [key.hex() for participant in participants for key in participant.validators]
    _check_distinct("validator", keys)
    _check_distinct(
        "node", [node_id.hex() for participant in participants for node_id in participant.nodes]
    )
    if len(keys) > VALIDATORS_MAX:
        raise ValueError(f"validators: at most {VALIDATORS_MAX}")
    for participant in participants:
        if any(not any(node_id) for node_id in participant.nodes):
            raise ValueError(f"nodes: {participant.lei} has one of zeros")
        if participant.validators and "validator" not in participant.roles:
            raise ValueError(f"validators: {participant.lei} has not the role validator")


def _check_distinct(name: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name} {value} is used twice")
        seen.add(value)
