"""Trained networks can be used without what trains, measures or draws: torch, numpy and scipy suffice."""

import json
import subprocess
import sys
from pathlib import Path

from lab.small.tiny_experiment import tiny_config
from runtime.layout import ROOT

SAMPLE = """
import sys
from configs.options import Config

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("tensorboard", "trimesh", "PIL", "matplotlib", "open3d", "configargparse", "cv2"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Absent())
from generation.decode import decode
from generation.networks import Networks
from generation.sampling import sampled
import json
networks = Networks(Config().changed(**json.loads(sys.argv[1])))
print(decode(networks, sampled(networks, 1, 0).codes[0], 70, 0).shape)
rooms = ("training", "evaluation", "visualization", "demo_cars", "lab")
print([name for name in sys.modules if name.startswith(rooms)])
print([name for name in ("torch._dynamo", "scipy.stats") if name in sys.modules])  # seconds to import
"""


def test_a_sample_needs_neither_trainers_nor_tensorboard_nor_demo_cars(root: Path):
    cfg = json.dumps(tiny_config(root).values())
    done = subprocess.run([sys.executable, "-c", SAMPLE, cfg], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["(70, 3)", "[]", "[]"], done.stderr[-2000:]
