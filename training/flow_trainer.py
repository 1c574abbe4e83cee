"""Training a RealNVP on frozen shape codes."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from configs.options import Config
from frozen.checkpoint_files import load_checkpoint, ndf_checkpoint_path
from frozen.codes import EXTRA, SPLITS, has_extra, load_codes, load_flow_codes, read_index
from models.real_nvp import CodeFlow, build_flow, flow_options
from runtime.devices import pick_device
from runtime.seeds import step_seed
from training.bad_steps import suspects
from training.code_nna import nna_while_training
from training.code_spectrum import record_spectrum
from training.distributed import first_only, from_first, over_all, own_part
from training.hparams import record_hparams
from training.progress_log import ProgressLog, picture_steps
from training.same_training import NO_EXTRAS, Wanted, of_codes
from training.training_run import EXIT_STOPPED, AveragedWeights, StopRequest, TrainingRun, learning_rate, record_config

Draw = Callable[[ProgressLog, CodeFlow], None]  # logs pictures of the flow as it is

WEIGHT_DECAY = 1e-2
MOST_TRAIN_CODES = 4096  # training codes whose NLL is told at each validation
QUANTILES = (0.5, 0.99, 0.999)  # of the training codes, told in the checkpoint
LOG_EVERY = 50  # steps between points of the curves of the training itself
VALIDATION_DRAWS = 8  # noise draws per validation code: their mean is stable enough to compare steps


class FlowTrainer:
    """Trains one experiment's flow, from scratch or from its latest checkpoint. All codes are held in memory."""

    def __init__(self, cfg: Config, draw: Draw | None = None):
        self.cfg, self.experiment, self.draw = cfg, cfg.experiment, draw
        self.device = pick_device(cfg.run)
        self.noise = cfg.flow.flow_noise
        train, val = load_flow_codes(cfg), load_codes(cfg, "val").one_per_shape()
        self.train_codes, self.val_codes = train.tensor().to(self.device), val.tensor().to(self.device)
        self.batch_size = min(cfg.flow.flow_batch_size, len(self.train_codes))
        self.part = own_part(self.batch_size, "flow_batch_size")
        self.names = [row["name"] for row in train.rows]
        plain = train.plain_indices()
        self.plain_codes = self.train_codes[plain[:: -(-len(plain) // MOST_TRAIN_CODES)]]
        self.trained_on = self._trained_on(len(plain))
        torch.manual_seed(cfg.run.seed)
        flow = build_flow(cfg.network.code_kind, tuple(self.train_codes.shape[1:]), **flow_options(cfg.values()))
        flow.fit_whitening(self.train_codes.cpu(), self.noise)
        self.flow = flow.to(self.device)
        optimizer = torch.optim.AdamW(
            self.flow.parameters(), lr=cfg.flow.flow_lr, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.run = TrainingRun(self._wanted(), self.experiment.rnvp_checkpoints, self.flow, optimizer)
        self.ndf_sha256 = read_index(self.experiment.codes, "train")["sha256"]
        state = self.run.resume()
        if not state:
            self.flow.fit_base(self.train_codes, self.noise, cfg.run.seed)
        self.average = AveragedWeights(self.flow, cfg.flow.flow_ema)
        if state:
            self.average.model.load_state_dict(state["ema_state_dict"])

    def _wanted(self) -> Wanted:
        splits = (*SPLITS, EXTRA) if has_extra(self.cfg) else SPLITS
        indexes = {split: read_index(self.experiment.codes, split) for split in splits}
        own = {
            split: index["made_of"] or {"ndf_sha256": index["sha256"], "shapes": {}} for split, index in indexes.items()
        }
        return of_codes(self.cfg, {EXTRA: NO_EXTRAS} | own)

    def _trained_on(self, num_shapes: int) -> dict[str, Any]:
        """For the checkpoint: the numbers of shapes of the split and beyond it, and where the latter come from."""
        index = read_index(self.experiment.codes, EXTRA) if has_extra(self.cfg) else {}
        num_extra = index.get("num_shapes", 0)
        return {"train": num_shapes - num_extra, "extra": num_extra, "sources": index.get("sources", [])}

    @property
    def finished(self) -> bool:
        patience = self.cfg.flow.flow_patience * self.cfg.flow.flow_val_every
        return bool(self.run.step >= self.cfg.flow.flow_steps or self.run.step - self.run.best_step >= patience)

    def train(self) -> int:
        """Train until the last step or early stopping. Returns 0, or EXIT_STOPPED if asked to stop."""
        run, stop = self.run, StopRequest()
        shapes = f"{self.trained_on['train']} shapes of the split and {self.trained_on['extra']} extra ones"
        finished = self.finished
        run.go_on(finished)
        if finished:
            print(
                f"already trained: {run.step} steps on {shapes}, best validation NLL {run.best:.4f} nats/dim in"
                f" {run.folder}"
            )
            return 0
        record_config(self.cfg, "train_rnvp")
        record_hparams(self.cfg, load_checkpoint(ndf_checkpoint_path(self.cfg)).get("config", {}))
        record_spectrum(self.cfg)
        print(f"training on {shapes}: {len(self.train_codes)} codes")
        above = int((self.flow.noise_sd(self.noise) < 1).sum())
        entries = "principal directions" if self.cfg.network.code_kind == "vector" else "numbers"
        print(
            f"{above} of {self.flow.dim} {entries} of the codes vary by more than the noise"
            f" (sd {self.noise:g} of their spread)"
        )
        gaussian = self.flow.gaussian_nats_per_dim(self.train_codes, self.val_codes, self.noise)
        self.flow.train()
        with self.progress_log() as log, tqdm(
            total=self.cfg.flow.flow_steps, initial=run.step, desc="RealNVP", unit="step", mininterval=1, disable=None
        ) as bar:  # fmt: skip
            while not self.finished:
                nll = self.train_step()
                bar.update()
                log.step("batch_nll_nats_per_dim", nll)
                due = run.step % self.cfg.flow.flow_val_every == 0 or run.step == self.cfg.flow.flow_steps
                stopping = stop.heard()
                if stopping or due:
                    values = self.validate_and_save(log, gaussian, due)
                    bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
                if stopping and not self.finished:
                    print(f"asked to stop: saved step {run.step}; run the same command to go on")
                    return EXIT_STOPPED
            log.draw_last()
        print(
            f"RealNVP: {run.step} steps; best at step {run.best_step}: validation NLL {run.best:.4f} nats/dim,"
            f" Gaussian {gaussian:.4f} (codes with noise of sd {self.noise:g} of their spread, whitened)"
        )
        log.tell()
        return 0

    def progress_log(self) -> ProgressLog:
        draw = self.draw
        return ProgressLog(
            self.experiment.summary / "rnvp",
            self.run,
            "rnvp",
            every=LOG_EVERY,
            batch_size=self.batch_size,
            unit="codes",
            lines=("train", "val", "gaussian"),
            draw=draw and (lambda log: draw(log, self.average.model)),
            drawn_at=picture_steps(self.cfg.flow.flow_steps, self.cfg.training.num_pictures, before_the_first=True),
        )

    @cached_property
    def loss(self) -> Callable[[Tensor], Tensor]:
        """The mean NLL, nats per dimension, of whitened codes."""
        return over_all(self.flow, lambda flow, w: -flow.log_prob_whitened(w).mean() / flow.dim)

    def train_step(self) -> Tensor:
        """Returns the NLL of the whole batch."""
        cfg, step = self.cfg, self.run.step
        torch.manual_seed(step_seed(cfg.run.seed, step))
        chosen = torch.randint(len(self.train_codes), (self.batch_size,))
        codes = self.train_codes[chosen.to(self.device)]
        w = self.flow.whiten_noised(codes, self.noise)[self.part]  # noise is drawn for the whole batch
        rate = learning_rate(step, cfg.flow.flow_steps, cfg.flow.flow_lr, cfg.training.warmup_steps)
        names = [self.names[i] for i in chosen[self.part]]
        nll = self.run.optimise(self.loss(w), rate, lambda: suspects(names, [codes[self.part]]))
        self.average.update(self.flow, step)
        return nll

    def validate_and_save(self, log: ProgressLog, gaussian: float, due: bool) -> dict[str, float]:
        """due: whether a training that was not asked to stop would validate here too; else it cannot be the best."""
        values = from_first(lambda: self.nlls() | {"gaussian": gaussian})
        is_best = due and self.run.note_value(values["val"])
        log.chart("nll_nats_per_dim", values)
        log.scalars(
            {"nll_gap_val_minus_train": values["val"] - values["train"], "best_val_nll_nats_per_dim": self.run.best}
            | from_first(lambda: nna_while_training(self.average.model, self.val_codes, self.cfg))
        )
        log.flush()
        self.run.save(
            is_best,
            ema_state_dict=self.average.model.state_dict(),
            nll_nats_per_dim=values,
            quantiles=self.quantiles(),
            flow_noise=self.noise,
            ndf_sha256=self.ndf_sha256,
            trained_on=self.trained_on,
        )
        log.restart_clock()
        tqdm.write(
            f"RealNVP step {self.run.step}, {self.run.seconds / 60:.1f} min, NLL in nats/dim: "
            + ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        )
        return values

    def nlls(self) -> dict[str, float]:
        """Those of training and validation codes by the averaged weights, nats per dimension."""
        codes = {"train": self.plain_codes, "val": self.val_codes}
        return {name: noised_nll(self.average.model, some, self.noise, self.cfg) for name, some in codes.items()}

    @first_only
    def quantiles(self) -> dict[str, dict[str, float]]:
        return code_quantiles(self.average.model, self.plain_codes, self.noise, self.cfg)


@torch.no_grad()
def noised_nll(flow: CodeFlow, codes: Tensor, noise: float, cfg: Config) -> float:
    """Mean NLL, nats per dimension, of codes (S, *code_shape), noised and whitened, over fixed noise draws.

    flow: in eval mode; noise: as in training.
    """
    torch.manual_seed(cfg.run.seed)
    values = []
    for _ in range(VALIDATION_DRAWS):
        for batch in codes.split(cfg.flow.flow_batch_size):
            values.append(-flow.log_prob_whitened(flow.whiten_noised(batch, noise)) / flow.dim)
    return torch.cat(values).mean().item()


@torch.no_grad()
def code_quantiles(flow: CodeFlow, codes: Tensor, noise: float, cfg: Config) -> dict[str, dict[str, float]]:
    """Quantiles of the base's `distance` of z ("z_norm") and of the NLL over codes (S, *code_shape), noised as in
    training and whitened.

    With the noise: a flow's samples resemble noised codes, and so do codes that its decoder can be trusted with. Clean
    ones are far shorter in z (99.9 % of the demo cars of the weights that come along below 5.0, with noise 13.2).
    Returns measure -> quantile, as text -> value. flow: in eval mode.
    """
    torch.manual_seed(cfg.run.seed)
    found = []
    for batch in codes.split(cfg.flow.flow_batch_size):
        w = flow.whiten_noised(batch, noise)
        z, log_det = flow.whitened_to_z(w)
        found.append((flow.base.distance(z), -(flow.base.log_prob(z) + log_det) / flow.dim))
    z_norm, nll = (torch.cat(column).cpu().double() for column in zip(*found, strict=True))
    measures = {"z_norm": z_norm, "nll_nats_per_dim": nll}
    return {name: {str(q): values.quantile(q).item() for q in QUANTILES} for name, values in measures.items()}
