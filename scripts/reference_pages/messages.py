"""docs/reference/messages.md: the messages of the bridge, their elements and the codes in them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from bridge.iso20022 import codes
from bridge.iso20022.catalogue import STRUCTURES
from bridge.iso20022.codes import MessageName
from bridge.iso20022.envelope import ENVELOPE_NAMESPACE, HEADER_NAME, HEADER_STRUCTURE
from bridge.iso20022.structure import Element
from reference_pages.table import first_line, table

OPENING = """# Messages

<!-- Written by scripts/docs from the code; do not edit. -->

The ISO 20022 messages that a bridge reads and writes, and which of their elements it uses. The subset is narrow on
purpose: an element that is not shown here is refused, never ignored, so that nobody believes it was acted upon. What
must hold besides the outlines is in the [rules of the messages](../spec/messages.md).
"""

# Direction and use, then what is particular about the message.
NOTES: dict[MessageName, tuple[str, str, str]] = {
    MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION: (
        "customer to bank",
        "one or more payments that a customer asks for",
        (
            "The limit of 100 payments holds for all groups together. `ChrgBr` stands once, in the group or in "
            "the transfer. A `PmtInfId` is unique in its message, an `EndToEndId` in its group."
        ),
    ),
    MessageName.CUSTOMER_STATUS_REPORT: (
        "bank to customer",
        "what became of each of them",
        "The answer to a pain.001. `StsRsnInf` must stand with `RJCT` and `CANC`.",
    ),
    MessageName.CREDIT_TRANSFER: (
        "bank to bank, sealed",
        "the one payment that a settlement on the chain commits to",
        (
            "`SttlmMtd` is `CLRG` and the clearing system is the proprietary `CORRIDOR`, a departure from CBPR+ "
            "(which knows `INDA`, `INGA` and `COVE`): settlement happens on the chain, so there is no account of "
            "one bank at the other."
        ),
    ),
    MessageName.INSTITUTION_TRANSFER: (
        "bank to bank or central bank",
        "an institution's own transfer, such as funding",
        "Debtor and creditor are institutions; the agents keep their accounts where they do not do so themselves.",
    ),
    MessageName.STATUS_REPORT: (
        "bank to bank, bank to customer",
        "where a payment stands",
        (
            "Reports on one payment. `StsRsnInf` must stand with `RJCT` and `CANC`. Each bridge writes it from "
            "what it read in a final block: there is no operator who could."
        ),
    ),
    MessageName.PAYMENT_RETURN: (
        "bank to bank, sealed",
        "settled money that goes back",
        "Names the original payment by all its references, its amount and its day.",
    ),
    MessageName.STATUS_REQUEST: ("bank to bank", "the question where a payment stands", ""),
    MessageName.CANCELLATION_REQUEST: (
        "bank to bank, sealed",
        "the wish to have a payment back",
        "The case keeps its identification through every answer.",
    ),
    MessageName.INVESTIGATION_RESOLUTION: (
        "bank to bank, sealed",
        "the answer to that wish",
        "`CNCL` stands without a reason, `RJCR` and `PDCR` with one.",
    ),
    MessageName.INTRADAY_REPORT: (
        "account servicer to owner",
        "entries of the day so far",
        "Booked and pending entries; balances may be missing.",
    ),
    MessageName.STATEMENT: (
        "account servicer to owner",
        "the booked entries between two balances",
        (
            "A message is one page of at most 30 entries. The first balance is `OPBD`, the last `CLBD`, and "
            "between two pages they have the sub-type `INTM`."
        ),
    ),
    MessageName.ACCOUNT_NOTIFICATION: (
        "bank to customer",
        "one booked debit or credit",
        (
            "`Amt` is what the balance changed by, charges included. `XchgRate` says how many units of `TrgtCcy` "
            "one unit of `UnitCcy` bought. The bank transaction code is that of a cross-border credit transfer."
        ),
    ),
}


def page() -> str:
    """The page's text."""
    overview = table(
        ["message", "direction", "used for"],
        [[f"`{name}`", NOTES[name][0], NOTES[name][1]] for name in MessageName],
    )
    sections = [_message(name) for name in MessageName]
    lists = [_codes(*each) for each in _code_lists()]
    return "\n".join([OPENING, overview, "", *sections, _header(), "## Codes", "", *lists])


def outline(element: Element, depth: int = 0) -> list[str]:
    """An element and what is in it as indented lines with their cardinality."""
    note = " (exactly one of)" if element.choice else ""
    currency = " @Ccy" if element.amount else ""
    counts = f"[{element.minimum}..{element.maximum}]"
    line = f"{'  ' * depth}{element.name}{currency} {counts}{note}"
    return [line, *(text for child in element.children for text in outline(child, depth + 1))]


def _message(name: MessageName) -> str:
    shown = "\n".join(outline(STRUCTURES[name]))
    note = f"{NOTES[name][2]}\n\n" if NOTES[name][2] else ""
    return f"## {name}\n\n{note}```text\n{shown}\n```\n"


def _header() -> str:
    shown = "\n".join(outline(HEADER_STRUCTURE))
    return (
        f"## {HEADER_NAME}\n\nThe business application header under which any message may travel: in `Hdr` of an\n"
        f"envelope `BizMsgEnvlp` (`{ENVELOPE_NAMESPACE}`), whose `Doc` holds the message.\n\n"
        f"```text\n{shown}\n```\n"
    )


def _codes(name: str, meaning: str, rows: list[list[str]]) -> str:
    return f"### {name}\n\n{meaning}\n\n{table(['code', 'meaning'], rows)}\n"


def _code_lists() -> Iterator[tuple[str, str, list[list[str]]]]:
    """Each list of codes with what its source says of the codes."""
    for node in ast.parse(Path(codes.__file__).read_text("utf-8")).body:
        if not isinstance(node, ast.ClassDef) or node.name == MessageName.__name__:
            continue
        rows = [
            [f"`{_target(member)}`", first_line(_text(text)).rstrip(".")]
            for member, text in zip(node.body, node.body[1:], strict=False)
            if isinstance(member, ast.Assign)
        ]
        yield node.name, first_line(ast.get_docstring(node)), rows


def _target(member: ast.Assign) -> str:
    (target,) = member.targets
    return ast.unparse(target)


def _text(node: ast.stmt) -> str:
    if not isinstance(node, ast.Expr):
        return ""
    return str(ast.literal_eval(node.value))
