"""Principal components of occupancy: against a plain singular value decomposition, streamed or at once."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from models.occupancy import occupancy_and_offsets
from models.principal_components import PrincipalComponents, first_hits
from runtime.errors import UserError

R, D = 5, 4


def occupancies(count: int, rank: int = 9) -> Tensor:
    """Binary grids (count, R, R, R) that vary mostly along `rank` patterns."""
    torch.manual_seed(3)
    patterns = (torch.rand(rank, R**3) < 0.3).float() * torch.linspace(2, 0.5, rank)[:, None]
    return (torch.rand(count, rank) @ patterns > 1.5).float().view(-1, R, R, R)


def fitted(x: Tensor, batch: int) -> tuple[PrincipalComponents, float]:
    components = PrincipalComponents(D, R)
    return components, components.fit(x.split(batch))


@pytest.mark.parametrize("batch", [301, 97, 20])
def test_equals_a_plain_decomposition(batch: int):
    x = occupancies(301)
    components, share = fitted(x, batch)
    rows = (x.flatten(1) - x.flatten(1).mean(dim=0)).double()
    _, singular, directions = torch.linalg.svd(rows, full_matrices=False)
    assert_close(components.mean, x.flatten(1).mean(dim=0))
    assert share == pytest.approx(float((singular[:D] ** 2).sum() / (singular**2).sum()), rel=2e-3)
    expected = rows @ directions[:D].T
    expected = expected / expected.square().mean().sqrt()
    found = components(x).double()
    signs = (found * expected).sum(dim=0).sign()
    error = (found - signs * expected).square().mean().sqrt()
    assert error < (0.01 if batch == 301 else 0.1)  # streamed, a component is found almost


def test_components_have_mean_0_the_stated_sd_and_spread_1():
    x = occupancies(301)
    components, _ = fitted(x, 64)
    code = components(x)
    assert_close(code.mean(dim=0), torch.zeros(D), atol=1e-5, rtol=0)
    assert_close(code.std(dim=0), components.sd, atol=0, rtol=0.02)
    assert float(components.sd.square().mean()) == pytest.approx(1, rel=1e-5)
    assert (components.sd[:-1] >= components.sd[1:]).all()


def test_finer_inputs_are_pooled_and_offsets_left_out():
    components, _ = fitted(occupancies(50), 50)
    fine = torch.zeros(1, 2 * R, 2 * R, 2 * R)
    fine[0, 1, 4, 9] = 1
    coarse = torch.zeros(1, R, R, R)
    coarse[0, 0, 2, 4] = 1
    assert_close(components(fine), components(coarse))
    with_offsets = occupancy_and_offsets(torch.rand(2, 31, 3) - 0.5, R, -0.5, 0.5)
    assert_close(components(with_offsets), components(with_offsets[:, 0]))


def test_fewer_shapes_than_components_are_refused():
    with pytest.raises(UserError, match="4 shapes for 4 principal components, more shapes than components expected"):
        fitted(occupancies(4), 2)


def test_equal_shapes_are_refused():
    with pytest.raises(UserError, match="all 9 shapes have the same input"):
        fitted(torch.ones(9, R, R, R), 5)


def test_first_hits_are_those_of_rays_along_the_axes():
    x = (torch.rand(2, R, R, R, generator=torch.Generator().manual_seed(4)) < 0.1).float()
    found = first_hits(x).view(2, 3, 2, R, R)
    for shape in range(2):
        for axis in range(3):
            lines = x[shape].movedim(axis, 2)
            for i in range(R):
                for j in range(R):
                    nodes = lines[i, j].nonzero().flatten().tolist()
                    expected = [nodes[0], R - 1 - nodes[-1]] if nodes else [R, R]
                    assert found[shape, axis, :, i, j].mul(R).round().int().tolist() == expected


def test_views_are_compared_beside_the_occupancy():
    x = occupancies(301)
    with_views = PrincipalComponents(D, R, view_weight=2.0)
    with_views.fit(x.split(64))
    assert with_views.directions.shape == (D, R**3 + 6 * R**2)
    rows = torch.cat([x.flatten(1), 2 * first_hits(x)], dim=1)
    assert_close(with_views.mean, rows.mean(dim=0))
    code = with_views(x)
    assert_close(code, (rows - rows.mean(dim=0)) @ with_views.directions.T, atol=1e-5, rtol=0)
    assert_close(code.std(dim=0), with_views.sd, atol=0, rtol=0.02)
