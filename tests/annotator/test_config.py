"""Settings, and the one line for each mistake in them."""

import dataclasses

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder_annotator.config import Config, check_exposure, load_config
from energyrecorder_annotator.settings_text import KEYS
from support.annotator import command

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what must be refused


def load(tmp_path, text="", environ=None, **flags):
    path = tmp_path / "annotator.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(config=str(path), fleet=None, environ=environ or {}, flags=flags)


def test_an_empty_file_means_loopback_without_token_and_plugins(tmp_path):
    config = load(tmp_path)
    assert (config.host, config.port, config.token, config.store) == ("127.0.0.1", 8742, None, None)
    assert (config.commands, config.interval_s, config.retention_s) == ((), 10.0, 90 * 86400.0)
    assert config.prefer == ("bmc", "meter", "legacy")


def test_flag_then_environment_then_file(tmp_path):
    text = '[listen]\nhost = "127.0.0.2"\nport = 1\n[store]\npath = "a.db"'
    environ = {"ENERGY_ANNOTATOR_PORT": "2", "ENERGY_ANNOTATOR_STORE_PATH": "b.db"}
    config = load(tmp_path, text, environ)
    assert (config.host, config.port, str(config.store)) == ("127.0.0.2", 2, "b.db")
    assert load(tmp_path, text, environ, port=3, host=None).port == 3


def test_the_token_may_come_from_a_file_and_never_shows(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("very-secret\n")
    config = load(tmp_path, f'[listen]\ntoken = "{{file={secret}}}"')
    assert config.token.reveal() == "very-secret"
    assert "very-secret" not in repr(config)
    config = load(tmp_path, environ={"ENERGY_ANNOTATOR_TOKEN": "from-env"})
    assert config.token.reveal() == "from-env"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[listn]", r"annotator\.toml: unknown table 'listn'; allowed: listen, store, samples, embedded"),
        ("[listen]\nprt = 1", r"\[listen\]: unknown key 'prt' \(did you mean 'port'\?\)"),
        (
            "[listen]\nport = 70000",
            r"\[listen\]: key 'port' is 70000; allowed: a whole number from 0 to 65535",
        ),
        ('[samples]\nkind = "influx"', r"key 'kind' is 'influx'; allowed: 'embedded'"),
        ('[samples]\nprefer = ["bmc", "bmc"]', r"key 'prefer'.*each once"),
        ('[embedded]\ncommands = ["energy-execd"]', r"key 'commands'.*each a list of words"),
        ('[embedded]\nretention = "soon"', r"key 'retention' is 'soon'; allowed: a duration"),
        ("store = 1", r"\[store\]: must be a table"),
        ('[listen]\ntoken = "{env=NOT_THERE}"', r"\[listen\] token: environment variable NOT_THERE"),
        ("[listen", r"annotator\.toml: not valid TOML"),
    ],
)
def test_mistakes_are_one_line_that_says_where_and_what_is_allowed(tmp_path, text, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_bad_environment_variable_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"ENERGY_ANNOTATOR_PORT.*'many'.*whole number"):
        load(tmp_path, environ={"ENERGY_ANNOTATOR_PORT": "many"})


def test_with_a_fleet_the_collector_runs_on_it(tmp_path):
    fleet = tmp_path / "fleet.toml"
    fleet.touch()
    config = load_config(config=None, fleet=str(fleet), environ={}, flags={})
    [command] = config.commands
    assert command[0].endswith("energy-execd")
    assert command[1:] == ("run", "--fleet", str(fleet))


def test_variables_are_enough_where_readings_are_in_influxdb(tmp_path):
    """No file is needed, and no second collector runs beside that of Telegraf."""
    environ = {"ENERGY_ANNOTATOR_SAMPLES_KIND": "influxdb", "ENERGY_INFLUX_URL": "http://127.0.0.1:18086"}
    config = load_config(
        config=None, fleet=None, environ={**environ, "ENERGY_FLEET": str(tmp_path / "fleet.toml")}, flags={}
    )
    assert config.commands == ()
    assert config.influxdb.url == "http://127.0.0.1:18086"


def test_a_fleet_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no fleet file '.*nope\.toml'"):
        load_config(config=None, fleet=str(tmp_path / "nope.toml"), environ={}, flags={})


def test_beyond_loopback_a_token_is_needed(tmp_path):
    exposed = load(tmp_path, host=EVERYWHERE)
    with pytest.raises(ConfigError, match=r"no token.*--insecure"):
        check_exposure(exposed, insecure=False)
    assert "without a token" in check_exposure(exposed, insecure=True)
    assert (
        check_exposure(
            load(tmp_path, environ={"ENERGY_ANNOTATOR_TOKEN": "x"}, host=EVERYWHERE), insecure=False
        )
        is None
    )
    assert check_exposure(load(tmp_path, host="::1"), insecure=False) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LISTN", " (did you mean 'ENERGY_ANNOTATOR_PORT'?)"),
        ("LISTEN_PORT", " (did you mean 'ENERGY_ANNOTATOR_PORT'?)"),
        ("LEGACY_TLL", " (did you mean 'ENERGY_ANNOTATOR_LEGACY_TTL'?)"),
        ("CONFG", " (did you mean 'ENERGY_ANNOTATOR_CONFIG'?)"),
        ("XYZ", ""),
    ],
)
def test_a_variable_that_sets_nothing_is_told(tmp_path, name, hint):
    variable = f"ENERGY_ANNOTATOR_{name}"
    told = f"environment variable {variable} is no setting and has no effect{hint}"
    assert load(tmp_path, environ={variable: "1"}).warnings == (told,)


def test_a_variable_that_is_known_empty_or_referred_to_is_not_told(tmp_path):
    environ = {
        "ENERGY_ANNOTATOR_CONFIG": "annotator.toml",
        "ENERGY_ANNOTATOR_EMPTY": "",
        "ENERGY_ANNOTATOR_GRAFANA_SECRET": "s",
        "ENERGY_ANNOTATOR_PORT": "2",
        "ENERGY_ELSEWHERE": "1",
    }
    text = '[grafana]\nurl = "http://g"\ntoken = "{env=ENERGY_ANNOTATOR_GRAFANA_SECRET}"'
    assert load(tmp_path, text, environ).warnings == ()


def test_check_prints_the_settings_with_the_token_masked(tmp_path):
    path = tmp_path / "annotator.toml"
    path.write_text('[listen]\ntoken = "{env=TOKEN}"\nhost = "0.0.0.0"')
    done = command("check", "--config", str(path), TOKEN="very-secret")
    assert done.returncode == 0, done.stderr
    assert '[listen] host = "0.0.0.0"\n' in done.stdout
    assert "[listen] token = ********\n" in done.stdout
    assert "very-secret" not in done.stdout + done.stderr


def test_check_calls_settings_as_the_file_does(tmp_path):
    """Those of sinks too; every field of the settings has a name."""
    path = tmp_path / "annotator.toml"
    path.write_text(
        '[influxdb]\nuser = "u"\npassword = "very-secret"\n[legacy]\nmirror_database = "NRG"\nttl = "2h"\n'
        '[grafana]\nurl = "http://g"\ntoken = "very-secret"'
    )
    done = command("check", "--config", str(path))
    said = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if not line.startswith("#"))
    assert said["[influxdb] user"] == '"u"'
    assert said["[influxdb] timeout"] == "10s"
    assert said["[legacy] mirror_database"] == '"NRG"'
    assert (said["[legacy] ttl"], said["[embedded] retention"]) == ("7200s", "7776000s")
    assert said["[grafana] token"] == "********"
    assert said["[webhook]"] == "not set"
    assert "[store] path" in done.stdout.splitlines()[-1]
    assert "very-secret" not in done.stdout
    assert set(KEYS) == {field.name for field in dataclasses.fields(Config)} - {"source", "warnings"}


def test_check_reads_the_certificate(tmp_path):
    """As the service does, which would not start."""
    path = tmp_path / "annotator.toml"
    path.write_text('[listen]\ntls_certificate = "none.pem"')
    done = command("check", "--config", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "TLS certificate 'none.pem' (key 'none.pem') cannot be used: No such file" in done.stderr


@pytest.mark.parametrize("verb", ["serve", "check"])
def test_a_mistake_ends_the_command_with_2_and_one_line(tmp_path, verb):
    path = tmp_path / "annotator.toml"
    path.write_text("[listen]\nport = true")
    done = command(verb, "--config", str(path), ENERGY_STATE_DIR=str(tmp_path / "state"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "[listen]: key 'port' is True" in done.stderr


def test_check_tells_of_a_variable_that_sets_nothing(tmp_path):
    path = tmp_path / "annotator.toml"
    path.write_text("")
    done = command("check", "--config", str(path), ENERGY_ANNOTATOR_LISTN="127.0.0.1")
    assert done.returncode == 0
    assert done.stderr.startswith("W! environment variable ENERGY_ANNOTATOR_LISTN is no setting")
