"""Where a peer is: addresses, and their look-up."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

from pynetdicom.network import threads
from pynetdicom.network.deadlines import wait_until
from pynetdicom.network.latch import Latch


def address_text(address: Sequence[Any]) -> str:
    """A socket's address as ``host:port``."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


OURS_ALONE: int = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
"""The option of a socket that is going to be bound where connections of an earlier one linger; on
Windows ``SO_REUSEADDR`` would let two servers have one port."""


class NameProblem(OSError):
    """A host name cannot be looked up."""


MAXIMUM_PORT = 0xFFFF


class AddressInformation:
    """Where an application entity is: a host or address, a port, and what IPv6 adds.

    Attributes
    ----------
    addr : str
        The host name or address as it was given.
    port : int
    flowinfo, scope_id : int
        As in Python's IPv6 socket addresses.
    """

    def __init__(self, addr: str, port: int, flowinfo: int = 0, scope_id: int = 0) -> None:
        self.addr = addr
        self.port = port
        self.flowinfo = flowinfo
        self.scope_id = scope_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressInformation) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"AddressInformation({self.addr!r}, {self.port}, {self.flowinfo}, {self.scope_id})"

    @property
    def address(self) -> str:
        """The numeric address, looked up if need be.

        Raises
        ------
        socket.gaierror
            The host name cannot be resolved.
        """
        if _is_numeric(self.addr) or not self.addr:
            return self.addr
        infos = socket.getaddrinfo(self.addr, self.port, type=socket.SOCK_STREAM)
        return str(infos[0][4][0])

    @address.setter
    def address(self, value: str) -> None:
        self.addr = value

    @property
    def address_family(self) -> socket.AddressFamily:
        """``AF_INET`` or ``AF_INET6``."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def is_ipv4(self) -> bool:
        """Whether the address is an IPv4 address."""
        return self.address_family == socket.AF_INET

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is an IPv6 address."""
        return self.address_family == socket.AF_INET6

    @property
    def as_tuple(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address as Python's sockets want it."""
        if self.is_ipv6:
            return (self.address, self.port, self.flowinfo, self.scope_id)
        return (self.address, self.port)

    @classmethod
    def from_tuple(cls, address: tuple[Any, ...]) -> AddressInformation:
        """Make one from ``(host, port)`` or ``(host, port, flowinfo, scope_id)``."""
        given: object = address
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 4):
            raise TypeError("an address is (host, port) or (host, port, flowinfo, scope_id)")
        host, port, *rest = given
        if not isinstance(host, str) or not isinstance(port, int):
            raise TypeError("an address is a str host and an int port")
        if not 0 <= port <= MAXIMUM_PORT:
            raise ValueError(f"a port is 0 to {MAXIMUM_PORT}, not {port}")
        return cls(host, port, *rest)

    @classmethod
    def from_addr_port(cls, addr: str | tuple[str, int, int], port: int) -> AddressInformation:
        """Make one from a host, or ``(host, flowinfo, scope_id)``, and a port."""
        if isinstance(addr, tuple):
            return cls(addr[0], port, *addr[1:])
        return cls(addr, port)


def _is_numeric(host: str) -> bool:
    address = host.partition("%")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):  # the latter for a NUL in it
            socket.inet_pton(family, address)
            return True
    return False


def _look_up(address: AddressInformation) -> list[tuple[Any, ...]]:
    """The families and addresses that the system finds."""
    flags = socket.AI_NUMERICHOST if _is_numeric(address.addr) else 0
    # As a str it would be encoded by IDNA, whose import takes longer than all the rest.
    host = address.addr.encode() if address.addr.isascii() else address.addr
    infos: list[Any] = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
    found = []
    for family, _, _, _, sockaddr in infos:
        if family == socket.AF_INET6:
            sockaddr = (*sockaddr[:2], address.flowinfo, address.scope_id or sockaddr[3])
        found.append((family, sockaddr))
    return found


def resolve(
    address: AddressInformation, deadline: float | None, done: Latch | None = None
) -> list[tuple[Any, ...]]:
    """Look a peer's addresses up, `socket.getaddrinfo` with a deadline.

    Parameters
    ----------
    done : Latch, optional
        Set by whoever wants to give up.

    Raises
    ------
    OSError
        The name is unknown, or the look-up took too long or was given up, or there is no such port.
    """
    # The system's look-up would take the lower 16 bits, which are another's port.
    if not 0 < address.port <= MAXIMUM_PORT:
        raise OSError(f"a port is 1 to {MAXIMUM_PORT}, not {address.port}")

    if _is_numeric(address.addr):
        is_plain = ":" not in address.addr
        return [(socket.AF_INET, (address.addr, address.port))] if is_plain else _look_up(address)
    # The resolver cannot be interrupted, so it gets a thread that nobody has to wait for.
    outcome: list[list[tuple[Any, ...]] | OSError] = []
    done = done or Latch()

    def run() -> None:
        try:
            outcome.append(_look_up(address))
        except (OSError, UnicodeError) as error:
            outcome.append(NameProblem(f"{address.addr!r} cannot be looked up: {error}"))
        except BaseException as error:
            name = type(error).__name__
            outcome.append(OSError(f"looking {address.addr!r} up failed: {name}"))
            raise
        finally:
            done.set()

    try:
        threads.start("pynetdicom-resolver", run)
    except RuntimeError as error:
        raise OSError(f"{address.addr!r} cannot be looked up: {error}") from error
    if not wait_until(done.wait, deadline):
        raise TimeoutError(f"the look-up of {address.addr!r} took too long")
    if not outcome:
        raise ConnectionAbortedError("given up")
    (found,) = outcome
    if isinstance(found, OSError):
        raise found
    return found
