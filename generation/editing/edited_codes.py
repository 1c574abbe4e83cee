"""The codes of some starts in all degrees of an attribute."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from generation.editing.attributes import Array, Attribute, Attributes
from generation.editing.moves import moved
from generation.latents import codes_of, latents_of
from generation.networks import Networks
from generation.plausible_codes import largest_norm
from generation.shapes import CodesOnAccess


@dataclass(frozen=True)
class Aim:
    """What an edit asks for. label: for names of files and pictures; reading: (width,), None to leave it as it is."""

    label: str
    reading: Array | None = None
    by: float = 0.0  # added to the reading, in standard deviations

    @property
    def to(self) -> list[float] | None:
        return None if self.reading is None else self.reading.tolist()


class EditedCodes(CodesOnAccess):
    """The codes of each start (1, D) in all degrees `aims` of an attribute, each a batch of one, made on access.

    As likely as codes of the training are, by the length of z, if that allows less than was asked for.
    """

    def __init__(
        self,
        networks: Networks,
        attributes: Attributes,
        attribute: Attribute,
        starts: Sequence[Tensor],
        aims: Sequence[Aim],
    ):
        self.networks, self.attributes, self.attribute = networks, attributes, attribute
        self.starts, self.aims = starts, aims
        self.num, self.radius = len(starts) * len(aims), largest_norm(networks)

    def made(self, n: int) -> Tensor:
        code, aim = self.starts[n // len(self.aims)], self.aims[n % len(self.aims)]
        return code if (reading := self.aim_of(code, aim)) is None else self._edited(code, reading)

    def aim_of(self, code: Tensor, aim: Aim) -> Array | None:
        """The reading (width,) that is asked for; None: the code as it is, since nothing is, or it has that already."""
        found: Array = self.attributes.read(code.cpu().numpy())[0][self.attribute.columns]
        if aim.reading is None:
            return None if aim.by == 0 else found + aim.by * self.attribute.sd
        return None if self.attribute.goes_beyond(found, aim.reading) else aim.reading

    def _edited(self, code: Tensor, reading: Array) -> Tensor:
        networks = self.networks
        z = latents_of(networks, code)
        found = moved(networks.flow, z, self.attributes, self.attribute, reading, networks.cfg.editing.hold)
        base = networks.flow.base
        return codes_of(networks, base.into_ball(found, max(self.radius, base.distance(z).item())))
