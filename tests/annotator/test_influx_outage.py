"""InfluxDB away under load: nothing is lost, the last state wins, memory is bounded.

A minute here, with a back-off to match; ENERGY_OUTAGE_S makes it longer (`make soak`: ten minutes).
"""

import os
import time

import pytest

from support.annotator import running
from support.load import Load, listed

AWAY_S = float(os.environ.get("ENERGY_OUTAGE_S", "60"))
CLIENTS = 4
PAUSE_S = 0.05
"""Between two requests of a client: ten minutes of them are some 25,000 steps."""
LONGEST_S = 600.0
"""For what is waited for after the outage; it takes some seconds."""


@pytest.mark.e2e
@pytest.mark.timeout(AWAY_S + 2 * LONGEST_S)
def test_influxdb_away_under_load_loses_nothing_and_memory_is_bounded(tmp_path, influxd_of_its_own):
    """Load goes on all the time; afterwards InfluxDB has every step in its last state."""
    influxd = influxd_of_its_own
    more = f'[influxdb]\nurl = "{influxd.url}"\ndatabase = "load"\nretry_most = "{AWAY_S * 10:.0f}ms"\n'
    with running(tmp_path, more=more) as annotator:
        load = Load(annotator.port, CLIENTS, pause_s=PAUSE_S)
        try:
            annotator.until(lambda: len(load.stopped) > 100, seconds=LONGEST_S)
            influxd.stop()
            before = len(load.stopped)
            annotator.until(lambda: len(load.stopped) > before + 100, seconds=LONGEST_S)
            before_mb = annotator.rss_mb()
            end_s = time.monotonic() + AWAY_S
            annotator.until(lambda: time.monotonic() > end_s, seconds=AWAY_S + LONGEST_S)
            grown_mb = annotator.rss_mb() - before_mb
            meanwhile = len(load.stopped) - before
            client = annotator.client()
            [sink] = client.get("/v1/sinks")["sinks"]
            assert sink["backlog"] >= meanwhile
            assert client.get("/readyz")["status"] == "degraded"
            influxd.start()
        finally:
            load.end()
        states = listed(client)
        annotator.until(lambda: _in_influxdb(influxd) == states, seconds=LONGEST_S)
        # The connection of before was idle for longer than the annotator keeps it.
        assert annotator.client().get("/v1/sinks")["dead_letters"] == []
    assert load.started <= states.keys()
    assert {step_id for step_id in load.stopped if states[step_id] != "passed"} == set()
    print(f"{meanwhile} steps in {AWAY_S:g} s, {grown_mb:.1f} MB more")  # noqa: T201  # for `make soak`
    assert grown_mb < 40


def _in_influxdb(influxd):
    found = influxd.query("SELECT step_id, state FROM energy_steps", "load")
    return {row[1]: row[2] for series in found for row in series["values"]}
