"""Compares two folders of any system's clouds: no experiment, no training, no networks."""

from functools import partial
from pathlib import Path

import numpy as np

from configs.options import Config
from evaluation.cloud_folder import CloudFolder
from evaluation.generation_table import Comparison, Competitor, NamedSet
from evaluation.protocols import Clouds, Protocol, make_protocol
from generation.cloud_files import listed_clouds
from runtime.devices import pick_device
from runtime.errors import UserError

SAMPLES, REFERENCES, TRAINING = "samples", "references", "training clouds"


class FolderSets:
    """The references and the competitors of `--samples`, `--references` and `--training`.

    Both sides have the same number of clouds: all references, or num_eval_shapes random ones if there are more. The
    samples form as many sets of that size as they fill, up to num_sample_sets; the floor is as many random subsets of
    the training clouds. Raises UserError for inputs that do not fit together.
    """

    def __init__(self, cfg: Config):
        self.cfg = cfg
        if not (cfg.clouds.samples and cfg.comparison.references):
            given, lacking = ("samples", "references") if cfg.clouds.samples else ("references", "samples")
            raise UserError(f"--{given} is given without --{lacking}; give both folders")
        folders = {SAMPLES: cfg.clouds.samples, REFERENCES: cfg.comparison.references, TRAINING: cfg.clouds.training}
        self.folders = {
            role: CloudFolder(folder, role, cfg.evaluation.num_eval_points, cfg.run.seed)
            for role, folder in folders.items()
            if folder
        }
        self.protocol = self._protocol()
        self.origin = self._origin()
        for folder in self.folders.values():
            folder.require_points(cfg.evaluation.num_eval_points)
        self.num = min(cfg.evaluation.num_eval_shapes, len(self.folders[REFERENCES]))
        self._check_numbers()

    def _protocol(self) -> Protocol:
        cfg = self.cfg
        if cfg.comparison.normalised_samples and cfg.evaluation.protocol != "pointflow":
            raise UserError(
                f"normalised_samples is for protocol pointflow, {cfg.evaluation.protocol} found; add --protocol"
                " pointflow"
            )
        if cfg.comparison.normalised_samples and not cfg.clouds.training:
            raise UserError(
                "--normalised_samples true takes the samples back with the training clouds' mean and standard"
                " deviation; give their folder with --training"
            )
        return make_protocol(cfg.evaluation, self.folders.get(TRAINING))

    def _origin(self) -> np.ndarray:
        """What is taken from all points before they are rounded, (3,): 0, but where clouds lie far from the origin."""
        if all(cloud.dtype == np.float32 for folder in self.folders.values() for cloud in folder):
            return np.zeros(3, np.float32)
        first = self.folders[REFERENCES][0]
        return (first.min(axis=0) + first.max(axis=0)) / 2

    def _check_numbers(self) -> None:
        for role, folder in self.folders.items():
            if len(folder) < max(2, self.num):
                raise UserError(
                    f"{folder.folder} has {len(folder)} {role}, {max(2, self.num)} or more expected, as many as are"
                    f" compared of the references; add clouds, or compare fewer with --num_eval_shapes {len(folder)}"
                )

    def comparison(self) -> Comparison:
        references = {REFERENCES: NamedSet(REFERENCES, lambda: self._clouds(REFERENCES, self._order(REFERENCES, 0)))}
        count = min(self.cfg.evaluation.num_sample_sets, len(self.folders[SAMPLES]) // self.num)
        order = self._order(SAMPLES, 0, count * self.num)
        competitors = [Competitor(SAMPLES, (REFERENCES,), self._sets(SAMPLES, np.split(order, count)))]
        if TRAINING in self.folders:
            parts = [self._order(TRAINING, k) for k in range(self.cfg.evaluation.num_sample_sets)]
            floor = Competitor(f"floor: {TRAINING}", (REFERENCES,), self._sets(TRAINING, parts), novelty=False)
            competitors.append(floor)
        cache = Path(self.cfg.comparison.output).expanduser() / "cache"
        return Comparison(self.cfg, references, competitors, cache, pick_device(self.cfg.run))

    def training_set(self) -> NamedSet | None:
        """All training clouds, if their folder is given."""
        if TRAINING not in self.folders:
            return None
        return NamedSet("training", lambda: self._clouds(TRAINING, np.arange(len(self.folders[TRAINING]))))

    def facts(self) -> dict[str, object]:
        """Facts on the folders for the results: paths, numbers of clouds, and how many were compared."""
        return {
            role: {
                "folder": str(folder.folder),
                "listed_by_index": listed_clouds(folder.folder) is not None,
                "clouds": len(folder),
                "points_each": len(folder[0]),
                "first": folder.names[0],
                "compared_at_a_time": self.num,
            }
            for role, folder in self.folders.items()
        }

    def _order(self, role: str, k: int, num: int | None = None) -> np.ndarray:
        """Indices of `num` clouds: all of them in order, or a random subset drawn with (seed, k)."""
        num, total = num or self.num, len(self.folders[role])
        if num == total:
            return np.arange(total)
        return np.random.default_rng((self.cfg.run.seed, k)).permutation(total)[:num]

    def _sets(self, role: str, parts: list[np.ndarray]) -> list[NamedSet]:
        name = role.split()[0]
        return [NamedSet(f"{name}_{k}", partial(self._clouds, role, part)) for k, part in enumerate(parts)]

    def _clouds(self, role: str, indices: np.ndarray) -> Clouds:
        """Clouds of a folder in the protocol's frame, (len(indices), num_eval_points, 3)."""
        folder = self.folders[role]
        clouds = np.stack([self.protocol.choose(folder[i], (self.cfg.run.seed, int(i))) for i in indices])
        if role == SAMPLES and self.cfg.comparison.normalised_samples:
            clouds = self.protocol.denormalised(clouds, self.origin)
        elif self.protocol.name != "box":
            clouds = clouds - self.origin
        return self.protocol.frame(clouds, lambda n: folder.names[indices[n]]).astype(np.float32)
