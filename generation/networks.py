"""The frozen networks of an experiment: the NDF, and the flow over its codes."""

from pathlib import Path

from torch import Tensor

from configs.options import Config
from frozen.checkpoint_files import fingerprint, ndf_checkpoint_path, rnvp_checkpoint_path
from frozen.codes import read_index
from frozen.loading import check_same_ndf, load_flow, load_frozen_ndf
from generation.distance_fields import NetworkField
from models.distance_network import WITHOUT_CODE, DistanceNetwork
from models.real_nvp import CodeFlow
from runtime.devices import pick_device
from runtime.errors import UserError, note


class Networks:
    """The NDF that the configuration names, and its flow if there is one (reconstruction needs none).

    Attributes: cfg, experiment, device, ndf, ndf_path, sources (paths and SHA-256 of both files). `flow` and
    `rnvp_path` raise UserError if there is none. Raises UserError if the NDF is missing, or if the flow or the stored
    codes belong to another NDF.

    alone: whether the NDF suffices, as for reconstruction. Stored codes then do not matter, and a flow of the
    experiment that belongs to another NDF counts as none, with a note, unless `rnvp_checkpoint` names it.
    """

    def __init__(self, cfg: Config, alone: bool = False):
        self.cfg, self.experiment, self.device = cfg, cfg.experiment, pick_device(cfg.run)
        self.ndf_path = ndf_checkpoint_path(cfg)
        self.sources = {"ndf_checkpoint": str(self.ndf_path), "ndf_sha256": fingerprint(self.ndf_path)}
        self.ndf: DistanceNetwork = load_frozen_ndf(self.ndf_path, cfg, self.device)
        path = None if self.ndf.code_kind in WITHOUT_CODE else rnvp_checkpoint_path(cfg)
        self.last_field: tuple[Tensor, NetworkField] | None = None  # of the code that was decoded last (`field_of`)
        self._flow = None if path is None else self._load_flow(path, alone)

    def _load_flow(self, path: Path, alone: bool) -> tuple[Path, CodeFlow] | None:
        ndf_sha256, codes = self.sources["ndf_sha256"], self.experiment.codes
        try:
            flow = load_flow(path, self.cfg, self.ndf.code_shape, ndf_sha256, self.device)
        except UserError as error:
            if not alone or self.cfg.weights.rnvp_checkpoint:
                raise
            note(f"reconstructed without a flow, since {error}")
            return None
        if (codes / "train.json").is_file() and not alone:
            check_same_ndf(read_index(codes, "train")["sha256"], ndf_sha256, f"the codes in {codes}")
        self.sources |= {"rnvp_checkpoint": str(path), "rnvp_sha256": fingerprint(path)}
        return path, flow

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of both files."""
        return {name: value for name, value in self.sources.items() if name.endswith("sha256")}

    @property
    def has_flow(self) -> bool:
        return self._flow is not None

    @property
    def flow(self) -> CodeFlow:
        return self._path_and_flow()[1]

    @property
    def rnvp_path(self) -> Path:
        return self._path_and_flow()[0]

    def _path_and_flow(self) -> tuple[Path, CodeFlow]:
        if self._flow is not None:
            return self._flow
        if (kind := self.ndf.code_kind) in WITHOUT_CODE:
            raise UserError(
                f"code_kind {kind} found, a network without codes for a flow; vector, grid or fused expected. Its test"
                " shapes: generate.py --mode reconstruct, then evaluate.py --tasks reconstruction"
            )
        raise UserError(
            f"no RealNVP checkpoint in {self.experiment.rnvp_checkpoints}; train one with: python train_rnvp.py"
            f" --config {self.cfg.run.config}"
        )
