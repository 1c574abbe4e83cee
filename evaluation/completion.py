"""Scores of completed scans: distance to the truth, fit to the scan, diversity; and what a user is told of them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from configs.decided import options_of
from configs.options import Completion
from dataprocessing.surface import at_most
from evaluation.metrics import chamfer_udf, nearest_distances
from generation.cloud_files import Cloud, read_unit_cloud
from generation.completion.scan_files import Scan
from generation.completion.source import MODE, Completed
from generation.shape_folder import ShapeFolder
from runtime.files import write_json

RESULTS = "completion.json"
POINTS = 10_000  # of each cloud that is compared
MIXED = 1.1  # the largest R-hat of chains that agree
MISSED = 2.0  # times scan_sd: a best mode that is farther from the scan does not explain it


def scores_of(cloud: Cloud, scan: Cloud, truth: Cloud | None) -> dict[str, float | None]:
    """chamfer_udf to the truth, if there is one, and the mean squared distance of the scan's points to the cloud.

    Squared mesh units, of at most `POINTS` points each.
    """
    cloud, scan = thinned(cloud), thinned(scan)
    to_cloud = nearest_distances(scan, cloud)[0]
    return {
        "chamfer_udf": None if truth is None else chamfer_udf(cloud, thinned(truth)),
        "scan_to_cloud_sq": float(np.mean(to_cloud**2)),
    }


def diversity(clouds: Sequence[Cloud]) -> float | None:
    """The mean chamfer_udf of pairs of clouds, squared mesh units; None for fewer than two clouds."""
    small = [thinned(cloud) for cloud in clouds]
    pairs = [chamfer_udf(a, b) for a, b in combinations(small, 2)]
    return float(np.mean(pairs)) if pairs else None


def thinned(cloud: Cloud) -> Cloud:
    return at_most(cloud, POINTS, np.random.default_rng(0))


def distances_of(clouds: Mapping[str, Cloud], scan: Cloud, truth: Cloud | None) -> dict[str, Any]:
    """`scores_of` each cloud by name, and the `diversity` of the draws."""
    draws = [cloud for name, cloud in clouds.items() if name != MODE]
    return {"scores": {name: scores_of(cloud, scan, truth) for name, cloud in clouds.items()}} | {
        "diversity": diversity(draws)
    }


def report(folder: ShapeFolder, scan: Scan, truth: Cloud | None) -> Iterator[str]:
    """Write `completion.json` of the completions in a folder: options, weights, chains and scores; yields the table."""
    codes, cfg = folder.shapes.codes, folder.cfg
    assert isinstance(codes, Completed)

    def write() -> dict[str, Any]:
        clouds = {name: read_unit_cloud(folder.cloud(n)) for n, name in enumerate(codes.names)}
        facts = codes.found["facts"] | distances_of(clouds, scan.points, truth)
        about = {"scan": str(cfg.completion.scan), "notes": scan.notes, "options": options_of("chains", cfg)}
        write_json(folder.path / RESULTS, {**folder.networks.sources, **about, **facts})
        return facts

    of = {"clouds": folder.facts_of_files(), **folder.shapes.above_of}
    folder.records.make("report", of, [RESULTS], write)
    yield from completion_lines(folder.records.found("report"), cfg.completion)
    yield f"numbers: {folder.path / RESULTS}"


def completion_lines(facts: Mapping[str, Any], completion: Completion) -> list[str]:
    """A table of the completions, and what is doubtful of the chains, as lines."""
    lines = [
        f"{'cloud':>5} {'log posterior':>14} {'rms of scan':>12} {'acceptance':>11} {'effective':>10} {'CD x1e4':>8}"
    ]
    rms_of_mode = facts["rms_distance_of_scan_of_mode"]
    rows = [(MODE, facts["log_posterior_nats_of_mode"], rms_of_mode, None, None)]
    names = ("log_posterior_nats", "rms_distance_of_scan", "acceptance", "effective_draws_of_z")
    rows += [(str(n), *numbers) for n, numbers in enumerate(zip(*(facts[name] for name in names), strict=True))]
    for name, log_posterior, rms, acceptance, effective in rows:
        chamfer = facts["scores"][name]["chamfer_udf"]
        chances = f"{'':11} {'':10}" if acceptance is None else f"{acceptance:11.2f} {effective:10.1f}"
        distance = "" if chamfer is None else f"{1e4 * chamfer:8.2f}"
        lines.append(f"{name:>5} {log_posterior:14.1f} {rms:12.4f} {chances} {distance}".rstrip())
    if facts["diversity"] is not None:
        lines.append(f"diversity: mean CD x1e4 of pairs of draws {1e4 * facts['diversity']:.2f}")
    r_hat = facts["r_hat_of_energy"]
    r_hat_z = facts["r_hat_of_z_median"]
    if r_hat is not None and max(r_hat, r_hat_z) > MIXED:
        lines.append(
            f"the chains are in different modes or have not mixed (R-hat {r_hat:.2f} of energy, {r_hat_z:.2f} of z), so"
            " the share of them that shows a thing is not its probability"
        )
    if rms_of_mode > MISSED * completion.scan_sd:
        lines.append(
            f"the best completion misses the scan by {rms_of_mode:.4f}, {completion.scan_sd:g} expected:"
            " another pose or scale than the training shapes', much noise, or a shape unlike them"
        )
    return lines
