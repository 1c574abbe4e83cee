"""The laboratory's faults: one call that touches a folder fails, and no other."""

import errno
import subprocess
import sys
from pathlib import Path

CODE = """
import errno, os, sys
from pathlib import Path
from lab.stress.faults import let_fail
seen = let_fail(sys.argv[1] + "/inside", int(sys.argv[2]), errno.ESTALE)
for n in range(4):
    try:
        Path(sys.argv[1], "inside", f"{n}.txt").write_text("x")
        Path(sys.argv[1], f"{n}.txt").write_text("x")
        os.utime(Path(sys.argv[1], "inside", f"{n}.txt"))
    except OSError as error:
        print(error.errno, Path(error.filename).name)
print(len(seen))
"""


def lines(folder: Path, number: int) -> list[str]:
    command = [sys.executable, "-c", CODE, str(folder), str(number)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_one_call_below_the_folder_fails(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    assert lines(tmp_path, 0) == ["8"]
    assert lines(tmp_path, 3) == [f"{errno.ESTALE} 1.txt", "7"]  # the file is not written, so its time is not set
    assert lines(tmp_path, 4) == [f"{errno.ESTALE} 1.txt", "8"]
