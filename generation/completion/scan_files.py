"""Reading a partial scan, and whether it can be one of a car in mesh units; every doubt becomes one line."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataprocessing.convert_to_scaled_off import scale_mesh
from dataprocessing.formats import SUFFIXES as MESHES
from dataprocessing.frames import UNIT_AXES, Frame, turn_of
from dataprocessing.mesh_io import Mesh, MeshError
from dataprocessing.point_io import POINTS_ALONE, is_far, load_shape
from dataprocessing.scale_notes import scale_notes
from dataprocessing.surface import at_most, sample_surface
from generation.cloud_files import Cloud
from generation.completion.evidence import MOST_POINTS
from runtime.errors import UserError

SUFFIXES = (*POINTS_ALONE, *MESHES)  # a .ply or an .off without faces is a cloud
LEAST_POINTS = 20
OUTSIDE = 0.55  # mesh units: whole shapes lie in [-0.5, 0.5]^3, scans of them hardly farther
LEAST_EXTENT = 0.2  # mesh units; half a car is longer
WIDEST, HIGHEST = 0.75, 0.75  # of a car of length 1: more suggests another pose


class Scan(NamedTuple):
    """points (n, 3) float32, the camera (3,) of a depth view, the box (6,) that is covered; notes for the user.

    frame: where the scan lies in its file; None: as it is here.
    """

    points: Cloud
    camera: np.ndarray | None
    notes: list[str]
    covered: np.ndarray | None = None
    frame: Frame | None = None


def read_points(path: Path | str, scale_meshes: bool = False) -> np.ndarray:
    """The points (n, 3) of a cloud file, or `MOST_POINTS` on the surface of a mesh file.

    float32, but for points far from the origin, which are float64. scale_meshes: bring a mesh to mesh units first.
    Raises UserError, naming the file, if it cannot be read as either.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: a file that ends in {', '.join(SUFFIXES)} expected")
    if not path.is_file():
        raise UserError(f"no file {path}")
    try:
        shape = load_shape(path)
    except MeshError as error:
        raise UserError(f"{path}: {error}; a mesh or a point cloud expected") from error
    if isinstance(shape, Mesh):
        shape = sample_surface(scale_mesh(shape) if scale_meshes else shape, MOST_POINTS, np.random.default_rng(0))
    return shape if shape.dtype == np.float64 and is_far(shape) else shape.astype(np.float32)


def read_truth(path: Path | str, axes: tuple[str, str]) -> Cloud:
    """The whole shape that a scan is of, with the same up and front as the scan: in mesh units, turned as it is."""
    return turned(read_points(path, scale_meshes=True), None, None, turn_of(*axes))[0]


def placed_scan(
    points: np.ndarray,
    camera: np.ndarray | None,
    fit: bool,
    covered: np.ndarray | None = None,
    axes: tuple[str, str] = UNIT_AXES,
) -> Scan:
    """A scan in mesh units: turned to y up and front at -z; with `fit`, its own box centred and its longest side 1.

    camera: (3,), covered: (6,), in the scan's units and axes, of which `axes` are up and front. Raises UserError for
    fewer than `LEAST_POINTS` points, and for points that do not fit the box of mesh units; what only looks odd becomes
    a note.
    """
    if len(points) < LEAST_POINTS:
        raise UserError(f"the scan has {len(points)} points, at least {LEAST_POINTS} expected")
    if covered is not None and not (covered[:3] < covered[3:]).all():
        raise UserError(f"--covered {covered.tolist()} found, X0 Y0 Z0 below X1 Y1 Z1 expected")
    odd = scale_notes(points, *axes) if fit else []
    notes = [f"the scan: {one.text}" for one in odd]
    turn = turn_of(*axes)
    if axes != UNIT_AXES:
        points, camera, covered = turned(points, camera, covered, turn)
    centre, side = np.zeros(3), 1.0
    if len(points) > MOST_POINTS:
        notes.append(f"the scan has {len(points):,} points; {MOST_POINTS:,} of them, drawn at random, are looked at")
        points = at_most(points, MOST_POINTS, np.random.default_rng(0))
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    extent = high - low
    if fit:
        if extent.max() == 0:
            raise UserError("all points of the scan are at one place; a part of a car's surface expected")
        centre, side = (low + high) / 2, float(extent.max())
        points = ((points - centre) / side).astype(np.float32)
        camera = None if camera is None else (camera - centre) / side
        covered = None if covered is None else (covered - np.tile(centre, 2)) / side
        extent = extent / side
        notes.append(
            f"--fit: centred, and divided by {side:.4g}; right only if the scan reaches both ends of the car and both"
            f" sides: what it does not show cannot be known, nor can its pose (up {axes[0]}, front {axes[1]})"
        )
    elif max(-low.min(), high.max()) > OUTSIDE or extent.max() < LEAST_EXTENT:
        raise UserError(
            f"the scan spans x {low[0]:.3g} to {high[0]:.3g}, y {low[1]:.3g} to {high[1]:.3g}, z {low[2]:.3g} to"
            f" {high[2]:.3g}; a part of a car in [-0.5, 0.5]^3 expected, whose whole box is centred and has the longest"
            " side 1; scale it, or try --fit"
        )
    if not odd and (extent[0] > max(WIDEST, extent[2]) or extent[1] > max(HIGHEST, extent[2])):
        notes.append(
            f"the scan is {extent[0]:.2f} wide (x), {extent[1]:.2f} high (y) and {extent[2]:.2f} long (z): unusual for"
            f" a car with up {axes[0]} and front {axes[1]}; is it turned? --up and --front name its axes"
        )
    if camera is not None and (np.abs(camera) < 0.5).all():
        notes.append("the camera is inside the box of the car")
    frame = Frame(turn, centre, side) if fit or axes != UNIT_AXES else None
    return Scan(points.astype(np.float32, copy=False), camera, notes, covered, frame)


def turned(
    points: np.ndarray, camera: np.ndarray | None, box: np.ndarray | None, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """A scan (n, 3), its camera (3,) and a box (6,), lower corner first, turned (3, 3): by quarters, exactly."""
    if box is not None:
        corners = box.reshape(2, 3) @ turn.T
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    points = np.asarray(points @ turn.T.astype(points.dtype))
    return points, None if camera is None else turn @ camera, box


def scan_name(path: Path | str, sha256: str) -> str:
    """The name of the folder of a scan's completions: that of its file, and what tells apart two of one name."""
    return f"{Path(path).name.lstrip('.')}~{sha256[:8]}"
