"""Clouds decoded from codes, cached on disk: nothing is decoded twice."""

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from configs.files import write_npz
from configs.reading import DamagedFile, open_npz
from generation.decode import decode_each
from generation.networks import Networks


def decoded_clouds(
    networks: Networks, codes: Tensor, num_points: int, name: str, description: str, first: int = 0
) -> NDArray[np.float32]:
    """Clouds (S, num_points, 3), mesh units, of codes (S, *code_shape), from the experiment's cache if present.

    name: of the cache file, which is overwritten if codes, NDF or options differ. description: of the progress bar.
    first: number of the first shape's random stream, see `decode_each`.
    """
    path = networks.experiment.analysis_cache / f"{name}.npz"
    index = index_text(networks, codes, num_points, first)
    found = read_array(path, "point_cloud", index)
    if found is None:
        found = np.stack(list(decode_each(networks, codes.split(1), num_points, description, first)))
        write_npz(path, point_cloud=found, index=np.array(index))
    return found


def index_text(networks: Networks, codes: Tensor, num_points: int, first: int) -> str:
    """Everything that determines the clouds, as JSON: the same text, the same clouds."""
    options = {name: getattr(networks.cfg, name) for name in ("seed", "num_steps", "filter_val")}
    content = hashlib.sha256(np.ascontiguousarray(codes.cpu().numpy()).data).hexdigest()
    made_of = {"codes": content, "ndf_sha256": networks.sources["ndf_sha256"], "num_points": num_points}
    return json.dumps({**options, **made_of, "first": first}, sort_keys=True)


def read_array(path: Path, name: str, index: str) -> NDArray | None:
    """An array of a cache file, or None if the file is missing, damaged or has another index."""
    try:
        with open_npz(path) as file:
            return file[name] if str(file["index"]) == index else None
    except DamagedFile:
        return None
