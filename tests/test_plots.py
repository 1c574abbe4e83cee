"""The plots: that they are pictures, and that what they show is in them."""

from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.tables import spread
from visualization.evaluation_plots import BINS, histograms, plot_likelihood, plot_nearest_training, plot_one_nna


def test_plots_are_pictures_with_the_same_bytes_each_time(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = [
        {"set": name, "reference": reference, "distance": distance, "nna_acc": spread(list(rng.random(2)))}
        for distance in ("cd", "emd", "emd_sq")
        for reference, names in (("test", ("flow", "floor")), ("decoded", ("flow",)))
        for name in names
    ]
    nearest = [{"set": name, "distances": list(rng.random(30) * 1e-3)} for name in ("flow", "test")]
    for part in ("a", "b"):
        plot_one_nna(rows, tmp_path / part / "nna.png")
        plot_nearest_training(nearest, tmp_path / part / "nearest.png")
        plot_likelihood({"test": rng.normal(size=20) * 0, "wrong": [1.0]}, tmp_path / part / "likelihood.png")
    for name in ("nna", "nearest", "likelihood"):
        one, other = (tmp_path / part / f"{name}.png" for part in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
        with Image.open(one) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 5  # not blank


def test_histograms_count_every_value_in_percent():
    values = np.concatenate([np.random.default_rng(1).normal(size=200), [1e6, -1e6]])  # outliers count at the ends
    figure = histograms({"one": values, "other": [0.0, 0.1], "far": [-1e5]}, -2, 3, "x")
    for axes in figure.axes:
        assert len(axes.patches) == BINS
        assert np.isclose(sum(patch.get_height() for patch in axes.patches), 100)
        assert axes.get_xlim() == figure.axes[0].get_xlim()
        assert axes.get_xlim()[0] > -3 and axes.get_xlim()[1] < 4
    assert figure.axes[2].patches[0].get_height() == 100
