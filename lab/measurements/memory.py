"""Peak memory and time of `generate.py` by the number of points: one cloud, by a tiny network of random weights.

    python -m lab.measurements.memory 100000 1000000 10000000

A process for each number. The contact sheet is drawn too, of at most `MOST_SHOWN` points.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from generation.cloud_files import read_cloud
from lab.small.tiny_experiment import make_experiment
from runtime.layout import DENSE_POINT_CLOUD, ROOT


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_experiment(folder)
        print("| points | peak memory, MB | s | .npz, MB | .ply, MB |\n|---:|---:|---:|---:|---:|")
        for count in map(int, sys.argv[1:]):
            words = ["--config", str(folder / "config.txt"), "--num_shapes", "1", "--num_output_points", str(count)]
            began = time.monotonic()
            child = subprocess.Popen([sys.executable, str(ROOT / "generate.py"), *words], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                return 1
            cloud = next(folder.rglob(f"generation/0/{DENSE_POINT_CLOUD}"))
            assert len(read_cloud(cloud)) == count
            sizes = [path.stat().st_size / 1e6 for path in (cloud, cloud.with_suffix(".ply"))]
            numbers = [f"{usage.ru_maxrss * 1024 / 1e6:.0f}", f"{time.monotonic() - began:.0f}"]
            print("| " + " | ".join([f"{count:,}", *numbers, *(f"{size:.1f}" for size in sizes)]) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
