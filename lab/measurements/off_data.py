"""Do shapes unlike those of the training decode to their surface? python -m lab.measurements.off_data --config CONFIG

For the first num_shapes test shapes of any config and data folder, preprocessed and split as docs/own_data.md says:
the share of decoded points farther than 0.05 mesh units from the true surface, and chamfer_udf x1e4, as encoded
(`--plausible false`) and with codes off the training data brought back (`--plausible true`), whichever of both the
options say. Of those brought back it prints the distance from the base, and the error of their codes before and after
(x1e4 mesh units, of the clamped distances that the codes are fitted to). --num_output_points 10000 is enough, and takes
2 seconds a shape and, if it is brought back, 6 more on one core.
"""

import numpy as np

from configs.config_loader import get_config
from dataprocessing.split import split_folders
from dataprocessing.surface import surface_points
from evaluation.metrics import nearest_distances
from generation.decode import decode
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes
from generation.reconstructions import reconstructed
from generation.shapes import Shapes
from runtime.errors import UserError, run

FAR = 0.05  # mesh units
COLUMNS = ("far %", "far %, brought back", "CD x1e4", "CD x1e4, brought back")


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv)
    networks = Networks(cfg.changed(plausible=True))
    shapes = reconstructed(networks, "test", cfg.generation.num_shapes)
    if not isinstance(shapes.codes, PlausibleCodes):
        raise UserError(f"code_kind {cfg.network.code_kind} without a flow found, vector codes and their flow expected")
    folders = split_folders(cfg, needed=["test"])["test"]
    print(f"{'shape':40} {'far':>6} {'error':>6} {'after':>6} " + " ".join(f"{name:>21}" for name in COLUMNS))
    rows = []
    for n, name in enumerate(shapes.names):
        true = surface_points(folders[n], cfg.generation.num_output_points, cfg.run.seed, cfg.data)
        rows.append(measured(networks, shapes, n, true))
        print(f"{name[-40:]:40} {facts_of(shapes.codes, name)} {as_text(rows[-1])}")
    back = [row for row, name in zip(rows, shapes.names, strict=True) if name in shapes.codes.brought_back]
    for label, chosen in (("all", rows), ("brought back", back)):
        if chosen:
            print(f"{f'mean of {len(chosen)} {label}':40} {'':20} {as_text(np.mean(chosen, axis=0))}")
    print(f"{len(back)} of {len(rows)} codes are farther from the base than {shapes.codes.radius:.2f}")
    return 0


def measured(networks: Networks, shapes: Shapes, n: int, true: np.ndarray) -> np.ndarray:
    """The numbers of `COLUMNS` for shape n, whose true surface has points (N, 3)."""
    encoded, plausible = shapes.codes.codes[n], shapes.codes[n]
    scores = [scores_of(decode(networks, encoded, len(true), n), true)]
    scores.append(scores[0] if plausible is encoded else scores_of(decode(networks, plausible, len(true), n), true))
    return np.array(scores).T.ravel()


def scores_of(cloud: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    to_true, to_cloud = nearest_distances(cloud, true)
    chamfer = (np.mean(to_true**2) + np.mean(to_cloud**2)) / 2
    return float(100 * np.mean(to_true > FAR)), float(1e4 * chamfer)


def facts_of(codes: PlausibleCodes, name: str) -> str:
    found = codes.brought_back.get(name)
    if found is None:
        return f"{'':20}"
    norm, before, after = (np.nan if value is None else value for value in found.values())
    return f"{norm:6.1f} {1e4 * before:6.0f} {1e4 * after:6.0f}"


def as_text(row: np.ndarray) -> str:
    return " ".join(f"{value:21.2f}" for value in row)


if __name__ == "__main__":
    run(main)
