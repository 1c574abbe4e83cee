"""All codes that a flow is trained and validated on, and those of the test shapes, brought up to date."""

from pathlib import Path

import torch

from configs.options import Config
from dataprocessing.extra_shapes import ExtraSource
from frozen.checkpoint_files import fingerprint, load_checkpoint
from frozen.codes import EXTRA, SPLITS
from models.distance_network import DistanceNetwork
from runtime.errors import UserError
from training.checkpoints import latest_whole
from training.distributed import from_first
from training.encoding import encode_splits, facts_of, note_by_first
from training.extra_codes import encode_extras, extra_facts
from training.same_training import facts_of_codes, num_among


def make_codes(
    model: DistanceNetwork,
    checkpoint: Path,
    folders: dict[str, list[Path]],
    sources: list[ExtraSource],
    cfg: Config,
    device: torch.device,
) -> None:
    """Write the codes of all splits and of the extra shapes, except those that are up to date.

    Raises UserError, before any is made or replaced, for a single training shape, or if the experiment has a flow that
    was trained on other ones.
    """
    if (count := len(folders["train"]) + sum(len(source.shapes) for source in sources)) < 2:
        raise UserError(
            f"a flow learns how shapes differ: {count} training shape found, 2 or more expected; add meshes, lower"
            " n_val or n_test and make the split and the NDF anew, or give --extra_demo_cars"
        )

    def facts() -> dict[str, dict]:
        sha256 = fingerprint(checkpoint)
        of_splits = {split: facts_of(split, folders[split], cfg, sha256) for split in SPLITS}
        return of_splits | {EXTRA: extra_facts(sources, cfg, sha256)}

    made_of = from_first(facts)
    flows = cfg.experiment.rnvp_checkpoints
    path, state, _ = latest_whole(flows)
    if path:
        facts_of_codes(cfg, made_of).differences(state, flows)
    learned = load_checkpoint(checkpoint).get("shapes", {}).get("train", {})
    test = made_of["test"]["shapes"]
    if seen := num_among(test, learned):
        note_by_first(f"{seen} of {len(test)} test shapes are among those that {checkpoint} was trained on")
    encode_splits(model, checkpoint, folders, made_of, cfg, device)
    encode_extras(model, checkpoint, sources, made_of[EXTRA], cfg, device)
