"""The whole IPMI reader of a BMC on loopback."""

from __future__ import annotations

import contextlib

from energyrecorder.clock import wall_ns
from energyrecorder.secret import Secret
from energyrecorder_bmcsim.ipmi.proxy import UdpProxy
from energyrecorder_execd.readers.base import Context, Memory, Target, heard_by_nobody
from energyrecorder_execd.readers.ipmi import IpmiReader
from support import ipmi_bmc
from support.ipmi_bmc import start_bmc


def reader_of(
    endpoint,
    port,
    *,
    user=ipmi_bmc.USER,
    password=ipmi_bmc.PASSWORD,
    facts=None,
    heard=heard_by_nobody,
    **options,
):
    timeout_s = options.pop("timeout_s", 8.0)
    target = Target(
        "node-1", "127.0.0.1", port, "https", user, Secret(password), timeout_s=timeout_s, options=options
    )
    memory = Memory({} if facts is None else facts)
    return IpmiReader(target, Context(memory, wall_ns, heard), endpoint)


@contextlib.asynccontextmanager
async def polling(endpoint, *, weather=None, options=None, **settings):
    """Run a BMC, behind a bad network if wanted, and a reader of it."""
    bmc = await start_bmc(**settings)
    proxy = None if weather is None else UdpProxy(bmc.port, weather, seed=7)
    reader = reader_of(endpoint, bmc.port if proxy is None else await proxy.start(), **(options or {}))
    try:
        yield bmc, reader
    finally:
        await reader.close()
        if proxy is not None:
            await proxy.close()
        await bmc.server.close()


def watts_of(poll):
    return poll.readings[0].watts if poll.readings else None
