"""Pictures and clouds for TensorBoard while a network is trained: validation shapes beside the truth, samples.

The trainers get these as functions of their log and of the network as it is (`training/progress_log.py`). All points
are drawn from random streams of their own, so that a training is the same with and without pictures. The clouds are
small, and the pictures too: docs/tensorboard.md says what share of a training they take.
"""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from configs.devices import autocast
from configs.errors import UserError
from generation.cloud_files import Cloud
from generation.latents import standard_latents
from generation.projection import NetworkField, dense_point_cloud
from generation.random_streams import POINT_STREAMS, random_stream
from models.ndf import NDF, Code
from models.real_nvp import CodeFlow
from training.progress_log import ProgressLog
from training.shape_samples import read_input_cloud
from training.stored_codes import encode_clouds
from visualization.rendering import TINTS, VIEWS, Color, render_cloud, view_axes

Row = tuple[Sequence[Cloud | None], Color]

NUM_SHAPES = 4
NUM_POINTS = 2048
PICTURE_SIZE = 176, 110  # pixels
SPACING = 0.75, 0.55  # between the clouds of a scene, mesh units: across, up
VIEW = "three_quarter"  # also of the Mesh tab, which looks along -z at first


class ValidationPictures:
    """Of step 3: the first validation shapes, their input points above what the NDF makes of them."""

    def __init__(self, cfg: Namespace, folders: Sequence[Path]):
        """folders: of the validation shapes."""
        self.cfg, self.folders = cfg, folders[:NUM_SHAPES]
        self.true: list[Cloud] = []
        self.true_pictures: NDArray[np.uint8] | None = None

    def __call__(self, log: ProgressLog, model: NDF) -> None:
        if self.true_pictures is None:
            self.true = [read_input_cloud(folder, self.cfg) for folder in self.folders]
            self.true_pictures = picture_row([cloud[:NUM_POINTS] for cloud in self.true], TINTS["grey"])
        device = next(model.parameters()).device
        with evaluating(model):
            codes = [encode_clouds(model, cloud[None], self.cfg, device) for cloud in self.true]
            clouds = [small_cloud(model, code, self.cfg, number) for number, code in enumerate(codes)]
        below = picture_row(clouds, TINTS["blue"])
        log.picture("validation_shapes", np.concatenate([self.true_pictures, below]))
        true = [cloud[:NUM_POINTS] for cloud in self.true]
        log.cloud("validation_shapes", *scene([(true, TINTS["grey"]), (clouds, TINTS["blue"])]))


class SamplePictures:
    """Of step 4: the shapes that `generate.py` would make first, had the flow's training ended here."""

    def __init__(self, cfg: Namespace, ndf: NDF):
        self.cfg, self.ndf = cfg, ndf

    @torch.no_grad()
    def __call__(self, log: ProgressLog, flow: CodeFlow) -> None:
        """flow: in eval mode."""
        z = self.cfg.temperature * standard_latents(flow.dim, NUM_SHAPES, self.cfg.seed)
        device = next(flow.parameters()).device
        codes = [flow.inverse(one.to(device)) for one in z.split(1)]
        clouds = [small_cloud(self.ndf, code, self.cfg, number) for number, code in enumerate(codes)]
        log.picture("samples", picture_row(clouds, TINTS["blue"]))
        log.cloud("samples", *scene([(clouds, TINTS["blue"])]))


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def small_cloud(model: NDF, code: Code, cfg: Namespace, number: int) -> Cloud | None:
    """NUM_POINTS points (N, 3) float32, mesh units, of one code (batch of 1); None if the field has no surface yet."""
    device = next(model.parameters()).device
    with autocast(device, cfg.precision), torch.no_grad():
        field = NetworkField(model, model.features(code))
    stream = random_stream(cfg.seed, POINT_STREAMS + number)
    chunk = min(cfg.num_sample_points_generation, 8 * NUM_POINTS)
    try:
        points = dense_point_cloud(field, NUM_POINTS, stream, cfg.num_steps, cfg.filter_val, chunk, fine=False)
    except UserError:
        return None
    return points.cpu().numpy()


def picture_row(clouds: Sequence[Cloud | None], color: Color) -> NDArray[np.uint8]:
    """Pictures of clouds side by side, (height, sum of widths, 3); white where there is none."""
    width, height = PICTURE_SIZE
    white = np.full((height, width, 3), 255, np.uint8)
    return np.concatenate(
        [white if cloud is None else render_cloud(cloud, VIEW, PICTURE_SIZE, color=color) for cloud in clouds], axis=1
    )


def scene(rows: Sequence[Row]) -> tuple[Cloud, NDArray[np.uint8]]:
    """Rows of clouds, from top to bottom, as one cloud (N, 3) float32 for the Mesh tab, and its colours (N, 3)."""
    axes = view_axes(VIEWS[VIEW])
    points: list[Cloud] = [np.zeros((0, 3), np.float32)]
    colors: list[NDArray[np.uint8]] = [np.zeros((0, 3), np.uint8)]
    for row, (clouds, color) in enumerate(rows):
        for column, cloud in enumerate(clouds):
            if cloud is None:
                continue
            place = (column - (len(clouds) - 1) / 2, (len(rows) - 1) / 2 - row, 0)
            points.append((cloud @ axes.T + np.multiply(place, (*SPACING, 0))).astype(np.float32))
            colors.append(np.tile(np.array(color, np.uint8), (len(cloud), 1)))
    return np.concatenate(points), np.concatenate(colors)
