"""Options of step 4: the codes and the flow that is trained on them."""

from argparse import Namespace
from collections.abc import Collection

from configs.options.types import Group, Options, boolean, not_negative, positive
from runtime.errors import UserError


def _add_codes(group: Options) -> None:
    group.add(
        "--code_draws",
        type=positive(int),
        default=1,
        help="codes per training shape, each from another draw of its input points; the first is the stored draw",
        decides="codes",
    )
    group.add(
        "--code_mirror",
        type=boolean,
        default=True,
        help="add the codes of the mirrored training shapes",
        decides="codes extra_codes",
    )
    group.add(
        "--extra_demo_cars",
        type=not_negative(int),
        default=0,
        help="demo cars that the flow is trained on beside the training shapes; they are made in memory",
        decides="extra_codes",
    )
    group.add(
        "--extra_demo_seed",
        type=not_negative(int),
        default=1000,
        help="their demo_seed: another than that of any car of the data, above all of the test cars",
        decides="extra_codes attributes",
    )
    group.add(
        "--extra_data_dir",
        default=None,
        help="folder of more meshes that the flow is trained on; they need no preprocessing, and are left out where"
        " the split has a shape of that name",
    )
    group.add(
        "--extra_data_glob",
        default="/*/models/model_normalized.obj",
        help="pattern of these meshes, appended to extra_data_dir",
    )


def _check_codes(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.extra_demo_cars and cfg.extra_demo_seed == cfg.demo_seed:
        raise UserError(
            f"extra_demo_seed is {cfg.extra_demo_seed}, as demo_seed: the extra cars would be those of the data,"
            " held-out ones too; give another extra_demo_seed"
        )


def _add_flow(group: Options) -> None:
    group = group.deciding("flow")
    group.add("--flow_steps", type=positive(int), default=20_000, help="training steps", decides="flow_course")
    group.add(
        "--flow_batch_size",
        type=positive(int),
        default=128,
        help="codes per step, of all processes together",
        decides="flow_course",
    )
    group.add(
        "--flow_lr",
        type=positive(float),
        default=1e-3,
        help="peak learning rate, AdamW, warm-up then cosine",
        decides="flow_course",
    )
    group.add("--flow_couplings", type=positive(int), default=8, help="coupling layers (per scale for 3-D codes)")
    group.add("--flow_hidden", type=positive(int), default=128, help="width of the nets that give s and t")
    group.add("--flow_blocks", type=positive(int), default=2, help="hidden layers or residual blocks of these nets")
    group.add(
        "--flow_dims",
        type=positive(int),
        default=32,
        help="vector codes: principal directions with couplings, about as many as vary by more than flow_noise"
        " (train_rnvp.py says how many); the minor ones get a Gaussian that depends on them",
    )
    group.add(
        "--flow_tail_couplings",
        type=positive(int),
        default=1,
        help="vector codes: couplings on the minor directions given the flow_dims leading ones; 1: a Gaussian that"
        " depends on these",
    )
    group.add("--flow_scales", type=positive(int), default=2, help="scales of the 3-D flow, each halves the resolution")
    group.add("--flow_s_max", type=positive(float), default=1.0, help="bound on |s|, nats per code dimension")
    group.add(
        "--flow_base",
        choices=("normal", "mixture"),
        default="normal",
        help="density of the flow's z: one Gaussian, or a mixture, which keeps kinds of shape apart",
    )
    group.add("--flow_components", type=positive(int), default=256, help="Gaussians of the mixture")
    group.add("--flow_dropout", type=not_negative(float), default=0.0, help="dropout in the nets that give s and t")
    group.add(
        "--flow_noise",
        type=not_negative(float),
        default=0.1,
        help="sd of fresh Gaussian noise on codes in training, in shares of their spread; NLLs are of noised codes",
    )
    group.add(
        "--flow_ema",
        type=not_negative(float),
        default=0.999,
        help="decay of the averaged weights that are used",
        decides="flow_course",
    )
    group.add(
        "--flow_val_every",
        type=positive(int),
        default=250,
        help="steps between validations and checkpoints",
        decides="flow_course",
    )
    group.add(
        "--flow_patience",
        type=positive(int),
        default=20,
        help="early stopping: validations without an improvement of the NLL",
        decides="flow_course",
    )


def _check_flow(cfg: Namespace, given: Collection[str]) -> None:
    if not 0 <= cfg.flow_ema < 1:
        raise UserError(f"flow_ema {cfg.flow_ema} is not in [0, 1)")


CODES = Group("codes", "which codes the flow is trained on", _add_codes, _check_codes)
FLOW = Group("flow", "the RealNVP and its training", _add_flow, _check_flow)
