"""Which measure sees which defect? python -m lab.measurements.defect_table --config configs/demo_cars_pretrained.txt

Demo cars of seed 1, made and encoded in memory: num_eval_shapes of them are the references, as many others the samples,
and as many again say how far each measure scatters by chance. All are decoded; then a defect is put into every sample:
into its field (a hole in the roof, a torn roof, a floating piece), its cloud (noise), its code (noise, or half of the
code of an unlike car), or the set (no vans and box trucks). Prints a Markdown table of each measure without and with
each defect, bold where it is seen: worse by more than 3 standard deviations of random sets of good cars. Unsettled
surface, pieces and borders are those of the first num_whole_shapes. 48 and 20 cars (--num_eval_shapes 48
--num_whole_shapes 20) take about 8 minutes on one core with the weights that come along.
"""

import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from tqdm import tqdm

from configs.config_loader import get_config
from configs.options import Config
from dataprocessing.extra_shapes import demo_source, extra_cloud
from demo_cars.parameters import draw_parameters
from evaluation.wholeness import wholeness
from frozen.loading import encode_clouds
from generation.decode import field_of
from generation.distance_fields import DistanceField
from generation.networks import Networks
from generation.projection import dense_point_cloud
from lab.measurements.defects import (
    OF_CODES,
    Points,
    Top,
    is_seen,
    measures_of_clouds,
    measures_of_codes,
    measures_of_shapes,
    pairs,
    spread_by_chance,
    top_of,
    with_hole,
    with_piece,
    with_tear,
)
from runtime.errors import run
from training.code_nna import code_coordinates

SEED, POINTS = 1, 1024
POINT_NOISE, CODE_NOISE = 0.01, 0.3  # mesh units; of the codes' spread
TALL = ("van", "long_van", "step_van", "minibus", "box_truck", "cab_over_truck")
TITLES = {
    "unsettled": ("unsettled %", 100), "pieces": ("loose pieces", 1), "border": ("open border", 1),
    "nna_codes": ("1-NNA codes %", 100), "nna_cd": ("1-NNA CD %", 100), "cov": ("COV %", 100), "mmd": ("MMD x1e4", 1e4),
    "nna_density": ("1-NNA density-aware CD %", 100), "nna_normals": ("1-NNA normals %", 100),
}  # fmt: skip
DIGITS = {key: 0 if title.startswith(("1-NNA", "COV")) else 2 for key, (title, _) in TITLES.items()}


class Cars:
    """Good cars: their codes (S, D), clouds, and the middles of their roofs."""

    def __init__(self, networks: Networks, count: int):
        self.networks, cfg = networks, networks.cfg
        self.styles = [draw_parameters(SEED, n)["style"] for n in range(count)]
        # The last quarter stands in for tall cars, and has as many others as it takes.
        sources = [n for n in range(count) if n < 3 * count // 4 or self.styles[n] not in TALL]
        num_tall = sum(style in TALL for style in self.styles[count // 4 : count // 2])
        numbers = sources[: 3 * count // 4 + num_tall]
        shapes = demo_source(count, SEED, set()).shapes
        inputs = [extra_cloud(shapes[n], cfg)[None] for n in tqdm(numbers, desc="cars", disable=None)]
        codes = [encode_clouds(networks.ndf, one, cfg, networks.device).float() for one in inputs]
        self.codes = torch.cat(codes)
        self.tops: list[Top] = [top_of(one[0]) for one in inputs]
        fields = (field_of(networks, code) for code in codes)
        self.clouds = [self.cloud(field, n) for n, field in enumerate(tqdm(fields, total=len(codes), disable=None))]

    def code(self, n: int) -> torch.Tensor:
        return self.codes[n : n + 1]

    def cloud(self, field: DistanceField, n: int) -> Points:
        """The cloud that generate.py would make of a field, of `POINTS` points."""
        stream = torch.Generator().manual_seed(n)
        cfg = self.networks.cfg
        points = dense_point_cloud(field, POINTS, stream, cfg.decoding.num_steps, cfg.decoding.filter_val, 10 * POINTS)
        return Points.of(points.cpu().numpy())

    def whole(self, field: DistanceField, n: int) -> list[float]:
        found = wholeness(field, torch.Generator().manual_seed(n))
        return [found.unsettled, found.pieces, found.border_length]


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv)
    torch.set_num_threads(1)
    networks = Networks(cfg)
    study = Study(Cars(networks, 4 * cfg.evaluation.num_eval_shapes), cfg)
    print("| defect | " + " | ".join(title for title, _ in TITLES.values()) + " |")
    print("| --- |" + " ---: |" * len(TITLES))
    chance = " | ".join(f"± {TITLES[key][1] * study.by_chance[key]:.{DIGITS[key]}f}" for key in TITLES)
    print(f"| good cars: standard deviation by chance | {chance} |")
    for name, row in (("none", lambda: study.good), *study.defects()):
        found = row()
        print(f"| {name} | " + " | ".join(cell(key, found, study) for key in TITLES) + " |", flush=True)
    return 0


def cell(key: str, row: dict[str, float], study: "Study") -> str:
    if key not in row:
        return "-"
    text = f"{TITLES[key][1] * row[key]:.{DIGITS[key]}f}"
    return f"**{text}**" if is_seen(key, study.good[key], row[key], study.by_chance[key]) else text


class Study:
    """The measures of good samples (`good`), how far they scatter (`by_chance`), and those of defective ones.

    Cars 0 to n - 1 are the references, the next n the samples, the next n more good ones; the last n stand in for
    samples that are left out.
    """

    def __init__(self, cars: Cars, cfg: Config):
        self.cars, self.num = cars, cfg.evaluation.num_eval_shapes
        self.num_whole = min(cfg.evaluation.num_whole_shapes, self.num)
        n = self.num
        self.samples = list(range(n, 2 * n))
        self.references = cars.clouds[:n]
        self.rr = pairs(self.references)
        pool = cars.clouds[n : 3 * n]
        rs, ss = pairs(self.references, pool), pairs(pool)
        coordinates = self.coordinates(cars.codes[: 3 * n])
        self.reference_codes, pool_codes = coordinates[:n], coordinates[n:]
        measured = range(n, n + 2 * self.num_whole)
        whole = np.array([self.whole(i) for i in tqdm(measured, disable=None)])

        def of_clouds(chosen: np.ndarray) -> dict[str, float]:
            return measures_of_clouds(self.rr, rs[:, :, chosen], ss[:, chosen][:, :, chosen])

        def of_codes(chosen: np.ndarray) -> dict[str, float]:
            return measures_of_codes(self.reference_codes, pool_codes[chosen])

        def of_shapes(chosen: np.ndarray) -> dict[str, float]:
            return measures_of_shapes(whole[chosen])

        first, few = np.arange(n), np.arange(self.num_whole)
        self.good = of_clouds(first) | of_codes(first) | of_shapes(few)
        self.by_chance = {}
        for measure, size in ((of_clouds, n), (of_codes, n), (of_shapes, self.num_whole)):
            self.by_chance |= spread_by_chance(measure, 2 * size, size)

    def coordinates(self, codes: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return code_coordinates(self.cars.networks.flow, codes)

    def defects(self) -> list[tuple[str, Callable[[], dict[str, float]]]]:
        return [
            ("hole in the roof", lambda: self.of_fields(with_hole)),
            ("roof torn, its field above 0", lambda: self.of_fields(with_tear)),
            ("floating piece", lambda: self.of_fields(with_piece)),
            ("codes of two unlike cars mixed", lambda: self.of_codes(self.mixed())),
            (f"noise on codes, sd {CODE_NOISE:g} of their spread", lambda: self.of_codes(self.noised())),
            (f"noise on points, sd {POINT_NOISE:g}", self.of_noisy_points),
            ("no vans and box trucks", self.without_tall_cars),
        ]

    def of_fields(self, change: Callable[[DistanceField, Top], DistanceField]) -> dict[str, float]:
        """A defect of the decoded field; codes are those of good cars."""
        cars = self.cars
        fields = {n: change(field_of(cars.networks, cars.code(n)), cars.tops[n]) for n in self.samples}
        return self.of_decoded(fields) | {key: self.good[key] for key in OF_CODES}

    def of_codes(self, codes: torch.Tensor) -> dict[str, float]:
        """Samples with other codes (S, D), decoded."""
        fields = {n: field_of(self.cars.networks, code) for n, code in zip(self.samples, codes.split(1), strict=True)}
        return self.of_decoded(fields) | measures_of_codes(self.reference_codes, self.coordinates(codes))

    def of_decoded(self, fields: dict[int, DistanceField]) -> dict[str, float]:
        clouds = [self.cars.cloud(field, n) for n, field in tqdm(fields.items(), desc="clouds", disable=None)]
        some = list(fields.items())[: self.num_whole]
        whole = np.array([self.cars.whole(field, n) for n, field in tqdm(some, desc="wholeness", disable=None)])
        return self.of_clouds(clouds) | measures_of_shapes(whole)

    def of_clouds(self, clouds: list[Points]) -> dict[str, float]:
        return measures_of_clouds(self.rr, pairs(self.references, clouds), pairs(clouds))

    def mixed(self) -> torch.Tensor:
        """Half of each sample's code, half of the farthest of all samples'."""
        codes = self.cars.codes[self.samples]
        coordinates = self.coordinates(codes)
        return (codes + codes[torch.cdist(coordinates, coordinates).argmax(dim=1)]) / 2

    def noised(self) -> torch.Tensor:
        flow, codes = self.cars.networks.flow, self.cars.codes[self.samples]
        return flow.unwhiten(flow.whiten_noised(codes, CODE_NOISE, torch.Generator().manual_seed(0)))

    def of_noisy_points(self) -> dict[str, float]:
        """Of clouds alone: there is neither a field nor a code."""
        rng = np.random.default_rng(0)
        clean = [self.cars.clouds[n].tree.data for n in self.samples]
        return self.of_clouds([Points.of(one + POINT_NOISE * rng.normal(size=one.shape)) for one in clean])

    def without_tall_cars(self) -> dict[str, float]:
        """Samples of the styles `TALL` are replaced by further cars of other styles."""
        further = iter(range(3 * self.num, len(self.cars.codes)))
        chosen = [next(further) if self.cars.styles[n] in TALL else n for n in self.samples]
        print(f"{sum(n >= 3 * self.num for n in chosen)} of {self.num} samples are vans or box trucks", file=sys.stderr)
        codes = self.coordinates(self.cars.codes[chosen])
        found = self.of_clouds([self.cars.clouds[n] for n in chosen]) | measures_of_codes(self.reference_codes, codes)
        return found | measures_of_shapes(np.array([self.whole(n) for n in chosen[: self.num_whole]]))

    @cache  # noqa: B019  the study lives as long as the program
    def whole(self, n: int) -> list[float]:
        """Unsettled share, pieces and border of good car n."""
        return self.cars.whole(field_of(self.cars.networks, self.cars.code(n)), n)


if __name__ == "__main__":
    run(main)
