"""NDF against a second implementation, written plainly from the paper and the names of the published weights."""

import pytest
import torch
from torch.testing import assert_close

from lab.small.network_weights import random_weights
from models.kernels import trilinear
from models.ndf import NDF, NDF_CHANNELS, place_offsets

# The convolutions and batch norms of the published network: name -> (channels in, channels out).
PUBLISHED = {
    "conv_in": (1, 16), "conv_0": (16, 32), "conv_0_1": (32, 32), "conv_1": (32, 64), "conv_1_1": (64, 64),
    "conv_2": (64, 128), "conv_2_1": (128, 128), "conv_3": (128, 128), "conv_3_1": (128, 128),
    "conv_4": (128, 128), "conv_4_1": (128, 128),
}  # fmt: skip
PUBLISHED_NORMS = {
    "conv_in_bn": 16, "conv0_1_bn": 32, "conv1_1_bn": 64, "conv2_1_bn": 128, "conv3_1_bn": 128, "conv4_1_bn": 128,
}  # fmt: skip


def trilinear_by_loop(grid: torch.Tensor, p: list[float]) -> torch.Tensor:
    """Corners aligned, border padding, by an explicit loop. grid (C, R, R, R) axes x y z; p = (z, y, x). (C,)."""
    size = grid.shape[-1]
    position = [min(max((c + 1) / 2 * (size - 1), 0), size - 1) for c in (p[2], p[1], p[0])]
    total = torch.zeros(grid.shape[0], dtype=grid.dtype)
    for corner in range(8):
        weight, index = 1.0, []
        for axis in range(3):
            low = min(int(position[axis]), max(size - 2, 0))
            part = position[axis] - low
            up = corner >> axis & 1
            weight *= part if up else 1 - part
            index.append(min(low + up, size - 1))
        total += weight * grid[:, index[0], index[1], index[2]]
    return total


def plain_ndf(w: dict[str, torch.Tensor], p: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The network of one occupancy (R, R, R) at points (N, 3), point by point. Returns (N,)."""

    def conv(h: torch.Tensor, name: str) -> torch.Tensor:
        size, kernel = h.shape[1], w[f"{name}.weight"]
        padded = torch.zeros(h.shape[0], size + 2, size + 2, size + 2, dtype=h.dtype)
        padded[:, 1:-1, 1:-1, 1:-1] = h
        out = w[f"{name}.bias"][:, None, None, None].expand(-1, size, size, size).clone()
        for i in range(27):
            a, b, c = i // 9, i // 3 % 3, i % 3
            part = padded[:, a : a + size, b : b + size, c : c + size]
            out += torch.einsum("oi,ixyz->oxyz", kernel[:, :, a, b, c], part)
        return out.clamp(min=0)

    def norm(h: torch.Tensor, name: str) -> torch.Tensor:
        shape = (-1, 1, 1, 1)
        scaled = (h - w[f"{name}.running_mean"].view(shape)) / (w[f"{name}.running_var"].view(shape) + 1e-5).sqrt()
        return scaled * w[f"{name}.weight"].view(shape) + w[f"{name}.bias"].view(shape)

    def pool(h: torch.Tensor) -> torch.Tensor:
        half = h.shape[1] // 2
        return h[:, : 2 * half, : 2 * half, : 2 * half].reshape(-1, half, 2, half, 2, half, 2).amax(dim=(2, 4, 6))

    h = norm(conv(x[None], "conv_in"), "conv_in_bn")
    grids = [x[None], h]
    for i in range(5):
        h = norm(conv(conv(pool(h), f"conv_{i}"), f"conv_{i}_1"), f"conv{i}_1_bn")
        grids.append(h)
    d = 0.0722
    shifts = [(0, 0, 0), (-d, 0, 0), (d, 0, 0), (0, -d, 0), (0, d, 0), (0, 0, -d), (0, 0, d)]
    result = []
    for point in p.tolist():
        numbers = []
        for grid in grids:
            at = [trilinear_by_loop(grid, [c + s for c, s in zip(point, shift, strict=True)]) for shift in shifts]
            numbers += [at[k][c] for c in range(grid.shape[0]) for k in range(7)]
        h = torch.stack(numbers + [torch.tensor(c, dtype=p.dtype) for c in point])
        for name in ("fc_0", "fc_1", "fc_2", "fc_out"):
            h = (w[f"{name}.weight"][:, :, 0] @ h + w[f"{name}.bias"]).clamp(min=0)
        result.append(h[0])
    return torch.stack(result)


def test_ndf_equals_a_plain_implementation_of_the_published_network():
    model = random_weights(NDF().double(), seed=3)
    generator = torch.Generator().manual_seed(4)
    x = (torch.rand(2, 37, 37, 37, generator=generator) > 0.8).double()  # odd, so that pooling drops a border
    p = torch.rand(2, 7, 3, generator=generator, dtype=torch.float64) * 2.4 - 1.2  # some beyond the border
    with torch.no_grad():
        found = model(p, x)
        expected = torch.stack([plain_ndf(model.state_dict(), p[i], x[i]) for i in range(2)])
    assert found.shape == (2, 7)
    assert (expected > 1e-3).sum() >= 7  # not all cut to 0 by the last ReLU
    assert_close(found, expected)


def test_parameters_have_the_published_names_and_shapes():
    shapes = {name: tuple(value.shape) for name, value in NDF().state_dict().items()}
    expected = {}
    for name, (c_in, c_out) in PUBLISHED.items():
        expected |= {f"{name}.weight": (c_out, c_in, 3, 3, 3), f"{name}.bias": (c_out,)}
    for name, c in PUBLISHED_NORMS.items():
        expected |= {f"{name}.{part}": (c,) for part in ("weight", "bias", "running_mean", "running_var")}
        expected[f"{name}.num_batches_tracked"] = ()
    for name, c_in, c_out in (("fc_0", 3482, 512), ("fc_1", 512, 256), ("fc_2", 256, 256), ("fc_out", 256, 1)):
        expected |= {f"{name}.weight": (c_out, c_in, 1), f"{name}.bias": (c_out,)}
    assert shapes == expected


def test_axes_of_points_are_z_y_x_and_those_of_the_grid_x_y_z():
    grid = torch.zeros(1, 1, 5, 5, 5)
    grid[0, 0, 4, 2, 0] = 1  # x at its end, y in the middle, z at its start
    here = torch.tensor([[[-1.0, 0.0, 1.0]]])  # z, y, x
    assert trilinear([grid], here, place_offsets(1)).item() == 1


def test_look_up_is_channel_by_channel_with_the_place_fastest():
    ramp = torch.linspace(-1, 1, 9)
    z = ramp.expand(9, 9, 9)
    grids = [torch.stack([z, 10 * z])[None], 100 * z[None, None]]  # values z, 10 z, 100 z at grid coordinate z
    found = trilinear(grids, torch.zeros(1, 1, 3), place_offsets())[0, 0].view(3, 7)
    expected = torch.tensor([0, -0.0722, 0.0722, 0, 0, 0, 0])
    assert_close(found, torch.stack([expected, 10 * expected, 100 * expected]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [NDF_CHANNELS[:3], (5, 7)])
def test_every_parameter_gets_a_gradient_at_other_sizes(channels: tuple[int, ...]):
    model = random_weights(NDF(channels, hidden_dim=9), seed=1).train()
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(2, 9, 9, 9, generator=generator) > 0.7).float()
    raw = model.point_network(torch.randn(2, 11, model.fc_0.in_channels, generator=generator))
    (model(torch.rand(2, 50, 3, generator=generator) * 2 - 1, x).sum() + raw.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
