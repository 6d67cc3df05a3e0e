"""Every file of `telegraf.conf.d` in a real Telegraf: accepted, ours alone, no secret, data at once."""

from __future__ import annotations

import re
import tomllib

import pytest
from line_protocol_parser import parse_line

from energyrecorder import schema
from support.bmcsim import PASSWORD
from support.stack import PROTOCOLS, three_bmcs
from support.telegraf import DROP_INS, Telegraf

FILES = sorted(path.name for path in DROP_INS.iterdir())
POWER = (schema.SERVER_POWER, schema.SERVER_BMC, schema.SERVER_INFO, schema.SERVER_SENSOR)
WATCH = ("energy_telegraf", "energy_annotator")
STDOUT = '\n[[outputs.file]]\n  files = ["stdout"]\n'


def tables(name):
    """Return (kind, table) of every plugin in a file."""
    parsed = tomllib.loads((DROP_INS / name).read_text(encoding="utf-8"))
    return [
        (f"{kind}.{plugin}", block)
        for kind, plugins in parsed.items()
        for plugin, blocks in plugins.items()
        for block in blocks
    ]


def test_only_two_files_are_active():
    """Telegraf loads every `*.conf`; the others are to be chosen."""
    assert [name for name in FILES if name.endswith(".conf")] == ["energy-fleet.conf", "energy-influxdb.conf"]
    assert all(name.endswith(".conf.sample") for name in FILES if not name.endswith(".conf"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", FILES)
def test_telegraf_accepts_the_file(tmp_path, name):
    """With no variable set: every one has a default."""
    telegraf = Telegraf(tmp_path, main="" if name.startswith("energy-fleet") else "\n[[inputs.cpu]]\n")
    for variable in ("ENERGY_EXECD", "ENERGY_FLEET", "ENERGY_STATE_DIR"):
        del telegraf.environ[variable]
    done = telegraf.add(name).run("config", "check")
    assert done.returncode == 0, done.stderr
    # Telegraf 1.39.3 says this at every start, whatever the files hold.
    said = [line for line in done.stderr.splitlines() if "Strict environment variable handling" not in line]
    assert not [line for line in said if re.search(r"[EW]! ", line)], said


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_safe_to_drop_in(name):
    """Each plugin has an alias, each output takes ours, no precision, no literal secret, tables last."""
    text = (DROP_INS / name).read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert not re.search(r"^\s*precision", text, re.MULTILINE)
    assert all(":-" in match for match in re.findall(r"\$\{[^}]*\}", text)), "an unset variable stays literal"
    for secret in re.findall(r'^\s*(?:password|token|community)\s*=\s*"(.*)"', text, re.MULTILINE):
        assert secret.startswith("${ENERGY_")
    for kind, block in tables(name):
        assert block["alias"].startswith("energy-"), kind
        if kind.startswith("outputs"):
            assert set(block["namepass"]) <= {*POWER, *WATCH}
            assert {schema.SERVER_POWER, schema.SERVER_BMC} <= set(block["namepass"])
        keys = list(block)
        first_table = next((i for i, key in enumerate(keys) if isinstance(block[key], dict)), len(keys))
        assert all(isinstance(block[key], dict) for key in keys[first_table:]), keys


@pytest.mark.parametrize("name", FILES)
def test_every_option_is_explained(name):
    """As Telegraf's SAMPLE_CONFIG guide asks: what sets something has a sentence above it."""
    explained = False
    script = False
    for line in (DROP_INS / name).read_text(encoding="utf-8").splitlines():
        if line.count("'''") == 1:
            script = not script
            assert explained or not script, line
            continue
        if script or line.startswith("#"):
            continue
        if not line.strip() or line.startswith("[["):
            explained = False
        elif line.lstrip().startswith("##"):
            explained = True
        elif re.match(r"\s+[a-z_]+ = |\s+\[[a-z]", line):
            assert explained or "[[inputs.http.json_v2" in line, line


@pytest.mark.parametrize(
    "name", ["energy-fleet.conf", *(f"energy-{p}.conf.sample" for p in ("redfish", "ilo", "ipmi"))]
)
def test_the_collectors_tags_are_the_schemas(name):
    """So that neither `host` nor global tags start series, and no tag of ours is lost."""
    ((_, block),) = tables(name)
    tags = {tag for measurement in POWER for tag in schema.measurement(measurement).tags}
    assert set(block["taginclude"]) == tags | set(schema.STATIC_TAGS)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["--test", "--once"])
def test_test_and_once_show_data(tmp_path, how):
    """The first thing that everybody tries: one reading per BMC, in line protocol, without the host tag."""
    with three_bmcs(tmp_path) as _:
        telegraf = Telegraf(tmp_path, main="" if how == "--test" else STDOUT, BMC_PASSWORD=PASSWORD).add(
            "energy-fleet.conf"
        )
        done = telegraf.run(how)
    assert done.returncode == 0, done.stderr
    points = [parse_line(line.removeprefix("> ")) for line in done.stdout.splitlines() if "server_" in line]
    watts = {
        p["tags"]["server"] for p in points if p["measurement"] == "server_power" and "watts" in p["fields"]
    }
    assert watts == set(PROTOCOLS), done.stdout + done.stderr
    assert all("host" not in point["tags"] for point in points)
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("server", "protocol"), [(server, protocol) for server, protocol in PROTOCOLS.items()]
)
def test_one_protocol_each(tmp_path, server, protocol):
    """The samples for one protocol poll the servers of that protocol alone."""
    with three_bmcs(tmp_path):
        telegraf = Telegraf(tmp_path, main=STDOUT, BMC_PASSWORD=PASSWORD).add(
            f"energy-{protocol}.conf.sample"
        )
        done = telegraf.run("--once")
    found = {parse_line(line)["tags"]["server"] for line in done.stdout.splitlines()}
    assert found == {server}, done.stderr


@pytest.mark.timeout(120)
def test_one_protocol_beside_the_whole_fleet_is_refused(tmp_path):
    """By the state directory that both have unless told otherwise: no BMC is polled twice."""
    ours = ("/var/lib/energyrecorder-telegraf", str(tmp_path / "state"))
    telegraf = Telegraf(tmp_path, main=STDOUT, BMC_PASSWORD=PASSWORD)
    del telegraf.environ["ENERGY_STATE_DIR"]
    telegraf.add("energy-fleet.conf", ours).add("energy-redfish.conf.sample", ours)
    with three_bmcs(tmp_path), telegraf:
        telegraf.until(lambda: "'dell-1' is polled by process" in telegraf.log)


@pytest.mark.timeout(120)
def test_the_protocols_side_by_side(tmp_path):
    """Three processes share one state directory, and with it what is known of lock-outs."""
    telegraf = Telegraf(tmp_path, main=STDOUT, BMC_PASSWORD=PASSWORD)
    for protocol in PROTOCOLS.values():
        telegraf.add(f"energy-{protocol}.conf.sample")
    with three_bmcs(tmp_path):
        done = telegraf.run("--once")
    points = [parse_line(line) for line in done.stdout.splitlines()]
    assert {p["tags"]["server"] for p in points if p["fields"].get("up") == 1} == set(PROTOCOLS), done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["missing", "not executable"])
def test_a_collector_that_cannot_be_started_is_named(tmp_path, kind):
    """Telegraf ends at once and says which file."""
    program = tmp_path / "energy-execd"
    if kind == "not executable":
        program.write_text("#!/bin/sh\n")
    done = Telegraf(tmp_path, main=STDOUT, ENERGY_EXECD=str(program)).add("energy-fleet.conf").run()
    assert done.returncode != 0
    assert str(program) in done.stderr


@pytest.mark.timeout(60)
def test_a_collector_that_crashes_is_started_again_and_says_why(tmp_path):
    """Its last words are in Telegraf's log."""
    telegraf = Telegraf(tmp_path, main=STDOUT).add(
        "energy-fleet.conf", ('# restart_delay = "10s"', 'restart_delay = "1s"')
    )
    (tmp_path / "fleet.toml").write_text('[[server]]\nid = "a"\nhots = "10.0.0.1"\n')
    with telegraf:
        telegraf.until(lambda: telegraf.log.count("exited: exit status 2") >= 2)
        assert "'hots'" in telegraf.log
