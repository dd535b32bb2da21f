"""The devnet's data directory: only what a devnet made is ever removed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local_network.layout import MARK, MARK_FIRST_LINE, LayoutRefused, open_layout, remove_layout


def marked(folder: Path, line: str = MARK_FIRST_LINE) -> Path:
    """A directory as a devnet of some version left it half made."""
    folder.mkdir()
    (folder / MARK).write_text(f"{line}\nformat 1\n")
    (folder / "genesis.json").write_text("{}")
    return folder


def foreign(folder: Path, *names: str) -> Path:
    """A directory of somebody else, with empty files of these names."""
    folder.mkdir()
    for name in ("precious", *names):
        (folder / name).write_text("")
    return folder


OPEN_OR_REMOVE = pytest.mark.parametrize(
    "touch",
    [remove_layout, lambda folder: open_layout(folder, port_base=None, default_port_base=22_000)],
    ids=["remove", "open"],
)


@OPEN_OR_REMOVE
@pytest.mark.parametrize("names", [(), ("unfinished",), ("plan.json.old",), (MARK,)])
def test_a_directory_without_the_mark_is_left_alone(
    tmp_path: Path, touch: Callable[[Path], object], names: tuple[str, ...]
) -> None:
    folder = foreign(tmp_path / "data", *names)
    with pytest.raises(LayoutRefused):
        touch(folder)
    assert (folder / "precious").exists()


def test_a_plan_of_another_project_is_not_removed(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "data", "plan.json")
    with pytest.raises(LayoutRefused):
        remove_layout(folder)
    assert (folder / "precious").exists()


@OPEN_OR_REMOVE
def test_a_link_to_a_marked_directory_is_left_alone(
    tmp_path: Path, touch: Callable[[Path], object]
) -> None:
    (tmp_path / "link").symlink_to(marked(tmp_path / "data"))
    with pytest.raises(LayoutRefused):
        touch(tmp_path / "link")
    assert (tmp_path / "data" / MARK).exists()


def test_a_mark_of_other_words_is_none(tmp_path: Path) -> None:
    folder = marked(tmp_path / "data", line="something")
    with pytest.raises(LayoutRefused):
        remove_layout(folder)
    assert (folder / MARK).exists()


def test_a_marked_directory_is_removed_whatever_its_format(tmp_path: Path) -> None:
    folder = marked(tmp_path / "data")
    remove_layout(folder)
    assert not folder.exists()


def test_what_is_not_there_or_empty_needs_no_removing(tmp_path: Path) -> None:
    remove_layout(tmp_path / "nowhere")
    remove_layout(tmp_path)
    assert tmp_path.exists()
