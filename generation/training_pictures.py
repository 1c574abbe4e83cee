"""Pictures and clouds for TensorBoard while a network is trained: validation shapes beside the truth, samples.

The trainers get these as functions of their log and of the network as it is (`training/progress_log.py`). All points
are drawn from random streams of their own, so that a training is the same with and without pictures. The clouds are
small, and the pictures too: docs/tensorboard.md says what share of a training they take.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from configs.options import Config
from dataprocessing.stored_points import read_input_cloud
from frozen.loading import encode_clouds
from generation.cloud_files import Cloud
from generation.distance_fields import NetworkField
from generation.latents import draw_latents
from generation.projection import dense_point_cloud
from models.distance_network import Code, DistanceNetwork
from models.real_nvp import CodeFlow
from runtime.devices import autocast
from runtime.errors import UserError
from runtime.seeds import POINT_STREAMS, random_stream
from training.progress_log import ProgressLog
from visualization.rendering import TINTS, VIEWS, Color, render_cloud, view_axes

NUM_SHAPES = 4
NUM_POINTS = 3072
PICTURE_SIZE = 160, 100  # pixels; two fill the width of a card
COLUMNS = 2
SPACING = 0.95, 0.6  # between the clouds of a scene, mesh units: across, up
FARTHEST = 0.4  # brightness of the farthest points of a cloud
VIEW = "three_quarter"  # also of the Mesh tab, which looks along -z at first


class ValidationPictures:
    """Of step 3: the first validation shapes, their input points on the left of what the NDF makes of them."""

    def __init__(self, cfg: Config, folders: Sequence[Path]):
        """folders: of the validation shapes."""
        self.cfg, self.folders = cfg, folders[:NUM_SHAPES]
        self.true: list[Shown] = []

    def __call__(self, log: ProgressLog, model: DistanceNetwork) -> None:
        clouds = [read_input_cloud(folder, self.cfg) for folder in self.folders]
        if not self.true:
            self.true = [Shown(cloud[:NUM_POINTS], TINTS["grey"]) for cloud in clouds]
        device = next(model.parameters()).device
        with evaluating(model):
            codes = [encode_clouds(model, cloud[None], self.cfg, device) for cloud in clouds]
            made = [small_cloud(model, code, self.cfg, number) for number, code in enumerate(codes)]
        pairs = zip(self.true, (Shown(cloud, TINTS["blue"]) for cloud in made), strict=True)
        show(log, "validation_shapes", [one for pair in pairs for one in pair])


class SamplePictures:
    """Of step 4: the first draws of the shapes that `generate.py` would make first, had the flow's training ended here.

    Unselected, whatever `best_of` says: they show the flow.
    """

    def __init__(self, cfg: Config, ndf: DistanceNetwork):
        self.cfg, self.ndf = cfg, ndf

    @torch.no_grad()
    def __call__(self, log: ProgressLog, flow: CodeFlow) -> None:
        """flow: in eval mode."""
        z = draw_latents(flow, NUM_SHAPES, self.cfg.run.seed, temperature=self.cfg.decoding.temperature)
        codes = [flow.inverse(one) for one in z.split(1)]
        clouds = [small_cloud(self.ndf, code, self.cfg, number) for number, code in enumerate(codes)]
        show(log, "samples", [Shown(cloud, TINTS["blue"]) for cloud in clouds])


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards as it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def small_cloud(model: DistanceNetwork, code: Code, cfg: Config, number: int) -> Cloud | None:
    """NUM_POINTS points (N, 3) float32, mesh units, of one code (batch of 1); None if the field has no surface yet."""
    device = next(model.parameters()).device
    with autocast(device, cfg.run.precision), torch.no_grad():
        field = NetworkField(model, model.features(code))
    stream = random_stream(cfg.run.seed, POINT_STREAMS + number)
    chunk = min(cfg.decoding.num_sample_points_generation, 8 * NUM_POINTS)
    try:
        points = dense_point_cloud(field, NUM_POINTS, stream, cfg.decoding.num_steps, cfg.decoding.filter_val, chunk)
    except UserError:
        return None
    return points.cpu().numpy()


class Shown:
    """A cloud (N, 3), or None if there is none, in a colour; drawn once."""

    def __init__(self, cloud: Cloud | None, color: Color):
        self.cloud, self.color = cloud, color

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """(height, width, 3); white without a cloud."""
        if self.cloud is None:
            return np.full((PICTURE_SIZE[1], PICTURE_SIZE[0], 3), 255, np.uint8)
        return render_cloud(self.cloud, VIEW, PICTURE_SIZE, color=self.color)


def show(log: ProgressLog, name: str, shown: Sequence[Shown]) -> None:
    """Log clouds, in rows of COLUMNS from the top left, as one picture and as one scene."""
    rows = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)]
    rows[-1] = [*rows[-1], *[Shown(None, TINTS["grey"])] * (COLUMNS - len(rows[-1]))]
    log.picture(name, np.concatenate([np.concatenate([one.picture for one in row], axis=1) for row in rows]))
    log.cloud(name, *scene(rows))


def scene(rows: Sequence[Sequence[Shown]]) -> tuple[Cloud, NDArray[np.uint8]]:
    """Rows of clouds, from top to bottom, as one cloud (N, 3) float32 for the Mesh tab, and its colours (N, 3)."""
    axes = view_axes(VIEWS[VIEW])
    points: list[Cloud] = [np.zeros((0, 3), np.float32)]
    colors: list[NDArray[np.uint8]] = [np.zeros((0, 3), np.uint8)]
    for i, row in enumerate(rows):
        for column, one in enumerate(row):
            if one.cloud is not None:
                place = (column - (COLUMNS - 1) / 2) * SPACING[0], ((len(rows) - 1) / 2 - i) * SPACING[1], 0
                turned = one.cloud @ axes.T
                points.append((turned + place).astype(np.float32))
                colors.append(shaded(turned[:, 2], one.color))
    return np.concatenate(points), np.concatenate(colors)


def shaded(depth: NDArray[np.floating], color: Color) -> NDArray[np.uint8]:
    """Colours (N, 3) of points whose depth (N,) is larger the nearer they are: darker behind, as there is no light."""
    near = (depth - depth.min()) / max(np.ptp(depth), 1e-9)
    colors: NDArray[np.uint8] = (np.array(color) * (FARTHEST + (1 - FARTHEST) * near)[:, None]).astype(np.uint8)
    return colors
