"""What to decode with a trained flow: new shapes, stored codes, paths between two shapes."""

from argparse import Namespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from configs.layout import Experiment
from models.checkpoints import best_checkpoint
from models.codes import Codes, fingerprint, load_codes, read_index
from models.decoder import Code, Decoder, Shapes, shape_generator
from models.real_nvp import CodeFlow
from models.rnvp_training import check_same_ndf, load_flow, rnvp_checkpoint_path


class Generator(Decoder):
    """The two frozen networks of an experiment and what is made with them.

    Raises UserError for a plain NDF, which has no codes, and where a network is missing or of another one's codes.
    """

    def __init__(self, cfg: Namespace):
        super().__init__(cfg)
        if self.ndf.code_kind == "none":
            raise UserError(
                "code_kind none found, a plain NDF without codes for a flow; vector, grid or fused expected. Its test"
                " shapes: generate.py --mode reconstruct, then evaluate.py --tasks reconstruction"
            )
        self.rnvp_path = rnvp_checkpoint_path(cfg)
        self.sources |= {"rnvp_checkpoint": str(self.rnvp_path), "rnvp_sha256": fingerprint(self.rnvp_path)}
        ndf_sha256, codes = self.sources["ndf_sha256"], self.experiment.codes
        self.flow: CodeFlow = load_flow(self.rnvp_path, cfg, self.ndf.code_shape, ndf_sha256, self.device)
        if (codes / "train.json").is_file():
            check_same_ndf(read_index(codes, "train")["sha256"], ndf_sha256, f"the codes in {codes}")

    def sampled(self, num: int, seed: int, first: int = 0) -> Shapes:
        """New shapes, numbers first, first + 1, ... of a seed. None depends on the others, the device or the batch."""
        z = self.cfg.temperature * self.latents(num, seed, first)
        codes = torch.cat([self.flow.inverse(one) for one in z.split(1)])  # one by one: a batch rounds differently
        numbers = range(first, first + num)
        facts = [{"seed": seed, "number": n, "temperature": self.cfg.temperature} for n in numbers]
        return Shapes(codes, [str(n) for n in numbers], facts)

    def latents(self, num: int, seed: int, first: int = 0) -> Tensor:
        """Standard normal (num, D), row n from a generator of its own, number first + n."""
        rows = [torch.randn(self.flow.dim, generator=shape_generator(seed, first + n)) for n in range(num)]
        return torch.stack(rows).to(self.device)

    def reconstructed(self, split: str, num: int | None = None) -> Shapes:
        """Shapes of a split from their own codes."""
        stored = load_codes(self.cfg, split).one_per_shape()
        names = [row["name"] for row in stored.rows][:num]
        return Shapes(torch.from_numpy(np.array(stored.codes[:num])).to(self.device), names)

    def interpolated(self, num: int) -> Shapes:
        """A straight path between the latents z of two test shapes: every point of it is a likely shape."""
        stored = load_codes(self.cfg, "test").one_per_shape()
        ends = [
            find_shape(stored, self.cfg.interpolate_from, default=0),
            find_shape(stored, self.cfg.interpolate_to, default=1),
        ]
        codes = torch.from_numpy(np.array(stored.codes[ends])).to(self.device)
        z, _ = self.flow(codes)
        share = torch.linspace(0, 1, num, device=self.device)[:, None]
        path = self.flow.inverse((1 - share) * z[0] + share * z[1])
        end_names = [stored.rows[end]["name"] for end in ends]
        facts = [{"between": end_names, "share": n / max(1, num - 1)} for n in range(num)]
        return Shapes(path, [f"{n:03d}" for n in range(num)], facts)

    def arrays_of(self, code: Code) -> dict[str, Any]:
        """The code, its log_likelihood (nats) and nll_nats_per_dim (whitened)."""
        with torch.no_grad():
            log_likelihood, nats_per_dim = self.flow.log_prob(code).item(), self.flow.nats_per_dim(code).item()
        return super().arrays_of(code) | {"log_likelihood": log_likelihood, "nll_nats_per_dim": nats_per_dim}


def has_flow(cfg: Namespace) -> bool:
    """Whether the experiment has a trained flow, or the configuration names one."""
    if cfg.code_kind == "none":
        return False
    return bool(cfg.rnvp_checkpoint) or best_checkpoint(Experiment(cfg).rnvp_checkpoints) is not None


def find_shape(stored: Codes, name: str | None, default: int) -> int:
    """The row of a test shape by name, or the default one. Raises UserError if there is none of that name."""
    names = [row["name"] for row in stored.rows]
    if name is None:
        return min(default, len(names) - 1)
    if name not in names:
        raise UserError(f"no test shape is named {name!r}; the test split has {', '.join(names[:3])}, ...")
    return names.index(name)
