"""A part of `make hostile`: hostile inputs for every reader, each in a process of its own."""

import os
import subprocess
import sys

from runtime.layout import ROOT

EVERY = 45  # of the inputs one


def test_hostile_inputs_end_in_one_line():
    command = [sys.executable, "-m", "lab.stress.hostile.run", "--every", str(EVERY)]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]
    assert " 0 failed" in result.stdout
