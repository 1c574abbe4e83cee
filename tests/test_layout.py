"""The rooms of the house: imports go one way only, and each room says what it is for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.layout import ROOT

ROOMS = {  # room -> the rooms that it may import from
    "runtime": set(),
    "configs": {"runtime"},
    "demo_cars": {"runtime", "configs", "dataprocessing"},  # its type of a mesh
    "dataprocessing": {"runtime", "configs", "demo_cars"},
    "models": {"runtime", "configs"},
    "visualization": {"runtime", "configs"},
}
for room in ("frozen", "training", "generation", "evaluation"):  # each may import from all rooms before it
    ROOMS[room] = set(ROOMS)
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "experiments" not in path.parts]


def imported_modules(path: Path, for_types: bool = True) -> Iterator[str]:
    """Modules of the project that a file imports, inside functions too; for_types: and for types alone."""
    tree = ast.parse(path.read_text())
    if not for_types:
        tree.body = [node for node in tree.body if ast.unparse(getattr(node, "test", node)) != "TYPE_CHECKING"]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if module_file(name) else node.module for name in inside]
        yield from (name for name in names if name.split(".")[0] in ROOMS)


def module_file(name: str) -> Path | None:
    path = ROOT / name.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_rooms_below_its_own(path: Path):
    room = path.relative_to(ROOT).parts[0]
    for name in imported_modules(path):
        assert module_file(name), f"{path} imports {name}, which is not there"
        other = name.split(".")[0]
        assert other == room or other in ROOMS[room], f"{path} imports {name}: {room} may not need {other}"


def test_no_two_modules_need_each_other():
    needs = {path: {module_file(name) for name in imported_modules(path, False)} - {path} for path in FILES}
    needs = {path: {other for other in found if other in needs} for path, found in needs.items()}
    while leaves := [path for path, found in needs.items() if not found]:
        needs = {path: found - set(leaves) for path, found in needs.items() if path not in leaves}
    assert not needs, f"these import each other in a circle: {sorted(str(path) for path in needs)}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for(room: str):
    text = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text()))
    assert text and len(text.splitlines()) >= 3
