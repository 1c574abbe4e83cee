"""What a machine without Open3D, trimesh and a renderer can do, and what lab/gpu/run.sh needs of the project."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from configs.config_loader import get_config
from runtime.layout import ROOT, SCALED_MESH, UNIFORM_SAMPLES

GPU = ROOT / "lab" / "gpu"
BLOCKED = ("open3d", "trimesh", "pyvista", "vtk", "pyrender", "matplotlib", "PIL")

WITHOUT = """
import sys
for name in {blocked}:
    sys.modules[name] = None
{body}
loaded = sorted(name for name in {blocked} if sys.modules.get(name) is not None)
print("loaded:", loaded)
"""

TRAIN_TO_DECODE = """
from pathlib import Path
import numpy as np
import torch
from lab.small.helpers import open_box, read_config, write_config, write_obj
from runtime.files import write_npz
from dataprocessing import create_split, preprocess
from generation.decode import decode_each
from generation.networks import Networks
from generation.sampling import sampled
from frozen.codes import load_codes
from generation.reconstructions import reconstructed
import train_ndf, train_rnvp

folder = Path({folder!r})
rng = np.random.default_rng(7)
for i in range(6):
    write_obj(folder / "data" / f"car{{i}}" / "models" / "model_normalized.obj", *open_box(rng))
options = dict(
    code_kind="vector", latent_dim=5, encoder_channels=[3, 4], hidden_dim=8, decoder_hidden=7,
    decoder_resolution=[3], decoder_channels=[4], plane_resolution=[4], plane_channels=[3], input_res=8,
    num_sample_points_training=67, batch_size=2, num_epochs=2, warmup_steps=1, flow_steps=4, flow_val_every=2,
    flow_couplings=2, flow_hidden=8, flow_dims=2, device="cpu", filter_val=10, num_output_points=50, num_pictures=0,
)
config = ["--config", str(write_config(folder, **options))]
assert preprocess.main(config) == 0
assert create_split.main(config) == 0
assert train_ndf.main(config) == 0
assert train_rnvp.main(config) == 0
networks = Networks(read_config(folder, **options))
found = reconstructed(networks, "test").codes[0]
assert torch.equal(found, load_codes(networks.cfg, "test").tensor()[:1])
with torch.no_grad():
    networks.ndf.fc_out.bias.fill_(0.0)  # a field that is small somewhere, after so little training
(cloud,) = decode_each(networks, sampled(networks, 1, seed=0).codes, 50)
assert cloud.shape == (50, 3)
"""


def test_from_meshes_to_sampled_clouds_without_open3d_trimesh_or_a_renderer(tmp_path: Path):
    body = TRAIN_TO_DECODE.format(folder=str(tmp_path))
    script = WITHOUT.format(blocked=BLOCKED, body=body)
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "loaded: []" in result.stdout
    folder = tmp_path / "data" / "car0" / "models"
    assert (folder / SCALED_MESH).is_file()
    with np.load(folder / UNIFORM_SAMPLES) as file:
        assert file["df"].max() > 0.05


@pytest.mark.parametrize("config", [ROOT / "configs" / "demo_cars_pretrained.txt", GPU / "miniature.txt"])
def test_configs_of_the_gpu_run_build_their_network(config: Path):
    from models.shape_codes import build_ndf

    arguments = ["--config", str(config), "--data_dir", "data", "--split_file", "split.npz"]
    model = build_ndf(get_config(arguments).values())
    numbers = sum(parameter.numel() for parameter in model.parameters())
    assert 2 * numbers < 16 * 2**20  # float16 weights come back from a machine in one file of at most 16 MiB


def test_run_sh_names_a_wrong_argument():
    result = subprocess.run(["bash", GPU / "run.sh", "--minature"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "unknown argument --minature" in result.stderr


def test_plan_takes_the_smallest_of_the_fastest_batches(tmp_path, monkeypatch):
    fit = load(GPU / "fit_training.py")
    rates = {2: 50.0, 4: 97.0, 8: 100.0}
    rows = [{"batch_size": b, "shapes": 200, "shapes_per_second": rate} for b, rate in rates.items()]
    monkeypatch.setattr(fit, "measured_batches", lambda cfg, smallest, largest: rows)
    options = ["--config", str(GPU / "miniature.txt"), "--data_dir", "data", "--split_file", "split.npz"]
    assert fit.main(["--seconds", "100", *options, "--exp_root", str(tmp_path)]) == 0
    plan = (tmp_path / "gpu_cars_miniature" / "training_plan.json").read_text()
    assert '"batch_size": 4' in plan
    assert f'"num_epochs": {int(0.85 * 100 * 97 / 200)}' in plan


def test_table_shows_stages_in_order_and_every_measurement(tmp_path, capsys):
    report = load(GPU / "report.py")
    root = tmp_path / "gpu_cars_miniature"
    root.mkdir()
    (root / "measurements.json").write_text('{"flow_steps_per_second": 123.4, "train_float32_peak_gb": null}')
    (tmp_path / "b.done").write_text("12 done")
    (tmp_path / "a.done").write_text("7 stopped at its limit")
    options = ["--config", str(GPU / "miniature.txt"), "--data_dir", "data", "--split_file", "split.npz"]
    assert report.main([str(tmp_path), *options, "--exp_root", str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["stage", "a", "7", "s,", "stopped", "at", "its", "limit"] in lines
    assert ["flow_steps_per_second", "123.4"] in lines
    assert ["train_float32_peak_gb", "-"] in lines


def load(path: Path) -> ModuleType:
    """A stage's script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
