"""An HTTP proxy that stands before a real server and does to its answers what networks do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Lock, Thread

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_INTERNAL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_DELETED = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
_ALL_DELETED = b"<DeleteResult></DeleteResult>"


class Fault(Enum):
    """What happens to one request."""

    UNAVAILABLE = auto()
    """Answered 503; the server never sees it."""
    INTERNAL = auto()
    """Answered 500; the server never sees it."""
    REFUSED = auto()
    """The connection breaks before the server sees it."""
    UNANSWERED = auto()
    """The server does it, and the connection breaks before its answer."""
    SILENT = auto()
    """The server does it, and its answer is kept back for as long as the client waits."""
    CUT = auto()
    """The connection breaks in the middle of the answer."""
    PRETENDED = auto()
    """Answered as if deleted, one or many; the server never sees it."""


_ANSWERS = {
    Fault.UNAVAILABLE: _UNAVAILABLE,
    Fault.INTERNAL: _INTERNAL,
    Fault.PRETENDED: _DELETED,
}


@dataclass
class Proxy:
    """Where the proxy listens, what it did, and what it does next.

    `fault_of` gets a request's first line and its number, counted from 0 since the last `reset`.
    Bytes are an answer of 200 with that body; the server never sees the request.
    """

    endpoint: str
    fault_of: Callable[[str, int], Fault | bytes | None] = lambda _line, _number: None
    seen: list[str] = field(default_factory=list)
    _counting: Lock = field(default_factory=Lock)

    def reset(self, fault_of: Callable[[str, int], Fault | bytes | None]) -> None:
        """Forget what was seen, and do this from now on."""
        self.seen = []
        self.fault_of = fault_of

    def next_fault(self, line: str) -> Fault | bytes | None:
        """Remember a request; what happens to it."""
        with self._counting:
            self.seen.append(line)
            number = len(self.seen) - 1
        return self.fault_of(line, number)


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """Stand before `HOST:PORT`."""
    host, _, port = upstream.rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Proxy(f"127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    Thread(
                        target=_serve, args=(made, connection, (host, int(port))), daemon=True
                    ).start()

        Thread(target=accept, daemon=True).start()
        try:
            yield made
        finally:
            # Closing alone would leave a thread that waits in accept.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _serve(made: Proxy, connection: socket.socket, upstream: tuple[str, int]) -> None:
    """One request a connection: every answer says that it closes."""
    with connection, suppress(OSError, ValueError):
        request = _request(connection)
        if not request:
            return
        line = request.partition(b"\r\n")[0].decode()
        fault = made.next_fault(line)
        if fault is Fault.PRETENDED:
            fault = _ALL_DELETED if line.startswith("POST") else fault
        if isinstance(fault, bytes):
            connection.sendall(_ok(fault))
        elif fault in _ANSWERS:
            connection.sendall(_ANSWERS[fault])
        elif fault is not Fault.REFUSED:
            answer = _answer(request, upstream)
            if fault is Fault.CUT:
                head, gap, body = answer.partition(b"\r\n\r\n")
                answer = head + gap + body[: len(body) // 2]
            if fault is Fault.SILENT:
                connection.recv(1)
            elif fault is not Fault.UNANSWERED:
                connection.sendall(answer)


def _ok(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := connection.recv(65536)):
            return b""
        received += more
    head, gap, body = received.partition(b"\r\n\r\n")
    length = 0
    kept = []
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() == b"expect":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif name.lower() != b"connection":
            kept.append(line)
    rest = bytearray(body)
    while len(rest) < length:
        if not (more := connection.recv(1 << 20)):
            return b""
        rest += more
    return b"\r\n".join([*kept, b"Connection: close"]) + gap + bytes(rest)


def _answer(request: bytes, upstream: tuple[str, int]) -> bytes:
    with socket.create_connection(upstream) as server:
        server.sendall(request)
        answer = bytearray()
        while more := server.recv(1 << 20):
            answer += more
    return bytes(answer)
