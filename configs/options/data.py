"""Options of steps 0 to 2: the run itself, where the data are, demo cars, samples, splits."""

from argparse import Namespace
from collections.abc import Collection
from pathlib import Path

from configs.options.types import MOST_SEED, Group, Options, boolean, finite, not_negative, positive
from runtime.errors import UserError

ANY_LAYOUT = "any"  # as input_data_glob
AXES = ("x", "y", "z", "-x", "-y", "-z")


def _add_run(group: Options) -> None:
    group.add("-c", "--config", is_config_file_arg=True, help="config file, `key = value` lines")
    group.add("--exp_name", help="name of the experiment; its outputs go to EXP_ROOT/EXP_NAME", decides="sheet page")
    group.add("--exp_root", default="models/experiments", help="folder of all experiments")
    group.add("--device", default="auto", help="auto, cpu, cuda or cuda:N; auto takes a CUDA GPU where there is one")
    group.add(
        "--precision",
        choices=["auto", "float32", "tf32", "mixed", "bf16"],
        default="auto",
        help="arithmetic of the networks; auto is bf16 autocast on CUDA, float32 on a CPU; tf32: float32 but for the"
        " factors of products on a GPU, which keep 10 bits of the mantissa (bf16: 7); mixed: tf32, and bf16 for the"
        " NDF's encoder in training, on a GPU",
        decides="ndf_course codes extra_codes flow_course chains cloud mesh set wholeness tables",
    )
    group.add(
        "--seed",
        type=not_negative(int, MOST_SEED),
        default=0,
        help="seed of everything random in this step",
        decides="samples input split ndf_best codes extra_codes flow_best sample reconstruction own_mesh path "
        "edit chains cloud set wholeness tables",
    )
    group.add(
        "--num_cpus",
        type=int,
        default=-1,
        help="worker processes and threads, of all processes on a machine together; -1: all cores of this job",
    )


def _check_run(cfg: Namespace, given: Collection[str]) -> None:
    for name in [cfg.exp_name, *(cfg.compare_experiments or [])]:
        if name is not None and (Path(name).name != name or name in ("", "..")):
            raise UserError(
                f"{name!r} is no name of an experiment: it would lie outside EXP_ROOT; give a plain folder name, and"
                " with --exp_root the folder that holds it"
            )


def _add_data(group: Options) -> None:
    group.add("--data_dir", help="folder of the meshes, in ShapeNet's layout")
    group.add(
        "--input_data_glob",
        default="/*/models/model_normalized.obj",
        help=f"pattern of the meshes, appended to data_dir; {ANY_LAYOUT}: all .obj .ply .stl .glb .gltf .off files"
        " in it, at any depth",
    )
    group.add(
        "--processed_dir",
        default=None,
        help="root for preprocessed files, same sub-folders as data_dir; default: beside each mesh, or"
        f" DATA_DIR_processed with input_data_glob {ANY_LAYOUT}",
    )
    group.add("--split_file", help=".npz with the folders of train, val and test; none: all shapes are test shapes")
    group.add(
        "--up",
        choices=AXES,
        default="y",
        help="axis of the mesh files that points up; ShapeNet's is y",
        decides="scaled_mesh samples input extra_codes own_mesh",
    )
    group.add(
        "--front",
        choices=AXES,
        default=None,
        help="axis of the mesh files that points to the front; default: -z with y up (ShapeNet), -y with z up (as in"
        " Blender)",
        decides="scaled_mesh samples input extra_codes own_mesh",
    )


def _check_data(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.front and cfg.front[-1] == cfg.up[-1]:
        raise UserError(f"up {cfg.up} and front {cfg.front} are along one axis; give two different ones")


def _add_demo_cars(group: Options) -> None:
    group.add("--num_demo_cars", type=positive(int), default=600, help="number of cars")
    group.add("--demo_seed", type=int, default=0, help="cars of two seeds are all different")


def _add_samples(group: Options) -> None:
    group = group.deciding("samples ndf_course")
    group.add(
        "--sample_std_dev",
        type=positive(float),
        nargs="+",
        default=[0.08, 0.02, 0.003],
        help="sigmas of the Gaussian displacements of boundary samples, mesh units",
        decides="samples ndf",
    )
    group.add(
        "--sample_ratio",
        type=not_negative(float),
        nargs="+",
        default=[0.01, 0.49, 0.5],
        help="share of each sigma in a training batch; sums to 1",
        decides="ndf_best",
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


def _add_input(group: Options) -> None:
    group.add(
        "--num_points",
        type=positive(int),
        default=10_000,
        help="points of the voxelized input cloud",
        decides="input ndf codes extra_codes own_mesh tables",
    )
    group.add(
        "--input_res",
        type=positive(int),
        default=256,
        help="resolution of the voxelized input, per axis",
        decides="input ndf codes extra_codes own_mesh",
    )
    group.add(
        "--bb_min",
        type=finite,
        default=-0.5,
        help="lower bound of the voxel grid, mesh units",
        decides="input ndf codes extra_codes reconstruction own_mesh path edit",
    )
    group.add(
        "--bb_max",
        type=finite,
        default=0.5,
        help="upper bound of the voxel grid, mesh units",
        decides="input ndf codes extra_codes reconstruction own_mesh path edit",
    )


def _check_samples(cfg: Namespace, given: Collection[str]) -> None:
    if len(cfg.sample_ratio) != len(cfg.sample_std_dev):
        raise UserError(
            f"sample_ratio has {len(cfg.sample_ratio)} values and sample_std_dev {len(cfg.sample_std_dev)};"
            " give one ratio for each sigma"
        )
    if abs(sum(cfg.sample_ratio) - 1) > 1e-6:
        raise UserError(f"sample_ratio {cfg.sample_ratio} sums to {sum(cfg.sample_ratio):g}; make it sum to 1")


def _check_input(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.bb_max <= cfg.bb_min:
        raise UserError(f"bb_max {cfg.bb_max} is not above bb_min {cfg.bb_min}")


def _add_preprocessing(group: Options) -> None:
    group.add(
        "--distance_backend",
        choices=["auto", "open3d", "torch"],
        default="auto",
        help="what measures distances; torch: on the device of --device, as exact; auto: open3d where it can be loaded",
    )
    group.add(
        "--grid_coords",
        type=boolean,
        default=True,
        help="store grid_coords in samples, 12 of 28 bytes each, for NDF's own loader; nothing here reads them",
        decides="samples",
    )


def _add_chunks(group: Options) -> None:
    group.add(
        "--num_chunks",
        type=positive(int),
        default=1,
        help="number of jobs that the meshes are divided among, the clouds of generate.py, or the sets of evaluate.py",
    )
    group.add("--current_chunk", type=not_negative(int), default=0, help="the chunk of this job, counted from 0")


def _check_chunks(cfg: Namespace, given: Collection[str]) -> None:
    if cfg.current_chunk >= cfg.num_chunks:
        raise UserError(f"current_chunk {cfg.current_chunk} is not below num_chunks {cfg.num_chunks}; count from 0")


def _add_split(group: Options) -> None:
    group = group.deciding("split")
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


def _check_split(cfg: Namespace, given: Collection[str]) -> None:
    for n, r in (("n_val", "r_val"), ("n_test", "r_test")):
        if getattr(cfg, n) is not None and getattr(cfg, r) is not None:
            raise UserError(f"both {n} and {r} are given; give one of them")


RUN = Group("run", "the experiment, its device and its seed", _add_run, _check_run)
DATA = Group("data", "where the meshes are and where their samples go", _add_data, _check_data)
DEMO_CARS = Group("demo cars", "parametric cars, for those without ShapeNet", _add_demo_cars)
SAMPLES = Group(
    "samples", "what the files of each shape hold; lengths in mesh units (longest side 1)", _add_samples, _check_samples
)
INPUT = Group("input", "surface points as the network gets them, in a grid", _add_input, _check_input)
PREPROCESSING = Group("preprocessing", "how the samples are made", _add_preprocessing)
CHUNKS = Group("chunks", "a part of a step, for one of many jobs that run side by side", _add_chunks, _check_chunks)
SPLIT = Group("split", "give n_ or r_, not both", _add_split, _check_split)
