"""Shapes turned, tilted, made smaller, seen by fewer points and with noise: for networks that meet any of these."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from configs.options import NDFTraining

PLACED = ("cloud", "points", "candidates")  # the arrays of an example that are positions
LENGTHS = ("distances", "candidate_distances")
Array = NDArray[np.float32]

LEAST_NOISE = 0.01  # of input_noise_sd


def changes_shapes(options: NDFTraining) -> bool:
    """Whether an example is more than stored points and their mirror image: such batches are drawn on the host."""
    return moves(options) or options.input_noise_sd > 0 or options.min_input_points > 0


def moves(options: NDFTraining) -> bool:
    return options.turns or options.tilt_deg > 0 or options.least_scale < 1


def changed(batch: dict[str, Array], options: NDFTraining, rng: np.random.Generator) -> dict[str, Array]:
    """The batch of `shape_samples.stack` as the options want it: posed, with fewer points, with noise."""
    if moves(options):
        poses = np.stack([random_pose(options, rng) for _ in batch["cloud"]])
        batch = posed(batch, poses)
    if options.min_input_points:
        batch = batch | {"cloud": seen_points(batch["cloud"], options, rng)}
    if options.input_noise_sd > 0:
        batch = batch | {"cloud": noisy(batch["cloud"], options.input_noise_sd, rng)}
    return batch


def random_pose(options: NDFTraining, rng: np.random.Generator) -> NDArray[np.float64]:
    """A rotation times a scale, (3, 3): one of a cube's 24 turns if `turns`, then a tilt, then made smaller.

    The tilt is about an axis uniform on the sphere, by an angle uniform to tilt_deg.
    """
    cube = Rotation.create_group("O").as_matrix()  # (24, 3, 3)
    pose = np.round(cube[rng.integers(24)]) if options.turns else np.eye(3)
    axis = rng.standard_normal(3)
    angle = np.radians(options.tilt_deg) * rng.random()
    pose = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix() @ pose
    scale: float = options.least_scale ** rng.random()  # log-uniform
    posed: NDArray[np.float64] = pose * scale
    return posed


def posed(batch: dict[str, Array], poses: NDArray[np.float64]) -> dict[str, Array]:
    """The batch with the points of each shape moved by its pose (B, 3, 3), and its distances scaled with them."""
    scales = np.cbrt(np.linalg.det(poses)).astype(np.float32)[:, None]  # (B, 1)
    turns = poses.transpose(0, 2, 1).astype(np.float32)
    return {
        name: values @ turns if name in PLACED else values * scales if name in LENGTHS else values
        for name, values in batch.items()
    }


def seen_points(cloud: Array, options: NDFTraining, rng: np.random.Generator) -> Array:
    """Of the clouds (B, n, 3) of a batch the points that the network sees, (B, m, 3).

    In half of the steps m is `usual_input_points` (0: all), else log-uniform from `min_input_points` to n. With
    `usual_input_points` they are taken from a random place on, else they are the first ones.
    """
    most = cloud.shape[1]
    least = min(options.min_input_points, most)
    usual = min(options.usual_input_points or most, most)
    count = usual if rng.random() < 0.5 else int(least * (most / least) ** rng.random())
    if not options.usual_input_points:
        return cloud[:, :count]
    seen: Array = np.take(cloud, (rng.integers(most) + np.arange(count)) % most, axis=1)
    return seen


def noisy(cloud: Array, sd_most: float, rng: np.random.Generator) -> Array:
    """The clouds (B, n, 3) of a batch, in half of the steps with noise of one sd for all."""
    if rng.random() < 0.5:
        return cloud
    sd = sd_most * LEAST_NOISE ** rng.random()
    found: Array = cloud + np.float32(sd) * rng.standard_normal(cloud.shape, dtype=np.float32)
    return found
