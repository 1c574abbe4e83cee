"""Our speed beside that of other libraries, and how it grows, as one table.

python -m lab.benchmarks --quick
python -m lab.benchmarks --only flows metrics
python -m lab.benchmarks --document lab/notes/speed.md

A process for each group of rows. --quick: small sizes, to see that all work; its ratios say little.
"""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from lab.benchmarks.harness import SIZES, Machine
from lab.benchmarks.processes import in_process
from runtime.cores import num_workers
from runtime.errors import UserError, note, raise_if_interrupted
from runtime.reading import said

GROUPS = ("preprocessing", "distances", "batches", "decoding", "flows", "metrics", "growth")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IGL_NUM_THREADS")


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 if a group of rows failed; the document then stays as it is."""
    args = arguments(argv)
    threads = num_workers(args.threads)
    os.environ.update(dict.fromkeys(THREADS, str(threads)))  # before anything loads them, here and in every child
    size = "quick" if args.quick else args.size
    started = time.perf_counter()
    machine = in_process(measure_machine, threads, size)
    found: dict[str, list[Any]] = {}
    for name in args.only or GROUPS:
        begun = time.perf_counter()
        try:
            found[name] = in_process(measure, name, size, machine, args.meshes)
        except UserError:
            raise
        except Exception as error:  # the other groups took minutes
            raise_if_interrupted()
            note(f"{name}: {said(error)}; its rows are left out")
            continue
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    failed = len(found) < len(args.only or GROUPS)
    block = text_of(found, machine, size, command(args), time.perf_counter() - started)
    print(block)
    if args.document and not failed:
        from lab.benchmarks.table import write_into

        write_into(Path(args.document), block)
    return int(failed)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m lab.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small sizes, at most 3 minutes")
    parser.add_argument("--size", choices=SIZES, default="full", help="tiny: only to see that all rows work")
    parser.add_argument("--only", nargs="+", choices=GROUPS, help="these groups of rows alone")
    parser.add_argument("--threads", type=int, default=-1, help="threads of every contestant; -1: all cores")
    parser.add_argument("--meshes", help="folder of meshes to preprocess, instead of demo cars")
    parser.add_argument("--document", help="Markdown file; the tables go between its two comments")
    args = parser.parse_args(argv)
    if args.meshes and not Path(args.meshes).is_dir():
        raise UserError(f"no folder {args.meshes}; --meshes takes a folder of mesh files")
    if args.document and (args.quick or args.only or args.size != "full"):
        raise UserError("--document takes the tables of a whole run; leave out --quick, --size and --only")
    if args.document and not Path(args.document).is_file():
        raise UserError(f"no file {args.document}; --document takes one with the two comments, lab/notes/speed.md")
    return args


def measure_machine(threads: int, size: str) -> Machine:
    from lab.benchmarks.machine import measure as measured

    set_threads(threads)
    return measured(threads, size)


def measure(name: str, size: str, machine: Machine, meshes: str | None) -> list[Any]:
    """The rows of one group. A group is a module with `rows`."""
    set_threads(machine.threads)
    found: list[Any] = importlib.import_module(f"lab.benchmarks.{name}").rows(size, machine, meshes)
    return found


def set_threads(threads: int) -> None:
    import torch

    from runtime.devices import keep_freed_memory

    torch.set_num_threads(threads)
    keep_freed_memory()  # as every script does; torch's contestants gain by it as we do


def command(args: argparse.Namespace) -> str:
    words = ["python -m lab.benchmarks"] + (["--quick"] if args.quick else [])
    words += ["--only", *args.only] if args.only else []
    words += ["--threads", str(args.threads)] if args.threads != -1 else []
    return " ".join(words + (["--meshes FOLDER"] if args.meshes else []))


def text_of(found: dict[str, list[Any]], machine: Machine, size: str, called: str, seconds: float) -> str:
    from lab.benchmarks.machine import described
    from lab.benchmarks.table import growth_markdown, markdown, wrapped

    rows = [row for name, part in found.items() if name != "growth" for row in part]
    intro = (
        f"Written by `{called}` in {seconds / 60:.0f} minutes. Do not edit it by hand. Ratio: the peer's cost over"
        " ours; above 1 we are better, *yes* says that it is as high as wanted. Medians of rounds in which all take"
        " turns" + (", of the processor's time where one process does the work." if machine.threads == 1 else ".")
    )
    parts = [wrapped(intro), "\n".join(wrapped(f"- {fact}", "  ") for fact in described(machine))]
    if size != "full":
        parts.append(f"**Size {size}: only to see that all rows work; these ratios say little.**")
    parts += [markdown(rows)] if rows else []
    parts += [growth_markdown(found["growth"])] if found.get("growth") else []
    return "\n\n".join(parts)
