"""Which shapes a network was trained on, as its checkpoint says: it must not be tested on them."""

from collections.abc import Mapping
from pathlib import Path

from configs.options import Config
from dataprocessing.shapes import demo_car_name
from frozen.checkpoint_files import load_checkpoint
from runtime.errors import UserError
from runtime.reading import reading

SEEN = ("train", "extra")  # parts of the entry `shapes` of a checkpoint


def trained_on(checkpoint: Path, shapes: Mapping[str, str]) -> list[str]:
    """Those of some shapes (name -> digest of the input cloud) that a network was trained on, by either.

    A checkpoint of an earlier version tells nothing.
    """
    state = load_checkpoint(checkpoint)
    with reading(checkpoint, "the shapes that it was trained on are no names with digests: is it complete?"):
        seen: set[str] = set()
        for part in SEEN:
            found = state.get("shapes", {}).get(part, {})
            seen |= {*found, *found.values()}
        for source in state.get("trained_on", {}).get("sources", []):
            if "demo_cars" in source:
                seen |= {demo_car_name(source["demo_seed"], n) for n in range(source["demo_cars"])}
        return [name for name, digest in shapes.items() if name in seen or digest in seen]


def check_not_trained_on(
    checkpoints: Mapping[str, Path], shapes: Mapping[str, str], split: str, cfg: Config
) -> dict[str, int]:
    """How many shapes of a split each of some networks (name -> checkpoint) was trained on; those of none are left out.

    Raises UserError at the first that was, unless `allow_trained_on`.
    """
    found = {}
    for name, path in checkpoints.items():
        if again := trained_on(path, shapes):
            if not cfg.evaluation.allow_trained_on:
                raise UserError(
                    f"{name} in {path} was trained on {len(again)} of the {len(shapes)} {split} shapes of"
                    f" {cfg.data.split_file}, the first: {again[0]}, so that numbers of them say nothing of new shapes;"
                    " train again (with another --exp_name), restore the split that it was trained with, or give"
                    " --allow_trained_on true: the tables then say so"
                )
            found[name] = len(again)
    return found
