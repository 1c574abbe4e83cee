"""Maps of shapes: their codes, and the flow's z, each on its first two principal directions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from configs.options import Config
from evaluation.latent_space.parameters import demo_parameters
from frozen.codes import SPLITS, load_codes
from generation.latents import latents_of
from generation.networks import Networks
from generation.sampling import drawn_codes
from training.code_spectrum import PrincipalAxes
from visualization.latent_space_plots import NO_STYLE, Panel

NUM_SAMPLES = 200  # of the flow, in the map; not decoded


@dataclass
class ShownShapes:
    """Some shapes of all splits. codes: (S, *code_shape) float32; rows: name, folder, split and style of each."""

    codes: NDArray[np.float32]
    rows: list[dict[str, Any]]

    def column(self, key: str) -> list[str]:
        return [row[key] for row in self.rows]


def choose_shapes(cfg: Config) -> ShownShapes:
    """num_map_shapes random shapes of all splits, or all if there are fewer, ordered by split."""
    stored = {split: load_codes(cfg, split) for split in SPLITS}
    every = [(split, i) for split in SPLITS for i in stored[split].plain_indices()]
    if len(every) > cfg.analysis.num_map_shapes:
        chosen = np.random.default_rng(cfg.run.seed).choice(len(every), cfg.analysis.num_map_shapes, replace=False)
        every = [every[i] for i in np.sort(chosen)]
    folders = {split: stored[split].folders(cfg) for split in SPLITS}
    rows = []
    for split, i in every:
        folder = folders[split][i]
        style = body_style(folder, cfg)
        rows.append({"name": stored[split].rows[i]["name"], "folder": str(folder), "split": split, "style": style})
    return ShownShapes(np.stack([stored[split].codes[i] for split, i in every]), rows)


def body_style(folder: Path, cfg: Config) -> str:
    """The `style` of a demo car, from its parameters; else "-"."""
    return str((demo_parameters(folder, cfg) or {}).get("style", NO_STYLE))


def map_panels(networks: Networks, shown: ShownShapes) -> list[Panel]:
    """Codes and the flow's z, each on their own principal directions, with samples of the flow.

    The directions are computed from the shapes shown.
    """
    codes = torch.from_numpy(shown.codes)
    sampled = drawn_codes(networks, NUM_SAMPLES, networks.cfg.run.seed)
    pairs = {
        "Codes": (codes.flatten(1).numpy(), sampled.flatten(1).cpu().numpy()),
        "The flow's z of the codes": tuple(latents_of(networks, some).cpu().numpy() for some in (codes, sampled)),
    }
    panels = []
    for title, (shapes, samples) in pairs.items():
        axes = PrincipalAxes(shapes)
        labels = [f"direction {k + 1}: {100 * share:.1f} % of the variance" for k, share in enumerate(axes.shares[:2])]
        panels.append(Panel(title, labels, axes(shapes, 2), axes(samples, 2)))
    return panels
