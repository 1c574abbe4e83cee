"""evaluate.py on two folders of clouds: every kind of file, sample sets, protocols, and one line for a mistake."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from facts import naming

import evaluate
from configs.config_loader import get_config
from evaluation.compare_folders import FolderSets
from evaluation.metrics import chamfer_l2_sq, mmd_cov
from lab.small.helpers import write_ply
from runtime.errors import UserError

pytestmark = pytest.mark.usefixtures("no_plots")
POINTS = 40


def blobs(seed: int, shapes: int, points: int = POINTS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 0.1, (shapes, 1, 3)) + rng.normal(0, 0.03, (shapes, points, 3))).astype(np.float32)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """samples: 13 clouds in a .npy, a .pt and two .ply; references: 4 in an .npz and an .off; training: 9 clouds."""
    for name in ("samples", "references", "training"):
        (tmp_path / name).mkdir()
    samples, references = blobs(0, 13), blobs(1, 4)
    np.save(tmp_path / "samples" / "a.npy", samples[:6])
    torch.save(torch.from_numpy(samples[6:11]), tmp_path / "samples" / "b.pt")
    for n in (11, 12):
        write_ply(tmp_path / "samples" / f"c{n}.ply", samples[n])
    np.savez(tmp_path / "references" / "a.npz", references[:3])
    rows = "\n".join(" ".join(repr(float(x)) for x in point) for point in references[3])
    (tmp_path / "references" / "b.off").write_text(f"OFF\n{POINTS} 0 0\n{rows}\n")
    np.save(tmp_path / "training" / "all.npy", blobs(2, 9))
    return tmp_path


def arguments(folder: Path, *options: str, training: bool = False) -> list[str]:
    words = ["--samples", str(folder / "samples"), "--references", str(folder / "references")]
    words += ["--training", str(folder / "training")] if training else []
    return [*words, "--num_eval_points", str(POINTS), "--num_cpus", "1", "--output", str(folder / "out"), *options]


def sets_of(folder: Path, *options: str, training: bool = False) -> FolderSets:
    return FolderSets(get_config(arguments(folder, *options, training=training), instead="samples"))


def results(folder: Path) -> dict:
    return json.loads((folder / "out" / "results.json").read_text())


def test_two_folders_are_compared_without_config(folders: Path, capsys: pytest.CaptureFixture):
    assert evaluate.main(arguments(folders, "--emd", "exact", training=True)) == 0
    text = capsys.readouterr().out
    report = results(folders)
    assert list(report["tables"]) == ["generation_cd", "generation_emd", "generation_emd_sq", "nearest_training"]
    rows = report["tables"]["generation_cd"]["rows"]
    assert [(row["set"], row["shapes"], row["sets"]) for row in rows] == [
        ("samples", 4, 3),  # 13 samples: three sets of four
        ("floor: training clouds", 4, 10),
    ]
    assert len(rows[0]["mmd"]["values"]) == 3
    assert f"{1e4 * rows[0]['mmd']['mean']:.3f} ± {1e4 * rows[0]['mmd']['sd']:.3f}" in text
    assert report["folders"]["samples"]["clouds"] == 13
    assert report["folders"]["references"]["compared_at_a_time"] == 4
    assert report["protocol"]["name"] == "raw"
    assert "squared distance" in report["definitions"]["cd"]
    assert report["config"]["samples"] == str(folders / "samples")
    assert report["commit"]
    with open(folders / "out" / "results.csv", newline="") as file:
        found = [row for row in csv.DictReader(file) if row["table"] == "generation_cd" and row["measure"] == "mmd"]
    assert [float(row["value"]) for row in found if row["statistic"] == "set 1"] == [
        row["mmd"]["values"][1] for row in rows
    ]
    markdown = (folders / "out" / "results.md").read_text()
    assert re.search(r"^\| samples \| references \| 4 \| 3 \| ", markdown, flags=re.MULTILINE)
    assert (folders / "out" / "one_nna.png").is_file() and (folders / "out" / "nearest_training.png").is_file()


def test_a_second_run_gives_the_same_bytes(folders: Path):
    written = []
    for _ in range(2):
        evaluate.main(arguments(folders, "--num_emd_sets", "1", training=True))
        files = sorted(path for path in (folders / "out").iterdir() if path.is_file())
        written.append({path.name: path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert set(written[0]) == {
        "results.json", "results.csv", "results.md", "one_nna.png", "nearest_training.png", "made_of.json",
    }  # fmt: skip


def test_sample_sets_are_different_parts_of_the_samples(folders: Path):
    sets = sets_of(folders, "--num_sample_sets", "2")
    comparison = sets.comparison()
    first, second = (one.load() for one in comparison.competitors[0].sets)
    assert first.shape == second.shape == (4, POINTS, 3)
    seen = {cloud.tobytes() for cloud in np.concatenate([first, second])}
    assert len(seen) == 8
    assert seen < {cloud.tobytes() for cloud in blobs(0, 13)}
    (row,) = [row for row in comparison.rows() if row["distance"] == "cd"]
    rs = np.array([[chamfer_l2_sq(x, y) for y in first] for x in blobs(1, 4)])
    assert row["mmd"]["values"][0] == pytest.approx(mmd_cov(rs).mmd, rel=1e-5)


def test_fewer_shapes_on_demand(folders: Path):
    comparison = sets_of(folders, "--num_eval_shapes", "3").comparison()
    assert comparison.num_shapes == 3
    assert len(comparison.competitors[0].sets) == 4


def test_box_takes_away_place_and_size(folders: Path):
    np.save(folders / "references" / "a.npz.npy", 7 * blobs(1, 4)[:3] + 3)
    (folders / "references" / "a.npz").unlink()
    boxed = sets_of(folders, "--protocol", "box").comparison().rows()
    assert boxed[0]["mmd"]["mean"] < 1
    assert sets_of(folders).comparison().rows()[0]["mmd"]["mean"] > 1


def test_normalised_samples_are_taken_back_with_the_training_statistics(folders: Path):
    training, truth = 3 * blobs(5, 6, 2048) + np.float32([9, 0, 0]), 3 * blobs(6, 4, 2048) + np.float32([9, 0, 0])
    mean, sd = training.reshape(-1, 3).mean(0), training.reshape(-1).std()
    for name, clouds in (("training", training), ("references", truth), ("samples", (truth - mean) / sd)):
        for file in (folders / name).iterdir():
            file.unlink()
        np.save(folders / name / "all.npy", clouds)
    pointflow = ("--protocol", "pointflow", "--num_eval_points", "2048", "--emd", "none", "--num_sample_sets", "1")
    rows = sets_of(folders, *pointflow, "--normalised_samples", "true", training=True).comparison().rows()
    assert rows[0]["mmd"]["mean"] < 1e-8  # the samples are the references, once they are taken back
    assert sets_of(folders, *pointflow, training=True).comparison().rows()[0]["mmd"]["mean"] > 1
    evaluate.main(arguments(folders, *pointflow, "--normalised_samples", "true", training=True))
    statistics = results(folders)["protocol"]["training_statistics"]
    assert statistics["sd"] == pytest.approx(sd, rel=1e-4)
    assert statistics["mean"] == pytest.approx(list(mean), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num_eval_points", "41"], "a.npy[0] 40 41"),
        (["--normalised_samples", "true"], "normalised_samples pointflow raw --protocol"),
        (["--protocol", "pointflow"], "num_eval_points 40 pointflow 2048"),
        (["--protocol", "pointflow", "--normalised_samples", "true", "--num_eval_points", "2048"], "--training"),
        (["--samples", "{}/references", "--references", "{}/training"], "references 4 9"),
        (["--training", "{}/none"], "none training"),
        (["--references", "{}/out"], "out references .npz"),
    ],
)
def test_what_does_not_fit_is_told(folders: Path, options: list[str], message: str):
    (folders / "out").mkdir()
    with pytest.raises(UserError, match=naming(message)):
        sets_of(folders, *(word.replace("{}", str(folders)) for word in options))


def test_both_folders_are_needed(folders: Path):
    with pytest.raises(UserError, match=naming("--samples --references")):
        evaluate.main(["--samples", str(folders / "samples")])


def test_results_of_users_are_not_overwritten_and_own_ones_are(folders: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_text("theirs")
    with pytest.raises(UserError, match=naming("results.csv --output")):
        evaluate.main(arguments(folders, "--emd", "none"))
    assert (tmp_path / "out" / "results.csv").read_text() == "theirs"
    for _ in range(2):
        assert evaluate.main(arguments(folders, "--emd", "none", "--output", str(tmp_path / "other"))) == 0


@pytest.mark.parametrize("protocol", ["raw", "box"])
def test_clouds_in_map_coordinates_compare_as_near_the_origin(tmp_path: Path, protocol: str):
    """What float32 would round to half a metre."""
    place, found = np.array([500_000.0, 30.0, 5_400_000.0]), {}
    for where, shift in (("near", 0 * place), ("far", place)):
        for n, role in enumerate(("samples", "references")):
            (tmp_path / where / role).mkdir(parents=True)
            for m, cloud in enumerate(blobs(n, 5)):
                np.save(tmp_path / where / role / f"{m}.npy", 10 * cloud.astype(np.float64) + shift)
        options = arguments(tmp_path / where, "--protocol", protocol, "--emd", "none")
        sets = FolderSets(get_config(options, instead="samples"))
        found[where] = [
            sets.comparison().competitors[0].sets[0].load(),
            sets.comparison().references["references"].load(),
        ]
    for near, far in zip(found["near"], found["far"], strict=True):
        shift = (near - far).mean(axis=(0, 1)) if protocol == "raw" else 0.0
        assert far.dtype == np.float32
        np.testing.assert_allclose(far + shift, near, atol=3e-6)
    if protocol == "raw":
        shifts = [near - far for near, far in zip(found["near"], found["far"], strict=True)]
        np.testing.assert_allclose(shifts[0].mean(axis=(0, 1)), shifts[1].mean(axis=(0, 1)), atol=3e-6)
