"""The forms in which a fleet file names a BMC's address, and a proxy on the way to it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

ALLOWED = "host, host:port, [v6]:port, https://host[:port] or http://host[:port]"
PROXY_ALLOWED = "http://[USER:PASSWORD@]HOST[:PORT]"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?")
_MAX_PORT = 65535
_HTTP = 80


@dataclass(frozen=True, slots=True)
class Host:
    """Where a BMC listens.

    Args:
        address: Name or IP address, without brackets.
        port: None means the protocol's own.
        scheme: ``https`` unless the fleet file says ``http://``; None when none was written.
    """

    address: str
    port: int | None
    scheme: str | None


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Args:
        address: Name or IP address, without brackets.
        port: TCP port.
        login: ``USER:PASSWORD``; empty: none is needed.
    """

    address: str
    port: int
    login: str = field(default="", repr=False)


def parse_proxy(text: str) -> Proxy:
    """Return the proxy that ``text`` names.

    Raises:
        ValueError: It has none of the allowed forms.
    """
    scheme, _, rest = text.strip().partition("://")
    login, _, where = rest.rpartition("@")
    try:
        host = parse_host(f"{scheme}://{where}")
    except ValueError:
        host = None
    if host is None or host.scheme != "http" or not login.isprintable():
        raise ValueError(PROXY_ALLOWED)
    return Proxy(host.address, host.port or _HTTP, unquote(login))


def parse_host(text: str) -> Host:
    """Return the host that ``text`` names.

    Raises:
        ValueError: It has none of the allowed forms.
    """
    rest, scheme = text.strip(), None
    if "://" in rest:
        scheme, _, rest = rest.partition("://")
        if scheme not in {"https", "http"}:
            raise ValueError(ALLOWED)
        rest = rest.removesuffix("/")
    address, port = _split(rest)
    return Host(address=address, port=port, scheme=scheme)


def _split(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        inside, closed, after = text[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise ValueError(ALLOWED)
        return _v6(inside), _port(after[1:]) if after else None
    if text.count(":") > 1:
        return _v6(text), None
    name, colon, port = text.partition(":")
    if _NAME.fullmatch(name) is None:
        raise ValueError(ALLOWED)
    return name, _port(port) if colon else None


def _v6(text: str) -> str:
    try:
        # Keeps a zone such as fe80::1%eth0, which a link-local BMC needs.
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError(ALLOWED) from None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MAX_PORT:
        raise ValueError(f"{ALLOWED}, port from 1 to {_MAX_PORT}")
    return int(text)
