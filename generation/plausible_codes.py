"""Codes off the training data are recognised, and brought back to where the decoder has seen codes.

A decoder is smooth only near the codes that it was trained on. The code of a shape unlike those, a car with a wing
perhaps, may decode to points all over the box. The flow tells: it maps the codes of its training, with their noise, to
z within its base, one Gaussian or many, so a z that is farther from the nearest of these, in its standard deviations,
than nearly all of theirs belongs to a code off the data. (Of one standard normal that is |z|.) That z is brought nearer
along a straight line, which keeps what is particular about the shape but makes it less extreme, and then fitted to the
shape's input points under the flow's prior. All other codes stay as they are, bit for bit.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from frozen.checkpoint_files import load_checkpoint
from generation.cloud_files import read_index
from generation.code_fitting import CodeFit
from generation.networks import Networks
from models.distance_network import Code
from runtime.layout import INDEX
from runtime.reading import reading
from runtime.seeds import FIT_STREAMS, random_stream

QUANTILE = 0.999  # of the distance of z from its base, over the training codes; farther z are off the data
BROUGHT_BACK = "brought_back"  # key of index.json: what was found, unlike its other keys, which decide the files
FACTS = ("z_norm", "error_before", "error_after")  # of a code that was brought back; also in the file of its cloud


def applies(networks: Networks) -> bool:
    """Whether codes off the data are brought back: vectors, with a flow, unless turned off."""
    return bool(networks.cfg.plausible.plausible and networks.has_flow and networks.ndf.code_kind == "vector")


def largest_norm(networks: Networks) -> float:
    """The distance of z from its base beyond which a code is off the data: `QUANTILE` of it over the training codes.

    At least that of the flow's own samples, which few training codes may fall short of, and which stands alone for
    checkpoints of an earlier version.
    """
    of_samples = math.sqrt(2 * gammaincinv(networks.flow.dim / 2, QUANTILE))  # of chi: scipy.stats loads slowly
    with reading(networks.rnvp_path, "its quantiles are no numbers: is it complete?"):
        stored = load_checkpoint(networks.rnvp_path).get("quantiles", {}).get("z_norm", {})
        return max(of_samples, float(stored.get(str(QUANTILE), of_samples)))


class PlausibleCodes(Sequence[Code]):
    """Codes, each a batch of one; those off the data are brought back on access.

    Attributes: radius, the largest distance from the base of a code on the data; brought_back: shape -> its own and, in
    mesh units, the `CodeFit.error` of its code and of the one in its place, of those accessed so far; number: of the
    random stream of a shape.
    """

    def __init__(
        self, networks: Networks, names: Sequence[str], codes: Sequence[Code], cloud: Callable[[int], np.ndarray]
    ):
        """codes: of the shapes `names`; cloud: gives the input points (n, 3) of a shape by its number."""
        self.networks, self.names, self.codes, self.cloud = networks, names, codes, cloud
        self.radius = largest_norm(networks)
        self.number: Callable[[int], int] = lambda n: n
        self.brought_back: dict[str, dict[str, float]] = {}

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, n: Any) -> Any:
        code = self.codes[n]
        with torch.no_grad():
            z, _ = self.networks.flow(code)
        norm = self.networks.flow.base.distance(z).item()
        return code if norm <= self.radius else self._bring_back(n, code, z, norm)

    def _bring_back(self, n: int, code: Tensor, z: Tensor, norm: float) -> Tensor:
        cfg, flow = self.networks.cfg, self.networks.flow
        fit = CodeFit(self.networks, self.cloud(n), random_stream(cfg.run.seed, FIT_STREAMS + self.number(n)))
        z = z if math.isfinite(norm) else torch.zeros_like(z)  # the mean shape
        if cfg.plausible.fit_steps:
            z = fit.fitted(fit.start(z, self.radius), self.radius, cfg.plausible.fit_steps)
        with torch.no_grad():
            plausible = flow.inverse(flow.base.into_ball(z, self.radius))
            errors = fit.error(code).item(), fit.error(plausible).item()
        self.brought_back[self.names[n]] = dict(zip(FACTS, (norm, *errors), strict=True))
        return plausible

    def facts_of(self, n: int) -> dict[str, float]:
        """What the file of the cloud of shape n stores of its code; nothing if it was not brought back."""
        return self.brought_back.get(self.names[n], {})

    def options(self) -> dict[str, Any]:
        """What decides the codes, for an index of files made of them."""
        return {"largest_z_norm": self.radius, "fit_steps": self.networks.cfg.plausible.fit_steps}


def as_plain(found: dict[str, Any]) -> dict[str, float | None]:
    """Numbers as an index of files holds them: None stands for what is not finite."""
    return {key: value if math.isfinite(value) else None for key, value in found.items()}


def brought_back_sentence(folder: Path) -> str:
    """What the index of a folder of shapes says of brought-back codes, as a sentence; empty if there are none."""
    index_path = folder / INDEX
    index = read_index(index_path) if index_path.is_file() else {}
    found = index.get(BROUGHT_BACK)
    if not found:
        return ""
    with reading(index_path, "delete it, and make the clouds again with generate.py"):
        norms = [one["z_norm"] for one in found.values() if one["z_norm"] is not None]
        sizes = [f"up to {max(norms):.1f}"] if norms else []
        sizes += ["not finite"] if len(norms) < len(found) else []
        how = "fitting plausible codes to their input points" if index["plausible"]["fit_steps"] else "shortening z"
        return (
            f"{len(found)} of {len(index['shapes'])} shapes have codes unlike those of the training shapes"
            f" (distance from the flow's base {' or '.join(sizes)}, at most"
            f" {index['plausible']['largest_z_norm']:.1f} expected); they were brought back by {how}"
            " (--plausible false turns this off)"
        )
