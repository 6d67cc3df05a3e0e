"""A hundred BMCs and a mix of all faults: nothing grows, all come back, no tick is lost uncounted.

Two minutes here; ENERGY_SOAK_S makes it longer (`make soak`).
"""

from __future__ import annotations

import json
import os
import random
import time
import urllib.request

import pytest

from execd.waiting import wait_until
from support.bmcsim import FLEET, serving
from support.execd import write_fleet
from support.running import Run
from support.troubles import HEALTHY, KINDS, TROUBLED, bmcs, fault, protocol

SOAK_S = float(os.environ.get("ENERGY_SOAK_S", "120"))
QUIET_S = 35.0
"""At the end without new faults, longer than the longest pause after a fault of 8 s."""

INTERVAL_S = 5.0
POWER = 'power = { formula = "300 + 50*sin(t/5)" }'


def _ask(sim, path, body=None):
    request = urllib.request.Request(
        sim.listing["control"] + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def _trouble(sim, until_s):
    """Post one fault after the other, all kinds in turn, seeded."""
    drawn = random.Random(11)
    kinds = []
    while time.monotonic() < until_s:
        kinds = kinds or drawn.sample(KINDS, len(KINDS))
        struck = {"server": drawn.choice(TROUBLED)}
        _ask(sim, "/fault", struck | fault(kinds.pop(), drawn.uniform(1, 8)))
        time.sleep(0.25)


@pytest.mark.e2e
@pytest.mark.timeout(SOAK_S + 120)
def test_a_mix_of_all_faults(tmp_path):
    """No growth of sockets, tasks, memory; all are read again at last; each tick is served or counted.

    That none is late because of another BMC is shown in virtual time, on a machine with any load: `test_day`.
    """
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + bmcs(POWER), encoding="utf-8")
    with serving(spec) as sim:
        servers = {
            name: {
                "protocol": protocol(name),
                "interval": f"{INTERVAL_S:g}s",
                "timeout": "5s",
            }
            for name in HEALTHY + TROUBLED
        }
        run = Run(write_fleet(tmp_path, sim, servers), tmp_path / "state")
        try:
            wait_until(lambda: len({point["tags"]["server"] for point in list(run.points)}) == 100, 60)
            time.sleep(2 * INTERVAL_S)
            began_ns, began_s = time.time_ns(), time.monotonic()
            _trouble(sim, began_s + (SOAK_S - QUIET_S) / 3)
            early = run.used()
            _trouble(sim, began_s + SOAK_S - QUIET_S)
            late = run.used()
            time.sleep(QUIET_S)
            ended_ns = time.time_ns()
            stats = _ask(sim, "/stats")
            assert run.end() == 0
        finally:
            run.close()
    print(f"early {early}, late {late}, {len(run.points)} points")  # noqa: T201  # for `make soak`
    assert late.memory_mb < early.memory_mb * 1.1 + 5
    assert late.descriptors <= early.descriptors + 20
    assert late.threads <= early.threads + 2
    assert late.tasks <= early.tasks + 20
    for name in HEALTHY:
        polls = [(at, fields) for at, fields in run.of(name) if began_ns <= at <= ended_ns]
        late_ticks = sum(fields["late_ticks"] for _, fields in polls)
        assert late_ticks + len(polls) >= (ended_ns - began_ns) / 1e9 / INTERVAL_S - 2, name
    for name in TROUBLED:
        said = [line for line in run.log if f"'{name}'" in line][-5:]
        assert run.of(name)[-1][1]["error"] == "", (said, run.of(name)[-1])
    assert any(fields["error"] for name in TROUBLED for _, fields in run.of(name))
    assert max(bmc["live_sessions"] for bmc in stats.values()) <= 1
    assert sum(bmc["refused"] for bmc in stats.values()) == 0
    assert all(stats[name]["log_ins"] == 1 for name in HEALTHY)
    assert "Traceback" not in "".join(run.log)
