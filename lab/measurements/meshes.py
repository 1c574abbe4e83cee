"""Ways to mesh an unsigned field, compared: python -m lab.measurements.meshes --config configs/demo_cars_pretrained.txt

Test cars (`--num_shapes`, whose split must be on the disk) are meshed twice: from the exact distances to their true
mesh, which shows what a mesher loses, and from the field that their code decodes to. Prints a Markdown table for each,
means over the cars. Columns: chamfer_udf x1e4 and F-score at 0.005 of 20,000 points, normal consistency of the faces
at nearest points, length of open border (its ratio to the true length, and the shares of true and of made border that
lie within 0.015 of each other), share of doubled surface, pieces, triangles, seconds of processor time.
Border counts as open where the mesh itself is farther than 0.02 away a step of 0.03 beyond it: the parts of demo cars
touch without sharing edges, and wheels stand close to their arches. Of most of it another part is still closer than
0.007, a cell of 160: border with room is the rest. Surface is doubled where a parallel sheet lies within 0.006. Inner
and outer surface (`evaluation.interior`) is found where the mesh is within 0.006.
"""

import itertools
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree

from configs.config_loader import get_config
from dataprocessing.distances import load_open3d, unsigned_distance
from dataprocessing.mesh_io import Mesh, load_mesh, triangle_areas
from dataprocessing.split import split_folders
from dataprocessing.surface import normals, sample_surface_and_faces
from evaluation.interior import interior_mask
from evaluation.metrics import scores_from_distances
from generation.decode import field_of
from generation.distance_fields import DistanceField
from generation.meshing import mesh_of, mesher
from generation.meshing.crossings import Crossings, crossings_of_unsigned, ends
from generation.meshing.lattice import Array, Field, Lattice, asked_of
from generation.meshing.tetrahedra import marched
from generation.meshing.topology import Ints, border_sides, pieces_of
from generation.networks import Networks
from generation.projection import dense_point_cloud
from generation.reconstructions import reconstructed
from lab.small.known_shapes import ByDifferences
from runtime.errors import run
from runtime.layout import SCALED_MESH

POINTS, STEP, OPEN, NEAR_BORDER, DOUBLED = 20_000, 0.03, 0.02, 0.015, 0.006
ROOM, KEPT = 0.007, 0.006
CLOUD = 100_000  # points of the reconstructions from points
Made = tuple[Array, Ints]


class TrueField(ByDifferences):
    """Exact distances to a mesh."""

    def __init__(self, mesh: Mesh):
        self.mesh = mesh

    def distance(self, points: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(unsigned_distance(*self.mesh, points.detach().numpy(), torch.get_num_threads()))


def ours(field: DistanceField, resolution: int) -> Made:
    return mesh_of(field, resolution)[:2]


def unmended(make: Callable[[DistanceField, int], Made]) -> Callable[[DistanceField, int], Made]:
    def made(field: DistanceField, resolution: int) -> Made:
        mend, mesher.mended = mesher.mended, lambda crosses, allowed: crosses
        try:
            return make(field, resolution)
        finally:
            mesher.mended = mend

    return made


def node_gradients(field: DistanceField, lattice: Lattice) -> tuple[np.ndarray, Array]:
    """Mask of the nodes near the surface, and the field's own directions there: (R + 1,) * 3 + (3,)."""
    near = lattice.known & (lattice.values < 1.8 * lattice.side)
    directions = np.zeros((*near.shape, 3), np.float32)
    points = torch.from_numpy(lattice.places(np.argwhere(near)))
    directions[near] = torch.cat([field(part)[1] for part in points.split(50_000)]).numpy()
    return near, directions


def by_single_gradients(field: DistanceField) -> Callable[[Lattice, Field], Crossings]:
    """An edge is crossed if the field's own gradients at its ends are opposite (DualMesh-UDF)."""

    def find(lattice: Lattice, asked: Field) -> Crossings:
        near, directions = node_gradients(field, lattice)
        ours = crossings_of_unsigned(lattice, asked)
        crosses, floor = [], ours.floor
        for axis in range(3):
            (near_a, near_b), (g_a, g_b) = ends(near, axis), ends(directions, axis)
            close = np.mean(ends(lattice.values, axis), axis=0) < floor + 0.75 * lattice.side
            opposite = np.einsum("...i,...i->...", g_a, g_b) < 0
            crosses.append(near_a & near_b & close & opposite & (g_b[..., axis] > g_a[..., axis]))
        return ours._replace(crosses=crosses)

    return find


def single_gradients(field: DistanceField, resolution: int) -> Made:
    return mesh_of(field, resolution, find_crossings=by_single_gradients(field))[:2]


def pseudo_signs(field: DistanceField, resolution: int) -> Made:
    """Marching tetrahedra on signs that each cell gives its corners by the gradients there (as MeshUDF, sec. 3.2).

    The corner nearest to the surface is positive; another is negative if its gradient is opposite to that one's. Cells
    whose mean distance is above what a sheet through them has are left out.
    """
    lattice = mesher.lattice_of(asked_of(field, 50_000).distance, resolution)
    near, directions = node_gradients(field, lattice)
    corner = np.array(list(itertools.product((0, 1), repeat=3)))
    inside = np.lib.stride_tricks.sliding_window_view(near, (2, 2, 2)).all(axis=(3, 4, 5))
    nodes = np.argwhere(inside)[:, None] + corner  # (M, 8, 3)
    at = tuple(np.moveaxis(nodes, 2, 0))
    values, g = lattice.values[at], directions[at]
    keep = values.mean(axis=1) < 0.87 * lattice.side
    nodes, values, g = nodes[keep], values[keep], g[keep]
    anchor = g[np.arange(len(g)), values.argmin(axis=1)]
    signed = np.where(np.einsum("mci,mi->mc", g, anchor) < 0, -values, values)
    return marched(lattice, nodes, signed)


def cloud_with_normals(field: DistanceField) -> object:
    o3d = load_open3d()
    points = dense_point_cloud(field, CLOUD, torch.Generator().manual_seed(0)).numpy()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points.astype(np.float64)))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(20))
    return cloud


def ball_pivoting(field: DistanceField, resolution: int) -> Made:
    o3d, cloud = load_open3d(), cloud_with_normals(field)
    radii = o3d.utility.DoubleVector([0.006, 0.009, 0.014])
    mesh = o3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(cloud, radii)
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.triangles, np.int64)


def poisson(field: DistanceField, resolution: int) -> Made:
    """Screened Poisson, normals oriented along a spanning tree; faces farther than 0.008 from all points trimmed."""
    o3d, cloud = load_open3d(), cloud_with_normals(field)
    cloud.orient_normals_consistent_tangent_plane(12)
    mesh, _ = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=8, n_threads=1)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.triangles)
    far = cKDTree(np.asarray(cloud.points)).query(vertices)[0] > 0.008
    return vertices.astype(np.float32), faces[~far[faces].any(axis=1)].astype(np.int64)


WAYS: dict[str, Callable[[DistanceField, int], Made]] = {
    "dual contouring (ours)": ours,
    "the same, not mended": unmended(ours),
    "by single gradients": single_gradients,
    "by single gradients, not mended": unmended(single_gradients),
    "marching, signs of cells": pseudo_signs,
    "ball pivoting (Open3D)": ball_pivoting,
    "Poisson, trimmed (Open3D)": poisson,
}


class Border(NamedTuple):
    """Points (B, 3) on open border, one each 0.002 in the mean; whether each has room (B,); the length of all."""

    points: np.ndarray
    room: np.ndarray
    length: float


def open_border(mesh: Mesh, rng: np.random.Generator) -> Border:
    """The border sides beyond which the mesh has no surface."""
    sides = border_sides(mesh.faces)
    faces = np.repeat(mesh.faces[:, None], 3, axis=1)
    edges = np.stack([mesh.faces, np.roll(mesh.faces, -1, axis=1)], axis=-1)
    key = lambda pairs: np.sort(pairs, axis=-1) @ (len(mesh.vertices), 1)  # noqa: E731
    alone = np.isin(key(edges), key(sides))
    ab, triangle = mesh.vertices[edges[alone]], mesh.vertices[faces[alone]]
    length = np.linalg.norm(ab[:, 1] - ab[:, 0], axis=1)
    if not len(length) or not length.sum():
        return Border(np.zeros((0, 3)), np.zeros(0, bool), 0.0)
    chosen = rng.choice(len(length), max(1, int(length.sum() / 0.002)), p=length / length.sum())
    along = (ab[:, 1] - ab[:, 0]) / np.maximum(length, 1e-12)[:, None]
    out = ab[:, 0] - triangle.mean(axis=1)
    out -= (out * along).sum(axis=1, keepdims=True) * along
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    share = rng.random((len(chosen), 1))
    points = (1 - share) * ab[chosen, 0] + share * ab[chosen, 1]
    beyond = unsigned_distance(*mesh, (points + STEP * out[chosen]).astype(np.float32), 1)
    kept = beyond > OPEN
    points, out, across = points[kept], out[chosen][kept], np.cross(along, out)[chosen][kept]
    return Border(points, has_room(mesh, points, out, across), float(length.sum() * kept.mean()))


def has_room(mesh: Mesh, points: np.ndarray, out: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Whether nothing else of the mesh lies near border points (B, 3), on half circles about them up to `ROOM`.

    out, across (B, 3): unit vectors in the sheet, away from it, and across it.
    """
    free = np.ones(len(points), bool)
    for radius, angle in itertools.product((0.2 * ROOM, 0.4 * ROOM, 0.7 * ROOM, ROOM), np.radians(range(-90, 91, 15))):
        place = points + radius * (np.cos(angle) * out + np.sin(angle) * across)
        free &= unsigned_distance(*mesh, place.astype(np.float32), 1) > 0.6 * radius
    return free


def doubled_share(mesh: Mesh, points: np.ndarray, normal: np.ndarray) -> float:
    """The share of points behind or before which a parallel sheet lies within `DOUBLED`."""
    o3d = load_open3d()
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    found = np.zeros(len(points), bool)
    for sign in (1, -1):
        rays = np.concatenate([points + sign * 2e-4 * normal, sign * normal], axis=1).astype(np.float32)
        hit = scene.cast_rays(rays, nthreads=1)
        parallel = np.abs((hit["primitive_normals"].numpy() * normal).sum(axis=1)) > 0.8
        found |= (hit["t_hit"].numpy() < DOUBLED) & parallel
    return float(found.mean())


def near_border(border: Border, other: Border) -> np.ndarray:
    """Whether each point of a border is near the other one, (B,)."""
    if not len(other.points):
        return np.zeros(len(border.points), bool)
    near: np.ndarray = cKDTree(other.points).query(border.points)[0] < NEAR_BORDER
    return near


def mean_percent(mask: np.ndarray) -> float:
    return 100 * float(mask.mean()) if len(mask) else float("nan")


def measured(mesh: Mesh, true: Mesh) -> dict[str, float]:
    """The columns of the table that depend on the mesh alone."""
    rng = np.random.default_rng(0)
    (a, face_a), (b, face_b) = (sample_surface_and_faces(one, POINTS, rng) for one in (mesh, true))
    normal_a, normal_b = normals(mesh, face_a), normals(true, face_b)
    (to_b, near_b), (to_a, near_a) = cKDTree(b).query(a), cKDTree(a).query(b)
    scores = scores_from_distances(to_b, to_a)
    cosines = [
        np.abs((x * y).sum(axis=1)).mean() for x, y in ((normal_a, normal_b[near_b]), (normal_b, normal_a[near_a]))
    ]
    true_border, border = open_border(true, np.random.default_rng(1)), open_border(mesh, rng)
    back, forth = (near_border(*pair) for pair in ((true_border, border), (border, true_border)))
    inner = interior_mask(*true, b, num_threads=1)
    kept = unsigned_distance(*mesh, b.astype(np.float32), 1) < KEPT
    piece = pieces_of(mesh.faces)
    return {
        "chamfer_udf x1e4": 1e4 * scores["chamfer_udf"],
        "F 0.005": scores["f_score_0.005"],
        "normals": float(np.mean(cosines)),
        "border / true": border.length / true_border.length if true_border.length else float("nan"),
        "true border found %": mean_percent(back),
        "with room found %": mean_percent(back[true_border.room]),
        "border that is true %": mean_percent(forth),
        "doubled %": 100 * doubled_share(mesh, a[:20_000], normal_a[:20_000]),
        "inner found %": mean_percent(kept[inner]),
        "outer found %": mean_percent(kept[~inner]),
        "area / true": triangle_areas(mesh).sum() / triangle_areas(true).sum(),
        "pieces": float(piece.max() + 1),
        "triangles": float(len(mesh.faces)),
    }


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    columns = list(next(iter(rows.values()))[0])
    lines = ["| way | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for way, found in rows.items():
        means = [np.nanmean([one[column] for one in found]) for column in columns]
        cells = [f"{mean:,.0f}" if mean > 1000 else f"{mean:.3g}" if mean >= 100 else f"{mean:.3f}" for mean in means]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "generate")
    networks = Networks(cfg)
    shapes = reconstructed(networks, "test", cfg.generation.num_shapes)
    folders = split_folders(cfg, needed=["test"])["test"][: len(shapes.names)]
    rows: dict[str, dict[str, list[dict[str, float]]]] = {"decoded field": {}, "exact distances": {}}
    for n, folder in enumerate(folders):
        true = load_mesh(folder / SCALED_MESH)
        fields = {"decoded field": field_of(networks, shapes.codes[n]), "exact distances": TrueField(true)}
        for kind, field in fields.items():
            rows[kind].setdefault("true mesh, points drawn again", []).append(measured(true, true) | {"CPU s": 0.0})
            for way, make in WAYS.items():
                start = time.process_time()
                vertices, faces = make(field, cfg.meshes.mesh_resolution)
                seconds = time.process_time() - start
                mesh = Mesh(vertices.astype(np.float64), faces)
                rows[kind].setdefault(way, []).append(measured(mesh, true) | {"CPU s": seconds})
            print(f"{folder.parent.name}, {kind}: means so far\n{table(rows[kind])}", file=sys.stderr)
    for kind, found in rows.items():
        print(f"\n{kind}, {len(folders)} cars, {cfg.meshes.mesh_resolution} cells per axis\n\n{table(found)}")
    return 0


if __name__ == "__main__":
    run(main)
