"""COLLADA (.dae): the surface that its scene shows, in the units and axes of the file."""

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from dataprocessing.formats.dae_controllers import controlled
from dataprocessing.formats.dae_geometry import Shape, shape_of
from dataprocessing.formats.dae_nodes import Nodes
from dataprocessing.formats.dae_xml import References, parsed
from dataprocessing.formats.polygons import NO_FACES, Polygons

MOST_TAKEN = 20_000_000  # vertices and corners, or as many as the file has bytes: geometries may be shown again


def read(data: bytes, path: Path) -> Polygons:
    """All polygons of the scene: nodes with their transforms, instances, morphs, skins in the pose of the file.

    Neither units nor axes are changed: `up_axis` says which way is up. Lines are left out. A file without a scene, a
    library, gives its geometries as they are. Raises ValueError for what is damaged, and by its name for what is not
    applied.
    """
    root = parsed(data)
    references = References(root)
    for key in ("unit", "up_axis"):
        if len({_meaning(each) for each in root.iter(key)}) > 1:
            raise ValueError(f"parts with another {key} than the rest, which is not applied; save it with one")
    shapes: dict[str | None, Shape] = {}
    placed: list[tuple[Shape, np.ndarray]] = []
    scene = _scene(root, references)
    if scene is None:
        placed = [(shape_of(each, references), np.eye(4)) for each in root.iterfind("library_geometries/geometry")]
    else:
        nodes = Nodes(scene, references)
        for shown in nodes.shown:
            if shown.instance.tag == "instance_controller":
                placed.append(controlled(shown, nodes, references))
            else:
                url = shown.instance.get("url")
                if url not in shapes:
                    shapes[url] = shape_of(references.find(url, "geometry"), references)
                placed.append((shapes[url], shown.place))
    return _joined(placed, max(MOST_TAKEN, len(data)))


def _meaning(element: Element) -> float | str:
    """What a unit or an up_axis says, however it is written."""
    if element.tag == "up_axis":
        return (element.text or "").strip()
    try:
        return float(element.get("meter", 1))
    except ValueError:
        raise ValueError(f"damaged: a unit of {element.get('meter', '')[:20]!r} meter") from None


def _scene(root: Element, references: References) -> Element | None:
    """The scene that is shown, None for a file that is a library of geometries."""
    named = root.find("scene/instance_visual_scene")
    if named is not None:
        return references.find(named.get("url"), "visual_scene")
    scenes = list(root.iterfind("library_visual_scenes/visual_scene"))
    if len(scenes) > 1:
        raise ValueError(f"{len(scenes)} scenes, and no word which of them is shown; save it with one")
    return scenes[0] if scenes else None


def _joined(placed: list[tuple[Shape, np.ndarray]], most: int) -> Polygons:
    count = sum(len(shape.vertices) + len(shape.corners) for shape, _ in placed)
    if count > most:
        raise ValueError(f"{count:,} vertices and corners: too many parts, shown too often; not read")
    if not sum(len(shape.sizes) for shape, _ in placed):
        raise ValueError(
            NO_FACES if any(shape.num_left_out or len(shape.vertices) for shape, _ in placed) else "no faces"
        )
    placed = [(shape, place) for shape, place in placed if place[:3, :3].any()]  # no extent: a way to hide
    counts = np.array([len(shape.vertices) for shape, _ in placed])
    firsts = np.cumsum(counts) - counts
    with np.errstate(invalid="ignore"):  # of vertices that are not finite, which are refused later
        return _placed(placed, firsts)


def _placed(placed: list[tuple[Shape, np.ndarray]], firsts: np.ndarray) -> Polygons:
    return Polygons(
        np.concatenate([shape.vertices @ place[:3, :3].T + place[:3, 3] for shape, place in placed]),
        np.concatenate([shape.corners + first for (shape, _), first in zip(placed, firsts, strict=True)]),
        np.concatenate([shape.sizes for shape, _ in placed]),
    )
