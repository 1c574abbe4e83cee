"""Spare files: those of dead processes go, those of others stay; what has to be on the disk before a rename."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime import files
from runtime.files import MOST_PAUSE_S, atomic_path, remove_spares, spare_path, write_text
from runtime.processes import host, is_running, machine, machine_started_at, started_at


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def spare(folder: Path, owner: str, age_s: float = 0) -> Path:
    path = folder / f".a.npz.{owner}.part"
    path.write_text("half")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_what_dead_processes_left_goes_and_what_others_write_stays(tmp_path: Path, dead_pid: int):
    before = time.time() - machine_started_at() - started_at(os.getppid()) if machine_started_at() else 0
    alive = spare(tmp_path, f"{os.getppid()}@{host()}")
    gone = [
        spare(tmp_path, f"{dead_pid}@{host()}"),
        spare(tmp_path, f"{dead_pid}", MOST_PAUSE_S + 60),  # as earlier versions wrote them
        spare(tmp_path, f"{os.getpid()}@{host()}"),  # a former process of this number: this one has not begun
        spare(tmp_path, f"{dead_pid}@elsewhere", MOST_PAUSE_S + 60),
    ]
    kept = [
        alive,
        spare(tmp_path, f"{os.getppid()}@elsewhere"),
        spare(tmp_path, f"{dead_pid}@{machine()}"),  # another machine of this name: who knows what runs there
        spare(tmp_path, f"{dead_pid}@{machine()}+01234567-89ab"),
    ]
    remove_spares(tmp_path)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
    if before:  # the number of a process that has ended is given to another one
        os.utime(alive, (time.time() - before - 60,) * 2)
        remove_spares(tmp_path)
        assert not alive.exists()


def test_the_first_file_that_a_process_writes_to_a_folder_tidies_it(tmp_path: Path, dead_pid: int):
    spare(tmp_path, f"{dead_pid}@{host()}")
    folder = tmp_path / f".folder.{dead_pid}.part"
    folder.mkdir()
    write_text(tmp_path / "b.txt", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, "b.txt"])


def test_a_durable_file_is_on_the_disk_before_it_has_its_name_and_then_the_name(tmp_path: Path, monkeypatch):
    happened = []
    monkeypatch.setattr(files, "sync", lambda path: happened.append((path, (tmp_path / "a").exists())))
    with atomic_path(tmp_path / "a") as path:
        path.write_text("a")
    assert happened == []
    (tmp_path / "a").unlink()
    with atomic_path(tmp_path / "a", durable=True) as path:
        path.write_text("a")
    assert happened == [(spare_path(tmp_path / "a"), False), (tmp_path, True)]


def test_processes_are_told_by_number_and_start(dead_pid: int):
    assert is_running(os.getpid()) and is_running(1)
    assert not is_running(dead_pid)
    assert started_at(os.getpid()) == started_at(os.getpid())
    assert started_at(dead_pid) is None


def test_a_process_that_has_ended_but_was_not_waited_for_does_not_run():
    process = subprocess.Popen([sys.executable, "-c", ""])
    until = time.monotonic() + 120
    while is_running(process.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_running(process.pid)
    process.wait()
