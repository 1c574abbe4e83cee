"""Options of step 4: the codes and the flow that is trained on them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from configs.options.types import Group, not_negative, option, positive
from runtime.errors import UserError

if TYPE_CHECKING:
    from configs.options import Config


@dataclass(frozen=True)
class Codes(Group, title="codes", about="which codes the flow is trained on"):
    code_draws: int = option(
        1,
        "codes per training shape, each from another draw of its input points; the first is the stored draw",
        positive,
        decides="codes",
    )
    code_stretch: float = option(
        0.0,
        "of further draws: each axis of the shape is stretched or pressed by up to this share, and the shape scaled"
        " into the box again; for few shapes, such as ShapeNet's cars (0.04)",
        not_negative,
        decides="codes",
    )
    code_mirror: bool = option(True, "add the codes of the mirrored training shapes", decides="codes extra_codes")
    extra_demo_cars: int = option(
        0,
        "demo cars that the flow is trained on beside the training shapes; they are made in memory",
        not_negative,
        decides="extra_codes",
    )
    extra_demo_seed: int = option(
        1000,
        "their demo_seed: another than that of any car of the data, above all of the test cars",
        not_negative,
        decides="extra_codes attributes",
    )
    extra_data_dir: str | None = option(
        None,
        "folder of more meshes that the flow is trained on; they need no preprocessing, and are left out where the"
        " split has a shape of that name",
    )
    extra_data_glob: str = option(
        "/*/models/model_normalized.obj", "pattern of these meshes, appended to extra_data_dir"
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if self.code_stretch >= 1:
            raise UserError(f"code_stretch {self.code_stretch:g} found, less than 1 expected, such as 0.04")
        if self.code_stretch and self.code_draws == 1 and "code_stretch" in given:
            raise UserError("code_stretch is for further draws, of which there are none: give code_draws 2, too")
        if self.extra_demo_cars and self.extra_demo_seed == cfg.demo_cars.demo_seed:
            raise UserError(
                f"extra_demo_seed is {self.extra_demo_seed}, as demo_seed: the extra cars would be those of the data,"
                " held-out ones too; give another extra_demo_seed"
            )


@dataclass(frozen=True)
class Flow(Group, title="flow", about="the RealNVP and its training", decides="flow"):
    flow_steps: int = option(20_000, "training steps", positive, decides="flow_course")
    flow_batch_size: int = option(128, "codes per step, of all processes together", positive, decides="flow_course")
    flow_lr: float = option(0.001, "peak learning rate, AdamW, warm-up then cosine", positive, decides="flow_course")
    flow_couplings: int = option(8, "coupling layers (per scale for 3-D codes)", positive)
    flow_hidden: int = option(128, "width of the nets that give s and t", positive)
    flow_blocks: int = option(2, "hidden layers or residual blocks of these nets", positive)
    flow_dims: int = option(
        32,
        "vector codes: principal directions with couplings, about as many as vary by more than flow_noise"
        " (train_rnvp.py says how many); the minor ones get a Gaussian that depends on them",
        positive,
    )
    flow_tail_couplings: int = option(
        1,
        "vector codes: couplings on the minor directions given the flow_dims leading ones; 1: a Gaussian that depends"
        " on these",
        positive,
    )
    flow_scales: int = option(2, "scales of the 3-D flow, each halves the resolution", positive)
    flow_s_max: float = option(1.0, "bound on |s|, nats per code dimension", positive)
    flow_base: Literal["normal", "mixture"] = option(
        "normal", "density of the flow's z: one Gaussian, or a mixture, which keeps kinds of shape apart"
    )
    flow_components: int = option(256, "Gaussians of the mixture", positive)
    flow_dropout: float = option(0.0, "dropout in the nets that give s and t", not_negative)
    flow_noise: float = option(
        0.1,
        "sd of fresh Gaussian noise on codes in training, in shares of their spread; NLLs are of noised codes",
        not_negative,
    )
    flow_ema: float = option(0.999, "decay of the averaged weights that are used", not_negative, decides="flow_course")
    flow_val_every: int = option(250, "steps between validations and checkpoints", positive, decides="flow_course")
    flow_patience: int = option(
        20, "early stopping: validations without an improvement of the NLL", positive, decides="flow_course"
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if not 0 <= self.flow_ema < 1:
            raise UserError(f"flow_ema {self.flow_ema} is not in [0, 1)")
