"""Codes of the three kinds: shapes, the fused code against its definition, noise in training only."""

import itertools
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from configs.options import Config, group_of
from frozen.loading import load_frozen_ndf
from lab.small.network_weights import random_weights
from models.kernels import trilinear
from models.ndf import NDF
from models.occupancy import folded
from models.shape_codes import build_ndf, former_variant
from runtime.errors import UserError

OPTIONS = {
    "encoder_channels": [3, 5, 6],
    "input_features": "occupancy",
    "hidden_dim": 9,
    "latent_dim": 7,
    "out_resolution": 3,
    "input_res": 13,
    "input_fold": 1,
    "decoder_hidden": 11,
    "decoder_resolution": [3, 6],
    "decoder_channels": [4, 2],
    "plane_resolution": [6, 12],
    "plane_channels": [3, 5],
    "num_places": 1,
    "code_noise": 0.3,
    "code_encoder": "pyramid",
    "pca_dims": 3,
    "pca_resolution": 5,
    "pca_view_weight": 1.0,
    "distance_head": "sheet",
}
SHAPES = {"fused": (15, 3, 3, 3), "grid": (7, 3, 3, 3), "vector": (7,)}


def network(kind: str, **changes: object) -> NDF:
    torch.manual_seed(0)
    return random_weights(build_ndf({**OPTIONS, "code_kind": kind, **changes}), seed=1)


def example(seed: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(3, 13, 13, 13, generator=generator) > 0.6).float()
    return torch.rand(3, 17, 3, generator=generator) * 2 - 1, x


@pytest.mark.parametrize("kind", SHAPES)
def test_code_has_the_stated_shape_and_is_all_that_the_decoder_sees(kind: str):
    model, (p, x) = network(kind), example()
    code = model.encode(x)
    assert tuple(code.shape) == (3, *model.code_shape) == (3, *SHAPES[kind])
    assert_close(model.query(p, model.features(code)), model(p, x))
    other = model.query(p, model.features(code.flip(0)))
    assert_close(other[1], model(p, x)[1])
    assert (other[0] - model(p, x)[0]).abs().max() > 1e-4


def test_principal_components_take_the_place_of_the_pyramid():
    model, (p, x) = network("vector", code_encoder="pca"), example()
    x[:, 4:] = 0
    model.components.fit([x * (torch.rand(3, 13, 13, 13) > 0.9) for _ in range(9)])
    assert not [name for name, _ in model.named_parameters() if name.startswith(("conv", "to_code"))]
    assert_close(model.query(p, model.features(model.components(x))), model(p, x))
    torch.manual_seed(5)
    noised = model.train().training_code(x.repeat(99, 1, 1, 1))
    assert (noised - model.encode(x).repeat(99, 1)).std().item() == pytest.approx(0.3, rel=0.05)


def test_with_both_encoders_components_come_first_and_the_pyramid_adds_the_rest():
    model, (p, x) = network("vector", code_encoder="both", pca_dims=2).train(), example()
    model.components.fit([(torch.rand(3, 13, 13, 13) > 0.9).float() for _ in range(9)])
    code = model.encode(x)
    assert code.shape == (3, 7)
    assert_close(code[:, :2], model.components(x))
    assert_close(code[:, 2:].mean(dim=1), torch.zeros(3), atol=1e-6, rtol=0)
    (model(p, x) * torch.randn(3, 17)).sum().backward()
    assert model.to_code.weight.grad.abs().max() > 0
    distances, scaled = model.query(p, model.features(code)), code.clone()
    scaled[:, :2] /= model.components.sd
    model.components.sd.fill_(1.0)
    assert_close(model.query(p, model.features(scaled)), distances)
    with pytest.raises(UserError, match="pca_dims 7 found, less than latent_dim, 7, expected"):
        network("vector", code_encoder="both", pca_dims=7)


def test_folded_blocks_are_channels_and_nothing_is_lost():
    x = torch.rand(2, 3, 6, 6, 6, generator=torch.Generator().manual_seed(4))
    blocks = folded(x, 2)
    assert blocks.shape == (2, 24, 3, 3, 3)
    assert blocks.is_contiguous(memory_format=torch.channels_last_3d)
    for channel, (c, i, j, k) in enumerate(itertools.product(range(3), range(2), range(2), range(2))):
        assert torch.equal(blocks[:, channel], x[:, c, i::2, j::2, k::2])


def test_an_encoder_can_work_on_blocks_of_nodes():
    model, (p, x) = network("vector", input_fold=2, input_res=12).train(), example()
    x = x[:, :12, :12, :12]
    assert model.conv_in.in_channels == 8
    assert [tuple(level.shape[1:]) for level in model.pyramid(x)] == [
        (8, 6, 6, 6),
        (3, 6, 6, 6),
        (5, 3, 3, 3),
        (6, 1, 1, 1),
    ]
    assert model(p, x).shape == (3, 17)
    with pytest.raises(UserError, match="input_res 13 found, a multiple of input_fold 2 expected"):
        network("vector", input_fold=2)


@pytest.mark.parametrize("kind", SHAPES)
def test_distances_are_never_negative_and_every_parameter_learns(kind: str):
    model, (p, x) = network(kind).train(), example()
    distances = model(p, x)
    assert distances.min() >= 0
    weights = torch.randn(distances.shape, generator=torch.Generator().manual_seed(9))
    (distances * weights).sum().backward()
    without = [name for name, q in model.named_parameters() if q.grad is None or not q.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("kind", ["none", *SHAPES])
def test_new_networks_say_a_distance_almost_everywhere(kind: str):
    """A final ReLU that is off at the start has no gradient, and stays off."""
    on = []
    for seed in range(8):
        torch.manual_seed(seed)
        model, (p, x) = build_ndf({**OPTIONS, "hidden_dim": 64, "code_kind": kind}), example(seed)
        on.append((model(p, x) > 0.005).float().mean().item())
    assert sum(on) / 8 > 0.75  # about 0.5 without a bias


def test_fused_code_is_every_level_resampled_between_corners_then_relu_of_tanh():
    model, (_, x) = network("fused"), example()
    nodes = torch.linspace(-1, 1, 3)
    lattice = torch.cartesian_prod(nodes, nodes, nodes).flip(-1)  # x y z order of the grid, as points z y x
    found = trilinear(model.pyramid(x), lattice.expand(3, -1, -1), torch.zeros(1, 3))  # (3, 27, 15)
    expected = torch.tanh(found).clamp(min=0).transpose(1, 2).view(3, 15, 3, 3, 3)
    assert_close(model.encode(x), expected)
    assert expected.max() < 1
    assert (expected == 0).any()


def test_fused_network_takes_the_weights_of_plain_ndf():
    plain = random_weights(NDF((3, 5, 6), hidden_dim=9), seed=5)
    network("fused", distance_head="value").load_state_dict(plain.state_dict())


@pytest.mark.parametrize("kind", ["grid", "vector"])
def test_learned_codes_have_unit_variance_and_noise_in_training_only(kind: str):
    model, (p, x) = network(kind).train(), example()
    assert torch.equal(model(p, x), model(p, x))  # the decoder itself draws nothing
    code = model.encode(x)
    assert_close(code.flatten(1).mean(dim=1), torch.zeros(3), atol=1e-5, rtol=0)
    assert_close(code.flatten(1).var(dim=1, unbiased=False), torch.ones(3), atol=0.01, rtol=0)
    torch.manual_seed(4)
    draws = torch.stack([model.training_code(x) - code for _ in range(200)])
    assert draws.std().item() == pytest.approx(0.3, rel=0.05)


def test_one_place_looks_up_a_seventh():
    assert network("grid", num_places=1).fc_0.in_channels == 6 + 3
    assert network("grid", num_places=7).fc_0.in_channels == 7 * 6 + 3
    assert network("vector", plane_resolution=[], num_places=7).fc_0.in_channels == 7 * 6 + 3


def test_feature_planes_add_their_channels_or_are_left_out():
    with_planes, without = network("vector"), network("vector", plane_resolution=[])
    assert with_planes.fc_0.in_channels == without.fc_0.in_channels + 3 + 5
    code = torch.randn(2, 7, generator=torch.Generator().manual_seed(3))
    shapes = [tuple(grid.shape) for grid in with_planes.features(code)]
    assert shapes == [(2, 4, 3, 3, 3), (2, 2, 6, 6, 6), (2, 3, 6, 6, 3), (2, 3, 6, 6, 2, 2, 5)]
    assert [tuple(grid.shape) for grid in without.features(code)] == shapes[:2]


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("vector", {"decoder_resolution": [3, 7]}, "each must be twice the one before"),
        ("vector", {"plane_resolution": [6, 10]}, r"plane_resolution \[6, 10\] with plane_channels \[3, 5\]"),
        ("vector", {"plane_resolution": [6]}, "as many of one as of the other expected"),
        ("vector", {"plane_resolution": [5, 10]}, "the first resolution even"),
        ("vector", {"num_places": 7}, "num_places 7 with feature planes: 1 expected"),
        ("vector", {"input_res": 3}, "input_res 3 is too small for 3 levels"),
        ("grid", {"out_resolution": 4}, "first decoder_resolution is 3 .* out_resolution 4"),
    ],
)
def test_sizes_that_do_not_fit_are_told(kind: str, changes: dict, message: str):
    with pytest.raises(UserError, match=message):
        network(kind, **changes)


PLANES_BY_CONVOLUTIONS = {"to_planes.upsamplers.0.weight": torch.zeros(1)}


@pytest.mark.parametrize(
    ("changes", "weights", "reason"),
    [
        ({}, {}, ""),
        ({"plane_decoder": "quadtree", "code_posterior": "fixed"}, {}, ""),
        ({"plane_decoder": "residual"}, PLANES_BY_CONVOLUTIONS, "plane_decoder = residual, .* quadtree alone"),
        ({}, PLANES_BY_CONVOLUTIONS, "plane_decoder = convolution, .* quadtree alone"),  # those that do not say
        ({"code_posterior": "learned"}, {}, "code_posterior = learned, .* fixed alone"),
        ({"code_posterior": "learned", "code_kind": "none"}, {}, ""),  # which has no code
    ],
)
def test_checkpoints_of_variants_that_are_gone_are_refused_in_one_line(
    changes: dict, weights: dict, reason: str, tmp_path: Path
):
    options = {**OPTIONS, "code_kind": "vector", "bb_min": -0.5, "bb_max": 0.5, "num_points": 9, "min_input_points": 0}
    options |= changes
    assert bool(former_variant(options, weights)) == bool(reason)
    cfg = Config().changed(**{name: value for name, value in options.items() if name in group_of()})
    path = tmp_path / "former.tar"
    torch.save({"model_state_dict": weights, "config": options}, path)
    with pytest.raises(UserError, match=f"former.tar was trained with {reason}; train it again" if reason else "lacks"):
        load_frozen_ndf(path, cfg, torch.device("cpu"))


@pytest.mark.parametrize(("kind", "changes"), [*((kind, {}) for kind in SHAPES), ("vector", {"plane_resolution": []})])
def test_distances_at_places_that_stay_are_those_of_a_query(kind: str, changes: dict):
    model, (p, x) = network(kind, **changes), example()
    code = model.encode(x)
    expected = model.query(p[:1].expand(len(code), -1, -1), model.features(code))
    assert_close(model.distances_at(p[0])(code), expected, rtol=1e-4, atol=1e-6)
