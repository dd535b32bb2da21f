"""The repository checks itself: the rules of the house style that a machine can check.

What ruff, mypy and import-linter already see is left to them. Here stand the limits on size, the ban on
floating point where money, gas and block time live, names, dependencies and traces of somebody's machine.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("node", "bridge", "contracts")

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
PARAMETERS_MAX = 6

# Folders that hold what tools made, not what people wrote.
GENERATED_FOLDERS = {".git", ".venv", "node_modules", "artefacts", "build", "dist", "__pycache__"}
# A migration is drafted by a tool, read once and never changed again.
MIGRATIONS = ROOT / "bridge/store/migrations/versions"
# An error tree is one file by rule and is looked up, not read: a paragraph per fault.
LOOKED_UP_FILES = {"errors.py"}

INTEGER_ONLY_MODULES = (
    "node/engine",
    "node/block.py",
    "node/transaction.py",
    "node/genesis.py",
    "node/permissions.py",
    "node/chain.py",
    "bridge/money.py",
    "bridge/ledger.py",
    "bridge/payment.py",
    "bridge/business_days.py",
    "bridge/charges.py",
    "bridge/wallet.py",
    "bridge/voucher.py",
    "bridge/fx.py",
    "bridge/quotation.py",
    "bridge/standing_order.py",
    "bridge/tariff.py",
    "bridge/liquidity",
    "bridge/iso20022",
)

VAGUE_NAMES = {
    "util", "utils", "helper", "helpers", "common", "manager", "managers", "base", "misc", "data",
    "info", "impl",
}  # fmt: skip


def written_files() -> Iterator[Path]:
    """Every file people wrote in the checkout, hidden tool folders left out."""
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [
            name
            for name in subfolders
            if name not in GENERATED_FOLDERS
            and (not name.startswith(".") or name == ".ci")
            and not name.endswith(".egg-info")
        ]
        # In a linked worktree .git is a file that names a path of the machine.
        yield from (Path(folder, name) for name in sorted(names) if name != ".git")


@cache
def python_files() -> tuple[Path, ...]:
    """Every Python source of the packages, the scripts and the tests."""
    return tuple(
        path
        for path in written_files()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in (*PACKAGES, "scripts", "tests")
    )


@cache
def tree(path: Path) -> ast.Module:
    """The parsed source of one file, parsed once per run."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def project() -> dict[str, object]:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def shown(path: Path, line: int | None = None) -> str:
    """A place in the repository as an editor understands it."""
    place = path.relative_to(ROOT).as_posix()
    return place if line is None else f"{place}:{line}"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method defined in one file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def nothing(faults: list[str]) -> None:
    """Fail with the whole list, one fault per line, so that one run shows all of them."""
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


def test_every_module_opens_with_its_tour() -> None:
    nothing([shown(path) for path in python_files() if not ast.get_docstring(tree(path))])


def test_no_function_is_longer_than_a_page() -> None:
    nothing(
        [
            f"{shown(path, function.lineno)} {function.name}: {lines} lines"
            for path in python_files()
            if path.parent != MIGRATIONS
            for function in functions(path)
            if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
        ]
    )


def test_no_function_takes_more_than_six_parameters() -> None:
    faults = []
    for path in python_files():
        for function in functions(path):
            spec = function.args
            names = [one.arg for one in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
            count = len([name for name in names if name not in {"self", "cls"}])
            if count > PARAMETERS_MAX:
                faults.append(f"{shown(path, function.lineno)} {function.name}: {count} parameters")
    nothing(faults)


def test_no_source_file_is_longer_than_five_hundred_lines() -> None:
    nothing(
        [
            f"{shown(path)}: {lines} lines"
            for path in written_files()
            if path.suffix in {".py", ".sol"} or path.parent.name == "scripts"
            if path.name not in LOOKED_UP_FILES
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
        ]
    )


def floating_point(path: Path) -> Iterator[str]:
    """Every use of floating point in one file."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Constant(value=float()):
                yield f"{shown(path, node.lineno)} the literal {node.value!r}"
            case ast.Name(id="float"):
                yield f"{shown(path, node.lineno)} the type float"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"{shown(path, node.lineno)} true division"
            case _:
                pass


def test_money_gas_and_block_time_are_integers() -> None:
    nothing(
        [
            fault
            for path in python_files()
            if shown(path).startswith(INTEGER_ONLY_MODULES)
            for fault in floating_point(path)
        ]
    )


def test_no_file_or_class_has_a_name_that_says_nothing() -> None:
    faults = []
    for path in python_files():
        words = path.stem.removeprefix("test_").split("_")
        if VAGUE_NAMES & {*words, *path.relative_to(ROOT).parts[:-1]} or words[-1].isdecimal():
            faults.append(shown(path))
        faults += [
            f"{shown(path, node.lineno)} {node.name}"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ClassDef)
            and re.search(r"(Impl|Manager|Helper|Utils?)$", node.name)
        ]
    nothing(faults)


def test_tests_have_no_package_files_that_would_shadow_the_packages_under_test() -> None:
    nothing([shown(path) for path in (ROOT / "tests").rglob("__init__.py")])


def test_tests_use_fakes_and_never_patch() -> None:
    faults = []
    for path in python_files():
        for node in ast.walk(tree(path)):
            match node:
                case (
                    ast.ImportFrom(module="unittest.mock")
                    | ast.Import(names=[ast.alias(name="unittest.mock")])
                ):
                    faults.append(shown(path, node.lineno))
                case ast.ImportFrom(module="unittest", names=names) if any(
                    alias.name == "mock" for alias in names
                ):
                    faults.append(shown(path, node.lineno))
                case ast.arg(arg="mocker"):
                    faults.append(shown(path, node.lineno))
                case _:
                    pass
    nothing(faults)


# The patterns are put together from halves so that this file does not match itself.
FORBIDDEN_TEXT = {
    "unfinished work": re.compile(r"\b(TO" r"DO|FIX" r"ME|HA" r"CK)\b"),
    "a registry's address": re.compile(
        r"https?://(registry|proxy|index|files|repo\d*|deb|static)\."
        r"|py" r"pi\.org|python" r"hosted|registry\.npm" r"js|--index" r"-url|--find" r"-links"
    ),
    "a path of somebody's machine": re.compile(r"(?<![\w.$}/-])/(wo" r"rk|tm" r"p|ro" r"ot|ho" r"me)/[\w.]"),
    "a number of a tracker": re.compile(r"\b[Ii]ss" r"ue #?\d+\b"),
}  # fmt: skip


def test_no_file_holds_unfinished_work_or_traces_of_a_machine() -> None:
    faults = []
    for path in written_files():
        if path.name == "LICENSE" or path.suffix in {".png", ".pyc"}:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            faults += [
                f"{shown(path, number)} {what}: {line.strip()[:80]}"
                for what, pattern in FORBIDDEN_TEXT.items()
                if pattern.search(line)
            ]
    nothing(faults)


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distribution_of(requirement: str) -> str:
    """The distribution a requirement line asks for."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return normal(found.group())


def declared(group: str) -> set[str]:
    """The distributions pyproject.toml declares: ``runtime`` or ``dev``."""
    match project():
        case {"project": {"dependencies": list(runtime)}, "dependency-groups": {"dev": list(dev)}}:
            return {distribution_of(line) for line in (runtime if group == "runtime" else dev)}
        case _:
            pytest.fail("pyproject.toml has no dependencies")


@cache
def distributions_by_module() -> dict[str, set[str]]:
    """Which installed distribution brings which top-level module."""
    found = importlib.metadata.packages_distributions()
    return {module: {normal(name) for name in names} for module, names in found.items()}


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level module of every absolute import in one file."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name.split(".")[0]) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.split(".")[0]
            case _:
                pass


def third_party_imports(top_folders: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
    """Place and possible distributions of every import of something we did not write."""
    roots = [ROOT / "tests", ROOT / "scripts"]
    own = {*PACKAGES, *(path.stem for root in roots for path in root.iterdir())}
    for path in python_files():
        if path.relative_to(ROOT).parts[0] not in top_folders:
            continue
        for line, module in imported_modules(path):
            if module not in sys.stdlib_module_names and module not in own:
                found = distributions_by_module().get(module, {f"unknown module {module}"})
                yield shown(path, line), found


def test_every_third_party_import_is_declared() -> None:
    runtime, dev = declared("runtime"), declared("dev")
    faults = [
        f"{place}: {', '.join(sorted(names))}"
        for place, names in third_party_imports((*PACKAGES, "scripts"))
        if not names & runtime
    ]
    faults += [
        f"{place}: {', '.join(sorted(names))}"
        for place, names in third_party_imports(("tests",))
        if not names & (runtime | dev)
    ]
    nothing(faults)


def test_every_declared_dependency_is_imported() -> None:
    imported: set[str] = set()
    for _, names in third_party_imports((*PACKAGES, "scripts")):
        imported |= names
    nothing(sorted(declared("runtime") - imported))


def test_every_declared_dependency_is_justified_in_the_documents() -> None:
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    listed = {normal(name) for name in re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)}
    nothing(sorted((declared("runtime") | declared("dev")) - listed))
    locked = locked_versions(ROOT / "requirements-dev.lock")
    nothing(sorted(name for name in listed if name not in locked))


def locked_versions(lock: Path) -> dict[str, str]:
    """The pinned version of every distribution in a lock file."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {
        normal(found[1]): found[2]
        for line in lines
        if (found := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line))
    }


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_every_distribution_by_version_and_hash(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    nothing(
        [
            line[:80]
            for line in text.splitlines()
            if line.strip()
            and not re.match(r"[a-z0-9-]+==\S+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+$", line)
        ]
    )


def test_the_locks_hold_what_is_declared_and_agree_with_each_other() -> None:
    runtime = locked_versions(ROOT / "requirements.lock")
    dev = locked_versions(ROOT / "requirements-dev.lock")
    assert declared("runtime") <= runtime.keys()
    assert declared("dev") <= dev.keys()
    assert runtime.items() <= dev.items()


def test_a_layer_in_parentheses_is_one_that_is_not_written_yet() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    faults = []
    for container, layers in re.findall(
        r'containers = \["(\w+)"\].*?layers = \[(.*?)\n\]', text, re.DOTALL
    ):
        for module in re.findall(r"\((\w+)\)", layers):
            place = ROOT / container / module
            if place.with_suffix(".py").exists() or place.is_dir():
                faults.append(f"{container}.{module} exists: take it out of its parentheses")
    nothing(faults)


def test_scripts_can_be_started_and_the_shared_part_only_sourced() -> None:
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"]:
        if path.is_dir():
            continue
        has_interpreter = path.read_text(encoding="utf-8").startswith("#!")
        assert os.access(path, os.X_OK) == has_interpreter, shown(path)
        assert has_interpreter or path.name == "environment", shown(path)


def test_the_packages_say_that_they_are_typed() -> None:
    nothing([name for name in PACKAGES if not (ROOT / name / "py.typed").exists()])
