"""The sets of small clouds that step 7 compares: from the flow, from two baselines, and from codes of the data.

Each set is one file `evaluation/sets/<name>.npz`: `point_cloud` (S, N, 3) float32 mesh units, `log_likelihood` (S,)
nats of the codes, `nll_nats_per_dim` (S,) whitened, and `index`, a JSON text of everything that determines the set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from configs.decided import options_of
from evaluation.baselines import NUM_NEIGHBOURS, SHARES, gaussian_codes, neighbour_codes
from frozen.codes import flow_codes_sha256, load_codes
from generation.decode import decode_each
from generation.latents import likelihoods
from generation.networks import Networks
from generation.projection import FOUND_BY
from generation.sampling import drawn_codes, sampled_codes, sampling_facts
from runtime.artefacts import Facts, array_sha256, kept_arrays
from runtime.errors import UserError
from runtime.seeds import MAX_SETS, SET_STRIDE


@dataclass(frozen=True)
class SetRecipe:
    """One set to decode. name: of its file; facts: what decides its codes; make: returns its `num` codes; first: number
    of the first random stream of its points; names: of its shapes, if they have some."""

    name: str
    facts: Facts
    num: int
    make: Callable[[], Tensor]
    first: int = 0
    names: Sequence[str] = ()


def flow_codes(networks: Networks, num: int, first: int = 0) -> Tensor:
    """The codes of shapes number first, first + 1, ... of those that generate.py samples."""
    return sampled_codes(networks, num, networks.cfg.run.seed, first)


def first_draws(networks: Networks, num: int, first: int = 0) -> Tensor:
    """The same shapes, but of each its first draw: what the flow gives without selection."""
    return drawn_codes(networks, num, networks.cfg.run.seed, first)


UNSELECTED = "flow_unselected"
MAKERS = {"flow": flow_codes, UNSELECTED: first_draws, "gaussian": gaussian_codes, "neighbours": neighbour_codes}


def sampled_recipes(networks: Networks, num: int) -> dict[str, list[SetRecipe]]:
    """num_sample_sets sets of `num` shapes each, of the flow and of both baselines, by the names of `MAKERS`.

    The flow's set 0 has the shapes that generate.py makes with the same seed and options. Where it selects (`best_of`),
    there are the first draws too.

    Raises UserError for more sets than there are random streams.
    """
    cfg = networks.cfg
    if cfg.evaluation.num_sample_sets > MAX_SETS:
        raise UserError(f"num_sample_sets is {cfg.evaluation.num_sample_sets}, at most {MAX_SETS} expected; lower it")
    training_codes = flow_codes_sha256(cfg.experiment)
    own_facts = {
        "flow": sampling_facts(cfg.decoding),
        UNSELECTED: {"temperature": cfg.decoding.temperature},
        "gaussian": {},
        "neighbours": {"codes": training_codes, "num_neighbours": NUM_NEIGHBOURS, "shares": SHARES},
    }
    makers = {kind: make for kind, make in MAKERS.items() if kind != UNSELECTED or cfg.decoding.best_of > 1}
    recipes: dict[str, list[SetRecipe]] = {kind: [] for kind in makers}
    for kind, make in makers.items():
        for k in range(cfg.evaluation.num_sample_sets):
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
            f" encode it again with: python train_rnvp.py --config {networks.cfg.run.config}"
        )
    chosen = [rows[one] for one in names]

    def make() -> Tensor:
        return torch.from_numpy(np.array(stored.codes[chosen])).to(networks.device)

    facts = {"kind": "decoded", "codes": array_sha256(stored.codes[chosen])}
    return SetRecipe(name, facts, len(names), make, names=names)


def write_sets(networks: Networks, recipes: Sequence[SetRecipe]) -> None:
    """Decode the sets that are not on disk yet, num_eval_points points per cloud."""
    pending = [recipe for recipe in recipes if kept_set(networks, recipe) is None]
    total = sum(recipe.num for recipe in pending)
    with tqdm(total=total, desc="decoding sets", unit="cloud", disable=None if pending else True) as bar:
        for recipe in pending:
            bar.set_postfix_str(recipe.name)
            kept_set(networks, recipe, partial(decoded_set, networks, recipe, bar))


def decoded_set(networks: Networks, recipe: SetRecipe, bar: tqdm) -> dict[str, np.ndarray]:
    """The arrays of one set."""
    codes, clouds = recipe.make(), []
    for cloud in decode_each(networks, codes.split(1), networks.cfg.evaluation.num_eval_points, first=recipe.first):
        clouds.append(cloud)
        bar.update()
    log_likelihood, nats_per_dim = (values.cpu().numpy() for values in likelihoods(networks, codes))
    return {"point_cloud": np.stack(clouds), "log_likelihood": log_likelihood, "nll_nats_per_dim": nats_per_dim}


def kept_set(
    networks: Networks, recipe: SetRecipe, make: Callable[[], dict[str, np.ndarray]] | None = None
) -> dict[str, np.ndarray] | None:
    """The arrays of a set as its file has them, or as `make` gives them, which are then written; None without both."""
    num_points = networks.cfg.evaluation.num_eval_points
    facts = {**recipe.facts, **networks.digests, **FOUND_BY, "options": options_of("set", networks.cfg)}
    shapes = {"point_cloud": (recipe.num, num_points, 3)}
    return kept_arrays(set_path(networks, recipe), facts, make, durable=True, shapes=shapes)


def read_set(networks: Networks, recipe: SetRecipe) -> np.ndarray:
    """The clouds of a set that was written, (S, N, 3) float32 mesh units."""
    found = kept_set(networks, recipe)
    if found is None:
        raise UserError(f"{set_path(networks, recipe)} was changed by another run; run the same command again")
    return found["point_cloud"]


def set_path(networks: Networks, recipe: SetRecipe) -> Path:
    return networks.experiment.sets / f"{recipe.name}.npz"
