"""Commands of the LAN channel: capabilities, cipher suites, privilege, close and info of sessions."""

from __future__ import annotations

import socket
import struct

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable, Privilege
from energyrecorder_bmcsim.ipmi.crypto import SUITES
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError
from energyrecorder_bmcsim.ipmi.session import Session, SessionTable
from energyrecorder_bmcsim.ipmi.settings import IpmiSettings

LAN_CHANNEL = 1
_THIS_CHANNEL = 0x0E
_CHANNEL_MASK = 0x0F
_EXTENDED = 0x80
_BY_SUITE = 0x80
_KG_SET = 0x20
_NAMED_USERS = 0x04
_ONLY_V20 = 0x02
_STANDARD_SUITE = 0xC0
_INTEGRITY_TAG = 0x40
_CONFIDENTIALITY_TAG = 0x80
_SUITE_CHUNK = 16
_RMCPP = 0x10
_SESSION_BY_HANDLE = 0xFE
_SESSION_BY_ID = 0xFF
_USER_ID = 2
_LEVEL_NOT_AVAILABLE = 0x81
_INVALID_SESSION_ID = 0x87
_INVALID_SESSION_HANDLE = 0x88
_SIM_MAC = bytes((0x02, 0x00, 0x5E, 0x00, 0x00, 0x01))


class Channel:
    """The LAN channel of a BMC.

    Args:
        settings: Suites, key, account.
        sessions: Its sessions.
    """

    def __init__(self, settings: IpmiSettings, sessions: SessionTable) -> None:
        self._settings = settings
        self._sessions = sessions

    def commands(self) -> CommandTable:
        """Return its commands."""
        return {
            (NetFn.APP, 0x38): Command(self._capabilities, lengths=(2,), privilege=Privilege.NONE),
            (NetFn.APP, 0x54): Command(self._cipher_suites, lengths=(3,), privilege=Privilege.NONE),
            (NetFn.APP, 0x3B): Command(self._set_privilege, lengths=(1,), privilege=Privilege.CALLBACK),
            (NetFn.APP, 0x3C): Command(self._close, lengths=(4, 5), privilege=Privilege.CALLBACK),
            (NetFn.APP, 0x3D): Command(self._session_info, lengths=(1, 2, 5)),
        }

    def _capabilities(self, call: Call) -> bytes:
        """Get Channel Authentication Capabilities (IPMI 2.0 §22.13): RMCP+ only, named users only."""
        _check_channel(call.data[0])
        if not 0 < call.data[1] & 0x0F <= Privilege.ADMINISTRATOR:
            raise RefusedError(Completion.INVALID_DATA)
        status = _NAMED_USERS | (_KG_SET if self._settings.kg else 0)
        if call.data[0] & _EXTENDED:
            return bytes((LAN_CHANNEL, _EXTENDED, status, _ONLY_V20, 0, 0, 0, 0))
        return bytes((LAN_CHANNEL, 0, status, 0, 0, 0, 0, 0))

    def _cipher_suites(self, call: Call) -> bytes:
        """Get Channel Cipher Suites (IPMI 2.0 §22.15), 16 octets per call."""
        _check_channel(call.data[0])
        suites = [SUITES[number] for number in sorted(self._settings.suites)]
        triples = [
            (
                suite.authentication,
                _INTEGRITY_TAG | suite.integrity,
                _CONFIDENTIALITY_TAG | suite.confidentiality,
            )
            for suite in suites
        ]
        if call.data[2] & _BY_SUITE:
            octets = b"".join(
                bytes((_STANDARD_SUITE, suite.suite_id, *triple))
                for suite, triple in zip(suites, triples, strict=True)
            )
        else:
            octets = bytes(sorted({algorithm for triple in triples for algorithm in triple}))
        start = (call.data[2] & 0x3F) * _SUITE_CHUNK
        return bytes((LAN_CHANNEL,)) + octets[start : start + _SUITE_CHUNK]

    def _set_privilege(self, call: Call) -> bytes:
        """Set Session Privilege Level (IPMI 2.0 §22.18)."""
        session = _session(call)
        level = call.data[0] & 0x0F
        if level == Privilege.CALLBACK or level > Privilege.ADMINISTRATOR:
            raise RefusedError(Completion.INVALID_DATA)
        if level > session.privilege_limit:
            raise RefusedError(_LEVEL_NOT_AVAILABLE)
        session.privilege = level or session.privilege
        return bytes((session.privilege,))

    def _close(self, call: Call) -> bytes:
        """Close Session (IPMI 2.0 §22.19); only an administrator closes another's."""
        (session_id,) = struct.unpack_from("<I", call.data)
        if session_id == 0 and len(call.data) > struct.calcsize("<I"):
            session = self._by_handle(call, call.data[4])
            code = _INVALID_SESSION_HANDLE
        else:
            session = self._sessions.find(session_id, call.now_ns)
            code = _INVALID_SESSION_ID
        if session is None:
            raise RefusedError(code)
        if session is not call.session and call.privilege < Privilege.ADMINISTRATOR:
            raise RefusedError(Completion.INSUFFICIENT_PRIVILEGE)
        self._sessions.drop(session)
        return b""

    def _session_info(self, call: Call) -> bytes:
        """Get Session Info (IPMI 2.0 §22.20)."""
        active = self._sessions.active(call.now_ns)
        session = self._asked_for(call, active)
        counts = bytes((self._sessions.slots & 0x3F, len(active)))
        if session is None:
            return b"\x00" + counts
        host, port = session.peer
        return (
            bytes((session.handle,))
            + counts
            + bytes((_USER_ID, session.privilege, _RMCPP | LAN_CHANNEL))
            + socket.inet_aton(host)
            + _SIM_MAC
            + struct.pack("<H", port)
        )

    def _asked_for(self, call: Call, active: list[Session]) -> Session | None:
        index = call.data[0]
        if index == 0:
            return _session(call)
        if index == _SESSION_BY_HANDLE and len(call.data) == 2:  # noqa: PLR2004 - index and handle
            return self._by_handle(call, call.data[1])
        if index == _SESSION_BY_ID and len(call.data) == 5:  # noqa: PLR2004 - index and id
            wanted = struct.unpack("<I", call.data[1:])[0]
            return next((known for known in active if known.session_id == wanted), None)
        if index > self._sessions.slots:
            raise RefusedError(Completion.INVALID_DATA)
        return active[index - 1] if index <= len(active) else None

    def _by_handle(self, call: Call, handle: int) -> Session | None:
        active = self._sessions.active(call.now_ns)
        return next((known for known in active if known.handle == handle), None)


def _check_channel(octet: int) -> None:
    if octet & _CHANNEL_MASK not in (LAN_CHANNEL, _THIS_CHANNEL):
        raise RefusedError(Completion.INVALID_DATA)


def _session(call: Call) -> Session:
    if call.session is None:
        raise RefusedError(Completion.INSUFFICIENT_PRIVILEGE)
    return call.session
