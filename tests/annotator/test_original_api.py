"""The original recorder's API, replayed as its clients speak it: every row with its codes and bodies."""

import base64
import json
import time
import urllib.parse

import pytest

from support.annotator import Client, begin, new_id, running

SECOND = 1_000_000_000
PREFIXES = ["/resources", ""]


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    more = '[env_aliases]\n"jenkins-agent-*" = "pod1"\n'
    with running(tmp_path_factory.mktemp("annotator"), more=more) as one:
        yield one


class Recorder:
    """One environment, as the original's Python client addresses it."""

    def __init__(self, client, env, prefix="/resources"):
        self.client = client
        self.env = env
        self.path = f"{prefix}/recorders/environment/{env}"

    def get(self, more=""):
        return self.client.json("GET", self.path + more)

    def post(self, scenario, step):
        status, body = self.client.post(self.path, {"scenario": scenario, "step": step})
        assert (status, body) == (200, self.body(scenario, step))

    def step(self, step):
        return self.client.post(f"{self.path}/step", {"step": step})

    def delete(self):
        return self.client.json("DELETE", self.path)

    def body(self, scenario, step):
        return {"environment": self.env, "scenario": scenario, "step": step}

    def none(self):
        return (404, {"message": f'Can\'t find any recording session for recorder "{self.env}"'})

    def run(self):
        [run] = self.client.get(f"/v1/runs?env={self.env}")["runs"]
        return self.client.get(f"/v1/runs/{run['run_id']}")


@pytest.mark.parametrize(
    "name",
    [
        "e' OR '1'='1",
        'a,b=c "d"; DROP TABLE steps; --',
        "..\\..\\etc",
        "\nE! forged",
        "ü🎉\u202e",
        "x" * 10_000,
    ],
    ids=["influxql", "line protocol and sql", "path", "log", "unicode", "long"],
)
def test_odd_names_come_back_exactly_and_open_nothing(annotator, client, env, name):
    Recorder(client, env).post("mine", "1")
    odd = Recorder(client, name)
    odd.path = f"/resources/recorders/environment/{urllib.parse.quote(name, safe='')}"
    assert odd.get() == odd.none()
    odd.post(name, name)
    assert odd.step(f"{name}2") == (200, odd.body(name, f"{name}2"))
    assert odd.get() == (200, odd.body(name, f"{name}2"))
    sample = {"sensor": name, "unit": name, "value": 1}
    body = {"environment": name, "measurements": [sample]}
    assert client.post("/resources/equipments/n1/measurements", body)[0] == 200
    assert odd.delete() == (200, odd.body(name, f"{name}2"))
    assert Recorder(client, env).get()[1]["scenario"] == "mine"
    assert not [line for line in annotator.log if line.startswith("E! ")]


@pytest.mark.parametrize("prefix", PREFIXES)
class TestEachRow:
    def test_a_ping_says_that_it_is_well(self, client, prefix):
        assert client.json("GET", f"{prefix}/monitoring/ping") == (200, {"status": "OK"})

    def test_a_session_from_start_to_end(self, client, env, prefix):
        recorder = Recorder(client, env, prefix)
        assert recorder.get() == recorder.none()
        assert recorder.step("s") == recorder.none()
        assert recorder.delete() == recorder.none()
        recorder.post("functest", "running")
        assert recorder.get() == (200, recorder.body("functest", "running"))
        assert recorder.step("vping") == (200, recorder.body("functest", "vping"))
        assert recorder.get() == (200, recorder.body("functest", "vping"))
        assert recorder.delete() == (200, recorder.body("functest", "vping"))
        assert recorder.get() == recorder.none()

    def test_empty_names_are_taken(self, client, env, prefix):
        recorder = Recorder(client, env, prefix)
        recorder.post("", "")
        assert recorder.get() == (200, recorder.body("", ""))
        assert recorder.step("") == (200, recorder.body("", ""))

    @pytest.mark.parametrize(
        ("path", "body", "errors"),
        [
            ("", {"scenario": "s"}, {"step": "'step' is a required property"}),
            ("", {"step": "s"}, {"scenario": "'scenario' is a required property"}),
            ("", {"scenario": 5, "step": "s"}, {"scenario": "5 is not of type 'string'"}),
            ("/step", {}, {"step": "'step' is a required property"}),
        ],
    )
    def test_a_bad_body_is_400(self, client, env, prefix, path, body, errors):
        recorder = Recorder(client, env, prefix)
        status, answer = client.post(recorder.path + path, body)
        assert (status, answer) == (400, {"errors": errors, "message": "Input payload validation failed"})

    def test_no_json_is_400(self, client, env, prefix):
        status, answer = client.json("POST", Recorder(client, env, prefix).path, b"{")
        assert (status, set(answer)) == (400, {"message"})

    def test_measurements(self, client, env, prefix):
        path = f"{prefix}/equipments/node-1/measurements"
        body = {"environment": env, "topology": {"rack": "r1"}, "measurements": []}
        assert client.post(path, body) == (200, {"status": "OK"})
        body["measurements"] = [{"sensor": "power", "unit": "W", "value": 200}]
        assert client.post(path, body) == (200, {"status": "OK"})
        status, answer = client.post(
            path, {"environment": env, "measurements": [{"sensor": "x", "unit": "W"}]}
        )
        assert (status, answer["message"]) == (400, "Input payload validation failed")

    def test_consumption(self, client, env, prefix):
        path = f"{prefix}/servers/node-1/consumption"
        told = {"environment": env, "scenario": "n/s", "step": "n/s", "power": 250}
        assert client.post(path, {"power": 250, "environment": env}) == (200, told)
        Recorder(client, env).post("functest", "vping")
        told.update(scenario="functest", step="vping")
        assert client.post(path, {"power": 250, "environment": env}) == (200, told)

    def test_the_page_and_the_description(self, client, prefix):
        status, headers, page = client.ask("GET", f"{prefix}/doc/")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/html")
        assert b"/recorders/environment/{env}" in page
        assert b"://" not in page.split(b"</style>")[1], "nothing is loaded from elsewhere"
        described = client.get(f"{prefix}/swagger.json")["paths"]
        assert set(described["/recorders/environment/{env}"]) == {"get", "post", "delete"}

    def test_browsers_may_ask_from_anywhere(self, client, env, prefix):
        path = Recorder(client, env, prefix).path
        asked = {"Origin": "http://x", "Access-Control-Request-Method": "DELETE"}
        status, headers, _ = client.ask("OPTIONS", path, headers=asked)
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert "DELETE" in headers["Access-Control-Allow-Methods"]
        assert (
            client.ask("GET", path, headers={"Origin": "http://x"})[1]["Access-Control-Allow-Origin"] == "*"
        )


class TestStack:
    def test_the_decorator_restores_the_scenario_around_it(self, client, env):
        """Outer sets a step, calls inner, which posts itself and then what was before it."""
        recorder = Recorder(client, env)
        recorder.post("outer", "running")
        recorder.step("one")
        _, before = recorder.get()
        recorder.post("inner", "running")
        assert recorder.get()[1]["scenario"] == "inner"
        recorder.post(before["scenario"], before["step"])
        assert recorder.get() == (200, recorder.body("outer", "one"))
        recorder.step("two")
        recorder.delete()
        found = recorder.run()
        assert (found["run"]["scenario"], found["run"]["state"]) == ("outer", "passed")
        names = [(s["scenario"], s["step"], s["depth"], s["state"]) for s in found["steps"]]
        assert names == [
            ("outer", "running", 1, "passed"),
            ("outer", "one", 1, "passed"),
            ("inner", None, 1, "passed"),
            ("inner", "running", 2, "passed"),
            ("outer", "two", 1, "passed"),
        ]

    def test_an_inner_test_that_crashed_ends_with_the_one_around_it(self, client, env):
        recorder = Recorder(client, env)
        recorder.post("outer", "running")
        recorder.post("inner", "running")
        recorder.post("innermost", "running")
        recorder.post("outer", "running")
        found = recorder.run()
        assert found["run"]["state"] == "running"
        inner = [s for s in found["steps"] if s["scenario"] != "outer"]
        assert len(inner) == 4
        assert {s["state"] for s in inner} == {"passed"}
        assert recorder.delete() == (200, recorder.body("outer", "running"))

    def test_the_end_closes_everything(self, client, env):
        recorder = Recorder(client, env)
        recorder.post("a", "1")
        recorder.post("b", "2")
        assert recorder.delete() == (200, recorder.body("b", "2"))
        found = recorder.run()
        assert {step["state"] for step in (found["run"], *found["steps"])} == {"passed"}
        recorder.post("a", "3")
        assert len(client.get(f"/v1/runs?env={env}")["runs"]) == 2

    def test_the_same_again_changes_nothing(self, client, env):
        recorder = Recorder(client, env)
        for _ in range(2):
            recorder.post("a", "1")
            assert recorder.step("2")[0] == 200
            assert recorder.step("2")[0] == 200
        steps = [step["step"] for step in recorder.run()["steps"]]
        assert steps == ["1", "2", "1", "2"]

    def test_what_ran_at_a_time(self, client, env):
        recorder = Recorder(client, env)
        recorder.post("a", "1")
        first_ns = time.time_ns()
        recorder.post("b", "2")
        second_ns = time.time_ns()
        recorder.delete()
        assert recorder.get(f"?time={first_ns}") == (200, recorder.body("a", "1"))
        assert recorder.get(f"?time={second_ns}") == (200, recorder.body("b", "2"))
        assert recorder.get("?time=5") == recorder.none()
        assert recorder.get("?time=x")[0] == 400

    def test_a_run_by_v1_in_the_same_environment_stays_apart(self, client, env):
        recorder = Recorder(client, env)
        recorder.post("old", "1")
        run_id, _ = begin(client, env)
        assert client.post(f"/v1/envs/{env}/step", {"step": "new"})[0] == 201
        assert recorder.get() == (200, recorder.body("old", "1"))
        recorder.delete()
        steps = client.get(f"/v1/runs/{run_id}")
        assert steps["run"]["state"] == "running"
        assert [step["step"] for step in steps["steps"]] == ["new"]
        assert recorder.get() == recorder.none()

    def test_nobody_starts_a_session_of_the_original_by_v1(self, client, env):
        body = {"step_id": f"legacy:{new_id()}", "env": env, "scenario": "s"}
        status, answer = client.post("/v1/steps", body)
        assert (status, answer["error"]["code"]) == (409, "conflict")

    def test_an_alias_stands_for_its_environment(self, client):
        recorder = Recorder(client, "jenkins-agent-7")
        recorder.post("aliased", "1")
        assert Recorder(client, "pod1").get()[1]["scenario"] == "aliased"
        _, body = begin(client, "jenkins-agent-9")
        assert body["env"] == "pod1"
        recorder.delete()


def power(annotator, client, env):
    """Return the stored series of ``env``."""
    now_ns = time.time_ns()
    path = f"/v1/power?env={env}&from={now_ns - 10 * 3600 * SECOND}&to={now_ns + SECOND}"
    found = annotator.until(lambda: client.get(path)["series"])
    return {(s["server"], s["scope"], s["part"]): s["points"] for s in found}


class TestPostedSamples:
    def test_each_keeps_its_own_time_and_unit(self, annotator, client, env):
        t_ns = time.time_ns() - 3600 * SECOND
        measurements = [
            {"sensor": "power", "unit": "kW", "value": 0.25, "time": t_ns},
            {"sensor": "power", "unit": "mW", "value": 300_000, "time": t_ns + SECOND},
            {"sensor": "psu1", "unit": "W", "value": 120, "time": t_ns},
            {"sensor": "inlet", "unit": "C", "value": 23.5, "time": t_ns},
        ]
        body = {"environment": env, "measurements": measurements}
        assert client.post("/resources/equipments/n1/measurements", body)[0] == 200
        series = power(annotator, client, env)
        assert [(p[0], p[1]) for p in series["n1", "server", "legacy"]] == [
            (t_ns, 250.0),
            (t_ns + SECOND, 300.0),
        ]
        assert series["n1", "component", "psu1"][0][:2] == [t_ns, 120.0]
        assert len(series) == 2

    def test_the_topology_is_kept_with_the_server(self, annotator, client, env):
        one = {"sensor": "power", "unit": "W", "value": 100}
        topology = {"dc": "north", "room": "", "rack": "r 7", "shelf": 3}
        body = {"environment": env, "topology": topology, "measurements": [one]}
        assert client.post("/resources/equipments/n1/measurements", body)[0] == 200
        assert client.post("/resources/equipments/n2/measurements", {**body, "topology": None})[0] == 200
        series = annotator.until(lambda: len(s := client.get(f"/v1/power?env={env}")["series"]) == 2 and s)
        assert {one["server"]: one["place"] for one in series} == {
            "n1": {"site": "north", "rack": "r 7"},
            "n2": {},
        }

    def test_the_common_time_stands_in_and_no_time_is_now(self, annotator, client, env):
        t_ns = time.time_ns() - 60 * SECOND
        one = {"sensor": "total", "unit": "W", "value": 100}
        body = {"environment": env, "time": t_ns, "measurements": [one]}
        client.post("/resources/equipments/n1/measurements", body)
        before_ns = time.time_ns()
        client.post("/resources/equipments/n2/measurements", {**body, "time": 12})
        after_ns = time.time_ns()
        annotator.until(lambda: len(power(annotator, client, env)) == 2)
        series = power(annotator, client, env)
        assert series["n1", "server", "legacy"][0][0] == t_ns
        assert before_ns <= series["n2", "server", "legacy"][0][0] <= after_ns

    def test_a_step_gets_its_energy_from_them(self, annotator, client, env):
        begin_ns = time.time_ns() - 120 * SECOND
        values = [
            {"sensor": "power", "unit": "W", "value": 100, "time": begin_ns + n * SECOND} for n in range(100)
        ]
        body = {"environment": env, "measurements": values}
        client.post("/resources/equipments/n1/measurements", body)
        power(annotator, client, env)
        run_id, _ = begin(client, env, started_at=begin_ns + 20 * SECOND)
        stop = {"outcome": "passed", "ended_at": begin_ns + 80 * SECOND}
        client.post(f"/v1/steps/{run_id}/stop", stop)
        run = annotator.until(lambda: (r := client.get(f"/v1/runs/{run_id}")["run"])["result"] and r)
        assert run["result"]["energy_j"] == pytest.approx(6000, rel=0.01)
        assert "legacy" in run["result"]["method"]


def basic(password):
    return {"Authorization": "Basic " + base64.b64encode(f"user:{password}".encode()).decode()}


def test_without_always_record_samples_need_a_session_and_basic_opens_the_door(tmp_path):
    more = "[legacy]\nalways_record = false\n"
    with running(tmp_path, more=more, environ={"ENERGY_ANNOTATOR_TOKEN": "geheim"}) as annotator:
        client = Client(annotator.port)
        path = "/resources/recorders/environment/e"
        status, headers, _ = client.ask("GET", path, headers=basic("falsch"))
        assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
        assert client.ask("GET", path, headers=basic("geheim"))[0] == 404
        asked = {"Origin": "http://x", "Access-Control-Request-Method": "POST"}
        assert client.ask("OPTIONS", path, headers=asked)[0] == 200
        sample = {"environment": "e", "measurements": [{"sensor": "power", "unit": "W", "value": 1}]}
        used = {"environment": "e", "power": 1}
        post = "/resources/equipments/n/measurements"
        assert client.ask("POST", post, sample, basic("geheim"))[0] == 500
        assert client.ask("POST", "/servers/n/consumption", used, basic("geheim"))[0] == 500
        start = {"scenario": "s", "step": ""}
        assert client.ask("POST", path, start, basic("geheim"))[0] == 200
        sample["measurements"][0]["value"] = 2
        assert client.ask("POST", post, sample, basic("geheim"))[0] == 200

        def stored():
            found = json.loads(client.ask("GET", "/v1/power?env=e", headers=basic("geheim"))[2])
            return [point[1:] for one in found["series"] for point in one["points"]]

        assert annotator.until(stored) == [[2.0, 2.0, 2.0]], "what was refused is not kept"
        client.close()


def test_a_session_that_falls_silent_is_lost(tmp_path):
    with running(tmp_path, more='[legacy]\nttl = "1s"\n') as annotator:
        recorder = Recorder(annotator.client(), "e")
        recorder.post("functest", "vping")
        annotator.until(lambda: recorder.get() == recorder.none())
        found = recorder.run()
        assert {one["state"] for one in (found["run"], *found["steps"])} == {"lost"}
        recorder.post("functest", "vping")
        assert len(recorder.client.get("/v1/runs?env=e")["runs"]) == 2
