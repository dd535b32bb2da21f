"""docs/reference/errors.md: the faults that a node names, and their codes on the wire."""

from node import errors
from node.rpc.faults import CODE_BY_ERROR
from reference_pages.table import first_line, table

OPENING = """# Errors of the node

<!-- Written by scripts/docs from the code; do not edit. -->

Every fault that the node names stands in one tree with three branches, and has one code in JSON-RPC. Where the code
is -32603 the fault is the node's own: its words go to the log, not to the caller. What a method refuses before it is
called (no JSON, no such method, too large) has the codes of JSON-RPC itself.
"""

BRANCHES = {
    errors.Rejected: "The caller's fault: the same request fails again.",
    errors.Unavailable: "A retry may help.",
    errors.InvariantBroken: "The node stops.",
}


def page() -> str:
    """The page's text."""
    sections = [
        f"## {branch.__name__}\n\n{meaning}\n\n{_faults(branch)}\n"
        for branch, meaning in BRANCHES.items()
    ]
    return "\n".join([OPENING, *sections])


def _faults(branch: type[errors.NodeError]) -> str:
    rows = [
        [f"`{fault.__name__}`", str(code), first_line(fault.__doc__)]
        for fault, code in CODE_BY_ERROR.items()
        if issubclass(fault, branch)
    ]
    return table(["fault", "code", "meaning"], sorted(rows))
