"""The shapes of `generate.py --mode edit`: samples and test shapes, each in several degrees of an attribute."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from torch import Tensor

from configs.options.types import needed
from frozen.checkpoint_files import fingerprint
from generation.editing.attributes import FIT, Attribute, attributes_path, load_attributes
from generation.editing.edited_codes import Aim, EditedCodes
from generation.editing.report import report
from generation.networks import Networks
from generation.reconstructions import find_shape, reconstructed
from generation.sampling import sampled_codes, sampling_facts
from generation.shapes import Group, Shapes
from runtime.errors import UserError

LARGEST_STEP = 2.0  # standard deviations, of the default steps
UNCHANGED = "as it is"


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
    attribute = attributes.find(needed(cfg.editing.attribute, "attribute"))
    aims, wanted = asked(networks, attribute), list(dict.fromkeys(cfg.editing.edit_shapes))
    tests = cache(partial(reconstructed, networks))  # only if one is asked for, and then once
    starts, about = zip(*(start_code(networks, shape, tests) for shape in wanted), strict=True)
    if starts[0].shape[1] != len(attributes.weights):
        raise UserError(
            f"{attributes_path(cfg.editing, cfg.experiment)} is of codes of {len(attributes.weights)} numbers, these"
            f" have {starts[0].shape[1]}; make it again with: {FIT} --config {cfg.run.config}"
        )
    common = {
        "attribute": attribute.name,
        "attributes_sha256": fingerprint(attributes_path(cfg.editing, cfg.experiment)),
        "hold": cfg.editing.hold,
    }
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
        networks.experiment.edits / attribute.name,
        label,
        cfg.generation.num_output_points,
        facts,
        title=attribute.name,
        groups=[Group(numbers, f"walk_{shape}") for shape, numbers in zip(wanted, groups, strict=True)],
        report=lambda folder: report(codes, folder),
    )


def asked(networks: Networks, attribute: Attribute) -> list[Aim]:
    """The degrees of an attribute; where values are given, the shape as it is comes first."""
    cfg = networks.cfg
    if attribute.is_number:
        if cfg.editing.to is None:
            even = np.linspace(-LARGEST_STEP, LARGEST_STEP, cfg.editing.edit_steps).tolist()
            steps = even if cfg.editing.by is None else cfg.editing.by
            return [Aim(f"{amount:+.3g}" if amount else "0", by=amount) for amount in sorted({0.0, *steps})]
        return [
            Aim(UNCHANGED),
            *(Aim(text, np.array([own_unit(text, attribute)])) for text in dict.fromkeys(cfg.editing.to)),
        ]
    if cfg.editing.by is not None:
        raise UserError(f"{attribute.name} is no number: give --to with any of {', '.join(attribute.readings)}")
    wanted = dict.fromkeys(attribute.readings if cfg.editing.to is None else cfg.editing.to)
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


def start_code(networks: Networks, shape: str, tests: Callable[[], Shapes]) -> tuple[Tensor, dict[str, Any]]:
    """The code (1, D) of a sample by its number, or of a test shape by its name, and what decides it."""
    cfg = networks.cfg
    if shape.isdecimal():
        return sampled_codes(networks, 1, cfg.run.seed, int(shape)), {
            "seed": cfg.run.seed,
            **sampling_facts(cfg.decoding),
        }
    found = tests()
    n = find_shape(found.names, shape, default=0)
    code = found.codes[n]
    assert isinstance(code, Tensor)  # of a vector
    return code, {"start": n, **found.facts[n], **found.about}
