"""The nodes of a COLLADA scene: where each stands, and what it shows."""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from dataprocessing.formats.dae_xml import References, children, numbers

MOST_NODES = 100_000
MOST_WITHIN = 100  # instances of nodes, one within the other
LENGTHS = {"matrix": 16, "translate": 3, "scale": 3, "rotate": 4, "lookat": 9}
WITHOUT_SURFACE = ("asset", "extra", "instance_camera", "instance_light", "evaluate_scene")
SHOWN = ("instance_geometry", "instance_controller")


class Shown(NamedTuple):
    """What a node shows, an element `instance_geometry` or `instance_controller`; its 4 x 4 matrix to the scene."""

    instance: Element
    place: np.ndarray


class Nodes:
    """All nodes of a scene. places: the matrix of each element `node` to the scene; of one that is shown several
    times, the first. shown: what is shown where. Raises ValueError for what is damaged or not known."""

    def __init__(self, scene: Element, references: References):
        self.references, self.scene = references, scene
        self.places: dict[Element, np.ndarray] = {}
        self.shown: list[Shown] = []
        ahead: list[tuple[Element, np.ndarray, tuple[Element, ...]]]  # the last one: the instances around it
        ahead = [(node, np.eye(4), ()) for node in list(children(scene, "node"))[::-1]]
        count = 0
        while ahead:
            node, over, around = ahead.pop()
            count += 1
            if count > MOST_NODES:
                raise ValueError(f"more than {MOST_NODES:,} nodes, those that are shown again counted again; not read")
            place = over @ local_place(node)
            self.places.setdefault(node, place)
            self.shown += [Shown(each, place) for each in children(node, *SHOWN)]
            ahead += [(child, place, outer) for child, outer in list(self._inner(node, around))[::-1]]

    def _inner(self, node: Element, around: tuple[Element, ...]) -> Iterator[tuple[Element, tuple[Element, ...]]]:
        """The nodes within a node, its own and those of the library that it names."""
        for child in node:
            if child.tag == "node":
                yield child, around
            elif child.tag == "instance_node":
                target = self.references.find(child.get("url"), "node")
                if target in around or target is node or len(around) >= MOST_WITHIN:
                    raise ValueError(
                        f"damaged: node {str(target.get('id'))[:60]!r} is shown within itself, without end"
                    )
                yield target, (*around, target)
            elif child.tag not in (*LENGTHS, *WITHOUT_SURFACE, *SHOWN):
                raise ValueError(f"{str(child.tag)[:60]!r} of a node is not known here; save it without")

    def joint(self, name: str, roots: list[Element]) -> np.ndarray:
        """The matrix of the node that a skin calls `name`: by its sid below the roots of the skeleton, or by its id.

        Raises ValueError.
        """
        for root in roots or [self.scene]:
            for key in ("sid", "id"):
                for node in root.iter("node"):
                    if node.get(key) == name and node in self.places:
                        return self.places[node]
        raise ValueError(f"damaged: no node of the scene is joint {name[:60]!r} of a skin")


def local_place(node: Element) -> np.ndarray:
    """The matrix of a node in its parent: its transforms one after another, the last one first. Raises ValueError."""
    place: np.ndarray = np.eye(4)
    for element in children(node, *LENGTHS):
        values = numbers(element, f"{element.tag} of a node")
        if len(values) != LENGTHS[element.tag]:
            raise ValueError(
                f"damaged: {len(values)} numbers in {element.tag} of a node, {LENGTHS[element.tag]} expected"
            )
        place = place @ _matrix(element.tag, values)
    return place


def _matrix(kind: str, values: np.ndarray) -> np.ndarray:
    if kind == "matrix":
        whole = values.reshape(4, 4)
        if not np.allclose(whole[3], [0, 0, 0, 1], rtol=0, atol=1e-6):
            raise ValueError(f"damaged: the matrix of a node ends in {whole[3].tolist()}, 0 0 0 1 expected")
        return whole
    matrix: np.ndarray = np.eye(4)
    if kind == "translate":
        matrix[:3, 3] = values
    elif kind == "scale":
        matrix[:3, :3] = np.diag(values)
    elif kind == "rotate":
        matrix[:3, :3] = _turned(values[:3], np.radians(values[3]))
    else:
        matrix[:3, :3], matrix[:3, 3] = _looking(values[:3], values[3:6], values[6:]), values[:3]
    return matrix


def _turned(axis: np.ndarray, angle: float) -> np.ndarray:
    """The rotation about an axis of any length, by Rodrigues' formula."""
    length = np.linalg.norm(axis)
    if not angle:
        return np.eye(3)
    if not length > 0:
        raise ValueError(f"damaged: a node is turned about the axis {axis.tolist()}")
    x, y, z = axis / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _looking(eye: np.ndarray, towards: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The rotation of a node at `eye` whose -z looks towards a point, y upwards."""
    back = eye - towards
    side = np.cross(up, back)
    if not np.linalg.norm(side) > 0:
        raise ValueError("damaged: lookat of a node looks nowhere, or straight up")
    back, side = back / np.linalg.norm(back), side / np.linalg.norm(side)
    return np.stack([side, np.cross(back, side), back], axis=1)
