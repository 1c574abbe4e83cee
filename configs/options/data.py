"""Options of steps 0 to 2: the run itself, where the data are, demo cars, samples, splits."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from configs.options.types import MOST_SEED, Bound, Group, not_negative, option, positive
from runtime.errors import UserError

if TYPE_CHECKING:
    from configs.options import Config

ANY_LAYOUT = "any"  # as input_data_glob
AXES = ("x", "y", "z", "-x", "-y", "-z")
AUTO = "auto"  # as up and front: to be found


def same_line(up: str, front: str | None) -> bool:
    """Whether both axes lie along one line, which no car's do."""
    return front is not None and AUTO not in (up, front) and up[-1] == front[-1]


MOST_CPUS = 1024


@dataclass(frozen=True)
class Run(Group, title="run", about="the experiment, its device and its seed"):
    config: str = option(None, "config file, `key = value` lines", names=("-c", "--config"), is_config_file=True)
    exp_name: str = option(None, "name of the experiment; its outputs go to EXP_ROOT/EXP_NAME", decides="sheet page")
    exp_root: str = option("models/experiments", "folder of all experiments")
    device: str = option("auto", "auto, cpu, cuda or cuda:N; auto takes a CUDA GPU where there is one")
    precision: Literal["auto", "float32", "tf32", "mixed", "bf16"] = option(
        "auto",
        "arithmetic of the networks; auto is bf16 autocast on CUDA, float32 on a CPU; tf32: float32 but for the"
        " factors of products on a GPU, which keep 10 bits of the mantissa (bf16: 7); mixed: tf32, and bf16 for the"
        " NDF's encoder in training, on a GPU",
        decides="ndf_course codes extra_codes flow_course chains cloud mesh set wholeness tables",
    )
    seed: int = option(
        0,
        "seed of everything random in this step",
        not_negative.at_most(MOST_SEED),
        decides="samples input split ndf_best codes extra_codes flow_best sample reconstruction own_mesh path edit"
        " chains cloud set wholeness tables",
    )
    num_cpus: int = option(
        -1,
        "worker processes and threads, of all processes on a machine together; -1: all cores of this job; threads are"
        " no more than OMP_NUM_THREADS and MKL_NUM_THREADS say",
        Bound("", lambda value: value >= -1, "-1 or more", most=MOST_CPUS),
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        for name in (self.exp_name, *(cfg.others.compare_experiments or ())):
            if name is not None and (Path(name).name != name or name in ("", "..")):
                raise UserError(
                    f"{name!r} is no name of an experiment: it would lie outside EXP_ROOT; give a plain folder name,"
                    " and with --exp_root the folder that holds it"
                )


@dataclass(frozen=True)
class Data(Group, title="data", about="where the meshes are and where their samples go"):
    data_dir: str = option(None, "folder of the meshes, in ShapeNet's layout")
    input_data_glob: str = option(
        "/*/models/model_normalized.obj",
        "pattern of the meshes, appended to data_dir; any: all .obj .off .ply .stl .glb .gltf .dae files in it, at any"
        " depth",
    )
    processed_dir: str | None = option(
        None,
        "root for preprocessed files, same sub-folders as data_dir; default: beside each mesh, or DATA_DIR_processed"
        " with input_data_glob any",
    )
    split_file: str = option(None, ".npz with the folders of train, val and test; none: all shapes are test shapes")
    up: str = option(
        "y",
        "axis of the mesh files that points up; ShapeNet's is y; auto: found for each mesh, from what cars have in"
        " common, as is then the front",
        choices=(*AXES, AUTO),
        decides="scaled_mesh samples input extra_codes own_mesh chains",
    )
    front: str | None = option(
        None,
        "axis of the mesh files that points to the front; default: -z with y up (ShapeNet), -y with z up (as in"
        " Blender); auto: found for each mesh, a line says which",
        choices=(*AXES, AUTO),
        decides="scaled_mesh samples input extra_codes own_mesh chains",
    )
    axes_file: str | None = option(
        None,
        "table of the axes of single meshes, a csv with the columns file, up, front: the path of a mesh below its"
        " folder, or a pattern such as blender/*.glb; its first row that fits wins, other meshes have up and front",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if same_line(self.up, self.front):
            raise UserError(f"up {self.up} and front {self.front} are along one axis; give two different ones")


@dataclass(frozen=True)
class DemoCars(Group, title="demo cars", about="parametric cars, for those without ShapeNet"):
    num_demo_cars: int = option(600, "number of cars", positive.at_most(1e6))
    demo_seed: int = option(0, "cars of two seeds are all different")


@dataclass(frozen=True)
class Sampling(
    Group,
    title="samples",
    about="what the files of each shape hold; lengths in mesh units (longest side 1)",
    decides="samples ndf_course",
):
    sample_std_dev: tuple[float, ...] = option(
        (0.08, 0.02, 0.003),
        "sigmas of the Gaussian displacements of boundary samples, mesh units",
        positive,
        decides="samples ndf",
    )
    sample_ratio: tuple[float, ...] = option(
        (0.01, 0.49, 0.5), "share of each sigma in a training batch; sums to 1", not_negative, decides="ndf_best"
    )
    num_boundary_samples: int = option(50_000, "samples stored per sigma and shape (NDF 100,000)", positive)
    num_uniform_samples: int = option(
        20_000, "samples stored per shape, uniform in the box of half side 0.55; 0: none, as NDF", not_negative
    )
    num_gap_samples: int = option(
        5000, "samples stored per shape in its openings, such as windows; 0: none, as NDF", not_negative
    )
    num_sharp_samples: int = option(
        0,
        "samples stored per shape where its surface bends or ends, such as spokes, for sharp_ratio; 0: none, as NDF",
        not_negative,
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        ratios, sigmas = len(self.sample_ratio), len(self.sample_std_dev)
        if ratios != sigmas:
            raise UserError(
                f"sample_ratio has {ratios} values and sample_std_dev {sigmas}; give one ratio for each sigma"
            )
        if abs(sum(self.sample_ratio) - 1) > 1e-6:
            raise UserError(
                f"sample_ratio {list(self.sample_ratio)} sums to {sum(self.sample_ratio):g}; make it sum to 1"
            )


@dataclass(frozen=True)
class InputGrid(Group, title="input", about="surface points as the network gets them, in a grid"):
    num_points: int = option(
        10_000, "points of the voxelized input cloud", positive, decides="input ndf codes extra_codes own_mesh tables"
    )
    input_res: int = option(
        256, "resolution of the voxelized input, per axis", positive, decides="input ndf codes extra_codes own_mesh"
    )
    bb_min: float = option(
        -0.5,
        "lower bound of the voxel grid, mesh units",
        decides="input ndf codes extra_codes reconstruction own_mesh path edit",
    )
    bb_max: float = option(
        0.5,
        "upper bound of the voxel grid, mesh units",
        decides="input ndf codes extra_codes reconstruction own_mesh path edit",
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if self.bb_max <= self.bb_min:
            raise UserError(f"bb_max {self.bb_max} is not above bb_min {self.bb_min}")


@dataclass(frozen=True)
class Preprocessing(Group, title="preprocessing", about="how the samples are made"):
    distance_backend: Literal["auto", "open3d", "torch"] = option(
        "auto",
        "what measures distances; torch: on the device of --device, as exact; auto: open3d where it can be loaded",
    )
    grid_coords: bool = option(
        True,
        "store grid_coords in samples, 12 of 28 bytes each, for NDF's own loader; nothing here reads them",
        decides="samples",
    )
    broken_share: float = option(
        0.0,
        "share of the meshes, of a chunk those of the chunk, rounded up, that may be unusable: step 1 then ends with"
        " status 0, so that the jobs after it start; step 2 leaves them out",
        not_negative,
    )


@dataclass(frozen=True)
class Chunks(Group, title="chunks", about="a part of a step, for one of many jobs that run side by side"):
    num_chunks: int = option(
        1,
        "number of jobs that the meshes are divided among, the clouds of generate.py, or the sets of evaluate.py",
        positive,
    )
    current_chunk: int = option(0, "the chunk of this job, counted from 0", not_negative)

    def part_of(self, num: int) -> range:
        """The numbers of the shapes, of `num`, that the chunk makes; all, of one chunk.

        They are adjacent, since codes of reconstructions come in batches of adjacent shapes.
        """
        return range(num * self.current_chunk // self.num_chunks, num * (self.current_chunk + 1) // self.num_chunks)

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        if self.current_chunk >= self.num_chunks:
            raise UserError(
                f"current_chunk {self.current_chunk} is not below num_chunks {self.num_chunks}; count from 0"
            )


@dataclass(frozen=True)
class Split(Group, title="split", about="give n_ or r_, not both", decides="split"):
    class_folders: str | None = option(
        None, "pattern of class folders below data_dir, such as /*/; each class is split on its own"
    )
    r_val: float | None = option(None, "share of validation shapes (default 0.1)", not_negative)
    r_test: float | None = option(None, "share of test shapes (default 0.2)", not_negative)
    n_val: int | None = option(None, "number of validation shapes (per class)", not_negative)
    n_test: int | None = option(None, "number of test shapes (per class)", not_negative)
    test_pattern: str | None = option(
        None, "the test split: shapes whose name matches this, such as demo_s1_* for cars of another demo_seed"
    )
    published_split: str | None = option(
        None,
        "split of others, such as NDF's, whose parts shapes keep; what it names and is not preprocessed here is left"
        " out, and what it does not name",
        decides="",  # its content does
    )

    def check(self, cfg: "Config", given: Collection[str]) -> None:
        for n, r in (("n_val", "r_val"), ("n_test", "r_test")):
            if cfg.value(n) is not None and cfg.value(r) is not None:
                raise UserError(f"both {n} and {r} are given; give one of them")
        of_own = [name for name, *_ in self.options() if name != "published_split" and cfg.value(name) is not None]
        if self.published_split is not None and of_own:
            raise UserError(
                f"both published_split and {of_own[0]} are given; give one of them: the parts are those of"
                f" {self.published_split}"
            )
