"""Rows of a contact sheet: shapes from both sides and cut open, and what is shown for comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from dataprocessing.surface import surface_points
from frozen.codes import load_codes
from generation.cloud_files import Cloud, read_unit_cloud
from generation.decode import decode_each
from generation.mesh_files import mesh_beside
from generation.networks import Networks
from generation.torn_surfaces import TORN, CloudNumbers, torn_sentence
from runtime.errors import UserError, note
from runtime.layout import DENSE_POINT_CLOUD
from visualization.contact_sheet import MARK_COLOR, NAME_COLOR, PLAIN_COLOR, Caption, ShapeRow, Triangles
from visualization.sheet_text import can_be_drawn

FRONT, REAR = "from the front left", "from the rear right"
MOST_SHOWN = 200_000  # points of a cloud: a picture shows no more, and memory stays the same
FEWEST_EXAMPLES = 4  # training shapes above fewer new ones


def both_sides(
    label: str, shapes: Sequence[Cloud | Triangles | None], tint: str, captions: Sequence[Caption]
) -> list[ShapeRow]:
    """Clouds or meshes side by side from the front left, and once more from the rear right."""
    first = ShapeRow(f"{label} {FRONT}", shapes, tint, "front", captions)
    return [first, ShapeRow(f"The same {REAR}", shapes, tint, "rear", captions)]


def shape_rows(folder: Path, of_clouds: Mapping[str, CloudNumbers], label: str) -> list[ShapeRow]:
    """Shapes of a folder: clouds from both sides and cut open, and from both sides the meshes that are there."""
    paths = [folder / name / DENSE_POINT_CLOUD for name in of_clouds]
    clouds, meshes = [read_unit_cloud(path, MOST_SHOWN) for path in paths], [mesh_beside(path) for path in paths]
    captions = [caption(name, one) for name, one in of_clouds.items()]
    rows = both_sides(f"{label}: points", clouds, "blue", captions)
    rows.append(ShapeRow("The same, cut open lengthwise", clouds, "amber", "cut", captions))
    if any(mesh is not None for mesh in meshes):
        first, second = both_sides("Their meshes", meshes, "blue", captions)
        rows += [first, second._replace(label=f"Their meshes {REAR}")]
    return rows


def example_rows(networks: Networks, count: int) -> list[ShapeRow]:
    """The first training shapes and their decoded codes, where the training data are at hand."""
    cfg, count = networks.cfg, max(count, FEWEST_EXAMPLES)
    points = min(cfg.generation.num_output_points, MOST_SHOWN)
    if not (networks.experiment.codes / "train.json").is_file():
        return []
    try:
        stored = load_codes(cfg, "train")
        chosen, folders = stored.plain_indices()[:count], stored.folders(cfg)
        true = [surface_points(folder, points, cfg.run.seed, cfg.data) for folder in [folders[n] for n in chosen]]
    except UserError as error:
        note(f"no training shapes on the contact sheet: {error}")
        return []
    codes = torch.from_numpy(stored.codes[chosen]).to(networks.device)
    decoded = list(decode_each(networks, codes.split(1), points, "training examples"))
    captions = [caption(stored.rows[n]["name"]) for n in chosen]
    label = f"For comparison: training shapes (true surface) {FRONT}"
    return [
        ShapeRow(label, true, "grey", captions=captions),
        ShapeRow("The same, decoded from their codes", decoded, "green", captions=captions),
    ]


def caption(name: str, numbers: CloudNumbers | None = None) -> Caption:
    """The name of a shape, the log-likelihood of its code, and how much of its surface is torn: marked above `TORN`."""
    words = [(name, NAME_COLOR)]
    if numbers is not None and numbers.log_likelihood is not None:
        words.append((f"{numbers.log_likelihood:,.1f} nats", PLAIN_COLOR))
    if numbers is not None and numbers.unsettled is not None:
        share = f"{100 * numbers.unsettled:.1f} %"
        words.append((f"torn {share}", MARK_COLOR) if numbers.torn else (share, PLAIN_COLOR))
    return words


def notes(of_clouds: Mapping[str, CloudNumbers], most: int) -> list[str]:
    """What the sheet of the first `most` of these shapes says of them all, and how its captions are read."""
    found = []
    if len(of_clouds) > most:
        found.append(f"The first {most} of {len(of_clouds)} shapes are shown.")
    if sentence := torn_sentence(dict(of_clouds)):
        found.append(f"{sentence[0].upper()}{sentence[1:]}.")
    keys = ["the name of the shape's folder"]
    if any(one.log_likelihood is not None for one in of_clouds.values()):
        keys.append("the log-likelihood of its code (more is likelier)")
    if any(one.unsettled is not None for one in of_clouds.values()):
        keys.append(
            "the share of its surface that is torn (the field comes close to 0 there and does not reach it), red above"
            f" {100 * TORN:g} %"
        )
    if len(keys) > 1:
        found.append(f"Above each picture: {', '.join(keys)}.")
    if not all(map(can_be_drawn, of_clouds)):
        found.append("Characters that cannot be drawn here are written as \\u and their number.")
    return found
