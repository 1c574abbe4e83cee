"""The files of a shape as ShapeNetCore.v2 has them: OBJ and MTL as the Open Asset Import Library writes them, a json
of the extent, voxels, textures.
"""

import io
import json
from collections.abc import Iterator

import numpy as np

from lab.stand_in.plan import Plan
from lab.stand_in.troubles import Array, Polygons

ROWS = 50_000  # of text made at a time: Python's numbers take ten times the memory of arrays
NEAR, FAR = 0.1, 3.0  # how far from the middle of the car unused vertices and lines may lie, in its lengths
VOXELS = 128


def placed(polygons: Polygons, plan: Plan, rng: np.random.Generator) -> tuple[Polygons, Array]:
    """The mesh with the vertices that no face uses, in ShapeNet's frame: centred, the diagonal of all vertices 1.

    Returns it and the lines, (L, 2) int, ends of each.
    """
    vertices, corners = polygons.vertices, polygons.corners
    if plan.own_vertices:
        group = np.repeat(groups_of(polygons, plan.groups), polygons.sizes)
        keys, corners = np.unique(group * len(vertices) + corners, return_inverse=True)
        vertices, corners = vertices[keys % len(vertices)], corners.ravel()
    lines = rng.choice(corners, (plan.lines, 2)) if plan.lines else np.zeros((0, 2), dtype=np.int64)
    ends = 2 * (plan.lines > 0)  # of the last line, which only lines use
    more = (FAR if plan.outside else NEAR) * rng.uniform(-1, 1, (ends + plan.loose_vertices, 3))
    if ends:
        lines[-1] = len(vertices) + np.arange(2)
    vertices = np.concatenate([vertices, more])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - (low + high) / 2) / np.linalg.norm(high - low)
    return Polygons(vertices, corners, polygons.sizes, polygons.part), lines


def groups_of(polygons: Polygons, wanted: int) -> Array:
    """The group of each face, (F,): parts, cut into runs until there are about so many; never less than the parts."""
    part = np.unique(polygons.part, return_inverse=True)[1].ravel()
    run = -(-len(part) // max(1, wanted - int(part.max())))  # faces of a group at most
    sizes = np.bincount(part)
    within = np.arange(len(part)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.unique(part * len(part) + within // run, return_inverse=True)[1].ravel()


def obj_text(polygons: Polygons, lines: Array, plan: Plan) -> Iterator[str]:
    """The text of the OBJ file, in pieces; the same for all shapes that repeat one."""
    vertices, sizes = polygons.vertices, polygons.sizes
    normals, normal_of = _normals(polygons)
    yield "# File as of Open Asset Import Library, by a stand-in: no ShapeNet data\n\n"
    yield f"mtllib model_normalized.mtl\n\n# {len(vertices)} vertex positions\n"
    yield from _rows("v  %.6f %.6f %.6f\n", vertices)
    if plan.textures:
        yield f"\n# {len(vertices)} UV coordinates\n"
        yield from _rows("vt  %.6f %.6f 0\n", vertices[:, [0, 1]] + 0.5)
    yield f"\n# {len(normals)} vertex normals\n"
    yield from _rows("vn  %.4f %.4f %.4f\n", normals)
    group = groups_of(polygons, plan.groups)
    ends = np.cumsum(np.bincount(group))
    line_of = np.sort(np.arange(len(lines)) % len(ends))  # the group that a line is in
    columns = 3 if plan.textures else 2
    corner = "%d/%d/%d" if plan.textures else "%d//%d"
    forms = [f"f  {' '.join([corner] * size)}\n" for size in range(sizes.max() + 1)]
    both = np.stack([polygons.corners + 1] * (columns - 1) + [np.repeat(normal_of, sizes) + 1], axis=1)
    first = np.cumsum(sizes) - sizes
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        yield f"\n# Mesh 'mesh_{number}' with {end - start} faces\ng mesh_{number}\nusemtl {_material(number, plan)}\n"
        for at in range(start, end, ROWS):
            last = min(at + ROWS, end)
            rows = both[first[at] : first[last - 1] + sizes[last - 1]]
            yield "".join([forms[size] for size in sizes[at:last].tolist()]) % tuple(rows.ravel().tolist())
        yield from _rows("l  %d %d\n", lines[line_of == number] + 1)


def broken_text(text: Iterator[str], kind: str) -> str:
    """The text of an OBJ file that is broken in one of the ways of `plan.BROKEN`."""
    whole = "".join(text)
    rows = whole.splitlines(keepends=True)
    if kind == "empty":
        return ""
    if kind == "cut off":
        return whole[: whole.rindex("/", 0, len(whole) * 9 // 10)]
    if kind == "no faces":
        return "".join(row for row in rows if not row.startswith(("f", "l")))
    if kind == "lines alone":
        return "".join(row for row in rows if not row.startswith("f")) + "l  1 2\n"
    if kind == "not finite":
        at = next(number for number, row in enumerate(rows) if row.startswith("v "))
        corner = next(row for row in rows if row.startswith("f")).split()[1].partition("/")[0]
        rows[at + int(corner) - 1] = "v  nan nan nan\n"
        return "".join(rows)
    raise ValueError(f"broken {kind!r} is not known")


def mtl_text(plan: Plan, rng: np.random.Generator, groups: int) -> str:
    """Materials of the groups; the first ones have a texture."""
    text = ["# a stand-in\n"]
    for name in dict.fromkeys(_material(number, plan) for number in range(groups)):
        colour = " ".join(f"{value:.6f}" for value in rng.random(3))
        text.append(f"\nnewmtl {name}\nKd {colour}\nKa 0 0 0\nKs 0.4 0.4 0.4\nKe 0 0 0\nNs 10\nillum 2\n")
        number = int(name.split("_")[1])
        if number < plan.textures:
            text.append(f"map_Kd ../images/texture{number}.jpg\n")
    return "".join(text)


def extent_json(name: str, vertices: Array) -> str:
    """ShapeNet's model_normalized.json."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    found = {"max": high.tolist(), "centroid": vertices.mean(axis=0).tolist(), "id": name}
    return json.dumps(found | {"numVertices": len(vertices), "min": low.tolist()})


def texture(rng: np.random.Generator) -> bytes:
    """A small JPEG."""
    from PIL import Image

    picture = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()


def binvox(vertices: Array) -> bytes:
    """The voxels that vertices are in, in the format of binvox: runs of one value, x slowest, then z, then y."""
    low = vertices.min(axis=0)
    scale = max(float(np.ptp(vertices, axis=0).max()), 1e-9)
    at = ((vertices - low) / scale * (VOXELS - 1)).astype(np.int64)
    flat = np.zeros(VOXELS**3, dtype=np.uint8)
    flat[(at[:, 0] * VOXELS + at[:, 2]) * VOXELS + at[:, 1]] = 1
    borders = np.flatnonzero(np.diff(flat)) + 1
    starts, ends = np.concatenate([[0], borders]), np.concatenate([borders, [len(flat)]])
    runs = bytearray()
    for value, length in zip(flat[starts].tolist(), (ends - starts).tolist(), strict=True):
        whole, rest = divmod(length, 255)
        runs += bytes([value, 255]) * whole + (bytes([value, rest]) if rest else b"")
    where = " ".join(f"{value:.6f}" for value in low)
    return f"#binvox 1\ndim {VOXELS} {VOXELS} {VOXELS}\ntranslate {where}\nscale {scale:.6f}\ndata\n".encode() + bytes(
        runs
    )


def _normals(polygons: Polygons) -> tuple[Array, Array]:
    """Distinct normals (M, 3), rounded, and that of each face (F,); not a number for a face without area."""
    first = np.cumsum(polygons.sizes) - polygons.sizes
    a, b, c = (polygons.vertices[polygons.corners[first + k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    with np.errstate(invalid="ignore"):
        normal = np.round(normal / np.linalg.norm(normal, axis=1, keepdims=True), 4) + 0.0
    distinct, of_face = np.unique(normal, axis=0, return_inverse=True)
    return distinct, of_face.ravel()


def _material(group: int, plan: Plan) -> str:
    return f"material_{group % 40}_{24 + plan.origin % 3}"


def _rows(form: str, rows: Array) -> Iterator[str]:
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        yield form * len(part) % tuple(part.ravel().tolist())
