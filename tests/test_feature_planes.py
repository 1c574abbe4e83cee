"""Feature planes: bilinear look-up against a double loop and grid_sample, a decoder whose views do not mix."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from models.feature_planes import VIEWS, QuadtreePlanes
from models.kernels.interpolation import _plane_rows, _plane_sampled, bilinear, joined
from runtime.errors import UserError


def bilinear_by_loop(image: torch.Tensor, column: float, row: float) -> torch.Tensor:
    """image: (C, R, R); column and row in [-1, 1] from the first node to the last, beyond them the border's value."""
    size = image.shape[-1]
    place = [min(max((v + 1) / 2 * (size - 1), 0), size - 1) for v in (row, column)]
    low = [min(int(v), size - 2) for v in place]
    value = torch.zeros(len(image))
    for i, j in itertools.product((0, 1), repeat=2):
        weight = abs(1 - i - (place[0] - low[0])) * abs(1 - j - (place[1] - low[1]))
        value += weight * image[:, low[0] + i, low[1] + j]
    return value


def random_planes(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Of 5 x 5 nodes and 4 channels; of 12 x 12, split into 3 2 2, and 2 channels."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 3, 5, 5, 4), (2, 3, 3, 3, 2, 2, 2, 2, 2)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def random_points(num: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(2, num, 3), some outside of the grid."""
    return 2.4 * torch.rand(2, num, 3, generator=torch.Generator().manual_seed(1), dtype=dtype) - 1.2


def test_look_up_is_the_sum_of_three_bilinear_values():
    planes, p = random_planes(), random_points(7)
    images = [joined(plane).movedim(4, 2) for plane in planes]
    assert [tuple(image.shape) for image in images] == [(2, 3, 4, 5, 5), (2, 3, 2, 12, 12)]
    expected = torch.stack(
        [
            torch.stack(
                [
                    torch.cat(
                        [
                            sum(bilinear_by_loop(image[b, v], point[a], point[c]) for v, (a, c) in enumerate(VIEWS))
                            for image in images
                        ]
                    )
                    for point in p[b].tolist()
                ]
            )
            for b in range(2)
        ]
    )
    assert_close(bilinear(planes, p, VIEWS), expected)
    assert_close(torch.cat([_plane_sampled(plane, p, VIEWS) for plane in planes], dim=2), expected)


def test_joined_nodes_are_in_the_order_of_their_digits():
    plane = random_planes()[1]
    square = joined(plane)
    for row, column in itertools.product(range(12), repeat=2):
        digits = row // 4, column // 4, row // 2 % 2, column // 2 % 2, row % 2, column % 2
        assert torch.equal(square[:, :, row, column], plane[(slice(None), slice(None), *digits)])


@pytest.mark.parametrize("which", [0, 1])
def test_both_ways_to_look_up_have_the_same_gradients(which: int):
    plane, p = random_planes(torch.float64)[which].requires_grad_(), random_points(30, torch.float64).requires_grad_()
    found = [look_up(plane, p, VIEWS) for look_up in (_plane_rows, _plane_sampled)]
    assert_close(*found, rtol=0, atol=1e-13)
    weights = torch.randn(found[0].shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradients = [torch.autograd.grad((values * weights).sum(), (plane, p)) for values in found]
    for ours, theirs in zip(*gradients, strict=True):
        assert_close(ours, theirs, rtol=0, atol=1e-13)
        assert ours.abs().max() > 0.1


def test_one_shape_may_be_expanded_to_many():
    plane, p = random_planes()[1][:1], random_points(9)
    expected = torch.cat([bilinear([plane], points[None], VIEWS) for points in p])
    assert_close(bilinear([plane.expand(2, *plane.shape[1:])], p, VIEWS), expected)


def test_half_precision_planes_are_looked_up_at_full_precision_places():
    plane, p = random_planes()[0].bfloat16(), random_points(9)
    found = bilinear([plane], p, VIEWS)
    assert found.dtype == torch.float32
    assert_close(found, bilinear([plane.float()], p, VIEWS))


def test_views_of_a_plane_decoder_do_not_mix():
    torch.manual_seed(0)
    decoder = QuadtreePlanes(5, [4, 8], [3, 2])
    numbers = torch.randn(2, 5)
    before = [plane.clone() for plane in decoder(numbers)]
    assert [tuple(plane.shape) for plane in before] == [(2, 3, 4, 4, 3), (2, 3, 4, 4, 2, 2, 2)]
    with torch.no_grad():  # the linear map's part for the second view
        decoder.from_numbers.weight.view(3, -1)[1] += 1
    for old, new in zip(before, decoder(numbers), strict=True):
        assert torch.equal(old[:, [0, 2]], new[:, [0, 2]])
        assert (old[:, 1] - new[:, 1]).abs().max() > 1e-3


def test_a_split_is_a_transposed_convolution_grouped_by_view_with_a_bias_for_each_finer_node():
    torch.manual_seed(0)
    decoder = QuadtreePlanes(5, [4, 8, 16], [3, 2, 4])
    numbers = torch.randn(2, 5)
    planes = decoder(numbers)
    level = decoder.from_numbers(numbers).view(2, 9, 2, 2)
    level = F.conv_transpose2d(F.silu(level), decoder.first.weight, decoder.first.bias, stride=2, padding=1, groups=3)
    assert_close(planes[0], level.unflatten(1, (3, -1)).movedim(2, 4))
    for split, plane in zip(decoder.splits, planes[1:], strict=True):
        kernel = split.weight.flatten(0, 1).unflatten(1, (2, 2, -1)).permute(0, 3, 1, 2)  # (3 C, C', 2, 2)
        bias = split.bias.view(3, 2, 2, -1).permute(0, 3, 1, 2).flatten(0, 1)  # (3 C', 2, 2)
        level = F.conv_transpose2d(F.silu(level), kernel, stride=2, groups=3)
        level = level + bias.repeat(1, *[side // 2 for side in level.shape[2:]])
        assert_close(joined(plane), level.unflatten(1, (3, -1)).movedim(2, 4))


def test_sizes_that_do_not_fit_are_told():
    with pytest.raises(UserError, match=r"plane_resolution \[4, 6\] with plane_channels \[3, 2\]"):
        QuadtreePlanes(5, [4, 6], [3, 2])
