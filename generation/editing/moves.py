"""The edit of a latent z: the least change that moves one reading as asked, and others as little as possible.

It minimises |(z - z_0) / sd|^2 + PULL (edited reading - aim)^2 + hold (changes of the held readings)^2, readings in
their scales, by Levenberg-Marquardt. The readings are linear in the code, and the code a smooth function of z. Where
z_0 is, the flow's base is a Gaussian of these sds (1, if it has one alone), so a small step in them keeps the shape
likely: that is why it is taken there, and not in code space. Where the flow is linear, this is the conditioning of a
Gaussian, in closed form.
"""

import numpy as np
import torch
from torch import Tensor

from generation.editing.attributes import Array, Attribute, Attributes
from models.real_nvp import CodeFlow

PULL = 1000.0  # a tenth of a standard deviation short of the aim costs as much as a step of length 3
MAX_STEPS = 40
LEAST_GAIN = 0.001  # of the objective, below which the search ends
DAMPING, MORE, LESS = 1.0, 4.0, 0.25  # at the first step; factors after a step that failed, or succeeded


class Edit:
    """The squared terms of one edit beside |z - z_0|^2: `terms(z)` (k + m,) and their `slopes(z)` (k + m, D).

    start: z_0 (1, D). aim: (k,), the reading that the edited attribute, of k columns, is to have.
    """

    def __init__(
        self, flow: CodeFlow, start: Tensor, attributes: Attributes, edited: Attribute, aim: Array, hold: float
    ):
        held = attributes.held(edited) if hold > 0 else np.zeros(0, np.int64)
        columns = np.concatenate([np.r_[edited.columns], held])
        weight = np.sqrt(np.repeat([PULL, hold], [edited.width, len(held)])) / attributes.scales[columns]
        self.flow, self.start = flow, start
        self.weights, self.offsets = attributes.weights[:, columns] * weight, attributes.offsets[columns] * weight
        self.wanted: Array = np.concatenate([aim * weight[: edited.width], self._read(start)[edited.width :]])

    def terms(self, z: Tensor) -> Array:
        return self._read(z) - self.wanted

    def slopes(self, z: Tensor) -> Array:
        weights = torch.from_numpy(self.weights.T).to(z)
        with torch.enable_grad():  # a copy of z for each term: all slopes by one pass
            copies = z.detach().expand(len(weights), -1).clone().requires_grad_()
            (found,) = torch.autograd.grad((self.flow.inverse(copies).flatten(1) * weights).sum(), copies)
        return np.asarray(found.double().cpu().numpy())

    @torch.no_grad()
    def _read(self, z: Tensor) -> Array:
        code = self.flow.inverse(z).flatten(1)[0].double().cpu().numpy()
        found: Array = code @ self.weights + self.offsets
        return found


def moved(flow: CodeFlow, z: Tensor, attributes: Attributes, edited: Attribute, aim: Array, hold: float) -> Tensor:
    """z (1, D) whose code has the reading `aim` (edited.width,) of the attribute, nearly, near the given z (1, D)."""
    edit = Edit(flow, z, attributes, edited, aim, hold)
    start = z[0].double().cpu().numpy()
    here: Array = start
    sd = flow.base.nearest(z)[1][0].double().cpu().numpy()
    terms = edit.terms(z)
    least, damping = float(terms @ terms), DAMPING
    slopes = edit.slopes(z)
    for _ in range(MAX_STEPS):
        step = damped_step(start - here, slopes, terms, damping, sd)
        tried = torch.from_numpy(here + step).to(z)[None]
        found = edit.terms(tried)
        cost = float(np.sum(((here + step - start) / sd) ** 2) + found @ found)
        if not cost < least:
            damping *= MORE
            continue
        gain, least, damping = least - cost, cost, damping * LESS
        here, terms = here + step, found
        if gain < LEAST_GAIN * least:
            break
        slopes = edit.slopes(tried)
    return torch.from_numpy(here).to(z)[None]


def damped_step(towards: Array, slopes: Array, terms: Array, damping: float, sd: Array | float = 1.0) -> Array:
    """The x (D,) that minimises |(x - towards) / sd|^2 + |terms + slopes x|^2 + damping |x / sd|^2.

    slopes (m, D), terms (m,), sd (D,).
    """
    precision = np.broadcast_to(1 / np.square(sd), towards.shape)
    matrix = np.diag((1 + damping) * precision) + slopes.T @ slopes
    return np.asarray(np.linalg.solve(matrix, precision * towards - slopes.T @ terms))
