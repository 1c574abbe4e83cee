"""The nodes of a glTF file: where each stands, and which of them the scene shows."""

from typing import Any

import numpy as np

from dataprocessing.formats.gltf_accessors import rows, scaled
from dataprocessing.formats.gltf_document import Document, as_object, extension, is_whole, listed, numbers_of
from dataprocessing.formats.gltf_extensions import INSTANCING, LOD, VISIBILITY

MOST_NODES = 100_000
TRANSLATION, ROTATION, SCALE = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0)
IDENTITY = np.eye(4)
IDENTITY.flags.writeable = False


class Nodes:
    """All nodes of a file. places: a 4 x 4 matrix each, from its own coordinates to those of the scene.

    Raises ValueError for nodes that form a ring, or have two parents.
    """

    def __init__(self, document: Document):
        self.document = document
        self.nodes = [as_object(node, f"node {number}") for number, node in enumerate(document.all("nodes"))]
        if len(self.nodes) > MOST_NODES:
            raise ValueError(f"{len(self.nodes):,} nodes, at most {MOST_NODES:,} are read")
        self.children = [self._numbers(listed(node, "children", "a node"), "a node") for node in self.nodes]
        self.parents = self._parents()
        self.places: list[np.ndarray] = self._places()

    def _numbers(self, values: list[Any], user: str) -> list[int]:
        for value in values:
            if not is_whole(value) or value >= len(self.nodes):
                raise ValueError(f"damaged: {user} names node {value!r}, there are {len(self.nodes)}"[:200])
        return [int(value) for value in values]

    def _parents(self) -> list[int]:
        parents = [-1] * len(self.nodes)
        for number, children in enumerate(self.children):
            for child in children:
                if parents[child] >= 0:
                    raise ValueError(f"damaged: node {child} has two parents, {parents[child]} and {number}")
                parents[child] = number
        return parents

    def _places(self) -> list[np.ndarray]:
        places: list[np.ndarray | None] = [None] * len(self.nodes)
        ahead = [number for number, parent in enumerate(self.parents) if parent < 0]
        while ahead:
            number = ahead.pop()
            own, parent = local_place(self.nodes[number], f"node {number}"), self.parents[number]
            over = IDENTITY if parent < 0 else places[parent]
            places[number] = over if own is None else own if over is IDENTITY else over @ own
            ahead.extend(self.children[number])
        found = [place for place in places if place is not None]
        if len(found) < len(places):
            raise ValueError(f"damaged: node {places.index(None)} is in a ring of nodes, each the child of another")
        return found

    def shown(self) -> list[int]:
        """The nodes that the scene shows, parents first: of the scene that the file names, of its first one, or all.

        Hidden ones and their children are left out, as are all levels of detail but the highest. Raises ValueError.
        """
        if scenes := self.document.all("scenes"):
            scene = self.document.item("scenes", self.document.json.get("scene", 0), "the file")
            roots = self._numbers(listed(scene, "nodes", "the scene"), "the scene")
            if inner := [root for root in roots if self.parents[root] >= 0]:
                raise ValueError(f"damaged: the scene names node {inner[0]}, a child of node {self.parents[inner[0]]}")
            if len(set(roots)) < len(roots):
                raise ValueError("damaged: the scene names a node twice")
        elif "scene" in self.document.json:
            raise ValueError(f"damaged: scene {self.document.json['scene']!r} of {len(scenes)} is to be shown"[:200])
        else:
            roots = [number for number, parent in enumerate(self.parents) if parent < 0]
        lower = self._lower_levels()
        shown, ahead = [], roots[::-1]
        while ahead:
            number = ahead.pop()
            if number in lower or not self._visible(number):
                continue
            shown.append(number)
            ahead.extend(self.children[number][::-1])
        return shown

    def _visible(self, number: int) -> bool:
        visibility = extension(self.nodes[number], VISIBILITY, f"node {number}")
        return visibility is None or visibility.get("visible", True) is not False

    def _lower_levels(self) -> set[int]:
        levels: set[int] = set()
        for number, node in enumerate(self.nodes):
            if (lod := extension(node, LOD, f"node {number}")) is not None:
                levels.update(self._numbers(listed(lod, "ids", f"node {number}"), f"{LOD} of node {number}"))
        return levels

    def instances(self, number: int) -> np.ndarray:
        """Where the mesh of a node is shown, (N, 4, 4): once, or as EXT_mesh_gpu_instancing says. Raises ValueError."""
        name = f"{INSTANCING} of node {number}"
        instancing = extension(self.nodes[number], INSTANCING, name)
        if instancing is None:
            return self.places[number][None]
        attributes = as_object(instancing.get("attributes"), f"attributes of {name}")
        found = {
            key: scaled(rows(self.document, attributes[key], kind, name)).astype(np.float64)
            for key, kind in (("TRANSLATION", "VEC3"), ("ROTATION", "VEC4"), ("SCALE", "VEC3"))
            if key in attributes
        }
        counts = {len(values) for values in found.values()}
        if len(counts) != 1:
            raise ValueError(f"damaged: {name} has {sorted(counts)} instances, one number of them expected")
        count = counts.pop()
        self.document.take(4 * count, f"{count} instances")
        every = {"TRANSLATION": TRANSLATION, "ROTATION": ROTATION, "SCALE": SCALE}
        parts = (found.get(key, np.tile(default, (count, 1))) for key, default in every.items())
        return self.places[number] @ of_parts(*parts, name=name)


def local_place(node: dict[str, Any], name: str) -> np.ndarray | None:
    """The matrix of a node in its parent, None for one that stands where its parent does. Raises ValueError."""
    translation, rotation = numbers_of(node, "translation", 3, name), numbers_of(node, "rotation", 4, name)
    scale, matrix = numbers_of(node, "scale", 3, name), numbers_of(node, "matrix", 16, name)
    apart = [values for values in (translation, rotation, scale) if values is not None]
    if matrix is not None:
        if apart:
            raise ValueError(f"damaged: {name} has a matrix, and a translation, rotation or scale besides")
        matrix = matrix.reshape(4, 4).T
        if not np.allclose(matrix[3], [0, 0, 0, 1], rtol=0, atol=1e-6):
            raise ValueError(f"damaged: the matrix of {name} ends in {matrix[3].tolist()}, 0, 0, 0, 1 expected")
        return matrix
    if not apart:
        return None
    given = ((translation, TRANSLATION), (rotation, ROTATION), (scale, SCALE))
    return of_parts(*(np.array(default if values is None else values)[None] for values, default in given), name=name)[0]


def of_parts(translation: np.ndarray, rotation: np.ndarray, scale: np.ndarray, *, name: str) -> np.ndarray:
    """Matrices (N, 4, 4) of translations (N, 3), quaternions x, y, z, w (N, 4) of any length, and scales (N, 3).

    Raises ValueError for a quaternion of length 0.
    """
    lengths = np.linalg.norm(rotation, axis=1)
    if not (lengths > 0).all() or not np.isfinite(lengths).all():
        raise ValueError(f"damaged: a rotation of {name} is {rotation[np.argmin(lengths > 0)].tolist()}, no quaternion")
    x, y, z, w = (rotation / lengths[:, None]).T
    turned = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    matrices = np.tile(np.eye(4), (len(lengths), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = turned * scale[:, None], translation
    return matrices
