"""DMTF's own Redfish client sees the same power on the same simulated BMC."""

from __future__ import annotations

import asyncio
import time

import pytest
import redfish

from energyrecorder_execd.readers.redfish import RedfishReader
from support.bmcsim import PASSWORD, USER, simulated
from support.execd import table
from support.readers import reading, target

PAYLOADS = {
    "dell-r750-idrac9": "/redfish/v1/Chassis/System.Embedded.1/Power",
    "lenovo-sr670-xcc": "/redfish/v1/Chassis/1/Power",
    "hpe-dl385-ilo5": "/redfish/v1/Chassis/1/Power",
}


def _seen_by_the_oracle(url, ca_file, path):
    """Return PowerConsumedWatts of the first entry; the library is synchronous and blocks."""
    client = redfish.redfish_client(
        base_url=url, username=USER, password=PASSWORD, cafile=ca_file, timeout=60, max_retry=1
    )
    client.login(auth="session")
    try:
        return client.get(path).dict["PowerControl"][0]["PowerConsumedWatts"]
    finally:
        client.logout()


@pytest.mark.parametrize(("payload", "path"), PAYLOADS.items())
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the library leaves its socket to the collector
async def test_both_clients_see_the_same_power(tmp_path, payload, path):
    """Over HTTPS, each with a session of its own."""
    protocol = "ilo5" if "ilo5" in payload else "redfish"
    bmc = table(
        "[[bmc]]", {"id": "b", "protocol": protocol, "payload": payload, "power": {"constant_w": 321.0}}
    )
    async with simulated(tmp_path, bmc) as sim, reading(RedfishReader, target(sim, "b")) as reader:
        ours = (await reader.poll()).readings[0]
        theirs = await asyncio.to_thread(_seen_by_the_oracle, sim.url("b"), str(sim.fleet.ca_file), path)
        assert ours.watts == theirs == 321.0
        assert abs(time.time_ns() - ours.sampled_at_ns) < 5 * 10**9
