"""Learn how codes tell of the attributes of demo cars: `python -m evaluation.editing.fit --config ...`.

No files are needed but the weights: the cars are made and encoded in memory, and their parameters are known from the
generator. Writes `attributes_file` for `generate.py --mode edit`.
"""

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from configs.config_loader import get_config
from dataprocessing.extra_shapes import demo_source
from demo_cars.parameters import draw_parameters
from demo_cars.windows import visible_attributes
from evaluation.latent_space.attributes import Targets
from evaluation.latent_space.code_features import Codes, flat, noise_of, noised_codes, spread_of
from evaluation.latent_space.parameters import Car, Parameter
from evaluation.latent_space.ridge import Array, Ridge, principal_coordinates
from generation.editing.attributes import LEAST_R2, Attribute, Attributes, attributes_path
from generation.networks import Networks
from runtime.errors import UserError, run
from runtime.seeds import EDIT_NOISE_STREAM
from training.extra_codes import encoding, in_batches

LEAST_CARS = 3


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "fit")
    networks = Networks(cfg)
    check_editable(networks)
    cars, codes = demo_codes(networks, cfg.attributes.num_attribute_cars, cfg.codes.extra_demo_seed)
    facts = {"demo_cars": len(cars), "demo_seed": cfg.codes.extra_demo_seed, "noise": noise_of(networks)}
    found = fit_attributes(noised_codes(networks, codes, spread_of(codes), EDIT_NOISE_STREAM), cars)
    found.facts |= facts | {"ndf_sha256": networks.sources["ndf_sha256"]}
    path = attributes_path(cfg)
    found.save(path)
    by_r2 = sorted(found.by_name.values(), key=lambda one: -one.r2)
    known = [one for one in by_r2 if one.r2 >= LEAST_R2]
    print(f"attributes that codes know, with R2: {', '.join(f'{one.name} {one.r2:.2f}' for one in known)}")
    print(f"others: {', '.join(f'{one.name} {one.r2:.2f}' for one in by_r2 if one not in known)}")
    print(f"{len(known)} of {len(by_r2)} attributes can be edited: {path}, {path.stat().st_size / 1e3:.0f} kB")
    return 0


def check_editable(networks: Networks) -> None:
    """Raise UserError unless the experiment has vector codes and a flow."""
    if networks.ndf.code_kind != "vector":
        raise UserError(f"code_kind {networks.ndf.code_kind} found; edits need codes that are vectors")
    networks.flow  # noqa: B018, says what to do if there is none


def demo_codes(networks: Networks, count: int, seed: int) -> tuple[list[Car], Codes]:
    """The attributes and codes (count, D) of demo cars number 0, 1, ... of a seed, made in memory.

    Raises UserError for fewer than `LEAST_CARS`.
    """
    cfg = networks.cfg.changed(code_mirror=False)
    if count < LEAST_CARS:
        raise UserError(f"num_attribute_cars is {count}, {LEAST_CARS} or more expected")
    batches = in_batches(demo_source(count, seed, set()).shapes, cfg, networks.device)
    bar = tqdm(total=count, desc="encoding demo cars", unit="shape", disable=None)
    codes = []
    with bar, encoding(networks.ndf, batches, cfg, networks.device) as encoded:
        for batch in encoded:
            codes.append(batch.codes)
            bar.update(batch.num_shapes)
    return [visible_attributes(draw_parameters(seed, n)) for n in range(count)], np.concatenate(codes)


def fit_attributes(codes: Codes, cars: list[Car]) -> Attributes:
    """Read all parameters of cars from their codes (S, *code_shape) by ridge regression, see `Ridge`."""
    targets = Targets(cars, cars)
    rows = flat(codes).astype(np.float64)
    probes = np.concatenate([np.zeros((1, rows.shape[1])), np.eye(rows.shape[1])])  # readings are linear in the code
    train, at_probes = principal_coordinates(rows, probes)
    ridge = Ridge(train, targets.values, targets.groups)
    offsets, *weights = ridge(at_probes)
    found = [
        describe_attribute(parameter, targets.columns[parameter.name], targets.values, ridge.left_out, cars)
        for parameter in targets.parameters
    ]
    return Attributes(found, np.array(weights) - offsets, offsets, targets.values.std(axis=0), {})


def describe_attribute(
    parameter: Parameter, columns: slice, values: Array, left_out: Array, cars: list[Car]
) -> Attribute:
    """What the fit tells of one parameter: its values (n, t) and readings of cars left out (n, t) in `columns`."""
    true, read = values[:, columns], left_out[:, columns]
    place = (parameter.name, columns.start, columns.stop - columns.start, explained(true, read))
    if parameter.is_number:
        return Attribute(*place, mean=float(true.mean()), sd=float(true.std()))
    labels = parameter.labels(cars)
    means = {str(value): read[labels == n].mean(axis=0).tolist() for n, value in enumerate(parameter.values)}
    return Attribute(*place, readings=means)


def explained(true: NDArray[np.floating], read: NDArray[np.floating]) -> float:
    """R2 of all columns together: 1 - sum of squared errors / sum of squared deviations."""
    return float(1 - np.sum((true - read) ** 2) / np.sum((true - true.mean(axis=0)) ** 2))


if __name__ == "__main__":
    run(main)
