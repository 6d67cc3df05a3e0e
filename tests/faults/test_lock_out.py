"""No account is locked because of us, and nobody waits in vain because others hang."""

from __future__ import annotations

import contextlib
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
from execd.waiting import wait_until
from support.bmcsim import FLEET, PASSWORD, serving, simulated
from support.execd import once, points_by_server, write_fleet
from support.readers import Clock, target
from support.running import Run

DELL = 'protocol = "redfish"\npayload = "dell-r640-idrac9"\n'


NAMES = [f"b{number:02}" for number in range(60)]


@contextlib.contextmanager
def _another_password(folder):
    """Sixty BMCs that want another password than the fleet file has; yields the fleet file.

    In the end no BMC has refused more than twice, all together not more than six times, and none was asked in
    a second way.
    """
    spec = folder / "sim.toml"
    bmcs = "".join(f'[[bmc]]\nid = "{name}"\n{DELL}' for name in NAMES)
    spec.write_text(FLEET.replace(PASSWORD, "another-one") + bmcs, encoding="utf-8")
    with serving(spec) as sim:
        servers = {name: {"protocol": "auto", "timeout": "20s", "interval": "1s"} for name in NAMES}
        yield write_fleet(folder, sim, servers)
        with urllib.request.urlopen(f"{sim.listing['control']}/stats", timeout=10) as answer:
            stats = json.load(answer)
    refused = [bmc["refused"] for bmc in stats.values()]
    assert max(refused) <= 2
    assert 1 <= sum(refused) <= 6
    assert sum(bmc["basic_requests"] + bmc["log_ins"] for bmc in stats.values()) == 0


@pytest.mark.e2e
def test_a_wrong_shared_password_on_sixty_bmcs_over_ten_times_once(tmp_path):
    """Each time every BMC has its line, with the reason."""
    with _another_password(tmp_path) as fleet:
        for _ in range(10):
            done = once(fleet, tmp_path / "state")
            assert done.returncode == 4
            points = points_by_server(done.stdout)
            assert set(points) == set(NAMES)
            errors = {point["fields"]["error"] for each in points.values() for point in each}
            assert errors <= {"auth", "locked"}


@pytest.mark.e2e
@pytest.mark.parametrize("end", [Run.end, Run.close])
def test_a_wrong_shared_password_on_sixty_bmcs_over_ten_restarts(tmp_path, end):
    """Of `run`, ended by a signal it can heed and by one that it cannot."""
    with _another_password(tmp_path) as fleet:
        for _ in range(10):
            run = Run(fleet, tmp_path / "state")
            try:
                wait_until(lambda run=run: all(run.of(name) for name in NAMES))
                end(run)
            finally:
                run.close()
            errors = {fields["error"] for name in NAMES for _, fields in run.of(name)}
            assert errors <= {"auth", "locked"}


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
            # For the request with the session that it forgot, for the session's end, and for the log-in.
            await sim.order("/fault", {"server": "a", "kind": "unauthorized", "count": 3})
            errors = [(await poller.poll()).error for _ in range(5)]
            assert errors == ["auth"] * 5
            log_ins = (await sim.ask("/stats"))["a"]["log_ins"]
            clock.ahead_s += 61
            assert (await poller.poll()).error == ""
            assert (await sim.ask("/stats"))["a"]["log_ins"] == log_ins + 1
        finally:
            await poller.close()
            await registry.close()
