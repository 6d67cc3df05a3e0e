"""Connects to a BMC: TCP to whichever address answers, through a proxy if there is one, then TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from dataclasses import dataclass

from energyrecorder_execd.fleet.hosts import Proxy
from energyrecorder_execd.http.connection import Connection, Shared
from energyrecorder_execd.http.request import host_header, request_bytes
from energyrecorder_execd.http.response import MAX_HEAD_BYTES, Response

NEXT_ADDRESS_S = 0.25
"""A name's next address is tried after so long beside the first one (RFC 8305, section 5)."""

_OK_CLASS = 2


@dataclass(frozen=True, slots=True)
class Route:
    """How a BMC is reached.

    Args:
        address: Name or IP address, without brackets.
        port: TCP port.
        context: For TLS; None: in clear.
        proxy: HTTP proxy on the way; None: none.
    """

    address: str
    port: int
    context: ssl.SSLContext | None
    proxy: Proxy | None = None


async def connect(route: Route, shared: Shared) -> Connection:
    """Return a new connection.

    Raises:
        ssl.SSLError: There is no TLS, or no trust.
        OSError: There is no connection.
        ValueError: The address cannot be used.
        httptools.HttpParserError: The proxy does not speak HTTP.
    """
    proxy = route.proxy
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(shared),
        route.address if proxy is None else proxy.address,
        route.port if proxy is None else proxy.port,
        happy_eyeballs_delay=NEXT_ADDRESS_S,
    )
    with contextlib.ExitStack() as undo:
        undo.callback(connection.abort)
        if route.context is not None:
            if proxy is not None:
                await _tunnel(connection, route, proxy)
            await connection.secure(route.context, route.address.partition("%")[0].rstrip("."))
        undo.pop_all()
    return connection


def proxy_headers(proxy: Proxy | None) -> dict[str, str]:
    """Return what authenticates us to a proxy."""
    if proxy is None or not proxy.login:
        return {}
    return {"Proxy-Authorization": "Basic " + base64.b64encode(proxy.login.encode()).decode("ascii")}


async def _tunnel(connection: Connection, route: Route, proxy: Proxy) -> None:
    there = host_header(route.address, route.port, None)
    response = Response(limit=MAX_HEAD_BYTES, is_tunnel=True)
    await connection.exchange(request_bytes("CONNECT", there, there, proxy_headers(proxy), None), response)
    if response.status // 100 != _OK_CLASS:
        raise OSError(0, f"the proxy answered HTTP {response.status}")
