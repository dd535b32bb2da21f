"""The consensus engine's binary, built once per checkout by `scripts/build-engine`."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
BUILT: Final = ROOT / "build/corridor-engine"
BUILD_SECONDS_MAX: Final = 900
GO_UNUSABLE: Final = 2


@cache
def engine_binary() -> Path:
    """Where the binary is, current as to its sources; skips the test where it cannot be had."""
    if shutil.which("go") is None:
        found = shutil.which("corridor-engine")
        if found is not None:
            return Path(found)
        _skip_unless_built()
        return BUILT
    finished = subprocess.run(
        [ROOT / "scripts/build-engine"],
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        check=False,
    )
    if finished.returncode == GO_UNUSABLE:
        _skip_unless_built()
    elif finished.returncode != 0:
        pytest.fail(f"scripts/build-engine failed: {finished.stderr[-500:]}", pytrace=False)
    return BUILT


def _skip_unless_built() -> None:
    if not BUILT.exists():
        pytest.skip(
            "the consensus engine is not built and Go is not installed: install Go 1.25 or newer "
            "(scripts/build-engine), or put a corridor-engine on the PATH"
        )
