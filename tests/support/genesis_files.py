"""Genesis files with another rule than `node network generate` gives them."""

from dataclasses import replace

from node.genesis import Genesis, genesis_header


def with_clock_skew(made: Genesis, seconds: int) -> Genesis:
    """The same beginning for clocks that may differ by so much."""
    specification = replace(made.specification, clock_skew_max_seconds=seconds)
    header = genesis_header(specification, made.header.timestamp, made.header.state_root)
    return Genesis(specification, header, made.alloc)
