"""Skins of glTF files: vertices that follow joints, as these stand in the file."""

import numpy as np

from dataprocessing.formats.gltf_accessors import rows
from dataprocessing.formats.gltf_document import Document, is_whole, listed
from dataprocessing.formats.gltf_nodes import Nodes
from dataprocessing.formats.gltf_primitives import Part

CHUNK = 100_000  # vertices at a time: each takes a matrix


def joint_matrices(document: Document, number: object, nodes: Nodes, user: str) -> np.ndarray:
    """For each joint of a skin, from the mesh to the scene, (J, 4, 4). Raises ValueError."""
    skin, name = document.item("skins", number, user), f"skin {number}"
    joints = listed(skin, "joints", name)
    wrong = [joint for joint in joints if not is_whole(joint) or joint >= len(nodes.places)]
    if wrong or not joints:
        raise ValueError(f"damaged: {name} has {len(joints)} joints, {str(wrong[:1])[:60]} of them no nodes")
    document.take(4 * len(joints), f"{len(joints)} joints")
    places = np.array([nodes.places[int(joint)] for joint in joints])
    if "inverseBindMatrices" not in skin:
        return places
    inverse = rows(document, skin["inverseBindMatrices"], "MAT4", name).astype(np.float64)
    if len(inverse) < len(joints):
        raise ValueError(f"damaged: {name} has {len(joints)} joints and {len(inverse)} matrices")
    return places @ inverse[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)


def skinned(part: Part, matrices: np.ndarray, name: str) -> np.ndarray:
    """The vertices (V, 3) of a part where its joints bring them. matrices: (J, 4, 4). Raises ValueError."""
    joints, weights = _influences(part, name)
    used = np.where(weights > 0, joints, 0)
    if (weights < 0).any() or used.max(initial=0) >= len(matrices):
        raise ValueError(f"damaged: a vertex of {name} follows joint {used.max()} of {len(matrices)}, or backwards")
    total = weights.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise ValueError(f"damaged: vertex {int(np.argmin(total > 0))} of {name} follows no joint of its skin")
    weights = weights / total
    moved = np.empty_like(part.vertices)
    for start in range(0, len(moved), CHUNK):
        rows_ = slice(start, start + CHUNK)
        blended = np.zeros((len(moved[rows_]), 3, 4))
        for column in range(weights.shape[1]):
            blended += weights[rows_, column, None, None] * matrices[used[rows_, column], :3]
        moved[rows_] = np.einsum("vij,vj->vi", blended[:, :, :3], part.vertices[rows_]) + blended[:, :, 3]
    return moved


def _influences(part: Part, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Joints, int64, and weights, float64, of each vertex, (V, 4) or more of them."""
    joints: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    while (stored := part.attribute(f"JOINTS_{len(joints)}", "VEC4")) is not None:
        weight = part.attribute(f"WEIGHTS_{len(joints)}", "VEC4")
        if weight is None or stored.dtype.kind != "u":
            raise ValueError(f"damaged: joints of {name} are of type {stored.dtype}, or have no weights")
        joints.append(stored.astype(np.int64))
        weights.append(weight.astype(np.float64))
    if not joints:
        raise ValueError(f"damaged: {name} belongs to a skin, and its vertices name no joints")
    return np.concatenate(joints, axis=1), np.concatenate(weights, axis=1)
