"""The contact sheet of a generation run: what the data look like, what the decoder keeps, what the flow makes.

It hides nothing: the first shapes are shown, whatever they look like, from the front left, from the rear right and cut
open, and above each stands how likely it is and how much of its surface is torn.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import torch

from configs.layout import CONTACT_SHEET, DENSE_POINT_CLOUD
from dataprocessing.own_meshes import OwnMeshes, true_surface
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from dataprocessing.surface import surface_points
from frozen.codes import load_codes
from generation.captions import caption, notes
from generation.cloud_files import Cloud, read_index, read_unit_cloud
from generation.decode import decode_each
from generation.mesh_files import mesh_beside
from generation.networks import Networks
from generation.torn_surfaces import Told, told_of
from visualization.contact_sheet import ShapeRow, draw_shapes

COLUMNS = 8
FEWEST_EXAMPLES = 4  # training shapes above fewer new ones
MOST_SHAPES = 2 * COLUMNS  # of a folder, but for edits, which are all shown
FRONT, REAR = "from the front left", "from the rear right"
MOST_SHOWN = 200_000  # points of a cloud: a picture shows no more, and memory stays the same


def write_contact_sheet(networks: Networks, folder: Path, keep: bool, own: OwnMeshes | None = None) -> Path:
    """Draw the clouds and meshes of `folder` and write `folder/contact_sheet.png`; an existing one is kept if `keep`.

    The first `MOST_SHAPES` are shown from both sides and cut open lengthwise, and so are their meshes, without the cut.
    New shapes stand below training shapes and their reconstructions, if available (weights may come without their
    training data), reconstructions below their true surfaces.
    own: the meshes that the clouds are of, in their order; default: shapes of the split.
    Returns the path of the sheet.
    """
    path = folder / CONTACT_SHEET
    if keep and path.is_file():
        return path
    names, title = read_index(folder / "index.json")["shapes"], networks.cfg.exp_name
    told = {name: told_of(folder / name / DENSE_POINT_CLOUD) for name in names}
    if networks.cfg.mode == "edit":
        rows, title = edit_rows(folder, told), f"{title}: {networks.cfg.attribute}"
    else:
        rows = rows_of(networks, folder, dict(list(told.items())[:MOST_SHAPES]), own)
    draw_shapes(rows, path, title, notes(told, len(names) if networks.cfg.mode == "edit" else MOST_SHAPES))
    return path


def rows_of(networks: Networks, folder: Path, told: dict[str, Told], own: OwnMeshes | None) -> list[ShapeRow]:
    """The shapes that `told` names, in groups of one width; training shapes, or true surfaces, above them."""
    names, mode = list(told), networks.cfg.mode
    columns = columns_for(len(names))
    rows = example_rows(networks, max(columns, FEWEST_EXAMPLES)) if mode == "sample" else []
    for start in range(0, len(names), columns):
        part = names[start : start + columns]
        if mode == "reconstruct":
            true, whose = true_clouds(networks, part, own, start), "The meshes" if own else "Test shapes"
            captions = [caption(name) for name in part]
            rows.append(ShapeRow(f"{whose} (true surface) {FRONT}", true, "grey", "front", captions))
            rows.append(ShapeRow(f"The same {REAR}", true, "grey", "rear", captions))
        label = label_of(networks, own) if start == 0 or mode == "reconstruct" else f"The next {len(part)}"
        rows += shape_rows(folder, {name: told[name] for name in part}, label)
    return rows


def columns_for(num: int) -> int:
    """How many of `num` shapes stand side by side: at most `COLUMNS`, and as many in each group as in the others."""
    groups = -(-num // COLUMNS)
    return -(-num // groups)


def label_of(networks: Networks, own: OwnMeshes | None) -> str:
    """What the shapes are."""
    decoded_from = "features" if networks.cfg.code_kind == "none" else "their codes"
    whose = "Test shapes" if own is None else f"The meshes, from {networks.cfg.num_points:,} points of each"
    return {
        "sample": "New shapes, sampled from the flow",
        "reconstruct": f"{whose}, decoded from {decoded_from}",
        "interpolate": "A straight path between two test shapes in the flow's latent space",
    }[networks.cfg.mode]


def shape_rows(folder: Path, told: dict[str, Told], label: str) -> list[ShapeRow]:
    """Shapes side by side: clouds from both sides and cut open, and from both sides the meshes that are there."""
    paths = [folder / name / DENSE_POINT_CLOUD for name in told]
    clouds, meshes = [read_unit_cloud(path, MOST_SHOWN) for path in paths], [mesh_beside(path) for path in paths]
    captions = [caption(name, one) for name, one in told.items()]
    rows = [
        ShapeRow(f"{label}: points {FRONT}", clouds, "blue", "front", captions),
        ShapeRow(f"The same {REAR}", clouds, "blue", "rear", captions),
        ShapeRow("The same, cut open lengthwise", clouds, "amber", "cut", captions),
    ]
    if any(mesh is not None for mesh in meshes):
        rows.append(ShapeRow(f"Their meshes {FRONT}", meshes, "blue", "front", captions))
        rows.append(ShapeRow(f"Their meshes {REAR}", meshes, "blue", "rear", captions))
    return rows


def edit_rows(folder: Path, told: dict[str, Told]) -> list[ShapeRow]:
    """For each shape, all degrees of its edit."""
    index = read_index(folder / "index.json")
    rows: list[ShapeRow] = []
    for shape, group in groupby(zip(index["shapes"], index["facts"], strict=True), key=lambda one: one[1]["shape"]):
        found = list(group)
        columns = columns_for(len(found))
        for start in range(0, len(found), columns):
            part = found[start : start + columns]
            label = f"{shape}: {part[0][1]['attribute']} {', '.join(fact['asked'] for _, fact in part)}"
            rows += shape_rows(folder, {name: told[name] for name, _ in part}, label)
    return rows


def example_rows(networks: Networks, count: int) -> list[ShapeRow]:
    """The first training shapes and their decoded codes, where they are at hand; num_output_points per cloud."""
    if not (networks.experiment.codes / "train.json").is_file():
        return []
    stored = load_codes(networks.cfg, "train")
    chosen = stored.plain_indices()[:count]
    codes = torch.from_numpy(stored.codes[chosen]).to(networks.device)
    decoded = list(decode_each(networks, codes.split(1), num_shown(networks), "training examples"))
    true = [true_cloud(Path(stored.rows[i]["folder"]), networks) for i in chosen]
    label = f"For comparison: training shapes (true surface) {FRONT}"
    return [ShapeRow(label, true, "grey"), ShapeRow("The same, decoded from their codes", decoded, "green")]


def true_clouds(networks: Networks, names: Sequence[str], own: OwnMeshes | None, start: int) -> list[Cloud]:
    """Points of the true surfaces of reconstructed shapes; of own meshes these are those from number `start` on."""
    if own is not None:
        meshes = own.meshes[start : start + len(names)]
        return [true_surface(one, num_shown(networks), networks.cfg) for one in meshes]
    folders = {shape_name(one): one for one in split_folders(networks.cfg)["test"]}
    return [true_cloud(folders[name], networks) for name in names]


def true_cloud(folder: Path, networks: Networks) -> Cloud:
    return surface_points(folder, num_shown(networks), networks.cfg.seed)


def num_shown(networks: Networks) -> int:
    num_points: int = networks.cfg.num_output_points
    return min(num_points, MOST_SHOWN)
