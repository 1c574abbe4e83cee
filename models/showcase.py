"""The contact sheet of a generation: what the data look like, what the decoder keeps of them, what the flow makes."""

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs.layout import DENSE_POINT_CLOUD
from dataprocessing.shapes import shape_name
from models.codes import load_codes
from models.contact_sheet import contact_sheet
from models.data.shape_samples import split_folders
from models.data.surface import surface_points
from models.decoder import Decoder
from models.generation import Generator
from models.point_cloud_io import read_cloud
from models.rendering import TINTS, render_cloud

COLUMNS = 8


def write_contact_sheet(decoder: Decoder, folder: Path, keep: bool) -> Path:
    """Draw the clouds of `folder` and write `folder/contact_sheet.png`; keep one that is there if `keep`.

    New shapes are shown below training shapes and their reconstructions, where these are at hand (weights may come
    without the data they were trained on), and once more cut open lengthwise.
    Returns the path of the sheet.
    """
    path = folder / "contact_sheet.png"
    if keep and path.is_file():
        return path
    names = json.loads((folder / "index.json").read_text())["shapes"][: 2 * COLUMNS]
    clouds = [read_cloud(folder / name / DENSE_POINT_CLOUD) for name in names]
    mode = decoder.cfg.mode
    rows = []
    if mode == "sample" and (decoder.experiment.codes / "train.json").is_file():
        true, decoded = training_examples(decoder)
        rows += [("Training shapes (true surface)", true, "grey", "none")]
        rows += [("The same, decoded from their codes", decoded, "green", "none")]
    elif mode == "reconstruct":
        folders = {shape_name(one): one for one in split_folders(decoder.cfg)["test"]}
        true = [true_cloud(folders[name], decoder) for name in names]
        rows += [("Test shapes (true surface)", true[:COLUMNS], "grey", "none")]
    label = {
        "sample": "Novel shapes, sampled from the flow",
        "reconstruct": f"Test shapes, decoded from {'features' if decoder.cfg.code_kind == 'none' else 'their codes'}",
        "interpolate": "A straight path between two test shapes in the flow's latent space",
    }[mode]
    for start in range(0, len(clouds), COLUMNS):
        part = clouds[start : start + COLUMNS]
        rows.append((label if start == 0 else f"{label} ({start + 1} to {start + len(part)})", part, "blue", "none"))
    rows.append((f"{label}, cut open lengthwise", clouds[:COLUMNS], "amber", "lengthwise"))
    draw_rows(rows, path, decoder.cfg.exp_name)
    return path


def draw_rows(rows: list[tuple[str, list[np.ndarray], str, str]], path: Path, title: str) -> None:
    """Render rows of (label, clouds, tint, cut) and write them as one sheet."""
    pictures = []
    with tqdm(total=sum(len(row[1]) for row in rows), desc="drawing", unit="picture", disable=None) as bar:
        for label, clouds, tint, cut in rows:
            view = "cutaway" if cut == "lengthwise" else "three_quarter"
            row = []
            for cloud in clouds:
                row.append(render_cloud(cloud, view=view, cut=cut, color=TINTS[tint]))
                bar.update()
            pictures.append((label, row))
    contact_sheet(pictures, path, title)


def training_examples(generator: Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The true surfaces and the decoded codes of the first training shapes, as clouds of num_output_points."""
    rows = load_codes(generator.cfg, "train").one_per_shape().rows[:COLUMNS]
    shapes = generator.reconstructed("train", COLUMNS)
    decoded = list(generator.clouds(shapes, generator.cfg.num_output_points, "training examples"))
    return [true_cloud(Path(row["folder"]), generator) for row in rows], decoded


def true_cloud(folder: Path, decoder: Decoder) -> np.ndarray:
    return surface_points(folder, decoder.cfg.num_output_points, decoder.cfg.seed)
