"""A mesh's own frame and the unit box: axes turned to y up and front at -z, box centred, longest side 1; and back."""

from typing import Any, NamedTuple

import numpy as np

from dataprocessing.mesh_io import Mesh
from dataprocessing.point_io import is_far_box

USUAL_FRONT = {"y": "-z", "z": "-y", "x": "-z", "auto": "auto"}  # by the axis that is up: ShapeNet's; Blender's; any

UNIT_AXES = ("y", "-z")  # up and front of the unit box


class Frame(NamedTuple):
    """How a mesh lies in its file: unit = (turn @ own - centre) / size.

    turn: (3, 3) rotation to y up and front at -z; centre (3,) and size: of the turned mesh's box, its units.
    """

    turn: np.ndarray
    centre: np.ndarray
    size: float

    @property
    def is_far(self) -> bool:
        """Whether the mesh lies so far from the origin that float32 would move its points (`point_io.is_far`)."""
        return is_far_box(self.centre - self.size / 2, self.centre + self.size / 2)

    def to_unit(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) in the mesh's own frame to (N, 3) float64 in the unit box."""
        return (np.asarray(points, dtype=np.float64) @ self.turn.T - self.centre) / self.size

    def to_own(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) in the unit box to (N, 3) float64 in the mesh's own frame."""
        return (np.asarray(points, dtype=np.float64) * self.size + self.centre) @ self.turn

    def turn_to_own(self, directions: np.ndarray) -> np.ndarray:
        """Unit vectors (N, 3), such as normals, from the unit box's axes to the mesh's own."""
        return np.asarray(directions, dtype=np.float64) @ self.turn

    def own_from_unit(self) -> np.ndarray:
        """`to_own` as a matrix (4, 4) for columns x, y, z, 1: what a viewer takes."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.size * self.turn.T
        matrix[:3, 3] = self.turn.T @ self.centre
        return matrix + 0.0  # no -0.0

    def facts(self) -> dict[str, Any]:
        """As plain values, for an index of files."""
        own = self.own_from_unit()
        return {"scale": self.size, "offset": own[:3, 3].tolist(), "own_from_unit": own.tolist()}


def frame_of_matrix(own_from_unit: np.ndarray) -> Frame:
    """The frame whose `own_from_unit` this is, (4, 4)."""
    own = np.asarray(own_from_unit, dtype=np.float64)
    size = float(np.cbrt(np.linalg.det(own[:3, :3])))
    turn = own[:3, :3].T / size
    return Frame(turn, turn @ own[:3, 3], size)


def front_of(up: str, front: str | None) -> str:
    """The front axis: as given, else what is usual with this axis up; auto if up is to be found, too."""
    return front or USUAL_FRONT[up.removeprefix("-")]


def turn_of(up: str, front: str | None) -> np.ndarray:
    """The rotation (3, 3) of a frame with these axes to y up and front at -z."""
    y, z = axis(up), -axis(front_of(up, front))
    return np.stack([np.cross(y, z), y, z])


def axis(name: str) -> np.ndarray:
    """The unit vector (3,) of one of the choices of --up and --front."""
    vector = np.zeros(3)
    vector["xyz".index(name[-1])] = -1.0 if name.startswith("-") else 1.0
    return vector


def to_unit_box(mesh: Mesh, up: str = "y", front: str | None = None) -> tuple[Mesh, Frame]:
    """The mesh turned, its box centre at the origin and its longest side 1: inside [-0.5, 0.5]^3; and its own frame."""
    vertices, frame = points_in_unit_box(mesh.vertices, up, front)
    return Mesh(vertices, mesh.faces), frame


def points_in_unit_box(points: np.ndarray, up: str = "y", front: str | None = None) -> tuple[np.ndarray, Frame]:
    """`to_unit_box` of points (N, 3): float64. Raises ValueError if all are at one place."""
    turn = turn_of(up, front)
    turned = np.asarray(points, dtype=np.float64) @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    if not (high > low).any():
        raise ValueError("zero extent: all points are at one place")
    frame = Frame(turn, (low + high) / 2, float((high - low).max()))
    return (turned - frame.centre) / frame.size, frame
