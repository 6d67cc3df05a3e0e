"""The hole that a killed collector left is filled by what the BMC kept, once, whenever it is killed."""

from __future__ import annotations

import json
import os
import signal
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from execd.waiting import wait_until
from support.bmcsim import FLEET, serving
from support.execd import write_fleet
from support.running import Run

CASE = Path(__file__).parents[1] / "testcases" / "redfish" / "lenovo-sr645-tsm"
BMC = f"""
[[bmc]]
id = "a"
protocol = "redfish"
payload = "{CASE / "responses.json"}"
power = {{ formula = "300 + 100*sin(t/170)" }}
live = [{{ path = "/redfish/v1/Chassis/Self/Power", pointer = "/PowerControl/0/PowerConsumedWatts" }}]
"""
RECORD_NS = 30 * 10**9
AWAY_NS = 900 * 10**9


def _readings(run):
    return [point for point in run.points if point["measurement"] == "server_power"]


def _killed(fleet, state, enough):
    """Let a collector run until it has written enough, kill it, and return its readings."""
    run = Run(fleet, state)
    try:
        wait_until(lambda: enough(_readings(run)))
        run.process.send_signal(signal.SIGKILL)
        run.process.wait(30)
    finally:
        run.close()
    return _readings(run)


def _age(kept):
    """Let what was left on disk be fifteen minutes older; return the last reading's time, in and of it."""
    left, marked_ns = json.loads(kept.read_text()), kept.stat().st_mtime_ns
    learned = left["facts"]["redfish"]["learned"]
    written_ns = learned["last_ns"]
    learned["last_ns"] -= AWAY_NS
    kept.write_text(json.dumps(left))
    os.utime(kept, ns=(marked_ns - AWAY_NS, marked_ns - AWAY_NS))
    return written_ns, marked_ns


def _mean_w(sim, begin_ns, end_ns):
    query = urllib.parse.urlencode({"server": "a", "from": begin_ns, "to": end_ns})
    with urllib.request.urlopen(f"{sim.listing['control']}/truth?{query}", timeout=20) as answer:
        return json.load(answer)["mean_w"]


@pytest.mark.e2e
def test_what_a_killed_collector_missed_is_filled_once_from_the_last_reading_on(tmp_path):
    """Killed after some polls, killed again right after the hole was filled: no hole, nothing twice."""
    spec = tmp_path / "sim.toml"
    spec.write_text(FLEET + BMC, encoding="utf-8")
    state = tmp_path / "state"
    with serving(spec) as sim:
        fleet = write_fleet(tmp_path, sim, {"a": {"protocol": "redfish", "interval": "0.5s"}})
        before = _killed(fleet, state, lambda readings: len(readings) >= 8)
        written_ns, marked_ns = _age(state / "execd" / "servers" / "a.json")
        after = _killed(fleet, state, lambda readings: any(one["fields"]["backfill"] for one in readings))
        again = _killed(fleet, state, lambda readings: len(readings) >= 3)
        records = [one for one in after if one["fields"]["backfill"]]
        ends = [one["time"] for one in records]
        means_w = [_mean_w(sim, end - RECORD_NS, end) for end in ends]
    # The file was written before most of these polls; its time tells the last one.
    assert written_ns < before[-3]["time"]
    assert before[-1]["time"] <= marked_ns
    assert ends == list(range(ends[0], ends[-1] + 1, RECORD_NS))
    assert 0 <= ends[0] - RECORD_NS - (marked_ns - AWAY_NS) < RECORD_NS
    (first,) = (one["time"] for one in after[:1] if not one["fields"]["backfill"])
    assert 0 <= first - ends[-1] < RECORD_NS
    assert [one["fields"]["watts"] for one in records] == pytest.approx(means_w, abs=0.51)
    assert not any(one["fields"]["backfill"] for one in [*before, *again])
