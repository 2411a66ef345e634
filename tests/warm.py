"""Starts Python programs warm: forks of a process that has imported what others wrote.

Python with pydicom, NumPy and SQLAlchemy takes half a second to start; a fork takes some
milliseconds. What is ours is imported by each program itself, as it would be.

`run` and `Popen` are used as those of `subprocess`, for commands that begin with `sys.executable`.
What cannot be had warm is started as ever: other options than ``-m``, ``-c`` and ``-W``, another
environment for Python itself, a system without `os.pidfd_open`, and everything where
``PYNETDICOM_TEST_COLD`` is set.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
import types
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

COLD = "PYNETDICOM_TEST_COLD"
IMPORTED = (
    *("argparse", "asyncio", "concurrent.futures", "ctypes", "logging.handlers", "sqlite3", "ssl"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg", "rich.progress"),
    *("cryptography.x509", "cryptography.hazmat.primitives.serialization"),
)
PYDICOM = ("pydicom", "pydicom.filewriter", "pydicom.uid")
OURS = ["-m", "pynetdicom"]
"""Programs that keep pydicom from importing NumPy: they are forked from another process."""
_MESSAGE = 1 << 18


# ---------------------------------------------------------------------------- in the warm process


def serve(channel: socket.socket) -> tuple[list[str], str] | None:
    """Fork for each request: in the child, give its arguments and its directory."""
    selector = selectors.DefaultSelector()
    selector.register(channel, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data:  # a program has ended
                pid, status = key.data
                selector.unregister(key.fd)
                os.close(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(BrokenPipeError), os.fdopen(status, "w") as told:
                    told.write(f"{code}\n")
                continue
            data, descriptors, *_ = socket.recv_fds(channel, _MESSAGE, 4)
            if not data:
                return None
            status, *streams = descriptors
            arguments, directory, env = json.loads(data)
            pid = os.fork()
            if not pid:
                selector.close()
                channel.detach()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                os.closerange(3, max(status, *streams, key.fd) + 1000)
                os.environ.clear()
                os.environ.update(env)
                time.tzset()
                return arguments, directory
            for stream in streams:
                os.close(stream)
            os.write(status, b"%d\n" % pid)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))


def become(arguments: list[str], directory: str) -> None:
    """Do what ``python ARGUMENTS`` does."""
    os.chdir(directory)
    # Those that there are know of the files that they had, such as whether they can seek.
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115  # stays open
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        raw = io.FileIO(number, "w", closefd=False)
        stream = io.TextIOWrapper(raw, errors=errors, line_buffering=True, write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    while arguments[0] == "-W":
        warnings._setoption(arguments[1])  # type: ignore[attr-defined]  # as Python's start does
        del arguments[:2]
    if arguments[0] == "-m":
        sys.argv, sys.path[0] = arguments[1:], directory
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    if arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        source, name = arguments[1], "<string>"
    else:
        sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
        source, name = Path(arguments[0]).read_text(), arguments[0]
        module.__file__ = name
    exec(compile(source, name, "exec"), module.__dict__)


# ------------------------------------------------------------------------------------ in the tests


class _Started:
    """The warm processes, once there are some."""

    channels: tuple[socket.socket, ...] = ()  # with NumPy, without
    env: Mapping[str, str] = {}


def start(env: Mapping[str, str]) -> None:
    """Start them for programs with this environment; they end when this process does."""
    if COLD in os.environ or not hasattr(os, "pidfd_open") or not hasattr(socket, "send_fds"):
        return
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    _Started.channels, theirs = zip(*pairs, strict=True)
    _Started.env = env
    numbers = [one.fileno() for one in theirs]
    warm = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", *map(str, numbers)],
        pass_fds=numbers,
        # NumPy's threads would not be there in a fork.
        env={**env, "OPENBLAS_NUM_THREADS": "1"},
    )
    for one in theirs:
        one.close()

    def end() -> None:
        for one in _Started.channels:
            one.close()
        warm.wait()

    atexit.register(end)


def _of_python(env: Mapping[str, str]) -> dict[str, str]:
    """What Python looks at when it starts."""
    return {name: env[name] for name in env if name.startswith(("PYTHON", "LC_", "LANG"))}


def _is_warm(command: Sequence[str], options: Mapping[str, Any]) -> bool:
    strange = options.keys() - {"stdin", "stdout", "stderr", "text", "env", "cwd"}
    first = next((word for word in command[1::2] if word != "-W"), "-")
    return (
        bool(_Started.channels)
        and not strange
        and command[0] == sys.executable
        and (first in ("-m", "-c") or not first.startswith("-"))
        and _of_python(options.get("env") or os.environ) == _of_python(_Started.env)
    )


class Warm:
    """A program, as `subprocess.Popen` gives it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int | None = None,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: Any = None,
    ) -> None:
        self.args = command
        self.returncode: int | None = None
        with contextlib.ExitStack() as theirs:
            pipes: list[IO[Any] | None] = []
            given: list[int] = []
            for number, stream in enumerate((stdin, stdout, stderr)):
                pipes.append(None)
                if stream is None:
                    given.append(number)
                elif stream == subprocess.STDOUT:
                    given.append(given[1])
                elif stream == subprocess.DEVNULL:
                    given.append(os.open(os.devnull, os.O_RDWR))
                    theirs.callback(os.close, given[-1])
                elif stream == subprocess.PIPE:
                    ends = os.pipe()
                    mine = 0 if number else 1
                    mode = ("r" if number else "w") + ("" if text else "b")
                    pipes[-1] = os.fdopen(ends[mine], mode)
                    given.append(ends[1 - mine])
                    theirs.callback(os.close, given[-1])
                else:
                    given.append(stream if isinstance(stream, int) else stream.fileno())
            self.stdin, self.stdout, self.stderr = pipes
            read, write = os.pipe()
            theirs.callback(os.close, write)
            request = [list(command[1:]), str(cwd or os.getcwd()), dict(env or os.environ)]
            channel = _Started.channels[request[0][:2] == OURS]
            socket.send_fds(channel, [json.dumps(request).encode()], [write, *given])
        self._told = os.fdopen(read)
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._told:
                self.returncode = int(self._told.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """What is left to read, once it has ended; one that takes too long is killed."""
        if self.stdin:
            self.stdin.close()
        streams = [
            stream if stream and not stream.closed else io.StringIO()
            for stream in (self.stdout, self.stderr)
        ]
        with ThreadPoolExecutor(2) as pool:
            reads = [pool.submit(stream.read) for stream in streams]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        for stream in streams:
            stream.close()
        out, err = (read.result() for read in reads)
        return out, err

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream:
                stream.close()
        self.wait()


def Popen(command: Sequence[str], **options: Any) -> Any:  # as in `subprocess`
    """A program in the background."""
    if _is_warm(command, options):
        return Warm(command, **options)
    return subprocess.Popen(command, **options)


def run(
    command: Sequence[str],
    *,
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if not _is_warm(command, options):
        return subprocess.run(command, check=check, timeout=timeout, **options)
    process = Warm(command, **options)
    out, err = process.communicate(timeout)
    result = subprocess.CompletedProcess(command, process.wait(), out, err)
    if check:
        result.check_returncode()
    return result


imported: dict[str, types.ModuleType] = {}


def import_all(names: Iterable[str]) -> None:
    """Import what programs import, to stay: taking it apart would take each of them long."""
    before = set(sys.modules)
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in sys.modules.keys() - before:
        imported[name] = sys.modules[name]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(imported[name]))


def main(numbers: list[int]) -> tuple[list[str], str] | None:
    """Serve with NumPy and, in another process, without; gives what `serve` does."""
    atexit.register(lambda: [sys.modules.pop(name) for name in imported])  # the last to be called
    import_all(IMPORTED)
    without_numpy = os.fork() == 0
    if without_numpy:
        sys.modules["numpy"] = None  # type: ignore[assignment]  # as the programs do
        import_all(PYDICOM)
        del sys.modules["numpy"]
    else:
        import_all(("numpy", *PYDICOM))
    gc.collect()
    gc.freeze()
    os.close(numbers[not without_numpy])
    asked = serve(socket.socket(fileno=numbers[without_numpy]))
    if not asked and not without_numpy:
        os.wait()
    return asked


if __name__ == "__main__":
    asked = None
    with contextlib.suppress(KeyboardInterrupt):
        asked = main([int(number) for number in sys.argv[1:]])
    if asked:
        become(*asked)
