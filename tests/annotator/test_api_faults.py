"""What callers are told while the disk takes nothing, while samples are held up, and of all of Unicode."""

import contextlib
import resource
import sys

import pytest

from support.annotator import begin, error, new_id, running

SURROGATES = range(0xD800, 0xE000)
CHUNK = 4096


@contextlib.contextmanager
def full_disk(annotator):
    """Let no file of the process grow."""
    before = resource.prlimit(annotator.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(annotator.process.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(annotator.process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_by_either_api_and_nothing_is_half_taken(tmp_path):
    with running(tmp_path) as annotator:
        client = annotator.client()
        run_id, _ = begin(client, "pod1")
        session = "/resources/recorders/environment/pod1"
        with full_disk(annotator):
            body = {"step_id": new_id(), "env": "pod1", "scenario": "s"}
            assert error(client.post("/v1/steps", body)) == (503, "journal_unavailable")
            assert error(client.json("GET", "/readyz")) == (503, "journal_unavailable")
            assert client.get("/healthz")["status"] == "ok"
            for verb, path, sent in (
                ("GET", "/resources/monitoring/ping", None),
                ("POST", session, {"scenario": "s", "step": ""}),
            ):
                status, answer = client.json(verb, path, sent)
                assert (status, set(answer)) == (500, {"message"})
            assert client.get(f"/v1/runs/{run_id}")["run"]["state"] == "running"
            assert client.ask("GET", "/")[0] == 200, "what is known can be read"
        assert client.get("/readyz")["status"] == "ready"
        assert [one["run_id"] for one in client.get("/v1/runs")["runs"]] == [run_id]
        assert client.post("/v1/steps", body)[0] == 201
        assert client.json("GET", session)[0] == 404


def test_posted_samples_that_nobody_can_keep_are_not_acknowledged(tmp_path):
    """An InfluxDB that never answers, and more samples than may wait in memory."""
    more = '[samples]\nkind = "influxdb"\n[influxdb]\nurl = "http://127.0.0.1:9"\n'
    with running(tmp_path, more=more) as annotator:
        client = annotator.client()
        lines = b"\n".join(b"server_power,env=e,server=n,scope=server watts=1 %d" % n for n in range(40_000))
        statuses = [client.ask("POST", "/v1/samples", lines)[0] for _ in range(6)]
        assert statuses == [200] * 5 + [503]
        sample = {"sensor": "power", "unit": "W", "value": 1}
        status, answer = client.post(
            "/resources/equipments/n1/measurements", {"environment": "e", "measurements": [sample]}
        )
        assert (status, answer["message"][:34]) == (500, "Error while storing measurment: th")
        assert client.post("/servers/n1/consumption", {"environment": "e", "power": 1})[0] == 500
        assert client.get("/healthz")["samples"]["dropped"] == 0, "nothing that was acknowledged"


@pytest.mark.parametrize("where", ["scenario", "title"])
def test_every_character_of_unicode_comes_back(tmp_path, where):
    characters = [chr(code) for code in range(sys.maxunicode + 1) if code not in SURROGATES]
    texts = ["x" + "".join(characters[n : n + CHUNK]) for n in range(0, len(characters), CHUNK)]
    with running(tmp_path) as annotator:
        client = annotator.client()
        ids = {}
        for text in texts:
            body = {"step_id": new_id(), "env": "pod1", "scenario": "s", where: text}
            assert client.post("/v1/steps", body)[0] == 201
            ids[body["step_id"]] = text
        found = {one["run_id"]: one[where] for one in client.get("/v1/runs?limit=1000")["runs"]}
        assert found == ids
        assert client.ask("GET", "/")[0] == 200
        assert not [line for line in annotator.log if line.startswith("E! ")]
