"""What the fleet file declares of a source's timing stands in its readings, and in no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from energyrecorder.errors import ConfigError
from energyrecorder_execd.cli import cli
from energyrecorder_execd.declared import with_timing
from energyrecorder_execd.fleet import SourceTiming, load_fleet
from energyrecorder_execd.readers.base import Poll, Reading
from execd.plugin import Plugin, fleet_text

ALLOWED = "allowed: { source = 'NAME', window = '10s', refresh = '10s' }"


def _loaded(tmp_path, monkeypatch, timing):
    monkeypatch.setenv("BMC_PASSWORD", "sikrit")
    path = Path(tmp_path, "fleet.toml")
    path.write_text(fleet_text("a", extra=f"timing = {timing}\n"))
    return load_fleet(path).servers[0].timing


@pytest.mark.parametrize(
    ("text", "timing"),
    [
        ('{ source = "dcmi", window = "9.8s", refresh = "10s" }', SourceTiming("dcmi", 9.8, 10.0)),
        ('{ source = "dcmi", window = "0s" }', SourceTiming("dcmi", 0.0)),
        ('{ source = "dcmi", refresh = "500ms" }', SourceTiming("dcmi", None, 0.5)),
    ],
)
def test_the_fleet_file_may_declare_it(tmp_path, monkeypatch, text, timing):
    """One of the two is enough; a window of nothing is an instant."""
    assert _loaded(tmp_path, monkeypatch, text) == timing


@pytest.mark.parametrize(
    "text",
    [
        '{ window = "10s" }',
        '{ source = "dcmi" }',
        '{ source = "dcmi", window = 10 }',
        '{ source = "dcmi", window = "10 parsecs" }',
        '{ source = "dcmi", window = "10s", lag = "1s" }',
        '{ source = "dcmi", refresh = "0s" }',
        '{ source = "dcmi", window = "2h" }',
    ],
)
def test_anything_else_is_one_line_that_says_what_is_allowed(tmp_path, monkeypatch, text):
    """A wrong window would make wrong joules."""
    with pytest.raises(ConfigError) as caught:
        _loaded(tmp_path, monkeypatch, text)
    assert "[[server]] 'a': key 'timing'" in str(caught.value)
    assert ALLOWED in str(caught.value)


def test_only_totals_of_that_source_are_touched():
    """A supply, another source and what is not declared stay as the BMC gave them."""
    total = Reading(100.0, 1, "poll", "redfish", "dcmi", window_s=60.0, refresh_s=1.0)
    supply = Reading(50.0, 1, "poll", "redfish", "dcmi", scope="component", part="psu:1")
    other = Reading(100.0, 1, "poll", "redfish", "power_control")
    poll = Poll((total, supply, other), {None: "on"}, "redfish", "dcmi", 1)
    declared = with_timing(poll, SourceTiming("dcmi", window_s=10.0)).readings
    assert (declared[0].window_s, declared[0].refresh_s) == (10.0, 1.0)
    assert declared[1:] == (supply, other)
    assert with_timing(poll, None) is poll


def test_run_takes_one_server_at_another_pace_and_prints_its_timing(tmp_path):
    """As `energy-annotator calibrate` polls it."""
    text = fleet_text(
        "good-1", "good-2", interval="3600s", extra='timing = { source = "power_control", window = "7s" }\n'
    )
    with Plugin(tmp_path, text=text, arguments=("--server", "good-2", "--interval", "0.5s")) as plugin:
        plugin.wait_for("good-2", 3)
        code, _ = plugin.end()
    printed = "".join(line for _, line in plugin.lines)
    assert code == 0
    assert "server=good-1" not in printed
    assert ",window_s=7," in printed.replace("window_s=7.0", "window_s=7")


def test_a_pace_that_is_no_duration_is_a_usage_error():
    """Before anything is polled."""
    result = CliRunner().invoke(cli, ["run", "--interval", "0.1s"])
    assert result.exit_code == 2
    assert "a duration from 0.5 to 3600 s" in result.output
