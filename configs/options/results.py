"""Options of steps 6 to 8: clouds from trained networks, and what is measured of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from configs.options.types import Group, not_negative, option, positive

if TYPE_CHECKING:
    pass

TASKS = ("networks", "reconstruction", "generation", "likelihood")  # the parts of evaluate.py
# The parts of analyse_codes.py.
ANALYSES = ("table", "paths", "map", "neighbours", "projector", "temperatures", "attributes")


@dataclass(frozen=True)
class Output(Group, title="output", about="where files go"):
    out: str | None = option(
        None,
        "folder of all that is made (make_scan.py: its file); what lies there and was not made here is left alone."
        " Default: a folder of the experiment",
        names=("--own_meshes_out", "--out"),
    )


@dataclass(frozen=True)
class Weights(Group, title="trained networks", about="those of the experiment, unless others are named"):
    ndf_checkpoint: str | None = option(None, "the frozen NDF; default: the best one of this experiment")
    rnvp_checkpoint: str | None = option(None, "the flow; default: the best one of this experiment")


@dataclass(frozen=True)
class Export(Group, title="export", about="weights for others"):
    export_dir: str = option("models/pretrained", "folder of the small files EXP_NAME_{ndf,rnvp}.tar")


@dataclass(frozen=True)
class Generation(Group, title="generation", about="what is made", decides="path"):
    mode: Literal["sample", "reconstruct", "interpolate", "edit"] = option(
        "sample",
        "new shapes, the test split from its codes, a path between two test shapes, or shapes with more or less of an"
        " attribute",
        decides="",
    )
    num_shapes: int = option(16, "shapes to make (steps of the path in interpolate)", positive.at_most(1e7))
    num_output_points: int = option(100_000, "points of each cloud (NDF 900,000)", positive, decides="cloud")
    interpolate_from: str | None = option(None, "name of the first shape; default: first of the test split")
    interpolate_to: str | None = option(None, "name of the second shape; default: second of the test split")


@dataclass(frozen=True)
class Decoding(
    Group, title="decoding", about="from a latent code to the points of a cloud", decides="sample edit tables"
):
    temperature: float = option(1.0, "scale of z before the flow's inverse", positive)
    best_of: int = option(
        1, "codes drawn for each sample at most, all of one kind of shape, of which the best is taken", positive
    )
    best_by: Literal["settled", "likely"] = option(
        "settled",
        "settled: the first draw whose surface is whole, else the least torn; likely: the likeliest of all draws",
    )
    num_steps: int = option(2, "projection steps of a point (NDF 7)", positive, decides="cloud set tables")
    filter_val: float = option(
        0.009,
        "a point is kept when its predicted distance is below this, mesh units",
        positive,
        decides="cloud set tables",
    )
    num_sample_points_generation: int = option(
        50_000, "points projected at a time: bounds the memory", positive, decides="cloud set tables mesh wholeness"
    )


@dataclass(frozen=True)
class Plausible(Group, title="codes unlike the training's", about="how their shapes are reconstructed"):
    plausible: bool = option(
        True,
        "reconstruct a shape whose vector code lies off the training codes, by the flow, from one near them",
        decides="reconstruction own_mesh edit",
    )
    fit_steps: int = option(
        60,
        "steps in which that code is fitted to the shape's input points; 0: it is only shortened in z",
        not_negative,
        decides="reconstruction own_mesh edit",
    )


@dataclass(frozen=True)
class Evaluation(Group, title="evaluation", about="what is measured, and how", decides="tables"):
    tasks: tuple[str, ...] = option(
        TASKS, "parts of the evaluation; those that are not named keep the results that they have", choices=TASKS
    )
    allow_trained_on: bool = option(
        False, "evaluate on shapes that a network was trained on, too; the tables then say how many these are"
    )
    protocol: Literal["raw", "box", "pointflow"] = option(
        "raw",
        "raw: clouds as they are (mesh units), test split; box: each cloud centred, longest side 1; pointflow: 2,048"
        " points in the data's own frame, validation split",
    )
    num_eval_shapes: int = option(100, "shapes in each set that is compared, at most", positive)
    num_eval_points: int = option(2048, "points per shape in MMD, COV, 1-NNA and JSD", positive, decides="tables set")
    num_sample_sets: int = option(
        10, "sample sets per generator; every measure is given as mean and standard deviation over them", positive
    )
    emd: Literal["exact", "approx", "none"] = option(
        "approx",
        "the two earth mover's distances: exact matching, a fast approximation whose error is printed, or none",
    )
    num_emd_sets: int | None = option(
        None, "sample sets that are compared by them, which takes longest; default: all", positive
    )
    num_whole_shapes: int = option(
        24, "shapes of each set whose wholeness is measured, about a second each; 0: none", not_negative
    )
    num_eval_points_dense: int = option(100_000, "points per shape in the reconstruction's chamfer_udf", positive)


@dataclass(frozen=True)
class Others(Group, title="other experiments", about="shown beside this one"):
    compare_experiments: tuple[str, ...] | None = option(
        None,
        "other experiments below exp_root: rows of their own in the reconstruction table, and in that of codes",
        metavar="NAME",
        decides="tables",
    )


@dataclass(frozen=True)
class Clouds(Group, title="folders of clouds", about="of any system, without config and training"):
    samples: str | None = option(None, "folder of clouds (.npz .npy .pt .ply .off) that a system made")
    training: str | None = option(None, "folder of the training clouds: floor and nearest-training distances")


@dataclass(frozen=True)
class Comparison(Group, title="comparison of clouds", about="two folders of them"):
    references: str | None = option(None, "folder of the clouds that the samples are compared with")
    normalised_samples: bool = option(
        False,
        "pointflow: the samples are still normalised; takes them back with the training clouds' mean and sd",
        decides="tables",
    )
    output: str = option("comparison", "folder of the results of two folders")


@dataclass(frozen=True)
class Analysis(Group, title="latent-space study", about="analyse_codes.py", decides="tables"):
    analyses: tuple[str, ...] = option(
        ANALYSES,
        "parts of the study; table is that of codes and their spectra, the only part without decoding",
        choices=ANALYSES,
    )
    num_analysis_points: int = option(2048, "points of each cloud that is compared", positive)
    num_paths: int = option(8, "pairs of test shapes with a path between them", positive)
    path_steps: int = option(12, "steps of a path: it has one shape more", positive)
    num_map_shapes: int = option(500, "shapes in the map and the projector, at most", positive)
    num_neighbour_samples: int = option(8, "samples shown beside training shapes", positive)
    temperatures: tuple[float, ...] = option(
        (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2), "scales of z that are compared", positive
    )
    num_curve_shapes: int = option(50, "shapes at each temperature, at most", positive)
    num_attribute_shapes: int = option(
        60, "test shapes that are decoded and encoded again to read their attributes, at most", positive
    )
