"""The FRU inventory's names of maker and model; pure (Platform Management FRU Information Storage 1.0)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from energyrecorder_execd.readers.ipmi import packed_text

READ = 0x11
DEVICE = b"\x00"
"""The FRU device of the BMC itself, which describes the whole server."""

HEADER_BYTES = 8

_UNIT_BYTES = 8
_BOARD_AT, _PRODUCT_AT = 3, 4
_BOARD_FIELDS_AT, _PRODUCT_FIELDS_AT = 6, 3
_END = 0xC1
_NAMES = 2
_TEXT = 3
_ENGLISH = frozenset({0, 25})
_BCD_PLUS = "0123456789 -.???"


@dataclass(frozen=True, slots=True)
class Area:
    """Where an area stands.

    Args:
        offset: In the inventory, bytes.
        product: Product area rather than board area.
    """

    offset: int
    product: bool


@dataclass(frozen=True, slots=True)
class Names:
    """Who made it and what it is; None where it does not say."""

    maker: str | None
    model: str | None


def best_area(header: bytes) -> Area | None:
    """Return the area that names the server: the product's, else the board's; None without either.

    Args:
        header: The first 8 bytes of the inventory.
    """
    if len(header) < HEADER_BYTES or header[0] & 0x0F != 1 or sum(header[:HEADER_BYTES]) & 0xFF:
        return None
    for at in (_PRODUCT_AT, _BOARD_AT):
        if header[at]:
            return Area(header[at] * _UNIT_BYTES, product=at == _PRODUCT_AT)
    return None


def area_bytes(start: bytes) -> int:
    """Return the length of the area that begins with ``start``; 0 if it cannot be told."""
    return start[1] * _UNIT_BYTES if len(start) > 1 and start[0] & 0x0F == 1 else 0


def names(area: bytes, *, product: bool) -> Names:
    """Return what an area says of maker and model; damaged areas say nothing."""
    if len(area) < _UNIT_BYTES or len(area) != area_bytes(area) or sum(area) & 0xFF:
        return Names(None, None)
    fields = _fields(area, _PRODUCT_FIELDS_AT if product else _BOARD_FIELDS_AT)
    return Names(next(fields, None), next(fields, None))


def without_serials(read: Mapping[int, int]) -> dict[int, int]:
    """Return what may be passed on of an inventory: header and area, of its fields only maker and model.

    The others (serial number, part number, asset tag…) keep their length, and the checksum is right again. An
    area that is damaged or was not read whole is left out.

    Args:
        read: Offset → byte of what was read.
    """
    header = bytes(read.get(at, 0) for at in range(HEADER_BYTES))
    place = best_area(header)
    if place is None:
        return {}
    kept = dict(enumerate(header))
    length = area_bytes(bytes(read.get(place.offset + at, 0) for at in range(2)))
    area = bytearray(read.get(place.offset + at, 0) for at in range(length))
    whole = length >= _UNIT_BYTES and all(place.offset + at in read for at in range(length))
    if not whole or sum(area) & 0xFF:
        return kept
    _blank(area, _PRODUCT_FIELDS_AT if place.product else _BOARD_FIELDS_AT)
    return kept | dict(enumerate(area, place.offset))


def _blank(area: bytearray, at: int) -> None:
    """Blank the fields behind maker and model, and what follows them; set the checksum."""
    last = len(area) - 1
    number = 0
    while at < last and area[at] != _END:
        end = min(at + 1 + (area[at] & 0x3F), last)
        if number >= _NAMES:
            filler = b"X" if area[at] >> 6 == _TEXT else b"\0"
            area[at + 1 : end] = filler * (end - at - 1)
        number += 1
        at = end
    if at < last:
        area[at + 1 : last] = bytes(last - at - 1)
    area[last] = -sum(area[:last]) & 0xFF


def _fields(area: bytes, at: int) -> Iterator[str | None]:
    """Yield maker and model: the first two fields of both areas."""
    while at < len(area) and area[at] != _END:
        kind, length = area[at] >> 6, area[at] & 0x3F
        raw = area[at + 1 : at + 1 + length]
        yield _text(kind, raw, english=area[2] in _ENGLISH) or None
        at += 1 + length


def _text(kind: int, raw: bytes, *, english: bool) -> str:
    if kind == packed_text.BCD_PLUS:
        text = packed_text.bcd_plus(raw, _BCD_PLUS)
    elif kind == packed_text.PACKED_ASCII:
        text = packed_text.packed_ascii(raw)
    elif kind == 0:
        return ""  # binary
    else:
        text = raw.decode("latin-1") if english else raw.decode("utf-16-le", "replace")
    return "".join(letter for letter in text if letter.isprintable()).strip()
