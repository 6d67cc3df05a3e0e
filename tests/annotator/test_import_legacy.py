"""What an original recorder left in a real InfluxDB comes over whole, once, with its energy."""

import time
import uuid

import pytest

from energyrecorder_annotator.auth.tokens import create_token
from support.annotator import command, running

SECOND = 1_000_000_000
SENSOR, ENV = "SensorMeasurement", "environment=pod\\ 1"


def run(annotator, influxd, database, *arguments, token=None):
    """Run the command and return (exit code, what it says, what it complains of)."""
    done = command(
        "import-legacy",
        *("--influx-url", influxd.url, "--influx-database", database),
        *("--url", f"http://127.0.0.1:{annotator.port}"),
        *arguments,
        ENERGY_TOKEN=token or "",
    )
    return done.returncode, done.stdout, done.stderr


class Original:
    """A database with the retention policies and points of an original recorder.

    Two hours ago ``functest`` ran from second 0 to 600 with two steps, known by the tags of its samples only;
    an hour ago ``vsperf`` ran from second 0 to 300, told by ``RunningScenarios`` and by tags.
    """

    def __init__(self, influxd):
        self.name = f"NRG{uuid.uuid4().hex}"
        self._influxd = influxd
        influxd.query(f'CREATE DATABASE "{self.name}" WITH DURATION 3w NAME "power_data_rp"')
        influxd.query(
            f'CREATE RETENTION POLICY "running_scenarios_rp" ON "{self.name}" DURATION 12h REPLICATION 1'
        )
        now_ns = time.time_ns() // SECOND * SECOND
        self.functest_ns, self.vsperf_ns = now_ns - 7200 * SECOND, now_ns - 3600 * SECOND
        lines = [line for t_s in range(-60, 661, 10) for line in self._functest(t_s)]
        lines += [
            f"{SENSOR},equipement=n1,{ENV},scenario=vsperf,step=run,sensor=power,unit=W "
            f"value=200 {self.vsperf_ns + t_s * SECOND}"
            for t_s in range(0, 301, 10)
        ]
        lines.append(
            f"PowerMeasurement,hardware=old-1,{ENV},scenario=n/s,step=n/s power=55 {self.functest_ns}"
        )
        influxd.write(self.name, "\n".join(lines))
        told = (("run", 1, 0), ("run", 0, 300))
        self.tell(*(f"vsperf,step={step} started={n} {self.vsperf_ns + s * SECOND}" for step, n, s in told))

    def _functest(self, t_s):
        where = "functest,step=first" if 0 <= t_s < 300 else "functest,step=second"
        if not 0 <= t_s <= 600:
            where = "n/s,step=n/s"
        t_ns = self.functest_ns + t_s * SECOND + 4711
        common = f"{ENV},scenario={where}"
        yield f"{SENSOR},equipement=n1,{common},sensor=power,unit=W,dc=north,rack=r7 value=100 {t_ns}"
        yield f"{SENSOR},equipement=n2,{common},sensor=pdu,unit=kW value=0.3 {t_ns}"
        yield f"{SENSOR},equipement=n1,{common},sensor=inlet,unit=Celsius value=21.5 {t_ns - 4711}"

    def tell(self, *texts):
        lines = "\n".join(f"RunningScenarios,{ENV},scenario={text}" for text in texts)
        self._influxd.query(f'ALTER RETENTION POLICY "running_scenarios_rp" ON "{self.name}" DEFAULT')
        self._influxd.write(self.name, lines)
        self._influxd.query(f'ALTER RETENTION POLICY "power_data_rp" ON "{self.name}" DEFAULT')


@pytest.fixture
def original(influxd):
    one = Original(influxd)
    yield one
    influxd.query(f'DROP DATABASE "{one.name}"')


@pytest.mark.parametrize("kind", ["embedded", "influxdb"])
def test_samples_and_sessions_come_over_once_and_get_their_energy(tmp_path, influxd, original, kind):
    ours = f"ours{uuid.uuid4().hex}"
    more = f'[samples]\nkind = "{kind}"\n[influxdb]\nurl = "{influxd.url}"\ndatabase = "{ours}"\n'
    with running(tmp_path, more=more if kind == "influxdb" else "") as annotator:
        planned = run(annotator, influxd, original.name, "--dry-run")
        assert annotator.client().get("/v1/runs")["runs"] == [], "a dry run changes nothing"
        counted = "178 readings of power and 73 of other sensors, of 3 servers; 2 runs with 3 steps; "
        assert planned == (0, f"there are {counted}0 more runs are there already\n", "")
        done = run(annotator, influxd, original.name)
        assert done == (0, f"handed over: {counted}0 more runs are there already\n", "")
        client = annotator.client()
        energies = annotator.until(lambda: _energies(client))
        assert energies["vsperf", None] == pytest.approx(300 * 200, rel=0.01)
        assert energies["functest", None] == pytest.approx(610 * 400, rel=0.02)
        assert energies["functest", "first"] == pytest.approx(300 * 400, rel=0.04)
        steps = {one["step"]: one for one in client.get("/v1/steps?scenario=functest")["steps"]}
        assert abs(steps["first"]["started_ns"] - original.functest_ns) < 6 * SECOND
        assert steps["first"]["clock_error_ns"] == pytest.approx(5 * SECOND, rel=0.01)
        again = run(annotator, influxd, original.name)
        assert again[1].endswith("0 runs with 0 steps; 2 more runs are there already\n"), "the same ids"
        assert run(annotator, influxd, original.name, "--dry-run")[1].endswith(
            "; 2 more runs are there already\n"
        )
        assert len(client.get("/v1/steps")["steps"]) == 5
        place = f"/v1/power?from={original.functest_ns - 60 * SECOND}&to={original.vsperf_ns}&server=n1"
        [series] = client.get(place)["series"]
        assert (series["part"], series["place"]) == ("legacy", {"site": "north", "rack": "r7"})


def _energies(client):
    """Return the energy of each step by its names, once all are known."""
    steps = client.get("/v1/steps")["steps"]
    if any(one["result"] is None or one["result"]["energy_j"] is None for one in steps):
        return None
    return {(one["scenario"], one["step"]): one["result"]["energy_j"] for one in steps}


def test_a_database_that_forgot_the_beginning_makes_no_second_run(tmp_path, influxd, original):
    with running(tmp_path) as annotator:
        assert run(annotator, influxd, original.name)[0] == 0
        late = str(original.functest_ns + 100 * SECOND)
        code, said, _ = run(annotator, influxd, original.name, "--from", late)
        assert (code, said.split("; ", 1)[1]) == (0, "0 runs with 0 steps; 2 more runs are there already\n")
        assert len(annotator.client().get("/v1/runs")["runs"]) == 2


def test_what_ran_by_our_own_original_api_is_not_taken_a_second_time(tmp_path, influxd, original):
    with running(tmp_path) as annotator:
        session = "/resources/recorders/environment/pod%201"
        assert annotator.client().post(session, {"scenario": "vsperf", "step": "run"})[0] == 200
        now_ns = time.time_ns()
        original.tell(*(f"vsperf,step=run started={n} {now_ns + n * SECOND}" for n in (0, 1)))
        assert run(annotator, influxd, original.name)[0] == 0
        assert len(annotator.client().get("/v1/runs?scenario=vsperf")["runs"]) == 2


def test_what_cannot_be_is_told_in_one_line(tmp_path, influxd, original):
    (tmp_path / "state").mkdir()
    token = create_token(tmp_path / "state" / "tokens.json", "site", ["read", "write"], ["other-*"])
    with running(tmp_path) as annotator:
        code, _, complained = run(annotator, influxd, original.name, token=token)
        assert (code, complained.count("\n")) == (1, 1)
        assert "may not write" in complained
        assert "401" in run(annotator, influxd, original.name)[2]
        assert run(annotator, influxd, "nothing-here", token=token)[0] != 0
        bad = run(annotator, influxd, "nothing-here", "--to", "yesterday", token=token)
        assert (bad[0], "--to" in bad[2]) == (2, True), "told before anything is asked"
