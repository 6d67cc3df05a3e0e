"""Where steps go: the order of flags, variables, files and defaults, and mistakes in them."""

import pytest

from energyrecorder.errors import ConfigError
from energyrecorder.sdk_settings import DEFAULT_URL, find_file, load, load_from_variables


def write(folder, text, name="energyrecorder.toml"):
    (folder / name).write_text(text)


@pytest.fixture
def reads_toml():
    pytest.importorskip("tomllib", reason="reading TOML needs Python 3.11")


def test_without_settings_the_service_is_on_loopback_and_the_environment_unknown(tmp_path):
    settings = load({}, tmp_path)
    assert (settings.url, settings.url_is_default) == (DEFAULT_URL, True)
    assert (settings.env, settings.token, settings.servers, settings.disabled) == (None, None, (), False)


@pytest.mark.parametrize(
    ("environ", "env"),
    [
        ({}, "from-file"),
        ({"NODE_NAME": "agent-7"}, "from-file"),
        ({"NODE_NAME": "agent-7", "ENERGY_ENV": "pod1"}, "pod1"),
        ({"ENERGY_ENV": ""}, "from-file"),
    ],
)
def test_environment_is_variable_then_file_then_node_name(tmp_path, reads_toml, environ, env):
    write(tmp_path, 'env = "from-file"')
    assert load(environ, tmp_path).env == env
    assert load(environ, tmp_path).with_env("flag").env == "flag"


def test_node_name_is_the_last_resort(tmp_path):
    assert load({"NODE_NAME": "agent-7"}, tmp_path).env == "agent-7"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"ENERGY_URL": "http://a:1/"}, "http://a:1"),
        ({"ENERGY_URL": "https://a/energy"}, "https://a/energy"),
        ({"ENERGY_RECORDER_API_URL": "http://b:8888/resources"}, "http://b:8888"),
        ({"ENERGY_RECORDER_API_URL": "http://b:8888/resources/"}, "http://b:8888"),
        ({"ENERGY_URL": "http://a:1", "ENERGY_RECORDER_API_URL": "http://b"}, "http://a:1"),
    ],
)
def test_url_of_ours_then_of_the_original(tmp_path, environ, url):
    assert load(environ, tmp_path).url == url


def test_the_original_credentials_are_sent_as_basic(tmp_path):
    environ = {"ENERGY_RECORDER_API_USER": "u", "ENERGY_RECORDER_API_PASSWORD": "p"}
    assert load(environ, tmp_path).authorization() == "Basic dTpw"
    assert load({**environ, "ENERGY_TOKEN": "t"}, tmp_path).authorization() == "Bearer t"


@pytest.mark.parametrize(
    ("text", "disabled"), [("1", True), ("true", True), ("0", False), ("", False), ("No", False)]
)
def test_words_that_disable_recording(tmp_path, text, disabled):
    assert load({"ENERGY_DISABLED": text}, tmp_path).disabled is disabled


def test_servers_are_separated_by_commas_or_spaces(tmp_path):
    assert load({"ENERGY_SERVERS": "node-1, node-2 rack7-*"}, tmp_path).servers == (
        "node-1",
        "node-2",
        "rack7-*",
    )


def test_the_file_is_found_up_to_the_root_of_the_repository_and_no_further(tmp_path):
    inner = tmp_path / "repository" / "src"
    inner.mkdir(parents=True)
    write(tmp_path, 'env = "outside"')
    assert find_file(inner) is None
    (tmp_path / "repository" / ".git").mkdir()
    assert find_file(inner) is None
    write(tmp_path / "repository", "[project]\n", "pyproject.toml")
    assert find_file(inner) is None
    write(tmp_path / "repository", "[tool.energyrecorder]\n", "pyproject.toml")
    assert find_file(inner) == tmp_path / "repository" / "pyproject.toml"
    write(inner, "")
    assert find_file(inner) == inner / "energyrecorder.toml"


def test_pyproject_holds_the_same_keys(tmp_path, reads_toml):
    write(tmp_path, '[tool.energyrecorder]\nurl = "http://a:1"\nservers = ["n1"]\n', "pyproject.toml")
    settings = load({}, tmp_path)
    assert (settings.url, settings.servers) == ("http://a:1", ("n1",))


def test_a_token_may_be_a_reference(tmp_path, reads_toml):
    write(tmp_path, 'token = "{env=MY_TOKEN}"')
    assert load({"MY_TOKEN": "t"}, tmp_path).token.reveal() == "t"
    with pytest.raises(ConfigError, match="MY_TOKEN is not set"):
        load({}, tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('url = "energy:1"', "key 'url' is 'energy:1'; allowed: a URL"),
        ('url = "http://u:p@h"', "without a password"),
        ("url = 5", "allowed: a URL"),
        ('urll = "x"', "did you mean 'url'"),
        ('servers = "n1"', "allowed: a list of texts"),
        ("env = ", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(tmp_path, reads_toml, text, complaint):
    write(tmp_path, text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load({}, tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "energyrecorder.toml") in str(caught.value)


@pytest.mark.parametrize("url", ["energy", "ftp://h", "http://", "http://h:x", "http://h:99999"])
def test_a_mistake_in_a_variable_names_it_and_can_be_passed_over(tmp_path, url):
    with pytest.raises(ConfigError, match="environment variable ENERGY_URL"):
        load({"ENERGY_URL": url}, tmp_path)
    assert load_from_variables({"ENERGY_URL": url, "ENERGY_ENV": "pod1"}).env == "pod1"
