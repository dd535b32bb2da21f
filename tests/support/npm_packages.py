"""The Ethereum tools that come from npm, installed once from their lock file beside it."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

CLIENTS: Final = Path(__file__).parents[1] / "clients"
INSTALL_SECONDS_MAX: Final = 300


def installed_clients() -> Path:
    """The folder in which the locked packages are installed; skips the test where they cannot be had."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Node.js and npm are not installed: install Node 20 to try the tools from npm")
    lock = hashlib.sha256((CLIENTS / "package-lock.json").read_bytes()).hexdigest()
    packages = CLIENTS / "node_modules"
    stamp = packages / ".lock-sha256"
    with (CLIENTS / ".install.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != lock:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            finished = subprocess.run(
                command,
                cwd=CLIENTS,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS_MAX,
                check=False,
            )
            if finished.returncode != 0:
                pytest.skip(f"npm could not install the tools: {finished.stderr[-300:]}")
            stamp.write_text(lock)
    return packages
