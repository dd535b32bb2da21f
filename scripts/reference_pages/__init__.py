"""The reference pages that are written from the code, each with the function that writes it."""

from collections.abc import Callable, Mapping
from typing import Final

from reference_pages import configuration, contracts, errors, messages, metrics, rpc

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/configuration.md": configuration.page,
    "docs/reference/contracts.md": contracts.page,
    "docs/reference/errors.md": errors.page,
    "docs/reference/messages.md": messages.page,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/rpc.md": rpc.page,
}
"""What each page must hold, by its path in the checkout."""
