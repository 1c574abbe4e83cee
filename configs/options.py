"""Every option of every script, grouped by the step that reads it.

A config file holds the same names as `key = value` lines; the command line wins over the file. Names and meanings
that users of NDF and of the thesis know are kept.
"""

import argparse
from collections.abc import Callable

TASKS = ("networks", "reconstruction", "generation", "likelihood")  # the parts of evaluate.py
ANALYSES = ("table", "paths", "map", "neighbours", "projector", "temperatures")  # the parts of analyse_codes.py
CANDIDATES_A_HARD_POINT = 16


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """An argparse type: `kind` (int or float), above zero."""

    def parse(text: str) -> float:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} found, a number above 0 expected")
        return value

    parse.__name__ = f"positive {kind.__name__}"  # argparse names the type in "invalid positive int value"
    return parse


def not_negative(kind: Callable[[str], float]) -> Callable[[str], float]:
    """An argparse type: `kind` (int or float), zero or above."""

    def parse(text: str) -> float:
        value = kind(text)
        if not value >= 0:
            raise argparse.ArgumentTypeError(f"{text} found, 0 or more expected")
        return value

    parse.__name__ = f"non-negative {kind.__name__}"
    return parse


def boolean(text: str) -> bool:
    """An argparse type: true/false, yes/no, on/off, 1/0."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"{text!r} found, true or false expected")
    return words[text.lower()]


boolean.__name__ = "true/false"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run", "read by every script")
    group.add("-c", "--config", is_config_file_arg=True, help="config file, `key = value` lines")
    group.add("--exp_name", help="name of the experiment; its outputs go to EXP_ROOT/EXP_NAME")
    group.add("--exp_root", default="models/experiments", help="folder of all experiments")
    group.add("--device", default="auto", help="auto, cpu, cuda or cuda:N; auto takes a CUDA GPU where there is one")
    group.add(
        "--precision",
        choices=["auto", "float32", "bf16"],
        default="auto",
        help="arithmetic of the networks; auto is bf16 autocast on CUDA, float32 on a CPU",
    )
    group.add("--seed", type=int, default=0, help="seed of everything random in this step")
    group.add("--num_cpus", type=int, default=-1, help="worker processes and threads; -1: all cores of this job")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data", "where the meshes are and where their samples go")
    group.add("--data_dir", help="folder of the meshes, in ShapeNet's layout")
    group.add(
        "--input_data_glob",
        default="/*/models/model_normalized.obj",
        help="pattern of the meshes, appended to data_dir",
    )
    group.add(
        "--processed_dir",
        default=None,
        help="root for preprocessed files, same sub-folders as data_dir; default: beside each mesh",
    )
    group.add("--split_file", help=".npz with the folders of train, val and test")
    group.add("--num_demo_cars", type=positive(int), default=600, help="make_demo_cars.py: number of cars")
    group.add("--demo_seed", type=int, default=0, help="make_demo_cars.py: cars of two seeds are all different")


def add_preprocess_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("preprocessing", "read by preprocess.py; lengths in mesh units (longest side 1)")
    group.add(
        "--sample_std_dev",
        type=positive(float),
        nargs="+",
        default=[0.08, 0.02, 0.003],
        help="sigmas of the Gaussian displacements of boundary samples, mesh units",
    )
    group.add(
        "--sample_ratio",
        type=not_negative(float),
        nargs="+",
        default=[0.01, 0.49, 0.5],
        help="share of each sigma in a training batch; sums to 1",
    )
    group.add(
        "--num_boundary_samples",
        type=positive(int),
        default=50_000,
        help="samples stored per sigma and shape (NDF 100,000)",
    )
    group.add(
        "--num_uniform_samples",
        type=not_negative(int),
        default=20_000,
        help="samples stored per shape, uniform in the box of half side 0.55; 0: none, as NDF",
    )
    group.add(
        "--num_gap_samples",
        type=not_negative(int),
        default=5_000,
        help="samples stored per shape in its openings, such as windows; 0: none, as NDF",
    )
    group.add("--num_points", type=positive(int), default=10_000, help="points of the voxelized input cloud")
    group.add("--input_res", type=positive(int), default=256, help="resolution of the voxelized input, per axis")
    group.add("--bb_min", type=float, default=-0.5, help="lower bound of the voxel grid, mesh units")
    group.add("--bb_max", type=float, default=0.5, help="upper bound of the voxel grid, mesh units")
    group.add(
        "--distance_backend",
        choices=["auto", "open3d", "torch"],
        default="auto",
        help="what measures distances; torch: on the device of --device, as exact; auto: open3d where it can be loaded",
    )
    group.add("--num_chunks", type=positive(int), default=1, help="split the meshes into so many jobs")
    group.add("--current_chunk", type=not_negative(int), default=0, help="which of the chunks this job does, from 0")


def add_split_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("split", "read by create_split.py; give n_ or r_, not both")
    group.add(
        "--class_folders",
        default=None,
        help="pattern of class folders below data_dir, such as /*/; each class is split on its own",
    )
    group.add("--r_val", type=not_negative(float), default=None, help="share of validation shapes (default 0.1)")
    group.add("--r_test", type=not_negative(float), default=None, help="share of test shapes (default 0.2)")
    group.add("--n_val", type=not_negative(int), default=None, help="number of validation shapes (per class)")
    group.add("--n_test", type=not_negative(int), default=None, help="number of test shapes (per class)")
    group.add(
        "--test_pattern",
        default=None,
        help="the test split: shapes whose name matches this, such as demo_s1_* for cars of another demo_seed",
    )


def add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("NDF network and shape codes", "part of the architecture: fixed after training")
    group.add(
        "--code_kind",
        choices=["none", "fused", "grid", "vector"],
        default="none",
        help="none: plain NDF; fused: its pyramid resampled, as the thesis; grid, vector: learned bottleneck",
    )
    group.add("--latent_dim", type=positive(int), default=256, help="numbers of a vector code; channels of a grid code")
    group.add("--out_resolution", type=positive(int), default=8, help="nodes per axis of a fused or grid code")
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
        "--code_noise",
        type=not_negative(float),
        default=0.1,
        help="sd of the Gaussian noise on a vector or grid code in training; codes have unit variance",
    )
    group.add(
        "--code_posterior",
        choices=["fixed", "learned"],
        default="fixed",
        help="grid and vector: fixed: normalised codes with noise of sd code_noise; learned: means of a variational"
        " posterior, whose KL to a standard normal is weighted by kl_weight",
    )


def add_ndf_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("NDF training", "read by train_ndf.py")
    group.add("--num_epochs", type=positive(int), default=1500, help="passes over the training shapes")
    group.add("--batch_size", type=positive(int), default=4, help="shapes per step")
    group.add("--num_sample_points_training", type=positive(int), default=50_000, help="points per shape and step")
    group.add(
        "--uniform_ratio",
        type=not_negative(float),
        default=0.15,
        help="share of them uniform in the box: without them false surfaces appear in empty space",
    )
    group.add(
        "--gap_ratio",
        type=not_negative(float),
        default=0.2,
        help="share of them in the openings of the shape: without them a global code closes windows",
    )
    group.add(
        "--num_hard_points",
        type=not_negative(int),
        default=64,
        help=f"points per shape and step beside them: the worst predicted of {CANDIDATES_A_HARD_POINT} times as many"
        " far from the surface",
    )
    group.add(
        "--max_dist", type=positive(float), default=0.1, help="distances are clamped here in the loss, mesh units"
    )
    group.add(
        "--kl_weight",
        type=not_negative(float),
        default=1e-5,
        help="weight of a learned posterior's KL, mesh units per nat of a whole code",
    )
    group.add("--optimizer", choices=["Adam", "AdamW", "RMSprop"], default="Adam", help="for the NDF")
    group.add(
        "--lr",
        type=positive(float),
        default=1e-4,
        help="peak learning rate (NDF's 1e-6 is too slow; its users found 1e-4 as good as the published net)",
    )
    group.add("--warmup_steps", type=not_negative(int), default=100, help="steps of linear warm-up, then cosine decay")
    group.add("--grad_clip", type=positive(float), default=1.0, help="bound on the norm of the gradient")
    group.add("--mirror", type=boolean, default=True, help="show each shape mirrored in x half of the time")
    group.add("--val_every", type=positive(int), default=500, help="steps between validations and checkpoints")
    group.add(
        "--ram_cache_gb",
        type=not_negative(float),
        default=4.0,
        help="keep all training samples in memory when they need at most so many GB, else read per step",
    )


def add_flow_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("codes and flow", "read by train_rnvp.py")
    group.add("--ndf_checkpoint", default=None, help="the frozen NDF; default: the best one of this experiment")
    group.add(
        "--code_draws",
        type=positive(int),
        default=1,
        help="codes per training shape, each from another draw of its input points; the first is the stored draw",
    )
    group.add("--code_mirror", type=boolean, default=True, help="add the codes of the mirrored training shapes")
    group.add("--flow_steps", type=positive(int), default=20_000, help="training steps")
    group.add("--flow_batch_size", type=positive(int), default=128, help="codes per step")
    group.add("--flow_lr", type=positive(float), default=1e-3, help="peak learning rate, AdamW, warm-up then cosine")
    group.add("--flow_weight_decay", type=not_negative(float), default=1e-2, help="AdamW's weight decay")
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
    group.add("--flow_scales", type=positive(int), default=2, help="scales of the 3-D flow, each halves the resolution")
    group.add("--flow_s_max", type=positive(float), default=1.0, help="bound on |s|, nats per code dimension")
    group.add("--flow_dropout", type=not_negative(float), default=0.0, help="dropout in the nets that give s and t")
    group.add(
        "--flow_noise",
        type=not_negative(float),
        default=0.1,
        help="sd of fresh Gaussian noise on codes in training, in shares of their spread; NLLs are of noised codes",
    )
    group.add("--flow_ema", type=not_negative(float), default=0.999, help="decay of the averaged weights that are used")
    group.add("--flow_val_every", type=positive(int), default=250, help="steps between validations and checkpoints")
    group.add(
        "--flow_patience",
        type=positive(int),
        default=20,
        help="stop after so many validations without a better validation NLL",
    )


def add_generation_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("generation", "read by generate.py")
    group.add(
        "--mode",
        choices=["sample", "reconstruct", "interpolate"],
        default="sample",
        help="new shapes, the test split from its codes, or a path between two test shapes",
    )
    group.add("--rnvp_checkpoint", default=None, help="the flow; default: the best one of this experiment")
    group.add("--num_shapes", type=positive(int), default=16, help="shapes to make (steps of the path in interpolate)")
    group.add("--num_output_points", type=positive(int), default=100_000, help="points of each cloud (NDF 900,000)")
    group.add(
        "--num_sample_points_generation",
        type=positive(int),
        default=50_000,
        help="points projected at a time: bounds the memory",
    )
    group.add("--temperature", type=positive(float), default=1.0, help="scale of z before the flow's inverse")
    group.add("--num_steps", type=positive(int), default=2, help="projection steps of a point (NDF 7)")
    group.add(
        "--filter_val",
        type=positive(float),
        default=0.009,
        help="a point is kept when its predicted distance is below this, mesh units",
    )
    group.add("--interpolate_from", default=None, help="name of the first shape; default: first of the test split")
    group.add("--interpolate_to", default=None, help="name of the second shape; default: second of the test split")


def add_evaluation_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("evaluation", "read by evaluate.py")
    group.add(
        "--tasks",
        nargs="+",
        choices=TASKS,
        default=list(TASKS),
        help="parts of the evaluation; the results hold those that are named",
    )
    group.add(
        "--protocol",
        choices=["raw", "box", "pointflow"],
        default="raw",
        help="raw: clouds as they are (mesh units), test split; box: each cloud centred, longest side 1; pointflow:"
        " 2,048 points in the data's own frame, validation split",
    )
    group.add("--num_eval_shapes", type=positive(int), default=100, help="shapes in each set that is compared, at most")
    group.add("--num_eval_points", type=positive(int), default=2048, help="points per shape in MMD, COV, 1-NNA and JSD")
    group.add(
        "--num_sample_sets",
        type=positive(int),
        default=10,
        help="sets of so many shapes that each generator makes; measures are means and deviations over them",
    )
    group.add(
        "--emd",
        choices=["exact", "approx", "none"],
        default="approx",
        help="the two earth mover's distances: exact matching, a fast approximation whose error is printed, or none",
    )
    group.add(
        "--num_emd_sets",
        type=positive(int),
        default=None,
        help="sample sets that are compared by them, which takes longest; default: all",
    )
    group.add(
        "--num_eval_points_dense",
        type=positive(int),
        default=100_000,
        help="points per shape in the reconstruction's chamfer_udf",
    )
    group.add(
        "--compare_experiments",
        nargs="+",
        default=None,
        metavar="NAME",
        help="other experiments below exp_root: rows of their own in the reconstruction table, and in that of codes",
    )


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "evaluation of folders", "read by evaluate.py: clouds of any system, without config and training"
    )
    group.add("--samples", default=None, help="folder of clouds (.npz .npy .pt .ply .off) that a system made")
    group.add("--references", default=None, help="folder of the clouds that they are compared with")
    group.add("--training", default=None, help="folder of the training clouds: floor and nearest-training distances")
    group.add(
        "--normalised_samples",
        type=boolean,
        default=False,
        help="pointflow: the samples are still normalised; takes them back with the training clouds' mean and sd",
    )
    group.add("--output", default="evaluation", help="folder of the results of two folders")


def add_analysis_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("analysis", "read by analyse_codes.py, with compare_experiments")
    group.add(
        "--analyses",
        nargs="+",
        choices=ANALYSES,
        default=list(ANALYSES),
        help="parts of the study; table is that of codes and their spectra, the only part without decoding",
    )
    group.add("--num_analysis_points", type=positive(int), default=2048, help="points of each cloud that is compared")
    group.add("--num_paths", type=positive(int), default=8, help="pairs of test shapes with a path between them")
    group.add("--path_steps", type=positive(int), default=12, help="steps of a path: it has one shape more")
    group.add("--num_map_shapes", type=positive(int), default=500, help="shapes in the map and the projector, at most")
    group.add("--num_neighbour_samples", type=positive(int), default=8, help="samples shown beside training shapes")
    group.add(
        "--temperatures",
        type=positive(float),
        nargs="+",
        default=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2],
        help="scales of z that are compared",
    )
    group.add("--num_curve_shapes", type=positive(int), default=50, help="shapes at each temperature, at most")


ALL_GROUPS = [
    add_run_options,
    add_data_options,
    add_preprocess_options,
    add_split_options,
    add_network_options,
    add_ndf_training_options,
    add_flow_options,
    add_generation_options,
    add_evaluation_options,
    add_folder_options,
    add_analysis_options,
]
