"""The contact sheet of a generation run: what the data look like, what the decoder keeps, what the flow makes."""

from pathlib import Path

import torch

from configs.layout import DENSE_POINT_CLOUD
from dataprocessing.shapes import shape_name
from dataprocessing.surface import surface_points
from generation.cloud_files import Cloud, read_cloud, read_index
from generation.decode import decode_each
from generation.networks import Networks
from training.shape_samples import split_folders
from training.stored_codes import load_codes
from visualization.contact_sheet import Row, draw_rows

COLUMNS = 8
MOST_SHOWN = 1_000_000  # points of a cloud: a picture shows no more, and memory stays the same


def write_contact_sheet(networks: Networks, folder: Path, keep: bool) -> Path:
    """Draw the clouds of `folder` and write `folder/contact_sheet.png`; an existing one is kept if `keep`.

    New shapes are shown below training shapes and their reconstructions, if available (weights may come without their
    training data), and again cut open lengthwise.
    Returns the path of the sheet.
    """
    path = folder / "contact_sheet.png"
    if keep and path.is_file():
        return path
    names = read_index(folder / "index.json")["shapes"][: 2 * COLUMNS]
    clouds = [read_cloud(folder / name / DENSE_POINT_CLOUD, MOST_SHOWN) for name in names]
    mode = networks.cfg.mode
    rows: list[Row] = []
    if mode == "sample" and (networks.experiment.codes / "train.json").is_file():
        true, decoded = training_examples(networks)
        rows += [("Training shapes (true surface)", true, "grey", "none")]
        rows += [("The same, decoded from their codes", decoded, "green", "none")]
    elif mode == "reconstruct":
        folders = {shape_name(one): one for one in split_folders(networks.cfg)["test"]}
        true = [true_cloud(folders[name], networks) for name in names]
        rows += [("Test shapes (true surface)", true[:COLUMNS], "grey", "none")]
    label = {
        "sample": "Novel shapes, sampled from the flow",
        "reconstruct": f"Test shapes, decoded from {'features' if networks.cfg.code_kind == 'none' else 'their codes'}",
        "interpolate": "A straight path between two test shapes in the flow's latent space",
    }[mode]
    for start in range(0, len(clouds), COLUMNS):
        part = clouds[start : start + COLUMNS]
        rows.append((label if start == 0 else f"{label} ({start + 1} to {start + len(part)})", part, "blue", "none"))
    rows.append((f"{label}, cut open lengthwise", clouds[:COLUMNS], "amber", "lengthwise"))
    draw_rows(rows, path, networks.cfg.exp_name)
    return path


def training_examples(networks: Networks) -> tuple[list[Cloud], list[Cloud]]:
    """The true surfaces of the first training shapes, and their decoded codes; num_output_points per cloud."""
    stored = load_codes(networks.cfg, "train")
    chosen = stored.plain_indices()[:COLUMNS]
    codes = torch.from_numpy(stored.codes[chosen]).to(networks.device)
    decoded = decode_each(networks, codes.split(1), num_shown(networks), "training examples")
    return [true_cloud(Path(stored.rows[i]["folder"]), networks) for i in chosen], list(decoded)


def true_cloud(folder: Path, networks: Networks) -> Cloud:
    return surface_points(folder, num_shown(networks), networks.cfg.seed)


def num_shown(networks: Networks) -> int:
    num_points: int = networks.cfg.num_output_points
    return min(num_points, MOST_SHOWN)
