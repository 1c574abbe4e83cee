# PYTHON_ARGCOMPLETE_OK
"""A partial scan: python -m dataprocessing.make_scan --scanned_mesh m.obj --kind view --seed 0 --out scan.ply"""

from pathlib import Path

import numpy as np

from configs.config_loader import get_config
from configs.errors import UserError, run
from configs.files import atomic_path, write_npz

SUFFIXES = (".ply", ".npz", ".xyz")


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "make_scan", instead="scanned_mesh")

    from configs.seeds import generator
    from dataprocessing.convert_to_scaled_off import scale_mesh
    from dataprocessing.mesh_io import MeshError, load_mesh
    from dataprocessing.partial_scans import SIZES, partial_scan

    if cfg.scanned_mesh is None:
        raise UserError("no --scanned_mesh given; name the mesh that is scanned")
    out = Path(cfg.out)
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out} found, a file that ends in {', '.join(SUFFIXES)} expected")
    try:
        mesh = scale_mesh(load_mesh(cfg.scanned_mesh))
        rng = generator(cfg.seed, cfg.kind, "scan")
        scan = partial_scan(mesh, cfg.kind, cfg.scan_size or SIZES[cfg.kind], rng, cfg.scan_noise)
    except (MeshError, ValueError) as error:
        raise UserError(f"{cfg.scanned_mesh}: {error}") from error
    write_scan(out, scan.points)
    print(f"{out}: {len(scan.points)} points, {scan.words}")
    if scan.camera is not None:
        print("seen from: --camera " + " ".join(f"{value:.4f}" for value in scan.camera))
    if scan.covered is not None:
        print("covers: --covered " + " ".join(f"{value:g}" for value in scan.covered))
    return 0


def write_scan(path: Path, points: np.ndarray) -> None:
    """Points (N, 3) float32, mesh units, as .ply (binary), .npz (key `point_cloud`) or .xyz (text)."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return write_npz(path, point_cloud=points)
    with atomic_path(path) as spare:
        if suffix == ".xyz":
            np.savetxt(spare, points, fmt="%.6f")
        else:
            from trimesh import PointCloud

            spare.write_bytes(PointCloud(points).export(file_type="ply"))
    return None


if __name__ == "__main__":
    run(main)
