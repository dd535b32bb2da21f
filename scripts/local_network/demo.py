"""The demo: Alice at bank A pays Bob at bank B in another currency, told as it happens.

Everything is asked of the processes over their public interfaces, as a customer, an operator or any
reader of the chain would; nothing is taken from their memory or files.
"""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.chain import ChainClient, ChainEvent
from bridge.iso20022.format import format_initiation
from bridge.iso20022.identifiers import parse_uetr, shape_uetr
from bridge.iso20022.messages import InstructionStamp, restamp
from bridge.iso20022.parse import parse_initiation
from bridge.money import Amount
from local_network.books import (
    Books,
    Caller,
    count_breaks,
    read_books,
    read_stated,
    sums_of_changes,
)
from local_network.cast import ALICE, BOB, INSTITUTIONS, institution
from local_network.console import Console
from local_network.layout import Layout

FUNDING_SECONDS_MAX: Final = 60
"""How long the issuance of the first tokens may take."""

PAYMENT_SECONDS_MAX: Final = 120
"""How long the payment may take to end: longer than its deadlines."""

BOOKS_SECONDS_MAX: Final = 15
"""How long after settlement the last ledger may take to book it."""

STATEMENTS_SECONDS_MAX: Final = 60
"""How long the central banks' next intraday statements may take."""

POLL_SECONDS: Final = 0.05

DEBTOR_BANK: Final = "bank-a"
CREDITOR_BANK: Final = "bank-b"

TELLING: Final = {
    "Instructed": ("bank A", "instructed on the chain"),
    "Accepted": ("bank B", "accepted: message, commitment and account are right"),
    "PaymentQueued": ("chain", "waits for liquidity"),
    "PaymentSettled": ("chain", "settled, both legs, final"),
    "PaymentRejected": ("bank B", "rejected"),
    "PaymentCancelled": ("chain", "cancelled"),
    "PaymentExpired": ("chain", "expired"),
}


class DemoFailed(Exception):
    """The demo did not go as it should."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the demo's payment ended, as bank A describes it, with both ends' books."""

    payment: Mapping[str, object]
    credit: Mapping[str, str]
    milliseconds: int
    after: Books
    reconciled: bool

    def describe(self) -> dict[str, object]:
        """The outcome as the last line's JSON."""
        payment = self.payment
        return {
            "settled": payment["status"] == "settled",
            "uetr": payment["uetr"],
            "payment_id": payment["settlement_id"],
            "transaction_hash": payment["transaction_hash"],
            "block": payment["block"],
            "debit": payment["debit"],
            "credit": self.credit,
            "fee": payment["fee"],
            "rate": payment["rate"],
            "milliseconds": self.milliseconds,
            "reconciled": self.reconciled,
            "books": {code: books.describe() for code, books in self.after.by_currency.items()},
        }


class Demo:
    """One run over a started network."""

    def __init__(
        self, layout: Layout, console: Console, chain: ChainClient, caller: Caller
    ) -> None:
        self._layout = layout
        self._console = console
        self._chain = chain
        self._caller = caller

    def fund(self) -> None:
        """Turn reserves into tokens at every institution; orders already carried out stay as they are."""
        orders = [
            (member, code, self._order_tokens(member.key, code, amount))
            for member in INSTITUTIONS
            for code, amount in member.funding
        ]
        for member, code, reference in orders:
            issuance = self._await_issuance(member.key, reference)
            money = issuance["amount"]
            self._console.step(
                member.title, f"holds {money['value']} {code} issued against its reserves"
            )

    def _order_tokens(self, key: str, code: str, amount: str) -> str:
        answer = self._caller.post_json(
            key,
            "/v1/issuances",
            token=key,
            idempotency_key=f"devnet-funding-{code}",
            body={"amount": {"value": amount, "currency": code}},
        )
        return str(answer.json()["reference"])

    def _await_issuance(self, key: str, reference: str) -> dict[str, dict[str, str]]:
        deadline = time.monotonic() + FUNDING_SECONDS_MAX
        while time.monotonic() < deadline:
            answer = self._caller.get(key, f"/v1/issuances/{reference}", token=key).json()
            if answer["status"] == "issued":
                return dict(answer)
            if answer["status"] == "refused":
                raise DemoFailed(f"{key}: issuance refused: {answer}")
            time.sleep(POLL_SECONDS)
        raise DemoFailed(f"{key}: tokens were not issued in time")

    def pay(self, example: Path) -> Outcome:
        """Send the example's instruction, freshly stamped, and follow it until every ledger has booked it."""
        console = self._console
        stamp = datetime.now(UTC)
        run = f"{stamp:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder = self._layout.message_folder(run)
        document = _stamped(example, run, stamp)
        (folder / "1-pain.001-from-alice.xml").write_bytes(document)
        before = read_books(self._caller, self._chain)
        first_block = self._chain.head().number + 1
        console.say("\nAlice pays Bob 1000.00 SGD from her EUR account")
        console.start_clock()
        payment = self._send(document)
        ended = self._follow(str(payment["id"]), str(payment["settlement_id"]), first_block)
        credited = self._await_credit(str(ended["uetr"]))
        milliseconds = console.milliseconds()
        console.step("bank B", f"Bob credited {_money(credited['amount'])}")
        after = self._await_books()
        self._keep_messages(folder, str(ended["id"]), str(credited["id"]))
        reconciled = self._tell_books(before, after) and after.is_reconciled
        reconciled = self._tell_statements(after) and reconciled
        console.say(f"\n  ISO 20022 files: {folder}")
        return Outcome(
            payment=ended,
            credit=_pair(credited["amount"]),
            milliseconds=milliseconds,
            after=after,
            reconciled=reconciled,
        )

    def _send(self, document: bytes) -> Mapping[str, object]:
        answer = self._caller.post_message(
            DEBTOR_BANK, token=ALICE.customer_id, document=document
        ).json()
        payment = dict(answer["payments"][0])
        console = self._console
        console.step("Alice", f"pain.001 sent, UETR {payment['uetr']}")
        console.step("fx provider", f"firm quote; Alice's rate {payment['rate']} SGD per EUR")
        console.step(
            "bank A",
            f"reserved {_money(payment['debit'])}: principal {_money(payment['principal'])}, "
            f"fee {_money(payment['fee'])}",
        )
        return payment

    def _follow(self, payment_id: str, settlement_id: str, next_block: int) -> Mapping[str, object]:
        deadline = time.monotonic() + PAYMENT_SECONDS_MAX
        path = f"/v1/payments/{payment_id}"
        while time.monotonic() < deadline:
            next_block = self._tell_blocks(next_block, bytes.fromhex(settlement_id[2:]))
            payment = self._caller.get(DEBTOR_BANK, path, token=ALICE.customer_id).json()
            if payment["status"] == "settled":
                self._tell_blocks(next_block, bytes.fromhex(settlement_id[2:]))
                self._console.step("bank A", f"booked, {payment['iso_status']} to Alice")
                return dict(payment)
            if payment["iso_status"] == "RJCT":
                raise DemoFailed(f"the payment ended as {payment['status']}: {payment['reason']}")
            time.sleep(POLL_SECONDS)
        raise DemoFailed("the payment did not end in time")

    def _tell_blocks(self, number: int, settlement_id: bytes) -> int:
        """Tell what each new block says of the payment; the number of the next block."""
        while (block := self._chain.block(number)) is not None:
            self._tell_events(
                event for event in block.events if event.arguments.get("paymentId") == settlement_id
            )
            number += 1
        return number

    def _tell_events(self, events: Iterable[ChainEvent]) -> None:
        for event in events:
            who, what = TELLING.get(event.name, ("chain", event.name))
            place = f"block {event.block_number}, transaction 0x{event.transaction_hash.hex()}"
            self._console.step(who, f"{what} ({place})")

    def _await_credit(self, uetr: str) -> dict[str, object]:
        deadline = time.monotonic() + BOOKS_SECONDS_MAX
        while time.monotonic() < deadline:
            path = "/v1/operations/payments"
            answer = self._caller.get(CREDITOR_BANK, path, token=CREDITOR_BANK).json()
            for payment in answer["items"]:
                if payment["uetr"] == uetr and payment["status"] == "settled":
                    return dict(payment)
            time.sleep(POLL_SECONDS)
        raise DemoFailed("bank B did not book the payment in time")

    def _await_books(self) -> Books:
        """The books once all have booked; the provider's may be a moment behind."""
        deadline = time.monotonic() + BOOKS_SECONDS_MAX
        while True:
            books = read_books(self._caller, self._chain)
            if books.is_reconciled or time.monotonic() >= deadline:
                return books
            time.sleep(POLL_SECONDS)

    def _tell_books(self, before: Books, after: Books) -> bool:
        """Print all books before and after; whether every sum that must be zero is."""
        console = self._console
        header = ("", "before", "after", "change", "")
        console.say("\nLedgers (each account that changed, and all of the central banks)")
        console.table(header, _ledger_rows(before, after))
        console.say("\nTokens on the chain")
        console.table(header, _token_rows(before, after))
        console.say("\nWhat must be zero")
        sums = sums_of_changes(before, after)
        console.table(
            ("", "sum", ""),
            [(each.title, each.total.format(), each.total.currency.code) for each in sums],
        )
        console.say("\nWhat must be equal")
        figures = [
            (code, *books.describe().values(), "agree" if books.is_reconciled else "DIFFER")
            for code, books in after.by_currency.items()
        ]
        console.table(("", "token supply", "RTGS reserve", "ledger tokens", ""), figures)
        unchanged = all(
            after.by_currency[code].token_supply == books.token_supply
            for code, books in before.by_currency.items()
        )
        return unchanged and not any(each.total for each in sums)

    def _tell_statements(self, books: Books) -> bool:
        """Print what the central banks' statements say beside the ledgers; whether all three sides agree."""
        expected = 2 * sum(len(each.currencies) for each in INSTITUTIONS if each.funding)
        deadline = time.monotonic() + STATEMENTS_SECONDS_MAX
        while True:
            stated = read_stated(self._caller, books)
            is_stated = len(stated) == expected and all(each.agrees for each in stated)
            if is_stated or time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        console = self._console
        console.say("\nWhat the central banks state")
        console.table(
            ("", "statement", "ledger", "", ""),
            [
                (
                    f"{each.title}: {each.account}",
                    each.stated.format(),
                    each.ledger.format(),
                    each.stated.currency.code,
                    "agree" if each.agrees else "DIFFER",
                )
                for each in stated
            ],
        )
        breaks = count_breaks(self._caller)
        console.say(f"  open breaks: {breaks}")
        return is_stated and not breaks

    def _keep_messages(self, folder: Path, sent: str, received: str) -> None:
        """Fetch every ISO message of the payment from both banks into the run's folder."""
        for key, customer, payment_id in (
            (DEBTOR_BANK, ALICE, sent),
            (CREDITOR_BANK, BOB, received),
        ):
            path = f"/v1/payments/{payment_id}/messages"
            listed = self._caller.get(key, path, token=customer.customer_id).json()["items"]
            for index, message in enumerate(listed, start=1):
                document = self._caller.get(
                    key, f"{path}/{message['id']}", token=customer.customer_id
                ).content
                (folder / f"{key}-{index}-{message['name']}.xml").write_bytes(document)


def _ledger_rows(before: Books, after: Books) -> list[tuple[str, ...]]:
    rows = []
    for (key, account), amount in after.balances.items():
        earlier = before.balances.get((key, account), Amount.zero(amount.currency))
        member = institution(key)
        if earlier != amount or member.role == "central_bank":
            rows.append(_row(f"{member.title}: {account}", earlier, amount))
    return rows


def _token_rows(before: Books, after: Books) -> list[tuple[str, ...]]:
    return [
        _row(institution(key).title, before.chain[(key, code)], amount)
        for (key, code), amount in after.chain.items()
    ]


def _row(title: str, earlier: Amount, later: Amount) -> tuple[str, ...]:
    change = (later - earlier).format()
    return (title, earlier.format(), later.format(), change, later.currency.code)


def _pair(amount: object) -> dict[str, str]:
    if not isinstance(amount, Mapping):
        raise DemoFailed(f"not an amount: {amount!r}")
    return {"value": str(amount["value"]), "currency": str(amount["currency"])}


def _money(amount: object) -> str:
    pair = _pair(amount)
    return f"{pair['value']} {pair['currency']}"


def _stamped(file: Path, run: str, now: datetime) -> bytes:
    example = parse_initiation(file.read_bytes())
    stamps = tuple(
        InstructionStamp(
            end_to_end_id=f"DEMO-{run}-{index}"[:35],
            uetr=parse_uetr(shape_uetr(secrets.token_bytes(16))),
        )
        for index, _ in enumerate(example.instructions, start=1)
    )
    stamped = restamp(
        example,
        message_id=f"ALICE-{run}"[:35],
        created_at=now.replace(microsecond=0),
        requested_execution_date=now.date(),
        stamps=stamps,
    )
    return format_initiation(stamped)
