"""Missing system libraries are found by their names, and turned into a command that brings them."""

import shutil
import subprocess
from pathlib import Path

import pytest
from facts import naming, says

from runtime import check_system
from runtime.errors import UserError


def test_import_error_is_the_last_line_of_the_traceback():
    assert check_system.import_error("json") is None
    assert check_system.import_error("no_such_module_here") == (
        "ModuleNotFoundError: No module named 'no_such_module_here'"
    )


@pytest.mark.skipif(
    shutil.which("ldd") is None or shutil.which("cc") is None, reason="needs ldd and a C compiler to make libraries"
)
def test_libraries_that_neither_package_nor_system_has_are_found(tmp_path: Path):
    """libOpen3D here needs three libraries: one of the system, one of its own package, and one that is gone."""

    def build(name: str, *needed: str) -> Path:
        path = tmp_path / name
        words = ["cc", "-shared", "-x", "c", "/dev/null", "-x", "none", "-Wl,--no-as-needed", f"-Wl,-soname,{name}"]
        subprocess.run([*words, *needed, "-o", str(path)], check=True)
        return path

    gone, own = build("libgone.so.3"), build("libown.so.2")
    build("libOpen3D.so.0", str(gone), str(own), "-lm")
    assert check_system.missing_libraries(tmp_path) == []  # both lie in the package, though `ldd` does not find them
    gone.unlink()
    assert check_system.missing_libraries(tmp_path) == ["libgone.so.3"]


def test_advice_names_libraries_packages_and_the_command():
    text = check_system.advice(["libX11.so.6", "libusb-1.0.so.0"])
    assert says(text, "libX11.so.6 libusb-1.0.so.0")
    assert text.endswith("sudo apt-get install -y --no-install-recommends libx11-6 libusb-1.0-0")
    assert "apt-get" not in check_system.advice(["libother.so.1"]) and "libother.so.1" in check_system.advice(
        ["libother.so.1"]
    )


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine without libusb: `installed` gets what is installed on it, after which Open3D loads."""
    installed: list[str] = []
    monkeypatch.setattr(check_system, "import_error", lambda module: None if installed else "ImportError: libusb")
    monkeypatch.setattr(check_system, "missing_libraries", lambda folder: [] if installed else ["libusb-1.0.so.0"])
    monkeypatch.setattr(check_system, "install", installed.extend)
    monkeypatch.setattr(check_system.shutil, "which", lambda name: f"/usr/bin/{name}")
    return installed


def test_root_on_debian_gets_them_installed(machine, monkeypatch):
    monkeypatch.setattr(check_system.os, "geteuid", lambda: 0)
    assert check_system.main() == 0 and machine == ["libusb-1.0-0"]
    assert check_system.main() == 0 and machine == ["libusb-1.0-0"]  # nothing to do the second time


def test_others_get_the_command(machine, monkeypatch):
    monkeypatch.setattr(check_system.os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match=naming("libusb-1.0.so.0 sudo apt-get install libusb-1.0-0")):
        check_system.main()
    assert machine == []


def test_root_without_apt_gets_the_command(machine, monkeypatch):
    monkeypatch.setattr(check_system.os, "geteuid", lambda: 0)
    monkeypatch.setattr(check_system.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="libusb"):
        check_system.main()
    assert machine == []


def test_open3d_that_fails_for_another_reason_says_why(machine, monkeypatch):
    monkeypatch.setattr(check_system, "missing_libraries", lambda folder: [])
    with pytest.raises(UserError, match=naming("open3d ImportError: libusb")):
        check_system.main()


def test_failing_apt_is_named_with_its_last_line(monkeypatch):
    answer = subprocess.CompletedProcess([], 100, stdout="Reading...\nE: Unable to fetch\n")
    monkeypatch.setattr(check_system.subprocess, "run", lambda *words, **options: answer)
    with pytest.raises(UserError, match=naming("apt-get update E: Unable to fetch")):
        check_system.install(["libusb-1.0-0"])
