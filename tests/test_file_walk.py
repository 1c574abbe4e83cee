"""Files below a folder: links are followed, circles end, hidden and unreadable ones are counted or named."""

import os
from pathlib import Path

import pytest
from facts import says

from dataprocessing.file_walk import matching, walk


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path, paths: list[Path]) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def test_links_to_folders_are_followed_and_each_folder_is_read_once(tmp_path: Path):
    touch(tmp_path, "in/a.obj", "in/deep/b.obj", "out/c.obj", "out/more/d.obj")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "deep")
    (tmp_path / "in" / "deep" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "out" / "back").symlink_to(tmp_path / "in" / "deep")
    (tmp_path / "in" / "file.obj").symlink_to(tmp_path / "out" / "c.obj")
    found = walk(tmp_path / "in")
    expected = ["a.obj", "deep/b.obj", "file.obj", "linked/c.obj", "linked/more/d.obj"]
    assert names(tmp_path / "in", found.files) == expected
    told = {path.relative_to(tmp_path / "in").as_posix(): reason for path, reason in found.left_out.items()}
    assert set(told) == {"again", "deep/up", "linked/back"}
    assert says(told["again"], "link", tmp_path / "in" / "deep")


def test_patterns_follow_links_at_every_star(tmp_path: Path):
    touch(tmp_path, "data/x/m/a.obj", "elsewhere/m/a.obj", "elsewhere/m/n/a.obj")
    (tmp_path / "data" / "y").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "data")
    root = tmp_path / "data"
    assert names(root, list(matching(root, "*/m/a.obj"))) == ["x/m/a.obj", "y/m/a.obj"]
    assert names(root, list(matching(root, "**/a.obj"))) == ["x/m/a.obj", "y/m/a.obj", "y/m/n/a.obj"]
    assert names(root, list(matching(root, "y/**/n/*.obj"))) == ["y/m/n/a.obj"]


def test_what_is_hidden_left_out_or_no_file(tmp_path: Path):
    touch(tmp_path, "a.obj", ".b.obj", ".cache/c.obj", "results/d.obj")
    (tmp_path / "gone.obj").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.obj")
    found = walk(tmp_path, left_out=tmp_path / "results")
    assert names(tmp_path, found.files) == ["a.obj"] and found.hidden == 2
    told = {path.name: reason for path, reason in found.left_out.items()}
    assert set(told) == {"gone.obj", "pipe.obj"} and says(told["gone.obj"], "nothing")


def test_names_that_are_no_text_are_names(tmp_path: Path):
    raw = os.fsencode(tmp_path) + b"/v\xe9hicule.obj"
    try:
        open(raw, "w").close()
    except OSError:
        pytest.skip("a file system that takes UTF-8 alone")
    assert [os.fsencode(path) for path in walk(tmp_path).files] == [raw]
