"""docs/telegraf.md and docs/grafana.md name every file and variable, and what they tell is tested."""

from __future__ import annotations

import re
from pathlib import Path

from grafana_queries import DASHBOARDS, dashboards
from stack.test_beside_others import NAMEDROP
from support.telegraf import DROP_INS

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
TELEGRAF = (DOCS / "telegraf.md").read_text(encoding="utf-8")
GRAFANA = (DOCS / "grafana.md").read_text(encoding="utf-8")


def test_the_line_for_other_outputs_is_the_one_that_was_tested():
    """And its names are those that our own outputs take."""
    assert NAMEDROP in TELEGRAF
    names = NAMEDROP.partition("= ")[2]
    assert f"namepass = {names}" in (DROP_INS / "energy-influxdb.conf").read_text(encoding="utf-8")


def test_every_drop_in_and_variable_is_explained():
    for path in DROP_INS.iterdir():
        assert f"`{path.name}`" in TELEGRAF, path.name
        for variable in re.findall(r"\$\{(ENERGY_\w+)", path.read_text(encoding="utf-8")):
            special = re.fullmatch(r"ENERGY_(MODBUS|SHELLY|SNMP_COMMUNITY)", variable)
            assert special or f"`{variable}`" in TELEGRAF, variable


def test_every_dashboard_data_source_and_variable_is_explained():
    for board in dashboards().values():
        assert board["title"] in GRAFANA
    for path in (DASHBOARDS / "provisioning" / "datasources").iterdir():
        assert path.name in GRAFANA
        for variable in re.findall(r"\$\{(\w+)\}", path.read_text(encoding="utf-8")):
            assert variable in GRAFANA, variable
