"""One established RMCP+ session: seals requests, opens what the BMC sends; no I/O (IPMI 2.0 §13.6)."""

from __future__ import annotations

import hmac
import struct

from energyrecorder_execd.readers.ipmi.lanplus import packet
from energyrecorder_execd.readers.ipmi.lanplus.crypto import PacketCipher, SessionKeys, Suite
from energyrecorder_execd.readers.ipmi.lanplus.packet import PacketError

_ENCRYPTED = 0x80
_AUTHENTICATED = 0x40
_NEXT_HEADER = 0x07
_MAX_SEQUENCE = 0xFFFFFFFF
WINDOW = 16
_WINDOW_MASK = (1 << WINDOW) - 1


class ReplayWindow:
    """Which sequence numbers of the BMC were seen (IPMI 2.0 §6.12.13).

    The first number is taken as it comes: the keys are fresh, so nothing of an older session passes. A jump
    ahead is accepted: it cannot be a replay, and refusing it would cost a log-in after a burst of losses.
    """

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = 0
        self._seen = 0  # bit n: highest - n was seen

    def accept(self, sequence: int) -> bool:
        """Tell whether ``sequence`` is new, and remember it; 0 never belongs to a session."""
        if not sequence:
            return False
        ahead = sequence - self._highest
        if not self._highest or ahead > 0:
            kept = self._seen << ahead & _WINDOW_MASK if self._highest and ahead < WINDOW else 0
            self._seen = kept | 1
            self._highest = sequence
            return True
        if -ahead >= WINDOW or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


class SecureSession:
    """Keys, ids and counters of one session.

    Args:
        suite: Cipher suite agreed.
        keys: Keys of the session.
        local_id: Session id that the BMC addresses us by.
        remote_id: Session id that we address the BMC by.
    """

    def __init__(self, *, suite: Suite, keys: SessionKeys, local_id: int, remote_id: int) -> None:
        self.suite = suite
        self.local_id = local_id
        self.remote_id = remote_id
        self._cipher = PacketCipher(suite, keys)
        self._sequence = 0
        self._window = ReplayWindow()

    def seal(self, message: bytes) -> bytes:
        """Return the datagram that carries an IPMI message, encrypted and signed, with the next number."""
        self._sequence = self._sequence % _MAX_SEQUENCE + 1
        body = self._cipher.encrypt(message)
        kind = packet.PAYLOAD_IPMI | _ENCRYPTED | _AUTHENTICATED
        head = struct.pack("<BBIIH", packet.AUTH_RMCP_PLUS, kind, self.remote_id, self._sequence, len(body))
        pad_bytes = -(len(head) + len(body) + 2) % 4
        signed = head + body + b"\xff" * pad_bytes + bytes((pad_bytes, _NEXT_HEADER))
        return packet.RMCP_HEADER + signed + self._cipher.code(signed)

    def unseal(self, datagram: bytes) -> bytes:
        """Return the IPMI message in a datagram of this session.

        Raises:
            PacketError: It is not of this session, not authentic, replayed or malformed.
        """
        code_bytes = self._cipher.code_bytes
        if len(datagram) < packet.V20_HEADER_BYTES + code_bytes or not packet.is_ipmi(datagram):
            raise PacketError("too short")
        auth, kind, session_id, sequence, length = struct.unpack_from("<BBIIH", datagram, 4)
        if auth != packet.AUTH_RMCP_PLUS or session_id != self.local_id:
            raise PacketError("another session")
        if kind != packet.PAYLOAD_IPMI | _ENCRYPTED | _AUTHENTICATED:
            raise PacketError("not an encrypted and authenticated IPMI message")
        signed, code = datagram[4:-code_bytes], datagram[-code_bytes:]
        if not hmac.compare_digest(self._cipher.code(signed), code):
            raise PacketError("integrity code does not match")
        if not self._window.accept(sequence):
            raise PacketError("replayed")
        body = datagram[packet.V20_HEADER_BYTES : packet.V20_HEADER_BYTES + length]
        if len(body) < length:
            raise PacketError("payload truncated")
        return self._cipher.decrypt(body)
