"""Undoes the compression of a body, within a bound (pure)."""

from __future__ import annotations

import zlib

_GZIP = zlib.MAX_WBITS | 16
_ZLIB_METHOD = 8


class BodyTooLongError(ValueError):
    """A body is longer than what is taken."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """Return a body as it was before it was compressed; we ask for none, but some servers do it unasked.

    Args:
        body: As received.
        coding: The ``Content-Encoding`` header; empty when there was none.
        limit: Most bytes that are taken.

    Raises:
        BodyTooLongError: It is longer than that.
        ValueError: It is damaged, or compressed in another way than gzip or deflate.
    """
    name = coding.strip().lower()
    if name in {"", "identity"} or not body:
        return body
    if name in {"gzip", "x-gzip"}:
        form = _GZIP
    elif name == "deflate":
        # RFC 9110, section 8.4.1.2, means the zlib format; bare deflate data are seen as well.
        form = zlib.MAX_WBITS if body[0] & 0x0F == _ZLIB_METHOD else -zlib.MAX_WBITS
    else:
        raise ValueError(f"content coding {coding[:40]!r}")
    inflater = zlib.decompressobj(form)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise ValueError(f"damaged {name}") from None
    if len(plain) > limit:
        raise BodyTooLongError
    if not inflater.eof:
        raise ValueError(f"damaged {name}")
    return plain
