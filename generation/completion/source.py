"""The shapes that `complete.py` makes of a partial scan: the best mode, and a draw of each chain."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.decided import options_of
from configs.options.types import needed
from dataprocessing.axes import fixed_axes
from dataprocessing.frames import front_of
from generation.cloud_files import Cloud
from generation.completion.chains import check_networks, complete
from generation.completion.evidence import evidence_of
from generation.completion.results import drawn, facts_of
from generation.completion.scan_files import Scan, placed_scan, read_points, read_truth, scan_name
from generation.latents import codes_of
from generation.networks import Networks
from generation.shapes import CodesOnAccess, Shapes, continued
from generation.sheet_rows import both_sides, caption
from runtime.artefacts import Facts, Records, array_sha256
from runtime.files import write_npz
from runtime.reading import open_npz
from visualization.contact_sheet import ShapeRow

MODE = "mode"  # name of the cloud of the best mode; draws are numbered
CHAINS, FILE = "chains", "chains.npz"


class Completed(CodesOnAccess):
    """The codes of the completions of a scan, the likeliest draw first after the best mode; each a batch of one.

    The chains run when they are first asked for, and only if their file in `folder`/chains is not current.
    """

    def __init__(self, networks: Networks, scan: Scan, points_sha256: str, folder: Path):
        self.networks, self.cfg, self.scan, self.folder = networks, networks.cfg, scan, folder
        self.names = [MODE, *map(str, range(self.cfg.completion.num_chains))]
        self.num = len(self.names)
        front = front_of(self.cfg.data.up, self.cfg.data.front)
        self.facts: Facts = {"scan": points_sha256, **options_of("chains", self.cfg), "front": front}

    def made(self, n: int) -> Tensor:
        return codes_of(self.networks, torch.from_numpy(self.found["z"][n : n + 1]).to(self.networks.device))

    def known(self, n: int) -> dict[str, Any]:
        """What the file of cloud n tells of its place in the posterior: z (D,), and its log density, nats."""
        return {"z": self.found["z"][n], "log_posterior": self.found["log_posterior"][n].item()}

    @cached_property
    def found(self) -> dict[str, Any]:
        """z (S, D) and log_posterior (S,), nats up to one constant for all; facts: what is told of the chains."""
        records = Records(self.folder / CHAINS)
        records.make(CHAINS, self.networks.digests | self.facts, [FILE], lambda: self._run(records.folder / FILE))
        with open_npz(records.folder / FILE, "delete it, and run the same command again") as file:
            return {"z": file["z"], "log_posterior": file["log_posterior"], "facts": json.loads(str(file["facts"]))}

    def _run(self, path: Path) -> None:
        scan, rng = self.scan, np.random.default_rng(self.cfg.run.seed)
        completion = complete(
            self.networks, evidence_of(scan.points, self.cfg.completion, scan.camera, rng, scan.covered)
        )
        latents, log_posterior = drawn(completion)
        facts = np.array(json.dumps(facts_of(completion)))
        write_npz(path, z=latents.cpu().numpy(), log_posterior=np.array(log_posterior), facts=facts)


def completed(networks: Networks) -> tuple[Shapes, Scan, Cloud | None]:
    """The completions of the scan that `scan` names, the scan in mesh units, and the truth that `truth` names, if any.

    The completions lie where the scan lies in its file, in its axes and units.
    Notes on the scan are printed. Raises UserError for files that cannot be read, and networks without vector codes.
    """
    cfg = networks.cfg
    path = needed(cfg.completion.scan, "scan")
    known = (cfg.completion.camera, cfg.completion.covered)
    camera, covered = (None if place is None else np.array(place) for place in known)
    points = read_points(path)
    axes = fixed_axes(cfg.data, "a scan, which need not be of a whole car,")
    scan = placed_scan(points, camera, cfg.completion.fit, covered, axes)
    for sentence in scan.notes:
        print(sentence)
    truth = None if cfg.completion.truth is None else read_truth(cfg.completion.truth, axes)
    check_networks(networks)
    sha256 = array_sha256(points)
    name = scan_name(path, sha256)
    folder = Path(cfg.output.out).expanduser() if cfg.output.out else networks.experiment.completion / name
    codes = Completed(networks, scan, sha256, folder)
    shapes = Shapes(
        "chains",
        codes.names,
        codes,
        folder,
        continued("The best mode, then a draw of each chain"),
        cfg.completion.num_completion_points,
        about=codes.facts | ({"keep_frame": True} if scan.frame else {}),
        frames=[scan.frame] * codes.num if scan.frame else (),
        keep_frame=True,
        arrays_before=codes.known,
        measures_tears=False,
        title=f"{Path(path).name}, {len(scan.points)} points",
        above=lambda numbers: given_above(scan.points, truth) if numbers[0] == 0 else [],
        above_of={"truth": None if truth is None else array_sha256(truth)},
        source=name,
    )
    return shapes, scan, truth


def given_above(scan: Cloud, truth: Cloud | None) -> list[ShapeRow]:
    """The scan, and beside it the truth, if there is one."""
    given = {"scan": scan} | ({} if truth is None else {"truth": truth})
    words = "The scan" if truth is None else "The scan, and the truth"
    return both_sides(words, list(given.values()), "grey", [caption(name) for name in given])
