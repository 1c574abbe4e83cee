"""Checkpoint files: names with and without colons, best and latest, what is refused."""

import errno
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from configs.config_loader import get_config
from frozen.checkpoint_files import (
    best_checkpoint,
    check_same_options,
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    ndf_checkpoint_path,
    timed_checkpoints,
    timed_name,
)
from frozen.loading import load_frozen_ndf, network_input
from lab.small.network_weights import random_weights
from models.fused_ndf import resample
from models.ndf import NDF
from models.occupancy import to_grid_coords
from runtime.errors import UserError, message_for_user
from runtime.layout import ROOT
from training import checkpoints
from training.checkpoints import latest_whole, save_checkpoint


def state(seconds: float, value: float = 1.0) -> dict:
    return {"model_state_dict": {"w": torch.tensor([value])}, "training_time": seconds}


def test_name_is_ndfs_without_colons():
    assert timed_name(292 * 3600 + 15 * 60 + 45.55) == "checkpoint_292h_15m_45s_1052145.55.tar"


@pytest.mark.parametrize(
    "name", ["checkpoint_292h_15m_45s_1052145.55.tar", "checkpoint_108h:5m:50s_389150.3971107006.tar"]
)
def test_both_spellings_are_found_and_the_longest_training_is_the_latest(tmp_path: Path, name: str):
    for other in ("checkpoint_0h_9m_0s_540.00.tar", "checkpoint_0h:59m:0s_3540.5.tar", "notes.tar"):
        torch.save(state(1), tmp_path / other)
    torch.save(state(2), tmp_path / name)
    assert latest_checkpoint(tmp_path) == tmp_path / name
    assert best_checkpoint(tmp_path) == tmp_path / name  # NDF's folders have no best.tar


def test_save_keeps_one_latest_and_the_best(tmp_path: Path):
    save_checkpoint(tmp_path, state(10.0, value=1), is_best=True)
    save_checkpoint(tmp_path, state(20.0, value=2), is_best=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.tar", "checkpoint_0h_0m_20s_20.00.tar"]
    assert load_checkpoint(best_checkpoint(tmp_path))["model_state_dict"]["w"] == 1
    assert load_checkpoint(latest_checkpoint(tmp_path))["model_state_dict"]["w"] == 2


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_save_keeps_as_many_as_asked_and_tidies_up(tmp_path: Path):
    for seconds in (9.0, 10.0, 11.0, 12.0):
        save_checkpoint(tmp_path, state(seconds), is_best=seconds == 9, keep=2)
    assert names(tmp_path) == ["best.tar", "checkpoint_0h_0m_11s_11.00.tar", "checkpoint_0h_0m_12s_12.00.tar"]


def test_the_best_is_on_the_disk_before_a_checkpoint_that_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []

    @contextmanager
    def atomic_path(path: Path, durable: bool) -> Iterator[Path]:
        yield tmp_path / "spare"
        written.append((path.name, durable))

    monkeypatch.setattr(checkpoints, "atomic_path", atomic_path)
    save_checkpoint(tmp_path, state(10.0), is_best=True)
    assert written == [("best.tar", True), ("checkpoint_0h_0m_10s_10.00.tar", True)]


def test_the_newest_whole_checkpoint_is_found_at_last_the_best(tmp_path: Path):
    assert latest_whole(tmp_path) == (None, {}, [])
    for seconds in (10.0, 20.0, 30.0):
        save_checkpoint(tmp_path, state(seconds, value=seconds), is_best=seconds == 10, keep=3)
    paths = timed_checkpoints(tmp_path)
    for wrong, value in ((0, 30), (1, 20), (2, 10), (3, 10)):
        if wrong:
            paths[-wrong].write_bytes(paths[-wrong].read_bytes()[:700])
        path, found, damaged = latest_whole(tmp_path)
        assert found["model_state_dict"]["w"] == value
        assert [error.path for error in damaged] == paths[::-1][:wrong]
        assert path == ([*paths[::-1], tmp_path / "best.tar"])[wrong]
    (tmp_path / "best.tar").write_bytes(b"")
    with pytest.raises(UserError, match=rf"30\.00\.tar .*delete {re.escape(str(tmp_path))}"):
        latest_whole(tmp_path)


def test_a_checkpoint_on_a_disk_that_is_away_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An older one would be gone on from, and this one deleted."""

    def away(file: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    for seconds in (10.0, 20.0):
        save_checkpoint(tmp_path, state(seconds), is_best=False, keep=3)
    monkeypatch.setattr("frozen.checkpoint_files.check_seal", away)
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ESTALE))) as found:
        latest_whole(tmp_path)
    assert "20.00.tar" in message_for_user(found.value)


def test_a_damaged_best_is_refused_not_replaced(tmp_path: Path):
    save_checkpoint(tmp_path, state(1.0), is_best=True)
    (tmp_path / "best.tar").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"best\.tar .*Delete it"):
        load_checkpoint(best_checkpoint(tmp_path))


def test_failed_save_leaves_the_last_good_file(tmp_path: Path):
    save_checkpoint(tmp_path, state(10.0), is_best=False)
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(tmp_path, state(20.0) | {"bad": lambda: None}, is_best=False)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_0h_0m_10s_10.00.tar"]


def test_file_of_torch_1_2_is_read(tmp_path: Path):
    """The serialisation before torch 1.6, with the keys that NDF saved."""
    path = tmp_path / "checkpoint_0h:0m:1s_1.0.tar"
    model = nn.Linear(3, 2)
    old = {
        "model_state_dict": OrderedDict(model.state_dict()),
        "optimizer_state_dict": torch.optim.Adam(model.parameters()).state_dict(),
        "epoch": 7,
        "training_time": 1.0,
    }
    torch.save(old, path, _use_new_zipfile_serialization=False)
    assert torch.equal(load_checkpoint(path)["model_state_dict"]["weight"], model.weight)


@pytest.mark.parametrize("config", ["shapenet_cars_pretrained.txt", "shapenet_cars_fused.txt"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    "name", ["checkpoint_292h_15m_45s_1052145.55.tar", "checkpoint_108h:5m:50s_389150.3971107006.tar"]
)
def test_checkpoints_of_ndf_and_the_thesis_work_by_their_configs(tmp_path: Path, name: str, prefix: str, config: str):
    """As the plain network, and with the thesis's code."""
    words = ["--config", str(ROOT / "configs" / config), "--exp_root", str(tmp_path), "--input_res", "32"]
    cfg = get_config(words)
    ndf = random_weights(NDF(), 0)
    weights = OrderedDict((prefix + key, value) for key, value in ndf.state_dict().items())
    folder = cfg.experiment.ndf_checkpoints
    folder.mkdir(parents=True)
    old = {"model_state_dict": weights, "optimizer_state_dict": {}, "epoch": 7, "training_time": 1.0}
    torch.save(old, folder / name, _use_new_zipfile_serialization=False)
    assert ndf_checkpoint_path(cfg) == folder / name
    x = torch.zeros(1, 32, 32, 32)
    x[:, 8:20, 9:21, 13] = 1
    fused = load_frozen_ndf(folder / name, cfg, torch.device("cpu"))
    plain = load_frozen_ndf(folder / name, cfg.changed(code_kind="none"), torch.device("cpu"))
    with torch.no_grad():
        assert fused.encode(x).shape == (1, 497, 8, 8, 8) == (1, *fused.code_shape)
        p = torch.rand(1, 11, 3) - 0.5
        torch.testing.assert_close(plain(p, x), ndf(p, x))
        levels = torch.cat([resample(level, 8) for level in ndf.pyramid(x)], dim=1)
        torch.testing.assert_close(fused.encode(x), levels.tanh().relu())


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture):
    torch.save({"model_state_dict": Evil()}, tmp_path / "evil.tar")
    with pytest.raises(UserError, match=r"evil\.tar"):
        load_checkpoint(tmp_path / "evil.tar")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "fact"),
    [(b"", "cannot be read"), (b"PK\x03\x04 half of a file", "cannot be read"), (None, "no checkpoint")],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes | None, fact: str):
    path = tmp_path / "x.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{fact}.*{re.escape(str(path))}|{re.escape(str(path))}.*{fact}"):
        load_checkpoint(path)


def test_truncated_checkpoint_is_told(tmp_path: Path):
    path = save_checkpoint(tmp_path, state(1.0) | {"more": torch.randn(5000)}, is_best=False)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UserError, match=r"1\.00\.tar"):
        load_checkpoint(path)


def test_weights_of_another_architecture_are_told_by_name():
    source = Path("x.tar")
    with pytest.raises(UserError, match=r"weight .*\(2, 4\).*\(2, 3\)"):
        load_weights(nn.Linear(3, 2), nn.Linear(4, 2).state_dict(), source)
    with pytest.raises(UserError, match="lacks bias"):
        load_weights(nn.Linear(3, 2), nn.Linear(3, 2, bias=False).state_dict(), source)
    with pytest.raises(UserError, match="has bias too"):
        load_weights(nn.Linear(3, 2, bias=False), nn.Linear(3, 2).state_dict(), source)


def test_weights_saved_from_data_parallel_load():
    model = nn.Linear(3, 2)
    load_weights(model, {f"module.{k}": v * 0 + 5 for k, v in model.state_dict().items()}, Path("x.tar"))
    assert (model.weight == 5).all()


def test_other_options_are_told():
    with pytest.raises(UserError, match=r"latent_dim\D*5\D*6"):
        check_same_options({"latent_dim": 5}, {"latent_dim": 6}, ("latent_dim",), Path("x.tar"))


def test_an_option_that_older_checkpoints_lack_has_its_former_value(tmp_path: Path):
    for name, config in {"old": {"lr": 1.0}, "new": {"distance_head": "sheet"}}.items():
        torch.save({**state(1), "config": config}, tmp_path / f"{name}.tar")
    torch.save(state(1), tmp_path / "ndfs_own.tar")
    former = {
        "distance_head": "value",
        "pca_view_weight": 0.0,
        "input_fold": 1,
        "flow_tail_couplings": 1,
        "flow_base": "normal",
        "flow_components": 256,
    }
    assert load_checkpoint(tmp_path / "old.tar")["config"] == {"lr": 1.0, **former}
    assert load_checkpoint(tmp_path / "new.tar")["config"] == {**former, "distance_head": "sheet"}
    assert "config" not in load_checkpoint(tmp_path / "ndfs_own.tar")


PRETRAINED = sorted((ROOT / "models" / "pretrained").glob("*_ndf.tar"))


@pytest.mark.parametrize("path", PRETRAINED, ids=lambda path: path.name)
def test_weights_that_come_along_load_by_the_config_of_their_name(path: Path):
    cfg = get_config(["--config", str(ROOT / "configs" / f"{path.name.removesuffix('_ndf.tar')}.txt")], "generate")
    assert ndf_checkpoint_path(cfg) == path
    assert load_frozen_ndf(path, cfg, torch.device("cpu")).code_kind == cfg.network.code_kind


def test_the_weights_for_any_car_measure_distances_to_a_shape_that_is_no_car():
    cfg = get_config(["--config", str(ROOT / "configs" / "any_car_pretrained.txt")], "generate")
    ndf = load_frozen_ndf(ndf_checkpoint_path(cfg), cfg, torch.device("cpu"))
    directions = torch.nn.functional.normalize(
        torch.randn(2, 10_000, 3, generator=torch.Generator().manual_seed(0)), dim=2
    )
    points = directions[1, :501] * torch.linspace(0.33, 0.47, 501)[:, None]
    with torch.no_grad():
        found = ndf(to_grid_coords(points)[None], network_input(0.4 * directions[:1], cfg.grid, cfg.network))[0]
    assert (found - (points.norm(dim=1) - 0.4).abs()).abs().mean() < 0.008
