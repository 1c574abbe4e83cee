"""Codes of shapes beyond the split's, for the flow alone.

On a CPU each worker process makes the clouds of a few shapes and encodes them, so that only codes cross to the main
process; a GPU encodes the clouds that the workers make.
`codes/extra_parts` holds the codes of `PART` shapes in each file, written whole or not at all: a killed run loses one
part at most, and more shapes of the same source are added to those that are there. `codes/extra.npy` and `extra.json`
are all parts in one, in the format of the split's codes (`training/encoding.py`).
"""

import json
from argparse import Namespace
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from tqdm import tqdm

from configs.cores import num_workers
from configs.devices import keep_freed_memory
from configs.errors import UserError
from configs.files import write_npz
from configs.layout import Experiment
from configs.reading import DamagedFile, open_npz
from dataprocessing.extra_shapes import ExtraShape, ExtraSource, describe, extra_cloud
from dataprocessing.pool import run_in_order
from dataprocessing.preprocess import print_failures
from frozen.checkpoint_files import fingerprint
from frozen.codes import EXTRA
from frozen.loading import encode_clouds
from models.ndf import NDF
from training.distributed import first_only, from_first, share, wait_for_all
from training.encoding import are_written, mirrors, turned, write_codes

PART = 1000  # shapes
CPU_BATCH = 8  # shapes that a worker encodes at a time
CLOUDS_AHEAD = 256  # made before a GPU has asked for them
Cloud = np.ndarray | str  # or why there is none


class Encoded(NamedTuple):
    """Of a few shapes: the codes of those that can be used, and why the others cannot, by `identity`."""

    codes: np.ndarray
    failures: dict[str, str]
    num_shapes: int  # both


@dataclass(frozen=True)
class Part:
    """A file of codes: its shapes, and what decides its content."""

    path: Path
    shapes: list[ExtraShape]
    index: dict[str, Any]


def encode_extras(
    model: NDF, checkpoint: Path, sources: list[ExtraSource], cfg: Namespace, device: torch.device
) -> None:
    """Write the codes of the shapes of all sources, except parts that are on disk already; without sources, none.

    Each shape has one code and, with code_mirror, that of its mirror image behind it. Broken meshes are reported and
    left out. Several processes make a part each at a time. Raises UserError if no mesh can be used.
    """
    folder = Experiment(cfg).codes
    common = common_index(model, checkpoint, cfg)
    index = common | {"sources": [source.facts for source in sources]}
    done: bool = from_first(lambda: bool(sources) and are_written(folder, EXTRA, index))
    if done:
        return
    for name in (f"{EXTRA}.json", f"{EXTRA}.npy"):  # of other shapes or of another network
        (folder / name).unlink(missing_ok=True)
    if not sources:
        return
    parts = [part for source in sources for part in parts_of(source, common, folder)]
    own = share(parts)
    make_parts(model, [part for part in own if not is_written(part)], cfg, device, sum(len(p.shapes) for p in own))
    wait_for_all()
    failures = {name: reason for part in parts for name, reason in read_failures(part).items()}
    used = [shape for part in parts for shape in part.shapes if identity(shape) not in failures]
    print(f"extra shapes: {describe(index['sources'])}; {len(used)} encoded, {len(failures)} could not be used")
    print_failures([(Path(mesh), reason) for mesh, reason in failures.items()])
    if not used:
        raise UserError("none of the extra meshes can be used, 1 or more expected; see the reasons above")
    rows = [{"name": shape.name, "mirrored": mirrored, "draw": 0} for shape in used for mirrored in mirrors(cfg)]
    index |= {"num_shapes": len(used), "failures": failures, "rows": rows}
    first_only(write_codes)(folder, EXTRA, (read_codes(part) for part in parts), index)
    wait_for_all()


def common_index(model: NDF, checkpoint: Path, cfg: Namespace) -> dict[str, Any]:
    """What decides all extra codes beside their shapes."""
    options = {name: getattr(cfg, name) for name in ("seed", "num_points", "input_res", "bb_min", "bb_max")}
    network = {"sha256": fingerprint(checkpoint), "code_kind": model.code_kind, "code_shape": list(model.code_shape)}
    return {**network, **options, "mirror": cfg.code_mirror}


def parts_of(source: ExtraSource, common: dict[str, Any], folder: Path) -> Iterator[Part]:
    for k, start in enumerate(range(0, len(source.shapes), PART)):
        shapes = source.shapes[start : start + PART]
        path = folder / f"{EXTRA}_parts" / f"{source.name}_{k:04d}.npz"
        yield Part(path, shapes, common | {"shapes": [identity(shape) for shape in shapes]})


def identity(shape: ExtraShape) -> str:
    return shape.mesh or shape.name


def make_parts(model: NDF, parts: list[Part], cfg: Namespace, device: torch.device, num_shapes: int) -> None:
    """Encode parts and write each as soon as it is complete. num_shapes: with those of parts that are there."""
    batches = [in_batches(part.shapes, cfg, device) for part in parts]
    missing = sum(len(part.shapes) for part in parts)
    bar = tqdm(total=num_shapes, initial=num_shapes - missing, desc="encoding extra shapes", unit="shape", disable=None)
    with bar, encoding(model, [batch for of_part in batches for batch in of_part], cfg, device) as encoded:
        for part, of_part in zip(parts, batches, strict=True):
            write_part(model, part, islice(encoded, len(of_part)), bar)


def in_batches(shapes: list[ExtraShape], cfg: Namespace, device: torch.device) -> list[list[ExtraShape]]:
    """What is encoded at a time."""
    size = CPU_BATCH if device.type == "cpu" else cfg.batch_size
    return [shapes[start : start + size] for start in range(0, len(shapes), size)]


@contextmanager
def encoding(
    model: NDF, batches: list[list[ExtraShape]], cfg: Namespace, device: torch.device
) -> Iterator[Iterator[Encoded]]:
    """Batches of shapes, encoded one after the other; worker processes end with the context.

    On a CPU with one thread each, so that codes do not depend on the number of cores.
    """
    workers, before = min(num_workers(cfg.num_cpus), len(batches)), torch.get_num_threads()
    tasks = ((batch, cfg) for batch in batches)
    if device.type == "cpu":
        torch.set_num_threads(1)
        encoded = run_in_order(encode_in_worker, tasks, workers, shared=(model,))
    else:
        ahead = CLOUDS_AHEAD // cfg.batch_size + 1
        encoded = on_gpu(model, batches, run_in_order(extra_clouds, tasks, workers, ahead), cfg, device)
    try:
        with closing(encoded):  # Ctrl-C ends the workers
            yield encoded
    finally:
        torch.set_num_threads(before)


def on_gpu(
    model: NDF,
    batches: list[list[ExtraShape]],
    clouds: Generator[list[Cloud], None, None],
    cfg: Namespace,
    device: torch.device,
) -> Generator[Encoded, None, None]:
    with closing(clouds):
        for batch in batches:
            yield encode_usable(model, batch, next(clouds), cfg, device)


def encode_in_worker(model: NDF, shapes: list[ExtraShape], cfg: Namespace) -> Encoded:
    """The codes of a few shapes, all on a CPU."""
    keep_freed_memory()
    return encode_usable(model, shapes, extra_clouds(shapes, cfg), cfg, torch.device("cpu"))


def extra_clouds(shapes: list[ExtraShape], cfg: Namespace) -> list[Cloud]:
    return [extra_cloud(shape, cfg) for shape in shapes]


def encode_usable(
    model: NDF, shapes: list[ExtraShape], clouds: list[Cloud], cfg: Namespace, device: torch.device
) -> Encoded:
    """The codes of the shapes that have clouds, and why the others have none."""
    failures = {identity(shape): cloud for shape, cloud in zip(shapes, clouds, strict=True) if isinstance(cloud, str)}
    usable = [cloud for cloud in clouds if not isinstance(cloud, str)]
    if not usable:
        return Encoded(np.zeros((0, *model.code_shape), np.float32), failures, len(shapes))
    return Encoded(encode_mirrored(model, np.stack(usable), cfg, device), failures, len(shapes))


def write_part(model: NDF, part: Part, batches: Iterable[Encoded], bar: tqdm) -> None:
    failures, codes = {}, [np.zeros((0, *model.code_shape), np.float32)]
    for batch in batches:
        codes.append(batch.codes)
        failures.update(batch.failures)
        bar.update(batch.num_shapes)
    index, reasons = (np.array(json.dumps(value)) for value in (part.index, failures))
    write_npz(part.path, codes=np.concatenate(codes), index=index, failures=reasons)


def encode_mirrored(model: NDF, clouds: np.ndarray, cfg: Namespace, device: torch.device) -> np.ndarray:
    """Codes of clouds (B, n, 3): (B, *code_shape), or (2 B, *code_shape) with that of its mirror image behind each."""
    found = []
    for mirrored in mirrors(cfg):
        codes = cast(torch.Tensor, encode_clouds(model, turned(clouds, mirrored), cfg, device))
        found.append(codes.float().cpu().numpy())
    return np.stack(found, axis=1).reshape(-1, *model.code_shape)


def is_written(part: Part) -> bool:
    """Whether the file of a part is there, undamaged, and of the same shapes, network and options."""
    try:
        with open_npz(part.path) as file:
            num_codes = len(part.shapes) - len(json.loads(str(file["failures"])))
            shape = num_codes * (1 + part.index["mirror"]), *part.index["code_shape"]
            codes = file["codes"]  # read whole: damage shows by the check sum
            same = str(file["index"]) == json.dumps(part.index) and codes.shape == shape and codes.dtype == np.float32
            return bool(same and np.isfinite(codes).all())
    except DamagedFile:
        return False


def read_failures(part: Part) -> dict[str, str]:
    """The meshes of a part that could not be used, and why."""
    with open_npz(part.path) as file:
        return cast(dict[str, str], json.loads(str(file["failures"])))


def read_codes(part: Part) -> np.ndarray:
    with open_npz(part.path) as file:
        return file["codes"]
