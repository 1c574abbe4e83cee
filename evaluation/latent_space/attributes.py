"""What codes know of a car: the parameters that demo cars were made from, read from their codes by regression."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.options import Config
from evaluation.latent_space.code_features import Codes, codes_of_decoded, flat, noised_codes, occupied_nodes, spread_of
from evaluation.latent_space.parameters import Car, demo_parameters, find_parameters
from evaluation.latent_space.ridge import (
    Array,
    Features,
    Reading,
    linear_reading,
    principal_coordinates,
    quadratic_reading,
)
from frozen.codes import load_codes
from generation.networks import Networks
from generation.sampling import drawn_codes
from runtime.layout import DEMO_PARAMETERS
from runtime.seeds import NOISE_STREAMS

RESOLUTIONS = (32, 64)  # of the input occupancies, the bar for codes
NUM_SAMPLES = 500  # of the flow; none is decoded
LEAST_TRAINING, LEAST_TEST = 3, 2  # cars


@dataclass
class DemoCars:
    """The demo cars of a split. codes: (S, *code_shape), one per car, not mirrored."""

    codes: Codes
    folders: list[Path]
    parameters: list[Car]


class Readings(NamedTuple):
    """What each regression gives for all targets (columns) of training cars left out and of others.

    The others, in turn: all test cars; of codes also the first test cars, decoded and encoded again, and samples of the
    flow (none without a flow). The regression of `noised` is fitted to codes with noise, and reads test codes with
    noise; the others are read as they are.
    """

    linear: Reading
    quadratic: Reading
    noised: Reading
    inputs: dict[int, Reading]  # resolution -> reading


class Targets:
    """The parameters of training cars as columns of numbers, (n, t).

    Attributes: parameters; left_out: names of those that cannot be read, by what they lack; columns: name -> slice;
    values (n, t); groups (t,): number of the parameter of each column.
    """

    def __init__(self, train: Sequence[Car], test: Sequence[Car]):
        self.parameters, self.left_out = find_parameters(train, test)
        blocks = [parameter.targets(train) for parameter in self.parameters]
        widths = [block.shape[1] for block in blocks]
        ends = np.cumsum(widths).tolist()
        places = zip(self.parameters, widths, ends, strict=True)
        self.columns = {parameter.name: slice(end - width, end) for parameter, width, end in places}
        self.values: Array = np.concatenate([np.empty((len(train), 0)), *blocks], axis=1)
        self.groups: NDArray[np.int64] = np.repeat(np.arange(len(blocks)), widths)


def read_cars(cfg: Config) -> tuple[DemoCars, DemoCars]:
    """The demo cars among the training and the test shapes. Raises UserError if there are no codes yet."""
    found = []
    for split in ("train", "test"):
        stored = load_codes(cfg, split)
        plain = stored.plain_indices()
        every = stored.folders(cfg)
        folders = [every[i] for i in plain]
        parameters = [demo_parameters(folder, cfg.data) for folder in folders]
        kept = [n for n, one in enumerate(parameters) if one is not None]
        codes = stored.codes[[plain[n] for n in kept]]
        found.append(DemoCars(codes, [folders[n] for n in kept], [one for one in parameters if one is not None]))
    return found[0], found[1]


def problem_of_cars(train: DemoCars, test: DemoCars) -> str:
    """Why nothing can be read, in one line; or nothing."""
    num_train, num_test = len(train.folders), len(test.folders)
    if num_train < LEAST_TRAINING or num_test < LEAST_TEST:
        return (
            f"attributes need {LEAST_TRAINING} training and {LEAST_TEST} test shapes with a {DEMO_PARAMETERS} beside"
            f" them, found {num_train} and {num_test}: only demo cars have it, see dataprocessing/make_demo_cars.py"
        )
    if not find_parameters(train.parameters, test.parameters)[0]:
        return f"attributes need parameters that vary; those in {DEMO_PARAMETERS} of {num_train} training cars do not"
    return ""


def read_attributes(networks: Networks, targets: Targets, train: DemoCars, test: DemoCars) -> Readings:
    """All readings of the targets, from codes and from input clouds; decodes at most num_attribute_shapes test cars."""

    def fit(rows: Sequence[Features]) -> Reading:
        return linear_reading(principal_coordinates(*rows), targets.values, targets.groups)

    again = codes_of_decoded(networks, test.codes[: networks.cfg.analysis.num_attribute_shapes])
    samples = test.codes[:0]
    if networks.has_flow:
        samples = drawn_codes(networks, NUM_SAMPLES, networks.cfg.run.seed).cpu().numpy()
    coordinates = principal_coordinates(*map(flat, (train.codes, test.codes, again, samples)))
    linear = linear_reading(coordinates, targets.values, targets.groups)
    quadratic = quadratic_reading(coordinates, targets.values, targets.groups, linear)

    spread = spread_of(train.codes)
    noised = [noised_codes(networks, part.codes, spread, NOISE_STREAMS + n) for n, part in enumerate((train, test))]
    occupied = occupied_nodes(train.folders + test.folders, RESOLUTIONS, networks.cfg)
    count = len(train.folders)
    inputs = {resolution: fit((nodes[:count], nodes[count:])) for resolution, nodes in occupied.items()}
    return Readings(linear, quadratic, fit([flat(part) for part in (*noised, again, samples)]), inputs)
