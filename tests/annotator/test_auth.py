"""Tokens: hashed at rest, scoped, bound to environments, acting at once; and what guessing costs."""

import base64
import hmac
import json
import os
import re
import stat
import time

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder.secret import Secret
from energyrecorder_annotator.auth.guard import MOST_REFUSALS, REFUSAL_SPAN_S, Guard
from energyrecorder_annotator.auth.tokens import create_token, read_tokens, revoke_token
from support.annotator import begin, command, error, new_id, running


class TestFile:
    def test_only_digests_are_kept_for_the_owner_alone(self, tmp_path):
        path = tmp_path / "tokens.json"
        text = create_token(path, "site-a", ["write", "read"], ["a-*"])
        assert re.fullmatch(r"er_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text)
        assert text.split("_", 2)[2] not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        [token] = read_tokens(path)
        assert (token.name, token.scopes, token.envs) == ("site-a", ("read", "write"), ("a-*",))

    def test_what_root_writes_is_of_the_owner_of_the_directory(self, tmp_path, monkeypatch):
        """The unit's user is not the administrator who creates a token."""
        given = []
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
        create_token(tmp_path / "tokens.json", "site-a", ["read"], [])
        assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)]
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        revoke_token(tmp_path / "tokens.json", "site-a")
        assert len(given) == 1

    @pytest.mark.parametrize(
        ("name", "scopes", "envs"),
        [
            ("", ["read"], []),
            ("a\nb", ["read"], []),
            ("a", [], []),
            ("a", ["root"], []),
            ("a", ["read"], ["[a]"]),
        ],
    )
    def test_nonsense_is_refused(self, tmp_path, name, scopes, envs):
        with pytest.raises(ConfigError):
            create_token(tmp_path / "tokens.json", name, scopes, envs)
        assert not (tmp_path / "tokens.json").exists()

    def test_names_are_taken_once_and_revoked_by_name_or_id(self, tmp_path):
        path = tmp_path / "tokens.json"
        create_token(path, "a", ["read"], [])
        with pytest.raises(ConfigError, match="already"):
            create_token(path, "a", ["read"], [])
        create_token(path, "b", ["read"], [])
        revoke_token(path, read_tokens(path)[0].token_id)
        revoke_token(path, "b")
        assert read_tokens(path) == []
        with pytest.raises(ConfigError, match="no token"):
            revoke_token(path, "b")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": [{}]}', '{"tokens": [{"scopes": 1}]}'])
    def test_a_damaged_file_is_told_and_left_alone(self, tmp_path, text):
        path = tmp_path / "tokens.json"
        path.write_text(text)
        with pytest.raises(ConfigError, match="cannot be read"):
            create_token(path, "a", ["read"], [])
        assert path.read_text() == text


class TestGuard:
    @pytest.fixture
    def now(self):
        return [1000.0]

    @pytest.fixture
    def guard(self, tmp_path, now):
        return lambda **more: Guard(
            more.pop("token", Secret("right")), tmp_path / "tokens.json", now_s=lambda: now[0], **more
        )

    def test_guessing_is_slowed_down_and_tokens_of_the_file_pass_all_the_same(self, guard, now, tmp_path):
        text = create_token(tmp_path / "tokens.json", "a", ["read"], [])
        one = guard()
        for _ in range(MOST_REFUSALS):
            assert one.caller("Bearer wrong", "1.2.3.4", basic=False) is None
        assert one.wait_s("1.2.3.4") > 0
        assert one.caller("Bearer right", "1.2.3.4", basic=False) is None
        assert one.caller("Bearer right", "5.6.7.8", basic=False) is not None
        assert one.caller(f"Bearer {text}", "1.2.3.4", basic=False).name == "a"
        now[0] += REFUSAL_SPAN_S + 1
        assert one.caller("Bearer right", "1.2.3.4", basic=False) is not None

    def test_a_caller_has_so_many_requests(self, guard, now):
        one = guard(requests_per_s=10)
        assert sum(not one.is_over_rate("a") for _ in range(100)) == 20
        assert not one.is_over_rate("b")
        now[0] += 1
        assert sum(not one.is_over_rate("a") for _ in range(100)) == 10

    def test_basic_counts_where_it_is_accepted(self, guard):
        header = "Basic dTpyaWdodA=="
        assert guard().caller(header, "", basic=True) is not None
        assert guard().caller(header, "", basic=False) is None
        assert guard().caller("Basic !!", "", basic=True) is None

    @pytest.mark.parametrize("kind", ["Bearer", "Basic"])
    @pytest.mark.parametrize("whose", ["settings", "file"])
    def test_each_way_in_compares_in_constant_time(self, guard, tmp_path, monkeypatch, kind, whose):
        text = create_token(tmp_path / "tokens.json", "a", ["read"], [])
        one = guard()
        sent = "right" if whose == "settings" else text
        header = (
            f"Basic {base64.b64encode(f'u:{sent}'.encode()).decode()}"
            if kind == "Basic"
            else f"Bearer {sent}"
        )
        compared = []
        compare = hmac.compare_digest
        monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or compare(a, b))
        assert one.caller(header, "", basic=True) is not None
        assert compared, "something else has decided"
        monkeypatch.setattr(hmac, "compare_digest", lambda _a, _b: False)
        assert one.caller(header, "", basic=True) is None, "and nothing else lets anybody in"

    def test_a_file_that_breaks_or_vanishes_does_not_open_the_service(self, guard, now, tmp_path):
        path = tmp_path / "tokens.json"
        text = create_token(path, "a", ["read"], [])
        one = guard(token=None)
        for change in (lambda: path.write_text("{"), path.unlink):
            change()
            now[0] += 1
            assert one.caller("", "", basic=False) is None
            assert one.caller(f"Bearer {text}", "", basic=False) is not None


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """A service with tokens of two sites, one that reads only, and one that may do everything."""
    directory = tmp_path_factory.mktemp("annotator")
    state = directory / "state"
    tokens = {}
    for name, *arguments in (
        ("a", "--env", "a-*"),
        ("b", "--env", "b-*"),
        ("reader", "--scope", "read"),
        ("all", "--scope", "admin"),
    ):
        made = command("token", "--state", state, "create", name, *arguments)
        assert made.returncode == 0, made.stderr
        tokens[name] = made.stdout.strip()
    with running(directory) as annotator:
        annotator.state = state
        yield annotator, {name: annotator.client(token) for name, token in tokens.items()}


class TestSites:
    def test_strangers_stay_out_of_every_route(self, sites):
        annotator, clients = sites
        stranger = annotator.client(None)
        asked = [("GET", path) for path in ("/docs", "/openapi.json", "/resources/doc/", "/swagger.json")]
        for document, prefix in (("/openapi.json", ""), ("/resources/swagger.json", "/resources")):
            paths = clients["all"].get(document)["paths"]
            asked += [(verb.upper(), f"{prefix}{path}") for path, verbs in paths.items() for verb in verbs]
        let_in = {path for verb, path in asked if stranger.ask(verb, path, b"{}")[0] != 401}
        assert let_in == {"/healthz", "/readyz"}
        assert len(asked) >= 30
        assert error(stranger.json("GET", "/v1/runs")) == (401, "unauthorized")

    def test_a_reader_does_not_write_and_only_an_admin_recomputes(self, sites):
        _, clients = sites
        assert clients["reader"].get("/v1/runs")["runs"] is not None
        body = {"env": "a-1", "scenario": "s"}
        assert error(clients["reader"].post("/v1/steps", body)) == (403, "forbidden")
        assert error(clients["a"].post("/v1/recompute", {})) == (403, "forbidden")

    def test_neither_writes_to_the_other(self, sites):
        _, clients = sites
        a, b = clients["a"], clients["b"]
        run_id, _ = begin(a, "a-1")
        mine, _ = begin(b, "b-1")
        assert error(b.post("/v1/steps", {"env": "a-1", "scenario": "s"})) == (403, "forbidden_env")
        assert error(b.post("/v1/envs/a-1/step", {"step": "s"})) == (403, "forbidden_env")
        assert error(b.post("/v1/marks", {"env": "a-1", "title": "t"})) == (403, "forbidden_env")
        for verb, body in (("stop", {"outcome": "passed"}), ("heartbeat", {})):
            assert error(b.post(f"/v1/steps/{run_id}/{verb}", body)) == (404, "unknown_step")
        assert error(b.json("PATCH", f"/v1/steps/{run_id}", {"title": "x"})) == (404, "unknown_step")
        taken = b.post("/v1/steps", {"step_id": run_id, "env": "b-1", "scenario": "s"})
        assert error(taken) == (409, "conflict")
        assert "a-1" not in json.dumps(taken).replace(run_id, "")
        child = {"env": "b-1", "scenario": "s", "step": "s", "parent_id": run_id}
        assert error(b.post("/v1/steps", child)) == (404, "unknown_step")
        items = [{"op": "stop", "step_id": run_id, "outcome": "passed"}, {"op": "heartbeat", "step_id": mine}]
        _, answer = b.post("/v1/batch", {"items": items})
        assert [item["status"] for item in answer["items"]] == [404, 200]
        status, _, _ = b.ask("POST", "/resources/recorders/environment/a-1", {"scenario": "s", "step": ""})
        assert status == 403
        sample = {"environment": "a-1", "measurements": [{"sensor": "power", "unit": "W", "value": 1}]}
        assert b.ask("POST", "/equipments/n/measurements", sample)[0] == 403
        assert a.get(f"/v1/runs/{run_id}")["run"]["state"] == "running"

    def test_neither_reads_the_other(self, sites):
        annotator, clients = sites
        a, b = clients["a"], clients["b"]
        run_id, _ = begin(a, "a-2")
        lines = f"server_power,env=a-2,server=n1,scope=server watts=100 {_now()}"
        assert a.ask("POST", "/v1/samples", lines.encode())[0] == 200
        annotator.until(lambda: a.get("/v1/power?env=a-2")["series"])
        for path in ("/v1/runs?env=a-2", "/v1/runs", "/v1/steps?env=a-2"):
            found = b.get(path)
            items = found["steps"] if "steps" in found else found["runs"]
            assert not [item for item in items if item["env"].startswith("a-")]
            assert run_id not in json.dumps(found)
        assert b.get("/v1/power")["series"] == []
        assert b.get("/v1/power?env=a-2")["series"] == []
        assert error(b.json("GET", f"/v1/runs/{run_id}")) == (404, "unknown_run")
        assert error(b.json("GET", f"/v1/runs/{run_id}/report.json")) == (404, "unknown_run")
        assert b.ask("GET", "/resources/recorders/environment/a-2")[0] == 403
        assert clients["all"].get("/v1/runs?env=a-2")["runs"]

    def test_revoking_acts_at_once(self, sites):
        annotator, _ = sites
        state = annotator.state
        text = command("token", "--state", state, "create", "short-lived").stdout.strip()
        client = annotator.client(text)
        annotator.until(lambda: client.ask("GET", "/v1/runs")[0] == 200)
        listed = command("token", "--state", state, "list").stdout
        assert "short-lived" in listed
        assert text not in listed
        assert command("token", "--state", state, "revoke", "short-lived").returncode == 0
        annotator.until(lambda: client.ask("GET", "/v1/runs")[0] == 401)
        assert command("token", "--state", state, "revoke", "short-lived").returncode == 2


def _now():
    return time.time_ns()


def test_too_many_open_steps_are_refused(tmp_path):
    with running(tmp_path, more="[listen]\nopen_steps = 3\n") as annotator:
        client = annotator.client()
        ids = [begin(client, "e")[0] for _ in range(3)]
        body = {"step_id": new_id(), "env": "e", "scenario": "s"}
        assert error(client.post("/v1/steps", body)) == (429, "too_many_open_steps")
        assert client.post("/v1/steps", {"step_id": ids[0], "env": "e", "scenario": "functest"})[0] == 200
        client.post(f"/v1/steps/{ids[0]}/stop", {"outcome": "passed"})
        assert client.post("/v1/steps", body)[0] == 201
        items = [{"op": "start", "step_id": new_id(), "env": "e", "scenario": "s"} for _ in range(2)]
        client.post(f"/v1/steps/{ids[1]}/stop", {"outcome": "passed"})
        _, answer = client.post("/v1/batch", {"items": items})
        assert [item["status"] for item in answer["items"]] == [201, 429], "counted within a batch too"
        session = "/resources/recorders/environment/e2"
        assert client.post(session, {"scenario": "s", "step": ""})[0] == 409


def test_a_caller_over_its_rate_is_told_when_to_come_again(tmp_path):
    with running(tmp_path, more="[listen]\nrequests_per_s = 0.1\n") as annotator:
        client = annotator.client()
        refused = annotator.until(lambda: (a := client.ask("GET", "/v1/runs"))[0] == 429 and a)
        assert refused[1]["Retry-After"] == "1"
        assert client.ask("GET", "/healthz")[0] == 200
