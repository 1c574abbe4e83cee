"""Many points of one shape: values and gradients against `trilinear` and `bilinear`, distances against `NDF.query`."""

import pytest
import torch
from torch.testing import assert_close

from lab.small.network_weights import random_weights
from models.feature_planes import VIEWS
from models.kernels import bilinear, grid_nodes, plane_nodes, trilinear, values_around
from models.ndf import NDF, place_offsets
from models.point_query import PointQuery
from models.vector_ndf import VectorNDF


def points(count: int) -> torch.Tensor:
    """(count, 3), some of them beyond the border."""
    return (2.4 * torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) - 1.2).double()


def gradient_of(values: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(values.sin().sum(), p)[0]


@pytest.mark.parametrize("places", [1, 7])
def test_values_in_grids_are_those_of_trilinear_place_by_place(places: int):
    generator = torch.Generator().manual_seed(0)
    grids = [torch.randn(1, c, r, r, r, generator=generator).double() for c, r in ((3, 5), (2, 5), (4, 8))]
    offsets, p = place_offsets(places).double(), points(50).requires_grad_()
    found = values_around(p, grid_nodes([grids[:2], grids[2:]], offsets))
    one, other = (trilinear(some, p[None], offsets)[0].unflatten(1, (-1, places)) for some in (grids[:2], grids[2:]))
    expected = torch.cat([part.mT.flatten(1) for part in (one, other)], dim=1)
    assert_close(found, expected, rtol=0, atol=1e-12)
    assert_close(gradient_of(found, p), gradient_of(expected, p), rtol=1e-10, atol=1e-12)


def test_values_in_planes_are_those_of_bilinear():
    generator = torch.Generator().manual_seed(0)
    planes = [torch.randn(1, 3, 6, 6, *digits, c, generator=generator).double() for digits, c in (((), 4), ((2, 2), 3))]
    p = points(50).requires_grad_()
    found = values_around(p, plane_nodes(planes, VIEWS, place_offsets(1)))
    expected = bilinear(planes, p[None], VIEWS)[0]
    assert_close(found, expected, rtol=0, atol=1e-12)
    assert_close(gradient_of(found, p), gradient_of(expected, p), rtol=1e-10, atol=1e-12)


def test_what_is_not_a_number_stays_so():
    p = points(9)
    p[3, 1] = torch.nan
    found = values_around(p, grid_nodes([[torch.ones(1, 2, 4, 4, 4).double()]], place_offsets().double()))
    assert found[3].isnan().any()
    assert not found[:3].isnan().any()


def plain_ndf() -> tuple[NDF, list[torch.Tensor]]:
    """Its first two levels have one size."""
    model = random_weights(NDF((5, 7), hidden_dim=16).double(), seed=2).requires_grad_(False).eval()
    x = (torch.rand(1, 8, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).double()
    return model, model.features(model.encode(x))


def vector_ndf() -> tuple[NDF, list[torch.Tensor]]:
    model = VectorNDF(
        latent_dim=5, input_res=8, decoder_hidden=12, plane_resolution=(4, 8), plane_channels=(3, 2),
        code_encoder="pyramid", pca_dims=0, pca_resolution=4, pca_view_weight=1.0, channels=(4, 6), hidden_dim=16,
        decoder_resolution=(2, 4), decoder_channels=(5, 3), num_places=1, code_noise=0.0, distance_head="sheet",
        input_fold=1,
    )  # fmt: skip
    random_weights(model.double(), seed=4).requires_grad_(False).eval()
    return model, model.features(torch.randn(1, 5, generator=torch.Generator().manual_seed(5)).double())


@pytest.mark.parametrize("made", [plain_ndf, vector_ndf])
def test_distances_and_gradients_are_those_of_the_network(made):
    model, grids = made()
    p = points(60).requires_grad_()
    found, expected = PointQuery(model, grids)(p), model.query(p[None], grids)[0]
    assert expected.std() > 1e-3
    assert_close(found, expected)
    assert_close(gradient_of(100 * found, p), gradient_of(100 * expected, p))
