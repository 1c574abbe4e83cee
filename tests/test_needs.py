"""What a training needs, counted without computing: against what is there, and within what a config is for."""

from pathlib import Path

import pytest
import torch

from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.split import split_folders
from lab.measurements.needs import disk_bytes, needs, samples_bytes, saved_bytes
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL
from models.shape_codes import build_ndf
from runtime.layout import ROOT
from training.shape_samples import num_bytes, read_samples

GPUS = {"shapenet_cars.txt": 24, "shapenet_cars_8gb.txt": 8, "shapenet_cars_80gb.txt": 80}  # GB
TRAIN = 5249
SPARE = 1.5  # times what is counted, for what is not


def config(name: str) -> Config:
    return get_config(["--config", str(ROOT / "configs" / name)])


def test_bytes_that_are_kept_are_each_counted_once_and_weights_are_not():
    x = torch.ones(10, 3, device="meta", requires_grad=True)
    weight = torch.nn.Parameter(torch.ones(3, 7, device="meta"))
    with saved_bytes() as saved:
        h = x @ weight  # keeps x and weight, which are leaves
        assert saved() == 0
        y = h.sin()  # keeps h
        assert saved() == 4 * 70
        _ = (h * y).exp()  # keeps h, y and its result
        assert saved() == 4 * (70 + 70 + 70)


def test_samples_take_what_is_counted(shapes: Path):
    cfg = read_config(
        shapes, **SMALL, num_boundary_samples=90, num_uniform_samples=90, num_gap_samples=90, grid_coords=False
    )
    assert samples_bytes(cfg) == num_bytes(read_samples(split_folders(cfg)["train"][0], cfg))
    assert disk_bytes(cfg) == samples_bytes(cfg) + cfg.grid.input_res**3 / 8
    assert disk_bytes(cfg.changed(grid_coords=True)) - disk_bytes(cfg) == 12 * 4 * 90


def test_a_step_without_storage_is_that_of_the_network(shapes: Path):
    cfg = read_config(shapes, **SMALL)
    found = needs(cfg)
    assert found["parameters"] == sum(weight.numel() for weight in build_ndf(cfg.values()).parameters())
    wider = needs(cfg.changed(num_sample_points_training=2 * 67))
    assert wider["operations_a_shape"] > found["operations_a_shape"]
    assert wider["kept_bytes_a_shape"] > found["kept_bytes_a_shape"]


@pytest.mark.parametrize("name", GPUS)
def test_the_configs_for_shapenet_fit_the_gpus_that_they_are_for(name: str):
    cfg = config(name)
    found = needs(cfg)
    cached = TRAIN * found["samples_bytes_a_shape"]
    on_gpu = cached <= 2**30 * cfg.ndf_training.gpu_cache_gb
    needed = found["network_bytes"] + SPARE * cfg.training.batch_size * found["kept_bytes_a_shape"]
    assert needed + on_gpu * cached < 1e9 * GPUS[name]
    assert on_gpu or cached <= 2**30 * cfg.ndf_training.ram_cache_gb
