"""Sampling: which of several draws is taken, and that it depends on the seed and the number alone."""

from pathlib import Path

import pytest
import torch

from generation import sampling
from generation.decode import field_of
from generation.latents import codes_of, draw_latents, likelihoods
from generation.networks import Networks
from generation.sampling import drawn_codes, sampled, sampled_codes, sampling_facts
from generation.settledness import WHOLE
from lab.small.tiny_experiment import tiny_config, tiny_networks, train_flow

pytestmark = pytest.mark.usefixtures("coarse_lattice")


@pytest.fixture
def draws(root: Path) -> list[torch.Tensor]:
    """Three draws of six shapes of seed 3."""
    made = tiny_networks(root)
    return [codes_of(made, draw_latents(made.flow, 6, 3, 0, draw)) for draw in range(3)]


@pytest.fixture
def judged(draws: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Unsettled shares (3, 6) of these draws, made up: shape 1 is whole at once, shape 2 at its last draw, 3 never."""
    shares = torch.full((3, 6), 0.5)
    shares[0, 1] = shares[2, 2] = WHOLE
    shares[:, 3] = torch.tensor([0.3, 0.1, 0.2])
    table = torch.stack(draws).flatten(0, 1)

    def share_of(code: torch.Tensor, *_: object) -> float:
        return float(shares.flatten()[torch.cdist(code, table).argmin()])

    monkeypatch.setattr(sampling, "field_of", lambda networks, code: code)
    monkeypatch.setattr(sampling, "unsettled_share", share_of)
    return shares


def test_the_likeliest_of_several_draws_is_taken(root: Path, draws: list[torch.Tensor]):
    likely = torch.stack([likelihoods(tiny_networks(root), codes)[0] for codes in draws])
    best = likely.argmax(dim=0)
    assert len(best.unique()) > 1
    made = tiny_networks(root, best_of=3, best_by="likely")
    found = sampled_codes(made, 6, seed=3)
    assert torch.equal(found, torch.stack([draws[k][n] for n, k in enumerate(best.tolist())]))
    assert torch.equal(sampled_codes(tiny_networks(root, best_of=1), 6, seed=3), draws[0])
    assert torch.equal(sampled_codes(made, 2, seed=3, first=4), found[4:])


def test_the_first_whole_draw_is_taken_or_else_the_least_torn(
    root: Path, draws: list[torch.Tensor], judged: torch.Tensor
):
    found = sampled_codes(tiny_networks(root, best_of=3), 6, seed=3)
    taken = [0, 0, 2, 1, 0, 0]  # of equals the first
    assert torch.equal(found, torch.stack([draws[k][n] for n, k in enumerate(taken)]))
    assert torch.equal(sampled_codes(tiny_networks(root, best_of=3), 2, seed=3, first=2), found[2:4])


def test_the_share_of_whole_surface_decides_with_real_fields(root: Path):
    """Nothing made up: each code that is taken is one of the draws, and the same again."""
    made = tiny_networks(root, best_of=3)
    found = sampled_codes(made, 4, seed=3)
    all_draws = torch.stack([drawn_codes(made, 4, 3, draw=draw) for draw in range(3)])
    assert (all_draws == found).all(dim=2).any(dim=0).all()
    assert torch.equal(found, sampled_codes(tiny_networks(root, best_of=3), 4, seed=3))


def test_facts_tell_what_decides_a_sample(root: Path):
    assert sampling_facts(tiny_networks(root).cfg.decoding) == {"temperature": 1.0}
    chosen = tiny_networks(root, best_of=2, temperature=0.5)
    assert sampling_facts(chosen.cfg.decoding) == {"temperature": 0.5, "best_of": 2, "best_by": "settled"}
    assert sampled(chosen, 2, seed=4).facts[1] == {"seed": 4, "number": 1, **sampling_facts(chosen.cfg.decoding)}


def test_draws_of_a_shape_are_of_one_component(root: Path, tmp_path: Path):
    """With a mixture, however many draws: so selection changes no component's share."""
    cfg = tiny_config(root, exp_name="mixture", flow_base="mixture", flow_components=3,
                      ndf_checkpoint=str(tiny_networks(root).ndf_path))  # fmt: skip
    train_flow(cfg)
    made = Networks(cfg)
    base = made.flow.base
    with torch.no_grad():
        base.means.copy_(torch.tensor([[-60.0] * 5, [0.0] * 5, [60.0] * 5]))  # far apart
        base.log_weights.zero_()
    latents = [draw_latents(made.flow, 30, 3, 0, draw) for draw in range(3)]
    components = torch.stack([torch.cdist(z, base.means).argmin(dim=1) for z in latents])
    assert (components == components[0]).all()
    assert len(components[0].unique()) == 3
    assert not torch.equal(latents[0], latents[1])


def test_the_code_that_was_judged_is_not_decoded_again(root: Path, monkeypatch: pytest.MonkeyPatch):
    """The same code has the same field, with the cells that are known; another one its own."""
    networks = tiny_networks(root)
    codes = drawn_codes(networks, 2, 0).split(1)
    field = field_of(networks, codes[0])
    assert field_of(networks, codes[0].clone()) is field
    other = field_of(networks, codes[1])
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    assert not torch.equal(other.plain_distance(points), field.plain_distance(points))
    assert torch.equal(field_of(networks, codes[0]).plain_distance(points), field.plain_distance(points))
