"""`make hostile`: give every reader broken and hostile input, and say how each ended.

Words: of which one is in the name of each reader that is tried (default: all). --every N: one of N cases. Exit status
1 if a case did what the documents promise not to happen; its folder is kept then. Takes minutes on one core.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import trimesh  # noqa: F401  # here and not in each case

from lab.stress.hostile.inputs import all_cases
from lab.stress.hostile.sandbox import Ending, run_case
from lab.stress.hostile.template import make_template


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    chosen = [one for one in all_cases() if not options.readers or any(word in one.reader for word in options.readers)]
    chosen = chosen[:: options.every]
    in_memory = Path("/dev/shm")  # each case copies a hundred small files
    base = Path(tempfile.mkdtemp(prefix="hostile_", dir=in_memory if os.access(in_memory, os.W_OK) else None))
    base.chmod(0o755)
    folder, template = base / "case", base / "template"
    make_template(folder)  # under the name that the cases will have, since its files hold paths
    folder.rename(template)
    began, endings = time.monotonic(), []
    for n, case in enumerate(chosen):
        ending = run_case(case, template, folder)
        endings.append(ending)
        if n % 25 == 0:
            print(f"{n} of {len(chosen)}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if ending.problems:
            for path in (folder, folder.with_suffix(".out"), folder.with_suffix(".err")):
                path.rename(base / f"failed_{n}{path.suffix}")
            print(f"FAILED {case.reader}: {case.name}: {'; '.join(ending.problems)}: {base}/failed_{n}*", flush=True)
    print(table(endings))
    failed = sum(bool(ending.problems) for ending in endings)
    print(f"{len(endings)} inputs, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def table(endings: list[Ending]) -> str:
    """A line of Markdown for each reader."""
    readers: dict[str, list[Ending]] = defaultdict(list)
    for ending in endings:
        readers[ending.case.reader].append(ending)
    lines = ["| reader | inputs | status 2 | status 1 | status 0 | failed | slowest, s | most memory, MB |"]
    lines.append("|---|" + 7 * "---:|")
    for name, found in readers.items():
        counts = [sum(ending.status == status for ending in found) for status in (2, 1, 0)]
        numbers = [len(found), *counts, sum(bool(ending.problems) for ending in found)]
        slowest, most = max(one.seconds for one in found), max(one.memory for one in found)
        lines.append("| " + " | ".join(map(str, [name, *numbers, f"{slowest:.1f}", f"{most / 1e6:.0f}"])) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
