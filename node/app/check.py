"""Whether what the settings name is there and usable: what `node run --check-config` looks at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from node.app.files import verify_genesis
from node.config import Settings
from node.errors import NodeError
from node.rpc.access import build_access


def check_files(settings: Settings) -> list[str]:
    """What is wrong with the files and directories behind the settings; nothing is changed."""
    checks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("genesis_file", lambda: verify_genesis(settings.genesis_file)),
        ("data_directory", lambda: _check_directory(settings.data_directory)),
        ("clients", lambda: build_access(settings)),
    )
    faults = []
    for key, check in checks:
        try:
            check()
        except (NodeError, OSError) as error:
            faults.append(f"{key}: {error}")
    return faults


def _check_directory(directory: Path) -> None:
    """Raises `OSError` unless the directory can be written, or made and written."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing} is no directory")
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{existing} cannot be written by this user")
