"""The sets that are compared: what each is made of, that a second run finds them; evaluate.py on a tiny experiment."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_experiment import make_experiment, tiny_config
from torch.testing import assert_close

import evaluate
from configs.errors import UserError
from configs.layout import DENSE_POINT_CLOUD, Experiment
from models.checkpoints import best_checkpoint, load_checkpoint
from models.codes import fingerprint, load_codes
from models.data.occupancy import occupancy_from_points, to_grid_coords
from models.data.shape_samples import split_folders, validation_batches
from models.evaluation.networks import network_rows
from models.evaluation.sample_sets import SHARES, gaussian_shapes, nearest_codes, neighbour_shapes, write_sets
from models.generation import Generator
from models.rnvp_training import noised_nll

SETS = {"flow", "gaussian", "neighbours", "decoded"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny experiment: 7 training shapes (14 codes, with mirrored ones), 4 test shapes."""
    folder = tmp_path_factory.mktemp("sets")
    make_experiment(folder)
    return folder


@pytest.fixture(autouse=True)
def coarse_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.projection.LATTICE", 12)  # 64 times fewer cells


@pytest.fixture
def generator(root: Path) -> Generator:
    return Generator(tiny_config(root))


def files(generator: Generator) -> dict[str, int]:
    """When each file of the sets was written, by its path below sets/."""
    folder = generator.experiment.sets
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def test_gaussian_codes_are_standard_normal_when_whitened(generator: Generator):
    shapes = gaussian_shapes(generator, 500)
    w = generator.flow.whiten(shapes.codes)
    assert w.mean(dim=0).abs().max() < 0.2
    assert_close(torch.cov(w.T), torch.eye(5), atol=0.2, rtol=0)
    assert_close(gaussian_shapes(generator, 3).codes, shapes.codes[:3], atol=0, rtol=0)
    flow_z = generator.latents(3, generator.cfg.seed)
    assert (w[:3] - flow_z).abs().max() > 0.1  # not the numbers that the flow's shapes come from


def test_neighbours_lie_between_a_training_code_and_a_near_one_of_another_shape(generator: Generator):
    shapes = neighbour_shapes(generator, 40)
    training = load_codes(generator.cfg, "train")
    w = generator.flow.whiten(training.tensor())
    index = {tuple(row[key] for key in ("name", "mirrored", "draw")): i for i, row in enumerate(training.rows)}
    chosen, seconds = set(), set()
    for code, fact in zip(shapes.codes, shapes.facts, strict=True):
        a, b = (index[tuple(one[key] for key in ("name", "mirrored", "draw"))] for one in fact["between"])
        assert training.rows[a]["name"] != training.rows[b]["name"]
        assert SHARES[0] <= fact["share"] <= SHARES[1]
        mixed = w[a] + fact["share"] * (w[b] - w[a])
        assert_close(generator.flow.whiten(code[None])[0], mixed, atol=1e-3, rtol=1e-3)
        others = [i for i, row in enumerate(training.rows) if row["name"] != training.rows[a]["name"]]
        rank = sorted(others, key=lambda i: (w[i] - w[a]).norm().item()).index(b)
        assert rank < 3
        chosen.add(a)
        seconds.add(rank)
    assert len(chosen) > 10
    assert seconds == {0, 1, 2}
    again = neighbour_shapes(generator, 6)
    assert_close(again.codes, shapes.codes[:6], atol=1e-6, rtol=1e-5)
    assert again.facts == shapes.facts[:6]


def test_nearest_codes_do_not_depend_on_how_many_are_read_at_a_time(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
):
    training = load_codes(generator.cfg, "train")
    whole = nearest_codes(generator, training, [3, 0, 9])
    assert whole.shape == (3, 3)
    monkeypatch.setattr("models.evaluation.sample_sets.CODES_AT_A_TIME", 4)
    assert torch.equal(nearest_codes(generator, training, [3, 0, 9]), whole)
    for row in training.rows:
        row["name"] = "alone"
    with pytest.raises(UserError, match="all training codes are of one shape, alone; 2 or more shapes expected"):
        nearest_codes(generator, training, [3])


def test_sets_are_written_once_and_anew_for_other_options(root: Path, generator: Generator):
    write_sets(generator)
    before = files(generator)
    names = {"decoded": ["sphere8", "sphere9", "sphere10", "sphere11"]}
    expected = [f"{s}/{n}/{DENSE_POINT_CLOUD}" for s in SETS for n in names.get(s, ["0", "1", "2", "3"])]
    assert sorted(before) == sorted(expected + [f"{s}/index.json" for s in SETS])  # and no .ply
    cloud = np.load(generator.experiment.flow_set / "2" / DENSE_POINT_CLOUD)
    assert cloud["point_cloud"].shape == (60, 3)
    assert_close(torch.from_numpy(cloud["code"]), generator.sampled(3, generator.cfg.seed).codes[2])
    write_sets(Generator(tiny_config(root)))
    assert files(generator) == before
    write_sets(Generator(tiny_config(root, num_output_points=33, num_shapes=2)))  # generate.py's own options
    assert files(generator) == before
    write_sets(Generator(tiny_config(root, temperature=0.5)))  # an option of the flow's set alone
    changed = {path.split("/")[0] for path, time in files(generator).items() if time != before[path]}
    assert changed == {"flow"}
    write_sets(Generator(tiny_config(root, num_eval_points=50, num_eval_shapes=2)))
    for folder in SETS:
        index = json.loads((generator.experiment.sets / folder / "index.json").read_text())
        assert index["num_points"] == 50
        assert len(index["shapes"]) == 2


def test_network_rows_are_the_stored_values_and_the_same_of_the_test_split(generator: Generator):
    cfg, flow = generator.cfg, generator.flow
    folders = split_folders(cfg)["test"]
    values = {row["measure"]: (row["value"], row["unit"]) for row in network_rows(generator, folders)}
    errors = []
    for batch in validation_batches(folders, cfg):
        x = occupancy_from_points(batch["cloud"], cfg.input_res, cfg.bb_min, cfg.bb_max)
        error = (generator.ndf(to_grid_coords(batch["points"]), x) - batch["distances"]).abs()
        errors.append(error[batch["distances"] < cfg.max_dist])
    assert values["mean test |UDF error|"] == (pytest.approx(torch.cat(errors).mean().item(), rel=1e-4), "mesh units")
    assert values["validation NDF loss"] == (0.25, "mesh units")
    state = load_checkpoint(generator.rnvp_path)
    stored, noise = state["nll_nats_per_dim"], state["flow_noise"]
    for part in ("training", "validation", "test"):
        codes = load_codes(cfg, {"training": "train", "validation": "val", "test": "test"}[part]).one_per_shape()
        expected = noised_nll(flow, codes.tensor(), noise, cfg)  # for training and validation: as it was stored
        assert values[f"{part} flow NLL"] == (pytest.approx(expected, rel=1e-4), "nats/dim")
    assert values["validation Gaussian NLL"] == (stored["gaussian"], "nats/dim")
    assert len({value for value, _ in values.values()}) == 7


def test_noised_nll_is_the_mean_over_draws_of_noise(generator: Generator):
    codes = load_codes(generator.cfg, "train").tensor()
    w = generator.flow.whiten_noised(codes.repeat(2000, 1), 0.1)
    mean = -generator.flow.log_prob_whitened(w).mean().item() / 5
    values = [noised_nll(generator.flow, codes, 0.1, tiny_config(generator.experiment.root, seed=s)) for s in range(9)]
    assert np.mean(values) == pytest.approx(mean, abs=5 * np.std(values) / 3)
    assert np.std(values) > 0


def test_evaluate_makes_the_sets_and_reports(root: Path, capsys: pytest.CaptureFixture):
    cfg = tiny_config(root)
    experiment = Experiment(cfg)
    with pytest.raises(UserError, match=r"0 shapes in .*reconstruction.* python generate.py --mode reconstruct"):
        evaluate.main(["--config", cfg.config])
    generator = Generator(cfg)
    generator.write(generator.reconstructed("test", 3), experiment.reconstruction, 80, "x")
    assert evaluate.main(["--config", cfg.config]) == 0
    text = (experiment.evaluation / "evaluation.txt").read_text()
    assert text in capsys.readouterr().out
    report = json.loads((experiment.evaluation / "evaluation.json").read_text())
    rows = [(row["set"], row["reference"], row["shapes"], row["points"]) for row in report["generation"]]
    samples = ["flow", "Gaussian on whitened codes", "interpolated neighbours"]
    assert rows == [
        *((name, "test shapes", 4, 60) for name in [*samples, "floor: training shapes"]),
        *((name, "test shapes, decoded", 4, 60) for name in samples),
    ]
    assert [row["set"] for row in report["nearest_training"]] == [*samples, "test shapes, decoded", "test shapes"]
    assert [row["shapes"] for row in report["reconstruction"]] == [3, 3, 3]
    assert report["networks"] == network_rows(generator, split_folders(cfg)["test"])
    assert report["rnvp_sha256"] == fingerprint(best_checkpoint(experiment.rnvp_checkpoints))
    assert report["config"]["num_eval_points"] == 60
    for command in ("train_ndf.py", "train_rnvp.py"):
        missing = [] if command == "train_ndf.py" else ["--ndf_checkpoint", str(generator.ndf_path)]
        with pytest.raises(UserError, match=f"train one with: python {command} --config"):
            evaluate.main(["--config", cfg.config, "--exp_name", "nothing", *missing])
