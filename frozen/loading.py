"""Trained networks as they are used: loaded from their checkpoints, frozen; and the codes that an NDF gives."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from configs.options import Config, InputGrid, Network
from frozen.checkpoint_files import build_checked, check_same_options, load_checkpoint
from models.distance_network import Code, DistanceNetwork
from models.occupancy import input_grid
from models.real_nvp import FLOW_OPTIONS, CodeFlow, build_flow, flow_options
from models.shape_codes import ARCHITECTURE, build_ndf, former_variant
from runtime.devices import autocast, place
from runtime.errors import UserError, note
from runtime.ranks import is_first
from runtime.reading import reading

TRAIN_AGAIN = "delete the folder of the flow's checkpoints and run train_rnvp.py again"


def load_frozen_ndf(path: Path, cfg: Config, device: torch.device) -> DistanceNetwork:
    """The network of a checkpoint, frozen, in eval mode.

    Sizes come from the checkpoint, or from the config if it stores none (NDF's and the thesis's own files).
    Raises UserError if its code kind, or its input's grid, differs from the config's, or its architecture does not
    match, or is a former one. Notes another number of input points.
    """
    state = load_checkpoint(path)
    options = {**cfg.values(), **state.get("config", {})}
    check_same_options(options, cfg.values(), ("code_kind", "input_res", "input_features", "bb_min", "bb_max"), path)
    with reading(path, "is it complete?"):
        most = int(options["num_points"])
        variant = former_variant(options, state["model_state_dict"])
        fits = (int(options["min_input_points"]) or most) <= cfg.grid.num_points <= most
    if variant:
        raise UserError(f"{path} was trained with {variant}; train it again: train_ndf.py")
    if is_first() and not fits:
        note(f"{path} was trained with num_points {most}, and is given {cfg.grid.num_points}")
    sizes = {name: options[name] for name in ARCHITECTURE[cfg.network.code_kind]}
    model = build_checked(lambda: build_ndf(options), sizes, state["model_state_dict"], path)
    return place(model, device).freeze()


def check_same_ndf(found_sha256: str, ndf_sha256: str, what: str, remedy: str = TRAIN_AGAIN) -> None:
    """Raise UserError if `what` (stored codes, a flow, ...) belongs to another NDF than that with `ndf_sha256`."""
    if found_sha256 != ndf_sha256:
        raise UserError(
            f"{what}: of another NDF checkpoint (it has been trained further, or --ndf_checkpoint names another);"
            f" {remedy}"
        )


def load_flow(path: Path, cfg: Config, code_shape: tuple[int, ...], ndf_sha256: str, device: torch.device) -> CodeFlow:
    """The flow of a checkpoint with averaged weights, in eval mode. Raises UserError if it is for other codes."""
    state = load_checkpoint(path)
    if "ema_state_dict" not in state:
        raise UserError(f"{path} is no checkpoint of a flow (of an NDF, perhaps); give one that train_rnvp.py wrote")
    if missing := [name for name in FLOW_OPTIONS if name not in state.get("config", {})]:
        raise UserError(
            f"{path} is of an earlier version (it has no {missing[0]}); train the flow again: train_rnvp.py"
        )
    check_same_options(state["config"], cfg.values(), ("code_kind",), path)
    check_same_ndf(state.get("ndf_sha256", "none"), ndf_sha256, f"the flow in {path}")
    sizes = flow_options(state["config"])
    flow = build_checked(
        lambda: build_flow(cfg.network.code_kind, code_shape, **sizes), sizes, state["ema_state_dict"], path
    )
    return flow.to(device).eval().requires_grad_(False)


def network_input(clouds: Tensor, grid: InputGrid, network: Network) -> Tensor:
    """clouds: (B, n, 3) mesh units. Returns (B, R, R, R), or (B, 4, R, R, R) with offsets, on the clouds' device."""
    return input_grid(clouds, grid.input_res, grid.bb_min, grid.bb_max, network.input_features)


@torch.no_grad()
def encode_clouds(model: DistanceNetwork, clouds: np.ndarray, cfg: Config, device: torch.device) -> Code:
    """The codes (B, *code_shape) of input clouds (B, n, 3), mesh units; for a plain NDF its pyramid."""
    x = network_input(torch.from_numpy(clouds).to(device), cfg.grid, cfg.network)
    with autocast(device, cfg.run.precision):
        return model.encode(x)
