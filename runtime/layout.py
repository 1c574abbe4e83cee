"""Every file and folder name of the project, in one place (formats: docs/formats.md)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # repository root: relative paths in a config start here

SCALED_MESH = "model_normalized_scaled.off"
UNIFORM_SAMPLES = "uniform_samples.npz"
GAP_SAMPLES = "gap_samples.npz"  # in openings
SHARP_SAMPLES = "sharp_samples.npz"  # at edges and borders
DEMO_PARAMETERS = "parameters.json"
INDEX = "index.json"  # in a folder of shapes: which they are
CONTACT_SHEET = "contact_sheet.png"  # in a folder of clouds: pictures of them
HTML_PAGE = "shapes.html"  # in a folder of clouds: all of them, to be looked at
RESULTS = "results"  # of evaluate.py: results.json, .csv, .md
CODE_TABLE = "codes"  # of analyse_codes.py: codes.json, .csv, .md
DENSE_POINT_CLOUD = "dense_point_cloud.npz"  # name as NDF's; a .ply of the same points may lie beside it
MESH = "mesh"  # beside the clouds, with one of the endings below
MESH_FORMATS = ("ply", "glb", "obj", "stl")


def absolute(path: str | Path) -> Path:
    """`path` itself if absolute, else below the repository root, wherever the command was called from."""
    return ROOT / Path(path).expanduser()


def given_path(path: str | Path) -> Path:
    """A path given on the command line, relative to the working directory or else to the repository root."""
    here = Path(path).expanduser()
    return here if here.exists() else absolute(path)


def boundary_samples(sigma: float) -> str:
    return f"boundary_{sigma}_samples.npz"


def voxelized_point_cloud(resolution: int, num_points: int) -> str:
    return f"voxelized_point_cloud_{resolution}res_{num_points}points.npz"


class Experiment:
    """The folders of one experiment: models/experiments/EXP_NAME/..."""

    def __init__(self, exp_root: str, exp_name: str):
        self.root = absolute(exp_root) / exp_name
        self.ndf_checkpoints = self.root / "checkpoints_ndf"
        self.rnvp_checkpoints = self.root / "checkpoints_rnvp"
        self.codes = self.root / "codes"
        self.summary = self.root / "summary"
        self.evaluation = self.root / "evaluation"
        self.generation = self.evaluation / "generation"
        self.reconstruction = self.evaluation / "reconstruction"
        self.interpolation = self.evaluation / "interpolation"
        self.own_meshes = self.evaluation / "own_meshes"  # a folder for each folder of meshes
        self.edits = self.evaluation / "edits"  # a folder for each attribute
        self.attributes = self.root / "attributes.npz"  # what codes tell of them
        self.completion = self.evaluation / "completion"  # a folder for each scan
        self.sets = self.evaluation / "sets"  # sets of many small clouds, which evaluate.py compares
        self.cache = self.evaluation / "cache"  # matrices of their distances
        self.analysis = self.evaluation / "analysis"  # of analyse_codes.py
        self.analysis_cache = self.analysis / "cache"
        self.projector = self.summary / "projector"

    def lock(self, step_name: str) -> Path:
        """The file that is there while a training runs."""
        return self.root / f"{step_name}.lock"
