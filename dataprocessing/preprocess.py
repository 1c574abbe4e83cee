# PYTHON_ARGCOMPLETE_OK
"""Step 1: make the training data of each mesh (docs/formats.md); finished files are skipped."""

import math
from contextlib import closing
from pathlib import Path

from configs.config_loader import get_config
from configs.options import Config
from runtime.errors import note, one_line, run
from runtime.layout import absolute


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 if more meshes, or what may be some, than `broken_share` could not be used."""
    cfg = get_config(argv, "preprocess")
    from dataprocessing.axes import check_table
    from dataprocessing.mesh_folder import path_below, tell_others
    from dataprocessing.room import check_room_for_shapes
    from dataprocessing.shapes import list_meshes, output_folders, processed_root

    listing = list_meshes(cfg.data)
    all_meshes = listing.shapes
    meshes = all_meshes[cfg.chunks.current_chunk :: cfg.chunks.num_chunks]
    chunk = f", chunk {cfg.chunks.current_chunk} of {cfg.chunks.num_chunks}" if cfg.chunks.num_chunks > 1 else ""
    print(f"{len(meshes)} of {len(all_meshes)} meshes in {absolute(cfg.data.data_dir)}{chunk}")
    if cfg.chunks.current_chunk == 0:
        tell_others(listing, absolute(cfg.data.data_dir))
    for line in check_table(cfg.data, [path_below(mesh, absolute(cfg.data.data_dir)) for mesh in all_meshes]):
        print(one_line(line))
    folders = output_folders(all_meshes, cfg.data)
    check_room_for_shapes((folders[mesh] for mesh in meshes), cfg)
    outcomes = preprocess({mesh: folders[mesh] for mesh in meshes}, cfg)
    failures = sorted((outcome.mesh, outcome.failure) for outcome in outcomes if outcome.failure)
    again = [reason for outcome in outcomes for reason in outcome.again]
    why = f" ({one_line(max(set(again), key=again.count))})" if again else ""
    print(
        f"{len(outcomes) - len(failures)} shapes are ready in {processed_root(cfg.data)}:"
        f" {sum(o.made for o in outcomes)} files made, {len(again)} made again{why},"
        f" {sum(o.skipped for o in outcomes)} skipped; {len(failures)} meshes failed"
    )
    for line in told_of(outcomes):
        print(one_line(line))
    print_failures(failures)
    return status(len(failures) + len(listing.left_out), len(meshes), cfg.preprocessing.broken_share)


def status(broken: int, meshes: int, share: float) -> int:
    """0, or 1 if too many of the meshes are broken; a line says how many may be."""
    most = math.ceil(share * meshes)
    if broken and share:
        print(f"{broken} of {meshes} meshes cannot be used, {most} may (broken_share {share:g})")
    return int(broken > most)


def preprocess(folders: dict[Path, Path], cfg: Config) -> list:
    """Make the files of meshes, each in its folder, on cfg.run.num_cpus workers.

    Returns an Outcome for each, in the order of ending.
    """
    from tqdm import tqdm

    from dataprocessing.shape_files import process_shape
    from runtime.cores import num_workers
    from runtime.pool import run_tasks

    tasks = [(mesh, folder, cfg) for mesh, folder in folders.items()]
    with closing(run_tasks(process_shape, tasks, num_workers(cfg.run.num_cpus))) as results:  # closed: Ctrl-C ends it
        outcomes: list = []
        for outcome in tqdm(results, total=len(tasks), desc="preprocess", unit="shape", disable=None):
            if outcome.slow and not any(other.slow for other in outcomes):
                note(outcome.slow)
            outcomes.append(outcome)
        return outcomes


def told_of(outcomes: list) -> list[str]:
    """Lines on axes that were found, and on what looks odd about sizes and axes, of the meshes that were read."""
    from dataprocessing.axes import lines_of_found
    from dataprocessing.scale_notes import lines_of

    read = {outcome.name: outcome for outcome in sorted(outcomes, key=lambda one: one.name) if outcome.axes}
    found = lines_of_found({name: outcome.axes for name, outcome in read.items()})
    return [*found, *lines_of({name: outcome.notes for name, outcome in read.items()})]


def print_failures(failures: list[tuple[Path, str]]) -> None:
    """A table: path and reason of each mesh that could not be used."""
    if not failures:
        return
    width = max(len(one_line(str(mesh))) for mesh, _ in failures)
    print(f"\n{'mesh that failed':{width}}  reason")
    for mesh, reason in failures:
        print(f"{one_line(str(mesh)):{width}}  {one_line(reason)}")


if __name__ == "__main__":
    run(main)
