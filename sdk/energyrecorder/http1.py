"""HTTP/1.1 (RFC 9112) over a connected socket, as far as talking JSON to one service needs it.

Not by ``http.client``: a test that patches it must neither see nor break the delivery of its own step, and
importing it takes a quarter of the time in which `energy-step start` is done.
"""

from __future__ import annotations

import socket
from typing import Callable, Dict, Mapping, NamedTuple, Optional

MAX_HEAD_BYTES = 65_536
_CONTINUE, _OK, _NO_CONTENT, _NOT_MODIFIED = 100, 200, 204, 304
_PIECE = 65_536
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")


class HttpError(ValueError):
    """What came is not an HTTP answer, or was cut off."""


class ClosedError(HttpError):
    """The connection was closed before the first byte of an answer: the request was not processed."""


class Response(NamedTuple):
    """An answer.

    Args:
        status: Its code.
        body: What it carries, transfer coding removed.
        will_close: The connection cannot be used again.
    """

    status: int
    body: bytes
    will_close: bool


class Connection:
    """One connection; used by one thread at a time.

    Args:
        sock: Connected socket.
        remaining: Returns the seconds that are left for the exchange; raises when there are none.
        max_bytes: Bound of an answer's body.
    """

    def __init__(self, sock: socket.socket, remaining: Callable[[], float], max_bytes: int) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._max_bytes = max_bytes
        self.remaining = remaining

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: Optional[bytes] = None
    ) -> None:
        """Send a request.

        Raises:
            ValueError: A header or the target holds what would end it.
        """
        fields = dict(headers)
        if body is not None:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        if any(not target.isascii() or " " in target or "\r" in line or "\n" in line for line in lines):
            raise ValueError("a header or a path holds a line break or a space")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._sock.settimeout(self.remaining())
        self._sock.sendall(head + (body or b""))

    def response(self) -> Response:
        """Return the answer to the request before.

        Raises:
            HttpError: It is malformed, too long or cut off.
            OSError: The connection failed or the time is up.
        """
        status, version, fields = self._head()
        while _CONTINUE <= status < _OK:
            status, version, fields = self._head()
        length = fields.get("content-length")
        tokens = {token.strip() for token in fields.get("connection", "").lower().split(",")}
        will_close = "close" in tokens or (version == _VERSIONS[1] and "keep-alive" not in tokens)
        if status in (_NO_CONTENT, _NOT_MODIFIED):
            return Response(status, b"", will_close)
        if "chunked" in fields.get("transfer-encoding", "").lower():
            return Response(status, self._chunks(), will_close)
        if length is not None:
            return Response(status, self._exactly(self._size(length, 10)), will_close)
        return Response(status, self._rest(), will_close=True)

    def tunnel(self, authority: str, headers: Mapping[str, str]) -> socket.socket:
        """Ask a proxy for a tunnel (RFC 9110, section 9.3.6) and return the socket that is one now.

        Raises:
            HttpError: The proxy refuses.
        """
        self.request("CONNECT", authority, {"Host": authority, **headers})
        status, _, _ = self._head()
        if not _OK <= status < _OK + 100:
            raise HttpError(f"the proxy answers {status} to CONNECT")
        return self._sock

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def _head(self) -> tuple[int, bytes, Dict[str, str]]:
        line = self._line(first=True)
        version, _, rest = line.partition(b" ")
        code = rest[:3]
        if version not in _VERSIONS or not code.isdigit() or len(code) != 3:  # noqa: PLR2004  # digits of a status
            raise HttpError(f"not HTTP: {bytes(line[:60])!r}")
        fields: Dict[str, str] = {}
        total = len(line)
        while True:
            line = self._line()
            total += len(line)
            if total > MAX_HEAD_BYTES:
                raise HttpError("the header is too long")
            if not line:
                return int(code), bytes(version), fields
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                fields[name.strip().lower()] = value.strip()

    def _line(self, *, first: bool = False) -> bytes:
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line[:-1] if line.endswith(b"\r") else line
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise HttpError("a line is too long")
            if not self._fill():
                if first and not self._buffer:
                    raise ClosedError("connection closed before the answer")
                raise HttpError("connection closed in the middle of the answer")

    def _fill(self) -> bool:
        self._sock.settimeout(self.remaining())
        piece = self._sock.recv(_PIECE)
        self._buffer += piece
        return bool(piece)

    def _exactly(self, length: int) -> bytes:
        while len(self._buffer) < length:
            if not self._fill():
                raise HttpError("connection closed in the middle of the answer")
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            length = self._size(self._line().partition(b";")[0].strip().decode("latin-1"), 16)
            if not length:
                break
            body += self._exactly(length)
            self._size(str(len(body)), 10)
            if self._line():
                raise HttpError("a chunk is longer than it says")
        while self._line():
            pass  # trailers, which nothing of ours reads
        return bytes(body)

    def _rest(self) -> bytes:
        self._size(str(len(self._buffer)), 10)
        while self._fill():
            self._size(str(len(self._buffer)), 10)
        body = bytes(self._buffer)
        self._buffer.clear()
        return body

    def _size(self, text: str, base: int) -> int:
        try:
            size = int(text, base)
        except ValueError:
            raise HttpError(f"not a length: {text[:60]!r}") from None
        if not 0 <= size <= self._max_bytes:
            raise HttpError(f"an answer longer than {self._max_bytes} bytes")
        return size
