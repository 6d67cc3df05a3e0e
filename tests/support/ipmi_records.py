"""Builds full sensor records byte by byte (IPMI 2.0 table 43-1), apart from the code that reads them."""

from __future__ import annotations


def record(
    name: str = "Power",
    *,
    number: int = 1,
    record_id: int = 1,
    m: int = 4,
    b: int = 0,
    b_exp: int = 0,
    r_exp: int = 0,
    unit: int = 6,
    units: int = 0,
    data_format: int = 0,
    linearisation: int = 0,
    accuracy: int = 0,
    accuracy_exp: int = 0,
    owner: int = 0x20,
    kind: int | None = None,
    id_bytes: bytes | None = None,
) -> bytes:
    """Return one record; ``kind`` and ``id_bytes`` give the id string raw."""
    text = name.encode("latin-1") if id_bytes is None else id_bytes
    m, b = m & 0x3FF, b & 0x3FF
    body = bytes((owner, 0x00, number, 7, 1, 0x01, 0x40, 0x0B, 0x01)) + bytes(6)
    body += bytes((data_format << 6 | units, unit, 0, linearisation))
    body += bytes((m & 0xFF, m >> 8 << 6, b & 0xFF, b >> 8 << 6 | accuracy & 0x3F))
    body += bytes((accuracy >> 6 << 4 | accuracy_exp << 2, (r_exp & 0xF) << 4 | b_exp & 0xF))
    body += bytes(17) + bytes((0xC0 | len(text) if kind is None else kind,)) + text
    return record_id.to_bytes(2, "little") + bytes((0x51, 0x01, len(body))) + body
