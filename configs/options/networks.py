"""Options of step 3, and of both trainings: the NDF and how it is trained."""

from argparse import Namespace
from collections.abc import Collection

from configs.options.types import Group, Options, boolean, not_negative, positive
from runtime.errors import UserError


def _add_network(group: Options) -> None:
    group = group.deciding("ndf")
    group.add(
        "--code_kind",
        choices=["none", "fused", "grid", "vector"],
        default="none",
        help="none: plain NDF; fused: its pyramid resampled, as the thesis; grid, vector: learned bottleneck",
    )
    group.add("--latent_dim", type=positive(int), default=256, help="numbers of a vector code; channels of a grid code")
    group.add("--out_resolution", type=positive(int), default=8, help="nodes per axis of a fused or grid code")
    group.add(
        "--input_features",
        choices=["occupancy", "offsets"],
        default="occupancy",
        help="the encoder's input at each node: its occupancy (NDF), or also the mean offset of its points, which makes"
        " a coarse grid as precise as the points",
    )
    group.add(
        "--input_fold",
        type=positive(int),
        default=1,
        help="vector: blocks of so many nodes per axis become channels before the encoder's first layer, so that this"
        " works on fewer nodes of more channels, which is faster; 1 as in NDF",
    )
    group.add(
        "--encoder_channels",
        type=positive(int),
        nargs="+",
        default=[16, 32, 64, 128, 128, 128],
        help="channels of the encoder's levels f1, f2, ...; NDF has six levels",
    )
    group.add(
        "--hidden_dim",
        type=positive(int),
        default=256,
        help="width of the point network: fc_0 has twice as many, fc_1 and fc_2 as many",
    )
    group.add(
        "--distance_head",
        choices=["value", "sheet"],
        default="value",
        help="what the point network gives: a distance (NDF), or the side of a sheet and the distance beyond its"
        " border, which make thinner sheets (models/distance_heads.py)",
    )
    group.add(
        "--decoder_hidden",
        type=positive(int),
        default=512,
        help="width of the layers from a vector code to feature grids",
    )
    group.add(
        "--decoder_resolution",
        type=positive(int),
        nargs="+",
        default=[8],
        help="nodes per axis of the decoder's feature grids, coarse to fine, each twice the last",
    )
    group.add("--decoder_channels", type=positive(int), nargs="+", default=[16], help="channels of these grids")
    group.add(
        "--plane_resolution",
        type=positive(int),
        nargs="*",
        default=[16, 32],
        help="vector: nodes per side of the three feature planes, coarse to fine, each twice the last; no value: none",
    )
    group.add("--plane_channels", type=positive(int), nargs="*", default=[32, 16], help="channels of these planes")
    group.add(
        "--num_places",
        type=int,
        choices=[1, 7],
        default=1,
        help="grid and vector: places where a point looks grids up, itself alone or with its six neighbours (NDF)",
    )
    group.add(
        "--code_encoder",
        choices=["pyramid", "pca", "both"],
        default="pyramid",
        help="vector: NDF's pyramid with a learned projection; the principal components of the occupancy; or both, the"
        " components first",
    )
    group.add(
        "--pca_dims",
        type=positive(int),
        default=48,
        help="principal components in a code with code_encoder both; the rest of latent_dim is learned",
    )
    group.add(
        "--pca_resolution",
        type=positive(int),
        default=32,
        help="nodes per axis of the occupancy that pca compares; a finer input is pooled",
    )
    group.add(
        "--pca_view_weight",
        type=not_negative(float),
        default=0.0,
        help="weight, beside the occupancy, of what pca sees of a shape from six sides, which tells glass from"
        " openings; with 3 both vary alike on demo cars; 0: occupancy alone",
    )
    group.add(
        "--code_noise",
        type=not_negative(float),
        default=0.1,
        help="sd of the Gaussian noise on a vector or grid code in training; codes have unit variance",
        decides="ndf_course",
    )


def _check_network(cfg: Namespace, given: Collection[str]) -> None:
    if len(cfg.decoder_resolution) != len(cfg.decoder_channels):
        raise UserError(
            f"decoder_resolution has {len(cfg.decoder_resolution)} values and decoder_channels"
            f" {len(cfg.decoder_channels)}; give one number of channels for each grid"
        )


def _add_training(group: Options) -> None:
    group.add(
        "--keep_checkpoints", type=positive(int), default=2, help="latest checkpoints that are kept, beside the best"
    )
    group.add(
        "--batch_size",
        type=positive(int),
        default=4,
        help="shapes per step of the NDF, of all processes together, and encoded at a time by each",
        decides="ndf_course",
    )
    group.add(
        "--warmup_steps",
        type=not_negative(int),
        default=100,
        help="steps of linear warm-up, then cosine decay",
        decides="ndf_course flow_course",
    )
    group.add(
        "--num_pictures",
        type=not_negative(int),
        default=10,
        help="times during a training that TensorBoard gets pictures and clouds, more often at first; fewer where they"
        " would take more than 3 %% of its time; 0: none",
    )


def _add_ndf_training(group: Options) -> None:
    group = group.deciding("ndf_course")
    group.add("--num_epochs", type=positive(int), default=1500, help="passes over the training shapes")
    group.add("--num_sample_points_training", type=positive(int), default=50_000, help="points per shape and step")
    group.add(
        "--min_input_points",
        type=not_negative(int),
        default=0,
        help="sparse inputs in training: half of the steps see only the first n points of their clouds, n log-uniform"
        " from here to num_points; 0: always all",
    )
    group.add(
        "--uniform_ratio",
        type=not_negative(float),
        default=0.15,
        help="share of them uniform in the box: without them false surfaces appear in empty space",
        decides="ndf_best",
    )
    group.add(
        "--gap_ratio",
        type=not_negative(float),
        default=0.2,
        help="share of them in the openings of the shape: without them a global code closes windows",
        decides="ndf_best",
    )
    group.add(
        "--num_hard_points",
        type=not_negative(int),
        default=64,
        help="points per shape and step beside them: the worst predicted of hard_point_candidates times as many far"
        " from the surface",
    )
    group.add(
        "--hard_point_candidates",
        type=positive(int),
        default=16,
        help="drawn per hard point; with fewer a step is cheaper, and the largest errors are found less often",
    )
    group.add(
        "--max_dist",
        type=positive(float),
        default=0.1,
        help="distances are clamped here in the loss, mesh units",
        decides="ndf_best",
    )
    group.add(
        "--optimizer",
        choices=["Adam", "AdamW", "RMSprop", "Muon"],
        default="Adam",
        help="for the NDF; Muon needs fewer steps, each of which takes three times as long on a CPU, hardly longer on a"
        " GPU",
        decides="ndf",
    )
    group.add(
        "--lr",
        type=positive(float),
        default=1e-4,
        help="peak learning rate (NDF's 1e-6 is too slow; its users found 1e-4 as good as the published net)",
    )
    group.add("--mirror", type=boolean, default=True, help="show each shape mirrored in x half of the time")
    group.add("--val_every", type=positive(int), default=500, help="steps between validations and checkpoints")
    group.add(
        "--ram_cache_gb",
        type=not_negative(float),
        default=4.0,
        help="keep the training samples in memory if they need no more than this, else read them at every step",
        decides="",
    )
    group.add(
        "--gpu_cache_gb",
        type=not_negative(float),
        default=16.0,
        help="on a GPU: keep them in its memory if they need no more than this, and draw the batches there, so that it"
        " never waits for the CPU; 0: never",
        decides="",
    )


def _check_ndf_training(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.uniform_ratio + cfg.gap_ratio >= 1:
        raise UserError(
            f"uniform_ratio {cfg.uniform_ratio} and gap_ratio {cfg.gap_ratio} leave no share of a batch to points"
            " near the surface; make their sum less than 1"
        )


NETWORK = Group("NDF network and shape codes", "the architecture: fixed once trained", _add_network, _check_network)
TRAINING = Group("training", "read by both trainings", _add_training)
NDF_TRAINING = Group("NDF training", "losses and batches of train_ndf.py", _add_ndf_training, _check_ndf_training)
