"""A service that speaks the original recorder's API alone is detected and used."""

import io
import json

import pytest

from energyrecorder import legacy_api
from energyrecorder.client import Client
from energyrecorder.clock import Instant, SystemClock
from energyrecorder.delivery import Delivery
from energyrecorder.notices import Notices
from energyrecorder.recorder import Recorder
from energyrecorder.recording import Recording
from energyrecorder.sdk_settings import SdkSettings
from support.fake_server import FakeServer

S = 1_000_000_000


class Original(FakeServer):
    """The original's session resource below ``root``: one scenario and step for each environment."""

    def __init__(self, root="/resources"):
        self.root = root
        self.sessions = {}
        self.calls = []
        self.broken = False
        super().__init__(self._answer)

    def _answer(self, verb, path, _query, raw, _headers):
        status, answer = self._resource(verb, path, json.loads(raw) if raw else None)
        return status, answer, {}

    def _resource(self, verb, path, body):
        if path == f"{self.root}/monitoring/ping":
            return 200, {"status": "OK"}
        start = f"{self.root}/recorders/environment/"
        if not path.startswith(start):
            return 404, {"message": "The requested URL was not found on the server."}
        if self.broken:
            return 500, {"message": "Influx is away"}
        env, _, tail = path[len(start) :].partition("/")
        return self._session(verb, env, tail, body)

    def _session(self, verb, env, tail, body):
        if verb != "GET":
            self.calls.append((verb, env, tail, body))
        if verb == "POST" and not tail:
            self.sessions[env] = {"environment": env, **body}
        elif env not in self.sessions:
            return 404, {"message": f'Can\'t find any recording session for recorder "{env}"'}
        elif tail:
            self.sessions[env]["step"] = body["step"]
        session = self.sessions[env]
        if verb == "DELETE":
            del self.sessions[env]
        return 200, session


@pytest.fixture(autouse=True)
def patient_probe(monkeypatch):
    """Wait for a busy machine when looking for the original's API."""
    monkeypatch.setattr(legacy_api, "_PROBE_S", 60.0)


@pytest.fixture(params=["/resources", ""])
def original(request):
    """Serve the original's API."""
    with Original(request.param) as service:
        yield service


@pytest.fixture
def client(original, tmp_path):
    """Return a client that was told nothing but the URL."""
    now = SystemClock().now
    settings = SdkSettings(original.url, tmp_path / "spool", env="pod 1")
    client = Client(settings, now=now, notices=Notices())
    yield client
    client.flush(0.5)


def record(client, name, *, is_step):
    return Recording(Recorder(client.submit, SystemClock().now), name, is_step=is_step)


def put(scenario, step):
    return ("POST", "pod%201", "", {"scenario": scenario, "step": step})


def step(name):
    return ("POST", "pod%201", "step", {"step": name})


DELETE = ("DELETE", "pod%201", "", None)


def test_scenarios_and_steps_are_told_and_what_was_before_is_put_back(original, client):
    recorder = Recorder(client.submit, SystemClock().now)
    with Recording(recorder, "outer", is_step=False):
        with Recording(recorder, "one", is_step=True), Recording(recorder, "deep", is_step=True):
            pass
        with Recording(recorder, "inner", is_step=False):
            pass
    client.flush()
    assert original.calls == [
        put("outer", "running"),
        step("one"),
        step("deep"),
        step("one"),
        step("running"),
        put("inner", "running"),
        put("outer", "running"),
        DELETE,
    ]
    assert original.sessions == {}


def test_a_session_of_somebody_else_is_put_back(original, client):
    original.sessions["pod%201"] = {"environment": "pod%201", "scenario": "theirs", "step": "theirs too"}
    with record(client, "mine", is_step=False):
        pass
    client.flush()
    assert original.calls == [put("mine", "running"), put("theirs", "theirs too")]


def test_it_is_looked_for_once(original, client):
    recorder = Recorder(client.submit, SystemClock().now)
    for _ in range(3):
        with Recording(recorder, "s", is_step=False):
            pass
        client.flush()
    assert len([path for _, path, *_ in original.requests if path.endswith("/v1/batch")]) == 1


def test_two_calls_of_energy_step_bracket_a_session(original, energy_step):
    environ = {"ENERGY_RECORDER_API_URL": f"{original.url}/resources", "NODE_NAME": "pod 1"}
    for arguments in (["start", "functest"], ["step", "boot"], ["step", "ping"]):
        done = energy_step(*arguments, "--strict", env=environ)
        assert (done.returncode, done.stderr) == (0, "")
    assert original.sessions["pod%201"]["step"] == "ping"
    assert energy_step("stop", "--strict", env=environ).returncode == 0
    assert original.sessions == {}
    assert [call[:3] for call in original.calls][-1] == DELETE[:3]


def test_what_is_told_late_is_refused_and_not_given_others_energy(original, tmp_path):
    clock = SystemClock()
    stderr = io.StringIO()
    settings = SdkSettings(original.url, tmp_path / "spool", env="pod1")
    delivery = Delivery(settings, clock.now, Notices(stderr))
    now = clock.now()
    old = Instant(now.wall_ns - 120 * S, now.boot_ns - 120 * S, now.boot_id).as_json()
    start = {"op": "start", "env": "pod1", "step_id": "a", "scenario": "s", "at": old}
    stop = {"op": "stop", "env": "pod1", "step_id": "a", "scenario": "s", "outcome": "passed", "at": old}
    assert delivery.deliver([start, stop], timeout_s=60) == [None, {"status": 200}]
    assert original.calls == []
    assert not delivery.spool.pending()
    assert stderr.getvalue().count("as they happen only") == 1
    delivery.transport.close()


def test_while_it_fails_steps_are_kept(original, client, spool_lines):
    original.broken = True
    with record(client, "s", is_step=False):
        pass
    client.flush()
    assert [line["op"] for line in spool_lines()] == ["start", "stop"]


def test_an_annotator_of_ours_is_never_asked_for_the_originals_ping(annotator, energy_step):
    energy_step("start", "s", env={"ENERGY_URL": annotator.url, "ENERGY_ENV": "pod1"})
    assert all(path.startswith("/v1/") for _, path, _ in annotator.requests)
