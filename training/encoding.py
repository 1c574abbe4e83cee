"""Encoding shapes, each once, so that flow training never touches a mesh or the NDF (files: `frozen/codes.py`)."""

import math
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm import tqdm

from configs.files import atomic_path, write_json
from configs.layout import Experiment
from configs.ranks import is_first
from configs.reading import DamagedFile, require_file
from dataprocessing.shapes import shape_name
from dataprocessing.stored_points import read_input_cloud
from dataprocessing.surface import surface_points
from frozen.checkpoint_files import fingerprint
from frozen.codes import SPLITS, read_index
from frozen.loading import encode_clouds
from models.ndf import NDF
from training.distributed import from_first, mapped, wait_for_all


def are_written(folder: Path, split: str, index: dict[str, Any]) -> bool:
    """Whether the codes of a split are there, and made as `index` says; what is damaged is not."""
    try:
        size = require_file(folder / f"{split}.npy")
        numbers = len(index.get("rows", ())) * math.prod(index["code_shape"])
        return index.items() <= read_index(folder, split).items() and size >= 4 * numbers
    except (DamagedFile, OSError):
        return False


def encode_splits(
    model: NDF, checkpoint: Path, folders: dict[str, list[Path]], cfg: Namespace, device: torch.device
) -> None:
    """Write the codes of all splits, except where those on disk match the checkpoint, shapes and options.

    Several processes encode a batch each, and the first writes them all.
    """
    destination = Experiment(cfg).codes
    source = {"ndf_checkpoint": str(checkpoint), "sha256": fingerprint(checkpoint)}
    for split in SPLITS:
        rows = rows_of(split, folders[split], cfg)
        index = {**source, "code_kind": model.code_kind, "code_shape": list(model.code_shape), "rows": rows}
        if from_first(partial(are_written, destination, split, index)):
            continue
        batches = encode_rows(model, rows, cfg, device, split)
        if is_first():
            write_codes(destination, split, batches, index)
        else:
            deque(batches, maxlen=0)
    wait_for_all()


def write_codes(folder: Path, split: str, batches: Iterable[np.ndarray], index: dict[str, Any]) -> None:
    """Write the codes of batches (B, *code_shape), one for each of index["rows"], and their index."""
    (folder / f"{split}.json").unlink(missing_ok=True)  # never leave an index beside other codes
    with atomic_path(folder / f"{split}.npy", durable=True) as spare, open(spare, "wb") as file:
        # Written sequentially, not through a memory map, which kills the process when the disk is full.
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(index["rows"]), *index["code_shape"])}
        np.lib.format.write_array_header_1_0(file, header)
        for codes in batches:
            file.write(codes.astype("<f4").tobytes())
    write_json(folder / f"{split}.json", index, durable=True)


def rows_of(split: str, folders: list[Path], cfg: Namespace) -> list[dict[str, Any]]:
    """What to encode: every shape; for training also its mirror image and further draws of its input points."""
    draws = range(cfg.code_draws if split == "train" else 1)
    return [
        {"name": shape_name(folder), "folder": str(folder), "mirrored": mirrored, "draw": draw}
        for draw in draws
        for mirrored in (mirrors(cfg) if split == "train" else (False,))
        for folder in folders
    ]


def mirrors(cfg: Namespace) -> tuple[bool, ...]:
    """Which codes a shape that the flow is trained on has: its own, and that of its mirror image."""
    return (False, True) if cfg.code_mirror else (False,)


def turned(clouds: np.ndarray, mirrored: bool) -> np.ndarray:
    """Clouds (..., 3) float32, mirrored in x or as they are."""
    return clouds * np.array([-1, 1, 1] if mirrored else [1, 1, 1], dtype=np.float32)


def encode_batches(
    model: NDF, clouds: Iterable[np.ndarray], count: int, cfg: Namespace, device: torch.device, name: str
) -> Iterator[np.ndarray]:
    """The codes of `count` clouds (n, 3), in batches (B, *code_shape) float32; clouds are consumed lazily."""
    clouds = iter(clouds)
    with tqdm(total=count, desc=f"encoding {name}", unit="shape", disable=None) as bar:
        while batch := list(islice(clouds, cfg.batch_size)):
            yield encode_batch(model, batch, cfg, device)
            bar.update(len(batch))


def encode_rows(
    model: NDF, rows: list[dict[str, Any]], cfg: Namespace, device: torch.device, name: str
) -> Iterator[np.ndarray]:
    """The codes of rows, in batches (B, *code_shape) float32, on which several processes work together."""
    batches = [rows[start : start + cfg.batch_size] for start in range(0, len(rows), cfg.batch_size)]
    with tqdm(total=len(rows), desc=f"encoding {name}", unit="shape", disable=None) as bar:
        for codes in mapped(
            lambda batch: encode_batch(model, [input_cloud(row, cfg) for row in batch], cfg, device), batches
        ):
            yield codes
            bar.update(len(codes))


def encode_batch(model: NDF, clouds: list[np.ndarray], cfg: Namespace, device: torch.device) -> np.ndarray:
    """The codes (B, *code_shape) float32 of clouds (n, 3)."""
    codes = cast(torch.Tensor, encode_clouds(model, np.stack(clouds), cfg, device))  # pyramids are never stored
    return codes.float().cpu().numpy()


def input_cloud(row: dict[str, Any], cfg: Namespace) -> np.ndarray:
    """The input points of a row, (n, 3) mesh units: the stored ones for draw 0, else a new draw from the surface."""
    folder = Path(row["folder"])
    if row["draw"] == 0:
        cloud = read_input_cloud(folder, cfg)
    else:
        cloud = surface_points(folder, cfg.num_points, seed=cfg.seed + row["draw"])
    return turned(cloud, row["mirrored"])
