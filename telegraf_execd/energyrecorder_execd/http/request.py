"""Writes requests as they go over the wire: HTTP/1.1, RFC 9112 (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

_FIXED = "Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: energyrecorder\r\n"
# No OData-Version header: it breaks the Thermal resource of iLO 4 (telegraf#14488).

_VISIBLE = re.compile(r"[!-~]+")
_ALL_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_BREAKS = re.compile(r"[\r\n\0]")


def request_bytes(
    method: str, target: str, host: str, headers: Mapping[str, str], payload: Mapping[str, str] | None
) -> bytes:
    """Return one request.

    Args:
        method: ``GET``, ``POST``, ``DELETE`` or ``CONNECT``.
        target: Path with query, percent-encoded; or what a proxy is asked for.
        host: The ``Host`` header.
        headers: Further ones.
        payload: Sent as JSON.

    Raises:
        ValueError: A header would break out of its line.
    """
    if _VISIBLE.fullmatch(target) is None:
        target = quote(target, safe=_ALL_VISIBLE)
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{_FIXED}"]
    for name, value in headers.items():
        if _BREAKS.search(value) is not None:
            raise ValueError(f"line break in the header {name}")
        lines.append(f"{name}: {value}\r\n")
    body = b""
    if payload is not None:
        body = json.dumps(payload).encode()
        lines.append(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("utf-8", "surrogateescape") + body


def host_header(address: str, port: int, usual_port: int | None) -> str:
    """Return the ``Host`` header of a server.

    Args:
        address: Name or IP address, without brackets; the zone of a link-local address is our own affair.
        port: TCP port.
        usual_port: Port that is not mentioned; None: any is.
    """
    host = f"[{address.partition('%')[0]}]" if ":" in address else address
    return host if port == usual_port else f"{host}:{port}"
