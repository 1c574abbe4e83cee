"""Signals: Ctrl-C is one line and status 130, a closed terminal is a request to stop, nohup stays in force."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.stopping import EXIT_STOPPED, StopRequest

WAIT_TO_STOP = """
import sys, time
from pathlib import Path
from training.stopping import EXIT_STOPPED, StopRequest
stop = StopRequest()
print("ready", flush=True)
while not stop.requested:
    time.sleep(0.01)
print("asked to stop: saved", flush=True)  # nobody reads it
sys.stderr.write("progress")
Path(sys.argv[1]).write_text("saved")
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
                time.sleep(600)
            except KeyboardInterrupt as error:
                raise ImportError("numpy is broken") from error  # as the loading of a C library may do
        except ImportError:
            raise_if_interrupted()
run(main)
"""


@pytest.fixture
def former_handlers() -> Iterator[None]:
    """Signals are handled afterwards as before."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_closed_terminal_asks_to_stop_and_what_is_said_then_does_no_harm(tmp_path: Path):
    said = tmp_path / "said"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", WAIT_TO_STOP, str(said)])
    assert os.read(terminal, 5) == b"ready"
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == EXIT_STOPPED == 85
    assert said.read_text() == "saved"


@pytest.mark.usefixtures("former_handlers")
def test_nohup_stays_in_force():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopRequest()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not stop.requested
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested and stop.heard_by_any()


RAISED = ["raise", "raise OSError('a library made this of it') from error", "raise UserError('so did ours') from error"]
SLEEP = "import time; time.sleep(600)"


@pytest.mark.parametrize("code", [*(INTERRUPTED.format(wait=SLEEP, then=then) for then in RAISED), PASSED_OVER])
def test_ctrl_c_is_one_line_whatever_a_library_makes_of_it(code: str):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err == "\nstopped; run the same command again to go on\n"
