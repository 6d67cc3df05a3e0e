"""Get Device ID: who made the BMC and which firmware it runs; pure (IPMI 2.0 §20.1)."""

from __future__ import annotations

from dataclasses import dataclass

from energyrecorder.errors import BmcDataError

GET_DEVICE_ID = 0x01
_LEAST_BYTES = 11
_AUXILIARY_BYTES = 15


@dataclass(frozen=True, slots=True)
class Device:
    """What a BMC says of itself.

    Args:
        manufacturer: IANA enterprise number of its maker.
        product: Product id, chosen by the maker.
        firmware: Major and minor revision as people write them, such as ``6.10``.
        auxiliary: Four bytes of further firmware information, as hex; empty if not given.
    """

    manufacturer: int
    product: int
    firmware: str
    auxiliary: str

    def key(self) -> str:
        """Return what changes when the BMC or its firmware is replaced."""
        return f"{self.manufacturer}/{self.product}/{self.firmware}/{self.auxiliary}"


def parse(data: bytes) -> Device:
    """Return the device that the answer describes.

    Raises:
        BmcDataError: It is too short.
    """
    if len(data) < _LEAST_BYTES:
        raise BmcDataError(f"IPMI Get Device ID: {len(data)} bytes instead of {_LEAST_BYTES}", reason="data")
    return Device(
        manufacturer=int.from_bytes(data[6:9], "little") & 0x0FFFFF,
        product=int.from_bytes(data[9:11], "little"),
        firmware=f"{data[2] & 0x7F}.{data[3]:02x}",
        auxiliary=data[11:15].hex() if len(data) >= _AUXILIARY_BYTES else "",
    )
