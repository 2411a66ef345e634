"""A peer that is told what to say and what to expect, PDU by PDU, on either side.

In: names of PDUs and messages, or bytes. Out: what the other side says, or a failure that says what
came instead. It is a socket and nothing more: what it sends is checked by nobody.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from pynetdicom.dimse.primitives import Primitive
from pynetdicom.testing import pdus as made
from pynetdicom.testing.listening import Listener, ending
from pynetdicom.testing.pdus import Message, MessageName
from pynetdicom.upper_layer import pdu as pdus

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.data_sets.encoded import EncodedDataSet

LONGEST = 1 << 26
"""Bytes of a PDU that are read."""


class Unexpected(AssertionError):
    """Something else came than what was expected, or nothing."""


class ScriptedPeer:
    """The peer's end of a connection, which says what it is told to.

    Parameters
    ----------
    sock : socket.socket
        A connection; it is closed with the peer.
    timeout : float
        Seconds within which what is expected has to come.

    Attributes
    ----------
    socket : socket.socket
    contexts : dict of int to (str, str)
        The accepted presentation contexts: abstract and transfer syntax.
    maximum_length : int
        Of a P-DATA-TF PDU, as the other side said; messages are cut accordingly.
    """

    timeout = 30.0

    def __init__(self, sock: socket.socket, *, timeout: float | None = None) -> None:
        self.socket = sock
        if timeout is not None:
            self.timeout = timeout
        sock.settimeout(self.timeout)
        with contextlib.suppress(OSError):  # a socket pair has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.contexts: dict[int, tuple[str, str]] = {}
        self.maximum_length = 0
        self._proposed: pdus.A_ASSOCIATE_RQ | None = None
        self._request: Message | None = None
        self._message_id = 0

    @classmethod
    def connect(
        cls,
        address: tuple[Any, ...],
        *,
        timeout: float | None = None,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
    ) -> Self:
        """Connect, to be the requestor.

        Parameters
        ----------
        address : tuple
            Host and port.
        timeout : float, optional
            Seconds within which what is expected has to come.
        tls : ssl.SSLContext, optional
            A client's.
        receive_buffer : int, optional
            Bytes that the kernel keeps of what is not read.
        """
        timeout = cls.timeout if timeout is None else timeout
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(timeout)
            sock.connect(address)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=str(address[0]))
            return cls(sock, timeout=timeout)
        except BaseException:
            sock.close()
            raise

    @classmethod
    @contextlib.contextmanager
    def listen(
        cls,
        script: Callable[[Self], object],
        *,
        timeout: float | None = None,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
    ) -> Iterator[Listener]:
        """Listen, to be the acceptor.

        Parameters
        ----------
        script : callable
            ``script(peer)``, called in a thread of its own for each connection.
        timeout : float, optional
            Seconds within which what is expected has to come.
        tls : ssl.SSLContext, optional
            A server's.
        receive_buffer : int, optional
            Bytes that the kernel keeps of what is not read.

        Yields
        ------
        Listener
            With `port` and `address`. What a script raises is raised when the context ends.
        """
        timeout = cls.timeout if timeout is None else timeout

        def talk(sock: socket.socket) -> None:
            with cls(sock, timeout=timeout) as peer:
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()
                script(peer)

        listener = Listener(talk, tls=tls, receive_buffer=receive_buffer)
        with ending(listener, "the script", patience=timeout):
            yield listener

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # What comes

    @overload
    def expect(self, name: Literal["A-ASSOCIATE-RQ"]) -> pdus.A_ASSOCIATE_RQ: ...
    @overload
    def expect(self, name: Literal["A-ASSOCIATE-AC"]) -> pdus.A_ASSOCIATE_AC: ...
    @overload
    def expect(self, name: Literal["A-ASSOCIATE-RJ"]) -> pdus.A_ASSOCIATE_RJ: ...
    @overload
    def expect(self, name: Literal["A-RELEASE-RQ"]) -> pdus.A_RELEASE_RQ: ...
    @overload
    def expect(self, name: Literal["A-RELEASE-RP"]) -> pdus.A_RELEASE_RP: ...
    @overload
    def expect(self, name: Literal["A-ABORT"]) -> pdus.A_ABORT: ...
    @overload
    def expect(self, name: MessageName) -> Message: ...
    def expect(self, name: str) -> Any:
        """Take what comes next, which has to be this.

        Parameters
        ----------
        name : str
            Of a PDU, such as ``"A-ASSOCIATE-RQ"``, or of a whole message, such as
            ``"C-STORE-RQ"``.

        Returns
        -------
        PDU or Message

        Raises
        ------
        Unexpected
            Something else came, or the connection was closed, or nothing came in time.
        """
        try:
            came = self.receive()
        except TimeoutError:
            raise Unexpected(
                f"expected {name}, but nothing came within {self.timeout:g} s"
            ) from None
        except EOFError:
            raise Unexpected(f"expected {name}, but the connection was closed") from None
        except ConnectionError as error:
            raise Unexpected(f"expected {name}, but the connection broke: {error}") from None
        if came.name != name:
            what = came.name if isinstance(came, Message) else made.described(came.encode())
            raise Unexpected(f"expected {name}, but {what} came")
        return came

    def expect_close(self) -> None:
        """Wait until the other side closes the connection, having said nothing more.

        Raises
        ------
        Unexpected
            Something came, or the connection stayed open.
        """
        try:
            rest = self.rest()
        except TimeoutError:
            raise Unexpected(f"it was not closed within {self.timeout:g} s") from None
        if rest:
            raise Unexpected(f"expected a close, but {made.described(rest)} came")

    def receive(
        self, begun: Callable[[Primitive | None], object] | None = None
    ) -> pdus.PDU | Message:
        """Take whatever comes next: a PDU, or the whole message that it begins.

        Parameters
        ----------
        begun : callable, optional
            Called when the first PDU of a message has come, with its command set if that is there.

        Raises
        ------
        TimeoutError
            Nothing came in time.
        EOFError
            The connection was closed.
        PDUDecodeError, DIMSEDecodeError
            It is none.
        """
        data = self.pdu()
        if data[0] == pdus.P_DATA_TF.pdu_type:
            self._buffer = data + self._buffer
            return self._message(begun)
        pdu = pdus.decode_pdu(data)
        if isinstance(pdu, pdus.A_ASSOCIATE_RQ):
            self._proposed = pdu
            self.maximum_length = made.limit_of(pdu)
        elif isinstance(pdu, pdus.A_ASSOCIATE_AC):
            self.settle(pdu)
            self.maximum_length = made.limit_of(pdu)
        return pdu

    def message(self) -> Message:
        """Take the next whole message."""
        return self._message(None)

    def _message(self, begun: Callable[[Primitive | None], object] | None) -> Message:
        joining = made.Joining()
        while True:
            pdu = self.pdu()
            if pdu[0] != pdus.P_DATA_TF.pdu_type:
                raise Unexpected(f"expected the rest of a message, but {made.described(pdu)} came")
            decoded: Any = pdus.decode_pdu(pdu)
            is_whole = [joining.take(pdv) for pdv in decoded.pdvs][-1]
            if begun is not None:
                begun(joining.primitive)
                begun = None
            if is_whole:
                return self._whole(joining)

    def has_more(self) -> bool:
        """Whether something has come that was not taken yet, if only the close."""
        if self._buffer or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _whole(self, joined: made.Joining) -> Message:
        primitive, context_id = joined.primitive, joined.context_id
        assert primitive is not None
        _, syntax = self.contexts.get(context_id, ("", made.IMPLICIT_VR_LITTLE_ENDIAN))
        whole = bytes(joined.data) if primitive.has_data_set else None
        message = Message(context_id, primitive, whole, syntax)
        if primitive.message_name.endswith("-RQ"):
            self._request = message
        return message

    def pdu(self) -> bytes:
        """Take the next whole PDU, as it is."""
        deadline = time.monotonic() + self.timeout
        header = self.exactly(6, deadline)
        length = int.from_bytes(header[2:], "big")
        if length > LONGEST:
            raise Unexpected(f"a PDU of {length} bytes came")
        return header + self.exactly(length, deadline)

    def exactly(self, count: int, deadline: float | None = None) -> bytes:
        """Take so many bytes; `deadline` is of `time.monotonic`."""
        deadline = time.monotonic() + self.timeout if deadline is None else deadline
        parts = [self._buffer]
        size = len(self._buffer)
        while size < count:
            data = self._read(deadline)
            if not data:
                self._buffer = b"".join(parts)
                raise EOFError("the connection was closed")
            parts.append(data)
            size += len(data)
        whole = b"".join(parts)
        self._buffer = whole[count:]
        return whole[:count]

    def _read(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.socket.settimeout(left)
        try:
            return self.socket.recv(65536)
        finally:
            self.socket.settimeout(self.timeout)

    def rest(self) -> bytes:
        """Take all that comes until the connection is closed; a reset counts as that."""
        deadline = time.monotonic() + self.timeout
        parts = [self._buffer]
        self._buffer = b""
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            while more := self._read(deadline):
                parts.append(more)
        return b"".join(parts)

    # What is said

    def send(
        self,
        what: str | bytes | pdus.PDU | Primitive,
        *args: Any,
        context_id: int | None = None,
        data_set: Dataset | EncodedDataSet | bytes | None = None,
        **fields: Any,
    ) -> None:
        """Say something.

        Parameters
        ----------
        what : str or bytes or PDU or Primitive
            The name of a PDU or of a message; or one itself; or any bytes.
        *args, **fields
            Of the PDU or message: see `pdus.association_request`, `pdus.acceptance`, or the
            elements of the command set by keyword. What is not said is what fits: an
            A-ASSOCIATE-AC accepts all that was proposed, a response answers the last request.
        context_id : int, optional
            Of a message: the presentation context, if not the first for its SOP Class.
        data_set : Dataset or EncodedDataSet or bytes, optional
            Of a message.

        Examples
        --------
        >>> peer.send("C-ECHO-RQ")  # doctest: +SKIP
        >>> peer.send("A-ABORT", source=2, reason=6)  # doctest: +SKIP
        """
        if isinstance(what, str):
            self._message_id += made.is_request(what)
            if made.is_request(what):
                fields.setdefault("MessageID", self._message_id)
            what = made.named(what, self._proposed, self._request, *args, **fields)
        if isinstance(what, Primitive):
            what = self.encoded(what, context_id, data_set)
        if isinstance(what, pdus.PDU):
            if isinstance(what, pdus.A_ASSOCIATE_RQ):
                self._proposed = what
            elif isinstance(what, pdus.A_ASSOCIATE_AC):
                self.settle(what)
            what = what.encode()
        self.socket.sendall(what)

    def encoded(
        self,
        primitive: Primitive,
        context_id: int | None = None,
        data_set: Dataset | EncodedDataSet | bytes | None = None,
    ) -> bytes:
        """Give a message as it would be sent."""
        if context_id is None:
            context_id = self._context_for(primitive)
        if data_set is not None:
            _, syntax = self.contexts.get(context_id, ("", made.IMPLICIT_VR_LITTLE_ENDIAN))
            primitive.data_set = made.encoded(data_set, syntax)
        return made.message(context_id, primitive, self.maximum_length)

    def _context_for(self, primitive: Primitive) -> int:
        """The context of the last request for a response; for a request, that of its SOP Class."""
        values = vars(primitive)
        if primitive.message_name.endswith("-RSP") and self._request is not None:
            return self._request.context_id
        uid = values.get("AffectedSOPClassUID") or values.get("RequestedSOPClassUID")
        return next(
            (number for number, (abstract, _) in self.contexts.items() if abstract == uid),
            next(iter(self.contexts), 1),
        )

    def respond(
        self,
        request: Message,
        status: int,
        data_set: Dataset | EncodedDataSet | bytes | None = None,
        **elements: Any,
    ) -> None:
        """Answer a request, with a data set if one is given."""
        response = request.primitive.response(status, **elements)
        self.send(response, context_id=request.context_id, data_set=data_set)

    def settle(self, acceptance: pdus.A_ASSOCIATE_AC) -> None:
        """Take the contexts that were accepted."""
        if self._proposed is None:
            return
        abstract = {one.context_id: one.abstract_syntax for one in made.proposed(self._proposed)}
        self.contexts = {
            one.context_id: (abstract[one.context_id], one.transfer_syntax)
            for one in acceptance.presentation_contexts
            if one.result == 0 and one.context_id in abstract
        }

    # The end

    def shut(self) -> None:
        """Close the connection, as for what is said; all of it arrives, and more can be read."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def reset(self) -> None:
        """Close the connection with a reset, so that what was sent may not arrive."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()
