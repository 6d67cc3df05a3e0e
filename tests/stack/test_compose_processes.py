"""`make up` without an engine: its script with a `docker` that takes notes, the services as processes."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from influxd import free_port
from support.compose import DEPLOY, Container, InfluxdbService, services, variables

pytestmark = [pytest.mark.timeout(400)]

ENERGY_STEP = Path(sys.executable).parent / "energy-step"
PAGE_S = 120
"""A page with all servers is promised within two minutes; images are built before."""
SERVERS = ("dell-1", "hpe-1", "ipmi-1")
NO_PROCESS = {
    "grafana": "its image",
    "legacy": "socat",
    "telegraf": "as telegraf-simulator, with your servers",
}
COMPOSE = "compose --project-name energyrecorder --env-file secrets.env"
DOCKER = """#!/bin/sh
echo "$@" >>{notes}
if [ "$1" = ps ]; then echo "$CONTAINER_THERE"; fi
case "$*" in *" up "*) exit "${{UP_CODE:-0}}" ;; esac
"""
SS_OF_NOBODY = """#!/bin/sh
echo "LISTEN 0      5      127.0.0.1:1 0.0.0.0:*"
"""
"""Without root: processes of others have no name."""


@pytest.fixture
def deploy(tmp_path):
    """A copy of the folder, and a `docker` before all others."""
    folder = tmp_path / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("*.env", "fleet.toml"))
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin" / "docker"
    docker.write_text(DOCKER.format(notes=tmp_path / "notes"), encoding="utf-8")
    docker.chmod(0o755)
    return folder


def up(folder, **environ):
    """Run the script of `make up` on ports that are free, unless told others."""
    ports = {f"{name}_PORT": str(free_port()) for name in ("INFLUXDB", "ANNOTATOR", "GRAFANA")}
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}:/usr/sbin"
    return subprocess.run(
        [folder / "up.sh"],
        env={**os.environ, "PATH": path, **ports, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_up_makes_passwords_once_and_starts_the_profile(deploy, tmp_path):
    ports = {name: str(free_port()) for name in ("ANNOTATOR_PORT", "GRAFANA_PORT")}
    done = up(deploy, **ports)
    assert done.returncode == 0
    for name, port in ports.items():
        assert f"{name.removesuffix('_PORT').title()}: http://127.0.0.1:{port}" in done.stdout
    secrets = deploy / "secrets.env"
    assert secrets.stat().st_mode & 0o777 == 0o600
    made = variables(secrets)
    assert set(made) == set(variables(DEPLOY / "secrets.env.sample"))
    assert all(re.fullmatch(r"[A-Za-z0-9]{20,}", value) for value in made.values())
    assert len(set(made.values())) == len(made)
    assert up(deploy).returncode == 0
    assert variables(secrets) == made
    started = [line for line in (tmp_path / "notes").read_text().splitlines() if " up " in line]
    assert started == [f"{COMPOSE} --profile=simulator up --detach --build --wait"] * 2


def test_make_up_takes_passwords_from_its_file_alone(deploy, tmp_path):
    """Compose would prefer a variable of the caller: a token that stands in no file."""
    docker = tmp_path / "bin" / "docker"
    docker.write_text(f"#!/bin/sh\nenv >{tmp_path}/environ\n", encoding="utf-8")
    assert up(deploy, ENERGY_TOKEN="callers", OTHER="callers").returncode == 0
    seen = variables(tmp_path / "environ")
    assert (seen["OTHER"], "ENERGY_TOKEN" in seen) == ("callers", False)


def test_make_up_says_where_to_look_when_a_container_is_not_well(deploy):
    """Such as a collector that gets no reading of any server."""
    done = up(deploy, UP_CODE="1")
    assert (done.returncode, "logs SERVICE" in done.stderr, done.stdout.count("Grafana")) == (1, True, 0)


def test_make_up_names_a_password_that_is_missing(deploy, tmp_path):
    """As in a file of an older version, or one that was not filled."""
    (deploy / "secrets.env").write_text("INFLUXDB_ADMIN_PASSWORD=a\nINFLUXDB_USER_PASSWORD=\n")
    done = up(deploy)
    assert done.returncode == 2
    assert done.stderr == "deploy/secrets.env: INFLUXDB_USER_PASSWORD has no value\n"
    assert " up " not in (tmp_path / "notes").read_text()


def test_make_up_names_who_holds_a_port(deploy, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        done = up(deploy, ANNOTATOR_PORT=str(port))
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert f"pid={os.getpid()}" in done.stderr
    assert " up " not in (tmp_path / "notes").read_text()


@pytest.mark.parametrize(
    ("container", "said"),
    [("", "a process of somebody else, which 'sudo ss"), ("their-db", "container their-db")],
)
def test_make_up_without_root_names_who_holds_a_port(deploy, tmp_path, container, said):
    """A container's port is held by Docker's own proxy, whose name would say nothing."""
    (tmp_path / "bin" / "ss").write_text(SS_OF_NOBODY, encoding="utf-8")
    (tmp_path / "bin" / "ss").chmod(0o755)
    done = up(deploy, CONTAINER_THERE=container)
    assert (done.returncode, f"is taken: {said}" in done.stderr) == (1, True), done.stderr


def test_make_up_opens_the_originals_port_beside_a_fleet(deploy, tmp_path):
    (deploy / "fleet.toml").touch(0o644)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
        assert f"port {port} is taken" in up(deploy, PROFILE="fleet legacy", LEGACY_PORT=port).stderr
    assert up(deploy, PROFILE="fleet legacy", LEGACY_PORT=port).returncode == 0
    started = f"{COMPOSE} --profile=fleet --profile=legacy up --detach --build --wait"
    assert started in (tmp_path / "notes").read_text().splitlines()


def test_make_up_for_servers_of_yours_asks_for_their_file(deploy):
    done = up(deploy, PROFILE="fleet")
    assert done.returncode == 2
    assert "deploy/fleet.toml is not there" in done.stderr
    (deploy / "fleet.toml").touch(0o600)
    done = up(deploy, PROFILE="fleet")
    assert (done.returncode, "may not read it" in done.stderr) == (2, True)


def until(condition, *containers):
    """Return the first true value of ``condition`` within the time that is promised."""
    deadline = time.monotonic() + PAGE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, [one.log[-2000:] for one in containers]
        time.sleep(0.2)
    return value


def page(port, token):
    """Return the annotator's page as a browser gets it that knows the token; None before it listens."""
    basic = base64.b64encode(f":{token}".encode()).decode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Authorization": f"Basic {basic}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.URLError:
        return None


def powers(text):
    """Return the power that the page shows of each server that has one."""
    rows = re.findall(r'<td class="id">(\S+?)</td><td class="n">([\d.,]+)\s*k?W</td>', text or "")
    return dict(rows)


def measurements(influxdb):
    """Return what Grafana's user sees."""
    found = influxdb.ask_as("INFLUXDB_READ_USER", "SHOW MEASUREMENTS")
    return {row[0] for series in found for row in series["values"]}


def test_the_page_shows_the_simulated_servers_within_two_minutes(deploy, tmp_path):
    """By the commands, variables and files of the compose file; a step of a job gets to Grafana's user."""
    assert up(deploy).returncode == 0
    secrets = deploy / "secrets.env"
    token = variables(secrets)["ENERGY_TOKEN"]
    port = free_port()
    with InfluxdbService(tmp_path / "influxdb", secrets) as influxdb:
        assert influxdb.is_healthy()
        places = [
            ("http://influxdb:8086", influxdb.url),
            ("http://annotator:8742", f"http://127.0.0.1:{port}"),
            ("http://127.0.0.1:8742", f"http://127.0.0.1:{port}"),
            ('host = "0.0.0.0"', f'host = "127.0.0.1"\nport = {port}'),
            *((number, str(free_port())) for number in ("18001", "18002", "18623")),
        ]

        def container(name):
            return Container(name, tmp_path, secrets, places)

        collector = container("telegraf-simulator")
        assert not collector.is_healthy(), "without a reading"
        with (
            container("simulator"),
            collector as telegraf,
            container("annotator") as annotator,
        ):
            until(annotator.is_healthy, annotator)
            until(telegraf.is_healthy, telegraf)
            until(lambda: set(powers(page(port, token))) == set(SERVERS), annotator, telegraf)
            job = {"ENERGY_URL": f"http://127.0.0.1:{port}", "ENERGY_TOKEN": token, "ENERGY_ENV": "demo"}
            command = [ENERGY_STEP, "run", "--scenario", "smoke", "--", "true"]
            environ = {**os.environ, **job, "ENERGY_SPOOL_DIR": str(tmp_path / "spool")}
            subprocess.run(command, env=environ, capture_output=True, timeout=60, check=True)
            everything = {"server_power", "server_bmc", "energy_steps", "energy_telegraf", "energy_annotator"}
            until(lambda: everything <= measurements(influxdb), annotator, telegraf)


def test_what_runs_as_a_process_is_all_but_what_needs_an_image():
    """The collector of your own servers differs from that of the simulated ones in its servers alone."""
    assert set(services()) == {"influxdb", "simulator", "telegraf-simulator", "annotator", *NO_PROCESS}
    own, simulated = (services()[name] for name in ("telegraf", "telegraf-simulator"))
    assert own["build"] == simulated["build"]
    assert {**own["environment"], "BMC_PASSWORD": "simulated-bmcs-only"} == simulated["environment"]
