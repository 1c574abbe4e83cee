"""Ways to edit an attribute, to be compared: each turns a code (1, D) into one whose reading is as asked."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from generation.editing.attributes import Array, Attribute, Attributes
from generation.editing.moves import moved
from generation.latents import codes_of, latents_of, whitened
from generation.networks import Networks
from generation.plausible_codes import largest_norm
from generation.sampling import drawn_codes
from models.real_nvp.whitening import PCAWhitening

NUM_SAMPLES = 4000  # of the flow, among which neighbours are looked for
NEIGHBOURS = 24
WINDOW = 0.3  # standard deviations: a sample with a reading so near counts as having it
FIRST_SAMPLE = 10_000  # their numbers start here: none of them is edited
Way = Callable[[Tensor, Attribute, Array], Tensor]  # code (1, D), attribute, reading (width,) -> code (1, D)


def all_ways(networks: Networks, attributes: Attributes) -> dict[str, Way]:
    """The ways by name; the last is that of `generate.py --mode edit`."""
    neighbours = NeighbourWay(networks, attributes)
    found: dict[str, Way] = {"neighbours' difference": neighbours}
    for hold in (0.0, 10.0):
        found[f"code space, hold {hold:g}"] = CodeWay(networks, attributes, hold)
    for hold in (0.0, 1.0, 100.0, networks.cfg.hold):
        found[f"z, hold {hold:g}"] = LatentWay(networks, attributes, hold)
    return found | {
        f"z, hold {networks.cfg.hold:g}, in the ball": LatentWay(networks, attributes, networks.cfg.hold, True)
    }


class LatentWay:
    """`moved`; in_ball: and shortened to the length of z that nearly all training codes have."""

    def __init__(self, networks: Networks, attributes: Attributes, hold: float, in_ball: bool = False):
        self.networks, self.attributes, self.hold = networks, attributes, hold
        self.radius = largest_norm(networks) if in_ball else torch.inf

    def __call__(self, code: Tensor, attribute: Attribute, aim: Array) -> Tensor:
        z = latents_of(self.networks, code)
        found = moved(self.networks.flow, z, self.attributes, attribute, aim, self.hold)
        base = self.networks.flow.base
        return codes_of(self.networks, base.into_ball(found, max(self.radius, base.distance(z).item())))


class CodeWay:
    """The same in code space, by the codes' covariance (that of the flow's whitening), where it is a closed form."""

    def __init__(self, networks: Networks, attributes: Attributes, hold: float):
        self.attributes, self.hold = attributes, hold
        whitening = networks.flow.whitening
        assert isinstance(whitening, PCAWhitening)  # of vectors
        root = (whitening.rotation * whitening.sd).double().cpu().numpy()
        self.precision = np.linalg.inv(root @ root.T)

    def __call__(self, code: Tensor, attribute: Attribute, aim: Array) -> Tensor:
        attributes, held = self.attributes, self.attributes.held(attribute)
        soft = attributes.weights[:, held] / attributes.scales[held]
        precision = self.precision + self.hold * soft @ soft.T
        w = attributes.weights[:, attribute.columns]
        pull = np.linalg.solve(precision, w)
        missing = aim - attributes.read(code.cpu().numpy())[0][attribute.columns]
        change = pull @ np.linalg.lstsq(w.T @ pull, missing, rcond=1e-8)[0]
        return code + torch.from_numpy(change).to(code)


class NeighbourWay:
    """The mean difference of two kinds of samples near the code: those read as the aim, and those read as it is."""

    def __init__(self, networks: Networks, attributes: Attributes):
        self.networks, self.attributes = networks, attributes
        self.codes = drawn_codes(networks, NUM_SAMPLES, networks.cfg.seed, FIRST_SAMPLE)
        self.whitened = whitened(networks, self.codes)
        self.read = attributes.read(self.codes.cpu().numpy())

    def __call__(self, code: Tensor, attribute: Attribute, aim: Array) -> Tensor:
        own = self.attributes.read(code.cpu().numpy())[0][attribute.columns]
        return code + self._mean_near(code, attribute, aim) - self._mean_near(code, attribute, own)

    def _mean_near(self, code: Tensor, attribute: Attribute, reading: Array) -> Tensor:
        columns = attribute.columns
        off = np.abs((self.read[:, columns] - reading) / self.attributes.scales[columns]).max(axis=1)
        alike = np.flatnonzero(off <= max(WINDOW, np.sort(off)[NEIGHBOURS - 1]))  # where there are few: the nearest
        distance = (self.whitened[alike] - whitened(self.networks, code)).norm(dim=1)
        nearest = distance.argsort()[:NEIGHBOURS].cpu().numpy()
        return self.codes[alike[nearest]].mean(dim=0, keepdim=True)
