"""One row per experiment in TensorBoard's HParams: the options of its networks and trainings, its best values."""

from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch.utils.tensorboard import SummaryWriter

from configs.options import Config
from frozen.checkpoint_files import FORMER_OPTIONS
from training.distributed import first_only

SUFFIX = ".hparams"  # of the event file in summary/ itself
NDF_OPTIONS = (
    "code_kind", "latent_dim", "code_encoder", "input_res", "input_features", "encoder_channels", "hidden_dim",
    "decoder_hidden", "decoder_resolution", "decoder_channels", "plane_resolution", "plane_channels", "num_places",
    "code_noise", "optimizer", "lr", "num_epochs", "batch_size", "num_sample_points_training",
    "num_hard_points", "min_input_points", "distance_head", "pca_view_weight", "turns", "tilt_deg", "input_noise_sd",
)  # fmt: skip
FLOW_OPTIONS = (
    "flow_steps", "flow_batch_size", "flow_lr", "flow_couplings", "flow_hidden", "flow_blocks", "flow_dims",
    "flow_tail_couplings", "flow_scales", "flow_s_max", "flow_dropout", "flow_noise", "flow_base",
    "flow_components", "code_draws", "code_mirror", "extra_demo_cars", "extra_data_dir", "seed",
)  # fmt: skip
FIRST = ("latent_dim", "num_epochs", "extra_demo_cars", "flow_dims", "flow_steps")  # the columns shown at first
# (folder below summary/, tag, name of the column): the last value of each curve is shown.
METRICS = (
    ("ndf", "ndf/best_val_clamped_l1", "NDF: best validation loss"),
    ("rnvp", "rnvp/best_val_nll_nats_per_dim", "flow: best validation NLL, nats/dim"),
    ("rnvp/gaussian", "rnvp/nll_nats_per_dim", "Gaussian: validation NLL, nats/dim"),
    ("evaluation", "evaluation/chamfer_udf_x1e4", "reconstruction: chamfer_udf x1e4"),
    ("evaluation", "evaluation/flow_1nna_true_percent", "flow: 1-NNA %, true"),
    ("evaluation", "evaluation/flow_1nna_decoded_percent", "flow: 1-NNA %, decoded"),
    ("evaluation", "evaluation/flow_unsettled_percent", "flow: unsettled surface %"),
    ("evaluation", "evaluation/flow_coverage_true_percent", "flow: COV %, true"),
    ("evaluation", "evaluation/flow_mmd_true_x1e4", "flow: MMD x1e4, true"),
)


@first_only
def record_hparams(cfg: Config, of_ndf: Mapping[str, Any] | None = None) -> None:
    """Write the row of this experiment, in place of the one that is there.

    of_ndf: the options that its NDF was trained with, where they may differ from cfg's.
    """
    folder = cfg.experiment.summary
    known = {**FORMER_OPTIONS, **of_ndf} if of_ndf else {}
    options = {name: known.get(name, cfg.value(name)) for name in NDF_OPTIONS}
    options |= {name: cfg.value(name) for name in FLOW_OPTIONS}
    values = {name: plain(value) for name, value in options.items() if value is not None}
    old = list(folder.glob(f"*{SUFFIX}"))
    with SummaryWriter(folder, filename_suffix=SUFFIX) as writer:
        for summary in (columns(), hparams_pb(values, trial_id=cfg.run.exp_name)):
            # The two packages have a class of the same name each, for the same bytes.
            writer.file_writer.add_summary(Summary.FromString(summary.SerializeToString()))
    for path in old:
        path.unlink()


def columns() -> Summary:
    """The columns of the table. TensorBoard takes them from one of the experiments that it shows."""
    options = [api_pb2.HParamInfo(name=name, differs=name in FIRST) for name in (*NDF_OPTIONS, *FLOW_OPTIONS)]
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(group=group, tag=tag), display_name=name)
        for group, tag, name in METRICS
    ]
    experiment = api_pb2.Experiment(hparam_infos=options, metric_infos=metrics)
    content = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(experiment=experiment))
    return Summary(value=[Summary.Value(tag=metadata.EXPERIMENT_TAG, metadata=content)])


def plain(value: Any) -> bool | float | str:
    """A value of an option as HParams takes it: lists as text."""
    return value if isinstance(value, bool | int | float | str) else " ".join(map(str, value)) or "none"
