"""Shape codes on disk: each shape is encoded once, so that flow training never touches a mesh or the NDF.

`codes/{train,val,test}.npy` hold the codes (S, *code_shape), float32; `codes/{...}.json` record the shape of each code,
whether it is mirrored, which draw of the input points it encodes, and the checkpoint of the encoder. Validation and
test shapes have one code each; training shapes also have mirrored codes and further draws. `codes/extra.*` hold codes
of shapes beyond the split's, if there are any, for the flow alone (`training/extra_codes.py`).
"""

import math
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm import tqdm

from configs.devices import autocast
from configs.errors import UserError
from configs.files import atomic_path, write_json
from configs.layout import Experiment
from configs.ranks import is_first
from configs.reading import DamagedFile, damaged, read_json, read_npy, reading, require_file
from dataprocessing.shapes import shape_name
from dataprocessing.surface import surface_points
from models.ndf import NDF, Code
from training.checkpoints import fingerprint
from training.distributed import from_first, mapped, wait_for_all
from training.network_input import network_input
from training.shape_samples import read_input_cloud

SPLITS = ("train", "val", "test")
EXTRA = "extra"
REMADE = "delete this folder, and make the codes again with train_rnvp.py"


@dataclass
class StoredCodes:
    """codes: (S, *code_shape) float32, memory-mapped; rows: what each code encodes."""

    codes: np.ndarray
    rows: list[dict[str, Any]]  # name, folder (not of extra shapes, which leave no files), mirrored, draw
    path: Path  # of the codes, for errors

    def tensor(self) -> torch.Tensor:
        """All codes in memory. Raises DamagedFile if one is not finite."""
        return torch.from_numpy(self._finite(np.array(self.codes)))

    def plain_indices(self) -> list[int]:
        """Indices of one code per shape: not mirrored, from the stored input points. Reads no codes."""
        return [i for i, row in enumerate(self.rows) if not row["mirrored"] and row["draw"] == 0]

    def one_per_shape(self) -> "StoredCodes":
        """Only the plain codes, in memory. Raises DamagedFile if one is not finite."""
        kept = self.plain_indices()
        return StoredCodes(self._finite(self.codes[kept]), [self.rows[i] for i in kept], self.path)

    def _finite(self, codes: np.ndarray) -> np.ndarray:
        if not np.isfinite(codes).all():
            raise damaged(self.path, "codes that are not finite", REMADE)
        return codes


def load_codes(cfg: Namespace, split: str) -> StoredCodes:
    """The stored codes of a split. Raises UserError if there are none."""
    folder = Experiment(cfg).codes
    if not (folder / f"{split}.json").is_file():
        raise UserError(
            f"no shape codes in {folder}; make them with: python train_rnvp.py --config {cfg.config};"
            " reconstructions need none: generate.py --mode reconstruct, evaluate.py --tasks reconstruction"
        )
    with reading(folder / f"{split}.npy", REMADE):
        index, codes = read_index(folder, split), read_npy(folder / f"{split}.npy", mapped=True)
        expected = len(index["rows"]), *index["code_shape"]
        if codes.dtype != np.float32 or codes.shape != expected:
            raise ValueError(f"codes {codes.dtype} {codes.shape}, float32 {expected} expected")
        return StoredCodes(codes, index["rows"], folder / f"{split}.npy")


def has_extra(cfg: Namespace) -> bool:
    """Whether step 4 has encoded shapes beyond those of the split."""
    codes: Path = Experiment(cfg).codes
    return (codes / f"{EXTRA}.json").is_file()


def load_flow_codes(cfg: Namespace) -> StoredCodes:
    """All codes that the flow is trained on: those of the training split, then those of extra shapes, if any."""
    train = load_codes(cfg, "train")
    if not has_extra(cfg):
        return train
    extra = load_codes(cfg, EXTRA)
    return StoredCodes(np.concatenate([train.codes, extra.codes]), train.rows + extra.rows, extra.path)


def flow_codes_sha256(cfg: Namespace) -> str:
    """What `load_flow_codes` gives, as one text that changes with it."""
    splits = ("train", EXTRA) if has_extra(cfg) else ("train",)
    return "+".join(fingerprint(Experiment(cfg).codes / f"{split}.json") for split in splits)


def read_index(folder: Path, split: str) -> dict[str, Any]:
    """Of the codes of a split: what they are made of, and a row for each. Raises DamagedFile."""
    path = folder / f"{split}.json"
    with reading(path, REMADE):
        index = read_json(path)
        kinds = {"name": str, "mirrored": bool, "draw": int}
        for row in index["rows"]:
            if wrong := [key for key, kind in kinds.items() if not isinstance(row[key], kind)]:
                raise ValueError(f"a row whose {wrong[0]} is {row[wrong[0]]!r}")
        if not isinstance(index["sha256"], str) or not all(isinstance(size, int) for size in index["code_shape"]):
            raise ValueError("sha256 or code_shape of another kind")
        return index


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


@torch.no_grad()
def encode_clouds(model: NDF, clouds: np.ndarray, cfg: Namespace, device: torch.device) -> Code:
    """The codes (B, *code_shape) of input clouds (B, n, 3), mesh units; for a plain NDF its pyramid."""
    x = network_input(torch.from_numpy(clouds).to(device), cfg)
    with autocast(device, cfg.precision):
        return model.encode(x)


def input_cloud(row: dict[str, Any], cfg: Namespace) -> np.ndarray:
    """The input points of a row, (n, 3) mesh units: the stored ones for draw 0, else a new draw from the surface."""
    folder = Path(row["folder"])
    if row["draw"] == 0:
        cloud = read_input_cloud(folder, cfg)
    else:
        cloud = surface_points(folder, cfg.num_points, seed=cfg.seed + row["draw"])
    return turned(cloud, row["mirrored"])
