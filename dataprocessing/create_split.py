# PYTHON_ARGCOMPLETE_OK
"""Step 2: divide the preprocessed shapes into train, val and test."""

import json
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

from configs.config_loader import get_config
from configs.decided import options_of
from configs.options import Config, Data, Split
from dataprocessing.mesh_record import MESH
from dataprocessing.ndf_files import turning_sentence
from dataprocessing.shapes import find_shapes, processed_root, shape_name
from dataprocessing.split import load_split, parts_of_published, paths_in
from runtime.artefacts import OPTIONS, Facts, Records, file_sha256, plain, why
from runtime.errors import UserError, note, one_line, run
from runtime.files import atomic_path, write_npz
from runtime.layout import absolute
from runtime.reading import open_npz

MADE_OF = "made_of"  # array of a split: its facts, a json text


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "create_split")
    shapes, lacking, gone = find_shapes(cfg)
    if cfg.split.published_split:
        split = parts_of_published(absolute(cfg.split.published_split), shapes, processed_root(cfg.data))
        tell_published(split, shapes, cfg)
    else:
        split = drawn(shapes, cfg)
    if len(split["train"]) == 1:
        note("one shape is left for training: enough for an NDF, but a flow (step 4) needs 2 or more; add meshes")
    tell_same_meshes(split)
    path = absolute(cfg.data.split_file)
    there = write_split(path, split, facts_of(shapes, cfg), cfg)
    counts = ", ".join(f"{part} {len(folders)}" for part, folders in split.items())
    print(
        f"{counts} of {len(shapes)} shapes in {path}{', which is there already' if there else ''};"
        f" {lacking} left out: not all of their files are there"
        + (f"; {gone} left out: their meshes are no longer in {absolute(cfg.data.data_dir)}" if gone else "")
    )
    if told := turning_sentence(shapes, cfg.data):
        print(told)
    return 0


def drawn(shapes: list[Path], cfg: Config) -> dict[str, list[Path]]:
    """A split of our own: shapes that are held out by name, the others at random, class by class."""
    held_out, others = hold_out(shapes, cfg.split)
    split = {"train": [], "val": [], "test": held_out}
    classes = group_by_class(others, cfg.data, cfg.split) if others else {}  # no others: test shapes alone
    for name, folders in classes.items():
        for part, chosen in divide(folders, name, cfg.run.seed, cfg.split).items():
            split[part] += chosen
    return split


def tell_published(split: dict[str, list[Path]], shapes: list[Path], cfg: Config) -> None:
    """Say what the published split names and is not here, and what is here and not named."""
    published = paths_in(absolute(cfg.split.published_split))
    lacking = ", ".join(f"{part} {len(published[part]) - len(folders)}" for part, folders in split.items())
    others = len(shapes) - sum(map(len, split.values()))
    print(f"{cfg.split.published_split}: not preprocessed here: {lacking}; {others} shapes here that it does not name")


def tell_same_meshes(split: dict[str, list[Path]]) -> None:
    """Note the meshes of `val` and `test` that are in `train` too, file for file: ShapeNet has such."""
    meshes = {
        part: {(Records(folder).made_of(MESH) or {}).get(MESH): folder for folder in folders}
        for part, folders in split.items()
    }
    for part in ("val", "test"):
        same = [digest for digest in meshes[part] if digest and digest in meshes["train"]]
        if same:
            pair = " and ".join(shape_name(meshes[one][same[0]]) for one in (part, "train"))
            note(f"{len(same)} meshes of {part} are in train too, such as {pair}: remove one of each two, or leave it")


def facts_of(shapes: list[Path], cfg: Config) -> Facts:
    """What a split is made of: its options, the shapes by their folders below `processed_root`, a published split."""
    root = processed_root(cfg.data)
    below = [shape.relative_to(root).as_posix() for shape in shapes]
    published = cfg.split.published_split
    digest = {"published": file_sha256(absolute(published))} if published else {}
    return plain({OPTIONS: options_of("split", cfg), "shapes": below, **digest})


def write_split(path: Path, split: dict[str, list[Path]], facts: Facts, cfg: Config) -> bool:
    """Write a split, unless the file is of these facts. Returns whether it was; says why it is made again.

    A split of others, or of an earlier version, is kept beside it. Raises UserError if the file is no split.
    """
    there = False
    if path.exists():
        made_of = read_made_of(path)
        if made_of is not None and not (reason := why(made_of, facts)):
            return True
        there = is_same(path, split, cfg.data)
        if made_of is not None:
            note(f"{path} made again: {one_line(reason)}")
        elif not there:
            keep_former(path)
        network = cfg.experiment.ndf_checkpoints
        if not there and any(network.glob("*.tar")):
            note(
                f"{network.parent} has a network trained on the former split: train it again, or give another exp_name"
            )
        there = there and made_of is None
    arrays = {part: [str(folder) for folder in folders] for part, folders in split.items()}
    write_npz(path, durable=True, **arrays, made_of=json.dumps(facts))
    return there


def is_same(path: Path, split: dict[str, list[Path]], data: Data) -> bool:
    """Whether a split file names the shapes of this split."""
    try:
        return load_split(path, processed_root(data)) == split
    except UserError:  # some of them are gone
        return False


def read_made_of(path: Path) -> Facts | None:
    """The facts of a split; None if it is of others, or of an earlier version. Raises UserError if it is none."""
    try:
        paths_in(path)
        with open_npz(path) as file:
            return dict(json.loads(str(file[MADE_OF]))) if MADE_OF in file else None
    except UserError as error:
        raise UserError(
            f"{path} is there, and no split that can be read; move it away, or give another split_file"
        ) from error


def keep_former(path: Path) -> None:
    """Copy a split that was not made here, or not by this version, to NAME_former. Raises UserError if one is there."""
    kept = path.with_name(f"{path.stem}_former{path.suffix}")
    if kept.exists() and kept.read_bytes() != path.read_bytes():
        raise UserError(
            f"{path} was not made by this version; it would be kept as {kept}, which is there: move one away"
        )
    with atomic_path(kept, durable=True) as spare:
        shutil.copyfile(path, spare)
    note(
        f"{path} was made by others, or by an earlier version: kept as {kept}; --published_split {kept} keeps its parts"
    )


def hold_out(shapes: list[Path], split: Split) -> tuple[list[Path], list[Path]]:
    """The shapes that test_pattern names, and the others; without a pattern no shape and all shapes.

    Raises UserError if the pattern names none, or n_test or r_test is given too.
    """
    if split.test_pattern is None:
        return [], shapes
    if split.n_test is not None or split.r_test is not None:
        raise UserError("both test_pattern and n_test (or r_test) are given; give one of them")
    held_out = [shape for shape in shapes if fnmatchcase(shape_name(shape), split.test_pattern)]
    if not held_out:
        raise UserError(
            f"no shape's name matches test_pattern {split.test_pattern!r}; names are such as {shape_name(shapes[0])}"
        )
    return held_out, sorted(set(shapes) - set(held_out))


def group_by_class(shapes: list[Path], data: Data, split: Split) -> dict[str, list[Path]]:
    """Shapes by the folder, of those that class_folders names, that they are in; one group without class_folders.

    Raises UserError if class_folders matches nothing, or a shape is in none of them.
    """
    if not split.class_folders:
        return {"": shapes}
    root = processed_root(data)
    pattern = split.class_folders.strip("/")
    classes = {path for path in root.glob(pattern) if path.is_dir()} if pattern else set()
    groups: dict[str, list[Path]] = {}
    for shape in shapes:
        inside = [path for path in (shape, *shape.parents) if path in classes]
        if not inside:
            raise UserError(f"{shape} is in no class folder: class_folders {split.class_folders!r} below {root}")
        groups.setdefault(inside[0].relative_to(root).as_posix(), []).append(shape)
    return groups


def divide(folders: list[Path], class_name: str, seed: int, split: Split) -> dict[str, list[Path]]:
    """Split one class at random; depends on the seed, the class and its shapes only.

    Raises UserError if nothing is left for training.
    """
    from runtime.seeds import generator

    total = len(folders)
    n_val = how_many(total, split.n_val, split.r_val, 0.1)
    n_test = 0 if split.test_pattern else how_many(total, split.n_test, split.r_test, 0.2)
    if n_val + n_test >= total:
        where = f"class {class_name} has" if class_name else "there are"
        raise UserError(
            f"{where} {total} shapes, {n_val} for validation and {n_test} for test leave none for training;"
            " lower n_val and n_test (or r_val and r_test)"
        )
    order = generator(seed, "split", class_name).permutation(total)
    shuffled = [folders[i] for i in order]
    parts = {"val": shuffled[:n_val], "test": shuffled[n_val : n_val + n_test], "train": shuffled[n_val + n_test :]}
    return {part: sorted(parts[part]) for part in ("train", "val", "test")}


def how_many(total: int, number: int | None, ratio: float | None, default_ratio: float) -> int:
    """`number` if given, else that share of `total`, rounded, at least one unless the share is 0."""
    if number is not None:
        return number
    ratio = default_ratio if ratio is None else ratio
    return max(round(ratio * total), 1) if ratio > 0 else 0


if __name__ == "__main__":
    run(main)
