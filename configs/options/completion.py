"""Options of complete.py, and of the tool that makes partial scans."""

from configs.options.types import Group, Options, boolean, finite, not_negative, positive


def _add_scan_tool(group: Options) -> None:
    group.add("--scanned_mesh", default=None, help="the mesh that is scanned; any format, brought to mesh units first")
    group.add(
        "--kind",
        choices=["view", "half", "sparse"],
        default="view",
        help="what one depth view sees, one half (left, right, front or rear, by the seed), or few points all over",
    )
    group.add("--scan_size", type=positive(int), default=None, help="points of the scan; default: 3000, sparse 300")
    group.add("--scan_noise", type=not_negative(float), default=0.0, help="sd of the points' errors, mesh units")


def _add_completion(group: Options) -> None:
    group = group.deciding("chains")
    group.add(
        "--scan",
        default=None,
        help="the partial scan: .ply .npz .npy .xyz .obj .off .stl .glb, in mesh units",
        decides="",
    )
    group.add(
        "--truth",
        default=None,
        help="the whole shape, a cloud or a mesh, for the picture and the distances",
        decides="",
    )
    group.add(
        "--fit",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="centre the scan's own box and make its longest side 1; wrong if the scan lacks an end of the car",
    )
    group.add(
        "--camera",
        type=finite,
        nargs=3,
        default=None,
        metavar=("X", "Y", "Z"),
        help="where a depth view was taken from, in the scan's units: its rays tell what is empty",
    )
    group.add(
        "--covered",
        type=finite,
        nargs=6,
        default=None,
        metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
        help="a box, in the scan's units, in which the scan covers the whole surface: what is far from it is empty",
    )
    group.add("--num_chains", type=positive(int), default=6, help="chains, each of which gives one completion")
    group.add(
        "--num_completion_points", type=positive(int), default=50_000, help="points of each completion", decides="cloud"
    )
    group.add("--scan_points", type=positive(int), default=512, help="points of the scan that are used, spread evenly")
    group.add(
        "--scan_sd",
        type=positive(float),
        default=0.005,
        help="sd of the decoder's distance at a point of the true surface, and of the scan, mesh units",
    )
    group.add(
        "--scan_cell",
        type=positive(float),
        default=0.1,
        help="points within a cell of this side count as one independent observation, mesh units",
    )
    group.add("--num_starts", type=positive(int), default=200, help="samples of the flow that a chain may start from")
    group.add("--map_steps", type=not_negative(int), default=80, help="steps of the search for each chain's start")
    group.add("--warmup", type=positive(int), default=15, help="first moves of a chain, which set its step size")
    group.add("--draws", type=positive(int), default=30, help="moves of a chain after these")
    group.add("--leapfrog", type=positive(int), default=8, help="mean number of leapfrog steps of a move")


SCAN_TOOL = Group("partial scan", "made from a mesh, for tests and demos", _add_scan_tool)
COMPLETION = Group("completion", "whole shapes from a partial scan", _add_completion)
