"""Training an NDF: that it learns, what its checkpoints hold, and which training goes on from which."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from training_steps import final_state

from dataprocessing.split import split_folders
from dataprocessing.stored_points import shape_digests
from dataprocessing.voxelized_pointcloud_sampling import voxelize
from frozen.checkpoint_files import latest_checkpoint, load_checkpoint, timed_checkpoints
from frozen.loading import load_frozen_ndf
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL
from lab.small.tiny_experiment import ndf_task as task_of
from models.occupancy import occupancy_from_points
from runtime.errors import UserError
from training.checkpoints import write_state
from training.loop import train
from training.ndf_loss import validate
from training.ndf_task import NDFTask
from training.shape_samples import validation_batches
from training.training_run import load_optimizer


def assert_same(a: object, b: object) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert a == b


def test_a_damaged_latest_checkpoint_is_skipped_and_goes_with_the_next_one(shapes: Path, capsys: pytest.CaptureFixture):
    options = {"val_every": 1, "num_epochs": 3}
    assert train(task_of(shapes, exp_name="whole", **options)) == 0
    first = task_of(shapes, exp_name="damaged", val_every=1, num_epochs=3)
    folder = first.run.folder
    assert train(first) == 0
    newest = latest_checkpoint(folder)
    newest.write_bytes(newest.read_bytes()[:-200])
    capsys.readouterr()
    again = task_of(shapes, exp_name="damaged", **options)
    printed = capsys.readouterr().out
    assert str(newest) in printed and timed_checkpoints(folder)[0].name in printed
    assert again.run.step == 5 and newest.is_file()
    assert train(again) == 0
    assert len(timed_checkpoints(folder)) == 2 and [load_checkpoint(p)["step"] for p in timed_checkpoints(folder)] == [
        5,
        6,
    ]
    assert_same(final_state(shapes, "whole")["model_state_dict"], final_state(shapes, "damaged")["model_state_dict"])


def test_principal_components_are_those_of_all_training_shapes_and_their_mirror_images(shapes: Path):
    task = task_of(shapes, code_encoder="pca", latent_dim=3, pca_resolution=9, input_res=9)
    task.steps.read_all(task.device)
    task.fit_encoder()
    clouds = np.stack([task.steps.samples(n)["cloud"] for n in range(len(task.steps.folders))])
    clouds = np.concatenate([clouds, clouds * np.array([-1, 1, 1], np.float32)])
    codes = task.model.encode(occupancy_from_points(torch.from_numpy(clouds), 9, -0.5, 0.5))
    covariance = codes.T @ codes / (len(codes) - 1)
    components = task.model.components
    assert codes.mean(dim=0).abs().max() < 0.02
    assert (covariance - torch.diag(components.sd**2)).abs().max() < 0.1
    assert float(components.sd.square().mean()) == pytest.approx(1, rel=1e-5)


def test_principal_components_need_more_shapes_than_numbers(shapes: Path):
    task = task_of(shapes, code_encoder="pca", latent_dim=30)
    with pytest.raises(UserError, match=r"\b30 principal components"):
        train(task)


def test_training_learns_and_a_finished_run_does_nothing(shapes: Path, capsys: pytest.CaptureFixture):
    first = task_of(shapes, num_epochs=40)
    seen = validation_batches(split_folders(first.cfg)["train"], first.cfg)
    cpu = torch.device("cpu")
    at_first = validate(first.model, seen, first.cfg, cpu)["clamped_l1"]
    train(first)
    assert validate(first.model, seen, first.cfg, cpu)["clamped_l1"] < 0.4 * at_first
    capsys.readouterr()
    before = final_state(shapes, "test")
    assert train(task_of(shapes, num_epochs=40)) == 0
    assert "already trained: 80 steps" in capsys.readouterr().out
    assert_same(before, final_state(shapes, "test"))


def test_checkpoint_freezes_to_the_network_that_was_trained(shapes: Path):
    task = task_of(shapes)
    train(task)
    path = latest_checkpoint(shapes / "experiments" / "test" / "checkpoints_ndf")
    # Sizes come from the checkpoint, not from the config.
    model = load_frozen_ndf(path, read_config(shapes, **(SMALL | {"hidden_dim": 99})), torch.device("cpu"))
    p, x = torch.rand(1, 20, 3) - 0.5, (torch.rand(1, 9, 9, 9) > 0.7).float()
    with torch.no_grad():
        assert torch.equal(model(p, x), task.model.eval()(p, x))
    assert not any(q.requires_grad for q in model.parameters())
    with pytest.raises(UserError, match="code_kind .*vector.*grid"):
        load_frozen_ndf(path, read_config(shapes, **(SMALL | {"code_kind": "grid"})), torch.device("cpu"))
    with pytest.raises(UserError, match=r"bb_max .*0\.5.*0\.6"):
        load_frozen_ndf(path, read_config(shapes, **SMALL, bb_max=0.6), torch.device("cpu"))
    with pytest.raises(UserError, match="latent_dim 5 -> 6.* --exp_name"):
        task_of(shapes, latent_dim=6)


@pytest.mark.parametrize(
    ("least", "points", "told"), [(0, 53, False), (0, 52, True), (20, 52, False), (20, 19, True), (20, 54, True)]
)
def test_another_number_of_input_points_is_told(
    shapes: Path, capsys: pytest.CaptureFixture, least: int, points: int, told: bool
):
    path = shapes / "checkpoint_0h_0m_1s_1.00.tar"
    task = task_of(shapes, min_input_points=least)
    write_state({"model_state_dict": task.model.state_dict(), "config": task.cfg.values()}, path)
    load_frozen_ndf(path, read_config(shapes, **SMALL, num_points=points), torch.device("cpu"))
    assert bool(re.search(rf"num_points 53\b.*\b{points}\b", capsys.readouterr().err)) == told


def test_the_checkpoint_tells_the_shapes_of_each_part_of_the_split(shapes: Path):
    task = task_of(shapes)
    train(task)
    expected = {part: shape_digests(folders, task.cfg) for part, folders in split_folders(task.cfg).items()}
    assert final_state(shapes, "test")["shapes"] == expected and len(expected["train"]) == 4


@pytest.mark.parametrize("now", ["RMSprop", "Muon", "AdamW"])
def test_another_optimiser_goes_not_on(shapes: Path, now: str):
    train(task_of(shapes))
    before = sorted(path.name for path in (shapes / "experiments" / "test" / "checkpoints_ndf").iterdir())
    with pytest.raises(UserError, match=f'optimizer "Adam" -> "{now}"'):
        task_of(shapes, optimizer=now, num_epochs=3)
    assert sorted(path.name for path in (shapes / "experiments" / "test" / "checkpoints_ndf").iterdir()) == before


@pytest.mark.parametrize(
    ("was", "now"), [("Adam", "RMSprop"), ("Adam", "Muon"), ("Muon", "Adam"), ("RMSprop", "AdamW")]
)
def test_the_state_of_another_optimiser_is_told_where_nothing_names_it(shapes: Path, was: str, now: str):
    trained = task_of(shapes, optimizer=was)
    train(trained)
    saved = trained.run.optimizer.state_dict()
    own = task_of(shapes, exp_name="other", optimizer=now).run.optimizer
    with pytest.raises(UserError, match="optimiser is of another one|parameter groups") as told:
        load_optimizer(own, saved, Path("x.tar"))
    assert "delete" not in str(told.value)


def test_ndfs_own_checkpoint_is_not_trained_further(shapes: Path):
    task = task_of(shapes)
    train(task)
    state = final_state(shapes, "test")
    own = {name: state[name] for name in ("model_state_dict", "optimizer_state_dict", "epoch", "training_time")}
    for path in task.run.folder.iterdir():
        write_state(own, path)
    with pytest.raises(UserError, match="has no step"):
        task_of(shapes)


def test_the_best_value_starts_anew_where_it_is_measured_otherwise(shapes: Path, capsys: pytest.CaptureFixture):
    train(task_of(shapes))
    folder = shapes / "experiments" / "test" / "checkpoints_ndf"
    assert load_checkpoint(folder / "best.tar")["config"]["max_dist"] == 0.1
    capsys.readouterr()
    again = task_of(shapes, max_dist=0.5, num_epochs=3, lr=1e-3)  # farther: errors are larger
    before = again.run.best
    assert train(again) == 0
    told = capsys.readouterr().err
    assert all(fact in told for fact in ("num_epochs 2 -> 3", "lr 0.01 -> 0.001", "max_dist 0.1 -> 0.5"))
    best = load_checkpoint(folder / "best.tar")
    assert best["config"]["max_dist"] == 0.5 and best["best"] == again.run.best != before
    capsys.readouterr()
    assert train(task_of(shapes, num_epochs=3, lr=1e-3)) == 0
    told = capsys.readouterr()
    assert "already trained" in told.out and told.err.count("note:") == 1 and "max_dist 0.5 -> 0.1" in told.err
    assert load_checkpoint(folder / "best.tar")["best"] == best["best"]


def test_occupancy_equals_preprocessings(shapes: Path):
    clouds = np.random.default_rng(0).uniform(-0.55, 0.55, (2, 301, 3)).astype(np.float32)
    found = occupancy_from_points(torch.from_numpy(clouds), 17, -0.5, 0.5)
    for cloud, grid in zip(clouds, found, strict=True):
        assert np.array_equal(grid.numpy() > 0, voxelize(cloud, 17, -0.5, 0.5))


def test_missing_samples_say_what_to_run(shapes: Path):
    for path in shapes.glob("data/*/voxelized_point_cloud_*"):
        path.unlink()
    cfg = read_config(shapes, **(SMALL | {"input_res": 11}))
    with pytest.raises(UserError, match=r"voxelized_point_cloud_11res_53points\.npz.*preprocess\.py"):
        train(NDFTask(cfg, split_folders(cfg)))


def test_without_a_split_every_shape_is_a_test_shape(shapes: Path):
    folders = split_folders(read_config(shapes, **SMALL))
    everything = sorted(folder for part in folders.values() for folder in part)
    options = {"split_file": "none", "input_data_glob": "/*/mesh.obj"}
    found = split_folders(read_config(shapes, **SMALL, **options))
    assert found == {"train": [], "val": [], "test": everything}
    with pytest.raises(UserError, match="none has no train shapes, 1 or more expected"):
        split_folders(read_config(shapes, **SMALL, **options), needed=["train"])
