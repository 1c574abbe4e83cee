"""glTF 2.0, as .glb or .gltf: the surface that its scene shows, with all that the file says of it applied."""

from pathlib import Path
from typing import Any

import numpy as np

from dataprocessing.formats.gltf_document import Document, as_object, is_whole, listed, numbers_of, parsed
from dataprocessing.formats.gltf_extensions import INSTANCING, check_extensions
from dataprocessing.formats.gltf_nodes import IDENTITY, Nodes
from dataprocessing.formats.gltf_primitives import Part, part_of
from dataprocessing.formats.gltf_skins import joint_matrices, skinned
from dataprocessing.formats.polygons import NO_FACES, Polygons, of_triangles


def read(data: bytes, path: Path) -> Polygons:
    """All triangles of the scene, in its coordinates: nodes, instances, skins in the pose of the file, morph weights.

    data: the content of the file at `path`; buffers that it names are read beside it. Points and lines are left out.
    A file whose nodes hold no mesh, a library, gives its meshes as they are.
    Raises ValueError for what is damaged, and by its name for what is not applied.
    """
    document = parsed(data, path)
    check_extensions(document)
    surface = Surface(document)
    nodes = Nodes(document)
    if any("mesh" in node for node in nodes.nodes):
        for number in nodes.shown():
            if "mesh" in nodes.nodes[number]:
                surface.add_node(nodes, number)
    else:
        for number in range(len(document.all("meshes"))):
            surface.add(surface.parts(number, "the file"), IDENTITY[None])
    return surface.polygons()


class Surface:
    """The triangles of a document, as they are collected."""

    def __init__(self, document: Document):
        self.document = document
        self.vertices: list[np.ndarray] = []
        self.triangles: list[np.ndarray] = []
        self.num_vertices = self.num_left_out = 0
        self._of_meshes: dict[int, list[Part]] = {}

    def add_node(self, nodes: Nodes, number: int) -> None:
        """The mesh of a node, wherever it is shown."""
        node, name = nodes.nodes[number], f"node {number}"
        if "skin" not in node:
            self.add(self.parts(node["mesh"], name, node), nodes.instances(number))
            return
        if INSTANCING in node.get("extensions", {}):
            raise ValueError(f"{name} has a skin and {INSTANCING}, which do not go together")
        matrices = joint_matrices(self.document, node["skin"], nodes, name)
        parts = self.parts(node["mesh"], name, node)
        self.add([Part(skinned(part, matrices, name), *part[1:]) for part in parts], IDENTITY[None])

    def parts(self, number: object, user: str, node: dict[str, Any] | None = None) -> list[Part]:
        """The primitives of a mesh with surfaces, morphed by the weights of the node, or else of the mesh."""
        mesh, name = self.document.item("meshes", number, user), f"mesh {number}"
        if is_whole(number) and number in self._of_meshes and "weights" not in (node or {}):
            return self._of_meshes[number]
        holder = node if node and "weights" in node else mesh
        weights = numbers_of(holder, "weights", len(listed(holder, "weights", name)), name)
        primitives = listed(mesh, "primitives", name)
        found = [
            part_of(
                self.document, as_object(primitive, f"primitive {i} of {name}"), weights, f"primitive {i} of {name}"
            )
            for i, primitive in enumerate(primitives)
        ]
        parts = [part for part in found if part is not None]
        self.num_left_out += len(found) - len(parts)
        if holder is mesh and is_whole(number):
            self._of_meshes[number] = parts
        return parts

    def add(self, parts: list[Part], places: np.ndarray) -> None:
        """Each part at each of the places (N, 4, 4); a place without any extent is a way to hide."""
        places = places[places[:, :3, :3].any(axis=(1, 2))]
        for part in parts:
            count, size = len(places), len(part.vertices)
            self.document.take(count * (size + part.triangles.size), f"{count} times {size} vertices")
            still = count == 1 and np.array_equal(places[0], IDENTITY)
            with np.errstate(invalid="ignore"):  # of vertices that are not finite, which are refused later
                moved = part.vertices @ places[:, :3, :3].transpose(0, 2, 1) + places[:, None, :3, 3]
            self.vertices.append(part.vertices if still else moved.reshape(-1, 3))
            firsts = self.num_vertices + size * np.arange(count)
            self.triangles.append((part.triangles + firsts[:, None, None]).reshape(-1, 3))
            self.num_vertices += count * size

    def polygons(self) -> Polygons:
        """All of them. Raises ValueError if there are none."""
        if not any(map(len, self.triangles)):
            meshes = len(self.document.all("meshes"))
            shown = f"no faces: the scene shows none of the {meshes} meshes" if meshes else "no faces"
            raise ValueError(NO_FACES if self.num_left_out else shown)
        return of_triangles(np.concatenate(self.vertices), np.concatenate(self.triangles))
