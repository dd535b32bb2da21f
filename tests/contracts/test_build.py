"""scripts/build-contracts says why it cannot go on, and notices an artefact that was edited."""

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "build-contracts"
DIFFERENT, INVALID, NODE_MISSING = 1, 2, 3


@pytest.fixture(scope="module")
def script() -> Any:  # A script without a suffix is no importable module; its shape is its own.
    loader = SourceFileLoader("build_contracts", str(SCRIPT))
    specification = spec_from_loader("build_contracts", loader)
    assert specification is not None
    module = module_from_spec(specification)
    loader.exec_module(module)
    return module


def test_without_node_it_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == NODE_MISSING
    assert "Node and npm are needed" in finished.stderr


def test_an_edited_missing_or_foreign_artefact_is_named(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built, committed = tmp_path / "built", tmp_path / "committed"
    script.write({"Same": "1", "Edited": "1", "Missing": "1"}, built)
    script.write({"Same": "1", "Edited": "2", "Foreign": "1"}, committed)
    assert script.compare(built, committed) == DIFFERENT
    complaints = capsys.readouterr().err
    assert "Same" not in complaints
    for name in ("Edited", "Missing", "Foreign"):
        assert f"contracts/artefacts/{name}.json is not what the sources give" in complaints
    script.write({"Same": "1", "Edited": "2", "Foreign": "1"}, tmp_path / "again")
    assert script.compare(tmp_path / "again", committed) == 0


def test_all_3_a_runtime_above_the_limit_is_refused(
    script: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def output(size: int) -> dict[str, Any]:
        code = {"object": "00" * size}
        layout: dict[str, Any] = {"storage": [], "types": None}
        evm = {"bytecode": code, "deployedBytecode": code}
        said: dict[str, Any] = {"devdoc": {}, "userdoc": {}}
        return {"abi": [], "evm": evm, "storageLayout": layout, **said}

    assert '"contractName": "Large"' in script.render("Large", output(24_576))
    with pytest.raises(SystemExit) as ended:
        script.render("Large", output(24_577))
    assert ended.value.code == INVALID
    assert "24577 bytes, at most 24576" in capsys.readouterr().err
