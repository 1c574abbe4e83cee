# PYTHON_ARGCOMPLETE_OK
"""A partial scan: python -m dataprocessing.make_scan --scanned_mesh m.obj --kind view --seed 0"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from configs.config_loader import get_config
from runtime.errors import UserError, run
from runtime.files import atomic_path, write_npz

SUFFIXES = (".ply", ".npz", ".xyz")


def main(argv: list[str] | None = None) -> int:
    cfg = get_config(argv, "make_scan", instead="scanned_mesh")

    from dataprocessing.convert_to_scaled_off import scale_mesh
    from dataprocessing.mesh_io import MeshError, load_mesh
    from dataprocessing.partial_scans import SIZES, partial_scan
    from runtime.seeds import generator

    if cfg.scan_tool.scanned_mesh is None:
        raise UserError("no --scanned_mesh given; name the mesh that is scanned")
    out = Path(cfg.output.out or f"{Path(cfg.scan_tool.scanned_mesh).stem}_{cfg.scan_tool.kind}.ply").expanduser()
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out} found, a file that ends in {', '.join(SUFFIXES)} expected")
    try:
        mesh = scale_mesh(load_mesh(cfg.scan_tool.scanned_mesh))
        rng = generator(cfg.run.seed, cfg.scan_tool.kind, "scan")
        scan = partial_scan(
            mesh,
            cfg.scan_tool.kind,
            cfg.scan_tool.scan_size or SIZES[cfg.scan_tool.kind],
            rng,
            cfg.scan_tool.scan_noise,
        )
    except (MeshError, ValueError) as error:
        raise UserError(f"{cfg.scan_tool.scanned_mesh}: {error}") from error
    there = write_unless_there(out, scan.points)
    print(f"{out}{' is there already' if there else ''}: {len(scan.points)} points, {scan.words}")
    if scan.camera is not None:
        print("seen from: --camera " + " ".join(f"{value:.4f}" for value in scan.camera))
    if scan.covered is not None:
        print("covers: --covered " + " ".join(f"{value:g}" for value in scan.covered))
    return 0


def write_unless_there(path: Path, points: np.ndarray) -> bool:
    """Write a scan where no file is. Returns whether the same is there already; raises UserError if another file is."""
    if not path.exists():
        write_scan(path, points)
        return False
    with TemporaryDirectory() as folder:
        wanted = Path(folder) / path.name
        write_scan(wanted, points)
        if not path.is_file() or path.read_bytes() != wanted.read_bytes():
            raise UserError(f"{path} is there, with other content, and would be overwritten; give another --out")
    return True


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
