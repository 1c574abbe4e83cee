"""The sets of small clouds that step 7 compares: from the flow, from two baselines, and from codes of the data.

Each set is one file `evaluation/sets/<name>.npz`: `point_cloud` (S, N, 3) float32 mesh units, `log_likelihood` (S,)
nats of the codes, `nll_nats_per_dim` (S,) whitened, and `index`, a JSON text of everything that determines the set.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from configs.errors import UserError
from configs.files import write_npz
from configs.reading import DamagedFile, open_npz
from configs.seeds import MAX_SETS, SET_STRIDE
from evaluation.baselines import NUM_NEIGHBOURS, SHARES, gaussian_codes, neighbour_codes
from frozen.checkpoint_files import fingerprint
from frozen.codes import flow_codes_sha256, load_codes
from generation.decode import decode_each
from generation.latents import likelihoods
from generation.networks import Networks
from generation.sampling import drawn_codes, sampled_codes, sampling_facts


@dataclass(frozen=True)
class SetRecipe:
    """One set to decode. name: of its file; facts: what identifies it; make: returns its `num` codes; first: number of
    the first random stream of its points."""

    name: str
    facts: dict[str, Any]
    num: int
    make: Callable[[], Tensor]
    first: int = 0


def flow_codes(networks: Networks, num: int, first: int = 0) -> Tensor:
    """The codes of shapes number first, first + 1, ... of those that generate.py samples."""
    return sampled_codes(networks, num, networks.cfg.seed, first)


def first_draws(networks: Networks, num: int, first: int = 0) -> Tensor:
    """The same shapes, but of each its first draw: what the flow gives without selection."""
    return drawn_codes(networks, num, networks.cfg.seed, first)


UNSELECTED = "flow_unselected"
MAKERS = {"flow": flow_codes, UNSELECTED: first_draws, "gaussian": gaussian_codes, "neighbours": neighbour_codes}


def sampled_recipes(networks: Networks, num: int) -> dict[str, list[SetRecipe]]:
    """num_sample_sets sets of `num` shapes each, of the flow and of both baselines, by the names of `MAKERS`.

    The flow's set 0 has the shapes that generate.py makes with the same seed and options. Where it selects (`best_of`),
    there are the first draws too.

    Raises UserError for more sets than there are random streams.
    """
    cfg = networks.cfg
    if cfg.num_sample_sets > MAX_SETS:
        raise UserError(f"num_sample_sets is {cfg.num_sample_sets}, at most {MAX_SETS} expected; lower it")
    training_codes = flow_codes_sha256(cfg)
    own_facts = {
        "flow": sampling_facts(cfg),
        UNSELECTED: {"temperature": cfg.temperature},
        "gaussian": {},
        "neighbours": {"codes": training_codes, "num_neighbours": NUM_NEIGHBOURS, "shares": SHARES},
    }
    makers = {kind: make for kind, make in MAKERS.items() if kind != UNSELECTED or cfg.best_of > 1}
    recipes: dict[str, list[SetRecipe]] = {kind: [] for kind in makers}
    for kind, make in makers.items():
        for k in range(cfg.num_sample_sets):
            first = k * SET_STRIDE
            facts = {"kind": kind, "first": first, "num": num, **own_facts[kind]}
            recipes[kind].append(SetRecipe(f"{kind}_{k}", facts, num, partial(make, networks, num, first), first))
    return recipes


def decoded_recipe(networks: Networks, name: str, split: str, names: Sequence[str]) -> SetRecipe:
    """The set of some shapes of a split, by name, decoded from their codes. Raises UserError if one has none."""
    stored = load_codes(networks.cfg, split).one_per_shape()
    rows = {row["name"]: i for i, row in enumerate(stored.rows)}
    if missing := [one for one in names if one not in rows]:
        raise UserError(
            f"no code of {missing[0]} in {networks.experiment.codes}/{split}.json, so the split has changed since;"
            f" encode it again with: python train_rnvp.py --config {networks.cfg.config}"
        )
    indices = [rows[one] for one in names]

    def make() -> Tensor:
        return torch.from_numpy(np.array(stored.codes[indices])).to(networks.device)

    trained = fingerprint(networks.experiment.codes / f"{split}.json")
    return SetRecipe(name, {"kind": "decoded", "codes": trained, "names": list(names)}, len(names), make)


def write_sets(networks: Networks, recipes: Sequence[SetRecipe]) -> None:
    """Decode the sets that are not on disk yet, num_eval_points points per cloud."""
    pending = [recipe for recipe in recipes if not is_written(networks, recipe)]
    total = sum(recipe.num for recipe in pending)
    with tqdm(total=total, desc="decoding sets", unit="cloud", disable=None if pending else True) as bar:
        for recipe in pending:
            bar.set_postfix_str(recipe.name)
            write_set(networks, recipe, bar)


def write_set(networks: Networks, recipe: SetRecipe, bar: tqdm) -> None:
    """Decode one set and write its file."""
    codes, clouds = recipe.make(), []
    for cloud in decode_each(networks, codes.split(1), networks.cfg.num_eval_points, first=recipe.first):
        clouds.append(cloud)
        bar.update()
    log_likelihood, nats_per_dim = likelihoods(networks, codes)
    write_npz(
        set_path(networks, recipe),
        durable=True,
        point_cloud=np.stack(clouds),
        log_likelihood=log_likelihood.cpu().numpy(),
        nll_nats_per_dim=nats_per_dim.cpu().numpy(),
        index=np.array(index_text(networks, recipe)),
    )


def set_path(networks: Networks, recipe: SetRecipe) -> Path:
    return networks.experiment.sets / f"{recipe.name}.npz"


def read_set(path: Path) -> np.ndarray:
    """The clouds of a set, (S, N, 3) float32 mesh units."""
    with open_npz(path, "delete it, and run the same command again") as file:
        return file["point_cloud"]


def is_written(networks: Networks, recipe: SetRecipe) -> bool:
    """Whether the file of a set is complete and made with the same networks, options and shapes."""
    path = set_path(networks, recipe)
    if not path.is_file():
        return False
    try:
        with open_npz(path) as file:
            clouds = file["point_cloud"]  # read whole: damage shows by the check sum
            whole = clouds.shape == (recipe.num, networks.cfg.num_eval_points, 3) and np.isfinite(clouds).all()
            return bool(whole and str(file["index"]) == index_text(networks, recipe))
    except DamagedFile:
        return False  # or from another program: it is made again


def index_text(networks: Networks, recipe: SetRecipe) -> str:
    """Everything that determines a set, as JSON: the same text, the same clouds."""
    cfg, sources = networks.cfg, networks.sources
    hashes = {key: value for key, value in sources.items() if key.endswith("sha256")}
    options = {name: getattr(cfg, name) for name in ("seed", "num_eval_points", "num_steps", "filter_val")}
    return json.dumps({**recipe.facts, **options, **hashes}, sort_keys=True)
