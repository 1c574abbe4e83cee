"""Samples beside their nearest training shapes: are they novel or memorised?"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from configs.options import Config
from dataprocessing.shapes import shape_name
from dataprocessing.stored_points import read_input_cloud
from dataprocessing.surface import at_most, surface_points
from evaluation.latent_space.decoded import decoded_clouds
from evaluation.metrics import CloudSet, pairwise
from evaluation.tables import Column
from frozen.codes import load_codes
from generation.networks import Networks
from generation.sampling import drawn_codes
from generation.sheet_rows import caption
from runtime.cores import num_workers
from visualization.contact_sheet import contact_sheet
from visualization.rendering import TINTS, render_cloud

NUM_NEAREST = 3
PICTURE_POINTS = 20_000
COARSE_POINTS, PRESELECTED = 256, 30
SAMPLES_A_ROW = 2
NAME, TITLE = "neighbours", "Samples and the training shapes nearest to them"
COLUMNS = [
    Column("measure", "sample"),
    *(
        column
        for k in range(1, NUM_NEAREST + 1)
        for column in (Column(f"nearest_{k}", f"{k}."), Column(f"cd_{k}", "CD x1e4", ".3f", 1e4))
    ),
]
NOTE = "CD of the decoded sample to the true surface of the training shape; both of num_analysis_points points."


def neighbour_rows(networks: Networks, sheet: Path) -> list[dict]:
    """Rows of `COLUMNS` for the first num_neighbour_samples shapes of generate.py; also draws the sheet."""
    cfg, stored = networks.cfg, load_codes(networks.cfg, "train")
    every, plain = stored.folders(cfg), stored.plain_indices()
    folders, names = [every[i] for i in plain], [stored.rows[i]["name"] for i in plain]
    codes = drawn_codes(networks, cfg.analysis.num_neighbour_samples, cfg.run.seed)
    count = max(PICTURE_POINTS, cfg.analysis.num_analysis_points)
    dense = decoded_clouds(networks, codes, count, "neighbour_samples", "samples")
    which, values = nearest_shapes(
        [cloud[: cfg.analysis.num_analysis_points] for cloud in dense],
        training_clouds(folders, cfg),
        num_workers(cfg.run.num_cpus),
    )
    draw_sheet(dense, [[folders[j] for j in row] for row in which], values, cfg, sheet)
    rows = []
    for n, (near, far) in enumerate(zip(which.tolist(), values.tolist(), strict=True)):
        row: dict = {"measure": str(n)}
        for k, (j, value) in enumerate(zip(near, far, strict=True), 1):
            row |= {f"nearest_{k}": names[j], f"cd_{k}": value}
        rows.append(row)
    return rows


def training_clouds(folders: list[Path], cfg: Config) -> list[NDArray[np.float32]]:
    """Points of the stored input clouds, (num_analysis_points, 3) each, or all points if there are fewer."""
    bar = tqdm(folders, desc="reading training clouds", unit="cloud", disable=None)
    most, seed = cfg.analysis.num_analysis_points, cfg.run.seed
    return [at_most(read_input_cloud(folder, cfg), most, np.random.default_rng(seed)) for folder in bar]


def nearest_shapes(
    samples: list[NDArray[np.floating]], training: list[NDArray[np.floating]], workers: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The NUM_NEAREST training clouds closest to each sample by CD, and the CDs: (S, K), (S, K), nearest first.

    K is smaller if there are fewer training clouds. All points are compared only for the `PRESELECTED` nearest by
    `COARSE_POINTS` points of each cloud.
    """
    coarse = pairwise(
        "cd",
        CloudSet([cloud[:COARSE_POINTS] for cloud in samples]),
        CloudSet([cloud[:COARSE_POINTS] for cloud in training]),
        workers,
        description="nearest training shapes",
    )
    which, values = [], []
    for sample, row in zip(samples, coarse, strict=True):
        likeliest = np.argsort(row, kind="stable")[:PRESELECTED]
        exact = pairwise("cd", CloudSet([sample]), CloudSet([training[j] for j in likeliest]), workers)[0]
        order = np.argsort(exact, kind="stable")[:NUM_NEAREST]
        which.append(likeliest[order])
        values.append(exact[order])
    return np.array(which), np.array(values)


def draw_sheet(
    samples: NDArray[np.float32], nearest: list[list[Path]], values: NDArray[np.float64], cfg: Config, path: Path
) -> None:
    """Write a PNG: each sample in blue beside its nearest training shapes in grey, `SAMPLES_A_ROW` per row.

    values: (S, K), CDs of the nearest shapes, for the labels.
    """
    total = len(samples) + sum(len(row) for row in nearest)
    pictures, labels, captions = [], [], []
    with tqdm(total=total, desc="drawing", unit="picture", disable=None) as bar:
        for n, (sample, folders) in enumerate(zip(samples, nearest, strict=True)):
            row = [render_cloud(sample, color=TINTS["blue"])]
            bar.update()
            for folder in folders:
                cloud = surface_points(folder, PICTURE_POINTS, cfg.run.seed, cfg.data)
                row.append(render_cloud(cloud, color=TINTS["grey"]))
                bar.update()
            pictures.append(row)
            captions.append([f"sample {n}", *map(shape_name, folders)])
            labels.append(f"Sample {n}, CD x1e4 to the nearest: " + ", ".join(f"{1e4 * v:.2f}" for v in values[n]))
    rows = []
    for start in range(0, len(samples), SAMPLES_A_ROW):
        stop = start + SAMPLES_A_ROW
        names = [caption(name) for row in captions[start:stop] for name in row]
        rows.append((";   ".join(labels[start:stop]), [one for row in pictures[start:stop] for one in row], names))
    contact_sheet(rows, path, f"{cfg.run.exp_name}: samples (blue) and the training shapes nearest to each (grey)")
