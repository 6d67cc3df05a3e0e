"""The socket calls of the delivery, bound when the SDK is imported.

A test that patches ``socket`` must neither break the delivery of its own step nor count our calls.
"""

from __future__ import annotations

import socket
from typing import Optional

_Socket = socket.socket
_connect = socket.socket.connect
_getaddrinfo = socket.getaddrinfo
_STREAM, _TCP, _NODELAY = socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.TCP_NODELAY


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a TCP connection to the first address of ``host`` that answers.

    Args:
        host: Name, as ASCII, or address.
        port: TCP port.
        timeout_s: Bound for each address; the look-up of the name is the system's.

    Raises:
        OSError: None answered, or the name has no address.
    """
    last: Optional[OSError] = None
    # As bytes: for a text the name's codec would be loaded, which takes longer than the look-up.
    for family, kind, protocol, _, address in _getaddrinfo(host.encode("ascii"), port, 0, _STREAM):
        connected = _Socket(family, kind, protocol)
        try:
            connected.settimeout(timeout_s)
            _connect(connected, address)
            connected.setsockopt(_TCP, _NODELAY, 1)
        except OSError as error:
            connected.close()
            last = error
        else:
            return connected
    raise last or OSError("the name has no address")
