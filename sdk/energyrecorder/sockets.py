"""The socket calls of the delivery, bound when the SDK is imported.

A test that patches ``socket`` must neither break the delivery of its own step nor count our calls.
"""

from __future__ import annotations

import socket
from typing import Optional

_Socket = socket.socket
_getaddrinfo = socket.getaddrinfo


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a TCP connection to the first address of ``host`` that answers.

    Args:
        host: Name or address.
        port: TCP port.
        timeout_s: Bound for each address; the look-up of the name is the system's.

    Raises:
        OSError: None answered, or the name has no address.
    """
    last: Optional[OSError] = None
    for family, kind, protocol, _, address in _getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        connected = _Socket(family, kind, protocol)
        try:
            connected.settimeout(timeout_s)
            connected.connect(address)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connected.close()
            last = error
        else:
            return connected
    raise last or OSError("the name has no address")
