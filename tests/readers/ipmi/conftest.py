"""What the tests of the IPMI reader share."""

from __future__ import annotations

import pytest

from energyrecorder_execd.readers.ipmi import IpmiEndpoint


@pytest.fixture
async def endpoint():
    """Return the sockets and processes that all readers of a test share."""
    shared = IpmiEndpoint()
    yield shared
    shared.close()
