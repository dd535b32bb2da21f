"""Markdown tables."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of the given columns; a cell may hold anything but a line break."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def first_line(documentation: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    paragraph = (documentation or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split())
