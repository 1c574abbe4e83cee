"""Faster ways to compute plain formulas. A network says what it computes; this folder chooses how, mostly by device.

| here                                | what it computes                          | how, on a CPU                  |
|-------------------------------------|-------------------------------------------|--------------------------------|
| `linear(x, weight, bias)`           | x W^T + b                                 | oneDNN where it is faster      |
| `couple(x, couplings, dropouts)`    | affine couplings by residual MLPs         | one step of autograd           |
| `trilinear(grids, p, offsets)`      | feature grids, interpolated around points | weighted sums of rows of nodes |
| `bilinear(planes, p, views)`        | feature planes, summed over the views     | weighted sums of rows of nodes |
| `values_around(p, nodes, offsets)`  | one shape's grids or planes, fixed        | the same, place by place       |
| `first_convolution(conv, x, ...)`   | a pyramid's first layer, in training      | where the shape is             |
| `nearest(places, points, count)`    | neighbours in a cloud                     | KD-trees                       |
| `SparsePyramid(layers, input_fold)` | a frozen pyramid's last level             | where the shape is; Winograd   |

On other devices these are torch's own functions. Each has a test against the plain formula; results differ from it by
rounding alone.
"""

from models.kernels.couplings import Coupling, Dropout, can_couple, couple, uncouple
from models.kernels.fixed_nodes import Nodes, grid_nodes, plane_nodes, values_around
from models.kernels.interpolation import bilinear, trilinear
from models.kernels.neighbours import nearest, nearest_in, rows
from models.kernels.occupied_nodes import first_convolution
from models.kernels.products import linear
from models.kernels.sparse_pyramid import Layer, SparsePyramid

__all__ = [
    "Coupling",
    "Dropout",
    "Layer",
    "Nodes",
    "SparsePyramid",
    "bilinear",
    "can_couple",
    "couple",
    "first_convolution",
    "grid_nodes",
    "linear",
    "nearest",
    "nearest_in",
    "plane_nodes",
    "rows",
    "trilinear",
    "uncouple",
    "values_around",
]
