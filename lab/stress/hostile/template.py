"""What every case starts from: small meshes, clouds, and a tiny experiment with results, below one folder."""

import shutil
from pathlib import Path

import laspy
import numpy as np
import torch
import trimesh

import complete
import evaluate
import evaluation.wholeness
import generate
import generation.surface_cells
import visualization.contact_sheet
from dataprocessing.convert_to_scaled_off import write_off
from dataprocessing.mesh_io import Mesh
from dataprocessing.surface import sample_surface
from frozen.checkpoint_files import fingerprint
from generation.cloud_files import write_cloud
from lab.small.helpers import open_box, write_obj
from lab.small.tiny_experiment import TINY, make_experiment, tiny_config
from lab.stress.hostile.inputs_of_meshes import collada
from lab.stress.hostile.inputs_of_points import attributes

POINTS = ("xyz", "pcd", "las", "laz", "npz")
SHOWN = ("ply", "glb", "obj", "stl")  # meshes beside clouds
QUICK = ("--num_output_points", "70", "--num_completion_points", "70", "--num_chains", "1", "--num_starts", "4",
         "--map_steps", "1", "--warmup", "1", "--draws", "1", "--leapfrog", "1")  # fmt: skip
MESHES = ("obj", "off", "ply", "stl", "glb", "gltf", "dae")
EVALUATE = ("--tasks", "generation", "--num_sample_sets", "2", "--emd", "none", "--num_eval_shapes", "3",
            "--num_whole_shapes", "2")  # fmt: skip


def cheap_pictures() -> None:
    """Decode from few cells, and draw grey pictures: what is tried here is reading."""
    torch.set_num_threads(1)
    generation.surface_cells.COARSEST = 6
    evaluation.wholeness.RESOLUTION = 24
    visualization.contact_sheet.render_cloud = lambda *_, **__: np.full((4, 6, 3), 128, np.uint8)


def make_template(folder: Path) -> None:
    """folder/config.txt, data, split.npz and experiments; meshes, clouds, and victim, which nothing may touch."""
    cheap_pictures()
    make_experiment(folder)
    options = TINY | {"num_output_points": 70, "num_shapes": 2, "num_sample_sets": 2}
    cfg = tiny_config(folder, **options)
    generate.main(["--config", str(folder / "config.txt")])
    generate.main(["--config", str(folder / "config.txt"), "--mode", "reconstruct"])
    evaluate.main(["--config", str(folder / "config.txt"), *EVALUATE])
    shutil.rmtree(cfg.experiment.summary)
    make_meshes(folder / "meshes")
    shutil.copytree(folder / "data" / "sphere0", folder / "meshes" / "other" / "sphere0")  # a split may name it
    make_clouds(folder / "clouds")
    make_points(folder / "points")
    make_shown(folder / "shown")
    ndf = fingerprint(cfg.experiment.ndf_checkpoints / "best.tar")
    cfg.experiment.attributes.write_bytes(attributes(ndf))
    scan = ("--scan", str(folder / "points" / "npz" / "good.npz"), "--fit", "true", *QUICK)
    complete.main(["--config", str(folder / "config.txt"), *scan, "--out", str(folder / "completed")])
    (folder / "victim").mkdir()
    shutil.copytree(folder / "data" / "sphere0", folder / "victim" / "models")


def make_meshes(folder: Path) -> None:
    """folder/KIND/good/model.KIND, and the same again in `bad`, which is to be broken."""
    vertices, faces = open_box(np.random.default_rng(1))
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    for kind in MESHES:
        for name in ("good", "bad"):
            path = folder / kind / name / f"model.{kind}"
            path.parent.mkdir(parents=True)
            if kind == "obj":
                write_obj(path, vertices, faces)
            elif kind == "off":
                write_off(path, Mesh(vertices, faces))
            elif kind == "dae":
                path.write_text(collada(vertices, faces))
            elif kind == "gltf":
                for file, content in trimesh.exchange.gltf.export_gltf(mesh.scene()).items():
                    (path.parent / (path.name if file.endswith(".gltf") else file)).write_bytes(content)
            else:
                mesh.export(path)


def make_clouds(folder: Path) -> None:
    """folder/good and folder/KIND, each with three clouds of 40 points; the last one is to be broken."""
    rng = np.random.default_rng(2)
    for kind in ("good", "npz", "npy", "pt", "ply", "off"):
        (folder / kind).mkdir(parents=True)
        for n in range(3):
            path, points = folder / kind / f"{n}.{'npy' if kind == 'good' else kind}", rng.normal(size=(40, 3))
            if path.suffix == ".npz":
                np.savez(path, point_cloud=points.astype(np.float32))
            elif path.suffix == ".npy":
                np.save(path, points)
            elif path.suffix == ".pt":
                torch.save(torch.from_numpy(points), path)
            elif path.suffix == ".ply":
                trimesh.PointCloud(points).export(path)
            else:
                rows = "\n".join(" ".join(map(str, row)) for row in points.tolist())
                path.write_text(f"OFF\n40 0 0\n{rows}\n")


def make_points(folder: Path) -> None:
    """folder/KIND/good.KIND, and the same again as bad.KIND, which is to be broken: 60 points of a box."""
    vertices, faces = open_box(np.random.default_rng(1))
    points = sample_surface(Mesh(vertices, faces), 60, np.random.default_rng(3))
    for kind in POINTS:
        (folder / kind).mkdir(parents=True)
        for name in ("good", "bad"):
            path = folder / kind / f"{name}.{kind}"
            if kind == "xyz":
                np.savetxt(path, points)
            elif kind == "npz":
                np.savez(path, point_cloud=points)
            elif kind == "pcd":
                head = "VERSION 0.7\nFIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 60\nHEIGHT 1\nPOINTS 60\n"
                path.write_bytes(f"{head}DATA binary\n".encode() + points.tobytes())
            else:
                header = laspy.LasHeader(point_format=0, version="1.2")
                header.scales = [1e-5] * 3
                content = laspy.LasData(header)
                content.x, content.y, content.z = points.T
                content.write(path)


def make_shown(folder: Path) -> None:
    """folder/KIND/0: a cloud, and beside it mesh.KIND, which is to be broken."""
    sphere = trimesh.creation.icosphere(2, 0.4)
    for kind in SHOWN:
        write_cloud(folder / kind / "0", sphere.vertices)
        sphere.export(folder / kind / "0" / f"mesh.{kind}")
