"""The route by which remote sites push readings: line protocol, as Telegraf's ``outputs.http`` sends it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from fastapi import APIRouter, Request

from energyrecorder_analysis.timestamp import LEAST_NS
from energyrecorder_annotator.api.answers import Answer, timed
from energyrecorder_annotator.api.context import ArrivalDep, ServiceDep
from energyrecorder_annotator.api.errors import ApiError, envelope
from energyrecorder_annotator.auth.caller import Caller
from energyrecorder_annotator.samples.base import Point
from energyrecorder_annotator.samples.parse import BadLineError, parse_point

router = APIRouter(prefix="/v1", tags=["samples"], default_response_class=Answer)

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_MOST_SHOWN = 5
_GZIP = 16 + zlib.MAX_WBITS
_BODY = {"content": {"text/plain": {"schema": {"type": "string", "description": "line protocol, ns"}}}}


@dataclass(slots=True)
class Read:
    """What a body holds.

    Args:
        points: Those the caller may write.
        forbidden: How many points belong to environments of others.
        ignored: How many are of measurements that are not kept.
        bad: What is wrong with lines that are no points.
    """

    points: list[Point] = field(default_factory=list)
    forbidden: int = 0
    ignored: int = 0
    bad: list[str] = field(default_factory=list)


@router.post("/samples", openapi_extra={"requestBody": _BODY})
async def samples(request: Request, arrival: ArrivalDep, service: ServiceDep) -> Answer:
    """Readings in line protocol (``Content-Encoding: gzip`` or none); a bad line costs that line alone.

    403 when nothing but points of environments was sent that the token is not bound to, 400 when no line is
    a point, 503 with ``Retry-After`` while the store cannot keep up: Telegraf then sends them again.
    """
    raw = await request.body()
    encoding = request.headers.get("content-encoding", "identity").lower()
    parse = partial(parse_point, received_ns=arrival.received_ns, keep_lines=service.samples.keeps_lines)
    read = await asyncio.to_thread(_read, raw, encoding, arrival.caller, parse)
    if service.intake.is_full(len(read.points)):
        body = envelope("samples_unavailable", "the sample store is behind; send them again later")
        return Answer(body, 503, headers={"Retry-After": "5"})
    for point in read.points:
        service.intake.take(point)
    counts = {
        "stored": len(read.points),
        "forbidden": read.forbidden,
        "ignored": read.ignored,
        "bad": len(read.bad),
        "problems": [*_told_of_times(read.points), *read.bad[:_MOST_SHOWN]],
    }
    if not read.points and read.forbidden:
        raise ApiError(403, "forbidden_env", "this token may not write to these environments", counts)
    if not read.points and read.bad:
        raise ApiError(400, "invalid_request", read.bad[0], counts)
    return Answer(timed(counts, arrival.received_ns, service.clock))


def _told_of_times(points: Sequence[Point]) -> list[str]:
    """Return what is to be told of points whose sender counts seconds: they are kept, and never found."""
    early = sum(point.t_ns < LEAST_NS for point in points)
    return [f"points of the seventies: {early}; time stamps are nanoseconds"] if early else []


def _read(raw: bytes, encoding: str, caller: Caller, parse: Callable[[str], Point | None]) -> Read:
    read = Read()
    for line in _unpacked(raw, encoding).split(b"\n"):
        if not line.strip():
            continue
        try:
            point = parse(line.decode("utf-8"))
        except (BadLineError, UnicodeDecodeError) as error:
            read.bad.append(str(error))
            continue
        if point is None:
            read.ignored += 1
        elif caller.may_use(point.env):
            read.points.append(point)
        else:
            read.forbidden += 1
    return read


def _unpacked(raw: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return raw
    if encoding != "gzip":
        raise ApiError(415, "invalid_request", f"Content-Encoding is {encoding!r}; allowed: gzip, identity")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(raw, MAX_UNPACKED_BYTES)
    except zlib.error:
        raise ApiError(400, "invalid_request", "the body is not gzip") from None
    if unpacker.unconsumed_tail:
        message = f"the body is larger than {MAX_UNPACKED_BYTES} bytes when unpacked"
        raise ApiError(413, "too_large", message, {"limit_bytes": MAX_UNPACKED_BYTES})
    if not unpacker.eof:
        raise ApiError(400, "invalid_request", "the gzip body is cut off")
    return text
