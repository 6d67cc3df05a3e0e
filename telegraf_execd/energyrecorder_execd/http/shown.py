"""Looks at the certificate that a BMC shows, without sending it anything else."""

from __future__ import annotations

import ssl

import httptools

from energyrecorder.errors import BmcUnreachableError
from energyrecorder_execd.fleet.hosts import Proxy
from energyrecorder_execd.http.connect import Route, connect
from energyrecorder_execd.http.connection import Shared
from energyrecorder_execd.http.errors import connect_error, tls_detail
from energyrecorder_execd.http.tls import TlsContexts

_REST_S = 60.0


async def certificate_of(
    host: str, port: int, contexts: TlsContexts, proxy: Proxy | None = None
) -> tuple[bytes, bool]:
    """Return the certificate (DER) that ``host`` shows, trusted or not, and whether it speaks old TLS only.

    Args:
        host: Name or address.
        port: TCP port.
        contexts: Of this process.
        proxy: HTTP proxy on the way; None: none.

    Raises:
        BmcError: There is no connection or no TLS.
    """
    try:
        return await shown_certificate(Route(host, port, contexts.unverified(), proxy)), False
    except BmcUnreachableError as error:
        if error.reason != "tls":
            raise
        first = error
    try:
        return await shown_certificate(Route(host, port, contexts.unverified(legacy=True), proxy)), True
    except BmcUnreachableError:
        raise first from None


async def shown_certificate(route: Route) -> bytes:
    """Return the certificate (DER) that is shown, if the route's context accepts it.

    Args:
        route: With TLS.

    Raises:
        BmcError: There is no connection, no TLS or no trust.
    """
    where = f"{route.address}:{route.port}"
    try:
        connection = await connect(route, Shared(_REST_S))
    except ssl.SSLError as error:
        raise BmcUnreachableError(f"{where}: TLS: {tls_detail(error)}", reason="tls") from None
    except (OSError, ValueError, httptools.HttpParserError) as error:
        raise connect_error(error, where) from None
    try:
        return connection.certificate
    finally:
        connection.abort()
