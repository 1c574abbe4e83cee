"""Clouds decoded from codes, cached on disk: nothing is decoded twice."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from configs.decided import options_of
from generation.decode import decode_each
from generation.networks import Networks
from generation.projection import FOUND_BY
from runtime.artefacts import array_sha256, kept_arrays


def decoded_clouds(
    networks: Networks, codes: Tensor, num_points: int, name: str, description: str, first: int = 0
) -> NDArray[np.float32]:
    """Clouds (S, num_points, 3), mesh units, of codes (S, *code_shape), from the experiment's cache if present.

    name: of the cache file, which is overwritten if codes, NDF or options differ. description: of the progress bar.
    first: number of the first shape's random stream, see `decode_each`.
    """

    def make() -> dict[str, NDArray]:
        clouds = list(decode_each(networks, codes.split(1), num_points, description, first))
        return {"point_cloud": np.stack(clouds)}

    facts = {
        "codes": array_sha256(codes.cpu().numpy()),
        "ndf_sha256": networks.sources["ndf_sha256"],
        "num_points": num_points,
        "first": first,
        **FOUND_BY,
        "options": options_of("set", networks.cfg, left_out=("num_eval_points",)),
    }
    path, shapes = networks.experiment.analysis_cache / f"{name}.npz", {"point_cloud": (len(codes), num_points, 3)}
    found = kept_arrays(path, facts, make, shapes=shapes)
    assert found is not None  # since it can be made
    return found["point_cloud"]
