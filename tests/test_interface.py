"""The interface for notebooks, against what the scripts do, and the notebook that shows it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.options import Config
from frozen.codes import load_codes
from generation.decode import decode
from generation.distance_fields import NetworkField
from generation.interface import Generator, load
from generation.latents import likelihoods
from generation.meshing import mesh_of
from generation.networks import Networks
from generation.reconstructions import reconstructed
from generation.sampling import sampled
from generation.surface_cells import HALF_EXTENT
from lab.documents.notebook import NOTEBOOK, execute
from runtime.errors import UserError


@pytest.fixture(scope="module")
def shapes(cfg: Config) -> Generator:
    return load(cfg.run.config, exp_root=cfg.run.exp_root, device="cpu")


def test_samples_are_those_of_the_scripts_however_many_are_asked_for(shapes: Generator, networks: Networks):
    codes = shapes.sample(3, seed=4)
    assert codes.shape == (3, *shapes.code_shape) and codes.dtype == np.float32
    assert np.array_equal(codes, torch.cat(list(sampled(networks, 3, 4).codes)).numpy())
    assert np.array_equal(codes[2:], shapes.sample(1, seed=4, first=2))
    assert not np.array_equal(codes, shapes.sample(3, seed=5))


def test_a_cloud_of_test_points_gets_the_code_of_the_scripts(shapes: Generator, networks: Networks):
    stored = load_codes(networks.cfg, "test")
    cloud = np.load(next(Path(networks.cfg.data.data_dir).glob(f"{stored.rows[0]['name']}/**/voxelized*.npz")))
    code = shapes.reconstruct(cloud["point_cloud"])
    together = reconstructed(networks).codes[0][0].numpy()  # encoded in a batch: rounded otherwise
    assert np.allclose(code, together, atol=1e-5)


def test_likelihoods_clouds_meshes_and_distances_are_those_of_the_networks(shapes: Generator, networks: Networks):
    codes = shapes.sample(2, seed=1)
    assert shapes.log_prob(codes).tolist() == likelihoods(networks, codes)[0].tolist()
    batch = torch.from_numpy(codes[:1])
    field = NetworkField(networks.ndf, networks.ndf.features(batch))
    points = np.random.default_rng(0).uniform(-HALF_EXTENT, HALF_EXTENT, (53, 3))
    distances = shapes.distances(codes[0], points)
    assert np.allclose(distances, field.distance(torch.from_numpy(points).float()).detach(), atol=1e-6)
    assert np.array_equal(shapes.cloud(codes[0], 31, number=7), decode(networks, batch, 31, 7))
    mesh, same = shapes.mesh(codes[0], 48), mesh_of(field, 48)
    assert np.array_equal(mesh.vertices, same.vertices) and np.array_equal(mesh.faces, same.faces)


@pytest.mark.parametrize(
    ("points", "fact"),
    [(np.zeros((0, 3)), "(0, 3)"), (np.zeros((4, 2)), "(4, 2)"), (np.full((4, 3), np.nan), "nan"), (np.eye(3), "1")],
)
def test_points_that_are_no_shape_are_refused(shapes: Generator, points: np.ndarray, fact: str):
    with pytest.raises(UserError) as error:
        shapes.reconstruct(points)
    assert fact in str(error.value)


def test_codes_of_another_shape_and_unknown_options_are_refused(shapes: Generator, cfg: Config):
    with pytest.raises(UserError, match="7"):
        shapes.mesh(np.zeros(7))
    with pytest.raises(UserError, match="best_of"):
        load(cfg.run.config, best_off=2)


def outputs(notebook: dict) -> list:
    """What the cells show, in order."""
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    notebook, shown = json.loads(NOTEBOOK.read_text()), json.loads(NOTEBOOK.read_text())
    names = execute(notebook)
    assert outputs(notebook)[:2] == outputs(shown)[:2], "of other weights: run python -m lab.documents.notebook"
    assert (tmp_path / "car.ply").stat().st_size > 1e5
    assert names["codes"].shape == (2, 128) and len(names["mesh"].faces) > 1e4


def test_a_decoded_cloud_may_protrude_a_little_from_the_box(shapes):
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (53, 3)).astype(np.float32)
    points[0] = 0.504
    inside = points.clip(-0.5, 0.5)
    np.testing.assert_array_equal(shapes.reconstruct(points), shapes.reconstruct(inside))
    points[0] = 0.52
    with pytest.raises(UserError, match="0.52"):
        shapes.reconstruct(points)
