"""Shapes beyond those of the split, for the flow alone: which they are, and their input clouds, made in memory.

Nothing of them is written: a shape code needs only surface points, no distances.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from configs.options import Config
from configs.options.data import ANY_LAYOUT
from configs.options.types import needed
from dataprocessing.axes import axes_of
from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.file_walk import matching
from dataprocessing.frames import front_of, to_unit_box
from dataprocessing.mesh_folder import is_mesh, mesh_name, path_below, shapes_below, stream_name, tell_others
from dataprocessing.mesh_io import Mesh, MeshError, load_mesh
from dataprocessing.shapes import demo_car_name, shape_name, stream_of
from dataprocessing.voxelized_pointcloud_sampling import input_points
from demo_cars.car import make_car
from runtime.errors import UserError, raise_if_interrupted
from runtime.layout import absolute


class ExtraShape(NamedTuple):
    """The mesh of a file, or, without one, demo car number `number` of seed `demo_seed`."""

    name: str
    mesh: str = ""  # absolute path
    demo_seed: int = 0
    number: int = 0
    stream: str = ""  # what the random numbers of a mesh belong to


@dataclass(frozen=True)
class ExtraSource:
    """Where extra shapes come from. name: of its files; facts: what decides its shapes, as plain values."""

    name: str
    facts: dict[str, Any]
    shapes: list[ExtraShape]


def find_extras(cfg: Config, split: dict[str, list[Path]]) -> list[ExtraSource]:
    """The sources that the options extra_... name, demo cars first; none by default.

    split: folders of the shapes of each part. Raises UserError if demo cars of the same seed are among them, and if
    there are no meshes.
    """
    names = {name for part in split.values() for folder in part for name in (shape_name(folder), stream_of(folder))}
    sources = []
    if cfg.codes.extra_demo_cars:
        sources.append(demo_source(cfg.codes.extra_demo_cars, cfg.codes.extra_demo_seed, names))
    if cfg.codes.extra_data_dir:
        source = mesh_source(cfg.codes.extra_data_dir, cfg.codes.extra_data_glob, names)
        if (turned := {"up": cfg.data.up, "front": front_of(cfg.data.up, cfg.data.front)}) != {
            "up": "y",
            "front": "-z",
        }:
            source.facts.update(turned)  # what decides the shapes
        sources.append(source)
    return sources


def demo_source(count: int, seed: int, names: set[str]) -> ExtraSource:
    """names: of the shapes of the split."""
    prefix = demo_car_name(seed, 0).rpartition("_")[0] + "_"
    if taken := sorted(name for name in names if name.startswith(prefix)):
        raise UserError(
            f"the split has demo cars of seed {seed}, such as {taken[0]}: they may not be extra cars too; give another"
            " extra_demo_seed"
        )
    shapes = [ExtraShape(demo_car_name(seed, i), demo_seed=seed, number=i) for i in range(count)]
    return ExtraSource(f"demo_s{seed}", {"demo_cars": count, "demo_seed": seed}, shapes)


def mesh_source(folder: str, pattern: str, names: set[str]) -> ExtraSource:
    """Meshes are named as in preprocessing with input_data_glob `any`.

    Their random numbers belong to their folders, or to the files of those in `folder` itself; with pattern `any` to
    `stream_name`. names: of the shapes of the split, and of their streams; meshes that have one of them are left out.
    """
    root = absolute(folder)
    if not root.is_dir():
        raise UserError(f"no extra_data_dir {root}; give the folder of the extra meshes")
    any_layout = pattern == ANY_LAYOUT
    if any_layout:
        listing = shapes_below(root)
        paths = listing.shapes
        tell_others(listing, root)
    else:
        paths = sorted(filter(is_mesh, matching(root, pattern.strip("/") or "*")))
    all_shapes = []
    for path in paths:
        below = path_below(path, root)
        by_folder = path.stem if path.parent == root else shape_name(path.parent)
        stream = stream_name(below) if any_layout else by_folder
        all_shapes.append(ExtraShape(mesh_name(below), str(path), stream=stream))
    shapes = [shape for shape in all_shapes if names.isdisjoint((shape.name, shape.stream))]
    if not shapes:
        found = f"all {len(paths)} meshes have names of the split" if paths else "no file matches"
        raise UserError(f"{found} in extra_data_dir {root}, extra_data_glob {pattern!r}; 1 or more others expected")
    relative = [Path(shape.mesh).relative_to(root).as_posix() for shape in shapes]
    facts = {"folder": folder, "pattern": pattern, "meshes": len(shapes), "sha256": _digest(relative)}
    return ExtraSource("meshes", facts, shapes)


def describe(all_facts: list[dict[str, Any]]) -> str:
    """The facts of sources in a few words: "5000 demo cars of seed 1000"."""
    words = [
        f"{facts['demo_cars']} demo cars of seed {facts['demo_seed']}"
        if "demo_cars" in facts
        else f"{facts['meshes']} meshes of {facts['folder']} ({facts['pattern']}, {facts['sha256'][:8]})"
        for facts in all_facts
    ]
    return " and ".join(words) or "no extra shapes"


def extra_cloud(shape: ExtraShape, cfg: Config) -> np.ndarray | str:
    """The input cloud that preprocessing would make of a shape, (num_points, 3) float32, mesh units.

    For a mesh file that cannot be used, a line that says why. Raises OSError if its disk is out of reach: the codes
    would lack it for good.
    """
    if not shape.mesh:
        vertices, faces, _ = make_car(shape.demo_seed, shape.number)
        return input_points(scale_mesh(Mesh(vertices, faces)), shape.name, cfg)
    try:
        mesh = load_mesh(shape.mesh)
        axes = axes_of(mesh, below_extras(shape, cfg), cfg.data)
        return input_points(to_unit_box(mesh, axes.up, axes.front)[0], shape.stream, cfg)
    except MeshError as error:
        return str(error)
    except OSError:
        raise
    except Exception as error:  # one odd mesh of thousands must not end the run
        raise_if_interrupted()
        return f"{type(error).__name__}: {error}"


def below_extras(shape: ExtraShape, cfg: Config) -> PurePosixPath:
    """The path of the mesh of an extra shape below its folder."""
    return path_below(Path(shape.mesh), absolute(needed(cfg.codes.extra_data_dir, "extra_data_dir")))


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
