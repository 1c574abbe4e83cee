"""The only reader of the command line and of config files."""

import argparse
import difflib
from argparse import Namespace
from pathlib import Path
from typing import NoReturn

import configargparse

from configs.errors import UserError
from configs.layout import ROOT
from configs.options import ALL_GROUPS

EXPERIMENT_OPTIONS = ("config", "exp_name", "data_dir", "split_file")  # without default; every experiment needs them


class _Parser(configargparse.ArgumentParser):
    """Raises UserError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")


def build_parser() -> configargparse.ArgumentParser:
    parser = _Parser(
        description="Options may stand in the config file (`key = value`) or on the command line, which wins.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        config_file_open_func=_open_config,
        allow_abbrev=False,
        add_env_var_help=False,
    )
    for add_options in ALL_GROUPS:
        add_options(parser)
    return parser


def get_config(argv: list[str] | None = None, instead: str | None = None) -> Namespace:
    """Merge defaults, config file and command line (`argv`, default: the process's own), and check them.

    instead: an option with which the script works without an experiment; where it is given, those that name one may
    be missing, and are None. Returns one flat namespace, an attribute per option of `configs/options.py`.
    Raises UserError for a missing config, an unknown key (naming the nearest right one) or a value out of range.
    """
    parser = build_parser()
    cfg, unknown = parser.parse_known_args(argv)
    if unknown:
        raise UserError(_describe_unknown(unknown[0], vars(cfg)))
    missing = [f"--{name}" for name in EXPERIMENT_OPTIONS if getattr(cfg, name) is None]
    if missing and (instead is None or getattr(cfg, instead) is None):
        raise UserError(f"the following arguments are required: {', '.join(missing)}; see --help")
    _check(cfg)
    return cfg


def config_as_dict(cfg: Namespace) -> dict[str, object]:
    """The merged configuration as plain values, to be stored in a checkpoint."""
    return dict(sorted(vars(cfg).items()))


def config_as_text(cfg: Namespace) -> str:
    """The merged configuration as a config file that gives the same configuration again."""
    lines = []
    for key, value in config_as_dict(cfg).items():
        if key == "config" or value is None:
            continue
        lines.append(
            f"{key} = [{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else f"{key} = {value}"
        )
    return "\n".join(lines) + "\n"


def _open_config(name: str, mode: str = "r"):
    """Open a config file, given relative to the working directory or else to the repository root."""
    for path in (Path(name), ROOT / name):
        if path.is_file():
            return open(path, mode)
    near = ", ".join(f"configs/{path.name}" for path in sorted((ROOT / "configs").glob("*.txt")))
    raise UserError(f"no config file {name}; the project has {near}")


def _describe_unknown(token: str, known: dict[str, object]) -> str:
    name = token.lstrip("-").split("=")[0]
    if not token.startswith("-"):
        return f"unexpected word {token!r}; options start with --, see --help"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown option {name!r}; did you mean {near[0]!r}? (see --help)"


def _check(cfg: Namespace) -> None:
    """Raise UserError for values that each are fine, but not together."""
    if len(cfg.sample_ratio) != len(cfg.sample_std_dev):
        raise UserError(
            f"sample_ratio has {len(cfg.sample_ratio)} values and sample_std_dev {len(cfg.sample_std_dev)};"
            " give one ratio for each sigma"
        )
    if abs(sum(cfg.sample_ratio) - 1) > 1e-6:
        raise UserError(f"sample_ratio {cfg.sample_ratio} sums to {sum(cfg.sample_ratio):g}; make it sum to 1")
    if cfg.bb_max <= cfg.bb_min:
        raise UserError(f"bb_max {cfg.bb_max} is not above bb_min {cfg.bb_min}")
    if cfg.current_chunk >= cfg.num_chunks:
        raise UserError(f"current_chunk {cfg.current_chunk} is not below num_chunks {cfg.num_chunks}; count from 0")
    if len(cfg.decoder_resolution) != len(cfg.decoder_channels):
        raise UserError(
            f"decoder_resolution has {len(cfg.decoder_resolution)} values and decoder_channels"
            f" {len(cfg.decoder_channels)}; give one number of channels for each grid"
        )
    if cfg.uniform_ratio + cfg.gap_ratio >= 1:
        raise UserError(
            f"uniform_ratio {cfg.uniform_ratio} and gap_ratio {cfg.gap_ratio} leave no share of a batch to points"
            " near the surface; make their sum less than 1"
        )
    if not 0 <= cfg.flow_ema < 1:
        raise UserError(f"flow_ema {cfg.flow_ema} is not in [0, 1)")
    for n, r in (("n_val", "r_val"), ("n_test", "r_test")):
        if getattr(cfg, n) is not None and getattr(cfg, r) is not None:
            raise UserError(f"both {n} and {r} are given; give one of them")
