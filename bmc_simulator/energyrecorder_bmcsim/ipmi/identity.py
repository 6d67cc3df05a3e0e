"""Who a controller is: Get Device ID, GUIDs, chassis status, its FRU inventory."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from energyrecorder_bmcsim.ipmi.controller import Call, Command, CommandTable, Privilege
from energyrecorder_bmcsim.ipmi.message import Completion, NetFn, RefusedError, checksum
from energyrecorder_bmcsim.ipmi.settings import ControllerSettings, ReadingSource

_PROVIDES_SDRS = 0x80
_IPMI_2_0 = 0x02
_SENSOR_SDR_FRU_CHASSIS = 0x8B
_SELF_TEST_GOOD = bytes((0x55, 0x00))
_RESTORE_PREVIOUS = 0x20
_FRU_HEADER_SIZE = 8
_FRU_ENGLISH = 0x19
_FRU_END = 0xC1
_FRU_LONGEST_FIELD = 0x3F
_TEXT_8_BIT = 0xC0


@dataclass(frozen=True, slots=True)
class Identity:
    """Commands that tell who a controller is and whether the host is on.

    Args:
        settings: The controller.
        guid: Device and system GUID, 16 octets.
        source: Tells whether the host is on.
    """

    settings: ControllerSettings
    guid: bytes
    source: ReadingSource

    def commands(self) -> CommandTable:
        """Return its commands."""
        return {
            (NetFn.APP, 0x01): Command(self._device_id),
            (NetFn.APP, 0x04): Command(lambda _: _SELF_TEST_GOOD),
            (NetFn.APP, 0x08): Command(lambda _: self.guid),
            (NetFn.APP, 0x37): Command(lambda _: self.guid, privilege=Privilege.NONE),
            (NetFn.CHASSIS, 0x01): Command(self._chassis_status),
            (NetFn.STORAGE, 0x10): Command(self._fru_info, lengths=(1,)),
            (NetFn.STORAGE, 0x11): Command(self._fru_read, lengths=(4,)),
        }

    def _device_id(self, _: Call) -> bytes:
        """Get Device ID (IPMI 2.0 §20.1)."""
        major, minor = self.settings.firmware.split(".")
        return struct.pack(
            "<6B3sH",
            self.settings.address,
            _PROVIDES_SDRS | 1,
            int(major),
            int(minor, 16),
            _IPMI_2_0,
            _SENSOR_SDR_FRU_CHASSIS,
            self.settings.manufacturer.to_bytes(3, "little"),
            self.settings.product,
        )

    def _chassis_status(self, call: Call) -> bytes:
        """Get Chassis Status (IPMI 2.0 §28.2)."""
        return bytes((_RESTORE_PREVIOUS | self.source.host_on(call.now_ns), 0x00, 0x40))

    def _fru_info(self, call: Call) -> bytes:
        """Get FRU Inventory Area Info (IPMI 2.0 §34.1)."""
        if call.data[0]:
            raise RefusedError(Completion.NOT_PRESENT)
        return struct.pack("<HB", len(self._fru()), 0)

    def _fru_read(self, call: Call) -> bytes:
        """Read FRU Data (IPMI 2.0 §34.2)."""
        device, offset, count = struct.unpack("<BHB", call.data)
        if device:
            raise RefusedError(Completion.NOT_PRESENT)
        area = self._fru()
        if offset >= len(area):
            raise RefusedError(Completion.PARAMETER_OUT_OF_RANGE)
        part = area[offset : offset + count]
        return bytes((len(part),)) + part

    def _fru(self) -> bytes:
        return fru_inventory(self.settings.vendor_name, self.settings.product_name)


def fru_inventory(vendor: str, product: str) -> bytes:
    """Return a FRU inventory with a product area (Platform Management FRU Information Storage 1.0 §8, §12).

    Args:
        vendor: Manufacturer name.
        product: Product name.
    """
    header = bytes((1, 0, 0, 0, _FRU_HEADER_SIZE // 8, 0, 0))
    texts = (vendor, product, "", "", "SIM0000001", "", "")
    body = bytes((_FRU_ENGLISH,)) + b"".join(_fru_text(text) for text in texts) + bytes((_FRU_END,))
    size = -(-(len(body) + 3) // 8) * 8
    area = bytes((1, size // 8)) + body.ljust(size - 3, b"\x00")
    return header + bytes((checksum(header),)) + area + bytes((checksum(area),))


def _fru_text(text: str) -> bytes:
    octets = text.encode("latin-1", "replace")[:_FRU_LONGEST_FIELD]
    if len(octets) == 1:
        # One octet of 8-bit text would be coded C1h, which ends the fields.
        octets += b" "
    return bytes((_TEXT_8_BIT | len(octets),)) + octets
