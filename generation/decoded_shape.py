"""One shape while its files are made: its code and its field, each decoded once."""

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from generation.cloud_files import IN_OWN_FRAME, OWN_FROM_UNIT, Cloud, write_cloud_parts
from generation.decode import arrays_of, decode_parts, field_of
from generation.distance_fields import NetworkField
from generation.mesh_files import numbers_of, write_mesh
from generation.meshing import OpenMesh, mesh_of, wall_of, with_fewer_faces
from generation.networks import Networks
from generation.plausible_codes import as_plain
from generation.settledness import unsettled_share
from generation.shapes import Shapes
from generation.torn_surfaces import UNSETTLED
from models.distance_network import Code
from runtime.layout import DENSE_POINT_CLOUD
from runtime.reading import open_npz
from runtime.seeds import UNSETTLED_STREAMS, random_stream


class DecodedShape:
    """Shape n of some shapes, whose files go to `folder`. stored: whether its cloud is there, with the code in it."""

    def __init__(self, networks: Networks, shapes: Shapes, n: int, folder: Path, stored: bool):
        self.networks, self.cfg, self.shapes, self.n, self.folder = networks, networks.cfg, shapes, n, folder
        self.stored = stored

    @cached_property
    def code(self) -> Code:
        """A batch of one: that in the file of the cloud, which a plain NDF's has not, or a new one."""
        if self.stored:
            with open_npz(self.folder / DENSE_POINT_CLOUD) as arrays:
                if "code" in arrays:
                    return torch.from_numpy(arrays["code"])[None].to(self.networks.device)
        code: Code = self.shapes.codes[self.n]
        return code

    @cached_property
    def field(self) -> NetworkField:
        return field_of(self.networks, self.code)

    def write_cloud(self) -> dict[str, Any]:
        """Write the cloud's files, (num_points, 3) where the shape lies. Returns what was found on the way."""
        shapes, n, seed = self.shapes, self.n, self.cfg.run.seed
        number = shapes.number(n)
        parts = map(self._placed, decode_parts(self.networks, self.field, shapes.num_points, number))
        tears = {}
        if shapes.measures_tears:
            tears[UNSETTLED] = unsettled_share(self.field, random_stream(seed, UNSETTLED_STREAMS + number))
        found = shapes.arrays_after(n)
        arrays = {**shapes.arrays_before(n), **arrays_of(self.networks, self.code), **tears, **found}
        frame = shapes.frame(n)
        far = frame is not None and frame.is_far
        write_cloud_parts(self.folder, parts, shapes.num_points, far, seed=seed, **self._frame_arrays(), **arrays)
        return tears | as_plain(found)

    def write_mesh(self) -> dict[str, Any] | None:
        """Write the mesh where the shape lies. Returns its numbers; None for a field without a surface: no file."""
        start = time.perf_counter()
        options, chunk = self.cfg.meshes, self.cfg.decoding.num_sample_points_generation
        if options.thicken:
            mesh = wall_of(self.field, options.mesh_resolution, options.thicken, chunk)
        else:
            mesh = mesh_of(self.field, options.mesh_resolution, chunk)
        if not len(mesh.faces):
            return None
        if options.mesh_faces:
            mesh = with_fewer_faces(mesh, options.mesh_faces)
        write_mesh(self.folder, self._placed_mesh(mesh), self.cfg.meshes.mesh_formats)
        return numbers_of(mesh) | {"seconds": round(time.perf_counter() - start, 2)}

    def _placed(self, points: Cloud) -> NDArray[np.floating]:
        """Points where the shape lies: float32, or float64 far from the origin."""
        frame = self.shapes.frame(self.n)
        if frame is None:
            return points
        return frame.to_own(points).astype(np.float64 if frame.is_far else np.float32)

    def _placed_mesh(self, mesh: OpenMesh) -> OpenMesh:
        frame = self.shapes.frame(self.n)
        if frame is None:
            return mesh
        normals = frame.turn_to_own(mesh.normals).astype(np.float32)
        return mesh._replace(vertices=self._placed(mesh.vertices), normals=normals)

    def _frame_arrays(self) -> dict[str, Any]:
        """What the file of a cloud stores of the frame of its user's file."""
        if not self.shapes.frames:
            return {}
        return {OWN_FROM_UNIT: self.shapes.frames[self.n].own_from_unit(), IN_OWN_FRAME: self.shapes.keep_frame}
