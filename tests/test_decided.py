"""What an option decides is what changes with it: the clouds, meshes and codes of every option, by their bytes."""

import copy
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from perturbed import NAMES, actions, another

from configs.config_loader import option_names
from configs.decided import ARTEFACTS, deciding, options_of
from configs.options import READ_BY, Config
from dataprocessing.create_split import facts_of as facts_of_split
from dataprocessing.mesh_record import mesh_sha256
from dataprocessing.shape_facts import facts_of as facts_of_samples
from dataprocessing.shape_facts import why_made
from dataprocessing.shape_files import process_shape
from dataprocessing.shapes import expected_files
from dataprocessing.split import split_folders
from evaluation.sample_sets import sampled_recipes
from frozen.checkpoint_files import best_checkpoint, load_checkpoint
from generation.decode import decode
from generation.networks import Networks
from generation.reconstructions import interpolated, reconstructed
from generation.sampling import sampled
from generation.shape_folder import ShapeFolder
from generation.shapes import Shapes
from lab.small.helpers import open_box, read_config, write_obj
from lab.small.tiny_experiment import make_shapes, tiny_config
from runtime.artefacts import Records, why
from runtime.errors import UserError
from runtime.files import write_npz
from runtime.layout import DENSE_POINT_CLOUD, SCALED_MESH, voxelized_point_cloud
from training.checkpoints import write_state
from training.encoding import facts_of as facts_of_codes

MAKERS = {
    "sample": lambda made: sampled(made, 2, made.cfg.run.seed),
    "reconstruction": lambda made: reconstructed(made, num=2),
    "path": lambda made: interpolated(made, made.cfg.generation.num_shapes),
}
BASE = {"best_of": 2, "fit_steps": 2, "num_sample_points_generation": 500}


def shapes_of(root: Path, maker: str, /, **options: object) -> tuple[Networks, Shapes]:
    """Shapes by networks that are loaded anew where an option might keep them from it."""
    cfg = base_config(root).changed(**options)
    if {"ndf", "input"} & {one for name in options for one in decided_by(name)}:
        networks = Networks(cfg)
    else:
        networks = copy.copy(loaded(root))
        networks.cfg = cfg
    return networks, MAKERS[maker](networks)


@cache
def base_config(root: Path) -> Config:
    return tiny_config(root, **BASE)


@cache
def loaded(root: Path) -> Networks:
    return Networks(base_config(root))


@pytest.fixture(scope="module")
def folders(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("generation.surface_cells.COARSEST", 6)
        for kind in MAKERS:
            found[kind] = tmp_path_factory.mktemp(kind)
            make_shapes(*shapes_of(root, kind), found[kind])
        yield found


@pytest.mark.usefixtures("coarse_lattice")
@pytest.mark.parametrize("kind", MAKERS)
def test_a_cloud_is_stale_where_its_bytes_would_be_others_and_only_for_options_that_decide_it(
    root: Path, folders: dict[str, Path], kind: str
):
    """Each option that generate.py reads, one by one; all others at once."""
    present = base_config(root).values()
    changed = {name: another(action, present) for name, action in actions().items()}
    read = {name.lstrip("-") for group in READ_BY["generate"] for name in option_names(group)} & changed.keys()
    unread = {
        name: value for name, value in changed.items() if name not in read and not set(decided_by(name)) & {"ndf"}
    }
    for options in [*({name: changed[name]} for name in sorted(read)), unread]:
        deciding_it = [name for name in options if {"cloud", kind} & set(decided_by(name))]
        try:
            networks, shapes = shapes_of(root, kind, **options)
            folder = ShapeFolder(networks, shapes, folders[kind])
            reason = folder.records_of(0).why("cloud", folder.cloud_facts(0))
        except UserError:
            assert all({"ndf", "input"} & set(decided_by(name)) for name in options), f"{options} refused"
            continue
        assert bool(reason) <= bool(deciding_it), (options, reason)
        if not reason:
            cloud, code = decode(networks, shapes.codes[0], shapes.num_points, 0), shapes.codes[0]
            with np.load(folders[kind] / shapes.names[0] / DENSE_POINT_CLOUD) as file:
                assert np.array_equal(file["point_cloud"], cloud), options
                assert isinstance(code, torch.Tensor) and np.array_equal(file["code"], code[0].numpy()), options


@pytest.mark.usefixtures("coarse_lattice")
def test_options_that_decide_clouds_make_them_stale(root: Path, folders: dict[str, Path]):
    for kind in MAKERS:
        for name in {*deciding("cloud"), *deciding(kind)} & actions().keys() - {"bb_min", "bb_max"}:
            value = another(actions()[name], base_config(root).values())
            folder = ShapeFolder(*shapes_of(root, kind, **{name: value}), folders[kind])
            reason = folder.records_of(0).why("cloud", folder.cloud_facts(0))
            assert reason or name in ("num_completion_points",), (kind, name)


def decided_by(option: str) -> list[str]:
    return [artefact for artefact in ARTEFACTS if option in deciding(artefact)]


def changed(cfg: Config) -> Iterator[tuple[str, Config]]:
    """Each option with a configuration in which it alone is another."""
    for name, action in actions().items():
        yield name, cfg.changed(**{name: another(action, cfg.values())})


def stale_options(cfg: Config, facts: Callable[[Config], object]) -> set[str]:
    """The options with which facts are others, or cannot be had since other files are asked for."""
    own, found = facts(cfg), set()
    for name, other in changed(cfg):
        try:
            if facts(other) != own:
                found.add(name)
        except UserError:
            found.add(name)
    return found


@pytest.mark.parametrize("kind", ["scaled_mesh", "input", "samples"])
def test_samples_are_stale_for_the_options_that_decide_them(tmp_path: Path, kind: str):
    cfg = read_config(tmp_path, grid_coords=False)
    mesh, folder = tmp_path / "data" / "car" / "models" / "model.obj", tmp_path / "data" / "car" / "models"
    write_obj(mesh, *open_box(np.random.default_rng(0)))
    assert process_shape(mesh, folder, cfg).made

    def lacking(cfg: Config) -> set[str]:
        records = Records(folder)
        found = {name: facts_of_samples(name, {"mesh": mesh_sha256(mesh)}, cfg) for name in expected_files(cfg)}
        kinds = {SCALED_MESH: "scaled_mesh", voxelized_point_cloud(cfg.grid.input_res, cfg.grid.num_points): "input"}
        mine = {name: facts for name, facts in found.items() if kinds.get(name, "samples") == kind}
        return {name for name, facts in mine.items() if why_made(folder / name, facts, records, cfg)}

    assert lacking(cfg) == set()
    assert stale_options(cfg, lacking) == set(deciding(kind))
    write_obj(mesh, *open_box(np.random.default_rng(1)))
    assert lacking(cfg)


def test_codes_and_splits_are_stale_for_the_options_that_decide_them(root: Path):
    cfg = tiny_config(root, code_draws=2)
    folders = split_folders(cfg)
    codes = stale_options(cfg, lambda cfg: facts_of_codes("train", folders["train"], cfg, "sha"))
    assert codes == set(deciding("codes"))
    assert stale_options(cfg, lambda cfg: facts_of_codes("test", folders["test"], cfg, "sha")) == codes - {
        "seed", "code_draws", "code_mirror", "code_stretch",
    }  # fmt: skip
    shapes = folders["train"]
    assert stale_options(cfg, lambda cfg: facts_of_split(shapes, cfg)) == set(deciding("split")) - NAMES


def test_sets_meshes_and_chains_are_stale_for_the_options_that_decide_them(root: Path):
    made = Networks(tiny_config(root, best_of=2))

    def of_set(cfg: Config) -> object:
        made.cfg = cfg
        return sampled_recipes(made, 3)["flow"][0].facts | options_of("set", cfg)

    decide_set = {*deciding("set"), *deciding("sample")}
    assert stale_options(made.cfg, of_set) == decide_set
    cfg = tiny_config(root, best_of=2)
    for artefact in ("mesh", "chains", "wholeness"):
        assert stale_options(cfg, lambda cfg, name=artefact: options_of(name, cfg)) == set(deciding(artefact))


def test_clouds_of_another_way_are_stale(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = Networks(tiny_config(root))
    folder = ShapeFolder(made, MAKERS["sample"](made), tmp_path)
    before, mesh = folder.cloud_facts(0), folder.mesh_facts(0)
    monkeypatch.setattr("generation.shape_folder.FOUND_BY", {"points_found_by": "chance"})
    assert "chance" in why(before, folder.cloud_facts(0))
    assert folder.mesh_facts(0) == mesh


def test_each_input_makes_stale_what_is_made_of_it(root: Path, tmp_path: Path):
    """The input cloud of a shape, the NDF, the flow: what is made of them alone, by the reasons that are given."""
    shutil.copytree(root, tmp_path / "copy")
    cfg = tiny_config(tmp_path / "copy", **BASE)
    folders = {kind: tmp_path / kind for kind in MAKERS}
    for kind, folder in folders.items():
        made = Networks(cfg)
        make_shapes(made, MAKERS[kind](made), folder)

    def stale() -> dict[str, set[str]]:
        made = Networks(cfg)
        found = {}
        for kind, folder in folders.items():
            there = ShapeFolder(made, MAKERS[kind](made), folder)
            reasons = {n: there.records_of(n).why("cloud", there.cloud_facts(n)) for n in there.numbers}
            found[kind] = {there.shapes.names[n] for n, reason in reasons.items() if reason}
        return found

    assert not any(stale().values())
    cloud = next((tmp_path / "copy" / "data" / "sphere8").glob("voxelized*"))
    before = cloud.read_bytes()
    write_npz(cloud, point_cloud=0.9 * np.load(cloud)["point_cloud"])
    assert stale() == {"sample": set(), "reconstruction": {"sphere8"}, "path": {"000", "001", "002"}}
    cloud.write_bytes(before)
    checkpoint = best_checkpoint(cfg.experiment.rnvp_checkpoints)
    write_state(load_checkpoint(checkpoint) | {"step": 1}, checkpoint)
    assert all(len(names) > 1 for names in stale().values())  # a flow judges reconstructions, too
