"""A disk without room, seen by clients of either API: told, and forgotten once there is room again."""

import resource

import pytest

from support.annotator import begin, error, new_id, running
from support.load import listed

SESSION = "/resources/recorders/environment/pod1"


def original(client, verb, path, body=None):
    """Return status and keys of what the original's API answers."""
    status, answer = client.json(verb, path, body)
    return status, set(answer)


def start(client):
    """Ask for a step with some text, and return its id, the status and the body."""
    step_id = new_id()
    body = {"step_id": step_id, "env": "pod1", "scenario": "full", "title": "x" * 10_000}
    return step_id, *client.post("/v1/steps", body)


@pytest.fixture
def annotator(tmp_path):
    with running(tmp_path) as one:
        yield one


def test_without_room_nothing_is_acknowledged_and_with_room_it_goes_on(annotator, tmp_path):
    client = annotator.client()
    run_id, _ = begin(client, "pod1")
    acknowledged = {run_id}
    written = (tmp_path / "state" / "annotator.db-wal").stat().st_size
    unlimited = resource.prlimit(annotator.process.pid, resource.RLIMIT_FSIZE, (written, -1))
    # A little may still fit into what the file takes up already.
    while client.json("GET", "/readyz")[0] == 200:
        step_id, status, _ = start(client)
        if status == 201:
            acknowledged.add(step_id)
    assert error(start(client)[1:]) == (503, "journal_unavailable")
    assert error(client.json("GET", "/readyz")) == (503, "journal_unavailable")
    assert listed(client).keys() == acknowledged
    assert client.get("/healthz")["status"] == "ok"
    assert original(client, "GET", "/resources/monitoring/ping") == (500, {"message"})
    assert original(client, "POST", SESSION, {"scenario": "s", "step": ""}) == (500, {"message"})
    assert client.get(f"/v1/runs/{run_id}")["run"]["state"] == "running", "what is known can be read"
    assert client.ask("GET", "/")[0] == 200
    resource.prlimit(annotator.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert client.get("/readyz")["status"] == "ready"
    step_id, status, _ = start(client)
    assert status == 201
    assert listed(client).keys() == acknowledged | {step_id}
    assert client.json("GET", SESSION)[0] == 404, "not half taken"
    assert sum("journal cannot be written" in line for line in annotator.log) >= 1
