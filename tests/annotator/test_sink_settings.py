"""The tables [influxdb], [grafana] and [webhook], and the variables that stand for them."""

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_annotator.config import load_config


def load(tmp_path, text="", environ=None):
    path = tmp_path / "annotator.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(config=str(path), fleet=None, environ=environ or {}, flags={})


def test_without_tables_there_are_no_sinks(tmp_path):
    config = load(tmp_path)
    assert (config.influxdb, config.grafana, config.webhook) == (None, None, None)
    assert config.samples_kind == "embedded"


def test_a_table_switches_its_sink_on_and_secrets_never_show(tmp_path):
    text = (
        '[samples]\nkind = "influxdb"\n'
        '[influxdb]\nurl = "https://influx:8086/"\nuser = "u"\npassword = "{env=PASS}"\n'
        '[grafana]\ntoken = "gtoken"\nmode = "all"\n'
        '[webhook]\nurl = "http://127.0.0.1:1/hook"\ntoken = "wtoken"\n'
    )
    config = load(tmp_path, text, {"PASS": "influx-pass"})
    assert config.influxdb.url == "https://influx:8086"
    assert config.influxdb.password.reveal() == "influx-pass"
    assert (config.grafana.url, config.grafana.mode) == ("http://127.0.0.1:3000", "all")
    assert config.webhook.url == "http://127.0.0.1:1/hook"
    assert not {word for word in ("influx-pass", "gtoken", "wtoken") if word in repr(config)}


def test_grafana_may_be_off_and_a_webhook_without_url_is(tmp_path):
    config = load(tmp_path, '[grafana]\nmode = "off"\n[webhook]\n')
    assert (config.grafana, config.webhook) == (None, None)


def test_variables_switch_influxdb_on_and_the_file_goes_before_telegrafs(tmp_path):
    shared = {"ENERGY_INFLUX_URL": "http://shared:1", "ENERGY_INFLUX_DB": "lab", "ENERGY_INFLUX_USER": ""}
    config = load(tmp_path, environ=shared)
    assert (config.influxdb.url, config.influxdb.database, config.influxdb.user) == (
        "http://shared:1",
        "lab",
        None,
    )
    assert load(tmp_path, '[influxdb]\nurl = "http://file:2"', shared).influxdb.url == "http://file:2"
    own = {**shared, "ENERGY_ANNOTATOR_INFLUXDB_URL": "http://own:3"}
    assert load(tmp_path, '[influxdb]\nurl = "http://file:2"', own).influxdb.url == "http://own:3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[influxdb]\nurl = "influx:8086"',
            r"key 'url' is 'influx:8086'; allowed: an http:// or https:// URL",
        ),
        ('[influxdb]\nurl = "http://u:p@h"', r"without a password in it"),
        ('[influxdb]\nuser = "u"\ntoken = "t"', r"\[influxdb\]: has both 'user' and 'token'"),
        ('[influxdb]\ntoken = "{env=NOT_THERE}"', r"\[influxdb\] token: environment variable NOT_THERE"),
        ('[samples]\nkind = "influxdb"', r"\[samples\] kind is 'influxdb'.*\[influxdb\]"),
        ("[grafana]", r"\[grafana\]: missing key 'token'"),
        ('[grafana]\nmode = "some"', r"key 'mode' is 'some'; allowed: 'off', 'scenario', 'all'"),
        ('[webhook]\nurl = "ftp://x"', r"\[webhook\]: key 'url'.*http://"),
    ],
)
def test_mistakes_are_one_line_that_says_where_and_what_is_allowed(tmp_path, text, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)
