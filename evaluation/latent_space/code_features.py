"""Features from which attributes are read: codes, codes with noise, codes of decoded shapes, and input occupancies."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from tqdm import tqdm

from configs.options import Config
from dataprocessing.stored_points import read_input_cloud
from evaluation.latent_space.decoded import decoded_clouds
from frozen.checkpoint_files import load_checkpoint
from generation.latents import in_parts
from generation.networks import Networks
from models.occupancy import occupancy_from_points
from runtime.seeds import REFERENCE_STREAMS, random_stream
from training.encoding import encode_batches

Codes = NDArray[np.float32]  # (S, *code_shape)
CLOUDS_AT_A_TIME = 16


def occupied_nodes(folders: Sequence[Path], resolutions: Sequence[int], cfg: Config) -> dict[int, csr_matrix]:
    """The occupancies of the stored input clouds at each resolution R: R -> (S, R^3), float32 zeros and ones."""
    nodes: dict[int, list[NDArray[np.int64]]] = {resolution: [] for resolution in resolutions}
    with tqdm(total=len(folders), desc="reading input clouds", unit="cloud", disable=None) as bar:
        for start in range(0, len(folders), CLOUDS_AT_A_TIME):
            some = folders[start : start + CLOUDS_AT_A_TIME]
            clouds = torch.from_numpy(np.stack([read_input_cloud(folder, cfg) for folder in some]))
            for resolution, found in nodes.items():
                grids = occupancy_from_points(clouds, resolution, cfg.grid.bb_min, cfg.grid.bb_max).flatten(1)
                found += [grid.nonzero()[:, 0].numpy() for grid in grids]
            bar.update(len(some))
    matrices = {}
    for resolution, found in nodes.items():
        ends = np.cumsum([0, *map(len, found)])
        columns = np.concatenate(found)
        entries = np.ones(len(columns), np.float32)
        matrices[resolution] = csr_matrix((entries, columns, ends), shape=(len(folders), resolution**3))
    return matrices


def noise_of(networks: Networks) -> float:
    """sd of the noise that codes are to bear, relative to their spread: the flow's, or code_noise without a flow."""
    return load_checkpoint(networks.rnvp_path)["flow_noise"] if networks.has_flow else networks.cfg.network.code_noise


@torch.no_grad()
def noised_codes(networks: Networks, codes: Codes, spread: float, stream: int) -> Codes:
    """Codes with isotropic noise of sd `noise_of`, in the codes' own units, as the flow sees them in its training.

    spread: root mean square of the standard deviations of the training codes' entries, for codes without a flow.
    stream: number of the random stream.
    """
    noise, generator = noise_of(networks), random_stream(networks.cfg.run.seed, stream)
    if networks.has_flow:
        flow = networks.flow
        parts = in_parts(networks, codes)
        noised = [flow.unwhiten(flow.whiten_noised(part, noise, generator)).cpu() for part in parts]
        return torch.cat(noised).numpy()
    drawn = torch.randn(codes.shape, generator=generator).numpy()
    return np.asarray(codes + noise * spread * drawn, np.float32)


def flat(codes: Codes) -> NDArray[np.float32]:
    """(S, *code_shape) -> (S, D), also for S = 0."""
    return codes.reshape(len(codes), math.prod(codes.shape[1:]))


def spread_of(codes: Codes) -> float:
    """Root mean square of the standard deviations of the codes' entries."""
    return float(np.sqrt(np.mean(np.var(codes, axis=0, dtype=np.float64))))


def codes_of_decoded(networks: Networks, codes: Codes) -> Codes:
    """Codes (S, *code_shape) decoded to clouds of as many points as an input cloud has, and encoded again."""
    cfg = networks.cfg
    given = torch.tensor(codes, device=networks.device)
    clouds = decoded_clouds(networks, given, cfg.grid.num_points, "attributes_test", "test shapes", REFERENCE_STREAMS)
    return np.concatenate(list(encode_batches(networks.ndf, clouds, len(clouds), cfg, networks.device, "them again")))
