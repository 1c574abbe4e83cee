"""RealNVP on frozen shape codes: `build_flow` makes the flow for a kind of code.

A code goes through a whitening (`whitening.py`), a fixed scale, and the body (`vector_flow.py` or `grid_flow.py`) to z,
whose density is that of the base (`base.py`); `CodeFlow` is all of it. A body is made of couplings (`couplings.py`),
whose scales and shifts come from nets (`nets.py`), and of layers without parameters (`bijections.py`). Each can be
used alone: its docstring has its formula, its source and an example. `gaussian.py` is what a flow has to beat.
"""

import math
from collections.abc import Mapping
from typing import Any

from models.real_nvp.base import build_base
from models.real_nvp.code_flow import CodeFlow
from models.real_nvp.grid_flow import GridFlow
from models.real_nvp.vector_flow import VectorFlow
from models.real_nvp.whitening import LogitStandardise, PCAWhitening, Standardise
from runtime.errors import UserError

FLOW_OPTIONS = (
    "flow_couplings",
    "flow_hidden",
    "flow_blocks",
    "flow_dims",
    "flow_tail_couplings",
    "flow_scales",
    "flow_s_max",
    "flow_dropout",
    "flow_base",
    "flow_components",
)


def flow_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that `build_flow` takes, from a whole configuration."""
    return {name: config[name] for name in FLOW_OPTIONS}


def build_flow(
    code_kind: str,
    code_shape: tuple[int, ...],
    *,
    flow_couplings: int,
    flow_hidden: int,
    flow_blocks: int,
    flow_dims: int,
    flow_tail_couplings: int,
    flow_scales: int,
    flow_s_max: float,
    flow_dropout: float,
    flow_base: str = "normal",
    flow_components: int = 1,
) -> CodeFlow:
    """A new flow for codes of `code_shape`: (D,) for `vector`, (C, r, r, r) for `grid` and `fused`.

    The options are those of configs/options; flow_dims and flow_tail_couplings are for vectors only, flow_scales for
    3-D codes; flow_components for a mixture. Fit the whitening, then the base, then train.
    Raises UserError for an unsupported kind or shape.
    """
    code_shape = tuple(int(size) for size in code_shape)
    base = build_base(flow_base, math.prod(code_shape), flow_components)
    nets: dict[str, Any] = {"hidden": flow_hidden, "blocks": flow_blocks, "s_max": flow_s_max, "dropout": flow_dropout}
    if code_kind == "vector" and len(code_shape) == 1 and code_shape[0] >= 2:
        tail = flow_tail_couplings
        flow = VectorFlow(code_shape[0], flow_couplings, **nets, leading=flow_dims, tail_couplings=tail)
        return CodeFlow(code_kind, code_shape, PCAWhitening(code_shape[0]), flow, base)
    if code_kind in ("grid", "fused") and len(code_shape) == 4 and len(set(code_shape[1:])) == 1:
        whitening = LogitStandardise(code_shape) if code_kind == "fused" else Standardise(code_shape)
        grid_flow = GridFlow(code_shape, flow_couplings, flow_scales, **nets)
        return CodeFlow(code_kind, code_shape, whitening, grid_flow, base)
    raise UserError(
        f"code_kind {code_kind!r} with codes of shape {code_shape} found, 'vector' with (D,), D >= 2, or 'grid' or"
        f" 'fused' with (C, r, r, r) expected; set code_kind as it was for the codes"
    )
