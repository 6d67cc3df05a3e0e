"""An answer on its way out: the ways in which a body goes wrong, and how it is sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from energyrecorder_bmcsim.faults import Fault
from energyrecorder_bmcsim.power import NS_PER_S
from energyrecorder_bmcsim.redfish.messages import error_body

JSON_TYPE = "application/json; charset=utf-8"
_DRIP_S = 0.1
_LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body><form>User</form></body></html>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent.

    Args:
        status: HTTP status.
        body: The whole body.
        headers: Headers beside those of every answer.
        content_type: Type of the body.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    content_type: str = JSON_TYPE


def _truncated(body: bytes, fault: Fault) -> Answer:
    return Answer(200, body[: max(1, len(body) - fault.options["cut"])])


def _trailing_comma(body: bytes, fault: Fault) -> Answer:
    del fault
    head, brace, tail = body.rpartition(b"}")
    return Answer(200, head + b"," + brace + tail)


BODY_FAULTS: Mapping[str, Callable[[bytes, Fault], Answer]] = {
    "truncated_json": _truncated,
    "html": lambda _body, _fault: Answer(200, _LOGIN_PAGE, content_type="text/html"),
    "trailing_comma": _trailing_comma,
    "two_objects": lambda body, _fault: Answer(200, error_body("GeneralError") + body),
}
"""Kind of fault → what becomes of the body of a resource."""

SENDING_FAULTS = ("drip", "reset_mid_body", "close_mid_body")


async def send(
    request: web.BaseRequest, answer: Answer, *, clock_ns: int, fault: Fault | None = None
) -> web.StreamResponse:
    """Send ``answer``, as ``fault`` (one of `SENDING_FAULTS`) has it.

    Args:
        request: What is answered.
        answer: What is sent.
        clock_ns: The BMC's own clock, for the Date header, nanoseconds since the Unix epoch.
        fault: What goes wrong; None sends it whole.
    """
    headers = {
        "Date": formatdate(clock_ns // NS_PER_S, usegmt=True),
        "OData-Version": "4.0",
        "Cache-Control": "no-cache",
        "Content-Type": answer.content_type,
        **(answer.headers or {}),
    }
    if fault is None:
        return web.Response(status=answer.status, body=answer.body, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    if fault.kind == "drip":
        await _drip(response, answer.body, fault.options["bytes_per_s"])
        return response
    await response.write(answer.body[: len(answer.body) // 2])
    _cut_off(request, reset=fault.kind == "reset_mid_body")
    return response


async def _drip(response: web.StreamResponse, body: bytes, bytes_per_s: float) -> None:
    size = max(1, round(bytes_per_s * _DRIP_S))
    try:
        for start in range(0, len(body), size):
            await response.write(body[start : start + size])
            await asyncio.sleep(size / bytes_per_s)
    except ConnectionError:
        return  # the client had enough of it
    await response.write_eof()


def _cut_off(request: web.BaseRequest, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for 0 s makes close() send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
