"""One UDP socket per address family for all BMCs: routes each datagram by peer address and session id."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import TypeAlias

from energyrecorder.errors import BmcUnreachableError
from energyrecorder_execd.readers.ipmi.lanplus.packet import session_id_of

Receiver: TypeAlias = Callable[[bytes], None]
Peer: TypeAlias = tuple[socket.AddressFamily, tuple[str, int]]
"""Address family, and numeric host and port."""

_MAX_DATAGRAM_BYTES = 4096
_DATAGRAMS_PER_WAKEUP = 256
# 512 answers at once overflow Linux' default buffer, and each loss costs a retransmission.
_RECEIVE_BUFFER_BYTES = 1 << 20


class Endpoint:
    """The sockets that all lanplus sessions of a process share; they open with the first route."""

    def __init__(self) -> None:
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        self._routes: dict[tuple[str, int], dict[int, Receiver]] = {}
        self.strangers = 0

    async def resolve(self, address: str, port: int) -> Peer:
        """Return where datagrams for a BMC go.

        Raises:
            BmcUnreachableError: The name does not resolve.
        """
        try:
            literal = ipaddress.ip_address(address)
        except ValueError:
            pass
        else:
            return (socket.AF_INET if literal.version == 4 else socket.AF_INET6), (str(literal), port)  # noqa: PLR2004  # IP version
        try:
            found = await asyncio.get_running_loop().getaddrinfo(address, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise BmcUnreachableError(
                f"host name {address!r} does not resolve: {why}", reason="unreachable"
            ) from None
        family, _, _, _, sockaddr = found[0]
        return socket.AddressFamily(family), (str(sockaddr[0]), int(sockaddr[1]))

    def route(self, peer: Peer, session_id: int, receiver: Receiver) -> None:
        """Hand datagrams of ``peer`` for ``session_id``, and those for no session, to ``receiver``."""
        self._socket(peer[0])
        self._routes.setdefault(peer[1], {})[session_id] = receiver

    def unroute(self, peer: Peer, session_id: int) -> None:
        """Forget a route; unknown ones are fine."""
        routes = self._routes.get(peer[1])
        if routes is not None:
            routes.pop(session_id, None)
            if not routes:
                del self._routes[peer[1]]

    def send(self, peer: Peer, datagram: bytes) -> None:
        """Send one datagram; a full send buffer drops it, as a network would.

        Raises:
            BmcUnreachableError: The system knows no way to the peer.
        """
        try:
            self._socket(peer[0]).sendto(datagram, peer[1])
        except BlockingIOError:
            return
        except OSError as error:
            raise BmcUnreachableError(
                f"{peer[1][0]}:{peer[1][1]}: {error.strerror or error}", reason="unreachable"
            ) from None

    def close(self) -> None:
        """Close the sockets; a later route opens them anew."""
        for sock in self._sockets.values():
            with contextlib.suppress(RuntimeError):  # the loop that the reader belonged to is closed
                asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()
        self._routes.clear()

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        sock = self._sockets.get(family)
        if sock is not None:
            return sock
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise BmcUnreachableError(f"no UDP socket: {error.strerror}", reason="unreachable") from None
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        asyncio.get_running_loop().add_reader(sock, self._receive, sock)
        self._sockets[family] = sock
        return sock

    def _receive(self, sock: socket.socket) -> None:
        for _ in range(_DATAGRAMS_PER_WAKEUP):
            try:
                datagram, sender = sock.recvfrom(_MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an ICMP answer to an earlier datagram; silence says the same
                continue
            self._dispatch(datagram, (str(sender[0]), int(sender[1])))

    def _dispatch(self, datagram: bytes, sender: tuple[str, int]) -> None:
        routes = self._routes.get(sender)
        if routes is None:
            self.strangers += 1
            return
        session_id = session_id_of(datagram)
        if session_id:
            receiver = routes.get(session_id)
            if receiver is not None:
                receiver(datagram)
            return
        for receiver in tuple(routes.values()):
            receiver(datagram)
