"""A small asyncio client of IPMI 2.0 over LAN (RMCP+): cipher suites 17 and 3, one socket for many BMCs."""

from __future__ import annotations

from energyrecorder_execd.readers.ipmi.lanplus.client import LanplusTransport
from energyrecorder_execd.readers.ipmi.lanplus.endpoint import Endpoint

__all__ = ["Endpoint", "LanplusTransport"]
