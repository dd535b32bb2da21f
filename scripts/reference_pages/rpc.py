"""docs/reference/rpc.md: the methods of the node's JSON-RPC."""

import inspect
from collections.abc import Iterator

from node.rpc.methods.left_out import LEFT_OUT
from node.rpc.methods.table import METHODS, Method
from reference_pages.table import first_line, table

OPENING = """# JSON-RPC

<!-- Written by scripts/docs from the code; do not edit. -->

The methods that a node serves, by POST of JSON-RPC 2.0, single or in batches. Parameters go by position; one in
brackets may be left out. *Heavy* calls may take seconds of the machine: they have threads of their own and share the
time of their request. Limits and codes: [the node's specification](../spec/node.md), [errors](errors.md).
"""

NAMESPACES = {
    "corridor": "What no other node answers: events by cursor, what blocks a transaction, who may transact.",
    "debug": "Encodings and traces.",
    "eth": "The Ethereum execution API.",
    "net": "The network.",
    "rpc": "The interface itself.",
    "txpool": "The pool.",
    "web3": "This software.",
}


def page() -> str:
    """The page's text."""
    return "\n".join([OPENING, *_sections()])


def _sections() -> Iterator[str]:
    namespaces = sorted({name.partition("_")[0] for name in METHODS})
    for namespace in namespaces:
        rows = [
            [f"`{name}`", _parameters(method), _cost(method), first_line(method.function.__doc__)]
            for name, method in sorted(METHODS.items())
            if name.partition("_")[0] == namespace
        ]
        yield f"## {namespace}\n\n{NAMESPACES[namespace]}\n"
        yield table(["method", "parameters", "cost", "answer"], rows) + "\n"
    yield "## Left out\n\nMethods of other nodes that this one does not serve.\n"
    left_out = [[f"`{name}`", reason] for name, reason in sorted(LEFT_OUT.items())]
    yield table(["method", "because"], left_out) + "\n"


def _parameters(method: Method) -> str:
    names = []
    for each in list(inspect.signature(method.function).parameters.values())[1:]:
        if each.kind is inspect.Parameter.KEYWORD_ONLY:
            continue
        name = each.name.strip("_")
        is_needed = each.default is inspect.Parameter.empty
        names.append(f"`{name}`" if is_needed else f"[`{name}`]")
    return ", ".join(names)


def _cost(method: Method) -> str:
    return "heavy" if method.is_heavy else "light"
