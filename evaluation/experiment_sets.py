"""The sets of clouds compared in an experiment's evaluation, decoded and true, in the protocol's frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs.options import Config
from dataprocessing.ndf_files import input_cloud_file
from dataprocessing.shapes import shape_name
from dataprocessing.split import split_folders
from dataprocessing.stored_points import read_input_cloud
from dataprocessing.surface import surface_points
from evaluation.generation_table import Comparison, Competitor, NamedSet
from evaluation.protocols import Clouds, Protocol, make_protocol
from evaluation.sample_sets import (
    UNSELECTED,
    SetRecipe,
    decoded_recipe,
    read_set,
    sampled_recipes,
    set_path,
    write_sets,
)
from generation.networks import Networks
from runtime.errors import UserError

LABELS = {
    "flow": "flow",
    UNSELECTED: "flow, unselected",
    "gaussian": "Gaussian on whitened codes",
    "neighbours": "interpolated neighbours",
}
REFERENCE_LABELS = {"test": "test shapes", "val": "validation shapes"}
TRAINING = "training shapes"


@dataclass(frozen=True)
class Recipes:
    """The sets of an experiment: of its references' codes, of each generator, of the codes of training shapes."""

    decoded: SetRecipe
    sampled: dict[str, list[SetRecipe]]
    decoded_parts: list[SetRecipe]

    def all(self) -> list[SetRecipe]:
        return [self.decoded, *(recipe for kind in self.sampled.values() for recipe in kind), *self.decoded_parts]


def too_few_to_compare(cfg: Config, folders: Mapping[str, Sequence[Path]]) -> str | None:
    """Why the shapes of a split do not suffice to compare sets of them; None if they do."""
    split = make_protocol(cfg.evaluation, None).split
    counts = {split: len(folders[split]), "training": len(folders["train"])}
    if (num := min(cfg.evaluation.num_eval_shapes, *counts.values())) >= 2:
        return None
    found = ", ".join(f"{count} in the {name} split" for name, count in counts.items())
    return (
        f"{num} shape to compare, 2 or more expected: {found}, num_eval_shapes {cfg.evaluation.num_eval_shapes};"
        " make a split with more, by n_val and n_test"
    )


class ExperimentSets:
    """The references and the competitors of an experiment, decoded if they are not on disk yet.

    All sets have the same size: num_eval_shapes, or fewer if the reference or the training split has fewer.
    Raises UserError if that is below 2, or if an earlier step is missing.
    """

    def __init__(self, cfg: Config, networks: Networks):
        self.cfg, self.networks = cfg, networks
        self.folders = split_folders(cfg)
        self.protocol = experiment_protocol(cfg, self.folders["train"])
        self.references = self.folders[self.protocol.split]
        self.num = min(cfg.evaluation.num_eval_shapes, len(self.references), len(self.folders["train"]))
        if self.num < 2:
            raise UserError(too_few_to_compare(cfg, self.folders) or "")

    def recipes(self) -> "Recipes":
        """All sets that have to be decoded."""
        split, train = self.protocol.split, self.folders["train"]
        names = [shape_name(folder) for folder in self.references[: self.num]]
        decoded_parts = []
        for k in range(self.cfg.evaluation.num_sample_sets):
            part = [shape_name(train[i]) for i in self._training_part(k)]
            decoded_parts.append(decoded_recipe(self.networks, f"train_decoded_{k}", "train", part))
        decoded = decoded_recipe(self.networks, f"{split}_decoded", split, names)
        return Recipes(decoded, sampled_recipes(self.networks, self.num), decoded_parts)

    def whole_recipes(self) -> dict[str, SetRecipe]:
        """The shapes whose wholeness is measured: the first of the references and of each generator, and random ones of
        training, by keys of `whole_labels`."""
        train = self.folders["train"]
        num = min(self.cfg.evaluation.num_whole_shapes, len(self.references), len(train))
        split = self.protocol.split
        names = {
            split: [shape_name(folder) for folder in self.references[:num]],
            "train": [shape_name(train[i]) for i in self._order_of_training(0)[:num]],
        }
        test, training = (decoded_recipe(self.networks, part, part, found) for part, found in names.items())
        sampled = {kind: sets[0] for kind, sets in sampled_recipes(self.networks, num).items()}
        return {"test": test, "training": training} | {key: sampled[key] for key in reversed(sampled)}

    def whole_labels(self) -> dict[str, str]:
        """The labels of the sets of `whole_recipes`."""
        return {"test": REFERENCE_LABELS[self.protocol.split], "training": TRAINING, **LABELS}

    def write_chunk(self) -> str:
        """Decode chunk `current_chunk` of the sets, and compare nothing. Returns what was done, in one line."""
        cfg, sets = self.cfg, self.recipes().all()
        mine = sets[cfg.chunks.current_chunk :: cfg.chunks.num_chunks]
        write_sets(self.networks, mine)
        done = f"{len(mine)} of {len(sets)} sets are in {self.networks.experiment.sets}"
        return f"chunk {cfg.chunks.current_chunk} of {cfg.chunks.num_chunks}: {done}"

    def comparison(self) -> Comparison:
        """Decode all sets and assemble the comparison."""
        recipes, split = self.recipes(), self.protocol.split
        write_sets(self.networks, recipes.all())
        true_label = REFERENCE_LABELS[split]
        decoded_label = f"{true_label}, decoded"
        references = {
            true_label: NamedSet(split, self._true_references),
            decoded_label: self._decoded_set(recipes.decoded),
        }
        both = (true_label, decoded_label)
        competitors = [
            Competitor(LABELS[kind], both, [self._decoded_set(recipe) for recipe in sets])
            for kind, sets in recipes.sampled.items()
        ]
        parts = [self._training_part(k) for k in range(self.cfg.evaluation.num_sample_sets)]
        true_parts = [NamedSet(f"train_{k}", partial(self._training, part)) for k, part in enumerate(parts)]
        competitors += [
            Competitor(f"floor: {TRAINING}", (true_label,), true_parts, novelty=False),
            Competitor(
                f"floor: {TRAINING}, decoded",
                (decoded_label,),
                [self._decoded_set(recipe) for recipe in recipes.decoded_parts],
                novelty=False,
            ),
        ]
        return Comparison(self.cfg, references, competitors, self.networks.experiment.cache, self.networks.device)

    def training_set(self) -> NamedSet:
        """All training shapes."""
        return NamedSet("train", lambda: self._training(range(len(self.folders["train"]))))

    def _decoded_set(self, recipe: SetRecipe) -> NamedSet:
        path = set_path(self.networks, recipe)
        where = lambda n: f"cloud {n} of {path}"  # noqa: E731
        return NamedSet(recipe.name, lambda: self.protocol.frame(read_set(self.networks, recipe), where))

    def _true_references(self) -> Clouds:
        bar = tqdm(self.references[: self.num], desc="sampling: true references", unit="cloud", disable=None)
        points = [surface_points(folder, self.protocol.num_points, self.cfg.run.seed, self.cfg.data) for folder in bar]
        return self.protocol.frame(np.stack(points))

    def _training_part(self, k: int) -> list[int]:
        """Indices of a random subset of the training shapes, since the split may be ordered."""
        return self._order_of_training(k)[: self.num]

    def _order_of_training(self, k: int) -> list[int]:
        order = np.random.default_rng((self.cfg.run.seed, k)).permutation(len(self.folders["train"]))
        return [int(i) for i in order]

    def _training(self, indices: Sequence[int]) -> Clouds:
        clouds = [
            self.protocol.choose(training_cloud(self.folders["train"][i], self.cfg), (self.cfg.run.seed, i))
            for i in indices
        ]
        return self.protocol.frame(np.stack(clouds))


def experiment_protocol(cfg: Config, training: Sequence[Path]) -> Protocol:
    """The protocol of a configuration, with the statistics of the training points if it needs them."""
    bar = tqdm(
        training,
        desc="training statistics",
        unit="cloud",
        disable=None if cfg.evaluation.protocol == "pointflow" else True,
    )
    return make_protocol(cfg.evaluation, (training_cloud(folder, cfg) for folder in bar))


def training_cloud(folder: Path, cfg: Config) -> np.ndarray:
    """Surface points of a training shape: the stored input points (faster to read) or, if too few, new ones."""
    if cfg.evaluation.num_eval_points <= cfg.grid.num_points and input_cloud_file(folder, cfg.grid).is_file():
        return read_input_cloud(folder, cfg)
    return surface_points(folder, cfg.evaluation.num_eval_points, cfg.run.seed, cfg.data)
