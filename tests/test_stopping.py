"""Signals: Ctrl-C is one line and status 130, a closed terminal is a request to stop, nohup stays in force."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WAIT_TO_STOP = """
import signal, sys, time
from pathlib import Path
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
from training.stopping import EXIT_STOPPED, StopRequest
stop = StopRequest()
Path(sys.argv[1]).write_text("ready")
until = time.monotonic() + 20
while not stop.requested and time.monotonic() < until:
    time.sleep(0.01)
print("asked to stop: saved", flush=True)  # nobody reads it
sys.stderr.write("progress")
Path(sys.argv[1]).write_text("saved" if stop.requested else "never asked")
sys.exit(EXIT_STOPPED)
"""
INTERRUPTED = """
import sys
from runtime.errors import UserError, run
def main():
    try:
        print("ready", flush=True)
        {wait}
    except KeyboardInterrupt as error:
        {then}
run(main)
"""


PASSED_OVER = """
import time
from runtime.errors import raise_if_interrupted, run
def main():
    while True:
        try:
            print("ready", flush=True)
            try:
                time.sleep(20)
            except KeyboardInterrupt as error:
                raise ImportError("numpy is broken") from error  # as the loading of a C library may do
        except ImportError:
            raise_if_interrupted()
run(main)
"""


def wait_for(path: Path, text: str) -> None:
    until = time.monotonic() + 60
    while not (path.is_file() and path.read_text() == text):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_closed_terminal_asks_to_stop_and_what_is_said_then_does_no_harm(tmp_path: Path):
    said = tmp_path / "said"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", WAIT_TO_STOP, str(said)])
    wait_for(said, "ready")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 85
    assert said.read_text() == "saved"


def test_nohup_stays_in_force(tmp_path: Path):
    said = tmp_path / "said"
    process = subprocess.Popen([sys.executable, "-c", WAIT_TO_STOP, str(said), "nohup"], stdout=subprocess.DEVNULL)
    wait_for(said, "ready")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 85


RAISED = ["raise", "raise OSError('a library made this of it') from error", "raise UserError('so did ours') from error"]
SLEEP = "import time; time.sleep(20)"


@pytest.mark.parametrize("code", [*(INTERRUPTED.format(wait=SLEEP, then=then) for then in RAISED), PASSED_OVER])
def test_ctrl_c_is_one_line_whatever_a_library_makes_of_it(code: str):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "\nstopped; run the same command again to go on\n"
