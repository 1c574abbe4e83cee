"""Shape codes on disk: each shape is encoded once, so that flow training never touches a mesh or the NDF.

`codes/{train,val,test}.npy` hold the codes (S, *code_shape), float32; `codes/{...}.json` record the shape of each code,
whether it is mirrored, which draw of the input points it encodes, and what all are made of. Validation and test shapes
have one code each; training shapes also have mirrored codes and further draws. `codes/extra.*` hold codes of shapes
beyond the split's, if there are any, for the flow alone (`training/extra_codes.py`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from configs.options import Config
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from runtime.artefacts import digest, file_sha256
from runtime.errors import UserError
from runtime.reading import damaged, read_json, read_npy, reading

SPLITS = ("train", "val", "test")
EXTRA = "extra"
REMADE = "delete this folder, and make the codes again with train_rnvp.py"


@dataclass
class StoredCodes:
    """codes: (S, *code_shape) float32, memory-mapped; rows: what each code encodes."""

    codes: np.ndarray
    rows: list[dict[str, Any]]  # name, mirrored, draw
    path: Path  # of the codes, for errors

    def tensor(self) -> torch.Tensor:
        """All codes in memory. Raises DamagedFile if one is not finite."""
        return torch.from_numpy(self._finite(np.array(self.codes)))

    def folders(self, cfg: Config) -> list[Path]:
        """The folder of the shape of each row; not of extra shapes. Raises UserError if the split has lost one."""
        places = {shape_name(folder): folder for folder in split_folders(cfg)[self.path.stem]}
        if lost := {row["name"] for row in self.rows} - places.keys():
            raise UserError(
                f"{self.path} has codes of {len(lost)} shapes that the split {cfg.data.split_file} does not have in"
                f" that part, such as {min(lost)}; use the split that they were made with, or run train_rnvp.py again"
            )
        return [places[row["name"]] for row in self.rows]

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


def load_codes(cfg: Config, split: str) -> StoredCodes:
    """The stored codes of a split. Raises UserError if there are none."""
    folder = cfg.experiment.codes
    if not (folder / f"{split}.json").is_file():
        raise UserError(
            f"no shape codes in {folder}; make them with: python train_rnvp.py --config {cfg.run.config};"
            " reconstructions need none: generate.py --mode reconstruct, evaluate.py --tasks reconstruction"
        )
    with reading(folder / f"{split}.npy", REMADE):
        index, codes = read_index(folder, split), read_npy(folder / f"{split}.npy", mapped=True)
        expected = len(index["rows"]), *index["code_shape"]
        if codes.dtype != np.float32 or codes.shape != expected:
            raise ValueError(f"codes {codes.dtype} {codes.shape}, float32 {expected} expected")
        return StoredCodes(codes, index["rows"], folder / f"{split}.npy")


def has_extra(cfg: Config) -> bool:
    """Whether step 4 has encoded shapes beyond those of the split."""
    codes: Path = cfg.experiment.codes
    return (codes / f"{EXTRA}.json").is_file()


def load_flow_codes(cfg: Config) -> StoredCodes:
    """All codes that the flow is trained on: those of the training split, then those of extra shapes, if any."""
    train = load_codes(cfg, "train")
    if not has_extra(cfg):
        return train
    extra = load_codes(cfg, EXTRA)
    return StoredCodes(np.concatenate([train.codes, extra.codes]), train.rows + extra.rows, extra.path)


def flow_codes_sha256(cfg: Config) -> str:
    """What `load_flow_codes` gives, as one text that changes with it, wherever the files are."""
    splits = ("train", EXTRA) if has_extra(cfg) else ("train",)
    indexes = [read_index(cfg.experiment.codes, split) for split in splits]
    return "+".join(digest([index["sha256"], index["made_of"], index["rows"]]) for index in indexes)


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
        made_of = index.setdefault("made_of", {})  # of an earlier version
        if not isinstance(made_of, dict) or made_of and not isinstance(made_of["shapes"], dict):
            raise ValueError("made_of of another kind")
        return index


def codes_digest(cfg: Config, split: str) -> str | None:
    """What changes with the codes of a split; None if there are none."""
    path: Path = cfg.experiment.codes / f"{split}.json"
    return file_sha256(path) if path.is_file() else None
