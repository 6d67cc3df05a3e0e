"""Compose file, images and provisioning, as far as they can be checked without an engine and a Grafana."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from energyrecorder_annotator.config import load_config
from support.bmcsim import serving
from support.compose import variables
from support.execd import points_by_server
from support.tools import missing

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
PROVISIONING = ROOT / "dashboards" / "provisioning"
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SECRETS = list(variables(DEPLOY / "secrets.env.sample"))


def tool(name):
    """Return the path of a developer's tool beside this interpreter."""
    path = shutil.which(name, path=str(BIN))
    assert path, f"{name} is not installed: make venv"
    return path


def test_hadolint_has_nothing_to_say():
    done = subprocess.run(
        [tool("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
    assert not done.stdout


def test_the_compose_file_follows_its_schema():
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def loaded(tmp_path, text):
    """Load a Compose file, beside copies of what ours refers to, with the library of Docker Compose."""
    checker = ROOT / "build" / "composecheck"
    if not checker.exists():
        missing("build/composecheck")
    deploy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, deploy, ignore=shutil.ignore_patterns("*.env", "fleet.toml"))
    secrets = deploy / "secrets.env"
    secrets.write_text("".join(f"{name}=of-{name}\n" for name in SECRETS), encoding="utf-8")
    file = deploy / "compose.yaml"
    file.write_text(text, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return subprocess.run(
        [checker, file, secrets], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_compose_loads_the_file(tmp_path):
    """With all profiles on: variables, anchors, dependencies, volumes."""
    done = loaded(tmp_path, (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_container_gets_the_secrets_that_it_needs_alone(tmp_path):
    """Anywhere in what Compose makes of its service: variables, command, health check."""
    done = loaded(tmp_path, (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    collector = {"INFLUXDB_USER_PASSWORD", "ENERGY_TOKEN"}
    assert {
        name: {secret for secret in SECRETS if f"of-{secret}" in json.dumps(service)}
        for name, service in json.loads(done.stdout)["services"].items()
    } == {
        "influxdb": {"INFLUXDB_ADMIN_PASSWORD", "INFLUXDB_USER_PASSWORD", "INFLUXDB_READ_USER_PASSWORD"},
        "telegraf": {*collector, "BMC_PASSWORD"},
        "telegraf-simulator": collector,
        "simulator": set(),
        "annotator": {"INFLUXDB_USER_PASSWORD", "ENERGY_TOKEN"},
        "legacy": set(),
        "grafana": {"INFLUXDB_READ_USER_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD"},
    }


def test_compose_asks_for_the_secrets_file(tmp_path):
    """A command that forgets it would start InfluxDB with a password of nobody's choice."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    done = loaded(tmp_path, text.replace("INFLUXDB_ADMIN_PASSWORD:?", "NOT_THERE:?"))
    assert (done.returncode, "--env-file secrets.env" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("    healthcheck:", "    healthchek:", "healthchek"),
        ("      influxdb:\n        condition", "      influx:\n        condition", "undefined service"),
        (":8086:8086", ":80x86:8086", "80x86"),
        ("collector:/var/lib/energyrecorder", "nobody:/var/lib/energyrecorder", "undefined volume"),
    ],
)
def test_compose_would_name_what_is_wrong(tmp_path, right, wrong, said):
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8").replace("${INFLUXDB_PORT:-8086}", "8086")
    assert right in text
    done = loaded(tmp_path, text.replace(right, wrong))
    assert done.returncode == 1
    assert said in done.stderr


def test_the_compose_file_hangs_together():
    """Dependencies and volumes exist, targets are stages of the Dockerfile, mounted files are there."""
    services = COMPOSE["services"]
    stages = re.findall(r"^FROM \S+ AS (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        if "build" in service:
            assert service["build"]["target"] in stages
        for volume in service.get("volumes", ()):
            source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert source == "./fleet.toml" or (DEPLOY / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)


def test_published_ports_are_this_machines_and_variables():
    """The original's 8888 only in profile `legacy`."""
    published = {}
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", ()):
            match = re.fullmatch(r"\$\{ENERGY_BIND:-127\.0\.0\.1\}:\$\{\w+_PORT:-(\d+)\}:(\d+)", port)
            assert match, port
            published[match[1]] = name
    assert published == {"8086": "influxdb", "8742": "annotator", "3000": "grafana", "8888": "legacy"}
    assert COMPOSE["services"]["legacy"]["profiles"] == ["legacy"]


def test_no_secret_stands_in_a_file():
    """Passwords come from secrets.env, whose sample has none."""
    sample = (DEPLOY / "secrets.env.sample").read_text()
    assert not re.findall(r"^[A-Z_]+=\S+", sample, re.MULTILINE)
    text = (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "annotator.toml").read_text()
    for name in SECRETS:
        assert not re.search(rf"{name}\s*[:=]\s*[\"']?(?!simulated-bmcs-only)[A-Za-z0-9]", text), name
    assert "deploy/secrets.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_copied_files_exist():
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source


def test_the_annotators_settings_are_valid():
    config = load_config(
        config=str(DEPLOY / "annotator.toml"),
        fleet=None,
        environ={"ENERGY_TOKEN": "t" * 24, "INFLUXDB_USER_PASSWORD": "p" * 24},
        flags={"host": None, "port": None},
    )
    assert config.host == "0.0.0.0"  # noqa: S104  # inside its container
    assert config.token is not None
    assert config.influxdb.user == COMPOSE["services"]["influxdb"]["environment"]["INFLUXDB_USER"]


@pytest.mark.timeout(180)
def test_the_simulated_servers_answer_the_collector(tmp_path):
    """The two files of the profile `simulator` fit each other."""
    fleet = tomllib.loads((DEPLOY / "demo" / "fleet.toml").read_text())
    environ = {"BMC_PASSWORD": "simulated-bmcs-only", "ENERGY_STATE_DIR": str(tmp_path)}
    with serving(DEPLOY / "demo" / "sim.toml", **environ):
        command = [BIN / "energy-execd", "once", "--fleet", DEPLOY / "demo" / "fleet.toml"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert set(points_by_server(done.stdout)) == {server["id"] for server in fleet["server"]}


@pytest.mark.parametrize("path", sorted(PROVISIONING.glob("datasources/*")), ids=lambda path: path.name)
def test_data_sources(path):
    """One uid, InfluxQL everywhere, secrets and addresses from the environment."""
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    assert source["uid"] == "energy-influxdb"
    assert source["type"] == "influxdb"
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["dbName"] == "${ENERGY_INFLUX_DB}"
    assert source["editable"] is False
    for secret in source["secureJsonData"].values():
        assert re.fullmatch(r"(Token |Bearer )?\$\{ENERGY_[A-Z_]+\}", secret)


def test_exactly_one_data_source_is_active():
    assert [path.name for path in PROVISIONING.glob("datasources/*.y*ml")] == ["energy-influxdb.yaml"]


def test_the_provider_and_the_alerts_use_folders_of_their_own():
    """Alert provisioning makes its folder by title first; a folder of both would be made twice."""
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "energy.yaml").read_text())["providers"]
    alerts = yaml.safe_load((PROVISIONING / "alerting" / "energy.json").read_text())
    (group,) = alerts["groups"]
    assert (provider["folder"], provider["allowUiUpdates"]) == ("Energy", False)
    assert group["folder"] != provider["folder"]
    rules = group["rules"]
    assert [rule["title"] for rule in rules] == ["Server silent", "Step over budget", "Step lost"]
    assert len({rule["uid"] for rule in rules}) == 3
    text = (PROVISIONING / "alerting" / "energy.json").read_text()
    assert "$$" not in text
    assert "$timeFilter" in text


MINUTE_S = 60
NOW_S = 28_000_000 * MINUTE_S
"""At the begin of a minute, when Grafana may ask: that minute holds no poll yet."""
SERVER = 'server_bmc,env=pod1,server={} up={}i,error="" {}000000000'
STEP = 'energy_steps,env=pod1,scenario={},level=scenario state="{}",step_id="x",quality="{}"{} {}000000000'


def polls(server, up, ago_s):
    return [SERVER.format(server, up, NOW_S - ago) for ago in ago_s]


@pytest.fixture(scope="module")
def alarmed(influxd):
    """Servers that answer or do not, and steps that went wrong some hours ago."""
    hours = {hour: NOW_S - hour * 3600 for hour in (1, 13, 25)}
    lines = [
        *polls("well", 1, range(5, 900, 10)),
        *polls("once", 1, range(59, 900, 60)),
        *polls("refuses", 0, range(5, 400, 10)),
        *polls("refuses", 1, range(400, 900, 10)),
        *polls("gone", 1, range(1200, 1800, 10)),
        STEP.format("cheap", "passed", "resolved", ",energy_wh=12", hours[1]),
        STEP.format("long", "passed", "coarse", ",energy_wh=1500", hours[13]),
        STEP.format("noise", "passed", "unresolvable", ",energy_wh=1500", hours[1]),
        STEP.format("old", "passed", "resolved", ",energy_wh=1500", hours[25]),
        STEP.format("silent", "lost", "pending", "", hours[13]),
    ]
    influxd.fill("alerts", lines)
    return influxd


REDUCED = {"last": lambda values: values[-1], "max": max, "sum": sum}


def alerts_of(influxd, rule):
    """Return the tags of the series of which a rule would alert, as Grafana computes it."""
    query, reduced, compared = rule["data"]
    span = query["relativeTimeRange"]
    window = f"time >= {NOW_S - span['from']}s and time <= {NOW_S - span['to']}s"
    comparison, threshold = compared["model"]["expression"].removeprefix("$B ").split()
    found = set()
    for series in influxd.query(query["model"]["query"].replace("$timeFilter", window), "alerts"):
        values = [row[1] for row in series["values"] if row[1] is not None]
        value = REDUCED[reduced["model"]["reducer"]](values)
        if {"==": value == float(threshold), ">": value > float(threshold)}[comparison]:
            tags = series["tags"]
            found.add(tags.get("server") or tags.get("scenario") or tags["env"])
    return found


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Server silent", {"refuses", "gone"}), ("Step over budget", {"long"}), ("Step lost", {"pod1"})],
)
def test_alerts_are_of_what_went_wrong_alone(alarmed, title, expected):
    """A server polled once a minute is not silent; a step is found hours after its start, noise never."""
    rules = yaml.safe_load((PROVISIONING / "alerting" / "energy.json").read_text())["groups"][0]["rules"]
    (rule,) = (rule for rule in rules if rule["title"] == title)
    assert alerts_of(alarmed, rule) == expected
