"""The error trees are whole: every fault is named, documented, in one branch and used."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import bridge.errors
import node.errors
from bridge.api.problems import STATUS_BY_ERROR, status_of
from bridge.iso20022.codes import StatusReason
from node.rpc.faults import CODE_BY_ERROR

ROOT = Path(__file__).resolve().parent.parent
TREES = [node.errors, bridge.errors]
BRANCHES = ("Rejected", "Unavailable", "InvariantBroken")


def classes(tree: ModuleType) -> list[type[Exception]]:
    """Every exception defined in a tree's module, in the order of its source."""
    return [
        value
        for value in vars(tree).values()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and value.__module__ == tree.__name__
    ]


def leaves(tree: ModuleType) -> list[type[Exception]]:
    """The classes of a tree that name a fault: those nothing is derived from."""
    return [
        one for one in classes(tree) if not one.__subclasses__() and one.__name__ not in BRANCHES
    ]


EVERY_LEAF = pytest.mark.parametrize(
    ("tree", "leaf"),
    [pytest.param(tree, leaf, id=leaf.__name__) for tree in TREES for leaf in leaves(tree)],
)


@cache
def names_used(package: str) -> frozenset[str]:
    """Every name the package uses outside its error tree."""
    return frozenset(
        part.id if isinstance(part, ast.Name) else part.attr
        for path in (ROOT / package).rglob("*.py")
        if path != ROOT / package / "errors.py"
        for part in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(part, ast.Name | ast.Attribute)
    )


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_a_tree_has_its_three_branches_under_one_root(tree: ModuleType) -> None:
    roots = [one for one in classes(tree) if one.__bases__ == (Exception,)]
    assert len(roots) == 1
    assert {one.__name__ for one in roots[0].__subclasses__()} == set(BRANCHES)


@EVERY_LEAF
def test_a_fault_stands_in_one_branch(tree: ModuleType, leaf: type[Exception]) -> None:
    assert sum(issubclass(leaf, getattr(tree, branch)) for branch in BRANCHES) == 1


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_every_fault_is_documented_where_it_is_defined(tree: ModuleType) -> None:
    # A dataclass without a docstring gets its signature as one: that documents nothing.
    documents = {leaf.__name__: leaf.__dict__.get("__doc__") or "" for leaf in leaves(tree)}
    assert [
        name for name, text in documents.items() if not text or text.startswith(f"{name}(")
    ] == []


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.__name__)
def test_every_fault_is_named_by_what_is_wrong_and_not_by_a_suffix(tree: ModuleType) -> None:
    names = [leaf.__name__ for leaf in leaves(tree)]
    assert [name for name in names if name.endswith(("Error", "Exception"))] == []


@EVERY_LEAF
def test_a_fault_is_used_by_its_package(tree: ModuleType, leaf: type[Exception]) -> None:
    assert leaf.__name__ in names_used(tree.__name__.partition(".")[0])


def test_the_node_draws_its_whole_tree() -> None:
    drawn = inspect.getdoc(node.errors) or ""
    assert [one.__name__ for one in classes(node.errors) if one.__name__ not in drawn] == []


def test_every_fault_of_the_node_stands_in_the_one_table_of_the_wire() -> None:
    # A dictionary holds a key once; what a class in the middle of the tree says is a leaf's to say.
    assert [leaf.__name__ for leaf in leaves(node.errors) if leaf not in CODE_BY_ERROR] == []
    assert [one.__name__ for one in CODE_BY_ERROR if one not in classes(node.errors)] == []


def test_every_fault_of_the_bridge_has_one_status_by_its_branch_or_by_its_own_line() -> None:
    branches = [getattr(bridge.errors, name) for name in BRANCHES]
    assert all(branch in STATUS_BY_ERROR for branch in branches)
    assert [one.__name__ for one in STATUS_BY_ERROR if one not in classes(bridge.errors)] == []
    misplaced = {}
    for leaf in leaves(bridge.errors):
        assert issubclass(leaf, bridge.errors.BridgeError)
        status = status_of(leaf)
        if issubclass(leaf, bridge.errors.Unavailable):
            is_right = status in {502, 503, 504}
        elif issubclass(leaf, bridge.errors.InvariantBroken):
            is_right = status == 500
        else:
            # A rejection that reaches the caller is the caller's; one from inside is our fault.
            is_right = 400 <= status <= 500
        if not is_right:
            misplaced[leaf.__name__] = status
    assert misplaced == {}


REJECTIONS = [leaf for leaf in leaves(bridge.errors) if issubclass(leaf, bridge.errors.Rejected)]


def test_every_rejection_of_the_bridge_has_a_code_of_its_own() -> None:
    codes = [leaf.code for leaf in REJECTIONS]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", code) for code in codes)


def test_the_reason_of_a_rejection_is_one_of_iso_20022() -> None:
    known = {reason.value for reason in StatusReason}
    unknown = {leaf.__name__: leaf.reason for leaf in REJECTIONS if leaf.reason is not None}
    assert {name: reason for name, reason in unknown.items() if reason not in known} == {}
