"""A file of gridlocks: for each case opening balances and payments in the order of their queues.

Amounts are integers in whatever unit the file has, all of one currency. Anything that is not a file of
this shape gives `FileRefused` with one sentence for people; there is a limit to everything it may hold.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import QueuesInvalid
from bridge.liquidity.book import Book, Item, Leg, Position, line_up
from bridge.money import AMOUNT_MAX

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
CASES_MAX: Final = 1_000
PAYMENTS_MAX: Final = 100_000
NAME_CHARACTERS_MAX: Final = 64
NESTING_MAX: Final = 1_000

CURRENCY: Final = "XXX"
"""ISO 4217's code where no currency is involved: the file names none."""


class FileRefused(Exception):
    """The file is not one of gridlocks; the reason is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Case:
    """One gridlock."""

    case_id: str
    book: Book


def parse_cases(text: bytes, *, bypassable: bool) -> list[Case]:
    """Return the cases of a file, every payment bypassable or none; raises FileRefused."""
    if len(text) > FILE_BYTES_MAX:
        raise FileRefused(f"it is larger than {FILE_BYTES_MAX} bytes")
    document = _parse(text)
    entries = _list(_object(document, "the file"), "cases", "the file")
    if len(entries) > CASES_MAX:
        raise FileRefused(f"it has more than {CASES_MAX} cases")
    cases, payments = [], 0
    for number, entry in enumerate(entries, 1):
        case = _case(_object(entry, f"case {number}"), number, bypassable=bypassable)
        payments += len(case.book.items)
        if payments > PAYMENTS_MAX:
            raise FileRefused(f"it has more than {PAYMENTS_MAX} payments")
        cases.append(case)
    if len({case.case_id for case in cases}) < len(cases):
        raise FileRefused("two cases have one id")
    return cases


def _parse(text: bytes) -> object:
    """Return what the JSON says; the limit for nesting is one that the stack holds, whatever a library has set."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(min(usual, NESTING_MAX))
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileRefused("it is not JSON") from error
    finally:
        sys.setrecursionlimit(usual)


def _case(entry: dict[str, Any], number: int, *, bypassable: bool) -> Case:
    case_id = _name(entry.get("id"), f"the id of case {number}")
    where = f"case {case_id}"
    opening = _object(entry.get("opening_balances"), f"opening_balances of {where}")
    available: dict[Position, int] = {
        (_name(account, f"an account of {where}"), CURRENCY): _amount(
            balance, f"the opening balance of {account} in {where}"
        )
        for account, balance in opening.items()
    }
    payments = _list(entry, "payments_in_queue_order", where)
    if len(payments) > PAYMENTS_MAX:
        raise FileRefused(f"{where} has more than {PAYMENTS_MAX} payments")
    items = [_item(payment, where, opening, bypassable=bypassable) for payment in payments]
    try:
        return Case(case_id, line_up(items, available))
    except QueuesInvalid as error:
        raise FileRefused(f"{where}: {error.fault}") from error


def _item(entry: object, where: str, opening: dict[str, Any], *, bypassable: bool) -> Item:
    payment = _object(entry, f"a payment of {where}")
    item_id = _name(payment.get("id"), f"a payment's id in {where}")
    what = f"payment {item_id} of {where}"
    payer = _name(payment.get("payer"), f"the payer of {what}")
    payee = _name(payment.get("payee"), f"the payee of {what}")
    for account in (payer, payee):
        if account not in opening:
            raise FileRefused(f"{what} names {account}, which has no opening balance")
    amount = _amount(payment.get("amount"), f"the amount of {what}")
    return Item(item_id, (Leg(payer, payee, CURRENCY, amount),), bypassable)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FileRefused(f"{what} is not an object")
    return value


def _list(entry: dict[str, Any], name: str, where: str) -> list[Any]:
    value = entry.get(name)
    if not isinstance(value, list):
        raise FileRefused(f"{where} has no list {name}")
    return value


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_CHARACTERS_MAX:
        raise FileRefused(f"{what} is not a text of 1 to {NAME_CHARACTERS_MAX} characters")
    if not value.isprintable():
        raise FileRefused(f"{what} has characters that cannot be shown")
    return value


def _amount(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= AMOUNT_MAX:
        raise FileRefused(f"{what} is not an integer from 0 to {AMOUNT_MAX}")
    return value
