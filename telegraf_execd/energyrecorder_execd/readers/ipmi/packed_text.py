"""The two packed codings of texts that sensor records and FRU areas share (IPMI 2.0 §43.15, FRU 1.0 §13)."""

from __future__ import annotations

BCD_PLUS = 1
PACKED_ASCII = 2
"""Their numbers in the two upper bits of a type/length byte."""


def bcd_plus(raw: bytes, digits: str) -> str:
    """Return the text of ``raw``, two characters a byte, the upper half first.

    Args:
        raw: The field.
        digits: The 16 characters; sensor records and FRU areas differ in the last ones.
    """
    return "".join(digits[byte >> 4] + digits[byte & 0x0F] for byte in raw)


def packed_ascii(raw: bytes) -> str:
    """Return the text of ``raw``, four characters in three bytes, the lowest bits first."""
    bits = int.from_bytes(raw, "little")
    return "".join(chr(0x20 + (bits >> at & 0x3F)) for at in range(0, 8 * len(raw) - 5, 6))
