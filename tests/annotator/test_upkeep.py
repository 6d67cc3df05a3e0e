"""Recomputing on demand, and what sinks have not taken, over HTTP."""

import pytest

from support.annotator import begin, error, running
from support.fake_server import FakeServer


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    with FakeServer(lambda *_: (422, {"why": "no"}, {})) as server:
        more = f'[webhook]\nurl = "{server.url}/hook"\n'
        with running(tmp_path_factory.mktemp("annotator"), more=more) as one:
            yield one


def test_recompute_counts_the_steps_that_fit(annotator):
    client = annotator.client()
    step_id, _ = begin(client, "pod1", scenario="anew")
    running_id, _ = begin(client, "pod1", scenario="running")
    client.post(f"/v1/steps/{step_id}/stop", {"outcome": "passed"})
    assert client.post("/v1/recompute", {"run_id": step_id})[1]["steps"] == 1
    assert client.post("/v1/recompute", {"run_id": running_id})[1]["steps"] == 0
    status, body = client.post("/v1/recompute", {"scenario": "anew", "from": "2020-01-01T00:00:00Z"})
    assert (status, body["steps"]) == (202, 1)


@pytest.mark.parametrize("body", [{}, {"scenaro": "x"}, {"from": "yesterday"}, {"env": 1}])
def test_recompute_of_everything_by_mistake_is_refused(annotator, body):
    assert error(annotator.client().post("/v1/recompute", body))[0] in {400, 422}


def test_what_a_sink_refuses_is_listed(annotator):
    client = annotator.client()
    step_id, _ = begin(client, "pod1", scenario="refused")
    letter = annotator.until(
        lambda: next((x for x in client.get("/v1/sinks")["dead_letters"] if x["item_id"] == step_id), None)
    )
    assert (letter["sink"], letter["version"]) == ("webhook", 1)
    assert "422" in letter["reason"]
    [sink] = client.get("/v1/sinks")["sinks"]
    assert (sink["name"], sink["error"]) == ("webhook", None)
    assert sink["refused"] >= 1


def test_a_sink_that_is_away_makes_the_annotator_degraded_but_ready(tmp_path):
    more = '[influxdb]\nurl = "http://127.0.0.1:9"\nretry_most = "200ms"\n'
    with running(tmp_path, more=more) as annotator:
        client = annotator.client()
        annotator.until(lambda: client.get("/readyz")["status"] == "degraded")
        assert client.get("/readyz")["away"] == ["influxdb"]
        begin(client, "pod1")
        [sink] = annotator.until(lambda: [s for s in client.get("/v1/sinks")["sinks"] if s["backlog"]])
        assert "cannot be reached" in sink["error"]
