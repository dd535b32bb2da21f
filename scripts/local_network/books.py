"""Every ledger of the network, read from the process that keeps it, and whether they agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import httpx

from bridge.chain import ChainClient
from bridge.money import Amount, parse_currency
from local_network.cast import CURRENCIES, INSTITUTIONS, CurrencyCast, institution
from local_network.layout import Layout

HTTP_TIMEOUT_SECONDS: Final = 15


class Caller:
    """HTTP to the bridges of the network, as an operator or as a customer; a context manager."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._http = httpx.Client(timeout=HTTP_TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, key: str, path: str, *, token: str) -> httpx.Response:
        """Ask one institution."""
        return self._checked(
            self._http.get(self._layout.url(key) + path, headers=self._authorised(token))
        )

    def post_json(
        self, key: str, path: str, *, token: str, idempotency_key: str, body: Mapping[str, object]
    ) -> httpx.Response:
        """Order something of one institution, by a key under which it may be repeated."""
        headers = {**self._authorised(token), "idempotency-key": idempotency_key}
        return self._checked(
            self._http.post(self._layout.url(key) + path, headers=headers, json=body)
        )

    def post_message(self, key: str, *, token: str, document: bytes) -> httpx.Response:
        """Send one institution an ISO 20022 message as a customer."""
        headers = {**self._authorised(token), "content-type": "application/xml"}
        url = self._layout.url(key) + "/v1/messages"
        return self._checked(self._http.post(url, headers=headers, content=document))

    def _authorised(self, token: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._layout.token(token)}"}

    @staticmethod
    def _checked(response: httpx.Response) -> httpx.Response:
        if response.is_error:
            raise BooksUnreadable(f"{response.request.url}: {response.status_code} {response.text}")
        return response


class BooksUnreadable(Exception):
    """A process of the network answered with an error."""


@dataclass(frozen=True, slots=True)
class CurrencyBooks:
    """The three figures of one currency that must be equal, in minor units."""

    token_supply: Amount
    rtgs_reserve: Amount
    ledger_tokens: Amount

    @property
    def is_reconciled(self) -> bool:
        """Whether chain, central bank and institutions agree."""
        return self.token_supply == self.rtgs_reserve == self.ledger_tokens

    def describe(self) -> dict[str, str]:
        """The figures as decimal text."""
        return {
            "token_supply": self.token_supply.format(),
            "rtgs_reserve": self.rtgs_reserve.format(),
            "ledger_tokens": self.ledger_tokens.format(),
        }


@dataclass(frozen=True, slots=True)
class Books:
    """All ledgers at one moment: balances by institution and account, and tokens on the chain.

    `debit_normal` holds the accounts that grow by debits (assets and expenses).
    """

    balances: Mapping[tuple[str, str], Amount]
    debit_normal: frozenset[tuple[str, str]]
    chain: Mapping[tuple[str, str], Amount]
    by_currency: Mapping[str, CurrencyBooks]

    @property
    def is_reconciled(self) -> bool:
        """Whether every currency agrees, and every institution's tokens with the chain's."""
        holdings = all(
            self.balances[(key, f"tokens:{code}")] == amount
            for (key, code), amount in self.chain.items()
        )
        return holdings and all(books.is_reconciled for books in self.by_currency.values())


@dataclass(frozen=True, slots=True)
class Sum:
    """What the changes between two moments add up to, for one ledger or the chain; must be zero."""

    title: str
    total: Amount


def sums_of_changes(before: Books, after: Books) -> list[Sum]:
    """Debits less credits of every ledger, and tokens lost and won on the chain, per currency."""
    sums: dict[tuple[str, str], Amount] = {}
    for place, amount in after.balances.items():
        change = amount - before.balances.get(place, Amount.zero(amount.currency))
        signed = change if place in after.debit_normal else -change
        key = (f"{institution(place[0]).title}: debits less credits", amount.currency.code)
        sums[key] = sums.get(key, Amount.zero(amount.currency)) + signed
    for place, amount in after.chain.items():
        key = ("chain: tokens won less tokens lost", amount.currency.code)
        total = sums.get(key, Amount.zero(amount.currency))
        sums[key] = total + (amount - before.chain[place])
    return [Sum(title, total) for (title, _), total in sums.items()]


def read_books(caller: Caller, chain: ChainClient) -> Books:
    """Read every ledger from its own process, and the tokens from the node."""
    balances: dict[tuple[str, str], Amount] = {}
    debit_normal: set[tuple[str, str]] = set()
    for member in INSTITUTIONS:
        answer = caller.get(member.key, "/v1/ledger/accounts", token=member.key).json()
        for account in answer["items"]:
            money = account["ledger"]
            currency = parse_currency(money["currency"])
            if account["type"] in {"asset", "expense"}:
                debit_normal.add((member.key, account["id"]))
            balances[(member.key, account["id"])] = Amount.parse(
                money["value"], currency, signed=True
            )
    directory = chain.directory()
    holdings = {
        (member.key, code): Amount(
            parse_currency(code),
            chain.balance_of(
                parse_currency(code).numeric, directory.by_lei(member.lei).settlement_address
            ),
        )
        for member in INSTITUTIONS
        if member.role != "central_bank"
        for code in member.currencies
    }
    by_currency = {
        currency.code: _currency_books(currency, balances, chain) for currency in CURRENCIES
    }
    return Books(
        balances=balances,
        debit_normal=frozenset(debit_normal),
        chain=holdings,
        by_currency=by_currency,
    )


@dataclass(frozen=True, slots=True)
class Stated:
    """What a central bank's newest statement says of an institution's account, and what its ledger says."""

    title: str
    account: str
    stated: Amount
    ledger: Amount

    @property
    def agrees(self) -> bool:
        """Whether the two are equal."""
        return self.stated == self.ledger


def read_stated(caller: Caller, books: Books) -> list[Stated]:
    """Each institution's newest statements beside its own ledger; none where none has come yet."""
    found = []
    for member in INSTITUTIONS:
        if member.role == "central_bank":
            continue
        items = caller.get(member.key, "/v1/statements?limit=200", token=member.key).json()["items"]
        newest: dict[tuple[str, str], dict[str, str]] = {}
        for item in items:
            newest.setdefault((item["scope"], item["closing"]["currency"]), item["closing"])
        for (scope, code), closing in sorted(newest.items()):
            account = f"{scope}:{code}"
            found.append(
                Stated(
                    title=member.title,
                    account=account,
                    stated=Amount.parse(closing["value"], parse_currency(code), signed=True),
                    ledger=books.balances[(member.key, account)],
                )
            )
    return found


def count_breaks(caller: Caller) -> int:
    """How many breaks are open, at any institution."""
    return sum(
        int(caller.get(member.key, "/v1/reconciliation", token=member.key).json()["open_breaks"])
        for member in INSTITUTIONS
    )


def _currency_books(
    currency: CurrencyCast, balances: Mapping[tuple[str, str], Amount], chain: ChainClient
) -> CurrencyBooks:
    unit = parse_currency(currency.code)
    issuer = next(member for member in INSTITUTIONS if member.lei == currency.issuer)
    held = [
        amount
        for (_, account_id), amount in balances.items()
        if account_id == f"tokens:{currency.code}"
    ]
    return CurrencyBooks(
        token_supply=Amount(unit, chain.total_supply(currency.numeric)),
        rtgs_reserve=balances[(issuer.key, f"tokens-outstanding:{currency.code}")],
        ledger_tokens=sum(held, start=Amount.zero(unit)),
    )
