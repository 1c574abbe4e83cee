"""Options of complete.py, and of the tool that makes partial scans."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from configs.options.types import Group, not_negative, option, positive

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class ScanTool(Group, title="partial scan", about="made from a mesh, for tests and demos"):
    scanned_mesh: str | None = option(None, "the mesh that is scanned; any format, brought to mesh units first")
    kind: Literal["view", "half", "sparse"] = option(
        "view", "what one depth view sees, one half (left, right, front or rear, by the seed), or few points all over"
    )
    scan_size: int | None = option(None, "points of the scan; default: 3000, sparse 300", positive)
    scan_noise: float = option(0.0, "sd of the points' errors, mesh units", not_negative)


@dataclass(frozen=True)
class Completion(Group, title="completion", about="whole shapes from a partial scan", decides="chains"):
    scan: str | None = option(
        None, "the partial scan, points (.ply .npz .npy .xyz .pts .pcd .las .laz) or a mesh, in mesh units", decides=""
    )
    truth: str | None = option(
        None, "the whole shape, a cloud or a mesh, for the picture and the distances", decides=""
    )
    fit: bool = option(
        False,
        "centre the scan's own box and make its longest side 1; wrong if the scan lacks an end of the car",
        flag=True,
    )
    camera: tuple[float, float, float] | None = option(
        None,
        "where a depth view was taken from, in the scan's units: its rays tell what is empty",
        metavar=("X", "Y", "Z"),
    )
    covered: tuple[float, float, float, float, float, float] | None = option(
        None,
        "a box, in the scan's units, in which the scan covers the whole surface: what is far from it is empty",
        metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
    )
    num_chains: int = option(6, "chains, each of which gives one completion", positive)
    num_completion_points: int = option(50_000, "points of each completion", positive, decides="cloud")
    scan_points: int = option(512, "points of the scan that are used, spread evenly", positive)
    scan_sd: float = option(
        0.005, "sd of the decoder's distance at a point of the true surface, and of the scan, mesh units", positive
    )
    scan_cell: float = option(
        0.1, "points within a cell of this side count as one independent observation, mesh units", positive
    )
    num_starts: int = option(200, "samples of the flow that a chain may start from", positive)
    map_steps: int = option(80, "steps of the search for each chain's start", not_negative)
    warmup: int = option(15, "first moves of a chain, which set its step size", positive)
    draws: int = option(36, "moves of a chain after these", positive)
    leapfrog: int = option(5, "mean number of leapfrog steps of a move", positive)
