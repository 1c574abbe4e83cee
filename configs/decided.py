"""Which files options decide: every artefact, what it is made from, and the options that decide it themselves.

Each option says, where it is declared, which artefacts it decides; that those made from these follow is for the digests
to see (`runtime.artefacts`).
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from configs.options import Config, declared
from runtime.artefacts import Facts

# Artefact -> the artefacts that it is made from; what comes from users (meshes, scans) is not among them.
ARTEFACTS: dict[str, tuple[str, ...]] = {
    "scaled_mesh": (),
    "input": ("scaled_mesh",),  # the voxelized cloud
    "samples": ("scaled_mesh",),  # points with their distances
    "split": (),
    "ndf": ("input", "split"),  # resume refuses another one
    "ndf_best": ("ndf",),  # its best validation value, which starts anew
    "ndf_course": (),  # of its training: resume tells, and goes on
    "codes": ("ndf", "input", "split"),
    "extra_codes": ("ndf",),
    "flow": ("codes", "extra_codes"),
    "flow_best": ("flow",),
    "flow_course": (),
    "attributes": ("ndf",),
    "sample": ("flow",),  # codes of shapes, by what they are
    "reconstruction": ("ndf", "flow", "input", "split"),
    "own_mesh": ("ndf", "flow"),
    "path": ("flow", "input", "split"),
    "edit": ("attributes", "flow", "input", "split"),
    "chains": ("flow",),  # of a scan that is completed
    "cloud": ("sample", "reconstruction", "own_mesh", "path", "edit", "chains"),
    "mesh": ("sample", "reconstruction", "own_mesh", "path", "edit", "chains"),
    "sheet": ("cloud", "mesh", "codes"),
    "movie": ("cloud",),
    "page": ("cloud", "mesh", "split"),
    "set": ("sample", "codes"),
    "wholeness": ("sample", "codes"),
    "matrix": ("set",),
    "tables": ("set", "matrix", "wholeness", "reconstruction", "cloud"),
}


@cache
def deciding(artefact: str) -> tuple[str, ...]:
    """The options that decide an artefact themselves."""
    if artefact not in ARTEFACTS:
        raise KeyError(artefact)
    return tuple(name for name, decided in declared().items() if artefact in decided)


def options_of(artefact: str, cfg: Config | Mapping[str, Any], left_out: Iterable[str] = ()) -> Facts:
    """The values of the options that decide an artefact."""
    names = [name for name in deciding(artefact) if name not in left_out]
    return {name: cfg[name] for name in names} if isinstance(cfg, Mapping) else cfg.values(names)
