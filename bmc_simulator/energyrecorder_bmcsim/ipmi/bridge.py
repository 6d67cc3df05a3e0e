"""Send Message: hands a request to a satellite and brings its answers back (IPMI 2.0 §22.7, §6.13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable, Controller
from energyrecorder_bmcsim.ipmi.message import (
    Completion,
    NetFn,
    RefusedError,
    build_response,
    parse_request,
)
from energyrecorder_bmcsim.ipmi.rmcp import WireError
from energyrecorder_bmcsim.ipmi.settings import BridgeStyle

_TRACKING_MASK = 0xC0
_TRACK_REQUEST = 0x40
_CHANNEL_MASK = 0x0F
_SHORTEST = 8
_NAK_ON_WRITE = 0x83


class Bridge:
    """The way from a controller to those behind it.

    Args:
        satellites: Channel and slave address → controller.
        style: How answers come back, see `IpmiSettings`.
    """

    def __init__(self, satellites: Mapping[tuple[int, int], Controller], style: BridgeStyle) -> None:
        self._satellites = satellites
        self._style = style

    def commands(self) -> CommandTable:
        """Return its command."""
        return {(NetFn.APP, 0x34): Command(self._send, lengths=range(_SHORTEST, 0x100))}

    def _send(self, call: Call) -> bytes:
        if call.data[0] & _TRACKING_MASK != _TRACK_REQUEST:
            # Untracked answers go to the receive queue, which a LAN channel has not.
            raise RefusedError(Completion.INVALID_DATA)
        try:
            inner = parse_request(call.data[1:])
        except WireError as error:
            raise RefusedError(Completion.INVALID_DATA) from error
        controller = self._satellites.get((call.data[0] & _CHANNEL_MASK, inner.responder))
        if controller is None:
            raise RefusedError(_NAK_ON_WRITE)
        inner_call = Call(inner, inner.data, call.now_ns, call.session)
        body = controller.answer(inner_call)
        call.delay_s += inner_call.delay_s
        if self._style == "inline":
            return build_response(inner, body)
        # The BMC put its own address and number on the IPMB and puts the originator's back (§6.13.2).
        outer = call.request
        for request, answer in ((inner, body), *inner_call.follow_ups):
            original = replace(
                request,
                requester=outer.requester,
                sequence=outer.sequence,
                requester_lun=outer.requester_lun,
            )
            call.follow_ups.append((original, answer))
        return b""
