"""Every key of every answer stands in docs/api.md, in the chapter of its route or that of steps."""

import json
import re
import sys
from pathlib import Path

import pytest

from support.annotator import PLUGINS, begin, new_id, running

CHAPTERS = dict(
    re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)",
        (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
NAMED_BY_OTHERS = {"per_server", "tags", "detectable"}
"""Objects whose keys are names of servers, of tags, and numbers of runs."""
NO_JSON = {("GET", "/metrics"), ("GET", "/")}
JUNIT = b'<testsuite name="s" timestamp="2026-03-01T12:00:00Z"><testcase name="c" time="1"/></testsuite>'


def keys_of(value, name=""):
    """Return every key in an answer."""
    if isinstance(value, list):
        return set().union(*(keys_of(one, name) for one in value))
    if not isinstance(value, dict):
        return set()
    own = set() if name in NAMED_BY_OTHERS else set(value)
    return own.union(*(keys_of(one, key) for key, one in value.items()))


def requests(run_id, step_id):
    """Yield route, path and body of a request for each route that answers in JSON."""
    item = {"op": "start", "step_id": new_id(), "env": "pod1", "scenario": "s"}
    start = {key: value for key, value in item.items() if key != "op"}
    yield "POST /v1/steps", "/v1/steps", {**start, "step_id": new_id()}
    yield "PATCH /v1/steps/{step_id}", f"/v1/steps/{step_id}", {"title": "t"}
    yield "POST /v1/steps/{step_id}/heartbeat", f"/v1/steps/{step_id}/heartbeat", {}
    yield "POST /v1/envs/{env}/step", "/v1/envs/pod1/step", {"step": "x", "run_id": run_id}
    yield "POST /v1/marks", "/v1/marks", {"env": "pod1", "title": "t"}
    yield "POST /v1/batch", "/v1/batch", {"items": [item, {"op": "nonsense"}]}
    yield "POST /v1/import/junit", "/v1/import/junit?env=pod1", JUNIT
    yield "POST /v1/samples", "/v1/samples", b"server_power,env=e,server=n,scope=server watts=1"
    yield "GET /v1/power", "/v1/power", None
    yield "GET /v1/steps", "/v1/steps", None
    yield "GET /v1/runs", "/v1/runs?limit=1", None
    yield "GET /v1/runs/{run_id}", f"/v1/runs/{run_id}", None
    yield "GET /v1/runs/{run_id}/report.{kind}", f"/v1/runs/{run_id}/report.json", None
    gate = {"candidate": f"run:{run_id}", "baseline": f"run:{run_id}", "budget_j": 1, "documents": ["md"]}
    yield "POST /v1/gate", "/v1/gate", gate
    yield "GET /v1/compare", f"/v1/compare?baseline=run:{run_id}&candidate=run:{run_id}", None
    yield "GET /v1/plan", "/v1/plan?scenario=functest&env=pod1", None
    yield "POST /v1/recompute", "/v1/recompute", {"run_id": run_id}
    yield "GET /v1/sinks", "/v1/sinks", None
    yield "GET /healthz", "/healthz", None
    yield "GET /readyz", "/readyz", None
    yield "POST /v1/steps/{step_id}/stop", f"/v1/steps/{step_id}/stop", {"outcome": "passed"}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Each route's answer, and the routes there are."""
    plugin = (sys.executable, PLUGINS / "steady.py")
    more = '[webhook]\nurl = "http://127.0.0.1:9"\n'
    with running(tmp_path_factory.mktemp("annotator"), commands=[plugin], more=more) as annotator:
        client = annotator.client()
        annotator.until(lambda: client.get("/v1/power")["series"])
        run_id, _ = begin(client, "pod1")
        begin(client, "pod1", step="one", parent_id=run_id)
        annotator.until(lambda: client.get(f"/v1/runs/{run_id}")["run"]["duration_s"] > 2)
        client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed"})
        annotator.until(lambda: client.get(f"/v1/runs/{run_id}")["run"]["result"])
        found = {}
        open_id, _ = begin(client, "pod1")
        other_id, _ = begin(client, "pod1", step="two", parent_id=open_id)
        for route, path, body in requests(run_id, other_id):
            named = open_id if route == "POST /v1/envs/{env}/step" else run_id
            sent = {**body, "run_id": named} if isinstance(body, dict) and "run_id" in body else body
            status, answer = client.json(route.split()[0], path, sent)
            assert status < 300, (route, answer)
            found[route] = answer
        paths = client.get("/openapi.json")["paths"]
        routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
        yield found, {f"{method} {path.replace(':path}', '}')}" for method, path in routes - NO_JSON}


def test_every_route_is_asked(answers):
    found, routes = answers
    assert set(found) == routes


def test_every_key_of_every_answer_is_described(answers):
    found, _ = answers
    missing = {}
    for route, answer in found.items():
        [chapter] = [text for text in CHAPTERS.values() if f"### {route}\n" in text]
        told = chapter + CHAPTERS["Steps"]
        absent = {key for key in keys_of(answer) if not re.search(rf'["`]{re.escape(key)}["`]', told)}
        if absent:
            missing[route] = absent
    assert missing == {}


def test_the_answers_are_not_empty(answers):
    found, _ = answers
    assert found["GET /v1/runs/{run_id}"]["run"]["result"]["per_server"]
    assert found["GET /v1/sinks"]["sinks"]
    assert found["POST /v1/gate"]["scenarios"]
    assert len(json.dumps(found)) > 5000
