"""A fake annotator on loopback that can misbehave, and an environment of its own for each test."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from energyrecorder import client
from energyrecorder.clock import Instant
from energyrecorder.delivery import Delivery
from energyrecorder.recorder import Recorder
from energyrecorder.recording import Recording
from energyrecorder.spool_line import decode
from energyrecorder.transport import Transport
from support.patience import PATIENT, PATIENT_COMMAND, PATIENT_S

SDK = Path(__file__).resolve().parents[2] / "sdk"
RUN_CLI = "import sys; from energyrecorder.cli import main; sys.argv[0] = 'energy-step'; main()"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart

    def log_message(self, *args):
        """Say nothing on stderr."""

    def setup(self):
        self.server.fake.connections += 1
        super().setup()

    def do_GET(self):
        fake = self.server.fake
        fake.requests.append(("GET", self.path, None))
        if self._misbehave(fake):
            return
        page = fake.pages.get(self.path.partition("?")[0])
        if isinstance(page, str):
            self._send(200, page.encode(), "text/html")
        elif page is None:
            self._answer(404, {"error": {"code": "not_found", "message": f"no {self.path}"}})
        else:
            self._answer(200, {**page, **fake.clock()})

    def do_POST(self):
        fake = self.server.fake
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake.requests.append(("POST", self.path, body))
        fake.headers.append(dict(self.headers))
        if self._misbehave(fake):
            return
        page = fake.pages.get(self.path)
        if page is not None:
            self._answer(200, {**page, **fake.clock()})
            return
        items = [fake.take(item) for item in body["items"]]
        self._answer(200, {"items": items, **fake.clock()})

    def _misbehave(self, fake):
        mode = fake.mode  # once: the test may change it as soon as the client has its answer
        if mode == "500":
            self._answer(500, {"error": {"code": "internal", "message": "broken"}})
        elif mode in {"401", "409", "429"}:
            self._answer(int(mode), {"error": {"code": "unauthorized", "message": "no"}})
        elif mode == "html":
            self._send(200, b"<html>log in to the hotel's network</html>", "text/html")
        elif mode == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"items": [')
            self.close_connection = True
        elif mode == "hang":
            fake.released.wait(100)
            self.close_connection = True
        return mode != "up"

    def _answer(self, status, body):
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status, raw, kind):
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)


class FakeAnnotator:
    """Accepts batches on loopback as the annotator does, or misbehaves as ``mode`` says.

    ``mode``: up, 500, 401, 409, 429, html, cut (closes in the middle of the body), hang.
    """

    def __init__(self):
        self.mode = "up"
        self.events = []
        self.requests = []
        self.headers = []
        self.connections = 0
        self.warnings = []
        self.refuse = {}
        self.pages = {"/healthz": {"status": "ok", "plugins": []}, "/readyz": {"status": "ready"}}
        self.clock_ns = lambda: (10**18, 10**18)
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.fake = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def take(self, item):
        """Return the answer to one item of a batch."""
        status = self.refuse.get(item.get("step"), 201)
        if status != 201:
            return {"status": status, "error": {"code": "bad", "message": "not this one"}}
        if item["op"] != "heartbeat":
            self.events.append(item)
        return {"status": 201, "step_id": item.get("step_id"), "warnings": self.warnings}

    def clock(self):
        """Return what every answer says of our clock."""
        received_ns, sent_ns = self.clock_ns()
        return {"received_ns": received_ns, "sent_ns": sent_ns}

    def told(self, op=None):
        """Return ``(op, scenario, step)`` of what was accepted, in order."""
        return [
            (event["op"], event.get("scenario"), event.get("step"))
            for event in self.events
            if op in (None, event["op"])
        ]

    def close(self):
        """Stop serving."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def annotator():
    """Serve a fake annotator."""
    fake = FakeAnnotator()
    yield fake
    fake.close()


@pytest.fixture
def black_hole():
    """Return the URL of a port that answers no connection: its queue is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


@pytest.fixture
def closed_port():
    """Return the URL of a port where nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """Keep a test away from the settings, spool and CI variables of whoever runs it."""
    for name in list(os.environ):
        foreign = name.lower().endswith("_proxy") or name.startswith(
            ("ENERGY_", "GITHUB_", "GITLAB_", "CI_", "JENKINS_")
        )
        if foreign or name in {"NODE_NAME", "BUILD_TAG", "RUNNER_TEMP", "WORKSPACE", "XDG_RUNTIME_DIR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("ENERGY_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("ENERGY_STATE_FILE", str(tmp_path / "job.json"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(SDK))
    monkeypatch.chdir(tmp_path)


class Patience:
    """Whether what a test starts waits for a busy machine; ``is_off`` gives it the time limits of users."""

    is_off = False


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Wait for a busy machine, in this process and in those that a test starts."""
    monkeypatch.setattr(client, "EXIT_S", PATIENT_S)
    for function in (Transport.exchange, Delivery.heartbeat):
        monkeypatch.setattr(function, "__kwdefaults__", {"timeout_s": PATIENT_S})
    return Patience()


@pytest.fixture
def impatient(patience):
    """Give what this test starts the time limits of users: a service that never answers costs two seconds."""
    patience.is_off = True


@pytest.fixture
def spool_lines(tmp_path):
    """Return a function that reads the events that wait in the spool."""

    def read():
        files = sorted((tmp_path / "spool").glob("*/*.jsonl"))
        return [decode(line) for file in files for line in file.read_bytes().splitlines()]

    return read


@pytest.fixture
def python(patience):
    """Return a function that runs Python code in a process of its own."""

    def run(code, **more):
        patient = code if patience.is_off else f"{PATIENT}\n{code}"
        return subprocess.run(
            [sys.executable, "-c", patient], capture_output=True, text=True, timeout=100, check=False, **more
        )

    return run


def command_line(patience):
    """Return the beginning of a command line that runs `energy-step`."""
    return [sys.executable, "-c", RUN_CLI if patience.is_off else f"{PATIENT_COMMAND}\n{RUN_CLI}"]


@pytest.fixture
def energy_step(patience):
    """Return a function that runs `energy-step`."""

    def run(*arguments, env=None, **more):
        return subprocess.run(
            [*command_line(patience), *arguments],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env=None if env is None else {**os.environ, **env},
            **more,
        )

    return run


@pytest.fixture
def start_energy_step(patience):
    """Return a function that starts `energy-step` and returns the process."""
    started = []

    def start(*arguments, **more):
        process = subprocess.Popen(
            [*command_line(patience), *arguments],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        # Not `communicate`: a command that the killed process had started may still hold the pipes.
        process.wait()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


class Log:
    """A recorder whose events are kept in a list, on a clock that counts."""

    def __init__(self, inherited=None):
        self.events = []
        self.count = 0
        self.recorder = Recorder(self.events.append, self.now, lambda: inherited)

    def now(self):
        self.count += 1
        return Instant(self.count, self.count, "boot")

    def scenario(self, name=None, **options):
        return Recording(self.recorder, name, is_step=False, **options)

    def step(self, name=None, **options):
        return Recording(self.recorder, name, is_step=True, **options)

    def told(self):
        """Return ``+name`` and ``-name outcome`` in order."""
        return [
            f"+{_name(event)}" if event["op"] == "start" else f"-{_name(event)} {event['outcome']}"
            for event in self.events
            if event["op"] in {"start", "stop"}
        ]

    def parent_of(self, name):
        ids = {event["step_id"]: _name(event) for event in self.events if event["op"] == "start"}
        (start,) = [e for e in self.events if e["op"] == "start" and _name(e) == name]
        return ids.get(start.get("parent_id"))


def _name(event):
    return event.get("step") or event["scenario"]


@pytest.fixture
def log():
    """Record into a list."""
    return Log()


@pytest.fixture
def log_within():
    """Return a function that makes a `log` of a process that was started within a step."""
    return Log
