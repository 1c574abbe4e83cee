"""Reading checkpoints: which there are, what is in them, and whether it is whole and fits.

Files are read with `weights_only=True`: an untrusted checkpoint cannot run code. Names are NDF's
`checkpoint_{h}h_{m}m_{s}s_{seconds}.tar`, without its colons (which some file systems forbid); both are read.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from configs.options import Config
from frozen.checkpoint_seal import DamagedError, check_seal
from runtime.artefacts import file_sha256
from runtime.devices import Model
from runtime.errors import UserError
from runtime.layout import absolute
from runtime.reading import MOST_ARRAY, DamagedFile, naming_file, read_torch, reading, require_file

BEST = "best.tar"
# Options of checkpoints from before the option was there.
FORMER_OPTIONS = {
    "distance_head": "value",
    "pca_view_weight": 0.0,
    "input_fold": 1,
    "flow_tail_couplings": 1,
    "flow_base": "normal",
    "flow_components": 256,
}
# Of the entries of a checkpoint, those that are there.
KINDS: dict[str, type | tuple[type, ...]] = {
    "model_state_dict": dict,
    "ema_state_dict": dict,
    "optimizer_state_dict": dict,
    "config": dict,
    "quantiles": dict,
    "nll_nats_per_dim": dict,
    "trained_on": dict,
    "shapes": dict,
    "codes": dict,
    "ndf_sha256": str,
    "step": int,
    "best_step": int,
    "best": (int, float),
    "flow_noise": (int, float),
    "training_time": (int, float),
}
_TIMED_NAME = re.compile(r"checkpoint_\d+h[:_]\d+m[:_]\d+s_([\d.]+)\.tar$")
MOST_SIZE, MOST_LAYERS = 2**16, 1000  # of an option that sizes a network, and that counts its layers


class DamagedCheckpoint(UserError):
    """`path` is no whole checkpoint."""

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} {what}")
        self.path = path


def timed_name(seconds: float) -> str:
    """The name of a checkpoint after this many seconds of training: checkpoint_0h_5m_3s_303.25.tar."""
    minutes, whole_seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"checkpoint_{hours}h_{minutes}m_{whole_seconds}s_{seconds:.2f}.tar"


def timed_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder by increasing training time, with or without colons in their names."""
    found = [(float(match[1]), path) for path in folder.glob("*.tar") if (match := _TIMED_NAME.search(path.name))]
    return [path for _, path in sorted(found)]


def latest_checkpoint(folder: Path) -> Path | None:
    return next(reversed(timed_checkpoints(folder)), None)


def best_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the best validation value; in a folder without one (NDF's), the latest."""
    best = folder / BEST
    return best if best.is_file() else latest_checkpoint(folder)


def ndf_checkpoint_path(cfg: Config) -> Path:
    """The NDF that `ndf_checkpoint` names, or this experiment's best. Raises UserError if there is none."""
    path: Path | None
    if cfg.weights.ndf_checkpoint:
        named = absolute(cfg.weights.ndf_checkpoint)
        path = best_checkpoint(named) or named if named.is_dir() else named
    else:
        path = best_checkpoint(cfg.experiment.ndf_checkpoints)
    if path is None or not path.is_file():
        where = path or cfg.experiment.ndf_checkpoints
        raise UserError(f"no NDF checkpoint in {where}; train one with: python train_ndf.py --config {cfg.run.config}")
    return path


def rnvp_checkpoint_path(cfg: Config) -> Path | None:
    """The flow that `rnvp_checkpoint` names, or this experiment's best, or None if it has none.

    Raises UserError if the named file does not exist.
    """
    if not cfg.weights.rnvp_checkpoint:
        return best_checkpoint(cfg.experiment.rnvp_checkpoints)
    named = absolute(cfg.weights.rnvp_checkpoint)
    path = best_checkpoint(named) if named.is_dir() else named
    if path is None or not path.is_file():
        raise UserError(
            f"no RealNVP checkpoint in {named}; train one with: python train_rnvp.py --config {cfg.run.config}"
        )
    return path


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, which identifies the checkpoint that codes come from. Raises DamagedFile if it is none."""
    with reading(path):
        if (size := require_file(path)) > MOST_ARRAY:
            raise ValueError(f"{size / 1e9:.1f} GB, at most {MOST_ARRAY / 1e9:.1f} GB expected")
    return file_sha256(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises UserError if the file is missing or another program's, DamagedCheckpoint if it is not whole.
    """
    if not path.is_file():
        raise UserError(
            f"no checkpoint at {path}; give the path of a .tar file that train_ndf.py or train_rnvp.py wrote"
        )
    try:
        with naming_file(path), open(path, "rb") as file:
            check_seal(file)
        state = read_torch(path)
    except DamagedError as error:
        raise DamagedCheckpoint(path, f"is damaged: {error};{_instead(path)}") from error
    except DamagedFile as error:
        raise DamagedCheckpoint(path, f"cannot be read as a checkpoint ({error.reason});{_instead(path)}") from error
    if not isinstance(state, dict) or "model_state_dict" not in state:
        raise UserError(f"{path} holds no model_state_dict; a checkpoint of this project or of NDF is expected")
    for name, kind in KINDS.items():
        if name in state and not isinstance(state[name], kind):
            raise UserError(f"{path} is no checkpoint: its {name} is a {type(state[name]).__name__}; is it complete?")
    for name in ("shapes", "codes"):
        if not all(isinstance(part, dict) for part in state.get(name, {}).values()):
            raise UserError(f"{path} is no checkpoint: a part of its {name} is of another kind; is it complete?")
    if "config" in state:
        state["config"] = FORMER_OPTIONS | state["config"]
    return state


def _instead(path: Path) -> str:
    """What to do about a damaged file."""
    if path.name == BEST and latest_checkpoint(path.parent):
        return " is it complete? Delete it, then the latest checkpoint beside it is used"
    return " is it complete? Use another one"


def build_checked(
    build: Callable[[], Model], options: Mapping[str, Any], weights: Mapping[str, Any], path: Path
) -> Model:
    """The network that `build` makes with the options of a checkpoint, with its weights.

    Its sizes come from a file that may be damaged: they are compared with the weights before memory is taken for them.
    Raises UserError for weights that are of another architecture, no tensors, or not finite.
    """
    with reading(path, "is it complete, and of this version?"):
        for name, value in options.items():
            counts = any(word in name for word in ("couplings", "blocks", "scales"))
            for number in value if isinstance(value, list | tuple) else [value]:
                most = 1 if "dropout" in name else MOST_LAYERS if counts else MOST_SIZE
                if isinstance(number, int | float) and not 0 <= number <= most:
                    raise ValueError(f"{name} = {number}")
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of sizes that the weights will not fit
            check_weights(build(), weights, path)
        model = build()
    load_weights(model, weights, path)
    return model


def load_weights(model: torch.nn.Module, weights: Mapping[str, torch.Tensor], source: Path) -> None:
    """Load weights into a model. Raises UserError naming the first parameter that does not fit."""
    model.load_state_dict(check_weights(model, weights, source))


def check_weights(model: torch.nn.Module, weights: Mapping[str, Any], source: Path) -> dict[str, torch.Tensor]:
    """The weights by the model's names. Raises UserError naming the first that does not fit, or is not finite."""
    own = model.state_dict()
    weights = {name.removeprefix("module."): value for name, value in weights.items()}  # saved from DataParallel
    if wrong := [name for name, value in weights.items() if not isinstance(value, torch.Tensor)]:
        raise UserError(f"{source} is no checkpoint: its {wrong[0]} is no tensor; is it complete?")
    for name, value in own.items():
        if name not in weights:
            raise UserError(f"{source} is of another architecture: it lacks {name}; check code_kind and the sizes")
        if weights[name].shape != value.shape:
            raise UserError(
                f"{source} is of another architecture: {name} is {tuple(weights[name].shape)} there and"
                f" {tuple(value.shape)} by the config; check code_kind and the sizes"
            )
    if surplus := sorted(set(weights) - set(own)):
        raise UserError(f"{source} is of another architecture: it has {surplus[0]} too; check code_kind and the sizes")
    for name, value in weights.items():
        if value.is_complex() or not torch.isfinite(value).all():
            raise UserError(
                f"{source}: {name} has values that are no finite numbers; its training failed, or it is damaged"
            )
    return weights


def check_same_options(
    found: Mapping[str, Any], wanted: Mapping[str, Any], names: tuple[str, ...], source: Path
) -> None:
    """Raise UserError at the first of the options `names` that differs between a checkpoint and the config."""
    for name in names:
        if name in found and found[name] != wanted[name]:
            raise UserError(
                f"{source} was trained with {name} = {found[name]}, the config says {wanted[name]};"
                " use the same value, or another --exp_name"
            )
