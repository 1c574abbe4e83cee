"""New shapes from the flow, each drawn again until it is whole, or taken as it comes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from configs.options import Decoding
from frozen.codes import codes_digest
from generation.decode import field_of
from generation.latents import codes_of, draw_latents, likelihoods
from generation.networks import Networks
from generation.settledness import WHOLE, unsettled_share
from generation.shapes import CodesOnAccess, FactsOnAccess, Shapes, continued
from runtime.seeds import SELECTION_STREAMS, random_stream

if TYPE_CHECKING:
    from visualization.contact_sheet import ShapeRow

NUM_SEEDS = 1024  # by which a draw is judged; what is told of it afterwards comes from others


def sampled(networks: Networks, num: int, seed: int) -> Shapes:
    """New shapes, numbers 0, 1, ... of a seed. Each is independent of the others, of `num` and of the device."""
    networks.flow  # noqa: B018, says what to do if there is none
    return Shapes(
        "sample",
        [str(n) for n in range(num)],
        SampledCodes(networks, num, seed),
        networks.experiment.generation,
        continued("New shapes, sampled from the flow"),
        networks.cfg.generation.num_output_points,
        facts=FactsOnAccess(num, lambda n: {"seed": seed, "number": n, **sampling_facts(networks.cfg.decoding)}),
        above=lambda numbers: examples_above(networks, numbers),
        above_of={"codes": codes_digest(networks.cfg.experiment, "train")},
    )


class SampledCodes(CodesOnAccess):
    """`sampled_codes`, each made on access: a run that finds its clouds there draws none."""

    def __init__(self, networks: Networks, num: int, seed: int):
        self.networks, self.num, self.seed = networks, num, seed

    def made(self, n: int) -> Tensor:
        return sampled_codes(self.networks, 1, self.seed, n)


def examples_above(networks: Networks, numbers: Sequence[int]) -> "list[ShapeRow]":
    """Training shapes, over the first of the new ones."""
    from generation.sheet_rows import example_rows

    return example_rows(networks, len(numbers)) if numbers[0] == 0 else []


def sampled_codes(networks: Networks, num: int, seed: int, first: int = 0) -> Tensor:
    """The codes (num, *code_shape) of shapes number first, first + 1, ... of a seed, as `generate.py` samples them.

    Each is the best of at most `best_of` draws, all from one component of the flow's base, by the option `best_by`.
    """
    cfg = networks.cfg
    if cfg.decoding.best_of == 1:
        return drawn_codes(networks, num, seed, first)
    best = likeliest_code if cfg.decoding.best_by == "likely" else settled_code
    return torch.cat([best(networks, seed, first + n) for n in range(num)])


def drawn_codes(networks: Networks, num: int, seed: int, first: int = 0, draw: int = 0) -> Tensor:
    """The codes (num, *code_shape) of draw number `draw` of each shape, unselected: what the flow itself gives."""
    return codes_of(networks, draw_latents(networks.flow, num, seed, first, draw, networks.cfg.decoding.temperature))


def likeliest_code(networks: Networks, seed: int, number: int) -> Tensor:
    """(1, *code_shape): of the draws of a shape the one that the flow finds likeliest."""
    codes = torch.cat([drawn_codes(networks, 1, seed, number, draw) for draw in range(networks.cfg.decoding.best_of)])
    likely = torch.cat([likelihoods(networks, code)[0] for code in codes.split(1)])
    return codes[likely.argmax()][None]


def settled_code(networks: Networks, seed: int, number: int) -> Tensor:
    """(1, *code_shape): the first draw of a shape whose surface is whole; if none is, the most settled one.

    The first, not the best of all: so the draws are the flow's own, less the torn ones, and not the plainest.
    """
    least, best = float("inf"), None
    for draw in range(networks.cfg.decoding.best_of):
        code = drawn_codes(networks, 1, seed, number, draw)
        stream = random_stream(seed, SELECTION_STREAMS + number)
        share = unsettled_share(field_of(networks, code), stream, NUM_SEEDS)
        if best is None or share < least:
            least, best = share, code
        if share <= WHOLE:
            break
    assert best is not None  # best_of is at least 1
    return best


def sampling_facts(decoding: Decoding) -> dict[str, Any]:
    """What decides a sample beside its seed and number."""
    best = {"best_of": decoding.best_of, "best_by": decoding.best_by} if decoding.best_of > 1 else {}
    return {"temperature": decoding.temperature} | best
