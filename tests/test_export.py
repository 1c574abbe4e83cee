"""Exported weights: small, complete, and the same network as the one that was trained, within float16."""

from pathlib import Path

import torch

from frozen.checkpoint_files import best_checkpoint, fingerprint, load_checkpoint
from frozen.loading import load_frozen_ndf
from generation.networks import Networks
from generation.sampling import sampled_codes
from lab.small.tiny_experiment import make_experiment, train_flow
from training import export


def test_exported_weights_generate_and_are_close_to_the_trained_ones(tmp_path: Path):
    cfg = make_experiment(tmp_path)
    cfg = cfg.changed(export_dir=str(tmp_path / "pretrained"))
    experiment, cpu = cfg.experiment, torch.device("cpu")
    trained = best_checkpoint(experiment.ndf_checkpoints)
    ndf, rnvp = export.exported_path(cfg, "ndf"), export.exported_path(cfg, "rnvp")
    export.write_small(trained, ndf)
    small, whole = load_frozen_ndf(ndf, cfg, cpu).state_dict(), load_frozen_ndf(trained, cfg, cpu).state_dict()
    for name, value in whole.items():
        assert torch.equal(small[name], value.half().float() if value.is_floating_point() else value)

    cfg = cfg.changed(ndf_checkpoint=str(ndf))
    for file in (*experiment.codes.glob("*"), *experiment.rnvp_checkpoints.glob("*")):
        file.unlink()
    train_flow(cfg)
    before = sampled_codes(Networks(cfg), 2, seed=3)
    export.write_small(best_checkpoint(experiment.rnvp_checkpoints), rnvp)
    quantiles = load_checkpoint(best_checkpoint(experiment.rnvp_checkpoints))["quantiles"]
    assert load_checkpoint(rnvp)["quantiles"] == quantiles
    told = load_checkpoint(rnvp)
    assert set(told["shapes"]) == {"train", "val", "test", "extra"} and len(told["shapes"]["train"]) == 7
    assert told["codes"]["train"]["ndf_sha256"] == told["ndf_sha256"] == fingerprint(ndf)
    cfg = cfg.changed(rnvp_checkpoint=str(rnvp))
    assert torch.equal(sampled_codes(Networks(cfg), 2, seed=3), before)
