"""Feature planes: bilinear look-up against a double loop, views that do not mix, sizes of the decoder."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from configs.errors import UserError
from models.feature_planes import VIEWS, PlaneDecoder, look_up_planes


def bilinear(image: torch.Tensor, column: float, row: float) -> torch.Tensor:
    """image: (C, R, R); column and row in [-1, 1] from the first node to the last, beyond them the border's value."""
    size = image.shape[-1]
    place = [min(max((v + 1) / 2 * (size - 1), 0), size - 1) for v in (row, column)]
    low = [min(int(v), size - 2) for v in place]
    value = torch.zeros(len(image))
    for i, j in itertools.product((0, 1), repeat=2):
        weight = abs(1 - i - (place[0] - low[0])) * abs(1 - j - (place[1] - low[1]))
        value += weight * image[:, low[0] + i, low[1] + j]
    return value


def test_look_up_is_the_sum_of_three_bilinear_values():
    generator = torch.Generator().manual_seed(0)
    planes = [torch.randn(2, 3, channels, size, size, generator=generator) for channels, size in ((4, 5), (3, 9))]
    p = 2.2 * torch.rand(2, 7, 3, generator=generator) - 1.1  # some outside
    expected = torch.stack(
        [
            torch.stack(
                [
                    torch.cat(
                        [
                            sum(bilinear(plane[b, v], point[a], point[c]) for v, (a, c) in enumerate(VIEWS))
                            for plane in planes
                        ]
                    )
                    for point in p[b].tolist()
                ]
            )
            for b in range(2)
        ]
    )
    assert_close(look_up_planes(planes, p), expected)


def test_views_of_a_plane_decoder_do_not_mix():
    torch.manual_seed(0)
    decoder = PlaneDecoder(5, [4, 8], [3, 2])
    numbers = torch.randn(2, 5)
    before = [plane.clone() for plane in decoder(numbers)]
    assert [tuple(plane.shape) for plane in before] == [(2, 3, 3, 4, 4), (2, 3, 2, 8, 8)]
    with torch.no_grad():  # the linear map's part for the second view
        decoder.from_numbers.weight.view(3, -1)[1] += 1
    for old, new in zip(before, decoder(numbers), strict=True):
        assert torch.equal(old[:, [0, 2]], new[:, [0, 2]])
        assert (old[:, 1] - new[:, 1]).abs().max() > 1e-3


def test_sizes_that_do_not_fit_are_told():
    with pytest.raises(UserError, match=r"plane_resolution \[4, 6\] with plane_channels \[3, 2\]"):
        PlaneDecoder(5, [4, 6], [3, 2])
