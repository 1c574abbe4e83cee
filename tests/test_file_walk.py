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


def test_a_link_to_a_folder_around_it_is_told_and_its_other_files_are_not_read(tmp_path: Path):
    touch(tmp_path, "in/a.obj", "out/deep/b.obj", "out/c.obj", "d.obj")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "out" / "deep")
    (tmp_path / "out" / "deep" / "up").symlink_to("..")
    found = walk(tmp_path / "in")
    assert names(tmp_path / "in", found.files) == ["a.obj", "linked/b.obj"]
    assert {path.relative_to(tmp_path / "in").as_posix() for path in found.left_out} == {"up", "linked/up"}
    assert says(found.left_out[tmp_path / "in" / "up"], "link around", tmp_path)


def test_what_cannot_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path, "a.obj", "closed.obj")
    is_dir = Path.is_dir

    def look(path: Path) -> bool:
        if path.name == "closed.obj":  # as a link into a folder that is closed to this user
            raise PermissionError(13, "Permission denied")
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", look)
    found = walk(tmp_path)
    assert names(tmp_path, found.files) == ["a.obj"]
    assert says(found.left_out[tmp_path / "closed.obj"], "Permission denied")


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
