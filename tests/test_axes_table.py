"""The table of axes: which row wins, what is told of idle rows, and one line for each kind of wrong table."""

import os
from pathlib import Path, PurePosixPath

import pytest
from facts import naming, says

from dataprocessing.axes_table import axes_in_table, read_table, rows_without_file
from runtime.errors import UserError


def table(folder: Path, *lines: str, header: str = "file,up,front") -> str:
    path = folder / "axes.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


def test_the_first_row_that_fits_wins(tmp_path: Path):
    path = table(tmp_path, "vans/a.obj,x,y", "blender/*.glb,z,-y", "", '"with, comma.obj", -y ,z', "*.glb,auto,",
                 "*[1].obj,z,", "odd [2].obj,-x,z")  # fmt: skip
    expected = {"vans/a.obj": ("x", "y"), "blender/b.glb": ("z", "-y"), "blender/c/d.glb": ("z", "-y"),
                "e.glb": ("auto", "auto"), "with, comma.obj": ("-y", "z"), "car1.obj": ("z", "-y"),
                "odd [2].obj": ("-x", "z"), "vans/b.obj": None, "a.obj": None, "blender/b.GLB": None}  # fmt: skip
    assert {name: axes_in_table(path, PurePosixPath(name)) for name in expected} == expected


def test_columns_may_come_in_any_order_and_with_the_mark_of_other_programs(tmp_path: Path):
    path = tmp_path / "axes.csv"
    path.write_bytes(b"\xef\xbb\xbfup, file ,front\r\nz,a.obj,x\r\n")
    assert read_table(str(path)) == (("a.obj", "z", "x"),)


@pytest.mark.parametrize(
    "content",
    [
        b"File;Up;Front\r\na, b.obj;z;x\r\n",
        b"file\tup\tfront\ra, b.obj\tz\tx\r",
        b'"FILE","UP","FRONT"\r\n"a, b.obj","z","x"',
    ],
    ids=["semicolons", "tabs", "quotes"],
)
def test_separators_and_ends_of_other_programs(tmp_path: Path, content: bytes):
    (tmp_path / "axes.csv").write_bytes(content)
    assert read_table(str(tmp_path / "axes.csv")) == (("a, b.obj", "z", "x"),)


def test_a_table_that_changed_is_read_again(tmp_path: Path):
    path = table(tmp_path, "a.obj,z,x")
    assert axes_in_table(path, PurePosixPath("a.obj")) == ("z", "x")
    os.utime(table(tmp_path, "a.obj,z,y"), (1, 1))
    assert axes_in_table(path, PurePosixPath("a.obj")) == ("z", "y")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.obj,w,x"], "line 2 up 'w' auto"),
        (["a.obj,z,x", "b.obj,z,forward"], "line 3 front 'forward'"),
        (["a.obj,,x"], "line 2 up ''"),
        (["a.obj,z,-z"], "line 2 up z front -z"),
        (["a.obj,-x,x"], "line 2 up -x front x"),
        (["a.obj,z"], "line 2 2 values 3"),
        (["a.obj,z,x,y"], "line 2 4 values 3"),
        ([",z,x"], "line 2 file"),
        (['"a.obj,z,x'], "csv"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, lines: list[str], message: str):
    path = table(tmp_path, *lines)
    with pytest.raises(UserError, match=naming(path, message)) as told:
        read_table(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"a.obj,z,x\n", b"file|up|front\na|z|x\n", b"file,up\n", b"\xff\xfe", b"\0"])
def test_what_is_no_such_table_is_told(tmp_path: Path, content: bytes):
    path = tmp_path / "axes.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=naming(path, "file")):
        read_table(str(path))
    with pytest.raises(UserError, match=naming(tmp_path / "none.csv")):
        read_table(str(tmp_path / "none.csv"))


def test_rows_that_decide_nothing_are_told(tmp_path: Path):
    path = table(tmp_path, "a.obj,z,x", "*.obj,z,y", "b.obj,y,x", "c.obj,y,z")
    lines = rows_without_file(path, map(PurePosixPath, ["a.obj", "b.obj"]))
    assert len(lines) == 2
    assert says(lines[0], path, "b.obj", "earlier") and says(lines[1], path, "c.obj", 2)
