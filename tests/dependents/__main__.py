"""``python -m tests.dependents [NAME…]``: does each package do its work through this library?

Each is installed into an environment of its own beside this library, as ``pynetdicom``, and its
case in ``cases/`` has it do what it is for, with servers of ours and of DCMTK's. Prints a table;
ends with 1 if one fails that has to work.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import BenchmarkError, run
from tests.dependents.peers import given

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).with_name("cases")
ENVIRONMENTS = ROOT / ".dependents"
LIMIT = 180.0
"""Seconds that a case may take."""


class Dependent(NamedTuple):
    """A package, and what is known of it.

    Attributes
    ----------
    requirements : tuple of str
        What pip installs.
    python : str
        The oldest Python that it runs with.
    trouble : str
        Why it does not work with any pynetdicom; empty if it has to.
    """

    requirements: tuple[str, ...]
    python: str = "3.11"
    trouble: str = ""


DEPENDENTS = {
    "dimsechord": Dependent(("dimsechord",), "3.12"),
    "dicom-qr": Dependent(("dicom-qr",)),
    "dicomtrolley": Dependent(("dicomtrolley",)),
    "pylantir": Dependent(("pylantir",)),
    "pymedphys": Dependent(("pymedphys[dicom]",)),
    "dicom-ups": Dependent(("dicom-ups",), "3.13"),
    "dicomforge": Dependent(("dicomforge[pydicom,pynetdicom]",)),
    "dcmfetch": Dependent(("dcmfetch",)),
    "pyconquest": Dependent(("pyconquest",)),
    "dicom-mcp": Dependent(("dicom-mcp", "mcp<2"), "3.12"),
}

REFERENCE = "3.0.4"


class Row(NamedTuple):
    """How it went with one."""

    name: str
    version: str
    outcome: str
    done: tuple[str, ...] = ()
    why: str = ""


def interpreter(oldest: str) -> str | None:
    """Find a Python that is not older: this one, one on the path, or one of pyenv's."""
    first = int(oldest.partition(".")[2])
    if sys.version_info.minor >= first:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(first, 30):
        found = [shutil.which(f"python3.{minor}"), *pyenv.glob(f"3.{minor}.*/bin/python")]
        for path in filter(None, found):
            if not subprocess.run([path, "-V"], capture_output=True, check=False).returncode:
                return str(path)
    return None


def install(name: str, library: str, fresh: bool) -> tuple[str, str]:
    """Install a package beside the library; give its Python, and its version or what is wrong."""
    python = interpreter(DEPENDENTS[name].python)
    if python is None:
        return "", f"there is no Python {DEPENDENTS[name].python} here"
    place = ENVIRONMENTS / f"{name}-{REFERENCE}" if library == REFERENCE else ENVIRONMENTS / name
    own = str(place / "bin" / "python")
    if fresh:
        shutil.rmtree(place, ignore_errors=True)
    pip = [own, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    ours = f"pynetdicom=={REFERENCE}" if library == REFERENCE else library
    try:
        if not place.exists():
            run([python, "-m", "venv", str(place)])
            # Ours comes first, so that it is what the package finds; then once more, whatever the
            # package's requirements say of versions.
            run([*pip, "install", ours, *DEPENDENTS[name].requirements])
        if library != REFERENCE:
            run([*pip, "install", "--no-deps", "--force-reinstall", ours])
        shown = run([own, "-c", VERSION, name])
    except BenchmarkError as error:
        shutil.rmtree(place, ignore_errors=True)
        return "", f"not installed: {error}"
    return own, shown.output.strip()


VERSION = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"


def work(name: str, library: str, options: argparse.Namespace) -> Row:
    """Have a package do its work."""
    python, version = install(name, library, options.fresh)
    if not python:
        return Row(name, "", "not tried", (), version)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("PYTHON")
    } | {"PYTHONPATH": str(ROOT), "TCP_NODELAY": "1"}
    own = {key: value for key, value in environment.items() if key != "PYTHONPATH"}
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    try:
        with given(folder / "work", environment) as what:
            ran = subprocess.run(
                [python, str(CASES / f"use_{name.replace('-', '_')}.py"), json.dumps(what)],
                env={**own, "HOME": str(folder), "QT_QPA_PLATFORM": "offscreen"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
    except subprocess.TimeoutExpired as late:
        return Row(name, version, "fails", done(late.stdout), f"not done after {LIMIT:g} s")
    finally:
        if options.keep:
            print(f"{name}: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if options.verbose:
        print(ran.stdout, ran.stderr, sep="\n")
    why = ran.stderr.strip().rpartition("\n")[2] if ran.returncode else ""
    return Row(name, version, "fails" if ran.returncode else "works", done(ran.stdout), why)


def done(output: str | bytes | None) -> tuple[str, ...]:
    """What a case said it has done."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return tuple(line[2:] for line in text.splitlines() if line.startswith("+ "))


def build() -> str:
    """Make a wheel of this checkout."""
    wheels = ENVIRONMENTS / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT)])
    [wheel] = wheels.glob("*.whl")
    return str(wheel)


def main() -> int:
    """Try the packages that were asked for, or all; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.dependents", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a package (default: all)")
    parser.add_argument(
        "--reference", action="store_true", help=f"try them with pynetdicom {REFERENCE}, too"
    )
    parser.add_argument("--fresh", action="store_true", help="make the environments anew")
    parser.add_argument("--keep", action="store_true", help="keep what they have written")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what they print")
    options = parser.parse_args()
    if unknown := set(options.names) - set(DEPENDENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(DEPENDENTS)}")
    library, failed = build(), False
    for name in options.names or DEPENDENTS:
        row = work(name, library, options)
        outcome = row.outcome
        if options.reference:
            outcome += f" ({REFERENCE}: {work(name, REFERENCE, options).outcome})"
        known = DEPENDENTS[name].trouble
        failed |= row.outcome == "fails" and not known
        told = "; ".join(row.done) + (f" | {row.why}" if row.why else "")
        print(f"{name:13} {row.version:8} {outcome:9}  {told}", flush=True)
        if known:
            print(f"{'':24}known: {known}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
