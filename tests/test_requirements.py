"""requirements.txt is the single source: pinned, installed as it says, and what NDF.yml gives to conda users."""

import ast
import re
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from test_layout import ROOMS

from runtime.layout import ROOT

IMPORT_NAMES = {"pillow": "PIL", "open3d-cpu": "open3d"}
INSTALL_LINES = {"-e .", "-r requirements.txt"}


def read_requirements(name: str) -> list[Requirement]:
    lines = [line.split(" #")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


RUNTIME = read_requirements("requirements.txt")
DEVELOPMENT = read_requirements("requirements-dev.txt")


@pytest.mark.parametrize("requirement", RUNTIME + DEVELOPMENT, ids=lambda requirement: requirement.name)
def test_requirement_is_pinned_and_installed_as_pinned(requirement):
    (clause,) = requirement.specifier
    assert clause.operator == "==" and "*" not in clause.version
    if requirement.marker is None or requirement.marker.evaluate():
        assert requirement.specifier.contains(version(requirement.name))  # 2.13.0+cpu counts as 2.13.0


def test_what_benchmarks_compare_with_is_pinned_and_no_other_version_than_the_tests_have():
    compared = read_requirements("requirements-bench.txt")
    assert all([clause.operator for clause in requirement.specifier] == ["=="] for requirement in compared)
    tested = {requirement.name: requirement.specifier for requirement in RUNTIME + DEVELOPMENT}
    assert [r.name for r in compared if tested.get(r.name, r.specifier) != r.specifier] == []


def test_each_requirement_says_what_it_is_for():
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-bench.txt"):
        above = ""
        for line in (ROOT / name).read_text().splitlines():
            if not line.startswith("#") and not line.startswith("open3d==") and line not in INSTALL_LINES:
                assert " # " in line or above.startswith("#"), f"{name}: {line}"
            above = line


def test_exactly_one_open3d_is_chosen_on_every_platform():
    choices = [requirement for requirement in RUNTIME if requirement.name.startswith("open3d")]
    for system in ("linux", "darwin", "win32"):
        for machine in ("x86_64", "arm64", "aarch64", "AMD64"):
            environment = {"sys_platform": system, "platform_machine": machine}
            chosen = [requirement.name for requirement in choices if requirement.marker.evaluate(environment)]
            assert chosen == ["open3d-cpu" if (system, machine) == ("linux", "x86_64") else "open3d"]


def test_conda_environment_takes_the_same_requirements():
    environment = yaml.safe_load((ROOT / "NDF.yml").read_text())
    assert environment["name"] == "NDF"
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == [["-r requirements.txt"]]  # a file name, so the two cannot differ
    python = next(entry for entry in conda if entry.startswith("python="))
    assert Version(python.split("=")[1]) in supported_pythons()
    assert sorted(entry.split("=")[0] for entry in conda) == ["pip", "python"]  # versions stand in one place only


def test_both_files_install_the_packages_of_this_repository():
    runtime = (ROOT / "requirements.txt").read_text().splitlines()
    assert "-e ." in runtime
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()


def supported_pythons() -> SpecifierSet:
    return SpecifierSet(metadata("implicit-car-flow")["Requires-Python"])


def test_supported_pythons_are_those_that_make_looks_for():
    accepted = {minor for minor in range(20) if Version(f"3.{minor}.5") in supported_pythons()}
    assert accepted == {10, 11, 12}
    assert Version("{}.{}.{}".format(*sys.version_info[:3])) in supported_pythons()
    makefile = (ROOT / "Makefile").read_text()
    assert {int(minor) for minor in re.findall(r"\bpython3\.(\d+)", makefile)} == accepted
    low, high = re.search(r"\((3, \d+)\) <= sys.version_info < \((3, \d+)\)", makefile).groups()
    assert (low, high) == (f"3, {min(accepted)}", f"3, {max(accepted) + 1}")


def imported_modules(path: Path) -> set[str]:
    """Top-level names of all absolute imports in a Python file, those inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_every_import_is_required_and_every_requirement_is_imported():
    product = list(ROOT.glob("*.py"))
    for package in ROOMS:
        product += [path for path in (ROOT / package).rglob("*.py") if "experiments" not in path.parts]
    used = set().union(*(imported_modules(path) for path in product))
    foreign = used - sys.stdlib_module_names - set(ROOMS)
    required = {IMPORT_NAMES.get(requirement.name, requirement.name) for requirement in RUNTIME}
    assert foreign <= required, "imported, but not in requirements.txt"
    assert required - foreign <= {"tensorboard", "lazrs"}, (
        "in requirements.txt, but nothing imports it"
    )  # torch and laspy do
