"""`make full-disk`, as root: every step on a disk that is full, or nearly, and again when there is room.

Each step is given other options than those its files were made with, so that it has former files to replace. What must
hold: status 2 and one line, no file that is there is half a file, nothing is left under a spare name, and the same
command ends well after there is room. The disk is a tmpfs in a mount namespace of its own. Takes minutes. Words: names
of the steps to try (default: all).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from PIL import Image

import analyse_codes
import evaluate
import generate
import train_ndf
import train_rnvp
from dataprocessing import create_split, make_demo_cars, preprocess
from dataprocessing.mesh_io import load_mesh
from frozen.checkpoint_files import load_checkpoint
from generation.cloud_files import read_cloud
from lab.stress.hostile import sandbox
from lab.stress.hostile.sandbox import Case, run_case
from lab.stress.hostile.template import EVALUATE, make_template
from runtime.errors import UserError
from runtime.reading import open_npz, read_npy
from training import export

ROOMS = (0, 4, 16, 64, 256)  # pages of 4 KB that are free
STEPS: dict[str, tuple[ModuleType, tuple[str, ...]]] = {
    "make_demo_cars.py": (make_demo_cars, ("--data_dir", "FOLDER/cars", "--num_demo_cars", "2")),
    "preprocess.py": (preprocess, ("--data_dir", "FOLDER/meshes/obj", "--input_data_glob", "/good/model.obj",
                                   "--num_boundary_samples", "400", "--distance_backend", "torch")),
    "create_split.py": (create_split, ("--input_data_glob", "/*/model.obj", "--seed", "4")),
    "train_ndf.py": (train_ndf, ("--exp_name", "anew", "--num_epochs", "3")),
    "train_rnvp.py": (train_rnvp, ("--exp_name", "anew", "--ndf_checkpoint", "FOLDER/experiments/test/checkpoints_ndf",
                                   "--flow_steps", "30")),
    "generate.py": (generate, ("--seed", "7", "--num_output_points", "2000")),
    "evaluate.py": (evaluate, (*EVALUATE, "--seed", "7")),
    "analyse_codes.py": (analyse_codes, ("--seed", "7", "--num_map_shapes", "5")),
    "training.export": (export, ("--export_dir", "FOLDER/weights")),
}  # fmt: skip


def main() -> int:
    if "--inside" not in sys.argv:
        if os.geteuid() != 0:
            print("full-disk needs root, to mount a small disk; tests/test_full_disk.py tries the writers without")
            return 0
        return subprocess.call(
            ["unshare", "--mount", sys.executable, "-m", "lab.stress.hostile.full_disk", "--inside", *sys.argv[1:]]
        )
    sandbox.MOST_SECONDS = 300  # whole steps, perhaps beside other work
    base = Path(tempfile.mkdtemp(prefix="full_disk_"))
    disk = base / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(disk)], check=True)
    make_template(disk / "case")
    template = base / "template"
    subprocess.run(["mv", str(disk / "case"), str(template)], check=True)
    failed = 0
    print("| step | full disks | status 2 | had room | one line each | former files whole | then ended well |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    chosen = sys.argv[2:] or list(STEPS)
    for name, (script, words) in ((name, STEPS[name]) for name in chosen):
        endings = list(on_full_disks(name, script, ("--config", "FOLDER/config.txt", *words), template, disk))
        full = [one for one in endings if one["status"] == 2]
        counts = [len(endings), len(full), sum(one["status"] == 0 for one in endings)]
        counts += [sum(not one["problems"] for one in full), sum(one["whole"] for one in full)]
        counts.append(sum(one["again"] == 0 for one in full))
        print("| " + " | ".join(map(str, [name, *counts])) + " |", flush=True)
        bad = [one for one in endings if one["problems"] or not one["whole"] or one["again"] != 0]
        failed += len(bad)
        for one in bad:
            print(f"FAILED {name}: {json.dumps(one)}", flush=True)
    subprocess.run(["umount", str(disk)], check=True)
    return 1 if failed else 0


def on_full_disks(
    name: str, script: ModuleType, words: tuple[str, ...], template: Path, disk: Path
) -> Iterator[dict[str, object]]:
    """How a step ends with each of `ROOMS`, and then with room enough."""

    def fill(folder: Path) -> None:
        found = os.statvfs(folder)
        resize(disk, (found.f_blocks - found.f_bfree + room) * found.f_frsize)

    folder, logs = disk / "case", disk.parent
    for room in ROOMS:
        resize(disk, 1 << 30)
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        ending = run_case(Case(name, f"{room} pages", fill, script, words, (".",), (0, 2)), template, folder, logs)
        resize(disk, 1 << 30)
        whole = broken_files(folder)
        again = run_case(Case(name, "again", lambda folder: None, script, words, (".",), (0,)), None, folder, logs)
        yield {"room": room, "status": ending.status, "line": ending.line, "problems": ending.problems,
               "whole": not whole, "broken": whole, "again": again.status, "again_line": again.line}  # fmt: skip
        if ending.status == 0:
            return


def resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def broken_files(folder: Path) -> list[str]:
    """The files below a folder that are not whole, and those under a spare name."""
    return [
        str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file() and not is_whole(path)
    ]


def is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".npz":
            with open_npz(path) as file:
                for name in file:
                    file[name]
        elif path.suffix == ".npy":
            read_npy(path, mapped=True)
        elif path.suffix == ".tar":
            load_checkpoint(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.name == "dense_point_cloud.ply":
            read_cloud(path)
        elif path.suffix in (".obj", ".off"):
            load_mesh(path)
        return path.suffix != ".part"
    except (UserError, OSError, ValueError):
        return "clouds" in path.parts  # these have no faces


if __name__ == "__main__":
    sys.exit(main())
