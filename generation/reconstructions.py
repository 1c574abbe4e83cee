"""Shapes from their input points, and paths between two of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from configs.options import Config, Network
from dataprocessing.ndf_files import turning_sentence
from dataprocessing.own_meshes import (
    OWN_MESHES,
    OwnMeshes,
    own_meshes_place,
    read_own_meshes,
    tell_axes_and_scale,
    tell_left_out,
    true_surface,
)
from dataprocessing.shapes import processed_root, shape_name
from dataprocessing.split import NO_SPLIT, split_folders
from dataprocessing.stored_points import cloud_digest, read_input_cloud
from dataprocessing.surface import surface_points
from frozen.loading import encode_clouds
from generation.cloud_files import read_index
from generation.latents import path_between
from generation.networks import Networks
from generation.plausible_codes import PlausibleCodes, applies
from generation.shapes import CodesOnAccess, FactsOnAccess, Group, Shapes, continued
from models.distance_network import WITHOUT_CODE, Code
from runtime.errors import UserError, note
from runtime.layout import INDEX, absolute

if TYPE_CHECKING:
    from visualization.contact_sheet import ShapeRow

CloudOf = Callable[[int], np.ndarray]  # number of a shape -> its input points (n, 3) float32, mesh units


class InputCodes(CodesOnAccess):
    """The codes of shapes, each encoded from its input cloud on access.

    Encoded in the batches of `encoding.encode_splits`, since rounding depends on the batch size; the pyramids of a
    plain NDF are never stored, and are too large for more than one at a time.
    """

    def __init__(self, networks: Networks, cloud: CloudOf, total: int, num: int | None = None, alone: bool = False):
        """cloud: of shape n of `total`; num: how many of them to use, default all; alone: each in a batch of its own,
        for clouds of different numbers of points."""
        self.networks, self.cloud, self.total = networks, cloud, total
        self.num = total if num is None else min(num, total)
        self.batch_size = 1 if alone or networks.ndf.code_kind in WITHOUT_CODE else networks.cfg.training.batch_size
        self._start = -1
        self._batch: list[Code] = []

    def made(self, n: int) -> Code:
        start = n - n % self.batch_size
        if start != self._start:
            self._start, self._batch = start, self._encode(range(start, min(start + self.batch_size, self.total)))
        return self._batch[n - start]

    def _encode(self, numbers: Sequence[int]) -> list[Code]:
        clouds = np.stack([self.cloud(n) for n in numbers])
        codes = encode_clouds(self.networks.ndf, clouds, self.networks.cfg, self.networks.device)
        return list(codes.float().split(1)) if isinstance(codes, Tensor) else [codes]


def reconstructed(networks: Networks, split: str = "test", num: int | None = None) -> Shapes:
    """The first shapes of a split, encoded from their input points: needs neither a flow nor stored codes.

    Raises UserError if two of them have one name, and so would overwrite each other.
    """
    cfg, place = networks.cfg, networks.experiment.reconstruction
    try:
        folders = split_folders(cfg, needed=[split])[split]
    except UserError as error:
        if processed_root(cfg.data).is_dir() and (
            cfg.data.split_file == NO_SPLIT or absolute(cfg.data.split_file).is_file()
        ):
            raise
        return reconstructed_before(networks, place, num, error)
    names = [shape_name(folder) for folder in folders[:num]]
    if twice := next((name for name in names if names.count(name) > 1), None):
        places = [str(folder) for folder in folders[:num] if shape_name(folder) == twice]
        raise UserError(f"{places[0]} and {places[1]} have one name, {twice}; rename one, or --input_data_glob any")
    cloud = stored_clouds(folders, cfg)
    return from_clouds(
        networks,
        Shapes(
            "reconstruction",
            names,
            [],
            place,
            label_of_tests(cfg.network),
            cfg.generation.num_output_points,
            facts=FactsOnAccess(len(names), lambda n: {"cloud": cloud_digest(cloud(n))}),
            remarks=list(filter(None, [turning_sentence(folders[:num], cfg.data)])),
        ),
        cloud,
        len(folders),
        lambda n, count: surface_points(folders[n], count, cfg.run.seed, cfg.data),
        "Test shapes",
    )


def reconstructed_before(networks: Networks, place: Path, num: int | None, error: UserError) -> Shapes:
    """The reconstructions that are in their folder already, where the data they were made of are not at hand.

    Raises `error`, which says so, if there are none, and when a code is asked for.
    """
    cfg = networks.cfg
    index_path = (Path(cfg.output.out).expanduser() if cfg.output.out else place) / INDEX
    index = read_index(index_path) if index_path.is_file() else {}
    if index.get("kind") != "reconstruction":
        raise error

    def absent(n: int) -> np.ndarray:
        raise error

    note(f"what is there already is taken as it is: {error}")
    names, facts = index["shapes"][:num], index["facts"][:num]
    label, points = label_of_tests(cfg.network), cfg.generation.num_output_points
    shapes = Shapes("reconstruction", names, [], place, label, points, facts=facts)
    return from_clouds(networks, shapes, absent, len(names), lambda n, count: absent(n), "Test shapes")


def label_of_tests(network: Network) -> Callable[[Sequence[int]], str]:
    return lambda numbers: f"Test shapes, decoded from {decoded_from(network)}"


def reconstructed_meshes(networks: Networks) -> Shapes:
    """Somebody's own meshes, encoded from points drawn from them: needs no split, no stored codes and no flow."""
    cfg = networks.cfg
    folder = folder_of_clouds(cfg)
    own = read_own_meshes(cfg, Path(cfg.output.out).expanduser() if cfg.output.out else folder)
    tell_left_out(own)
    tell_axes_and_scale(own)
    meshes, clouds = own.meshes, any(one.given for one in own.meshes)
    whose = "The meshes and clouds" if clouds else "The meshes"
    number = f"{'at most ' if clouds else ''}{cfg.grid.num_points:,}"
    where = "where the meshes lie, in their axes and units" if cfg.own_meshes.keep_frame else "in the unit box"
    shapes = Shapes(
        "own_mesh",
        [one.name for one in meshes],
        [],
        folder,
        lambda numbers: f"{whose}, from {number} points of each, decoded from {decoded_from(cfg.network)}",
        cfg.generation.num_output_points,
        facts=own.facts(),
        streams=own.numbers,
        total=len(own.listing.shapes),
        about={"keep_frame": cfg.own_meshes.keep_frame},
        source=str(own.folder),
        told_in_index={OWN_MESHES: str(own.folder), "left_out": left_out(own)},
        frames=[one.frame for one in meshes],
        keep_frame=cfg.own_meshes.keep_frame,
        remarks=[f"they lie {where} (--keep_frame {str(cfg.own_meshes.keep_frame).lower()})"],
        status=1 if own.left_out else 0,
    )
    return from_clouds(
        networks,
        shapes,
        lambda n: meshes[n].cloud,
        len(meshes),
        lambda n, count: true_surface(meshes[n], count, cfg),
        whose,
        "as given" if clouds else "true surface",
        alone=True,
    )


def folder_of_clouds(cfg: Config) -> Path:
    """Where the clouds of own meshes go without --out: a folder of the experiment, named as that of the meshes."""
    root: Path = cfg.experiment.own_meshes
    return root / own_meshes_place(cfg).name


def left_out(own: OwnMeshes) -> dict[str, str]:
    return {own.relative(path): reason for path, reason in own.left_out.items()}


def from_clouds(
    networks: Networks,
    shapes: Shapes,
    cloud: CloudOf,
    total: int,
    truth: Callable[[int, int], np.ndarray],
    whose: str,
    what: str = "true surface",
    alone: bool = False,
) -> Shapes:
    """Shapes with the codes of the first of `total` input clouds; where it `applies`, those off the training data are
    brought back. Above them on the sheet stand their true surfaces: truth(n, number of points), called `whose`; where
    these are not at hand, the input points.

    alone: see `InputCodes`; no code depends then on the others, which a chunk may not have. what: what those points
    are, in a word or two.
    """
    codes: Sequence[Code] = InputCodes(networks, cloud, total, len(shapes.names), alone)
    shapes.about["box"] = box(networks.cfg)
    if applies(networks):
        codes = PlausibleCodes(networks, shapes.names, codes, cloud)
        codes.number = shapes.number
        shapes.about["plausible"], shapes.arrays_after = codes.options(), codes.facts_of
    shapes.codes = codes

    def above(numbers: Sequence[int]) -> "list[ShapeRow]":
        from generation.sheet_rows import MOST_SHOWN, both_sides, caption

        captions = [caption(shapes.names[n]) for n in numbers]
        try:
            clouds = [truth(n, min(shapes.num_points, MOST_SHOWN)) for n in numbers]
            return both_sides(f"{whose} ({what})", clouds, "grey", captions)
        except UserError as error:
            note(f"no true surfaces on the contact sheet: {error}")
        try:
            return both_sides(f"{whose} (input points)", [cloud(n) for n in numbers], "grey", captions)
        except UserError:  # what was made is there, its data are not
            return []

    shapes.above = above
    return shapes


def stored_clouds(folders: Sequence[Path], cfg: Config) -> CloudOf:
    """Reads the input cloud of each shape, preprocessed in its folder."""
    return lambda n: read_input_cloud(folders[n], cfg)


def interpolated(networks: Networks, num: int) -> Shapes:
    """The path between the latents z of two test shapes: every point on it is a likely shape.

    Raises UserError if no test shape has the name that `interpolate_from` or `interpolate_to` gives.
    """
    cfg, folders = networks.cfg, split_folders(networks.cfg, needed=["test"])["test"]
    names = [shape_name(folder) for folder in folders]
    ends = [
        find_shape(names, cfg.generation.interpolate_from, default=0),
        find_shape(names, cfg.generation.interpolate_to, default=1),
    ]
    cloud = stored_clouds(folders, cfg)
    codes = InputCodes(networks, cloud, len(folders))
    z, _ = networks.flow(torch.cat([codes[end] for end in ends]))
    share = torch.linspace(0, 1, num, device=networks.device)[:, None]
    path = networks.flow.inverse(path_between(networks.flow, z[:1], z[1:], share))
    return Shapes(
        "path",
        [f"{n:03d}" for n in range(num)],
        path.split(1),
        networks.experiment.interpolation,
        continued("A straight path between two test shapes in the flow's latent space"),
        cfg.generation.num_output_points,
        facts=[{"between": [names[end] for end in ends], "share": n / max(1, num - 1)} for n in range(num)],
        about={"ends": [cloud_digest(cloud(end)) for end in ends], "num_shapes": num, "box": box(cfg)},
        groups=[Group(range(num), "walk")],
    )


def box(cfg: Config) -> list[float]:
    """Of the grid in which the network gets input points."""
    return [cfg.grid.bb_min, cfg.grid.bb_max]


def find_shape(names: list[str], name: str | None, default: int) -> int:
    """The index of a test shape by name, or the default one. Raises UserError if no shape has that name."""
    if name is None:
        return min(default, len(names) - 1)
    if name not in names:
        raise UserError(f"no test shape is named {name!r}; the test split has {', '.join(names[:3])}, ...")
    return names.index(name)


def decoded_from(network: Network) -> str:
    return "features" if network.code_kind in WITHOUT_CODE else "their codes"
