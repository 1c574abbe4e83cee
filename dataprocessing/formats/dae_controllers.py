"""Controllers of COLLADA files: geometries that morph, or follow joints, as these stand in the file."""

from xml.etree.ElementTree import Element

import numpy as np

from dataprocessing.formats.dae_geometry import Shape, shape_of, values_of
from dataprocessing.formats.dae_nodes import Nodes, Shown
from dataprocessing.formats.dae_xml import References, children, numbers, whole_attribute, whole_numbers


def controlled(shown: Shown, nodes: Nodes, references: References) -> tuple[Shape, np.ndarray]:
    """The shape that an `instance_controller` shows, and its 4 x 4 matrix to the scene. Raises ValueError."""
    controller = references.find(shown.instance.get("url"), "controller")
    skin = controller.find("skin")
    if skin is None:
        return _morphed(controller, references), shown.place
    target = references.find(skin.get("source"), "geometry", "controller")
    shape = shape_of(target, references) if target.tag == "geometry" else _morphed(target, references)
    skeletons = [(each.text or "").strip() for each in children(shown.instance, "skeleton")]
    roots = [references.find(each, "node") for each in skeletons]
    return shape._replace(vertices=_skinned(skin, shape.vertices, roots, nodes, references)), np.eye(4)


def _skinned(
    skin: Element, vertices: np.ndarray, roots: list[Element], nodes: Nodes, references: References
) -> np.ndarray:
    """Where the joints bring the vertices, (V, 3), in the scene."""
    bind = np.eye(4)
    if skin.find("bind_shape_matrix") is not None:
        values = numbers(skin.find("bind_shape_matrix"), "bind_shape_matrix")
        if len(values) != 16:
            raise ValueError(f"damaged: {len(values)} numbers in bind_shape_matrix, 16 expected")
        bind = values.reshape(4, 4)
    joints, weights_of = _inputs(skin.find("joints")), _inputs(skin.find("vertex_weights"))
    if not {"JOINT", "INV_BIND_MATRIX"} <= set(joints) or not {"JOINT", "WEIGHT"} <= set(weights_of):
        raise ValueError("damaged: a skin without its joints, their matrices, or weights")
    names = _words(references.find(joints["JOINT"].get("source"), "source"))
    inverse = values_of(references.find(joints["INV_BIND_MATRIX"].get("source"), "source"), (), references)
    if inverse.shape != (len(names), 16) or not names:
        raise ValueError(f"damaged: {len(names)} joints of a skin, matrices of shape {inverse.shape}")
    if _words(references.find(weights_of["JOINT"].get("source"), "source")) != names:
        raise ValueError("a skin whose weights name other joints than it has, which is not read")
    places = np.array([nodes.joint(name, roots) for name in names]) @ inverse.reshape(-1, 4, 4) @ bind
    vertex, joint, weight = _influences(skin, weights_of, references, len(vertices), len(names))
    moved = np.einsum("eij,ej->ei", places[joint, :3, :3], vertices[vertex]) + places[joint, :3, 3]
    total = np.bincount(vertex, weight, len(vertices))
    if not (total > 0).all():
        raise ValueError(f"damaged: vertex {int(np.argmin(total > 0))} of a skin follows no joint")
    sums = [np.bincount(vertex, weight * moved[:, axis], len(vertices)) for axis in range(3)]
    return np.stack(sums, axis=1) / total[:, None]


def _influences(
    skin: Element, inputs: dict[str, Element], references: References, num_vertices: int, num_joints: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertex, joint and weight of each influence, (E,) each."""
    element = skin.find("vertex_weights")
    assert element is not None
    stride = max(whole_attribute(each, "offset") for each in children(element, "input")) + 1
    counts, _ = whole_numbers(list(children(element, "vcount")), "vcount of a skin")
    numbers_ = numbers(element.find("v"), "v of a skin").astype(np.int64)
    if len(counts) != num_vertices or counts.sum() * stride != len(numbers_):
        raise ValueError(
            f"truncated or damaged: a skin of {len(counts)} vertices, {len(numbers_)} numbers; {num_vertices} vertices"
            f" and {counts.sum() * stride} numbers expected"
        )
    table = numbers_.reshape(-1, stride)
    joint = table[:, whole_attribute(inputs["JOINT"], "offset")]
    which = table[:, whole_attribute(inputs["WEIGHT"], "offset")]
    weights = values_of(references.find(inputs["WEIGHT"].get("source"), "source"), (), references)[:, 0]
    if len(joint) and (joint.max() >= num_joints or joint.min() < 0 or which.min() < 0 or which.max() >= len(weights)):
        raise ValueError(
            f"damaged: a skin uses joints {joint.min()} to {joint.max()} of {num_joints}, or other weights"
        )
    return np.repeat(np.arange(num_vertices), counts), joint, weights[which]


def _morphed(controller: Element, references: References) -> Shape:
    """The base of a morph, moved by its targets."""
    morph = controller.find("morph")
    if morph is None:
        raise ValueError(f"controller {str(controller.get('id'))[:60]!r} is neither a skin nor a morph of a mesh")
    shape = shape_of(references.find(morph.get("source"), "geometry"), references)
    inputs = _inputs(morph.find("targets"))
    if not {"MORPH_TARGET", "MORPH_WEIGHT"} <= set(inputs):
        raise ValueError("damaged: a morph without targets or weights")
    targets = _words(references.find(inputs["MORPH_TARGET"].get("source"), "source"))
    weights = values_of(references.find(inputs["MORPH_WEIGHT"].get("source"), "source"), (), references)[:, 0]
    method = morph.get("method", "NORMALIZED")
    if len(targets) != len(weights) or method not in ("NORMALIZED", "RELATIVE"):
        raise ValueError(f"damaged: a morph, {method[:20]!r}, of {len(targets)} targets and {len(weights)} weights")
    vertices = shape.vertices * (1 - weights.sum() if method == "NORMALIZED" else 1)
    for target, weight in zip(targets, weights.tolist(), strict=True):
        if weight:
            moves = shape_of(references.find("#" + target, "geometry"), references).vertices
            if moves.shape != vertices.shape:
                raise ValueError(
                    f"damaged: morph target {target[:60]!r} has {len(moves)} vertices, {len(vertices)} expected"
                )
            vertices = vertices + weight * moves
    return shape._replace(vertices=vertices)


def _inputs(element: Element | None) -> dict[str, Element]:
    return {each.get("semantic", ""): each for each in children(element, "input")} if element is not None else {}


def _words(source: Element) -> list[str]:
    """The names of a source of names or ids."""
    for kind in ("Name_array", "IDREF_array", "SIDREF_array"):
        if (array := source.find(kind)) is not None:
            return (array.text or "").split()
    raise ValueError(f"damaged: source {str(source.get('id'))[:60]!r} holds no names")
