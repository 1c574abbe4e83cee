"""Does Open3D load here? Names the system libraries it misses and their Debian packages, or installs these as root.

`python runtime/check_system.py` is run by `make demo` and `make test`. Open3D is the only requirement that needs
libraries from outside its wheel, and only preprocessing loads it.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from runtime.errors import UserError, run

DEBIAN_PACKAGES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
}


def import_error(module: str) -> str | None:
    """Last line of what `import module` prints when it fails in a process of its own, which may crash; else None."""
    result = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True)
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {result.returncode}"


def missing_libraries(package: Path) -> list[str]:
    """Names of shared libraries that the compiled parts of `package` need and neither it nor the system has.

    Reads them with `ldd`, so all are found at once, where an import stops at the first. Empty without `ldd` (macOS).
    """
    if shutil.which("ldd") is None:
        return []
    own = {path.name for path in package.rglob("*.so*")}
    compiled = [path for path in package.rglob("*.so*") if path.name.startswith(("libOpen3D", "pybind"))]
    found: set[str] = set()
    for path in compiled:
        if path.parent.name != "cuda":  # a second build in the wheel, loaded only where there is a CUDA GPU
            listing = subprocess.run(["ldd", str(path)], capture_output=True, text=True).stdout
            found.update(re.findall(r"^\s*(\S+) => not found", listing, flags=re.MULTILINE))
    return sorted(found - own)


def advice(libraries: list[str]) -> str:
    """Which packages bring the missing libraries, with the command, in one line."""
    known = [DEBIAN_PACKAGES[name] for name in libraries if name in DEBIAN_PACKAGES]
    unknown = [name for name in libraries if name not in DEBIAN_PACKAGES]
    text = f"Open3D needs system libraries that are missing: {', '.join(libraries)}"
    if known:
        text += f"; on Debian or Ubuntu: sudo apt-get install -y --no-install-recommends {' '.join(known)}"
    if unknown:
        text += f"; find the package that brings {', '.join(unknown)} with your system's package search"
    return text


def install(packages: list[str]) -> None:
    """Install Debian packages with apt-get, which needs root rights. Raises UserError when apt-get fails."""
    print(f"installing system packages: {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        command = ["apt-get", "-q", *words]
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            last = (result.stdout.strip().splitlines() or ["no output"])[-1]
            raise UserError(f"`{' '.join(command)}` failed ({last}); run it by hand, then try again")


def main() -> int:
    spec = importlib.util.find_spec("open3d")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"open3d is not installed for {sys.executable}; run: pip install -r requirements.txt")
    folder = Path(spec.submodule_search_locations[0])
    error = import_error("open3d")
    if error is None:
        return 0
    packages = [DEBIAN_PACKAGES[name] for name in missing_libraries(folder) if name in DEBIAN_PACKAGES]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        install(packages)
        error = import_error("open3d")
        if error is None:
            return 0
    libraries = missing_libraries(folder)
    raise UserError(advice(libraries) if libraries else f"`import open3d` fails: {error}")


if __name__ == "__main__":
    run(main)
