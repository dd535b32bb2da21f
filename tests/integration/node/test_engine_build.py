"""`scripts/build-engine`: the same bytes wherever it runs, with what the licences ask for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.engine_binary import BUILT, ROOT, engine_binary

MODULE = "node/consensus/cometbft/engine"


def checkout_copy(folder: Path) -> Path:
    """What the script needs of a checkout, in another place; the script in it."""
    shutil.copytree(ROOT / MODULE, folder / MODULE)
    (folder / "scripts").mkdir()
    for name in ("scripts/build-engine", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder / name)
    return folder / "scripts/build-engine"


def run_script(script: Path, search_path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script],
        env={**os.environ, "PATH": search_path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def without_go(folder: Path) -> str:
    """A search path that has the tools the script calls, and no go."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "awk", "sort", "head"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    return str(tools)


@pytest.mark.slow
def test_two_checkouts_build_the_same_bytes_and_a_current_binary_is_not_built_again(
    tmp_path: Path,
) -> None:
    built = engine_binary()
    if built != BUILT or shutil.which("go") is None:
        pytest.skip("Go is not installed: install Go 1.25 or newer to build the engine twice")
    script = checkout_copy(tmp_path)
    first = run_script(script, os.environ["PATH"])
    assert first.returncode == 0, first.stderr
    other = tmp_path / "build/corridor-engine"
    assert other.read_bytes() == built.read_bytes()
    made_at = other.stat().st_mtime_ns
    second = run_script(script, os.environ["PATH"])
    assert (second.returncode, second.stderr) == (0, "")
    assert other.stat().st_mtime_ns == made_at


def test_the_binary_says_which_cometbft_is_linked() -> None:
    finished = subprocess.run(
        [engine_binary(), "version"], capture_output=True, text=True, timeout=10, check=True
    )
    line = json.loads(finished.stdout)
    assert line["engine"] == "corridor-engine"
    assert line["cometbft"] == "v0.40.0"
    assert line["go"].startswith("go1.")


def test_every_linked_module_is_listed_with_its_licence_and_its_text_lies_beside_it() -> None:
    licences = engine_binary().parent / "engine-licences"
    if not licences.exists():
        pytest.skip("the binary on the PATH was not built here")
    lines = (licences / "MODULES").read_text(encoding="utf-8").splitlines()
    kinds = {tuple(line.split(" ", 2)[:2]): line.split(" ", 2)[2] for line in lines}
    assert kinds["github.com/cometbft/cometbft", "v0.40.0"] == "Apache-2.0"
    assert len(lines) > 100
    for path, version in kinds:
        assert any((licences / f"{path}@{version}").iterdir()), path
    cometbft = licences / "github.com/cometbft/cometbft@v0.40.0"
    assert "Cosmos Labs" in (cometbft / "NOTICE").read_text(encoding="utf-8")
    assert (cometbft / "LICENSE").exists()


def test_without_go_the_script_says_what_to_install(tmp_path: Path) -> None:
    finished = run_script(checkout_copy(tmp_path), without_go(tmp_path))
    assert finished.returncode == 2
    assert "no go was found" in finished.stderr


def test_a_go_that_is_too_old_is_named(tmp_path: Path) -> None:
    script, search_path = checkout_copy(tmp_path), without_go(tmp_path)
    old = Path(search_path) / "go"
    old.write_text("#!/bin/sh\necho go1.21.5\n")
    old.chmod(0o755)
    finished = run_script(script, search_path)
    assert finished.returncode == 2
    assert "needs Go 1.25.0 or newer" in finished.stderr
    assert "go1.21.5" in finished.stderr
