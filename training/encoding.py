"""Encoding shapes, each once, so that flow training never touches a mesh or the NDF (files: `frozen/codes.py`)."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tqdm import tqdm

from configs.decided import options_of
from configs.options import Codes, Config
from dataprocessing.ndf_files import scaled_mesh_file
from dataprocessing.shapes import shape_name
from dataprocessing.stored_points import read_input_cloud, shape_digests
from dataprocessing.surface import surface_points
from frozen.codes import SPLITS, read_index
from frozen.loading import encode_clouds
from models.distance_network import DistanceNetwork
from runtime.artefacts import NOT_THERE, Facts, digest, file_sha256, why
from runtime.errors import UserError, note
from runtime.files import atomic_path, write_json
from runtime.ranks import is_first
from runtime.reading import DamagedFile, reading, require_file
from training.distributed import first_only, from_first, mapped, wait_for_all
from training.same_training import shape_changes, why_common


def facts_of(split: str, folders: list[Path], cfg: Config, ndf_sha256: str) -> Facts:
    """What the codes of a split are made of. Raises UserError if a shape has no input points, or no scaled mesh."""
    further = split == "train" and cfg.codes.code_draws > 1  # draws, from the scaled meshes
    left_out: tuple[str, ...] = () if further else ("seed", "code_stretch")
    if split != "train":
        left_out = ("seed", "code_stretch", "code_draws", "code_mirror")
    facts = {"ndf_sha256": ndf_sha256, "options": options_of("codes", cfg, left_out)}
    if further:
        facts["scaled_meshes"] = digest({shape_name(folder): mesh_sha256(folder, cfg.codes) for folder in folders})
    return facts | {"shapes": shape_digests(folders, cfg)}


def mesh_sha256(folder: Path, codes: Codes) -> str:
    """SHA-256 of the scaled mesh that further input points are drawn from. Raises UserError if there is none."""
    path = scaled_mesh_file(folder)
    if path is None:
        raise UserError(
            f"{folder} has no scaled mesh, of which code_draws {codes.code_draws} draws further input points; give"
            " --code_draws 1, or make it with: python dataprocessing/preprocess.py --config ..."
        )
    return file_sha256(path)


def why_again(folder: Path, split: str, made_of: Facts) -> str:
    """Why the codes of a split have to be made, in words; empty if those that are there are made of these facts."""
    if not (folder / f"{split}.json").is_file():
        return NOT_THERE
    try:
        with reading(folder / f"{split}.npy"):
            index, size = read_index(folder, split), require_file(folder / f"{split}.npy")
        if size < 4 * len(index["rows"]) * math.prod(index["code_shape"]):
            return "they are cut off"
    except DamagedFile:
        return "they are damaged"
    made = dict(index["made_of"])
    if not made:
        return "they do not say what they are made of"
    shapes = shape_changes("shapes", made.pop("shapes"), made_of["shapes"])
    others = {name: fact for name, fact in made_of.items() if name != "shapes"}
    facts = why_common(made, others) or why(made, others)  # first of those that both have
    return ", ".join(filter(None, (facts, shapes)))


note_by_first = first_only(note)


def note_made_again(split: str, reason: str) -> None:
    if reason != NOT_THERE:
        note_by_first(f"codes of {split} made again: {reason}")


def encode_splits(
    model: DistanceNetwork,
    checkpoint: Path,
    folders: dict[str, list[Path]],
    made_of: dict[str, Facts],
    cfg: Config,
    device: torch.device,
) -> None:
    """Write the codes of all splits, except those that are made of these facts, split -> facts, already.

    Several processes encode a batch each, and the first writes them all.
    """
    destination = cfg.experiment.codes
    for split in SPLITS:
        facts = made_of[split]
        reason: str = from_first(partial(why_again, destination, split, facts))
        if not reason:
            continue
        note_made_again(split, reason)
        jobs = jobs_of(split, folders[split], cfg.codes)
        batches = encode_rows(model, jobs, cfg, device, split)
        if is_first():
            rows = [{name: value for name, value in job.items() if name != "folder"} for job in jobs]
            write_codes(destination, split, batches, index_of(model, checkpoint, facts) | {"rows": rows})
        else:
            deque(batches, maxlen=0)
    wait_for_all()


def index_of(model: DistanceNetwork, checkpoint: Path, made_of: Facts) -> dict[str, Any]:
    """What `codes/*.json` says of all codes of a file."""
    network = {"ndf_checkpoint": str(checkpoint), "sha256": made_of["ndf_sha256"], "code_kind": model.code_kind}
    return {**network, "code_shape": list(model.code_shape), "made_of": made_of}


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


def jobs_of(split: str, folders: list[Path], codes: Codes) -> list[dict[str, Any]]:
    """What to encode: every shape; for training also its mirror image and further draws of its input points."""
    draws = range(codes.code_draws if split == "train" else 1)
    return [
        {"name": shape_name(folder), "folder": folder, "mirrored": mirrored, "draw": draw}
        for draw in draws
        for mirrored in (mirrors(codes) if split == "train" else (False,))
        for folder in folders
    ]


def mirrors(codes: Codes) -> tuple[bool, ...]:
    """Which codes a shape that the flow is trained on has: its own, and that of its mirror image."""
    return (False, True) if codes.code_mirror else (False,)


def turned(clouds: np.ndarray, mirrored: bool) -> np.ndarray:
    """Clouds (..., 3) float32, mirrored in x or as they are."""
    return clouds * np.array([-1, 1, 1] if mirrored else [1, 1, 1], dtype=np.float32)


def encode_batches(
    model: DistanceNetwork, clouds: Iterable[np.ndarray], count: int, cfg: Config, device: torch.device, name: str
) -> Iterator[np.ndarray]:
    """The codes of `count` clouds (n, 3), in batches (B, *code_shape) float32; clouds are consumed lazily."""
    remaining = iter(clouds)
    batches = iter(lambda: list(islice(remaining, cfg.training.batch_size)), [])
    return with_bar((encode_batch(model, np.stack(batch), cfg, device) for batch in batches), count, name)


def encode_rows(
    model: DistanceNetwork, jobs: list[dict[str, Any]], cfg: Config, device: torch.device, name: str
) -> Iterator[np.ndarray]:
    """The codes of `jobs_of`, in batches (B, *code_shape) float32, on which several processes work together."""

    def encode(batch: list[dict[str, Any]]) -> np.ndarray:
        return encode_batch(model, np.stack([input_cloud(job, cfg) for job in batch]), cfg, device)

    batches = [jobs[start : start + cfg.training.batch_size] for start in range(0, len(jobs), cfg.training.batch_size)]
    return with_bar(mapped(encode, batches), len(jobs), name)


def with_bar(batches: Iterable[np.ndarray], count: int, name: str) -> Iterator[np.ndarray]:
    """The same batches of codes, with a progress bar of `count` shapes."""
    with tqdm(total=count, desc=f"encoding {name}", unit="shape", disable=None) as bar:
        for codes in batches:
            yield codes
            bar.update(len(codes))


def encode_batch(model: DistanceNetwork, clouds: np.ndarray, cfg: Config, device: torch.device) -> np.ndarray:
    """The codes (B, *code_shape) float32 of clouds (B, n, 3)."""
    codes = cast(torch.Tensor, encode_clouds(model, clouds, cfg, device))  # pyramids are never stored
    return codes.float().cpu().numpy()


def input_cloud(job: dict[str, Any], cfg: Config) -> np.ndarray:
    """The input points of a job, (n, 3) mesh units: the stored ones for draw 0, else a new draw from the surface, or
    from that of the stretched shape."""
    if job["draw"] == 0:
        cloud = read_input_cloud(job["folder"], cfg)
    else:
        cloud = surface_points(
            job["folder"], cfg.grid.num_points, cfg.run.seed + job["draw"], cfg.data, cfg.codes.code_stretch
        )
    return turned(cloud, job["mirrored"])
