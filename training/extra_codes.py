"""Codes of shapes beyond the split's, for the flow alone.

On a CPU each worker process makes the clouds of a few shapes and encodes them, so that only codes cross to the main
process; a GPU encodes the clouds that the workers make.
`codes/extra_parts` holds the codes of `PART` shapes in each file, written whole or not at all: a killed run loses one
part at most, and more shapes of the same source are added to those that are there. `codes/extra.npy` and `extra.json`
are all parts in one, in the format of the split's codes (`training/encoding.py`).
"""

import json
import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from tqdm import tqdm

from configs.decided import deciding
from configs.options import Config, Training
from dataprocessing.axes import given_axes
from dataprocessing.extra_shapes import ExtraShape, ExtraSource, below_extras, describe, extra_cloud
from dataprocessing.frames import front_of
from dataprocessing.mesh_record import marks_of, mesh_sha256
from dataprocessing.preprocess import print_failures
from frozen.codes import EXTRA
from models.distance_network import DistanceNetwork
from runtime.artefacts import Facts, kept_arrays
from runtime.cores import num_workers
from runtime.devices import keep_freed_memory
from runtime.errors import UserError
from runtime.files import write_json
from runtime.pool import run_in_order
from runtime.reading import DamagedFile, open_npz, read_json, reading
from runtime.room import check_room
from training.distributed import first_only, from_first, share, wait_for_all
from training.encoding import encode_batch, index_of, mirrors, note_made_again, turned, why_again, write_codes
from training.same_training import NO_EXTRAS

PART = 1000  # shapes
CPU_BATCH = 8  # shapes that a worker encodes at a time
CLOUDS_AHEAD = 256  # made before a GPU has asked for them
Cloud = np.ndarray | str  # or why there is none


class Encoded(NamedTuple):
    """Of a few shapes: the codes of those that can be used, and why the others cannot, by name."""

    codes: np.ndarray
    failures: dict[str, str]
    num_shapes: int  # both


@dataclass(frozen=True)
class Part:
    """A file of codes: its shapes, and what it is made of."""

    path: Path
    shapes: list[ExtraShape]
    made_of: Facts


def extra_facts(sources: list[ExtraSource], cfg: Config, ndf_sha256: str) -> Facts:
    """What the codes of the shapes of all sources are made of; demo cars are known by their numbers and seed."""
    if not sources:
        return NO_EXTRAS
    meshes = {shape.name: Path(shape.mesh) for source in sources for shape in source.shapes if shape.mesh}
    idle = set() if meshes else {"up", "front"}
    if not cfg.codes.extra_demo_cars:
        idle.add("extra_demo_seed")
    values = cfg.values() | {"front": front_of(cfg.data.up, cfg.data.front)}
    options = {name: values[name] for name in deciding("extra_codes") if name not in idle}
    shapes = mesh_digests(meshes, cfg.experiment.codes / f"{EXTRA}_meshes.json")
    if cfg.data.axes_file:
        for shape in (shape for source in sources for shape in source.shapes if shape.mesh):
            axes = given_axes(below_extras(shape, cfg), cfg.data)
            if axes != (values["up"], values["front"]):
                shapes[shape.name] += " " + " ".join(axes)
    return {"ndf_sha256": ndf_sha256, "options": options, "extra_meshes": len(meshes), "shapes": shapes}


def mesh_digests(meshes: dict[str, Path], kept: Path) -> dict[str, str]:
    """16 hex digits that change with the content of each mesh, by its name.

    kept: the json file that keeps them with the `marks_of` each, so that a mesh is read again only where it changed.
    """
    try:
        known = read_json(kept)
    except DamagedFile:
        known = {}
    marked: dict[str, Any] = {}  # name -> marks and digest
    for name, path in meshes.items():
        before = known.get(name)
        try:
            with reading(path):
                marks = marks_of(path)
                same = isinstance(before, list) and len(before) == 2 and before[0] == marks
                marked[name] = before if same else [marks, mesh_sha256(path)[:16]]
        except DamagedFile:
            marked[name] = [[], "unreadable"]  # encoding says so
    if marked != known:
        write_json(kept, marked)
    return {name: digest for name, (_, digest) in marked.items()}


def encode_extras(
    model: DistanceNetwork,
    checkpoint: Path,
    sources: list[ExtraSource],
    made_of: Facts,
    cfg: Config,
    device: torch.device,
) -> None:
    """Write the codes of the shapes of all sources, which are made of these facts, except parts that are on disk
    already; without sources, none.

    Each shape has one code and, with code_mirror, that of its mirror image behind it. Broken meshes are reported and
    left out. Several processes make a part each at a time. Raises UserError if no mesh can be used.
    """
    folder = cfg.experiment.codes
    reason = from_first(lambda: why_again(folder, EXTRA, made_of))
    if sources and not reason:
        return
    parts = [part for source in sources for part in parts_of(source, made_of, folder)]
    if sources:
        check_room_for_codes(model, parts, cfg)
        note_made_again(EXTRA, reason)
    for name in (f"{EXTRA}.json", f"{EXTRA}.npy"):  # of other shapes or of another network
        (folder / name).unlink(missing_ok=True)
    if not sources:
        return
    own = share(parts)
    missing = [part for part in own if not is_written(part)]
    make_parts(model, missing, cfg, device, sum(len(part.shapes) for part in own))
    wait_for_all()
    failures: dict[str, str] = {}
    used: list[str] = []
    for part in parts:
        unused = read_failures(part)
        failures |= {shape.mesh: unused[shape.name] for shape in part.shapes if shape.name in unused}
        used += [shape.name for shape in part.shapes if shape.name not in unused]
    facts = [source.facts for source in sources]
    print(f"extra shapes: {describe(facts)}; {len(used)} encoded, {len(failures)} could not be used")
    print_failures([(Path(mesh), reason) for mesh, reason in failures.items()])
    if not used:
        raise UserError("none of the extra meshes can be used, 1 or more expected; see the reasons above")
    rows = [{"name": name, "mirrored": mirrored, "draw": 0} for name in used for mirrored in mirrors(cfg.codes)]
    index = index_of(model, checkpoint, made_of)
    index |= {"sources": facts, "num_shapes": len(used), "failures": failures, "rows": rows}
    codes = (read_codes(part) for part in parts)
    first_only(write_codes)(folder, EXTRA, codes, index)
    wait_for_all()


def check_room_for_codes(model: DistanceNetwork, parts: list[Part], cfg: Config) -> None:
    """Raise UserError if the parts that are not there, and all codes in one file, do not fit onto the disk."""
    whole = sum(len(part.shapes) for part in parts)
    lacking = sum(len(part.shapes) for part in parts if not part.path.is_file())
    bytes_a_shape = 4 * math.prod(model.code_shape) * len(mirrors(cfg.codes))  # float32
    what = f"the codes of {whole} extra shapes"
    check_room(cfg.experiment.codes, bytes_a_shape * (lacking + whole), what, "lower --extra_demo_cars")


def parts_of(source: ExtraSource, made_of: Facts, folder: Path) -> Iterator[Part]:
    """The parts of a source, which do not depend on the number of its shapes, nor on other sources."""
    idle = {"extra_demo_cars", "extra_demo_seed"} | (set() if source.shapes[0].mesh else {"up", "front"})
    options = {name: value for name, value in made_of["options"].items() if name not in idle}
    for k, start in enumerate(range(0, len(source.shapes), PART)):
        shapes = source.shapes[start : start + PART]
        digests = {shape.name: made_of["shapes"][shape.name] if shape.mesh else "" for shape in shapes}
        path = folder / f"{EXTRA}_parts" / f"{source.name}_{k:04d}.npz"
        yield Part(path, shapes, {"ndf_sha256": made_of["ndf_sha256"], "options": options, "shapes": digests})


def make_parts(model: DistanceNetwork, parts: list[Part], cfg: Config, device: torch.device, num_shapes: int) -> None:
    """Encode parts and write each as soon as it is complete. num_shapes: with those of parts that are there."""
    batches = [in_batches(part.shapes, cfg.training, device) for part in parts]
    missing = sum(len(part.shapes) for part in parts)
    bar = tqdm(total=num_shapes, initial=num_shapes - missing, desc="encoding extra shapes", unit="shape", disable=None)
    with bar, encoding(model, [batch for of_part in batches for batch in of_part], cfg, device) as encoded:
        for part, of_part in zip(parts, batches, strict=True):
            write_part(model, part, islice(encoded, len(of_part)), bar)


def in_batches(shapes: list[ExtraShape], training: Training, device: torch.device) -> list[list[ExtraShape]]:
    """What is encoded at a time."""
    size = CPU_BATCH if device.type == "cpu" else training.batch_size
    return [shapes[start : start + size] for start in range(0, len(shapes), size)]


@contextmanager
def encoding(
    model: DistanceNetwork, batches: list[list[ExtraShape]], cfg: Config, device: torch.device
) -> Iterator[Iterator[Encoded]]:
    """Batches of shapes, encoded one after the other; worker processes end with the context.

    On a CPU with one thread each, so that codes do not depend on the number of cores.
    """
    workers, before = min(num_workers(cfg.run.num_cpus), len(batches)), torch.get_num_threads()
    tasks = ((batch, cfg) for batch in batches)
    if device.type == "cpu":
        torch.set_num_threads(1)
        encoded = run_in_order(encode_in_worker, tasks, workers, shared=(model,))
    else:
        ahead = CLOUDS_AHEAD // cfg.training.batch_size + 1
        encoded = on_gpu(model, batches, run_in_order(extra_clouds, tasks, workers, ahead), cfg, device)
    try:
        with closing(encoded):  # Ctrl-C ends the workers
            yield encoded
    finally:
        torch.set_num_threads(before)


def on_gpu(
    model: DistanceNetwork,
    batches: list[list[ExtraShape]],
    clouds: Generator[list[Cloud], None, None],
    cfg: Config,
    device: torch.device,
) -> Generator[Encoded, None, None]:
    with closing(clouds):
        for batch in batches:
            yield encode_usable(model, batch, next(clouds), cfg, device)


def encode_in_worker(model: DistanceNetwork, shapes: list[ExtraShape], cfg: Config) -> Encoded:
    """The codes of a few shapes, all on a CPU."""
    keep_freed_memory()
    return encode_usable(model, shapes, extra_clouds(shapes, cfg), cfg, torch.device("cpu"))


def extra_clouds(shapes: list[ExtraShape], cfg: Config) -> list[Cloud]:
    return [extra_cloud(shape, cfg) for shape in shapes]


def encode_usable(
    model: DistanceNetwork, shapes: list[ExtraShape], clouds: list[Cloud], cfg: Config, device: torch.device
) -> Encoded:
    """The codes of the shapes that have clouds, and why the others have none."""
    failures = {shape.name: cloud for shape, cloud in zip(shapes, clouds, strict=True) if isinstance(cloud, str)}
    usable = [cloud for cloud in clouds if not isinstance(cloud, str)]
    if not usable:
        return Encoded(np.zeros((0, *model.code_shape), np.float32), failures, len(shapes))
    return Encoded(encode_mirrored(model, np.stack(usable), cfg, device), failures, len(shapes))


def write_part(model: DistanceNetwork, part: Part, batches: Iterable[Encoded], bar: tqdm) -> None:
    failures, codes = {}, [np.zeros((0, *model.code_shape), np.float32)]
    for batch in batches:
        codes.append(batch.codes)
        failures.update(batch.failures)
        bar.update(batch.num_shapes)
    kept_arrays(
        part.path, part.made_of, lambda: {"codes": np.concatenate(codes), "failures": np.array(json.dumps(failures))}
    )


def encode_mirrored(model: DistanceNetwork, clouds: np.ndarray, cfg: Config, device: torch.device) -> np.ndarray:
    """Codes of clouds (B, n, 3): (B, *code_shape), or (2 B, *code_shape) with that of its mirror image behind each."""
    codes = [encode_batch(model, turned(clouds, mirrored), cfg, device) for mirrored in mirrors(cfg.codes)]
    return np.stack(codes, axis=1).reshape(-1, *model.code_shape)


def is_written(part: Part) -> bool:
    """Whether the file of a part is there, undamaged, and of the same shapes, network and options."""
    return kept_arrays(part.path, part.made_of, None) is not None


def read_failures(part: Part) -> dict[str, str]:
    """The meshes of a part that could not be used, and why."""
    with open_npz(part.path) as file:
        return cast(dict[str, str], json.loads(str(file["failures"])))


def read_codes(part: Part) -> np.ndarray:
    with open_npz(part.path) as file:
        return file["codes"]
