"""Killed at random moments under load, and InfluxDB away under load: what was acknowledged is there, once."""

import http.client
import json
import random
import signal
import threading
import time

import pytest

from support.annotator import Annotator as Process
from support.annotator import Client, config_file, new_id, running
from support.influxd import free_port

KILLS = 50
CLIENTS = 16


class Load:
    """Clients that start and stop steps and remember what was acknowledged."""

    def __init__(self, port, clients):
        self.port = port
        self.started = set()
        self.stopped = set()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self):
        self._done.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _work(self, number):
        client = None
        try:
            client = self._start_and_stop(number)
        finally:
            if client is not None:
                client.close()

    def _start_and_stop(self, number):
        client = None
        while not self._done.is_set():
            step_id = new_id()
            start = {"step_id": step_id, "env": f"pod{number}", "scenario": "load"}
            for path, body, acknowledged in (
                ("/v1/steps", start, self.started),
                (f"/v1/steps/{step_id}/stop", {"outcome": "passed"}, self.stopped),
            ):
                client = self._until_answered(client, path, body)
                if client is None:
                    return None
                with self._lock:
                    acknowledged.add(step_id)
                self._done.wait(0.01)
        return client

    def _until_answered(self, client, path, body):
        """Send until it is acknowledged; a repetition is what clients do whose connection broke."""
        while not self._done.is_set():
            try:
                client = client or Client(self.port)
                status, answer = client.post(path, body)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                if client is not None:
                    client.close()
                client = None
                self._done.wait(0.02)
                continue
            assert status in {200, 201, 202}, answer
            return client
        if client is not None:
            client.close()
        return None


def listed(client):
    """Return the state of every step, each of which must be listed once."""
    states, cursor = {}, ""
    while cursor is not None:
        page = client.get(f"/v1/steps?limit=1000{cursor and '&cursor=' + cursor}")
        for step in page["steps"]:
            assert step["step_id"] not in states
            states[step["step_id"]] = step["state"]
        cursor = page["next_cursor"]
    return states


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


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_influxdb_away_under_load_loses_nothing_and_memory_is_bounded(tmp_path, influxd_of_its_own):
    """A minute of load, InfluxDB away for most of it: afterwards it has every step in its last state."""
    away_s = 40.0
    more = f'[influxdb]\nurl = "{influxd_of_its_own.url}"\ndatabase = "load"\nretry_most = "500ms"\n'
    with running(tmp_path, more=more) as annotator:
        load = Load(annotator.port, 4)
        try:
            annotator.until(lambda: len(load.stopped) > 100)
            influxd_of_its_own.stop()
            annotator.until(lambda: len(load.stopped) > 400, seconds=60)
            before_mb = annotator.rss_mb()
            deadline = time.monotonic() + away_s
            annotator.until(lambda: time.monotonic() > deadline, seconds=away_s + 10)
            grown_mb = annotator.rss_mb() - before_mb
            influxd_of_its_own.start()
        finally:
            load.end()
        client = annotator.client()
        annotator.until(lambda: _in_influxdb(influxd_of_its_own) == listed(client), seconds=150)
        assert client.get("/v1/sinks")["dead_letters"] == []
    states = _in_influxdb(influxd_of_its_own)
    assert {step_id for step_id in load.stopped if states[step_id] != "passed"} == set()
    assert grown_mb < 40


def _in_influxdb(influxd):
    found = influxd.query("SELECT step_id, state FROM energy_steps", "load")
    return {row[1]: row[2] for series in found for row in series["values"]}
