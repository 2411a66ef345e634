"""Users who identify themselves by name and passcode, and the file that knows them.

In: an ``EVT_USER_ID`` (PS3.7 D.3.3.7), on the Association thread. Out: whether the user is let
in. The file has a line ``name:scrypt$N$r$p$salt$hash`` for each user, and is read each time: what
scrypt costs is a thousand times as much.
"""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import hmac
import logging
import os
import tempfile
import threading
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom._logging import printable

if TYPE_CHECKING:
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.acse")

USERNAME_AND_PASSCODE = 2
_SALT = 16
_LENGTH = 32

_AT_ONCE = 4
_TURNS = threading.BoundedSemaphore(_AT_ONCE)
"""How many passcodes are looked at, at a time: each takes the memory that scrypt wants."""


class _Hash(NamedTuple):
    """What a passcode is compared with."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def __str__(self) -> str:
        coded = (binascii.b2a_base64(one, newline=False).decode() for one in self[3:])
        return "$".join(["scrypt", *map(str, self[:3]), *coded])

    def fits(self, passcode: bytes) -> bool:
        """Whether it is that of a passcode; it takes equally long if it is not."""
        return hmac.compare_digest(self._hashed(passcode), self.digest)

    def _hashed(self, passcode: bytes) -> bytes:
        with _TURNS:
            return hashlib.scrypt(
                passcode, salt=self.salt, n=self.n, r=self.r, p=self.p,
                maxmem=256 * self.n * self.r, dklen=_LENGTH,
            )  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> _Hash:
        """ValueError if it is none."""
        kind, n, r, p, salt, digest = text.split("$")
        made = cls(int(n), int(r), int(p), binascii.a2b_base64(salt), binascii.a2b_base64(digest))
        # What takes more than a gigabyte, or a minute, was not written by us.
        known = kind == "scrypt" and len(made.digest) == _LENGTH and made.salt
        if not known or not (1 < made.n <= 1 << 20 and 0 < made.r <= 32 and 0 < made.p <= 64):
            raise ValueError(text)
        if made.n & (made.n - 1):
            raise ValueError(text)
        return made

    @classmethod
    def of(cls, passcode: bytes) -> _Hash:
        """A new one: 32 MiB and about a tenth of a second for each attempt."""
        made = cls(1 << 15, 8, 1, os.urandom(_SALT), b"")
        return made._replace(digest=made._hashed(passcode))


# Nobody has it: what a user who is not known is compared with, so that it takes as long.
_NOBODY = _Hash(1 << 15, 8, 1, bytes(_SALT), bytes(_LENGTH))


class PasswordFile:
    """A file of users and hashes of their passcodes; a handler of ``EVT_USER_ID`` that checks them.

    Only user name and passcode (type 2) are let in. Passcodes that come without TLS are refused,
    right or wrong: whoever listens on the way has them. The file is read each time; who cannot be
    looked up is not let in.

    Parameters
    ----------
    path : str or path
        The file; it need not be there before `set` is called.
    in_clear : bool
        Whether to take passcodes that come without TLS.
    """

    def __init__(self, path: str | os.PathLike[str], *, in_clear: bool = False) -> None:
        self.path = os.fspath(path)
        self.in_clear = in_clear

    def __call__(self, event: Event) -> tuple[bool, None]:
        """Whether the user is let in, and no response but that, as a handler gives it."""
        problem = self._problem(event)
        peer = event.assoc.requestor
        who = f"{peer.ae_title} at {peer.address}"
        if problem:
            LOGGER.warning("the user of %s is not let in: %s", printable(who), problem)
        else:
            name = printable(event.primary_field)
            LOGGER.info("the user of %s is %s", printable(who), name)
        return not problem, None

    def _problem(self, event: Event) -> str:
        """Why the user is not let in. What was sent is not in it: it may be a passcode."""
        if event.user_id_type != USERNAME_AND_PASSCODE:
            return f"a user identity of type {event.user_id_type}, and not name and passcode"
        if not self.in_clear and not event.assoc.dul.socket.is_tls:
            return "the passcode was sent without TLS"
        if self.check(event.primary_field, event.secondary_field):
            return ""
        return "there is no such user, or the passcode is wrong"

    def check(self, name: str | bytes, passcode: str | bytes) -> bool:
        """Return whether that is a user's passcode; it takes as long of no user."""
        users = self.users()
        known = users.get(_bytes(name))
        return (known or _NOBODY).fits(_bytes(passcode)) and known is not None

    def users(self) -> dict[bytes, _Hash]:
        """The users, by name; lines that are at fault are logged, as is a file without users."""
        users = {}
        for number, line in enumerate(self._lines(), 1):
            name, _, text = line.rpartition(b":")
            if not line.strip() or line.startswith(b"#"):
                continue
            try:
                users[name] = _Hash.parse(text.decode("ascii"))
            except ValueError:
                LOGGER.error("%s: line %d is not that of a user", self.path, number)
        return users

    def _lines(self) -> list[bytes]:
        try:
            with open(self.path, "rb") as file:
                return file.read().splitlines()
        except OSError as error:
            LOGGER.error("%s: no user can be looked up: %s", self.path, error.strerror or error)
            return []

    def set(self, name: str, passcode: str | None) -> None:
        """Give a user a passcode, or take the user out with None.

        Raises
        ------
        ValueError
            The name cannot be one, or the passcode is empty.
        KeyError
            There is no such user to be taken out.
        OSError
            The file cannot be written.
        """
        if not name or name.startswith("#") or not name.isprintable():
            raise ValueError("a user's name has 1 or more printable characters, no # in front")
        if passcode == "":
            raise ValueError("the passcode is empty")
        mine = _bytes(name) + b":"
        before = self._lines() if os.path.exists(self.path) else []
        lines = [line for line in before if line[: line.rfind(b":") + 1] != mine]
        if passcode is None and len(lines) == len(before):
            raise KeyError(name)
        if passcode is not None:
            lines.append(mine + str(_Hash.of(_bytes(passcode))).encode())
        self._write(b"".join(line + b"\n" for line in lines))

    def _write(self, data: bytes) -> None:
        """Replace the file as a whole; a new one is its owner's alone."""
        handle, path = tempfile.mkstemp(dir=os.path.dirname(self.path) or os.curdir)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                stat = os.stat(self.path)
                os.chmod(path, stat.st_mode & 0o777)
                if hasattr(os, "chown"):
                    os.chown(path, stat.st_uid, stat.st_gid)
            os.replace(path, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
