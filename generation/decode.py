"""Decoding a code to a cloud, and writing the clouds of many shapes to files."""

import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from configs.devices import autocast
from configs.errors import UserError
from configs.files import write_json
from configs.layout import DENSE_POINT_CLOUD
from configs.reading import DamagedFile
from configs.seeds import POINT_STREAMS, UNSETTLED_STREAMS, random_stream
from generation.cloud_files import IN_OWN_FRAME, OWN_FROM_UNIT, Cloud, read_index, remove_views, write_cloud_parts
from generation.latents import likelihoods
from generation.mesh_files import MESHES, remove_meshes
from generation.networks import Networks
from generation.plausible_codes import BROUGHT_BACK, PlausibleCodes
from generation.projection import NetworkField, cloud_parts
from generation.settledness import unsettled_share
from generation.shapes import Shapes
from generation.torn_surfaces import UNSETTLED
from models.ndf import Code

UNFINISHED = "index_unfinished.json"  # what a run is making; it stays where the run is stopped, which then goes on
BYTES_A_POINT_ON_DISK = 24  # float32 in the .npz and in the .ply


def decode(networks: Networks, code: Code, num_points: int, number: int) -> Cloud:
    """The cloud (num_points, 3) float32, mesh units, of one code (batch of 1), drawn from random stream `number`."""
    return np.concatenate(list(decode_parts(networks, code, num_points, number)))


def decode_parts(networks: Networks, code: Code, num_points: int, number: int) -> Iterator[Cloud]:
    """`decode` in parts (N, 3), as they are made: a cloud of any size is never in memory as a whole."""
    cfg, field = networks.cfg, field_of(networks, code)
    stream = random_stream(cfg.seed, POINT_STREAMS + number)
    chunk = cfg.num_sample_points_generation
    for part in cloud_parts(field, num_points, stream, cfg.num_steps, cfg.filter_val, chunk):
        yield part.cpu().numpy()


def field_of(networks: Networks, code: Code) -> NetworkField:
    """The distance field that one code (batch of 1) decodes to."""
    with autocast(networks.device, networks.cfg.precision), torch.no_grad():
        return NetworkField(networks.ndf, networks.ndf.features(code))


def decode_each(
    networks: Networks, codes: Sequence[Code], num_points: int, description: str | None = None, first: int = 0
) -> Iterator[Cloud]:
    """Decode codes one by one (batches of one), with a progress bar if there is a description.

    first: number of the random stream from which the points of the first cloud are drawn.
    """
    hidden = True if description is None else None
    for n, code in enumerate(tqdm(codes, desc=description, unit="shape", disable=hidden)):
        yield decode(networks, code, num_points, first + n)


def write_shapes(networks: Networks, shapes: Shapes, folder: Path, num_points: int, description: str) -> bool:
    """Decode shapes into `folder/<name>/dense_point_cloud.{npz,ply}`, unless up to date. True if they were.

    Each file holds point_cloud (num_points, 3) float32 mesh units, seed, `arrays_of` its code, and how much of its
    surface is torn (`unsettled_share`); `index.json` records what made them, and which codes were brought back
    (`PlausibleCodes`). A chunk (`chunk_of`) makes its own clouds, and no index: that is left to the run without chunks,
    which takes the clouds that are there.
    """
    index, index_path = index_of(networks, shapes, num_points), folder / "index.json"
    files = [folder / name / DENSE_POINT_CLOUD for name in shapes.names]
    if is_current(index_path, index) and all(file.is_file() for file in files):
        return True
    chunk = chunk_of(len(files), networks.cfg)
    check_room(num_points, len(chunk), folder)
    index_path.unlink(missing_ok=True)
    remove_meshes(folder, shapes.names)  # those of other clouds
    remove_views(folder)
    finished = begin(folder / UNFINISHED, index, files)
    for n in tqdm(chunk, desc=description, unit="shape", disable=None):
        if files[n] in finished:
            remember(shapes, n, files[n])
            continue
        code = shapes.codes[n]
        placed, frame = in_frame(shapes, n)
        parts = map(placed, decode_parts(networks, code, num_points, n))
        torn = unsettled_share(field_of(networks, code), random_stream(networks.cfg.seed, UNSETTLED_STREAMS + n))
        facts = {UNSETTLED: torn, **facts_of(shapes, n)}
        arrays = {"seed": networks.cfg.seed, **frame, **arrays_of(networks, code), **facts}
        write_cloud_parts(folder / shapes.names[n], parts, num_points, **arrays)
    if networks.cfg.num_chunks > 1:
        return False
    found = {BROUGHT_BACK: shapes.codes.brought_back} if isinstance(shapes.codes, PlausibleCodes) else {}
    write_json(index_path, index | found)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return False


def chunk_of(num: int, cfg: Namespace) -> range:
    """The numbers of the shapes, of `num`, that chunk `current_chunk` of `num_chunks` makes; all, without chunks.

    They are adjacent, since codes of reconstructions come in batches of adjacent shapes.
    """
    return range(num * cfg.current_chunk // cfg.num_chunks, num * (cfg.current_chunk + 1) // cfg.num_chunks)


def remember(shapes: Shapes, n: int, cloud: Path) -> None:
    if isinstance(shapes.codes, PlausibleCodes):
        shapes.codes.remember(n, cloud)


def facts_of(shapes: Shapes, n: int) -> dict[str, float]:
    return shapes.codes.facts_of(n) if isinstance(shapes.codes, PlausibleCodes) else {}


def begin(unfinished: Path, index: dict[str, Any], files: Sequence[Path]) -> set[Path]:
    """Which of the files a stopped run, or other chunks, have finished that made the same, by the index `unfinished`.

    Otherwise files that are there are deleted, being of other runs, and the index is written. Of chunks that begin at
    the same moment one may delete the first file of another: the run without chunks then makes it again.
    """
    if is_current(unfinished, index):
        return {file for file in files if file.is_file()}
    for file in files:
        file.unlink(missing_ok=True)
    write_json(unfinished, index)
    return set()


def in_frame(shapes: Shapes, n: int) -> tuple[Callable[[Cloud], Cloud], dict[str, Any]]:
    """How points of shape n are placed in its file, and what the file stores of its frame; nothing without one.

    The points (N, 3) come in the unit box, and go into the frame of its user's file if `keep_frame`.
    """
    if not shapes.frames:
        return lambda points: points, {}
    frame, keep = shapes.frames[n], bool(shapes.about["keep_frame"])

    def placed(points: Cloud) -> Cloud:
        return frame.to_own(points).astype(np.float32) if keep else points

    return placed, {OWN_FROM_UNIT: frame.own_from_unit(), IN_OWN_FRAME: keep}


def is_current(path: Path, index: dict[str, Any]) -> bool:
    """Whether the index file at `path` says the same as `index`, beside what was found on the way, and of meshes."""
    if not path.is_file():
        return False
    try:
        written = read_index(path)
    except DamagedFile:
        return False
    return bool({key: value for key, value in written.items() if key not in (BROUGHT_BACK, MESHES)} == index)


def check_room(num_points: int, num_shapes: int, folder: Path) -> None:
    """Raise UserError if the clouds do not fit onto the disk of `folder`. Memory does not depend on their size."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    wanted, present = BYTES_A_POINT_ON_DISK * num_points * num_shapes, shutil.disk_usage(there).free
    if wanted > present:
        raise UserError(
            f"{num_shapes} clouds of {num_points} points need {wanted / 1e9:,.1f} GB of disk, free are"
            f" {present / 1e9:,.1f} GB; lower --num_output_points or --num_shapes"
        )


def arrays_of(networks: Networks, code: Code) -> dict[str, Any]:
    """What the file of a cloud stores about its code (a batch of one).

    The code itself and, if there is a flow, its log_likelihood (nats) and nll_nats_per_dim (whitened). Nothing for a
    plain NDF, whose code is a whole pyramid.
    """
    if not isinstance(code, Tensor):
        return {}
    arrays: dict[str, Any] = {"code": code[0].cpu().numpy()}
    if networks.has_flow:
        log_likelihood, nats_per_dim = likelihoods(networks, code)
        arrays |= {"log_likelihood": log_likelihood.item(), "nll_nats_per_dim": nats_per_dim.item()}
    return arrays


def index_of(networks: Networks, shapes: Shapes, num_points: int) -> dict[str, Any]:
    """Everything that determines the files of `write_shapes`: the same index, the same files."""
    kind = networks.ndf.code_kind
    plausible = {"plausible": shapes.codes.options()} if isinstance(shapes.codes, PlausibleCodes) else {}
    return {
        **networks.sources,
        "code_kind": kind,
        "code_shape": None if kind == "none" else list(networks.ndf.code_shape),
        "num_points": num_points,
        **{name: getattr(networks.cfg, name) for name in ("seed", "num_steps", "filter_val")},
        "shapes": shapes.names,
        "facts": list(shapes.facts),
        **shapes.about,
        **plausible,
    }
