"""Lets one call of the operating system fail in each run of a step, as network disks do, and looks at how it ends.

    python -m lab.stress.faults                                # 10 faults for each step, some minutes
    python -m lab.stress.faults --faults 3 --steps train_ndf generate --seed 5

A step must end with status 0 and the files of an undisturbed run, or with status 2 and one line (1, where one mesh of
step 1, or of own meshes, could not be read); run again without a fault, it must leave these files in any case. The call
is a random one of those of `faulty_calls.py`, its error ESTALE, EIO or, of a call that takes room, ENOSPC. (Python
itself calls again after EINTR.) Exit status: 0, or 1 with a line for each difference.
"""

import argparse
import errno
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from lab.stress.faulty_calls import let_fail
from lab.stress.files_of_a_run import differences, digests
from lab.stress.kills import LIMIT_S, STEPS, Chaos, Child, be_step, import_all, undisturbed

ERRORS = (errno.ESTALE, errno.EIO, errno.ENOSPC)
LEFT_OUT = ("mesh that failed", "1 of them left out")
COUNT = "calls"  # ending of the file with the number of calls of an undisturbed run


def start(chaos: Chaos, step: str, number: int, error: int) -> Child:
    log = chaos.folder / "log.txt"
    if pid := os.fork():
        return Child(pid, log)
    seen = let_fail(str(chaos.work), number, error)
    leave, _exit = log.with_suffix(f".{COUNT}"), os._exit

    def tell(status: int) -> None:
        leave.write_text("\n".join([str(len(seen)), *seen[number - 1 : number]]))
        _exit(status)

    os._exit = tell  # type: ignore[assignment]
    be_step(chaos.command(step), log, chaos.work, {})
    raise AssertionError("a step ends its process")


def told_of(chaos: Chaos) -> list[str]:
    return (chaos.folder / f"log.{COUNT}").read_text().splitlines()


def try_fault(chaos: Chaos, step: str, number: int, error: int) -> tuple[int, list[str]]:
    """The status with which a step ended, and what was wrong."""
    before, after = chaos.folder / f"before_{step}", chaos.folder / f"after_{step}"
    shutil.rmtree(chaos.work)
    shutil.copytree(before, chaos.work, symlinks=True)
    child = start(chaos, step, number, error)
    status = child.end()
    if status < 0:
        return status, [f"killed, or no end within {LIMIT_S} s"]
    text = child.text()
    fault = " ".join(told_of(chaos)[1:])
    wrong = [f"{fault}: files differ: {one}" for one in differences(digests(after), digests(chaos.work))]
    if status:
        wrong = []
        of_one_mesh = status == 1 and any(words in text for words in LEFT_OUT)  # the others were made
        if not of_one_mesh and (status != 2 or "Traceback" in text or text.count("error: ") != 1):
            wrong = [f"{fault}: status {status}: {text[-1500:]}"]
        again = start(chaos, step, 0, error)
        if again.end():
            wrong.append(f"{fault}: again: {again.last_line()}")
        wrong += [f"{fault}: again, files differ: {one}" for one in differences(digests(after), digests(chaos.work))]
    return status, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Let calls of the system fail; see the head of this file.")
    parser.add_argument("--faults", type=int, default=10, help="for each step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    options = parser.parse_args()
    import_all()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="faults_") as folder:
        chaos = Chaos(Path(folder), random.Random(options.seed), fresh=False, interrupt=False, num_cpus=1)
        chaos.work.mkdir()
        print(f"{'step':16}{'calls':>8}{'faults':>8}{'went on':>9}{'one line':>10}  result")
        for step in list(STEPS)[: max(list(STEPS).index(name) for name in options.steps) + 1]:
            undisturbed(chaos, step)
            statuses, wrong, calls = [], [], 0
            for _ in range(options.faults if step in options.steps else 0):
                if not calls:
                    try_fault(chaos, step, 0, ERRORS[0])
                    calls = int(told_of(chaos)[0])
                status, found = try_fault(chaos, step, chaos.rng.randint(1, calls), chaos.rng.choice(ERRORS))
                statuses.append(status)
                wrong += found
            failed += bool(wrong)
            numbers = f"{calls:8}{len(statuses):8}{statuses.count(0):9}{statuses.count(2):10}"
            print("\n  ".join([f"{step:16}{numbers}  {'WRONG' if wrong else 'right'}", *wrong]), flush=True)
            shutil.rmtree(chaos.work)
            shutil.copytree(chaos.folder / f"after_{step}", chaos.work, symlinks=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
