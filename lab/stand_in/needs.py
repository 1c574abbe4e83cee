"""Time, memory and disk of steps 1 and 2 as a set of shapes grows: `python -m lab.stand_in.needs WORK --sizes 50 100`.

Makes the stand-in below WORK up to each size in turn, runs both steps on what is new as a user of ShapeNet would, from
another folder with the config's full path, then step 1 once more with nothing to do. Prints a table, in seconds of one
core, and what it comes to for all 7,497 shapes. Options that are not known here go to the steps. Numbers belong to the
first run in an empty WORK: what is made is kept, and not timed again.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lab.stand_in import make
from lab.stand_in.plan import SHAPES
from runtime.errors import UserError, run
from runtime.layout import ROOT

CORES = (2, 16)  # that the whole set is told for


class Use(NamedTuple):
    """What a command took: seconds of processor time and of the clock, MB of its largest process, its exit status."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    status: int


class Row(NamedTuple):
    """What was measured at one size. disk: bytes of each kind of file, in all."""

    shapes: int
    new: int
    step1: Use
    again: Use
    step2: Use
    disk: dict[str, int]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK", help="folder of the stand-in, its files and the logs")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "shapenet_cars.txt")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400], help="numbers of shapes, ascending")
    parser.add_argument("--real", type=Path, default=None, help="folder of real meshes, see lab.stand_in.make")
    args, options = parser.parse_known_args(argv)
    if sorted(set(args.sizes)) != args.sizes or args.sizes[0] < 1:
        raise UserError(f"--sizes {args.sizes}: ascending numbers of 1 or more were expected")
    work, rows = args.work.resolve(), []
    for former, shapes in zip([0, *args.sizes], args.sizes, strict=False):
        real = ["--real", str(args.real)] if args.real else []
        make.main([str(work / "data"), "--shapes", str(shapes), *real])
        rows.append(measured(work, args.config.resolve(), shapes, shapes - former, options))
        print(line_of(rows[-1]), flush=True)
    print_table(rows)
    return 0


def measured(work: Path, config: Path, shapes: int, new: int, options: list[str]) -> Row:
    """Both steps on the shapes that are there, of which `new` were not preprocessed before."""
    data = work / "data"
    where = ["--data_dir", str(data / make.CARS), "--split_file", str(data / "split.npz"), "--exp_root", str(work)]
    given = ["--config", str(config), *where, *options]
    step1 = ["dataprocessing/preprocess.py", *given]
    first, again = call(step1, work), call(step1, work)
    split = call(["dataprocessing/create_split.py", *given], work)
    return Row(shapes, new, first, again, split, disk_of(data / make.CARS))


def call(command: list[str], work: Path) -> Use:
    """Run a script of the repository from the folder `work`. Raises UserError, with its last lines, if it fails."""
    start = time.monotonic()
    with open(work / "steps.log", "a+") as log:
        begin = log.seek(0, os.SEEK_END)
        script, *rest = command
        process = subprocess.Popen([sys.executable, ROOT / script, *rest], cwd=work, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(begin)
        if process.returncode not in (0, 1):  # 1: some meshes cannot be used
            raise UserError(f"{' '.join(command)} ended with status {process.returncode}: {log.read()[-1000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Use(cpu, time.monotonic() - start, usage.ru_maxrss / 1024, process.returncode)


def disk_of(folder: Path) -> dict[str, int]:
    """Bytes that the files below a folder take, by their names."""
    found: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = "textures" if path.parent.name == "images" else path.name
            found[name] = found.get(name, 0) + path.stat().st_blocks * 512
    return found


def line_of(row: Row) -> str:
    each = row.step1.cpu_s / row.new
    return (
        f"{row.shapes} shapes: {each:.2f} s a new shape, largest process {row.step1.peak_mb:.0f} MB, nothing to do"
        f" {row.again.cpu_s:.1f} s, step 2 {row.step2.cpu_s:.1f} s, {sum(row.disk.values()) / row.shapes / 1e6:.2f} MB"
    )


def print_table(rows: list[Row]) -> None:
    """The growth, the disk by kinds of files, and what the whole set takes."""
    print("\n| shapes | new | step 1, s a new shape | clock, s | largest, MB | again, s | step 2, s | MB a shape |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.shapes} | {row.new} | {row.step1.cpu_s / row.new:.2f} | {row.step1.wall_s:.0f}"
            f" | {row.step1.peak_mb:.0f} | {row.again.cpu_s:.1f} | {row.step2.cpu_s:.1f}"
            f" | {sum(row.disk.values()) / row.shapes / 1e6:.2f} |"
        )
    last = rows[-1]
    print("\n| file | kB a shape | GB of all |\n|---|---:|---:|")
    for name, size in sorted(last.disk.items(), key=lambda item: -item[1]):
        print(f"| {name} | {size / last.shapes / 1e3:.0f} | {size / last.shapes * SHAPES / 1e9:.1f} |")
    each = sum(row.step1.cpu_s for row in rows) / last.shapes
    hours = ", ".join(f"{each * SHAPES / cores / 3600:.1f} h on {cores} cores" for cores in CORES)
    total = sum(last.disk.values()) / last.shapes * SHAPES / 1e9
    print(f"\nall {SHAPES}: step 1 {each:.2f} s a shape, {hours}; {total:.0f} GB; {line_to_all(rows)}")


def line_to_all(rows: list[Row]) -> str:
    """What grows with the set, by a straight line through the sizes."""
    if len(rows) < 2:
        return "growth is told from two sizes on"
    shapes = [row.shapes for row in rows]
    told = {"step 1 with nothing to do": [row.again.cpu_s for row in rows], "step 2": [row.step2.cpu_s for row in rows]}
    ends = {name: np.polyval(np.polyfit(shapes, seconds, 1), SHAPES) for name, seconds in told.items()}
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in ends.items())


if __name__ == "__main__":
    run(main)
