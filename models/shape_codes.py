"""Shape codes: five kinds of NDF behind one interface (encode, features, query), and the options that make each.

| code_kind | code                      | made by                                                 | file            |
|-----------|---------------------------|---------------------------------------------------------|-----------------|
| none      | the pyramid itself        | plain NDF, no bottleneck                                | `ndf.py`        |
| points    | features of input points  | messages between neighbours, no bottleneck              | `point_ndf.py`  |
| fused     | (sum C_i, r, r, r) [0, 1) | every level resampled to r^3, ReLU(tanh): the thesis    | `fused_ndf.py`  |
| grid      | (D, r, r, r)              | every level pooled to r^3, a learned projection         | `grid_ndf.py`   |
| vector    | (D,)                      | principal components, the last level projected, or both | `vector_ndf.py` |
"""

from collections.abc import Mapping
from typing import Any

from models.bottleneck_ndf import BottleneckNDF
from models.distance_network import DistanceNetwork
from models.fused_ndf import FusedNDF
from models.grid_ndf import GridNDF
from models.ndf import NDF
from models.point_ndf import PointNDF
from models.vector_ndf import VectorNDF

# The options that define an architecture: checkpoints store them, and a different value is a different network.
_PLAIN = ("encoder_channels", "hidden_dim", "input_features", "distance_head")
_BOTTLENECK = (*_PLAIN, "latent_dim", "decoder_resolution", "decoder_channels", "num_places")
_PLANES = ("plane_resolution", "plane_channels")
_PCA = ("pca_dims", "pca_resolution", "pca_view_weight")
ARCHITECTURE = {
    "none": _PLAIN,
    "points": _PLAIN,
    "fused": (*_PLAIN, "out_resolution"),
    "grid": (*_BOTTLENECK, "out_resolution"),
    "vector": (*_BOTTLENECK, "decoder_hidden", "input_res", "input_fold", *_PLANES, "code_encoder", *_PCA),
}


def build_ndf(options: Mapping[str, Any]) -> DistanceNetwork:
    """The network described by the options (of a config, or stored in a checkpoint), with random weights."""
    kind = options["code_kind"]
    sizes = {name: options[name] for name in ARCHITECTURE[kind]}
    sizes["channels"] = tuple(sizes.pop("encoder_channels"))
    if kind == "none":
        return NDF(**sizes)
    if kind == "fused":
        return FusedNDF(**sizes)
    if kind == "points":
        return PointNDF(sizes["channels"], sizes["hidden_dim"], sizes["distance_head"])
    network: type[BottleneckNDF] = {"grid": GridNDF, "vector": VectorNDF}[kind]
    return network(**sizes, code_noise=options["code_noise"])


def former_variant(options: Mapping[str, Any], weights: Mapping[str, Any]) -> str:
    """Why a network of an earlier version cannot be built by this one, in words; empty if it can.

    options, weights: of its checkpoint. Those of the first versions do not say how their planes are made.
    """
    if any("to_planes.upsamplers." in name for name in weights):
        decoder = options.get("plane_decoder", "convolution")
        return f"plane_decoder = {decoder}, this version has quadtree alone"
    posterior = options.get("code_posterior", "fixed")
    if options["code_kind"] in ("grid", "vector") and posterior != "fixed":
        return f"code_posterior = {posterior}, this version has fixed alone"
    return ""
