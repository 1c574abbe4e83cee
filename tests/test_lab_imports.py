"""Every module of the laboratory finds what it imports: most are run by hand, and nothing else would notice."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PEERS = re.findall(r"^([\w-]+)==", (ROOT / "requirements-bench.txt").read_text(), re.M)
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "lab").rglob("*.py"))
    if path.stem not in ("__init__", "__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_laboratory_can_be_imported(name: str):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0].replace("_", "-") not in {peer.lower() for peer in PEERS} | set(PEERS):
            raise
        pytest.skip(f"{error.name} comes with make bench")
