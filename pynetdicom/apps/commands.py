"""The commands that storescp runs for an object, and for a study of which no more has come.

One thread runs them, one after another, so that no association waits for them. They are programs
with arguments, never text for a shell. Threads meet in a queue: an association's thread puts into
it what it has stored.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from typing import NamedTuple

from pynetdicom.data_sets.descriptor import POSIX
from pynetdicom.network import threads

LOGGER = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""So many commands wait at most; what would add another is not received."""

CLOSING_SECONDS = 10.0
"""How long the end waits for the commands that are left."""

TERMINATED_SECONDS = 1.0

_PLACEHOLDER = re.compile("#([pfacru])")


class Received(NamedTuple):
    """What a command is told, by its placeholders."""

    path: str
    study: str
    study_folder: str
    calling: str
    called: str
    address: str

    def values(self) -> dict[str, str]:
        """What the placeholders stand for where a command is run for the object."""
        folder, name = os.path.split(self.path)
        return {**self.study_values(), "p": folder, "f": name}

    def study_values(self) -> dict[str, str]:
        """What they stand for where one is run for the study."""
        return {
            "p": self.study_folder, "a": self.calling, "c": self.called, "r": self.address,
            "u": self.study,
        }  # fmt: skip


class Command:
    """A program with arguments, in which placeholders stand for what has been received.

    Parameters
    ----------
    option : str
        The option that it is given by.
    text : str
        As a shell would have it: quotes and backslashes keep an argument together.
    of_study : bool
        Whether it is run for a study.

    Raises
    ------
    ValueError
        Why it cannot be run.
    """

    def __init__(self, option: str, text: str, *, of_study: bool = False) -> None:
        self.option = option
        try:
            self._words = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
        if not self._words or shutil.which(self._words[0]) is None:
            raise ValueError(f"{option}: there is no program {' '.join(self._words[:1])!r}")
        if of_study and any("f" in _PLACEHOLDER.findall(word) for word in self._words):
            raise ValueError(f"{option}: #f is the name of a file, and a study has several")

    def arguments(self, values: dict[str, str]) -> list[str]:
        """Give the arguments, each of which stays one, whatever a value has in it.

        Raises
        ------
        ValueError
            A value, which may be a peer's, would be taken for an option.
        """
        found = [_PLACEHOLDER.sub(lambda one: values[one[1]], word) for word in self._words]
        for word, argument in zip(self._words, found, strict=True):
            if argument.startswith("-") and not word.startswith("-"):
                raise ValueError(f"{word} would be taken for an option: {argument!r}")
        return found


class Job(NamedTuple):
    """A command to be run."""

    command: Command
    values: dict[str, str]
    name: str


class Study(NamedTuple):
    """A study of which more may come."""

    due: float
    last: Received


class Commands:
    """Runs commands for what is received, while it is entered.

    At its end all that is left is run, studies too, for at most `CLOSING_SECONDS`.

    Parameters
    ----------
    on_receive, on_study : Command or None
    quiet_time : float
        Seconds after its last object at which a study is taken to be complete.
    """

    def __init__(
        self, on_receive: Command | None, on_study: Command | None, quiet_time: float
    ) -> None:
        self._on_receive, self._on_study = on_receive, on_study
        self._quiet_time = quiet_time
        self._come: queue.SimpleQueue[tuple[float, Received] | None] = queue.SimpleQueue()
        # The thread that runs commands alone touches these.
        self._studies: dict[tuple[str, str], Study] = {}
        self._waiting: deque[Job] = deque()
        self._is_closing = False
        # The lock is held by that thread and the one that ends, to start and to stop a program.
        self._lock = threading.Lock()
        self._program: subprocess.Popen[bytes] | None = None
        self._is_over = False

    def __enter__(self) -> Commands:
        self._thread = threads.start("commands", self._work)
        return self

    def __exit__(self, *_: object) -> None:
        self._come.put(None)
        self._thread.join(CLOSING_SECONDS)
        if self._thread.is_alive():
            with self._lock:
                self._is_over = True
                if self._program is not None:
                    _terminate(self._program)
            self._thread.join(TERMINATED_SECONDS)

    @property
    def is_full(self) -> bool:
        """Whether there is no more room; for any thread."""
        return self._come.qsize() + len(self._waiting) >= MOST_WAITING

    def put(self, received: Received) -> None:
        """Have run what is to be run for an object; for any thread, returns at once."""
        self._come.put((time.monotonic(), received))

    def _work(self) -> None:
        while True:
            self._take()
            if self._waiting:
                self._run(self._waiting.popleft())
            elif self._is_closing:
                return

    def _take(self) -> None:
        """Take what has come, or wait for it; and see which studies are complete."""
        is_idle = not (self._waiting or self._is_closing)
        try:
            one = self._come.get(is_idle, self._until_due())
            while True:
                self._note(one)
                one = self._come.get_nowait()
        except queue.Empty:
            pass
        now = time.monotonic()
        for key, study in sorted(self._studies.items(), key=lambda item: item[1].due):
            if self._on_study and (study.due <= now or self._is_closing):
                del self._studies[key]
                values = study.last.study_values()
                self._waiting.append(Job(self._on_study, values, f"study {study.last.study}"))

    def _until_due(self) -> float | None:
        if not self._studies:
            return None
        first = min(study.due for study in self._studies.values())
        return min(max(first - time.monotonic(), 0.0), threading.TIMEOUT_MAX)

    def _note(self, come: tuple[float, Received] | None) -> None:
        if come is None:
            self._is_closing = True
            return
        when, received = come
        if self._on_receive:
            name = os.path.basename(received.path)
            self._waiting.append(Job(self._on_receive, received.values(), name))
        if self._on_study:
            key = received.study, received.study_folder
            self._studies[key] = Study(when + self._quiet_time, received)

    def _run(self, job: Job) -> None:
        what = f"{job.command.option} of {job.name}"
        try:
            arguments = job.command.arguments(job.values)
            with self._lock:
                if self._is_over:
                    LOGGER.error("%s: not run, there was no time left", what)
                    return
                # A session of its own: Ctrl-C on the terminal ends storescp, not what it runs.
                self._program = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, start_new_session=True
                )
        except (OSError, ValueError) as error:
            LOGGER.error("%s: not run: %s", what, getattr(error, "strerror", None) or error)
            return
        status = self._program.wait()
        with self._lock:
            self._program = None
        if status:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            LOGGER.error("%s ended with %s", what, how)
        else:
            LOGGER.info("%s has been run", what)


def _terminate(program: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, and what it has started."""
    try:
        if POSIX:
            os.killpg(program.pid, signal.SIGTERM)
        else:
            program.terminate()
    except OSError:  # it has ended
        pass
