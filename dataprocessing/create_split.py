# PYTHON_ARGCOMPLETE_OK
"""Step 2: divide the preprocessed shapes into train, val and test."""

from argparse import Namespace
from fnmatch import fnmatchcase
from pathlib import Path

from configs.config_loader import get_config
from configs.errors import UserError, run
from configs.files import write_npz
from configs.layout import absolute
from dataprocessing.shapes import find_shapes


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "create_split")
    shapes, left_out = find_shapes(cfg)
    held_out, others = hold_out(shapes, cfg)
    split = {"train": [], "val": [], "test": held_out}
    for name, folders in group_by_class(others, cfg).items() if others else ():  # no others: test shapes alone
        for part, chosen in divide(folders, name, cfg).items():
            split[part] += chosen
    path = absolute(cfg.split_file)
    write_npz(path, durable=True, **{part: [str(folder) for folder in folders] for part, folders in split.items()})
    counts = ", ".join(f"{part} {len(folders)}" for part, folders in split.items())
    print(f"{counts} of {len(shapes)} shapes in {path}; {left_out} left out: not all of their files are there")
    return 0


def hold_out(shapes: list[Path], cfg: Namespace) -> tuple[list[Path], list[Path]]:
    """The shapes that test_pattern names, and the others; without a pattern no shape and all shapes.

    Raises UserError if the pattern names none, or n_test or r_test is given too.
    """
    from dataprocessing.shapes import shape_name

    if cfg.test_pattern is None:
        return [], shapes
    if cfg.n_test is not None or cfg.r_test is not None:
        raise UserError("both test_pattern and n_test (or r_test) are given; give one of them")
    held_out = [shape for shape in shapes if fnmatchcase(shape_name(shape), cfg.test_pattern)]
    if not held_out:
        raise UserError(
            f"no shape's name matches test_pattern {cfg.test_pattern!r}; names are such as {shape_name(shapes[0])}"
        )
    return held_out, sorted(set(shapes) - set(held_out))


def group_by_class(shapes: list[Path], cfg: Namespace) -> dict[str, list[Path]]:
    """Shapes by the folder, of those that class_folders names, that they are in; one group without class_folders.

    Raises UserError if class_folders matches nothing, or a shape is in none of them.
    """
    from dataprocessing.shapes import processed_root

    if not cfg.class_folders:
        return {"": shapes}
    root = processed_root(cfg)
    pattern = cfg.class_folders.strip("/")
    classes = {path for path in root.glob(pattern) if path.is_dir()} if pattern else set()
    groups: dict[str, list[Path]] = {}
    for shape in shapes:
        inside = [path for path in (shape, *shape.parents) if path in classes]
        if not inside:
            raise UserError(f"{shape} is in no class folder: class_folders {cfg.class_folders!r} below {root}")
        groups.setdefault(inside[0].relative_to(root).as_posix(), []).append(shape)
    return groups


def divide(folders: list[Path], class_name: str, cfg: Namespace) -> dict[str, list[Path]]:
    """Split one class at random; depends on cfg.seed, the class and its shapes only.

    Raises UserError if nothing is left for training.
    """
    from configs.seeds import generator

    total = len(folders)
    n_val = how_many(total, cfg.n_val, cfg.r_val, 0.1)
    n_test = 0 if cfg.test_pattern else how_many(total, cfg.n_test, cfg.r_test, 0.2)
    if n_val + n_test >= total:
        where = f"class {class_name} has" if class_name else "there are"
        raise UserError(
            f"{where} {total} shapes, {n_val} for validation and {n_test} for test leave none for training;"
            " lower n_val and n_test (or r_val and r_test)"
        )
    order = generator(cfg.seed, "split", class_name).permutation(total)
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
