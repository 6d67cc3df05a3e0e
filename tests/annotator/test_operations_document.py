"""docs/operations.md, docs/api.md and the service name the same settings, commands, metrics and routes."""

import re
from pathlib import Path

import pytest

from energyrecorder_annotator.cli.app import cli
from energyrecorder_annotator.config import ENV_ALIASES, TABLES
from support.annotator import PLUGINS, running

DOCS = Path(__file__).resolve().parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text()


@pytest.fixture(scope="module")
def annotator(tmp_path_factory):
    plugin = ("python3", PLUGINS / "steady.py")
    more = '[webhook]\nurl = "http://127.0.0.1:9"\n'
    with running(tmp_path_factory.mktemp("annotator"), commands=[plugin], more=more) as one:
        client = one.client()
        one.until(lambda: client.get("/v1/power")["series"])
        yield one


def _documented_settings():
    found, table = {}, None
    for line in OPERATIONS.splitlines():
        row = re.match(r"^\| (`\[(?P<table>\w+)\]`)? ?\| (?P<keys>[^|]+) \|", line)
        if row:
            table = row["table"] or table
            found.setdefault(table, set()).update(re.findall(r"`(\w+)`", row["keys"]))
    return found


def test_every_setting_is_described_and_every_description_has_its_setting():
    documented = _documented_settings()
    assert documented.pop(ENV_ALIASES) == set()
    assert documented == {table: {one.name for one in settings} for table, settings in TABLES.items()}


def test_every_command_is_described():
    table = OPERATIONS.split("## Commands")[1].split("\n## ")[0]
    described = {name.split()[0] for name in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)}
    assert described == set(cli.commands)


def test_every_metric_is_described_and_every_description_has_its_metric(annotator):
    text = annotator.client().ask("GET", "/metrics")[2].decode()
    served = set(re.findall(r"^(energy_annotator_\w+?)(?:\{| )", text, re.MULTILINE))
    table = OPERATIONS.split("## Metrics")[1].split("Worth an alert")[0]
    described = {
        name if name.startswith("energy_annotator") else f"energy_annotator{name}"
        for name in re.findall(r"`(_?[a-z_]+)`", table.replace("`energy_annotator_plugin_running`, ", ""))
        if name.startswith(("energy_annotator_", "_plugin"))
    } | {"energy_annotator_plugin_running"}
    assert served == described


def test_every_original_route_is_described(annotator):
    paths = annotator.client().get("/resources/swagger.json")["paths"]
    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    text = (DOCS / "api.md").read_text().split("## Original API")[1]
    assert set(re.findall(r"^\| `(GET|POST|DELETE) (/\S+)` \|", text, re.MULTILINE)) == served


def test_metrics_come_as_openmetrics_too(annotator):
    _, headers, raw = annotator.client().ask(
        "GET", "/metrics", headers={"Accept": "application/openmetrics-text"}
    )
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert raw.endswith(b"# EOF\n")
