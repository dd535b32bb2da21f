"""The machine under the figures: what it is, how busy it was, and how fast two known things ran in the same run."""

import hashlib
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

LOOP_ROUNDS: Final = 2_000_000
SYNC_ROUNDS: Final = 200
LIBRARIES: Final = ("py-evm", "lmdb", "coincurve", "safe-pysha3", "uvicorn")


def describe() -> dict[str, Any]:  # a JSON object
    """What the machine and the software are."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "python": sys.version.split()[0],
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def load_average() -> float:
    """Processes that wanted to run in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def probe(directory: Path) -> dict[str, float]:
    """The reference: a fixed Python loop and a synchronised write, each per second."""
    return {
        "python_loops_per_second": round(_loops_per_second()),
        "synchronised_writes_per_second": round(_writes_per_second(directory)),
    }


def _loops_per_second() -> float:
    digest, started_at = b"", time.process_time()
    for number in range(LOOP_ROUNDS):
        if number % 1_000 == 0:
            digest = hashlib.sha256(digest).digest()
    return LOOP_ROUNDS / (time.process_time() - started_at)


def _writes_per_second(directory: Path) -> float:
    with tempfile.TemporaryFile(dir=directory) as file:
        started_at = time.perf_counter()
        for _ in range(SYNC_ROUNDS):
            file.write(bytes(4_096))
            file.flush()
            os.fsync(file.fileno())
        return SYNC_ROUNDS / (time.perf_counter() - started_at)
