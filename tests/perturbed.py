"""Another value for each option, for tests of what depends on it."""

import argparse
from collections.abc import Mapping
from typing import Any

from configs.config_loader import build_parser

# Where a value near the present one would not fit the options beside it, or is text.
CHOSEN: dict[str, Any] = {
    "bb_min": -0.6, "bb_max": 0.6, "sample_std_dev": [0.07, 0.003], "sample_ratio": [0.3, 0.7], "flow_ema": 0.99,
    "decoder_resolution": [4, 8], "decoder_channels": [5, 3], "plane_resolution": [8], "plane_channels": [4],
    "encoder_channels": [4, 4], "front": "z", "device": "cpu", "edit_shapes": ["1"], "by": [1.0], "to": ["a"],
    "camera": [0.0, 1.0, 2.0], "covered": [0.0, 0.0, 0.0, 1.0, 1.0, 1.0], "temperatures": [0.3],
    "n_val": 1, "n_test": 2,
    "tasks": ["networks"], "analyses": ["table"], "mesh_formats": ["obj"], "num_chunks": 2, "uniform_ratio": 0.2,
    "gap_ratio": 0.2, "current_chunk": 0, "num_chains": 2, "code_draws": 2, "num_cpus": 2, "up": "z",
}  # fmt: skip
# Which experiment, which files, what is made: they decide no file themselves, but by what they name, by its content.
NAMES = {
    "config", "exp_name", "exp_root", "data_dir", "input_data_glob", "processed_dir", "split_file", "ndf_checkpoint",
    "rnvp_checkpoint", "extra_data_dir", "extra_data_glob", "export_dir", "mode", "interpolate_from", "interpolate_to",
    "own_meshes", "out", "attributes_file", "attribute", "samples", "training", "references", "output",
    "compare_experiments", "scanned_mesh", "scan", "truth", "kind", "class_folders", "test_pattern", "published_split",
    "axes_file", "help",
}  # fmt: skip


def actions() -> dict[str, argparse.Action]:
    return {action.dest: action for action in build_parser()._actions if action.dest not in NAMES}


def another(action: argparse.Action, present: Mapping[str, Any]) -> Any:
    """A value of an option that is not the present one, and is allowed."""
    now = present[action.dest]
    if action.dest in CHOSEN and CHOSEN[action.dest] != now:
        return CHOSEN[action.dest]
    if action.choices and action.nargs in (None, "?"):
        return next(value for value in action.choices if value != now)
    if isinstance(now, bool):
        return not now
    if isinstance(now, int):
        return now + 1
    if isinstance(now, float):
        return 1.25 * now + 0.05
    if now is None:
        return 1
    raise TypeError(action.dest)
