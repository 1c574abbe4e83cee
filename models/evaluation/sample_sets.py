"""The sets of small clouds that step 7 compares: from the flow, from two baselines, and from codes of the data.

Each set is one file `evaluation/sets/<name>.npz`: `point_cloud` (S, N, 3) float32 mesh units, `log_likelihood` (S,)
nats of the codes, `nll_nats_per_dim` (S,) whitened, and `index`, a JSON text of all that the set is made of.
"""

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from configs.errors import UserError
from configs.files import write_npz
from models.codes import fingerprint, load_codes
from models.decoder import Shapes
from models.evaluation.baselines import CODES_AT_A_TIME, NUM_NEIGHBOURS, SHARES, gaussian_shapes, neighbour_shapes
from models.generation import Generator

# Set k of a kind takes the random streams from k times SET_STRIDE on (see `shape_generator`). The flow's are those of
# generate.py, so that its set 0 has the shapes that generate.py makes with the same seed and temperature.
SET_STRIDE = 1_000_000
MAX_SETS = 100


@dataclass(frozen=True)
class SetRecipe:
    """One set to decode. name: of its file; facts: what tells it from others; make: gives its `num` codes; first:
    number of the first random stream of its points."""

    name: str
    facts: dict[str, Any]
    num: int
    make: Callable[[], Shapes]
    first: int = 0


def flow_shapes(generator: Generator, num: int, first: int = 0) -> Shapes:
    """Shapes number first, first + 1, ... of those that generate.py samples."""
    return generator.sampled(num, generator.cfg.seed, first)


MAKERS = {"flow": flow_shapes, "gaussian": gaussian_shapes, "neighbours": neighbour_shapes}


def sampled_recipes(generator: Generator, num: int) -> dict[str, list[SetRecipe]]:
    """num_sample_sets sets of `num` shapes each, of the flow and of both baselines, by the names of `MAKERS`.

    Raises UserError for more sets than there are random streams for.
    """
    cfg = generator.cfg
    if cfg.num_sample_sets > MAX_SETS:
        raise UserError(f"num_sample_sets is {cfg.num_sample_sets}, at most {MAX_SETS} expected; lower it")
    training_codes = fingerprint(generator.experiment.codes / "train.json")
    own_facts = {
        "flow": {"temperature": cfg.temperature},
        "gaussian": {},
        "neighbours": {"codes": training_codes, "num_neighbours": NUM_NEIGHBOURS, "shares": SHARES},
    }
    recipes: dict[str, list[SetRecipe]] = {kind: [] for kind in MAKERS}
    for kind, make in MAKERS.items():
        for k in range(cfg.num_sample_sets):
            first = k * SET_STRIDE
            facts = {"kind": kind, "first": first, "num": num, **own_facts[kind]}
            recipes[kind].append(SetRecipe(f"{kind}_{k}", facts, num, partial(make, generator, num, first), first))
    return recipes


def decoded_recipe(generator: Generator, name: str, split: str, names: Sequence[str]) -> SetRecipe:
    """The set of some shapes of a split, by name, decoded from their own codes. Raises UserError if one has none."""
    stored = load_codes(generator.cfg, split).one_per_shape()
    rows = {row["name"]: i for i, row in enumerate(stored.rows)}
    if missing := [one for one in names if one not in rows]:
        raise UserError(
            f"no code of {missing[0]} in {generator.experiment.codes}/{split}.json, so the split has changed since;"
            f" encode it again with: python train_rnvp.py --config {generator.cfg.config}"
        )
    indices = [rows[one] for one in names]

    def make() -> Shapes:
        return Shapes(torch.from_numpy(np.array(stored.codes[indices])).to(generator.device), list(names))

    trained = fingerprint(generator.experiment.codes / f"{split}.json")
    return SetRecipe(name, {"kind": "decoded", "codes": trained, "names": list(names)}, len(names), make)


def write_sets(generator: Generator, recipes: Sequence[SetRecipe]) -> None:
    """Decode the sets, num_eval_points points a cloud, those that are not there already."""
    pending = [recipe for recipe in recipes if not is_written(generator, recipe)]
    total = sum(recipe.num for recipe in pending)
    with tqdm(total=total, desc="decoding sets", unit="cloud", disable=None if pending else True) as bar:
        for recipe in pending:
            bar.set_postfix_str(recipe.name)
            write_set(generator, recipe, bar)


def write_set(generator: Generator, recipe: SetRecipe, bar: tqdm) -> None:
    """Decode one set and write its file."""
    shapes, clouds = recipe.make(), []
    for cloud in generator.clouds(shapes, generator.cfg.num_eval_points, first=recipe.first):
        clouds.append(cloud)
        bar.update()
    with torch.no_grad():
        parts = shapes.codes.split(CODES_AT_A_TIME)
        likelihoods = torch.cat([generator.flow.log_prob(part) for part in parts])
        nats = torch.cat([generator.flow.nats_per_dim(part) for part in parts])
    write_npz(
        set_path(generator, recipe),
        point_cloud=np.stack(clouds),
        log_likelihood=likelihoods.cpu().numpy(),
        nll_nats_per_dim=nats.cpu().numpy(),
        index=np.array(index_text(generator, recipe)),
    )


def set_path(generator: Generator, recipe: SetRecipe) -> Path:
    return generator.experiment.sets / f"{recipe.name}.npz"


def read_set(path: Path) -> np.ndarray:
    """The clouds of a set, (S, N, 3) float32 mesh units."""
    with np.load(path, allow_pickle=False) as file:
        return file["point_cloud"]


def is_written(generator: Generator, recipe: SetRecipe) -> bool:
    """Whether the file of a set is there, whole, and made of the same networks, options and shapes."""
    path = set_path(generator, recipe)
    if not path.is_file():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            return str(file["index"]) == index_text(generator, recipe)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile):
        return False  # damaged, or another program's: it is made again


def index_text(generator: Generator, recipe: SetRecipe) -> str:
    """What a set is made of, as JSON: the same text, the same clouds."""
    cfg, sources = generator.cfg, generator.sources
    hashes = {key: value for key, value in sources.items() if key.endswith("sha256")}
    options = {name: getattr(cfg, name) for name in ("seed", "num_eval_points", "num_steps", "filter_val")}
    return json.dumps({**recipe.facts, **options, **hashes}, sort_keys=True)
