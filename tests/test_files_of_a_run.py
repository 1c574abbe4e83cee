"""The comparison of lab/stress/kills.py: what it must notice, and what differs between any two runs."""

from pathlib import Path

import pytest
import torch

from lab.stress.files_of_a_run import differences, digests
from runtime.files import write_text
from training.checkpoints import save_checkpoint


def make(
    folder: Path, seconds: tuple[float, ...] = (9.5, 10.5), value: float = 1.0, event: str = "a"
) -> dict[str, str]:
    for n, time in enumerate(seconds):
        state = {"model_state_dict": {"w": torch.tensor([n * value])}, "step": n, "training_time": time}
        save_checkpoint(folder / "checkpoints", state, is_best=n == 0, keep=len(seconds))
    write_text(folder / "summary" / f"events.out.tfevents.{event}", event)
    write_text(folder / "a.txt", "a")
    return digests(folder)


def test_training_times_and_logs_do_not_count(tmp_path: Path):
    assert differences(make(tmp_path / "a"), make(tmp_path / "b", (99.5, 100.5), event="b")) == []


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda folder: write_text(folder / "a.txt", "b"), "differs: a.txt"),
        (lambda folder: (folder / "a.txt").unlink(), "missing: a.txt"),
        (lambda folder: write_text(folder / ".a.txt.1.part.txt", "half"), "left behind: .a.txt.1.part.txt"),
        (lambda folder: make(folder, value=2.0), "differs: checkpoints/checkpoint 2.tar"),
        (lambda folder: make(folder, (1.0, 9.5, 10.5)), "left behind: checkpoints/checkpoint 3.tar"),
    ],
)
def test_other_differences_count(tmp_path: Path, harm, line: str):
    whole = make(tmp_path / "a")
    make(tmp_path / "b")
    harm(tmp_path / "b")
    assert line in differences(whole, digests(tmp_path / "b"))
