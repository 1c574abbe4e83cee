"""The shapes of `generate.py --mode edit`: samples and test shapes, each in several degrees of an attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from configs.errors import UserError
from frozen.checkpoint_files import fingerprint
from generation.editing.attributes import Array, Attribute, Attributes, attributes_path, load_attributes
from generation.editing.moves import moved
from generation.editing.report import report
from generation.latents import codes_of, latents_of
from generation.networks import Networks
from generation.plausible_codes import largest_norm
from generation.reconstructions import find_shape, reconstructed
from generation.sampling import sampled_codes, sampling_facts
from generation.shapes import Group, Shapes

LARGEST_STEP = 2.0  # standard deviations, of the default steps
UNCHANGED = "as it is"


@dataclass(frozen=True)
class Aim:
    """What an edit asks for. label: for names of files and pictures; reading: (width,), None to leave it as it is."""

    label: str
    reading: Array | None = None
    by: float = 0.0  # added to the reading, in standard deviations

    @property
    def to(self) -> list[float] | None:
        return None if self.reading is None else self.reading.tolist()


class EditedCodes(Sequence[Tensor]):
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
        self.radius = largest_norm(networks)

    def __len__(self) -> int:
        return len(self.starts) * len(self.aims)

    def __getitem__(self, n: Any) -> Any:
        if not 0 <= n < len(self):
            raise IndexError(n)
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
        found = moved(networks.flow, z, self.attributes, self.attribute, reading, networks.cfg.hold)
        base = networks.flow.base
        return codes_of(networks, base.into_ball(found, max(self.radius, base.distance(z).item())))


def edited(networks: Networks) -> Shapes:
    """The shapes that `edit_shapes` names, each in all degrees of the attribute that `by` or `to` asks for.

    Their codes are `EditedCodes`. Raises UserError if codes do not know the attribute, for values that it does not
    have, and for unknown shapes.
    """
    cfg = networks.cfg
    if networks.ndf.code_kind != "vector":
        raise UserError(f"code_kind {networks.ndf.code_kind} found; edits need codes that are vectors")
    networks.flow  # noqa: B018, says what to do if there is none
    attributes = load_attributes(cfg, networks.sources["ndf_sha256"])
    attribute = attributes.find(cfg.attribute)
    aims, wanted = asked(networks, attribute), list(dict.fromkeys(cfg.edit_shapes))
    starts, about = zip(*(start_code(networks, shape) for shape in wanted), strict=True)
    common = {"attribute": attribute.name, "attributes_sha256": fingerprint(attributes_path(cfg)), "hold": cfg.hold}
    facts = [
        {"shape": shape, "asked": aim.label, "by": aim.by, "to": aim.to, **more, **common}
        for shape, more in zip(wanted, about, strict=True)
        for aim in aims
    ]
    codes = EditedCodes(networks, attributes, attribute, starts, aims)
    groups = [range(start, start + len(aims)) for start in range(0, len(facts), len(aims))]

    def label(numbers: Sequence[int]) -> str:
        asked_for = ", ".join(facts[n]["asked"] for n in numbers)
        return f"{facts[numbers[0]]['shape']}: {attribute.name} {asked_for}"

    return Shapes(
        "edit",
        [f"{fact['shape']}_{fact['asked'].replace(' ', '_')}" for fact in facts],
        codes,
        networks.experiment.edits / cfg.attribute,
        label,
        cfg.num_output_points,
        facts,
        title=attribute.name,
        groups=[Group(numbers, f"walk_{shape}") for shape, numbers in zip(wanted, groups, strict=True)],
        report=lambda folder: report(codes, folder),
    )


def asked(networks: Networks, attribute: Attribute) -> list[Aim]:
    """The degrees of an attribute; where values are given, the shape as it is comes first."""
    cfg = networks.cfg
    if attribute.is_number:
        if cfg.to is None:
            steps = np.linspace(-LARGEST_STEP, LARGEST_STEP, cfg.edit_steps).tolist() if cfg.by is None else cfg.by
            return [Aim(f"{amount:+.3g}" if amount else "0", by=amount) for amount in sorted({0.0, *steps})]
        return [Aim(UNCHANGED), *(Aim(text, np.array([own_unit(text, attribute)])) for text in dict.fromkeys(cfg.to))]
    if cfg.by is not None:
        raise UserError(f"{attribute.name} is no number: give --to with any of {', '.join(attribute.readings)}")
    wanted = dict.fromkeys(attribute.readings if cfg.to is None else cfg.to)
    if unknown := [value for value in wanted if value not in attribute.readings]:
        raise UserError(
            f"{attribute.name} is never {unknown[0]!r}; give --to with any of {', '.join(attribute.readings)}"
        )
    return [Aim(UNCHANGED), *(Aim(value, np.array(attribute.readings[value])) for value in wanted)]


def own_unit(text: str, attribute: Attribute) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UserError(f"--to {text} found, a number expected: {attribute.name} is {attribute.mean:.3g} on average")
    return value


def start_code(networks: Networks, shape: str) -> tuple[Tensor, dict[str, Any]]:
    """The code (1, D) of a sample by its number, or of a test shape by its name, and what decides it."""
    cfg = networks.cfg
    if shape.isdecimal():
        return sampled_codes(networks, 1, cfg.seed, int(shape)), {"seed": cfg.seed, **sampling_facts(cfg)}
    found = reconstructed(networks)
    n = find_shape(found.names, shape, default=0)
    code = found.codes[n]
    assert isinstance(code, Tensor)  # of a vector
    return code, {"start": n, **found.facts[n], **found.about}
