"""Small things that tests of several modules share."""

import os
from pathlib import Path

import numpy as np

from configs.config_loader import get_config
from configs.options import Config
from runtime.layout import ROOT

STEPS = [  # of a cluster run, in their order
    "dataprocessing/preprocess.py",
    "dataprocessing/create_split.py",
    "train_ndf.py",
    "train_rnvp.py",
    "generate.py",
    "evaluate.py",
]
REAL_CARS = Path(os.environ.get("REAL_CARS_DIR", ROOT.parent / "shared" / "real_cars"))
REAL_FILES = Path(os.environ.get("REAL_FILES_DIR", ROOT.parent / "shared" / "real_files"))  # of other formats


def write_ply(path: Path | str, points: np.ndarray, **properties: np.ndarray) -> None:
    """Write points (N, 3), with named numbers (N,) for each, as binary little-endian float32 PLY."""
    columns = {**dict(zip("xyz", points.T, strict=True)), **properties}
    vertices = np.rec.fromarrays([column.astype("<f4") for column in columns.values()], names=",".join(columns))
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    lines += [*(f"property float {name}" for name in columns), "end_header\n"]
    Path(path).write_bytes("\n".join(lines).encode() + vertices.tobytes())


def read_occupancy(path: Path | str) -> np.ndarray:
    """The grid of a voxelized point cloud file, this project's or NDF's. Returns (res, res, res) bool, [x, y, z]."""
    with np.load(path) as file:
        res = int(file["res"])
        return np.unpackbits(file["compressed_occupancies"], count=res**3).view(bool).reshape(res, res, res)


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a text OBJ, making its folder; vertices with all digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(vertices, dtype=float).tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (np.asarray(faces) + 1).tolist()]
    path.write_text("\n".join(lines) + "\n")


def open_box(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A box of random size without lid, a loose sheet inside like a seat, a face doubled and one degenerate."""
    size = rng.uniform(0.5, 2, 3)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * size
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [0, 2, 6, 4], [1, 5, 7, 3]]
    sides = [half for a, b, c, d in quads for half in ([a, b, c], [a, c, d])]
    sheet = rng.uniform(0.2, 0.8, (4, 3)) * size
    faces = [*sides, [8, 9, 10], [8, 10, 11], sides[0], [4, 4, 6]]
    return np.concatenate([corners, sheet]), np.array(faces)


def write_config(folder: Path, **options: object) -> Path:
    """A config file in `folder` with small numbers of samples; `options` win."""
    settings = {
        "exp_name": "test",
        "exp_root": folder / "experiments",
        "data_dir": folder / "data",
        "split_file": folder / "split.npz",
        "sample_std_dev": [0.08, 0.003],
        "sample_ratio": [0.4, 0.6],
        "num_boundary_samples": 301,
        "num_uniform_samples": 101,
        "num_gap_samples": 71,
        "num_points": 53,
        "input_res": 16,
        "num_cpus": 1,
    } | options
    path = folder / "config.txt"
    path.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    return path


def read_config(folder: Path, **options: object) -> Config:
    """The configuration that `write_config` writes."""
    return get_config(["--config", str(write_config(folder, **options))])


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def times(folder: Path, pattern: str = "*") -> dict[str, int]:
    """When each file below a folder was written, ns."""
    files = [path for path in folder.rglob(pattern) if path.is_file()]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}
