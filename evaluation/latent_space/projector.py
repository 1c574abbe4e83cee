"""TensorBoard's projector: codes to explore, each with name, style, split and thumbnail."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from configs.options import Config
from dataprocessing.stored_points import cloud_digest, read_input_cloud
from evaluation.latent_space.code_map import ShownShapes
from runtime.artefacts import kept_arrays
from runtime.errors import one_line
from training.code_spectrum import PrincipalAxes
from training.progress_log import replaced_run
from visualization.rendering import render_cloud

THUMBNAIL = 72  # pixels per side; TensorBoard requires squares
MAX_NUMBERS = 1000  # larger codes are written as principal coordinates
METADATA = ("name", "style", "split")


def write_projector(cfg: Config, shown: ShownShapes) -> Path:
    """Write `summary/projector`, replacing an existing one. Returns the folder."""
    pictures = thumbnails(cfg, shown, cfg.experiment.analysis_cache / "thumbnails.npz")
    target = cfg.experiment.projector
    with replaced_run(target) as log:
        log.add_embedding(
            torch.from_numpy(projector_numbers(shown.codes)),
            metadata=[[one_line(str(word)) for word in row] for row in zip(*map(shown.column, METADATA), strict=True)],
            metadata_header=list(METADATA),
            label_img=torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255,
            tag="codes",
        )
    return target


def projector_numbers(codes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Codes (S, *code_shape) as (S, D) or, if D exceeds MAX_NUMBERS, all their principal coordinates, (S, < S).

    These preserve distances; the codes themselves, as text, could exceed a gigabyte.
    """
    flat = codes.reshape(len(codes), -1)
    return flat if flat.shape[1] <= MAX_NUMBERS else PrincipalAxes(flat)(flat).astype(np.float32)


def thumbnails(cfg: Config, shown: ShownShapes, cache: Path) -> NDArray[np.uint8]:
    """Pictures of the shapes' input points, (S, THUMBNAIL, THUMBNAIL, 3); stored in `cache`."""
    clouds = [read_input_cloud(Path(folder), cfg) for folder in shown.column("folder")]
    size = (THUMBNAIL, THUMBNAIL)

    def make() -> dict[str, NDArray]:
        bar = tqdm(clouds, desc="thumbnails", unit="picture", disable=None)
        return {"pictures": np.stack([render_cloud(cloud, size=size) for cloud in bar])}

    facts = {"clouds": [cloud_digest(cloud) for cloud in clouds], "size": THUMBNAIL}
    found = kept_arrays(cache, facts, make, shapes={"pictures": (len(clouds), *size, 3)})
    assert found is not None  # since it can be made
    return found["pictures"]
