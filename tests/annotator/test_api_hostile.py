"""What hostile or clumsy clients send is refused in the envelope or kept exactly; nobody gets in."""

import pytest

from support.annotator import begin, error, new_id, running

HOSTILE = 'newline\n, comma="quote" \\ \x00\x1b \u2028\u202e 🎉 </script><b>&amp; ' + "x" * 10_000


class TestHostileNames:
    def test_any_name_is_stored_and_comes_back_exactly(self, client, env):
        run_id, body = begin(
            client, env, step_id=new_id(), group=HOSTILE, title=HOSTILE, tags={HOSTILE: HOSTILE}
        )
        assert body["scenario"] == "functest"
        child_id, child = begin(client, env, step=HOSTILE, parent_id=run_id)
        assert child["step"] == HOSTILE
        detail = client.get(f"/v1/runs/{run_id}")
        assert (detail["run"]["group"], detail["run"]["title"], detail["run"]["tags"]) == (
            HOSTILE,
            HOSTILE,
            {HOSTILE: HOSTILE},
        )
        assert [(s["step_id"], s["step"]) for s in detail["steps"]] == [(child_id, HOSTILE)]

    def test_reports_escape_and_shorten_them(self, client, env):
        run_id, _ = begin(client, env)
        begin(client, env, step="<script>alert(1)</script>" + HOSTILE, parent_id=run_id)
        for kind, mime in (("html", "text/html"), ("md", "text/markdown")):
            status, headers, raw = client.ask("GET", f"/v1/runs/{run_id}/report.{kind}")
            text = raw.decode()
            assert status == 200
            assert headers["Content-Type"].startswith(mime)
            assert "<script>alert" not in text
        assert (
            "default-src 'none'"
            in client.ask("GET", f"/v1/runs/{run_id}/report.html")[1]["Content-Security-Policy"]
        )
        assert client.get(f"/v1/runs/{run_id}/report.json")["steps"][0]["step"].endswith(HOSTILE)

    @pytest.mark.parametrize(
        "body",
        [
            {"env": "", "scenario": "s"},
            {"env": "e", "scenario": ""},
            {"env": "e", "scenario": " \n"},
            {"env": "e", "scenario": "s", "step": ""},
            {"env": "e"},
            {"scenario": "s"},
            {"env": 5, "scenario": "s"},
            {"env": "e", "scenario": "s", "step_id": "../../etc"},
            {"env": "e", "scenario": "s", "step_id": ""},
            {"env": "e", "scenario": "s", "started_at": "yesterday"},
            {"env": "e", "scenario": "s", "started_at": "2026-01-01T00:00:00"},
            {"env": "e", "scenario": "s", "started_at": -5},
            {"env": "e", "scenario": "s", "started_at": 2**63},
            {"env": "e", "scenario": "s", "started_at": True},
            {"env": "e", "scenario": "s", "ttl_s": 0},
            {"env": "e", "scenario": "s", "work": -1},
            {"env": "e", "scenario": "s", "servers": ["a b"]},
            {"env": "e", "scenario": "s", "servers": "n1"},
            {"env": "e", "scenario": "s", "at": {"wall_ns": 1}},
            {"env": "e", "scenario": "s", "at": {"wall_ns": 2**70, "boot_ns": 1, "boot_id": "b"}},
            {"env": "e", "scenario": "s", "tags": {"a": {}}},
            [],
            "text",
            None,
        ],
    )
    def test_a_bad_body_is_422_in_the_envelope(self, client, body):
        assert error(client.json("POST", "/v1/steps", body)) == (422, "invalid_request")

    @pytest.mark.parametrize(
        ("raw", "status"),
        [
            (b"{", 400),
            (b'{"env": "e", "scenario": "s"', 400),
            (b"\xff\xfe", 400),
            (b'{"env": "e", "scenario": "\\ud800"}', 422),
            (b'{"env": "e", "scenario": "s", "work": NaN}', 422),
            (b"", 422),
        ],
    )
    def test_a_body_that_is_no_json_is_told_so(self, client, raw, status):
        assert error(client.json("POST", "/v1/steps", raw))[0] == status

    def test_a_forgotten_content_type_is_told_of(self, client):
        body = b'{"env": "e", "scenario": "s"}'
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, raw = client.ask("POST", "/v1/steps", body, headers)
        assert (status, b"Content-Type: application/json" in raw) == (422, True)

    def test_deep_and_huge_json_harms_nothing(self, client):
        deep = b'{"env": "e", "scenario": "s", "tags": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
        assert error(client.json("POST", "/v1/steps", deep))[0] in (400, 422)
        assert error(client.json("POST", "/v1/steps", b'{"env": ' + b"9" * 60_000 + b"}"))[0] in (400, 422)

    def test_bodies_are_limited(self, annotator):
        client = annotator.client()
        big = {"env": "e", "scenario": "x" * 65_536}
        status, body = client.post("/v1/steps", big)
        assert (status, body["error"]["code"]) == (413, "too_large")
        client = annotator.client()
        assert client.post("/v1/batch", {"items": ["x" * 1_000_000]})[0] == 200
        for path in ("/v1/batch", "/v1/samples", "/v1/import/junit?env=e"):
            assert annotator.client().ask("POST", path, b"x" * (4 * 1024 * 1024))[0] in {400, 422}
            assert annotator.client().ask("POST", path, b"x" * (4 * 1024 * 1024 + 1))[0] == 413
        client = annotator.client()
        client._connection.putrequest("POST", "/v1/steps")
        client._connection.putheader("Transfer-Encoding", "chunked")
        client._connection.endheaders()
        for _ in range(5):
            client._connection.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert client._connection.getresponse().status == 413

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/runs/../../etc/passwd",
            "/v1/runs/..%2f..%2f..%2fetc%2fpasswd",
            "/v1/runs/..%2f..%2fetc%2fpasswd/report.html",
            "/v1/runs/x/report.html/../../../tokens.json",
            "/docs/../tokens.json",
            "/resources/doc/..%2f..%2ftokens.json",
            "/resources/../v1/nothing",
            "//v1/nothing",
            "/%00",
            "/v1/runs/%00",
            "/v1/runs/%ff%fe",
            "/v1/runs/" + "x" * 8000,
            "/file:///etc/passwd",
        ],
    )
    def test_paths_lead_nowhere_but_to_routes(self, client, path):
        status, _, raw = client.ask("GET", path)
        assert status in {400, 404, 405, 414, 422}, raw
        assert b"root:" not in raw

    def test_nothing_of_the_above_upset_the_service(self, annotator, client):
        assert client.get("/healthz")["status"] == "ok"
        assert not [line for line in annotator.log if line.startswith("E! ")]


def test_without_its_token_nobody_gets_in(tmp_path):
    environ = {"ENERGY_ANNOTATOR_TOKEN": "s3cret-token"}
    with running(tmp_path, environ=environ, token="s3cret-token") as annotator:
        mine = annotator.client()
        assert mine.get("/v1/runs")["runs"] == []
        for token in (
            None,
            "wrong",
            "s3cret-toke",
            "s3cret-tokenn",
            "s3cret-tökén".encode().decode("latin-1"),
        ):
            other = annotator.client(token)
            for path in ("/v1/runs", "/docs", "/openapi.json", "/nowhere"):
                status, body = other.json("GET", path)
                assert (status, body["error"]["code"]) == (401, "unauthorized")
            assert other.post("/v1/steps", {"env": "e", "scenario": "s"})[0] == 401
            assert other.get("/healthz")["status"] == "ok"
        assert mine.get("/v1/runs")["runs"] == []
        assert not any("s3cret" in line for line in annotator.log)
