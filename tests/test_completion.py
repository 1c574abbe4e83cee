"""Completing scans: the posterior's density, its curvature, the search and the whole script."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from facts import naming, says
from torch import Tensor
from torch.testing import assert_close

import complete as script
from configs.options import Config
from dataprocessing.frames import turn_of
from evaluation.completion import MISSED, RESULTS, completion_lines, distances_of, diversity, scores_of
from generation import decoded_shape
from generation.cloud_files import read_cloud
from generation.code_fitting import CLAMP
from generation.completion.chains import Adam, check_networks, complete, search, starts
from generation.completion.curvature import factor_of, jacobian, mean_square, standardising_factor
from generation.completion.evidence import Evidence, evidence_of
from generation.completion.posterior import Posterior
from generation.completion.results import log_posterior
from generation.completion.source import MODE
from generation.distance_fields import NetworkField
from generation.latents import codes_of
from generation.networks import Networks
from lab.small.helpers import write_config, write_ply
from lab.small.known_shapes import bent_strip, sphere_points
from lab.small.tiny_experiment import TINY
from models.real_nvp.base import NormalBase
from runtime.artefacts import RECORDS
from runtime.errors import UserError
from runtime.layout import CONTACT_SHEET, DENSE_POINT_CLOUD, INDEX

RADIUS, SD = 0.3, 0.01
SMALL = {"num_chains": 3, "num_starts": 5, "map_steps": 4, "warmup": 3, "draws": 4, "leapfrog": 2}
SMALL |= {"num_completion_points": 60, "scan_points": 40}


def cap(num: int) -> np.ndarray:
    """A scan of a sphere from above."""
    points = sphere_points(4 * num, RADIUS)
    return points[points[:, 1] > 0.1][:num]


class Balls:
    """A code (B, 2): the radius of a sphere, and how much surface there is beside it: from 1 on, all space is."""

    code_kind = "vector"

    def features(self, code: Tensor) -> list[Tensor]:
        return [code]

    def distances_at(self, p: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda code: self.query(p.expand(len(code), -1, -1), self.features(code))

    def query(self, p: Tensor, grids: list[Tensor]) -> Tensor:
        radius, filled = grids[0].split(1, dim=1)
        return (0.5 * p.norm(dim=-1) - radius).abs() * (1 - filled).clamp(0, 1)


def exact_networks() -> SimpleNamespace:
    """Networks whose code of z (B, 2) is the radius 0.2 + z / 20, and z / 8 of what fills the space."""
    flow = SimpleNamespace(
        dim=2, base=NormalBase(2), inverse=lambda z: torch.stack([0.2 + z[:, 0] / 20, z[:, 1] / 8], dim=1)
    )
    cfg = Config().changed(num_starts=50, num_chains=4)
    return SimpleNamespace(ndf=Balls(), flow=flow, device=torch.device("cpu"), cfg=cfg)


def surface_alone(points: np.ndarray, weight: float = 1.0) -> Evidence:
    return Evidence(torch.from_numpy(points), weight, torch.zeros(0, 3), torch.zeros(0), 0.0)


def with_emptiness(points: np.ndarray, places: Tensor, bounds: Tensor) -> Evidence:
    return Evidence(torch.from_numpy(points), 1.0, places, bounds, 0.5)


def test_the_energy_is_the_prior_and_the_squared_distances_of_the_scan():
    posterior = Posterior(exact_networks(), surface_alone(sphere_points(30, RADIUS), weight=0.25), SD)
    z = torch.tensor([[2.0, 0.0], [2.4, 0.0], [0.4, 8.0]])
    distance = torch.tensor([0.0, 0.02, 0.0])  # the third is 0 everywhere
    expected = z.square().sum(dim=1) / 2 + 0.25 * 30 * distance.square() / (2 * SD**2)
    assert_close(posterior.energy(z), expected, rtol=1e-4, atol=1e-4)
    assert_close(posterior.root_mean_square(z), distance, rtol=1e-4, atol=1e-6)
    assert log_posterior(0.0, 2) == pytest.approx(-np.log(2 * np.pi))


def test_space_seen_to_be_empty_counts_by_how_far_the_field_falls_short():
    places, bounds = torch.tensor([[0.0, 0.38, 0.0], [0.0, 0.5, 0.0]]), torch.tensor([0.05, 0.09])
    posterior = Posterior(exact_networks(), with_emptiness(sphere_points(30, RADIUS), places, bounds), SD)
    right, larger = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 0.0]])
    assert_close(posterior.misfit(right), torch.zeros(1), atol=1e-3, rtol=0)  # 0.08 and 0.2 away
    short = torch.tensor([0.02])  # 0.05 bound, 0.03 away; the other is 0.15 away
    expected = 30 * 0.05**2 / (2 * SD**2) + 0.5 * short.square() / (2 * SD**2)
    assert_close(posterior.misfit(larger), expected, rtol=1e-3, atol=0)


def test_a_field_of_surface_everywhere_fits_any_scan_and_only_prior_or_emptiness_refuse_it():
    networks, scan = exact_networks(), cap(60)
    right, everywhere = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 8.0]])
    alone = Posterior(networks, surface_alone(scan), SD, prior=0)
    assert alone.energy(everywhere) <= alone.energy(right) + 1e-3
    with_prior = Posterior(networks, surface_alone(scan), SD)
    assert with_prior.energy(everywhere) > with_prior.energy(right) + 20
    seen = with_emptiness(scan, torch.tensor([[0.0, 0.45, 0.0]]), torch.tensor([CLAMP]))
    assert Posterior(networks, seen, SD, prior=0).energy(everywhere) > 20


def test_the_gradient_is_that_of_the_energy(networks: Networks):
    cfg = Config().changed(scan_points=40, scan_cell=0.1)
    posterior = Posterior(networks, evidence_of(cap(80), cfg.completion, None, np.random.default_rng(0)), 0.02)
    z = torch.randn(3, posterior.dim, generator=torch.Generator().manual_seed(0))
    energy, gradient = posterior.energy_and_gradient(z)
    away = 1e-3 * torch.randn(z.shape, generator=torch.Generator().manual_seed(1))
    change = (posterior.energy(z + away) - posterior.energy(z - away)) / 2
    assert_close(change, (gradient * away).sum(dim=1), rtol=0.05, atol=2e-3)
    one_by_one = torch.cat([posterior.energy(one[None]) for one in z])
    assert_close(energy, one_by_one, rtol=1e-4, atol=1e-3)
    field = NetworkField(networks.ndf, networks.ndf.features(codes_of(networks, z[:1])))
    distances = field.distance(posterior.evidence.surface).clamp(max=CLAMP)
    assert_close(posterior.distances(z[:1])[0], distances, rtol=1e-4, atol=1e-5)


def test_the_curvature_is_that_of_autograd():
    posterior = Posterior(exact_networks(), surface_alone(sphere_points(12, RADIUS)), 0.1)
    z = torch.tensor([1.0, 0.5])
    exact = torch.autograd.functional.jacobian(lambda one: posterior.residuals(one[None])[0], z)
    found = jacobian(posterior, z)
    assert found.shape == (12, 2)
    assert_close(found, exact, rtol=0.05, atol=1e-3)
    square = mean_square([posterior], torch.stack([z, z]))
    assert_close(square.float(), exact.T @ exact, rtol=0.1, atol=1e-2)
    precision = torch.tensor([1.0, 4.0])
    factor = factor_of(square, precision)
    hessian = precision.diag() + square.float()
    assert_close(factor.T @ hessian @ factor, torch.eye(2), rtol=1e-3, atol=1e-3)


def test_one_factor_serves_all_chains():
    posterior = Posterior(exact_networks(), surface_alone(sphere_points(50, RADIUS)), SD)
    factor = standardising_factor(posterior, torch.tensor([[2.0, 0.0], [2.1, 0.1]]), torch.Generator().manual_seed(0))
    assert factor.shape == (2, 2)
    sd_of_radius = (factor @ factor.T)[0, 0].sqrt()
    assert 0.01 < sd_of_radius < 0.2  # 50 points with sd 0.01 fix 20 times the radius to 0.03


def test_the_search_finds_the_mode_and_starts_from_what_fits_best():
    networks = exact_networks()
    posterior = Posterior(networks, surface_alone(cap(60)), SD)
    first = starts(posterior, networks.cfg)
    assert first.shape == (4, 2)
    assert posterior.misfit(first).max() < posterior.misfit(torch.zeros(1, 2))
    found = search(posterior, first, 9.0, 150)
    assert_close(found, torch.tensor([[2.0, 0.0]]).expand(4, 2), rtol=0.03, atol=0.3)  # the second is hardly known
    assert (posterior.energy(found) <= posterior.energy(first)).all()
    assert search(posterior, first, 1.0, 20).norm(dim=1).max() < 1.0 + 1e-5


def test_the_steps_of_the_search_are_those_of_torchs_adam():
    one = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    other, adam = one.clone(), Adam(one)
    theirs = torch.optim.Adam([other], lr=0.1)
    for step in range(20):
        gradient = (one - step) * torch.tensor([1.0, 30.0])
        other.grad = gradient.clone()
        theirs.step()
        one = one - 0.1 * adam.direction(gradient)
        assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_parts_of_a_posterior_hold_all_of_its_evidence_and_each_weighs_as_much():
    places, bounds = torch.rand(32, 4, generator=torch.Generator().manual_seed(0)).split([3, 1], dim=1)
    whole = Evidence(torch.from_numpy(sphere_points(300, RADIUS)), 0.5, places, bounds[:, 0], 0.25)
    posterior = Posterior(exact_networks(), whole, SD)
    parts = [part.evidence for part in posterior.parts(4)]
    assert sorted(map(tuple, torch.cat([part.surface for part in parts]).tolist())) == sorted(
        map(tuple, whole.surface.tolist())
    )
    for part in parts:
        assert part.weight * len(part.surface) == pytest.approx(150)
        assert part.empty_weight * len(part.empty) == pytest.approx(8)
        assert len(part.empty) == len(part.bounds)
    z = torch.tensor([[2.0, 0.0], [2.4, 1.0]])
    misfits = torch.stack([part.misfit(z) for part in posterior.parts(4)])
    assert_close(misfits.mean(dim=0), posterior.misfit(z))
    few = surface_alone(sphere_points(12, RADIUS))
    assert Posterior(exact_networks(), few, SD).parts(4)[3].evidence.surface.equal(few.surface)


@pytest.fixture(scope="module")
def chained(root: Path) -> tuple[Networks, object]:
    cfg = script.get_config(["--config", str(write_config(root, **(TINY | SMALL)))])
    networks = Networks(cfg)
    return networks, complete(
        networks, evidence_of(cap(100), cfg.completion, None, np.random.default_rng(0)), progress=False
    )


def test_chains_do_not_depend_on_gradients_being_off_and_a_seed_fixes_them(chained: tuple):
    networks, one = chained
    with torch.no_grad():
        same = complete(
            networks, evidence_of(cap(100), networks.cfg.completion, None, np.random.default_rng(0)), progress=False
        )
    assert torch.equal(one.chains.z, same.chains.z)
    assert one.chains.z.shape == (4, 3, networks.flow.dim) and one.chains.energy.shape == (4, 3)
    assert_close(one.chains.energy[-1], one.posterior.energy(one.draws()), rtol=1e-3, atol=1e-2)
    assert one.mode_energy.min() == one.posterior.energy(one.best_mode())
    assert all(weight.grad is None for weight in networks.ndf.parameters())


@pytest.mark.usefixtures("coarse_lattice", "no_pictures")
def test_the_script_writes_clouds_results_and_a_picture(root: Path, capsys, monkeypatch):
    config, scan = write_config(root, **(TINY | SMALL)), root / "a scan.ply"
    write_ply(scan, cap(100))
    truth = root / "truth.ply"
    write_ply(truth, sphere_points(300, RADIUS))
    arguments = ["--config", str(config), "--scan", str(scan), "--camera", "0", "2", "0.1"]
    assert script.main([*arguments, "--truth", str(truth)]) == 0
    said = capsys.readouterr().out
    folder = next(root.rglob(f"a scan.ply~*/{RESULTS}")).parent
    assert str(folder) in said and "log posterior" in said and "CD x1e4" in said
    results = json.loads((folder / RESULTS).read_text())
    assert set(results["scores"]) == {MODE, "0", "1", "2"}
    assert results["log_posterior_nats"] == sorted(results["log_posterior_nats"], reverse=True)
    for n, name in enumerate((MODE, "0", "1", "2")):
        assert read_cloud(folder / name / DENSE_POINT_CLOUD).shape == (60, 3)
        with np.load(folder / name / DENSE_POINT_CLOUD) as file:
            assert set(file) >= {"point_cloud", "code", "log_likelihood", "z", "log_posterior", "seed"}
            stored = [results["log_posterior_nats_of_mode"], *results["log_posterior_nats"]][n]
            assert float(file["log_posterior"]) == pytest.approx(stored, rel=1e-5)
    assert (folder / CONTACT_SHEET).is_file()

    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    monkeypatch.setattr("generation.completion.source.complete", None)  # nothing runs again
    assert script.main([*arguments, "--truth", str(truth)]) == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.usefixtures("coarse_lattice")
def test_a_killed_run_goes_on_without_running_its_chains_again(root: Path, tmp_path: Path, monkeypatch, no_pictures):
    config, scan = write_config(root, **(TINY | SMALL)), tmp_path / "scan.ply"
    write_ply(scan, cap(90))
    monkeypatch.setattr(decoded_shape, "mesh_of", lambda *_: bent_strip())
    words = ["--config", str(config), "--scan", str(scan), "--mesh", "--out"]
    assert script.main([*words, str(tmp_path / "whole")]) == 0
    plain, made = decoded_shape.decode_parts, []

    def killed_at_the_third(*arguments: object) -> object:
        made.append(arguments[-1])
        if len(made) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(decoded_shape, "decode_parts", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        script.main([*words, str(tmp_path / "killed")])
    assert not (tmp_path / "killed" / INDEX).exists()
    monkeypatch.setattr("generation.completion.source.complete", None)
    assert script.main([*words, str(tmp_path / "killed")]) == 0
    assert made == [0, 1, 2, 2, 3]
    for path in (tmp_path / "whole").glob("*/*.*"):
        other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert path.name == RECORDS or path.read_bytes() == other.read_bytes()
    with pytest.raises(UserError, match=naming(tmp_path / "whole", "--out")):
        write_ply(scan, cap(80))
        script.main([*words, str(tmp_path / "whole")])


@pytest.mark.usefixtures("coarse_lattice", "no_pictures")
def test_completions_of_a_turned_scan_lie_where_it_lies_and_are_those_of_the_scan(root: Path, tmp_path: Path):
    config, turn = write_config(root, **(TINY | SMALL)), turn_of("z", "x")
    scan, camera, box = cap(100), np.array([0.1, 2.0, 0.2]), np.array([-0.3, 0.15, -0.3, 0.3, 0.4, 0.3])

    def complete_it(name: str, points: np.ndarray, *words: str) -> tuple[list[np.ndarray], dict]:
        write_ply(tmp_path / f"{name}.ply", points)
        out = tmp_path / f"of_{name}"
        told = ["--config", str(config), "--scan", str(tmp_path / f"{name}.ply"), "--out", str(out), *words]
        assert script.main(told) == 0
        return [read_cloud(out / n / DENSE_POINT_CLOUD) for n in (MODE, "0", "1", "2")], json.loads(
            (out / RESULTS).read_text()
        )

    def seen_from(camera: np.ndarray, box: np.ndarray) -> list[str]:
        return ["--camera", *map(str, camera), "--covered", *map(str, np.sort(box.reshape(2, 3), axis=0).ravel())]

    straight, results = complete_it("straight", scan, *seen_from(camera, box))
    own_box = (box.reshape(2, 3) @ turn).ravel()
    axes = ["--up", "z", "--front", "x"]
    lying, same = complete_it("lying", scan @ turn, *axes, *seen_from(camera @ turn, own_box))
    for one, other in zip(straight, lying, strict=True):
        np.testing.assert_array_equal(one @ turn, other)
    assert same["scores"] == results["scores"]  # in mesh units
    fitted, _ = complete_it("fitted", scan, "--fit")
    large, numbers = complete_it("large", 4 * scan @ turn, "--fit", *axes)  # by a power of 2: nothing is rounded
    for one, other in zip(fitted, large, strict=True):
        np.testing.assert_allclose(4 * one @ turn, other, atol=1e-6)
    assert numbers["scores"][MODE]["scan_to_cloud_sq"] < 1
    near = np.abs(fitted[0] - (scan.max(axis=0) + scan.min(axis=0)) / 2).max()
    assert near < 0.56 * np.ptp(scan, axis=0).max()  # where the scan lies, not in the unit box


def test_mistakes_are_told(root: Path, tmp_path: Path):
    config = str(write_config(root, **(TINY | SMALL)))
    with pytest.raises(UserError, match=naming("--scan")):
        script.main(["--config", config])
    with pytest.raises(UserError, match="nothing.ply"):
        script.main(["--config", config, "--scan", str(tmp_path / "nothing.ply")])
    write_ply(tmp_path / "scan.ply", cap(90))
    with pytest.raises(UserError, match=naming("up auto --up")):
        script.main(["--config", config, "--scan", str(tmp_path / "scan.ply"), "--up", "auto"])
    plain = SimpleNamespace(ndf=SimpleNamespace(code_kind="none"))
    with pytest.raises(UserError, match=naming("code_kind none vector")):
        check_networks(plain)


def test_scores_are_distances_to_truth_scan_and_each_other():
    small, large = sphere_points(10_000, RADIUS), sphere_points(10_000, RADIUS + 0.02, seed=1)
    scores = scores_of(large, cap(500), small)
    assert scores["chamfer_udf"] == pytest.approx(0.02**2, rel=0.3)
    assert scores["scan_to_cloud_sq"] == pytest.approx(0.02**2, rel=0.3)
    assert scores_of(large, cap(500), None)["chamfer_udf"] is None
    assert diversity([small, large, large]) == pytest.approx(2 / 3 * scores["chamfer_udf"], rel=0.05)
    assert diversity([small]) is None
    found = distances_of({MODE: small, "0": large, "1": large}, cap(500), small)
    assert set(found["scores"]) == {MODE, "0", "1"} and found["diversity"] == 0


def test_what_is_doubtful_is_told():
    facts = {
        "log_posterior_nats": [-3.0, -4.0], "rms_distance_of_scan": [0.1, 0.1], "acceptance": [0.8, 0.7],
        "effective_draws_of_z": [5.0, 6.0], "log_posterior_nats_of_mode": -1.0, "rms_distance_of_scan_of_mode": 0.004,
        "scores": {name: {"chamfer_udf": None} for name in (MODE, "0", "1")}, "diversity": 1e-4,
        "r_hat_of_energy": 1.02, "r_hat_of_z_median": 1.05,
    }  # fmt: skip
    cfg = Config().changed(scan_sd=0.005)
    assert len(completion_lines(facts, cfg.completion)) == 5
    assert says(completion_lines(facts | {"r_hat_of_z_median": 1.2}, cfg.completion)[-1], "1.20")
    missed = 1.01 * MISSED * 0.005
    assert says(
        completion_lines(facts | {"rms_distance_of_scan_of_mode": missed}, cfg.completion)[-1], f"{missed:.4f} 0.005"
    )
