"""The network that contract suites run on: two central banks, two banks, one fx provider, an operator.

`open_street()` gives a fresh `Street` at genesis; all of them share one genesis and diverge from
there. The builders make terms, quotes and attestations that are right, so that a test of a guard
changes exactly the one thing it is about (`dataclasses.replace`).
"""

from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import Any, Final

from eth_account import Account as Wallet
from eth_account.messages import encode_typed_data

import contracts
from node.primitives import keccak
from support.chain_harness import Chain, Contract, Receipt, key_of, open_chain
from support.transactions import CHAIN_ID, Key

GENESIS_TIME: Final = 1_800_000_000
EUR: Final = b"EUR"
SGD: Final = b"SGD"
NUMERIC_BY_CURRENCY: Final = {EUR: 978, SGD: 702}
HOUR: Final = 3_600
ZERO_HASH: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Attestation:
    """A statement of reserves, as the contract has it."""

    sequence: int
    as_of: int
    valid_until: int
    amount: int
    statement_hash: bytes = keccak(b"statement")


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of a payment."""

    currency: bytes
    payer: bytes
    payee: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of a payment, in the contract's order."""

    version: int
    legs: tuple[Leg, ...]
    message_commitment: bytes
    supervisor_copy_hash: bytes
    quote_hash: bytes
    accept_by: int
    settle_by: int
    not_before: int
    priority: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Quote:
    """A firm FX quote, in the contract's order."""

    maker: bytes
    taker: bytes
    maker_from: bytes
    maker_to: bytes
    maker_currency: bytes
    maker_amount: int
    taker_currency: bytes
    taker_amount: int
    smallest_fill: int
    valid_until: int
    settle_by: int
    priority: int = 0
    may_queue: bool = False
    salt: bytes = keccak(b"salt")


ATTESTATION_TYPE: Final = (
    "sequence:uint64 asOf:uint40 validUntil:uint40 amount:uint256 statementHash:bytes32"
)
QUOTE_TYPE: Final = (
    "maker:bytes20 taker:bytes20 makerFrom:bytes32 makerTo:bytes32 makerCurrency:bytes3"
    " makerAmount:uint256 takerCurrency:bytes3 takerAmount:uint256 smallestFill:uint256"
    " validUntil:uint40 settleBy:uint40 priority:uint8 mayQueue:bool salt:bytes32"
)


def lei_of(prefix: str) -> bytes:
    """Return a LEI of 18 given characters and the check digits they need (ISO 7064 mod 97-10)."""
    number = int("".join(str(int(character, 36)) for character in prefix + "00"))
    return f"{prefix}{98 - number % 97:02d}".encode()


@dataclass(frozen=True, slots=True)
class Institution:
    """A participant with one account of each kind; not every kind is registered for everyone."""

    name: str
    bic: str
    country: str
    roles: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def lei(self) -> bytes:
        """Twenty ASCII bytes."""
        return lei_of(f"{self.name.upper():0<18}")

    @property
    def operating(self) -> Key:
        """Signs for the institution's bridge."""
        return self.account("operating")

    @property
    def settlement(self) -> Key:
        """Holds its tokens."""
        return self.account("settlement")

    def account(self, kind: str) -> Key:
        """Return its account of one kind."""
        return key_of(f"{self.name}/{kind}")

    def reference(self, kind: str = "settlement") -> bytes:
        """Return the registry's reference of that account."""
        return keccak(f"reference/{self.name}/{kind}".encode())

    def entry(self) -> dict[str, Any]:
        """Return its part of a network file."""
        return {
            "lei": self.lei.decode(),
            "bic": self.bic,
            "country": self.country,
            "roles": list(self.roles),
            "sealing_key": "0x" + keccak(f"{self.name}/sealing".encode()).hex(),
            "signing_key": "0x" + keccak(f"{self.name}/signing".encode()).hex(),
            "endpoint": f"http://{self.name}.example",
            "accounts": [
                {
                    "reference": "0x" + self.reference(kind).hex(),
                    "address": "0x" + self.account(kind).address.hex(),
                    "kind": kind.partition("-")[0],
                }
                for kind in self.kinds
            ],
        }


_HOLDS: Final = ("settlement", "operating")
_OFFICERS: Final = ("officer", "officer-2")
EUROSYSTEM: Final = Institution(
    "eurosystem", "EUROBEBB", "BE", ("issuer", "council"), ("operating", "attesting", *_OFFICERS)
)
AUTHORITY: Final = Institution(
    "authority", "AUTHSGSG", "SG", ("issuer", "council"), ("operating", "attesting", *_OFFICERS)
)
ALPHA: Final = Institution("alpha", "ALPHDEFF", "DE", ("bank",), (*_HOLDS, "quoting"))
BETA: Final = Institution("beta", "BETASGSGXXX", "SG", ("bank",), (*_HOLDS, "quoting"))
MAKER: Final = Institution("maker", "MAKRLULL", "LU", ("fx_provider",), (*_HOLDS, "quoting"))
OPERATOR: Final = Institution(
    "operator", "OPERCHZZ", "CH", ("operator", "liquidity"), ("operating", *_OFFICERS)
)
INSTITUTIONS: Final = (EUROSYSTEM, AUTHORITY, ALPHA, BETA, MAKER, OPERATOR)
ISSUER_BY_CURRENCY: Final = {EUR: EUROSYSTEM, SGD: AUTHORITY}


def network_file() -> dict[str, Any]:
    """Return the network file that genesis is made from."""
    return {
        "chain_id": CHAIN_ID,
        "genesis_time": GENESIS_TIME,
        "development": False,
        "transactions_open": False,
        "administrator": "operator",
        "operator": "0x" + OPERATOR.operating.address.hex(),
        "block_gas_limit": 30_000_000,
        "transaction_gas_limit": 16_000_000,
        "currencies": [
            {
                "code": currency.decode(),
                "numeric": NUMERIC_BY_CURRENCY[currency],
                "exponent": 2,
                "name": {EUR: "Euro", SGD: "Singapore Dollar"}[currency],
                "issuer_lei": ISSUER_BY_CURRENCY[currency].lei.decode(),
            }
            for currency in (EUR, SGD)
        ],
        "participants": [institution.entry() for institution in INSTITUTIONS],
    }


class Street:
    """The contracts of one chain and the acts that suites repeat."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.registry = Contract(chain, contracts.REGISTRY_ADDRESS, "ParticipantRegistry")
        self.settlement = Contract(chain, contracts.SETTLEMENT_ADDRESS, "PaymentSettlement")
        self.tokens = {
            currency: Contract(chain, contracts.currency_token_address(numeric), "CurrencyToken")
            for currency, numeric in NUMERIC_BY_CURRENCY.items()
        }
        self.uetr_count = 0

    @property
    def now(self) -> int:
        """Time of the next block."""
        return self.chain.now

    def fork(self) -> "Street":
        """Return another street that goes on from here."""
        return Street(self.chain.fork())

    def pass_time(self, seconds: int) -> None:
        """Move the next block's time."""
        self.chain.now += seconds

    def balance(self, institution: Institution, currency: bytes) -> int:
        """Return what its settlement account holds."""
        balance: int = self.tokens[currency].read("balanceOf", institution.settlement.address)
        return balance

    def attestation(self, currency: bytes, amount: int) -> Attestation:
        """Return the next statement of a currency's reserves, valid for an hour."""
        latest = self.tokens[currency].read("latestAttestation")
        return Attestation(latest[0] + 1, self.now, self.now + HOUR, amount)

    def attest(
        self, currency: bytes, attestation: Attestation, *, signer: Key | None = None
    ) -> Receipt:
        """Record a statement, signed by the issuer's attesting key unless another is given."""
        issuer = ISSUER_BY_CURRENCY[currency]
        token = self.tokens[currency]
        signature = sign(
            signer or issuer.account("attesting"), attestation_data(token.address, attestation)
        )
        return token.transact(issuer.operating, "attest", astuple(attestation), signature)

    def issue(self, currency: bytes, to: Institution, amount: int, label: str) -> Receipt:
        """Issue to a participant's settlement account."""
        return self.tokens[currency].transact(
            ISSUER_BY_CURRENCY[currency].operating,
            "issue",
            keccak(label.encode()),
            to.settlement.address,
            amount,
        )

    def fund(self, currency: bytes, amounts: dict[Institution, int]) -> None:
        """Attest enough reserves and issue these amounts."""
        supply = self.tokens[currency].read("totalSupply")
        self.attest(currency, self.attestation(currency, supply + sum(amounts.values())))
        for institution, amount in amounts.items():
            self.issue(currency, institution, amount, f"fund/{institution.name}/{self.now}")

    def uetr_hash(self) -> bytes:
        """Return a hash no payment of this street has had."""
        self.uetr_count += 1
        return keccak(f"uetr/{self.uetr_count}".encode())

    def plain_terms(self, amount: int = 100) -> Terms:
        """Return terms of a payment in euro from Alpha to Beta."""
        return Terms(
            version=1,
            legs=(Leg(EUR, ALPHA.reference(), BETA.reference(), amount),),
            message_commitment=keccak(b"message"),
            supervisor_copy_hash=ZERO_HASH,
            quote_hash=ZERO_HASH,
            accept_by=self.now + HOUR,
            settle_by=self.now + 2 * HOUR,
            not_before=0,
        )

    def quote(self, maker_amount: int = 150, taker_amount: int = 100) -> Quote:
        """Return a quote by Maker to Alpha: Singapore dollars for euro."""
        return Quote(
            maker=MAKER.lei,
            taker=ALPHA.lei,
            maker_from=MAKER.reference(),
            maker_to=MAKER.reference(),
            maker_currency=SGD,
            maker_amount=maker_amount,
            taker_currency=EUR,
            taker_amount=taker_amount,
            smallest_fill=maker_amount,
            valid_until=self.now + HOUR,
            settle_by=self.now + 3 * HOUR,
        )

    def quoted_terms(self, quote: Quote, beneficiary: Institution = BETA) -> Terms:
        """Return terms that fill a quote, the maker's leg going to `beneficiary`."""
        legs = (
            Leg(quote.taker_currency, ALPHA.reference(), quote.maker_to, quote.taker_amount),
            Leg(
                quote.maker_currency, quote.maker_from, beneficiary.reference(), quote.maker_amount
            ),
        )
        return replace(self.plain_terms(), legs=legs, quote_hash=quote_hash_of(quote))

    def instruct(
        self, terms: Terms, *, uetr_hash: bytes | None = None, sender: Key = ALPHA.operating
    ) -> bytes:
        """Instruct a plain payment and return its id."""
        receipt = self.settlement.transact(
            sender, "instruct", uetr_hash or self.uetr_hash(), astuple(terms)
        )
        payment_id: bytes = receipt.event("Instructed").arguments["paymentId"]
        return payment_id

    def instruct_with_quote(
        self,
        terms: Terms,
        quote: Quote,
        *,
        signature: bytes | None = None,
        sender: Key = ALPHA.operating,
    ) -> bytes:
        """Instruct an FX payment and return its id."""
        signer = MAKER.account("quoting").address
        return self.instruct_with_quotes(
            terms, signed(quote, signer=signer, signature=signature), sender=sender
        )

    def instruct_with_quotes(
        self, terms: Terms, *quotes: tuple[Any, ...], sender: Key = ALPHA.operating
    ) -> bytes:
        """Instruct a payment through one maker or several (each as `signed` gives it) and return its id."""
        receipt = self.settlement.transact(
            sender, "instructWithQuotes", self.uetr_hash(), astuple(terms), list(quotes)
        )
        payment_id: bytes = receipt.event("Instructed").arguments["paymentId"]
        return payment_id

    def accept(
        self,
        payment_id: bytes,
        terms: Terms,
        *,
        sender: Key = BETA.operating,
        priority: int = 0,
        flags: int = 0,
    ) -> Receipt:
        """Accept for the sender's participant."""
        return self.settlement.transact(
            sender, "accept", payment_id, astuple(terms), priority, flags
        )

    def state(self, payment_id: bytes) -> tuple[int, int]:
        """Return the payment's state and outcome."""
        payment = self.settlement.read("payment", payment_id)
        return payment[1], payment[2]


def typed_data(
    domain: tuple[str, bytes], name: str, members: str, values: tuple[Any, ...]
) -> dict[str, Any]:
    """Return EIP-712 typed data: domain name and contract, then the one struct."""
    fields = [
        {"name": field, "type": kind}
        for field, kind in (member.split(":") for member in members.split())
    ]
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            name: fields,
        },
        "primaryType": name,
        "domain": {
            "name": domain[0],
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": "0x" + domain[1].hex(),
        },
        "message": {field["name"]: value for field, value in zip(fields, values, strict=True)},
    }


def attestation_data(token: bytes, attestation: Attestation) -> dict[str, Any]:
    """Return what an attesting key signs."""
    domain = ("Corridor CurrencyToken", token)
    return typed_data(domain, "Attestation", ATTESTATION_TYPE, astuple(attestation))


def quote_data(quote: Quote) -> dict[str, Any]:
    """Return what a quoting key signs."""
    domain = ("Corridor PaymentSettlement", contracts.SETTLEMENT_ADDRESS)
    return typed_data(domain, "Quote", QUOTE_TYPE, astuple(quote))


def digest_of(data: dict[str, Any]) -> bytes:
    """Return the EIP-712 digest, as eth-account has it."""
    message = encode_typed_data(full_message=data)
    return keccak(b"\x19" + message.version + message.header + message.body)


def quote_hash_of(quote: Quote) -> bytes:
    """Return the quote's hash."""
    return digest_of(quote_data(quote))


def sign(signer: Key, data: dict[str, Any]) -> bytes:
    """Return a 65-byte signature over typed data."""
    signed = Wallet.sign_message(encode_typed_data(full_message=data), signer.secret)
    return bytes(signed.signature)


def signed(quote: Quote, *, signer: bytes, signature: bytes | None = None) -> tuple[Any, ...]:
    """Return a quote as `instructWithQuotes` takes it, signed by Maker unless a signature is given."""
    return astuple(quote), signer, sign_quote(quote) if signature is None else signature


def sign_quote(quote: Quote, signer: Key | None = None) -> bytes:
    """Return the maker's signature unless another signer is given."""
    return sign(signer or MAKER.account("quoting"), quote_data(quote))


@lru_cache(maxsize=1)
def _genesis() -> Chain:
    return open_chain(network_file())


def open_street() -> Street:
    """Return a street at genesis."""
    return Street(_genesis().fork())
