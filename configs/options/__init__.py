"""Every option of every script, in groups; which script reads which.

A config file holds the same names as `key = value` lines, of all scripts at once; the command line wins over the file.
Names and meanings that users of NDF and of the thesis know are kept. Functions take the group that they need, or the
whole `Config` where they hand several on.
"""

import dataclasses
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from configs.options.completion import Completion, ScanTool
from configs.options.data import Chunks, Data, DemoCars, InputGrid, Preprocessing, Run, Sampling, Split
from configs.options.editing import Attributes, Editing, Views
from configs.options.flow import Codes, Flow
from configs.options.meshes import Meshes, OwnMeshes
from configs.options.networks import NDFTraining, Network, Training
from configs.options.results import (
    Analysis,
    Clouds,
    Comparison,
    Decoding,
    Evaluation,
    Export,
    Generation,
    Others,
    Output,
    Plausible,
    Weights,
)
from configs.options.types import Group
from runtime.layout import Experiment


@dataclass(frozen=True)
class Config:
    """The values of all options, group by group, as one run has them: `cfg.grid.num_points`. Never changed."""

    run: Run = Run()
    data: Data = Data()
    demo_cars: DemoCars = DemoCars()
    sampling: Sampling = Sampling()
    grid: InputGrid = InputGrid()
    preprocessing: Preprocessing = Preprocessing()
    chunks: Chunks = Chunks()
    split: Split = Split()
    network: Network = Network()
    training: Training = Training()
    ndf_training: NDFTraining = NDFTraining()
    weights: Weights = Weights()
    codes: Codes = Codes()
    flow: Flow = Flow()
    export: Export = Export()
    generation: Generation = Generation()
    own_meshes: OwnMeshes = OwnMeshes()
    editing: Editing = Editing()
    meshes: Meshes = Meshes()
    views: Views = Views()
    output: Output = Output()
    decoding: Decoding = Decoding()
    plausible: Plausible = Plausible()
    attributes: Attributes = Attributes()
    clouds: Clouds = Clouds()
    evaluation: Evaluation = Evaluation()
    others: Others = Others()
    comparison: Comparison = Comparison()
    scan_tool: ScanTool = ScanTool()
    completion: Completion = Completion()
    analysis: Analysis = Analysis()

    @property
    def experiment(self) -> Experiment:
        return Experiment(self.run.exp_root, self.run.exp_name)

    def value(self, name: str) -> Any:
        """The value of an option by its name; lists of values are tuples."""
        return getattr(getattr(self, group_of()[name]), name)

    def values(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """The values of these options, or of all, sorted, as files hold them: lists, not tuples."""
        values = {name: self.value(name) for name in (sorted(group_of()) if names is None else names)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def changed(self, **options: Any) -> "Config":
        """The same with other values of these options, in whatever groups they are."""
        groups: dict[str, dict[str, Any]] = {}
        for name, value in options.items():
            groups.setdefault(group_of()[name], {})[name] = tuple(value) if isinstance(value, list) else value
        return dataclasses.replace(
            self, **{group: dataclasses.replace(getattr(self, group), **new) for group, new in groups.items()}
        )

    @classmethod
    def of(cls, values: Namespace) -> "Config":
        """From the flat values that argparse gives."""
        return cls().changed(**{name: getattr(values, name) for name in group_of()})


SHOWN = (Meshes, Views, Output)  # what is written beside clouds, and where
READ_BY: dict[str, tuple[type[Group], ...]] = {  # script -> the groups that it reads, as its --help shows them
    "make_demo_cars": (Run, Data, DemoCars),
    "preprocess": (Run, Data, Sampling, InputGrid, Preprocessing, Chunks),
    "create_split": (Run, Data, Sampling, InputGrid, Split),
    "train_ndf": (Run, Data, Sampling, InputGrid, Network, Training, NDFTraining),
    "train_rnvp": (Run, Data, Sampling, InputGrid, Network, Weights, Codes, Training, Flow),
    "export": (Run, Export),
    "generate": (Run, Data, InputGrid, Weights, Generation, OwnMeshes, Editing, *SHOWN, Decoding, Plausible, Chunks),
    "fit": (Run, InputGrid, Weights, Codes, Editing, Attributes, Decoding),  # evaluation/editing
    "html_page": (Clouds,),
    "evaluate": (Run, Data, InputGrid, Weights, Decoding, Plausible, Evaluation, Others, Clouds, Comparison, Chunks),
    "make_scan": (Run, ScanTool, Output),
    "complete": (Run, Data, InputGrid, Weights, Decoding, Completion, *SHOWN),
    "analyse_codes": (Run, Data, InputGrid, Weights, Decoding, Others, Analysis),
}
ALL_GROUPS: tuple[type[Group], ...] = tuple(type(group) for group in vars(Config()).values())
# Groups that decide what the files and networks of earlier steps look like. Where they are not shown a script may still
# compare them with what it finds, so that it never calls them unused.
COMPARED = (Sampling, Network, Training)
# Options of earlier versions that nobody set, with the value that they always have now. A file may still name them.
RETIRED: dict[str, float | str] = {
    **{"grad_clip": 1.0, "flow_weight_decay": 1e-2, "num_edited": 4},
    **{"plane_decoder": "quadtree", "code_posterior": "fixed", "kl_weight": 1e-5},
}


@cache
def group_of() -> dict[str, str]:
    """The group of every option, as `Config` names it."""
    names = [field.name for field in dataclasses.fields(Config)]
    return {option: name for name, group in zip(names, ALL_GROUPS, strict=True) for option in group.decided()}


@cache
def declared() -> dict[str, tuple[str, ...]]:
    """Every option by name, with the artefacts that it decides."""
    return {name: artefacts for group in ALL_GROUPS for name, artefacts in group.decided().items()}
