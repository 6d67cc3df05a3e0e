"""A real ``energy-annotator`` process on loopback, and a small HTTP client for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

PLUGINS = Path(__file__).parent / "plugins"


LONGEST_S = 60.0
"""What is waited for at most; nothing here takes a tenth of it, unless the machine has much else to do."""


def command(*arguments, **environ):
    """Run an `energy-annotator` command to its end, in an environment of these variables alone."""
    return subprocess.run(
        [sys.executable, "-m", "energyrecorder_annotator", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={"PATH": os.environ["PATH"], **environ},
    )


class Client:
    """One keep-alive connection."""

    def __init__(self, port, token=None):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method, path, body=None, headers=None):
        """Return status, headers and raw body."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **self._headers, **(headers or {})}
        self._connection.request(method, path, raw, sent)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def json(self, method, path, body=None):
        """Return status and parsed body."""
        status, _, raw = self.ask(method, path, body)
        return status, json.loads(raw)

    def post(self, path, body=None):
        return self.json("POST", path, {} if body is None else body)

    def get(self, path):
        status, body = self.json("GET", path)
        assert status == 200, body
        return body

    def close(self):
        self._connection.close()


class Annotator:
    """The process; its stderr is collected line by line."""

    def __init__(self, arguments, environ=None, token=None):
        self.log = []
        self.port = None
        self._token = token
        self._clients = []
        self._listening = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "energyrecorder_annotator", "serve", "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environ or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.log.append(line)
            if line.startswith(("I! listening on http://", "I! listening on https://")):
                self.port = int(line.rsplit(":", 1)[1])
                self._listening.set()
        self._listening.set()

    def wait_until_listening(self):
        assert self._listening.wait(LONGEST_S), self.log
        assert self.port is not None, self.log
        return self

    def client(self, *token):
        """Return a new client, closed with the process; without ``token`` it has the right one."""
        self._clients.append(Client(self.port, *(token or (self._token,))))
        return self._clients[-1]

    def until(self, condition, seconds=LONGEST_S):
        """Return the first true value of ``condition``, asked ten times a second."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, self.log[-20:]
            assert self.process.poll() is None, self.log[-20:]
            time.sleep(0.1)

    def rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self, number=signal.SIGTERM):
        """End the process and return its exit status."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(LONGEST_S)
        self._reader.join(LONGEST_S)
        self.process.stderr.close()
        return status


def config_file(directory, *commands, more=""):
    """Write settings that run ``commands`` and return the path."""
    path = directory / "annotator.toml"
    listed = json.dumps([[str(word) for word in command] for command in commands])
    path.write_text(f"[embedded]\ncommands = {listed}\n{more}\n", encoding="utf-8")
    return path


@contextlib.contextmanager
def running(directory, *arguments, commands=(), more="", environ=None, token=None):
    """Run an annotator whose state is in ``directory``."""
    config = config_file(directory, *commands, more=more)
    state = directory / "state"
    annotator = Annotator(
        ["--config", str(config), "--state", str(state), *arguments], environ=environ, token=token
    )
    try:
        yield annotator.wait_until_listening()
    finally:
        annotator.stop()


def new_id():
    return str(uuid.uuid4())


def begin(client, env, **more):
    """Start a step and return its id and the answer."""
    step_id = more.pop("step_id", new_id())
    status, body = client.post("/v1/steps", {"step_id": step_id, "env": env, "scenario": "functest", **more})
    assert status == 201, body
    return step_id, body


def error(answer):
    """Return status and code of an error, whose envelope is checked."""
    status, body = answer
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"code", "message", "details"}
    return status, body["error"]["code"]
