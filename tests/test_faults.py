"""The laboratory's faults: one call that touches a folder, or a file of it, fails, and no other."""

import json
import subprocess
import sys
from pathlib import Path

CODE = """
import errno, json, os, sys
from pathlib import Path
from lab.stress.faulty_calls import let_fail
seen = let_fail(sys.argv[1] + "/inside", int(sys.argv[2]), errno.ENOSPC)
for n in range(2):
    try:
        path = Path(sys.argv[1], "inside", f"{n}.txt")
        Path(sys.argv[1], f"{n}.txt").write_text("x")
        path.write_text("xxxx")
        assert path.read_text() == "xxxx" and path.read_bytes() == b"xxxx"
        os.utime(path)
    except OSError as error:
        print(errno.errorcode[error.errno], len(Path(sys.argv[1], f"{n}.txt").read_text()))
print(json.dumps([line.split(" /")[0] for line in seen]))
print(*[path.stat().st_size for path in sorted(Path(sys.argv[1], "inside").iterdir())])
"""
WRITE = ["open to write", "write", "close"]
CALLS = [*WRITE, "open", "read", "open", "read", "utime"]


def lines(folder: Path, number: int) -> list[str]:
    (folder / "inside").mkdir(exist_ok=True)
    command = [sys.executable, "-c", CODE, str(folder), str(number)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def names(line: str) -> list[str]:
    """Of calls; of those of the file system itself only `utime`."""
    return [name for name in json.loads(line) if name in CALLS]


def test_nothing_fails_that_is_not_to(tmp_path: Path):
    calls, sizes = lines(tmp_path, 0)
    assert names(calls) == CALLS * 2 and sizes == "4 4"


def test_one_call_below_the_folder_fails_and_the_second_round_goes_well(tmp_path: Path):
    told, calls, sizes = lines(tmp_path, 2)
    assert told == "ENOSPC 1" and names(calls) == [*WRITE, *CALLS] and sizes == "2 4"  # half of it was written
    told, calls, sizes = lines(tmp_path, 5)
    assert told == "EIO 1" and names(calls) == [*CALLS[:5], *CALLS] and sizes == "4 4"  # reading takes no room
