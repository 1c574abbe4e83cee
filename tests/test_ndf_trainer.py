"""The NDF trainer: the loss, resuming bit for bit, stopping on a signal, batches that depend on the step alone."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.config_loader import get_config
from dataprocessing.split import split_folders
from dataprocessing.stored_points import shape_digests
from dataprocessing.voxelized_pointcloud_sampling import voxelize
from frozen.checkpoint_files import latest_checkpoint, load_checkpoint, timed_checkpoints
from frozen.loading import load_frozen_ndf
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL, write_shapes
from lab.small.tiny_experiment import ndf_trainer as trainer
from models.occupancy import occupancy_from_points, to_grid_coords
from runtime.errors import UserError
from runtime.layout import GAP_SAMPLES, UNIFORM_SAMPLES, boundary_samples
from runtime.seeds import step_seed
from training.checkpoints import write_state
from training.ndf_trainer import NDFTrainer, clamped_l1, training_loss, validate, with_hardest
from training.shape_samples import ShapeSteps, far_files, validation_batches
from training.training_run import EXIT_STOPPED, AveragedWeights, learning_rate, load_optimizer


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    write_shapes(tmp_path)
    return tmp_path


def final_state(folder: Path, name: str) -> dict:
    return load_checkpoint(latest_checkpoint(folder / "experiments" / name / "checkpoints_ndf"))


def assert_same(a: object, b: object) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    else:
        assert a == b


PCA = {"latent_dim": 3, "pca_resolution": 5}


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": "Muon"}, {"code_encoder": "pca", **PCA}, {"code_encoder": "both", "pca_dims": 1, **PCA}],
)
def test_four_steps_are_two_and_a_resume_and_two(shapes: Path, monkeypatch: pytest.MonkeyPatch, options: dict):
    assert trainer(shapes, exp_name="whole", **options).train() == 0
    stopped = trainer(shapes, exp_name="halves", **options)
    plain_step = stopped.train_step

    def step_then_signal(batch: dict) -> torch.Tensor:
        loss = plain_step(batch)
        if stopped.run.step == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return loss

    monkeypatch.setattr(stopped, "train_step", step_then_signal)
    assert stopped.train() == EXIT_STOPPED
    assert stopped.run.step == 2
    torch.randn(100)  # whatever else drew random numbers in between
    resumed = trainer(shapes, exp_name="halves", **options)
    assert resumed.run.step == 2
    assert resumed.train() == 0
    whole, halves = final_state(shapes, "whole"), final_state(shapes, "halves")
    assert whole["step"] == halves["step"] == 4
    for key in ("model_state_dict", "optimizer_state_dict", "step"):
        assert_same(whole[key], halves[key])


def test_a_stop_between_validations_leaves_the_best_of_an_uninterrupted_run(shapes: Path, monkeypatch):
    """What a run validates only because it was asked to stop must not become its best."""
    assert trainer(shapes, exp_name="whole", val_every=4).train() == 0
    for step in (1, 3):
        run = trainer(shapes, exp_name="stopped", val_every=4)
        plain_step = run.train_step

        def step_then_signal(batch: dict, run: NDFTrainer = run, plain_step=plain_step, last: int = step):
            loss = plain_step(batch)
            if run.run.step == last:
                os.kill(os.getpid(), signal.SIGHUP)
            return loss

        monkeypatch.setattr(run, "train_step", step_then_signal)
        assert run.train() == EXIT_STOPPED
        assert not (run.run.folder / "best.tar").is_file()
    assert trainer(shapes, exp_name="stopped", val_every=4).train() == 0
    whole, stopped = final_state(shapes, "whole"), final_state(shapes, "stopped")
    for key in ("model_state_dict", "optimizer_state_dict", "best", "best_step"):
        assert_same(whole[key], stopped[key])


def test_a_damaged_latest_checkpoint_is_skipped_and_goes_with_the_next_one(shapes: Path, capsys: pytest.CaptureFixture):
    options = {"val_every": 1, "num_epochs": 3}
    assert trainer(shapes, exp_name="whole", **options).train() == 0
    first = trainer(shapes, exp_name="damaged", val_every=1, num_epochs=3)
    folder = first.run.folder
    assert first.train() == 0
    newest = latest_checkpoint(folder)
    newest.write_bytes(newest.read_bytes()[:-200])
    capsys.readouterr()
    again = trainer(shapes, exp_name="damaged", **options)
    assert capsys.readouterr().out == f"{newest} is damaged; going on from {timed_checkpoints(folder)[0].name}\n"
    assert again.run.step == 5 and newest.is_file()
    assert again.train() == 0
    assert len(timed_checkpoints(folder)) == 2 and [load_checkpoint(p)["step"] for p in timed_checkpoints(folder)] == [
        5,
        6,
    ]
    assert_same(final_state(shapes, "whole")["model_state_dict"], final_state(shapes, "damaged")["model_state_dict"])


def test_principal_components_are_those_of_all_training_shapes_and_their_mirror_images(shapes: Path):
    run = trainer(shapes, code_encoder="pca", latent_dim=3, pca_resolution=9, input_res=9)
    run.steps.read_all(run.device)
    run.fit_encoder()
    clouds = np.stack([run.steps.samples(n)["cloud"] for n in range(len(run.steps.folders))])
    clouds = np.concatenate([clouds, clouds * np.array([-1, 1, 1], np.float32)])
    codes = run.model.encode(occupancy_from_points(torch.from_numpy(clouds), 9, -0.5, 0.5))
    covariance = codes.T @ codes / (len(codes) - 1)
    components = run.model.components
    assert codes.mean(dim=0).abs().max() < 0.02
    assert (covariance - torch.diag(components.sd**2)).abs().max() < 0.1
    assert float(components.sd.square().mean()) == pytest.approx(1, rel=1e-5)


def test_principal_components_need_more_shapes_than_numbers(shapes: Path):
    run = trainer(shapes, code_encoder="pca", latent_dim=30)
    with pytest.raises(UserError, match=r"shapes for 30 principal components, more shapes than"):
        run.train()


def test_training_learns_and_a_finished_run_does_nothing(shapes: Path, capsys: pytest.CaptureFixture):
    first = trainer(shapes, num_epochs=60)
    seen = validation_batches(split_folders(first.cfg)["train"], first.cfg)
    cpu = torch.device("cpu")
    at_first = validate(first.model, seen, first.cfg, cpu)["clamped_l1"]
    first.train()
    assert validate(first.model, seen, first.cfg, cpu)["clamped_l1"] < 0.4 * at_first
    capsys.readouterr()
    before = final_state(shapes, "test")
    assert trainer(shapes, num_epochs=60).train() == 0
    assert "already trained: 120 steps" in capsys.readouterr().out
    assert_same(before, final_state(shapes, "test"))


def test_checkpoint_freezes_to_the_network_that_was_trained(shapes: Path):
    run = trainer(shapes)
    run.train()
    path = latest_checkpoint(shapes / "experiments" / "test" / "checkpoints_ndf")
    # Sizes come from the checkpoint, not from the config.
    model = load_frozen_ndf(path, read_config(shapes, **(SMALL | {"hidden_dim": 99})), torch.device("cpu"))
    p, x = torch.rand(1, 20, 3) - 0.5, (torch.rand(1, 9, 9, 9) > 0.7).float()
    with torch.no_grad():
        assert torch.equal(model(p, x), run.model.eval()(p, x))
    assert not any(q.requires_grad for q in model.parameters())
    with pytest.raises(UserError, match="trained with code_kind = vector, the config says grid"):
        load_frozen_ndf(path, read_config(shapes, **(SMALL | {"code_kind": "grid"})), torch.device("cpu"))
    with pytest.raises(UserError, match="trained with bb_max = 0.5, the config says 0.6"):
        load_frozen_ndf(path, read_config(shapes, **SMALL, bb_max=0.6), torch.device("cpu"))
    with pytest.raises(UserError, match="latent_dim 5 -> 6; .* another --exp_name"):
        trainer(shapes, latent_dim=6)


@pytest.mark.parametrize(
    ("least", "points", "told"), [(0, 53, False), (0, 52, True), (20, 52, False), (20, 19, True), (20, 54, True)]
)
def test_another_number_of_input_points_is_told(
    shapes: Path, capsys: pytest.CaptureFixture, least: int, points: int, told: bool
):
    path = shapes / "checkpoint_0h_0m_1s_1.00.tar"
    run = trainer(shapes, min_input_points=least)
    write_state({"model_state_dict": run.model.state_dict(), "config": run.cfg.values()}, path)
    load_frozen_ndf(path, read_config(shapes, **SMALL, num_points=points), torch.device("cpu"))
    assert (f"num_points 53, and is given {points}" in capsys.readouterr().err) == told


def test_the_checkpoint_tells_the_shapes_of_each_part_of_the_split(shapes: Path):
    run = trainer(shapes)
    run.train()
    expected = {part: shape_digests(folders, run.cfg) for part, folders in split_folders(run.cfg).items()}
    assert final_state(shapes, "test")["shapes"] == expected and len(expected["train"]) == 4


@pytest.mark.parametrize("now", ["RMSprop", "Muon", "AdamW"])
def test_another_optimiser_goes_not_on(shapes: Path, now: str):
    trainer(shapes).train()
    before = sorted(path.name for path in (shapes / "experiments" / "test" / "checkpoints_ndf").iterdir())
    with pytest.raises(UserError, match=f'optimizer "Adam" -> "{now}"'):
        trainer(shapes, optimizer=now, num_epochs=3)
    assert sorted(path.name for path in (shapes / "experiments" / "test" / "checkpoints_ndf").iterdir()) == before


@pytest.mark.parametrize(
    ("was", "now"), [("Adam", "RMSprop"), ("Adam", "Muon"), ("Muon", "Adam"), ("RMSprop", "AdamW")]
)
def test_the_state_of_another_optimiser_is_told_where_nothing_names_it(shapes: Path, was: str, now: str):
    trained = trainer(shapes, optimizer=was)
    trained.train()
    saved = trained.run.optimizer.state_dict()
    own = trainer(shapes, exp_name="other", optimizer=now).run.optimizer
    with pytest.raises(UserError, match="optimiser is of another one|parameter groups") as told:
        load_optimizer(own, saved, Path("x.tar"))
    assert "delete" not in str(told.value)


def test_ndfs_own_checkpoint_is_not_trained_further(shapes: Path):
    run = trainer(shapes)
    run.train()
    state = final_state(shapes, "test")
    own = {name: state[name] for name in ("model_state_dict", "optimizer_state_dict", "epoch", "training_time")}
    for path in run.run.folder.iterdir():
        write_state(own, path)
    with pytest.raises(UserError, match="has no step: it can be used .*, not trained further"):
        trainer(shapes)


def test_the_best_value_starts_anew_where_it_is_measured_otherwise(shapes: Path, capsys: pytest.CaptureFixture):
    trainer(shapes).train()
    folder = shapes / "experiments" / "test" / "checkpoints_ndf"
    assert load_checkpoint(folder / "best.tar")["config"]["max_dist"] == 0.1
    capsys.readouterr()
    again = trainer(shapes, max_dist=0.5, num_epochs=3, lr=1e-3)  # farther: errors are larger
    before = again.run.best
    assert again.train() == 0
    told = capsys.readouterr().err
    assert "goes on with num_epochs 2 -> 3, lr 0.01 -> 0.001\n" in told and "with max_dist 0.1 -> 0.5: its best" in told
    best = load_checkpoint(folder / "best.tar")
    assert best["config"]["max_dist"] == 0.5 and best["best"] == again.run.best != before
    capsys.readouterr()
    assert trainer(shapes, num_epochs=3, lr=1e-3).train() == 0
    told = capsys.readouterr()
    assert "already trained" in told.out and told.err.count("note:") == 1 and "max_dist 0.5 -> 0.1" in told.err
    assert load_checkpoint(folder / "best.tar")["best"] == best["best"]


def test_loss_is_the_clamped_l1_with_a_gradient_wherever_it_is_wrong():
    predicted = torch.tensor([0.02, 0.30, 0.30, 0.05, 0.0], requires_grad=True)
    distances = torch.tensor([0.05, 0.05, 0.50, 0.50, 0.0])
    loss = clamped_l1(predicted, distances, 0.1).mean()
    assert loss.item() == pytest.approx((0.03 + 0.25 + 0 + 0.05 + 0) / 5)
    loss.backward()
    assert predicted.grad.sign().tolist() == [-1, 1, 0, -1, 0]


def test_the_hardest_candidates_are_those_with_the_greatest_loss(shapes: Path):
    run = trainer(shapes, code_noise=0)
    model, batch = run.model.eval(), run.steps[0]
    x = occupancy_from_points(batch["cloud"], 9, -0.5, 0.5)
    grids = model.features(model.encode(x))
    harder = with_hardest(model, grids, batch, run.cfg)
    assert torch.equal(harder["points"][:, :67], batch["points"])
    predicted = model(to_grid_coords(batch["candidates"]), x)
    losses = clamped_l1(predicted, batch["candidate_distances"], run.cfg.ndf_training.max_dist)
    for shape in range(2):
        worst = losses[shape].argsort(descending=True)[:3]
        assert torch.equal(harder["points"][shape, 67:], batch["candidates"][shape, worst])
        assert torch.equal(harder["distances"][shape, 67:], batch["candidate_distances"][shape, worst])
    every = clamped_l1(model(to_grid_coords(harder["points"]), x), harder["distances"], run.cfg.ndf_training.max_dist)
    assert training_loss(model, batch, run.cfg).item() == pytest.approx(every.mean().item())


def test_candidates_are_drawn_far_from_the_surface_and_mirrored_with_the_shape(shapes: Path):
    folders = split_folders(read_config(shapes))["train"]
    cfg = read_config(shapes, **SMALL | {"num_hard_points": 6})
    steps, plain = ShapeSteps(folders, cfg), ShapeSteps(folders, read_config(shapes, **SMALL, mirror=False))
    files = [boundary_samples(0.08), UNIFORM_SAMPLES, GAP_SAMPLES]  # not those of sigma 0.003
    stored = [np.concatenate([np.load(folder / name)["points"] for folder in folders]) for name in files]
    signs = []
    for step in range(3):
        batch, as_stored = steps[step], plain[step]["cloud"]
        assert batch["candidates"].shape == (2, 16 * 6, 3)
        for cloud, candidates, own in zip(batch["cloud"], batch["candidates"].numpy(), as_stored, strict=True):
            signs.append(1 if torch.equal(cloud, own) else -1)
            candidates = candidates * np.float32([signs[-1], 1, 1])
            for third, points in zip(np.split(candidates, 3), stored, strict=True):
                assert np.abs(third[:, None] - points).max(axis=2).min(axis=1).max() < 1e-6
    assert set(signs) == {-1, 1}


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_looking_for_hard_points_leaves_every_weight_its_gradient(shapes: Path, precision: str):
    run = trainer(shapes, precision=precision)
    training_loss(run.model, run.steps[0], run.cfg).backward()
    missing = [name for name, weight in run.model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert missing == []


def test_hard_points_come_from_all_samples_where_none_is_far(shapes: Path):
    near_only = {"sample_ratio": [0, 1], "uniform_ratio": 0, "gap_ratio": 0}
    assert far_files(read_config(shapes, **SMALL, **near_only)) == [True]


def test_without_hard_points_there_are_no_candidates(shapes: Path):
    run = trainer(shapes, num_hard_points=0)
    batch = run.steps[0]
    assert set(batch) == {"cloud", "points", "distances"}
    assert torch.isfinite(training_loss(run.model, batch, run.cfg))


def test_occupancy_equals_preprocessings(shapes: Path):
    clouds = np.random.default_rng(0).uniform(-0.55, 0.55, (2, 301, 3)).astype(np.float32)
    found = occupancy_from_points(torch.from_numpy(clouds), 17, -0.5, 0.5)
    for cloud, grid in zip(clouds, found, strict=True):
        assert np.array_equal(grid.numpy() > 0, voxelize(cloud, 17, -0.5, 0.5))


def test_batches_depend_on_seed_and_step_alone_and_show_each_shape_once(shapes: Path):
    cfg = read_config(shapes, **SMALL)
    folders = split_folders(cfg)["train"]
    one, two = ShapeSteps(folders, cfg), ShapeSteps(folders, cfg)
    two.read_all(torch.device("cpu"))  # in memory or not: the same
    for step in (3, 0):
        assert_same(one[step], two[step])
    assert one[0]["points"].shape == (2, 67, 3)
    assert one[0]["distances"].dtype == torch.float32
    assert not torch.equal(one[0]["points"], one[2]["points"])
    radii = torch.cat([one[step]["cloud"].norm(dim=-1).mean(dim=1) for step in range(2)])
    assert len(set(radii.mul(1000).round().tolist())) == 4
    other = ShapeSteps(folders, get_config(["--config", str(shapes / "config.txt"), "--seed", "1"]))
    assert not torch.equal(one[0]["points"], other[0]["points"])


def test_sample_shares_and_mirroring(shapes: Path):
    cfg = read_config(shapes, **SMALL, uniform_ratio=0.25, gap_ratio=0.125)
    folders = split_folders(cfg)["train"]
    steps = ShapeSteps(folders, cfg)
    assert steps.shares == pytest.approx([0.625 * 0.4, 0.625 * 0.6, 0.25, 0.125])
    batch = steps[0]["points"][0].abs().double().numpy()  # mirrored or not
    bounds = np.round(np.cumsum([0.625, 0.25, 0.125]) * 67).astype(int)
    for name, start, end in ((UNIFORM_SAMPLES, *bounds[:2]), (GAP_SAMPLES, *bounds[1:])):
        stored = np.concatenate([np.load(folder / name)["points"] for folder in folders])
        found = np.abs(batch[:, None] - np.abs(stored)).max(axis=2).min(axis=1) < 1e-6
        assert np.flatnonzero(found).tolist() == list(range(start, end))
    plain = ShapeSteps(folders, read_config(shapes, **SMALL, uniform_ratio=0.25, gap_ratio=0.125, mirror=False))
    flipped = [torch.equal(plain[s]["cloud"][i], steps[s]["cloud"][i]) for s in range(4) for i in range(2)]
    assert 0 < sum(flipped) < 8


def test_validation_is_fixed(shapes: Path):
    cfg = read_config(shapes, **SMALL)
    folders = split_folders(cfg)["val"]
    one, two = (validation_batches(folders, cfg, points_per_shape=33) for _ in range(2))
    assert_same(one[0], two[0])


def test_missing_samples_say_what_to_run(shapes: Path):
    cfg = read_config(shapes, **(SMALL | {"input_res": 11}))
    with pytest.raises(UserError, match=r"voxelized_point_cloud_11res_53points.npz; make it with: .*preprocess.py"):
        NDFTrainer(cfg, split_folders(cfg)).train()


def test_learning_rate_warms_up_and_decays():
    rates = [learning_rate(step, 1000, 2.0, 100) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[100] == pytest.approx(2.0, rel=1e-3)
    assert rates[-1] == pytest.approx(0.02, rel=0.01)
    assert all(a >= b for a, b in zip(rates[100:], rates[101:], strict=False))


def test_seeds_of_steps_differ():
    assert len({step_seed(seed, step) for seed in range(10) for step in range(1000)}) == 10_000


def test_averaged_weights_follow_the_definition():
    model = torch.nn.Linear(2, 1, bias=False)
    average = AveragedWeights(model, decay=0.9)
    expected = model.weight.detach().clone()
    for step in range(50):
        with torch.no_grad():
            model.weight.add_(1.0)
        average.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.model.weight, expected)


def test_sparse_inputs_are_the_first_points_and_change_nothing_else(shapes: Path):
    folders = split_folders(read_config(shapes, **SMALL))["train"]
    whole = ShapeSteps(folders, read_config(shapes, **SMALL))
    sparse = ShapeSteps(folders, read_config(shapes, **SMALL, min_input_points=5))
    counts = set()
    for step in range(12):
        one, other = whole[step], sparse[step]
        count = other["cloud"].shape[1]
        counts.add(count)
        assert torch.equal(other["cloud"], one["cloud"][:, :count])
        assert torch.equal(other["points"], one["points"]) and torch.equal(other["distances"], one["distances"])
    assert min(counts) >= 5 and max(counts) <= 53 and len(counts) > 4


def test_without_a_split_every_shape_is_a_test_shape(shapes: Path):
    folders = split_folders(read_config(shapes, **SMALL))
    everything = sorted(folder for part in folders.values() for folder in part)
    options = {"split_file": "none", "input_data_glob": "/*/mesh.obj"}
    found = split_folders(read_config(shapes, **SMALL, **options))
    assert found == {"train": [], "val": [], "test": everything}
    with pytest.raises(UserError, match="none has no train shapes, 1 or more expected"):
        split_folders(read_config(shapes, **SMALL, **options), needed=["train"])
