# PYTHON_ARGCOMPLETE_OK
"""Whole shapes from a partial scan, with their log posterior under the flow (docs/completion.md)."""

from configs.config_loader import get_config
from configs.errors import UserError, run


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "complete")
    if cfg.scan is None:
        raise UserError("no --scan given; name the file of the partial scan")

    import numpy as np

    from evaluation.completion import distances_of, told
    from generation.completion.chains import check_networks, complete
    from generation.completion.evidence import evidence_of
    from generation.completion.results import SHEET, draw_sheet, facts_of, write_completion, write_results
    from generation.completion.scan_files import placed_scan, read_points, scan_name
    from generation.networks import Networks

    camera = None if cfg.camera is None else np.array(cfg.camera)
    covered = None if cfg.covered is None else np.array(cfg.covered)
    scan = placed_scan(read_points(cfg.scan), camera, cfg.fit, covered)
    truth = None if cfg.truth is None else read_points(cfg.truth, scale_meshes=True)
    networks = Networks(cfg)
    check_networks(networks)
    for note in scan.notes:
        print(note)
    evidence = evidence_of(scan.points, cfg, scan.camera, np.random.default_rng(cfg.seed), scan.covered)
    completion = complete(networks, evidence)
    folder = networks.experiment.completion / scan_name(cfg.scan)
    clouds = write_completion(networks, completion, folder)
    facts = facts_of(completion) | distances_of(clouds, scan.points, truth)
    draw_sheet(scan.points, truth, clouds, folder / SHEET, f"{scan_name(cfg.scan)}, {len(scan.points)} points")
    write_results(networks, {"scan": str(cfg.scan), "notes": scan.notes, **facts}, folder)
    print("\n".join(told(facts, cfg)))
    print(f"clouds, completion.json and {SHEET}: {folder}")
    return 0


if __name__ == "__main__":
    run(main)
