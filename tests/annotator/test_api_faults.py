"""What callers are told while samples are held up, and of all of Unicode."""

import sys

import pytest

from support.annotator import new_id, running

SURROGATES = range(0xD800, 0xE000)
CHUNK = 4096
T_NS = 1_772_362_800 * 10**9


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


def test_samples_stamped_in_seconds_are_told_of(tmp_path):
    """They are kept under times in 1970, where nobody looks."""
    with running(tmp_path) as annotator:
        client = annotator.client()
        point = "server_power,env=e,server=n,scope=server watts=1 {}"
        told = client.post("/v1/samples", "\n".join(map(point.format, (1_772_362_800, T_NS))).encode())[1]
        assert told["problems"] == ["points of the seventies: 1; time stamps are nanoseconds"]
        assert told["stored"] == 2
        assert client.post("/v1/samples", point.format(T_NS).encode())[1]["problems"] == []


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
