"""Killed at random moments under load: what was acknowledged is there, once."""

import random
import signal
import time

import pytest

from influxd import free_port
from support.annotator import Annotator as Process
from support.annotator import config_file
from support.load import Load, listed

KILLS = 50
CLIENTS = 16


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_killed_in_a_loop_every_acknowledged_step_is_there_once(tmp_path):
    chance = random.Random(20)
    port = free_port()
    config = config_file(tmp_path)
    arguments = ["--config", str(config), "--state", str(tmp_path / "state"), "--port", str(port)]
    load = Load(port, CLIENTS)
    try:
        for _ in range(KILLS):
            process = Process(arguments).wait_until_listening()
            time.sleep(chance.uniform(0.02, 0.4))
            process.stop(signal.SIGKILL)
        process = Process(arguments).wait_until_listening()
        acknowledged = len(load.stopped)
        process.until(lambda: len(load.stopped) > acknowledged + CLIENTS)
    finally:
        load.end()
    try:
        states = listed(process.client())
    finally:
        process.stop()
    assert len(load.stopped) > KILLS
    assert load.started <= states.keys()
    assert {step_id for step_id in load.stopped if states[step_id] != "passed"} == set()
    # What was sent and never answered may be there too: one for each client.
    assert len(states.keys() - load.started) <= CLIENTS
