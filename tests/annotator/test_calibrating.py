"""A load goes on and off while the collector polls: what is run, what is said, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from energyrecorder.errors import ConfigError
from energyrecorder_analysis.calibrate import CalibrationError
from energyrecorder_annotator import calibrating
from energyrecorder_annotator.calibrating import Plan, run_plan, words
from energyrecorder_annotator.cli.app import cli

COLLECTOR = """
import os, select, sys, time
number = 0
while not select.select([sys.stdin], [], [], 0.02)[0] or sys.stdin.readline():
    number += 1
    watts = (300 if os.path.exists(sys.argv[1]) else 200) + number % 3
    print(f'server_power,env=e,server=other,scope=server watts=7 {time.time_ns()}')
    fields = f'watts={watts},clock="poll",source="dcmi"'
    print(f'server_power,env=e,server=a,scope=server {fields} {time.time_ns()}', flush=True)
"""
GOOD_LOAD = "touch {flag}; sleep {{seconds}}; rm {flag}"


def _run(folder, load, *, collector=COLLECTOR, loads=3):
    flag = folder / "flag"
    plan = Plan("a", load.format(flag=flag), seconds=1, loads=loads)
    said = []
    command = (sys.executable, "-c", collector, str(flag))
    found = asyncio.run(run_plan(plan, command, os.environ, said.append))
    return *found, said


def test_what_is_found_is_said_with_the_line_for_the_fleet_file(tmp_path):
    """An instantaneous sensor that is renewed at each poll: no window to speak of."""
    found, series, said = _run(tmp_path, GOOD_LOAD)
    assert [line.split(" in ")[0] for line in said] == [f"load {k} of 3" for k in (1, 2, 3)]
    assert set(series.sources) == {"dcmi"}
    assert (found.idle_w, found.load_w) == (pytest.approx(201, abs=3), pytest.approx(301, abs=3))
    assert found.window_s < 0.5
    lines = words(found, series).splitlines()
    assert lines[0].startswith("a by dcmi: ")
    assert lines[-1] == f'timing = {{ source = "dcmi", window = "{found.window_s:.1f}s" }}'
    assert "not seen: renewed for nearly every poll" in lines[2]


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ("exit 3", "the load ended with exit status 3: exit 3"),
        ("true", r"the load lasted 0.0 s instead of 1 s, see \{seconds\}"),
        ("sleep {{seconds}}", "the load raises the power by"),
    ],
    ids=["fails", "ends at once", "loads nothing"],
)
def test_a_load_that_is_none_is_an_error(tmp_path, load, message):
    """It says what the command did and what it should do."""
    with pytest.raises(CalibrationError, match=message):
        _run(tmp_path, load)


def test_a_load_that_does_not_end_is_ended(tmp_path, monkeypatch):
    """With all that it started: nothing of it stays behind."""
    monkeypatch.setattr(calibrating, "_LONGEST_MORE_S", 0.0)
    with pytest.raises(CalibrationError, match="the load has not ended"):
        _run(tmp_path, "echo $$ > {flag}; sleep 600 & sleep 600")
    group = int((tmp_path / "flag").read_text())
    until_s = time.monotonic() + 30
    while _alive(group) and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not _alive(group)


def _alive(group):
    """Return the processes of a group that still run; the dead may wait for whoever inherits them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(path)
    return found


def test_a_collector_that_ends_is_an_error(tmp_path):
    """Its own words stand in the log above."""
    with pytest.raises(CalibrationError, match="no reading of server 'a'; the lines above say why"):
        _run(tmp_path, GOOD_LOAD, collector="raise SystemExit(1)")


def test_a_collector_that_refuses_its_settings_is_a_mistake_of_the_caller(tmp_path):
    """It is not started again and again to say the same."""
    with pytest.raises(ConfigError, match="no reading of server 'a'; the lines above say what to correct"):
        _run(tmp_path, GOOD_LOAD, collector="raise SystemExit(2)")


def test_loads_do_not_keep_step_with_the_bmc():
    """The times without load all differ, and so do the edges' places in any period."""
    rests_s = Plan("a", "", seconds=60, loads=8).rests_s()
    assert len({round(rest_s, 3) for rest_s in rests_s}) == 8
    assert all(60 <= rest_s <= 80 for rest_s in rests_s)


def test_the_command_asks_for_what_it_needs(tmp_path):
    """A fleet file that is not there is told by the collector; a missing option by the command."""
    done = CliRunner().invoke(cli, ["calibrate", "--fleet", str(tmp_path / "f.toml"), "--server", "a"])
    assert done.exit_code == 2
    assert "Missing option '--load'" in done.output
