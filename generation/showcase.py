"""The contact sheet of a generation run: what the data look like, what the decoder keeps, what the flow makes."""

from itertools import groupby
from pathlib import Path

import torch

from configs.layout import DENSE_POINT_CLOUD
from dataprocessing.own_meshes import OwnMeshes, true_surface
from dataprocessing.shapes import shape_name
from dataprocessing.surface import surface_points
from generation.cloud_files import Cloud, read_index, read_unit_cloud
from generation.decode import decode_each
from generation.networks import Networks
from training.shape_samples import split_folders
from training.stored_codes import load_codes
from visualization.contact_sheet import Row, draw_rows

COLUMNS = 8
MOST_SHOWN = 200_000  # points of a cloud: a picture shows no more, and memory stays the same


def write_contact_sheet(networks: Networks, folder: Path, keep: bool, own: OwnMeshes | None = None) -> Path:
    """Draw the clouds of `folder` and write `folder/contact_sheet.png`; an existing one is kept if `keep`.

    New shapes are shown below training shapes and their reconstructions, if available (weights may come without their
    training data), and again cut open lengthwise. Reconstructions are shown below their true surfaces.
    own: the meshes that the clouds are of, in their order; default: shapes of the split.
    Returns the path of the sheet.
    """
    path = folder / "contact_sheet.png"
    if keep and path.is_file():
        return path
    if networks.cfg.mode == "edit":
        draw_rows(edit_rows(folder), path, f"{networks.cfg.exp_name}: {networks.cfg.attribute}")
        return path
    names = read_index(folder / "index.json")["shapes"][: 2 * COLUMNS]
    clouds = [read_unit_cloud(folder / name / DENSE_POINT_CLOUD, MOST_SHOWN) for name in names]
    mode = networks.cfg.mode
    rows: list[Row] = []
    if mode == "sample" and (networks.experiment.codes / "train.json").is_file():
        true, decoded = training_examples(networks)
        rows += [("Training shapes (true surface)", true, "grey", "none")]
        rows += [("The same, decoded from their codes", decoded, "green", "none")]
    elif own is not None:
        true = [true_surface(one, networks.cfg.num_output_points, networks.cfg) for one in own.meshes[:COLUMNS]]
        rows += [("The meshes (true surface)", true, "grey", "none")]
    elif mode == "reconstruct":
        folders = {shape_name(one): one for one in split_folders(networks.cfg)["test"]}
        true = [true_cloud(folders[name], networks) for name in names[:COLUMNS]]
        rows += [("Test shapes (true surface)", true, "grey", "none")]
    decoded_from = "features" if networks.cfg.code_kind == "none" else "their codes"
    whose = "Test shapes" if own is None else f"The meshes, from {networks.cfg.num_points:,} points of each"
    label = {
        "sample": "Novel shapes, sampled from the flow",
        "reconstruct": f"{whose}, decoded from {decoded_from}",
        "interpolate": "A straight path between two test shapes in the flow's latent space",
    }[mode]
    for start in range(0, len(clouds), COLUMNS):
        part = clouds[start : start + COLUMNS]
        rows.append((label if start == 0 else f"{label} ({start + 1} to {start + len(part)})", part, "blue", "none"))
    rows.append((f"{label}, cut open lengthwise", clouds[:COLUMNS], "amber", "lengthwise"))
    draw_rows(rows, path, networks.cfg.exp_name)
    return path


def edit_rows(folder: Path) -> list[Row]:
    """For each shape, all degrees of its edit, whole and cut open."""
    index = read_index(folder / "index.json")
    rows: list[Row] = []
    for shape, group in groupby(zip(index["shapes"], index["facts"], strict=True), key=lambda one: one[1]["shape"]):
        found = list(group)
        for start in range(0, len(found), COLUMNS):
            part = found[start : start + COLUMNS]
            clouds = [read_unit_cloud(folder / name / DENSE_POINT_CLOUD, MOST_SHOWN) for name, _ in part]
            label = f"{shape}: {part[0][1]['attribute']} {', '.join(fact['asked'] for _, fact in part)}"
            rows += [(label, clouds, "blue", "none"), ("", clouds, "amber", "lengthwise")]
    return rows


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
