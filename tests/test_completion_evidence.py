"""Evidence of a scan: how much its points count, and places that a camera saw to be empty."""

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from configs.options import Config
from generation.code_fitting import CLAMP
from generation.completion.evidence import (
    LEAST_BOUND,
    MOST_POINTS,
    empty_places,
    evidence_of,
    observations,
    spread,
    uncovered_places,
)
from lab.small.known_shapes import sphere_points

RADIUS = 0.4
CFG = Config().changed(scan_points=100, scan_cell=0.1)


def seen_sphere(num: int, camera: np.ndarray) -> np.ndarray:
    """The points of a sphere that a camera sees."""
    points = sphere_points(num, RADIUS)
    return points[points @ camera > RADIUS**2]


def test_observations_count_cells_not_points():
    corners = np.array([[x, y, z] for x in (0.05, 0.15) for y in (0.05, 0.15) for z in (0.05, 0.15)])
    assert observations(np.repeat(corners, 50, axis=0), 0.1, 1000) == 8
    assert observations(corners, 0.1, 5) == 5
    assert observations(corners, 0.3, 1000) == 1


def test_more_points_of_the_same_surface_are_no_more_evidence():
    few, many = (
        evidence_of(sphere_points(num, RADIUS), CFG.completion, None, default_rng(0)) for num in (3_000, 100_000)
    )
    total_few, total_many = (one.weight * len(one.surface) for one in (few, many))
    assert len(few.surface) == len(many.surface) == CFG.completion.scan_points
    assert total_many == pytest.approx(total_few, rel=0.05)
    sparse = evidence_of(sphere_points(25, RADIUS), CFG.completion, None, default_rng(0))
    assert sparse.weight == pytest.approx(1, abs=0.2) and len(sparse.surface) == 25


def test_spread_points_cover_dense_and_thin_parts_alike():
    thin, dense = sphere_points(500, RADIUS, 1), sphere_points(20_000, RADIUS, 2)
    thin[:, 0], dense[:, 0] = np.abs(thin[:, 0]), -np.abs(dense[:, 0])
    chosen = spread(np.concatenate([thin, dense]), 60, default_rng(0))
    assert 0.35 < (chosen[:, 0] > 0).mean() < 0.65
    apart = np.linalg.norm(chosen[:, None] - chosen[None], axis=2) + np.eye(60)
    assert apart.min() > 0.08
    assert np.array_equal(spread(thin, 500, default_rng(0)), thin)


@pytest.mark.parametrize("camera", [[0.0, 0.5, 2.0], [1.5, 0.9, -1.0]])
def test_empty_places_have_nothing_within_their_bounds(camera: list[float]):
    place = np.array(camera)
    places, bounds = empty_places(seen_sphere(20_000, place), place, 300, default_rng(0))
    assert len(places) > 200 and (bounds > LEAST_BOUND).all() and (bounds <= CLAMP).all()
    true = np.linalg.norm(places, axis=1) - RADIUS
    assert (true > 0).all()  # none behind the surface
    assert (bounds < true + 0.02).all()  # up to the spacing of the scan's points
    assert np.median(bounds / np.minimum(true, CLAMP)) > 0.7  # and not far below


def test_what_was_seen_through_a_window_is_empty():
    """A wall with a hole before another wall: the hole is empty, and only there is anything known between the walls."""
    rng, camera = default_rng(0), np.array([0.0, 0.0, 2.0])
    front = np.column_stack([rng.uniform(-0.4, 0.4, (20_000, 2)), np.full(20_000, 0.2)])
    hole = (np.abs(front[:, :2]) < 0.15).all(axis=1)
    back = np.column_stack([rng.uniform(-0.18, 0.18, (5000, 2)), np.full(5000, -0.2)])
    ahead = camera + (back - camera) * (1.8 / 2.2)
    seen = back[(np.abs(ahead[:, :2]) < 0.15).all(axis=1)]
    places, bounds = empty_places(np.concatenate([front[~hole], seen]), camera, 2000, rng)
    between = (places[:, 2] < 0.18) & (places[:, 2] > -0.18)
    assert between.sum() > 20
    assert (np.abs(places[between, :2]) < 0.18).all()
    in_hole = np.abs(places[:, 2] - 0.2) < 0.03
    assert in_hole.sum() > 5 and (np.abs(places[in_hole, :2]) < 0.15).all()
    margin = 0.15 - np.abs(places[in_hole, :2]).max(axis=1)  # to the frame
    assert (bounds[in_hole] < margin + 0.02).all()


@pytest.mark.parametrize(("num", "least"), [(5000, 0.09), (300, 0.03)])
def test_what_is_far_from_a_scan_that_covers_a_box_is_empty(num: int, least: float):
    everywhere = np.array([-0.55] * 3 + [0.55] * 3)
    places, bounds = uncovered_places(sphere_points(num, RADIUS), everywhere, 400, default_rng(0))
    true = np.abs(np.linalg.norm(places, axis=1) - RADIUS)
    assert (bounds < true + 1e-6).all() and bounds.max() > least
    assert {True, False} == set((np.linalg.norm(places, axis=1) < RADIUS).tolist())


def test_nothing_is_known_beyond_a_covered_half():
    points = sphere_points(5000, RADIUS)
    half = points[points[:, 2] > 0]
    box = np.array([-0.55, -0.55, 0.0, 0.55, 0.55, 0.55])
    places, bounds = uncovered_places(half, box, 400, default_rng(0))
    assert (places[:, 2] > bounds - 1e-6).all()
    assert (bounds < np.abs(np.linalg.norm(places, axis=1) - RADIUS) + 1e-6).all()
    evidence = evidence_of(half, CFG.completion, None, default_rng(0), box)
    assert len(evidence.empty) == 384 and evidence.empty_weight > 0


def test_without_a_camera_nothing_is_known_to_be_empty():
    evidence = evidence_of(sphere_points(500, RADIUS), CFG.completion, None, default_rng(0))
    assert len(evidence.empty) == 0 and evidence.empty_weight == 0
    camera = np.array([0.0, 0.5, 2.0])
    seen = evidence_of(seen_sphere(2000, camera), CFG.completion, camera, default_rng(0))
    assert len(seen.empty) == len(seen.bounds) > 100 and 0 < seen.empty_weight <= 1
    assert all(part.dtype == torch.float32 for part in (seen.surface, seen.empty, seen.bounds))


def test_a_seed_fixes_the_evidence_and_huge_scans_are_thinned_first():
    scan = sphere_points(MOST_POINTS + 5000, RADIUS)
    one, same, other = (evidence_of(scan, CFG.completion, None, default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.surface, same.surface) and not torch.equal(one.surface, other.surface)
