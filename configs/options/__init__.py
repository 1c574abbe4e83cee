"""Every option of every script, in groups; which script reads which.

A config file holds the same names as `key = value` lines, of all scripts at once; the command line wins over the file.
Names and meanings that users of NDF and of the thesis know are kept.
"""

from configs.options.completion import COMPLETION, SCAN_TOOL
from configs.options.data import CHUNKS, DATA, DEMO_CARS, INPUT, PREPROCESSING, RUN, SAMPLES, SPLIT
from configs.options.editing import ATTRIBUTES, EDITING, VIEWS
from configs.options.flow import CODES, FLOW
from configs.options.meshes import MESHES, OWN_MESHES
from configs.options.networks import NDF_TRAINING, NETWORK, TRAINING
from configs.options.results import (
    ANALYSIS,
    CLOUDS,
    COMPARISON,
    DECODING,
    EVALUATION,
    EXPORT,
    GENERATION,
    OTHERS,
    OUT,
    PLAUSIBLE,
    WEIGHTS,
)
from configs.options.types import Group, Options

READ_BY: dict[str, tuple[Group, ...]] = {  # script -> the groups that it reads, as its --help shows them
    "make_demo_cars": (RUN, DATA, DEMO_CARS),
    "preprocess": (RUN, DATA, SAMPLES, INPUT, PREPROCESSING, CHUNKS),
    "create_split": (RUN, DATA, SAMPLES, INPUT, SPLIT),
    "train_ndf": (RUN, DATA, SAMPLES, INPUT, NETWORK, TRAINING, NDF_TRAINING),
    "train_rnvp": (RUN, DATA, SAMPLES, INPUT, NETWORK, WEIGHTS, CODES, TRAINING, FLOW),
    "export": (RUN, EXPORT),
    "generate": (
        *(RUN, DATA, INPUT, WEIGHTS, GENERATION, OWN_MESHES, EDITING, MESHES, VIEWS, OUT, DECODING, PLAUSIBLE, CHUNKS),
    ),
    "fit": (RUN, INPUT, WEIGHTS, CODES, EDITING, ATTRIBUTES, DECODING),  # evaluation/editing
    "compare": (RUN, INPUT, WEIGHTS, CODES, EDITING, ATTRIBUTES, DECODING),
    "html_page": (CLOUDS,),
    "evaluate": (RUN, DATA, INPUT, WEIGHTS, DECODING, PLAUSIBLE, EVALUATION, OTHERS, CLOUDS, COMPARISON, CHUNKS),
    "make_scan": (RUN, SCAN_TOOL, OUT),
    "complete": (RUN, INPUT, WEIGHTS, DECODING, COMPLETION, MESHES, VIEWS, OUT),
    "analyse_codes": (RUN, DATA, INPUT, WEIGHTS, DECODING, OTHERS, ANALYSIS),
}
ALL_GROUPS = tuple(dict.fromkeys(group for groups in READ_BY.values() for group in groups))
# Groups that decide what the files and networks of earlier steps look like. Where they are not shown a script may still
# compare them with what it finds, so that it never calls them unused.
COMPARED = (SAMPLES, NETWORK, TRAINING)
# Options of earlier versions that nobody set, with the value that they always have now. A file may still name them.
RETIRED = {"grad_clip": 1.0, "flow_weight_decay": 1e-2}


def declared() -> dict[str, tuple[str, ...]]:
    """Every option by name, with the artefacts that it decides."""
    options = Options()
    for group in ALL_GROUPS:
        group.add(options)
    return options.decides
