"""What Windows lacks, taken away from this Python: ``pytest -p tests.as_windows``.

`select` takes sockets only, and not many; there is no other way to wait. There are no forks, no
unnamed files, no reads at an offset, no writes or sends of several buffers, no signals but a few;
a file that is open is neither renamed nor removed, a directory is not opened, and a name has no
colon. A port may be had for oneself alone. The processes that tests start are treated alike.

It is no Windows: it shows what the library asks of a system.
"""

# Whoever asks the system what it has while it is imported has to do so before it is taken away.
from __future__ import annotations

import asyncio  # noqa: F401
import builtins
import concurrent.futures.thread  # noqa: F401
import errno
import importlib
import logging  # noqa: F401
import multiprocessing.connection  # noqa: F401
import os
import random  # noqa: F401
import select
import selectors
import shutil  # noqa: F401
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading  # noqa: F401
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent
MOST_SOCKETS = 512

LACKS: dict[Any, tuple[str, ...]] = {
    select: tuple(name for name in dir(select) if name.lower().startswith(("epoll", "poll"))),
    selectors: ("EpollSelector", "PollSelector"),
    os: (
        "O_TMPFILE", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC", "link",
        "fork", "forkpty", "register_at_fork", "pread", "preadv", "pwrite", "pwritev", "readv",
        "writev", "sendfile", "copy_file_range", "eventfd", "pipe2", "set_blocking", "fchmod",
        "fchown", "statvfs", "fstatvfs", "killpg", "mkfifo", "sched_getaffinity", "posix_fadvise",
        "memfd_create", "splice", "EFD_NONBLOCK", "EFD_CLOEXEC",
    ),
    signal: (
        "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGPIPE", "SIGCHLD", "alarm",
        "pthread_kill", "pthread_sigmask", "setitimer", "sigwait", "sigpending", "SIG_BLOCK",
    ),
    socket: (
        "AF_UNIX", "SO_REUSEPORT", "MSG_DONTWAIT", "MSG_NOSIGNAL", "MSG_CMSG_CLOEXEC",
        "TCP_QUICKACK", "SOCK_NONBLOCK", "SOCK_CLOEXEC", "sethostname", "send_fds", "recv_fds",
    ),
}  # fmt: skip
METHODS = ("sendmsg", "recvmsg", "recvmsg_into", "sendmsg_afalg")
EXCLUSIVE = ~socket.SO_REUSEADDR

exclusive: list[int] = []
"""The ports whose sockets were to be exclusive."""

_select = select.select
_setsockopt = socket.socket.setsockopt
_shutdown = socket.socket.shutdown


def only_sockets(
    read: Any, write: Any, exceptional: Any, timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    if not (len(read) or len(write) or len(exceptional)):
        raise OSError(errno.EINVAL, "an invalid argument was supplied")
    for several in (read, write, exceptional):
        if len(several) > MOST_SOCKETS:
            raise ValueError("too many file descriptors in select()")
        for one in several:
            fd = one if isinstance(one, int) else one.fileno()
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                raise OSError(errno.ENOTSOCK, f"descriptor {fd} is no socket")
    if timeout is not None and timeout > 2**31:
        raise OverflowError("timeout is too large")
    return _select(read, write, exceptional, timeout)


def pair(*_: Any) -> tuple[socket.socket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket()
        one.connect(listener.getsockname())
        return one, listener.accept()[0]


def absent(name: str) -> property:
    def get(self: Any) -> Any:
        raise AttributeError(name)

    return property(get)


def is_open(path: Any) -> bool:
    """Whether this process has a file open."""
    name = os.path.realpath(os.fsdecode(path))
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}") == name:
                return True
    return False


def is_ours(frame: FrameType) -> bool:
    """Whether a call comes from the library, and not from Python's own, which knows its system."""
    return str(frame.f_globals.get("__name__", "")).startswith("pynetdicom")


def unless_open(call: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*paths: Any, **kwargs: Any) -> Any:
        if is_ours(sys._getframe(1)):
            for path in paths:
                if is_open(path):
                    raise PermissionError(errno.EACCES, "the file is used by a process", path)
        return call(*paths, **kwargs)

    return checked


def with_names_of_windows(call: Callable[..., Any]) -> Callable[..., Any]:
    def checked(path: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, (str, bytes, os.PathLike)) and is_ours(sys._getframe(1)):
            name = os.fsdecode(path)
            if any(character in name for character in ':<>"|?*'):
                raise OSError(errno.EINVAL, "invalid argument", path)
            if os.path.isdir(name):
                raise PermissionError(errno.EACCES, "permission denied", path)
        return call(path, *args, **kwargs)

    return checked


def setsockopt(self: socket.socket, level: int, option: int, *value: Any) -> None:
    if level == socket.SOL_SOCKET and option == EXCLUSIVE:
        exclusive.append(self.fileno())
        option = socket.SO_REUSEADDR
    elif level == socket.SOL_SOCKET and option == getattr(socket, "SO_RCVTIMEO", 20):
        raise OSError(errno.EINVAL, "milliseconds are wanted")
    _setsockopt(self, level, option, *value)


def shutdown(self: socket.socket, how: int) -> None:
    """What is not connected yet is not ended by this either, unlike here."""
    if is_ours(sys._getframe(1)):
        self.getpeername()
    _shutdown(self, how)


def kill(pid: int, number: int, real: Callable[[int, int], None] = os.kill) -> None:
    if number == 0:
        raise AssertionError("that would send Ctrl-C to a console")
    real(pid, number)


def popen_kill(self: subprocess.Popen[Any]) -> None:
    if self.poll() is None:
        os.kill(self.pid, 9)


def simulate() -> None:
    """Take it all away."""
    for owner, names in LACKS.items():
        for name in names:
            with suppress(AttributeError):
                delattr(owner, name)
    for name in METHODS:
        setattr(socket.socket, name, absent(name))
    selectors.DefaultSelector = selectors.SelectSelector  # type: ignore[misc,assignment]
    selectors.SelectSelector._select = (  # type: ignore[attr-defined]
        lambda self, read, write, _, timeout=None: only_sockets(read, write, write, timeout)
    )
    select.select = only_sockets  # type: ignore[assignment]
    socket.socketpair = pair  # type: ignore[assignment]
    socket.SO_EXCLUSIVEADDRUSE = EXCLUSIVE  # type: ignore[attr-defined]
    socket.socket.setsockopt = setsockopt  # type: ignore[method-assign,assignment]
    socket.socket.shutdown = shutdown  # type: ignore[method-assign]
    tempfile._O_TMPFILE_WORKS = False  # type: ignore[attr-defined]
    os.O_BINARY = 0  # type: ignore[attr-defined]
    os.kill = kill
    os.replace = unless_open(os.replace)
    os.rename = unless_open(os.rename)
    os.unlink = os.remove = unless_open(os.unlink)
    os.open = with_names_of_windows(os.open)
    builtins.open = with_names_of_windows(builtins.open)
    subprocess.Popen.kill = popen_kill  # type: ignore[method-assign]
    importlib.import_module("pynetdicom.data_sets.descriptor").POSIX = False  # type: ignore[attr-defined]


POSIX_ONLY = (
    # They send real signals to a thread, limit a process, or look at what only POSIX has.
    "test_ctrl_c_",
    "test_emfile_and_recovery",
    "test_a_directory_is_sent",
    "test_fifo_does_not_block",
    "test_directory_missing_and_unreadable",
    "test_write_all_after_any_partial_write",
    "test_remove_parts",
    "test_another_host_does_not_remove_what_is_being_received",
    "test_partial_writes",
    "test_full_disk",
    "test_a_synced_file_is_on_the_disk_before_its_name_and_then_its_name",
    "test_permissions",
    "test_file_system_without_links",
    "test_saving_is_no_copy",
    # There a received file has a name meanwhile, and nobody replaces a file that is being read.
    "test_nothing_is_visible_meanwhile",
    "test_save_as_where_a_file_is",
    "test_a_reader_never_sees_a_torn_file",
    # A decoded data set has its file for as long as somebody holds it; see `test_portable`.
    "test_decoded_data_set_outlives_everything",
)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what is about POSIX only."""
    gone = [item for item in items if item.name.startswith(POSIX_ONLY)]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


def pytest_configure() -> None:
    """Have the programs that tests start treated alike."""
    directory = tempfile.mkdtemp(prefix="pynetdicom-windows-")
    Path(directory, "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"spec = importlib.util.spec_from_file_location('as_windows', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.simulate()\n"
        "sys.path.pop(0)\n"
    )
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [directory, before]))
