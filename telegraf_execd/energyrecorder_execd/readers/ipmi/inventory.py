"""Asks a BMC for the names in its FRU inventory, once; costs two requests and one for each 16 bytes."""

from __future__ import annotations

from energyrecorder.errors import BmcDataError
from energyrecorder_execd.readers.ipmi import fru
from energyrecorder_execd.readers.ipmi.fru import Names
from energyrecorder_execd.readers.ipmi.transport import (
    NETFN_STORAGE,
    CompletionCodeError,
    Transport,
    ask,
)

_CHUNK_BYTES = 16
# An area's checksum covers the whole of it; an area longer than this is not worth its requests.
_MOST_BYTES = 256


async def read_names(transport: Transport) -> Names:
    """Return maker and model as the FRU inventory names them; None each where it does not.

    Raises:
        BmcError: The BMC does not answer; a refusal is no error here.
    """
    try:
        area = fru.best_area(await _read(transport, 0, fru.HEADER_BYTES))
        if area is None:
            return Names(None, None)
        start = await _read(transport, area.offset, _CHUNK_BYTES)
        length = fru.area_bytes(start)
        if length > _MOST_BYTES:
            return Names(None, None)
        while len(start) < length:
            count = min(_CHUNK_BYTES, length - len(start))
            start += await _read(transport, area.offset + len(start), count)
    except (CompletionCodeError, BmcDataError):
        return Names(None, None)
    return fru.names(start[:length], product=area.product)


async def _read(transport: Transport, offset: int, count: int) -> bytes:
    request = fru.DEVICE + offset.to_bytes(2, "little") + bytes((count,))
    data = (await ask(transport, NETFN_STORAGE, fru.READ, request)).data
    if len(data) < 2 or data[0] == 0:  # noqa: PLR2004  # the count and a byte at least
        raise BmcDataError(f"Read FRU Data: {len(data)} bytes", reason="data")
    return data[1 : 1 + data[0]]
