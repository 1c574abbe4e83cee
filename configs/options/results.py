"""Options of steps 6 to 8: clouds from trained networks, and what is measured of them."""

from configs.options.types import Group, Options, boolean, not_negative, positive

TASKS = ("networks", "reconstruction", "generation", "likelihood")  # the parts of evaluate.py
# The parts of analyse_codes.py.
ANALYSES = ("table", "paths", "map", "neighbours", "projector", "temperatures", "attributes")


def _add_weights(group: Options) -> None:
    group.add("--ndf_checkpoint", default=None, help="the frozen NDF; default: the best one of this experiment")
    group.add("--rnvp_checkpoint", default=None, help="the flow; default: the best one of this experiment")


def _add_export(group: Options) -> None:
    group.add("--export_dir", default="models/pretrained", help="folder of the small files EXP_NAME_{ndf,rnvp}.tar")


def _add_generation(group: Options) -> None:
    group = group.deciding("path")
    group.add(
        "--mode",
        choices=["sample", "reconstruct", "interpolate", "edit"],
        default="sample",
        help="new shapes, the test split from its codes, a path between two test shapes, or shapes with more or less of"
        " an attribute",
        decides="",
    )
    group.add("--num_shapes", type=positive(int), default=16, help="shapes to make (steps of the path in interpolate)")
    group.add(
        "--num_output_points",
        type=positive(int),
        default=100_000,
        help="points of each cloud (NDF 900,000)",
        decides="cloud",
    )
    group.add("--interpolate_from", default=None, help="name of the first shape; default: first of the test split")
    group.add("--interpolate_to", default=None, help="name of the second shape; default: second of the test split")


def _add_out(group: Options) -> None:
    group.add(
        "--own_meshes_out",  # its former name
        "--out",
        dest="out",
        default=None,
        help="folder of all that is made (make_scan.py: its file); what lies there and was not made here is left alone."
        " Default: a folder of the experiment",
    )


def _add_decoding(group: Options) -> None:
    group = group.deciding("sample edit tables")
    group.add("--temperature", type=positive(float), default=1.0, help="scale of z before the flow's inverse")
    group.add(
        "--best_of",
        type=positive(int),
        default=1,
        help="codes drawn for each sample at most, all of one kind of shape, of which the best is taken",
    )
    group.add(
        "--best_by",
        choices=("settled", "likely"),
        default="settled",
        help="settled: the first draw whose surface is whole, else the least torn; likely: the likeliest of all draws",
    )
    group.add(
        "--num_steps",
        type=positive(int),
        default=2,
        help="projection steps of a point (NDF 7)",
        decides="cloud set tables",
    )
    group.add(
        "--filter_val",
        type=positive(float),
        default=0.009,
        help="a point is kept when its predicted distance is below this, mesh units",
        decides="cloud set tables",
    )
    group.add(
        "--num_sample_points_generation",
        type=positive(int),
        default=50_000,
        help="points projected at a time: bounds the memory",
        decides="cloud set tables mesh wholeness",
    )


def _add_plausible(group: Options) -> None:
    group.add(
        "--plausible",
        type=boolean,
        default=True,
        help="reconstruct a shape whose vector code lies off the training codes, by the flow, from one near them",
        decides="reconstruction own_mesh edit",
    )
    group.add(
        "--fit_steps",
        type=not_negative(int),
        default=60,
        help="steps in which that code is fitted to the shape's input points; 0: it is only shortened in z",
        decides="reconstruction own_mesh edit",
    )


def _add_evaluation(group: Options) -> None:
    group = group.deciding("tables")
    group.add(
        "--tasks",
        nargs="+",
        choices=TASKS,
        default=list(TASKS),
        help="parts of the evaluation; those that are not named keep the results that they have",
    )
    group.add(
        "--allow_trained_on",
        type=boolean,
        default=False,
        help="evaluate on shapes that a network was trained on, too; the tables then say how many these are",
    )
    group.add(
        "--protocol",
        choices=["raw", "box", "pointflow"],
        default="raw",
        help="raw: clouds as they are (mesh units), test split; box: each cloud centred, longest side 1; pointflow:"
        " 2,048 points in the data's own frame, validation split",
    )
    group.add("--num_eval_shapes", type=positive(int), default=100, help="shapes in each set that is compared, at most")
    group.add(
        "--num_eval_points",
        type=positive(int),
        default=2048,
        help="points per shape in MMD, COV, 1-NNA and JSD",
        decides="tables set",
    )
    group.add(
        "--num_sample_sets",
        type=positive(int),
        default=10,
        help="sample sets per generator; every measure is given as mean and standard deviation over them",
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
        "--num_whole_shapes",
        type=not_negative(int),
        default=24,
        help="shapes of each set whose wholeness is measured, about a second each; 0: none",
    )
    group.add(
        "--num_eval_points_dense",
        type=positive(int),
        default=100_000,
        help="points per shape in the reconstruction's chamfer_udf",
    )


def _add_others(group: Options) -> None:
    group.add(
        "--compare_experiments",
        nargs="+",
        default=None,
        metavar="NAME",
        help="other experiments below exp_root: rows of their own in the reconstruction table, and in that of codes",
        decides="tables",
    )


def _add_clouds(group: Options) -> None:
    group.add("--samples", default=None, help="folder of clouds (.npz .npy .pt .ply .off) that a system made")
    group.add("--training", default=None, help="folder of the training clouds: floor and nearest-training distances")


def _add_comparison(group: Options) -> None:
    group.add("--references", default=None, help="folder of the clouds that the samples are compared with")
    group.add(
        "--normalised_samples",
        type=boolean,
        default=False,
        help="pointflow: the samples are still normalised; takes them back with the training clouds' mean and sd",
        decides="tables",
    )
    group.add("--output", default="comparison", help="folder of the results of two folders")


def _add_analysis(group: Options) -> None:
    group = group.deciding("tables")
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
    group.add(
        "--num_attribute_shapes",
        type=positive(int),
        default=60,
        help="test shapes that are decoded and encoded again to read their attributes, at most",
    )


OUT = Group("output", "where files go", _add_out)
WEIGHTS = Group("trained networks", "those of the experiment, unless others are named", _add_weights)
EXPORT = Group("export", "weights for others", _add_export)
GENERATION = Group("generation", "what is made", _add_generation)
DECODING = Group("decoding", "from a latent code to the points of a cloud", _add_decoding)
PLAUSIBLE = Group("codes unlike the training's", "how their shapes are reconstructed", _add_plausible)
EVALUATION = Group("evaluation", "what is measured, and how", _add_evaluation)
OTHERS = Group("other experiments", "shown beside this one", _add_others)
CLOUDS = Group("folders of clouds", "of any system, without config and training", _add_clouds)
COMPARISON = Group("comparison of clouds", "two folders of them", _add_comparison)
ANALYSIS = Group("latent-space study", "analyse_codes.py", _add_analysis)
