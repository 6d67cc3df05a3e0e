"""Clients that start and stop steps as fast as they are answered, and what must be there afterwards."""

from __future__ import annotations

import http.client
import json
import threading

from support.annotator import Client, new_id


class Load:
    """Clients that start and stop steps and remember what was acknowledged."""

    def __init__(self, port, clients, pause_s=0.01):
        self.port = port
        self._pause_s = pause_s
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
                self._done.wait(self._pause_s)
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
