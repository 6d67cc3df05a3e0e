"""No account is locked because of us, and nobody waits in vain because others hang."""

from __future__ import annotations

import dataclasses
import json
import urllib.request

import pytest

from energyrecorder_execd.fleet.model import Server
from energyrecorder_execd.guard import LockoutGuard
from energyrecorder_execd.lockout_file import LockoutFile
from energyrecorder_execd.poller import Poller, Tools
from energyrecorder_execd.readers.base import Memory
from energyrecorder_execd.readers.registry import Registry
from support.bmcsim import FLEET, PASSWORD, serving, simulated
from support.execd import once, points_by_server, write_fleet
from support.readers import Clock, target

DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'


@pytest.mark.e2e
def test_a_wrong_shared_password_on_sixty_bmcs_over_ten_restarts(tmp_path):
    """Two refusals per BMC and six in all at most; never a second way of logging in."""
    spec = tmp_path / "sim.toml"
    names = [f"b{number:02}" for number in range(60)]
    bmcs = "".join(f'[[bmc]]\nid = "{name}"\n{DELL}' for name in names)
    spec.write_text(FLEET.replace(PASSWORD, "another-one") + bmcs, encoding="utf-8")
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {name: {"protocol": "auto", "timeout": "20s"} for name in names})
        for _ in range(10):
            done = once(fleet, tmp_path / "state")
            assert done.returncode == 4
            errors = {
                point["fields"]["error"]
                for points in points_by_server(done.stdout).values()
                for point in points
            }
            assert errors <= {"auth", "locked"}
        with urllib.request.urlopen(f"{sim.listing['control']}/stats", timeout=10) as answer:
            stats = json.load(answer)
    refused = [bmc["refused"] for bmc in stats.values()]
    assert max(refused) <= 2
    assert 1 <= sum(refused) <= 6
    assert sum(bmc["basic_requests"] + bmc["log_ins"] for bmc in stats.values()) == 0


@pytest.mark.e2e
def test_bmcs_that_hang_at_start_lock_nobody(tmp_path):
    """Log-ins under way hold the others back for as long as they last; then those are read, unwarned."""
    spec = tmp_path / "sim.toml"
    hung = [f"h{number}" for number in range(4)]
    well = [f"w{number}" for number in range(4)]
    stalled = "faults = [{ kind = 'tls_stall' }]\n"
    bmcs = "".join(f'[[bmc]]\nid = "{name}"\n{DELL}{stalled}' for name in hung)
    bmcs += "".join(f'[[bmc]]\nid = "{name}"\n{DELL}' for name in well)
    spec.write_text(FLEET + bmcs, encoding="utf-8")
    with serving(spec) as sim:
        servers = {name: {"protocol": "redfish", "timeout": "3s"} for name in hung + well}
        done = once(write_fleet(tmp_path, sim, servers), tmp_path / "state")
    assert done.returncode == 3
    assert "locked" not in done.stdout + done.stderr
    points = points_by_server(done.stdout)
    assert all(point["fields"]["error"] == "timeout" for name in hung for point in points[name])
    assert all(any("watts" in point["fields"] for point in points[name]) for name in well)
    assert len(done.stderr.splitlines()) == len(hung)


async def test_a_bmc_that_says_401_while_it_boots_comes_back_by_itself(tmp_path):
    """The right credential is refused for a while; the second try, a minute later, is accepted."""
    clock = Clock()
    async with simulated(tmp_path, f'[[bmc]]\nid = "a"\n{DELL}') as sim:
        aim = dataclasses.replace(target(sim, "a"), timeout_s=20.0)
        server = Server("a", "lab", "redfish", None, "lab", {}, aim, "here")
        registry = Registry()
        file = LockoutFile(tmp_path)
        tools = Tools(LockoutGuard(file, clock), registry.reader, file.credential, clock=clock)
        poller = Poller(server, Memory(), tools)
        try:
            assert (await poller.poll()).error == ""
            # One for the request with the session that it forgot, one for the log-in.
            await sim.order("/fault", {"server": "a", "kind": "unauthorized", "count": 2})
            errors = [(await poller.poll()).error for _ in range(5)]
            assert errors == ["auth"] * 5
            log_ins = (await sim.ask("/stats"))["a"]["log_ins"]
            clock.ahead_s += 61
            assert (await poller.poll()).error == ""
            assert (await sim.ask("/stats"))["a"]["log_ins"] == log_ins + 1
        finally:
            await poller.close()
            await registry.close()
