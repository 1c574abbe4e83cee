"""What an option decides is what changes with it: the clouds, meshes and codes of every option, by their bytes."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from perturbed import actions, another
from tiny_experiment import make_shapes, tiny_config

from configs.artefacts import ARTEFACTS, deciding
from configs.config_loader import option_names
from configs.errors import UserError
from configs.layout import DENSE_POINT_CLOUD
from configs.options import READ_BY
from generation.decode import decode
from generation.networks import Networks
from generation.reconstructions import interpolated, reconstructed
from generation.sampling import sampled
from generation.shape_folder import ShapeFolder
from generation.shapes import Shapes

MAKERS = {
    "sample": lambda made: sampled(made, 2, made.cfg.seed),
    "reconstruction": lambda made: reconstructed(made, num=2),
    "path": lambda made: interpolated(made, made.cfg.num_shapes),
}
BASE = {"best_of": 2, "fit_steps": 2, "num_sample_points_generation": 500}


def shapes_of(root: Path, maker: str, /, **options: object) -> tuple[Networks, Shapes]:
    cfg = Namespace(**vars(tiny_config(root, **BASE)) | options)
    networks = Networks(cfg)
    return networks, MAKERS[maker](networks)


@pytest.fixture(scope="module")
def folders(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("generation.projection.LATTICE", 12)
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
    present = vars(tiny_config(root, **BASE))
    changed = {name: another(action, present) for name, action in actions().items()}
    read = {name.lstrip("-") for group in READ_BY["generate"] for name in option_names(group)} & changed.keys()
    unread = {
        name: value for name, value in changed.items() if name not in read and not set(decided_by(name)) & {"ndf"}
    }
    for options in [*({name: changed[name]} for name in sorted(read)), unread]:
        deciding_it = [name for name in options if {"cloud", kind} & set(decided_by(name))]
        try:
            networks, shapes = shapes_of(root, kind, **options)
        except UserError:
            assert all({"ndf", "input"} & set(decided_by(name)) for name in options), f"{options} refused"
            continue
        folder = ShapeFolder(networks, shapes, folders[kind])
        reason = folder.records_of(0).why("cloud", folder.cloud_facts(0))
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
            value = another(actions()[name], vars(tiny_config(root, **BASE)))
            folder = ShapeFolder(*shapes_of(root, kind, **{name: value}), folders[kind])
            reason = folder.records_of(0).why("cloud", folder.cloud_facts(0))
            assert reason or name in ("num_completion_points",), (kind, name)


def decided_by(option: str) -> list[str]:
    return [artefact for artefact in ARTEFACTS if option in deciding(artefact)]
