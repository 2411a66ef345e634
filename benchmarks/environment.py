"""What is measured against: DCMTK's tools; pynetdicom 3.0.4 and pydcm in environments of theirs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLD_VERSION = "3.0.4"
PYDCM_VERSION = "0.5.0"
QUIET = 0.2
TOO_BUSY = ": too much for figures that are to be trusted"


def default_cache() -> Path:
    """Directory for what is installed once and used by later runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pynetdicom-benchmarks"


def find_dcmtk(tool: str) -> str | None:
    """Find a tool of DCMTK on the PATH; ours of the same name may come before it."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, tool)
        if os.access(path, os.X_OK) and _version_line(path).startswith("$dcmtk"):
            return path
    return None


def dcmtk_version(path: str) -> str:
    """Give DCMTK's version number."""
    words = _version_line(path).split()
    return next((word.lstrip("v") for word in words if word.startswith("v")), "unknown")


def _version_line(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.partition("\n")[0]


def install_old_version(cache: Path) -> tuple[str | None, str]:
    """Install pynetdicom 3.0.4 from the package index, unless it is there.

    Returns
    -------
    tuple of (str or None, str)
        Its interpreter and an empty text, or None and the reason.
    """
    packages = [f"pynetdicom=={OLD_VERSION}", "pydicom==" + importlib.metadata.version("pydicom")]
    return _install(cache, f"pynetdicom-{OLD_VERSION}", sys.executable, packages)


def install_pydcm(cache: Path) -> tuple[str | None, str]:
    """Install pydcm, as `install_old_version`; it needs Python 3.12 or later."""
    python = _newer_python()
    if python is None:
        return None, "there is no Python 3.12 or later"
    return _install(cache, f"pydcm-{PYDCM_VERSION}", python, [f"pydcm=={PYDCM_VERSION}"])


def _newer_python() -> str | None:
    """Find a Python that is at least 3.12."""
    if sys.version_info >= (3, 12):
        return sys.executable
    known = [shutil.which(f"python3.{minor}") for minor in range(20, 11, -1)]
    known += [str(path) for path in Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python")]
    for path in filter(None, known):
        # A shim of that name may stand for no Python.
        done = subprocess.run([path, "-c", "import venv"], capture_output=True, check=False)
        if done.returncode == 0:
            return path
    return None


def _install(cache: Path, name: str, python: str, packages: list[str]) -> tuple[str | None, str]:
    """Install packages into an environment of their own, unless that is there."""
    tag = f"{sys.implementation.cache_tag}-{platform.machine()}"
    directory = cache / f"{name}-{tag}"
    interpreter = directory / "bin" / "python"
    done = directory / "complete"
    if done.exists():
        return str(interpreter), ""
    commands = (
        [python, "-m", "venv", "--clear", str(directory)],
        [str(interpreter), "-m", "pip", "install", "--quiet", *packages],
    )
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout).strip().rpartition("\n")[2]
            return None, f"it could not be installed: {last[:300]}"
        except (OSError, subprocess.SubprocessError) as error:
            return None, f"it could not be installed: {error}"
    done.touch()
    return str(interpreter), ""


def busy(seconds: float = 1.0) -> str:
    """Look at the machine for a while: how many cores work, for others, as we do nothing."""
    first = _processor_times()
    time.sleep(seconds)
    working, total = (now - before for now, before in zip(_processor_times(), first, strict=True))
    cores = os.cpu_count() or 1
    used = working / total * cores
    return f"{used:.2f} of {cores} cores{TOO_BUSY if used > QUIET else ''}"


def _processor_times() -> tuple[int, int]:
    """Give the time for which cores have worked, and all time, in ticks."""
    line = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, idle, waiting, *others = map(int, line.split()[1:9])
    working = user + nice + system + sum(others)
    return working, working + idle + waiting


def machine() -> dict[str, str]:
    """Describe the machine, as far as it matters for the figures."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "pydicom": importlib.metadata.version("pydicom"),
    }
