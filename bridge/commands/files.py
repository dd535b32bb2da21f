"""Files that a command makes: for their owner alone, never over another."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bridge.errors import KeyUnusable


@contextlib.contextmanager
def refusing_to_overwrite(folder: Path) -> Iterator[None]:
    """A file that exists already, or cannot be written, is a fault of the arguments."""
    try:
        yield
    except OSError as error:
        raise KeyUnusable(str(folder), error.strerror or "it cannot be written") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and that was not there before."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
