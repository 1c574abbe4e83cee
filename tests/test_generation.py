"""Generation: what a seed fixes, what the files say of a shape, what is made again and what is not, user errors."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from facts import naming, says
from torch.testing import assert_close

import generate
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud as input_points
from evaluation.reconstruction import reconstruction_rows
from generation.cloud_files import read_cloud
from generation.decode import decode_each
from generation.networks import Networks
from generation.reconstructions import interpolated, reconstructed
from generation.room import check_room_for_clouds, check_room_for_samples
from generation.sampling import sampled, sampled_codes
from generation.sources import shapes_of
from lab.small.helpers import times
from lab.small.tiny_experiment import (
    best_flow,
    best_ndf,
    make_shapes,
    save_random_ndf,
    tiny_config,
    tiny_networks,
    train_flow,
    write_shapes,
)
from models.occupancy import occupancy_from_points
from runtime.errors import UserError
from runtime.layout import DENSE_POINT_CLOUD

pytestmark = pytest.mark.usefixtures("coarse_lattice")


@pytest.fixture(autouse=True)
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The view and the cut of each picture that is asked for, in the place of the renderer, which takes seconds."""
    asked = []

    def render(cloud: np.ndarray, view: str, cut: str, color: tuple[int, int, int]) -> np.ndarray:
        asked.append((view, cut))
        return np.full((4, 6, 3), color, dtype=np.uint8)

    monkeypatch.setattr("visualization.contact_sheet.render_cloud", render)
    return asked


def run_generate(root: Path, *words: str) -> None:
    tiny_config(root)  # writes the config file
    assert generate.main(["--config", str(root / "config.txt"), *words]) == 0


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / name / DENSE_POINT_CLOUD, allow_pickle=False) as file:
        return dict(file)


def test_a_seed_fixes_the_shapes_and_shape_n_does_not_depend_on_how_many(root: Path):
    made = tiny_networks(root)
    three, five, other = (sampled_codes(made, num, seed) for num, seed in ((3, 0), (5, 0), (3, 1)))
    assert sampled(made, 5, seed=0).names == ["0", "1", "2", "3", "4"]
    assert torch.equal(three, sampled_codes(tiny_networks(root), 3, seed=0))
    assert torch.equal(three, five[:3])
    spread = five.std(dim=0).mean()
    assert (three - other).abs().mean() > 0.3 * spread
    assert torch.cdist(five, five).fill_diagonal_(9).min() > 0.3 * spread
    clouds = list(decode_each(made, three.split(1), 70, "x"))
    assert [cloud.shape for cloud in clouds] == [(70, 3)] * 3
    for one, two in zip(clouds, decode_each(made, five.split(1), 70, "x"), strict=False):
        assert np.array_equal(one, two)


def test_sampled_codes_are_the_inverse_of_scaled_standard_normal_latents(root: Path):
    made = tiny_networks(root, temperature=0.5)
    z, _ = made.flow(sampled_codes(made, 400, seed=3))
    assert z.std().item() == pytest.approx(0.5, rel=0.05)
    assert z.mean().abs() < 0.05
    whole = sampled_codes(tiny_networks(root, temperature=1.0), 400, seed=3)
    assert_close(2 * z, made.flow(whole)[0], atol=1e-3, rtol=1e-3)


def test_temperature_near_zero_gives_one_shape(root: Path):
    codes = sampled_codes(tiny_networks(root, temperature=1e-4), 4, seed=0)
    assert codes.std(dim=0).max() < 1e-3 * sampled_codes(tiny_networks(root), 4, seed=0).std(dim=0).max()


def test_files_hold_what_the_flow_says_of_their_code(root: Path):
    run_generate(root, "--seed", "5")
    folder = tiny_config(root).experiment.generation
    made = tiny_networks(root, seed=5)
    for n, code in enumerate(sampled_codes(made, 3, seed=5)):
        found = arrays(folder, str(n))
        assert_close(torch.from_numpy(found["code"]), code)
        log_prob = made.flow.log_prob(code[None]).item()
        assert found["log_likelihood"] == pytest.approx(log_prob, rel=1e-5)
        per_dim = -made.flow.log_prob_whitened(made.flow.whiten(code[None])).item() / 5
        assert found["nll_nats_per_dim"] == pytest.approx(per_dim, rel=1e-5)
        assert found["seed"] == 5
        assert found["point_cloud"].shape == (90, 3)
        assert found["point_cloud"].dtype == np.float32
        with torch.no_grad():
            p = 2 * torch.from_numpy(found["point_cloud"]).flip(-1)[None]
            assert made.ndf.query(p, made.ndf.features(code[None])).max() < 0.009
        assert np.array_equal(read_cloud(folder / str(n) / "dense_point_cloud.ply"), found["point_cloud"])
    index = json.loads((folder / "index.json").read_text())
    assert index["shapes"] == ["0", "1", "2"]
    assert index["num_points"] == 90
    assert index["facts"][1] == {"seed": 5, "number": 1, "temperature": 1.0}


FRONT, REAR, CUT = ("three_quarter", "none"), ("rear_three_quarter", "none"), ("cutaway", "lengthwise")


def test_contact_sheet_shows_training_shapes_and_new_ones_from_both_sides_and_cut_open(
    root: Path, rendered: list[tuple[str, str]], capsys: pytest.CaptureFixture
):
    run_generate(root, "--seed", "6", "--num_shapes", "9")
    five, four = ([FRONT] * n + [REAR] * n + [CUT] * n for n in (5, 4))
    assert rendered == [FRONT] * 5 + [FRONT] * 5 + five + four  # 5 training shapes, true and decoded
    sheet = tiny_config(root).experiment.generation / "contact_sheet.png"
    before = sheet.stat().st_mtime_ns
    run_generate(root, "--seed", "6", "--num_shapes", "9")  # all is there
    assert len(rendered) == 37
    assert sheet.stat().st_mtime_ns == before
    assert says(capsys.readouterr().out, "9 90 already")
    run_generate(root, "--mode", "interpolate", "--num_shapes", "4")
    assert rendered[37:] == [FRONT] * 4 + [REAR] * 4 + [CUT] * 4


def test_weights_that_come_alone_sample_without_any_data(
    root: Path, tmp_path: Path, rendered: list[tuple[str, str]], capsys: pytest.CaptureFixture
):
    cfg = tiny_config(
        tmp_path, ndf_checkpoint=best_ndf(root), rnvp_checkpoint=best_flow(root), num_shapes=2
    )  # no folder of it is there
    assert generate.main(["--config", cfg.run.config]) == 0
    assert says(capsys.readouterr().out, "2 90")
    assert rendered == [FRONT] * 2 + [REAR] * 2 + [CUT] * 2


def test_weights_that_come_alone_reconstruct_own_shapes_without_stored_codes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    write_shapes(tmp_path, count=3, num_test=1)
    weights = {"ndf_checkpoint": best_ndf(root), "rnvp_checkpoint": best_flow(root)}
    cfg = tiny_config(tmp_path, exp_name="own", **weights)
    assert generate.main(["--config", cfg.run.config, "--mode", "reconstruct"]) == 0
    assert says(capsys.readouterr().out, "1 90")
    found = arrays(cfg.experiment.reconstruction, "sphere2")
    assert set(found) == {"point_cloud", "code", "seed", "unsettled_share", "log_likelihood", "nll_nats_per_dim"}
    assert not cfg.experiment.codes.exists()


def write(made: Networks, folder: Path) -> int:
    return make_shapes(made, sampled(made, 2, made.cfg.run.seed), folder)


def test_a_second_run_makes_nothing_and_a_changed_option_makes_anew(root: Path, tmp_path: Path):
    assert write(tiny_networks(root), tmp_path) == 2
    before = times(tmp_path, "dense*")
    assert len(before) == 4
    assert write(tiny_networks(root), tmp_path) == 0
    assert times(tmp_path, "dense*") == before
    for options in ({"num_output_points": 80}, {"temperature": 0.7}, {"seed": 3}, {"num_steps": 6}, {}):
        assert write(tiny_networks(root, **options), tmp_path) == 2, options
        after = times(tmp_path, "dense*")
        assert all(after[path] > before[path] for path in before), options
        assert len(read_cloud(tmp_path / "1" / DENSE_POINT_CLOUD)) == options.get("num_output_points", 90)
        before = after
    (tmp_path / "1" / DENSE_POINT_CLOUD).unlink()
    assert write(tiny_networks(root), tmp_path) == 1  # the one that is gone
    assert times(tmp_path, "dense*").keys() == before.keys()


def test_another_flow_makes_anew_and_a_run_that_broke_off_too(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert write(tiny_networks(root), tmp_path) == 2
    first = arrays(tmp_path, "0")
    train_flow(tiny_config(root, exp_name="other", seed=7, ndf_checkpoint=best_ndf(root)))
    other = best_flow(root, exp_name="other")
    made = tiny_networks(root, rnvp_checkpoint=other)
    assert write(made, tmp_path) == 2
    assert not np.allclose(arrays(tmp_path, "0")["code"], first["code"])
    assert write(made, tmp_path) == 0
    monkeypatch.setattr("generation.decoded_shape.decode_parts", broken_decoder)
    with pytest.raises(KeyboardInterrupt):
        make_shapes(made, sampled(made, 2, seed=1), tmp_path)
    assert not (tmp_path / "index.json").exists()  # what lies there is of two runs


def broken_decoder(*_: object) -> None:
    raise KeyboardInterrupt


def test_reconstructions_are_the_test_shapes_by_name_from_their_own_codes(root: Path):
    run_generate(root, "--mode", "reconstruct", "--num_shapes", "4", "--plausible", "false")
    experiment = tiny_config(root).experiment
    names = json.loads((experiment.reconstruction / "index.json").read_text())["shapes"]
    assert names == ["sphere8", "sphere9", "sphere10", "sphere11"]
    codes = np.load(experiment.codes / "test.npy")
    for name, code in zip(names, codes, strict=True):
        assert np.array_equal(arrays(experiment.reconstruction, name)["code"], code)
    assert reconstructed(tiny_networks(root), "test", 2).names == names[:2]


def test_interpolation_goes_straight_from_one_shape_to_the_other_in_z(root: Path):
    made = tiny_networks(root, interpolate_from="sphere10", interpolate_to="sphere8")
    path = interpolated(made, 5)
    along = torch.cat(list(path.codes))
    codes = torch.from_numpy(np.load(made.experiment.codes / "test.npy"))
    assert_close(along[[0, 4]], codes[[2, 0]], atol=1e-5, rtol=1e-4)
    z, _ = made.flow(along)
    steps = z.diff(dim=0)
    length = steps.norm(dim=1).mean()
    assert length > 0.1
    assert (steps - steps.mean(dim=0)).abs().max() < 0.01 * length  # straight, in equal steps; rounding is magnified
    assert path.names == ["000", "001", "002", "003", "004"]
    assert path.facts[1] == {"between": ["sphere10", "sphere8"], "share": 0.25}
    assert interpolated(tiny_networks(root), 2).facts[0]["between"] == ["sphere8", "sphere9"]


def test_mistakes_are_told_with_what_to_do(root: Path, tmp_path: Path):
    with pytest.raises(UserError, match=naming("'sphere1' sphere8, sphere9")):
        interpolated(tiny_networks(root, interpolate_from="sphere1"), 3)
    with pytest.raises(UserError, match=naming("NDF train_ndf.py --config")):
        tiny_networks(root, exp_name="nothing")
    with pytest.raises(UserError, match=naming("RealNVP train_rnvp.py --config")):
        sampled(tiny_networks(root, exp_name="nothing", ndf_checkpoint=best_ndf(root)), 1, seed=0)


def test_more_points_than_the_disk_can_hold_are_refused_at_once(root: Path, tmp_path: Path):
    made = tiny_networks(root, num_output_points=10**12)
    with pytest.raises(UserError, match=naming(2, 10**12, "48,000.0 GB --num_output_points")):
        make_shapes(made, sampled(made, 2, seed=0), tmp_path / "new")
    assert not any((tmp_path / "new").iterdir())


def test_more_clouds_than_the_disk_can_hold_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2399))
    check_room_for_clouds(50, 1, tmp_path)
    with pytest.raises(UserError, match=naming("2 50 0.0 GB")):
        check_room_for_clouds(50, 2, tmp_path)
    (tmp_path / "0").mkdir()  # one of three samples is there
    for num_chunks, fits in ((1, False), (2, True)):
        cfg = tiny_config(tmp_path, num_shapes=3, num_output_points=50, num_chunks=num_chunks)
        with nullcontext() if fits else pytest.raises(UserError, match=naming("2 50 --num_shapes")):
            check_room_for_samples(cfg, tmp_path)


def test_nothing_is_listed_of_samples_that_cannot_be(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("generation.sampling.sampled", lambda *_: pytest.fail("listed"))
    cfg = tiny_config(root, num_shapes=10**7, num_output_points=10**9)
    with pytest.raises(UserError, match=naming("clouds", 10**9, "--num_shapes")):
        shapes_of(Networks(cfg))


def test_codes_or_flow_of_another_ndf_are_refused(root: Path):
    cfg = tiny_config(root, exp_name="stale")
    save_random_ndf(cfg, seed=2)
    train_flow(cfg)
    Networks(cfg)
    flow = best_flow(root)
    with pytest.raises(UserError, match=naming(cfg.experiment.codes, "NDF train_rnvp.py")):
        tiny_networks(root, exp_name="stale", ndf_checkpoint=best_ndf(root), rnvp_checkpoint=flow)
    save_random_ndf(cfg, seed=3)  # the NDF was trained on
    with pytest.raises(UserError, match=naming(best_flow(root, exp_name="stale"), "NDF train_rnvp.py")):
        Networks(cfg)


def test_without_a_flow_the_test_shapes_are_decoded_from_their_input_points(root: Path):
    """The same clouds as with a flow, which only adds likelihoods."""
    cfg = tiny_config(root, exp_name="flowless", ndf_checkpoint=best_ndf(root))
    run_generate(root, "--mode", "reconstruct", "--plausible", "false")
    with_flow = arrays(tiny_config(root).experiment.reconstruction, "sphere9")
    words = ["--config", cfg.run.config, "--mode", "reconstruct", "--exp_name", "flowless"]
    assert generate.main([*words, "--ndf_checkpoint", str(best_ndf(root))]) == 0
    found = arrays(cfg.experiment.reconstruction, "sphere9")
    assert set(found) == {"point_cloud", "code", "seed", "unsettled_share"}
    assert set(with_flow) == {*found, "log_likelihood", "nll_nats_per_dim"}
    assert all(np.array_equal(found[name], with_flow[name]) for name in found)
    index = json.loads((cfg.experiment.reconstruction / "index.json").read_text())
    assert "rnvp_sha256" not in index
    assert (index["code_kind"], index["code_shape"]) == ("vector", [5])
    assert index["shapes"] == ["sphere8", "sphere9", "sphere10"]


def test_a_plain_ndf_reconstructs_and_has_its_row_but_cannot_sample(root: Path, rendered: list[tuple[str, str]]):
    options = {"exp_name": "plain", "code_kind": "none"}
    cfg = tiny_config(root, **options)
    save_random_ndf(cfg)
    assert generate.main(["--config", cfg.run.config, "--mode", "reconstruct"]) == 0
    assert rendered == ([FRONT] * 3 + [REAR] * 3) * 2 + [CUT] * 3  # true, decoded
    folder = cfg.experiment.reconstruction
    found = arrays(folder, "sphere10")
    assert set(found) == {"point_cloud", "seed", "unsettled_share"}
    made = tiny_networks(root, **options)
    cloud = torch.from_numpy(input_points(split_folders(cfg)["test"][2], cfg))[None]
    grids = made.ndf.encode(occupancy_from_points(cloud, cfg.grid.input_res, cfg.grid.bb_min, cfg.grid.bb_max))
    with torch.no_grad():
        distances = made.ndf.query(2 * torch.from_numpy(found["point_cloud"]).flip(-1)[None], grids)
    assert distances.max() < 0.009
    before = times(folder, "dense*")
    assert generate.main(["--config", cfg.run.config, "--mode", "reconstruct"]) == 0
    assert times(folder, "dense*") == before
    for mode in ("sample", "interpolate"):
        with pytest.raises(UserError, match=naming("code_kind none --tasks reconstruction")):
            generate.main(["--config", cfg.run.config, "--mode", mode])
    run_generate(root, "--mode", "reconstruct")
    rows, _ = reconstruction_rows(tiny_config(root, compare_experiments="plain"), split_folders(cfg)["test"])
    labels = ["input points", "vector code, 5 numbers (test)", "NDF without a bottleneck (plain)"]
    assert [row["set"] for row in rows[:3]] == labels
    assert rows[1]["chamfer_udf_mean"] != rows[2]["chamfer_udf_mean"]
