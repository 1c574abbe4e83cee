"""Options of step 3, and of both trainings: the NDF and how it is trained."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from configs.options.types import Group, not_negative, option, positive
from runtime.errors import UserError

if TYPE_CHECKING:
    from configs.options import Config


@dataclass(frozen=True)
class Network(Group, title="NDF network and shape codes", about="the architecture: fixed once trained", decides="ndf"):
    code_kind: Literal["none", "points", "fused", "grid", "vector"] = option(
        "none",
        "none: plain NDF; points: features at the input points (models/point_ndf.py); fused: NDF's pyramid resampled,"
        " as the thesis; grid, vector: learned bottleneck",
    )
    latent_dim: int = option(256, "numbers of a vector code; channels of a grid code", positive)
    out_resolution: int = option(8, "nodes per axis of a fused or grid code", positive)
    input_features: Literal["occupancy", "offsets"] = option(
        "occupancy",
        "the encoder's input at each node: its occupancy (NDF), or also the mean offset of its points, which makes a"
        " coarse grid as precise as the points",
    )
    input_fold: int = option(
        1,
        "vector: blocks of so many nodes per axis become channels before the encoder's first layer, so that this works"
        " on fewer nodes of more channels, which is faster; 1 as in NDF",
        positive,
    )
    encoder_channels: tuple[int, ...] = option(
        (16, 32, 64, 128, 128, 128),
        "channels of the encoder's levels f1, f2, ...; NDF has six levels; points: of rounds of messages",
        positive,
    )
    hidden_dim: int = option(
        256,
        "width of the point network: fc_0 has twice as many, fc_1 and fc_2 as many; points: a multiple of 8",
        positive,
    )
    distance_head: Literal["value", "sheet"] = option(
        "value",
        "what the point network gives: a distance (NDF), or the side of a sheet and the distance beyond its border,"
        " which make thinner sheets (models/distance_heads.py)",
    )
    decoder_hidden: int = option(512, "width of the layers from a vector code to feature grids", positive)
    decoder_resolution: tuple[int, ...] = option(
        (8,), "nodes per axis of the decoder's feature grids, coarse to fine, each twice the last", positive
    )
    decoder_channels: tuple[int, ...] = option((16,), "channels of these grids", positive)
    plane_resolution: tuple[int, ...] = option(
        (16, 32),
        "vector: nodes per side of the three feature planes, coarse to fine, each twice the last; no value: none",
        positive,
        may_be_empty=True,
    )
    plane_channels: tuple[int, ...] = option((32, 16), "channels of these planes", positive, may_be_empty=True)
    num_places: Literal[1, 7] = option(
        1, "grid and vector: places where a point looks grids up, itself alone or with its six neighbours (NDF)"
    )
    code_encoder: Literal["pyramid", "pca", "both"] = option(
        "pyramid",
        "vector: NDF's pyramid with a learned projection; the principal components of the occupancy; or both, the"
        " components first",
    )
    pca_dims: int = option(
        48, "principal components in a code with code_encoder both; the rest of latent_dim is learned", positive
    )
    pca_resolution: int = option(
        32, "nodes per axis of the occupancy that pca compares; a finer input is pooled", positive
    )
    pca_view_weight: float = option(
        0.0,
        "weight, beside the occupancy, of what pca sees of a shape from six sides, which tells glass from openings;"
        " with 3 both vary alike on demo cars; 0: occupancy alone",
        not_negative,
    )
    code_noise: float = option(
        0.1,
        "sd of the Gaussian noise on a vector or grid code in training; codes have unit variance",
        not_negative,
        decides="ndf_course",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        grids, channels = len(self.decoder_resolution), len(self.decoder_channels)
        if grids != channels:
            raise UserError(
                f"decoder_resolution has {grids} values and decoder_channels {channels}; give one number of channels"
                " for each grid"
            )


@dataclass(frozen=True)
class Training(Group, title="training", about="read by both trainings"):
    keep_checkpoints: int = option(2, "latest checkpoints that are kept, beside the best", positive)
    batch_size: int = option(
        4,
        "shapes per step of the NDF, of all processes together, and encoded at a time by each",
        positive,
        decides="ndf_course",
    )
    warmup_steps: int = option(
        100, "steps of linear warm-up, then cosine decay", not_negative, decides="ndf_course flow_course"
    )
    num_pictures: int = option(
        10,
        "times during a training that TensorBoard gets pictures and clouds, more often at first; fewer where they"
        " would take more than 3 %% of its time; 0: none",
        not_negative,
    )


@dataclass(frozen=True)
class NDFTraining(Group, title="NDF training", about="losses and batches of train_ndf.py", decides="ndf_course"):
    num_epochs: int = option(1500, "passes over the training shapes", positive)
    num_sample_points_training: int = option(50_000, "points per shape and step", positive)
    min_input_points: int = option(
        0,
        "sparse inputs in training: half of the steps see only n points of their clouds, n log-uniform from here to"
        " num_points; 0: always all",
        not_negative,
    )
    usual_input_points: int = option(
        0, "points that the other half of these steps sees, where num_points are more; 0: all", not_negative
    )
    uniform_ratio: float = option(
        0.15,
        "share of them uniform in the box: without them false surfaces appear in empty space",
        not_negative,
        decides="ndf_best",
    )
    gap_ratio: float = option(
        0.2,
        "share of them in the openings of the shape: without them a global code closes windows",
        not_negative,
        decides="ndf_best",
    )
    sharp_ratio: float = option(
        0.0,
        "share of them where the surface bends or ends, whose fine parts points drawn by area hardly reach; needs"
        " num_sharp_samples",
        not_negative,
        decides="ndf_best",
    )
    num_hard_points: int = option(
        64,
        "points per shape and step beside them: the worst predicted of hard_point_candidates times as many far from"
        " the surface",
        not_negative,
    )
    hard_point_candidates: int = option(
        16, "drawn per hard point; with fewer a step is cheaper, and the largest errors are found less often", positive
    )
    max_dist: float = option(0.1, "distances are clamped here in the loss, mesh units", positive, decides="ndf_best")
    optimizer: Literal["Adam", "AdamW", "RMSprop", "Muon"] = option(
        "Adam",
        "for the NDF; Muon needs fewer steps, each of which takes three times as long on a CPU, hardly longer on a GPU",
        decides="ndf",
    )
    lr: float = option(
        1e-4, "peak learning rate (NDF's 1e-6 is too slow; its users found 1e-4 as good as the published net)", positive
    )
    mirror: bool = option(True, "show each shape mirrored in x half of the time")
    turns: bool = option(False, "turn each shape by one of the 24 turns of a cube: for shapes whose axes are unknown")
    tilt_deg: float = option(0.0, "and tilt it by up to so many degrees about any axis", not_negative)
    least_scale: float = option(1.0, "and make it smaller, down to this share of its size", positive.at_most(1.0))
    input_noise_sd: float = option(
        0.0,
        "Gaussian noise on the input points in half of the steps, its sd log-uniform from a hundredth of this to this,"
        " mesh units; distances stay those of the clean shape",
        not_negative,
    )
    val_every: int = option(500, "steps between validations and checkpoints", positive)
    ram_cache_gb: float = option(
        4.0,
        "keep the training samples in memory, once for all processes of a machine, if they need no more than this, else"
        " read them at every step",
        not_negative,
        decides="",
    )
    gpu_cache_gb: float = option(
        16.0,
        "on a GPU: keep them in its memory if they need no more than this, and draw the batches there, so that it"
        " never waits for the CPU; 0: never",
        not_negative,
        decides="",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if self.uniform_ratio + self.gap_ratio + self.sharp_ratio >= 1:
            raise UserError(
                f"uniform_ratio {self.uniform_ratio}, gap_ratio {self.gap_ratio} and sharp_ratio {self.sharp_ratio}"
                " leave no share of a batch to points near the surface; make their sum less than 1"
            )
        if self.sharp_ratio and not cfg.sampling.num_sharp_samples:
            raise UserError(
                f"sharp_ratio {self.sharp_ratio} asks for points at edges, of which num_sharp_samples 0 makes none; set"
                " it to 4000, say, and run preprocess.py"
            )
