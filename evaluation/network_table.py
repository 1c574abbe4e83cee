"""The table of the two networks themselves: errors of distances, likelihoods of codes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from evaluation.code_nna import Shares
from evaluation.tables import Column
from frozen.checkpoint_files import load_checkpoint
from frozen.codes import load_codes
from generation.networks import Networks
from training.flow_nll import noised_nll
from training.ndf_loss import validate
from training.shape_samples import validation_batches

COLUMNS = [Column("measure", "measure"), Column("value", "value", ".5f"), Column("unit", "unit")]
NOTE = (
    "|UDF error|: of points nearer than max_dist. NLL: of whitened codes with the noise of the flow's training. 1-NNA"
    " of codes (vectors only): the flow's samples, a Gaussian's, mixed neighbours and training codes against test"
    " codes, by the distance between codes on the directions that vary by more than this noise; 50 % is best."
)


def network_rows(networks: Networks, test_folders: Sequence[Path], shares: Shares) -> list[dict]:
    """Rows (measure, value, unit): values stored in the two checkpoints, and the same for the test split.

    |UDF error|: mean over points closer to the surface than max_dist, drawn as for training. NLL: of whitened codes
    with the noise of the flow's training. shares: 1-NNA of codes, shown as mean over their sets. Values missing from a
    checkpoint are None.
    """
    cfg, device = networks.cfg, networks.device
    ndf_state, rnvp_state = load_checkpoint(networks.ndf_path), load_checkpoint(networks.rnvp_path)
    batches = validation_batches(list(test_folders), cfg)
    bar = tqdm(batches, desc="test |UDF error|", unit="batch", disable=None)
    errors = validate(networks.ndf, bar, cfg, device)
    noise, stored = rnvp_state["flow_noise"], rnvp_state["nll_nats_per_dim"]
    test_codes = torch.from_numpy(load_codes(cfg, "test").one_per_shape().codes).to(device)
    rows = [
        ("mean test |UDF error|", errors["near_abs_error"], "mesh units"),
        ("test NDF loss", errors["clamped_l1"], "mesh units"),
        ("validation NDF loss", ndf_state.get("best"), "mesh units"),
        ("training flow NLL", stored["train"], "nats/dim"),
        ("validation flow NLL", stored["val"], "nats/dim"),
        ("test flow NLL", noised_nll(networks.flow, test_codes, noise, cfg), "nats/dim"),
        ("validation Gaussian NLL", stored["gaussian"], "nats/dim"),
    ]
    rows += [(f"1-NNA of codes, {kind}", 100 * float(np.mean(one["seen"])), "%") for kind, one in shares.items()]
    return [{"measure": measure, "value": value, "unit": unit} for measure, value, unit in rows]
