"""docs/reference/metrics.md: the metrics of a node."""

from node.telemetry import FAMILIES
from reference_pages.table import table

OPENING = """# Metrics of a node

<!-- Written by scripts/docs from the code; do not edit. -->

`GET /metrics` gives them in Prometheus's text format, on the port of JSON-RPC. Any RPC process answers for all: each
sample has the label `process`, `core` or the RPC process's name (`rpc-1`, ...). Rates and quantiles over the whole node
are sums over that label. To ask is to call a method named `metrics`, so access control holds for it. Each process also
shows the operating system's view of it (`process_cpu_seconds_total`, `process_resident_memory_bytes`, ...).
"""


def page() -> str:
    """The page's text."""
    return "\n".join(
        [OPENING, _section("core", is_of_core=True), _section("rpc", is_of_core=False)]
    )


def _section(process: str, *, is_of_core: bool) -> str:
    rows = [
        [
            f"`{each.name}`",
            each.kind.value,
            ", ".join(f"`{label}`" for label in each.labels),
            each.meaning,
        ]
        for each in FAMILIES
        if each.is_of_core is is_of_core
    ]
    return f"## {process}\n\n{table(['name', 'type', 'labels', 'meaning'], rows)}\n"
