"""The most memory that a process has had, for tests and for the programs that they start."""

from __future__ import annotations

import inspect


def peak(pid: int | str = "self") -> int:
    """The peak of a process's resident memory, in bytes."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024


PEAK = "from __future__ import annotations\n" + inspect.getsource(peak)
"""The same at the beginning of a program."""
