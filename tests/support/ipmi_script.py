"""A transport that answers from a table, for tests of what stands above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from energyrecorder_execd.readers.ipmi.transport import Bridge, CompletionCodeError

DEVICE_ID = bytes.fromhex("20 01 06 10 02 bf a20200 0001")
DCMI = (0x2C, 0x02)
CHASSIS = (0x00, 0x01)
SENSOR = (0x04, 0x2D)
DEVICE = (0x06, 0x01)


class ScriptedTransport:
    """Answers by (network function, command): bytes, a completion code, an exception, or a function."""

    def __init__(self, **answers: Any) -> None:
        self.requests = 0
        self.log_ins = 0
        self.closed = False
        self.asked: list[tuple[int, int]] = []
        self.answers: dict[tuple[int, int], Any] = {DEVICE: DEVICE_ID, CHASSIS: b"\x01\x00\x00"}
        self.answers.update(answers)

    async def open(self) -> None:
        """Count one log-in."""
        self.log_ins = max(self.log_ins, 1)

    async def request(
        self, netfn: int, command: int, data: bytes = b"", *, lun: int = 0, bridge: Bridge | None = None
    ) -> bytes:
        """Answer from the table; what is not in it is C1h."""
        self.requests += 1
        self.asked.append((netfn, command))
        answer = self.answers.get((netfn, command), 0xC1)
        if callable(answer):
            handler: Callable[..., Any] = answer
            answer = handler(data, lun=lun, bridge=bridge)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            raise CompletionCodeError(netfn, command, answer)
        return bytes(answer)

    async def close(self) -> None:
        """Note it."""
        self.closed = True


def repository(records: list[bytes], *, limit: int = 0xFF, short_is_error: bool = False) -> dict[Any, Any]:
    """Return the answers of a repository that hands out at most ``limit`` bytes at once."""

    def get(data: bytes, **_: Any) -> Any:
        wanted, offset, count = int.from_bytes(data[2:4], "little"), data[4], data[5]
        index = next((i for i, r in enumerate(records) if int.from_bytes(r[:2], "little") == wanted), None)
        if not wanted:
            index = 0
        if index is None:
            return 0xCB
        rest = records[index][offset:]
        if count > limit if count != 0xFF else len(rest) > limit:
            return 0xCA
        if short_is_error and count != 0xFF and count > len(rest):
            return 0xC9
        following = records[index + 1][:2] if index + 1 < len(records) else b"\xff\xff"
        return following + rest[:count]

    info = b"\x51" + len(records).to_bytes(2, "little") + b"\xff\xff" + bytes(8) + b"\x02"
    return {(0x0A, 0x20): info, (0x0A, 0x22): b"\x01\x00", (0x0A, 0x23): get}
