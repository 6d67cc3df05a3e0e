"""Collects one HTTP response from the bytes of a connection, within bounds; the parser is llhttp."""

from __future__ import annotations

import httptools

from energyrecorder_execd.http.content import BodyTooLongError, decoded

MAX_HEAD_BYTES = 64 * 1024
"""Status line and headers of a response; ten times more than any that was captured."""

_OK_CLASS = 2


class Response:
    """One response, fed as it comes; the attributes hold once `is_complete`.

    Args:
        limit: Most bytes of a body, before and after decompression.
        is_tunnel: It answers CONNECT, so that success has no body.
    """

    def __init__(self, *, limit: int, is_tunnel: bool = False) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_begun = False
        self.is_complete = False
        self.is_too_long = False
        self.keeps_alive = False
        self._limit = limit
        self._is_tunnel = is_tunnel
        self._has_head = False
        self._head_bytes = 0
        self._chunks: list[bytes] = []
        self._size = 0
        parser = httptools.HttpResponseParser(self)
        # What does no harm to a client that asks one thing at a time, and old web servers get wrong.
        parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parser: httptools.HttpResponseParser | None = parser

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.is_complete or self.is_too_long

    def feed(self, data: bytes | memoryview) -> None:
        """Take over what was received.

        Raises:
            httptools.HttpParserError: It is no valid HTTP.
        """
        self.is_begun = True
        if self._parser is None:
            self.keeps_alive = False  # more than was asked for
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httptools.HttpParserError("an upgrade that was not asked for") from None
        except httptools.HttpParserError:
            if not self.is_complete:
                raise
            self.keeps_alive = False
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                raise httptools.HttpParserError(f"more than {MAX_HEAD_BYTES} bytes of headers")
        if self.is_settled:
            self._parser = None  # they hold one another

    def end(self) -> bool:
        """Note that the peer closed the connection; return whether the response is whole."""
        if self._has_head and not self._is_framed:
            self.is_complete = True
        self._parser = None
        return self.is_complete

    def body(self) -> bytes:
        """Return the body, decompressed.

        Raises:
            BodyTooLongError: It is longer than the limit.
            ValueError: It is compressed in a way that we do not know, or damaged.
        """
        if self.is_too_long:
            raise BodyTooLongError
        return decoded(b"".join(self._chunks), self.headers.get("content-encoding", ""), self._limit)

    @property
    def _is_framed(self) -> bool:
        """Whether the headers tell where the body ends (RFC 9112, section 6.3)."""
        coding = self.headers.get("transfer-encoding", "").lower()
        return coding.endswith("chunked") or (not coding and "content-length" in self.headers)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Notice a second response to one request."""
        if self.is_complete:
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header under its name in lower case; the first one counts."""
        if not self._has_head:
            text = value.decode("utf-8", "surrogateescape")
            self.headers.setdefault(name.decode("latin-1").lower(), text)

    def on_headers_complete(self) -> None:
        """Look at what the headers announce."""
        if self.is_complete or self._parser is None:
            return
        self._has_head = True
        self.status = self._parser.get_status_code()
        length = self.headers.get("content-length", "")
        self.is_too_long = length.isdecimal() and int(length) > self._limit
        if self._is_tunnel and self.status // 100 == _OK_CLASS:
            self.is_complete = self.keeps_alive = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self.is_settled:
            return
        self._size += len(body)
        self.is_too_long = self._size > self._limit
        if not self.is_too_long:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Pass over interim responses (RFC 9110, section 15.2); note that the final one is whole."""
        if self.is_complete or self._parser is None:
            return
        if self.status // 100 == 1:
            self.headers.clear()
            self._has_head = False
            return
        self.is_complete = not self.is_too_long
        self.keeps_alive = self._parser.should_keep_alive()
