"""The HTTP API of a real process, route by route."""

import time
from urllib.parse import quote

import pytest

from support.annotator import begin, error, new_id

SECOND = 1_000_000_000


class TestSteps:
    def test_a_start_is_answered_in_full(self, client, env):
        before_ns = time.time_ns()
        step_id, body = begin(client, env)
        assert body["run_id"] == body["step_id"] == step_id
        assert (body["parent_id"], body["env"], body["scenario"], body["step"], body["state"]) == (
            None,
            env,
            "functest",
            None,
            "running",
        )
        assert before_ns <= body["started_ns"] <= body["received_ns"] <= body["sent_ns"] <= time.time_ns()
        assert (body["servers"], body["last_sample_age_s"]) == (0, None)
        assert any("unknown" in warning for warning in body["warnings"])

    def test_the_same_start_again_is_200_and_unchanged(self, client, env):
        started_at = "2026-03-01T12:00:00.5+01:00"
        step_id, first = begin(client, env, started_at=started_at)
        assert first["started_ns"] == 1_772_362_800_500_000_000
        body = {"step_id": step_id, "env": env, "scenario": "functest", "started_at": started_at}
        status, again = client.post("/v1/steps", body)
        assert status == 200
        assert again["started_ns"] == first["started_ns"]

    @pytest.mark.parametrize("seconds", [1_772_362_800, "1772362800"])
    def test_a_start_in_seconds_is_taken_as_said_and_warned_of(self, client, env, seconds):
        """Nobody means 1970."""
        _, body = begin(client, env, started_at=seconds)
        assert body["started_ns"] == int(seconds)
        assert (
            body["warnings"][0]
            == "it starts in the seventies: times are nanoseconds, or ISO 8601 with a zone"
        )
        _, body = begin(client, env, started_at="2026-03-01T12:00:00Z")
        assert not any("seventies" in warning for warning in body["warnings"])

    @pytest.mark.parametrize(
        "change", [{"env": "other"}, {"scenario": "other"}, {"started_at": 7}, {"step": "x"}]
    )
    def test_the_same_id_for_something_else_is_409(self, client, env, change):
        step_id, _ = begin(client, env, started_at=1_700_000_000 * SECOND)
        body = {"step_id": step_id, "env": env, "scenario": "functest", "started_at": 1_700_000_000 * SECOND}
        assert error(client.post("/v1/steps", {**body, **change})) == (409, "conflict")

    def test_stop_is_202_then_200_and_the_first_wins(self, client, env):
        step_id, _ = begin(client, env)
        status, body = client.post(f"/v1/steps/{step_id}/stop", {"outcome": "failed", "exit_code": 3})
        assert (status, body["state"]) == (202, "failed")
        status, again = client.post(f"/v1/steps/{step_id}/stop", {"outcome": "passed"})
        assert (status, again["state"], again["ended_ns"]) == (200, "failed", body["ended_ns"])

    def test_a_stop_before_its_start_needs_its_place(self, client, env):
        step_id = new_id()
        stop = {"outcome": "passed", "ended_at": 1_700_000_060 * SECOND}
        assert error(client.post(f"/v1/steps/{step_id}/stop", stop)) == (404, "unknown_step")
        status, body = client.post(f"/v1/steps/{step_id}/stop", {**stop, "env": env, "scenario": "functest"})
        assert (status, body["flags"]) == (202, ["start_missing"])
        begin(client, env, step_id=step_id, started_at=1_700_000_000 * SECOND)
        run = client.get(f"/v1/runs/{step_id}")["run"]
        assert (run["state"], run["duration_s"], run["flags"]) == ("passed", 60.0, [])

    def test_heartbeat_and_context(self, client, env):
        step_id, _ = begin(client, env, tags={"branch": "main", "count": 3, "quick": True})
        assert client.post(f"/v1/steps/{step_id}/heartbeat")[0] == 200
        assert client.ask("POST", f"/v1/steps/{step_id}/heartbeat")[0] == 200, "a body is not needed"
        status, _ = client.json("PATCH", f"/v1/steps/{step_id}", {"tags": {"branch": "dev"}, "work": 12})
        assert status == 200
        run = client.get(f"/v1/runs/{step_id}")["run"]
        assert run["tags"] == {"branch": "dev", "count": "3", "quick": "true"}
        assert run["work"] == 12.0
        assert error(client.post(f"/v1/steps/{new_id()}/heartbeat")) == (404, "unknown_step")
        assert error(client.json("PATCH", f"/v1/steps/{new_id()}", {})) == (404, "unknown_step")

    def test_set_step_closes_the_one_before(self, client, env):
        assert error(client.post(f"/v1/envs/{env}/step", {"step": "a"})) == (404, "no_open_run")
        run_id, _ = begin(client, env)
        first = client.post(f"/v1/envs/{env}/step", {"step": "a"})
        second = client.post(f"/v1/envs/{env}/step", {"step": "b"})
        assert (first[0], second[0]) == (201, 201)
        client.post(f"/v1/steps/{run_id}/stop", {"outcome": "passed"})
        steps = client.get(f"/v1/runs/{run_id}")["steps"]
        assert [(s["step"], s["state"], s["depth"]) for s in steps] == [
            ("a", "passed", 1),
            ("b", "passed", 1),
        ]
        assert steps[0]["ended_ns"] == steps[1]["started_ns"]

    def test_set_step_with_several_open_runs_lists_them(self, client, env):
        ids = {begin(client, env)[0], begin(client, env)[0]}
        status, body = client.post(f"/v1/envs/{env}/step", {"step": "a"})
        assert status == 409
        assert body["error"]["code"] == "several_open_runs"
        assert {run["run_id"] for run in body["error"]["details"]["runs"]} == ids
        assert client.post(f"/v1/envs/{env}/step", {"step": "a", "run_id": ids.pop()})[0] == 201

    def test_a_mark_belongs_to_the_open_run_and_is_there_once(self, client, env):
        run_id, _ = begin(client, env)
        now = {"wall_ns": time.time_ns(), "boot_ns": 5 * SECOND, "boot_id": "b"}
        body = {"env": env, "title": "vm destroyed", "at": now, "now": now}
        status, mark = client.post("/v1/marks", body)
        assert (status, mark["run_id"]) == (201, run_id)
        status, again = client.post("/v1/marks", body)
        assert (status, again["mark_id"]) == (200, mark["mark_id"])

    def test_an_environment_may_have_any_name(self, client):
        env = "lab/a b?c#d%2F🎉" + new_id()
        run_id, _ = begin(client, env)
        status, body = client.post(f"/v1/envs/{quote(env, safe='')}/step", {"step": "a"})
        assert (status, body["run_id"]) == (201, run_id)


class TestClocks:
    def test_an_event_is_placed_by_the_time_since_boot(self, client, env):
        off_ns = 5 * SECOND
        now_ns = time.time_ns()
        at = {"wall_ns": now_ns + off_ns, "boot_ns": 1000 * SECOND, "boot_id": "b"}
        # The client's wall clock stepped by ten minutes meanwhile.
        now = {"wall_ns": now_ns + 600 * SECOND, "boot_ns": 1030 * SECOND, "boot_id": "b"}
        _, body = begin(client, env, at=at, now=now)
        assert abs(body["started_ns"] - (now_ns - 30 * SECOND)) < 0.3 * SECOND
        assert body["flags"] == []

    def test_a_replay_after_a_reboot_is_flagged_with_its_error(self, client, env):
        now_ns = time.time_ns()
        at = {"wall_ns": now_ns - 3600 * SECOND + 5 * SECOND, "boot_ns": 7, "boot_id": "before"}
        now = {"wall_ns": now_ns, "boot_ns": 20 * SECOND, "boot_id": "after"}
        step_id, body = begin(client, env, at=at, now=now, offset_ns=-5 * SECOND, offset_error_ns=1000)
        assert abs(body["started_ns"] - (now_ns - 3600 * SECOND)) < 0.3 * SECOND
        assert body["flags"] == ["replayed_after_reboot"]
        assert client.get(f"/v1/runs/{step_id}")["run"]["clock_error_ns"] >= SECOND


class TestBatch:
    def test_events_are_taken_in_order_and_answered_one_by_one(self, client, env):
        run_id, child_id = new_id(), new_id()
        boot = {"boot_id": "b", "wall_ns": time.time_ns()}

        def at(second):
            return {**boot, "boot_ns": second * SECOND}

        items = [
            {"op": "start", "step_id": run_id, "env": env, "scenario": "functest", "at": at(10)},
            {
                "op": "start",
                "step_id": child_id,
                "env": env,
                "scenario": "functest",
                "step": "a",
                "parent_id": run_id,
                "at": at(11),
            },
            {"op": "nonsense"},
            "not an object",
            {"op": "start", "env": env, "scenario": ""},
            {"op": "stop", "step_id": new_id(), "outcome": "passed"},
            {"op": "mark", "env": env, "title": "note", "at": at(12)},
            {"op": "step", "env": env, "step": "implicit", "at": at(13)},
            {"op": "heartbeat", "step_id": run_id},
            {"op": "patch", "step_id": child_id, "title": "named"},
            {"op": "stop", "step_id": child_id, "outcome": "failed", "at": at(14)},
            {"op": "stop", "step_id": run_id, "outcome": "passed", "at": at(15)},
        ]
        status, body = client.post("/v1/batch", {"now": at(100), "items": items})
        assert status == 200
        assert [item["status"] for item in body["items"]] == [
            201,
            201,
            422,
            422,
            422,
            404,
            201,
            201,
            200,
            200,
            202,
            202,
        ]
        assert all(("error" in item) == (item["status"] >= 400) for item in body["items"])
        assert body["items"][0]["started_ns"] == body["received_ns"] - 90 * SECOND
        detail = client.get(f"/v1/runs/{run_id}")
        assert [(s["step"], s["state"], round(s["duration_s"], 6)) for s in detail["steps"]] == [
            ("a", "failed", 3.0),
            ("implicit", "passed", 2.0),
        ]
        again = client.post("/v1/batch", {"now": at(200), "items": items})[1]
        assert [item["status"] for item in again["items"] if item["status"] == 200] == [200] * 7
        assert client.get(f"/v1/runs/{run_id}")["steps"][0]["duration_s"] == detail["steps"][0]["duration_s"]

    def test_a_replay_changes_nothing(self, client, env):
        run_id = new_id()
        boot = {"boot_id": "b", "wall_ns": time.time_ns()}
        items = [
            {
                "op": "start",
                "step_id": run_id,
                "env": env,
                "scenario": "s",
                "at": {**boot, "boot_ns": SECOND},
            },
            {"op": "stop", "step_id": run_id, "outcome": "passed", "at": {**boot, "boot_ns": 2 * SECOND}},
        ]
        first = client.post("/v1/batch", {"now": {**boot, "boot_ns": 9 * SECOND}, "items": items})[1]
        run = client.get(f"/v1/runs/{run_id}")["run"]
        again = client.post("/v1/batch", {"now": {**boot, "boot_ns": 99 * SECOND}, "items": items})[1]
        assert [item["status"] for item in first["items"]] == [201, 202]
        assert [item["status"] for item in again["items"]] == [200, 200]
        assert client.get(f"/v1/runs/{run_id}")["run"]["started_ns"] == run["started_ns"]

    def test_a_long_batch_is_taken_whole(self, client, env):
        items = [
            {"op": "start", "step_id": new_id(), "env": env, "scenario": "s", "step": "x"}
            for _ in range(1500)
        ]
        status, body = client.post("/v1/batch", {"items": items})
        assert status == 200
        assert {item["status"] for item in body["items"]} == {201}
        assert len({item["started_ns"] for item in body["items"]}) == 1500


class TestReads:
    def test_runs_are_listed_newest_first_by_pages(self, client, env):
        ids = [begin(client, env, started_at=(1_700_000_000 + n) * SECOND)[0] for n in range(5)]
        found, cursor = [], ""
        while cursor is not None:
            page = client.get(f"/v1/runs?env={env}&limit=2&cursor={cursor}")
            found += [run["run_id"] for run in page["runs"]]
            cursor = page["next_cursor"]
        assert found == ids[::-1]

    def test_a_pending_run_says_so(self, client, env):
        step_id, _ = begin(client, env)
        [run] = client.get(f"/v1/runs?env={env}")["runs"]
        assert (run["quality"], run["energy_j"], run["state"], run["ended_ns"]) == (
            "pending",
            None,
            "running",
            None,
        )
        detail = client.get(f"/v1/runs/{step_id}")
        assert (detail["run"]["result"], detail["run"]["quality"], detail["steps"]) == (None, "pending", [])

    def test_steps_are_filtered(self, client, env):
        run_id, _ = begin(client, env, group="build-1")
        begin(client, env, step="a", parent_id=run_id)
        child_id, _ = begin(client, env, step="b", parent_id=run_id)
        client.post(f"/v1/steps/{child_id}/stop", {"outcome": "failed"})
        names = [s["step"] for s in client.get(f"/v1/steps?env={env}&group=build-1")["steps"]]
        assert names == ["b", "a", None]
        assert [s["step_id"] for s in client.get(f"/v1/steps?env={env}&state=failed")["steps"]] == [child_id]
        assert len(client.get(f"/v1/steps?env={env}&step=a")["steps"]) == 1

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/runs?limit=0",
            "/v1/runs?limit=x",
            "/v1/runs?cursor=nonsense",
            "/v1/steps?state=odd",
            "/v1/steps?from=yesterday",
            "/v1/power?from=2026-01-01T00:00:00",
            "/v1/power?from=5&to=4",
            "/v1/power?max_points=0",
        ],
    )
    def test_a_bad_query_is_422_in_the_envelope(self, client, path):
        assert error(client.json("GET", path)) == (422, "invalid_request")

    def test_what_is_not_there_is_404_in_the_envelope(self, client):
        assert error(client.json("GET", f"/v1/runs/{new_id()}")) == (404, "unknown_run")
        assert error(client.json("GET", f"/v1/runs/{new_id()}/report.html")) == (404, "unknown_run")
        assert error(client.json("GET", "/v2/anything")) == (404, "not_found")
        assert error(client.json("DELETE", "/v1/runs")) == (405, "method_not_allowed")

    def test_health_and_the_description_of_the_api(self, client):
        assert client.get("/healthz")["status"] == "ok"
        assert client.get("/readyz")["status"] == "ready"
        paths = client.get("/openapi.json")["paths"]
        assert {"/v1/steps", "/v1/batch", "/v1/runs/{run_id}", "/v1/power"} <= set(paths)
        status, headers, _ = client.ask("GET", "/docs")
        assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")
