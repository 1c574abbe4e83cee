"""What TensorBoard gets of a training: tags, no doubled or missing points after a resume, the same weights."""

import math
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.summary.writer.event_file_writer import AtomicCounter
from tensorboard.util.tensor_util import make_ndarray
from training_steps import around_steps, killed_after, stopped_after

from dataprocessing.split import split_folders
from frozen.checkpoint_files import latest_checkpoint, load_checkpoint, ndf_checkpoint_path
from frozen.codes import load_codes
from frozen.loading import load_frozen_ndf
from generation.training_pictures import SamplePictures, ValidationPictures
from lab.small.helpers import read_config
from lab.small.tiny_experiment import SMALL, make_experiment, tiny_config
from runtime.layout import Experiment
from training.code_spectrum import cumulative_shares, variances
from training.flow_task import FlowTask
from training.hparams import FLOW_OPTIONS, METRICS, NDF_OPTIONS
from training.loop import train
from training.ndf_task import NDFTask
from training.progress_log import ProgressLog, picture_steps, replaced_run
from training.stopping import EXIT_STOPPED
from training.task import Task

CPU = torch.device("cpu")
STEPS = 40  # of the NDF: two points of its own curves


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch, coarse_lattice: None) -> None:
    monkeypatch.setattr("generation.training_pictures.NUM_POINTS", 60)
    monkeypatch.setattr("generation.training_pictures.PICTURE_SIZE", (24, 15))
    monkeypatch.setattr("training.flow_task.LOG_EVERY", 5)
    monkeypatch.setattr("training.progress_log.MOST_SHARE", math.inf)
    # Event files are read in the order of their names, which end in a number of this process: of two files of one
    # second, 10 would be read before 9. Trainings that are resumed are other processes, at other times.
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer._global_uid", AtomicCounter(1000))


@pytest.fixture(scope="module")
def codes_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codes")
    experiment = make_experiment(folder).experiment
    shutil.rmtree(experiment.rnvp_checkpoints)
    shutil.rmtree(experiment.summary)
    return folder


@pytest.fixture
def codes_only(codes_once: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "of_codes"
    shutil.copytree(codes_once, folder)
    return folder


def ndf_task(folder: Path, pictures: bool = True, **options: object) -> NDFTask:
    chosen = SMALL | {"num_epochs": STEPS // 2, "val_every": 9, "num_pictures": 3, "filter_val": 0.05} | options
    cfg = read_config(folder, **chosen)
    split = split_folders(cfg)
    return NDFTask(cfg, split, ValidationPictures(cfg, split["val"]) if pictures else None)


def flow_task(folder: Path, pictures: bool = True, **options: object) -> FlowTask:
    cfg = tiny_config(folder, flow_dropout=0.2, num_pictures=2, filter_val=0.05, **options)
    return FlowTask(cfg, SamplePictures(cfg, load_frozen_ndf(ndf_checkpoint_path(cfg), cfg, CPU)) if pictures else None)


def events_of(folder: Path) -> EventAccumulator:
    """What TensorBoard itself reads of the run in a folder, without those below it."""
    events = EventAccumulator(str(folder), tensor_size_guidance=dict.fromkeys(("scalars", "images", "mesh"), 0))
    events.Reload()
    return events


def logged(folder: Path) -> dict[str, list[int]]:
    """Tag -> the steps of its points."""
    events = events_of(folder)
    return {tag: [event.step for event in events.Tensors(tag)] for tag in events.Tags()["tensors"]}


def values(folder: Path, tag: str) -> list[float]:
    return [float(make_ndarray(event.tensor_proto)) for event in events_of(folder).Tensors(tag)]


def runs_below(summary: Path) -> dict[str, dict[str, list[int]]]:
    folders = sorted({path.parent for path in summary.rglob("*tfevents*")})
    return {str(folder.relative_to(summary)): logged(folder) for folder in folders}


def same_weights(a: Path, b: Path) -> bool:
    one, two = (load_checkpoint(latest_checkpoint(path))["model_state_dict"] for path in (a, b))
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_step_3_logs_what_the_documents_say(shapes: Path):
    task = ndf_task(shapes)
    assert train(task) == 0
    every, validated, drawn = [20, 40], [9, 18, 27, 36, 40], [4, 18, 40]
    assert runs_below(task.experiment.summary) == {
        ".": {"_hparams_/experiment": [0], "_hparams_/session_start_info": [0]},
        "ndf": {
            "ndf/train_clamped_l1": every,
            "ndf/learning_rate": every,
            "ndf/gradient_norm": every,
            "ndf/bad_steps": every,
            "ndf/shapes_per_second": every,
            "ndf/val_clamped_l1": validated,
            "ndf/val_near_abs_error": validated,
            "ndf/best_val_clamped_l1": validated,
            "ndf/validation_shapes": drawn,
            "ndf/validation_shapes_VERTEX": drawn,
            "ndf/validation_shapes_COLOR": drawn,
        },
    }
    folder = task.experiment.summary / "ndf"
    assert values(folder, "ndf/best_val_clamped_l1")[-1] == pytest.approx(task.run.best)
    assert all(0 < value < math.inf for value in values(folder, "ndf/gradient_norm"))
    assert all(value > 1 for value in values(folder, "ndf/shapes_per_second"))


def test_step_4_logs_what_the_documents_say(codes_only: Path):
    task = flow_task(codes_only)
    assert train(task) == 0
    every, validated, drawn = [5, 10, 15, 20], [10, 20], [0, 5, 20]
    directions = [1, 2, 3, 4, 5]
    line = {"rnvp/nll_nats_per_dim": validated}
    assert runs_below(task.experiment.summary) == {
        ".": {"_hparams_/experiment": [0], "_hparams_/session_start_info": [0]},
        "codes": {"codes/sd_of_direction": directions, "codes/percent_of_variance_in_first_directions": directions},
        "rnvp": {
            "rnvp/batch_nll_nats_per_dim": every,
            "rnvp/learning_rate": every,
            "rnvp/gradient_norm": every,
            "rnvp/bad_steps": every,
            "rnvp/codes_per_second": every,
            "rnvp/nll_gap_val_minus_train": validated,
            "rnvp/best_val_nll_nats_per_dim": validated,
            "rnvp/samples": drawn,
            "rnvp/samples_VERTEX": drawn,
            "rnvp/samples_COLOR": drawn,
        },
        "rnvp/train": line,
        "rnvp/val": line,
        "rnvp/gaussian": line,
    }
    stored = load_checkpoint(latest_checkpoint(task.run.folder))["nll_nats_per_dim"]
    for name, value in stored.items():
        assert values(task.experiment.summary / "rnvp" / name, "rnvp/nll_nats_per_dim")[-1] == pytest.approx(value)
    codes = load_codes(task.cfg, "train")
    spectrum = variances(codes.codes, codes.plain_indices())
    folder = task.experiment.summary / "codes"
    assert values(folder, "codes/sd_of_direction") == pytest.approx(np.sqrt(spectrum), rel=1e-5)
    found = values(folder, "codes/percent_of_variance_in_first_directions")
    assert found == pytest.approx(100 * cumulative_shares(spectrum), rel=1e-5)


def train_with_ends(new_task: Callable[[], NDFTask | FlowTask], ends: list) -> None:
    """Train; each end, of `training_steps`, lets a task end early, after which another one goes on."""
    for end in ends:
        with end:
            assert train(new_task()) == EXIT_STOPPED  # unless it is killed
    assert train(new_task()) == 0


def test_an_interrupted_ndf_training_logs_each_point_once(shapes: Path):
    whole, halves = (partial(ndf_task, shapes, exp_name=name) for name in ("whole", "halves"))
    train_with_ends(whole, [])
    train_with_ends(halves, [killed_after(4), stopped_after(20), killed_after(30)])
    one, two = whole().experiment, halves().experiment
    check_resumed(one, two, at_stop=20)
    assert same_weights(one.ndf_checkpoints, two.ndf_checkpoints)


def test_an_interrupted_flow_training_logs_each_point_once(codes_only: Path):
    interrupted = codes_only.with_name("interrupted")
    shutil.copytree(codes_only, interrupted)
    train_with_ends(partial(flow_task, codes_only), [])
    train_with_ends(partial(flow_task, interrupted), [killed_after(1), killed_after(14), stopped_after(14)])
    one, two = (tiny_config(folder).experiment for folder in (codes_only, interrupted))
    check_resumed(one, two, at_stop=14)
    assert same_weights(one.rnvp_checkpoints, two.rnvp_checkpoints)


def check_resumed(whole: Experiment, resumed: Experiment, at_stop: int) -> None:
    """Both have logged the same points; the one that was asked to stop has also validated then."""
    one, two = runs_below(whole.summary), runs_below(resumed.summary)
    assert one.keys() == two.keys()
    for run, tags in one.items():
        assert tags.keys() == two[run].keys()
        for tag, steps in tags.items():
            expected = set(steps)
            if any(word in tag for word in ("/val_", "/best_", "nll_nats_per_dim", "_gap_")):
                expected |= {at_stop} if "batch" not in tag else set()
            assert two[run][tag] == sorted(expected), (run, tag)


def test_a_training_started_anew_shows_no_points_of_the_one_before(shapes: Path):
    first = ndf_task(shapes)
    train(first)
    shutil.rmtree(first.experiment.ndf_checkpoints)
    again = ndf_task(shapes, num_epochs=5)
    train(again)
    assert logged(again.experiment.summary / "ndf")["ndf/val_clamped_l1"] == [9, 10]


def test_weights_are_the_same_with_and_without_pictures(shapes: Path, codes_only: Path):
    folders = []
    for name, pictures in (("with", True), ("without", False)):
        task = ndf_task(shapes, pictures, exp_name=name)
        train(task)
        folders.append(task.run.folder)
    assert same_weights(*folders)
    flow = flow_task(codes_only)
    train(flow)
    with_pictures = load_checkpoint(latest_checkpoint(flow.run.folder))
    shutil.rmtree(flow.run.folder)
    train(flow_task(codes_only, pictures=False))
    without = load_checkpoint(latest_checkpoint(flow.run.folder))
    for key in ("model_state_dict", "ema_state_dict"):
        assert all(torch.equal(value, without[key][name]) for name, value in with_pictures[key].items())
    assert with_pictures["nll_nats_per_dim"] == without["nll_nats_per_dim"]


def test_the_flow_is_drawn_where_it_stops_early(codes_only: Path):
    task = flow_task(codes_only, flow_steps=4000, flow_val_every=5, flow_patience=3, flow_lr=0.05, flow_ema=0.0)
    train(task)
    assert task.run.step < 1000
    assert logged(task.experiment.summary / "rnvp")["rnvp/samples"] == [0, task.run.step]


@pytest.mark.parametrize("kind", [{"code_kind": "none"}, {"code_kind": "fused", "out_resolution": 3}])
def test_other_kinds_of_code_are_drawn_too(shapes: Path, kind: dict):
    task = ndf_task(shapes, num_epochs=2, num_pictures=1, filter_val=0.5, **kind)
    train(task)
    assert logged(task.experiment.summary / "ndf")["ndf/validation_shapes_VERTEX"] == [4]


def test_no_pictures_if_none_are_wanted(shapes: Path):
    task = ndf_task(shapes, num_pictures=0)
    train(task)
    assert not any("shapes" in tag and "second" not in tag for tag in logged(task.experiment.summary / "ndf"))


def test_pictures_are_drawn_more_often_at_first_and_at_the_end():
    assert picture_steps(1000, 5) == {40, 160, 360, 640, 1000}
    assert picture_steps(1000, 5, before_the_first=True) == {0, 40, 160, 360, 640, 1000}
    assert picture_steps(3, 9) == {1, 2, 3}
    assert picture_steps(1000, 0, before_the_first=True) == set()


def hparams(folder: Path) -> tuple[dict, object]:
    """The options of a row by name, and the whole row."""
    content = events_of(folder).SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    row = metadata.parse_session_start_info_plugin_data(content)
    kinds = ("number_value", "string_value", "bool_value")
    return {k: next(getattr(v, kind) for kind in kinds if v.HasField(kind)) for k, v in row.hparams.items()}, row


@pytest.mark.parametrize("name", ["plain", "<img src=x onerror=alert(1)>", "**bold** [a](javascript:alert(1))"])
def test_hparams_are_the_options_and_the_columns_are_there(shapes: Path, name: str):
    task = ndf_task(shapes, exp_name=name)
    train(task)
    train(ndf_task(shapes, exp_name=name))
    found, row = hparams(task.experiment.summary)
    assert row.group_name == name
    assert found["lr"] == 0.01 and found["latent_dim"] == 5
    assert found["decoder_channels"] == "4 3" and found["code_mirror"] is True
    assert set(found) <= {*NDF_OPTIONS, *FLOW_OPTIONS} <= set(task.cfg.values())
    assert len(list(task.experiment.summary.glob("*tfevents*"))) == 1


def test_hparams_of_a_flow_have_the_options_its_ndf_was_trained_with(codes_only: Path):
    task = flow_task(codes_only, lr=0.5, num_epochs=77)  # in the config of step 4 alone
    train(task)
    found, _ = hparams(task.experiment.summary)
    assert found["lr"] == 0.01 and found["num_epochs"] == 2
    assert found["flow_dropout"] == pytest.approx(0.2)
    ours = runs_below(task.experiment.summary)
    for group, tag, _ in METRICS:
        assert group in ("ndf", "evaluation") or tag in ours[group]


def test_a_replaced_run_is_whole_or_as_it_was(tmp_path: Path):
    with replaced_run(tmp_path / "run") as log:
        log.add_scalar("a", 1.0, 0)
    with pytest.raises(KeyboardInterrupt), replaced_run(tmp_path / "run") as log:
        raise KeyboardInterrupt
    assert logged(tmp_path / "run") == {"a": [0]}
    with replaced_run(tmp_path / "run") as log:
        log.add_scalar("b", 1.0, 0)
    assert logged(tmp_path / "run") == {"b": [0]}


def test_everything_up_to_a_checkpoint_is_on_disk_before_it_is(shapes: Path, monkeypatch: pytest.MonkeyPatch):
    task = ndf_task(shapes, pictures=False)
    found = []

    def look(*_: object) -> None:
        found.append(logged(task.experiment.summary / "ndf")["ndf/val_clamped_l1"][-1] == task.run.step)

    monkeypatch.setattr(task.run, "save", look)
    train(task)
    assert found == [True] * 5


def test_pictures_take_no_more_than_their_share_of_the_time(
    shapes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """Of a clock by which a step takes a second, and a drawing two."""
    now = [0.0]
    monkeypatch.setattr("training.progress_log.STARTED", 0.0)
    monkeypatch.setattr("training.progress_log.time.monotonic", lambda: now[0])
    monkeypatch.setattr("training.progress_log.MOST_SHARE", 0.2)
    drawn = []

    def draw(log: ProgressLog) -> None:
        now[0] += 2
        drawn.append(log.run.step)

    task = ndf_task(shapes, pictures=False, num_pictures=40)  # after 1, 2, 3, 4, 5, ... steps
    task.draw = draw

    def take_a_second(task: Task) -> None:
        now[0] += 1

    with around_steps(take_a_second, lambda task, loss: None):
        train(task)
    # Before the n-th drawing 2 (n - 1) s were spent: it comes when 2 n <= 0.2 (steps + 2 (n - 1)), or at the end. The
    # second is expected to take half of what the first took.
    due = sorted(picture_steps(STEPS, 40))
    assert drawn[0] == due[0] and drawn[-1] == STEPS
    for n, step in enumerate(drawn[1:-1], start=2):
        expected = 2 * n if n > 2 else 3
        assert step == min(s for s in due if expected <= 0.2 * (s + 2 * (n - 1)))
    assert f"{2 * len(drawn)}.0 s, {100 * 2 * len(drawn) / (STEPS + 2 * len(drawn)):.1f} %" in capsys.readouterr().out
