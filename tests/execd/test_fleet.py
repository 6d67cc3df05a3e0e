"""What `fleet.toml` expands to, and that each mistake in it is one line naming file, table and key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder.errors import ConfigError
from energyrecorder_execd.fleet import load_fleet
from energyrecorder_execd.fleet.hosts import Host, parse_host
from energyrecorder_execd.fleet.ranges import expand
from energyrecorder_execd.setup.identify import nobody

ACCOUNT = '[credentials.lab]\nuser = "monitor"\npassword = "{env=BMC_PASSWORD}"\n'
DEFAULTS = '[defaults]\nenv = "pod1"\ncredentials = "lab"\n'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a fleet file and load it."""
    monkeypatch.setenv("BMC_PASSWORD", "sikrit")
    monkeypatch.chdir(tmp_path)

    def _load(text, head=DEFAULTS + ACCOUNT):
        Path("fleet.toml").write_text(head + text)
        return load_fleet(Path("fleet.toml"))

    return _load


def _server(extra="", server_id="a", host="h1"):
    return f'[[server]]\nid = "{server_id}"\nhost = "{host}"\n{extra}\n'


def test_the_example_of_the_documentation(tmp_path, load):
    """Ranges expand side by side, defaults hold, each key lands where a reader finds it."""
    Path("kg").write_text("0123\n")
    fleet = load(
        """
        [[server]]
        id = "node-[01-16]"
        host = "10.0.0.[11-26]"
        tags = { rack = "r7", room = "b" }
        [[server]]
        id = "old-1"
        host = "10.0.0.40"
        port = 623
        protocol = "ipmi"
        interval = "1s"
        timeout = "500ms"
        cipher_suite = 3
        bridge = "0x82"
        kg = "{file=kg}"
        privilege = "user"
        [[server]]
        id = "spare"
        host = "10.0.0.41"
        enabled = false
        """
    )
    first, last, old = fleet.servers[0], fleet.servers[15], fleet.servers[16]
    assert (first.id, first.target.address) == ("node-01", "10.0.0.11")
    assert (last.id, last.target.address) == ("node-16", "10.0.0.26")
    assert (first.env, first.protocol, first.interval_s) == ("pod1", "auto", None)
    assert dict(first.tags) == {"rack": "r7", "room": "b"}
    assert first.target.password.reveal() == "sikrit"
    assert (first.target.timeout_s, first.target.tls, first.target.options) == (8.0, "verify", {})
    assert (old.protocol, old.interval_s, old.target.timeout_s, old.target.port) == ("ipmi", 1.0, 0.5, 623)
    assert old.target.options["bridge"] == "0x82"
    assert old.target.options["kg"].reveal() == "0123"
    assert fleet.disabled == ("spare",)
    assert "sikrit" not in repr(fleet)


@pytest.mark.parametrize("bridge", ["0x82", "0/0x82", "6/0x2C", "11/0x7", "0x82:7/0x72"])
def test_a_bridge_may_name_channels_and_the_satellite_before(load, bridge):
    """Channel 0 goes without saying."""
    assert load(_server(f'bridge = "{bridge}"')).servers[0].target.options["bridge"] == bridge


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            _server("prot = 1"),
            "fleet.toml: [[server]] 'a': unknown key 'prot' (did you mean 'port'?); allowed: id,",
        ),
        (
            _server('protocol = "snmp"'),
            "fleet.toml: [[server]] 'a': key 'protocol' is 'snmp'; allowed: 'auto', 'redfish', 'ilo', 'ipmi'",
        ),
        (
            _server("port = 0"),
            "fleet.toml: [[server]] 'a': key 'port' is 0; allowed: a whole number from 1 to 65535",
        ),
        (_server('port = "623"'), "key 'port' is '623'; allowed: a whole number from 1 to 65535"),
        (
            _server('interval = "10"'),
            "key 'interval' is '10'; allowed: 'auto', or a duration from 0.5 to 3600 s",
        ),
        (_server('interval = "10ms"'), "key 'interval' is '10ms'; allowed: 'auto', or a duration from 0.5"),
        (_server("interval = 10"), "key 'interval' is 10; allowed: 'auto', or a duration from 0.5"),
        (_server('timeout = "0s"'), "key 'timeout' is '0s'; allowed: a duration such as"),
        (
            _server('tls = "none"'),
            "key 'tls' is 'none'; allowed: verify, ca:FILE, pin:sha256:HEX (64 hex digits)",
        ),
        (_server('tls = "pin:sha256:ab"'), "key 'tls' is 'pin:sha256:ab'; allowed: verify, ca:FILE"),
        (
            _server('tls = "ca:no.pem"'),
            "key 'tls' names 'no.pem', which does not exist; allowed: ca:FILE (PEM)",
        ),
        (_server('credentials = "x"'), "key 'credentials' is 'x'; allowed: 'lab'"),
        (_server('tags = { shelf = "3" }'), "allowed: the tags site, room, row, rack, group"),
        (_server("tags = { rack = 3 }"), "allowed: a text for the tag 'rack'"),
        (_server("cipher_suite = 8"), "key 'cipher_suite' is 8; allowed: 17, 3"),
        (_server('bridge = "82"'), "key 'bridge' is '82'; allowed: an IPMB address from '0x01' to '0xff'"),
        (_server('bridge = "0x100"'), "key 'bridge' is '0x100'; allowed: an IPMB address"),
        (_server('bridge = "0x00"'), "key 'bridge' is '0x00'; allowed: an IPMB address"),
        (_server('bridge = "12/0x2c"'), "or with its channel (0 to 11) such as '6/0x2c'"),
        (_server('bridge = "0x82:7"'), "one behind another such as '0x82:7/0x72'"),
        (_server('bridge = "0x82:0x72:0x74"'), "one behind another such as '0x82:7/0x72'"),
        (
            _server('privilege = "root"'),
            "key 'privilege' is 'root'; allowed: 'user', 'operator', 'administrator'",
        ),
        (_server('transport = "ipmitool"'), "key 'transport' is 'ipmitool'; allowed: 'lanplus', 'pyghmi'"),
        (_server('sensor = "("'), "key 'sensor' is '('; allowed: a regular expression:"),
        (_server('enabled = "no"'), "key 'enabled' is 'no'; allowed: true or false"),
        (_server('env = " "'), "key 'env' is ' '; allowed: a text that is not empty, on one line"),
        (
            _server("kg = 5"),
            "fleet.toml: [[server]] 'a': key 'kg' is not a text; allowed: {env=NAME} or {file=PATH}",
        ),
        (_server('kg = "{env=NO_KG}"'), "key 'kg': environment variable NO_KG is not set"),
        (_server() + _server(), "server 'a' is given twice; the other is in fleet.toml: [[server]] 'a'"),
        (_server("enabled = false") + _server(), "server 'a' is given twice"),
        (_server(server_id="a b"), "key 'id' is 'a b'; allowed: 1 to 64 characters of A-Z a-z 0-9 . _ : -"),
        (_server(server_id="x" * 65), "allowed: 1 to 64 characters of"),
        (_server(server_id="a[3-1]"), "key 'id' is 'a[3-1]'; allowed: [FIRST-LAST] with whole numbers"),
        (_server(server_id="a[1-x]"), "key 'id' is 'a[1-x]'; allowed: [FIRST-LAST] with whole numbers"),
        (
            _server(server_id="a[1-2]"),
            "key 'host' 'h1' stands for 1 hosts and 'id' for 2 servers; allowed: ranges of",
        ),
        (_server(server_id="a[0-99999]"), "key 'id' is 'a[0-99999]'; allowed: at most 10000 names"),
        (_server(host="h:99999"), "key 'host' is 'h:99999'; allowed: host, host:port, [v6]:port"),
        (_server(host="ftp://h"), "key 'host' is 'ftp://h'; allowed: host, host:port"),
        (_server("port = 1", host="h:2"), "key 'port' is 1 but 'host' says 2; allowed: one of the two"),
        ('[[server]]\nid = "a"\n', "fleet.toml: [[server]] 'a': missing key 'host': a text"),
        ('[[server]]\nhost = "h"\n', "fleet.toml: [[server]] number 1: missing key 'id': a text"),
        ("[[server]]\nid = 5\n", "fleet.toml: [[server]] number 1: key 'id' is 5; allowed: a text"),
        ("[servers]\n", "fleet.toml: unknown key 'servers' (did you mean 'server'?); allowed: include,"),
        ("[server]\n", "fleet.toml: key 'server' is {}; allowed: a list of tables"),
        ("[[server]]\nid =\n", "fleet.toml: not valid TOML: Invalid value (at line"),
    ],
)
def test_each_mistake_in_a_server_is_one_line(load, text, message):
    """Unknown keys, wrong types, duplicates, bad ranges, missing secrets."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("fleet.toml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("", "fleet.toml: [[server]] 'a': missing key 'credentials': the name of a [credentials.…] table"),
        ('[defaults]\nid = "x"\n', "fleet.toml: [defaults]: unknown key 'id'"),
        ("[defaults]\ntls = 1\n", "fleet.toml: [defaults]: key 'tls' is 1; allowed: verify, ca:FILE"),
        (DEFAULTS, "fleet.toml: [[server]] 'a': key 'credentials' is 'lab'; allowed: none is defined"),
        (
            DEFAULTS + '[credentials.lab]\nuser = "u"\n',
            "fleet.toml: [credentials.lab]: missing key 'password': a text",
        ),
        (
            DEFAULTS + '[credentials.lab]\nuser = "u"\npasswort = "x"\n',
            "fleet.toml: [credentials.lab]: unknown key 'passwort' (did you mean 'password'?)",
        ),
        (
            DEFAULTS + '[credentials.lab]\nuser = "u"\npassword = "{env=NOT_SET}"\n',
            "fleet.toml: [credentials.lab]: key 'password': environment variable NOT_SET is not set",
        ),
        (
            DEFAULTS + '[credentials.lab]\nuser = "u"\npassword = "{file=nowhere}"\n',
            "fleet.toml: [credentials.lab]: key 'password': secret file 'nowhere' cannot be read",
        ),
        (
            'include = ["more.toml"]\n' + DEFAULTS + ACCOUNT,
            "key 'include' names 'more.toml', which does not exist",
        ),
    ],
)
def test_each_mistake_elsewhere_is_one_line(load, head, message):
    """Defaults, credentials and includes are checked where they stand."""
    with pytest.raises(ConfigError) as caught:
        load(_server(), head=head)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["123456789", "true", '["sikrit9"]'])
def test_a_password_of_a_wrong_type_is_not_shown(load, value):
    """The message of a mistake in a secret does not tell the secret."""
    with pytest.raises(ConfigError) as caught:
        load(_server(), head=DEFAULTS + f'[credentials.lab]\nuser = "u"\npassword = {value}\n')
    assert "key 'password' is not a text" in str(caught.value)
    assert value.strip('[]"') not in str(caught.value).replace("true or", "")


def test_a_literal_password_is_taken_with_a_warning(load):
    """It works, and the warning names the table but not the password."""
    fleet = load(_server(), head=DEFAULTS + '[credentials.lab]\nuser = "u"\npassword = "sikrit9"\n')
    assert fleet.servers[0].target.password.reveal() == "sikrit9"
    assert fleet.warnings == (
        "fleet.toml: [credentials.lab]: key 'password' is a literal; use {env=NAME} or {file=PATH}",
    )


def test_secrets_of_accounts_that_nobody_uses_are_not_needed(load):
    """A fleet can be split over machines that each know their own secrets."""
    fleet = load(
        _server() + _server('credentials = "other"\nenabled = false', "b"),
        head=DEFAULTS + ACCOUNT + '[credentials.other]\nuser = "u"\npassword = "{env=NOT_SET}"\n',
    )
    assert [server.id for server in fleet.servers] == ["a"]


def test_included_files_share_accounts_and_have_defaults_of_their_own(tmp_path, load):
    """Patterns are relative to the including file; the included file's defaults hold in it alone."""
    (tmp_path / "fleet.d").mkdir()
    (tmp_path / "fleet.d" / "b.toml").write_text('[defaults]\nenv = "pod2"\n' + _server(server_id="b"))
    (tmp_path / "fleet.d" / "c.toml").write_text(_server(server_id="c"))
    fleet = load(_server(), head='include = ["fleet.d/*.toml"]\n' + DEFAULTS + ACCOUNT)
    assert [(server.id, server.env) for server in fleet.servers] == [
        ("a", "pod1"),
        ("b", "pod2"),
        ("c", "pod1"),
    ]
    assert Path("fleet.d") in fleet.files
    assert Path("fleet.d/b.toml") in fleet.files


def test_a_mistake_in_an_included_file_names_that_file(tmp_path, load):
    """So that the reader opens the right one."""
    (tmp_path / "more.toml").write_text(_server())
    with pytest.raises(ConfigError, match=r"more.toml: \[\[server\]\] 'a': .* the other is in fleet.toml"):
        load(_server(), head='include = ["more.toml"]\n' + DEFAULTS + ACCOUNT)


def test_secret_files_are_relative_to_the_fleet_file(tmp_path, monkeypatch):
    """Telegraf runs its plugins in /, so the working directory says nothing."""
    (tmp_path / "pw").write_text("from-file\n")
    (tmp_path / "ca.pem").write_text("")
    head = '[credentials.lab]\nuser = "u"\npassword = "{file=pw}"\n[defaults]\ncredentials = "lab"\n'
    (tmp_path / "fleet.toml").write_text(head + _server('tls = "ca:ca.pem"'))
    monkeypatch.chdir("/")
    fleet = load_fleet(tmp_path / "fleet.toml")
    assert fleet.servers[0].target.password.reveal() == "from-file"
    assert fleet.servers[0].target.tls == f"ca:{tmp_path / 'ca.pem'}"
    assert tmp_path / "pw" in fleet.files


def test_pins_may_be_written_with_colons(load):
    """As openssl prints them."""
    pin = ":".join(["AB"] * 32)
    assert load(_server(f'tls = "pin:sha256:{pin}"')).servers[0].target.tls == "pin:sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.0.0.1", Host("10.0.0.1", None, None)),
        ("bmc-1.lab.example", Host("bmc-1.lab.example", None, None)),
        ("bmc:8443", Host("bmc", 8443, None)),
        ("[2001:db8::1]:443", Host("2001:db8::1", 443, None)),
        ("[2001:DB8::1]", Host("2001:db8::1", None, None)),
        ("2001:db8::1", Host("2001:db8::1", None, None)),
        ("fe80::1%eth0", Host("fe80::1%eth0", None, None)),
        ("https://bmc", Host("bmc", None, "https")),
        ("https://bmc:444/", Host("bmc", 444, "https")),
        ("http://10.0.0.1:8000", Host("10.0.0.1", 8000, "http")),
        ("http://[::1]:8000", Host("::1", 8000, "http")),
    ],
)
def test_host_forms(text, host):
    """All forms of the documentation; what a log line calls the BMC is one of them."""
    assert parse_host(text) == host
    shown = nobody(host).target.place
    assert parse_host(shown) == dataclasses.replace(host, scheme="http" if host.scheme == "http" else None)


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "h:", "h:0", "h:65536", "h:x", "[::1", "[::1]x", "[h]:1", "https://", "ipmi://h",
     "u:p@h", "https://u@h", "h/redfish", "https://h/redfish", "-h"],
)  # fmt: skip
def test_hosts_that_are_none(text):
    """Anything else is refused, as a user in a URL would put a password into logs."""
    with pytest.raises(ValueError, match="host:port"):
        parse_host(text)


@given(st.integers(0, 3000), st.integers(0, 50), st.integers(1, 5))
def test_ranges_expand_in_order_with_the_width_of_the_first(low, extra, width):
    """`[001-012]` keeps its zeros, `[8-11]` has none."""
    first = str(low).zfill(width)
    names = expand(f"n[{first}-{low + extra}]x")
    shown = len(first) if first.startswith("0") else 0
    assert names == [f"n{str(number).zfill(shown)}x" for number in range(low, low + extra + 1)]


def test_several_ranges_multiply():
    """The last one runs fastest."""
    assert expand("r[1-2]n[1-2]") == ["r1n1", "r1n2", "r2n1", "r2n2"]


def test_shards_cover_the_fleet_without_overlap(load):
    """Each server is in exactly one shard, whatever the order of the file."""
    fleet = load('[[server]]\nid = "n[1-200]"\nhost = "10.0.0.[1-200]"\n')
    parts = [{server.id for server in fleet.of_shard(index, 3).servers} for index in (1, 2, 3)]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 200
    assert min(len(part) for part in parts) > 40


def test_the_same_bmc_is_known_by_its_address_whatever_the_protocol(load):
    """Standard ports do not count, others do: behind a gateway each port is another BMC."""
    fleet = load(
        _server("port = 623", "a", "H1") + _server("", "b", "https://h1:443") + _server("", "c", "h1:8001")
    )
    assert [server.bmc for server in fleet.servers] == ["h1", "h1", "h1:8001"]


def test_only_names_what_is_not_there(load):
    """`--server` with an unknown or a disabled id says so."""
    fleet = load(_server() + _server("enabled = false", "b"))
    assert [server.id for server in fleet.only(["a", "a"]).servers] == ["a"]
    with pytest.raises(ConfigError, match="no server 'x' in the fleet file"):
        fleet.only(["x"])
    with pytest.raises(ConfigError, match="server 'b' is disabled"):
        fleet.only(["b"])
