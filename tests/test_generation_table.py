"""The table of generation on clouds drawn from known distributions: what each row says, and over which sets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.config_loader import get_config
from configs.options import Config
from evaluation.generation_table import Comparison, Competitor, NamedSet, generation_tables, nearest_table
from evaluation.metrics import chamfer_l2_sq, emd, jsd, mmd_cov, one_nna

POINTS = 30


def blobs(seed: int, shapes: int, shift: float = 0.0) -> np.ndarray:
    """Clouds (shapes, POINTS, 3), each about a centre of its own that says which shape it is."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 0.1, (shapes, 1, 3)) + [shift, 0, 0]
    return (centres + rng.normal(0, 0.02, (shapes, POINTS, 3))).astype(np.float32)


def named(name: str, clouds: np.ndarray) -> NamedSet:
    return NamedSet(name, lambda: clouds)


def settings(*options: str) -> Config:
    return get_config(["--samples", "x", "--num_cpus", "1", *options], instead="samples")


def compare(
    folder: Path, references: dict[str, np.ndarray], sets: dict[str, Sequence[np.ndarray]], *options: str
) -> Comparison:
    """Everything against every reference."""
    competitors = [
        Competitor(label, list(references), [named(f"{label}_{k}", one) for k, one in enumerate(several)])
        for label, several in sets.items()
    ]
    return Comparison(
        settings(*options),
        {label: named(label, clouds) for label, clouds in references.items()},
        competitors,
        folder,
        torch.device("cpu"),
    )


def slow_matrix(distance, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([[distance(x, y) for y in b] for x in a])


def test_each_number_is_that_of_its_set_and_reference(tmp_path: Path):
    references = {"true": blobs(0, 6), "decoded": blobs(1, 6)}
    sets = {"flow": [blobs(2, 6), blobs(3, 6)], "far": [blobs(4, 6, shift=0.9)]}
    rows = compare(tmp_path, references, sets, "--emd", "exact").rows()
    assert [(r["distance"], r["set"], r["reference"], r["sets"]) for r in rows] == [
        (distance, name, reference, count)
        for distance in ("cd", "emd", "emd_sq")
        for name, count in (("flow", 2), ("far", 1))
        for reference in ("true", "decoded")
    ]
    assert {(row["shapes"], row["points"]) for row in rows} == {(6, POINTS)}
    for distance, function in (("cd", chamfer_l2_sq), ("emd", emd)):
        for label, reference in references.items():
            (row,) = [r for r in rows if (r["distance"], r["set"], r["reference"]) == (distance, "flow", label)]
            for k, samples in enumerate(sets["flow"]):
                rr, rs, ss = (
                    slow_matrix(function, *pair)
                    for pair in ((reference, reference), (reference, samples), (samples, samples))
                )
                assert row["mmd"]["values"][k] == pytest.approx(mmd_cov(rs).mmd, rel=1e-5)
                assert row["mmd_smp"]["values"][k] == pytest.approx(mmd_cov(rs).mmd_smp, rel=1e-5)
                assert row["cov"]["values"][k] == mmd_cov(rs).cov
                for key, value in one_nna(rr, rs, ss)._asdict().items():
                    assert row[f"nna_{key}"]["values"][k] == value
                if distance == "cd":
                    assert row["jsd"]["values"][k] == jsd(samples, reference)
            assert row["mmd"]["mean"] == pytest.approx(np.mean(row["mmd"]["values"]))
            assert row["mmd"]["sd"] == pytest.approx(np.std(row["mmd"]["values"], ddof=1))
            assert row["mmd"]["sd"] > 0
    far = [row for row in rows if row["set"] == "far"]
    assert all(row["nna_acc"]["mean"] == 1 and row["nna_acc"]["sd"] is None for row in far)


def test_two_halves_of_one_distribution_cannot_be_told_apart(tmp_path: Path):
    count, num_sets = 20, 12
    sets = {"same": [blobs(10 + k, count) for k in range(num_sets)]}
    (row,) = compare(tmp_path, {"true": blobs(9, count)}, sets, "--emd", "none").rows()
    chance = np.sqrt(0.25 / (2 * count))  # of one set; one reference is in all of them
    assert abs(row["nna_acc"]["mean"] - 0.5) < 2.5 * chance
    assert 0.3 * chance < row["nna_acc"]["sd"] < 3 * chance


def test_the_references_themselves_as_samples(tmp_path: Path):
    clouds = blobs(20, 7)
    (row,) = compare(tmp_path, {"true": clouds}, {"copies": [clouds]}, "--emd", "none").rows()
    assert row["mmd"]["mean"] == 0
    assert row["cov"]["mean"] == 1
    assert row["nna_acc"]["mean"] == 0  # a copy's nearest cloud is its original, the original's its copy
    assert row["jsd"]["mean"] == pytest.approx(0, abs=1e-12)


def test_num_emd_sets_bounds_the_sets_of_the_slow_distances(tmp_path: Path):
    sets = {"flow": [blobs(k, 4) for k in range(3)]}
    rows = compare(tmp_path, {"true": blobs(9, 4)}, sets, "--num_emd_sets", "2").rows()
    assert {row["distance"]: row["sets"] for row in rows} == {"cd": 3, "emd": 2, "emd_sq": 2}


def test_nearest_training_shapes_show_copies(tmp_path: Path):
    training = blobs(30, 25)
    sets = {"copies": [training[:5], training[5:10]], "new": [blobs(31, 5)]}
    comparison = compare(tmp_path, {"true": blobs(32, 5)}, sets, "--emd", "none")
    rows = {row["set"]: row for row in comparison.nearest_training_rows(named("train", training))}
    assert list(rows) == ["copies", "new", "true"]
    assert rows["copies"]["median"] == {"mean": 0, "sd": 0, "values": [0, 0]}
    expected = slow_matrix(chamfer_l2_sq, sets["new"][0], training).min(axis=1)
    assert rows["new"]["median"]["mean"] == pytest.approx(np.median(expected), rel=1e-5)
    assert rows["new"]["min"]["values"] == pytest.approx([expected.min()], rel=1e-5)
    assert rows["new"]["distances"] == pytest.approx(list(expected), rel=1e-5)
    assert [rows[name]["sets"] for name in rows] == [2, 1, 1]
    assert {row["training"] for row in rows.values()} == {25}
    comparison.competitors[0] = Competitor("copies", ["true"], comparison.competitors[0].sets, novelty=False)
    assert [row["set"] for row in comparison.nearest_training_rows(named("train", training))] == ["new", "true"]


def test_tables_say_how_they_are_read(tmp_path: Path):
    comparison = compare(tmp_path, {"true": blobs(9, 4)}, {"flow": [blobs(1, 4), blobs(2, 4)]})
    errors = comparison.emd_errors()
    assert errors["emd"]["pairs"] == 16 and errors["emd"]["worst"] < 1e-9  # exact for so small clouds
    tables = generation_tables(comparison.rows(), {"emd": errors["emd"]}, {"one more note"})
    assert [table.name for table in tables] == ["generation_cd", "generation_emd", "generation_emd_sq"]
    assert "deviates by 17.7 points at 4 + 4 shapes" in tables[0].note  # sqrt(0.25 / 8)
    assert tables[0].note.endswith("one more note")
    assert "on 16 random pairs of a sample and a reference it is +0.0 % (sd 0.0, worst 0.0) off" in tables[1].note
    assert tables[2].note == "Exact: the optimal one-to-one matching of the points."
    assert "JSD" in tables[0].text() and "JSD" not in tables[1].text()
    assert "±" in tables[0].text()
    assert "median x1e4" in nearest_table(comparison.nearest_training_rows(named("train", blobs(5, 9)))).text()
