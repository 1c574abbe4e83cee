"""What scripts print: readers that leave, streams that are closed, text that a terminal would obey."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from facts import says

SCRIPT = """
import sys, os
from pathlib import Path
from runtime.errors import UserError, run
def main():
    for number in range(3000):
        print("line", number)
    print("to stderr", file=sys.stderr)
    sys.stdin.read()
    Path(sys.argv[1]).write_text("finished")
    if len(sys.argv) > 2:
        raise UserError(sys.argv[2])
    return 0
run(main)
"""


@pytest.fixture(autouse=True, params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


def started(out: Path, *words: str, closed: tuple[int, ...] = (), **streams: object) -> subprocess.Popen:
    """SCRIPT, which prints, writes `out` and perhaps fails, with some descriptors closed."""

    def close() -> None:
        for number in closed:
            os.close(number)

    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(out), *words], preexec_fn=close, **streams)


@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_work_goes_on_when_the_reader_leaves(tmp_path: Path, stream: str):
    reading, writing = os.pipe()
    os.close(reading)
    names = ("stdout", "stderr") if stream == "both" else (stream,)
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE) | dict.fromkeys(names, writing)
    process = started(tmp_path / "out", stdin=subprocess.DEVNULL, **streams)
    os.close(writing)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and (tmp_path / "out").read_text() == "finished"
    if stream == "stdout":
        assert err == b"to stderr\n"
    elif stream == "stderr":
        assert out.endswith(b"line 2999\n")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_do_not_matter(tmp_path: Path, closed: tuple[int, ...]):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = started(tmp_path / "out", "what was found", closed=closed, **pipes)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and (tmp_path / "out").read_text() == "finished"
    assert (len(out.splitlines()) == 3000) == (1 not in closed)
    assert err == (b"" if 2 in closed else b"to stderr\nerror: what was found\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_disk_under_the_output_is_told(tmp_path: Path):
    with open("/dev/full", "w") as full:
        pipe = subprocess.PIPE
        process = started(tmp_path / "out", stdin=subprocess.DEVNULL, stdout=full, stderr=pipe)
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2 and err.count("error: ") == 1 and says(err, "no space left"), err


def test_what_a_terminal_would_obey_is_shown():
    code = "import sys\nfrom runtime.streams import make_lasting\nmake_lasting()\nprint(sys.argv[1])"
    name = "car\x1b]0;title\x07\x1b[2J\r\u202ename \u00fc\udce9"
    found = subprocess.run([sys.executable, "-c", code, name], capture_output=True, check=True, encoding="utf-8").stdout
    assert found == "car\\x1b]0;title\\x07\\x1b[2J\\r\\u202ename \u00fc\\udce9\n"


def test_a_slow_reader_of_a_stream_that_does_not_block_gets_all(tmp_path: Path):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = started(tmp_path / "out", stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    with open(reading, "rb") as pipe:
        lines = pipe.read().splitlines()
    assert process.wait(60) == 0 and len(lines) == 3000
